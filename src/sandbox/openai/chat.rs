//! Chat completions: a checked request as the simulation understands it, and its answer, whole and as chunks.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    Refusal, asked_for, chat_rules, chat_shape, directives, format, has_chat, head, known, parsed, reasons, stream_head,
};
use crate::sandbox::compose::{
    Ask, Choice, Composed, Finish, Input, Tool, ToolInput, Usage, compose, pieces, tokens_in,
};
use crate::sandbox::deliver;
use crate::sandbox::reply::Reply;
use crate::sandbox::seal::Ids;
use crate::sandbox::world::Call;

/// What chat completions says.
pub(super) fn answer(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let request = parsed(call, chat_shape::CHAT).map_err(|refusal| match &refusal {
        // This endpoint's own words for the two commonest.
        Refusal { code: Some("unknown_parameter"), param: Some(name), .. } if !name.contains(['.', '[']) => {
            Refusal::invalid(format!("Unrecognized request argument supplied: {name}"))
        }
        Refusal { code: Some("missing_required_parameter"), param: Some(name), .. } if name == "model" => {
            Refusal::invalid("you must provide a model parameter")
        }
        _ => refusal,
    })?;
    known(text(&request, "model"))?;
    has_chat(text(&request, "model"))?;
    chat_rules::check(&request)?;
    let ask = read(&request)?;
    if let Some(status) = ask.directives.error {
        return Ok(asked_for(status, call));
    }
    let said = Said::new(&request, &ask, call);
    if request.get("stream") == Some(&Value::Bool(true)) {
        let reply = stream_head(call);
        let frames = said.chunks(&mut call.ids);
        return Ok(deliver::stream(reply, &ask.directives, frames, broken()));
    }
    let reply = head(200, call);
    Ok(deliver::whole(reply, &ask.directives, &said.completion(&mut call.ids)))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn read(request: &Value) -> Result<Ask, Refusal> {
    let messages = list(request, "messages");
    let spoken = messages.iter().rposition(|message| text(message, "role") == "user");
    let (directives, prompt) =
        directives(&spoken.and_then(|index| messages.get(index)).map(words).unwrap_or_default())?;
    let since = messages.get(spoken.map_or(0, |index| index + 1)..).unwrap_or_default();
    let rounds = since.iter().filter(|message| !list(message, "tool_calls").is_empty()).count();
    let is_instruction = |message: &&Value| matches!(text(message, "role"), "system" | "developer");
    let is_result = |message: &&Value| text(message, "role") == "tool";
    let mut results: Vec<_> =
        messages.iter().rev().skip_while(is_instruction).take_while(is_result).map(words).collect();
    results.reverse();
    let model = text(request, "model");
    let effort = text(request, "reasoning_effort");
    Ok(Ask {
        model: model.to_owned(),
        prompt,
        directives,
        attachments: messages.last().map(attachments).unwrap_or_default(),
        results,
        rounds,
        tools: tools(request),
        choice: choice(request),
        one_call_at_most: request.get("parallel_tool_calls") == Some(&Value::Bool(false)),
        format: format(request.get("response_format"), "/json_schema/schema"),
        reasons: reasons(model) && !matches!(effort, "none" | "minimal"),
        max_tokens: request.get("max_completion_tokens").or_else(|| request.get("max_tokens")).and_then(Value::as_u64),
        stops: match request.get("stop") {
            Some(Value::String(stop)) => vec![stop.clone()],
            Some(Value::Array(stops)) => stops.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        },
        input_tokens: ["messages", "tools"].iter().filter_map(|name| request.get(*name)).map(tokens_in).sum(),
    })
}

fn words(message: &Value) -> String {
    match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let texts: Vec<_> = parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

fn attachments(message: &Value) -> Vec<String> {
    let parts = list(message, "content").iter();
    parts
        .filter_map(|part| match text(part, "type") {
            "image_url" => part.pointer("/image_url/url").and_then(Value::as_str).map(located),
            "input_audio" => {
                let data = part.pointer("/input_audio/data").and_then(Value::as_str).unwrap_or_default();
                Some(format!("audio ({} characters of data)", data.len()))
            }
            "file" => part.pointer("/file/file_data").and_then(Value::as_str).map(located),
            _ => None,
        })
        .collect()
}

/// A data URL by its type and length, any other as it is.
pub(super) fn located(url: &str) -> String {
    match url.strip_prefix("data:").and_then(|data| data.split_once(";base64,")) {
        Some((media, data)) => format!("{media} ({} characters of data)", data.len()),
        None => format!("what is at {url}"),
    }
}

fn tools(request: &Value) -> Vec<Tool> {
    let allowed = request.pointer("/tool_choice/allowed_tools/tools").and_then(Value::as_array);
    let tools = list(request, "tools").iter().map(|tool| {
        let inner = tool.get(text(tool, "type")).unwrap_or(&Value::Null);
        let input = match text(tool, "type") {
            "custom" => ToolInput::Freeform,
            _ => ToolInput::Schema(inner.get("parameters").cloned().unwrap_or_default()),
        };
        Tool { name: text(inner, "name").to_owned(), namespace: None, input }
    });
    let is_allowed = |tool: &Tool| {
        allowed.is_none_or(|allowed| {
            allowed.iter().any(|one| one.get(text(one, "type")).is_some_and(|inner| text(inner, "name") == tool.name))
        })
    };
    tools.filter(is_allowed).collect()
}

fn choice(request: &Value) -> Choice {
    match request.get("tool_choice") {
        Some(Value::String(mode)) if mode == "none" => Choice::None,
        Some(Value::String(mode)) if mode == "required" => Choice::Required,
        Some(choice @ Value::Object(_)) => match text(choice, "type") {
            "allowed_tools" if choice.pointer("/allowed_tools/mode").is_some_and(|mode| mode == "required") => {
                Choice::Required
            }
            "allowed_tools" => Choice::Auto,
            kind => Choice::Named(choice.get(kind).map_or("", |inner| text(inner, "name")).to_owned()),
        },
        _ => Choice::Auto,
    }
}

/// An answer with what both of its forms need.
struct Said<'a> {
    request: &'a Value,
    model: &'a str,
    choices: Vec<Composed>,
    usage: Usage,
    id: String,
    created: u64,
    fingerprint: String,
}

impl<'a> Said<'a> {
    fn new(request: &'a Value, ask: &'a Ask, call: &mut Call<'_>) -> Self {
        let count = request.get("n").and_then(Value::as_u64).unwrap_or(1);
        let choices: Vec<Composed> = (0..count).map(|index| choice_of(ask, index)).collect();
        let mut usage = Usage::default();
        for choice in &choices {
            (usage.input, usage.cached) = (choice.usage.input, choice.usage.cached);
            usage.reasoning += choice.usage.reasoning;
            usage.output += choice.usage.output;
        }
        let id = call.ids.alphanumeric("chatcmpl-", 29);
        let fingerprint = call.ids.hex("fp_", 10);
        Self { request, model: &ask.model, choices, usage, id, created: call.now, fingerprint }
    }

    fn completion(&self, ids: &mut Ids) -> Value {
        let choices: Vec<_> = self
            .choices
            .iter()
            .enumerate()
            .map(|(index, choice)| {
                let (content, refusal) = spoken(choice);
                let mut message = json!({"role": "assistant", "content": content, "refusal": refusal, "annotations": []});
                if !choice.calls.is_empty()
                    && let Some(message) = message.as_object_mut()
                {
                    let calls: Vec<_> = choice.calls.iter().map(|called| tool_call(&called.name, &called.input, ids)).collect();
                    message.insert("tool_calls".to_owned(), calls.into());
                }
                json!({"index": index, "message": message, "logprobs": self.logprobs(&choice.text), "finish_reason": finish_reason(&choice.finish)})
            })
            .collect();
        json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": choices,
            "usage": self.usage(),
            "service_tier": "default",
            "system_fingerprint": self.fingerprint,
        })
    }

    fn usage(&self) -> Value {
        let completion = self.usage.output + self.usage.reasoning;
        json!({
            "prompt_tokens": self.usage.input,
            "completion_tokens": completion,
            "total_tokens": self.usage.input + completion,
            "prompt_tokens_details": {"cached_tokens": self.usage.cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": self.usage.reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        })
    }

    fn logprobs(&self, text: &str) -> Value {
        if self.request.get("logprobs") != Some(&Value::Bool(true)) {
            return Value::Null;
        }
        let top = self.request.get("top_logprobs").and_then(Value::as_u64).unwrap_or_default();
        let of = |token: &str| json!({"token": token, "logprob": -0.125, "bytes": token.as_bytes()});
        let content: Vec<_> = pieces(text)
            .iter()
            .map(|piece| {
                let mut one = of(piece);
                let others: Vec<_> = (0..top.min(1)).map(|_| of(piece)).collect();
                if let Some(one) = one.as_object_mut() {
                    one.insert("top_logprobs".to_owned(), others.into());
                }
                one
            })
            .collect();
        json!({"content": content, "refusal": null})
    }

    fn chunks(&self, ids: &mut Ids) -> Vec<Bytes> {
        let wants_usage = self.request.pointer("/stream_options/include_usage") == Some(&Value::Bool(true));
        let mut chunks = Vec::new();
        for (index, choice) in self.choices.iter().enumerate() {
            for (delta, logprobs) in self.deltas(choice, ids) {
                chunks.push(json!([{"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": null}]));
            }
            chunks.push(json!([{"index": index, "delta": {}, "logprobs": null, "finish_reason": finish_reason(&choice.finish)}]));
        }
        let mut frames: Vec<Bytes> =
            chunks.into_iter().map(|choices| self.frame(choices, wants_usage.then_some(Value::Null), ids)).collect();
        if wants_usage {
            frames.push(self.frame(json!([]), Some(self.usage()), ids));
        }
        frames.push(Bytes::from_static(b"data: [DONE]\n\n"));
        frames
    }

    fn deltas(&self, choice: &Composed, ids: &mut Ids) -> Vec<(Value, Value)> {
        let (content, refusal) = spoken(choice);
        let first = if choice.calls.is_empty() { json!("") } else { Value::Null };
        let mut deltas = vec![(json!({"role": "assistant", "content": first, "refusal": null}), Value::Null)];
        if let Some(content) = content.as_str() {
            deltas.extend(pieces(content).into_iter().map(|piece| (json!({"content": piece}), self.logprobs(&piece))));
        }
        if let Some(refusal) = refusal.as_str() {
            deltas.extend(pieces(refusal).into_iter().map(|piece| (json!({"refusal": piece}), Value::Null)));
        }
        for (index, called) in choice.calls.iter().enumerate() {
            let mut start = tool_call(&called.name, &called.input, ids);
            let (kind, field) = match &called.input {
                Input::Json(_) => ("function", "arguments"),
                Input::Text(_) => ("custom", "input"),
            };
            let whole = start.pointer_mut(&format!("/{kind}/{field}")).map(Value::take).unwrap_or_default();
            if let Some(start) = start.as_object_mut() {
                start.insert("index".to_owned(), index.into());
                if let Some(inner) = start.get_mut(kind).and_then(Value::as_object_mut) {
                    inner.insert(field.to_owned(), "".into());
                }
            }
            deltas.push((json!({"tool_calls": [start]}), Value::Null));
            for piece in pieces(whole.as_str().unwrap_or_default()) {
                deltas.push((json!({"tool_calls": [{"index": index, kind: {field: piece}}]}), Value::Null));
            }
        }
        deltas
    }

    fn frame(&self, choices: Value, usage: Option<Value>, ids: &mut Ids) -> Bytes {
        let mut chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "service_tier": "default",
            "system_fingerprint": self.fingerprint,
            "choices": choices,
        });
        if let Some(chunk) = chunk.as_object_mut() {
            if let Some(usage) = usage {
                chunk.insert("usage".to_owned(), usage);
            }
            if self.request.pointer("/stream_options/include_obfuscation") != Some(&Value::Bool(false)) {
                chunk.insert("obfuscation".to_owned(), ids.alphanumeric("", 8).into());
            }
        }
        format!("data: {chunk}\n\n").into()
    }
}

fn choice_of(ask: &Ask, index: u64) -> Composed {
    let mut composed = compose(ask);
    if index > 0
        && composed.calls.is_empty()
        && composed.finish == Finish::Stop
        && matches!(ask.format, crate::sandbox::compose::Format::Text)
    {
        composed.text += &format!(" (Choice {}.)", index + 1);
        composed.usage.output = crate::sandbox::compose::tokens(&composed.text);
    }
    composed
}

fn spoken(choice: &Composed) -> (Value, Value) {
    match choice.finish {
        Finish::Refusal => (Value::Null, json!(choice.text)),
        Finish::Calls => (Value::Null, Value::Null),
        Finish::Stop
        | Finish::StopSequence(_)
        | Finish::Length
        | Finish::Safety
        | Finish::Blocked
        | Finish::Forced(_) => (json!(choice.text), Value::Null),
    }
}

fn tool_call(name: &str, input: &Input, ids: &mut Ids) -> Value {
    let id = ids.alphanumeric("call_", 24);
    match input {
        Input::Json(value) => {
            json!({"id": id, "type": "function", "function": {"name": name, "arguments": value.to_string()}})
        }
        Input::Text(text) => json!({"id": id, "type": "custom", "custom": {"name": name, "input": text}}),
    }
}

fn finish_reason(finish: &Finish) -> &str {
    match finish {
        Finish::Stop | Finish::StopSequence(_) | Finish::Refusal => "stop",
        Finish::Length => "length",
        Finish::Calls => "tool_calls",
        Finish::Safety | Finish::Blocked => "content_filter",
        Finish::Forced(reason) => reason,
    }
}

/// How a stream says that it failed.
fn broken() -> Bytes {
    let error = json!({"error": {
        "message": "The server had an error processing your request. Sorry about that!",
        "type": "server_error",
        "param": null,
        "code": null,
    }});
    format!("data: {error}\n\n").into()
}
