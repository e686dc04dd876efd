//! The small words and nodes of Messages, each with both directions side by side: cache hints, citations, tool choices,
//! thinking and output, stop reasons, usage, errors (Anthropic's API reference, "Messages").

use serde_json::{Map, Value, json};

use super::DIALECT;
use crate::dialect::{Fields, Object, Path};
use crate::fault::Fault;
use crate::ir::{
    ApiError, Budget, CacheHint, CacheTtl, CallKind, Carry, Citation, Effort, ErrorKind, Finish, FinishReason, Opaque,
    Output, OutputFormat, ReasoningAsk, Role, ThinkingMode, ToolChoice, ToolMode, ToolRef, Usage, Visibility, mark,
};

/// Reads a role.
pub(super) fn role_from(word: &str) -> Option<Role> {
    match word {
        "user" => Some(Role::User),
        "assistant" => Some(Role::Assistant),
        "system" => Some(Role::System),
        _ => None,
    }
}

/// Writes a role.
pub(super) fn role_to(role: Role) -> &'static str {
    match role {
        Role::System | Role::Developer => "system",
        Role::User | Role::Tool => "user",
        Role::Assistant => "assistant",
    }
}

/// Reads `cache_control`. What is not an object is carried.
pub(super) fn cache_from(fields: &mut Fields<'_>) -> Option<CacheHint> {
    let ttl = match fields.peek("cache_control")?.as_object()?.get("ttl").and_then(Value::as_str) {
        Some("1h") => CacheTtl::OneHour,
        Some(_) | None => CacheTtl::FiveMinutes,
    };
    let Some(Value::Object(original)) = fields.take("cache_control") else { return None };
    Some(CacheHint { ttl, carry: Carry::of(DIALECT, original) })
}

/// Writes `cache_control`.
pub(super) fn cache_to(hint: &CacheHint) -> Value {
    if let Some(own) = hint.carry.rest_for(DIALECT) {
        return own.clone().into();
    }
    match hint.ttl {
        CacheTtl::FiveMinutes => json!({"type": "ephemeral"}),
        CacheTtl::OneHour => json!({"type": "ephemeral", "ttl": "1h"}),
    }
}

/// Reads one of a text's `citations`. One that was minted here has no original: Anthropic could not check it.
pub(super) fn citation_from(value: Value) -> Citation {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let is_minted = value.get("encrypted_index").and_then(Value::as_str).is_some_and(mark::is_minted);
    Citation {
        url: text("url").or_else(|| text("source").filter(|source| source.starts_with("http"))),
        title: text("title").or_else(|| text("document_title")),
        cited_text: text("cited_text"),
        // Anthropic's indexes count in the source, not in the answer.
        span: None,
        original: (!is_minted).then(|| Opaque::new(DIALECT, value)),
    }
}

/// Writes one of a text's `citations`. `None`: there is no address, and no form for such a citation.
pub(super) fn citation_to(citation: &Citation) -> Option<Value> {
    if let Some(own) = citation.original.as_ref().and_then(|original| original.for_dialect(DIALECT)) {
        return Some(own.clone());
    }
    let url = citation.url.as_deref()?;
    Some(json!({
        "type": "web_search_result_location",
        "url": url,
        "title": citation.title,
        "cited_text": citation.cited_text.as_deref().unwrap_or_default(),
        "encrypted_index": mark::MARK,
    }))
}

/// Reads `tool_choice`, and what it says of parallel calls.
pub(super) fn tool_choice_from(value: Value, path: Path<'_>) -> Result<(ToolChoice, Option<bool>), Fault> {
    let mut fields = Fields::of(value, path)?;
    let kind = fields.required_string("type")?;
    let mode = match kind.as_str() {
        "auto" => ToolMode::Auto,
        "any" => ToolMode::Required,
        "none" => ToolMode::None,
        "tool" => ToolMode::Named(ToolRef { kind: CallKind::Function, name: fields.required_string("name")? }),
        _ => {
            let mut whole = Map::from_iter([("type".to_owned(), Value::from(kind))]);
            whole.extend(fields.rest());
            return Ok((ToolChoice::new(ToolMode::Provider(Opaque::new(DIALECT, whole.into()))), None));
        }
    };
    let parallel = fields.boolean("disable_parallel_tool_use")?.map(|disabled| !disabled);
    Ok((ToolChoice { mode, carry: fields.carry(DIALECT) }, parallel))
}

/// Writes `tool_choice`; `name` gives a tool's name as it is sent. `None` for another dialect's own form.
pub(super) fn tool_choice_to(
    choice: &ToolChoice,
    parallel: Option<bool>,
    name: &mut impl FnMut(&str) -> String,
) -> Option<Value> {
    use crate::ir::AllowedMode;
    let object = match &choice.mode {
        ToolMode::Auto | ToolMode::Allowed { mode: AllowedMode::Auto, .. } => Object::typed("auto"),
        ToolMode::Required | ToolMode::Allowed { mode: AllowedMode::Required, .. } => Object::typed("any"),
        ToolMode::None => Object::typed("none"),
        ToolMode::Named(reference) => Object::typed("tool").with("name", name(&reference.name)),
        ToolMode::Provider(opaque) => return opaque.for_dialect(DIALECT).cloned(),
    };
    let object = object.with_some("disable_parallel_tool_use", parallel.map(|parallel| !parallel));
    Some(object.carrying(&choice.carry, DIALECT).into())
}

/// Reads `thinking` and `output_config`: how much to think, and the answer's form. What is left of them is put back, so that it
/// is carried and, elsewhere, reported.
pub(super) fn thinking_from(root: &mut Fields<'_>) -> Result<(Option<ReasoningAsk>, Option<Output>), Fault> {
    let mut ask = ReasoningAsk::default();
    if let Some(value) = root.take("thinking") {
        let mut fields = Fields::of(value, Path::ROOT.key("thinking"))?;
        let kind = fields.required_string("type")?;
        match kind.as_str() {
            "enabled" => {
                ask.mode = Some(ThinkingMode::On);
                ask.budget = fields.count("budget_tokens")?.map(Budget::Tokens);
            }
            "adaptive" => ask.mode = Some(ThinkingMode::Adaptive),
            "disabled" => ask.mode = Some(ThinkingMode::Off),
            _ => fields.put_back("type", kind.into()),
        }
        match fields.string("display")? {
            Some(word) if word == "summarized" => ask.visibility = Some(Visibility::Auto),
            Some(word) if word == "omitted" => ask.visibility = Some(Visibility::Hidden),
            Some(other) => fields.put_back("display", other.into()),
            None => {}
        }
        put_back_rest(root, "thinking", fields.rest(), ask == ReasoningAsk::default());
    }
    let mut output = None;
    if let Some(value) = root.take("output_config") {
        let path = Path::ROOT.key("output_config");
        let mut fields = Fields::of(value, path)?;
        let effort = fields.string("effort")?;
        if let Some(format) = fields.take("format") {
            output = Some(output_from(format, path.key("format"))?);
        }
        let is_empty = effort.is_none() && output.is_none();
        ask.effort = effort.map(|word| Effort::from_word(&word));
        put_back_rest(root, "output_config", fields.rest(), is_empty);
    }
    // The older place of the same thing.
    if output.is_none()
        && let Some(format) = root.take("output_format")
    {
        let mut read = output_from(format, Path::ROOT.key("output_format"))?;
        read.carry.note(DIALECT, "output_format", true);
        output = Some(read);
    }
    Ok(((ask != ReasoningAsk::default()).then_some(ask), output))
}

fn put_back_rest(root: &mut Fields<'_>, key: &str, rest: Map<String, Value>, is_empty: bool) {
    if is_empty || !rest.is_empty() {
        root.put_back(key, rest.into());
    }
}

fn output_from(value: Value, path: Path<'_>) -> Result<Output, Fault> {
    let mut fields = Fields::of(value, path)?;
    let kind = fields.required_string("type")?;
    if kind != "json_schema" {
        let mut whole = Map::from_iter([("type".to_owned(), Value::from(kind))]);
        whole.extend(fields.rest());
        return Ok(Output { format: OutputFormat::Other(Opaque::new(DIALECT, whole.into())), carry: Carry::NONE });
    }
    let format =
        OutputFormat::JsonSchema { name: None, description: None, schema: fields.take("schema"), strict: None };
    Ok(Output { format, carry: fields.carry(DIALECT) })
}

/// Writes the answer's form as this dialect's caller wrote it.
pub(super) fn output_to(output: &Output) -> Option<Value> {
    match &output.format {
        OutputFormat::JsonSchema { schema, .. } => {
            let object = Object::typed("json_schema").with_some("schema", schema.clone());
            Some(object.carrying(&output.carry, DIALECT).into())
        }
        OutputFormat::Other(opaque) => opaque.for_dialect(DIALECT).cloned(),
        OutputFormat::Text | OutputFormat::JsonObject => None,
    }
}

/// Writes `display`.
pub(super) fn display_to(visibility: Option<&Visibility>) -> Option<&'static str> {
    match visibility? {
        Visibility::Hidden => Some("omitted"),
        Visibility::Auto | Visibility::Concise | Visibility::Detailed => Some("summarized"),
    }
}

/// Reads `stop_reason`.
pub(super) fn finish_from(word: String) -> Finish {
    let reason = match word.as_str() {
        "end_turn" => FinishReason::Stop,
        "stop_sequence" => FinishReason::StopSequence,
        "max_tokens" => FinishReason::MaxTokens,
        "model_context_window_exceeded" => FinishReason::ContextWindow,
        "tool_use" => FinishReason::ToolUse,
        "pause_turn" => FinishReason::Pause,
        "refusal" => FinishReason::Refusal,
        "compaction" => FinishReason::Compaction,
        other => FinishReason::Other(other.to_owned()),
    };
    Finish::said(reason, DIALECT, word)
}

/// What an answer held that another vendor's finish reason may not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// A refusal in words, which OpenAI ends with a plain stop.
    pub(super) refusal: bool,
    /// A call of a tool.
    pub(super) calls: bool,
}

/// Writes `stop_reason` and `stop_details`.
pub(super) fn finish_to(finish: &Finish, held: Held) -> (&str, Option<Value>) {
    if let Some(word) = finish.word_for(DIALECT) {
        return (word, finish.details_for(DIALECT).cloned());
    }
    let word = match finish.reason {
        FinishReason::Stop | FinishReason::StopSequence | FinishReason::ToolUse if held.refusal => "refusal",
        // Anthropic's clients call tools for no other reason.
        FinishReason::Stop if held.calls => "tool_use",
        FinishReason::Stop => "end_turn",
        FinishReason::StopSequence => "stop_sequence",
        FinishReason::MaxTokens => "max_tokens",
        FinishReason::ContextWindow => "model_context_window_exceeded",
        FinishReason::ToolUse => "tool_use",
        FinishReason::Pause => "pause_turn",
        FinishReason::Compaction => "compaction",
        // All that was withheld or broken: never a clean stop.
        FinishReason::Refusal
        | FinishReason::ContentFilter
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
        | FinishReason::Other(_) => "refusal",
    };
    let native = finish.original.as_ref().map(|(_, native)| native.as_str());
    let details = (word == "refusal").then(|| json!({"type": "refusal", "category": null, "explanation": native}));
    (word, details)
}

/// Reads `usage`: what was read from and written to caches is apart here, and part of the input in the IR.
pub(super) fn usage_from(value: Value) -> Usage {
    let count = |pointer: &str| value.pointer(pointer).and_then(Value::as_u64);
    let written = count("/cache_creation_input_tokens");
    let short = count("/cache_creation/ephemeral_5m_input_tokens");
    let long = count("/cache_creation/ephemeral_1h_input_tokens");
    // A stream's last word has the sum only, and it may have grown: what is not known to last an hour lasts five minutes.
    let short = match (written, long) {
        (Some(written), long) => Some(written.saturating_sub(long.unwrap_or(0))),
        (None, _) => short,
    };
    let read = count("/cache_read_input_tokens");
    let sum = [read, short, long].into_iter().flatten().fold(0, u64::saturating_add);
    Usage {
        input: count("/input_tokens").map(|fresh| fresh.saturating_add(sum)),
        cache_read: read,
        cache_write_5m: short,
        cache_write_1h: long,
        output: count("/output_tokens"),
        reasoning: count("/output_tokens_details/thinking_tokens"),
        web_searches: count("/server_tool_use/web_search_requests"),
        original: Some(Opaque::new(DIALECT, value)),
        ..Usage::default()
    }
}

/// Lays what a stream's later event says of usage over what was said before: its counts are totals, and what it does not
/// say stays.
pub(super) fn usage_over(earlier: Option<&Usage>, later: Value) -> Usage {
    let earlier = earlier.and_then(|usage| usage.original.as_ref()).and_then(|original| original.for_dialect(DIALECT));
    let (Some(Value::Object(before)), Value::Object(after)) = (earlier, &later) else { return usage_from(later) };
    let mut all = before.clone();
    for (key, value) in after.iter().filter(|(_, value)| !value.is_null()) {
        all.insert(key.clone(), value.clone());
    }
    usage_from(all.into())
}

/// Writes `usage`. `tier` is the tier that served, in another dialect's word.
pub(super) fn usage_to(usage: &Usage, tier: Option<&str>) -> Value {
    if let Some(own) = usage.original.as_ref().and_then(|original| original.for_dialect(DIALECT)) {
        return own.clone();
    }
    let mut object = counts_to(usage);
    if usage.cache_write_1h.is_some() {
        let parts = Object::new()
            .with("ephemeral_5m_input_tokens", usage.cache_write_5m.unwrap_or(0))
            .with("ephemeral_1h_input_tokens", usage.cache_write_1h.unwrap_or(0));
        object.put("cache_creation", parts);
    }
    object.put_some("service_tier", tier.map(tier_to));
    object.into()
}

/// Writes the `usage` of a stream's last event.
pub(super) fn final_usage_to(usage: &Usage) -> Value {
    let Some(Value::Object(own)) = usage.original.as_ref().and_then(|original| original.for_dialect(DIALECT)) else {
        return counts_to(usage).into();
    };
    let mut own = own.clone();
    // Said at the beginning, and not part of this event.
    for key in ["cache_creation", "service_tier", "inference_geo", "speed"] {
        own.shift_remove(key);
    }
    own.into()
}

fn counts_to(usage: &Usage) -> Object {
    let searches = usage.web_searches.filter(|searches| *searches > 0);
    Object::new()
        .with("input_tokens", usage.fresh_input())
        .with("cache_creation_input_tokens", usage.cache_write().unwrap_or(0))
        .with("cache_read_input_tokens", usage.cache_read.unwrap_or(0))
        .with("output_tokens", usage.output.unwrap_or(0))
        .with_some("output_tokens_details", usage.reasoning.map(|tokens| json!({"thinking_tokens": tokens})))
        .with_some(
            "server_tool_use",
            searches.map(|searches| json!({"web_search_requests": searches, "web_fetch_requests": 0})),
        )
}

/// Reads `usage.service_tier`: `standard` is what others call `default`.
pub(super) fn tier_from(usage: &Value) -> Option<String> {
    let word = usage.get("service_tier")?.as_str()?;
    Some(if word == "standard" { "default" } else { word }.to_owned())
}

/// Why a tier is told as another one.
pub(super) const NO_SUCH_TIER: &str = "is a tier for which Anthropic has no word: told as standard";

/// Anthropic's word for a tier.
pub(super) fn tier_to(word: &str) -> &'static str {
    match word {
        "priority" => "priority",
        "batch" => "batch",
        _ => "standard",
    }
}

/// Whether Anthropic has a word for this tier.
pub(super) fn has_tier(word: &str) -> bool {
    matches!(word, "priority" | "batch" | "standard" | "default" | "auto")
}

/// Reads the error that a stream ends with: the event's `error` object.
pub(super) fn stream_error_from(value: &Value) -> ApiError {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let type_word = text("type");
    let kind = type_word.as_deref().and_then(ErrorKind::from_type_name).unwrap_or(ErrorKind::Api);
    let message = text("message").unwrap_or_else(|| "the provider ended the stream with an error".to_owned());
    ApiError { type_word, code: text("code"), param: text("param"), ..ApiError::new(kind, message) }
}

/// The error that a stream ends with, and the body of an answer that failed.
pub(super) fn error_to(error: &ApiError) -> Value {
    let inner = Object::typed(error.kind.type_name())
        .with("message", error.message.as_str())
        .with_some("code", error.code.clone())
        .with_some("param", error.param.clone());
    Object::typed("error").with("error", inner).into()
}
