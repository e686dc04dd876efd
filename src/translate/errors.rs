//! A provider's error body, read in its dialect and written in the caller's.
//!
//! All four dialects have the error in `error`; they differ in the words around it.

use serde_json::{Value, json};

use crate::dialect::{Dialect, Object, error};
use crate::ids::RequestId;
use crate::ir::{ApiError, ErrorKind};

/// Reads the body of an answer with an error status. Whatever it is, there is an error at the end: its status stands.
pub fn decode_error(provider: Dialect, status: u16, body: &[u8]) -> ApiError {
    let kind = ErrorKind::from_status(status);
    let mut read = match error::parse(provider, status, body) {
        Some(said) => {
            let mut read = ApiError::new(kind, said.message);
            (read.type_word, read.code, read.param) = (said.kind, said.code, said.param);
            read
        }
        None => ApiError::new(kind, format!("the provider answered with status {status}")),
    };
    read.status = status;
    read
}

/// Writes an error as the body of an answer, and its status: Anthropic's clients know 529 where others know 503.
pub fn encode_error(caller: Dialect, error: &ApiError, request_id: &RequestId) -> (u16, Vec<u8>) {
    let is_overloaded = matches!(error.status, 503 | 529);
    let body: Value = match caller {
        Dialect::OpenAiChat | Dialect::OpenAiResponses => json!({"error": inner(error, error.kind.type_name())}),
        Dialect::Anthropic => {
            let kind = if is_overloaded { ErrorKind::Overloaded } else { error.kind };
            json!({
                "type": "error",
                "error": inner(error, kind.type_name()),
                "request_id": request_id.to_string(),
            })
        }
        Dialect::Gemini => json!({"error": {
            "code": error.status,
            "message": error.message,
            "status": google_status(error.kind),
        }}),
    };
    let status = match (caller, is_overloaded) {
        (Dialect::Anthropic, true) => 529,
        (Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Gemini, true) => 503,
        (_, false) => error.status,
    };
    (status, body.to_string().into_bytes())
}

fn inner(error: &ApiError, type_name: &str) -> Value {
    Object::typed(type_name)
        .with("message", error.message.as_str())
        .with("param", error.param.clone())
        .with("code", error.code.clone())
        .into()
}

/// Google's words for kinds of errors (`google.rpc.Code`).
fn google_status(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::RequestTooLarge => "INVALID_ARGUMENT",
        ErrorKind::Authentication => "UNAUTHENTICATED",
        ErrorKind::Billing | ErrorKind::Permission => "PERMISSION_DENIED",
        ErrorKind::NotFound => "NOT_FOUND",
        ErrorKind::RateLimit => "RESOURCE_EXHAUSTED",
        ErrorKind::Api => "INTERNAL",
        ErrorKind::Overloaded => "UNAVAILABLE",
        ErrorKind::Timeout => "DEADLINE_EXCEEDED",
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn through(provider: Dialect, caller: Dialect, status: u16, body: &Value) -> (u16, Value) {
        let error = decode_error(provider, status, body.to_string().as_bytes());
        let (status, body) = encode_error(caller, &error, &RequestId::new("req-1"));
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[test]
    fn a_providers_error_is_said_in_the_callers_words_with_its_status() {
        let openai = json!({"error": {"message": "too long", "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}});
        let (status, body) = through(Dialect::OpenAiChat, Dialect::Anthropic, 400, &openai);
        assert_eq!(status, 400);
        assert_eq!(body["type"], "error");
        assert_eq!(body["error"]["type"], "invalid_request_error");
        assert_eq!(body["error"]["code"], "context_length_exceeded");
        assert_eq!(body["request_id"], "req-1");

        let google = json!([{"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}}]);
        let (status, body) = through(Dialect::Gemini, Dialect::OpenAiChat, 429, &google);
        assert_eq!((status, &body["error"]["type"]), (429, &json!("rate_limit_error")));
        assert_eq!(body["error"]["message"], "quota");
    }

    #[test]
    fn overload_is_529_for_anthropics_clients_and_503_for_others() {
        let anthropic = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
        assert_eq!(through(Dialect::Anthropic, Dialect::Gemini, 529, &anthropic).0, 503);
        let unavailable = json!({"error": {"message": "down"}});
        let (status, body) = through(Dialect::OpenAiChat, Dialect::Anthropic, 503, &unavailable);
        assert_eq!((status, &body["error"]["type"]), (529, &json!("overloaded_error")));
    }

    #[test]
    fn a_page_of_html_is_an_error_with_its_status_all_the_same() {
        let error = decode_error(Dialect::OpenAiChat, 502, b"<html>");
        assert_eq!((error.status, error.kind), (502, ErrorKind::Api));
        assert!(error.message.contains("502"));
    }
}
