//! A provider's error body, read in its dialect and written in the caller's.
//!
//! All four dialects have the error in `error`; they differ in the words around it.

use std::time::Duration;

use bytes::Bytes;

use crate::dialect::error::Said;
use crate::dialect::{Dialect, error};
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

/// Writes an error as the body of an answer, and its status.
pub fn encode_error(
    caller: Dialect,
    error: &ApiError,
    retry_after: Option<Duration>,
    request_id: &RequestId,
) -> (u16, Bytes) {
    let said = Said {
        message: &error.message,
        type_name: type_name(error.kind),
        code: error.code.as_deref(),
        param: error.param.as_deref(),
        retry_after,
    };
    let status = error::status_in(caller, error.status);
    (status, error::body_of(caller, &said, status, request_id))
}

/// The contract's word. Messages has finer ones for two of them, which go by the status.
fn type_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Overloaded => ErrorKind::Api.type_name(),
        ErrorKind::RequestTooLarge => ErrorKind::InvalidRequest.type_name(),
        ErrorKind::InvalidRequest
        | ErrorKind::Authentication
        | ErrorKind::Billing
        | ErrorKind::Permission
        | ErrorKind::NotFound
        | ErrorKind::RateLimit
        | ErrorKind::Api
        | ErrorKind::Timeout => kind.type_name(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn through(provider: Dialect, caller: Dialect, status: u16, body: &Value) -> (u16, Value) {
        let error = decode_error(provider, status, body.to_string().as_bytes());
        let (status, body) = encode_error(caller, &error, None, &RequestId::new("req-1"));
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
