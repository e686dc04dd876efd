//! Decides where a call goes, and in which bytes.

use actix_http::header::{HeaderName, HeaderValue};
use bytes::Bytes;

use crate::auth::access;
use crate::catalog::Catalog;
use crate::config::Config;
use crate::config::providers::{Kind, Upstream};
use crate::dialect::peek::Peek;
use crate::dialect::splice::Splice;
use crate::dialect::{Delivery, Dialect, Operation};
use crate::exchange::Call;
use crate::fault::{Fault, FaultKind};
use crate::ids::{ModelId, ProductName, ProviderName, RequestId};

/// Where a call goes, and in which bytes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Follows the call.
    pub request_id: RequestId,
    /// On whose behalf.
    pub product: ProductName,
    /// Who serves.
    pub provider: ProviderName,
    /// The model as the provider names it.
    pub model: ModelId,
    /// How caller and provider speak.
    pub dialect: Dialect,
    /// What is asked.
    pub operation: Operation,
    /// How the answer arrives.
    pub delivery: Delivery,
    /// The caller's query.
    pub query: String,
    /// The caller's headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The caller's bytes.
    pub body: Bytes,
    /// What they ask for.
    pub asked: Peek,
}

/// Finds the provider and makes the bytes that it gets.
///
/// # Errors
/// 400 for a model that does not exist, is of another family than the endpoint, or whose provider is not configured; 403 for
/// one that the product does not offer.
pub fn route(call: Call, asked: Peek, config: &Config, catalog: &Catalog) -> Result<Plan, Fault> {
    let delivery = match (&call.from_path, asked.stream) {
        (Some((_, delivery)), _) => *delivery,
        (None, true) => Delivery::Events,
        (None, false) => Delivery::Whole,
    };
    let name = call
        .from_path
        .as_ref()
        .map(|(model, _)| model.as_str())
        .or(asked.model.as_ref().map(|field| field.text.as_str()))
        .ok_or_else(|| {
            Fault::new(FaultKind::MissingParameter, "model is missing; name the model that is to answer").at("model")
        })?;
    let resolved = catalog.resolve(name, config)?;
    if let Some(product) = config.products.get(call.product.as_str())
        && !access::model_allowed(product, &resolved.model, name)
    {
        return Err(Fault::new(
            FaultKind::ModelNotAllowed,
            format!(
                "model \"{name}\" is not available to product \"{0}\"; GET /{0}/v1/models lists those that are",
                call.product
            ),
        )
        .at("model"));
    }
    if !speaks(resolved.kind, call.dialect) {
        return Err(Fault::new(
            FaultKind::UnsupportedParameter,
            format!(
                "model \"{name}\" is served by {}, which does not speak this endpoint's format, and translation between \
                 formats is not there yet; use {}",
                resolved.provider,
                home(resolved.kind),
            ),
        )
        .at("model"));
    }
    Ok(Plan {
        request_id: call.request_id,
        product: call.product,
        provider: resolved.provider,
        model: resolved.model,
        dialect: call.dialect,
        operation: call.operation,
        delivery,
        query: call.query,
        headers: call.headers,
        body: call.body,
        asked,
    })
}

impl Plan {
    /// The bytes that an upstream gets, and whether they ask for a usage chunk that the caller must not see.
    pub fn body_for(&self, upstream: &Upstream) -> (Bytes, UsageChunk) {
        let mut splice = Splice::of(&self.body);
        if let Some(field) = self.asked.model.as_ref().filter(|field| field.text != self.model.as_str()) {
            splice = splice.model(field, self.model.as_str());
        }
        let is_metered_apart = self.dialect == Dialect::OpenAiChat && self.delivery == Delivery::Events;
        let usage_chunk = match self.asked.include_usage {
            Some(true) => UsageChunk::TheCallers,
            _ if is_metered_apart && upstream.include_usage => UsageChunk::Ours,
            _ => UsageChunk::TheCallers,
        };
        if usage_chunk == UsageChunk::Ours {
            splice = splice.include_usage(&self.asked);
        }
        (splice.apply(), usage_chunk)
    }
}

/// Whose the usage chunk of a chat stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageChunk {
    /// The caller asked for it, or there is none.
    TheCallers,
    /// It was asked for here, to meter the call, and the caller must not see it.
    Ours,
}

/// Whether a vendor's API speaks a dialect.
fn speaks(kind: Kind, dialect: Dialect) -> bool {
    match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses => kind == Kind::OpenAi,
        Dialect::Anthropic => kind == Kind::Anthropic,
        Dialect::Gemini => kind == Kind::Gemini,
    }
}

/// Where a vendor's models are served natively.
fn home(kind: Kind) -> &'static str {
    match kind {
        Kind::OpenAi => "POST /v1/chat/completions or /v1/responses",
        Kind::Anthropic => "POST /v1/messages",
        Kind::Gemini => "POST /v1beta/models/{model}:generateContent",
    }
}
