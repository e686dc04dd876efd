//! What holds when callers take nothing of what they are sent, or send more at one time than there is room for.

use std::time::{Duration, Instant};

use llm_gateway::exchange::memory::MemoryBound;
use llm_gateway::sandbox::Reply;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use serde_json::{Value, json};

use crate::support::endpoints::Endpoint;
use crate::support::gateway::TestGateway;
use crate::support::raw_client::RawClient;
use crate::support::wait;

const CHAT: &str = "/v1/chat/completions";

/// More than the system keeps for a connection on both of its ends, in bytes.
const FAR_TOO_MUCH: usize = 24 * 1024 * 1024;

fn chat() -> Value {
    json!({"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "hi"}]})
}

/// A caller that has sent this, with the gateway's key.
async fn calls(gateway: &TestGateway, body: &Value) -> RawClient {
    let mut caller = gateway.raw().await;
    caller.post(CHAT, &format!("authorization: Bearer {}\r\n", gateway.key()), &body.to_string()).await;
    caller
}

#[tokio::test]
async fn a_stream_whose_caller_takes_nothing_more_ends_as_if_it_had_hung_up() {
    let gateway = TestGateway::builder().setting("server.write_timeout", "300ms").start().await;
    let chunk = |content: &str| {
        let choice = json!({"index": 0, "delta": {"role": "assistant", "content": content}});
        format!("data: {}\n\n", json!({"id": "c", "created": 1, "model": "m", "choices": [choice]}))
    };
    let more = chunk(&"x".repeat(16_000));
    let reply = Reply::sse().chunk(chunk("one")).chunk(more.repeat(FAR_TOO_MUCH / more.len()));
    gateway.openai().script().push(reply.stall());
    let mut body = chat();
    body["stream"] = json!(true);

    let mut caller = calls(&gateway, &body).await;
    caller.hear("one").await;

    wait::within("the provider's connection to close", gateway.openai().left(0)).await;
    let left = r#"llm_gateway_requests_total{endpoint="chat_completions",product="llm_gateway",provider="openai",status="499"} 1"#;
    wait::until("the call to be settled", || async { gateway.metrics().await.contains(left).then_some(()) }).await;
    let metrics = gateway.metrics().await;
    assert!(metrics.contains(r#"llm_gateway_active_streams{product="llm_gateway"} 0"#), "{metrics}");
    // It pays for what it was sent.
    let paid = metrics.lines().find(|line| line.starts_with("llm_gateway_cost_usd_total")).unwrap();
    assert!(paid.contains("estimated_partial"), "{paid}");
}

#[tokio::test]
async fn a_whole_answer_that_its_caller_does_not_take_gives_its_memory_back() {
    let gateway = TestGateway::builder().setting("server.write_timeout", "300ms").start().await;
    let message = json!({"role": "assistant", "content": "x".repeat(FAR_TOO_MUCH)});
    let answer = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4.1-mini",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}});
    gateway.openai().script().push(Reply::json(200, &answer));

    let mut caller = calls(&gateway, &chat()).await;
    caller.hear("chat.completion").await;

    let memory = &gateway.state().gateway.memory;
    wait::until_equal("bytes held", 0, || memory.held()).await;
    let heard = caller.hear_all().await;
    assert!(heard.len() < FAR_TOO_MUCH, "it was written to its end: {}", heard.len());
}

#[tokio::test]
async fn a_slow_caller_that_goes_on_taking_gets_all_of_its_stream() {
    // Each piece is taken well within the patience, and all of them together take several times as long.
    const PATIENCE: Duration = Duration::from_secs(1);
    const PIECES: u32 = 60;
    let gateway = TestGateway::builder().setting("server.write_timeout", "1s").start().await;
    let choice =
        |content: &str, finish: Value| json!([{"index": 0, "delta": {"content": content}, "finish_reason": finish}]);
    let chunk =
        |choices: Value| format!("data: {}\n\n", json!({"id": "c", "created": 1, "model": "m", "choices": choices}));
    let more = chunk(choice(&"x".repeat(16_000), Value::Null));
    let end = format!("{}data: [DONE]\n\n", chunk(choice("", json!("stop"))));
    gateway.openai().script().push(Reply::sse().chunk(more.repeat(FAR_TOO_MUCH / more.len())).chunk(end));
    let mut body = chat();
    body["stream"] = json!(true);

    let mut caller = gateway.raw().await;
    let headers = format!("authorization: Bearer {}\r\nconnection: close\r\n", gateway.key());
    caller.post(CHAT, &headers, &body.to_string()).await;
    let mut pace = tokio::time::interval(PATIENCE / 20);
    let begun = Instant::now();
    for _ in 0..PIECES {
        pace.tick().await;
        caller.take(FAR_TOO_MUCH / (2 * PIECES as usize)).await;
    }
    assert!(begun.elapsed() > 2 * PATIENCE);
    let heard = caller.hear_all().await;
    assert!(heard.len() > FAR_TOO_MUCH / more.len() * more.len(), "it was cut after {} bytes", heard.len());
    assert!(heard.contains("data: [DONE]\n\n"), "it has no end");
}

/// A gateway in which two bodies of a megabyte are too many.
async fn narrow() -> TestGateway {
    TestGateway::builder()
        .setting("server.body_limit", "1000000")
        .setting("server.body_memory", "1500000")
        .start()
        .await
}

fn bodies(gateway: &TestGateway) -> &MemoryBound {
    &gateway.state().gateway.bodies
}

/// Spaces around JSON are nobody's business.
fn padded(body: &Value, length: usize) -> String {
    let body = body.to_string();
    format!("{}{body}", " ".repeat(length - body.len()))
}

#[tokio::test]
async fn bodies_that_are_too_much_together_are_asked_to_come_again_before_they_are_read() {
    let gateway = narrow().await;
    let mut slow = gateway.raw().await;
    let body = padded(&chat(), 1_000_000);
    let key = gateway.key();
    slow.send(format!(
        "POST {CHAT} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    ))
    .await;
    wait::until_equal("bytes held", 1_000_000, || bodies(&gateway).held()).await;
    assert!(gateway.metrics().await.contains("llm_gateway_request_bytes_held 1000000"));

    for endpoint in Endpoint::ALL {
        let request = |length: usize| {
            let request = gateway.request(Method::POST, endpoint.path()).header(CONTENT_TYPE, "application/json");
            request.body(padded(&endpoint.body(), length))
        };
        let refused = request(600_000).send().await.unwrap();
        assert_eq!(refused.headers()[RETRY_AFTER], "1", "{endpoint:?}");
        let refusal = endpoint.refusal(refused).await;
        let status = if endpoint == Endpoint::Messages { 529 } else { 503 };
        assert_eq!(refusal.what(), (status, "service_unavailable"), "{endpoint:?}");
        assert_eq!(request(400_000).send().await.unwrap().status(), 200, "{endpoint:?}: there is room for this one");
        wait::until_equal("bytes held", 1_000_000, || bodies(&gateway).held()).await;
    }
    // One that does not say how long it is has room for as much as it has sent.
    let pieces = (0..9).map(|_| Ok::<_, std::io::Error>(vec![b' '; 100_000]));
    let unsized_body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let request = gateway.request(Method::POST, CHAT).header(CONTENT_TYPE, "application/json").body(unsized_body);
    assert_eq!(request.send().await.unwrap().status(), 503);

    slow.send(&body).await;
    assert_eq!(slow.status().await, 200);
    wait::until_equal("bytes held", 0, || bodies(&gateway).held()).await;
    let request = gateway.request(Method::POST, CHAT).header(CONTENT_TYPE, "application/json").body(body);
    assert_eq!(request.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_body_whose_caller_leaves_or_that_is_refused_gives_its_room_back() {
    let gateway = narrow().await;
    let key = gateway.key();
    let head = |token: &str| {
        format!(
            "POST {CHAT} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
             content-length: 900000\r\n\r\n{{\"model\": "
        )
    };
    let mut caller = gateway.raw().await;
    caller.send(head(key)).await;
    wait::until_equal("bytes held", 900_000, || bodies(&gateway).held()).await;
    drop(caller);
    wait::until_equal("bytes held", 0, || bodies(&gateway).held()).await;

    // Nobody's body has no room at all.
    let mut stranger = gateway.raw().await;
    stranger.send(head("phx_nobody")).await;
    assert_eq!(stranger.status().await, 401);
    assert_eq!(bodies(&gateway).held(), 0);

    let nonsense = " ".repeat(900_000);
    let request = gateway.request(Method::POST, CHAT).header(CONTENT_TYPE, "application/json").body(nonsense);
    assert_eq!(request.send().await.unwrap().status(), 400);
    wait::until_equal("bytes held", 0, || bodies(&gateway).held()).await;
}
