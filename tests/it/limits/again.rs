//! When a caller that was refused is told to come back.

use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use llm_gateway::clock::Clock;
use llm_gateway::sandbox::Reply;
use serde_json::{Value, json};

use super::{chat, chat_answer, header};
use crate::support::gateway::TestGateway;

const LIMIT: f64 = 0.01;

/// Half an hour into a window of an hour.
fn half_past() -> Clock {
    Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(490_000 * 3_600 + 1_800))
}

/// One whose user has spent 0.0028 dollars so many times.
async fn spent(clock: &Clock, times: usize) -> TestGateway {
    let limits = format!(r#"limits = [{{ per = "user", usd = {LIMIT}, window = "1h" }}]"#);
    let gateway =
        TestGateway::builder().clock(clock).product("tight", &limits).setting("limits.wait", "50ms").start().await;
    gateway.openai().script().always(chat_answer());
    for _ in 0..times {
        let answer = gateway.post("/tight/v1/chat/completions", &chat("ann")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    gateway
}

/// A call whose output may cost so many dollars, in each dialect and both deliveries.
fn calls(dollars: f64) -> Vec<(String, Value)> {
    // By what a million tokens of output cost.
    let tokens = |price: f64| (dollars * 1e6 / price) as u64;
    let messages = json!([{"role": "user", "content": "hi"}]);
    let mut calls = Vec::new();
    for stream in [false, true] {
        calls.extend([
            (
                "/tight/v1/chat/completions".to_owned(),
                json!({"model": "gpt-4.1", "user": "ann", "max_tokens": tokens(8.0), "messages": messages, "stream": stream}),
            ),
            (
                "/tight/v1/responses".to_owned(),
                json!({"model": "gpt-4.1", "user": "ann", "max_output_tokens": tokens(8.0), "input": "hi", "stream": stream}),
            ),
            (
                "/tight/v1/messages".to_owned(),
                json!({"model": "claude-sonnet-4-5", "metadata": {"user_id": "ann"}, "max_tokens": tokens(15.0),
                       "messages": messages, "stream": stream}),
            ),
            (
                format!(
                    "/tight/v1beta/models/gemini-2.5-pro:{}",
                    if stream { "streamGenerateContent?alt=sse" } else { "generateContent" }
                ),
                json!({"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"maxOutputTokens": tokens(10.0)}}),
            ),
        ]);
    }
    calls
}

async fn call(gateway: &TestGateway, path: &str, body: &Value) -> reqwest::Response {
    gateway.post(path, body).header("x-posthog-distinct-id", "ann").send().await.unwrap()
}

#[tokio::test]
async fn a_429_says_in_every_dialect_when_a_call_of_its_size_is_admitted_again() {
    let clock = half_past();
    let gateway = spent(&clock, 4).await;
    // From the window's edge on, what was spent fades by the hour.
    let fits_in = |estimate: f64| 1_800.0 + 3_600.0 * (1.0 - (LIMIT - estimate) / (4.0 * 0.0028));
    for output in [0.0005, 0.004] {
        // The input is some dozens of tokens, at three dollars a million at most.
        let (soonest, latest) = (fits_in(output), fits_in(output + 0.0003) + 1.0);
        for (path, body) in calls(output) {
            let answer = call(&gateway, &path, &body).await;
            assert_eq!(answer.status(), 429, "{path}");
            let after: f64 = header(&answer, "retry-after").parse().unwrap();
            assert!(after >= soonest && after <= latest, "{path}: {after} and not from {soonest} to {latest}");
            assert_eq!(header(&answer, "x-ratelimit-reset"), header(&answer, "retry-after"), "{path}");
            assert_eq!(header(&answer, "x-ratelimit-limit-usd"), "0.01", "{path}");
            assert_eq!(header(&answer, "x-ratelimit-remaining-usd"), "0.00", "{path}");
            assert_eq!(header(&answer, "content-type"), "application/json", "{path}");
            let body: Value = answer.json().await.unwrap();
            let message = body["error"]["message"].as_str().unwrap();
            assert!(message.contains(&format!("admitted again in {after} s")), "{path}: {message}");
        }
    }
    let (path, body) = &calls(0.004)[0];
    let after: u64 = header(&call(&gateway, path, body).await, "retry-after").parse().unwrap();
    clock.advance(Duration::from_secs(after));
    assert_eq!(call(&gateway, path, body).await.status(), 200);
}

#[tokio::test]
async fn a_429_for_want_of_room_says_in_every_dialect_to_come_back_in_a_second() {
    let gateway = spent(&half_past(), 3).await;
    gateway.openai().script().push(Reply::sse().event(r#"{"id":"c","choices":[]}"#).stall());
    let mut body = chat("ann");
    body["stream"] = json!(true);
    let under_way = gateway.post("/tight/v1/chat/completions", &body).send().await.unwrap();
    assert_eq!(under_way.status(), 200);
    let left = header(&under_way, "x-ratelimit-remaining-usd").to_owned();
    assert!(left.starts_with("0.001"), "{left}");
    let mut under_way = under_way.bytes_stream();
    under_way.next().await.unwrap().unwrap();
    for (path, body) in calls(0.004) {
        let answer = call(&gateway, &path, &body).await;
        assert_eq!(answer.status(), 429, "{path}");
        assert_eq!(header(&answer, "retry-after"), "1", "{path}");
        assert_eq!(header(&answer, "x-ratelimit-reset"), "1", "{path}");
        assert_eq!(header(&answer, "x-ratelimit-limit-usd"), "0.01", "{path}");
        assert_eq!(header(&answer, "x-ratelimit-remaining-usd"), left, "{path}");
        assert_eq!(header(&answer, "content-type"), "application/json", "{path}");
    }
    drop(under_way);
}
