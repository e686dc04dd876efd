//! Items of a conversation and the nodes in them, as requests, answers and streams have them alike.

use serde_json::{Map, Value};

use crate::dialect::openai_responses::{DIALECT, namespace, wire};
use crate::dialect::{Fields, Path};
use crate::fault::Fault;
use crate::ir::{
    CallKind, Carry, Citation, Content, Media, MediaKind, Message, Opaque, Origin, Outcome, Part, Reasoning,
    ReasoningText, Role, Seal, SealKind, Source, Text, TextKind, ToolCall, ToolResult, mark,
};

/// Reads an item of `input`: one message each.
pub(super) fn input_item(value: Value, path: Path<'_>) -> Result<Message, Fault> {
    let kind = match value.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Null) | None if value.get("role").is_some() => "message".to_owned(),
        // Nothing but an id refers to an item that the provider keeps.
        Some(Value::Null) | None if value.get("id").is_some() => return Ok(opaque(value)),
        Some(Value::Null) | None if value.is_object() => return Err(path.key("type").missing()),
        Some(_) | None => return Err(path.invalid("an object with a type")),
    };
    match kind.as_str() {
        "message" => message(Fields::of(value, path)?),
        "function_call_output" => result(Fields::of(value, path)?, CallKind::Function),
        "custom_tool_call_output" => result(Fields::of(value, path)?, CallKind::Custom),
        "function_call" | "custom_tool_call" | "reasoning" => said(node(value, &kind, path)?),
        "image_generation_call" if has_image(&value) => said(node(value, &kind, path)?),
        _ => Ok(opaque(value)),
    }
}

fn said(part: Part) -> Result<Message, Fault> {
    Ok(Message::new(Role::Assistant, vec![part]))
}

fn opaque(value: Value) -> Message {
    Message::new(wire::opaque_role(&value), vec![Part::opaque(DIALECT, value)])
}

pub(super) fn has_image(item: &Value) -> bool {
    item.get("result").and_then(Value::as_str).is_some_and(|image| !image.is_empty())
}

/// Reads an item that is one part: a call, thoughts, an image. `kind` is one of those that [`input_item`] knows as such.
pub(super) fn node(value: Value, kind: &str, path: Path<'_>) -> Result<Part, Fault> {
    let mut fields = Fields::of(value, path)?;
    fields.forget("type");
    match kind {
        "function_call" => call(fields, CallKind::Function),
        "custom_tool_call" => call(fields, CallKind::Custom),
        "reasoning" => reasoning(fields),
        _ => {
            let data = fields.required_string("result")?;
            let format = fields.peek_str("output_format").unwrap_or("png");
            let source = Source::Base64 { mime: format!("image/{format}"), data };
            let media = Media { kind: MediaKind::Image, source, detail: None, name: None };
            Ok(Part::new(Content::Media(media)).carrying(fields.carry(DIALECT).noted(DIALECT, "own", true)))
        }
    }
}

/// Whether a node was read from this dialect: then it is written as it was.
pub(in crate::dialect::openai_responses) fn is_own(carry: &Carry) -> bool {
    carry.loose().is_some_and(|(dialect, _)| dialect == DIALECT)
}

fn message(mut fields: Fields<'_>) -> Result<Message, Fault> {
    let mut notes = Carry::NONE;
    if fields.take("type").is_none() {
        notes.note(DIALECT, "easy", true);
    }
    let word = fields.required_string("role")?;
    let Some(role) = wire::role_from(&word) else {
        let mut whole = fields.rest();
        if notes.is_empty() {
            whole.insert("type".to_owned(), "message".into());
        }
        whole.insert("role".to_owned(), word.into());
        return Ok(opaque(whole.into()));
    };
    let parts = match fields.take("content") {
        Some(Value::String(text)) => {
            notes.note(DIALECT, "content", "string");
            vec![Part::text(text)]
        }
        Some(Value::Array(list)) => content(list, fields.path().key("content"))?,
        None => return Err(fields.missing("content")),
        Some(Value::Bool(_) | Value::Number(_) | Value::Object(_) | Value::Null) => {
            return Err(fields.invalid("content", "a string or an array of parts"));
        }
    };
    let mut carry = fields.carry(DIALECT).noted(DIALECT, "own", true);
    carry.merge(notes);
    Ok(Message { carry, ..Message::new(role, parts) })
}

fn content(list: Vec<Value>, path: Path<'_>) -> Result<Vec<Part>, Fault> {
    let parts = list.into_iter().enumerate();
    parts.map(|(index, value)| Ok(content_part(value, path.index(index))?.at(index))).collect()
}

fn result(mut fields: Fields<'_>, kind: CallKind) -> Result<Message, Fault> {
    fields.forget("type");
    let call_id = fields.required_string("call_id")?;
    let mut notes = Carry::NONE.noted(DIALECT, "own", true);
    let parts = match fields.required("output")? {
        Value::String(text) => {
            notes.note(DIALECT, "output", "string");
            vec![Part::text(text)]
        }
        Value::Array(list) => content(list, fields.path().key("output"))?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            return Err(fields.invalid("output", "a string or an array of parts"));
        }
    };
    let result = ToolResult { call_id, name: None, parts, outcome: Outcome::Success, kind };
    let mut carry = fields.carry(DIALECT);
    carry.merge(notes);
    Ok(Message::new(Role::Tool, vec![Part::new(Content::ToolResult(result)).carrying(carry)]))
}

fn call(mut fields: Fields<'_>, kind: CallKind) -> Result<Part, Fault> {
    let id = fields.required_string("call_id")?;
    if id.is_empty() {
        return Err(fields.invalid("call_id", "a string that is not empty"));
    }
    let mut name = fields.required_string("name")?;
    let arguments = match kind {
        CallKind::Function => fields.required_string("arguments")?,
        CallKind::Custom => fields.required_string("input")?,
    };
    let group = fields.string("namespace")?;
    let mut carry = fields.carry(DIALECT).noted(DIALECT, "own", true);
    if let Some(group) = group {
        namespace::note(&mut carry, &group, &name);
        name = namespace::flat(&group, &name);
    }
    Ok(Part::new(Content::ToolCall(ToolCall { id, name, arguments, kind })).carrying(carry))
}

fn reasoning(mut fields: Fields<'_>) -> Result<Part, Fault> {
    let id = fields.string("id")?;
    let mut notes = Carry::NONE.noted(DIALECT, "own", true);
    let mut texts = Vec::new();
    for (key, kind_word, kind) in
        [("summary", "summary_text", TextKind::Summary), ("content", "reasoning_text", TextKind::Full)]
    {
        let Some(values) = fields.array(key)? else { continue };
        match thoughts(&values, kind_word) {
            // An empty list is kept as it is, and says nothing.
            Some(known) if known.is_empty() => fields.put_back(key, Value::Array(values)),
            Some(known) => texts.extend(known.into_iter().map(|text| ReasoningText { kind, text })),
            None => {
                texts.extend(
                    values
                        .iter()
                        .filter_map(|value| value.get("text").and_then(Value::as_str))
                        .map(|text| ReasoningText { kind, text: text.to_owned() }),
                );
                notes.note(DIALECT, key, values);
            }
        }
    }
    let mut seal = None;
    if let Some(text) = fields.string("encrypted_content")? {
        if text.is_empty() {
            fields.put_back("encrypted_content", Value::from(text));
        } else if mark::is_minted(&text) {
            seal = Seal::read(Origin::OpenAi, SealKind::Encrypted, text);
            notes.note(DIALECT, "minted", true);
        } else {
            seal = Some(Seal { item: id.clone(), ..Seal::new(Origin::OpenAi, SealKind::Encrypted, text) });
        }
    }
    let mut carry = fields.carry(DIALECT);
    carry.merge(notes);
    Ok(Part::new(Content::Reasoning(Reasoning { id, texts })).sealed(seal).carrying(carry))
}

/// The texts of a reasoning item's list; `None` if an element says more than its text.
fn thoughts(values: &[Value], kind: &str) -> Option<Vec<String>> {
    let text = |value: &Value| {
        let map = value.as_object()?;
        let is_plain = map.len() == 2 && map.get("type")?.as_str()? == kind;
        is_plain.then(|| map.get("text")?.as_str().map(str::to_owned)).flatten()
    };
    values.iter().map(text).collect()
}

/// Reads a part of a message or of a tool's output.
pub(in crate::dialect::openai_responses) fn content_part(value: Value, path: Path<'_>) -> Result<Part, Fault> {
    let mut fields = Fields::of(value, path)?;
    let kind = fields.required_string("type")?;
    let mut carry = Carry::NONE;
    let content = match kind.as_str() {
        "input_text" | "output_text" | "text" => {
            let mut text = Text { text: fields.required_string("text")?, ..Text::default() };
            text.citations = citations(&mut fields);
            probabilities(&mut fields, &mut text);
            Content::Text(text)
        }
        "refusal" => Content::Refusal(fields.required_string("refusal")?),
        "input_image" => image(&mut fields)?,
        "input_file" => file(&mut fields)?,
        "input_audio" => {
            let mut inner = Fields::of(fields.required("input_audio")?, path.key("input_audio"))?;
            let mime = format!("audio/{}", inner.required_string("format")?);
            let source = Source::Base64 { mime, data: inner.required_string("data")? };
            carry.note(DIALECT, "inner", inner.rest());
            Content::Media(Media { kind: MediaKind::Audio, source, detail: None, name: None })
        }
        _ => {
            let mut whole = Map::from_iter([("type".to_owned(), Value::from(kind))]);
            whole.extend(fields.rest());
            let carry = Carry::NONE.noted(DIALECT, "in_message", true);
            return Ok(Part::new(Content::Opaque(Opaque::new(DIALECT, whole.into()))).carrying(carry));
        }
    };
    let mut all = fields.carry(DIALECT).noted(DIALECT, "type", kind);
    all.merge(carry);
    Ok(Part::new(content).carrying(all))
}

/// Takes a text's annotations. An empty list stays, and is carried.
fn citations(fields: &mut Fields<'_>) -> Vec<Citation> {
    match fields.take("annotations") {
        Some(Value::Array(list)) if !list.is_empty() => list.into_iter().map(wire::citation_from).collect(),
        Some(other) => {
            fields.put_back("annotations", other);
            Vec::new()
        }
        None => Vec::new(),
    }
}

fn probabilities(fields: &mut Fields<'_>, text: &mut Text) {
    match fields.take("logprobs") {
        Some(Value::Array(entries)) if !entries.is_empty() => match wire::logprobs_from(&entries) {
            Some(known) => text.logprobs = known,
            None => fields.put_back("logprobs", Value::Array(entries)),
        },
        Some(other) => fields.put_back("logprobs", other),
        None => {}
    }
}

fn image(fields: &mut Fields<'_>) -> Result<Content, Fault> {
    let detail = fields.string("detail")?;
    let source = match (fields.string("file_id")?, fields.string("image_url")?) {
        (Some(id), url) => {
            if let Some(url) = url {
                fields.put_back("image_url", url.into());
            }
            Source::FileId { origin: Origin::OpenAi, id }
        }
        (None, Some(url)) => Source::from_url(url),
        (None, None) => return Err(fields.missing("image_url")),
    };
    Ok(Content::Media(Media { kind: MediaKind::Image, source, detail, name: None }))
}

/// A file: by id, by address, or in the message. Bare base64 is taken for a data URL without a type.
fn file(fields: &mut Fields<'_>) -> Result<Content, Fault> {
    let name = fields.string("filename")?;
    let detail = fields.string("detail")?;
    let id = fields.string("file_id")?;
    let data = fields.string("file_data")?;
    let url = fields.string("file_url")?;
    let source = match (id, &data, &url) {
        (Some(id), ..) => Some(Source::FileId { origin: Origin::OpenAi, id }),
        (None, Some(data), _) if data.starts_with("data:") => Some(Source::from_url(data.clone())),
        (None, Some(data), _) => Some(Source::Base64 { mime: String::new(), data: data.clone() }),
        (None, None, Some(url)) => Some(Source::Url { url: url.clone(), mime: None }),
        (None, None, None) => None,
    };
    let Some(source) = source else { return Err(fields.missing("file_data")) };
    // What was given beside the one that counts.
    let is_id = matches!(source, Source::FileId { .. });
    let more = [("file_url", url.filter(|_| is_id || data.is_some())), ("file_data", data.filter(|_| is_id))];
    for (key, value) in more {
        if let Some(value) = value {
            fields.put_back(key, value.into());
        }
    }
    Ok(Content::Media(Media { kind: MediaKind::Document, source, detail, name }))
}
