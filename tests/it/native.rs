//! Caller and provider of one dialect: the bytes pass as they are, both ways.

use llm_gateway::sandbox::{API_KEY, Reply, Sandbox};
use serde_json::{Value, json};

use crate::support::gateway::TestGateway;

/// One native call: where it goes, and an odd but legal body that nobody may tidy up.
struct Native {
    path: &'static str,
    body: &'static str,
    reached: &'static str,
}

/// Spaces, key order, numbers and fields that no codec knows: all of it has to arrive.
const WHOLE: [Native; 8] = [
    Native {
        path: "/v1/chat/completions",
        body: r#"{ "zeta":1e2,"messages" : [{"role":"user","content":"h\u00e9llo","x":null}] ,"model":"gpt-4.1-mini", "user":"u1"}"#,
        reached: "/v1/chat/completions",
    },
    Native {
        path: "/wizard/v1/chat/completions?beta=true",
        body: r#"{"model":"gpt-4.1-mini","messages":[{"content":"hi","role":"user"}],"a":{"b":[1.50,-0]}}"#,
        reached: "/v1/chat/completions?beta=true",
    },
    Native {
        path: "/v1/responses",
        body: "{\n  \"input\": \"hi\",\n  \"model\": \"gpt-4.1-mini\",\n  \"later\": {\"z\":1,\"a\":2}\n}\n",
        reached: "/v1/responses",
    },
    Native {
        path: "/v1/v1/messages?beta=true",
        body: r#"{"max_tokens":10,"messages":[{"role":"user","content":"hi"}],"model":"claude-sonnet-4-5","x_later":[{}]}"#,
        reached: "/v1/messages?beta=true",
    },
    Native {
        path: "/array/v1/messages/count_tokens",
        body: r#"{"messages":[{"role":"user","content":"hi"}],  "model":"claude-sonnet-4-5"}"#,
        reached: "/v1/messages/count_tokens",
    },
    Native {
        path: "/v1beta/models/gemini-2.5-pro:generateContent",
        body: r#"{"contents":[{"parts":[{"text":"hi"}],"role":"user"}], "later":{"z":1,"a":2}}"#,
        reached: "/v1beta/models/gemini-2.5-pro:generateContent",
    },
    Native {
        path: "/v1/models/gemini/gemini-2.5-pro:generateContent?key=phx_dev_local_test_api_key_1234567890abcdef&x=1",
        body: r#"{"contents":[{"parts":[{"text":"hi"}],"role":"user"}]}"#,
        reached: "/v1beta/models/gemini-2.5-pro:generateContent?x=1",
    },
    Native {
        path: "/django/v1beta/models/gemini-2.5-pro:countTokens",
        body: r#"{"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{}}"#,
        reached: "/v1beta/models/gemini-2.5-pro:countTokens",
    },
];

#[tokio::test]
async fn a_request_reaches_its_provider_to_the_byte_and_the_answer_comes_back_to_the_byte() {
    let gateway = TestGateway::start().await;
    for native in WHOLE {
        let sandbox = provider_of(&gateway, native.path);
        // No vendor writes like this, and every byte has to come through.
        let odd = "{ \"later\" : 1.00,\n\t\"usage\":null, \"object\":\"odd\" }";
        sandbox.script().push(Reply::status(200).header("content-type", "application/json").body(odd));
        let before = sandbox.requests().len();

        let answer = post(&gateway, native.path, native.body).await;

        assert_eq!(answer.status(), 200, "{}", native.path);
        assert_eq!(answer.headers()["content-type"], "application/json", "{}", native.path);
        assert_eq!(answer.text().await.unwrap(), odd, "{}", native.path);
        let seen = &sandbox.requests()[before];
        assert_eq!(seen.target, native.reached, "{}", native.path);
        assert_eq!(seen.body, native.body.as_bytes(), "{}", native.path);
    }
}

#[tokio::test]
async fn a_streams_bytes_come_back_as_they_were_in_every_dialect() {
    let gateway = TestGateway::start().await;
    let streams = [
        (
            "/v1/chat/completions",
            r#"{"model":"gpt-4.1-mini","stream":true, "stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}"#,
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"} }]}\n\n: odd\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n",
        ),
        (
            "/wizard/v1/responses",
            r#"{"model":"gpt-4.1-mini","stream":true,"input":"hi"}"#,
            "event: response.created\r\ndata: {\"type\":\"response.created\",\"response\":{}}\r\n\r\nevent: response.completed\r\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":null}}\r\n\r\n",
        ),
        (
            "/v1/messages",
            r#"{"model":"claude-sonnet-4-5","max_tokens":5,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#,
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3}}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        ),
        (
            "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
            r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#,
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"finishReason\":\"STOP\"}]}\r\n\r\n",
        ),
    ];
    for (path, body, stream) in streams {
        let sandbox = provider_of(&gateway, path);
        let before = sandbox.requests().len();
        // Borders in the middle of lines: nothing may depend on them.
        let mut reply = Reply::sse();
        for piece in stream.as_bytes().chunks(7) {
            reply = reply.chunk(piece.to_vec());
        }
        sandbox.script().push(reply);

        let answer = post(&gateway, path, body).await;

        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.text().await.unwrap(), stream, "{path}");
        assert_eq!(sandbox.requests()[before].body, body.as_bytes(), "{path}");
    }
}

#[tokio::test]
async fn a_gemini_stream_without_alt_sse_is_a_json_array_both_ways() {
    let gateway = TestGateway::start().await;
    let array = "[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\n,\r\n{\"candidates\":[{\"finishReason\":\"STOP\"}]}\n]\n";
    let mut reply = Reply::status(200).header("content-type", "application/json");
    for piece in array.as_bytes().chunks(11) {
        reply = reply.chunk(piece.to_vec());
    }
    gateway.gemini().script().push(reply);

    let path = "/v1beta/models/gemini-2.5-pro:streamGenerateContent";
    let answer = post(&gateway, path, r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#).await;

    assert_eq!(answer.text().await.unwrap(), array);
    assert_eq!(gateway.gemini().requests()[0].target, path);
}

#[tokio::test]
async fn an_alias_or_a_prefix_changes_the_models_name_and_nothing_else() {
    let gateway = TestGateway::start().await;
    for (asked, sent) in
        [("claude-3-5-sonnet", "claude-3-5-sonnet-20241022"), ("anthropic/claude-sonnet-4-5", "claude-sonnet-4-5")]
    {
        let body = |model: &str| {
            format!(
                "{{\"max_tokens\" :5, \"model\" : \"{model}\",\"messages\":[{{\"role\":\"user\",\"content\":\"model\"}}]}}"
            )
        };
        let answer = post(&gateway, "/v1/messages", &body(asked)).await;
        assert_eq!(answer.headers()["x-llm-gateway-model"], sent);
        let seen = gateway.anthropic().requests().pop().unwrap();
        assert_eq!(std::str::from_utf8(&seen.body).unwrap(), body(sent));
    }
}

#[tokio::test]
async fn a_query_cannot_change_what_the_gateway_reads_or_whose_account_is_used() {
    let gateway = TestGateway::start().await;
    let query = "alt=media&$alt=proto&fields=candidates&%66ields=x&access_token=ya29.x&userProject=p&$.xgafv=2&trace=1";
    let path = format!("/v1beta/models/gemini-2.5-pro:generateContent?{query}");
    let answer = post(&gateway, &path, r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(gateway.gemini().requests()[0].query(), "$.xgafv=2&trace=1");
}

#[tokio::test]
async fn a_member_that_decides_something_may_be_there_once_only() {
    let gateway = TestGateway::start().await;
    for (path, body, member) in [
        ("/v1/chat/completions", r#"{"model":"gpt-4.1","messages":[],"stream":false,"stream":true}"#, "stream"),
        ("/v1/responses", r#"{"model":"gpt-4.1","input":"hi","background":false,"background":true}"#, "background"),
        ("/v1/messages", r#"{"model":"claude-sonnet-4-5","messages":[],"max_tokens":1,"max_tokens":9}"#, "max_tokens"),
    ] {
        let refused = post(&gateway, path, body).await;
        assert_eq!(refused.status(), 400, "{path}");
        let error: Value = refused.json().await.unwrap();
        assert!(
            error["error"]["message"].as_str().unwrap().starts_with(&format!("{member} is there twice")),
            "{error}"
        );
    }
    assert!(gateway.openai().requests().is_empty() && gateway.anthropic().requests().is_empty());
}

#[tokio::test]
async fn the_callers_credential_never_goes_up_and_only_listed_headers_pass() {
    let gateway = TestGateway::start().await;
    let secret = gateway.key().to_owned();
    for native in WHOLE {
        let answer = gateway
            .client()
            .post(gateway.url(native.path))
            .bearer_auth(&secret)
            .header("x-api-key", "sk-some-default-of-an-sdk")
            .header("content-type", "application/json")
            .header("anthropic-beta", "context-1m-2025-08-07, interleaved-thinking-2025-05-14")
            .header("anthropic-version", "2023-06-01")
            .header("openai-organization", "org-secret")
            .header("openai-project", "proj-secret")
            .header("x-goog-user-project", "proj-secret")
            .header("cookie", "session=1")
            .header("x-forwarded-for", "10.0.0.1")
            .body(native.body)
            .send()
            .await
            .unwrap();
        assert!(!answer.headers().contains_key("set-cookie"), "{}", native.path);
        let sandbox = provider_of(&gateway, native.path);
        let seen = sandbox.requests().pop().unwrap();
        let head = String::from_utf8_lossy(&seen.head).to_ascii_lowercase();
        for never in
            [secret.as_str(), "sk-some-default", "org-secret", "proj-secret", "session=1", "10.0.0.1", "key=phx"]
        {
            assert!(!head.contains(never), "{never} went up on {}:\n{head}", native.path);
        }
        assert!(head.contains(API_KEY), "{} went up without the gateway's own credential", native.path);
        assert_eq!(seen.header("accept-encoding"), Some("identity"));
        if sandbox.kind() == llm_gateway::config::providers::Kind::Anthropic {
            let beta = "context-1m-2025-08-07, interleaved-thinking-2025-05-14";
            assert_eq!(seen.header("anthropic-beta"), Some(beta));
            assert_eq!(seen.header("anthropic-version"), Some("2023-06-01"));
        }
    }
}

#[tokio::test]
async fn what_the_provider_says_of_a_call_comes_back_and_what_it_says_of_its_account_does_not() {
    let gateway = TestGateway::start().await;
    let reply = Reply::json(200, &json!({"id": "x", "choices": []}))
        .header("x-request-id", "req_upstream")
        .header("x-ratelimit-remaining-tokens", "17")
        .header("openai-organization", "org-ours")
        .header("set-cookie", "__cf_bm=1; path=/")
        .header("server", "cloudflare");
    gateway.openai().script().push(reply);

    let answer = chat(&gateway).await;

    let headers = answer.headers();
    assert_eq!(headers["x-upstream-request-id"], "req_upstream");
    assert_eq!(headers["x-upstream-ratelimit-remaining-tokens"], "17");
    assert_eq!(headers["x-llm-gateway-provider"], "openai");
    assert_eq!(headers["x-llm-gateway-model"], "gpt-4.1-mini");
    assert_ne!(headers["x-request-id"], "req_upstream", "the request id is the gateway's own");
    for name in ["auth", "translate", "ttfb", "total"] {
        let timing = headers["server-timing"].to_str().unwrap();
        assert!(timing.contains(&format!("{name};dur=")), "{name} is missing in {timing}");
    }
    for never in ["openai-organization", "set-cookie", "server"] {
        assert!(!headers.contains_key(never), "{never} came back");
    }
}

#[tokio::test]
async fn calls_one_after_another_share_a_connection_to_the_provider() {
    let gateway = TestGateway::builder().setting("server.workers", "1").start().await;
    for _ in 0..20 {
        assert!(!chat(&gateway).await.text().await.unwrap().is_empty());
    }
    assert_eq!(gateway.openai().connections(), 1);
}

#[tokio::test]
async fn what_the_provider_keeps_is_refused_unless_the_product_says_stateful() {
    let gateway = TestGateway::builder().product("keeper", "stateful = true").start().await;
    let body = r#"{"model":"gpt-4.1-mini","input":"hi","previous_response_id":"resp_1"}"#;

    let refused = post(&gateway, "/v1/responses", body).await;
    assert_eq!(refused.status(), 400);
    let error: Value = refused.json().await.unwrap();
    assert_eq!(error["error"]["code"], "unsupported_parameter");
    assert_eq!(error["error"]["param"], "previous_response_id");
    assert!(gateway.openai().requests().is_empty());

    gateway.openai().script().push(Reply::json(200, &json!({"object": "response"})));
    assert_eq!(post(&gateway, "/keeper/v1/responses", body).await.status(), 200);

    let background = r#"{"model":"gpt-4.1-mini","input":"hi","background":true}"#;
    assert_eq!(post(&gateway, "/keeper/v1/responses", background).await.status(), 400);
}

#[tokio::test]
async fn a_product_serves_only_the_models_that_it_lists() {
    let gateway = TestGateway::builder().product("narrow", r#"models = ["gpt-4.1"]"#).start().await;
    let body = |model: &str| json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});

    let served = gateway.post("/narrow/v1/chat/completions", &body("gpt-4.1-mini")).send().await.unwrap();
    assert_eq!(served.status(), 200);
    let refused = gateway.post("/narrow/v1/chat/completions", &body("o3-mini")).send().await.unwrap();
    assert_eq!(refused.status(), 403);
    assert_eq!(refused.json::<Value>().await.unwrap()["error"]["code"], "model_not_allowed");

    let list: Value = gateway.get("/narrow/v1/models").send().await.unwrap().json().await.unwrap();
    let ids: Vec<&str> = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&"gpt-4.1-mini") && ids.iter().all(|id| id.starts_with("gpt-4.1")), "{ids:?}");
}

/// Whose sandbox a path leads to.
fn provider_of<'g>(gateway: &'g TestGateway, path: &str) -> &'g Sandbox {
    if path.contains("messages") {
        gateway.anthropic()
    } else if path.contains("/models/") {
        gateway.gemini()
    } else {
        gateway.openai()
    }
}

async fn post(gateway: &TestGateway, path: &str, body: &str) -> reqwest::Response {
    let request = gateway.request(reqwest::Method::POST, path).header("content-type", "application/json");
    request.body(body.to_owned()).send().await.unwrap()
}

async fn chat(gateway: &TestGateway) -> reqwest::Response {
    let body = json!({"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "hi"}]});
    gateway.post("/v1/chat/completions", &body).send().await.unwrap()
}
