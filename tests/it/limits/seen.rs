//! What callers are told of their limits on every answer, and what operators see.

use llm_gateway::sandbox::Reply;
use serde_json::{Value, json};

use super::{chat, chat_answer, header, limited};
use crate::support::binary::Binary;
use crate::support::gateway::TestGateway;
use crate::support::wait;

#[tokio::test]
async fn every_answer_to_a_call_has_the_headers_of_its_tightest_limit() {
    let gateway = TestGateway::builder()
        .product(
            "tight",
            r#"limits = [{ per = "user", usd = 5, window = "1h" }, { per = "team", usd = 2, window = "24h" },
                         { per = "key", usd = 1, window = "1h", mode = "shadow" }]"#,
        )
        .start()
        .await;
    let no = json!({"error": {"message": "no", "type": "server_error"}});
    let streamed = json!({"model": "gpt-4.1", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let messages =
        json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    let counted = json!({"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "hi"}]});
    let gemini = json!({"contents": [{"parts": [{"text": "hi"}]}]});
    let unknown = json!({"model": "no-such-model", "messages": [{"role": "user", "content": "hi"}]});
    for (path, body, status) in [
        ("/tight/v1/chat/completions", chat("ann"), 200),
        ("/tight/v1/chat/completions", streamed, 200),
        ("/tight/v1/responses", json!({"model": "gpt-4.1", "input": "hi"}), 200),
        ("/tight/v1/messages", messages, 200),
        ("/tight/v1/messages/count_tokens", counted, 200),
        ("/tight/v1beta/models/gemini-2.5-pro:generateContent", gemini.clone(), 200),
        ("/tight/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse", gemini, 200),
        ("/tight/v1/chat/completions", unknown, 400),
    ] {
        let answer = gateway.post(path, &body).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(header(&answer, "x-ratelimit-limit-usd"), "2.00", "{path}");
        let left: f64 = header(&answer, "x-ratelimit-remaining-usd").parse().unwrap();
        assert!(left > 1.9 && left <= 2.0, "{path}: {left}");
        assert_eq!(header(&answer, "x-ratelimit-reset"), "0", "{path}");
        answer.bytes().await.unwrap();
    }
    for refusal in [Reply::json(500, &no), Reply::json(429, &no)] {
        gateway.openai().script().always(refusal);
        let answer = gateway.post("/tight/v1/chat/completions", &chat("ann")).send().await.unwrap();
        assert!(answer.status().as_u16() >= 429, "{}", answer.status());
        assert_eq!(header(&answer, "x-ratelimit-limit-usd"), "2.00", "{}", answer.status());
        assert_eq!(header(&answer, "x-llm-gateway-cost-usd"), "0.00", "{}", answer.status());
    }
}

#[tokio::test]
async fn what_goes_wrong_with_a_call_says_how_its_limit_stands_in_every_dialect_whole_and_streamed() {
    let gateway = TestGateway::builder()
        .product("tight", r#"limits = [{ per = "team", usd = 2, window = "24h" }]"#)
        .setting("timeouts.first_byte", "200ms")
        .setting("breaker.minimum_calls", "1000")
        .setting("products.tight.models", "[\"gpt-4.1\", \"claude-sonnet-4-5\", \"gemini-2.5-pro\", \"gpt-99\"]")
        .start()
        .await;
    let messages = json!([{"role": "user", "content": "hi"}]);
    let call = |dialect: &str, model: &str, stream: bool| match dialect {
        "chat" => {
            ("/tight/v1/chat/completions".to_owned(), json!({"model": model, "stream": stream, "messages": messages}))
        }
        "responses" => ("/tight/v1/responses".to_owned(), json!({"model": model, "stream": stream, "input": "hi"})),
        "messages" => (
            "/tight/v1/messages".to_owned(),
            json!({"model": model, "stream": stream, "max_tokens": 9, "messages": messages}),
        ),
        _ => {
            let verb = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
            let path = format!("/tight/v1beta/models/{model}:{verb}");
            (path, json!({"contents": [{"parts": [{"text": "hi"}]}]}))
        }
    };
    let no = json!({"error": {"message": "no", "type": "server_error", "code": 500, "status": "INTERNAL"}});
    for (dialect, model) in
        [("chat", "gpt-4.1"), ("responses", "gpt-4.1"), ("messages", "claude-sonnet-4-5"), ("gemini", "gemini-2.5-pro")]
    {
        let provider = match dialect {
            "messages" => gateway.anthropic(),
            "gemini" => gateway.gemini(),
            _ => gateway.openai(),
        };
        for stream in [false, true] {
            for (what, status, reply) in [
                ("a refusal", 400, Reply::json(400, &no)),
                ("an error", 500, Reply::json(500, &no)),
                ("an overload", 429, Reply::json(429, &no)),
                ("nonsense", 502, Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc")),
                ("nothing", 504, Reply::silence()),
            ] {
                provider.script().always(reply);
                let (path, body) = call(dialect, model, stream);
                let answer = gateway.post(&path, &body).send().await.unwrap();
                assert_eq!(answer.status(), status, "{what}, {dialect}, {stream}");
                assert_limits(&answer, &format!("{what}, {dialect}, {stream}"));
            }
            for (what, status, model) in
                [("an unknown model", 400, "no-such-model"), ("a model that is not allowed", 403, "gpt-5")]
            {
                let (path, body) = call(dialect, model, stream);
                let answer = gateway.post(&path, &body).send().await.unwrap();
                assert_eq!(answer.status(), status, "{what}, {dialect}, {stream}");
                assert_limits(&answer, &format!("{what}, {dialect}, {stream}"));
            }
        }
        let (path, _) = call(dialect, model, false);
        for body in ["{", "[]", "{}"] {
            let answer = gateway.post(&path, &json!(null)).body(body).send().await.unwrap();
            assert_eq!(answer.status(), 400, "{dialect}: {body}");
            assert_limits(&answer, &format!("{dialect}: {body}"));
        }
    }
}

fn assert_limits(answer: &reqwest::Response, what: &str) {
    let said =
        ["x-ratelimit-limit-usd", "x-ratelimit-remaining-usd", "x-ratelimit-reset"].map(|name| header(answer, name));
    assert_eq!((said[0], said[2]), ("2.00", "0"), "{what}");
    let left: f64 = said[1].parse().unwrap();
    assert!(left > 1.9 && left <= 2.0, "{what}: {left}");
}

#[tokio::test]
async fn operators_see_use_warnings_refusals_and_how_far_estimates_were_off() {
    let gateway = TestGateway::builder()
        .product(
            "tight",
            r#"limits = [{ per = "user", usd = 0.0035, window = "1h" }, { per = "product", usd = 0.028, window = "24h" },
                         { per = "team", usd = 0.001, window = "1h", mode = "shadow" }]"#,
        )
        .setting("limits.wait", "50ms")
        .start()
        .await;
    gateway.openai().script().always(chat_answer());
    for status in [200, 200, 429] {
        let answer = gateway.post("/tight/v1/chat/completions", &chat("ann")).send().await.unwrap();
        assert_eq!(answer.status(), status);
    }
    let metrics = gateway.metrics().await;
    for line in [
        // Two calls of 0.0028 dollars: 160 %, 560 % and 20 %.
        r#"llm_gateway_limit_used_ratio{per="user",product="tight",window="1h"} 1.6"#,
        r#"llm_gateway_limit_used_ratio{per="team",product="tight",window="1h"} 5.6"#,
        r#"llm_gateway_limit_used_ratio{per="product",product="tight",window="1day"} 0.2"#,
        r#"llm_gateway_limit_events_total{event="warned",per="user",product="tight"} 1"#,
        r#"llm_gateway_limit_events_total{event="warned",per="team",product="tight"} 1"#,
        r#"llm_gateway_limit_events_total{event="refused",per="user",product="tight"} 1"#,
        r#"llm_gateway_settled_usd_total{product="tight"} 0.0056"#,
        r#"llm_gateway_top_team_cost_usd{team="1"} 0.0056"#,
        r#"llm_gateway_top_user_cost_usd{team="1",user="ann"} 0.0056"#,
        r#"llm_gateway_top_team_cost_least_usd{team="1"} 0.0056"#,
        r#"llm_gateway_top_user_cost_least_usd{team="1",user="ann"} 0.0056"#,
        r#"llm_gateway_settled_to_reserved_ratio_count{product="tight"} 2"#,
        r#"llm_gateway_limit_counters 3"#,
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in:\n{metrics}");
    }
    let shadowed = r#"llm_gateway_limit_events_total{event="shadowed",per="team",product="tight"} "#;
    assert!(metrics.contains(shadowed), "{metrics}");
    assert!(metrics.contains(r#"llm_gateway_reserved_usd_total{product="tight"} "#), "{metrics}");
    assert!(!metrics.contains(r#"event="warned",per="product""#), "{metrics}");
}

#[tokio::test]
async fn a_model_that_no_list_has_costs_the_dearest_rates_and_is_counted() {
    let gateway = limited("100").await;
    let mut body = chat("ann");
    body["model"] = json!("gpt-99-imaginary");
    let answer = gateway.post("/tight/v1/chat/completions", &body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let cost: f64 = header(&answer, "x-llm-gateway-cost-usd").parse().unwrap();
    assert!(cost > 0.0028 * 10.0, "{cost}");
    let metrics = gateway.metrics().await;
    assert!(
        metrics.contains(r#"llm_gateway_unpriced_calls_total{missing="price",model="other",provider="openai"} 1"#),
        "{metrics}"
    );
}

#[test]
fn a_limit_that_is_nearly_used_up_and_an_unpriced_model_are_one_log_line_each() {
    let data = tempfile::tempdir().unwrap();
    let gateway = Binary::new(["dev", "--port", "0", "--data", data.path().to_str().unwrap()])
        .env("LLM_GATEWAY__TELEMETRY__FORMAT", "json")
        .env("LLM_GATEWAY__PRICES", "{ 'gpt-4.1' = { input = 0, output = 1000 } }")
        .env("LLM_GATEWAY__PRODUCTS__LLM_GATEWAY__LIMITS", "[{ per = 'user', usd = 0.2, window = '24h' }]")
        .start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let statuses = runtime.block_on(async {
        let mut statuses = Vec::new();
        // 360 characters are 90 tokens and 9 cents: the second such call takes the limit over its 80 %.
        for model in ["gpt-99-imaginary", "gpt-99-imaginary", "gpt-4.1", "gpt-4.1"] {
            let prompt = format!("[[sandbox:say={}]]", "abcd".repeat(if model == "gpt-4.1" { 90 } else { 1 }));
            let body = json!({"model": model, "user": "ann", "messages": [{"role": "user", "content": prompt}]});
            let url = format!("{}/v1/chat/completions", gateway.url());
            let key = llm_gateway::auth::token::DEVELOPMENT_KEY;
            let answer = reqwest::Client::new().post(url).bearer_auth(key).json(&body).send().await.unwrap();
            statuses.push(answer.status().as_u16());
        }
        statuses
    });
    assert_eq!(statuses, [200, 200, 200, 200]);
    let lines = |text: &str| {
        let stderr = gateway.stderr();
        stderr.lines().filter(|line| line.contains(text)).map(str::to_owned).collect::<Vec<String>>()
    };
    wait::block_until("the last call's line", || (lines("call served").len() == 4).then_some(()));
    let warned = lines("a spending limit is nearly used up");
    assert_eq!(warned.len(), 1, "{warned:?}");
    let warned: Value = serde_json::from_str(&warned[0]).unwrap();
    assert_eq!((&warned["level"], &warned["limit.per"]), (&json!("WARN"), &json!("user")));
    assert_eq!(lines("a model without a price").len(), 1);
}
