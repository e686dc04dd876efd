//! Google's own schema language, read as JSON Schema.

use serde_json::{Map, Value, json};

use crate::dialect::gemini::wire::camel_keys;

/// Reads a schema in Google's own language as JSON Schema.
pub(in crate::dialect::gemini) fn to_json_schema(schema: &Value) -> Value {
    let Value::Object(schema) = schema else { return schema.clone() };
    let schema = camel_keys(schema.clone());
    let is_nullable = schema.get("nullable") == Some(&Value::Bool(true));
    let mut out = Map::new();
    for (key, value) in schema {
        match (key.as_str(), value) {
            ("type", Value::String(word)) if word == "TYPE_UNSPECIFIED" => {}
            ("type", Value::String(word)) => {
                let word = word.to_ascii_lowercase();
                let kind = if is_nullable { json!([word, "null"]) } else { word.into() };
                out.insert(key, kind);
            }
            ("enum", Value::Array(mut values)) => {
                if is_nullable {
                    values.push(Value::Null);
                }
                out.insert(key, values.into());
            }
            ("nullable" | "propertyOrdering", _) => {}
            ("format", Value::String(word)) if word == "enum" => {}
            ("example", value) => {
                out.insert("examples".to_owned(), json!([value]));
            }
            ("properties", Value::Object(properties)) => {
                let properties: Map<String, Value> =
                    properties.iter().map(|(name, node)| (name.clone(), to_json_schema(node))).collect();
                out.insert(key, properties.into());
            }
            ("items" | "additionalProperties", value) => {
                let value = to_json_schema(&value);
                out.insert(key, value);
            }
            ("anyOf", Value::Array(options)) => {
                let mut options: Vec<Value> = options.iter().map(to_json_schema).collect();
                if is_nullable {
                    options.push(json!({"type": "null"}));
                }
                out.insert(key, options.into());
            }
            // Whole numbers of 64 bits are texts in the JSON of protocol buffers.
            ("minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties", value) => {
                let number = value.as_str().and_then(|text| text.parse::<u64>().ok()).map(Value::from);
                out.insert(key, number.unwrap_or(value));
            }
            (_, value) => {
                out.insert(key, value);
            }
        }
    }
    Value::Object(out)
}
