//! The parts of a content, read and written: the same in requests and in answers.

use serde_json::{Map, Value, json};

use super::wire::{list, open};
use super::{DIALECT, bytes};
use crate::dialect::{Fields, Object, Path};
use crate::fault::Fault;
use crate::ir::{
    CallKind, Carry, Content, Media, MediaKind, Origin, Outcome, Part, Reasoning, Seal, SealKind, Source, TextKind,
    ToolCall, ToolResult, mark,
};

/// The fields of which a part has one.
const DATA: [&str; 5] = ["text", "inlineData", "fileData", "functionCall", "functionResponse"];

/// Where Google keeps what was uploaded: such an address names a file of the account.
const FILES_HOST: &str = "https://generativelanguage.googleapis.com/";

/// Reads a part. Calls and results without an id get an empty one: see [`super::decode`].
pub(super) fn part_from(value: Value, path: Path<'_>) -> Result<Part, Fault> {
    let mut fields = open(value, path)?;
    let signature = fields.string("thoughtSignature")?;
    let is_thought = fields.peek("thought") == Some(&Value::Bool(true));
    let mut said = DATA.into_iter().filter(|key| fields.peek(key).is_some());
    let kind = match (said.next(), said.next()) {
        (Some(kind), None) => kind,
        // SDKs that leave out what is empty send a signature back alone.
        (None, None) if signature.is_some() && is_bare(&fields) => "text",
        _ => return Ok(opaque(fields, signature)),
    };
    if is_thought && kind != "text" {
        // A thought in pictures: no part of the answer.
        return Ok(opaque(fields, signature));
    }
    let seal = signature.and_then(|text| Seal::read(Origin::Gemini, SealKind::Thought, text));
    let mut notes = Carry::NONE;
    let content = match kind {
        "text" => text_from(&mut fields, is_thought, seal.is_some(), &mut notes)?,
        "inlineData" => inline_from(&mut fields, &mut notes)?,
        "fileData" => file_from(&mut fields, &mut notes)?,
        "functionCall" => call_from(&mut fields, &mut notes)?,
        _ => result_from(&mut fields, &mut notes)?,
    };
    let mut carry = fields.carry(DIALECT);
    carry.merge(notes);
    Ok(Part::new(content).sealed(seal).carrying(carry))
}

/// Whether a part has nothing but a signature and the mark of a thought.
fn is_bare(fields: &Fields<'_>) -> bool {
    ["executableCode", "codeExecutionResult", "toolCall", "toolResponse"].iter().all(|key| fields.peek(key).is_none())
}

fn opaque(fields: Fields<'_>, signature: Option<String>) -> Part {
    let mut whole = fields.rest();
    // A signature of our own making means nothing to Google.
    let signature = signature.filter(|signature| !mark::is_minted(signature));
    whole.extend(signature.map(|signature| ("thoughtSignature".to_owned(), Value::from(signature))));
    Part::opaque(DIALECT, whole.into())
}

fn text_from(fields: &mut Fields<'_>, is_thought: bool, is_sealed: bool, notes: &mut Carry) -> Result<Content, Fault> {
    let text = fields.string("text")?.unwrap_or_else(|| {
        notes.note(DIALECT, "no_text", true);
        String::new()
    });
    if !is_thought {
        return Ok(Part::text(text).content);
    }
    fields.forget("thought");
    // A signature without words: thoughts that are hidden.
    let is_hidden = text.is_empty() && is_sealed;
    let reasoning = if is_hidden { Reasoning::default() } else { Reasoning::of(TextKind::Summary, text) };
    Ok(Content::Reasoning(reasoning))
}

fn inline_from(fields: &mut Fields<'_>, notes: &mut Carry) -> Result<Content, Fault> {
    let here = fields.path();
    let mut inner = open(fields.required("inlineData")?, here.key("inlineData"))?;
    let mime = match inner.string("mimeType")? {
        Some(mime) => mime,
        None => {
            notes.note(DIALECT, "no_mime", true);
            String::new()
        }
    };
    let data = bytes::standard(inner.required_string("data")?, notes);
    let kind = kind_of(&mime).unwrap_or(MediaKind::Document);
    let name = inner.peek_str("displayName").map(str::to_owned);
    let media = Media { kind, source: Source::Base64 { mime, data }, detail: detail(fields), name };
    note_rest(notes, "inner", inner.rest());
    Ok(Content::Media(media))
}

fn file_from(fields: &mut Fields<'_>, notes: &mut Carry) -> Result<Content, Fault> {
    let here = fields.path();
    let mut inner = open(fields.required("fileData")?, here.key("fileData"))?;
    let uri = inner.required_string("fileUri")?;
    let mime = inner.string("mimeType")?;
    let kind = mime.as_deref().and_then(kind_of).unwrap_or_else(|| kind_by_address(&uri));
    let is_uploaded = uri.starts_with("files/") || uri.starts_with("gs://") || uri.starts_with(FILES_HOST);
    let source = if is_uploaded {
        notes.note(DIALECT, "mime", mime);
        Source::FileId { origin: Origin::Gemini, id: uri }
    } else {
        Source::Url { url: uri, mime }
    };
    let media = Media { kind, source, detail: detail(fields), name: inner.peek_str("displayName").map(str::to_owned) };
    note_rest(notes, "inner", inner.rest());
    Ok(Content::Media(media))
}

/// `MEDIA_RESOLUTION_HIGH` as others say it. The field itself stays among the loose ones.
fn detail(fields: &Fields<'_>) -> Option<String> {
    let level = fields.peek("mediaResolution")?.get("level")?.as_str()?;
    level.strip_prefix("MEDIA_RESOLUTION_").map(str::to_ascii_lowercase)
}

/// What a type is for the model.
fn kind_of(mime: &str) -> Option<MediaKind> {
    match mime.split('/').next()? {
        "image" => Some(MediaKind::Image),
        "audio" => Some(MediaKind::Audio),
        "video" => Some(MediaKind::Video),
        "" => None,
        _ => Some(MediaKind::Document),
    }
}

fn kind_by_address(uri: &str) -> MediaKind {
    let host = uri.split('/').nth(2).unwrap_or_default();
    if host.ends_with("youtube.com") || host == "youtu.be" {
        return MediaKind::Video;
    }
    mime_by_address(uri).and_then(kind_of).unwrap_or(MediaKind::Document)
}

/// The type that an address's ending says: Google wants to know it.
pub(super) fn mime_by_address(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    let (_, ending) = path.rsplit('/').next()?.rsplit_once('.')?;
    let known = match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "md" => "text/markdown",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "json" => "application/json",
        "mp3" => "audio/mp3",
        "wav" => "audio/wav",
        "flac" => "audio/flac",
        "ogg" => "audio/ogg",
        "m4a" => "audio/m4a",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "mov" => "video/mov",
        "mpeg" | "mpg" => "video/mpeg",
        _ => return None,
    };
    Some(known)
}

fn call_from(fields: &mut Fields<'_>, notes: &mut Carry) -> Result<Content, Fault> {
    let here = fields.path();
    let mut inner = open(fields.required("functionCall")?, here.key("functionCall"))?;
    let id = inner.string("id")?.filter(|id| !id.is_empty());
    if id.is_none() {
        notes.note(DIALECT, "no_id", true);
    }
    let name = inner.required_string("name")?;
    let arguments = match inner.object("args")? {
        Some(arguments) if arguments.is_empty() => String::new(),
        Some(arguments) => Value::Object(arguments).to_string(),
        None => {
            notes.note(DIALECT, "no_args", true);
            String::new()
        }
    };
    note_rest(notes, "inner", inner.rest());
    Ok(Content::ToolCall(ToolCall { id: id.unwrap_or_default(), name, arguments, kind: CallKind::Function }))
}

fn result_from(fields: &mut Fields<'_>, notes: &mut Carry) -> Result<Content, Fault> {
    let here = fields.path();
    let path = here.key("functionResponse");
    let mut inner = open(fields.required("functionResponse")?, path)?;
    let id = inner.string("id")?.filter(|id| !id.is_empty());
    if id.is_none() {
        notes.note(DIALECT, "no_id", true);
    }
    let name = inner.required_string("name")?;
    let mut outcome = Outcome::Success;
    let mut parts = Vec::new();
    match inner.object("response")? {
        None => notes.note(DIALECT, "response", "absent"),
        Some(response) => {
            let (text, said, form) = response_from(response);
            outcome = said;
            notes.note(DIALECT, "response", form);
            parts.push(Part::text(text));
        }
    }
    if let Some(values) = list(&mut inner, "parts")? {
        let places = path.key("parts");
        for (index, value) in values.into_iter().enumerate() {
            parts.push(part_from(value, places.index(index))?);
        }
    }
    note_rest(notes, "inner", inner.rest());
    let call_id = id.unwrap_or_default();
    Ok(Content::ToolResult(ToolResult { call_id, name: Some(name), parts, outcome, kind: CallKind::Function }))
}

/// What a function gave. A lone text is that text, under the names that Google's reference and SDKs use.
fn response_from(response: Map<String, Value>) -> (String, Outcome, &'static str) {
    if response.len() == 1 {
        for (key, outcome) in [("output", Outcome::Success), ("result", Outcome::Success), ("error", Outcome::Failure)]
        {
            if let Some(text) = response.get(key).and_then(Value::as_str) {
                return (text.to_owned(), outcome, key);
            }
        }
    }
    let failed = response.len() == 1 && response.contains_key("error");
    let outcome = if failed { Outcome::Failure } else { Outcome::Success };
    (Value::Object(response).to_string(), outcome, "object")
}

fn note_rest(notes: &mut Carry, key: &'static str, rest: Map<String, Value>) {
    if !rest.is_empty() {
        notes.note(DIALECT, key, rest);
    }
}

/// Whether ids that were minted here are written: to callers, who echo them, and not to Google.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Minted {
    /// They are.
    Written,
    /// They are not.
    LeftOut,
}

/// Writes a part as it came in this dialect, or as well as can be. `None` if this dialect has no such part.
pub(super) fn part_to(part: &Part, signature: Option<String>, minted: Minted) -> Option<Value> {
    let note = |key: &str| part.carry.noted_as(DIALECT, key);
    let mut object = match &part.content {
        Content::Text(_) if note("no_text").is_some() => Object::new(),
        Content::Text(text) => Object::new().with("text", text.text.as_str()),
        Content::Refusal(text) => Object::new().with("text", text.as_str()),
        Content::Reasoning(reasoning) => {
            let text = (note("no_text").is_none()).then(|| reasoning.joined());
            Object::new().with_some("text", text).with("thought", true)
        }
        Content::Media(media) => media_to(media, &part.carry)?,
        Content::ToolCall(call) => {
            let id = Some(call.id.as_str()).filter(|id| is_told(id, &part.carry, minted));
            let mut inner = Object::new().with_some("id", id).with("name", call.name.as_str());
            if note("no_args").is_none() {
                inner.put("args", arguments(call));
            }
            put_inner(&mut inner, &part.carry);
            Object::new().with("functionCall", inner)
        }
        Content::ToolResult(result) => own_result_to(result, &part.carry, minted),
        Content::Opaque(opaque) => {
            let mut object = Object::new();
            object.put_defaults(opaque.for_dialect(DIALECT)?.as_object()?);
            object
        }
    };
    object.put_some("thoughtSignature", signature);
    Some(object.carrying(&part.carry, DIALECT).into())
}

fn is_told(id: &str, carry: &Carry, minted: Minted) -> bool {
    !carry.has_note(DIALECT, "no_id") && (minted == Minted::Written || !mark::is_minted(id))
}

/// A call's arguments as an object; what is none is wrapped in one, since models write broken JSON.
fn arguments(call: &ToolCall) -> Value {
    let mut unsaid = crate::ir::Losses::new();
    crate::dialect::adapt::arguments_as_object(call.kind, &call.arguments, String::new, &mut unsaid)
}

fn own_result_to(result: &ToolResult, carry: &Carry, minted: Minted) -> Object {
    let id = Some(result.call_id.as_str()).filter(|id| is_told(id, carry, minted));
    let mut inner = Object::new().with_some("id", id).with_some("name", result.name.clone());
    let mut parts = result.parts.as_slice();
    let form = carry.noted_as(DIALECT, "response").and_then(Value::as_str).unwrap_or("output");
    if let (false, Some((first, rest))) = (form == "absent", parts.split_first()) {
        let text = first.as_text().unwrap_or_default();
        let response = match form {
            "object" => serde_json::from_str(text).unwrap_or_else(|_| json!({"output": text})),
            key => Object::new().with(key, text).into(),
        };
        inner.put("response", response);
        parts = rest;
    }
    let parts: Vec<Value> = parts.iter().filter_map(|part| part_to(part, None, minted)).collect();
    if !parts.is_empty() {
        inner.put("parts", parts);
    }
    put_inner(&mut inner, carry);
    Object::new().with("functionResponse", inner)
}

/// Writes a medium; `None` if Gemini has no form for such a source.
pub(super) fn media_to(media: &Media, carry: &Carry) -> Option<Object> {
    let (key, mut inner) = match &media.source {
        Source::Base64 { mime, data } => {
            let mime = match (mime.as_str(), media.kind) {
                ("", _) if carry.has_note(DIALECT, "no_mime") => None,
                // OpenAI's files may come without their type; almost all are these.
                ("", MediaKind::Document) => Some("application/pdf"),
                ("", MediaKind::Image) => Some("image/png"),
                ("", MediaKind::Audio) => Some("audio/wav"),
                ("", MediaKind::Video) => Some("video/mp4"),
                (mime, _) => Some(mime),
            };
            ("inlineData", Object::new().with_some("mimeType", mime).with("data", bytes::as_written(data, carry)))
        }
        Source::Url { url, mime } => {
            ("fileData", Object::new().with_some("mimeType", mime.clone()).with("fileUri", url.as_str()))
        }
        Source::FileId { origin: Origin::Gemini, id } => {
            let mime = carry.noted_as(DIALECT, "mime").filter(|mime| !mime.is_null()).cloned();
            ("fileData", Object::new().with_some("mimeType", mime).with("fileUri", id.as_str()))
        }
        Source::Text { text } => return Some(Object::new().with("text", text.as_str())),
        Source::FileId { origin: Origin::OpenAi | Origin::Anthropic, .. } => return None,
    };
    // Another dialect's file name is left out: Google's own API refuses `displayName`, Vertex takes it.
    put_inner(&mut inner, carry);
    Some(Object::new().with(key, inner))
}

/// Adds what the decoder noted of the object inside of a part.
fn put_inner(object: &mut Object, carry: &Carry) {
    if let Some(Value::Object(rest)) = carry.noted_as(DIALECT, "inner") {
        object.put_defaults(rest);
    }
}
