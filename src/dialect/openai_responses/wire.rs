//! The small words and nodes of Responses, each with both directions side by side: roles, tool choices, formats, status,
//! usage, log probabilities, annotations (OpenAI's API reference, "Responses").

use serde_json::{Map, Value, json};

use super::DIALECT;
use crate::dialect::{Fields, Object, Path};
use crate::fault::Fault;
use crate::ir::{
    AllowedMode, ApiError, CallKind, Carry, Citation, ErrorKind, Finish, FinishReason, Logprob, Opaque, Output,
    OutputFormat, Role, ToolChoice, ToolMode, ToolRef, Usage, Visibility,
};

/// What `include` has to hold so that thoughts come back in their encrypted form.
pub(super) const INCLUDE_THOUGHTS: &str = "reasoning.encrypted_content";
/// What `include` has to hold so that log probabilities come.
pub(super) const INCLUDE_LOGPROBS: &str = "message.output_text.logprobs";

/// Reads a message's role.
pub(super) fn role_from(word: &str) -> Option<Role> {
    match word {
        "system" => Some(Role::System),
        "developer" => Some(Role::Developer),
        "user" => Some(Role::User),
        "assistant" => Some(Role::Assistant),
        _ => None,
    }
}

/// Writes a message's role.
pub(super) fn role_to(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User | Role::Tool => "user",
        Role::Assistant => "assistant",
    }
}

/// Who says an item that only this dialect understands. What the model or OpenAI's own tools said may be left out elsewhere;
/// what the caller said, what stands for a part of the conversation, and what is not known may not.
pub(super) fn opaque_role(item: &Value) -> Role {
    let text = |key: &str| item.get(key).and_then(Value::as_str);
    match text("type") {
        Some(
            "web_search_call"
            | "file_search_call"
            | "code_interpreter_call"
            | "computer_call"
            | "image_generation_call"
            | "mcp_list_tools"
            | "mcp_call"
            | "mcp_approval_request"
            | "local_shell_call"
            | "shell_call"
            | "apply_patch_call"
            | "tool_search_call"
            | "program"
            | "program_output",
        ) => Role::Assistant,
        Some("tool_search_output") if text("execution") != Some("client") => Role::Assistant,
        Some("message") if text("role") == Some("assistant") => Role::Assistant,
        Some(_) | None => Role::User,
    }
}

/// `type` of a tool and of a choice.
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
    let name = value.get("name")?.as_str()?.to_owned();
    // Anything beyond type and name would be lost: then the whole choice stays opaque.
    (value.as_object()?.len() == 2).then_some(ToolRef { kind, name })
}

fn tool_ref_to(reference: &ToolRef, name: &mut impl FnMut(&ToolRef) -> (CallKind, String)) -> Value {
    let (kind, name) = name(reference);
    json!({"type": kind_to(kind), "name": name})
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
    let allowed = value.as_object().filter(|map| map.get("type").and_then(Value::as_str) == Some("allowed_tools"))?;
    let mode = match allowed.get("mode")?.as_str()? {
        "auto" => AllowedMode::Auto,
        "required" => AllowedMode::Required,
        _ => return None,
    };
    let tools = allowed.get("tools")?.as_array()?.iter().map(tool_ref_from).collect::<Option<_>>()?;
    (allowed.len() == 3).then_some(ToolMode::Allowed { mode, tools })
}

/// Writes `tool_choice`; `name` gives a tool's kind and name as they are sent. `None` for another dialect's own form.
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
            Some(json!({"type": "allowed_tools", "mode": mode, "tools": tools}))
        }
        ToolMode::Provider(opaque) => opaque.for_dialect(DIALECT).cloned(),
    }
}

/// Reads `text.format`.
pub(super) fn output_from(value: Value, path: Path<'_>) -> Result<Output, Fault> {
    let mut fields = Fields::of(value, path)?;
    let kind = fields.required_string("type")?;
    let format = match kind.as_str() {
        "text" => OutputFormat::Text,
        "json_object" => OutputFormat::JsonObject,
        "json_schema" => OutputFormat::JsonSchema {
            name: fields.string("name")?,
            description: fields.string("description")?,
            schema: fields.take("schema"),
            strict: fields.boolean("strict")?,
        },
        _ => {
            let mut whole = Map::from_iter([("type".to_owned(), Value::from(kind))]);
            whole.extend(fields.rest());
            return Ok(Output { format: OutputFormat::Other(Opaque::new(DIALECT, whole.into())), carry: Carry::NONE });
        }
    };
    Ok(Output { format, carry: fields.carry(DIALECT) })
}

/// Writes `text.format`; `fallback_name` is for schemas without a name, which OpenAI demands. `None` for another dialect's
/// own form.
pub(super) fn output_to(output: &Output, fallback_name: Option<&str>) -> Option<Value> {
    let object = match &output.format {
        OutputFormat::Text => Object::typed("text"),
        OutputFormat::JsonObject => Object::typed("json_object"),
        OutputFormat::JsonSchema { name, description, schema, strict } => Object::typed("json_schema")
            .with_some("name", name.as_deref().or(fallback_name))
            .with_some("description", description.clone())
            .with_some("schema", schema.clone())
            .with_some("strict", *strict),
        OutputFormat::Other(opaque) => return opaque.for_dialect(DIALECT).cloned(),
    };
    Some(object.carrying(&output.carry, DIALECT).into())
}

/// Reads `reasoning.summary`.
pub(super) fn visibility_from(word: &str) -> Option<Visibility> {
    match word {
        "auto" => Some(Visibility::Auto),
        "concise" => Some(Visibility::Concise),
        "detailed" => Some(Visibility::Detailed),
        _ => None,
    }
}

/// Writes `reasoning.summary`. `None`: thoughts are not shown.
pub(super) fn visibility_to(visibility: &Visibility) -> Option<&'static str> {
    match visibility {
        Visibility::Hidden => None,
        Visibility::Auto => Some("auto"),
        Visibility::Concise => Some("concise"),
        Visibility::Detailed => Some("detailed"),
    }
}

/// Why an answer with this `status` and `incomplete_details` ended.
pub(super) fn finish_from(status: Option<&str>, incomplete: Option<&str>, calls: bool) -> Finish {
    let (reason, word) = match (status, incomplete) {
        (Some("completed") | None, None) if calls => (FinishReason::ToolUse, "completed"),
        (Some("completed") | None, None) => (FinishReason::Stop, "completed"),
        (_, Some(word @ ("max_output_tokens" | "max_tokens"))) => (FinishReason::MaxTokens, word),
        (_, Some(word @ "content_filter")) => (FinishReason::ContentFilter, word),
        (_, Some(word)) => (FinishReason::Other(word.to_owned()), word),
        (Some(word @ "failed"), None) => (FinishReason::Failed, word),
        (Some(word @ "cancelled"), None) => (FinishReason::Cancelled, word),
        (Some(word), None) => (FinishReason::Other(word.to_owned()), word),
    };
    Finish::said(reason, DIALECT, word)
}

/// How an answer ended, as Responses says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ending<'f> {
    /// `completed` or `incomplete`, `failed`, `cancelled`.
    pub(super) status: &'static str,
    /// `incomplete_details.reason`.
    pub(super) incomplete: Option<&'f str>,
    /// The vendor's own word where this dialect's is coarser.
    pub(super) native: Option<&'f str>,
}

/// Writes why an answer ended.
pub(super) fn finish_to(finish: &Finish) -> Ending<'_> {
    let own = finish.word_for(DIALECT);
    let (status, incomplete, is_exact) = match &finish.reason {
        FinishReason::Stop | FinishReason::StopSequence | FinishReason::ToolUse => ("completed", None, true),
        FinishReason::MaxTokens => ("incomplete", Some(own.unwrap_or("max_output_tokens")), true),
        // The turn is not over, and OpenAI's words for that are two.
        FinishReason::ContextWindow | FinishReason::Pause | FinishReason::Compaction => {
            ("incomplete", Some("max_output_tokens"), false)
        }
        FinishReason::ContentFilter => ("incomplete", Some("content_filter"), true),
        FinishReason::Cancelled => ("cancelled", None, true),
        FinishReason::Failed => ("failed", None, true),
        // All that was withheld or broken: never a clean end.
        FinishReason::Refusal
        | FinishReason::Recitation
        | FinishReason::Blocklist
        | FinishReason::ProhibitedContent
        | FinishReason::PersonalData
        | FinishReason::Language
        | FinishReason::Image
        | FinishReason::MalformedToolCall
        | FinishReason::Unspecified
        | FinishReason::Other(_) => ("incomplete", Some(own.unwrap_or("content_filter")), false),
    };
    let native = finish.original.as_ref().filter(|(dialect, _)| *dialect != DIALECT && !is_exact);
    Ending { status, incomplete, native: native.map(|(_, word)| word.as_str()) }
}

/// Reads `usage`. Totals include everything, as they do here.
pub(super) fn usage_from(value: Value) -> Usage {
    let count = |pointer: &str| value.pointer(pointer).and_then(Value::as_u64);
    Usage {
        input: count("/input_tokens"),
        cache_read: count("/input_tokens_details/cached_tokens"),
        cache_write_5m: count("/input_tokens_details/cache_write_tokens"),
        output: count("/output_tokens"),
        reasoning: count("/output_tokens_details/reasoning_tokens"),
        original: Some(Opaque::new(DIALECT, value)),
        ..Usage::default()
    }
}

/// Writes `usage`.
pub(super) fn usage_to(usage: &Usage) -> Value {
    if let Some(own) = usage.original.as_ref().and_then(|original| original.for_dialect(DIALECT)) {
        return own.clone();
    }
    // OpenAI's SDKs demand both.
    let input = Object::new()
        .with("cached_tokens", usage.cache_read.unwrap_or(0))
        .with("cache_write_tokens", usage.cache_write().unwrap_or(0));
    Object::new()
        .with("input_tokens", usage.input.unwrap_or(0))
        .with("input_tokens_details", input)
        .with("output_tokens", usage.output.unwrap_or(0))
        .with("output_tokens_details", json!({"reasoning_tokens": usage.reasoning.unwrap_or(0)}))
        .with("total_tokens", usage.total())
        .into()
}

/// Whether an output item is a search of the web that is billed: opening a page that was found is none.
pub(super) fn is_search(item: &Value) -> bool {
    item.get("type").and_then(Value::as_str) == Some("web_search_call")
        && item.pointer("/action/type").and_then(Value::as_str).is_none_or(|action| action == "search")
}

/// Reads `logprobs`; `None` if an entry has another form, and then all stay as they are.
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
    let top = match map.get("top_logprobs") {
        Some(Value::Array(top)) => logprobs_from(top)?,
        None => Vec::new(),
        Some(_) => return None,
    };
    if !top.is_empty() {
        map.shift_remove("top_logprobs");
    }
    Some(Logprob { token, logprob, bytes, top, carry: Carry::of(DIALECT, map) })
}

/// Writes `logprobs`. Those of other dialects get `bytes` and `top_logprobs`, which OpenAI's SDKs expect.
pub(super) fn logprobs_to(entries: &[Logprob]) -> Value {
    let entries = entries.iter().map(|entry| {
        let mut object = logprob_to(entry);
        let top: Vec<Value> = entry.top.iter().map(|top| logprob_to(top).into()).collect();
        if !top.is_empty() {
            object.put("top_logprobs", top);
        }
        object.put_default("top_logprobs", json!([]));
        Value::from(object)
    });
    entries.collect()
}

fn logprob_to(entry: &Logprob) -> Object {
    let mut object = Object::new()
        .with("token", entry.token.as_str())
        .with_some("bytes", entry.bytes.clone())
        .with("logprob", entry.logprob.clone())
        .carrying(&entry.carry, DIALECT);
    object.put_default("bytes", Value::from(entry.token.as_bytes()));
    object
}

/// Reads one of `annotations`.
pub(super) fn citation_from(value: Value) -> Citation {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let count = |key: &str| value.get(key).and_then(Value::as_u64);
    Citation {
        url: text("url"),
        title: text("title").or_else(|| text("filename")),
        cited_text: None,
        span: count("start_index").zip(count("end_index")),
        original: Some(Opaque::new(DIALECT, value)),
    }
}

/// Writes one of `annotations`, of a text of so many characters. `None`: it has no address.
pub(super) fn citation_to(citation: &Citation, len: u64) -> Option<Value> {
    if let Some(own) = citation.original.as_ref().and_then(|original| original.for_dialect(DIALECT)) {
        return Some(own.clone());
    }
    let (start, end) = citation.span.unwrap_or((0, len));
    Some(json!({
        "type": "url_citation",
        "start_index": start,
        "end_index": end,
        "url": citation.url.as_deref()?,
        "title": citation.title.as_deref().unwrap_or_default(),
    }))
}

/// Reads an error, of an answer that failed or of an `error` event.
pub(super) fn error_from(value: &Value) -> ApiError {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let (type_word, code) = (text("type").filter(|word| word != "error"), text("code"));
    let kind = [&type_word, &code]
        .into_iter()
        .find_map(|word| word.as_deref().and_then(kind_of_word))
        .unwrap_or(ErrorKind::Api);
    let message = text("message").unwrap_or_else(|| "the provider ended the answer with an error".to_owned());
    let mut error = ApiError::new(kind, message);
    error.type_word = type_word;
    error.code = code;
    error.param = text("param");
    error
}

fn kind_of_word(word: &str) -> Option<ErrorKind> {
    match word {
        "context_length_exceeded" | "invalid_prompt" | "cyber_policy" => Some(ErrorKind::InvalidRequest),
        "server_is_overloaded" | "slow_down" => Some(ErrorKind::Overloaded),
        "vector_store_timeout" => Some(ErrorKind::Timeout),
        other => ErrorKind::from_type_name(other),
    }
}

/// The `code` of an error, in the words that this dialect's callers know.
pub(super) fn error_code(error: &ApiError) -> &str {
    match (&error.code, error.kind) {
        (Some(code), _) => code,
        (None, ErrorKind::RateLimit) => "rate_limit_exceeded",
        (None, ErrorKind::InvalidRequest | ErrorKind::RequestTooLarge | ErrorKind::NotFound) => "invalid_prompt",
        (
            None,
            ErrorKind::Authentication
            | ErrorKind::Billing
            | ErrorKind::Permission
            | ErrorKind::Api
            | ErrorKind::Overloaded
            | ErrorKind::Timeout,
        ) => "server_error",
    }
}
