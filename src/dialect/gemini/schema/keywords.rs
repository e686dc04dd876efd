//! Each keyword of a schema, as Google takes it.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Adapter, DESCRIPTIVE, Order, RESTRICTING};

impl Adapter {
    pub(super) fn keyword(
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

    pub(super) fn choices(&mut self, values: Vec<Value>, out: &mut Map<String, Value>) {
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
    pub(super) fn format(
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

    pub(super) fn union(&mut self, value: &Value, out: &mut Map<String, Value>) {
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
    pub(super) fn additional(&mut self, value: &Value, schema: &Map<String, Value>, out: &mut Map<String, Value>) {
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

    pub(super) fn exclusive(
        &mut self,
        key: &str,
        value: &Value,
        schema: &Map<String, Value>,
        out: &mut Map<String, Value>,
    ) {
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
