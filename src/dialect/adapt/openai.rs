//! What OpenAI takes less of than others do: schemas that leave things out, and long names of users. Both of its formats.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::dialect::{Dialect, Object};
use crate::ir::{FunctionTool, Losses, Request};

/// The longest `user` and `safety_identifier`, in characters: OpenAI's reference says so of the second, and refuses longer ones of
/// both.
const USER_MAX: usize = 64;

/// What stands under a keyword of a schema.
enum Place {
    /// Schemas, each under a name of its own.
    ByName,
    /// A schema, or a list of them.
    OneOrMore,
    /// Something else.
    None,
}

fn place(keyword: &str) -> Place {
    match keyword {
        "properties" | "$defs" | "definitions" => Place::ByName,
        "items" | "prefixItems" | "anyOf" | "oneOf" | "allOf" | "additionalProperties" => Place::OneOrMore,
        _ => Place::None,
    }
}

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

/// A function's parameters: what others read as "anything" OpenAI wants to be said, an object's properties and an array's items.
pub fn parameters(schema: Option<&Value>) -> Value {
    let Some(schema) = schema else { return json!({"type": "object", "properties": {}}) };
    let mut schema = schema.clone();
    if let Value::Object(root) = &mut schema
        && is_of_type(root, "object")
    {
        root.entry("properties").or_insert_with(|| json!({}));
    }
    say_items(&mut schema);
    schema
}

/// Whether a function's parameters are held to the letter. OpenAI refuses to where a property may be missing, or others may be
/// there: then it is not asked to, and that is said.
pub fn strict(tool: &FunctionTool, index: usize, losses: &mut Losses) -> Option<bool> {
    if tool.strict != Some(true) || tool.parameters.as_ref().is_none_or(can_be_held) {
        return tool.strict;
    }
    let reason = "cannot be held by OpenAI for a schema with optional or further properties";
    losses.approximated(format!("tools[{index}].strict"), reason);
    Some(false)
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
    for (name, inner) in schema.iter_mut() {
        match (place(name), inner) {
            (Place::ByName, Value::Object(named)) => named.values_mut().for_each(say_items),
            (Place::OneOrMore, Value::Array(list)) => list.iter_mut().for_each(say_items),
            (Place::OneOrMore, one) => say_items(one),
            (Place::ByName | Place::None, _) => {}
        }
    }
}

/// Every object names all of its properties as required, and takes no others.
fn can_be_held(schema: &Value) -> bool {
    let Value::Object(schema) = schema else { return true };
    if let Some(Value::Object(properties)) = schema.get("properties") {
        let required = schema.get("required").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let named: HashSet<_> = required.iter().filter_map(Value::as_str).collect();
        let is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
        if !is_closed || properties.keys().any(|name| !named.contains(name.as_str())) {
            return false;
        }
    }
    schema.iter().all(|(name, inner)| match (place(name), inner) {
        (Place::ByName, Value::Object(named)) => named.values().all(can_be_held),
        (Place::OneOrMore, Value::Array(list)) => list.iter().all(can_be_held),
        (Place::OneOrMore, one) => can_be_held(one),
        (Place::ByName | Place::None, _) => true,
    })
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
            assert_eq!(parameters(Some(&given)), sent);
        }
        assert_eq!(parameters(None), json!({"type": "object", "properties": {}}));
    }

    #[test]
    fn only_schemas_that_close_all_their_objects_can_be_held() {
        let object = |required: Value, more: Value| json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": required, "additionalProperties": more});
        assert!(can_be_held(&object(json!(["a"]), json!(false))));
        assert!(!can_be_held(&object(json!([]), json!(false))), "a property may be missing");
        assert!(!can_be_held(&object(json!(["a"]), json!(true))), "others may be there");
        let inner = object(json!([]), json!(false));
        for nested in [json!({"items": inner}), json!({"anyOf": [inner]}), json!({"$defs": {"one": inner}})] {
            assert!(!can_be_held(&nested), "{nested}");
        }
    }
}
