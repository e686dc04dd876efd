//! Spans for OpenTelemetry, read by a collector that is strict about OTLP's JSON.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use llm_gateway::sandbox::Reply;
use serde_json::{Value, json};

use crate::support::gateway::TestGateway;
use crate::support::posthog::{KEY, PostHog, property};
use crate::support::raw_upstream::RawUpstream;
use crate::support::wait;

/// What the collector was sent, span by span.
type Spans = Arc<Mutex<Vec<Value>>>;

async fn collector(status: u16) -> (RawUpstream, Spans) {
    let spans = Spans::default();
    let kept = Arc::clone(&spans);
    let upstream = RawUpstream::start(move |_, mut connection| {
        let kept = Arc::clone(&kept);
        async move {
            while let Some(request) = connection.request().await {
                assert!(request.head.starts_with("POST /v1/traces HTTP/1.1"), "{}", request.head);
                assert_eq!(request.header("content-type"), Some("application/json"));
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                kept.lock().unwrap().extend(read(&body));
                let answer = format!(
                    "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"
                );
                connection.send(answer.as_bytes()).await;
            }
        }
    })
    .await;
    (upstream, spans)
}

/// The spans of an `ExportTraceServiceRequest`, of which every field has to be known and of its type.
fn read(body: &Value) -> Vec<Value> {
    assert_keys(body, &["resourceSpans"], &[]);
    let mut spans = Vec::new();
    for resource in body["resourceSpans"].as_array().unwrap() {
        assert_keys(resource, &["resource", "scopeSpans"], &[]);
        assert_eq!(attributes(&resource["resource"])["service.name"], "llm-gateway");
        for scope in resource["scopeSpans"].as_array().unwrap() {
            assert_keys(scope, &["scope", "spans"], &[]);
            assert_eq!(scope["scope"]["name"], "llm-gateway");
            spans.extend(scope["spans"].as_array().unwrap().clone());
        }
    }
    for span in &spans {
        let needed =
            ["traceId", "spanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano", "attributes", "status"];
        assert_keys(span, &needed, &["parentSpanId"]);
        assert_id(&span["traceId"], 32);
        assert_id(&span["spanId"], 16);
        if let Some(parent) = span.get("parentSpanId") {
            assert_id(parent, 16);
        }
        let nanos = |name: &str| span[name].as_str().unwrap().parse::<u64>().unwrap();
        assert!(nanos("startTimeUnixNano") <= nanos("endTimeUnixNano"));
        assert_eq!(span["kind"], 3);
        attributes(span);
    }
    spans
}

fn assert_keys(value: &Value, needed: &[&str], allowed: &[&str]) {
    let object = value.as_object().unwrap();
    for name in needed {
        assert!(object.contains_key(*name), "{name} is missing: {value}");
    }
    for name in object.keys() {
        assert!(needed.contains(&name.as_str()) || allowed.contains(&name.as_str()), "{name} is unknown: {value}");
    }
}

fn assert_id(id: &Value, digits: usize) {
    let id = id.as_str().unwrap();
    let is_hex = id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    assert!(id.len() == digits && is_hex && id.bytes().any(|byte| byte != b'0'), "{id}");
}

/// Names and values, each name once, each value of one type.
fn attributes(of: &Value) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for attribute in of["attributes"].as_array().unwrap() {
        assert_keys(attribute, &["key", "value"], &[]);
        let value = attribute["value"].as_object().unwrap();
        assert_eq!(value.len(), 1, "{attribute}");
        let (kind, value) = value.iter().next().unwrap();
        let read = match kind.as_str() {
            "stringValue" => json!(value.as_str().unwrap()),
            // 64-bit numbers are text in protobuf's JSON.
            "intValue" => json!(value.as_str().unwrap().parse::<i64>().unwrap()),
            "doubleValue" => json!(value.as_f64().unwrap()),
            "boolValue" => json!(value.as_bool().unwrap()),
            "arrayValue" => {
                let values = value["values"].as_array().unwrap();
                values.iter().map(|one| one["stringValue"].clone()).collect()
            }
            other => panic!("{other} is no type of attribute"),
        };
        let name = attribute["key"].as_str().unwrap().to_owned();
        assert!(all.insert(name, read).is_none(), "{attribute} is there twice");
    }
    all
}

fn body() -> Value {
    json!({
        "model": "gpt-4.1-mini",
        "messages": [{"role": "user", "content": "Hello"}],
        "user": "ada",
        "temperature": 0.5,
        "max_tokens": 50,
    })
}

#[actix_rt::test]
async fn a_call_is_a_span_that_agrees_with_its_event() {
    let (upstream, spans) = collector(200).await;
    let posthog = PostHog::start();
    let gateway = TestGateway::builder()
        .env("LLM_GATEWAY_POSTHOG_API_KEY", KEY)
        .env("LLM_GATEWAY_POSTHOG_HOST", &posthog.url())
        .setting("analytics.flush_every", "10ms")
        .setting("telemetry.otlp_endpoint", &format!("http://{}", upstream.address()))
        .start()
        .await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = "00f067aa0ba902b7";
    let request =
        gateway.post("/v1/chat/completions", &body()).header("traceparent", format!("00-{trace}-{parent}-01"));
    assert_eq!(request.send().await.unwrap().status(), 200);
    wait::until_true("the span and the event", || spans.lock().unwrap().len() == 1 && posthog.taken() == 1).await;
    let (span, event) = (spans.lock().unwrap()[0].clone(), posthog.events()[0].clone());
    assert_eq!((&span["traceId"], &span["parentSpanId"]), (&json!(trace), &json!(parent)));
    assert_eq!((property(&event, "$ai_trace_id"), property(&event, "$ai_parent_id")), (&json!(trace), &json!(parent)));
    assert!(event.uuid.replace('-', "").ends_with(span["spanId"].as_str().unwrap()));
    assert_eq!(span["name"], "chat gpt-4.1-mini");
    let attributes = attributes(&span);
    for (name, value) in [
        ("gen_ai.operation.name", json!("chat")),
        ("gen_ai.provider.name", json!("openai")),
        ("gen_ai.request.model", json!("gpt-4.1-mini")),
        ("gen_ai.request.temperature", json!(0.5)),
        ("gen_ai.request.max_tokens", json!(50)),
        ("gen_ai.response.finish_reasons", json!(["stop"])),
        ("server.address", json!("127.0.0.1")),
        ("posthog.span_id", json!(event.uuid)),
    ] {
        assert_eq!(attributes.get(name), Some(&value), "{name}");
    }
    for (name, of_event) in [
        ("gen_ai.usage.input_tokens", "$ai_input_tokens"),
        ("gen_ai.usage.output_tokens", "$ai_output_tokens"),
        ("llm_gateway.cost_usd", "$ai_total_cost_usd"),
    ] {
        assert_eq!(attributes.get(name), Some(property(&event, of_event)), "{name}");
    }
    assert!(attributes.contains_key("server.port"));
    assert!(!span.to_string().contains("Hello"), "what was said is not in a span");
}

#[actix_rt::test]
async fn a_failure_is_a_span_with_its_kind() {
    let (upstream, spans) = collector(200).await;
    let endpoint = format!("http://{}", upstream.address());
    let gateway = TestGateway::builder().setting("telemetry.otlp_endpoint", &endpoint).start().await;
    let reply = Reply::status(500).body(json!({"error": {"message": "no", "type": "server_error"}}).to_string());
    gateway.openai().script().push(reply);
    assert!(gateway.post("/v1/chat/completions", &body()).send().await.unwrap().status().is_server_error());
    wait::until_true("the span", || spans.lock().unwrap().len() == 1).await;
    let span = spans.lock().unwrap()[0].clone();
    assert_eq!(span["status"]["code"], 2);
    assert!(attributes(&span)["error.type"].as_str().is_some_and(|kind| !kind.is_empty()));
}

#[actix_rt::test]
async fn a_collector_that_refuses_costs_its_spans_only() {
    let (upstream, _) = collector(400).await;
    let endpoint = format!("http://{}", upstream.address());
    let gateway = TestGateway::builder().setting("telemetry.otlp_endpoint", &endpoint).start().await;
    assert_eq!(gateway.post("/v1/chat/completions", &body()).send().await.unwrap().status(), 200);
    wait::until_true("the span to be given up", || gateway.state().gateway.analytics.standing().spans_dropped == 1)
        .await;
    let metrics = gateway.metrics().await;
    assert!(metrics.contains("llm_gateway_otlp_spans_total{result=\"dropped\"} 1"), "{metrics}");
}
