//! Responses: a checked request as the simulation understands it, and the response object.

use serde_json::{Value, json};

use super::chat::located;
use super::{
    Refusal, asked_for, directives, format, head, known, parsed, reasons, responses_events, responses_rules,
    responses_shape, stream_head,
};
use crate::sandbox::compose::{Ask, Choice, Composed, Finish, Input, Tool, ToolInput, compose, tokens_in};
use crate::sandbox::deliver;
use crate::sandbox::reply::Reply;
use crate::sandbox::seal::{self, Ids};
use crate::sandbox::world::Call;

/// What Responses says.
pub(super) fn answer(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let request = parsed(call, responses_shape::RESPONSES)?;
    let model = text(&request, "model");
    known(model).map_err(|_| {
        // This endpoint says it with a 400.
        Refusal::invalid(format!("The requested model '{model}' does not exist."))
            .param("model")
            .code("model_not_found")
    })?;
    responses_rules::check(&request)?;
    let ask = read(&request)?;
    if let Some(status) = ask.directives.error {
        return Ok(asked_for(status, call));
    }
    let composed = compose(&ask);
    let output = output(&request, &ask, &composed, &mut call.ids);
    let response = Response {
        request: &request,
        ask: &ask,
        composed: &composed,
        id: call.ids.hex("resp_", 48),
        created: call.now,
    };
    if request.get("stream") == Some(&Value::Bool(true)) {
        let reply = stream_head(call);
        let obfuscate = request.pointer("/stream_options/include_obfuscation") != Some(&Value::Bool(false));
        let frames = responses_events::frames(&response, &output, obfuscate, &mut call.ids);
        // The numbers go on where the stream breaks off.
        let at = ask.directives.stream_error.map_or(frames.len(), |point| point.of(frames.len()));
        let broken = responses_events::broken(&response, at);
        return Ok(deliver::stream(reply, &ask.directives, frames, broken));
    }
    let body = response.object(response.final_status(), &output);
    Ok(deliver::whole(head(200, call), &ask.directives, &body))
}

/// The token count that Responses would start from.
pub(super) fn count(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let request = parsed(call, responses_shape::INPUT_TOKENS)?;
    if let Some(model) = request.get("model").and_then(Value::as_str) {
        known(model)?;
    }
    responses_rules::check(&request)?;
    let ask = read(&request)?;
    if let Some(status) = ask.directives.error {
        return Ok(asked_for(status, call));
    }
    let body = json!({"object": "response.input_tokens", "input_tokens": ask.input_tokens});
    Ok(deliver::whole(head(200, call), &ask.directives, &body))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn read(request: &Value) -> Result<Ask, Refusal> {
    let one = request.get("input").and_then(Value::as_str).map(|said| vec![json!({"role": "user", "content": said})]);
    let items: &[Value] =
        one.as_deref().or_else(|| request.get("input")?.as_array().map(Vec::as_slice)).unwrap_or_default();
    let spoken =
        items.iter().rposition(|item| responses_rules::kind(item) == "message" && text(item, "role") == "user");
    // A client may put what the user said into several messages in a row.
    let (directives, prompt) = directives(&spoken.map(|last| run_of_words(items, last)).unwrap_or_default())?;
    let since = items.get(spoken.map_or(0, |index| index + 1)..).unwrap_or_default();
    let is_output =
        |item: &&Value| matches!(responses_rules::kind(item), "function_call_output" | "custom_tool_call_output");
    let is_instruction = |item: &&Value| matches!(text(item, "role"), "system" | "developer");
    let results: Vec<&Value> = items.iter().rev().skip_while(is_instruction).take_while(is_output).collect();
    // A round is a row of results: parallel calls make one.
    let rounds = since
        .iter()
        .zip(since.iter().skip(1).map(Some).chain([None]))
        .filter(|(item, next)| is_output(item) && !next.is_some_and(|next| is_output(&next)))
        .count();
    let model = text(request, "model");
    let effort = request.pointer("/reasoning/effort").and_then(Value::as_str).unwrap_or_default();
    Ok(Ask {
        model: model.to_owned(),
        prompt,
        directives,
        attachments: spoken
            .and_then(|index| items.get(index))
            .filter(|_| since.is_empty())
            .map(attachments)
            .unwrap_or_default(),
        results: results.into_iter().rev().map(|item| words(item.get("output"))).collect(),
        rounds,
        tools: tools(request),
        choice: choice(request),
        one_call_at_most: request.get("parallel_tool_calls") == Some(&Value::Bool(false)),
        format: format(request.pointer("/text/format"), "/schema"),
        reasons: reasons(model) && !matches!(effort, "none" | "minimal"),
        max_tokens: request.get("max_output_tokens").and_then(Value::as_u64),
        stops: Vec::new(),
        input_tokens: ["instructions", "input", "tools"]
            .iter()
            .filter_map(|name| request.get(*name))
            .map(tokens_in)
            .sum(),
    })
}

fn run_of_words(items: &[Value], last: usize) -> String {
    let is_user = |item: &&Value| responses_rules::kind(item) == "message" && text(item, "role") == "user";
    let run = items.get(..=last).unwrap_or_default().iter().rev().take_while(is_user);
    let mut said: Vec<_> = run.map(|item| words(item.get("content"))).collect();
    said.reverse();
    said.join("\n")
}

fn words(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let texts = parts.iter().map(|part| match part.get("text").and_then(Value::as_str) {
                Some(text) => text.to_owned(),
                None => attachment(part).unwrap_or_default(),
            });
            texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

fn attachments(item: &Value) -> Vec<String> {
    item.get("content").and_then(Value::as_array).into_iter().flatten().filter_map(attachment).collect()
}

fn attachment(part: &Value) -> Option<String> {
    match text(part, "type") {
        "input_image" => Some(located(text(part, "image_url"))),
        "input_file" => {
            ["file_data", "file_url", "file_id"].iter().find_map(|name| part.get(*name)?.as_str()).map(located)
        }
        "input_audio" => Some("audio".to_owned()),
        _ => None,
    }
}

fn tools(request: &Value) -> Vec<Tool> {
    let choice = request.get("tool_choice").unwrap_or(&Value::Null);
    let allowed =
        (text(choice, "type") == "allowed_tools").then(|| choice.get("tools").and_then(Value::as_array)).flatten();
    let is_allowed = |name: &str| allowed.is_none_or(|allowed| allowed.iter().any(|one| text(one, "name") == name));
    let added = request.get("input").and_then(Value::as_array).into_iter().flatten();
    let added = added.filter(|item| responses_rules::kind(item) == "additional_tools");
    let lists = [request].into_iter().chain(added).filter_map(|holder| holder.get("tools")?.as_array());
    let tools = lists.flatten().flat_map(|tool| match text(tool, "type") {
        "namespace" => {
            let members = tool.get("tools").and_then(Value::as_array).into_iter().flatten();
            members.filter_map(|member| own_tool(member, Some(text(tool, "name")))).collect()
        }
        _ => own_tool(tool, None).into_iter().collect::<Vec<_>>(),
    });
    tools.filter(|tool| is_allowed(&tool.name)).collect()
}

/// A tool that the caller runs. One of a namespace is called by its own name; the namespace stands beside it.
fn own_tool(tool: &Value, namespace: Option<&str>) -> Option<Tool> {
    let input = match text(tool, "type") {
        "function" => ToolInput::Schema(tool.get("parameters").cloned().unwrap_or_default()),
        "custom" => ToolInput::Freeform,
        _ => return None,
    };
    Some(Tool { name: text(tool, "name").to_owned(), namespace: namespace.map(str::to_owned), input })
}

fn choice(request: &Value) -> Choice {
    match request.get("tool_choice") {
        Some(Value::String(mode)) if mode == "none" => Choice::None,
        Some(Value::String(mode)) if mode == "required" => Choice::Required,
        Some(choice @ Value::Object(_)) => match text(choice, "type") {
            "function" | "custom" => Choice::Named(text(choice, "name").to_owned()),
            "allowed_tools" if text(choice, "mode") == "required" => Choice::Required,
            _ => Choice::Auto,
        },
        _ => Choice::Auto,
    }
}

fn output(request: &Value, ask: &Ask, composed: &Composed, ids: &mut Ids) -> Vec<Value> {
    let mut output = Vec::new();
    if let Some(reasoning) = &composed.reasoning {
        output.push(reasoning_item(request, reasoning, ids));
    }
    if !composed.text.is_empty() || composed.calls.is_empty() && composed.finish != Finish::Length {
        let part = if composed.finish == Finish::Refusal {
            json!({"type": "refusal", "refusal": composed.text})
        } else {
            json!({"type": "output_text", "annotations": [], "logprobs": [], "text": composed.text})
        };
        let status = if cut_short(&composed.finish).is_some() { "incomplete" } else { "completed" };
        let mut message = json!({"id": ids.hex("msg_", 48), "type": "message", "status": status, "content": [part], "role": "assistant"});
        // Codex models say what a message is for.
        if ask.model.contains("codex")
            && let Some(message) = message.as_object_mut()
        {
            message.insert("phase".to_owned(), "final_answer".into());
        }
        output.push(message);
    }
    for called in &composed.calls {
        let call_id = ids.alphanumeric("call_", 24);
        output.push(match &called.input {
            Input::Json(value) => json!({
                "id": ids.hex("fc_", 48), "type": "function_call", "status": "completed",
                "arguments": value.to_string(), "call_id": call_id, "name": called.name,
            }),
            Input::Text(text) => json!({
                "id": ids.hex("ctc_", 48), "type": "custom_tool_call", "status": "completed",
                "call_id": call_id, "input": text, "name": called.name,
            }),
        });
        if let (Some(namespace), Some(Value::Object(item))) = (&called.namespace, output.last_mut()) {
            item.insert("namespace".to_owned(), namespace.as_str().into());
        }
    }
    output
}

fn reasoning_item(request: &Value, reasoning: &str, ids: &mut Ids) -> Value {
    let wants_summary = ["/reasoning/summary", "/reasoning/generate_summary"]
        .iter()
        .any(|at| request.pointer(at).is_some_and(Value::is_string));
    let summary = if wants_summary { json!([{"type": "summary_text", "text": reasoning}]) } else { json!([]) };
    let mut item = json!({"id": ids.hex("rs_", 48), "type": "reasoning", "summary": summary});
    let encrypted = request
        .get("include")
        .and_then(Value::as_array)
        .is_some_and(|include| include.iter().any(|one| one == "reasoning.encrypted_content"));
    if encrypted && let Some(item) = item.as_object_mut() {
        item.insert(
            "encrypted_content".to_owned(),
            seal::seal(responses_rules::ENCRYPTED, reasoning.as_bytes()).into(),
        );
    }
    item
}

/// Why the response is incomplete, if it is.
fn cut_short(finish: &Finish) -> Option<&str> {
    match finish {
        Finish::Length => Some("max_output_tokens"),
        Finish::Safety | Finish::Blocked => Some("content_filter"),
        Finish::Forced(reason) => Some(reason),
        Finish::Stop | Finish::StopSequence(_) | Finish::Calls | Finish::Refusal => None,
    }
}

/// All of a response but its output.
pub(super) struct Response<'a> {
    request: &'a Value,
    ask: &'a Ask,
    composed: &'a Composed,
    id: String,
    created: u64,
}

impl Response<'_> {
    pub(super) fn final_status(&self) -> &'static str {
        if cut_short(&self.composed.finish).is_some() { "incomplete" } else { "completed" }
    }

    /// The response object as it is in this status.
    pub(super) fn object(&self, status: &str, output: &[Value]) -> Value {
        let given = |name: &str, default: Value| {
            self.request.get(name).filter(|value| !value.is_null()).cloned().unwrap_or(default)
        };
        let at = |path: &str, default: Value| {
            self.request.pointer(path).filter(|value| !value.is_null()).cloned().unwrap_or(default)
        };
        let ended = matches!(status, "completed" | "incomplete");
        let incomplete = (status == "incomplete").then(|| cut_short(&self.composed.finish)).flatten();
        let effort = if self.ask.reasons { json!("medium") } else { Value::Null };
        json!({
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "background": false,
            "completed_at": (status == "completed").then_some(self.created),
            "error": null,
            "incomplete_details": incomplete.map(|reason| json!({"reason": reason})),
            "instructions": given("instructions", Value::Null),
            "max_output_tokens": given("max_output_tokens", Value::Null),
            "max_tool_calls": given("max_tool_calls", Value::Null),
            "model": self.ask.model,
            "output": output,
            "parallel_tool_calls": given("parallel_tool_calls", json!(true)),
            "previous_response_id": null,
            "prompt_cache_key": given("prompt_cache_key", Value::Null),
            "reasoning": {"effort": at("/reasoning/effort", effort), "summary": at("/reasoning/summary", Value::Null)},
            "safety_identifier": given("safety_identifier", Value::Null),
            "service_tier": if ended { "default" } else { "auto" },
            "store": given("store", json!(true)),
            "temperature": given("temperature", json!(1.0)),
            "text": {"format": at("/text/format", json!({"type": "text"})), "verbosity": at("/text/verbosity", json!("medium"))},
            "tool_choice": given("tool_choice", json!("auto")),
            "tools": given("tools", json!([])),
            "top_logprobs": given("top_logprobs", json!(0)),
            "top_p": given("top_p", json!(1.0)),
            "truncation": given("truncation", json!("disabled")),
            "usage": if ended { self.usage() } else { Value::Null },
            "user": given("user", Value::Null),
            "metadata": given("metadata", json!({})),
        })
    }

    fn usage(&self) -> Value {
        let usage = self.composed.usage;
        json!({
            "input_tokens": usage.input,
            "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
            "output_tokens": usage.output + usage.reasoning,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": usage.input + usage.output + usage.reasoning,
        })
    }
}
