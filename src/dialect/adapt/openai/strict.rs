//! Which schemas OpenAI holds a model to, to the letter, and how they have to be written for that.
//!
//! The keywords and limits are those of OpenAI's guide to structured outputs ("Supported schemas"). An object takes no
//! properties but those it names, and each of them is there. Objects that do not say whether they are closed are closed: what
//! is left is within what was asked for, and it is what Google's and Anthropic's models give. A property that may be missing
//! cannot be said, and neither can an object of any form.

use serde_json::{Map, Value};

use crate::dialect::adapt::say_in_words;

/// How deep objects and lists may stand in each other.
const DEEPEST: usize = 10;
/// How many properties all objects may have together.
const MOST_PROPERTIES: usize = 5_000;
/// How many values all `enum`s may have together.
const MOST_CHOICES: usize = 1_000;
/// How many bytes the names of properties and definitions and the values of `enum` and `const` may have together.
const MOST_LETTERS: usize = 120_000;
/// An `enum` of more values than this may have so many bytes only.
const LONG_ENUM: (usize, usize) = (250, 15_000);

/// What strings may be said to be.
const FORMATS: [&str; 9] = ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"];

/// A schema that can be held.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Held {
    /// As it is written for that.
    pub(super) schema: Value,
    /// Something of it is said in descriptions only.
    pub(super) in_words: bool,
}

/// The schema as OpenAI holds it; `None` if it cannot.
pub(super) fn hold(schema: &Value) -> Option<Held> {
    let mut held = Holder { properties: 0, choices: 0, letters: 0, in_words: false };
    let schema = held.node(schema, 0)?;
    let fits = held.properties <= MOST_PROPERTIES && held.choices <= MOST_CHOICES && held.letters <= MOST_LETTERS;
    fits.then_some(Held { schema, in_words: held.in_words })
}

struct Holder {
    properties: usize,
    choices: usize,
    letters: usize,
    in_words: bool,
}

impl Holder {
    fn node(&mut self, schema: &Value, depth: usize) -> Option<Value> {
        let schema = schema.as_object()?;
        let kind = schema.get("type").cloned().or_else(|| implied(schema));
        let depth = depth + usize::from(kind.as_ref().is_some_and(nests));
        if depth > DEEPEST {
            return None;
        }
        let mut out = Map::new();
        let mut words = Map::new();
        out.extend(kind.map(|kind| ("type".to_owned(), kind)));
        for (key, value) in schema {
            let (key, value) = match (key.as_str(), value) {
                ("type", _) => continue,
                // They describe, and no answer changes without them.
                ("$schema" | "$id" | "$comment" | "default" | "deprecated" | "discriminator" | "examples", _)
                | ("propertyOrdering" | "readOnly" | "writeOnly", _)
                | ("nullable", Value::Bool(false)) => continue,
                ("description" | "title" | "required" | "pattern", _)
                | ("minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf", _)
                | ("minItems" | "maxItems", _)
                | ("additionalProperties", Value::Bool(false)) => (key.as_str(), value.clone()),
                ("$ref", Value::String(target)) if target.starts_with('#') => (key.as_str(), value.clone()),
                ("enum", Value::Array(values)) => {
                    self.choose(values)?;
                    (key.as_str(), value.clone())
                }
                ("const", _) => {
                    self.choose(std::slice::from_ref(value))?;
                    (key.as_str(), value.clone())
                }
                ("format", Value::String(format)) if FORMATS.contains(&format.as_str()) => {
                    (key.as_str(), value.clone())
                }
                ("properties" | "$defs" | "definitions", Value::Object(nodes)) => {
                    if key == "properties" {
                        self.properties += nodes.len();
                    }
                    (key.as_str(), self.named(nodes, depth)?.into())
                }
                ("items", Value::Object(_)) => (key.as_str(), self.node(value, depth)?),
                // Both vendors who speak other dialects read one as the other.
                ("anyOf", Value::Array(options)) => ("anyOf", self.options(options, depth)?),
                ("oneOf", Value::Array(options)) if !schema.contains_key("anyOf") => {
                    ("anyOf", self.options(options, depth)?)
                }
                ("format" | "minLength" | "maxLength" | "contentEncoding" | "contentMediaType", _)
                | ("uniqueItems" | "contains" | "minContains" | "maxContains", _)
                | ("minProperties" | "maxProperties" | "propertyNames" | "not", _) => {
                    words.insert(key.clone(), value.clone());
                    continue;
                }
                _ => return None,
            };
            out.insert(key.to_owned(), value);
        }
        if !words.is_empty() {
            self.in_words = true;
            say_in_words(&mut out, &words);
        }
        complete(out)
    }

    fn named(&mut self, nodes: &Map<String, Value>, depth: usize) -> Option<Map<String, Value>> {
        self.letters += nodes.keys().map(String::len).sum::<usize>();
        nodes.iter().map(|(name, node)| Some((name.clone(), self.node(node, depth)?))).collect()
    }

    fn options(&mut self, options: &[Value], depth: usize) -> Option<Value> {
        options.iter().map(|option| self.node(option, depth)).collect::<Option<Vec<_>>>().map(Value::from)
    }

    fn choose(&mut self, values: &[Value]) -> Option<()> {
        let letters = |value: &Value| match value {
            Value::String(text) => Some(text.len()),
            Value::Null | Value::Bool(_) | Value::Number(_) => Some(1),
            Value::Array(_) | Value::Object(_) => None,
        };
        let letters = values.iter().map(letters).sum::<Option<usize>>()?;
        self.choices += values.len();
        self.letters += letters;
        (values.len() <= LONG_ENUM.0 || letters <= LONG_ENUM.1).then_some(())
    }
}

/// The type of a node that says none.
fn implied(schema: &Map<String, Value>) -> Option<Value> {
    if schema.contains_key("properties") {
        return Some("object".into());
    }
    if schema.contains_key("items") {
        return Some("array".into());
    }
    let values = match (schema.get("enum"), schema.get("const")) {
        (Some(Value::Array(values)), _) => values.as_slice(),
        (_, Some(value)) => std::slice::from_ref(value),
        (_, None) => return None,
    };
    let name = |value: &Value| match value {
        Value::String(_) => Some("string"),
        Value::Number(_) => Some("number"),
        Value::Bool(_) => Some("boolean"),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    let first = name(values.first()?)?;
    values.iter().all(|value| name(value) == Some(first)).then(|| first.into())
}

fn is_kind(kind: &Value, name: &str) -> bool {
    match kind {
        Value::Array(names) => names.iter().any(|one| one == name),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => kind == name,
    }
}

fn nests(kind: &Value) -> bool {
    is_kind(kind, "object") || is_kind(kind, "array")
}

/// Closes an object; `None` if the node is too open.
fn complete(mut out: Map<String, Value>) -> Option<Value> {
    let Some(kind) = out.get("type") else {
        return if out.contains_key("$ref") {
            Some(reference(out))
        } else {
            out.contains_key("anyOf").then_some(Value::Object(out))
        };
    };
    if is_kind(kind, "array") && !out.contains_key("items") {
        return None;
    }
    if is_kind(kind, "object") {
        let properties = out.get("properties")?.as_object()?;
        let required = out.get("required").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let named: std::collections::HashSet<_> = required.iter().filter_map(Value::as_str).collect();
        if named.len() != properties.len() || !properties.keys().all(|name| named.contains(name.as_str())) {
            return None;
        }
        out.entry("required").or_insert_with(|| Value::Array(Vec::new()));
        out.insert("additionalProperties".to_owned(), false.into());
    }
    Some(out.into())
}

/// Beside a reference nothing else may stand: a description stands around it.
fn reference(mut out: Map<String, Value>) -> Value {
    let is_alone = out.keys().all(|key| matches!(key.as_str(), "$ref" | "$defs" | "definitions"));
    if !is_alone && let Some(target) = out.shift_remove("$ref") {
        let one = Map::from_iter([("$ref".to_owned(), target)]);
        out.insert("anyOf".to_owned(), vec![Value::from(one)].into());
    }
    out.into()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(properties: Value, required: Value) -> Value {
        json!({"type": "object", "properties": properties, "required": required})
    }

    #[test]
    fn an_object_is_closed_and_names_all_of_its_properties() {
        let inner = object(json!({"b": {"type": ["string", "null"]}}), json!(["b"]));
        let held = hold(&object(json!({"a": {"type": "array", "items": inner}}), json!(["a"]))).unwrap();
        assert_eq!(held.schema["additionalProperties"], false);
        assert_eq!(held.schema["properties"]["a"]["items"]["additionalProperties"], false);
        assert!(!held.in_words);
        for open in [
            object(json!({"a": {"type": "string"}}), json!([])),
            object(json!({"a": {"type": "string"}}), json!(["a", "b"])),
            object(json!({"a": {"type": "object"}}), json!(["a"])),
            object(json!({"a": {"type": "array"}}), json!(["a"])),
            object(json!({"a": {}}), json!(["a"])),
            json!({"type": "object", "properties": {}, "additionalProperties": {"type": "string"}}),
            json!({"anyOf": [object(json!({"a": {"type": "string"}}), json!([]))]}),
            json!({"type": "object", "properties": {}, "$defs": {"d": {"type": "object"}}}),
            json!({"allOf": [{"type": "string"}]}),
            json!({"type": "object", "properties": {}, "patternProperties": {"a": {"type": "string"}}}),
            json!({"type": "object", "properties": {}, "keyword_of_tomorrow": 1}),
        ] {
            assert_eq!(hold(&open), None, "{open}");
        }
    }

    #[test]
    fn what_is_not_held_is_said_in_words_and_what_only_describes_is_left_out() {
        let held =
            hold(&json!({"type": "string", "minLength": 3, "format": "uri", "default": "x", "title": "T"})).unwrap();
        let words = "It must match {\"minLength\":3,\"format\":\"uri\"}";
        assert_eq!(
            held,
            Held { schema: json!({"type": "string", "title": "T", "description": words}), in_words: true }
        );
        let kept = json!({"type": "number", "minimum": 1, "multipleOf": 2});
        assert_eq!(hold(&kept), Some(Held { schema: kept, in_words: false }));
    }

    #[test]
    fn choices_and_references_are_written_as_openai_takes_them() {
        let held = |schema: Value| hold(&schema).map(|held| held.schema);
        assert_eq!(held(json!({"enum": ["a"]})), Some(json!({"type": "string", "enum": ["a"]})));
        assert_eq!(held(json!({"const": 1})), Some(json!({"type": "number", "const": 1})));
        assert_eq!(
            held(json!({"oneOf": [{"type": "null"}], "discriminator": {}})),
            Some(json!({"anyOf": [{"type": "null"}]}))
        );
        let reference = json!({"description": "D", "$ref": "#/$defs/d"});
        assert_eq!(held(reference), Some(json!({"description": "D", "anyOf": [{"$ref": "#/$defs/d"}]})));
        assert_eq!(held(json!({"$ref": "https://example.com/d"})), None);
        assert_eq!(held(json!({"enum": ["a", 1]})), None);
    }

    #[test]
    fn a_schema_beyond_openais_limits_is_not_held() {
        let nested = |depth: usize| {
            (0..depth).fold(json!({"type": "string"}), |inner, _| json!({"type": "array", "items": inner}))
        };
        assert!(hold(&nested(DEEPEST)).is_some() && hold(&nested(DEEPEST + 1)).is_none());
        let names = |count: usize| (0..count).map(|number| format!("p{number}")).collect::<Vec<_>>();
        let wide = |count: usize| {
            let properties: Map<String, Value> =
                names(count).into_iter().map(|name| (name, json!({"type": "null"}))).collect();
            object(properties.into(), json!(names(count)))
        };
        assert!(hold(&wide(MOST_PROPERTIES)).is_some() && hold(&wide(MOST_PROPERTIES + 1)).is_none());
        let choice = |count: usize, length: usize| {
            let values: Vec<String> = (0..count).map(|number| format!("{number:0length$}")).collect();
            hold(&json!({"type": "string", "enum": values})).is_some()
        };
        assert!(choice(MOST_CHOICES, 15) && !choice(MOST_CHOICES + 1, 4));
        assert!(choice(250, 400) && !choice(251, 60), "a long choice has short words");
    }
}
