//! The list of models that a product offers, in the shape that the caller's SDK reads.

use actix_web::{HttpRequest, HttpResponse};

use crate::auth::access;
use crate::catalog::Model;
use crate::config::Config;
use crate::dialect::{Listed, anthropic, gemini, openai_chat};
use crate::fault::{Fault, FaultKind};
use crate::http::extract::{self, Caller};
use crate::http::routes::ListShape;
use crate::http::{State, render};

/// All models that the product offers and whose providers are configured.
pub fn list(request: &HttpRequest, state: &State, caller: &Caller, shape: ListShape) -> HttpResponse {
    let config = state.gateway.config.load_full();
    let catalog = state.gateway.catalog.load();
    let models: Vec<&Model> = catalog.models().filter(|model| offered(&config, caller, model)).collect();
    let body = match shaped(request, shape) {
        Shape::OpenAi => openai_chat::models::list(models.into_iter().map(listed)),
        Shape::Anthropic => anthropic::models::list(models.into_iter().map(listed)),
        Shape::Google => gemini::models::list(models.into_iter().map(listed)),
    };
    render::json(state, 200, &extract::request_id(request), body)
}

/// One of them.
///
/// # Errors
/// 404 for one that is not offered.
pub fn one(
    request: &HttpRequest,
    state: &State,
    caller: &Caller,
    shape: ListShape,
    id: &str,
) -> Result<HttpResponse, Fault> {
    let config = state.gateway.config.load_full();
    let resolved = state.gateway.catalog.load().resolve(id, &config).ok();
    let model = resolved
        .as_ref()
        .and_then(|resolved| resolved.entry.as_deref())
        .filter(|model| offered(&config, caller, model))
        .ok_or_else(|| {
            Fault::new(
                FaultKind::NotFound,
                format!(
                    "there is no model \"{}\" for product \"{1}\"; GET /{1}/v1/models lists those that there are",
                    extract::shown(id),
                    caller.product
                ),
            )
            .at("model")
        })?;
    let body = match shaped(request, shape) {
        Shape::OpenAi => openai_chat::models::one(&listed(model)),
        Shape::Anthropic => anthropic::models::one(&listed(model)),
        Shape::Google => gemini::models::one(&listed(model)),
    };
    Ok(render::json(state, 200, &extract::request_id(request), body))
}

enum Shape {
    OpenAi,
    Anthropic,
    Google,
}

fn shaped(request: &HttpRequest, shape: ListShape) -> Shape {
    match shape {
        ListShape::Google => Shape::Google,
        ListShape::OpenAiOrAnthropic if request.headers().contains_key("anthropic-version") => Shape::Anthropic,
        ListShape::OpenAiOrAnthropic => Shape::OpenAi,
    }
}

fn offered(config: &Config, caller: &Caller, model: &Model) -> bool {
    let allowed = config
        .products
        .get(caller.product.as_str())
        .is_some_and(|product| access::model_allowed(product, &model.id, model.id.as_str()));
    allowed && config.providers.get(model.provider.as_str()).is_some_and(|provider| provider.is_configured())
}

/// Dates and display names are not in the catalog: the id serves for both.
fn listed(model: &Model) -> Listed<'_> {
    Listed {
        id: model.id.as_str(),
        provider: model.provider.as_str(),
        created: 0,
        display_name: model.id.as_str(),
        input_limit: model.context_tokens,
        output_limit: model.max_output_tokens,
    }
}
