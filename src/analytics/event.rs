//! Writes a [`Generation`] as PostHog's `$ai_generation`.
//!
//! The properties are those of PostHog's LLM analytics, with the meaning that its own wrappers of the vendors' SDKs give them;
//! what the gateway alone knows is named `llm_gateway_…`. Everything in an event is bounded, whatever callers and providers
//! say. `docs/events.md` lists all of it.

use std::ops::Range;

use self::common::CommonParts;
use self::hints::Hints;
use self::identity::Identity;
use self::json::Json;
use self::second::Second;
use self::sound::sound;
use super::generation::{Content, Extent, Failure, Generation, LONGEST_SENTENCE, LONGEST_WORD, short};
use crate::analytics::generation::Answer;
use crate::dialect::Dialect;

mod common;
mod cut;
mod google;
mod hints;
mod identity;
mod input;
mod json;
mod numbers;
mod output;
mod redact;
mod second;
mod sound;
pub mod span;

/// What PostHog calls a call of a model.
const EVENT: &str = "$ai_generation";

/// How much room is kept for the next event, in bytes.
const KEPT_ROOM: usize = 64 * 1024;

/// Who says so.
const LIBRARY: &str = "llm-gateway";

/// The largest usage that is shown as the provider wrote it, in bytes.
const LARGEST_USAGE: usize = 16 * 1024;

/// Writes events. Kept from one to the next: much of an event is the same for many calls.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
    common: CommonParts,
    second: Second,
}

impl Writer {
    /// The event as PostHog's `/batch/` takes it in its list: a JSON object with `uuid`, `event`, `distinct_id`, `timestamp` and
    /// `properties`, of at most 900 KiB.
    pub fn event(&mut self, generation: &Generation) -> &[u8] {
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        out.shrink_to(KEPT_ROOM);
        out.reserve(room(generation));
        let mut json = Json::over(out);
        self.write(generation, &mut json);
        self.out = json.into_bytes();
        &self.out
    }

    fn write(&mut self, generation: &Generation, json: &mut Json) {
        let hints = Hints::read(&generation.headers);
        let identity = Identity::of(generation, &hints);
        json.open(b'{');
        json.member("uuid", generation.uuid.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()));
        json.key("timestamp");
        json.plain(self.second.timestamp(generation.timestamp));
        json.member("distinct_id", &identity.distinct_id);
        json.key("properties");
        json.open(b'{');
        // First, so that a name that is there again further on has the gateway's own value.
        hints.write(json);
        own(generation, &identity, json);
        let before = json.len();
        let stop = content_of(generation, json);
        let content = before..json.len();
        self.common.write(generation, identity.person, stop.as_deref(), json);
        json.close(b'}');
        json.member("event", EVENT);
        json.close(b'}');
        if json.len() > cut::LIMIT {
            cut_down(json, content);
        }
    }
}

/// Cuts the content of an event that is too large.
fn cut_down(json: &mut Json, content: Range<usize>) {
    let others = json.len() - content.len();
    let bytes = json.bytes();
    let behind = bytes.split_off(content.end);
    // Without the comma that stands before it.
    let members = bytes.split_off(content.start).split_off(1.min(content.len()));
    let (members, cut) = cut::fit(members, cut::LIMIT.saturating_sub(others + 64));
    if !members.is_empty() {
        json.raw(&members);
    }
    if let Some(how) = cut.name() {
        json.member("llm_gateway_cut", how);
    }
    json.bytes().extend_from_slice(&behind);
}

/// About how many bytes the event will take.
fn room(generation: &Generation) -> usize {
    match &generation.content {
        Content::Held { request, answer } => {
            let answer = match answer {
                Answer::Nothing => 0,
                Answer::Whole(body) => body.len(),
                Answer::Stream { .. } => 4096,
            };
            (request.len() + answer + 2560).min(2 * cut::LIMIT)
        }
        Content::Metadata | Content::Private => 2048,
    }
}

/// Writes what was said, and returns why it ended.
fn content_of(generation: &Generation, json: &mut Json) -> Option<String> {
    let Content::Held { request, answer } = &generation.content else { return None };
    let dialect = generation.dialect;
    json.key("$ai_model_parameters");
    let request = std::str::from_utf8(request).ok().map(sound);
    let request = request.as_deref().and_then(input::Request::read);
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

/// Writes what is this call's alone.
fn own(generation: &Generation, identity: &Identity<'_>, json: &mut Json) {
    json.member("$ai_trace_id", &identity.trace);
    json.member("$ai_span_id", generation.uuid.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()));
    json.member("llm_gateway_request_id", generation.request_id.as_str());
    if let Some(parent) = identity.parent {
        json.member("$ai_parent_id", parent);
    }
    if let Some(session) = &identity.session {
        json.member("$ai_session_id", session);
    }
    numbers::times(generation, json);
    numbers::tokens(generation, json);
    numbers::money(generation, json);
    if let Some(Failure { code, message }) = &generation.end.failure {
        json.key("$ai_error");
        match generation.content {
            Content::Held { .. } => redact::copy_text(short(message, LONGEST_SENTENCE), json.bytes()),
            // A message may repeat something of the request.
            Content::Metadata | Content::Private => json.text(code),
        }
    }
}

#[cfg(test)]
mod tests;
