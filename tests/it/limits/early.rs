//! What calls cost that end before their answer does, and that nothing stays reserved for them.

use llm_gateway::limits::scope::{EndUser, Payer, Scope};
use llm_gateway::sandbox::{Gate, Reply};
use serde_json::{Value, json};

use super::{TeamId, chat, chat_answer, header, limited};
use crate::support::gateway::TestGateway;
use crate::support::wait;

/// Ten tokens of a request at 2 dollars a million, and a hundred words of four letters, counted as 108, at 8.
const CUT: &str = "0.000884";

fn words(count: usize) -> String {
    "four ".repeat(count)
}

/// The beginning of a whole answer.
fn begun(answer: &str) -> Reply {
    Reply::status(200).header("content-type", "application/json").chunk(answer.to_owned())
}

fn chat_begun(count: usize) -> Reply {
    begun(&format!(
        r#"{{"id":"c","object":"chat.completion","created":1,"model":"gpt-4.1","choices":[{{"index":0,
           "message":{{"role":"assistant","content":"{}"#,
        words(count)
    ))
}

fn cost(answer: &reqwest::Response) -> f64 {
    header(answer, "x-llm-gateway-cost-usd").parse().unwrap()
}

#[tokio::test]
async fn an_answer_that_is_cut_while_it_is_read_whole_costs_what_had_come_of_it() {
    let gateway = limited("1").await;
    gateway.openai().script().push(chat_begun(100).cut());
    let answer = gateway.post("/tight/v1/chat/completions", &chat("ann")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "x-llm-gateway-cost-usd")), (502, CUT));
    let metrics = gateway.metrics().await;
    assert!(
        metrics.contains(r#"product="tight",provenance="estimated_partial",provider="openai"} 0.000884"#),
        "{metrics}"
    );

    let hundred = words(100);
    for (sandbox, path, body, text, dollars) in [
        (
            gateway.openai(),
            "/tight/v1/responses",
            json!({"model": "gpt-4.1", "input": "hi"}),
            format!(
                r#"{{"id":"r","object":"response","output":[{{"type":"message","content":[{{"type":"output_text","text":"{hundred}"#
            ),
            8.0,
        ),
        (
            gateway.anthropic(),
            "/tight/v1/messages",
            json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
            format!(
                r#"{{"id":"m","type":"message","role":"assistant","content":[{{"type":"tool_use","name":"f","input":{{"a":"{hundred}"#
            ),
            15.0,
        ),
        (
            gateway.gemini(),
            "/tight/v1beta/models/gemini-2.5-pro:generateContent",
            json!({"contents": [{"parts": [{"text": "hi"}]}]}),
            format!(r#"{{"candidates":[{{"content":{{"role":"model","parts":[{{"text":"{hundred}"#),
            10.0,
        ),
    ] {
        sandbox.script().push(begun(&text).cut());
        let answer = gateway.post(path, &body).send().await.unwrap();
        assert_eq!(answer.status(), 502, "{path}");
        let tokens = cost(&answer) * 1e6 / dollars;
        assert!((100.0..160.0).contains(&tokens), "{path}: about {tokens} tokens");
    }
}

#[tokio::test]
async fn an_answer_that_says_its_usage_and_is_cut_then_costs_that() {
    let gateway = limited("1").await;
    let answer = format!(
        r#"{{"id":"c","choices":[{{"index":0,"message":{{"role":"assistant","content":"{}"}}}}],
           "usage":{{"prompt_tokens":1000,"completion_tokens":100}}"#,
        words(300)
    );
    gateway.openai().script().push(begun(&answer).cut());
    let answer = gateway.post("/tight/v1/chat/completions", &chat("ann")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "x-llm-gateway-cost-usd")), (502, "0.0028"));
}

#[tokio::test]
async fn an_answer_that_is_too_large_to_be_held_costs_what_was_read_of_it() {
    let limits = r#"limits = [{ per = "user", usd = 1, window = "1h" }]"#;
    let gateway = TestGateway::builder().product("tight", limits).setting("server.answer_limit", "3000").start().await;
    gateway.openai().script().push(chat_begun(1_000).chunk(r#""}}]}"#));
    let answer = gateway.post("/tight/v1/chat/completions", &chat("ann")).send().await.unwrap();
    assert_eq!(answer.status(), 502);
    // More than 500 words were held, and no more than a thousand came.
    let cost = cost(&answer);
    assert!(cost > 500.0 * 8e-6 && cost < 1_100.0 * 8e-6, "{cost}");
}

#[tokio::test]
async fn an_answer_that_is_too_large_to_be_held_costs_no_more_than_its_model_can_say() {
    let limits = r#"limits = [{ per = "user", usd = 1, window = "1h" }]"#;
    let gateway =
        TestGateway::builder().product("tight", limits).setting("server.answer_limit", "300000").start().await;
    // 50,000 words and more; the model says 4,096 tokens at most.
    gateway.openai().script().push(chat_begun(70_000).chunk(r#""}}]}"#));
    let mut body = chat("ann");
    body["model"] = json!("gpt-4o-2024-05-13");
    let answer = gateway.post("/tight/v1/chat/completions", &body).send().await.unwrap();
    assert_eq!(answer.status(), 502);
    // 10 tokens at 5 dollars a million and 4,096 at 15.
    assert_eq!(header(&answer, "x-llm-gateway-cost-usd"), "0.06149");
}

#[tokio::test]
async fn a_caller_that_leaves_while_its_answer_is_read_whole_pays_for_what_had_come_of_it() {
    let gateway = limited("1").await;
    gateway.openai().script().push(chat_begun(100).stall());
    let mut caller = gateway.raw().await;
    let key = format!("authorization: Bearer {}\r\n", gateway.key());
    caller.post("/tight/v1/chat/completions", &key, &chat("ann").to_string()).await;
    let memory = &gateway.state().gateway.memory;
    wait::until_true("the answer to begin", || memory.held() > 500).await;
    drop(caller);
    let line = format!(r#"provenance="estimated_partial",provider="openai"}} {CUT}"#);
    wait::until("the call to be settled", || async { gateway.metrics().await.contains(&line).then_some(()) }).await;
}

fn with_fallback() -> crate::support::gateway::Builder {
    TestGateway::builder()
        .product("tight", "fallback = true\nlimits = [{ per = 'user', usd = 1, window = '1h' }]")
        .toml("[fallbacks]\n'gpt-4.1' = ['claude-sonnet-4-5']")
}

#[tokio::test]
async fn a_model_that_fails_half_way_is_charged_beside_the_one_that_takes_the_call_over() {
    let gateway = with_fallback().start().await;
    gateway.openai().script().push(chat_begun(100).cut());
    let usage = json!({"input_tokens": 1_000, "output_tokens": 100});
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn", "stop_sequence": null, "usage": usage});
    gateway.anthropic().script().push(Reply::json(200, &message));
    let answer = gateway.post("/tight/v1/chat/completions", &chat("ann")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "x-llm-gateway-provider")), (200, "anthropic"));
    // 1000 x 3 + 100 x 15, by a million, beside what the first one had written.
    assert_eq!(header(&answer, "x-llm-gateway-cost-usd"), "0.005384");
    let usage: Value = gateway.get("/v1/usage/tight?user=ann").send().await.unwrap().json().await.unwrap();
    assert_eq!(usage["windows"][0]["used_usd"], json!(0.005384));
    assert_eq!(usage["windows"][0]["remaining_usd"], json!(0.994616));
    let metrics = gateway.metrics().await;
    for line in [
        r#"{model="gpt-4.1",product="tight",provenance="estimated_partial",provider="openai"} 0.000884"#,
        r#"{model="claude-sonnet-4-5",product="tight",provenance="computed",provider="anthropic"} 0.0045"#,
    ] {
        assert!(metrics.contains(&format!("llm_gateway_cost_usd_total{line}")), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn a_stream_that_says_its_usage_and_an_error_at_once_is_charged_and_taken_over() {
    let gateway = with_fallback().start().await;
    let error = json!({"error": {"message": "overloaded", "type": "server_error", "code": null, "param": null},
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100}});
    gateway.openai().script().push(Reply::sse().event(&error.to_string()));
    let mut body = chat("ann");
    body["stream"] = json!(true);
    let answer = gateway.post("/tight/v1/chat/completions", &body).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "x-llm-gateway-provider")), (200, "anthropic"));
    answer.bytes().await.unwrap();
    let line = r#"{model="gpt-4.1",product="tight",provenance="estimated_partial",provider="openai"} 0.0028"#;
    let line = format!("llm_gateway_cost_usd_total{line}");
    wait::until("the call to be settled", || async { gateway.metrics().await.contains(&line).then_some(()) }).await;
}

#[tokio::test]
async fn a_dearer_model_that_takes_a_call_over_has_as_much_reserved_as_it_may_cost() {
    let gateway = with_fallback().start().await;
    let busy = json!({"error": {"message": "busy", "type": "server_error", "code": null, "param": null}});
    let mut body = chat("ann");
    (body["stream"], body["max_tokens"]) = (json!(true), json!(10_000));
    let mut left = Vec::new();
    for first in [Reply::simulated(), Reply::json(503, &busy)] {
        gateway.openai().script().push(first);
        let answer = gateway.post("/tight/v1/chat/completions", &body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        left.push(header(&answer, "x-ratelimit-remaining-usd").parse::<f64>().unwrap());
        answer.bytes().await.unwrap();
    }
    // 10,000 tokens at 8 dollars a million, and at 15.
    assert!(left[0] < 0.92 && left[0] > 0.91, "{left:?}");
    assert!(left[1] < 0.85 && left[1] > 0.84, "{left:?}");
    let all_is_given_back = || async {
        let usage: Value = gateway.get("/v1/usage/tight?user=ann").send().await.unwrap().json().await.unwrap();
        let window = &usage["windows"][0];
        let sum = window["used_usd"].as_f64().unwrap() + window["remaining_usd"].as_f64().unwrap();
        ((sum - 1.0).abs() < 1e-9).then_some(())
    };
    wait::until("what was reserved to be given back", all_is_given_back).await;
}

#[tokio::test]
async fn behind_an_open_breaker_nothing_stays_reserved() {
    let limits = r#"limits = [{ per = "user", usd = 0.01, window = "1h" }]"#;
    let gateway = TestGateway::builder()
        .product("tight", limits)
        .setting("limits.wait", "50ms")
        .setting("breaker.minimum_calls", "1")
        .start()
        .await;
    let broken = json!({"error": {"message": "broken", "type": "server_error", "code": null, "param": null}});
    gateway.openai().script().always(Reply::json(500, &broken));
    let mut body = chat("ann");
    // Two of these would be too much at one time.
    body["max_tokens"] = json!(1_000);
    let call = || async { gateway.post("/tight/v1/chat/completions", &body).send().await.unwrap() };
    wait::until("the breaker to open", || async { (call().await.status() == 503).then_some(()) }).await;
    let called = gateway.openai().requests().len();
    for stream in [false, true, false, true] {
        let mut body = body.clone();
        body["stream"] = json!(stream);
        let answer = gateway.post("/tight/v1/chat/completions", &body).send().await.unwrap();
        assert_eq!(answer.status(), 503);
        assert_eq!(header(&answer, "x-ratelimit-remaining-usd"), "0.01");
        assert_eq!(header(&answer, "x-llm-gateway-cost-usd"), "0.00");
    }
    assert_eq!(gateway.openai().requests().len(), called, "the breaker is open");
}

#[tokio::test]
async fn calls_under_way_are_settled_by_a_drain_whether_it_waits_for_them_or_not() {
    let limits = r#"limits = [{ per = "user", usd = 1, window = "1h" }]"#;
    for (grace, is_finished) in [("20s", true), ("100ms", false)] {
        let gateway = TestGateway::builder().product("tight", limits).setting("drain.grace", grace).start().await;
        let gate = Gate::new();
        gateway.openai().script().push(chat_begun(100).wait(&gate).chunk(
            r#""},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}}"#,
        ));
        let (body, inside) = (chat("ann"), gateway.state().gateway.clone());
        let call = gateway.post("/tight/v1/chat/completions", &body).send();
        let call = tokio::spawn(call);
        wait::until_true("the answer to begin", || inside.memory.held() > 500).await;
        if is_finished {
            gateway.begin_to_stop();
            gate.open();
            assert_eq!(call.await.unwrap().unwrap().status(), 200);
        }
        gateway.stop().await;

        let scope = Scope {
            product: "tight".into(),
            team: Payer::Team(TeamId(1)),
            end_user: EndUser::Named("ann".to_owned()),
            credential: String::new(),
        };
        let claims = inside.limiter.claims(&scope, &inside.config.load().products["tight"]);
        let stands = inside.limiter.headroom(&claims)[0];
        assert_eq!(stands.used.to_string(), if is_finished { "0.0028" } else { CUT }, "after {grace}");
        assert_eq!(stands.used + stands.remaining, stands.claim.limit, "after {grace}");
    }
}

#[tokio::test]
async fn a_whole_answer_that_is_all_there_costs_what_it_says_and_no_more() {
    let gateway = limited("1").await;
    let text = serde_json::to_string(&json!({"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4.1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": words(300)}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}}));
    let text = text.unwrap();
    let (one, other) = text.split_at(text.len() / 2);
    for reply in [begun(one).chunk(other.to_owned()), chat_answer()] {
        gateway.openai().script().push(reply);
        let answer = gateway.post("/tight/v1/chat/completions", &chat("ann")).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), header(&answer, "x-llm-gateway-cost-usd")), (200, "0.0028"));
    }
}
