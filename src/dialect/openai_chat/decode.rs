//! From chat completions: a caller's request, a provider's whole answer.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{DIALECT, wire};
use crate::dialect::{Fields, Path};
use crate::fault::Fault;
use crate::ir::{
    CacheHint, CacheTtl, CallKind, Carry, Choice, Content, CustomTool, FunctionTool, LogprobsAsk, Media, MediaKind,
    Message, Opaque, Origin, Outcome, Part, ProviderTool, Reasoning, ReasoningAsk, Request, Response, Role, Sampling,
    Seal, SealKind, Source, Text, TextKind, Tool, ToolCall, ToolResult, reattach,
};

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

fn message(value: Value, path: Path<'_>) -> Result<Message, Fault> {
    let mut fields = Fields::of(value, path)?;
    let word = fields.required_string("role")?;
    let Some(role) = wire::role_from(&word) else {
        // The deprecated `function` role, or one that is newer than this code.
        let mut whole = Map::from_iter([("role".to_owned(), Value::from(word))]);
        whole.extend(fields.rest());
        return Ok(Message::new(Role::User, vec![Part::opaque(DIALECT, whole.into())]));
    };
    let name = fields.string("name")?;
    let mut notes = Carry::NONE;
    let mut parts = Vec::new();
    match role {
        Role::Assistant => assistant(&mut fields, &mut parts, &mut notes)?,
        Role::System | Role::Developer | Role::User => content(&mut fields, &mut parts, &mut notes)?,
        Role::Tool => {
            let mut inner = Vec::new();
            content(&mut fields, &mut inner, &mut notes)?;
            let result = ToolResult {
                call_id: fields.required_string("tool_call_id")?,
                name: None,
                parts: inner,
                outcome: Outcome::Success,
                kind: CallKind::Function,
            };
            parts.push(Part::new(Content::ToolResult(result)));
        }
    }
    let mut carry = fields.carry(DIALECT);
    carry.merge(notes);
    Ok(Message { name, carry, ..Message::new(role, parts) })
}

/// Reads an assistant's message: thoughts, text, refusal, calls.
fn assistant(fields: &mut Fields<'_>, parts: &mut Vec<Part>, notes: &mut Carry) -> Result<(), Fault> {
    thoughts(fields, parts)?;
    content(fields, parts, notes)?;
    if let Some(refusal) = fields.string("refusal")? {
        parts.push(Part::new(Content::Refusal(refusal)));
    }
    if let Some(calls) = fields.array("tool_calls")? {
        if calls.is_empty() {
            fields.put_back("tool_calls", Value::Array(Vec::new()));
        }
        let here = fields.path();
        let list = here.key("tool_calls");
        for (index, call) in calls.into_iter().enumerate() {
            parts.push(tool_call(call, list.index(index))?.at(index));
        }
    }
    Ok(())
}

/// Reads `reasoning_details`, else `reasoning_content` or `reasoning`. Where both are there, the plain text repeats the
/// details and is only carried.
fn thoughts(fields: &mut Fields<'_>, parts: &mut Vec<Part>) -> Result<(), Fault> {
    if let Some(Value::Array(details)) = fields.peek("reasoning_details")
        && !details.is_empty()
    {
        let here = fields.path();
        let list = here.key("reasoning_details");
        for (index, detail) in fields.array("reasoning_details")?.unwrap_or_default().into_iter().enumerate() {
            parts.push(reasoning_detail(Fields::of(detail, list.index(index))?)?.at(index));
        }
        return Ok(());
    }
    for key in ["reasoning_content", "reasoning"] {
        match fields.take(key) {
            Some(Value::String(text)) => {
                let carry = Carry::NONE.noted(DIALECT, "field", key);
                parts.push(Part::new(Content::Reasoning(Reasoning::of(TextKind::Full, text))).carrying(carry));
                return Ok(());
            }
            Some(other) => fields.put_back(key, other),
            None => {}
        }
    }
    Ok(())
}

/// Reads one entry of `reasoning_details`. Seals of our own making are opened; a server's own are carried, since only that
/// server can read them.
fn reasoning_detail(mut fields: Fields<'_>) -> Result<Part, Fault> {
    let kind = fields.string("type")?;
    let mut reasoning = Reasoning { id: fields.string("id")?, texts: Vec::new() };
    for (key, text_kind) in [("text", TextKind::Full), ("summary", TextKind::Summary)] {
        if let Some(text) = fields.string(key)? {
            reasoning.texts.push(crate::ir::ReasoningText { kind: text_kind, text });
        }
    }
    let mut seal = None;
    for key in ["signature", "data"] {
        if fields.peek_str(key).is_some_and(crate::ir::mark::is_minted) {
            let text = fields.string(key)?.unwrap_or_default();
            seal = Seal::read(Origin::OpenAi, SealKind::Encrypted, text);
        }
    }
    let mut carry = fields.carry(DIALECT).noted(DIALECT, "field", "reasoning_details");
    if let Some(kind) = kind {
        carry.note(DIALECT, "type", kind);
    }
    Ok(Part::new(Content::Reasoning(reasoning)).sealed(seal).carrying(carry))
}

fn tool_call(value: Value, path: Path<'_>) -> Result<Part, Fault> {
    let mut fields = Fields::of(value, path)?;
    let id = fields.required_string("id")?;
    // Some servers leave `type` out; all of those mean functions.
    let kind = match fields.string("type")?.as_deref() {
        None | Some("function") => CallKind::Function,
        Some("custom") => CallKind::Custom,
        Some(_) => return Err(fields.invalid("type", "\"function\" or \"custom\"")),
    };
    let key = wire::kind_to(kind);
    let mut inner = Fields::of(fields.required(key)?, path.key(key))?;
    let name = inner.required_string("name")?;
    let arguments = match kind {
        CallKind::Function => inner.string("arguments")?,
        CallKind::Custom => inner.string("input")?,
    };
    let mut carry = fields.carry(DIALECT);
    note_rest(&mut carry, "call", inner.rest());
    if arguments.as_ref().is_some_and(String::is_empty) {
        carry.note(DIALECT, "arguments", "empty");
    }
    let call = ToolCall { id, name, arguments: arguments.unwrap_or_default(), kind };
    Ok(Part::new(Content::ToolCall(call)).carrying(carry))
}

/// Reads `content`: a string, a list of parts, or null.
fn content(fields: &mut Fields<'_>, parts: &mut Vec<Part>, notes: &mut Carry) -> Result<(), Fault> {
    match fields.take("content") {
        None => {}
        Some(Value::String(text)) => parts.push(Part::text(text)),
        Some(Value::Array(list)) => {
            notes.note(DIALECT, "content", "parts");
            let here = fields.path();
            let path = here.key("content");
            for (index, value) in list.into_iter().enumerate() {
                parts.push(content_part(value, path.index(index))?.at(index));
            }
        }
        Some(Value::Bool(_) | Value::Number(_) | Value::Object(_) | Value::Null) => {
            return Err(fields.invalid("content", "a string or an array of parts"));
        }
    }
    Ok(())
}

fn content_part(value: Value, path: Path<'_>) -> Result<Part, Fault> {
    let mut fields = Fields::of(value, path)?;
    let cache = cache_hint(&mut fields);
    let kind = fields.required_string("type")?;
    let mut inner_rest = None;
    let mut notes = Carry::NONE;
    let content = match kind.as_str() {
        "text" => Content::Text(Text { text: fields.required_string("text")?, ..Text::default() }),
        "refusal" => {
            notes.note(DIALECT, "in_content", true);
            Content::Refusal(fields.required_string("refusal")?)
        }
        "image_url" => {
            let mut inner = Fields::of(fields.required("image_url")?, path.key("image_url"))?;
            let source = Source::from_url(inner.required_string("url")?);
            let detail = inner.string("detail")?;
            inner_rest = Some(inner.rest());
            Content::Media(Media { kind: MediaKind::Image, source, detail, name: None })
        }
        "input_audio" => {
            let mut inner = Fields::of(fields.required("input_audio")?, path.key("input_audio"))?;
            let mime = format!("audio/{}", inner.required_string("format")?);
            let source = Source::Base64 { mime, data: inner.required_string("data")? };
            inner_rest = Some(inner.rest());
            Content::Media(Media { kind: MediaKind::Audio, source, detail: None, name: None })
        }
        "file" => {
            let mut inner = Fields::of(fields.required("file")?, path.key("file"))?;
            let name = inner.string("filename")?;
            let source = match (inner.string("file_id")?, inner.string("file_data")?) {
                (Some(id), data) => {
                    if let Some(data) = data {
                        inner.put_back("file_data", data.into());
                    }
                    Source::FileId { origin: Origin::OpenAi, id }
                }
                (None, Some(data)) => {
                    let source = file_data(data);
                    if matches!(&source, Source::Url { url, .. } if !url.starts_with("data:")) {
                        notes.note(DIALECT, "address", true);
                    }
                    source
                }
                (None, None) => return Err(inner.missing("file_data")),
            };
            inner_rest = Some(inner.rest());
            Content::Media(Media { kind: MediaKind::Document, source, detail: None, name })
        }
        _ => {
            let mut whole = Map::from_iter([("type".to_owned(), Value::from(kind))]);
            whole.extend(fields.rest());
            return Ok(Part { cache, ..Part::opaque(DIALECT, whole.into()) });
        }
    };
    let mut carry = fields.carry(DIALECT);
    carry.merge(notes);
    if let Some(rest) = inner_rest {
        note_rest(&mut carry, "inner", rest);
    }
    Ok(Part { cache, ..Part::new(content).carrying(carry) })
}

/// A file's bytes: a data URL by OpenAI's reference; bare base64 is taken for the same without a type. Some callers give an
/// address, which OpenAI does not fetch and others do.
fn file_data(data: String) -> Source {
    if data.starts_with("data:") || data.starts_with("http") {
        Source::from_url(data)
    } else {
        Source::Base64 { mime: String::new(), data }
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

/// Reads a whole answer.
pub(super) fn response(body: Value) -> Result<Response, Fault> {
    let mut fields = Fields::of(body, Path::ROOT)?;
    if fields.peek_str("object") == Some("chat.completion") {
        fields.take("object");
    }
    let mut choices = Vec::new();
    let list = Path::ROOT.key("choices");
    for (index, value) in fields.array("choices")?.ok_or_else(|| list.missing())?.into_iter().enumerate() {
        choices.push(choice(Fields::of(value, list.index(index))?, index)?);
    }
    Ok(Response {
        id: fields.string("id")?,
        model: fields.string("model")?,
        created: fields.count("created")?,
        choices,
        usage: fields.take("usage").map(wire::usage_from),
        service_tier: fields.string("service_tier")?,
        error: None,
        carry: fields.carry(DIALECT),
    })
}

fn choice(mut fields: Fields<'_>, place: usize) -> Result<Choice, Fault> {
    let index = match fields.count("index")? {
        Some(index) => u32::try_from(index).map_err(|_| fields.invalid("index", "a small number"))?,
        None => u32::try_from(place).unwrap_or(u32::MAX),
    };
    let here = fields.path();
    let mut message = Fields::of(fields.required("message")?, here.key("message"))?;
    if message.peek_str("role") == Some("assistant") {
        message.take("role");
    }
    let mut parts = Vec::new();
    let mut notes = Carry::NONE;
    assistant(&mut message, &mut parts, &mut notes)?;
    annotate(&mut message, &mut parts);
    note_rest(&mut notes, "message", message.rest());
    probabilities(&mut fields, &mut parts, &mut notes);
    let finish = fields.string("finish_reason")?.map(wire::finish_from);
    let mut carry = fields.carry(DIALECT);
    carry.merge(notes);
    Ok(Choice { index, parts, finish, carry })
}

/// Puts the message's annotations on its text.
fn annotate(message: &mut Fields<'_>, parts: &mut [Part]) {
    let Some(text) = last_text(parts) else { return };
    match message.take("annotations") {
        Some(Value::Array(annotations)) if !annotations.is_empty() => {
            text.citations = annotations.into_iter().map(wire::citation_from).collect();
        }
        Some(other) => message.put_back("annotations", other),
        None => {}
    }
}

/// Puts the choice's log probabilities on its text, if they are of the form that is known here.
fn probabilities(choice: &mut Fields<'_>, parts: &mut [Part], notes: &mut Carry) {
    let Some(text) = last_text(parts) else { return };
    let Some(mut logprobs) = choice.take("logprobs") else { return };
    let known = match logprobs.get("content") {
        Some(Value::Array(entries)) if !entries.is_empty() => wire::logprobs_from(entries),
        Some(_) | None => None,
    };
    match (known, logprobs.as_object_mut()) {
        (Some(known), Some(map)) => {
            text.logprobs = known;
            map.shift_remove("content");
            notes.note(DIALECT, "logprobs", logprobs);
        }
        (Some(_) | None, _) => choice.put_back("logprobs", logprobs),
    }
}

fn last_text(parts: &mut [Part]) -> Option<&mut Text> {
    parts.iter_mut().rev().find_map(|part| match &mut part.content {
        Content::Text(text) => Some(text),
        Content::Refusal(_)
        | Content::Media(_)
        | Content::ToolCall(_)
        | Content::ToolResult(_)
        | Content::Reasoning(_)
        | Content::Opaque(_) => None,
    })
}
