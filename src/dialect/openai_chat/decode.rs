//! From chat completions: a caller's request, a provider's whole answer.

mod answer;
mod message;

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{DIALECT, wire};
use crate::dialect::{Fields, Path};
use crate::fault::Fault;
use crate::ir::{
    CacheHint, CacheTtl, CallKind, Carry, Content, CustomTool, FunctionTool, LogprobsAsk, Message, Opaque,
    ProviderTool, ReasoningAsk, Request, Sampling, Tool, reattach,
};

pub(super) use answer::response;
use message::message;

/// Reads a request.
pub(super) fn request(body: Value) -> Result<Request, Fault> {
    let mut fields = Fields::of(body, Path::ROOT)?;
    let mut carry = Carry::NONE;
    let model = fields.required_string("model")?;
    let mut messages = Vec::new();
    let list = Path::ROOT.key("messages");
    for (index, value) in fields.array("messages")?.ok_or_else(|| list.missing())?.into_iter().enumerate() {
        messages.push(message(value, list.index(index))?.at(index));
    }
    reattach(&mut messages);
    tell_custom_results(&mut messages);

    let (tools, tool_choice) = offered_tools(&mut fields, &mut carry)?;
    let stop = match fields.take("stop") {
        Some(Value::String(one)) => {
            carry.note(DIALECT, "stop", "string");
            vec![one]
        }
        Some(many @ Value::Array(_)) => {
            fields.put_back("stop", many);
            let stop = fields.strings("stop")?.unwrap_or_default();
            if stop.is_empty() {
                fields.put_back("stop", Value::Array(Vec::new()));
            }
            stop
        }
        None => Vec::new(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
            return Err(fields.invalid("stop", "a string or an array of strings"));
        }
    };
    // `max_tokens` is the older name; if both are there, the newer one counts and the older is carried.
    let max_output = match fields.count("max_completion_tokens")? {
        Some(count) => Some(count),
        None => {
            let count = fields.count("max_tokens")?;
            if count.is_some() {
                carry.note(DIALECT, "max_output", "max_tokens");
            }
            count
        }
    };
    let stream_usage = stream_options(&mut fields, &mut carry)?;
    let reasoning = reasoning_effort(&mut fields)?;
    let output = match fields.take("response_format") {
        Some(value) => Some(wire::output_from(value, Path::ROOT.key("response_format"))?),
        None => None,
    };
    let logprobs = LogprobsAsk { enabled: fields.boolean("logprobs")?, top: fields.count("top_logprobs")? };
    let modalities = match fields.strings("modalities")? {
        Some(list) => {
            if list.is_empty() {
                fields.put_back("modalities", Value::Array(Vec::new()));
            }
            list
        }
        None => Vec::new(),
    };
    let mut request = Request {
        spoken_in: Some(DIALECT),
        model,
        stream: fields.boolean("stream")?,
        stream_usage,
        instructions: None,
        messages,
        tools,
        tool_choice,
        parallel_tool_calls: fields.boolean("parallel_tool_calls")?,
        reasoning,
        output,
        verbosity: fields.string("verbosity")?,
        sampling: Sampling {
            temperature: fields.number("temperature")?,
            top_p: fields.number("top_p")?,
            top_k: fields.number("top_k")?,
            frequency_penalty: fields.number("frequency_penalty")?,
            presence_penalty: fields.number("presence_penalty")?,
            seed: fields.number("seed")?,
            logit_bias: fields.object("logit_bias")?,
        },
        stop,
        max_output,
        candidates: fields.count("n")?,
        logprobs: (logprobs != LogprobsAsk::default()).then_some(logprobs),
        service_tier: fields.string("service_tier")?,
        user: fields.string("user")?,
        safety_identifier: fields.string("safety_identifier")?,
        prompt_cache_key: fields.string("prompt_cache_key")?,
        prompt_cache_retention: fields.string("prompt_cache_retention")?,
        metadata: fields.object("metadata")?,
        store: fields.boolean("store")?,
        modalities,
        carry: Carry::NONE,
    };
    request.carry = fields.carry(DIALECT);
    request.carry.merge(carry);
    Ok(request)
}

/// Chat's tool messages do not say of which kind the call was; Responses has to know.
fn tell_custom_results(messages: &mut [Message]) {
    let mut custom = HashSet::new();
    for part in messages.iter_mut().flat_map(|message| &mut message.parts) {
        match &mut part.content {
            Content::ToolCall(call) if call.kind == CallKind::Custom => {
                custom.insert(call.id.clone());
            }
            Content::ToolResult(result) if custom.contains(&result.call_id) => result.kind = CallKind::Custom,
            Content::ToolCall(_)
            | Content::ToolResult(_)
            | Content::Text(_)
            | Content::Refusal(_)
            | Content::Media(_)
            | Content::Reasoning(_)
            | Content::Opaque(_) => {}
        }
    }
}

fn stream_options(fields: &mut Fields<'_>, carry: &mut Carry) -> Result<Option<bool>, Fault> {
    let Some(options) = fields.take("stream_options") else { return Ok(None) };
    let mut options = Fields::of(options, Path::ROOT.key("stream_options"))?;
    let include = options.boolean("include_usage")?;
    carry.note(DIALECT, "stream_options", options.rest());
    Ok(include)
}

fn reasoning_effort(fields: &mut Fields<'_>) -> Result<Option<ReasoningAsk>, Fault> {
    let Some(word) = fields.string("reasoning_effort")? else { return Ok(None) };
    Ok(Some(ReasoningAsk { effort: Some(crate::ir::Effort::from_word(&word)), ..ReasoningAsk::default() }))
}

/// Reads `tools`, `tool_choice` and the two other ways to offer tools: web search as an option of its own, and the
/// deprecated `functions`, which only servers of this dialect understand.
fn offered_tools(
    fields: &mut Fields<'_>,
    carry: &mut Carry,
) -> Result<(Vec<Tool>, Option<crate::ir::ToolChoice>), Fault> {
    let mut tools = Vec::new();
    if let Some(values) = fields.array("tools")? {
        if values.is_empty() {
            fields.put_back("tools", Value::Array(Vec::new()));
        }
        let list = Path::ROOT.key("tools");
        for (index, value) in values.into_iter().enumerate() {
            tools.push(tool(value, list.index(index))?);
        }
    }
    for name in ["web_search_options", "functions"] {
        if let Some(value) = fields.take(name) {
            carry.note(DIALECT, name, true);
            let (name, field) = (name.to_owned(), name.to_owned());
            tools.push(Tool::Provider(ProviderTool { name, field, original: Opaque::new(DIALECT, value) }));
        }
    }
    Ok((tools, fields.take("tool_choice").map(wire::tool_choice_from)))
}

fn tool(value: Value, path: Path<'_>) -> Result<Tool, Fault> {
    let mut fields = Fields::of(value, path)?;
    let kind = fields.required_string("type")?;
    match kind.as_str() {
        "function" => {
            let mut inner = Fields::of(fields.required("function")?, path.key("function"))?;
            let name = inner.required_string("name")?;
            let description = inner.string("description")?;
            let parameters = inner.take("parameters");
            let strict = inner.boolean("strict")?;
            let cache = cache_hint(&mut fields);
            let mut carry = fields.carry(DIALECT);
            note_rest(&mut carry, "function", inner.rest());
            Ok(Tool::Function(FunctionTool { name, description, parameters, strict, cache, carry }))
        }
        "custom" => {
            let mut inner = Fields::of(fields.required("custom")?, path.key("custom"))?;
            let name = inner.required_string("name")?;
            let description = inner.string("description")?;
            let format = inner.take("format").map(wire::custom_format_from);
            let mut carry = fields.carry(DIALECT);
            note_rest(&mut carry, "custom", inner.rest());
            Ok(Tool::Custom(CustomTool { name, description, format, carry }))
        }
        _ => {
            let mut whole = Map::from_iter([("type".to_owned(), Value::from(kind.as_str()))]);
            whole.extend(fields.rest());
            Ok(Tool::Provider(ProviderTool {
                name: kind,
                field: path.to_string(),
                original: Opaque::new(DIALECT, whole.into()),
            }))
        }
    }
}

/// Reads Anthropic's `cache_control`, which chat clients send where they know that a Claude model listens.
fn cache_hint(fields: &mut Fields<'_>) -> Option<CacheHint> {
    let ttl = match fields.peek("cache_control")?.as_object()?.get("ttl").and_then(Value::as_str) {
        Some("1h") => CacheTtl::OneHour,
        Some(_) | None => CacheTtl::FiveMinutes,
    };
    let Some(Value::Object(original)) = fields.take("cache_control") else { return None };
    Some(CacheHint { ttl, carry: Carry::of(DIALECT, original) })
}

/// Notes what was left of an inner object.
fn note_rest(carry: &mut Carry, key: &'static str, rest: Map<String, Value>) {
    if !rest.is_empty() {
        carry.note(DIALECT, key, rest);
    }
}
