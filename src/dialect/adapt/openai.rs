//! What OpenAI takes less of than others do: schemas that leave things out, forms of answers, and long names of users. Both of
//! its formats.

mod strict;

use std::borrow::Cow;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::schema::{CHOICES, as_object, for_each_inner, say_in_words};
use crate::dialect::{Adaptions, Dialect, Object};
use crate::ir::{
    Content, FunctionTool, Losses, Media, MediaKind, Message, Origin, Output, OutputFormat, Request, Source,
};

/// The longest `user` and `safety_identifier`, in characters: OpenAI's reference says so of the second, and refuses longer ones of
/// both.
const USER_MAX: usize = 64;

/// Asks for JSON in words, which OpenAI demands beside `json_object`.
pub const JSON_PLEASE: &str = "Answer in JSON.";

/// A user's id as OpenAI takes it. One that is too long goes as its SHA-256 in hexadecimal digits: as long as OpenAI allows, the
/// same for the same user, and another's for another. (What Claude Code sends is some 200 characters long.)
fn user(id: &str) -> Cow<'_, str> {
    if id.chars().count() <= USER_MAX { id.into() } else { hex::encode(Sha256::digest(id)).into() }
}

/// Writes whom the request is for: as it says in its own dialect, and as OpenAI takes it from others.
pub fn put_users(body: &mut Object, request: &Request, dialect: Dialect) {
    let is_foreign = request.is_foreign_to(dialect);
    let id = |id: &String| if is_foreign { user(id).into_owned() } else { id.clone() };
    body.put_some("user", request.user.as_ref().map(id));
    body.put_some("safety_identifier", request.safety_identifier.as_ref().map(id));
}

/// A file's name: OpenAI wants bytes to have one.
pub fn file_name(media: &Media) -> Option<String> {
    let default = match (&media.source, media.kind) {
        (Source::Base64 { mime, .. }, MediaKind::Document) if mime == "application/pdf" => Some("document.pdf"),
        (Source::Base64 { .. }, MediaKind::Document) => Some("document"),
        (
            Source::Base64 { .. } | Source::Url { .. } | Source::FileId { .. } | Source::Text { .. },
            MediaKind::Image | MediaKind::Audio | MediaKind::Video | MediaKind::Document,
        ) => None,
    };
    media.name.clone().or_else(|| default.map(str::to_owned))
}

/// Whether the caller speaks one of OpenAI's own formats: then its schemas are as OpenAI takes them, or OpenAI says why not.
fn is_openais(request: &Request) -> bool {
    request.spoken_in.is_some_and(|dialect| dialect.origin() == Origin::OpenAi)
}

/// A function's parameters, and whether they are held to the letter.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// `parameters`.
    pub schema: Value,
    /// `strict`.
    pub strict: Option<bool>,
}

/// A function's parameters. What others read as "anything" OpenAI wants to be said: an object's properties, an array's items.
/// Where OpenAI could not hold them to the letter it is not asked to, and that is said.
pub fn parameters(tool: &FunctionTool, index: usize, request: &Request, losses: &mut Losses) -> Parameters {
    let Some(schema) = &tool.parameters else {
        return Parameters { schema: json!({"type": "object", "properties": {}}), strict: tool.strict };
    };
    let mut strict = tool.strict;
    if strict == Some(true) && !is_openais(request) {
        if let Some(held) = strict::hold(schema).filter(|_| !as_object(schema).1) {
            if held.in_words {
                losses.approximated(format!("tools[{index}].parameters"), IN_WORDS);
            }
            return Parameters { schema: held.schema, strict };
        }
        losses.approximated(format!("tools[{index}].strict"), LOOSE);
        strict = Some(false);
    }
    let mut schema = schema.clone();
    if let Value::Object(root) = &mut schema
        && !is_openais(request)
        && make_object(root)
    {
        losses.approximated(format!("tools[{index}].parameters"), IN_WORDS);
    }
    Parameters { schema: said(schema), strict }
}

const IN_WORDS: &str = "has keywords that OpenAI does not take there: they are said in descriptions";
const LOOSE: &str = "cannot be held by OpenAI for a schema that its strict mode does not take";

/// Makes what a tool takes an object without choices at its top, and says in words what that leaves out; whether it does.
fn make_object(root: &mut Map<String, Value>) -> bool {
    let mut otherwise = Map::new();
    if !root.is_empty() && !root.get("type").is_some_and(|kind| kind == "object") {
        otherwise.extend(root.shift_remove("type").map(|kind| ("type".to_owned(), kind)));
        root.insert("type".to_owned(), "object".into());
    }
    for key in CHOICES {
        otherwise.extend(root.shift_remove(key).map(|choice| (key.to_owned(), choice)));
    }
    if otherwise.is_empty() {
        return false;
    }
    say_in_words(root, &otherwise);
    true
}

/// The form of an answer: an object ([`Adaptions::wrapped`]), and held to the letter where others hold it so.
pub fn form<'r>(
    output: &'r Output,
    request: &Request,
    adaptions: &mut Adaptions,
    losses: &mut Losses,
) -> Cow<'r, Output> {
    let OutputFormat::JsonSchema { name, description, schema: Some(schema), strict } = &output.format else {
        return Cow::Borrowed(output);
    };
    if is_openais(request) {
        return Cow::Borrowed(output);
    }
    let (schema, wrapped) = as_object(schema);
    adaptions.wrapped = wrapped;
    let held = strict::hold(&schema);
    let (schema, strict) = match held.filter(|_| *strict != Some(false)) {
        Some(held) => {
            if held.in_words {
                losses.approximated("response_format", IN_WORDS);
            }
            (held.schema, Some(true))
        }
        None => {
            if *strict != Some(false) {
                losses.approximated("response_format", LOOSE);
            }
            (said(schema.into_owned()), None)
        }
    };
    let format =
        OutputFormat::JsonSchema { name: name.clone(), description: description.clone(), schema: Some(schema), strict };
    Cow::Owned(Output { format, carry: output.carry.clone() })
}

/// Whether JSON has to be asked for in words as well: OpenAI refuses `json_object` where no message has the word. `instructions`
/// are those of them that are messages.
pub fn wants_the_word(request: &Request, instructions: Option<&Message>, losses: &mut Losses) -> bool {
    let asks = request.output.as_ref().is_some_and(|output| output.format == OutputFormat::JsonObject);
    if !asks || is_openais(request) {
        return false;
    }
    let says = |text: &str| text.as_bytes().windows(4).any(|word| word.eq_ignore_ascii_case(b"json"));
    let mut parts = instructions.into_iter().chain(&request.messages).flat_map(|message| &message.parts);
    if parts.any(|part| matches!(&part.content, Content::Text(text) if says(&text.text))) {
        return false;
    }
    losses.approximated("response_format", "is asked for in a sentence as well, since OpenAI demands the word");
    true
}

/// A schema in which nothing is left out that OpenAI demands.
fn said(mut schema: Value) -> Value {
    if let Value::Object(root) = &mut schema
        && is_of_type(root, "object")
    {
        root.entry("properties").or_insert_with(|| json!({}));
    }
    say_items(&mut schema);
    schema
}

fn is_of_type(schema: &Map<String, Value>, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::Array(names)) => names.iter().any(|one| one == name),
        Some(one) => one == name,
        None => false,
    }
}

fn say_items(schema: &mut Value) {
    let Value::Object(schema) = schema else { return };
    if is_of_type(schema, "array") && !schema.contains_key("prefixItems") {
        schema.entry("items").or_insert_with(|| json!({}));
    }
    for_each_inner(schema, say_items);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_too_long_is_as_long_as_allowed_and_still_tells_users_apart() {
        let blob = |device: char| format!("{{\"device_id\":\"{}\"}}", device.to_string().repeat(64));
        assert_eq!(user(&"é".repeat(64)), "é".repeat(64));
        assert_eq!(user(&blob('a')).len(), 64);
        assert_eq!(user(&blob('a')), user(&blob('a')));
        assert_ne!(user(&blob('a')), user(&blob('b')));
    }

    #[test]
    fn what_a_schema_leaves_out_is_said() {
        for (given, sent) in [
            (json!({"type": "object"}), json!({"type": "object", "properties": {}})),
            (
                json!({"type": "object", "properties": {"a": {"type": "array"}, "b": {"anyOf": [{"type": ["array", "null"]}]}}}),
                json!({"type": "object", "properties": {
                    "a": {"type": "array", "items": {}},
                    "b": {"anyOf": [{"type": ["array", "null"], "items": {}}]},
                }}),
            ),
            (
                // A property may have any name.
                json!({"type": "object", "properties": {"items": {"type": "object"}, "type": {"type": "string"}}}),
                json!({"type": "object", "properties": {"items": {"type": "object"}, "type": {"type": "string"}}}),
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "array", "prefixItems": [{"type": "array"}]}}}),
                json!({"type": "object", "properties": {"a": {"type": "array", "prefixItems": [{"type": "array", "items": {}}]}}}),
            ),
        ] {
            assert_eq!(said(given), sent);
        }
    }
}
