//! A conversation that came in this dialect, written as it came, but for what was minted here: another vendor's seals, and
//! ids that OpenAI never gave.

use serde_json::Value;

use super::node::{call_item, content_part, put_own, reasoning_item};
use crate::dialect::openai_responses::{DIALECT, wire};
use crate::dialect::{Object, Target};
use crate::ir::{CallKind, Content, Losses, Media, Message, Part, Reasoning, Request, Source, ToolResult, mark};

/// Writes `input`. `None`: there was none.
pub(super) fn input(request: &Request, target: &Target, losses: &mut Losses) -> Option<Value> {
    let form = request.carry.noted_as(DIALECT, "input").and_then(Value::as_str);
    match (form, request.messages.as_slice()) {
        (Some("absent"), []) => return None,
        (Some("string"), [Message { parts, .. }]) => {
            if let [part] = parts.as_slice() {
                return part.as_text().map(Value::from);
            }
        }
        (Some(_) | None, _) => {}
    }
    let mut additional = additional(request);
    let mut items = Vec::with_capacity(request.messages.len() + additional.len());
    additional.reverse();
    for (index, message) in request.messages.iter().enumerate() {
        while additional.last().is_some_and(|(place, _)| *place <= index) {
            items.extend(additional.pop().map(|(_, item)| item));
        }
        items.extend(item(message, target, losses));
    }
    items.extend(additional.into_iter().rev().map(|(_, item)| item));
    Some(items.into())
}

/// Tools that were offered in the middle: before which message, and the item.
fn additional(request: &Request) -> Vec<(usize, Value)> {
    let Some(Value::Array(noted)) = request.carry.noted_as(DIALECT, "additional_tools") else { return Vec::new() };
    let place = |pair: &Value| usize::try_from(pair.get(0)?.as_u64()?).ok();
    noted.iter().filter_map(|pair| Some((place(pair)?, pair.get(1)?.clone()))).collect()
}

fn item(message: &Message, target: &Target, losses: &mut Losses) -> Option<Value> {
    if message.parts.iter().any(|part| is_strange(part, target)) {
        losses.ignored("reasoning", DIALECT);
    }
    if message.carry.has_note(DIALECT, "own") {
        return Some(message_item(message));
    }
    let [part] = message.parts.as_slice() else { return None };
    match &part.content {
        Content::Opaque(opaque) => opaque.for_dialect(DIALECT).cloned(),
        Content::ToolResult(result) => Some(result_item(part, result)),
        Content::ToolCall(call) => {
            let mut object = call_item(part, call, None, &call.name);
            put_own(&mut object, &part.carry);
            Some(object.into())
        }
        Content::Reasoning(reasoning) => thoughts(part, reasoning, target, losses),
        Content::Media(media) => image(part, media),
        // A text that only stood for a seal.
        Content::Text(_) | Content::Refusal(_) => None,
    }
}

/// Whether it bears a seal that another vendor made.
fn is_strange(part: &Part, target: &Target) -> bool {
    part.seal.as_ref().is_some_and(|seal| seal.for_origin(target.origin).is_none())
}

fn message_item(message: &Message) -> Value {
    let mut object = Object::new();
    if !message.carry.has_note(DIALECT, "easy") {
        object.put("type", "message");
    }
    object.put("role", wire::role_to(message.role));
    object.put("content", texts_or_parts(&message.parts, message.carry.has_note(DIALECT, "content")));
    put_own(&mut object, &message.carry);
    object.into()
}

fn texts_or_parts(parts: &[Part], as_string: bool) -> Value {
    match parts {
        [one] if as_string => Value::from(one.as_text().unwrap_or_default()),
        parts => parts.iter().filter_map(content_part).collect(),
    }
}

fn result_item(part: &Part, result: &ToolResult) -> Value {
    let kind = match result.kind {
        CallKind::Function => "function_call_output",
        CallKind::Custom => "custom_tool_call_output",
    };
    let output = texts_or_parts(&result.parts, part.carry.has_note(DIALECT, "output"));
    let mut object = Object::typed(kind).with("call_id", result.call_id.as_str()).with("output", output);
    put_own(&mut object, &part.carry);
    object.into()
}

fn thoughts(part: &Part, reasoning: &Reasoning, target: &Target, losses: &mut Losses) -> Option<Value> {
    let minted_id = reasoning.id.as_deref().is_some_and(|id| id.contains(mark::MARK));
    let data = part.seal.as_ref().and_then(|seal| seal.for_origin(target.origin));
    // Another vendor's thoughts: OpenAI takes only its own.
    if data.is_none() && (minted_id || part.carry.has_note(DIALECT, "minted")) {
        losses.ignored("reasoning", DIALECT);
        return None;
    }
    let mut object = reasoning_item(part, reasoning, data.map(str::to_owned));
    if let Some(seal) = &part.seal {
        object.put_some("id", seal.item.clone());
    }
    if !minted_id && !object.has("id") {
        object.put_some("id", reasoning.id.clone());
    }
    put_own(&mut object, &part.carry);
    Some(object.into())
}

fn image(part: &Part, media: &Media) -> Option<Value> {
    let Source::Base64 { data, .. } = &media.source else { return None };
    let mut object = Object::typed("image_generation_call").with("result", data.as_str());
    put_own(&mut object, &part.carry);
    Some(object.into())
}
