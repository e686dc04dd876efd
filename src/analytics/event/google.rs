//! Google's contents and parts in the words that PostHog shows of all vendors.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::input::{any_member, copied, each_of, is_string, object, said, told};
use super::json::Json;
use crate::ir::mark;

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Turn<'a> {
    #[serde(default)]
    role: Option<&'a RawValue>,
    #[serde(default)]
    parts: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Part<'a> {
    text: Option<&'a RawValue>,
    thought: Option<bool>,
    #[serde(alias = "inlineData")]
    inline_data: Option<&'a RawValue>,
    #[serde(alias = "fileData")]
    file_data: Option<FileData<'a>>,
    #[serde(alias = "functionCall")]
    function_call: Option<FunctionCall<'a>>,
    #[serde(alias = "functionResponse")]
    function_response: Option<FunctionResponse<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct FileData<'a> {
    #[serde(alias = "mimeType")]
    mime_type: Option<&'a RawValue>,
    #[serde(alias = "fileUri")]
    file_uri: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct FunctionCall<'a> {
    id: Option<&'a RawValue>,
    name: Option<&'a RawValue>,
    args: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct FunctionResponse<'a> {
    id: Option<&'a RawValue>,
    name: Option<&'a RawValue>,
    response: Option<&'a RawValue>,
}

/// Writes the system's message: a text where it is one.
pub(super) fn instruction(raw: &str, json: &mut Json) {
    json.open(b'{');
    json.member("role", "system");
    json.key("content");
    match object::<Turn<'_>>(raw).and_then(|turn| turn.parts) {
        Some(parts) if only_text(parts.get(), json) => {}
        Some(parts) => blocks(parts.get(), json),
        None => copied(raw, json),
    }
    json.close(b'}');
}

/// Writes a message for each content.
pub(super) fn contents(raw: Option<&RawValue>, json: &mut Json) {
    let Some(raw) = raw else { return };
    each_of(raw.get(), |content| match object::<Turn<'_>>(content) {
        Some(Turn { role, parts: Some(parts) }) => {
            json.open(b'{');
            json.key("role");
            copied(role.map_or("\"user\"", RawValue::get), json);
            json.key("content");
            blocks(parts.get(), json);
            json.close(b'}');
        }
        Some(_) | None => {
            json.open(b'{');
            json.member("role", "user");
            json.key("content");
            copied(content, json);
            json.close(b'}');
        }
    });
}

/// Writes the parts of a content as a list of blocks.
fn blocks(parts: &str, json: &mut Json) {
    json.open(b'[');
    each_of(parts, |part| block(part, json));
    json.close(b']');
}

/// Writes one part.
pub(super) fn block(raw: &str, json: &mut Json) {
    let Some(part) = object::<Part<'_>>(raw) else { return copied(raw, json) };
    if let Some(text) = part.text.filter(|text| is_string(text)) {
        let kind = if part.thought == Some(true) { "thinking" } else { "text" };
        return told(kind, kind, text.get(), json);
    }
    if let Some(media) = part.inline_data {
        return copied(media.get(), json);
    }
    if let Some(file) = part.file_data {
        return file_block(&file, json);
    }
    if let Some(call) = part.function_call {
        json.open(b'{');
        json.member("type", "function");
        if let Some(id) = own_id(call.id) {
            json.key("id");
            copied(id, json);
        }
        json.key("function");
        json.open(b'{');
        json.key("name");
        copied(call.name.map_or("null", RawValue::get), json);
        json.key("arguments");
        copied(call.args.map_or("null", RawValue::get), json);
        json.close(b'}');
        json.close(b'}');
        return;
    }
    if let Some(response) = part.function_response {
        json.open(b'{');
        json.member("type", "function");
        json.key("tool_name");
        copied(said(response.name).unwrap_or("\"\""), json);
        json.key("content");
        copied(response.response.map_or("null", RawValue::get), json);
        if let Some(id) = own_id(response.id) {
            json.key("tool_use_id");
            copied(id, json);
        }
        json.close(b'}');
        return;
    }
    other(raw, json);
}

fn file_block(file: &FileData<'_>, json: &mut Json) {
    let mime = file.mime_type.map_or("", RawValue::get).trim_start_matches('"');
    let kind = ["image", "video", "audio"].into_iter().find(|kind| mime.starts_with(kind)).unwrap_or("file");
    json.open(b'{');
    json.member("type", kind);
    json.key("file_data");
    json.open(b'{');
    for (name, raw) in [("mime_type", file.mime_type), ("file_uri", file.file_uri)] {
        if let Some(value) = said(raw) {
            json.key(name);
            copied(value, json);
        }
    }
    json.close(b'}');
    json.close(b'}');
}

/// A call's id, unless it was made up here for callers that need one.
fn own_id(raw: Option<&RawValue>) -> Option<&str> {
    raw.filter(|id| is_string(id)).map(RawValue::get).filter(|id| !mark::is_minted(id.trim_start_matches('"')))
}

/// A part of another kind is told by its first member's name.
fn other(raw: &str, json: &mut Json) {
    let members: Option<serde_json::Map<String, serde_json::Value>> = serde_json::from_str(raw).ok();
    let Some((name, value)) = members.and_then(|members| members.into_iter().next()) else { return };
    json.open(b'{');
    json.member("type", &name);
    any_member(&name, &value.to_string(), json);
    json.close(b'}');
}

/// Writes the text of parts that are nothing but one text. `false`, and nothing written, where they are more.
fn only_text(parts: &str, json: &mut Json) -> bool {
    match serde_json::from_str::<Vec<Part<'_>>>(parts).as_deref() {
        Ok([Part { text: Some(text), .. }]) => {
            copied(text.get(), json);
            true
        }
        Ok(_) | Err(_) => false,
    }
}
