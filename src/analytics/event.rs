//! Writes a [`Generation`] as PostHog's `$ai_generation`.
//!
//! The properties are those of PostHog's LLM analytics, with the meaning that its own wrappers of the vendors' SDKs give them;
//! what the gateway alone knows is named `llm_gateway_…`. Everything in an event is bounded, whatever callers and providers
//! say. `docs/events.md` lists all of it.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, Utc};

use self::cut::Cut;
use self::hints::Hints;
use self::identity::{Identity, Person};
use self::json::Json;
use super::generation::{Content, Extent, Failure, Generation, Preference, Served};
use crate::analytics::generation::Answer;
use crate::dialect::{Dialect, Operation, address};

mod cut;
mod google;
mod hints;
mod identity;
mod input;
mod json;
mod numbers;
mod output;
mod redact;
pub mod span;

/// What PostHog calls a call of a model.
const EVENT: &str = "$ai_generation";

/// Who says so.
const LIBRARY: &str = "llm-gateway";

/// The longest word that is taken over from a caller or a provider: a model's name, a reason to stop.
const LONGEST_WORD: usize = 256;

/// The longest sentence that is.
const LONGEST_SENTENCE: usize = 4096;

/// The largest usage that is shown as the provider wrote it, in bytes.
const LARGEST_USAGE: usize = 16 * 1024;

/// The event as PostHog's `/batch/` takes it in its list: a JSON object with `uuid`, `event`, `distinct_id`, `timestamp` and
/// `properties`, of at most 900 KiB.
pub fn event(generation: &Generation) -> Vec<u8> {
    let hints = Hints::read(&generation.headers);
    let identity = Identity::of(generation, &hints);
    let mut content = Json::with_capacity(room(generation));
    // A fragment: the members of an object.
    content.bytes().push(b'{');
    let stop = content_of(generation, &mut content);

    let mut json = Json::with_capacity(content.len() + 2048);
    json.open(b'{');
    json.member("uuid", generation.uuid.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()));
    json.member("event", EVENT);
    json.member("distinct_id", &identity.distinct_id);
    json.member("timestamp", &timestamp(generation));
    json.key("properties");
    json.open(b'{');
    about(generation, &identity, &hints, stop.as_deref(), &mut json);
    let room = cut::LIMIT.saturating_sub(json.len() + 128);
    let (content, cut) = cut::fit(content.into_bytes().split_off(1), room);
    if let Some(how) = cut.name() {
        json.member("llm_gateway_cut", how);
    }
    if !content.is_empty() {
        json.raw(&content);
    }
    json.close(b'}');
    json.close(b'}');
    debug_assert!(cut == Cut::No || json.len() <= cut::LIMIT);
    json.into_bytes()
}

fn timestamp(generation: &Generation) -> String {
    DateTime::<Utc>::from(generation.timestamp).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// About how many bytes the content will take.
fn room(generation: &Generation) -> usize {
    match &generation.content {
        Content::Held { request, answer } => {
            let answer = match answer {
                Answer::Nothing => 0,
                Answer::Whole(body) => body.len(),
                Answer::Stream { .. } => 4096,
            };
            (request.len() + answer + 512).min(2 * cut::LIMIT)
        }
        Content::Metadata | Content::Private => 16,
    }
}

/// Writes what was said, and returns why it ended.
fn content_of(generation: &Generation, json: &mut Json) -> Option<String> {
    let Content::Held { request, answer } = &generation.content else { return None };
    let dialect = generation.dialect;
    json.key("$ai_model_parameters");
    let request = input::Request::read(request);
    json.open(b'{');
    if let Some(request) = &request {
        request.parameters(dialect, json);
    }
    if let (Dialect::OpenAiChat | Dialect::OpenAiResponses, Some(tier)) = (dialect, &generation.seen.service_tier) {
        json.member("service_tier", short(tier, LONGEST_WORD));
    }
    json.close(b'}');
    match &request {
        None => json.number("llm_gateway_unreadable", true),
        Some(request) => {
            request.tools(json);
            if let (Dialect::OpenAiResponses, Some(instructions)) = (dialect, request.instructions()) {
                json.key("$ai_instructions");
                input::copied(instructions, json);
            }
            json.key("$ai_input");
            request.messages(dialect, json);
        }
    }
    json.key("$ai_output_choices");
    let stop = output::choices(dialect, generation.delivery, answer, json);
    if let Answer::Stream { extent: Extent::Beginning, .. } = answer {
        json.number("llm_gateway_output_incomplete", true);
    }
    stop
}

/// Writes everything but what was said.
fn about(generation: &Generation, identity: &Identity<'_>, hints: &Hints<'_>, stop: Option<&str>, json: &mut Json) {
    // First, so that a name that is there again further on has the gateway's own value.
    hints.write(json);
    json.member("$lib", LIBRARY);
    json.member("$lib_version", env!("CARGO_PKG_VERSION"));
    json.member("$ai_lib", LIBRARY);
    json.member("$ai_lib_version", env!("CARGO_PKG_VERSION"));
    json.member("ai_product", generation.product.as_str());
    belonging(generation, identity, json);
    model(generation, json);
    asked(generation, json);
    numbers::tokens(generation, json);
    numbers::money(generation, json);
    numbers::times(generation, json);
    ending(generation, stop, json);
    json.member("llm_gateway_request_id", generation.request_id.as_str());
    let capture = match generation.content {
        Content::Held { .. } => "full",
        Content::Metadata => "metadata",
        Content::Private => "private",
    };
    json.member("llm_gateway_capture", capture);
}

/// Whose it is, and where it belongs.
fn belonging(generation: &Generation, identity: &Identity<'_>, json: &mut Json) {
    if identity.person == Person::Unknown {
        json.number("$process_person_profile", false);
    }
    if let Some(team) = generation.team {
        json.number("team_id", team.0);
        json.key("$groups");
        json.open(b'{');
        json.number("project", team.0);
        json.close(b'}');
    }
    json.member("$ai_trace_id", &identity.trace);
    json.member("$ai_span_id", generation.uuid.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()));
    if let Some(parent) = identity.parent {
        json.member("$ai_parent_id", parent);
    }
    if let Some(session) = &identity.session {
        json.member("$ai_session_id", session);
    }
}

/// Which model served, and where.
fn model(generation: &Generation, json: &mut Json) {
    let asked = generation.asked.model.as_deref().map(|model| short(model, LONGEST_WORD));
    let served = generation.served.as_ref();
    if let Some(model) = served.map(|served| served.model.as_str()).or(asked) {
        json.member("$ai_model", model);
        json.member("$ai_span_name", &format!("{} {model}", operation(generation.dialect)));
    }
    if let Some(asked) = asked {
        json.member("llm_gateway_model_asked", asked);
    }
    if let Some(answered) = &generation.seen.model {
        json.member("llm_gateway_model_answered", short(answered, LONGEST_WORD));
    }
    let Some(served) = served else { return };
    json.member("$ai_provider", served.provider.as_str());
    if let Some(base) = &served.base_url {
        json.member("$ai_base_url", base.as_str());
        json.member("$ai_request_url", &request_url(served, base.as_str()));
    }
    let is_fallback = match served.choice {
        Preference::First => false,
        Preference::Fallback => true,
    };
    json.number("llm_gateway_fallback_used", is_fallback);
    let asked = served.ignored.as_ref().and_then(|fields| fields.to_str().ok());
    let ignored = [asked, generation.seen.unsaid.as_deref()].into_iter().flatten();
    let ignored = ignored.flat_map(|fields| short(fields, LONGEST_SENTENCE).split(',').map(str::trim));
    let mut told: Vec<&str> = Vec::new();
    ignored.for_each(|field| {
        if !told.contains(&field) {
            told.push(field);
        }
    });
    if !told.is_empty() {
        json.key("llm_gateway_ignored_fields");
        json.open(b'[');
        told.into_iter().for_each(|field| json.text(field));
        json.close(b']');
    }
}

/// As OpenTelemetry's conventions for generative models name it.
fn operation(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Anthropic => "chat",
        Dialect::Gemini => "generate_content",
    }
}

fn request_url(served: &Served, base: &str) -> String {
    let path = address::path(served.dialect, Operation::Generate, served.delivery, &served.model);
    format!("{}{}", base.trim_end_matches('/'), path.unwrap_or(Cow::Borrowed("")))
}

/// What was asked for, in numbers.
fn asked(generation: &Generation, json: &mut Json) {
    let asked = &generation.asked;
    json.number("$ai_stream", generation.delivery.is_stream());
    if let Some(temperature) = asked.temperature {
        json.number("$ai_temperature", temperature);
    }
    if let Some(most) = asked.max_output_tokens {
        json.number("$ai_max_tokens", most);
    }
}

/// How it ended.
fn ending(generation: &Generation, stop: Option<&str>, json: &mut Json) {
    json.number("$ai_http_status", generation.end.status);
    if let Some(reason) = stop.or(generation.seen.finish.as_deref()) {
        json.member("$ai_stop_reason", short(reason, LONGEST_WORD));
    }
    if let Some(tier) = &generation.seen.service_tier {
        json.member("$ai_service_tier", short(tier, LONGEST_WORD));
    }
    if let Some(Failure { code, message }) = &generation.end.failure {
        json.number("$ai_is_error", true);
        json.key("$ai_error");
        match generation.content {
            Content::Held { .. } => redact::copy_text(short(message, LONGEST_SENTENCE), json.bytes()),
            // A message may repeat something of the request.
            Content::Metadata | Content::Private => json.text(code),
        }
        json.member("llm_gateway_error_code", code);
    }
}

/// The beginning of a text, of at most this many bytes.
fn short(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let mut end = most;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests;
