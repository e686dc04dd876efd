//! What the elements of a `streamGenerateContent` answer say.
//!
//! Each is read: usage is in every one, and the finish may be in any.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::dialect::error;
use crate::dialect::seen::{Seen, at, is_nonsense};
use crate::dialect::{Dialect, Operation};
use crate::ir::{Opaque, Usage};

/// An answer, or an element of a streamed one, as far as the gateway reads it.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Whole {
    candidates: Option<Vec<Candidate>>,
    prompt_feedback: Option<Value>,
    usage_metadata: Option<Value>,
    model_version: Option<String>,
    response_id: Option<String>,
    error: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Candidate {
    finish_reason: Option<String>,
    content: Option<Content>,
    grounding_metadata: Option<Grounding>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Content {
    parts: Option<Vec<IgnoredAny>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Grounding {
    web_search_queries: Option<Vec<IgnoredAny>>,
}

/// Takes one element.
pub(crate) fn event(payload: &[u8], seen: &mut Seen) {
    seen.first_event = true;
    let Ok(element) = serde_json::from_slice::<Whole>(payload) else { return };
    if element.error.is_some() {
        seen.error = error::parse(Dialect::Gemini, 0, payload);
    }
    // Elements say what has been taken so far; what comes in one that does not is counted.
    if element.usage_metadata.is_none() {
        seen.passed(payload, &[br#""text""#, br#""stringValue""#]);
    }
    answer(element, seen);
}

/// Takes a whole answer.
pub(crate) fn whole(operation: Operation, whole: Whole, seen: &mut Seen) {
    match operation {
        Operation::Generate => answer(whole, seen),
        Operation::CountTokens => {}
    }
}

fn answer(answer: Whole, seen: &mut Seen) {
    seen.introduce(answer.response_id, answer.model_version);
    for candidate in answer.candidates.unwrap_or_default() {
        seen.content |= candidate.content.and_then(|content| content.parts).is_some_and(|parts| !parts.is_empty());
        if candidate.finish_reason.is_some() {
            seen.terminal = true;
            seen.finish = candidate.finish_reason;
        }
        let queries = candidate.grounding_metadata.and_then(|grounding| grounding.web_search_queries);
        if let Some(count) = queries.and_then(|queries| u64::try_from(queries.len()).ok()) {
            seen.searches = seen.searches.max(Some(count));
        }
    }
    // A prompt that was blocked has no candidate, and so no finish.
    if let Some(reason) = answer.prompt_feedback.as_ref().and_then(|feedback| feedback.get("blockReason")) {
        seen.terminal = true;
        seen.finish = reason.as_str().map(str::to_owned);
    }
    // Google's own API says `serviceTier`, Vertex says `trafficType`.
    let tier = ["serviceTier", "trafficType"]
        .into_iter()
        .find_map(|key| answer.usage_metadata.as_ref()?.get(key)?.as_str().map(str::to_owned));
    seen.tier(tier);
    seen.take_usage(answer.usage_metadata);
}

/// The usage in the convention that all dialects share. Google counts thoughts and what tools read apart.
pub(crate) fn usage(wire: Value) -> Usage {
    let sum = |one: &str, other: &str| match (at(&wire, one), at(&wire, other)) {
        (None, None) => None,
        _ if is_nonsense(&wire, one) || is_nonsense(&wire, other) => None,
        (one, other) => Some(one.unwrap_or(0).saturating_add(other.unwrap_or(0))),
    };
    let modality = |details: &str, name: &str| {
        let details = wire.get(details)?.as_array()?;
        let count = |detail: &Value| detail.get("tokenCount").and_then(Value::as_u64);
        details.iter().find(|detail| detail.get("modality").and_then(Value::as_str) == Some(name)).and_then(count)
    };
    let input = sum("promptTokenCount", "toolUsePromptTokenCount");
    let output = ["candidatesTokenCount", "thoughtsTokenCount"];
    // What is zero is left out: of a prompt that was blocked, only the input and the total are said.
    let is_left_out = output.iter().all(|part| !is_nonsense(&wire, part));
    let rest = at(&wire, "totalTokenCount").zip(input).map(|(total, input)| total.saturating_sub(input));
    let output = sum(output[0], output[1]).or(rest.filter(|_| is_left_out));
    Usage {
        input,
        cache_read: at(&wire, "cachedContentTokenCount"),
        audio_input: modality("promptTokensDetails", "AUDIO"),
        image_input: modality("promptTokensDetails", "IMAGE"),
        output,
        reasoning: at(&wire, "thoughtsTokenCount"),
        audio_output: modality("candidatesTokensDetails", "AUDIO"),
        image_output: modality("candidatesTokensDetails", "IMAGE"),
        original: Some(Opaque::new(Dialect::Gemini, wire)),
        ..Usage::default()
    }
}
