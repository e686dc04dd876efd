//! What the events of a Messages stream say, read only where they say something.

use serde::Deserialize;
use serde_json::Value;

use crate::dialect::error;
use crate::dialect::seen::{Seen, at, is_nonsense, leading_type};
use crate::dialect::{Dialect, Operation};
use crate::ir::{Opaque, Usage};

/// Where a delta has its text.
const TEXTS: [&[u8]; 3] = [br#""text""#, br#""thinking""#, br#""partial_json""#];

/// What a tool's call takes beside its arguments, and a cited text beside its words, in tokens: on average over what Claude's models
/// are known to have answered.
const AROUND_CALL: u64 = 27;
const AROUND_CITED: u64 = 15;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Event {
    r#type: String,
    message: Whole,
    delta: Delta,
    usage: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Delta {
    stop_reason: Option<String>,
}

/// A message, as far as the gateway reads it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Whole {
    id: Option<String>,
    model: Option<String>,
    stop_reason: Option<String>,
    usage: Option<Value>,
}

/// Takes the data of one event.
pub(crate) fn event(payload: &[u8], seen: &mut Seen) {
    let leading = leading_type(payload);
    match leading {
        Some("ping") => return,
        Some("content_block_start" | "content_block_delta" | "content_block_stop") => {
            seen.first_event = true;
            seen.content = true;
            if leading == Some("content_block_delta") {
                seen.passed(payload, &TEXTS);
            }
            if leading == Some("content_block_start") {
                block_started(payload, seen);
            }
            return;
        }
        Some("message_stop") => {
            seen.first_event = true;
            seen.terminal = true;
            return;
        }
        Some(_) | None => {}
    }
    let Ok(event) = serde_json::from_slice::<Event>(payload) else {
        seen.first_event = true;
        return;
    };
    seen.first_event |= event.r#type != "ping";
    match event.r#type.as_str() {
        "message_start" => message(event.message, seen),
        "message_delta" => {
            seen.take_usage(event.usage);
            if event.delta.stop_reason.is_some() {
                seen.finish = event.delta.stop_reason;
            }
        }
        "message_stop" => seen.terminal = true,
        "error" => seen.error = error::parse(Dialect::Anthropic, 0, payload),
        "content_block_start" | "content_block_delta" | "content_block_stop" => seen.content = true,
        _ => {}
    }
}

/// The words in which a block begins: `"type":"tool_use"`, or one of a server's tools; `"citations":[]`.
fn block_started(payload: &[u8], seen: &mut Seen) {
    let has = |mark: &[u8]| memchr::memmem::find(payload, mark).is_some();
    if has(b"tool_use\"") {
        seen.streamed.around(AROUND_CALL);
    } else if has(b"\"citations\"") {
        seen.streamed.around(AROUND_CITED);
    }
}

/// Takes a whole answer.
pub(crate) fn whole(operation: Operation, answer: Whole, seen: &mut Seen) {
    match operation {
        Operation::Generate => message(answer, seen),
        Operation::CountTokens => {}
    }
}

fn message(message: Whole, seen: &mut Seen) {
    if let Some(tier) = message.usage.as_ref().and_then(|usage| usage.get("service_tier")).and_then(Value::as_str) {
        seen.tier(Some(tier.to_owned()));
    }
    seen.introduce(message.id, message.model);
    seen.take_usage(message.usage);
    if message.stop_reason.is_some() {
        seen.finish = message.stop_reason;
    }
}

/// The usage in the convention that all dialects share. Anthropic counts what caches gave and took apart from the input.
pub(crate) fn usage(wire: Value) -> Usage {
    let cache_read = at(&wire, "cache_read_input_tokens");
    let long = at(&wire, "cache_creation.ephemeral_1h_input_tokens");
    let short = at(&wire, "cache_creation.ephemeral_5m_input_tokens");
    let apart = short.unwrap_or(0).saturating_add(long.unwrap_or(0));
    // The last event of a stream has the total only.
    let written = at(&wire, "cache_creation_input_tokens").map_or(apart, |total| total.max(apart));
    let known = at(&wire, "cache_creation_input_tokens").is_some() || short.is_some() || long.is_some();
    let parts = ["cache_read_input_tokens", "cache_creation_input_tokens"];
    let fresh = at(&wire, "input_tokens").filter(|_| !parts.iter().any(|part| is_nonsense(&wire, part)));
    Usage {
        input: fresh.map(|fresh| fresh.saturating_add(cache_read.unwrap_or(0)).saturating_add(written)),
        cache_read,
        cache_write_5m: known.then(|| written.saturating_sub(long.unwrap_or(0))),
        cache_write_1h: long,
        output: at(&wire, "output_tokens"),
        web_searches: at(&wire, "server_tool_use.web_search_requests"),
        original: Some(Opaque::new(Dialect::Anthropic, wire)),
        ..Usage::default()
    }
}
