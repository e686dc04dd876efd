//! JSON Schema into what Gemini takes, and Google's own schema language into JSON Schema.
//!
//! Google takes schemas in two fields each. `parameters` and `responseSchema` hold its own language, a subset of OpenAPI
//! 3.0: a keyword that is not in it is an error. `parametersJsonSchema` and `responseJsonSchema` hold JSON Schema, of which
//! the reference lists what is understood (`GenerationConfig.responseJsonSchema`). A schema that the first cannot say
//! (references, maps, tuples, objects of any form) goes into the second. What neither understands is adapted, and said.

mod all_of;
mod keywords;
mod read;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

pub(super) use read::to_json_schema;

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
    let mut lost = BTreeSet::new();
    let schema = all_of::merged(schema, &mut lost);
    let mut used = Adapter { language: preferred, order, lost: lost.clone(), beyond: false };
    let mut written = used.node(&schema);
    if used.beyond {
        used = Adapter { language: Language::Json, order, lost, beyond: false };
        written = used.node(&schema);
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
}

fn is_annotation(key: &str) -> bool {
    matches!(key, "title" | "description" | "default") || DESCRIPTIVE.contains(&key)
}
