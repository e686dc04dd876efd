//! What OpenAI demands of schemas: of functions' parameters, of forms of answers, and of what it holds to the letter.

use serde_json::Value;

use super::Refusal;

/// What a schema may not have at its top.
const CHOICES: [&str; 6] = ["oneOf", "anyOf", "allOf", "enum", "const", "not"];

/// The keywords of schemas that are held to the letter (OpenAI's guide to structured outputs).
const PERMITTED: [&str; 24] = [
    "$ref",
    "$defs",
    "$schema",
    "definitions",
    "type",
    "title",
    "description",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "anyOf",
    "enum",
    "const",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "default",
];

/// What their strings may be.
const FORMATS: [&str; 9] = ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"];

fn is_permitted(keyword: &str) -> bool {
    PERMITTED.contains(&keyword)
}

/// No choice stands at the top.
fn top(schema: &Value, whose: &str, path: &str) -> Result<(), Refusal> {
    if !CHOICES.iter().any(|key| schema.get(*key).is_some()) {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "Invalid schema for {whose}: schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'const'/'not' \
         at the top level."
    ))
    .param(path)
    .code(code(whose)))
}

fn code(whose: &str) -> &'static str {
    if whose.starts_with("function") { "invalid_function_parameters" } else { "invalid_json_schema" }
}

/// The form of an answer is an object's schema, held to the letter or not.
pub(super) fn form_schema(name: &str, schema: &Value, is_strict: bool, path: &str) -> Result<(), Refusal> {
    let whose = format!("response_format '{name}'");
    let kind = schema.get("type").unwrap_or(&Value::Null);
    if kind != "object" {
        let found = kind.as_str().map_or_else(|| "\"None\"".to_owned(), |kind| format!("\"{kind}\""));
        return Err(Refusal::invalid(format!(
            "Invalid schema for {whose}: schema must be a JSON Schema of 'type: \"object\"', got 'type: {found}'."
        ))
        .param(path)
        .code(code(&whose)));
    }
    top(schema, &whose, path)?;
    if is_strict { strict(schema, &whose, path) } else { Ok(()) }
}

/// Parameters are an object's schema, which names its properties and what is in its arrays.
pub(super) fn object_schema(name: &str, schema: &Value, path: &str) -> Result<(), Refusal> {
    let kind = schema.get("type").unwrap_or(&Value::Null);
    if kind == "object" {
        top(schema, &format!("function '{name}'"), path)?;
        let bare = |context: &str, what: &str| {
            Refusal::invalid(format!("Invalid schema for function '{name}': In context=({context}), {what}"))
                .param(path)
                .code("invalid_function_parameters")
        };
        let Some(properties) = schema.get("properties") else {
            return Err(bare("", "object schema missing properties."));
        };
        for (property, inner) in properties.as_object().into_iter().flatten() {
            if inner.get("type").is_some_and(|kind| kind == "array")
                && inner.get("items").is_none()
                && inner.get("prefixItems").is_none()
            {
                return Err(bare(&format!("'properties', '{property}'"), "array schema missing items."));
            }
        }
        return Ok(());
    }
    let found = kind.as_str().map_or_else(|| "\"None\"".to_owned(), |kind| format!("\"{kind}\""));
    Err(Refusal::invalid(format!(
        "Invalid schema for function '{name}': schema must be a JSON Schema of 'type: \"object\"', got 'type: {found}'."
    ))
    .param(path)
    .code("invalid_function_parameters"))
}

/// Strict schemas name every property as required and close every object.
pub(super) fn strict(schema: &Value, whose: &str, path: &str) -> Result<(), Refusal> {
    loose(schema, &mut Vec::new()).map_or(Ok(()), |(context, what)| {
        Err(Refusal::invalid(format!("Invalid schema for {whose}: In context=({context}), {what}"))
            .param(path)
            .code(code(whose)))
    })
}

fn loose(schema: &Value, context: &mut Vec<String>) -> Option<(String, String)> {
    let here = |context: &[String]| context.iter().map(|step| format!("'{step}'")).collect::<Vec<_>>().join(", ");
    if let Some(keyword) = schema.as_object().and_then(|schema| schema.keys().find(|key| !is_permitted(key))) {
        return Some((here(context), format!("'{keyword}' is not permitted.")));
    }
    if let Some(format) = schema.get("format").and_then(Value::as_str).filter(|format| !FORMATS.contains(format)) {
        return Some((here(context), format!("'{format}' is not a valid format.")));
    }
    if schema.get("$ref").is_some() {
        let others = schema.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
        let others: Vec<&str> = others.filter(|key| !matches!(*key, "$ref" | "$defs" | "definitions")).collect();
        if let Some(other) = others.first() {
            return Some((here(context), format!("$ref cannot have keywords {{'{other}'}}.")));
        }
    } else if schema.get("type").is_none() && schema.get("anyOf").is_none() {
        return Some((here(context), "schema must have a 'type' key.".to_owned()));
    }
    if schema.get("type").is_some_and(|kind| kind == "array") && schema.get("items").is_none() {
        return Some((here(context), "array schema missing items.".to_owned()));
    }
    if schema.get("type").is_some_and(|kind| kind == "object") && schema.get("properties").is_none() {
        return Some((here(context), "object schema missing properties.".to_owned()));
    }
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
            return Some((
                here(context),
                "'additionalProperties' is required to be supplied and to be false.".to_owned(),
            ));
        }
        let required = schema.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if let Some(missing) = properties.keys().find(|name| !required.iter().any(|one| one == *name)) {
            return Some((
                here(context),
                format!(
                    "'required' is required to be supplied and to be an array including every key in properties. Missing \
                     '{missing}'."
                ),
            ));
        }
    }
    for (name, inner) in schema.as_object()? {
        let children: Vec<(Vec<String>, &Value)> = match (name.as_str(), inner) {
            ("properties" | "$defs" | "definitions", Value::Object(map)) => {
                map.iter().map(|(key, value)| (vec![name.clone(), key.clone()], value)).collect()
            }
            ("items", value) => vec![(vec![name.clone()], value)],
            ("anyOf", Value::Array(options)) => options
                .iter()
                .enumerate()
                .map(|(index, value)| (vec![name.clone(), index.to_string()], value))
                .collect(),
            _ => Vec::new(),
        };
        for (steps, child) in children {
            let depth = context.len();
            context.extend(steps);
            if let Some(found) = loose(child, context) {
                return Some(found);
            }
            context.truncate(depth);
        }
    }
    None
}
