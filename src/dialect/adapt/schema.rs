//! What schemas of several dialects are adapted by: words for what no keyword may say, and an object around what is none.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

/// The one member of an object that stands around an answer which is to be none ([`Adaptions::wrapped`]).
///
/// [`Adaptions::wrapped`]: crate::dialect::Adaptions::wrapped
pub(super) const VALUE: &str = "value";

/// The keywords by which a schema chooses: none of them may stand at the top of one that OpenAI or, for some, Anthropic takes.
pub(super) const CHOICES: [&str; 6] = ["anyOf", "oneOf", "allOf", "enum", "const", "not"];

/// Says in a node's description what no keyword may say there.
pub fn say_in_words(node: &mut Map<String, Value>, otherwise: &Map<String, Value>) {
    let words = Value::from(otherwise.clone()).to_string();
    let description = match node.get("description").and_then(Value::as_str) {
        Some(description) if !description.is_empty() => format!("{description}\n\nIt must match {words}"),
        Some(_) | None => format!("It must match {words}"),
    };
    node.insert("description".to_owned(), description.into());
}

/// The schema of an object, which some dialects demand at the top. One that says nothing else is one; around any other there
/// is an object whose one member it is (the second of the two says so).
pub fn as_object(schema: &Value) -> (Cow<'_, Value>, bool) {
    let is_plain = |node: &Map<String, Value>| !CHOICES.iter().chain(&["$ref"]).any(|key| node.contains_key(*key));
    match schema {
        Value::Object(node) if is_plain(node) && node.get("type").is_some_and(|kind| kind == "object") => {
            (Cow::Borrowed(schema), false)
        }
        Value::Object(node) if is_plain(node) && !node.contains_key("type") && node.contains_key("properties") => {
            let mut node = node.clone();
            node.insert("type".to_owned(), "object".into());
            (Cow::Owned(node.into()), false)
        }
        Value::Object(node) => (Cow::Owned(around(node.clone())), true),
        // Anything, and nothing.
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            (Cow::Owned(around(Map::new())), true)
        }
    }
}

/// An object around a schema. Its definitions stand at the top again, where references look for them.
fn around(mut inner: Map<String, Value>) -> Value {
    inner.shift_remove("$schema");
    let mut definitions = Vec::new();
    for key in ["$defs", "definitions"] {
        definitions.extend(inner.shift_remove(key).map(|mut nodes| {
            if let Value::Object(nodes) = &mut nodes {
                nodes.values_mut().for_each(refer);
            }
            (key, nodes)
        }));
    }
    let mut inner = Value::from(inner);
    refer(&mut inner);
    let mut outer =
        json!({"type": "object", "properties": {VALUE: inner}, "required": [VALUE], "additionalProperties": false});
    definitions.into_iter().for_each(|(key, nodes)| outer[key] = nodes);
    outer
}

/// Lets references to the top, and to what is under it, find it at its new place.
fn refer(schema: &mut Value) {
    let Value::Object(node) = schema else { return };
    if let Some(Value::String(target)) = node.get_mut("$ref")
        && let Some(path) = target.strip_prefix('#')
        && (path.is_empty() || path.starts_with('/'))
        && !["/$defs/", "/definitions/"].iter().any(|kept| path.starts_with(kept))
    {
        *target = format!("#/properties/{VALUE}{path}");
    }
    for_each_inner(node, refer);
}

/// Changes each schema that stands right inside this one.
pub(super) fn for_each_inner(node: &mut Map<String, Value>, change: fn(&mut Value)) {
    for (keyword, inner) in node.iter_mut() {
        match (place(keyword), inner) {
            (Place::ByName, Value::Object(named)) => named.values_mut().for_each(change),
            (Place::OneOrMore, Value::Array(list)) => list.iter_mut().for_each(change),
            (Place::OneOrMore, one) => change(one),
            (Place::ByName | Place::None, _) => {}
        }
    }
}

/// What stands under a keyword of a schema.
enum Place {
    /// Schemas, each under a name of its own.
    ByName,
    /// A schema, or a list of them.
    OneOrMore,
    /// Something else.
    None,
}

/// What stands under this keyword.
fn place(keyword: &str) -> Place {
    match keyword {
        "properties" | "$defs" | "definitions" | "patternProperties" | "dependentSchemas" => Place::ByName,
        "items"
        | "prefixItems"
        | "anyOf"
        | "oneOf"
        | "allOf"
        | "additionalProperties"
        | "not"
        | "if"
        | "then"
        | "else"
        | "contains"
        | "propertyNames" => Place::OneOrMore,
        _ => Place::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_objects_schema_stays_as_it_is() {
        let object =
            json!({"type": "object", "properties": {"anyOf": {"type": "string"}}, "$defs": {"a": {"enum": [1]}}});
        assert_eq!(as_object(&object), (Cow::Borrowed(&object), false));
        let untyped = as_object(&json!({"properties": {}})).0.into_owned();
        assert_eq!(untyped, json!({"properties": {}, "type": "object"}));
    }

    #[test]
    fn any_other_schema_is_the_one_member_of_an_object() {
        let around = |inner: Value| json!({"type": "object", "properties": {"value": inner}, "required": ["value"], "additionalProperties": false});
        for other in [
            json!({"type": "array", "items": {"type": "string"}}),
            json!({"anyOf": [{"type": "object"}]}),
            json!({"type": "object", "oneOf": [{"required": ["a"]}]}),
            json!({"type": ["object", "null"]}),
            json!({}),
        ] {
            assert_eq!(as_object(&other), (Cow::Owned(around(other.clone())), true));
        }
        assert_eq!(as_object(&json!(true)).0.into_owned(), around(json!({})));
    }

    #[test]
    fn references_find_what_they_mean_at_its_new_place() {
        let tree = json!({"type": "array", "items": {"anyOf": [{"$ref": "#"}, {"$ref": "#/$defs/leaf"}, {"$ref": "#/items"}]},
            "$defs": {"leaf": {"type": "object", "properties": {"$ref": {"type": "string"}, "up": {"$ref": "#"}}, "default": {"$ref": "#"}}}});
        let (outer, _) = as_object(&tree);
        let expected =
            json!([{"$ref": "#/properties/value"}, {"$ref": "#/$defs/leaf"}, {"$ref": "#/properties/value/items"}]);
        assert_eq!(outer["properties"]["value"]["items"]["anyOf"], expected);
        let leaf = &outer["$defs"]["leaf"];
        assert_eq!(leaf["properties"]["up"], json!({"$ref": "#/properties/value"}));
        assert_eq!(leaf["default"], json!({"$ref": "#"}), "is no schema");
    }
}
