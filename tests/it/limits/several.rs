//! Several limits at once, teams that may spend more, and what becomes of a reservation on every path.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use llm_gateway::sandbox::Reply;
use serde_json::{Value, json};

use super::{chat, chat_answer, header};
use crate::support::gateway::TestGateway;
use crate::support::wait;

async fn windows(gateway: &TestGateway) -> Vec<Value> {
    let usage: Value = gateway.get("/v1/usage/tight?user=ann").send().await.unwrap().json().await.unwrap();
    usage["windows"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_burst_is_refused_for_its_own_window_and_what_is_sustained_counts_on() {
    let gateway = TestGateway::builder()
        .product(
            "tight",
            r#"limits = [{ per = "user", usd = 0.00028, window = "2s" }, { per = "user", usd = 0.006, window = "1h" }]"#,
        )
        .start()
        .await;
    gateway.openai().script().always(chat_answer());
    let begun = Instant::now();
    let first = gateway.post("/tight/v1/chat/completions", &chat("ann")).send().await.unwrap();
    assert_eq!((first.status().as_u16(), header(&first, "x-ratelimit-limit-usd")), (200, "0.00028"));
    let burst = gateway.post("/tight/v1/chat/completions", &chat("ann")).send().await.unwrap();
    assert_eq!(burst.status(), 429);
    let after: u64 = header(&burst, "retry-after").parse().unwrap();
    assert!((1..=4).contains(&after), "{after}");
    assert_eq!(header(&burst, "x-ratelimit-reset"), after.to_string());
    let body: Value = burst.json().await.unwrap();
    assert!(body["error"]["message"].as_str().unwrap().contains("$0.00028 per user in 2s"), "{body}");

    // The burst is over as soon as it was said, and with two more such calls the hour's limit is spent.
    let mut statuses = Vec::new();
    while statuses.len() < 2 {
        let answer = wait::until("the burst to be over", || async {
            let answer = gateway.post("/tight/v1/chat/completions", &chat("ann")).send().await.unwrap();
            let said: Value = if answer.status() == 429 { answer.json().await.unwrap() } else { json!({}) };
            let is_burst = said["error"]["message"].as_str().is_some_and(|message| message.contains("in 2s"));
            (!is_burst).then_some(said)
        })
        .await;
        assert_eq!(answer, json!({}), "after {:?}", begun.elapsed());
        statuses.push(answer);
    }
    let last = wait::until("the hour's limit to refuse", || async {
        let answer = gateway.post("/tight/v1/chat/completions", &chat("ann")).send().await.unwrap();
        let said: Value = answer.json().await.unwrap();
        said["error"]["message"].as_str().filter(|message| message.contains("in 1h")).map(str::to_owned)
    })
    .await;
    assert!(last.contains("$0.006 per user in 1h is spent"), "{last}");
}

#[tokio::test]
async fn a_team_with_a_multiplier_may_spend_more_and_its_product_may_not() {
    let gateway = TestGateway::builder()
        .product(
            "tight",
            r#"limits = [{ per = "user", usd = 0.001, window = "1h" }, { per = "team", usd = 0.002, window = "1h" },
                         { per = "product", usd = 5, window = "1h" }]"#,
        )
        .setting("limits.team_multipliers", "{ 1 = 10.0, 2 = 0.5 }")
        .start()
        .await;
    gateway.openai().script().always(chat_answer());
    // 0.01, of which three calls take 0.0084, and a fourth passes it.
    for status in [200, 200, 200, 200, 429] {
        let answer = gateway.post("/tight/v1/chat/completions", &chat("ann")).send().await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(header(&answer, "x-ratelimit-limit-usd"), "0.01");
    }
    let limits: Vec<(Value, Value)> =
        windows(&gateway).await.iter().map(|window| (window["per"].clone(), window["limit_usd"].clone())).collect();
    for expected in [("user", 0.01), ("team", 0.02), ("product", 5.0)] {
        assert!(limits.contains(&(json!(expected.0), json!(expected.1))), "{expected:?} is not in {limits:?}");
    }
}

#[tokio::test]
async fn whatever_becomes_of_a_call_nothing_of_it_stays_reserved() {
    let gateway = TestGateway::builder()
        .product("tight", r#"limits = [{ per = "user", usd = 1, window = "24h" }]"#)
        .setting("timeouts.first_byte", "300ms")
        .setting("timeouts.idle", "300ms")
        .setting("breaker.minimum_calls", "1000")
        .start()
        .await;
    let error = json!({"error": {"message": "no", "type": "server_error"}});
    let event = json!({"id": "c", "choices": [{"index": 0, "delta": {"content": "a word"}}]}).to_string();
    // Each is said again to whoever asks again.
    let whole = [
        ("an answer", chat_answer()),
        ("an error", Reply::json(400, &error)),
        ("a server's error", Reply::json(500, &error)),
        ("no answer", Reply::silence()),
        ("a closed connection", Reply::hang_up()),
        ("half an answer", Reply::status(200).content_length(1000).body("{\"id\": ").cut()),
        ("no JSON", Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc")),
    ];
    let mut body = chat("ann");
    body["max_tokens"] = json!(10_000);
    for (what, reply) in whole {
        gateway.openai().script().always(reply);
        let answer = gateway.post("/tight/v1/chat/completions", &body).send().await.unwrap();
        answer.bytes().await.unwrap();
        nothing_reserved(&gateway, what).await;
    }
    body["stream"] = json!(true);
    for (what, reply) in [
        ("a stream that is cut", Reply::sse().event(&event).cut()),
        ("a stream that falls silent", Reply::sse().event(&event).stall()),
        ("a stream without an end", Reply::sse().event(&event)),
    ] {
        gateway.openai().script().always(reply);
        let answer = gateway.post("/tight/v1/chat/completions", &body).send().await.unwrap();
        // However it ends.
        let _ = answer.bytes().await;
        nothing_reserved(&gateway, what).await;
    }
    gateway.openai().script().always(Reply::sse().event(&event).stall());
    let mut stream = gateway.post("/tight/v1/chat/completions", &body).send().await.unwrap().bytes_stream();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    nothing_reserved(&gateway, "a caller that left its stream").await;
    gateway.openai().script().always(Reply::silence());
    let call = gateway.post("/tight/v1/chat/completions", &chat("ann")).timeout(Duration::from_millis(50)).send();
    call.await.unwrap_err();
    nothing_reserved(&gateway, "a caller that left before its answer").await;
}

/// Reservations are taken off what is left: without any, the two add up.
async fn nothing_reserved(gateway: &TestGateway, what: &str) {
    wait::until(&format!("nothing to be reserved after {what}"), || async {
        let window = windows(gateway).await.remove(0);
        let sum = window["used_usd"].as_f64().unwrap() + window["remaining_usd"].as_f64().unwrap();
        ((sum - 1.0).abs() < 1e-9).then_some(())
    })
    .await;
}
