//! What is reserved, and charged, for calls that ask for a service tier.

use llm_gateway::sandbox::Reply;
use serde_json::{Value, json};

use super::{header, somebody};
use crate::support::gateway::TestGateway;
use crate::support::wait;

/// How many tokens of output calls may have here: so many that their input hardly counts.
const MOST: u64 = 10_000;

async fn start() -> TestGateway {
    TestGateway::builder().product("tight", r#"limits = [{ per = "user", usd = 100, window = "1h" }]"#).start().await
}

/// A call for a stream, by how it is spoken and who is to answer.
fn call(dialect: &str, model: &str, tier: Option<&str>) -> (String, Value) {
    let messages = json!([{"role": "user", "content": "hi"}]);
    let (path, mut body) = match dialect {
        "chat" => ("chat/completions", json!({"max_completion_tokens": MOST, "messages": messages})),
        "responses" => ("responses", json!({"max_output_tokens": MOST, "input": "hi"})),
        "messages" => ("messages", json!({"max_tokens": MOST, "messages": messages})),
        _ => {
            let config = json!({"maxOutputTokens": MOST});
            let mut body = json!({"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": config});
            if let Some(tier) = tier {
                body["serviceTier"] = json!(tier);
            }
            return (format!("/tight/v1beta/models/{model}:streamGenerateContent?alt=sse"), body);
        }
    };
    (body["model"], body["stream"]) = (json!(model), json!(true));
    if let Some(tier) = tier {
        body["service_tier"] = json!(tier);
    }
    (format!("/tight/v1/{path}"), body)
}

/// Sends a call of somebody's own, and says with its answer whose it is.
async fn send(gateway: &TestGateway, (path, mut body): (String, Value)) -> (String, reqwest::Response) {
    let user = somebody();
    if path.ends_with("/messages") {
        body["metadata"] = json!({"user_id": user});
    } else if !path.contains("v1beta") {
        body["user"] = json!(user);
    }
    let answer = gateway.post(&path, &body).header("x-posthog-distinct-id", &user).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    (user, answer)
}

#[tokio::test]
async fn a_tier_that_is_asked_for_is_reserved_at_its_own_price_in_every_dialect() {
    let gateway = start().await;
    for (dialect, model, tier, dollars) in [
        // By the million tokens of output.
        ("chat", "gpt-5", None, 10.0),
        ("chat", "gpt-5", Some("auto"), 10.0),
        ("chat", "gpt-5", Some("default"), 10.0),
        ("chat", "gpt-5", Some("flex"), 5.0),
        ("chat", "gpt-5", Some("priority"), 20.0),
        ("chat", "gpt-4.1", Some("priority"), 14.0),
        ("responses", "gpt-5", Some("flex"), 5.0),
        ("responses", "gpt-5", Some("priority"), 20.0),
        ("gemini", "gemini-2.5-pro", None, 10.0),
        ("gemini", "gemini-2.5-pro", Some("flex"), 5.0),
        ("gemini", "gemini-2.5-pro", Some("SERVICE_TIER_PRIORITY"), 18.0),
        ("messages", "claude-sonnet-4-5", Some("auto"), 15.0),
        // And from one to another.
        ("messages", "gpt-5", Some("flex"), 5.0),
        ("chat", "gemini-2.5-pro", Some("priority"), 18.0),
        ("gemini", "gpt-5", Some("flex"), 5.0),
        ("responses", "claude-sonnet-4-5", Some("priority"), 15.0),
    ] {
        let (_, answer) = send(&gateway, call(dialect, model, tier)).await;
        let reserved = 100.0 - header(&answer, "x-ratelimit-remaining-usd").parse::<f64>().unwrap();
        let output = dollars * MOST as f64 / 1e6;
        let share = reserved / output;
        assert!((1.0..1.01).contains(&share), "{dialect}, {model}, {tier:?}: {reserved} is reserved, and not {output}");
    }
}

/// What somebody's calls cost, once all of them are settled.
async fn spent(gateway: &TestGateway, user: &str) -> f64 {
    wait::until("the call to be settled", || async {
        let path = format!("/v1/usage/tight?user={user}");
        let usage: Value = gateway.get(&path).send().await.unwrap().json().await.unwrap();
        let [used, left] = ["used_usd", "remaining_usd"].map(|name| usage["windows"][0][name].as_f64().unwrap());
        (used > 0.0 && (used + left - 100.0).abs() < 1e-9).then_some(used)
    })
    .await
}

#[tokio::test]
async fn the_tier_that_served_is_charged_and_the_dearer_one_where_nobody_says_it() {
    let gateway = start().await;
    let usage = |tier: Option<&str>| {
        let mut usage = json!({"promptTokenCount": 1_000, "candidatesTokenCount": 100, "totalTokenCount": 1_100});
        if let Some(tier) = tier {
            usage["serviceTier"] = json!(tier);
        }
        let candidate = json!({"content": {"role": "model", "parts": [{"text": "hi"}]}, "finishReason": "STOP"});
        json!({"candidates": [candidate], "usageMetadata": usage}).to_string()
    };
    let (standard, flex, priority) = (0.00225, 0.001125, 0.00405);
    for (asked, head, body, dollars) in [
        (None, None, None, standard),
        (Some("priority"), Some("standard"), None, standard),
        (Some("priority"), Some("priority"), None, priority),
        (Some("priority"), None, None, priority),
        (Some("flex"), None, None, standard),
        (Some("flex"), Some("priority"), Some("flex"), flex),
        (Some("flex"), None, Some("standard"), standard),
    ] {
        let mut reply = Reply::sse();
        if let Some(tier) = head {
            reply = reply.header("x-gemini-service-tier", tier);
        }
        gateway.gemini().script().push(reply.event(&usage(body)));
        let (user, answer) = send(&gateway, call("gemini", "gemini-2.5-pro", asked)).await;
        assert_eq!(header(&answer, "x-gemini-service-tier"), head.unwrap_or_default());
        answer.bytes().await.unwrap();
        let spent = spent(&gateway, &user).await;
        assert!((spent - dollars).abs() < 1e-9, "{asked:?}, {head:?}, {body:?}: {spent}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_as_openai_does_and_knows_no_tiers_is_charged_at_the_standard_price() {
    let gateway = start().await;
    let usage = json!({"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100});
    let choice = json!({"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"});
    // 1000 x 1.25 + 100 x 10, half of that, and twice, by a million.
    for (asked, said, dollars) in [
        ("flex", None, 0.00225),
        ("flex", Some("flex"), 0.001125),
        ("flex", Some("default"), 0.00225),
        ("priority", None, 0.0045),
    ] {
        let mut event = json!({"id": "c", "choices": [choice], "usage": usage});
        if let Some(tier) = said {
            event["service_tier"] = json!(tier);
        }
        gateway.openai().script().push(Reply::sse().event(&event.to_string()).event("[DONE]"));
        let (user, answer) = send(&gateway, call("chat", "gpt-5", Some(asked))).await;
        answer.bytes().await.unwrap();
        let spent = spent(&gateway, &user).await;
        assert!((spent - dollars).abs() < 1e-9, "{asked}, {said:?}: {spent}");
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_before_it_says_its_tier_costs_the_dearer_one() {
    let gateway = start().await;
    let event = json!({"id": "c", "choices": [{"index": 0, "delta": {"content": "four ".repeat(100)}}]}).to_string();
    let mut costs = Vec::new();
    for (model, tier) in [("gpt-4.1", None), ("gpt-4.1", Some("priority")), ("gpt-5", None), ("gpt-5", Some("flex"))] {
        gateway.openai().script().push(Reply::sse().event(&event).cut());
        let (user, answer) = send(&gateway, call("chat", model, tier)).await;
        answer.bytes().await.unwrap();
        costs.push(spent(&gateway, &user).await);
    }
    // 10 tokens at 2 dollars a million and 108 at 8; or at 3.5 and at 14. The tier's own word is no part of the prompt.
    assert!((costs[0] - 0.000884).abs() < 1e-9 && (costs[1] - 0.001547).abs() < 1e-9, "{costs:?}");
    assert!((costs[2] - costs[3]).abs() < 1e-9, "{costs:?}");
}
