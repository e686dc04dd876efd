//! The conversation as chat's `messages`.
//!
//! Two ways: [`own`] writes what came in this dialect as it came; [`foreign`] forms chat's turns out of what came in
//! another: one assistant message a turn with its thoughts left out, one tool message a result, and only then the user's
//! own words, since tool messages must follow the calls at once.

use serde_json::{Value, json};

use super::put_noted;
use crate::dialect::openai_chat::{DIALECT, wire};
use crate::dialect::{Object, Target, adapt};
use crate::ir::{
    CallKind, Content, Losses, Media, MediaKind, Message, Origin, Outcome, Part, Request, Role, Source, TextKind,
    ToolCall, ToolResult, mark,
};

/// Writes messages that came in this dialect.
pub(super) fn own(messages: &[Message]) -> Vec<Value> {
    messages.iter().map(own_message).collect()
}

fn own_message(message: &Message) -> Value {
    if let [Part { content: Content::Opaque(opaque), .. }] = message.parts.as_slice()
        && opaque.dialect == DIALECT
        && opaque.value.get("role").is_some()
    {
        return opaque.value.clone();
    }
    let mut object = Object::new().with("role", wire::role_to(message.role));
    object.put_some("name", message.name.clone());
    if let [Part { content: Content::ToolResult(result), .. }] = message.parts.as_slice() {
        object.put("tool_call_id", result.call_id.as_str());
        put_content(&mut object, message, &result.parts);
    } else {
        put_content(&mut object, message, &message.parts);
        put_thoughts(&mut object, &message.parts);
        put_calls(&mut object, &message.parts);
    }
    let is_thought_elsewhere = message.parts.iter().any(|part| part.seal.is_some());
    if let (true, Some(rest)) = (is_thought_elsewhere, message.carry.rest_for(DIALECT)) {
        // What another provider thought stands in plain text, too, and goes with its seal.
        let mut rest = rest.clone();
        rest.retain(|name, _| !matches!(name.as_str(), "reasoning_content" | "reasoning"));
        object.put_defaults(&rest);
    } else {
        object.put_carried(&message.carry, DIALECT);
    }
    object.into()
}

fn put_content(object: &mut Object, message: &Message, parts: &[Part]) {
    let content: Vec<Value> = parts.iter().filter_map(own_part).collect();
    let as_parts = message.carry.has_note(DIALECT, "content");
    match parts.iter().find_map(Part::as_text) {
        Some(text) if !as_parts => object.put("content", text),
        Some(_) | None if as_parts => object.put("content", content),
        Some(_) | None => {}
    }
    // A refusal beside the content, where answers have it.
    for part in parts {
        if let Content::Refusal(refusal) = &part.content
            && !part.carry.has_note(DIALECT, "in_content")
        {
            object.put("refusal", refusal.as_str());
        }
    }
}

fn own_part(part: &Part) -> Option<Value> {
    let mut object = match &part.content {
        Content::Text(text) => Object::typed("text").with("text", text.text.as_str()),
        Content::Refusal(refusal) if part.carry.has_note(DIALECT, "in_content") => {
            Object::typed("refusal").with("refusal", refusal.as_str())
        }
        Content::Media(media) => media_part(media, &part.carry)?,
        Content::Opaque(opaque) => {
            let own = opaque.for_dialect(DIALECT)?.as_object()?.clone();
            let mut object = Object::new();
            object.put_defaults(&own);
            object
        }
        Content::Refusal(_) | Content::ToolCall(_) | Content::ToolResult(_) | Content::Reasoning(_) => return None,
    };
    object.put_some("cache_control", part.cache.as_ref().and_then(|cache| cache.carry.rest_for(DIALECT).cloned()));
    object.put_carried(&part.carry, DIALECT);
    Some(object.into())
}

/// Writes a medium; `None` if chat has no form for such a source.
fn media_part(media: &Media, carry: &crate::ir::Carry) -> Option<Object> {
    let (kind, mut inner) = match (media.kind, &media.source) {
        (MediaKind::Image, Source::Url { url, .. }) => ("image_url", Object::new().with("url", url.as_str())),
        (MediaKind::Image, Source::Base64 { mime, data }) => {
            ("image_url", Object::new().with("url", format!("data:{mime};base64,{data}")))
        }
        (MediaKind::Audio, Source::Base64 { mime, data }) => {
            let format = match mime.strip_prefix("audio/").unwrap_or(mime) {
                "mpeg" => "mp3",
                "x-wav" | "wave" => "wav",
                other => other,
            };
            ("input_audio", Object::new().with("data", data.as_str()).with("format", format))
        }
        (MediaKind::Document, Source::Base64 { mime, data }) => {
            let data = if mime.is_empty() { data.clone() } else { format!("data:{mime};base64,{data}") };
            ("file", Object::new().with_some("filename", media.name.clone()).with("file_data", data))
        }
        (MediaKind::Document, Source::Url { url, .. })
            if url.starts_with("data:") || carry.has_note(DIALECT, "address") =>
        {
            ("file", Object::new().with_some("filename", media.name.clone()).with("file_data", url.as_str()))
        }
        (MediaKind::Document, Source::FileId { origin: Origin::OpenAi, id }) => {
            ("file", Object::new().with_some("filename", media.name.clone()).with("file_id", id.as_str()))
        }
        (MediaKind::Document, Source::Text { text }) => return Some(Object::typed("text").with("text", text.as_str())),
        (
            MediaKind::Image | MediaKind::Audio | MediaKind::Video | MediaKind::Document,
            Source::Url { .. } | Source::Base64 { .. } | Source::FileId { .. } | Source::Text { .. },
        ) => return None,
    };
    if media.kind == MediaKind::Image {
        inner.put_some("detail", media.detail.clone());
    }
    put_noted(&mut inner, carry, "inner");
    Some(Object::typed(kind).with(kind, inner))
}

fn put_thoughts(object: &mut Object, parts: &[Part]) {
    let mut details = Vec::new();
    for part in parts {
        let Content::Reasoning(reasoning) = &part.content else { continue };
        match part.carry.noted_as(DIALECT, "field").and_then(Value::as_str) {
            Some("reasoning_details") | None => {
                let mut entry = Object::new();
                entry.put_some("type", part.carry.noted_as(DIALECT, "type").cloned());
                for text in &reasoning.texts {
                    let key = match text.kind {
                        TextKind::Full => "text",
                        TextKind::Summary => "summary",
                    };
                    entry.put(key, text.text.as_str());
                }
                entry.put_some("id", reasoning.id.clone());
                // Only our own seals were taken out, and they mean nothing to a server of this dialect.
                entry.put_carried(&part.carry, DIALECT);
                if part.seal.is_none() {
                    details.push(Value::from(entry));
                }
            }
            Some(field) => object.put(field, reasoning.joined()),
        }
    }
    if !details.is_empty() {
        object.put("reasoning_details", details);
    }
}

fn put_calls(object: &mut Object, parts: &[Part]) {
    let calls: Vec<Value> = parts
        .iter()
        .filter_map(|part| {
            let Content::ToolCall(call) = &part.content else { return None };
            let kind = wire::kind_to(call.kind);
            let mut inner = call_fields(call, &call.name);
            put_noted(&mut inner, &part.carry, "call");
            let object = Object::new().with("id", call.id.as_str()).with("type", kind).with(kind, inner);
            Some(object.carrying(&part.carry, DIALECT).into())
        })
        .collect();
    if !calls.is_empty() {
        object.put("tool_calls", calls);
    }
}

/// Writes a call's inner object.
pub(super) fn call_fields(call: &ToolCall, name: &str) -> Object {
    match call.kind {
        CallKind::Function => Object::new().with("name", name).with("arguments", call.arguments.as_str()),
        CallKind::Custom => Object::new().with("name", name).with("input", call.arguments.as_str()),
    }
}

/// What writing a foreign conversation needs.
struct Writer<'a> {
    target: &'a Target,
    names: &'a mut adapt::ToolNames,
    losses: &'a mut Losses,
    out: Vec<Value>,
}

/// Forms chat's messages out of a conversation of another dialect.
pub(super) fn foreign(
    request: &Request,
    target: &Target,
    names: &mut adapt::ToolNames,
    losses: &mut Losses,
) -> Vec<Value> {
    let mut writer = Writer { target, names, losses, out: Vec::with_capacity(request.messages.len() + 1) };
    if let Some(instructions) = &request.instructions {
        writer.words(instructions, "system");
    }
    let turns = adapt::turns_in_pairs(&request.messages, writer.losses);
    let turns = adapt::results_first(turns, writer.losses);
    for turn in &turns {
        match turn.side {
            Role::System | Role::Developer => {
                for (index, message) in &turn.messages {
                    writer.words(message, format_args!("messages[{index}]"));
                }
            }
            Role::User | Role::Tool => writer.user(turn),
            Role::Assistant => writer.assistant(turn),
        }
    }
    let is_prefill = turns.last().is_some_and(|turn| turn.side == Role::Assistant);
    if is_prefill && !target.can.prefill {
        let field = format!("messages[{}]", request.messages.len().saturating_sub(1));
        writer.losses.approximated(field, "is answered by this model, not continued");
    }
    writer.out
}

impl Writer<'_> {
    /// Instructions: text only.
    fn words(&mut self, message: &Message, field: impl std::fmt::Display) {
        let mut texts = Vec::new();
        for (place, part) in message.parts.iter().enumerate() {
            let here = || format!("{field}.content[{place}]");
            self.report(part, message.role, here);
            adapt::refuse_in_instructions(part, here, DIALECT, self.losses);
            texts.extend(
                part.as_text().filter(|text| !text.is_empty()).map(|text| json!({"type": "text", "text": text})),
            );
        }
        let role = match message.role {
            Role::Developer => "developer",
            Role::System | Role::User | Role::Assistant | Role::Tool => "system",
        };
        if let Some(content) = shortest(texts) {
            self.out.push(Object::new().with("role", role).with("content", content).into());
        }
    }

    /// Tool results first, then what the user says, media out of results included.
    fn user(&mut self, turn: &adapt::Turn<'_>) {
        let mut said = Vec::new();
        let mut shown = Vec::new();
        for (message, place, part) in turn.parts() {
            let field = || format!("messages[{message}].content[{place}]");
            if let Content::ToolResult(result) = &part.content {
                if part.cache.is_some() {
                    self.losses.ignored("cache_control", DIALECT);
                }
                self.result(result, &mut shown, field);
            } else {
                self.report(part, Role::User, field);
                said.extend(self.content(part, field));
            }
        }
        shown.append(&mut said);
        if let Some(content) = shortest(shown) {
            let name = match turn.messages.as_slice() {
                [(_, one)] => one.name.clone(),
                _ => None,
            };
            self.out.push(Object::new().with("role", "user").with_some("name", name).with("content", content).into());
        }
    }

    fn result(&mut self, result: &ToolResult, shown: &mut Vec<Value>, field: impl Fn() -> String) {
        let mut texts = Vec::new();
        let mut media = Vec::new();
        for part in &result.parts {
            match &part.content {
                Content::Text(text) => texts.push(text.text.as_str()),
                Content::Media(_) => media.extend(self.content(part, &field)),
                Content::Refusal(_)
                | Content::ToolCall(_)
                | Content::ToolResult(_)
                | Content::Reasoning(_)
                | Content::Opaque(_) => {
                    self.report(part, Role::Tool, &field);
                }
            }
        }
        let id = mark::portable_id(&result.call_id);
        let mut text = texts.join("\n");
        if result.outcome == Outcome::Failure {
            // Chat has no field for it, but models should know.
            text.insert_str(0, "Error: ");
        }
        if !media.is_empty() {
            self.losses.approximated(field(), "holds media, which chat takes from users only: they follow the results");
            if text.is_empty() {
                "See the attachment in the next message.".clone_into(&mut text);
            }
            shown.push(json!({"type": "text", "text": format!("Attached to the result of tool call {id}:")}));
            shown.append(&mut media);
        }
        self.out.push(Object::new().with("role", "tool").with("tool_call_id", id).with("content", text).into());
    }

    /// One message for the whole turn: text, refusal, calls. Thoughts have no place in a request.
    fn assistant(&mut self, turn: &adapt::Turn<'_>) {
        let mut texts = Vec::new();
        let mut refusal: Option<String> = None;
        let mut calls = Vec::new();
        for (message, place, part) in turn.parts() {
            let field = || format!("messages[{message}].content[{place}]");
            self.report(part, Role::Assistant, field);
            match &part.content {
                Content::Text(text) if !text.text.is_empty() => {
                    texts.push(json!({"type": "text", "text": text.text}));
                }
                Content::Refusal(words) => refusal.get_or_insert_default().push_str(words),
                Content::ToolCall(call) => calls.push(self.call(call)),
                Content::Media(_) => self.losses.ignored(field(), DIALECT),
                Content::Text(_) | Content::ToolResult(_) | Content::Reasoning(_) | Content::Opaque(_) => {}
            }
        }
        let content = shortest(texts);
        if content.is_none() && refusal.is_none() && calls.is_empty() {
            return;
        }
        let mut object = Object::new().with("role", "assistant").with("content", content.unwrap_or(Value::Null));
        object.put_some("refusal", refusal);
        if !calls.is_empty() {
            object.put("tool_calls", calls);
        }
        self.out.push(object.into());
    }

    fn call(&mut self, call: &ToolCall) -> Value {
        let id = mark::portable_id(&call.id);
        let name = self.names.wire(&call.name);
        if call.kind == CallKind::Custom && self.target.can.custom_tools {
            return json!({"id": id, "type": "custom", "custom": {"name": name, "input": call.arguments}});
        }
        let arguments = adapt::arguments_as_json(call.kind, &call.arguments);
        json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
    }

    /// A part of what the user says.
    fn content(&mut self, part: &Part, field: impl Fn() -> String) -> Option<Value> {
        match &part.content {
            Content::Text(text) if text.text.is_empty() => None,
            Content::Text(text) => Some(json!({"type": "text", "text": text.text})),
            Content::Refusal(text) => Some(json!({"type": "text", "text": text})),
            Content::Media(media) => {
                if !adapt::takes_media(media.kind, &field, self.target, self.losses) {
                    return None;
                }
                if matches!(media.source, Source::Text { .. }) {
                    // It is told as text.
                    adapt::lose_name(media, &field, DIALECT, self.losses);
                }
                let media = adapt::plainly_typed(media);
                let named = Media { name: adapt::openai::file_name(&media), ..media };
                let Some(object) = media_part(&named, &part.carry) else {
                    self.losses.refused(field(), "is a medium in a form that chat completions do not take");
                    return None;
                };
                Some(object.into())
            }
            Content::ToolCall(_) | Content::ToolResult(_) | Content::Reasoning(_) | Content::Opaque(_) => None,
        }
    }

    /// Reports what a part says beyond its content.
    fn report(&mut self, part: &Part, role: Role, field: impl Fn() -> String) {
        if part.cache.is_some() {
            self.losses.ignored("cache_control", DIALECT);
        }
        match &part.content {
            Content::Reasoning(_) => self.losses.ignored("reasoning", DIALECT),
            Content::Opaque(opaque) => adapt::lose_opaque(opaque, role, field(), DIALECT, self.losses),
            Content::Text(_)
            | Content::Refusal(_)
            | Content::Media(_)
            | Content::ToolCall(_)
            | Content::ToolResult(_) => {}
        }
    }
}

/// A string if it is one text, a list if it is more, nothing if it is nothing.
fn shortest(mut parts: Vec<Value>) -> Option<Value> {
    match parts.as_mut_slice() {
        [] => None,
        [one] if one.get("type").and_then(Value::as_str) == Some("text") => Some(one["text"].take()),
        _ => Some(Value::Array(parts)),
    }
}
