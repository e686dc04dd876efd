//! `allOf`, which neither of Google's languages has, as one schema: later ones win, and what stands beside it wins over all.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::is_annotation;

/// The schema without any `allOf`. Says that something is lost where there is more than one.
pub(super) fn merged<'s>(schema: &'s Value, lost: &mut BTreeSet<&'static str>) -> Cow<'s, Value> {
    if mentions(schema) { Cow::Owned(merge(schema.clone(), lost)) } else { Cow::Borrowed(schema) }
}

fn mentions(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.contains_key("allOf") || map.values().any(mentions),
        Value::Array(list) => list.iter().any(mentions),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Moves what there is, and copies nothing: schemas may be deep and wide.
fn merge(schema: Value, lost: &mut BTreeSet<&'static str>) -> Value {
    let Value::Object(node) = schema else { return schema };
    let mut parts = Vec::new();
    take_apart(node, &mut parts, lost);
    let mut parts = parts.into_iter();
    let mut merged = parts.next().unwrap_or_default();
    parts.for_each(|part| add(&mut merged, part));
    let within = |(key, value): (String, Value)| {
        let value = match (key.as_str(), value) {
            ("properties" | "$defs" | "definitions", Value::Object(named)) => {
                named.into_iter().map(|(name, node)| (name, merge(node, lost))).collect()
            }
            ("anyOf" | "oneOf" | "items" | "prefixItems", Value::Array(list)) => {
                list.into_iter().map(|node| merge(node, lost)).collect()
            }
            ("items" | "additionalProperties", one) => merge(one, lost),
            (_, other) => other,
        };
        (key, value)
    };
    merged.into_iter().map(within).collect()
}

/// A node's parts, each without an `allOf` of its own, in the order in which they count.
fn take_apart(mut node: Map<String, Value>, parts: &mut Vec<Map<String, Value>>, lost: &mut BTreeSet<&'static str>) {
    if let Some(Value::Array(all)) = node.shift_remove("allOf") {
        let is_alias = matches!(all.as_slice(), [Value::Object(_)]) && node.keys().all(|key| is_annotation(key));
        if !is_alias {
            lost.insert("allOf");
        }
        for part in all {
            if let Value::Object(part) = part {
                take_apart(part, parts, lost);
            }
        }
    }
    parts.push(node);
}

fn add(merged: &mut Map<String, Value>, part: Map<String, Value>) {
    for (key, value) in part {
        match (merged.get_mut(&key), value) {
            (Some(Value::Object(known)), Value::Object(more)) => known.extend(more),
            (Some(Value::Array(known)), Value::Array(more)) if key == "required" => known.extend(more),
            (_, value) => {
                merged.insert(key, value);
            }
        }
    }
}
