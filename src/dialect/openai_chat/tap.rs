//! What the events of a chat completions stream say, read only where they say something.

use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::Value;

use crate::dialect::error;
use crate::dialect::seen::{Seen, at, has};
use crate::dialect::{Dialect, Operation};
use crate::ir::{Opaque, Usage};

/// Finds the members that an event is read for.
#[derive(Clone, Debug)]
pub(crate) struct Needles {
    usage: Finder<'static>,
    finish: Finder<'static>,
    error: Finder<'static>,
}

impl Default for Needles {
    fn default() -> Self {
        Self {
            usage: Finder::new(br#""usage""#),
            finish: Finder::new(br#""finish_reason""#),
            error: Finder::new(br#""error""#),
        }
    }
}

/// Where a delta has its text.
const TEXTS: [&[u8]; 3] = [br#""content""#, br#""arguments""#, br#""reasoning_content""#];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Chunk {
    id: Option<String>,
    model: Option<String>,
    service_tier: Option<String>,
    choices: Option<Vec<Choice>>,
    usage: Option<Value>,
    error: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice {
    finish_reason: Option<String>,
    delta: Option<Value>,
}

/// Takes the data of one event.
pub(crate) fn event(needles: &Needles, payload: &[u8], seen: &mut Seen) {
    if payload.starts_with(b"[DONE]") {
        seen.terminal = true;
        return;
    }
    seen.first_event = true;
    seen.passed(payload, &TEXTS);
    let says = |needle| has(payload, needle);
    if seen.content && !says(&needles.usage) && !says(&needles.finish) && !says(&needles.error) {
        return;
    }
    let Ok(chunk) = serde_json::from_slice::<Chunk>(payload) else { return };
    seen.introduce(chunk.id, chunk.model);
    seen.tier(chunk.service_tier);
    seen.take_usage(chunk.usage);
    for choice in chunk.choices.unwrap_or_default() {
        seen.content |= choice.delta.is_some_and(|delta| has_content(&delta));
        if choice.finish_reason.is_some() {
            seen.finish = choice.finish_reason;
        }
    }
    if chunk.error.as_ref().is_some_and(|error| !error.is_null()) {
        seen.error = error::parse(Dialect::OpenAiChat, 0, payload).or_else(|| seen.error.take());
    }
}

/// Whether a delta has more than the role that every stream begins with.
fn has_content(delta: &Value) -> bool {
    delta.as_object().is_some_and(|delta| {
        delta.iter().any(|(key, value)| key != "role" && !value.is_null() && value.as_str() != Some(""))
    })
}

/// Whether this is the event that `include_usage` adds: usage, and no choice.
pub(crate) fn is_usage_chunk(payload: &[u8]) -> bool {
    serde_json::from_slice::<Chunk>(payload).is_ok_and(|chunk| {
        chunk.choices.is_some_and(|choices| choices.is_empty()) && chunk.usage.is_some_and(|usage| usage.is_object())
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Whole {
    id: Option<String>,
    model: Option<String>,
    service_tier: Option<String>,
    choices: Vec<Choice>,
    usage: Option<Value>,
}

/// Takes a whole answer.
pub(crate) fn whole(_: Operation, answer: Whole, seen: &mut Seen) {
    seen.introduce(answer.id, answer.model);
    seen.tier(answer.service_tier);
    seen.take_usage(answer.usage);
    seen.finish = answer.choices.into_iter().filter_map(|choice| choice.finish_reason).next_back();
}

/// The usage in the convention that all dialects share. OpenAI's totals include their parts already.
pub(crate) fn usage(wire: Value) -> Usage {
    Usage {
        input: at(&wire, "prompt_tokens"),
        cache_read: at(&wire, "prompt_tokens_details.cached_tokens"),
        cache_write_5m: at(&wire, "prompt_tokens_details.cache_write_tokens"),
        audio_input: at(&wire, "prompt_tokens_details.audio_tokens"),
        output: at(&wire, "completion_tokens"),
        reasoning: at(&wire, "completion_tokens_details.reasoning_tokens"),
        audio_output: at(&wire, "completion_tokens_details.audio_tokens"),
        accepted_prediction: at(&wire, "completion_tokens_details.accepted_prediction_tokens"),
        rejected_prediction: at(&wire, "completion_tokens_details.rejected_prediction_tokens"),
        original: Some(Opaque::new(Dialect::OpenAiChat, wire)),
        ..Usage::default()
    }
}
