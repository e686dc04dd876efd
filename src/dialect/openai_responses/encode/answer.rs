//! A whole answer as a response.

use serde_json::{Map, Value, json};

use super::{Items, tools};
use crate::dialect::openai_responses::decode::is_own;
use crate::dialect::openai_responses::namespace::Namespaces;
use crate::dialect::openai_responses::{DIALECT, wire};
use crate::dialect::{Asked, Encoded, Object};
use crate::ir::{Carry, Losses, Request, Response};

/// Writes an answer.
pub(in crate::dialect::openai_responses) fn response(response: &Response, asked: &Asked) -> Encoded {
    let mut losses = Losses::new();
    let groups = Namespaces::of(&asked.request);
    let id = response.id.as_deref().unwrap_or(&asked.fallback_id);
    let mut items = Items::new(id, &groups, &mut losses);
    let first = response.choices.iter().find(|choice| choice.index == 0).or(response.choices.first());
    first.into_iter().flat_map(|choice| &choice.parts).for_each(|part| items.add(part));
    let output = items.finish();
    if response.choices.len() > 1 {
        losses.ignored("n", DIALECT);
    }
    let model = response.model.as_deref();
    let usage = response.usage.as_ref().map(wire::usage_to);
    if is_own(&response.carry) {
        let mut body = Object::new()
            .with_some("id", response.id.clone())
            .with("object", "response")
            .with_some("created_at", response.created)
            .with_some("model", model)
            .with("output", output)
            .with_some("usage", usage)
            .with_some("service_tier", response.service_tier.clone());
        body.put_carried(&response.carry, DIALECT);
        return Encoded { body: body.into(), losses };
    }
    let mut body = Object::new();
    let head =
        head(asked, response.id.as_deref(), model, response.created, response.service_tier.as_deref(), &Carry::NONE);
    body.put_defaults(&head);
    let finish = first.and_then(|choice| choice.finish.as_ref());
    if finish.is_some_and(|finish| finish.stop_sequence.is_some()) {
        losses.ignored("stop_sequence", DIALECT);
    }
    let ending = finish.map(wire::finish_to);
    let mut status = ending.as_ref().map_or("completed", |ending| ending.status);
    let mut error = Value::Null;
    if let Some(said) = &response.error {
        status = "failed";
        error = json!({"code": wire::error_code(said), "message": said.message});
    }
    let incomplete = ending.as_ref().and_then(|ending| ending.incomplete);
    body.put("status", status);
    body.put("error", error);
    body.put("incomplete_details", incomplete.map_or(Value::Null, |reason| json!({"reason": reason})));
    body.put_some("native_finish_reason", ending.and_then(|ending| ending.native));
    body.put("output", output);
    body.put("usage", usage.unwrap_or(Value::Null));
    Encoded { body: body.into(), losses }
}

/// All of a response that is known when it begins: its id, and what the request asked for. Without its status, output and
/// usage, and what goes with those.
pub(in crate::dialect::openai_responses) fn head(
    asked: &Asked,
    id: Option<&str>,
    model: Option<&str>,
    created: Option<u64>,
    service_tier: Option<&str>,
    carry: &Carry,
) -> Map<String, Value> {
    let own = is_own(carry);
    let id = id.unwrap_or(&asked.fallback_id);
    let id = if own || id.starts_with("resp") { id.to_owned() } else { format!("resp_{id}") };
    let mut head = Object::new()
        .with("id", id)
        .with("object", "response")
        .with("created_at", created.unwrap_or(asked.now_s))
        .with("model", model.unwrap_or(&asked.request.model));
    head.put_carried(carry, DIALECT);
    let request = asked.request.as_ref();
    if own {
        head.put_some("service_tier", service_tier);
    } else {
        head.put("service_tier", service_tier.or(request.service_tier.as_deref()).unwrap_or("auto"));
        put_asked(&mut head, request);
    }
    head.into()
}

/// Repeats what was asked for, defaults included: OpenAI's SDKs count on most of it.
fn put_asked(head: &mut Object, request: &Request) {
    let reasoning = request.reasoning.as_ref();
    let effort = reasoning.and_then(|ask| ask.effort.as_ref()).map(crate::ir::Effort::as_str);
    let summary = reasoning.and_then(|ask| ask.visibility.as_ref()).and_then(wire::visibility_to);
    let format = request.output.as_ref().and_then(|output| wire::output_to(output, None));
    let mut name = |reference: &crate::ir::ToolRef| (reference.kind, reference.name.clone());
    let choice = request.tool_choice.as_ref().and_then(|choice| wire::tool_choice_to(choice, &mut name));
    let rest = |key: &str| request.carry.field(DIALECT, key).or(request.carry.noted_as(DIALECT, key)).cloned();
    let sampling = &request.sampling;
    let one = || serde_json::Number::from(1);
    let fields = [
        ("background", json!(false)),
        ("instructions", Value::Null),
        ("max_output_tokens", json!(request.max_output)),
        ("max_tool_calls", rest("max_tool_calls").unwrap_or_default()),
        ("parallel_tool_calls", json!(request.parallel_tool_calls.unwrap_or(true))),
        ("previous_response_id", Value::Null),
        ("prompt_cache_key", json!(request.prompt_cache_key)),
        ("reasoning", json!({"effort": effort, "summary": summary})),
        ("safety_identifier", json!(request.safety_identifier)),
        // Nothing is kept here.
        ("store", json!(false)),
        ("temperature", Value::Number(sampling.temperature.clone().unwrap_or_else(one))),
        (
            "text",
            json!({
                "format": format.unwrap_or_else(|| json!({"type": "text"})),
                "verbosity": request.verbosity.as_deref().unwrap_or("medium"),
            }),
        ),
        ("tool_choice", choice.unwrap_or_else(|| json!("auto"))),
        ("tools", Value::Array(tools::own(request))),
        ("top_logprobs", json!(request.logprobs.and_then(|ask| ask.top).unwrap_or(0))),
        ("top_p", Value::Number(sampling.top_p.clone().unwrap_or_else(one))),
        ("truncation", rest("truncation").unwrap_or_else(|| json!("disabled"))),
        ("user", json!(request.user)),
        ("metadata", json!(request.metadata.clone().unwrap_or_default())),
    ];
    for (key, value) in fields {
        head.put_default(key, value);
    }
}
