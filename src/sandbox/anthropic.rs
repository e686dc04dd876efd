//! The simulated Anthropic: Messages, token counting, the list of models.

mod ask;
mod model_rules;
mod render;
mod rules;
mod shape;

use serde_json::{Value, json};

use super::compose::compose;
use super::deliver;
use super::directive::Directives;
use super::reply::Reply;
use super::shape::{Names, check};
use super::world::Call;

const MODELS: [&str; 4] =
    ["claude-opus-4-6", "claude-sonnet-4-6", "claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001"];

/// A refusal in Anthropic's words.
pub(super) struct Refusal {
    status: u16,
    kind: &'static str,
    message: String,
}

impl Refusal {
    fn invalid(message: impl Into<String>) -> Self {
        Self { status: 400, kind: "invalid_request_error", message: message.into() }
    }
}

/// What Anthropic would say.
pub(super) fn answer(mut call: Call<'_>) -> Reply {
    respond(&mut call).unwrap_or_else(|refusal| refused(&refusal, &mut call))
}

fn respond(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let path = call.request.path().to_owned();
    let endpoint = Endpoint::of(&path).ok_or_else(|| not_found("Not Found"))?;
    if call.request.method != endpoint.method() {
        return Err(Refusal { status: 405, kind: "invalid_request_error", message: "Method Not Allowed".to_owned() });
    }
    authenticate(call)?;
    if call.request.header("anthropic-version").is_none() {
        return Err(Refusal::invalid("anthropic-version: header is required"));
    }
    match endpoint {
        Endpoint::Models => Ok(head(200, call).body(models().to_string())),
        Endpoint::Model(id) => {
            let id = known(id)?;
            Ok(head(200, call).body(model(id).to_string()))
        }
        Endpoint::Messages => messages(call),
        Endpoint::CountTokens => count_tokens(call),
    }
}

enum Endpoint<'a> {
    Messages,
    CountTokens,
    Models,
    Model(&'a str),
}

impl<'a> Endpoint<'a> {
    fn of(path: &'a str) -> Option<Self> {
        match path {
            "/v1/messages" => Some(Self::Messages),
            "/v1/messages/count_tokens" => Some(Self::CountTokens),
            "/v1/models" => Some(Self::Models),
            _ => path.strip_prefix("/v1/models/").map(Self::Model),
        }
    }

    fn method(&self) -> &'static str {
        match self {
            Self::Messages | Self::CountTokens => "POST",
            Self::Models | Self::Model(_) => "GET",
        }
    }
}

fn messages(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let request = checked(call, shape::MESSAGES)?;
    let ask = ask::read(&request, call.request.header("anthropic-beta"))?;
    if let Some(status) = ask.directives.error {
        return Ok(asked_for(status, call));
    }
    let answer = compose(&ask);
    let cache = render::Cached::of(&request, answer.usage, call.prefixes);
    let reply = head(200, call);
    if request.get("stream").and_then(Value::as_bool) == Some(true) {
        let frames = render::events(&ask, &answer, cache, &request, &mut call.ids);
        let reply = content_type(reply, "text/event-stream; charset=utf-8").header("cache-control", "no-cache");
        return Ok(deliver::stream(reply, &ask.directives, frames, render::broken()));
    }
    Ok(deliver::whole(reply, &ask.directives, &render::message(&ask, &answer, cache, &request, &mut call.ids)))
}

fn count_tokens(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let request = checked(call, shape::COUNT_TOKENS)?;
    let ask = ask::read(&request, call.request.header("anthropic-beta"))?;
    if let Some(status) = ask.directives.error {
        return Ok(asked_for(status, call));
    }
    Ok(deliver::whole(head(200, call), &ask.directives, &json!({"input_tokens": ask.input_tokens})))
}

fn checked(call: &Call<'_>, top: &'static [super::shape::Field]) -> Result<Value, Refusal> {
    let request: Value = serde_json::from_slice(&call.request.body)
        .map_err(|error| Refusal::invalid(format!("The request body is not valid JSON: {error}")))?;
    let beta = call.request.header("anthropic-beta");
    let known = request.as_object().map(|fields| {
        fields
            .iter()
            .filter(|(name, _)| !shape::is_beta(name, beta))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    });
    let stable = known.map_or_else(|| request.clone(), Value::Object);
    check(super::shape::Shape::Object(top), &stable, Names::Exact)
        .map_err(|violation| Refusal::invalid(shape::said(&violation)))?;
    rules::check(&request)?;
    known_model(&request)?;
    Ok(request)
}

fn known_model(request: &Value) -> Result<(), Refusal> {
    known(request.get("model").and_then(Value::as_str).unwrap_or_default()).map(|_| ())
}

/// The sandbox knows any model of the family that has a version number in its name.
fn known(model: &str) -> Result<&str, Refusal> {
    let numbered = model.starts_with("claude-") && model.contains(|letter: char| letter.is_ascii_digit());
    let is_known = numbered || model == "claude-mythos-preview";
    is_known.then_some(model).ok_or_else(|| not_found(&format!("model: {model}")))
}

fn not_found(message: &str) -> Refusal {
    Refusal { status: 404, kind: "not_found_error", message: message.to_owned() }
}

fn authenticate(call: &Call<'_>) -> Result<(), Refusal> {
    let refuse =
        |message: &str| Err(Refusal { status: 401, kind: "authentication_error", message: message.to_owned() });
    match (call.request.header("x-api-key"), call.request.header("authorization")) {
        (Some(key), _) if key == call.api_key => Ok(()),
        (Some(_), _) => refuse("invalid x-api-key"),
        (None, Some(bearer)) if bearer.strip_prefix("Bearer ") == Some(call.api_key) => Ok(()),
        (None, Some(_)) => refuse("Invalid bearer token"),
        (None, None) => refuse("x-api-key header is required"),
    }
}

/// The error that a prompt asked for.
fn asked_for(status: u16, call: &mut Call<'_>) -> Reply {
    let (kind, message) = match status {
        400 => ("invalid_request_error", "The sandbox was asked for an invalid request."),
        401 => ("authentication_error", "invalid x-api-key"),
        402 => ("billing_error", "Your credit balance is too low to access the Anthropic API."),
        403 => ("permission_error", "Your API key does not have permission to use the specified resource."),
        404 => ("not_found_error", "The requested resource could not be found."),
        413 => ("request_too_large", "Request exceeds the maximum allowed number of bytes."),
        429 => {
            ("rate_limit_error", "This request would exceed your organization's rate limit. Please try again later.")
        }
        504 => ("timeout_error", "The request timed out while processing."),
        529 => ("overloaded_error", "Overloaded"),
        _ => ("api_error", "Internal server error"),
    };
    let refusal = Refusal { status, kind, message: message.to_owned() };
    let reply = refused(&refusal, call);
    match status {
        429 => reply.header("retry-after", "7").header("x-should-retry", "true"),
        503 | 529 => reply.header("x-should-retry", "true"),
        _ => reply,
    }
}

fn refused(refusal: &Refusal, call: &mut Call<'_>) -> Reply {
    let request_id = call.ids.alphanumeric("req_01", 22);
    let body = json!({
        "type": "error",
        "error": {"type": refusal.kind, "message": refusal.message},
        "request_id": request_id,
    });
    with_id(refusal.status, &request_id, call).body(body.to_string())
}

fn head(status: u16, call: &mut Call<'_>) -> Reply {
    let request_id = call.ids.alphanumeric("req_01", 22);
    with_id(status, &request_id, call)
}

fn with_id(status: u16, request_id: &str, call: &Call<'_>) -> Reply {
    let remaining = if status == 429 { "0" } else { "3999" };
    let reset = render::rfc3339(call.now + 7);
    Reply::status(status)
        .header("content-type", "application/json")
        .header("request-id", request_id)
        .header("anthropic-organization-id", "00000000-5a2d-4b0c-8000-000000000000")
        .header("anthropic-ratelimit-requests-limit", "4000")
        .header("anthropic-ratelimit-requests-remaining", remaining)
        .header("anthropic-ratelimit-requests-reset", &reset)
        .header("anthropic-ratelimit-tokens-limit", "480000")
        .header("anthropic-ratelimit-tokens-remaining", "480000")
        .header("anthropic-ratelimit-tokens-reset", &reset)
        // The gateway has to keep cookies to itself.
        .header("set-cookie", "__cf_bm=sandbox; path=/; HttpOnly")
        .header("server", "cloudflare")
}

fn content_type(mut reply: Reply, value: &str) -> Reply {
    for (name, current) in &mut reply.headers {
        if name == "content-type" {
            value.clone_into(current);
        }
    }
    reply
}

fn models() -> Value {
    let data: Vec<_> = MODELS.iter().map(|id| model(id)).collect();
    json!({"data": data, "has_more": false, "first_id": MODELS.first(), "last_id": MODELS.last()})
}

fn model(id: &str) -> Value {
    json!({"type": "model", "id": id, "display_name": id, "created_at": "2025-09-29T00:00:00Z", "lifecycle": "active"})
}

/// What a prompt's text asks the sandbox for, or Anthropic's refusal of it.
fn directives(text: &str) -> Result<(Directives, String), Refusal> {
    Directives::read(text).map_err(Refusal::invalid)
}

#[cfg(test)]
mod tests;
