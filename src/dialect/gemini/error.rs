//! Google's errors: `{"error": {"code", "message", "status", "details"}}` (`google.rpc.Status`).

use serde_json::{Map, Value, json};

use crate::dialect::error::{ProviderError, Said, member};
use crate::ids::RequestId;

pub(in crate::dialect) fn object(said: &Said<'_>, status: u16, request_id: &RequestId) -> Map<String, Value> {
    let mut details = Vec::new();
    if let Some(code) = said.code {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": code.to_ascii_uppercase(),
            "domain": "llm-gateway",
            "metadata": { "requestId": request_id.as_str() },
        }));
    }
    if let Some(param) = said.param {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{ "field": param, "description": said.message }],
        }));
    }
    if let Some(after) = said.retry_after {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{}s", after.as_secs() + u64::from(after.subsec_nanos() > 0)),
        }));
    }
    let error = json!({
        "code": status,
        "message": said.message,
        "status": status_name(status),
        "details": details,
    });
    Map::from_iter([("error".to_owned(), error)])
}

/// The name that goes with a status (`google.rpc.Code`, whose comments give the HTTP mapping).
pub(in crate::dialect) fn status_name(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        405 | 501 => "UNIMPLEMENTED",
        409 => "ABORTED",
        408 | 504 => "DEADLINE_EXCEEDED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        500 => "INTERNAL",
        502 | 503 => "UNAVAILABLE",
        400..=499 => "INVALID_ARGUMENT",
        _ => "UNKNOWN",
    }
}

/// Reads a body. An error of a call that asked for an array stands in an array.
pub(in crate::dialect) fn parse(status: u16, value: &Value) -> Option<ProviderError> {
    let error = value.as_array().and_then(|elements| elements.first()).unwrap_or(value).get("error")?;
    let details = error.get("details").and_then(Value::as_array);
    let detail = |key: &str| details?.iter().find_map(|detail| detail.get(key));
    let said = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    Some(ProviderError {
        status: if status == 0 { said.unwrap_or(0) } else { status },
        message: member(error, "message")?,
        kind: member(error, "status"),
        code: detail("reason").and_then(Value::as_str).map(str::to_owned),
        param: detail("fieldViolations").and_then(|fields| member(fields.get(0)?, "field")),
    })
}

/// Google answers a bad key with 400, not with 401.
pub(in crate::dialect) fn is_about_the_key(error: &ProviderError) -> bool {
    error.code.as_deref().is_some_and(|reason| reason.starts_with("API_KEY_")) || error.message.starts_with("API key")
}
