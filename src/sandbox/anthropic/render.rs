//! A composed answer as a message, and as the events that stream one.

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{ask::shows_thinking, rules};
use crate::sandbox::compose::{Ask, Composed, Finish, Input, Usage, pieces, tokens_in};
use crate::sandbox::seal::{self, Ids};
use crate::sandbox::world::Prefixes;

/// How the input divides: what was read from the cache, what was written to it, and the rest.
#[derive(Clone, Copy)]
pub(super) struct Cached {
    read: u64,
    written: u64,
    rest: u64,
    hour: bool,
}

impl Cached {
    /// A prompt up to its last breakpoint is written when it comes first, and read when it comes again.
    pub(super) fn of(request: &Value, usage: Usage, prefixes: &Prefixes) -> Self {
        let mut read = usage.cached;
        let mut written = 0;
        let prefix = prefix(request);
        if let Some(prefix) = &prefix {
            let tokens = tokens_in(prefix).min(usage.input - read);
            let model = request.get("model").cloned().unwrap_or_default();
            if prefixes.known(Sha256::digest(json!([model, prefix]).to_string()).into()) {
                read += tokens;
            } else {
                written = tokens;
            }
        }
        let hour = prefix.is_some_and(|prefix| prefix.to_string().contains(r#""ttl":"1h""#));
        Self { read, written, rest: usage.input - read - written, hour }
    }

    fn usage(self, output: u64, reasoning: u64) -> Value {
        let (short, long) = if self.hour { (0, self.written) } else { (self.written, 0) };
        json!({
            "input_tokens": self.rest,
            "cache_creation_input_tokens": self.written,
            "cache_read_input_tokens": self.read,
            "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long},
            "output_tokens": output,
            "output_tokens_details": {"thinking_tokens": reasoning},
            "service_tier": "standard",
            "inference_geo": "not_available",
        })
    }

    fn final_usage(self, output: u64, reasoning: u64) -> Value {
        json!({
            "input_tokens": self.rest,
            "cache_creation_input_tokens": self.written,
            "cache_read_input_tokens": self.read,
            "output_tokens": output,
            "output_tokens_details": {"thinking_tokens": reasoning},
        })
    }
}

/// Tools, system and messages up to the last breakpoint, in the order in which Anthropic caches them.
fn prefix(request: &Value) -> Option<Value> {
    let mut blocks = Vec::new();
    for name in ["tools", "system", "messages"] {
        for item in request.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice) {
            match item.get("content").and_then(Value::as_array) {
                Some(inner) => blocks.extend(inner.iter().cloned()),
                None => blocks.push(item.clone()),
            }
        }
    }
    let marked = |block: &Value| block.get("cache_control").is_some_and(|control| !control.is_null());
    let last = match blocks.iter().rposition(marked) {
        Some(last) => last,
        None if marked(request) => blocks.len().checked_sub(1)?,
        None => return None,
    };
    blocks.truncate(last + 1);
    Some(Value::Array(blocks))
}

/// The whole message.
pub(super) fn message(ask: &Ask, answer: &Composed, cache: Cached, request: &Value, ids: &mut Ids) -> Value {
    let (stop_reason, stop_sequence, stop_details) = ending(&answer.finish);
    let output = answer.usage.output + answer.usage.reasoning;
    json!({
        "model": ask.model,
        "id": ids.alphanumeric("msg_01", 22),
        "type": "message",
        "role": "assistant",
        "content": blocks(ask, answer, request, ids),
        "stop_reason": stop_reason,
        "stop_sequence": stop_sequence,
        "stop_details": stop_details,
        "usage": cache.usage(output, answer.usage.reasoning),
    })
}

fn blocks(ask: &Ask, answer: &Composed, request: &Value, ids: &mut Ids) -> Vec<Value> {
    let mut blocks = Vec::new();
    if let Some(reasoning) = &answer.reasoning {
        blocks.push(thinking(ask, reasoning, request));
    }
    if !answer.text.is_empty() {
        blocks.push(json!({"type": "text", "text": answer.text}));
    }
    for call in &answer.calls {
        let input = match &call.input {
            Input::Json(value) => value.clone(),
            Input::Text(text) => json!({"input": text}),
        };
        blocks.push(
            json!({"type": "tool_use", "id": ids.alphanumeric("toolu_01", 22), "name": call.name, "input": input}),
        );
    }
    blocks
}

fn thinking(ask: &Ask, reasoning: &str, request: &Value) -> Value {
    if ask.directives.redacted {
        return json!({"type": "redacted_thinking", "data": seal::seal(rules::REDACTED, reasoning.as_bytes())});
    }
    let shown = if shows_thinking(request) { reasoning } else { "" };
    json!({"type": "thinking", "thinking": shown, "signature": seal::sign(rules::SIGNATURE, shown)})
}

fn ending(finish: &Finish) -> (String, Value, Value) {
    let (reason, sequence) = match finish {
        Finish::Stop => ("end_turn", Value::Null),
        Finish::StopSequence(sequence) => ("stop_sequence", json!(sequence)),
        Finish::Length => ("max_tokens", Value::Null),
        Finish::Calls => ("tool_use", Value::Null),
        Finish::Refusal | Finish::Safety | Finish::Blocked => ("refusal", Value::Null),
        Finish::Forced(reason) => (reason.as_str(), Value::Null),
    };
    let details = match finish {
        Finish::Refusal | Finish::Safety | Finish::Blocked => {
            json!({"type": "refusal", "category": null, "explanation": "The sandbox was asked to refuse."})
        }
        Finish::Stop | Finish::StopSequence(_) | Finish::Length | Finish::Calls | Finish::Forced(_) => Value::Null,
    };
    (reason.to_owned(), sequence, details)
}

/// The stream's events, each as it goes over the wire.
pub(super) fn events(ask: &Ask, answer: &Composed, cache: Cached, request: &Value, ids: &mut Ids) -> Vec<Bytes> {
    let mut events = vec![json!({
        "type": "message_start",
        "message": {
            "model": ask.model,
            "id": ids.alphanumeric("msg_01", 22),
            "type": "message",
            "role": "assistant",
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            "stop_details": null,
            "usage": cache.usage(1, 0),
        },
    })];
    for (index, block) in blocks(ask, answer, request, ids).iter().enumerate() {
        block_events(index, block, &mut events);
        if index == 0 {
            // Anthropic's first ping follows the first block's start.
            events.insert(2, json!({"type": "ping"}));
        }
    }
    let (stop_reason, stop_sequence, stop_details) = ending(&answer.finish);
    events.push(json!({
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason, "stop_sequence": stop_sequence, "stop_details": stop_details},
        "usage": cache.final_usage(answer.usage.output + answer.usage.reasoning, answer.usage.reasoning),
    }));
    events.push(json!({"type": "message_stop"}));
    events.iter().map(frame).collect()
}

fn block_events(index: usize, block: &Value, events: &mut Vec<Value>) {
    let text = |name: &str| block.get(name).and_then(Value::as_str).unwrap_or_default();
    let (start, deltas): (Value, Vec<Value>) = match text("type") {
        "text" => (
            json!({"type": "text", "text": ""}),
            pieces(text("text")).into_iter().map(|piece| json!({"type": "text_delta", "text": piece})).collect(),
        ),
        "thinking" => {
            let thoughts =
                pieces(text("thinking")).into_iter().map(|piece| json!({"type": "thinking_delta", "thinking": piece}));
            let signature = json!({"type": "signature_delta", "signature": text("signature")});
            (json!({"type": "thinking", "thinking": "", "signature": ""}), thoughts.chain([signature]).collect())
        }
        "tool_use" => {
            let input =
                block.get("input").filter(|input| *input != &json!({})).map(Value::to_string).unwrap_or_default();
            // Anthropic sends an empty piece first; for a call without arguments it is the only one.
            let parts = [String::new()].into_iter().chain(pieces(&input));
            (
                json!({"type": "tool_use", "id": text("id"), "name": text("name"), "input": {}}),
                parts.map(|piece| json!({"type": "input_json_delta", "partial_json": piece})).collect(),
            )
        }
        // Redacted thinking comes whole.
        _ => (block.clone(), Vec::new()),
    };
    events.push(json!({"type": "content_block_start", "index": index, "content_block": start}));
    events
        .extend(deltas.into_iter().map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta})));
    events.push(json!({"type": "content_block_stop", "index": index}));
}

fn frame(event: &Value) -> Bytes {
    let name = event.get("type").and_then(Value::as_str).unwrap_or_default();
    format!("event: {name}\ndata: {event}\n\n").into()
}

/// How a stream says that it failed.
pub(super) fn broken() -> Bytes {
    frame(&json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}))
}

/// A date as Anthropic's rate limit headers have it.
pub(super) fn rfc3339(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0))
        .map(|date| date.format("%Y-%m-%dT%H:%M:%SZ").to_string())
        .unwrap_or_default()
}
