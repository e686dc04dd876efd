//! The small words and nodes of chat completions, each with both directions side by side: roles, tool choices, formats,
//! finish reasons, usage, log probabilities, annotations (OpenAI's API reference, "Chat").

use serde_json::{Map, Value, json};

use super::DIALECT;
use crate::dialect::{Fields, Object, Path};
use crate::fault::Fault;
use crate::ir::{
    AllowedMode, CallKind, Carry, Citation, Finish, FinishReason, Logprob, Opaque, Output, OutputFormat, Role,
    ToolChoice, ToolMode, ToolRef, Usage,
};

/// Reads a role. The deprecated `function` is none of these.
pub(super) fn role_from(word: &str) -> Option<Role> {
    match word {
        "system" => Some(Role::System),
        "developer" => Some(Role::Developer),
        "user" => Some(Role::User),
        "assistant" => Some(Role::Assistant),
        "tool" => Some(Role::Tool),
        _ => None,
    }
}

/// Writes a role.
pub(super) fn role_to(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

/// `type` of a tool, and the key of its details.
pub(super) fn kind_to(kind: CallKind) -> &'static str {
    match kind {
        CallKind::Function => "function",
        CallKind::Custom => "custom",
    }
}

fn tool_ref_from(value: &Value) -> Option<ToolRef> {
    let kind = match value.get("type")?.as_str()? {
        "function" => CallKind::Function,
        "custom" => CallKind::Custom,
        _ => return None,
    };
    let details = value.get(kind_to(kind))?.as_object()?;
    let name = details.get("name")?.as_str()?.to_owned();
    // Anything beyond type and name would be lost: then the whole choice stays opaque.
    (details.len() == 1 && value.as_object()?.len() == 2).then_some(ToolRef { kind, name })
}

fn tool_ref_to(reference: &ToolRef, name: &mut impl FnMut(&ToolRef) -> (CallKind, String)) -> Value {
    let (kind, name) = name(reference);
    let kind = kind_to(kind);
    json!({"type": kind, kind: {"name": name}})
}

/// Reads `tool_choice`.
pub(super) fn tool_choice_from(value: Value) -> ToolChoice {
    let mode = match value.as_str() {
        Some("auto") => Some(ToolMode::Auto),
        Some("none") => Some(ToolMode::None),
        Some("required") => Some(ToolMode::Required),
        Some(_) => None,
        None => tool_ref_from(&value).map(ToolMode::Named).or_else(|| allowed_from(&value)),
    };
    ToolChoice::new(mode.unwrap_or_else(|| ToolMode::Provider(Opaque::new(DIALECT, value))))
}

fn allowed_from(value: &Value) -> Option<ToolMode> {
    let allowed = value.get("allowed_tools")?.as_object()?;
    let mode = match allowed.get("mode")?.as_str()? {
        "auto" => AllowedMode::Auto,
        "required" => AllowedMode::Required,
        _ => return None,
    };
    let tools = allowed.get("tools")?.as_array()?.iter().map(tool_ref_from).collect::<Option<_>>()?;
    (allowed.len() == 2 && value.as_object()?.len() == 2).then_some(ToolMode::Allowed { mode, tools })
}

/// Writes `tool_choice`; `name` gives a tool's name as it is sent. `None` for another dialect's own form.
pub(super) fn tool_choice_to(
    choice: &ToolChoice,
    name: &mut impl FnMut(&ToolRef) -> (CallKind, String),
) -> Option<Value> {
    match &choice.mode {
        ToolMode::Auto => Some(json!("auto")),
        ToolMode::None => Some(json!("none")),
        ToolMode::Required => Some(json!("required")),
        ToolMode::Named(reference) => Some(tool_ref_to(reference, name)),
        ToolMode::Allowed { mode, tools } => {
            let mode = match mode {
                AllowedMode::Auto => "auto",
                AllowedMode::Required => "required",
            };
            let tools: Vec<Value> = tools.iter().map(|reference| tool_ref_to(reference, name)).collect();
            Some(json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}))
        }
        ToolMode::Provider(opaque) => opaque.for_dialect(DIALECT).cloned(),
    }
}

/// Reads a custom tool's `format`: chat nests the grammar once more than Responses, whose form the IR has.
pub(super) fn custom_format_from(mut format: Value) -> Value {
    if let Some(Value::Object(grammar)) = format.as_object_mut().and_then(|map| map.shift_remove("grammar"))
        && let Some(map) = format.as_object_mut()
    {
        map.extend(grammar);
    }
    format
}

/// Writes a custom tool's `format`.
pub(super) fn custom_format_to(format: &Value) -> Value {
    match format.as_object() {
        Some(map) if map.get("type").and_then(Value::as_str) == Some("grammar") => {
            let mut grammar = map.clone();
            grammar.shift_remove("type");
            json!({"type": "grammar", "grammar": grammar})
        }
        Some(_) | None => format.clone(),
    }
}

/// Reads `response_format`.
pub(super) fn output_from(value: Value, path: Path<'_>) -> Result<Output, Fault> {
    let mut fields = Fields::of(value, path)?;
    let kind = fields.required_string("type")?;
    let format = match kind.as_str() {
        "text" => OutputFormat::Text,
        "json_object" => OutputFormat::JsonObject,
        "json_schema" => {
            let mut schema = Fields::of(fields.required("json_schema")?, path.key("json_schema"))?;
            let format = OutputFormat::JsonSchema {
                name: schema.string("name")?,
                description: schema.string("description")?,
                schema: schema.take("schema"),
                strict: schema.boolean("strict")?,
            };
            let carry = fields.carry(DIALECT).noted(DIALECT, "json_schema", schema.rest());
            return Ok(Output { format, carry });
        }
        _ => {
            let mut whole = fields.rest();
            whole.insert("type".to_owned(), Value::from(kind));
            return Ok(Output { format: OutputFormat::Other(Opaque::new(DIALECT, whole.into())), carry: Carry::NONE });
        }
    };
    Ok(Output { format, carry: fields.carry(DIALECT) })
}

/// Writes `response_format`. `None` for another dialect's own form.
pub(super) fn output_to(output: &Output) -> Option<Value> {
    let object = match &output.format {
        OutputFormat::Text => Object::typed("text"),
        OutputFormat::JsonObject => Object::typed("json_object"),
        OutputFormat::JsonSchema { name, description, schema, strict } => {
            let rest = output.carry.noted_as(DIALECT, "json_schema");
            // OpenAI demands a name; a caller of its own dialect who gave none hears so from OpenAI.
            let fallback = rest.is_none().then(|| "response".to_owned());
            let mut inner = Object::new()
                .with_some("name", name.clone().or(fallback))
                .with_some("description", description.clone())
                .with_some("schema", schema.clone())
                .with_some("strict", *strict);
            if let Some(Value::Object(rest)) = rest {
                inner.put_defaults(rest);
            }
            Object::typed("json_schema").with("json_schema", inner)
        }
        OutputFormat::Other(opaque) => return opaque.for_dialect(DIALECT).cloned(),
    };
    Some(object.carrying(&output.carry, DIALECT).into())
}

/// Reads `finish_reason`.
pub(super) fn finish_from(word: String) -> Finish {
    let reason = match word.as_str() {
        "stop" => FinishReason::Stop,
        "length" => FinishReason::MaxTokens,
        "tool_calls" | "function_call" => FinishReason::ToolUse,
        "content_filter" => FinishReason::ContentFilter,
        other => FinishReason::Other(other.to_owned()),
    };
    Finish::said(reason, DIALECT, word)
}

/// Writes `finish_reason`, and the vendor's own word for it where chat's is coarser (`native_finish_reason`, as OpenRouter
/// calls it). The stop sequence that was hit stands beside as `stop_reason`, as vLLM has it.
pub(super) fn finish_to(finish: &Finish) -> (&str, Option<&str>) {
    if let Some(word) = finish.word_for(DIALECT) {
        return (word, None);
    }
    let (word, is_exact) = match finish.reason {
        FinishReason::Stop => ("stop", true),
        FinishReason::MaxTokens => ("length", true),
        FinishReason::ToolUse => ("tool_calls", true),
        FinishReason::ContentFilter => ("content_filter", true),
        FinishReason::StopSequence => ("stop", false),
        // The turn is not over: whoever goes on after a length goes on here as well.
        FinishReason::ContextWindow | FinishReason::Pause | FinishReason::Compaction => ("length", false),
        // All that was withheld or broken: never a clean stop.
        FinishReason::Refusal
        | FinishReason::Recitation
        | FinishReason::Blocklist
        | FinishReason::ProhibitedContent
        | FinishReason::PersonalData
        | FinishReason::Language
        | FinishReason::Image
        | FinishReason::MalformedToolCall
        | FinishReason::Cancelled
        | FinishReason::Failed
        | FinishReason::Unspecified
        | FinishReason::Other(_) => ("content_filter", false),
    };
    let native = finish.original.as_ref().map(|(_, native)| native.as_str()).filter(|_| !is_exact);
    (word, native)
}

/// Reads `usage`. Totals include everything, as they do here.
pub(super) fn usage_from(value: Value) -> Usage {
    let count = |pointer: &str| value.pointer(pointer).and_then(Value::as_u64);
    Usage {
        input: count("/prompt_tokens"),
        cache_read: count("/prompt_tokens_details/cached_tokens"),
        cache_write_5m: count("/prompt_tokens_details/cache_write_tokens"),
        cache_write_1h: None,
        audio_input: count("/prompt_tokens_details/audio_tokens"),
        image_input: count("/prompt_tokens_details/image_tokens"),
        output: count("/completion_tokens"),
        reasoning: count("/completion_tokens_details/reasoning_tokens"),
        audio_output: count("/completion_tokens_details/audio_tokens"),
        image_output: count("/completion_tokens_details/image_tokens"),
        accepted_prediction: count("/completion_tokens_details/accepted_prediction_tokens"),
        rejected_prediction: count("/completion_tokens_details/rejected_prediction_tokens"),
        web_searches: None,
        service_tier: None,
        original: Some(Opaque::new(DIALECT, value)),
    }
}

/// Writes `usage`.
pub(super) fn usage_to(usage: &Usage) -> Value {
    if let Some(own) = usage.original.as_ref().and_then(|original| original.for_dialect(DIALECT)) {
        return own.clone();
    }
    let input = Object::new()
        .with("cached_tokens", usage.cache_read.unwrap_or(0))
        .with_some("cache_write_tokens", usage.cache_write())
        .with("audio_tokens", usage.audio_input.unwrap_or(0));
    let output = Object::new()
        .with("reasoning_tokens", usage.reasoning.unwrap_or(0))
        .with("audio_tokens", usage.audio_output.unwrap_or(0))
        .with("accepted_prediction_tokens", usage.accepted_prediction.unwrap_or(0))
        .with("rejected_prediction_tokens", usage.rejected_prediction.unwrap_or(0));
    let object = Object::new()
        .with("prompt_tokens", usage.input.unwrap_or(0))
        .with("completion_tokens", usage.output.unwrap_or(0))
        .with("total_tokens", usage.total())
        .with("prompt_tokens_details", input)
        .with("completion_tokens_details", output);
    object.into()
}

/// Reads the entries of `logprobs.content`; `None` if one has another form, and then all stay as they are.
pub(super) fn logprobs_from(entries: &[Value]) -> Option<Vec<Logprob>> {
    entries.iter().map(logprob_from).collect()
}

fn logprob_from(entry: &Value) -> Option<Logprob> {
    let mut map = entry.as_object()?.clone();
    let Some(Value::String(token)) = map.shift_remove("token") else { return None };
    let Some(Value::Number(logprob)) = map.shift_remove("logprob") else { return None };
    let bytes = match map.get("bytes") {
        Some(Value::Array(bytes)) => {
            let bytes = bytes.iter().map(|byte| byte.as_u64().and_then(|byte| u8::try_from(byte).ok()));
            Some(bytes.collect::<Option<Vec<u8>>>()?)
        }
        Some(Value::Null) | None => None,
        Some(_) => return None,
    };
    if bytes.is_some() {
        map.shift_remove("bytes");
    }
    let top = match map.shift_remove("top_logprobs") {
        Some(Value::Array(top)) => {
            let top = logprobs_from(&top)?;
            if top.is_empty() {
                map.insert("top_logprobs".to_owned(), json!([]));
            }
            top
        }
        None => Vec::new(),
        Some(_) => return None,
    };
    Some(Logprob { token, logprob, bytes, top, carry: Carry::of(DIALECT, map) })
}

/// Writes the entries of `logprobs.content`. `bytes` and `top_logprobs` are always there, as OpenAI's SDKs expect.
pub(super) fn logprobs_to(entries: &[Logprob]) -> Value {
    entries
        .iter()
        .map(|entry| {
            let mut object = logprob_to(entry);
            if !entry.top.is_empty() {
                object.put("top_logprobs", entry.top.iter().map(logprob_to).map(Value::from).collect::<Value>());
            }
            object.put_default("top_logprobs", json!([]));
            Value::from(object)
        })
        .collect()
}

fn logprob_to(entry: &Logprob) -> Object {
    let mut object = Object::new()
        .with("token", entry.token.as_str())
        .with("logprob", entry.logprob.clone())
        .with_some("bytes", entry.bytes.clone())
        .carrying(&entry.carry, DIALECT);
    object.put_default("bytes", Value::Null);
    object
}

/// Reads one of `annotations`.
pub(super) fn citation_from(value: Value) -> Citation {
    let details = value.get("url_citation");
    let text = |key: &str| Some(details?.get(key)?.as_str()?.to_owned());
    let count = |key: &str| details?.get(key)?.as_u64();
    Citation {
        url: text("url"),
        title: text("title"),
        cited_text: None,
        span: count("start_index").zip(count("end_index")),
        original: Some(Opaque::new(DIALECT, value)),
    }
}

/// Writes one of `annotations`, of a text that begins at `offset` and is `len` characters long. `None`: it has no address.
pub(super) fn citation_to(citation: &Citation, offset: u64, len: u64) -> Option<Value> {
    if let Some(own) = citation.original.as_ref().and_then(|original| original.for_dialect(DIALECT)) {
        return Some(own.clone());
    }
    let (start, end) = citation.span.unwrap_or((0, len));
    Some(json!({
        "type": "url_citation",
        "url_citation": {
            "start_index": offset + start,
            "end_index": offset + end,
            "url": citation.url.as_deref()?,
            "title": citation.title.as_deref().unwrap_or_default(),
        },
    }))
}

/// The error that a chat stream ends with.
pub(super) fn stream_error(error: &crate::ir::ApiError) -> Map<String, Value> {
    let inner = Object::new()
        .with("message", error.message.as_str())
        .with("type", error.kind.type_name())
        .with("param", error.param.clone())
        .with("code", error.code.clone());
    Object::new().with("error", inner).into()
}
