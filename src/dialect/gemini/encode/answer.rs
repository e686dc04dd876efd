//! A whole answer as `GenerateContentResponse`.

use serde_json::{Value, json};

use super::as_map;
use crate::dialect::gemini::grounding::Grounding;
use crate::dialect::gemini::parts::{Minted, part_to};
use crate::dialect::gemini::{DIALECT, wire};
use crate::dialect::{Asked, Encoded, Object};
use crate::ir::{Choice, Content, Losses, Origin, Part, Response, SealKind, Text};

/// Writes an answer.
pub(in crate::dialect::gemini) fn response(response: &Response, asked: &Asked) -> Encoded {
    let mut losses = Losses::new();
    let choices = response.choices.iter().filter(|choice| !choice.carry.has_note(DIALECT, "blocked"));
    let candidates: Vec<Value> = choices.map(|choice| candidate(choice, &mut losses)).collect();
    let mut body = Object::new();
    match response.carry.noted_as(DIALECT, "candidates") {
        Some(none) => body.put("candidates", none.clone()),
        None if candidates.is_empty() && !response.choices.is_empty() => {}
        None => body.put("candidates", candidates),
    }
    let tier = response.service_tier.as_deref();
    if tier.is_some_and(|tier| wire::tier_to(tier).is_none()) {
        losses.ignored("service_tier", DIALECT);
    }
    body.put_some("usageMetadata", response.usage.as_ref().map(|usage| wire::usage_to(usage, tier)));
    let is_own = is_own(response);
    let model = response.model.as_deref().or((!is_own).then_some(asked.request.model.as_str()));
    body.put_some("modelVersion", model.filter(|model| is_own || !model.is_empty()));
    let id = response.id.as_deref().or((!is_own).then_some(asked.fallback_id.as_str()));
    body.put_some("responseId", id.filter(|id| is_own || !id.is_empty()));
    body.put_carried(&response.carry, DIALECT);
    Encoded { body: body.into(), losses }
}

/// Whether the answer was read from this dialect: then it is written as it was.
fn is_own(response: &Response) -> bool {
    let is_ours = |carry: &crate::ir::Carry| carry.loose().is_some_and(|(dialect, _)| dialect == DIALECT);
    let usage = response.usage.as_ref().and_then(|usage| usage.original.as_ref());
    is_ours(&response.carry)
        || usage.is_some_and(|original| original.dialect == DIALECT)
        || response.choices.iter().any(|choice| {
            let said = choice.finish.as_ref().is_some_and(|finish| finish.word_for(DIALECT).is_some());
            said || is_ours(&choice.carry)
        })
}

fn candidate(choice: &Choice, losses: &mut Losses) -> Value {
    let note = |key: &str| choice.carry.noted_as(DIALECT, key);
    let mut object = Object::new();
    let mut parts = Vec::with_capacity(choice.parts.len());
    let mut grounding = Grounding::default();
    let mut logprobs = Vec::new();
    for each in &choice.parts {
        if let Content::Text(Text { text, citations, logprobs: tokens }) = &each.content {
            grounding.add(citations, text, Some(parts.len()), 0);
            logprobs.extend(tokens);
        }
        match part(each) {
            Some(value) => parts.push(value),
            None => lose(&each.content, losses),
        }
    }
    if note("no_content").is_none() {
        let mut content = Object::new();
        if note("no_parts").is_none() {
            // An empty answer is said with an empty text.
            let is_own = choice.finish.as_ref().is_some_and(|finish| finish.word_for(DIALECT).is_some());
            if parts.is_empty() && !is_own {
                parts.push(json!({"text": ""}));
            }
            content.put("parts", parts);
        }
        match note("role") {
            None => content.put("role", "model"),
            Some(Value::Null) => {}
            Some(word) => content.put("role", word.clone()),
        }
        if let Some(rest) = as_map(note("content")) {
            content.put_defaults(rest);
        }
        object.put("content", content);
    }
    if let Some(finish) = &choice.finish {
        let has_refused =
            choice.parts.iter().any(|part| matches!(&part.content, Content::Refusal(words) if !words.is_empty()));
        let refused = has_refused.then(|| wire::refused(finish));
        wire::finish_to(refused.as_ref().unwrap_or(finish), &mut object);
    }
    if note("no_index").is_none() {
        object.put("index", choice.index);
    }
    object.put_carried(&choice.carry, DIALECT);
    let is_said = |key: &str| choice.carry.field(DIALECT, key).is_some();
    if !is_said("groundingMetadata") && !is_said("citationMetadata") {
        object.put_some("groundingMetadata", grounding.finish());
    }
    if !logprobs.is_empty() && !is_said("logprobsResult") {
        object.put("logprobsResult", wire::logprobs_to(logprobs.iter().copied()));
    }
    object.into()
}

/// Reports a part that has no form here.
pub(in crate::dialect::gemini) fn lose(content: &Content, losses: &mut Losses) {
    match content {
        Content::Opaque(opaque) => losses.ignored(opaque.type_name(), DIALECT),
        Content::Text(_)
        | Content::Refusal(_)
        | Content::Media(_)
        | Content::ToolCall(_)
        | Content::ToolResult(_)
        | Content::Reasoning(_) => losses.ignored("content", DIALECT),
    }
}

/// Writes a part of an answer, its seal as this dialect's callers send it back.
pub(in crate::dialect::gemini) fn part(part: &Part) -> Option<Value> {
    let signature = part.seal.as_ref().map(|seal| seal.text_for(Origin::Gemini, SealKind::Thought));
    part_to(part, signature, Minted::Written)
}
