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
    /// A prompt up to its last breakpoint is written to the cache, but for the longest beginning that is there already.
    pub(super) fn of(request: &Value, usage: Usage, prefixes: &Prefixes) -> Self {
        let prompt = Prompt::of(request);
        let mut read = usage.cached;
        let mut written = 0;
        if let Some(last) = prompt.breakpoints.last() {
            let marked = prompt.blocks.get(..=*last).unwrap_or_default();
            let known = marked.iter().rposition(|(hash, _)| prefixes.known(hash)).map_or(0, |known| known + 1);
            let tokens = |blocks: &[(Hash, u64)]| blocks.iter().map(|(_, tokens)| tokens).sum::<u64>();
            read += tokens(marked.get(..known).unwrap_or_default()).min(usage.input - read);
            written = tokens(marked.get(known..).unwrap_or_default()).min(usage.input - read);
            for breakpoint in &prompt.breakpoints {
                if let Some((hash, _)) = prompt.blocks.get(*breakpoint) {
                    prefixes.remember(*hash);
                }
            }
        }
        Self { read, written, rest: usage.input - read - written, hour: prompt.hour }
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

type Hash = [u8; 32];

/// Tools, system and messages in the order in which Anthropic caches them.
struct Prompt {
    /// For each block the hash of all up to it, and its own tokens.
    blocks: Vec<(Hash, u64)>,
    breakpoints: Vec<usize>,
    hour: bool,
}

impl Prompt {
    fn of(request: &Value) -> Self {
        let mut prompt = Self { blocks: Vec::new(), breakpoints: Vec::new(), hour: false };
        let mut hasher = Sha256::new_with_prefix(request.get("model").map(Value::to_string).unwrap_or_default());
        for name in ["tools", "system", "messages"] {
            for item in request.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice) {
                match item.get("content").and_then(Value::as_array) {
                    Some(inner) => inner.iter().for_each(|block| prompt.push(block, &mut hasher)),
                    None => prompt.push(item, &mut hasher),
                }
            }
        }
        // A mark on the request itself stands for one on its last block.
        if let (Some(control), Some(last)) = (control(request), prompt.blocks.len().checked_sub(1)) {
            prompt.hour |= control.get("ttl").is_some_and(|ttl| ttl == "1h");
            if prompt.breakpoints.last() != Some(&last) {
                prompt.breakpoints.push(last);
            }
        }
        prompt
    }

    fn push(&mut self, block: &Value, hasher: &mut Sha256) {
        if let Some(control) = control(block) {
            self.hour |= control.get("ttl").is_some_and(|ttl| ttl == "1h");
            self.breakpoints.push(self.blocks.len());
        }
        let mut plain = block.clone();
        if let Some(plain) = plain.as_object_mut() {
            plain.remove("cache_control");
        }
        hasher.update(plain.to_string());
        self.blocks.push((hasher.clone().finalize().into(), tokens_in(&plain)));
    }
}

fn control(value: &Value) -> Option<&Value> {
    value.get("cache_control").filter(|control| !control.is_null())
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
