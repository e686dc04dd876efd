//! The simulated OpenAI: chat completions, Responses, the list of models.

mod chat;
mod chat_rules;
mod chat_shape;
mod responses;
mod responses_events;
mod responses_rules;
mod responses_shape;
mod schema_rules;

use serde_json::{Value, json};

use super::compose::Format;
use super::directive::Directives;
use super::reply::Reply;
use super::shape::{Field, Names, Problem, Shape, Step, Violation, check, type_name};
use super::world::Call;

const MODELS: [&str; 6] = ["gpt-4.1", "gpt-4.1-mini", "gpt-4o", "gpt-5", "gpt-5-mini", "o4-mini"];

/// A refusal in OpenAI's words.
pub(super) struct Refusal {
    status: u16,
    message: String,
    kind: &'static str,
    param: Option<String>,
    code: Option<&'static str>,
}

impl Refusal {
    fn invalid(message: impl Into<String>) -> Self {
        Self { status: 400, message: message.into(), kind: "invalid_request_error", param: None, code: None }
    }

    fn param(self, param: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..self }
    }

    fn code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    fn kind(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }

    fn body(&self) -> Value {
        json!({"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}})
    }
}

/// What OpenAI would say.
pub(super) fn answer(mut call: Call<'_>) -> Reply {
    respond(&mut call).unwrap_or_else(|refusal| refused(&refusal, &mut call))
}

fn respond(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let path = call.request.path().to_owned();
    let method = call.request.method.clone();
    let wanted = match path.as_str() {
        "/v1/chat/completions" | "/v1/responses" | "/v1/responses/input_tokens" => "POST",
        path if path == "/v1/models" || path.starts_with("/v1/models/") => "GET",
        _ => return Err(Refusal::invalid(format!("Invalid URL ({method} {path})")).status(404)),
    };
    if method != wanted {
        return Err(Refusal::invalid(format!(
            "Not allowed to {method} on {path} (HINT: Perhaps you meant to use another HTTP method?)"
        ))
        .status(405));
    }
    authenticate(call)?;
    match path.as_str() {
        "/v1/chat/completions" => chat::answer(call),
        "/v1/responses" => responses::answer(call),
        "/v1/responses/input_tokens" => responses::count(call),
        "/v1/models" => {
            let data: Vec<_> = MODELS.iter().map(|id| model(id)).collect();
            Ok(head(200, call).body(json!({"object": "list", "data": data}).to_string()))
        }
        path => {
            let id = path.strip_prefix("/v1/models/").unwrap_or_default();
            known(id)?;
            Ok(head(200, call).body(model(id).to_string()))
        }
    }
}

fn model(id: &str) -> Value {
    json!({"id": id, "object": "model", "created": 1_715_367_049, "owned_by": "system"})
}

/// The sandbox knows any model of the families that has a version number in its name.
fn known(model: &str) -> Result<(), Refusal> {
    let family = ["gpt-", "chatgpt-", "codex-", "computer-use-", "o1", "o3", "o4"]
        .iter()
        .any(|family| model.starts_with(family));
    let numbered = model.contains(|letter: char| letter.is_ascii_digit());
    if family && (numbered || model.starts_with("codex-")) {
        return Ok(());
    }
    let message = format!("The model `{model}` does not exist or you do not have access to it.");
    Err(Refusal::invalid(message).status(404).code("model_not_found"))
}

/// OpenAI answers for some of its models on Responses only: its "pro" ones, those for code, research and computers.
fn has_chat(model: &str) -> Result<(), Refusal> {
    let only_responses = ["-pro", "-codex", "-deep-research"].iter().any(|word| model.contains(word))
        || ["codex-", "computer-use-"].iter().any(|family| model.starts_with(family));
    if !only_responses {
        return Ok(());
    }
    let message = "This model is only supported in v1/responses and not in v1/chat/completions.";
    Err(Refusal::invalid(message).status(404).param("model"))
}

/// Whether the model thinks before it speaks: the o series, and GPT from 5 on but for the first of its chat models.
fn reasons(model: &str) -> bool {
    let generation = model.strip_prefix("gpt-").and_then(|rest| rest.split(['.', '-']).next()?.parse::<u64>().ok());
    let numbered_o = model.starts_with('o') && model.chars().nth(1).is_some_and(|digit| digit.is_ascii_digit());
    numbered_o
        || ["codex-", "daybreak-", "gpt-daybreak-", "computer-use-"].iter().any(|family| model.starts_with(family))
        || generation.is_some_and(|number| number >= 5) && !model.starts_with("gpt-5-chat")
}

/// The models from before JSON by a schema refuse to be asked for it, under this name.
fn takes_schema(model: &str, name: &str) -> Result<(), Refusal> {
    let is_older = ["gpt-3.5-", "gpt-4-"].iter().any(|family| model.starts_with(family))
        || ["gpt-4", "gpt-4o-2024-05-13"].contains(&model);
    if !is_older {
        return Ok(());
    }
    let guide = "Learn more about supported models at the Structured Outputs guide: \
                 https://platform.openai.com/docs/guides/structured-outputs";
    Err(Refusal::invalid(format!(
        "Invalid parameter: '{name}' of type 'json_schema' is not supported with this model. {guide}"
    )))
}

/// The models from before JSON of any form refuse to be asked for it.
fn takes_json(model: &str, name: &str) -> Result<(), Refusal> {
    if !["gpt-4", "gpt-4-0613", "gpt-3.5-turbo-16k"].contains(&model) {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "Invalid parameter: '{name}' of type 'json_object' is not supported with this model."
    )))
}

fn authenticate(call: &Call<'_>) -> Result<(), Refusal> {
    let Some(header) = call.request.header("authorization") else {
        return Err(Refusal::invalid(
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth \
             (i.e. Authorization: Bearer YOUR_KEY). You can obtain an API key from \
             https://platform.openai.com/account/api-keys.",
        )
        .status(401));
    };
    let key = header.strip_prefix("Bearer ").unwrap_or(header);
    if key == call.api_key {
        return Ok(());
    }
    let shown: String = key.chars().take(8).collect();
    Err(Refusal::invalid(format!(
        "Incorrect API key provided: {shown}***. You can find your API key at https://platform.openai.com/account/api-keys."
    ))
    .status(401)
    .code("invalid_api_key"))
}

fn parsed(call: &Call<'_>, fields: &'static [Field]) -> Result<Value, Refusal> {
    let request: Value = serde_json::from_slice(&call.request.body).map_err(|_| {
        Refusal::invalid(
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library \
             correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)",
        )
    })?;
    check(Shape::Object(fields), &request, Names::Exact).map_err(|violation| said(&violation))?;
    Ok(request)
}

/// What a prompt's text asks the sandbox for, or OpenAI's refusal of it.
fn directives(text: &str) -> Result<(Directives, String), Refusal> {
    Directives::read(text).map_err(Refusal::invalid)
}

/// The answer's format, from `response_format` or `text.format`; `at` is where its schema lies.
fn format(format: Option<&Value>, at: &str) -> Format {
    match format.and_then(|format| format.get("type")).and_then(Value::as_str) {
        Some("json_object") => Format::Json,
        Some("json_schema") => {
            format.and_then(|format| format.pointer(at)).map_or(Format::Json, |schema| Format::Schema(schema.clone()))
        }
        _ => Format::Text,
    }
}

/// The error that a prompt asked for.
fn asked_for(status: u16, call: &mut Call<'_>) -> Reply {
    let refusal = match status {
        400 => Refusal::invalid("The sandbox was asked for an invalid request.").param("messages").code("invalid_value"),
        401 => Refusal::invalid("Incorrect API key provided: sk-sandb***.").code("invalid_api_key"),
        403 => Refusal::invalid("Country, region, or territory not supported").kind("request_forbidden").code("unsupported_country_region_territory"),
        404 => Refusal::invalid("The requested resource does not exist.").code("model_not_found"),
        413 => Refusal::invalid("Request too large."),
        429 => Refusal::invalid("Rate limit reached in organization org-sandbox on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 7s.").kind("requests").code("rate_limit_exceeded"),
        503 | 529 => Refusal::invalid("The engine is currently overloaded, please try again later.").kind("server_error").code("server_overloaded"),
        _ => Refusal::invalid("The server had an error while processing your request. Sorry about that!").kind("server_error").code("server_error"),
    };
    let reply = refused(&refusal.status(status), call);
    if status == 429 { reply.header("retry-after", "7").header("retry-after-ms", "7000") } else { reply }
}

fn refused(refusal: &Refusal, call: &mut Call<'_>) -> Reply {
    head(refusal.status, call).body(refusal.body().to_string())
}

fn head(status: u16, call: &mut Call<'_>) -> Reply {
    plain_head(status, "application/json", call)
}

fn stream_head(call: &mut Call<'_>) -> Reply {
    plain_head(200, "text/event-stream; charset=utf-8", call)
}

fn plain_head(status: u16, content_type: &str, call: &mut Call<'_>) -> Reply {
    let (remaining, reset) = if status == 429 { ("0", "7s") } else { ("9999", "6ms") };
    Reply::status(status)
        .header("content-type", content_type)
        .header("openai-organization", "org-sandbox")
        .header("openai-processing-ms", "1")
        .header("openai-version", "2020-10-01")
        .header("x-ratelimit-limit-requests", "10000")
        .header("x-ratelimit-limit-tokens", "30000000")
        .header("x-ratelimit-remaining-requests", remaining)
        .header("x-ratelimit-remaining-tokens", "29999000")
        .header("x-ratelimit-reset-requests", reset)
        .header("x-ratelimit-reset-tokens", "0s")
        .header("x-request-id", &call.ids.hex("req_", 32))
        // The gateway has to keep cookies to itself.
        .header("set-cookie", "__cf_bm=sandbox; path=/; HttpOnly")
        .header("server", "cloudflare")
}

/// In OpenAI's words.
fn said(violation: &Violation<'_>) -> Refusal {
    let path = path(&violation.path);
    match &violation.problem {
        Problem::Unknown => {
            Refusal::invalid(format!("Unknown parameter: '{path}'.")).param(path).code("unknown_parameter")
        }
        Problem::Missing => Refusal::invalid(format!("Missing required parameter: '{path}'."))
            .param(path)
            .code("missing_required_parameter"),
        Problem::Type(shape, found) => {
            let (expected, found) = (expected(*shape), with_article(type_name(found)));
            Refusal::invalid(format!("Invalid type for '{path}': expected {expected}, but got {found} instead."))
                .param(path)
                .code("invalid_type")
        }
        Problem::Word(words, found) => {
            let words = listed(words);
            Refusal::invalid(format!("Invalid value: '{found}'. Supported values are: {words}."))
                .param(path)
                .code("invalid_value")
        }
        Problem::Tag(tag, kinds, value) => {
            let path = if path.is_empty() { (*tag).to_owned() } else { format!("{path}.{tag}") };
            match value.get(*tag) {
                Some(Value::String(found)) => {
                    let kinds = listed(kinds);
                    Refusal::invalid(format!("Invalid value: '{found}'. Supported values are: {kinds}."))
                        .param(path)
                        .code("invalid_value")
                }
                _ => Refusal::invalid(format!("Missing required parameter: '{path}'."))
                    .param(path)
                    .code("missing_required_parameter"),
            }
        }
        Problem::Below(least, found) => bound(&path, "below minimum", ">=", *least, found).code(if found.is_f64() {
            "decimal_below_min_value"
        } else {
            "integer_below_min_value"
        }),
        Problem::Above(most, found) => bound(&path, "above maximum", "<=", *most, found).code(if found.is_f64() {
            "decimal_above_max_value"
        } else {
            "integer_above_max_value"
        }),
    }
}

fn bound(path: &str, beyond: &str, sign: &str, bound: f64, found: &Value) -> Refusal {
    let kind = type_name(found);
    Refusal::invalid(format!(
        "Invalid '{path}': {kind} {beyond} value. Expected a value {sign} {bound}, but got {found} instead."
    ))
    .param(path)
}

fn path(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Key(key) if path.is_empty() => path.push_str(key),
            Step::Key(key) => path.push_str(&format!(".{key}")),
            Step::Index(index) => path.push_str(&format!("[{index}]")),
            Step::Kind(_) => {}
        }
    }
    path
}

fn listed(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{}, and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

fn expected(shape: Shape) -> String {
    match shape {
        Shape::Text => "a string".to_owned(),
        Shape::Word(words) => format!("one of {}", listed(words)),
        Shape::Bool => "a boolean".to_owned(),
        Shape::Int => "an integer".to_owned(),
        Shape::Number(..) => "a decimal".to_owned(),
        Shape::List(Shape::Object(_) | Shape::Tagged(..)) => "an array of objects".to_owned(),
        Shape::List(_) => "an array".to_owned(),
        Shape::Object(_) | Shape::Map | Shape::Tagged(..) => "an object".to_owned(),
        Shape::Either(shapes) => {
            let all: Vec<_> = shapes.iter().map(|shape| expected(*shape)).collect();
            format!("one of {}", all.join(" or "))
        }
        Shape::Any => "a value".to_owned(),
    }
}

fn with_article(name: &str) -> String {
    match name {
        "null" => name.to_owned(),
        "integer" | "array" | "object" => format!("an {name}"),
        _ => format!("a {name}"),
    }
}

#[cfg(test)]
mod tests;
