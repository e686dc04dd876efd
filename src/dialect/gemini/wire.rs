//! The small words and nodes of generateContent, each with both directions side by side: roles, function calling, forms
//! of output, thinking, finish reasons, usage, log probabilities, citations (Google's API reference, "Generating content").

use serde_json::{Map, Number, Value, json};

use super::{DIALECT, schema};
use crate::dialect::{Fields, Object, Path};
use crate::fault::Fault;
use crate::ir::{
    AllowedMode, Budget, CallKind, Carry, Effort, Finish, FinishReason, Logprob, Opaque, Output, OutputFormat,
    ReasoningAsk, Role, ToolChoice, ToolMode, ToolRef, Usage, Visibility,
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
            note = Some("VALIDATED");
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
    let mode = choice.carry.noted_as(DIALECT, "mode").and_then(Value::as_str).unwrap_or(mode);
    let mut object = Object::new().with("mode", mode);
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

/// Reads `finishReason`. Gemini says `STOP` for calls too.
pub(super) fn finish_from(word: String, message: Option<String>, has_calls: bool) -> Finish {
    let reason = match word.as_str() {
        "STOP" if has_calls => FinishReason::ToolUse,
        "STOP" => FinishReason::Stop,
        "MAX_TOKENS" => FinishReason::MaxTokens,
        "SAFETY" | "MODEL_ARMOR" | "JAILBREAK" => FinishReason::ContentFilter,
        "RECITATION" => FinishReason::Recitation,
        "LANGUAGE" => FinishReason::Language,
        "BLOCKLIST" => FinishReason::Blocklist,
        "PROHIBITED_CONTENT" => FinishReason::ProhibitedContent,
        "SPII" => FinishReason::PersonalData,
        "IMAGE_SAFETY" | "IMAGE_PROHIBITED_CONTENT" | "IMAGE_RECITATION" | "IMAGE_OTHER" | "NO_IMAGE" => {
            FinishReason::Image
        }
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MISSING_THOUGHT_SIGNATURE"
        | "MALFORMED_RESPONSE" => FinishReason::MalformedToolCall,
        "OTHER" | "FINISH_REASON_UNSPECIFIED" => FinishReason::Unspecified,
        other => FinishReason::Other(other.to_owned()),
    };
    let mut finish = Finish::said(reason, DIALECT, word);
    finish.details = message.map(|message| Opaque::new(DIALECT, json!({"finishMessage": message})));
    finish
}

/// A prompt that was blocked (`promptFeedback.blockReason`): never less than a filter.
pub(super) fn blocked_from(feedback: &Value) -> Option<Finish> {
    let word = feedback.get("blockReason")?.as_str()?;
    let mut finish = finish_from(word.to_owned(), None, false);
    if matches!(finish.reason, FinishReason::Unspecified | FinishReason::Other(_) | FinishReason::Stop) {
        finish.reason = FinishReason::ContentFilter;
    }
    finish.details = Some(Opaque::new(DIALECT, json!({"promptFeedback": feedback})));
    Some(finish)
}

/// Writes `finishReason` and `finishMessage`: what another vendor said is told where Gemini's word is coarser.
pub(super) fn finish_to(finish: &Finish, object: &mut Object) {
    if let Some(word) = finish.word_for(DIALECT) {
        object.put("finishReason", word);
        let message = finish.details_for(DIALECT).and_then(|details| details.get("finishMessage"));
        object.put_some("finishMessage", message.cloned());
        return;
    }
    let (word, is_exact) = match finish.reason {
        FinishReason::Stop | FinishReason::StopSequence | FinishReason::ToolUse => ("STOP", true),
        FinishReason::MaxTokens => ("MAX_TOKENS", true),
        FinishReason::ContextWindow => ("MAX_TOKENS", false),
        FinishReason::ContentFilter => ("SAFETY", true),
        FinishReason::Refusal => ("SAFETY", false),
        FinishReason::Recitation => ("RECITATION", true),
        FinishReason::Blocklist => ("BLOCKLIST", true),
        FinishReason::ProhibitedContent => ("PROHIBITED_CONTENT", true),
        FinishReason::PersonalData => ("SPII", true),
        FinishReason::Language => ("LANGUAGE", true),
        FinishReason::Image => ("IMAGE_OTHER", false),
        FinishReason::MalformedToolCall => ("MALFORMED_FUNCTION_CALL", false),
        FinishReason::Pause
        | FinishReason::Compaction
        | FinishReason::Cancelled
        | FinishReason::Failed
        | FinishReason::Unspecified
        | FinishReason::Other(_) => ("OTHER", false),
    };
    object.put("finishReason", word);
    let native = finish.original.as_ref().map(|(_, native)| native.clone()).filter(|_| !is_exact);
    let stop = finish.stop_sequence.as_ref().map(|stop| format!("stop_sequence: {stop}"));
    object.put_some("finishMessage", stop.or(native));
}

/// Reads `usageMetadata`.
pub(super) fn usage_from(value: Value, searches: Option<u64>) -> Usage {
    let snake = value.as_object().filter(|map| map.keys().any(|key| is_snake(key)));
    let mut usage = match snake {
        Some(map) => super::tap::usage(Value::Object(camel_keys(map.clone()))),
        None => super::tap::usage(value.clone()),
    };
    usage.web_searches = searches;
    usage.service_tier = tier_from(&value).map(str::to_owned);
    usage.original = Some(Opaque::new(DIALECT, value));
    usage
}

/// The tier that served, in OpenAI's words: Google's own API says `serviceTier`, Vertex says `trafficType`.
fn tier_from(usage: &Value) -> Option<&'static str> {
    let word = ["serviceTier", "service_tier", "trafficType", "traffic_type"]
        .into_iter()
        .find_map(|key| usage.get(key).and_then(Value::as_str))?;
    match word.to_ascii_lowercase().trim_start_matches("service_tier_").trim_start_matches("on_demand_") {
        "priority" => Some("priority"),
        "flex" => Some("flex"),
        "standard" | "on_demand" => Some("default"),
        _ => None,
    }
}

/// Whether usage counts anything: a stream's early chunks may only name the kind of traffic.
pub(super) fn counts_anything(usage: &Usage) -> bool {
    usage.input.is_some() || usage.output.is_some()
}

/// Google's word for a tier, if it has one.
pub(super) fn tier_to(word: &str) -> Option<&'static str> {
    match word {
        "default" | "auto" | "standard" => Some("standard"),
        "flex" => Some("flex"),
        "priority" => Some("priority"),
        _ => None,
    }
}

/// Writes `usageMetadata`: thoughts stand beside the rest of the output. `tier` is the one that served; it goes without saying if
/// it is the usual one, because Google's own SDK does not know the field in whole answers yet.
pub(super) fn usage_to(usage: &Usage, tier: Option<&str>) -> Value {
    if let Some(own) = usage.original.as_ref().and_then(|original| original.for_dialect(DIALECT)) {
        return own.clone();
    }
    let mut object = Object::new().with("promptTokenCount", usage.input.unwrap_or(0));
    object.put_some("cachedContentTokenCount", usage.cache_read.filter(|count| *count > 0));
    let thoughts = usage.reasoning.filter(|count| *count > 0);
    let shown = usage.output.unwrap_or(0).saturating_sub(thoughts.unwrap_or(0));
    object.put("candidatesTokenCount", shown);
    object.put_some("thoughtsTokenCount", thoughts);
    object.put("totalTokenCount", usage.total());
    let input = [("AUDIO", usage.audio_input), ("IMAGE", usage.image_input)];
    put_modalities(&mut object, "promptTokensDetails", usage.input.unwrap_or(0), input);
    let output = [("AUDIO", usage.audio_output), ("IMAGE", usage.image_output)];
    put_modalities(&mut object, "candidatesTokensDetails", shown, output);
    object.put_some("serviceTier", tier.and_then(tier_to).filter(|tier| *tier != "standard"));
    object.into()
}

fn put_modalities(object: &mut Object, key: &str, total: u64, said: [(&str, Option<u64>); 2]) {
    let others: Vec<(&str, u64)> =
        said.into_iter().filter_map(|(name, count)| Some((name, count.filter(|count| *count > 0)?))).collect();
    if others.is_empty() {
        return;
    }
    let text = total.saturating_sub(others.iter().map(|(_, count)| count).sum());
    let all = [("TEXT", text)].into_iter().chain(others);
    let details: Vec<Value> = all.map(|(modality, count)| json!({"modality": modality, "tokenCount": count})).collect();
    object.put(key, details);
}

/// Reads `logprobsResult`; `None` if it has another form.
pub(super) fn logprobs_from(value: &Value) -> Option<Vec<Logprob>> {
    let chosen = value.get("chosenCandidates")?.as_array()?;
    let top = value.get("topCandidates").and_then(Value::as_array);
    let read = |entry: &Value| {
        Some(Logprob {
            token: entry.get("token")?.as_str()?.to_owned(),
            logprob: entry.get("logProbability")?.as_number()?.clone(),
            bytes: None,
            top: Vec::new(),
            carry: Carry::NONE,
        })
    };
    let at = |place: usize| {
        let candidates = top?.get(place)?.get("candidates")?.as_array()?;
        candidates.iter().map(read).collect::<Option<Vec<_>>>()
    };
    let entry = |(place, entry): (usize, &Value)| {
        let mut entry = read(entry)?;
        entry.top = at(place).unwrap_or_default();
        Some(entry)
    };
    chosen.iter().enumerate().map(entry).collect()
}

/// Writes `logprobsResult`.
pub(super) fn logprobs_to<'l>(entries: impl Iterator<Item = &'l Logprob> + Clone) -> Value {
    let write = |entry: &Logprob| json!({"token": entry.token, "logProbability": entry.logprob});
    let chosen: Vec<Value> = entries.clone().map(write).collect();
    let top = |entry: &Logprob| json!({"candidates": entry.top.iter().map(write).collect::<Vec<_>>()});
    let mut object = Object::new().with("chosenCandidates", chosen);
    if entries.clone().any(|entry| !entry.top.is_empty()) {
        object.put("topCandidates", entries.map(top).collect::<Vec<_>>());
    }
    object.into()
}

/// How many searches Google made for an answer.
pub(super) fn searches(grounding: &Value) -> Option<u64> {
    let queries = grounding.get("webSearchQueries")?.as_array()?;
    u64::try_from(queries.len()).ok().filter(|count| *count > 0)
}
