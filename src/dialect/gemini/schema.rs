//! JSON Schema into what Gemini takes, and Google's own schema language into JSON Schema.
//!
//! Google takes schemas in two fields each. `parameters` and `responseSchema` hold its own language, a subset of OpenAPI
//! 3.0: a keyword that is not in it is an error. `parametersJsonSchema` and `responseJsonSchema` hold JSON Schema, of which
//! the reference lists what is understood (`GenerationConfig.responseJsonSchema`). A schema that the first cannot say
//! (references, maps, tuples, objects of any form) goes into the second. What neither understands is adapted, and said.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::wire::camel_keys;

/// A schema as it is sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Adapted {
    /// The schema; `None` if it says no more than that there are no parameters.
    pub(super) schema: Option<Value>,
    /// In which of the two languages.
    pub(super) language: Language,
    /// Keywords that were left out although they say something, each once.
    pub(super) lost: BTreeSet<&'static str>,
}

/// The two languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    /// Google's subset of OpenAPI.
    OpenApi,
    /// JSON Schema, as far as it is understood.
    Json,
}

/// Whether the order of properties has to be said: Google sorts those of answers in its own language by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// It does not matter.
    Unsaid,
    /// It is said.
    Said,
}

/// Keywords that only describe: no answer changes without them.
const DESCRIPTIVE: [&str; 10] =
    ["$schema", "$comment", "$id", "$anchor", "deprecated", "readOnly", "writeOnly", "examples", "example", "strict"];

/// Keywords that restrict, and that neither language has.
const RESTRICTING: [&str; 20] = [
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "patternProperties",
    "propertyNames",
    "contains",
    "minContains",
    "maxContains",
    "uniqueItems",
    "multipleOf",
    "unevaluatedProperties",
    "unevaluatedItems",
    "additionalItems",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
];

/// Adapts a schema of another dialect: in Google's own language where that can say it.
pub(super) fn adapt(schema: &Value, preferred: Language, order: Order) -> Adapted {
    if is_empty(schema) {
        return Adapted { schema: None, language: preferred, lost: BTreeSet::new() };
    }
    let mut first = Adapter { language: preferred, order, lost: BTreeSet::new(), beyond: false };
    let mut written = first.node(schema);
    let mut used = first;
    if used.beyond {
        used = Adapter { language: Language::Json, order, lost: BTreeSet::new(), beyond: false };
        written = used.node(schema);
    }
    Adapted { schema: Some(written), language: used.language, lost: used.lost }
}

/// Whether a schema of parameters says no more than that there are none: Google wants none at all then.
fn is_empty(schema: &Value) -> bool {
    let Some(schema) = schema.as_object() else { return true };
    let open = |value: &Value| value != &Value::Bool(false);
    let says_something = |(key, value): (&String, &Value)| match key.as_str() {
        "type" => value != "object",
        "properties" | "required" => !says_nothing(value),
        "additionalProperties" => open(value),
        key => !is_annotation(key),
    };
    !schema.iter().any(says_something)
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

struct Adapter {
    language: Language,
    order: Order,
    lost: BTreeSet<&'static str>,
    /// Something cannot be said in this language.
    beyond: bool,
}

impl Adapter {
    fn is_json(&self) -> bool {
        self.language == Language::Json
    }

    fn node(&mut self, schema: &Value) -> Value {
        let Some(schema) = schema.as_object() else {
            // `true` and `false`: anything, and nothing.
            if schema == &Value::Bool(false) {
                self.lost.insert("false");
            }
            self.beyond = true;
            return json!({});
        };
        let mut merged = self.merge_all_of(schema);
        while let Some(deeper) = merged.as_ref().and_then(|merged| self.merge_all_of(merged)) {
            merged = Some(deeper);
        }
        let schema = merged.as_ref().unwrap_or(schema);
        if let Some(reference) = schema.get("$ref") {
            return self.reference(reference, schema);
        }
        let mut out = Map::new();
        let mut notes = Vec::new();
        self.kind(schema, &mut out);
        for (key, value) in schema {
            self.keyword(key, value, schema, &mut out, &mut notes);
        }
        if !notes.is_empty() {
            let mut description = out.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
            for note in notes {
                let gap = if description.is_empty() { "" } else { " " };
                description = format!("{description}{gap}({note})");
            }
            out.insert("description".to_owned(), description.into());
        }
        self.check(&mut out);
        Value::Object(out)
    }

    /// Says what Google demands of a node in its own language.
    fn check(&mut self, out: &mut Map<String, Value>) {
        if let (Some(Value::Array(required)), Some(Value::Object(properties))) =
            (out.get("required"), out.get("properties"))
        {
            // A name that is not among the properties is an error there.
            let known: Vec<Value> = required
                .iter()
                .filter(|name| name.as_str().is_some_and(|name| properties.contains_key(name)))
                .cloned()
                .collect();
            if known.is_empty() {
                out.shift_remove("required");
            } else {
                out.insert("required".to_owned(), known.into());
            }
        } else if !self.is_json() {
            out.shift_remove("required");
        }
        if self.is_json() {
            // The word of Google's own language for what JSON Schema says with a type.
            if out.shift_remove("nullable") == Some(Value::Bool(true))
                && let Some(Value::String(kind)) = out.get("type")
            {
                let kinds = json!([kind, "null"]);
                out.insert("type".to_owned(), kinds);
            }
            return;
        }
        match out.get("type").and_then(Value::as_str) {
            Some("ARRAY") => self.beyond |= !out.contains_key("items"),
            // "should be non-empty for OBJECT type"
            Some("OBJECT") => self.beyond |= out.get("properties").is_none_or(says_nothing),
            Some(_) => {}
            None => self.beyond |= !out.contains_key("anyOf"),
        }
    }

    /// `allOf` as one schema: later ones win.
    fn merge_all_of(&mut self, schema: &Map<String, Value>) -> Option<Map<String, Value>> {
        let all = schema.get("allOf")?.as_array()?;
        let mut merged = Map::new();
        let own: Map<String, Value> =
            schema.iter().filter(|(key, _)| *key != "allOf").map(|(key, value)| (key.clone(), value.clone())).collect();
        if let ([Value::Object(one)], true) = (all.as_slice(), own.keys().all(|key| is_annotation(key))) {
            merged.clone_from(one);
            merged.extend(own);
            return Some(merged);
        }
        for part in all.iter().filter_map(Value::as_object).chain([&own]) {
            for (key, value) in part {
                match (merged.get_mut(key), value) {
                    (Some(Value::Object(known)), Value::Object(more)) => known.extend(more.clone()),
                    (Some(Value::Array(known)), Value::Array(more)) if key == "required" || key == "allOf" => {
                        known.extend(more.clone());
                    }
                    _ => {
                        merged.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        self.lost.insert("allOf");
        Some(merged)
    }

    fn reference(&mut self, reference: &Value, schema: &Map<String, Value>) -> Value {
        self.beyond = true;
        let Some(target) = reference.as_str().filter(|target| target.starts_with('#')) else {
            self.lost.insert("$ref");
            return json!({});
        };
        let target = match target.strip_prefix("#/definitions/") {
            Some(name) => format!("#/$defs/{name}"),
            None => target.to_owned(),
        };
        // Beside a reference, only keywords that begin with `$` may stand.
        let mut out = Map::from_iter([("$ref".to_owned(), Value::from(target))]);
        for key in ["$defs", "definitions"] {
            if let Some(Value::Object(definitions)) = schema.get(key) {
                let definitions = self.nodes(definitions);
                out.insert("$defs".to_owned(), definitions.into());
            }
        }
        Value::Object(out)
    }

    fn nodes(&mut self, map: &Map<String, Value>) -> Map<String, Value> {
        map.iter().map(|(name, node)| (name.clone(), self.node(node))).collect()
    }

    fn list(&mut self, value: &Value) -> Value {
        value.as_array().into_iter().flatten().map(|node| self.node(node)).collect()
    }

    fn kind(&mut self, schema: &Map<String, Value>, out: &mut Map<String, Value>) {
        let word = |word: &str| if self.is_json() { word.to_owned() } else { word.to_ascii_uppercase() };
        match schema.get("type") {
            Some(Value::String(one)) => {
                out.insert("type".to_owned(), word(one).into());
            }
            Some(Value::Array(many)) if self.is_json() => {
                out.insert("type".to_owned(), Value::Array(many.clone()));
            }
            Some(Value::Array(many)) => {
                let named: Vec<&str> = many.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect();
                if named.len() < many.len() {
                    out.insert("nullable".to_owned(), true.into());
                }
                match named.as_slice() {
                    [one] => {
                        out.insert("type".to_owned(), word(one).into());
                    }
                    // Several types with keywords of their own.
                    _ => self.beyond = true,
                }
            }
            Some(_) => {}
            None if schema.contains_key("properties") => {
                out.insert("type".to_owned(), word("object").into());
            }
            None if schema.contains_key("items") => {
                out.insert("type".to_owned(), word("array").into());
            }
            None => {
                let strings = |value: &Value| {
                    value.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(Value::is_string))
                };
                let is_text =
                    schema.get("enum").is_some_and(strings) || schema.get("const").is_some_and(Value::is_string);
                if is_text {
                    out.insert("type".to_owned(), word("string").into());
                }
            }
        }
    }

    fn keyword(
        &mut self,
        key: &str,
        value: &Value,
        schema: &Map<String, Value>,
        out: &mut Map<String, Value>,
        notes: &mut Vec<String>,
    ) {
        match key {
            "type" | "allOf" => {}
            "title" | "description" | "minimum" | "maximum" | "minItems" | "maxItems" => {
                out.insert(key.to_owned(), value.clone());
            }
            "default" if !self.is_json() => {
                out.insert(key.to_owned(), value.clone());
            }
            "default" => notes.push(format!("default: {value}")),
            "propertyOrdering" | "nullable" => {
                out.insert(key.to_owned(), value.clone());
            }
            "enum" => self.choices(value.as_array().cloned().unwrap_or_default(), out),
            "const" => self.choices(vec![value.clone()], out),
            "required" => {
                let mut seen = BTreeSet::new();
                let names = value.as_array().into_iter().flatten().filter_map(Value::as_str);
                let names: Vec<Value> = names.filter(|name| seen.insert(*name)).map(Value::from).collect();
                out.insert(key.to_owned(), names.into());
            }
            "format" => self.format(value, schema, out, notes),
            "properties" => {
                let Some(properties) = value.as_object() else { return };
                let written = self.nodes(properties);
                if self.order == Order::Said && !self.is_json() && written.len() > 1 {
                    let names: Vec<Value> = written.keys().map(|name| Value::from(name.as_str())).collect();
                    out.entry("propertyOrdering").or_insert(names.into());
                }
                out.insert(key.to_owned(), written.into());
            }
            "items" if value.is_array() => {
                self.beyond = true;
                let written = self.list(value);
                out.insert("prefixItems".to_owned(), written);
            }
            "items" => {
                let written = self.node(value);
                out.insert(key.to_owned(), written);
            }
            "prefixItems" => {
                self.beyond = true;
                let written = self.list(value);
                out.insert(key.to_owned(), written);
            }
            "anyOf" | "oneOf" => self.union(value, out),
            "$defs" | "definitions" => {
                // Definitions alone are no reason: only what refers to them is.
                if let (true, Some(definitions)) = (self.is_json(), value.as_object()) {
                    let written = self.nodes(definitions);
                    out.insert("$defs".to_owned(), written.into());
                }
            }
            "additionalProperties" => self.additional(value, schema, out),
            "exclusiveMinimum" | "exclusiveMaximum" => self.exclusive(key, value, schema, out),
            "pattern" | "minLength" | "maxLength" | "minProperties" | "maxProperties" => {
                if !self.is_json() {
                    out.insert(key.to_owned(), value.clone());
                } else if let Some(name) = ["pattern", "minLength", "maxLength", "minProperties", "maxProperties"]
                    .into_iter()
                    .find(|name| *name == key)
                {
                    self.lost.insert(name);
                    notes.push(format!("{key}: {value}"));
                }
            }
            _ if DESCRIPTIVE.contains(&key) => {}
            _ => {
                // A keyword that is nobody's, or newer than this code, cannot restrict what Gemini never knew of.
                if let Some(name) = RESTRICTING.into_iter().find(|name| *name == key) {
                    self.lost.insert(name);
                }
            }
        }
    }

    fn choices(&mut self, values: Vec<Value>, out: &mut Map<String, Value>) {
        if self.is_json() {
            out.insert("enum".to_owned(), values.into());
            return;
        }
        let count = values.len();
        let named: Vec<Value> = values.into_iter().filter(|value| !value.is_null()).collect();
        if named.len() < count {
            out.insert("nullable".to_owned(), true.into());
        }
        self.beyond |= named.is_empty() || !named.iter().all(Value::is_string);
        out.insert("enum".to_owned(), named.into());
    }

    /// Google's own language knows few formats, and refuses the others.
    fn format(
        &mut self,
        value: &Value,
        schema: &Map<String, Value>,
        out: &mut Map<String, Value>,
        notes: &mut Vec<String>,
    ) {
        let Some(format) = value.as_str() else { return };
        let known = match schema.get("type").and_then(Value::as_str) {
            Some("number") => matches!(format, "float" | "double"),
            Some("integer") => matches!(format, "int32" | "int64"),
            _ if self.is_json() => matches!(format, "date-time" | "date" | "time"),
            _ => matches!(format, "date-time" | "enum"),
        };
        if known {
            out.insert("format".to_owned(), format.into());
        } else {
            notes.push(format!("format: {format}"));
        }
    }

    fn union(&mut self, value: &Value, out: &mut Map<String, Value>) {
        let options = value.as_array().map_or(&[][..], Vec::as_slice);
        let is_null = |option: &&Value| option.get("type") == Some(&json!("null"));
        if self.is_json() {
            let written = self.list(value);
            out.insert("anyOf".to_owned(), written);
            return;
        }
        let named: Vec<&Value> = options.iter().filter(|option| !is_null(option)).collect();
        if named.len() < options.len() {
            out.insert("nullable".to_owned(), true.into());
        }
        match named.as_slice() {
            [one] => {
                if let Value::Object(one) = self.node(one) {
                    for (key, value) in one {
                        out.entry(key).or_insert(value);
                    }
                }
            }
            many => {
                let written: Vec<Value> = many.iter().map(|option| self.node(option)).collect();
                out.insert("anyOf".to_owned(), written.into());
            }
        }
    }

    /// A map, or an object of any form, can only be said in JSON Schema.
    fn additional(&mut self, value: &Value, schema: &Map<String, Value>, out: &mut Map<String, Value>) {
        let has_properties =
            schema.get("properties").and_then(Value::as_object).is_some_and(|properties| !properties.is_empty());
        match value {
            Value::Object(node) if !node.is_empty() => {
                self.beyond = true;
                let written = self.node(value);
                out.insert("additionalProperties".to_owned(), written);
            }
            _ if self.is_json() => {
                let value = if value.is_object() { &Value::Bool(true) } else { value };
                out.insert("additionalProperties".to_owned(), value.clone());
            }
            Value::Bool(false) => {}
            Value::Null
            | Value::Bool(true)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => {
                self.beyond |= !has_properties;
            }
        }
    }

    fn exclusive(&mut self, key: &str, value: &Value, schema: &Map<String, Value>, out: &mut Map<String, Value>) {
        let (bound, step, name) = match key {
            "exclusiveMinimum" => ("minimum", 1, "exclusiveMinimum"),
            _ => ("maximum", -1, "exclusiveMaximum"),
        };
        let is_integer = schema.get("type").and_then(Value::as_str) == Some("integer");
        match value.as_i64().filter(|_| is_integer).and_then(|value| value.checked_add(step)) {
            Some(next) => {
                out.insert(bound.to_owned(), next.into());
            }
            None => {
                self.lost.insert(name);
                if value.is_number() {
                    out.entry(bound).or_insert_with(|| value.clone());
                }
            }
        }
    }
}

fn is_annotation(key: &str) -> bool {
    matches!(key, "title" | "description" | "default") || DESCRIPTIVE.contains(&key)
}

/// Reads a schema in Google's own language as JSON Schema.
pub(super) fn to_json_schema(schema: &Value) -> Value {
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
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
        for empty in
            [json!({"type": "object"}), json!({"type": "object", "properties": {}, "additionalProperties": false})]
        {
            assert_eq!(open_api(empty).schema, None);
        }
    }

    #[test]
    fn parts_of_all_of_are_one_object_and_that_is_said() {
        let one =
            open_api(json!({"type": "object", "properties": {"a": {"allOf": [{"type": "string"}], "title": "A"}}}));
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
}
