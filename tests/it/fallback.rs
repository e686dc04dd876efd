//! What callers get when the provider of the model that they asked for cannot answer, and their product allows another one.

use futures_util::StreamExt as _;
use llm_gateway::sandbox::{Gate, Reply};
use serde_json::{Value, json};

use crate::support::gateway::{Builder, TestGateway};
use crate::support::posthog::{KEY, PostHog};
use crate::support::wait;

const FALLBACKS: &str = r#"[fallbacks]
"gpt-4.1-mini" = ["claude-sonnet-4-5", "gemini-2.5-pro"]"#;

fn builder() -> Builder {
    TestGateway::builder().product("spare", "fallback = true").toml(FALLBACKS)
}

fn chat() -> Value {
    json!({"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "hi [[sandbox:say=Here I am.]]"}]})
}

fn streamed() -> Value {
    let mut body = chat();
    body["stream"] = json!(true);
    body
}

fn overloaded() -> Reply {
    Reply::json(503, &json!({"error": {"message": "busy", "type": "server_error", "code": null, "param": null}}))
}

async fn call(gateway: &TestGateway, product: &str, body: &Value) -> reqwest::Response {
    gateway.post(&format!("/{product}/v1/chat/completions"), body).send().await.unwrap()
}

fn header<'a>(answer: &'a reqwest::Response, name: &str) -> &'a str {
    answer.headers().get(name).unwrap_or_else(|| panic!("{name} is missing")).to_str().unwrap()
}

#[tokio::test]
async fn another_model_answers_in_the_callers_own_format_and_is_named_and_charged() {
    let gateway = builder().start().await;
    gateway.openai().script().push(overloaded());
    let answer = call(&gateway, "spare", &chat()).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "x-llm-gateway-provider"), "anthropic");
    assert_eq!(header(&answer, "x-llm-gateway-model"), "claude-sonnet-4-5");
    let cost: f64 = header(&answer, "x-llm-gateway-cost-usd").parse().unwrap();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["choices"][0]["message"]["content"], "Here I am.");
    // Claude Sonnet 4.5: $3 and $15 a million tokens.
    let tokens = |name: &str| body["usage"][name].as_f64().unwrap();
    let due = (tokens("prompt_tokens") * 3.0 + tokens("completion_tokens") * 15.0) / 1e6;
    assert!((cost - due).abs() < 1e-9, "{cost} and not {due}");
    let metrics = gateway.metrics().await;
    let counted = r#"llm_gateway_fallbacks_total{from="openai",product="spare",to="anthropic"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
}

/// OpenAI counts what was read from the cache as part of the input, Anthropic beside it; each has prices of its own for it.
#[tokio::test]
async fn a_fallbacks_cached_tokens_are_counted_and_charged_as_its_own_provider_has_them() {
    let posthog = PostHog::start();
    let gateway = builder()
        .env("LLM_GATEWAY_POSTHOG_API_KEY", KEY)
        .env("LLM_GATEWAY_POSTHOG_HOST", &posthog.url())
        .setting("analytics.flush_every", "10ms")
        .start()
        .await;
    let usage = json!({"input_tokens": 1_000, "cache_read_input_tokens": 5_000, "cache_creation_input_tokens": 2_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 2_000, "ephemeral_1h_input_tokens": 0}, "output_tokens": 100});
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "Here I am."}], "stop_reason": "end_turn", "stop_sequence": null, "usage": usage});
    let mut begun = message.clone();
    (begun["content"], begun["stop_reason"]) = (json!([]), Value::Null);
    let events = [
        ("message_start", json!({"type": "message_start", "message": begun})),
        (
            "content_block_start",
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        ),
        (
            "content_block_delta",
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Here I am."}}),
        ),
        ("content_block_stop", json!({"type": "content_block_stop", "index": 0})),
        (
            "message_delta",
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": usage}),
        ),
        ("message_stop", json!({"type": "message_stop"})),
    ];
    let stream =
        events.iter().fold(Reply::sse(), |reply, (name, data)| reply.chunk(format!("event: {name}\ndata: {data}\n\n")));
    // Claude Sonnet 4.5, in dollars a million tokens: input 3, read 0.30, written 3.75, output 15.
    let due = (1_000.0 * 3.0 + 5_000.0 * 0.3 + 2_000.0 * 3.75 + 100.0 * 15.0) / 1e6;
    for (calls, (body, reply)) in [(chat(), Reply::json(200, &message)), (streamed(), stream)].into_iter().enumerate() {
        let is_stream = body["stream"] == true;
        gateway.openai().script().push(overloaded());
        gateway.anthropic().script().push(reply);
        let mut body = body;
        if is_stream {
            body["stream_options"] = json!({"include_usage": true});
        }
        let answer = call(&gateway, "spare", &body).await;
        assert_eq!(header(&answer, "x-llm-gateway-model"), "claude-sonnet-4-5");
        if !is_stream {
            let cost: f64 = header(&answer, "x-llm-gateway-cost-usd").parse().unwrap();
            assert!((cost - due).abs() < 1e-9, "{cost} and not {due}");
        }
        let text = answer.text().await.unwrap();
        let told = if is_stream {
            let chunk = text.lines().rfind(|line| line.contains("\"usage\":{")).unwrap();
            serde_json::from_str::<Value>(chunk.trim_start_matches("data: ")).unwrap()
        } else {
            serde_json::from_str(&text).unwrap()
        };
        // To the caller in its own convention.
        assert_eq!(told["usage"]["prompt_tokens"], 8_000, "{told}");
        assert_eq!(told["usage"]["prompt_tokens_details"]["cached_tokens"], 5_000, "{told}");

        wait::until_true("the event", || posthog.taken() > calls).await;
        let event = posthog.events()[calls].properties.clone();
        assert_eq!((&event["llm_gateway_fallback_used"], &event["$ai_stream"]), (&json!(true), &json!(is_stream)));
        assert_eq!((&event["$ai_provider"], &event["$ai_model"]), (&json!("anthropic"), &json!("claude-sonnet-4-5")));
        assert_eq!(event["llm_gateway_model_asked"], "gpt-4.1-mini");
        let cost = event["$ai_total_cost_usd"].as_f64().unwrap();
        assert!((cost - due).abs() < 1e-9, "{cost} and not {due}");
        assert_eq!(event["llm_gateway_cost_provenance"], "computed");
        assert_eq!(event["$ai_cache_read_input_tokens"], 5_000, "{event:?}");
    }
    let answer = call(&gateway, "spare", &chat()).await;
    assert_eq!(header(&answer, "x-llm-gateway-provider"), "openai");
    answer.bytes().await.unwrap();
    wait::until_true("the event", || posthog.taken() > 2).await;
    assert_eq!(posthog.events()[2].properties["llm_gateway_fallback_used"], false);
    // The limits counted the same.
    let spent: Value = gateway.get("/v1/usage/spare").send().await.unwrap().json().await.unwrap();
    let used = spent["windows"][0]["used_usd"].as_f64().unwrap();
    assert!(used > 2.0 * due && used < 2.1 * due, "{spent}");
}

#[tokio::test]
async fn every_kind_of_a_providers_failure_leads_to_the_next_model() {
    let gateway =
        builder().setting("timeouts.first_byte", "500ms").setting("breaker.minimum_calls", "1000").start().await;
    let limited = json!({"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}});
    let denied =
        json!({"error": {"message": "no such key", "type": "invalid_request_error", "code": "invalid_api_key"}});
    for (name, reply) in [
        ("a limit of the provider's", Reply::json(429, &limited)),
        ("an error of the provider's", Reply::json(500, &json!({"error": {"message": "oh"}}))),
        ("a page that is no error", Reply::status(502).body("<html>")),
        ("a refused credential", Reply::json(401, &denied)),
        ("a connection that closes", Reply::hang_up()),
        ("silence", Reply::silence()),
        ("a cut answer", Reply::status(200).content_length(1000).body("{\"id\": ").cut()),
        ("nonsense", Reply::status(200).body("nonsense")),
    ] {
        for body in [chat(), streamed()] {
            // Each time: a kept connection that is found closed is tried once more.
            gateway.openai().script().always(reply.clone());
            let answer = call(&gateway, "spare", &body).await;
            assert_eq!(answer.status(), 200, "{name}");
            assert_eq!(header(&answer, "x-llm-gateway-provider"), "anthropic", "{name}");
            assert!(answer.text().await.unwrap().contains("Here"), "{name}");
        }
    }
}

#[tokio::test]
async fn a_provider_whose_breaker_is_open_is_passed_over_at_once() {
    let mut gateway = builder().setting("breaker.connect_failures", "1").start().await;
    gateway.take_sandbox("openai").stop().await;
    for _ in 0..3 {
        let answer = call(&gateway, "spare", &chat()).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "x-llm-gateway-provider")), (200, "anthropic"));
    }
}

#[tokio::test]
async fn the_second_fallback_serves_when_the_first_fails_too() {
    let gateway = builder().start().await;
    for body in [chat(), streamed()] {
        gateway.openai().script().push(overloaded());
        gateway.anthropic().script().push(Reply::hang_up());
        let answer = call(&gateway, "spare", &body).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(header(&answer, "x-llm-gateway-model"), "gemini-2.5-pro");
        assert!(answer.text().await.unwrap().contains("Here"));
    }
}

#[tokio::test]
async fn when_all_fail_the_caller_hears_why_the_model_it_asked_for_did() {
    let gateway = builder().start().await;
    for body in [chat(), streamed()] {
        gateway.openai().script().push(overloaded());
        gateway.anthropic().script().push(Reply::hang_up());
        gateway.gemini().script().push(Reply::hang_up());
        let answer = call(&gateway, "spare", &body).await;
        assert_eq!(answer.status(), 503);
        let error: Value = answer.json().await.unwrap();
        assert_eq!(error["error"]["message"], "busy");
    }
}

#[tokio::test]
async fn what_the_caller_did_wrong_and_products_without_the_permission_stay_with_the_first_model() {
    let gateway = builder().start().await;
    gateway.openai().script().push(overloaded());
    let answer = call(&gateway, "llm_gateway", &chat()).await;
    assert_eq!(answer.status(), 503, "the product does not allow it");

    let wrong = json!({"error": {"message": "no", "type": "invalid_request_error", "code": null, "param": "top_p"}});
    gateway.openai().script().push(Reply::json(400, &wrong));
    let answer = call(&gateway, "spare", &chat()).await;
    assert_eq!(answer.status(), 400, "another provider would say the same");
    assert_eq!(gateway.anthropic().requests().len(), 0);
}

#[tokio::test]
async fn an_answer_that_is_too_large_to_be_held_is_told_so_and_asked_of_nobody_else() {
    let gateway = builder().setting("server.answer_limit", "2000").setting("breaker.minimum_calls", "1").start().await;
    let mut body = chat();
    body["messages"][0]["content"] = json!("[[sandbox:words=600]]");
    for _ in 0..3 {
        let answer = call(&gateway, "spare", &body).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "x-llm-gateway-provider")), (502, "openai"));
        let error: Value = answer.json().await.unwrap();
        assert_eq!(error["error"]["code"], "upstream_error");
        let said = error["error"]["message"].as_str().unwrap();
        assert!(said.contains("ask for a stream"), "{said}");
    }
    assert_eq!(gateway.openai().requests().len(), 3, "its breaker stays closed");
    assert_eq!((gateway.anthropic().requests().len(), gateway.gemini().requests().len()), (0, 0));
}

#[tokio::test]
async fn a_model_that_the_product_does_not_offer_is_passed_over() {
    let gateway = builder().product("narrow", "fallback = true\nmodels = [\"gpt-\", \"gemini-\"]").start().await;
    gateway.openai().script().push(overloaded());
    let answer = call(&gateway, "narrow", &chat()).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "x-llm-gateway-provider")), (200, "gemini"));
    assert_eq!(gateway.anthropic().requests().len(), 0);
}

#[tokio::test]
async fn a_stream_that_fails_before_its_first_event_is_served_by_another_model() {
    let gateway = builder().start().await;
    let error = r#"{"error":{"message":"overloaded","type":"server_error","code":null,"param":null}}"#;
    for reply in
        [Reply::sse().event(error), Reply::sse().chunk(": hello\n\ndata: {\"id\"").cut(), Reply::sse().head().cut()]
    {
        gateway.openai().script().push(reply);
        let answer = call(&gateway, "spare", &streamed()).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "x-llm-gateway-provider")), (200, "anthropic"));
        let text = answer.text().await.unwrap();
        assert!(text.contains("Here") && text.trim_end().ends_with("data: [DONE]"), "{text}");
        assert!(!text.contains("overloaded") && !text.contains("hello"), "{text}");
    }
}

#[tokio::test]
async fn a_stream_that_fails_after_its_first_event_ends_in_an_error() {
    let gateway = builder().start().await;
    let first = r#"{"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":"one"}}]}"#;
    gateway.openai().script().push(Reply::sse().event(first).cut());
    let answer = call(&gateway, "spare", &streamed()).await;
    assert_eq!(header(&answer, "x-llm-gateway-provider"), "openai");
    let text = answer.text().await.unwrap();
    assert!(text.contains("one") && text.contains("\"error\"") && !text.contains("[DONE]"), "{text}");
    assert_eq!(gateway.anthropic().requests().len(), 0);
}

#[tokio::test]
async fn another_model_may_take_over_after_keepalives_have_gone_out() {
    let gateway = builder().setting("stream.keepalive", "50ms").start().await;
    let gate = Gate::new();
    gateway.openai().script().push(Reply::sse().head().wait(&gate).cut());

    let answer = call(&gateway, "spare", &streamed()).await;
    assert_eq!(header(&answer, "x-llm-gateway-provider"), "openai", "the first choice, as far as is known by then");
    let mut body = answer.bytes_stream();
    let silence = wait::within("a keepalive", body.next()).await.unwrap().unwrap();
    assert!(silence.starts_with(b":"), "{silence:?}");
    gate.open();
    let rest = wait::within("the rest", body.map(Result::unwrap).collect::<Vec<_>>()).await.concat();
    let text = String::from_utf8(rest).unwrap();
    assert!(text.contains("Here") && text.trim_end().ends_with("data: [DONE]"), "{text}");
}
