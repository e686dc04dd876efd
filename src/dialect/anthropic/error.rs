//! Anthropic's errors: `{"type": "error", "error": {"type", "message"}, "request_id"}`.

use serde_json::{Map, Value, json};

use crate::dialect::error::{ProviderError, Said, member};
use crate::ids::RequestId;

pub(in crate::dialect) fn object(said: &Said<'_>, status: u16, request_id: &RequestId) -> Map<String, Value> {
    // Anthropic's own names where they are finer than the contract's, by which its clients decide whether to retry.
    let kind = match status {
        413 => "request_too_large",
        529 => "overloaded_error",
        _ => said.type_name,
    };
    // `code` and `param` are ours: one body serves Anthropic's and OpenAI's readers.
    let mut error = json!({ "type": kind, "message": said.message });
    if let Some(code) = said.code {
        error["code"] = code.into();
    }
    if let Some(param) = said.param {
        error["param"] = param.into();
    }
    Map::from_iter([
        ("type".to_owned(), "error".into()),
        ("error".to_owned(), error),
        ("request_id".to_owned(), request_id.as_str().into()),
    ])
}

pub(in crate::dialect) fn parse(status: u16, value: &Value) -> Option<ProviderError> {
    if value.get("type").and_then(Value::as_str) != Some("error") {
        return None;
    }
    let error = value.get("error")?;
    let kind = member(error, "type")?;
    Some(ProviderError { status, message: member(error, "message")?, kind: Some(kind), code: None, param: None })
}

/// An account without credit is a 400 with a sentence of its own.
pub(in crate::dialect) fn is_about_the_account(error: &ProviderError) -> bool {
    error.kind.as_deref() == Some("billing_error") || error.message.starts_with("Your credit balance is too low")
}
