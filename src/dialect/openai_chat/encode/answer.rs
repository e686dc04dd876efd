//! A whole answer as a chat completion.

use serde_json::{Map, Value, json};

use super::messages::call_fields;
use crate::dialect::openai_chat::{DIALECT, wire};
use crate::dialect::{Asked, Encoded, Object};
use crate::ir::{Attach, CallKind, Choice, Content, Losses, Part, Reasoning, Response, Seal, Source, TextKind};

/// Writes an answer.
pub(in crate::dialect::openai_chat) fn response(response: &Response, asked: &Asked) -> Encoded {
    let mut losses = Losses::new();
    let choices: Vec<Value> = response.choices.iter().map(|choice| choice_to(choice, &mut losses)).collect();
    let id = response.id.as_deref().unwrap_or(&asked.fallback_id);
    let model = response.model.as_deref().unwrap_or(&asked.request.model);
    let mut body = Object::new()
        .with("id", id)
        .with("object", "chat.completion")
        .with("created", response.created.unwrap_or(asked.now_s))
        .with("model", model)
        .with("choices", choices)
        .with_some("usage", response.usage.as_ref().map(wire::usage_to))
        .with_some("service_tier", response.service_tier.clone());
    body.put_carried(&response.carry, DIALECT);
    Encoded { body: body.into(), losses }
}

fn choice_to(choice: &Choice, losses: &mut Losses) -> Value {
    let mut message = Object::new().with("role", "assistant");
    put_message(&mut message, choice, losses);
    if let Some(Value::Object(rest)) = choice.carry.noted_as(DIALECT, "message") {
        message.put_defaults(rest);
    }
    if !is_own(choice) {
        message.put_default("content", Value::Null);
        message.put_default("refusal", Value::Null);
    }
    let mut object = Object::new().with("index", choice.index).with("message", message);
    put_logprobs(&mut object, choice);
    if let Some(finish) = &choice.finish {
        let (word, native) = wire::finish_to(finish);
        object.put("finish_reason", word);
        object.put_some("native_finish_reason", native);
        object.put_some("stop_reason", finish.stop_sequence.clone());
    }
    object.put_carried(&choice.carry, DIALECT);
    if !is_own(choice) {
        object.put_default("logprobs", Value::Null);
    }
    object.into()
}

/// Whether the choice was read from this dialect: then it is written as it was.
fn is_own(choice: &Choice) -> bool {
    choice.finish.as_ref().is_some_and(|finish| finish.word_for(DIALECT).is_some())
        || choice.carry.loose().is_some_and(|(dialect, _)| dialect == DIALECT)
}

fn put_message(message: &mut Object, choice: &Choice, losses: &mut Losses) {
    let mut content: Option<String> = None;
    // How long that is, in characters.
    let mut said = 0;
    let mut refusal: Option<String> = None;
    let mut annotations = Vec::new();
    let mut thoughts: Option<(String, &str)> = None;
    let mut details = Vec::new();
    let mut calls = Vec::new();
    let mut images = Vec::new();
    for part in &choice.parts {
        match &part.content {
            Content::Text(text) => {
                let len = characters(&text.text);
                let cited = text.citations.iter();
                let told: Vec<Value> = cited.filter_map(|citation| wire::citation_to(citation, said, len)).collect();
                if told.len() < text.citations.len() {
                    losses.ignored("annotations", DIALECT);
                }
                annotations.extend(told);
                content.get_or_insert_default().push_str(&text.text);
                said = said.saturating_add(len);
            }
            Content::Refusal(words) => refusal.get_or_insert_default().push_str(words),
            Content::ToolCall(call) => {
                let kind = wire::kind_to(call.kind);
                let mut inner = call_fields(call, &call.name);
                let was_empty = part.carry.has_note(DIALECT, "arguments");
                if call.arguments.is_empty() && call.kind == CallKind::Function && !was_empty {
                    // Callers read the text as JSON.
                    inner.put("arguments", "{}");
                }
                super::put_noted(&mut inner, &part.carry, "call");
                let object = Object::new().with("id", call.id.as_str()).with("type", kind).with(kind, inner);
                calls.push(Value::from(object.carrying(&part.carry, DIALECT)));
            }
            Content::Reasoning(reasoning) => {
                let field = part.carry.noted_as(DIALECT, "field").and_then(Value::as_str);
                if field != Some("reasoning_details") && !reasoning.texts.is_empty() {
                    let (all, _) = thoughts.get_or_insert((String::new(), field.unwrap_or("reasoning_content")));
                    if !all.is_empty() {
                        all.push_str("\n\n");
                    }
                    all.push_str(&reasoning.joined());
                }
            }
            Content::Media(media) => match &media.source {
                Source::Base64 { mime, data } => {
                    let url = format!("data:{mime};base64,{data}");
                    images.push(json!({"type": "image_url", "image_url": {"url": url}}));
                }
                Source::Url { url, .. } => images.push(json!({"type": "image_url", "image_url": {"url": url}})),
                Source::FileId { .. } | Source::Text { .. } => losses.ignored("content", DIALECT),
            },
            Content::ToolResult(_) => losses.ignored("content", DIALECT),
            Content::Opaque(opaque) => losses.ignored(opaque.type_name(), DIALECT),
        }
        if let Some(detail) = own_detail(part).or_else(|| reasoning_detail(part, details.len())) {
            details.push(detail);
        }
    }
    message.put_some("content", content);
    message.put_some("refusal", refusal);
    if let Some((text, field)) = thoughts {
        message.put(field, text);
    }
    let lists =
        [("reasoning_details", details), ("tool_calls", calls), ("annotations", annotations), ("images", images)];
    for (key, list) in lists {
        if !list.is_empty() {
            message.put(key, list);
        }
    }
}

fn characters(text: &str) -> u64 {
    u64::try_from(text.chars().count()).unwrap_or(u64::MAX)
}

fn put_logprobs(object: &mut Object, choice: &Choice) {
    let all: Vec<_> = choice
        .parts
        .iter()
        .filter_map(|part| match &part.content {
            Content::Text(text) => Some(text.logprobs.as_slice()),
            Content::Refusal(_)
            | Content::Media(_)
            | Content::ToolCall(_)
            | Content::ToolResult(_)
            | Content::Reasoning(_)
            | Content::Opaque(_) => None,
        })
        .flatten()
        .cloned()
        .collect();
    if all.is_empty() {
        return;
    }
    let mut logprobs = Object::new().with("content", wire::logprobs_to(&all));
    match choice.carry.noted_as(DIALECT, "logprobs") {
        Some(Value::Object(rest)) => logprobs.put_defaults(rest),
        Some(_) | None => logprobs.put("refusal", Value::Null),
    }
    object.put("logprobs", logprobs);
}

/// An entry of `reasoning_details` that came in this dialect, as it was.
fn own_detail(part: &Part) -> Option<Value> {
    let Content::Reasoning(reasoning) = &part.content else { return None };
    if part.carry.noted_as(DIALECT, "field").and_then(Value::as_str) != Some("reasoning_details") {
        return None;
    }
    let mut entry = Object::new();
    entry.put_some("type", part.carry.noted_as(DIALECT, "type").cloned());
    put_texts(&mut entry, reasoning);
    entry.put_some("id", reasoning.id.clone());
    entry.put_carried(&part.carry, DIALECT);
    Some(entry.into())
}

/// The entry of `reasoning_details` that carries a part's seal through this dialect, if it has one: thoughts with their
/// text, anything else alone.
pub(in crate::dialect::openai_chat) fn reasoning_detail(part: &Part, index: usize) -> Option<Value> {
    let seal = part.seal.as_ref()?;
    let mut entry = Map::new();
    match &part.content {
        Content::Reasoning(reasoning) if !reasoning.texts.is_empty() => {
            let is_summary = reasoning.texts.iter().any(|text| text.kind == TextKind::Summary);
            entry.insert("type".to_owned(), if is_summary { "reasoning.summary" } else { "reasoning.text" }.into());
            let key = if is_summary { "summary" } else { "text" };
            entry.insert(key.to_owned(), reasoning.joined().into());
            entry.insert("signature".to_owned(), capsule(seal, Attach::Own).into());
            entry.extend(reasoning.id.clone().map(|id| ("id".to_owned(), Value::from(id))));
        }
        Content::ToolCall(call) => {
            // The attachment names the id as the caller will send it back.
            entry.insert("type".to_owned(), "reasoning.encrypted".into());
            entry.insert("data".to_owned(), capsule(seal, Attach::Call(call.id.clone())).into());
            entry.insert("id".to_owned(), call.id.as_str().into());
        }
        Content::Reasoning(_) => {
            entry.insert("type".to_owned(), "reasoning.encrypted".into());
            entry.insert("data".to_owned(), capsule(seal, Attach::Own).into());
        }
        Content::Text(_) | Content::Refusal(_) | Content::Media(_) | Content::ToolResult(_) | Content::Opaque(_) => {
            entry.insert("type".to_owned(), "reasoning.encrypted".into());
            entry.insert("data".to_owned(), capsule(seal, Attach::Text).into());
        }
    }
    entry.insert("index".to_owned(), index.into());
    Some(Value::Object(entry))
}

/// Chat has no signatures of its own, so that even OpenAI's travel in a capsule.
fn capsule(seal: &Seal, attach: Attach) -> String {
    seal.attached(attach).capsule()
}

fn put_texts(entry: &mut Object, reasoning: &Reasoning) {
    for text in &reasoning.texts {
        let key = match text.kind {
            TextKind::Full => "text",
            TextKind::Summary => "summary",
        };
        entry.put(key, text.text.as_str());
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::ir::{Origin, SealKind, ToolCall};

    #[test]
    fn a_seal_on_a_call_travels_in_reasoning_details_and_names_the_call() {
        let call = ToolCall {
            id: "call_1".to_owned(),
            name: "f".to_owned(),
            arguments: "{}".to_owned(),
            kind: CallKind::Function,
        };
        let seal = Seal::new(Origin::Gemini, SealKind::Thought, "c2ln");
        let part = Part::new(Content::ToolCall(call)).sealed(Some(seal.clone()));
        let detail = reasoning_detail(&part, 0).unwrap();
        let data = detail["data"].as_str().unwrap().to_owned();
        let read = Seal::read(Origin::OpenAi, SealKind::Encrypted, data).unwrap();
        assert_eq!(read, seal.attached(Attach::Call("call_1".to_owned())));
    }
}
