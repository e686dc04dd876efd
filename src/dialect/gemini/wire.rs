//! The small words and nodes of generateContent, each with both directions side by side: roles, function calling, forms
//! of output, thinking, finish reasons, usage, log probabilities, citations (Google's API reference, "Generating content").

mod answer;

use serde_json::{Map, Number, Value, json};

pub(super) use answer::{
    blocked_from, counts_anything, finish_from, finish_to, logprobs_from, logprobs_to, refused, searches, tier_to,
    usage_from, usage_to,
};

use super::{DIALECT, schema};
use crate::dialect::{Fields, Object, Path};
use crate::fault::Fault;
use crate::ir::{
    AllowedMode, Budget, CallKind, Carry, Effort, Opaque, Output, OutputFormat, ReasoningAsk, Role, ToolChoice,
    ToolMode, ToolRef, Visibility,
};

/// Opens a message of Google's. Its keys may be in snake case.
pub(super) fn open(value: Value, path: Path<'_>) -> Result<Fields<'_>, Fault> {
    let fields = Fields::of(value, path)?;
    Ok(Fields::of_map(camel_keys(fields.rest()), path))
}

/// Keys in camel case. Where both spellings are there, camel case counts.
pub(super) fn camel_keys(map: Map<String, Value>) -> Map<String, Value> {
    if !map.keys().any(|key| is_snake(key)) {
        return map;
    }
    let mut out = Map::with_capacity(map.len());
    for (key, value) in map {
        if is_snake(&key) {
            out.entry(camel(&key)).or_insert(value);
        } else {
            out.insert(key, value);
        }
    }
    out
}

/// A leading underscore is part of a name: `_responseJsonSchema`.
fn is_snake(key: &str) -> bool {
    key.get(1..).is_some_and(|rest| rest.contains('_'))
}

fn camel(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    let mut is_next_upper = false;
    for (place, letter) in key.chars().enumerate() {
        if letter == '_' && place > 0 {
            is_next_upper = true;
        } else if std::mem::take(&mut is_next_upper) {
            out.push(letter.to_ascii_uppercase());
        } else {
            out.push(letter);
        }
    }
    out
}

/// Takes a list; a single message where a list is meant is one of one element.
pub(super) fn list(fields: &mut Fields<'_>, key: &str) -> Result<Option<Vec<Value>>, Fault> {
    match fields.take(key) {
        None => Ok(None),
        Some(Value::Array(values)) => Ok(Some(values)),
        Some(one @ Value::Object(_)) => Ok(Some(vec![one])),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
            Err(fields.invalid(key, "an array"))
        }
    }
}

/// Takes a number, which may be written as a text.
pub(super) fn number(fields: &mut Fields<'_>, key: &str) -> Result<Option<Number>, Fault> {
    match fields.take(key) {
        None => Ok(None),
        Some(Value::Number(number)) => Ok(Some(number)),
        Some(Value::String(text)) => match serde_json::from_str::<Number>(&text) {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(fields.invalid(key, "a number")),
        },
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => Err(fields.invalid(key, "a number")),
    }
}

/// Takes a whole number that is not negative.
pub(super) fn count(fields: &mut Fields<'_>, key: &str) -> Result<Option<u64>, Fault> {
    let Some(number) = number(fields, key)? else { return Ok(None) };
    let is_whole = |float: &f64| float.fract() == 0.0 && (0.0..9e15).contains(float);
    // `1.0` is a whole number to protocol buffers. The range is checked, so that nothing is cut off.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number within range")]
    let whole = number.as_u64().or_else(|| number.as_f64().filter(is_whole).map(|float| float as u64));
    whole.map(Some).ok_or_else(|| fields.invalid(key, "a whole number of at least 0"))
}

/// Reads a role; the note is how it was written, if that is not how it would be.
pub(super) fn role_from(word: Option<&str>) -> Option<(Role, Option<Value>)> {
    match word {
        Some("user") => Some((Role::User, None)),
        Some("model") => Some((Role::Assistant, None)),
        // Older callers give functions' results a role of their own.
        Some("function") => Some((Role::Tool, None)),
        Some("") => Some((Role::User, Some(json!("")))),
        None => Some((Role::User, Some(Value::Null))),
        Some(_) => None,
    }
}

/// Writes a role.
pub(super) fn role_to(role: Role) -> &'static str {
    match role {
        Role::Assistant => "model",
        Role::Tool => "function",
        Role::User | Role::System | Role::Developer => "user",
    }
}

/// Reads `functionCallingConfig`.
pub(super) fn tool_choice_from(value: Value, path: Path<'_>) -> Result<ToolChoice, Fault> {
    let mut fields = open(value, path)?;
    let mode = fields.string("mode")?;
    let names = fields.strings("allowedFunctionNames")?;
    let refs = || -> Vec<ToolRef> {
        let names = names.iter().flatten();
        names.map(|name| ToolRef { kind: CallKind::Function, name: name.clone() }).collect()
    };
    let mut used = false;
    let mut note = None;
    let mode = match (mode.as_deref(), names.as_deref().unwrap_or_default()) {
        (Some("AUTO"), _) => ToolMode::Auto,
        // What proto JSON leaves out, or names by its first word, is its default.
        (None | Some("MODE_UNSPECIFIED"), _) => {
            note = Some(mode.as_deref().map_or(Value::Null, Value::from));
            ToolMode::Auto
        }
        (Some("NONE"), _) => ToolMode::None,
        (Some("ANY"), []) => ToolMode::Required,
        (Some("ANY"), [name]) => {
            used = true;
            ToolMode::Named(ToolRef { kind: CallKind::Function, name: name.clone() })
        }
        (Some("ANY"), _) => {
            used = true;
            ToolMode::Allowed { mode: AllowedMode::Required, tools: refs() }
        }
        (Some("VALIDATED"), []) => {
            note = Some("VALIDATED".into());
            ToolMode::Auto
        }
        (Some("VALIDATED"), _) => {
            used = true;
            ToolMode::Allowed { mode: AllowedMode::Auto, tools: refs() }
        }
        _ => {
            let mut whole = fields.rest();
            whole.extend(mode.map(|mode| ("mode".to_owned(), Value::from(mode))));
            whole.extend(names.map(|names| ("allowedFunctionNames".to_owned(), Value::from(names))));
            return Ok(ToolChoice::new(ToolMode::Provider(Opaque::new(DIALECT, whole.into()))));
        }
    };
    if let (false, Some(names)) = (used, names) {
        fields.put_back("allowedFunctionNames", names.into());
    }
    let mut carry = fields.carry(DIALECT);
    if let Some(note) = note {
        carry.note(DIALECT, "mode", note);
    }
    Ok(ToolChoice { mode, carry })
}

/// Writes `functionCallingConfig`; `name` gives a tool's name as it is sent. `None` for another dialect's own form.
pub(super) fn tool_choice_to(choice: &ToolChoice, name: &mut impl FnMut(&str) -> String) -> Option<Value> {
    let (mode, names) = match &choice.mode {
        ToolMode::Auto => ("AUTO", Vec::new()),
        ToolMode::None => ("NONE", Vec::new()),
        ToolMode::Required => ("ANY", Vec::new()),
        ToolMode::Named(reference) => ("ANY", vec![name(&reference.name)]),
        ToolMode::Allowed { mode, tools } => {
            let mode = match mode {
                AllowedMode::Auto => "VALIDATED",
                AllowedMode::Required => "ANY",
            };
            (mode, tools.iter().map(|reference| name(&reference.name)).collect())
        }
        ToolMode::Provider(opaque) => return opaque.for_dialect(DIALECT).cloned(),
    };
    let mut object = Object::new();
    match choice.carry.noted_as(DIALECT, "mode") {
        Some(Value::Null) => {}
        Some(noted) => object.put("mode", noted.clone()),
        None => object.put("mode", mode),
    }
    if !names.is_empty() {
        object.put("allowedFunctionNames", names);
    }
    Some(object.carrying(&choice.carry, DIALECT).into())
}

/// The keys under which a schema for the answer may stand.
const SCHEMA_KEYS: [&str; 3] = ["responseSchema", "responseJsonSchema", "_responseJsonSchema"];

/// Reads the form of the answer out of `generationConfig`.
pub(super) fn output_from(config: &mut Fields<'_>) -> Result<Option<Output>, Fault> {
    let mime = config.string("responseMimeType")?;
    let key = SCHEMA_KEYS.into_iter().find(|key| config.peek(key).is_some());
    let mut carry = Carry::NONE;
    let format = match (mime.as_deref(), key) {
        (None, None) => return Ok(None),
        (Some("text/plain"), None) => OutputFormat::Text,
        (Some("application/json"), None) => OutputFormat::JsonObject,
        (Some("application/json") | None, Some(key)) => {
            carry.note(DIALECT, "key", key);
            if mime.is_none() {
                carry.note(DIALECT, "no_mime", true);
            }
            let mut original = config.take(key).unwrap_or_default();
            if key == "responseSchema" {
                let converted = schema::to_json_schema(&original);
                carry.note(DIALECT, "original", std::mem::replace(&mut original, converted));
            }
            OutputFormat::JsonSchema { name: None, description: None, schema: Some(original), strict: None }
        }
        (Some(mime), key) => {
            let mut whole = Object::new().with("responseMimeType", mime);
            if let Some(key) = key {
                whole.put_some(key, config.take(key));
            }
            OutputFormat::Other(Opaque::new(DIALECT, whole.into()))
        }
    };
    Ok(Some(Output { format, carry }))
}

/// Writes the form of the answer as it came in this dialect.
pub(super) fn own_output_to(output: &Output, config: &mut Object) {
    let note = |key: &str| output.carry.noted_as(DIALECT, key);
    match &output.format {
        OutputFormat::Text => config.put("responseMimeType", "text/plain"),
        OutputFormat::JsonObject => config.put("responseMimeType", "application/json"),
        OutputFormat::JsonSchema { schema, .. } => {
            if note("no_mime").is_none() {
                config.put("responseMimeType", "application/json");
            }
            let key = note("key").and_then(Value::as_str).unwrap_or("responseJsonSchema");
            config.put_some(key, note("original").or(schema.as_ref()).cloned());
        }
        OutputFormat::Other(opaque) => {
            if let Some(Value::Object(own)) = opaque.for_dialect(DIALECT) {
                config.put_defaults(own);
            }
        }
    }
}

/// Reads `thinkingConfig`.
pub(super) fn thinking_from(value: Value, path: Path<'_>) -> Result<ReasoningAsk, Fault> {
    let mut fields = open(value, path)?;
    let budget = match number(&mut fields, "thinkingBudget")? {
        None => None,
        Some(number) => match number.as_i64() {
            Some(-1) => Some(Budget::Dynamic),
            Some(tokens) if tokens >= 0 => Some(Budget::Tokens(tokens.unsigned_abs())),
            Some(_) | None => return Err(fields.invalid("thinkingBudget", "-1 or a whole number of at least 0")),
        },
    };
    let mut notes = Carry::NONE;
    let effort = match fields.string("thinkingLevel")? {
        Some(word) if word == "THINKING_LEVEL_UNSPECIFIED" => {
            fields.put_back("thinkingLevel", word.into());
            None
        }
        Some(word) => {
            let effort = Effort::from_word(&word.to_ascii_lowercase());
            notes.note(DIALECT, "level", word);
            Some(effort)
        }
        None => None,
    };
    let visibility = fields.boolean("includeThoughts")?.map(|shown| match shown {
        true => Visibility::Auto,
        false => Visibility::Hidden,
    });
    let mut carry = fields.carry(DIALECT);
    carry.merge(notes);
    Ok(ReasoningAsk { mode: None, effort, budget, visibility, carry })
}

/// Writes `thinkingConfig` as it came in this dialect.
pub(super) fn own_thinking_to(ask: &ReasoningAsk) -> Value {
    let budget = ask.budget.map(|budget| match budget {
        Budget::Dynamic => json!(-1),
        Budget::Tokens(tokens) => json!(tokens),
    });
    let level = ask.carry.noted_as(DIALECT, "level").cloned();
    let shown = ask.visibility.as_ref().map(|visibility| *visibility != Visibility::Hidden);
    Object::new()
        .with_some("thinkingBudget", budget)
        .with_some("thinkingLevel", level)
        .with_some("includeThoughts", shown)
        .carrying(&ask.carry, DIALECT)
        .into()
}
