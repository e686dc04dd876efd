//! What PostHog hears of calls: one event each, with what was asked, said, taken and paid.

use futures_util::StreamExt as _;
use llm_gateway::sandbox::{Gate, Reply};
use serde_json::{Map, Value, json};

use crate::support::gateway::{Builder, TestGateway};
use crate::support::keys::{NewUser, SCOPE};
use crate::support::postgres::TestDatabase;
use crate::support::posthog::{Event, KEY, PostHog};
use crate::support::wait;

/// A small picture, as base64 has it.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const MESSAGES: &str = "/v1/messages";

/// The providers' models, by provider.
const MODELS: [(&str, &str); 3] =
    [("openai", "gpt-4.1-mini"), ("anthropic", "claude-sonnet-4-6"), ("gemini", "gemini-2.5-flash")];

fn builder(posthog: &PostHog) -> Builder {
    TestGateway::builder()
        .env("LLM_GATEWAY_POSTHOG_API_KEY", KEY)
        .env("LLM_GATEWAY_POSTHOG_HOST", &posthog.url())
        .setting("analytics.flush_every", "10ms")
}

async fn start() -> (PostHog, TestGateway) {
    let posthog = PostHog::start();
    let gateway = builder(&posthog).start().await;
    (posthog, gateway)
}

/// The event of the only call that has been made since there were `before` events.
async fn after(posthog: &PostHog, before: usize) -> Event {
    wait::until_true("PostHog's event", || generations(posthog).len() > before).await;
    let events = generations(posthog);
    assert_eq!(events.len(), before + 1, "one call is one event");
    events[before].clone()
}

fn generations(posthog: &PostHog) -> Vec<Event> {
    posthog.events().into_iter().filter(|event| event.event == "$ai_generation").collect()
}

async fn only(posthog: &PostHog) -> Map<String, Value> {
    after(posthog, 0).await.properties
}

fn chat(content: &Value) -> Value {
    json!({"model": "gpt-4.1-mini", "user": "ann", "messages": [{"role": "user", "content": content}]})
}

fn hello() -> Value {
    chat(&json!("Hello"))
}

/// A request in each dialect that makes the sandbox say `said`, its path, and how its messages are told.
fn request(dialect: &str, model: &str, stream: bool, said: &str) -> (String, Value, Value) {
    let prompt = format!("[[sandbox:say={said}]]");
    let told = json!([{"role": "user", "content": prompt}]);
    let mut body = match dialect {
        "chat" => json!({"messages": told, "user": "ann"}),
        "responses" => json!({"input": told, "user": "ann"}),
        "messages" => json!({"messages": told, "max_tokens": 50, "metadata": {"user_id": "ann"}}),
        _ => json!({"contents": [{"role": "user", "parts": [{"text": prompt}]}]}),
    };
    let path = match (dialect, stream) {
        ("chat", _) => CHAT.to_owned(),
        ("responses", _) => RESPONSES.to_owned(),
        ("messages", _) => MESSAGES.to_owned(),
        ("gemini array", _) => format!("/v1beta/models/{model}:streamGenerateContent"),
        (_, true) => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
        (_, false) => format!("/v1beta/models/{model}:generateContent"),
    };
    if dialect.starts_with("gemini") {
        return (path, body, json!([{"role": "user", "content": [{"type": "text", "text": prompt}]}]));
    }
    body["model"] = json!(model);
    if stream {
        body["stream"] = json!(true);
    }
    (path, body, told)
}

#[tokio::test]
async fn every_dialect_over_every_provider_is_told_whole_and_streamed() {
    let (posthog, gateway) = start().await;
    let mut calls = 0;
    for (provider, model) in MODELS {
        for (dialect, streams) in [
            ("chat", &[false, true][..]),
            ("responses", &[false, true]),
            ("messages", &[false, true]),
            ("gemini", &[false, true]),
            ("gemini array", &[true]),
        ] {
            for &stream in streams {
                let (path, body, input) = request(dialect, model, stream, "Hello from afar");
                let answer = gateway.post(&path, &body).header("x-posthog-distinct-id", "ann").send().await.unwrap();
                assert_eq!(answer.status(), 200, "{path}");
                answer.bytes().await.unwrap();
                let event = after(&posthog, calls).await;
                calls += 1;
                let told = &event.properties;
                let case = format!("{dialect} over {provider}, stream: {stream}: {told:?}");
                assert_eq!(event.distinct_id, "ann", "{case}");
                assert_eq!(told["$ai_input"], input, "{case}");
                assert_eq!(
                    told["$ai_output_choices"],
                    json!([{"role": "assistant", "content": [{"type": "text", "text": "Hello from afar"}]}]),
                    "{case}"
                );
                assert_eq!(told["$ai_provider"], provider, "{case}");
                assert_eq!(told["$ai_model"], model, "{case}");
                assert_eq!(told["$ai_stream"], stream, "{case}");
                assert_eq!(told["$ai_http_status"], 200, "{case}");
                assert_eq!(told["$ai_trace_id"], "ann", "{case}");
                assert_eq!(told["llm_gateway_cost_provenance"], "computed", "{case}");
                for name in [
                    "$ai_input_tokens",
                    "$ai_output_tokens",
                    "$ai_total_cost_usd",
                    "$ai_latency",
                    "llm_gateway_overhead",
                ] {
                    assert!(told[name].as_f64().is_some_and(|number| number > 0.0), "{name}: {case}");
                }
                let cost = |name: &str| told[name].as_f64().unwrap();
                let sum = cost("$ai_input_cost_usd") + cost("$ai_output_cost_usd");
                assert!((sum - cost("$ai_total_cost_usd")).abs() < 1e-12, "{case}");
                assert_eq!(told.contains_key("$ai_time_to_first_token"), stream, "{case}");
                assert!(told["$ai_stop_reason"].is_string(), "{case}");
                assert!(told["$ai_request_url"].as_str().unwrap().starts_with(told["$ai_base_url"].as_str().unwrap()));
                assert!(!told.contains_key("$ai_is_error"), "{case}");
            }
        }
    }
    assert_eq!(calls, 27);
}

#[tokio::test]
async fn a_picture_leaves_none_of_its_bytes_in_the_event() {
    let (posthog, gateway) = start().await;
    let picture = json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PNG}")}});
    let body = chat(&json!([picture, {"type": "text", "text": "What is it?"}]));
    gateway.post(CHAT, &body).send().await.unwrap();
    let told = only(&posthog).await;
    assert_eq!(
        told["$ai_input"][0]["content"],
        json!([{"type": "image", "media_type": "image/png", "size_bytes": 70}, {"type": "text", "text": "What is it?"}])
    );
    assert!(!Value::Object(told).to_string().contains(&PNG[..16]));
}

#[tokio::test]
async fn a_call_that_fails_before_a_provider_is_told_with_its_fault() {
    let (posthog, gateway) = start().await;
    for (calls, (body, status, code, input)) in [
        ("{\"model\": \"gpt-4.1-mini\", \"messages\": [", 400, "invalid_json", Value::Null),
        ("{\"model\": \"gpt-4.1-mini\"}", 400, "missing_required_parameter", json!([])),
        (
            "{\"model\": \"nobodys-model\", \"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}",
            400,
            "model_not_found",
            json!([{"role": "user", "content": "hi"}]),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = gateway.request(reqwest::Method::POST, CHAT).header("content-type", "application/json").body(body);
        assert_eq!(answer.send().await.unwrap().status(), status, "{body}");
        let told = after(&posthog, calls).await.properties;
        assert_eq!(told["$ai_is_error"], true, "{body}");
        assert_eq!(told["$ai_http_status"], status, "{body}");
        assert_eq!(told["llm_gateway_error_code"], code, "{body}");
        assert_eq!(told.get("$ai_input").unwrap_or(&Value::Null), &input, "{body}");
        assert!(!told.contains_key("$ai_provider") && !told.contains_key("$ai_total_cost_usd"), "{body}: {told:?}");
    }
}

#[tokio::test]
async fn a_providers_failure_is_told_and_costs_nothing() {
    let (posthog, gateway) = start().await;
    for (calls, status) in [400_u16, 429, 500, 529].into_iter().enumerate() {
        let said = json!(format!("[[sandbox:error={status}]]"));
        let mut body = chat(&said);
        body["model"] = json!("claude-sonnet-4-6");
        let answer = gateway.post(CHAT, &body).send().await.unwrap();
        let seen = answer.status().as_u16();
        let told = after(&posthog, calls).await.properties;
        assert_eq!((&told["$ai_is_error"], &told["$ai_http_status"]), (&json!(true), &json!(seen)));
        assert_eq!(told["$ai_provider"], "anthropic");
        assert!(told["$ai_error"].as_str().is_some_and(|error| !error.is_empty()));
        assert_eq!(told["$ai_total_cost_usd"], 0.0);
        assert_eq!(told["$ai_input"], json!([{"role": "user", "content": said}]));
        assert_eq!(told["$ai_output_choices"], json!([]));
    }
}

#[tokio::test]
async fn a_stream_that_breaks_is_told_as_far_as_it_went() {
    let (posthog, gateway) = start().await;
    for (calls, (provider, model)) in MODELS.into_iter().enumerate() {
        let mut body = chat(&json!("[[sandbox:words=40]][[sandbox:cut]]"));
        body["model"] = json!(model);
        body["stream"] = json!(true);
        let text = gateway.post(CHAT, &body).send().await.unwrap().text().await.unwrap();
        assert!(text.contains("error"), "{provider}");
        let told = after(&posthog, calls).await.properties;
        assert_eq!((&told["$ai_is_error"], &told["$ai_http_status"]), (&json!(true), &json!(200)), "{provider}");
        assert_eq!(told["llm_gateway_cost_provenance"], "estimated_partial", "{provider}");
        let said = told["$ai_output_choices"][0]["content"][0]["text"].as_str().unwrap();
        assert!(!said.is_empty(), "{provider}");
    }
}

#[tokio::test]
async fn a_caller_that_leaves_is_told_with_what_it_had_got() {
    let posthog = PostHog::start();
    let gateway = builder(&posthog).product("thrifty", r#"on_hang_up = "drain""#).start().await;
    let chunk = |content: &str| {
        let chunk =
            json!({"id": "c", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {"content": content}}]});
        format!("data: {chunk}\n\n")
    };
    for (calls, (path, said)) in
        [("/v1/chat/completions", "one"), ("/thrifty/v1/chat/completions", "one two")].into_iter().enumerate()
    {
        let gate = Gate::new();
        let end = json!({"id": "c", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
        let usage = json!({"id": "c", "created": 1, "model": "m", "choices": [],
            "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}});
        let reply = Reply::sse()
            .chunk(chunk("one"))
            .wait(&gate)
            .chunk(chunk(" two"))
            .chunk(format!("data: {end}\n\ndata: {usage}\n\ndata: [DONE]\n\n"));
        gateway.openai().script().push(reply);
        let mut body = hello();
        body["stream"] = json!(true);
        let mut answer =
            gateway.client().post(gateway.url(path)).bearer_auth(gateway.key()).json(&body).send().await.unwrap();
        assert!(answer.chunk().await.unwrap().is_some());
        drop(answer);
        if path.starts_with("/thrifty") {
            let drains = &gateway.state().gateway.drains;
            wait::until_true("the answer to be read on", || drains.available_permits() < 256).await;
        } else {
            gateway.openai().left(calls).await;
        }
        gate.open();
        let told = after(&posthog, calls).await.properties;
        assert_eq!((&told["$ai_http_status"], &told["$ai_is_error"]), (&json!(499), &json!(true)), "{path}");
        assert_eq!(told["llm_gateway_error_code"], "caller_left", "{path}");
        assert_eq!(told["$ai_output_choices"][0]["content"][0]["text"], said, "{path}");
        assert_eq!(told.contains_key("$ai_input_tokens"), path.starts_with("/thrifty"), "{path}: {told:?}");
    }
}

#[tokio::test]
async fn refusals_by_limit_or_right_and_counts_are_no_generations() {
    let posthog = PostHog::start();
    let gateway = builder(&posthog)
        .product("poor", r#"limits = [{ per = "user", usd = 0.0000001, window = "1h" }]"#)
        .product("narrow", r#"models = ["claude-"]"#)
        .product("keyless", "api_keys = false")
        .setting("limits.wait", "1ms")
        .start()
        .await;
    let first = gateway.post("/poor/v1/chat/completions", &hello()).send().await.unwrap();
    assert_eq!(first.status(), 200);
    assert_eq!(only(&posthog).await["ai_product"], "poor");
    for (path, body, status) in [
        ("/poor/v1/chat/completions", hello(), 429),
        ("/narrow/v1/chat/completions", hello(), 403),
        ("/keyless/v1/chat/completions", hello(), 403),
        ("/nobody/v1/chat/completions", hello(), 404),
        (
            "/v1/messages/count_tokens",
            json!({"model": "claude-sonnet-4-6", "messages": [{"role": "user", "content": "hi"}]}),
            200,
        ),
    ] {
        assert_eq!(gateway.post(path, &body).send().await.unwrap().status(), status, "{path}");
    }
    let unknown = gateway.client().post(gateway.url(CHAT)).bearer_auth("phx_nobody").json(&hello());
    assert_eq!(unknown.send().await.unwrap().status(), 401);
    gateway.post(CHAT, &hello()).send().await.unwrap();
    assert_eq!(after(&posthog, 1).await.properties["ai_product"], "llm_gateway");
}

#[tokio::test]
async fn products_and_callers_say_how_much_is_told() {
    let posthog = PostHog::start();
    let gateway = builder(&posthog)
        .product("counted", r#"capture = "metadata""#)
        .product("silent", r#"capture = "off""#)
        .start()
        .await;
    let secret = chat(&json!("[[sandbox:say=the answer]] my secret"));
    let refused = chat(&json!("[[sandbox:error=400]] my secret"));
    gateway.post("/silent/v1/chat/completions", &secret).send().await.unwrap();
    for (calls, (path, body, private, capture)) in [
        ("/counted/v1/chat/completions", &secret, "", "metadata"),
        ("/counted/v1/chat/completions", &refused, "", "metadata"),
        (CHAT, &secret, "TRUE", "private"),
        (CHAT, &refused, "true", "private"),
        (CHAT, &secret, "false", "full"),
    ]
    .into_iter()
    .enumerate()
    {
        gateway.post(path, body).header("x-posthog-privacy-mode", private).send().await.unwrap();
        let told = after(&posthog, calls).await.properties;
        assert_eq!(told["llm_gateway_capture"], capture);
        let text = Value::Object(told.clone()).to_string();
        assert_eq!(text.contains("my secret"), capture == "full", "{text}");
        assert_eq!(text.contains("the answer"), capture == "full", "{text}");
        if body == &secret {
            assert!(told["$ai_input_tokens"].as_u64().is_some_and(|tokens| tokens > 0));
        }
    }
}

#[tokio::test]
async fn headers_speak_of_the_event() {
    let (posthog, gateway) = start().await;
    gateway
        .post(CHAT, &hello())
        .header("X-PostHog-Trace-Id", "trace-1")
        .header("X-PostHog-Session-Id", "session-1")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header("X-PostHog-Property-Feature", "replay")
        .header("X-PostHog-Property-$ai_model", "a lie")
        .header("X-PostHog-Flag-beta", "test")
        .header("x-request-id", "request-1")
        .send()
        .await
        .unwrap();
    let told = only(&posthog).await;
    for (name, value) in [
        ("$ai_trace_id", "trace-1"),
        ("$ai_session_id", "session-1"),
        ("$ai_parent_id", "b7ad6b7169203331"),
        ("feature", "replay"),
        ("$feature/beta", "test"),
        ("$ai_model", "gpt-4.1-mini"),
        ("llm_gateway_request_id", "request-1"),
    ] {
        assert_eq!(told[name], value, "{name}");
    }
}

#[tokio::test]
async fn claude_codes_blob_is_its_account_and_its_session() {
    let (posthog, gateway) = start().await;
    let blob = json!({"device_id": "device", "account_uuid": "account", "session_id": "session"}).to_string();
    let body = json!({"model": "claude-sonnet-4-6", "max_tokens": 20, "metadata": {"user_id": blob},
        "messages": [{"role": "user", "content": "hi"}]});
    gateway.post(MESSAGES, &body).send().await.unwrap();
    let event = after(&posthog, 0).await;
    assert_eq!(event.distinct_id, "account");
    assert_eq!(event.properties["$ai_session_id"], "session");
    assert!(uuid::Uuid::parse_str(event.properties["$ai_trace_id"].as_str().unwrap()).is_ok());
}

#[tokio::test]
async fn keys_that_are_listed_attribute_events_to_other_teams() {
    let (posthog, gateway) = start().await;
    for (calls, (header, value, team)) in [
        ("x-posthog-property-team_id", "42", 42),
        ("x-posthog-team-id", "43", 43),
        ("x-posthog-property-team_id", "no team", 1),
        ("x-posthog-property-team_id", "-7", 1),
        ("x-posthog-property-other", "42", 1),
    ]
    .into_iter()
    .enumerate()
    {
        gateway.post(CHAT, &hello()).header(header, value).send().await.unwrap();
        let told = after(&posthog, calls).await.properties;
        assert_eq!(
            (&told["team_id"], &told["$groups"]),
            (&json!(team), &json!({"project": team})),
            "{header}: {value}"
        );
    }
    // What was spent is the key's own team's.
    let spent: Value = gateway.get("/v1/usage/llm_gateway?user=ann").send().await.unwrap().json().await.unwrap();
    assert!(spent["windows"][1]["used_usd"].as_f64().is_some_and(|used| used > 0.0), "{spent}");
    assert!(gateway.metrics().await.contains(r#"team="1""#) && !gateway.metrics().await.contains(r#"team="42""#));
}

#[tokio::test]
async fn the_header_of_any_other_key_says_nothing() {
    let posthog = PostHog::start();
    let database = TestDatabase::create();
    let user = NewUser::default().team(5).distinct_id("owner").create(&database).await;
    let key = user.api_key(&database, &[SCOPE]).await;
    let gateway = builder(&posthog).database(&database).key(&key).start().await;
    gateway.post(CHAT, &hello()).header("x-posthog-property-team_id", "42").send().await.unwrap();
    let told = only(&posthog).await;
    assert_eq!((&told["team_id"], &told["$groups"]), (&json!(5), &json!({"project": 5})));
}

#[tokio::test]
async fn a_stream_that_is_too_long_to_be_kept_is_told_by_its_beginning() {
    let posthog = PostHog::start();
    let gateway = builder(&posthog).setting("analytics.stream_bytes", "4096").start().await;
    let mut body = chat(&json!("[[sandbox:words=500]]"));
    body["stream"] = json!(true);
    let answer = gateway.post(CHAT, &body).send().await.unwrap();
    let size: usize = answer.bytes_stream().map(|piece| piece.unwrap().len()).collect::<Vec<_>>().await.iter().sum();
    assert!(size > 8192);
    let told = only(&posthog).await;
    assert_eq!(told["llm_gateway_output_incomplete"], true);
    assert!(told["$ai_output_choices"][0]["content"][0]["text"].as_str().is_some_and(|text| !text.is_empty()));
    assert!(told["$ai_output_tokens"].as_u64().is_some_and(|tokens| tokens > 100), "usage is known all the same");
}
