//! Schemas there and back.

use super::*;

fn open_api(schema: Value) -> Adapted {
    adapt(&schema, Language::OpenApi, Order::Unsaid)
}

#[test]
fn what_googles_language_can_say_is_said_in_it() {
    let adapted = open_api(json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "city": {"type": ["string", "null"], "description": "Where.", "minLength": 1, "format": "city"},
            "kind": {"const": "exact"},
            "count": {"type": "integer", "exclusiveMinimum": 0},
            "either": {"oneOf": [{"type": "string"}, {"type": "number"}]},
            "maybe": {"anyOf": [{"type": "boolean"}, {"type": "null"}], "default": true},
            "list": {"type": "array", "items": {"enum": ["a", "b", null], "type": "string"}},
        },
        "required": ["city", "city", "gone"],
        "additionalProperties": false,
    }));
    assert_eq!(adapted.language, Language::OpenApi);
    assert!(adapted.lost.is_empty());
    let expected = json!({
        "type": "OBJECT",
        "properties": {
            "city": {"nullable": true, "type": "STRING", "description": "Where. (format: city)", "minLength": 1},
            "kind": {"type": "STRING", "enum": ["exact"]},
            "count": {"type": "INTEGER", "minimum": 1},
            "either": {"anyOf": [{"type": "STRING"}, {"type": "NUMBER"}]},
            "maybe": {"nullable": true, "type": "BOOLEAN", "default": true},
            "list": {"type": "ARRAY", "items": {"type": "STRING", "nullable": true, "enum": ["a", "b"]}},
        },
        "required": ["city"],
    });
    assert_eq!(adapted.schema.unwrap(), expected);
}

#[test]
fn what_it_cannot_say_goes_as_json_schema_with_the_keywords_that_google_lists() {
    let adapted = open_api(json!({
        "type": "object",
        "properties": {
            "tree": {"$ref": "#/definitions/node", "description": "x"},
            "map": {"type": "object", "additionalProperties": {"type": "string", "pattern": "^a"}},
            "any": {"type": "object", "additionalProperties": true},
            "level": {"enum": [1, 2]},
        },
        "definitions": {"node": {"type": "object", "properties": {"next": {"$ref": "#/definitions/node"}}, "not": {}}},
    }));
    assert_eq!(adapted.language, Language::Json);
    assert_eq!(adapted.lost, BTreeSet::from(["not", "pattern"]));
    let expected = json!({
        "type": "object",
        "properties": {
            "tree": {"$ref": "#/$defs/node"},
            "map": {"type": "object", "additionalProperties": {"type": "string", "description": "(pattern: \"^a\")"}},
            "any": {"type": "object", "additionalProperties": true},
            "level": {"enum": [1, 2]},
        },
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
    });
    assert_eq!(adapted.schema.unwrap(), expected);
}

#[test]
fn a_tool_without_parameters_has_no_schema() {
    for empty in [json!({"type": "object"}), json!({"type": "object", "properties": {}, "additionalProperties": false})]
    {
        assert_eq!(open_api(empty).schema, None);
    }
}

#[test]
fn parts_of_all_of_are_one_object_and_that_is_said() {
    let one = open_api(json!({"type": "object", "properties": {"a": {"allOf": [{"type": "string"}], "title": "A"}}}));
    assert_eq!(one.schema.unwrap()["properties"]["a"], json!({"type": "STRING", "title": "A"}));
    assert!(one.lost.is_empty());
    let two = open_api(json!({"allOf": [
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        {"properties": {"b": {"type": "string"}}, "required": ["b"]},
    ]}));
    assert_eq!(two.lost, BTreeSet::from(["allOf"]));
    assert_eq!(two.schema.unwrap()["required"], json!(["a", "b"]));
}

#[test]
fn the_order_of_an_answers_properties_is_said() {
    let schema = json!({"type": "object", "properties": {"z": {"type": "string"}, "a": {"type": "string"}}});
    let adapted = adapt(&schema, Language::OpenApi, Order::Said);
    assert_eq!(adapted.schema.unwrap()["propertyOrdering"], json!(["z", "a"]));
}

#[test]
fn googles_language_is_read_as_json_schema() {
    let read = to_json_schema(&json!({"type": "OBJECT", "property_ordering": ["a"], "properties": {
        "a": {"type": "STRING", "nullable": true, "format": "enum", "enum": ["x"]},
        "any_of": {"anyOf": [{"type": "NUMBER"}, {"type": "ARRAY", "items": {"type": "STRING"}, "min_items": "1"}]},
    }}));
    let expected = json!({"type": "object", "properties": {
        "a": {"type": ["string", "null"], "enum": ["x", null]},
        "any_of": {"anyOf": [{"type": "number"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]},
    }});
    assert_eq!(read, expected);
}
