//! The events that stream a response, in OpenAI's order.

use bytes::Bytes;
use serde_json::{Value, json};

use super::responses::Response;
use crate::sandbox::compose::pieces;
use crate::sandbox::seal::Ids;

/// All events of the stream, each as it goes over the wire.
pub(super) fn frames(response: &Response<'_>, output: &[Value], obfuscate: bool, ids: &mut Ids) -> Vec<Bytes> {
    let started = response.object("in_progress", &[]);
    let mut events = vec![
        json!({"type": "response.created", "response": started.clone()}),
        json!({"type": "response.in_progress", "response": started}),
    ];
    for (index, item) in output.iter().enumerate() {
        item_events(index, item, &mut events);
    }
    let status = response.final_status();
    events.push(json!({"type": format!("response.{status}"), "response": response.object(status, output)}));
    let numbered = events.into_iter().enumerate().map(|(number, mut event)| {
        let is_delta = event.get("delta").is_some();
        if let Some(event) = event.as_object_mut() {
            if obfuscate && is_delta {
                event.insert("obfuscation".to_owned(), ids.alphanumeric("", 8).into());
            }
            event.insert("sequence_number".to_owned(), number.into());
        }
        frame(&event)
    });
    numbered.collect()
}

fn item_events(index: usize, item: &Value, events: &mut Vec<Value>) {
    let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let id = text("id");
    let (begun, inner) = match text("type").as_str() {
        "message" => {
            (with(item, &[("status", json!("in_progress")), ("content", json!([]))]), content_events(&id, index, item))
        }
        "reasoning" => (with(item, &[("summary", json!([]))]), summary_events(&id, index, item)),
        "function_call" => {
            let arguments = text("arguments");
            let at = json!({"item_id": id, "output_index": index});
            let mut inner = deltas("response.function_call_arguments.delta", &at, &arguments);
            inner.push(event(
                "response.function_call_arguments.done",
                &at,
                &[("arguments", json!(arguments)), ("name", json!(text("name")))],
            ));
            (with(item, &[("status", json!("in_progress")), ("arguments", json!(""))]), inner)
        }
        _ => {
            let input = text("input");
            let at = json!({"item_id": id, "output_index": index});
            let mut inner = deltas("response.custom_tool_call_input.delta", &at, &input);
            inner.push(event("response.custom_tool_call_input.done", &at, &[("input", json!(input))]));
            (with(item, &[("status", json!("in_progress")), ("input", json!(""))]), inner)
        }
    };
    events.push(json!({"type": "response.output_item.added", "output_index": index, "item": begun}));
    events.extend(inner);
    events.push(json!({"type": "response.output_item.done", "output_index": index, "item": item}));
}

fn content_events(id: &str, index: usize, item: &Value) -> Vec<Value> {
    let mut events = Vec::new();
    for (number, part) in item.get("content").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let at = json!({"item_id": id, "output_index": index, "content_index": number});
        let is_text = part.get("type").is_some_and(|kind| kind == "output_text");
        let field = if is_text { "text" } else { "refusal" };
        let whole = part.get(field).and_then(Value::as_str).unwrap_or_default();
        events.push(event("response.content_part.added", &at, &[("part", with(part, &[(field, json!(""))]))]));
        if is_text {
            let mut said = deltas("response.output_text.delta", &at, whole);
            for delta in said.iter_mut().filter_map(Value::as_object_mut) {
                delta.insert("logprobs".to_owned(), json!([]));
            }
            events.extend(said);
            events.push(event("response.output_text.done", &at, &[("text", json!(whole)), ("logprobs", json!([]))]));
        } else {
            events.extend(deltas("response.refusal.delta", &at, whole));
            events.push(event("response.refusal.done", &at, &[("refusal", json!(whole))]));
        }
        events.push(event("response.content_part.done", &at, &[("part", part.clone())]));
    }
    events
}

fn summary_events(id: &str, index: usize, item: &Value) -> Vec<Value> {
    let mut events = Vec::new();
    for (number, part) in item.get("summary").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let at = json!({"item_id": id, "output_index": index, "summary_index": number});
        let whole = part.get("text").and_then(Value::as_str).unwrap_or_default();
        events.push(event(
            "response.reasoning_summary_part.added",
            &at,
            &[("part", with(part, &[("text", json!(""))]))],
        ));
        events.extend(deltas("response.reasoning_summary_text.delta", &at, whole));
        events.push(event("response.reasoning_summary_text.done", &at, &[("text", json!(whole))]));
        events.push(event("response.reasoning_summary_part.done", &at, &[("part", part.clone())]));
    }
    events
}

fn deltas(kind: &str, at: &Value, whole: &str) -> Vec<Value> {
    pieces(whole).into_iter().map(|piece| event(kind, at, &[("delta", json!(piece))])).collect()
}

fn event(kind: &str, at: &Value, fields: &[(&str, Value)]) -> Value {
    with(
        &with(
            &json!({"type": kind}),
            &at.as_object()
                .into_iter()
                .flatten()
                .map(|(name, value)| (name.as_str(), value.clone()))
                .collect::<Vec<_>>(),
        ),
        fields,
    )
}

fn with(value: &Value, fields: &[(&str, Value)]) -> Value {
    let mut value = value.clone();
    if let Some(object) = value.as_object_mut() {
        for (name, field) in fields {
            object.insert((*name).to_owned(), field.clone());
        }
    }
    value
}

fn frame(event: &Value) -> Bytes {
    let name = event.get("type").and_then(Value::as_str).unwrap_or_default();
    format!("event: {name}\ndata: {event}\n\n").into()
}

/// How a stream says that it failed: an error, then the response as failed.
pub(super) fn broken(response: &Response<'_>, number: usize) -> Bytes {
    let (code, message) = ("server_error", "The server had an error processing your request. Sorry about that!");
    let error = json!({"type": "error", "sequence_number": number, "error": {"type": code, "code": code, "message": message, "param": null}});
    let failed = with(&response.object("failed", &[]), &[("error", json!({"code": code, "message": message}))]);
    let failed = json!({"type": "response.failed", "sequence_number": number + 1, "response": failed});
    [frame(&error), frame(&failed)].concat().into()
}
