//! OpenAI's errors on Responses: as on chat completions in a body, two events of their own in a stream.

use serde_json::{Map, Value, json};

use crate::dialect::error::{ProviderError, Said, member};
use crate::dialect::position::Position;
use crate::fault::Fault;
use crate::ids::RequestId;

pub(in crate::dialect) fn object(said: &Said<'_>) -> Map<String, Value> {
    Map::from_iter([("error".to_owned(), error(said))])
}

fn error(said: &Said<'_>) -> Value {
    json!({
        "message": said.message,
        "type": said.type_name,
        "param": said.param,
        "code": said.code,
    })
}

/// The `error` event. The reference has the members flat, the service sends them nested, and the SDKs raise the nested ones.
pub(in crate::dialect) fn event_members(fault: &Fault, position: &Position) -> Map<String, Value> {
    let members = json!({
        "type": "error",
        "sequence_number": next(position),
        "code": fault.kind.code(),
        "message": fault.message,
        "param": fault.param,
        "error": error(&Said::of(fault)),
    });
    match members {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// The `response.failed` event, which is the last that the service sends.
pub(in crate::dialect) fn failed(fault: &Fault, request_id: &RequestId, position: &Position) -> Vec<u8> {
    let head = position.response.as_ref();
    let mut response = json!({
        "id": head.map_or_else(|| format!("resp_{request_id}"), |head| head.id.clone()),
        "object": "response",
    });
    if let Some(created_at) = head.and_then(|head| head.created_at) {
        response["created_at"] = created_at.into();
    }
    response["status"] = "failed".into();
    response["error"] = json!({ "code": fault.kind.code(), "message": fault.message });
    response["incomplete_details"] = Value::Null;
    if let Some(model) = head.and_then(|head| head.model.as_deref()) {
        response["model"] = model.into();
    }
    response["output"] = json!([]);
    response["usage"] = Value::Null;
    let data = json!({ "type": "response.failed", "sequence_number": next(position) + 1, "response": response });
    format!("event: response.failed\ndata: {data}\n\n").into_bytes()
}

fn next(position: &Position) -> u64 {
    position.sequence_number.map_or(0, |number| number + 1)
}

/// Reads a body, an `error` event in either form, or a response that failed.
pub(in crate::dialect) fn parse(status: u16, value: &Value) -> Option<ProviderError> {
    let error = match value.get("error") {
        Some(error @ Value::Object(_)) => error,
        _ if value.get("type").and_then(Value::as_str) == Some("error") => value,
        _ => return None,
    };
    Some(ProviderError {
        status,
        message: member(error, "message")?,
        kind: member(error, "type").filter(|kind| kind != "error"),
        code: member(error, "code"),
        param: member(error, "param"),
    })
}
