//! What callers of streams are promised.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use llm_gateway::sandbox::{Gate, Reply, Sandbox};
use serde_json::{Value, json};

use crate::support::gateway::TestGateway;
use crate::support::wait;

/// A streamed call in each dialect, and the events of a short legal answer to it.
struct Case {
    name: &'static str,
    path: &'static str,
    body: fn() -> Value,
    events: &'static [&'static str],
}

const CASES: [Case; 4] = [
    Case {
        name: "chat",
        path: "/v1/chat/completions",
        body: || json!({"model": "gpt-4.1-mini", "stream": true, "messages": [{"role": "user", "content": "hi"}]}),
        events: &[
            "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
            "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one\"}}]}\n\n",
            "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
            "data: [DONE]\n\n",
        ],
    },
    Case {
        name: "responses",
        path: "/v1/responses",
        body: || json!({"model": "gpt-4.1-mini", "stream": true, "input": "hi"}),
        events: &[
            "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"r\"}}\n\n",
            "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"delta\":\"one\"}\n\n",
            "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":2,\"response\":{\"id\":\"r\"}}\n\n",
        ],
    },
    Case {
        name: "messages",
        path: "/v1/messages",
        body: || json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "hi"}]}),
        events: &[
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":1}}}\n\n",
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"one\"}}\n\n",
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        ],
    },
    Case {
        name: "gemini",
        path: "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
        body: || json!({"contents": [{"parts": [{"text": "hi"}]}]}),
        events: &[
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"one\"}]}}]}\r\n\r\n",
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"two\"}]},\"finishReason\":\"STOP\"}]}\r\n\r\n",
        ],
    },
];

#[tokio::test]
async fn the_first_event_reaches_the_caller_before_the_provider_sends_its_second() {
    let gateway = TestGateway::start().await;
    for case in CASES {
        let gate = Gate::new();
        let mut reply = Reply::sse().chunk(case.events[0]).wait(&gate);
        for event in &case.events[1..] {
            reply = reply.chunk(*event);
        }
        provider(&gateway, &case).script().push(reply);

        let answer = gateway.post(case.path, &(case.body)()).send().await.unwrap();
        let mut body = answer.bytes_stream();
        let first = wait::within("the first event", body.next()).await.unwrap().unwrap();
        assert_eq!(first, case.events[0].as_bytes(), "{}", case.name);

        gate.open();
        let mut rest = Vec::new();
        while let Some(piece) = body.next().await {
            rest.extend_from_slice(&piece.unwrap());
        }
        assert_eq!(String::from_utf8(rest).unwrap(), case.events[1..].concat(), "{}", case.name);
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_at_any_byte_ends_in_an_error_and_never_as_if_it_had_been_whole() {
    let gateway = TestGateway::builder().setting("breaker.minimum_calls", "1000000").start().await;
    for case in CASES {
        let whole = case.events.concat();
        // Behind the last event there is nothing left to lose.
        let last = whole.trim_end().len();
        for cut in (0..last).step_by(5).chain([last - 1]) {
            provider(&gateway, &case).script().push(Reply::sse().head().chunk(whole[..cut].to_owned()).cut());
            let answer = gateway.post(case.path, &(case.body)()).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{} cut at {cut}", case.name);
            let text = wait::within("the end of a cut stream", answer.text()).await.unwrap();
            assert!(text.starts_with(&whole[..cut]), "{} cut at {cut} lost bytes: {text}", case.name);
            assert!(text[cut..].contains("error"), "{} cut at {cut} ended without an error: {text}", case.name);
            for ending in ["[DONE]", "response.completed", "message_stop", "\"STOP\""] {
                assert!(!text[cut..].contains(ending), "{} cut at {cut} ended as if whole: {text}", case.name);
            }
        }
    }
}

#[tokio::test]
async fn a_stream_that_has_said_all_ends_whatever_then_becomes_of_the_connection() {
    let gateway = TestGateway::builder().setting("breaker.minimum_calls", "1").start().await;
    for case in CASES {
        let whole = case.events.concat();
        let endings = [Reply::sse().chunk(whole.clone()).cut(), Reply::sse().chunk(whole.clone()).stall()];
        // Google's streams do not say that they are over before their connection does.
        let endings = if case.name == "gemini" { &endings[..1] } else { &endings[..] };
        for reply in endings {
            provider(&gateway, &case).script().push(reply.clone());
            let answer = gateway.post(case.path, &(case.body)()).send().await.unwrap();
            let text = wait::within("the end of the stream", answer.text()).await.unwrap();
            assert_eq!(text, whole, "{}", case.name);
        }
    }
    let health = gateway.operators_json("/health/actors").await;
    assert!(health["breakers"].as_array().unwrap().iter().all(|breaker| breaker["state"] == "closed"), "{health}");
}

#[tokio::test]
async fn a_silent_provider_is_bridged_by_keepalives_before_and_between_its_events() {
    let gateway = TestGateway::builder().setting("stream.keepalive", "40ms").start().await;
    for (case, keepalive) in CASES.iter().zip([":", ":", "event: ping", "\n"]) {
        let (head, tail) = (Gate::new(), Gate::new());
        let reply = Reply::sse().wait(&head).chunk(case.events[0]).wait(&tail).chunk(case.events[1..].concat());
        provider(&gateway, case).script().push(reply);

        let answer = wait::within("the head", gateway.post(case.path, &(case.body)()).send()).await.unwrap();
        assert_eq!(answer.status(), 200, "{}", case.name);
        let mut body = answer.bytes_stream();
        let mut text = String::new();
        for (gate, until) in [(&head, case.events[0]), (&tail, case.events[case.events.len() - 1])] {
            let before = text.len();
            let quiet = wait::within("a keepalive", body.next()).await.unwrap().unwrap();
            text.push_str(std::str::from_utf8(&quiet).unwrap());
            assert!(text[before..].starts_with(keepalive), "{}: {:?} is no keepalive", case.name, &text[before..]);
            gate.open();
            while !text.contains(until) {
                text.push_str(std::str::from_utf8(&body.next().await.unwrap().unwrap()).unwrap());
            }
        }
        for event in case.events {
            assert!(text.contains(event), "{}: {event:?} is damaged in {text:?}", case.name);
        }
    }
}

#[tokio::test]
async fn a_provider_that_refuses_after_a_keepalive_ends_the_stream_with_its_error() {
    let gateway = TestGateway::builder().setting("stream.keepalive", "30ms").start().await;
    for case in &CASES {
        let gate = Gate::new();
        let error = json!({"error": {"message": "too much of it", "type": "invalid_request_error", "code": 400, "status": "INVALID_ARGUMENT"}, "type": "error"});
        let reply = Reply::status(400).header("content-type", "application/json").wait(&gate).body(error.to_string());
        provider(&gateway, case).script().push(reply);
        let answer = wait::within("the head", gateway.post(case.path, &(case.body)()).send()).await.unwrap();
        assert_eq!(answer.status(), 200);
        gate.open();
        let text = wait::within("the end", answer.text()).await.unwrap();
        assert!(text.contains("too much of it"), "{}: {text}", case.name);
    }
}

#[tokio::test]
async fn the_usage_chunk_goes_to_those_who_asked_for_it_only() {
    let gateway = TestGateway::start().await;
    let call = |options: Value| {
        let mut body =
            json!({"model": "gpt-4.1-mini", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
        if !options.is_null() {
            body["stream_options"] = options;
        }
        gateway.post("/v1/chat/completions", &body).send()
    };
    for (options, shown) in [
        (Value::Null, false),
        (json!({}), false),
        (json!({"include_usage": false}), false),
        (json!({"include_usage": true}), true),
    ] {
        let text = call(options.clone()).await.unwrap().text().await.unwrap();
        assert!(text.ends_with("data: [DONE]\n\n"), "{options}: {text}");
        assert_eq!(text.contains("\"prompt_tokens\""), shown, "{options}: {text}");
        let asked = gateway.openai().requests().pop().unwrap().json();
        assert_eq!(asked["stream_options"]["include_usage"], true, "{options} was not metered");
    }
}

#[tokio::test]
async fn an_upstream_that_must_not_be_asked_for_usage_gets_the_callers_bytes() {
    let gateway =
        TestGateway::builder().setting("providers.openai.upstreams.default.include_usage", "false").start().await;
    let body = "{\"model\":\"gpt-4.1-mini\", \"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";
    let request = gateway.request(reqwest::Method::POST, "/v1/chat/completions");
    request.header("content-type", "application/json").body(body).send().await.unwrap().text().await.unwrap();
    assert_eq!(gateway.openai().requests()[0].body, body.as_bytes());
}

#[tokio::test]
async fn a_caller_that_leaves_a_silent_provider_closes_its_connection_within_ten_milliseconds() {
    let gateway = TestGateway::start().await;
    for stream in [false, true] {
        for begun in [false, true] {
            let mut took = Vec::new();
            for _ in 0..7 {
                took.push(time_to_close(&gateway, stream, begun).await);
            }
            took.sort();
            // The median: a machine that is busy with something else may be late once.
            let median = took[took.len() / 2];
            assert!(median < Duration::from_millis(10), "stream: {stream}, begun: {begun}: closed after {took:?}");
        }
    }
}

/// How long after a caller's leaving the provider saw its connection close.
async fn time_to_close(gateway: &TestGateway, stream: bool, begun: bool) -> Duration {
    let sandbox = gateway.openai();
    let number = sandbox.requests().len();
    let heads = || first_bytes(gateway);
    let before = heads().await;
    let reply = if stream { Reply::sse() } else { Reply::status(200).header("content-type", "application/json") };
    sandbox.script().push(if begun { reply.head().chunk("{").stall() } else { reply.stall() });
    let body = json!({"model": "gpt-4.1-mini", "stream": stream, "messages": [{"role": "user", "content": "hi"}]});
    let mut caller = gateway.raw().await;
    let headers = format!("authorization: Bearer {}\r\ncontent-type: application/json\r\n", gateway.key());
    caller.post("/v1/chat/completions", &headers, &body.to_string()).await;
    sandbox.request(number).await;
    if begun {
        wait::until("the head to reach the gateway", || async { (heads().await > before).then_some(()) }).await;
    }

    let left = Instant::now();
    drop(caller);
    wait::within("the provider's connection to close", sandbox.left(number)).await.saturating_duration_since(left)
}

/// How many heads the gateway has had from OpenAI.
async fn first_bytes(gateway: &TestGateway) -> u64 {
    let name = "llm_gateway_upstream_first_byte_seconds_count{provider=\"openai\"} ";
    let metrics = gateway.metrics().await;
    metrics.lines().find_map(|line| line.strip_prefix(name)).map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn a_caller_that_left_is_counted_as_499_and_is_no_failure_of_the_provider() {
    let gateway = TestGateway::builder().setting("breaker.minimum_calls", "1").start().await;
    let sandbox = gateway.openai();
    sandbox.script().push(Reply::sse().stall());
    let body = json!({"model": "gpt-4.1-mini", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let mut caller = gateway.raw().await;
    let headers = format!("authorization: Bearer {}\r\ncontent-type: application/json\r\n", gateway.key());
    caller.post("/v1/chat/completions", &headers, &body.to_string()).await;
    sandbox.request(0).await;
    drop(caller);
    sandbox.left(0).await;

    let line = r#"llm_gateway_requests_total{endpoint="chat_completions",product="llm_gateway",provider="openai",status="499"} 1"#;
    wait::until("the call to be counted", || async { gateway.metrics().await.contains(line).then_some(()) }).await;
    let served = gateway.post("/v1/chat/completions", &(CASES[0].body)()).send().await.unwrap();
    assert_eq!(served.status(), 200, "the breaker took the caller's leaving for a failure");
}

#[tokio::test]
async fn a_product_may_have_the_rest_of_an_answer_read_when_its_caller_leaves() {
    let gateway = TestGateway::builder().product("thrifty", r#"on_hang_up = "drain""#).start().await;
    let sandbox = gateway.openai();
    let (event, rest) = (CASES[0].events[0], CASES[0].events[1..].concat());
    let gate = Gate::new();
    sandbox.script().push(Reply::sse().chunk(event).wait(&gate).chunk(rest));
    let mut caller = gateway.raw().await;
    let headers = format!("authorization: Bearer {}\r\ncontent-type: application/json\r\n", gateway.key());
    caller.post("/thrifty/v1/chat/completions", &headers, &(CASES[0].body)().to_string()).await;
    caller.hear("assistant").await;
    drop(caller);
    let none_open = r#"llm_gateway_active_streams{product="thrifty"} 0"#;
    wait::until("the leaving to be seen", || async { gateway.metrics().await.contains(none_open).then_some(()) }).await;
    gate.open();

    let line =
        r#"llm_gateway_requests_total{endpoint="chat_completions",product="thrifty",provider="openai",status="499"} 1"#;
    wait::until("the call to be counted", || async { gateway.metrics().await.contains(line).then_some(()) }).await;
    let seen = sandbox.request(0).await;
    assert!(seen.answered.is_some() && seen.peer_closed.is_none(), "the answer was not read to its end");
}

fn provider<'g>(gateway: &'g TestGateway, case: &Case) -> &'g Sandbox {
    match case.name {
        "messages" => gateway.anthropic(),
        "gemini" => gateway.gemini(),
        _ => gateway.openai(),
    }
}
