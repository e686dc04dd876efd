//! A provider's whole answer.

use serde_json::Value;

use super::message::assistant;
use super::note_rest;
use crate::dialect::openai_chat::{DIALECT, wire};
use crate::dialect::{Fields, Path};
use crate::fault::Fault;
use crate::ir::{Carry, Choice, Content, Part, Response, Text};

/// Reads a whole answer.
pub(in crate::dialect::openai_chat) fn response(body: Value) -> Result<Response, Fault> {
    let mut fields = Fields::of(body, Path::ROOT)?;
    if fields.peek_str("object") == Some("chat.completion") {
        fields.take("object");
    }
    let mut choices = Vec::new();
    let list = Path::ROOT.key("choices");
    for (index, value) in fields.array("choices")?.ok_or_else(|| list.missing())?.into_iter().enumerate() {
        choices.push(choice(Fields::of(value, list.index(index))?, index)?);
    }
    Ok(Response {
        id: fields.string("id")?,
        model: fields.string("model")?,
        created: fields.count("created")?,
        choices,
        usage: fields.take("usage").map(wire::usage_from),
        service_tier: fields.string("service_tier")?,
        error: None,
        carry: fields.carry(DIALECT),
    })
}

fn choice(mut fields: Fields<'_>, place: usize) -> Result<Choice, Fault> {
    let index = match fields.count("index")? {
        Some(index) => u32::try_from(index).map_err(|_| fields.invalid("index", "a small number"))?,
        None => u32::try_from(place).unwrap_or(u32::MAX),
    };
    let here = fields.path();
    let mut message = Fields::of(fields.required("message")?, here.key("message"))?;
    if message.peek_str("role") == Some("assistant") {
        message.take("role");
    }
    let mut parts = Vec::new();
    let mut notes = Carry::NONE;
    assistant(&mut message, &mut parts, &mut notes)?;
    annotate(&mut message, &mut parts);
    note_rest(&mut notes, "message", message.rest());
    probabilities(&mut fields, &mut parts, &mut notes);
    let finish = fields.string("finish_reason")?.map(wire::finish_from);
    let mut carry = fields.carry(DIALECT);
    carry.merge(notes);
    Ok(Choice { index, parts, finish, carry })
}

/// Puts the message's annotations on its text.
fn annotate(message: &mut Fields<'_>, parts: &mut [Part]) {
    let Some(text) = last_text(parts) else { return };
    match message.take("annotations") {
        Some(Value::Array(annotations)) if !annotations.is_empty() => {
            text.citations = annotations.into_iter().map(wire::citation_from).collect();
        }
        Some(other) => message.put_back("annotations", other),
        None => {}
    }
}

/// Puts the choice's log probabilities on its text, if they are of the form that is known here.
fn probabilities(choice: &mut Fields<'_>, parts: &mut [Part], notes: &mut Carry) {
    let Some(text) = last_text(parts) else { return };
    let Some(mut logprobs) = choice.take("logprobs") else { return };
    let known = match logprobs.get("content") {
        Some(Value::Array(entries)) if !entries.is_empty() => wire::logprobs_from(entries),
        Some(_) | None => None,
    };
    match (known, logprobs.as_object_mut()) {
        (Some(known), Some(map)) => {
            text.logprobs = known;
            map.shift_remove("content");
            notes.note(DIALECT, "logprobs", logprobs);
        }
        (Some(_) | None, _) => choice.put_back("logprobs", logprobs),
    }
}

fn last_text(parts: &mut [Part]) -> Option<&mut Text> {
    parts.iter_mut().rev().find_map(|part| match &mut part.content {
        Content::Text(text) => Some(text),
        Content::Refusal(_)
        | Content::Media(_)
        | Content::ToolCall(_)
        | Content::ToolResult(_)
        | Content::Reasoning(_)
        | Content::Opaque(_) => None,
    })
}
