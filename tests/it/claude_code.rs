//! What Claude Code expects of a gateway: <https://code.claude.com/docs/en/llm-gateway-protocol>.

use std::time::{Duration, Instant};

use llm_gateway::sandbox::{Recorded, Reply};
use serde_json::{Value, json};

use crate::support::gateway::TestGateway;

/// What one version of it sends along, as it was seen to spell it, and what a later one may.
const BETA: &str = "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27";
/// The block that Anthropic takes away if it stands alone and first.
const BILLING: &str = "x-anthropic-billing-header: cc_version=2.1.331.fb2; cc_entrypoint=sdk-cli;";

fn body(model: &str) -> Value {
    json!({
        "model": model,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "system": [
            {"type": "text", "text": BILLING},
            {"type": "text", "text": "You are an agent.", "cache_control": {"type": "ephemeral"}},
        ],
        "tools": [{"name": "Read", "description": "Reads", "input_schema": {"type": "object", "properties": {}}}],
        "metadata": {"user_id": r#"{"device_id":"d","account_uuid":"","session_id":"s"}"#},
        "max_tokens": 32000,
        "thinking": {"type": "adaptive", "display": "omitted"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high"},
        "stream": true,
    })
}

async fn say(gateway: &TestGateway, body: &Value) -> reqwest::Response {
    let request = gateway.post("/v1/messages?beta=true", body);
    let request = request.header("anthropic-version", "2023-06-01").header("anthropic-beta", BETA);
    let request = request.header("anthropic-later-thing", "a, b").header("x-claude-code-session-id", "s");
    request.send().await.unwrap()
}

fn last(gateway: &TestGateway) -> Recorded {
    gateway.anthropic().requests().pop().unwrap()
}

#[tokio::test]
async fn it_finds_the_models_with_either_credential_at_once_and_without_a_redirect() {
    let gateway = TestGateway::start().await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let bearer = format!("Bearer {}", gateway.key());
    for (credential, value) in [("authorization", bearer.as_str()), ("x-api-key", gateway.key())] {
        let asked = Instant::now();
        let request = client.get(gateway.url("/v1/models?limit=1000")).header(credential, value);
        let answer = request.header("anthropic-version", "2023-06-01").send().await.unwrap();
        assert_eq!(answer.status(), 200, "{credential}");
        let list: Value = answer.json().await.unwrap();
        assert!(asked.elapsed() < Duration::from_secs(3), "it waits no longer");
        let models = list["data"].as_array().unwrap();
        assert!(models.iter().all(|model| model["id"].is_string() && model["display_name"].is_string()));
        assert!(models.iter().any(|model| model["id"] == "claude-sonnet-4-6"));
        assert_eq!(list["has_more"], false, "it asks once");
    }
}

#[tokio::test]
async fn its_probes_are_answered_without_a_redirect_or_a_credential() {
    let gateway = TestGateway::start().await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    for (path, status) in [("/", 200), ("/api/hello", 404)] {
        let answer = client.head(gateway.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
    }
}

#[tokio::test]
async fn anthropic_gets_its_headers_its_query_and_its_body_to_the_byte() {
    let gateway = TestGateway::start().await;
    let body = body("claude-sonnet-4-6");
    let answer = say(&gateway, &body).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    let seen = last(&gateway);
    assert_eq!(seen.target, "/v1/messages?beta=true");
    assert_eq!(seen.header("anthropic-beta"), Some(BETA));
    assert_eq!(seen.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(seen.header("anthropic-later-thing"), Some("a, b"), "its headers are an open list");
    assert_eq!(seen.header("x-claude-code-session-id"), None, "for the gateway to use");
    assert_eq!(seen.body, body.to_string());
}

#[tokio::test]
async fn whose_account_it_is_cannot_be_said_by_a_header() {
    let gateway = TestGateway::start().await;
    for name in ["anthropic-organization-id", "anthropic-workspace-id"] {
        gateway.post("/v1/messages", &body("claude-sonnet-4-6")).header(name, "theirs").send().await.unwrap();
        assert_eq!(last(&gateway).header(name), None);
    }
}

#[tokio::test]
async fn other_vendors_models_get_none_of_its_headers() {
    let gateway = TestGateway::start().await;
    for (model, provider) in [("gpt-5-mini", gateway.openai()), ("gemini-3-pro-preview", gateway.gemini())] {
        let answer = say(&gateway, &body(model)).await;
        assert_eq!(answer.status(), 200, "{model}");
        let seen = provider.requests().pop().unwrap();
        assert!(seen.headers.iter().all(|(name, _)| !name.starts_with("anthropic-") && !name.starts_with("x-claude")));
    }
}

// It tells by the wording what to leave out the next time, and by the status and the header whether there is one.
#[tokio::test]
async fn anthropics_errors_come_back_unmodified() {
    let gateway = TestGateway::start().await;
    let wordings = [
        (400, "invalid_request_error", "thinking.type: adaptive thinking is not supported on this model"),
        (400, "invalid_request_error", "messages.1.content.0: Invalid `signature` in `thinking` block"),
        (400, "invalid_request_error", "context_management: Extra inputs are not permitted"),
        (413, "request_too_large", "Request exceeds the maximum allowed number of bytes."),
        (529, "overloaded_error", "Overloaded"),
    ];
    for (status, kind, message) in wordings {
        let error = format!(
            r#"{{ "type":"error","error":{{"type":"{kind}","message":"{message}", "details":null}},"request_id":"req_1"}}"#
        );
        let reply = Reply::status(status).header("content-type", "application/json").header("x-should-retry", "true");
        gateway.anthropic().script().push(reply.header("retry-after", "7").body(error.clone()));
        let answer = say(&gateway, &body("claude-sonnet-4-6")).await;
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["x-should-retry"], "true");
        assert_eq!(answer.headers()["retry-after"], "7");
        assert_eq!(answer.text().await.unwrap(), error);
    }
}

#[tokio::test]
async fn tokens_are_counted_for_a_model_of_any_family() {
    let gateway = TestGateway::start().await;
    for model in ["claude-sonnet-4-6", "gpt-5-mini", "gemini-3-pro-preview"] {
        let mut asked = body(model);
        for name in ["max_tokens", "stream", "metadata", "context_management", "output_config"] {
            asked.as_object_mut().unwrap().remove(name);
        }
        let request = gateway.post("/v1/messages/count_tokens?beta=true", &asked);
        let answer = request.header("anthropic-version", "2023-06-01").header("anthropic-beta", BETA);
        let answer = answer.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{model}");
        let count: Value = answer.json().await.unwrap();
        assert!(count["input_tokens"].as_u64().unwrap() > 10, "{model}: {count}");
    }
}
