//! Decides where a call goes, and in which bytes.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use actix_http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use bytes::Bytes;

use crate::auth::access;
use crate::catalog::cost::Tariff;
use crate::catalog::{Endpoint, Model, Resolved};
use crate::config::Config;
use crate::config::providers::{Kind, Upstream};
use crate::dialect::peek::{self, Peek};
use crate::dialect::seen::Seen;
use crate::dialect::splice::Splice;
use crate::dialect::{Asked, Delivery, Dialect, Operation, RequestHead};
use crate::exchange::bill::Progress;
use crate::exchange::reply::Whole;
use crate::exchange::turn::{self, Turn};
use crate::exchange::{Call, Gateway};
use crate::fault::{Fault, FaultKind};
use crate::ids::{ModelId, ProductName, ProviderName, RequestId};
use crate::ir::Losses;
use crate::translate::plan::Marks;
use crate::translate::{self, Strictness, Transcoder, count, tap};
use crate::upstream::client::UpstreamHead;

/// Names the fields that had no equivalent at the provider.
const IGNORED: HeaderName = HeaderName::from_static("x-llm-gateway-ignored");

/// Names what in the answer is a guess of the gateway's and not the provider's word.
const ESTIMATED: HeaderName = HeaderName::from_static("x-llm-gateway-estimated");

const JSON: (HeaderName, HeaderValue) = (CONTENT_TYPE, HeaderValue::from_static("application/json"));

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
    /// What it costs there.
    pub tariff: Arc<Tariff>,
    /// How far it has come.
    pub progress: Progress,
    /// How the caller speaks.
    pub caller: Dialect,
    /// How the provider is spoken to.
    pub dialect: Dialect,
    /// What is asked.
    pub operation: Operation,
    /// How the answer goes to the caller.
    pub delivery: Delivery,
    /// The query that goes up.
    pub query: String,
    /// The caller's headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The bytes that are to go up, but for what an upstream's own settings add.
    pub body: Bytes,
    /// What those bytes ask for.
    pub asked: Peek,
    /// What lies between the provider's answer and the caller's.
    pub way: Way,
    /// Fields that the provider has no equivalent for, as the caller is told of them.
    pub ignored: Option<HeaderValue>,
}

/// What lies between the provider's answer and the caller's.
#[derive(Clone, Debug)]
pub enum Way {
    /// Nothing: the answer's bytes pass as they are.
    Native,
    /// A translation.
    Translated(Box<Transcoder>),
    /// A count of tokens, said in another dialect.
    Counted,
    /// No call at all: the provider cannot count, so this is a guess at its tokens.
    Estimated(u64),
}

/// Finds who serves a call. `instead` takes the place of the model that it names.
///
/// # Errors
/// 400 for a model that does not exist, or whose provider is not configured; 403 for one that the product does not offer.
pub fn resolve(
    call: &Call,
    asked: &Peek,
    instead: Option<&ModelId>,
    config: &Config,
    gateway: &Gateway,
) -> Result<Resolved, Fault> {
    let name = instead
        .map(ModelId::as_str)
        .or(call.from_path.as_ref().map(|(model, _)| model.as_str()))
        .or(asked.model.as_ref().map(|field| field.text.as_str()))
        .ok_or_else(|| {
            Fault::new(FaultKind::MissingParameter, "model is missing; name the model that is to answer").at("model")
        })?;
    let resolved = gateway.catalog.load().resolve(name, config)?;
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
    Ok(resolved)
}

/// Makes the bytes that the provider gets.
///
/// # Errors
/// 400 for what the model cannot be asked.
pub fn route(call: Call, asked: Peek, resolved: &Resolved, config: &Config, gateway: &Gateway) -> Result<Plan, Fault> {
    let delivery = match (call.operation, &call.from_path, asked.stream) {
        (Operation::CountTokens, ..) => Delivery::Whole,
        (Operation::Generate, Some((_, delivery)), _) => *delivery,
        (Operation::Generate, None, true) => Delivery::Events,
        (Operation::Generate, None, false) => Delivery::Whole,
    };
    let marks = if asked.marks { Marks::Present } else { Marks::Absent };
    let native = |asked: Peek, call: Call| Plan {
        request_id: call.request_id,
        product: call.product,
        provider: resolved.provider.clone(),
        model: resolved.model.clone(),
        tariff: resolved.tariff.clone(),
        progress: Progress::default(),
        caller: call.dialect,
        dialect: call.dialect,
        operation: call.operation,
        delivery,
        query: call.query,
        headers: call.headers,
        body: call.body,
        asked,
        way: Way::Native,
        ignored: None,
    };
    let between = translate::plan(call.dialect, spoken(resolved, config), marks);
    match (between, call.operation) {
        (Some(translate::Plan::Native), _) => Ok(native(asked, call)),
        (Some(between), Operation::CountTokens) => {
            let dialect = between.provider_dialect(call.dialect);
            let (body, way, ignored) = counted(&call, dialect, resolved, gateway)?;
            Ok(Plan { body, dialect, query: String::new(), way, ignored, ..native(Peek::default(), call) })
        }
        (Some(translate::Plan::Unmark(dialect)), Operation::Generate) => {
            let (body, _, ignored) = translated(&call, dialect, delivery, resolved, gateway)?;
            let asked = peek::peek(dialect, call.operation, &body)?;
            Ok(Plan { body, ignored, ..native(asked, call) })
        }
        (Some(translate::Plan::Transcode(dialect)), Operation::Generate) => {
            let (body, transcoder, ignored) = translated(&call, dialect, delivery, resolved, gateway)?;
            let way = Way::Translated(Box::new(transcoder));
            let plan = native(Peek::default(), call);
            Ok(Plan { body, dialect, query: String::new(), way, ignored, ..plan })
        }
        (None, _) => Err(Fault::new(
            FaultKind::UnsupportedParameter,
            format!("{} speaks none of the formats that this gateway knows", resolved.provider),
        )
        .at("model")),
    }
}

/// The request as it is said in the provider's dialect, and what turns the answer back.
fn translated(
    call: &Call,
    dialect: Dialect,
    delivery: Delivery,
    resolved: &Resolved,
    gateway: &Gateway,
) -> Result<(Bytes, Transcoder, Option<HeaderValue>), Fault> {
    let request = translate::decode(call.dialect, &call.body, &head(call))?;
    let target = gateway.traits.target(dialect, resolved.kind, &resolved.model, resolved.entry.as_deref());
    let upstream = translate::encode(&request, &target, strictness(&call.headers))?;
    let now_s = gateway.clock.wall().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let estimate = count::estimate(&request);
    let asked = Asked::by(&request, delivery).at(now_s).known_as(call.request_id.as_str()).estimated(Some(estimate));
    let ignored = ignored(&upstream.losses);
    let transcoder = Transcoder::new(call.dialect, dialect, asked, upstream.adaptions);
    Ok((upstream.body.into(), transcoder, ignored))
}

/// How the provider is asked for a count, or a guess where it has no way to be asked.
fn counted(
    call: &Call,
    dialect: Dialect,
    resolved: &Resolved,
    gateway: &Gateway,
) -> Result<(Bytes, Way, Option<HeaderValue>), Fault> {
    let request = count::decode(call.dialect, &call.body, &head(call))?;
    let target = gateway.traits.target(dialect, resolved.kind, &resolved.model, resolved.entry.as_deref());
    let question = count::encode(&request, &target, strictness(&call.headers))?;
    let way = match question.body {
        Some(_) => Way::Counted,
        None => Way::Estimated(count::estimate(&request)),
    };
    Ok((question.body.unwrap_or_default().into(), way, ignored(&question.losses)))
}

fn head(call: &Call) -> RequestHead {
    RequestHead {
        model: call.from_path.as_ref().map(|(model, _)| model.clone()),
        delivery: call.from_path.as_ref().map(|(_, delivery)| *delivery),
    }
}

fn ignored(losses: &Losses) -> Option<HeaderValue> {
    losses.header().and_then(|names| HeaderValue::from_str(&names).ok())
}

/// What the request lost, and what the answer lost beside that.
fn with(ignored: Option<&HeaderValue>, unsaid: &str) -> Option<HeaderValue> {
    let Some(ignored) = ignored.and_then(|names| names.to_str().ok()) else {
        return HeaderValue::from_str(unsaid).ok();
    };
    let is_new = |name: &&str| !ignored.split(',').any(|known| known == *name);
    let names = std::iter::once(ignored).chain(unsaid.split(',').filter(is_new));
    HeaderValue::from_str(&names.collect::<Vec<_>>().join(",")).ok()
}

/// Whether the caller would rather be refused than lose a field.
fn strictness(headers: &[(HeaderName, HeaderValue)]) -> Strictness {
    let is_strict = headers
        .iter()
        .any(|(name, value)| name == "x-llm-gateway-strict" && value.as_bytes().eq_ignore_ascii_case(b"true"));
    if is_strict { Strictness::Refuse } else { Strictness::Report }
}

impl Plan {
    /// How the answer comes from the provider.
    pub fn upstream_delivery(&self) -> Delivery {
        match (&self.way, self.delivery) {
            (Way::Native, delivery) => delivery,
            (Way::Counted | Way::Estimated(_), _) | (Way::Translated(_), Delivery::Whole) => Delivery::Whole,
            (Way::Translated(_), Delivery::Events | Delivery::JsonArray) => Delivery::Events,
        }
    }

    /// The bytes that an upstream gets, and whether they ask for a usage chunk that the caller must not see.
    pub fn body_for(&self, upstream: &Upstream) -> (Bytes, UsageChunk) {
        let mut splice = Splice::of(&self.body);
        if let Some(field) = self.asked.model.as_ref().filter(|field| field.text != self.model.as_str()) {
            splice = splice.model(field, self.model.as_str());
        }
        let is_native_chat = matches!(self.way, Way::Native) && self.dialect == Dialect::OpenAiChat;
        let is_metered_apart = is_native_chat && self.delivery == Delivery::Events;
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

    /// What turns the provider's stream into the caller's.
    ///
    /// # Errors
    /// 400 for a dialect that cannot be translated.
    pub fn turn(&self) -> Result<Turn, Fault> {
        Ok(match &self.way {
            Way::Native => Turn::native(self.caller, self.delivery),
            Way::Translated(transcoder) => Turn::Translated(Box::new(transcoder.stream()?)),
            Way::Counted | Way::Estimated(_) => {
                return Err(Fault::new(FaultKind::Internal, "a count of tokens has no stream"));
            }
        })
    }

    /// The answer to what no provider needs to be asked.
    pub fn answer_here(&self) -> Option<Whole> {
        match self.way {
            Way::Native | Way::Translated(_) | Way::Counted => None,
            Way::Estimated(tokens) => {
                let mut headers = vec![JSON, (ESTIMATED, HeaderValue::from_static("input_tokens"))];
                headers.extend(self.ignored.clone().map(|names| (IGNORED, names)));
                Some(Whole { status: 200, headers, body: count::tell(self.caller, tokens).into(), held: None })
            }
        }
    }

    /// The caller's whole answer, and what it says of itself.
    ///
    /// # Errors
    /// 502 for a provider's answer that is none.
    pub fn answer(&self, head: &UpstreamHead, body: Bytes) -> Result<(Whole, Seen), Fault> {
        let mut headers = self.caller_headers(head);
        let mut status = head.status;
        let (body, seen) = match &self.way {
            Way::Native => {
                let seen = tap::whole(self.dialect, self.operation, &body).map_err(|not_whole| {
                    Fault::new(FaultKind::UpstreamError, format!("the answer of {} {not_whole}", self.provider))
                })?;
                (body, seen)
            }
            Way::Translated(transcoder) => {
                let whole = transcoder.whole(&body)?;
                headers.push(JSON);
                let seen = Seen { unsaid: whole.losses.header(), ..turn::told(&whole.told) };
                if whole.status >= 400 {
                    status = whole.status;
                }
                (whole.body.into(), seen)
            }
            Way::Counted => {
                let tokens = count::read(self.dialect, &body)?;
                headers.push(JSON);
                let seen = Seen { first_event: true, content: true, terminal: true, ..Seen::default() };
                (count::tell(self.caller, tokens).into(), seen)
            }
            Way::Estimated(tokens) => (count::tell(self.caller, *tokens).into(), Seen::default()),
        };
        if let Some(unsaid) = &seen.unsaid {
            headers.retain(|(name, _)| *name != IGNORED);
            headers.extend(with(self.ignored.as_ref(), unsaid).map(|names| (IGNORED, names)));
        }
        Ok((Whole { status, headers, body, held: None }, seen))
    }

    /// The provider's headers that go to the caller: through a translation, only what is no dialect's own.
    pub fn caller_headers(&self, head: &UpstreamHead) -> Vec<(HeaderName, HeaderValue)> {
        let passed = head.headers.for_caller();
        let mut headers: Vec<_> = match self.way {
            Way::Native => passed.collect(),
            Way::Translated(_) | Way::Counted | Way::Estimated(_) => {
                passed.filter(|(name, _)| name.as_str().starts_with("x-upstream-") || name == RETRY_AFTER).collect()
            }
        };
        headers.extend(self.ignored.clone().map(|names| (IGNORED, names)));
        headers
    }

    /// A provider's error as the caller understands it.
    pub fn provider_error(&self, head: &UpstreamHead, text: Bytes, retry_after: Option<Duration>) -> Whole {
        let mut headers = self.caller_headers(head);
        match self.way {
            Way::Native => Whole { status: head.status, headers, body: text, held: None },
            Way::Translated(_) | Way::Counted | Way::Estimated(_) => {
                let error = translate::decode_error(self.dialect, head.status, &text);
                let (status, body) = translate::encode_error(self.caller, &error, retry_after, &self.request_id);
                headers.push(JSON);
                Whole { status, headers, body, held: None }
            }
        }
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

/// In which dialects the provider answers for this model.
fn spoken(resolved: &Resolved, config: &Config) -> &'static [Dialect] {
    let has_responses = || {
        let settings = config.providers.get(&resolved.provider);
        settings.is_none_or(|settings| settings.upstreams.values().all(|one| one.responses))
    };
    match resolved.kind {
        Kind::OpenAi if has_responses() => openai_answers(resolved.entry.as_deref()),
        Kind::OpenAi => &[Dialect::OpenAiChat],
        Kind::Anthropic => &[Dialect::Anthropic],
        Kind::Gemini => &[Dialect::Gemini],
    }
}

/// OpenAI offers some of its models in one of its two dialects only.
fn openai_answers(model: Option<&Model>) -> &'static [Dialect] {
    let offers = |endpoint| model.is_some_and(|model| model.endpoints.contains(&endpoint));
    match (offers(Endpoint::ChatCompletions), offers(Endpoint::Responses)) {
        (false, true) => &[Dialect::OpenAiResponses],
        (true, false) => &[Dialect::OpenAiChat],
        // Where nothing is known of it, it is taken for one that has both.
        (true, true) | (false, false) => &[Dialect::OpenAiChat, Dialect::OpenAiResponses],
    }
}
