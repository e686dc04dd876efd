//! What nobody should send: usage that cannot be, limits on output that cannot be, names that mean something elsewhere.

use llm_gateway::sandbox::Reply;
use serde_json::{Value, json};

use super::{chat, chat_answer, header, limited, somebody};
use crate::support::gateway::TestGateway;
use crate::support::own_redis::OwnRedis;
use crate::support::wait;

fn answer_with(usage: Value) -> Reply {
    Reply::json(
        200,
        &json!({
            "id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4.1",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
            "usage": usage,
        }),
    )
}

#[tokio::test]
async fn a_usage_that_cannot_be_is_charged_as_it_was_reserved() {
    let gateway = limited("1").await;
    let body = chat("ann");
    // Its size at four bytes a token and 2 dollars a million, and 10 tokens at 8.
    let reserved = (serde_json::to_vec(&body).unwrap().len().div_ceil(4) * 2_000 + 10 * 8_000) as f64 / 1e9;
    for usage in [
        Value::Null,
        json!({}),
        json!("a lot"),
        json!([1, 2, 3]),
        json!({"prompt_tokens": -5, "completion_tokens": 10}),
        json!({"prompt_tokens": 10, "completion_tokens": -1}),
        json!({"prompt_tokens": 10}),
        json!({"completion_tokens": 10}),
        json!({"prompt_tokens": 1e18, "completion_tokens": 1}),
        json!({"prompt_tokens": 1, "completion_tokens": 100_000_001_u64}),
        json!({"prompt_tokens": u64::MAX, "completion_tokens": u64::MAX}),
        json!({"prompt_tokens": "12", "completion_tokens": "3"}),
        json!({"prompt_tokens": 1.5, "completion_tokens": 2}),
    ] {
        gateway.openai().script().push(answer_with(usage.clone()));
        let answer = gateway.post("/tight/v1/chat/completions", &body).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{usage}");
        let cost: f64 = header(&answer, "x-llm-gateway-cost-usd").parse().unwrap();
        assert!((cost - reserved).abs() < 1e-12, "{usage}: {cost}, and {reserved} was reserved");
    }
    let metrics = gateway.metrics().await;
    assert!(metrics.contains(r#"provenance="default",provider="openai""#), "{metrics}");
}

#[tokio::test]
async fn a_usage_of_more_than_the_model_takes_in_or_says_is_charged_as_it_was_reserved() {
    let gateway = limited("100").await;
    // gpt-4.1 takes in 1,047,576 tokens and says 32,768; twice of that may be.
    for (choices, input, output, believed) in [
        (1, 2_095_152, 10, true),
        (1, 2_095_153, 10, false),
        (1, 10, 65_536, true),
        (1, 10, 65_537, false),
        (3, 10, 196_608, true),
        (3, 10, 196_609, false),
        (1, 90_000_000, 90_000_000, false),
    ] {
        let mut body = chat("ann");
        body["n"] = json!(choices);
        let bytes = serde_json::to_vec(&body).unwrap().len();
        let usage = json!({"prompt_tokens": input, "completion_tokens": output});
        gateway.openai().script().push(answer_with(usage));
        let answer = gateway.post("/tight/v1/chat/completions", &body).send().await.unwrap();
        let cost: f64 = header(&answer, "x-llm-gateway-cost-usd").parse().unwrap();
        let computed = f64::from(input * 2 + output * 8) / 1e6;
        let reserved = (bytes.div_ceil(4) * 2 + choices * 10 * 8) as f64 / 1e6;
        let expected = if believed { computed } else { reserved };
        assert!((cost - expected).abs() < 1e-9, "{choices}, {input} and {output}: {cost}, and not {expected}");
    }
    let metrics = gateway.metrics().await;
    let line = r#"llm_gateway_unpriced_calls_total{missing="usage",model="gpt-4.1",provider="openai"} 4"#;
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn a_provider_that_searches_may_have_taken_in_more_than_its_model_does_at_once() {
    let gateway = limited("100").await;
    // As o3 is known to count when it searches a dozen times: it takes in 200,000 tokens.
    let usage = json!({"input_tokens": 650_000, "input_tokens_details": {"cached_tokens": 500_000},
        "output_tokens": 2_911, "output_tokens_details": {"reasoning_tokens": 2_048}, "total_tokens": 652_911});
    let answer = json!({"id": "r", "object": "response", "status": "completed", "model": "o3", "usage": usage,
        "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}]});
    gateway.openai().script().always(Reply::json(200, &answer));
    let mut body = json!({"model": "o3", "input": "hi", "user": "ann", "max_output_tokens": 3_000});
    for (tools, computed) in [(json!([]), false), (json!([{"type": "web_search"}]), true)] {
        body["tools"] = tools.clone();
        let answer = gateway.post("/tight/v1/responses", &body).send().await.unwrap();
        let cost: f64 = header(&answer, "x-llm-gateway-cost-usd").parse().unwrap();
        // 150,000 x 2 + 500,000 x 0.5 + 2,911 x 8
        assert_eq!((cost - 0.573288).abs() < 1e-9, computed, "{tools}: {cost}");
        assert!(computed || cost < 0.025, "{tools}: {cost}");
    }
}

#[tokio::test]
async fn a_stream_whose_usage_cannot_be_is_charged_as_it_was_reserved_whole_or_cut() {
    let gateway = limited("1").await;
    let usage = json!({"prompt_tokens": 90_000_000, "completion_tokens": 90_000_000, "total_tokens": 180_000_000});
    let choice = json!({"index": 0, "delta": {"content": "four ".repeat(100)}, "finish_reason": "stop"});
    let event = json!({"id": "c", "choices": [choice], "usage": usage}).to_string();
    for (user, reply) in
        [("ann", Reply::sse().event(&event).event("[DONE]")), ("bob", Reply::sse().event(&event).cut())]
    {
        let mut body = chat(user);
        body["stream"] = json!(true);
        gateway.openai().script().push(reply);
        let answer = gateway.post("/tight/v1/chat/completions", &body).send().await.unwrap();
        let left: f64 = header(&answer, "x-ratelimit-remaining-usd").parse().unwrap();
        answer.bytes().await.unwrap();
        wait::until("the call to be settled as it was reserved", || async {
            let path = format!("/v1/usage/tight?user={user}");
            let usage: Value = gateway.get(&path).send().await.unwrap().json().await.unwrap();
            ((usage["windows"][0]["used_usd"].as_f64().unwrap() - (1.0 - left)).abs() < 1e-9).then_some(())
        })
        .await;
    }
    let metrics = gateway.metrics().await;
    let line = r#"llm_gateway_unpriced_calls_total{missing="usage",model="gpt-4.1",provider="openai"} 2"#;
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn parts_that_are_larger_than_their_whole_are_not_charged_twice() {
    let gateway = limited("1").await;
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 5000},
        "completion_tokens_details": {"reasoning_tokens": 7000}});
    gateway.openai().script().push(answer_with(usage));
    let answer = gateway.post("/tight/v1/chat/completions", &chat("ann")).send().await.unwrap();
    // 100 cached at 0.5 dollars a million, 10 at 8.
    assert_eq!(header(&answer, "x-llm-gateway-cost-usd"), "0.00013");
}

#[tokio::test]
async fn a_limit_on_output_that_cannot_be_reserves_no_more_than_the_model_can_say() {
    // 32,768 tokens at 8 dollars a million are 26 cents.
    let gateway = limited("0.30").await;
    for most in [json!(1_000_000_000_000_000_000_u64), json!(u64::MAX), json!(1e30)] {
        let mut body = chat("ann");
        body["max_tokens"] = most.clone();
        let answer = gateway.post("/tight/v1/chat/completions", &body).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{most}");
        assert_eq!(header(&answer, "x-llm-gateway-cost-usd"), "0.0028", "{most}");
    }
    let metrics = gateway.metrics().await;
    let line = metrics.lines().find(|line| line.starts_with("llm_gateway_reserved_usd_total")).unwrap();
    let reserved: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(reserved < 3.0 * 0.27, "{line}");
}

#[tokio::test]
async fn a_name_of_any_length_and_characters_is_a_user_like_any_other() {
    let redis = OwnRedis::start().await;
    let gateway = TestGateway::builder()
        .product("tight", r#"limits = [{ per = "user", usd = 1, window = "1h" }]"#)
        .env("LLM_GATEWAY_REDIS_URL", &redis.url())
        .start()
        .await;
    gateway.openai().script().always(chat_answer());
    let names = [
        "n".repeat(10 * 1024),
        "\u{0}\u{1}\u{7f}\r\nSET a b\r\n".to_owned(),
        "{other}:3600000:1".to_owned(),
        "llmgw:instances".to_owned(),
        "*".to_owned(),
        "' OR 1=1; --".to_owned(),
        "\"} 1\nllm_gateway_up 0".to_owned(),
        "Ünïcödé 🦀 \u{202e}".to_owned(),
        somebody(),
    ];
    for name in &names {
        let answer = gateway.post("/tight/v1/chat/completions", &chat(name)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{name:?}");
        assert_eq!(header(&answer, "x-ratelimit-remaining-usd"), "0.9972", "{name:?} shares with somebody");
    }
    let keys = wait::until("all of them to be in Redis", || async {
        let keys: Vec<String> = redis.ask(&["KEYS", "*"]).await;
        (keys.len() > names.len()).then_some(keys)
    })
    .await;
    for key in &keys {
        let counter = key.strip_prefix("llmgw:{").and_then(|rest| rest.split_once('}'));
        let is_counter = counter.is_some_and(|(whose, rest)| {
            whose.len() == 32
                && whose.bytes().all(|byte| byte.is_ascii_hexdigit())
                && rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b':')
        });
        assert!(is_counter || key == "llmgw:instances", "{key:?}");
    }
    let metrics = gateway.metrics().await;
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.starts_with("llm_gateway_") && line.len() < 600, "{line:?}");
    }
    assert_eq!(metrics.lines().filter(|line| line.starts_with("llm_gateway_up ")).count(), 0);
}
