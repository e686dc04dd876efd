//! A value that a JSON Schema accepts, made up without chance.
//!
//! Covers what tool definitions and structured outputs use: types in either spelling (Google writes them in capitals),
//! `enum`, `const`, `default`, `anyOf`/`oneOf`/`allOf`, local `$ref`, bounds and common formats. Patterns are not solved.

use serde_json::{Map, Number, Value, json};

const DEEPEST: usize = 12;

/// A value for the whole schema.
pub(super) fn of(schema: &Value) -> Value {
    Maker { root: schema, number: 0 }.make(schema, "answer", 0)
}

/// Arguments for a call, an object always; those of parallel calls differ by their number.
pub(super) fn of_call(schema: &Value, number: usize) -> Value {
    match (Maker { root: schema, number }).make(schema, "input", 0) {
        Value::Object(fields) => Value::Object(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => json!({}),
    }
}

struct Maker<'a> {
    root: &'a Value,
    number: usize,
}

impl Maker<'_> {
    fn make(&self, schema: &Value, name: &str, depth: usize) -> Value {
        if depth > DEEPEST {
            return Value::Null;
        }
        if let Some(pointer) = schema.get("$ref").and_then(Value::as_str) {
            let target = pointer.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            return target.map_or(Value::Null, |target| self.make(target, name, depth + 1));
        }
        if let Some(value) = schema.get("const").or_else(|| schema.get("default")) {
            return value.clone();
        }
        if let Some(first) = schema.get("enum").and_then(Value::as_array).and_then(|values| values.first()) {
            return first.clone();
        }
        if let Some(all) = schema.get("allOf").and_then(Value::as_array) {
            return self.merged(schema, all, name, depth);
        }
        if let Some(one) = alternatives(schema) {
            return self.make(one, name, depth + 1);
        }
        match kind(schema).as_str() {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, name, depth),
            "string" => self.string(schema, name),
            "integer" => integer(schema),
            "number" => number(schema),
            "boolean" => json!(true),
            _ => Value::Null,
        }
    }

    fn merged(&self, schema: &Value, all: &[Value], name: &str, depth: usize) -> Value {
        let mut merged = Map::new();
        for part in all {
            match self.make(part, name, depth + 1) {
                Value::Object(fields) => merged.extend(fields),
                other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                    return other;
                }
            }
        }
        if let Value::Object(fields) = self.object(schema, depth) {
            merged.extend(fields);
        }
        Value::Object(merged)
    }

    fn object(&self, schema: &Value, depth: usize) -> Value {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return json!({}) };
        let required = schema.get("required").and_then(Value::as_array);
        let wanted = |name: &str| required.is_none_or(|required| required.iter().any(|one| one == name));
        properties
            .iter()
            .filter(|(name, _)| wanted(name))
            .map(|(name, property)| (name.clone(), self.make(property, name, depth + 1)))
            .collect()
    }

    fn array(&self, schema: &Value, name: &str, depth: usize) -> Value {
        if let Some(prefix) = schema.get("prefixItems").and_then(Value::as_array) {
            return prefix.iter().map(|item| self.make(item, name, depth + 1)).collect();
        }
        let least = bound(schema, "minItems").unwrap_or(1).min(64);
        let most = bound(schema, "maxItems").unwrap_or(u64::MAX);
        let item = schema.get("items").map_or_else(|| json!(name), |item| self.make(item, name, depth + 1));
        (0..least.min(most)).map(|_| item.clone()).collect()
    }

    fn string(&self, schema: &Value, name: &str) -> Value {
        let text = match schema.get("format").and_then(Value::as_str) {
            Some("date-time") => "2026-01-02T03:04:05Z".to_owned(),
            Some("date") => "2026-01-02".to_owned(),
            Some("time") => "03:04:05Z".to_owned(),
            Some("email") => "sandbox@example.com".to_owned(),
            Some("uri" | "url") => "https://example.com/sandbox".to_owned(),
            Some("uuid") => "00000000-0000-4000-8000-000000000000".to_owned(),
            Some("ipv4") => "192.0.2.1".to_owned(),
            _ if self.number > 0 => format!("sandbox {name} {}", self.number + 1),
            _ => format!("sandbox {name}"),
        };
        let least = bound(schema, "minLength").and_then(|least| usize::try_from(least).ok()).unwrap_or(0).min(4096);
        let most = bound(schema, "maxLength").and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
        let padding = "x".repeat(least.saturating_sub(text.chars().count()));
        (text + &padding).chars().take(most).collect::<String>().into()
    }
}

fn alternatives(schema: &Value) -> Option<&Value> {
    let options = schema.get("anyOf").or_else(|| schema.get("oneOf"))?.as_array()?;
    options.iter().find(|option| kind(option) != "null").or_else(|| options.first())
}

fn kind(schema: &Value) -> String {
    let named = match schema.get("type") {
        Some(Value::String(name)) => Some(name.as_str()),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        _ => None,
    };
    let guessed = || {
        if schema.get("properties").is_some() {
            "object"
        } else if schema.get("items").is_some() {
            "array"
        } else {
            "string"
        }
    };
    named.unwrap_or_else(guessed).to_lowercase()
}

/// Google's JSON writes 64-bit numbers as strings.
fn bound(schema: &Value, name: &str) -> Option<u64> {
    let bound = schema.get(name)?;
    bound.as_u64().or_else(|| bound.as_str()?.parse().ok())
}

fn limit(schema: &Value, name: &str) -> Option<f64> {
    schema.get(name).and_then(Value::as_f64)
}

fn integer(schema: &Value) -> Value {
    let value = number(schema).as_f64().unwrap_or(1.0);
    #[expect(clippy::cast_possible_truncation, reason = "a schema's bound beyond 64 bits is nobody's")]
    let whole = value.ceil() as i64;
    json!(whole)
}

fn number(schema: &Value) -> Value {
    let least = limit(schema, "minimum").or_else(|| limit(schema, "exclusiveMinimum").map(|above| above + 1.0));
    let most = limit(schema, "maximum").or_else(|| limit(schema, "exclusiveMaximum").map(|below| below - 1.0));
    let value = least.unwrap_or(1.0).max(1.0_f64.min(most.unwrap_or(f64::MAX))).min(most.unwrap_or(f64::MAX));
    let stepped =
        limit(schema, "multipleOf").filter(|step| *step > 0.0).map_or(value, |step| (value / step).ceil() * step);
    if stepped.fract() == 0.0 {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole")]
        let whole = stepped as i64;
        return json!(whole);
    }
    Number::from_f64(stepped).map_or(json!(1), Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_follows_its_schema() {
        let schema = json!({
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"enum": ["c", "f"]},
                "days": {"type": "integer", "minimum": 3},
                "share": {"type": "number", "minimum": 0.25, "maximum": 0.5},
                "tags": {"type": "array", "items": {"type": "string", "minLength": 20}, "minItems": 2},
                "maybe": {"anyOf": [{"type": "null"}, {"type": "boolean"}]},
                "place": {"$ref": "#/$defs/place"},
                "skipped": {"type": "string"},
            },
            "required": ["city", "unit", "days", "share", "tags", "maybe", "place"],
            "$defs": {"place": {"type": "OBJECT", "properties": {"at": {"type": "STRING", "format": "date"}}}},
        });
        assert_eq!(
            of(&schema),
            json!({
                "city": "sandbox city", "unit": "c", "days": 3, "share": 0.5,
                "tags": ["sandbox tagsxxxxxxxx", "sandbox tagsxxxxxxxx"], "maybe": true, "place": {"at": "2026-01-02"},
            })
        );
    }

    #[test]
    fn a_schema_that_holds_itself_ends() {
        let schema = json!({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}}});
        assert!(of(&schema).is_object());
    }

    #[test]
    fn parallel_calls_differ() {
        let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
        assert_ne!(of_call(&schema, 0), of_call(&schema, 1));
        assert_eq!(of_call(&json!({}), 0), json!({}));
    }
}
