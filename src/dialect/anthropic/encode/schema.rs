//! JSON Schemas as Anthropic takes them.
//!
//! A plain tool's schema must be of type `object` at its top, without a choice there. A strict one (structured output,
//! strict tools) has only the keywords of Anthropic's page on structured outputs: the rest is said in descriptions, as
//! Anthropic's own SDKs do.

use serde_json::{Map, Value, json};

use crate::dialect::adapt::say_in_words;

/// The formats of strings that strict schemas take.
const FORMATS: [&str; 10] =
    ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];

/// The longest name of a parameter, in bytes.
const KEY_MAX: usize = 64;

/// A schema, and whether something of it had to be said otherwise.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Adapted {
    pub(super) schema: Value,
    pub(super) changed: bool,
}

/// A tool's schema.
pub(super) fn plain(schema: Option<&Value>) -> Adapted {
    let Some(Value::Object(map)) = schema else {
        let changed = schema.is_some_and(|schema| !schema.is_null() && *schema != Value::Bool(true));
        return Adapted { schema: json!({"type": "object", "properties": {}}), changed };
    };
    let mut map = map.clone();
    let mut changed = false;
    if map.get("type").and_then(Value::as_str) != Some("object") {
        changed = map.contains_key("type");
        map.insert("type".to_owned(), "object".into());
    }
    let mut choices = Map::new();
    for key in ["oneOf", "anyOf", "allOf"] {
        choices.extend(map.shift_remove(key).map(|choice| (key.to_owned(), choice)));
    }
    if !choices.is_empty() {
        changed = true;
        say_in_words(&mut map, &choices);
    }
    Adapted { schema: map.into(), changed }
}

/// The first of a tool's parameters whose name Anthropic refuses: it wants 1 to 64 of `[a-zA-Z0-9_.-]`, at the top of the
/// schema only (<https://github.com/anthropics/claude-code/issues/79418>).
pub(super) fn strange_key(schema: &Value) -> Option<&str> {
    let is_strange = |key: &&String| {
        let is_taken = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        !(1..=KEY_MAX).contains(&key.len()) || !key.bytes().all(is_taken)
    };
    schema.get("properties")?.as_object()?.keys().find(is_strange).map(String::as_str)
}

/// A strict schema; `None` if it is open for keys of any name, which no strict schema is.
pub(super) fn strict(schema: &Value) -> Option<Adapted> {
    let mut changed = false;
    let schema = strict_node(schema, &mut changed)?;
    Some(Adapted { schema, changed })
}

fn strict_node(schema: &Value, changed: &mut bool) -> Option<Value> {
    let Value::Object(map) = schema else { return Some(schema.clone()) };
    let mut out = Map::new();
    let mut said_otherwise = Map::new();
    for (key, value) in map {
        match (key.as_str(), value) {
            ("type" | "enum" | "const" | "description" | "title" | "required" | "$ref", _) => {
                out.insert(key.clone(), value.clone());
            }
            ("$defs" | "definitions" | "properties", Value::Object(nodes)) => {
                let nodes = nodes.iter().map(|(name, node)| Some((name.clone(), strict_node(node, changed)?)));
                out.insert(key.clone(), nodes.collect::<Option<Map<_, _>>>()?.into());
            }
            ("anyOf" | "oneOf" | "allOf", Value::Array(nodes)) => {
                let nodes: Vec<Value> = nodes.iter().map(|node| strict_node(node, changed)).collect::<Option<_>>()?;
                out.insert(if key == "oneOf" { "anyOf" } else { key }.to_owned(), nodes.into());
            }
            ("items", _) => {
                out.insert(key.clone(), strict_node(value, changed)?);
            }
            ("additionalProperties", Value::Bool(false)) | ("$schema" | "$id" | "$comment" | "examples", _) => {}
            ("additionalProperties", _) => return None,
            ("format", Value::String(format)) if FORMATS.contains(&format.as_str()) => {
                out.insert(key.clone(), value.clone());
            }
            ("minItems", Value::Number(number)) if matches!(number.as_u64(), Some(0 | 1)) => {
                out.insert(key.clone(), value.clone());
            }
            _ => {
                said_otherwise.insert(key.clone(), value.clone());
            }
        }
    }
    if is_object(&out) {
        out.insert("additionalProperties".to_owned(), false.into());
    }
    if !said_otherwise.is_empty() {
        *changed = true;
        say_in_words(&mut out, &said_otherwise);
    }
    Some(out.into())
}

fn is_object(map: &Map<String, Value>) -> bool {
    match map.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        Some(_) | None => map.contains_key("properties"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tools_schema_is_an_object_at_its_top() {
        assert_eq!(plain(None), Adapted { schema: json!({"type": "object", "properties": {}}), changed: false });
        let open = plain(Some(&json!({"properties": {"a": {"type": "string", "pattern": "x+"}}})));
        assert_eq!(open.schema, json!({"properties": {"a": {"type": "string", "pattern": "x+"}}, "type": "object"}));
        assert!(!open.changed);
        let choice = plain(Some(&json!({"type": "object", "anyOf": [{"required": ["a"]}]})));
        assert_eq!(choice.schema["description"], "It must match {\"anyOf\":[{\"required\":[\"a\"]}]}");
        assert!(choice.changed && choice.schema.get("anyOf").is_none());
    }

    #[test]
    fn a_strict_schema_says_in_words_what_it_may_not_say_in_keywords() {
        let schema = json!({"type": "object", "properties": {
            "n": {"type": "integer", "description": "Size", "minimum": 1},
            "l": {"type": "array", "items": {"type": "object", "properties": {}}, "minItems": 1},
            "c": {"oneOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
        }, "required": ["n"]});
        let expected = json!({"type": "object", "properties": {
            "n": {"type": "integer", "description": "Size\n\nIt must match {\"minimum\":1}"},
            "l": {"type": "array", "items": {"type": "object", "properties": {}, "additionalProperties": false}, "minItems": 1},
            "c": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
        }, "required": ["n"], "additionalProperties": false});
        assert_eq!(strict(&schema), Some(Adapted { schema: expected, changed: true }));
    }

    #[test]
    fn a_schema_that_is_open_for_any_key_cannot_be_strict() {
        let map = json!({"type": "object", "properties": {"m": {"type": "object", "additionalProperties": {"type": "string"}}}});
        assert_eq!(strict(&map), None);
    }
}
