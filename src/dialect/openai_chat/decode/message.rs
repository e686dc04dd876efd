//! A message and its parts, as requests and answers have them alike.

use serde_json::{Map, Value};

use super::{cache_hint, note_rest};
use crate::dialect::openai_chat::{DIALECT, wire};
use crate::dialect::{Fields, Path};
use crate::fault::Fault;
use crate::ir::{
    CallKind, Carry, Content, Media, MediaKind, Message, Origin, Outcome, Part, Reasoning, Role, Seal, SealKind,
    Source, Text, TextKind, ToolCall, ToolResult,
};

pub(super) fn message(value: Value, path: Path<'_>) -> Result<Message, Fault> {
    let mut fields = Fields::of(value, path)?;
    let word = fields.required_string("role")?;
    let Some(role) = wire::role_from(&word) else {
        // The deprecated `function` role, or one that is newer than this code.
        let mut whole = Map::from_iter([("role".to_owned(), Value::from(word))]);
        whole.extend(fields.rest());
        return Ok(Message::new(Role::User, vec![Part::opaque(DIALECT, whole.into())]));
    };
    let name = fields.string("name")?;
    let mut notes = Carry::NONE;
    let mut parts = Vec::new();
    match role {
        Role::Assistant => assistant(&mut fields, &mut parts, &mut notes)?,
        Role::System | Role::Developer | Role::User => content(&mut fields, &mut parts, &mut notes)?,
        Role::Tool => {
            let mut inner = Vec::new();
            content(&mut fields, &mut inner, &mut notes)?;
            let result = ToolResult {
                call_id: fields.required_string("tool_call_id")?,
                name: None,
                parts: inner,
                outcome: Outcome::Success,
                kind: CallKind::Function,
            };
            parts.push(Part::new(Content::ToolResult(result)));
        }
    }
    let mut carry = fields.carry(DIALECT);
    carry.merge(notes);
    Ok(Message { name, carry, ..Message::new(role, parts) })
}

/// Reads an assistant's message: thoughts, text, refusal, calls.
pub(super) fn assistant(fields: &mut Fields<'_>, parts: &mut Vec<Part>, notes: &mut Carry) -> Result<(), Fault> {
    thoughts(fields, parts)?;
    content(fields, parts, notes)?;
    if let Some(refusal) = fields.string("refusal")? {
        parts.push(Part::new(Content::Refusal(refusal)));
    }
    if let Some(calls) = fields.array("tool_calls")? {
        if calls.is_empty() {
            fields.put_back("tool_calls", Value::Array(Vec::new()));
        }
        let here = fields.path();
        let list = here.key("tool_calls");
        for (index, call) in calls.into_iter().enumerate() {
            parts.push(tool_call(call, list.index(index))?.at(index));
        }
    }
    Ok(())
}

/// Reads `reasoning_details`, else `reasoning_content` or `reasoning`. Where both are there, the plain text repeats the
/// details and is only carried.
fn thoughts(fields: &mut Fields<'_>, parts: &mut Vec<Part>) -> Result<(), Fault> {
    if let Some(Value::Array(details)) = fields.peek("reasoning_details")
        && !details.is_empty()
    {
        let here = fields.path();
        let list = here.key("reasoning_details");
        for (index, detail) in fields.array("reasoning_details")?.unwrap_or_default().into_iter().enumerate() {
            parts.push(reasoning_detail(Fields::of(detail, list.index(index))?)?.at(index));
        }
        return Ok(());
    }
    for key in ["reasoning_content", "reasoning"] {
        match fields.take(key) {
            Some(Value::String(text)) => {
                let carry = Carry::NONE.noted(DIALECT, "field", key);
                parts.push(Part::new(Content::Reasoning(Reasoning::of(TextKind::Full, text))).carrying(carry));
                return Ok(());
            }
            Some(other) => fields.put_back(key, other),
            None => {}
        }
    }
    Ok(())
}

/// Reads one entry of `reasoning_details`. Seals of our own making are opened; a server's own are carried, since only that
/// server can read them.
fn reasoning_detail(mut fields: Fields<'_>) -> Result<Part, Fault> {
    let kind = fields.string("type")?;
    let mut reasoning = Reasoning { id: fields.string("id")?, texts: Vec::new() };
    for (key, text_kind) in [("text", TextKind::Full), ("summary", TextKind::Summary)] {
        if let Some(text) = fields.string(key)? {
            reasoning.texts.push(crate::ir::ReasoningText { kind: text_kind, text });
        }
    }
    let mut seal = None;
    for key in ["signature", "data"] {
        if fields.peek_str(key).is_some_and(crate::ir::mark::is_minted) {
            let text = fields.string(key)?.unwrap_or_default();
            seal = Seal::read(Origin::OpenAi, SealKind::Encrypted, text);
        }
    }
    let mut carry = fields.carry(DIALECT).noted(DIALECT, "field", "reasoning_details");
    if let Some(kind) = kind {
        carry.note(DIALECT, "type", kind);
    }
    Ok(Part::new(Content::Reasoning(reasoning)).sealed(seal).carrying(carry))
}

fn tool_call(value: Value, path: Path<'_>) -> Result<Part, Fault> {
    let mut fields = Fields::of(value, path)?;
    let id = fields.required_string("id")?;
    // Some servers leave `type` out; all of those mean functions.
    let kind = match fields.string("type")?.as_deref() {
        None | Some("function") => CallKind::Function,
        Some("custom") => CallKind::Custom,
        Some(_) => return Err(fields.invalid("type", "\"function\" or \"custom\"")),
    };
    let key = wire::kind_to(kind);
    let mut inner = Fields::of(fields.required(key)?, path.key(key))?;
    let name = inner.required_string("name")?;
    let arguments = match kind {
        CallKind::Function => inner.string("arguments")?,
        CallKind::Custom => inner.string("input")?,
    };
    let mut carry = fields.carry(DIALECT);
    note_rest(&mut carry, "call", inner.rest());
    if arguments.as_ref().is_some_and(String::is_empty) {
        carry.note(DIALECT, "arguments", "empty");
    }
    let call = ToolCall { id, name, arguments: arguments.unwrap_or_default(), kind };
    Ok(Part::new(Content::ToolCall(call)).carrying(carry))
}

/// Reads `content`: a string, a list of parts, or null.
fn content(fields: &mut Fields<'_>, parts: &mut Vec<Part>, notes: &mut Carry) -> Result<(), Fault> {
    match fields.take("content") {
        None => {}
        Some(Value::String(text)) => parts.push(Part::text(text)),
        Some(Value::Array(list)) => {
            notes.note(DIALECT, "content", "parts");
            let here = fields.path();
            let path = here.key("content");
            for (index, value) in list.into_iter().enumerate() {
                parts.push(content_part(value, path.index(index))?.at(index));
            }
        }
        Some(Value::Bool(_) | Value::Number(_) | Value::Object(_) | Value::Null) => {
            return Err(fields.invalid("content", "a string or an array of parts"));
        }
    }
    Ok(())
}

fn content_part(value: Value, path: Path<'_>) -> Result<Part, Fault> {
    let mut fields = Fields::of(value, path)?;
    let cache = cache_hint(&mut fields);
    let kind = fields.required_string("type")?;
    let mut inner_rest = None;
    let mut notes = Carry::NONE;
    let content = match kind.as_str() {
        "text" => Content::Text(Text { text: fields.required_string("text")?, ..Text::default() }),
        "refusal" => {
            notes.note(DIALECT, "in_content", true);
            Content::Refusal(fields.required_string("refusal")?)
        }
        "image_url" => {
            let mut inner = Fields::of(fields.required("image_url")?, path.key("image_url"))?;
            let source = Source::from_url(inner.required_string("url")?);
            let detail = inner.string("detail")?;
            inner_rest = Some(inner.rest());
            Content::Media(Media { kind: MediaKind::Image, source, detail, name: None })
        }
        "input_audio" => {
            let mut inner = Fields::of(fields.required("input_audio")?, path.key("input_audio"))?;
            let mime = format!("audio/{}", inner.required_string("format")?);
            let source = Source::Base64 { mime, data: inner.required_string("data")? };
            inner_rest = Some(inner.rest());
            Content::Media(Media { kind: MediaKind::Audio, source, detail: None, name: None })
        }
        "file" => {
            let mut inner = Fields::of(fields.required("file")?, path.key("file"))?;
            let name = inner.string("filename")?;
            let source = match (inner.string("file_id")?, inner.string("file_data")?) {
                (Some(id), data) => {
                    if let Some(data) = data {
                        inner.put_back("file_data", data.into());
                    }
                    Source::FileId { origin: Origin::OpenAi, id }
                }
                (None, Some(data)) => {
                    let source = file_data(data);
                    if matches!(&source, Source::Url { url, .. } if !url.starts_with("data:")) {
                        notes.note(DIALECT, "address", true);
                    }
                    source
                }
                (None, None) => return Err(inner.missing("file_data")),
            };
            inner_rest = Some(inner.rest());
            Content::Media(Media { kind: MediaKind::Document, source, detail: None, name })
        }
        _ => {
            let mut whole = Map::from_iter([("type".to_owned(), Value::from(kind))]);
            whole.extend(fields.rest());
            return Ok(Part { cache, ..Part::opaque(DIALECT, whole.into()) });
        }
    };
    let mut carry = fields.carry(DIALECT);
    carry.merge(notes);
    if let Some(rest) = inner_rest {
        note_rest(&mut carry, "inner", rest);
    }
    Ok(Part { cache, ..Part::new(content).carrying(carry) })
}

/// A file's bytes: a data URL by OpenAI's reference; bare base64 is taken for the same without a type. Some callers give an
/// address, which OpenAI does not fetch and others do.
fn file_data(data: String) -> Source {
    if data.starts_with("data:") || data.starts_with("http") {
        Source::from_url(data)
    } else {
        Source::Base64 { mime: String::new(), data }
    }
}
