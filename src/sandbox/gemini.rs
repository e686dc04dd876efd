//! The simulated Gemini: generateContent, its stream, token counting, the list of models.

mod ask;
mod render;
mod rules;
mod shape;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::compose::{compose, tokens_in};
use super::deliver;
use super::directive::Directives;
use super::reply::Reply;
use super::shape::{Field, Names, Shape, check, respelled};
use super::world::Call;

const MODELS: [&str; 5] =
    ["gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-3-pro-preview", "gemini-3-flash-preview"];

/// A refusal in Google's words.
pub(super) struct Refusal {
    code: u16,
    status: &'static str,
    message: String,
    details: Option<Value>,
}

impl Refusal {
    fn invalid(message: impl Into<String>) -> Self {
        Self { code: 400, status: "INVALID_ARGUMENT", message: message.into(), details: None }
    }

    fn not_found(message: impl Into<String>) -> Self {
        Self { code: 404, status: "NOT_FOUND", message: message.into(), details: None }
    }

    fn body(&self) -> Value {
        let mut error = json!({"code": self.code, "message": self.message, "status": self.status});
        if let (Some(details), Some(error)) = (&self.details, error.as_object_mut()) {
            error.insert("details".to_owned(), details.clone());
        }
        json!({"error": error})
    }
}

/// What Gemini would say.
pub(super) fn answer(mut call: Call<'_>) -> Reply {
    respond(&mut call).unwrap_or_else(|refusal| refused(&refusal, in_array(&call)))
}

fn respond(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let path = percent_decode_str(call.request.path()).decode_utf8_lossy().into_owned();
    let Some(rest) = ["/v1beta/models", "/v1/models"].iter().find_map(|root| path.strip_prefix(root)) else {
        return Err(Refusal::not_found("Requested entity was not found."));
    };
    authenticate(call)?;
    let (model, operation) = match rest.strip_prefix('/') {
        None if rest.is_empty() => ("", ""),
        None => return Err(Refusal::not_found("Requested entity was not found.")),
        Some(rest) => rest.rsplit_once(':').unwrap_or((rest, "")),
    };
    match (call.request.method.as_str(), model, operation) {
        ("GET", "", "") => {
            let models: Vec<_> = MODELS.iter().map(|id| about(id)).collect();
            Ok(head(200).body(json!({"models": models}).to_string()))
        }
        ("GET", id, "") => {
            known(id, "getModel")?;
            Ok(head(200).body(about(id).to_string()))
        }
        ("POST", model, operation @ ("generateContent" | "streamGenerateContent")) => generate(model, operation, call),
        ("POST", model, "countTokens") => count_tokens(model, call),
        _ => Err(Refusal::not_found("Requested entity was not found.")),
    }
}

fn generate(model: &str, operation: &str, call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let request = parsed(call, shape::GENERATE)?;
    known(model, operation)?;
    rules::check(model, &request)?;
    let ask = ask::read(model, &request)?;
    let sse = query(call, "alt").as_deref() == Some("sse");
    if let Some(status) = ask.directives.error {
        return Ok(asked_for(status, in_array(call)));
    }
    let answer = compose(&ask);
    let said = render::Said::new(model, &request, &ask, &answer, call);
    match (operation, sse) {
        ("generateContent", _) => Ok(deliver::whole(head(200), &ask.directives, &said.whole())),
        (_, true) => {
            let frames = said.chunks().iter().map(render::sse).collect();
            Ok(deliver::stream(typed("text/event-stream"), &ask.directives, frames, render::sse(&render::broken())))
        }
        (_, false) => {
            let frames = render::array(&said.chunks());
            let at = ask.directives.stream_error.map_or(frames.len(), |point| point.of(frames.len()));
            Ok(deliver::stream(head(200), &ask.directives, frames, render::array_end(at, &render::broken())))
        }
    }
}

fn count_tokens(model: &str, call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let request = parsed(call, shape::COUNT_TOKENS)?;
    known(model, "countTokens")?;
    let inner = request.get("generateContentRequest").unwrap_or(&request);
    rules::check(model, inner)?;
    let ask = ask::read(model, inner)?;
    if let Some(status) = ask.directives.error {
        return Ok(asked_for(status, false));
    }
    let total: u64 =
        ["systemInstruction", "contents", "tools"].iter().filter_map(|name| inner.get(*name)).map(tokens_in).sum();
    let body = json!({"totalTokens": total, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": total}]});
    Ok(deliver::whole(head(200), &ask.directives, &body))
}

fn parsed(call: &Call<'_>, fields: &'static [Field]) -> Result<Value, Refusal> {
    let request: Value = serde_json::from_slice(&call.request.body)
        .map_err(|error| Refusal::invalid(format!("Invalid JSON payload received. {error}")))?;
    check(Shape::Object(fields), &request, Names::CamelOrSnake).map_err(|violation| shape::said(&violation))?;
    Ok(respelled(Shape::Object(fields), &request))
}

/// The sandbox knows any model of the families that has a version number in its name.
fn known(model: &str, operation: &str) -> Result<(), Refusal> {
    let family = ["gemini-", "gemma-", "learnlm-"].iter().any(|family| model.starts_with(family));
    let latest = matches!(model, "gemini-flash-latest" | "gemini-flash-lite-latest" | "gemini-pro-latest");
    if latest || family && model.contains(|letter: char| letter.is_ascii_digit()) {
        return Ok(());
    }
    Err(Refusal::not_found(format!(
        "models/{model} is not found for API version v1beta, or is not supported for {operation}. Call ListModels to see the \
         list of available models and their supported methods."
    )))
}

/// The generation: 2.5 as (2, 5).
fn version(model: &str) -> (u64, u64) {
    let number = model.split('-').find(|part| part.starts_with(|letter: char| letter.is_ascii_digit())).unwrap_or("3");
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    (major.parse().unwrap_or_default(), minor.parse().unwrap_or_default())
}

fn authenticate(call: &Call<'_>) -> Result<(), Refusal> {
    let in_query = query(call, "key");
    let key = call.request.header("x-goog-api-key").or(in_query.as_deref());
    match key {
        Some(key) if key == call.api_key => Ok(()),
        // Google says this with a 400.
        Some(_) => Err(Refusal {
            details: Some(json!([
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "API_KEY_INVALID",
                    "domain": "googleapis.com",
                    "metadata": {"service": "generativelanguage.googleapis.com"},
                },
                {
                    "@type": "type.googleapis.com/google.rpc.LocalizedMessage",
                    "locale": "en-US",
                    "message": "API key not valid. Please pass a valid API key.",
                },
            ])),
            ..Refusal::invalid("API key not valid. Please pass a valid API key.")
        }),
        None => Err(Refusal {
            code: 403,
            status: "PERMISSION_DENIED",
            message:
                "Method doesn't allow unregistered callers (callers without established identity). Please use API Key \
                      or other form of API consumer identity to call this API."
                    .to_owned(),
            details: None,
        }),
    }
}

fn query(call: &Call<'_>, name: &str) -> Option<String> {
    let pairs = url::form_urlencoded::parse(call.request.query().as_bytes());
    pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// What a prompt's text asks the sandbox for, or Google's refusal of it.
fn directives(text: &str) -> Result<(Directives, String), Refusal> {
    Directives::read(text).map_err(Refusal::invalid)
}

/// The error that a prompt asked for.
fn asked_for(code: u16, in_array: bool) -> Reply {
    let (status, message) = match code {
        400 => ("INVALID_ARGUMENT", "The sandbox was asked for an invalid argument."),
        401 => ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
        403 => ("PERMISSION_DENIED", "The caller does not have permission"),
        404 => ("NOT_FOUND", "Requested entity was not found."),
        413 => ("INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes."),
        429 => ("RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan and billing details."),
        503 | 529 => ("UNAVAILABLE", "The model is overloaded. Please try again later."),
        504 => ("DEADLINE_EXCEEDED", "The request timed out. Please try again."),
        _ => (
            "INTERNAL",
            "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting",
        ),
    };
    let details = (code == 429).then(|| {
        json!([
            {
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"}],
            },
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"},
        ])
    });
    let reply = refused(&Refusal { code, status, message: message.to_owned(), details }, in_array);
    // Google says when to come back in the body; a header is sent by its front ends at times.
    if code == 429 { reply.header("retry-after", "7") } else { reply }
}

/// What was to be an array of answers is refused by an array of one.
fn in_array(call: &Call<'_>) -> bool {
    call.request.path().ends_with(":streamGenerateContent") && query(call, "alt").as_deref() != Some("sse")
}

fn refused(refusal: &Refusal, in_array: bool) -> Reply {
    let body = refusal.body();
    head(refusal.code).body(if in_array { json!([body]).to_string() } else { body.to_string() })
}

fn head(status: u16) -> Reply {
    let mut reply = typed("application/json; charset=UTF-8");
    reply.status = status;
    reply
}

fn typed(content_type: &str) -> Reply {
    Reply::status(200)
        .header("content-type", content_type)
        .header("vary", "Origin")
        .header("vary", "X-Origin")
        .header("vary", "Referer")
        .header("server", "scaffolding on HTTPServer2")
        .header("x-xss-protection", "0")
        .header("x-content-type-options", "nosniff")
        .header("server-timing", "gfet4t7; dur=1")
        // The gateway has to keep cookies to itself.
        .header("set-cookie", "NID=sandbox; path=/; HttpOnly")
}

fn about(id: &str) -> Value {
    json!({
        "name": format!("models/{id}"),
        "version": "001",
        "displayName": id,
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "temperature": 1,
        "topP": 0.95,
        "topK": 64,
        "maxTemperature": 2,
        "thinking": true,
    })
}

#[cfg(test)]
mod tests;
