//! Events as PostHog gets them.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix_http::header::{HeaderName, HeaderValue};
use bytes::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Writer;
use crate::analytics::generation::{
    Answer, Asked, Content, End, Extent, Failure, Generation, Preference, Served, Timings,
};
use crate::auth::principal::{Credential, Principal};
use crate::auth::scope::Scopes;
use crate::catalog::cost::{Cost, Parts, Provenance};
use crate::dialect::seen::Seen;
use crate::dialect::{Delivery, Dialect};
use crate::ids::{ModelId, ProductName, ProviderName, RequestId, TeamId, UserId};
use crate::ir::{Opaque, Usage};
use crate::money::NanoUsd;

mod belonging;
mod input;
mod output;
mod size;

/// The event of a call.
fn event(call: &Generation) -> Vec<u8> {
    let mut writer = Writer::default();
    let event = writer.event(call).to_vec();
    // What is remembered of it is the same again.
    assert_eq!(writer.event(call), event);
    event
}

/// A call that went well and said nothing.
fn generation(dialect: Dialect) -> Generation {
    let provider = match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses => "openai",
        Dialect::Anthropic => "anthropic",
        Dialect::Gemini => "gemini",
    };
    Generation {
        uuid: Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001),
        timestamp: SystemTime::UNIX_EPOCH + Duration::from_millis(1_764_000_000_123),
        request_id: RequestId::from("req-1"),
        product: ProductName::from("wizard"),
        caller: Arc::new(Principal {
            user: UserId(7),
            team: Some(TeamId(3)),
            distinct_id: Some("owner@example.com".to_owned()),
            credential: Credential::ApiKey { id: "k1".to_owned() },
            scopes: Scopes::from_text("*"),
        }),
        team: Some(TeamId(3)),
        asked: Asked { model: Some("model-asked".to_owned()), ..Asked::default() },
        headers: Vec::new(),
        dialect,
        delivery: Delivery::Whole,
        served: Some(Served {
            provider: ProviderName::from(provider),
            model: ModelId::from("model-served"),
            dialect,
            delivery: Delivery::Whole,
            base_url: Some("https://api.example.com/v1".parse().unwrap()),
            ignored: None,
            choice: Preference::First,
        }),
        end: End { status: 200, failure: None },
        seen: Seen::default(),
        cost: None,
        timings: Timings { latency: Duration::from_millis(1500), ..Timings::default() },
        content: Content::Metadata,
    }
}

/// The same with a body and a whole answer.
fn whole(dialect: Dialect, request: &Value, answer: &Value) -> Generation {
    let (request, answer) = (request.to_string(), Answer::Whole(answer.to_string().into()));
    Generation { content: Content::Held { request: request.into(), answer }, ..generation(dialect) }
}

/// The same with an answer in pieces that are cut anywhere.
fn streamed(dialect: Dialect, delivery: Delivery, request: &Value, stream: &str) -> Generation {
    let pieces = stream.as_bytes().chunks(11).map(Bytes::copy_from_slice).collect();
    let answer = Answer::Stream { pieces, extent: Extent::Complete };
    let content = Content::Held { request: request.to_string().into(), answer };
    Generation { content, delivery, ..generation(dialect) }
}

/// Server-sent events.
fn sse(events: &[Value]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

fn with_headers(mut generation: Generation, headers: &[(&str, &[u8])]) -> Generation {
    generation.headers = headers
        .iter()
        .map(|(name, value)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value).unwrap())
        })
        .collect();
    generation
}

fn read(generation: &Generation) -> Value {
    serde_json::from_slice(&event(generation)).unwrap()
}

fn properties(generation: &Generation) -> Value {
    read(generation)["properties"].take()
}

/// Some members of an object.
fn picked(object: &Value, names: &[&str]) -> Value {
    names
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), object.get(*name)?.clone())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[test]
fn an_event_has_what_the_batch_endpoint_asks_for() {
    let event = read(&generation(Dialect::OpenAiChat));
    assert_eq!(
        picked(&event, &["uuid", "event", "distinct_id", "timestamp"]),
        json!({
            "uuid": "01920000-0000-7000-8000-000000000001",
            "event": "$ai_generation",
            "distinct_id": "owner@example.com",
            "timestamp": "2025-11-24T16:00:00.123Z",
        })
    );
}

#[test]
fn numbers_alone_are_told_where_only_metadata_is_captured() {
    let mut call = generation(Dialect::OpenAiChat);
    call.seen.usage = Some(Usage { input: Some(12), output: Some(5), ..Usage::default() });
    call.asked.temperature = Some(0.5);
    call.asked.max_output_tokens = Some(100);
    let told = properties(&call);
    assert_eq!(
        told,
        json!({
            "$lib": "llm-gateway",
            "$lib_version": env!("CARGO_PKG_VERSION"),
            "$ai_lib": "llm-gateway",
            "$ai_lib_version": env!("CARGO_PKG_VERSION"),
            "ai_product": "wizard",
            "team_id": 3,
            "$groups": {"project": 3},
            "$ai_trace_id": "01920000-0000-7000-8000-000000000001",
            "$ai_span_id": "01920000-0000-7000-8000-000000000001",
            "$ai_model": "model-served",
            "$ai_span_name": "chat model-served",
            "llm_gateway_model_asked": "model-asked",
            "$ai_provider": "openai",
            "$ai_base_url": "https://api.example.com/v1",
            "$ai_request_url": "https://api.example.com/v1/chat/completions",
            "llm_gateway_fallback_used": false,
            "$ai_stream": false,
            "$ai_temperature": 0.5,
            "$ai_max_tokens": 100,
            "$ai_tokens_source": "sdk",
            "$ai_input_tokens": 12,
            "$ai_cache_reporting_exclusive": false,
            "$ai_output_tokens": 5,
            "$ai_latency": 1.5,
            "$ai_http_status": 200,
            "llm_gateway_request_id": "req-1",
            "llm_gateway_capture": "metadata",
        })
    );
}

#[test]
fn tokens_are_counted_as_the_callers_dialect_counts_them() {
    let usage = Usage {
        input: Some(100),
        cache_read: Some(60),
        cache_write_5m: Some(10),
        cache_write_1h: Some(5),
        output: Some(50),
        reasoning: Some(20),
        web_searches: Some(2),
        original: Some(Opaque::new(Dialect::OpenAiChat, json!({"as": "it came"}))),
        ..Usage::default()
    };
    for (dialect, input, output, exclusive) in [
        (Dialect::OpenAiChat, 100, 50, false),
        (Dialect::OpenAiResponses, 100, 50, false),
        (Dialect::Anthropic, 25, 50, true),
        (Dialect::Gemini, 100, 30, false),
    ] {
        let mut call = generation(dialect);
        call.seen.usage = Some(usage.clone());
        let told = properties(&call);
        let counts = [
            "$ai_input_tokens",
            "$ai_output_tokens",
            "$ai_cache_reporting_exclusive",
            "$ai_cache_read_input_tokens",
            "$ai_cache_creation_input_tokens",
            "$ai_reasoning_tokens",
            "$ai_web_search_count",
            "$ai_usage",
        ];
        assert_eq!(
            picked(&told, &counts),
            json!({
                "$ai_input_tokens": input,
                "$ai_output_tokens": output,
                "$ai_cache_reporting_exclusive": exclusive,
                "$ai_cache_read_input_tokens": 60,
                "$ai_cache_creation_input_tokens": 15,
                "$ai_reasoning_tokens": 20,
                "$ai_web_search_count": 2,
                "$ai_usage": {"as": "it came"},
            }),
            "{dialect}"
        );
    }
}

#[test]
fn what_no_provider_said_is_not_told() {
    let told = properties(&generation(Dialect::Anthropic));
    for name in ["$ai_input_tokens", "$ai_output_tokens", "$ai_total_cost_usd", "$ai_stop_reason", "$ai_is_error"] {
        assert_eq!(told.get(name), None, "{name}");
    }
}

#[test]
fn costs_are_told_apart_and_add_up() {
    let mut call = generation(Dialect::OpenAiChat);
    let parts = Parts { input: NanoUsd(1_500), output: NanoUsd(2_000_000), searches: NanoUsd(10_000_000) };
    call.cost = Some(Cost { amount: parts.sum(), parts: Some(parts), provenance: Provenance::Computed });
    let told = properties(&call);
    let costs = [
        "$ai_input_cost_usd",
        "$ai_output_cost_usd",
        "$ai_web_search_cost_usd",
        "$ai_total_cost_usd",
        "llm_gateway_cost_provenance",
    ];
    assert_eq!(
        picked(&told, &costs),
        json!({
            "$ai_input_cost_usd": 0.0000015,
            "$ai_output_cost_usd": 0.002,
            "$ai_web_search_cost_usd": 0.01,
            "$ai_total_cost_usd": 0.0120015,
            "llm_gateway_cost_provenance": "computed",
        })
    );
    call.cost = Some(Cost { amount: NanoUsd(7), parts: None, provenance: Provenance::Default });
    assert_eq!(
        picked(&properties(&call), &costs),
        json!({"$ai_total_cost_usd": 0.000_000_007, "llm_gateway_cost_provenance": "default"})
    );
}

#[test]
fn times_are_in_seconds() {
    let mut call = generation(Dialect::OpenAiChat);
    call.delivery = Delivery::Events;
    call.timings = Timings {
        latency: Duration::from_millis(2500),
        first_token: Some(Duration::from_millis(250)),
        overhead: Some(Duration::from_micros(125)),
    };
    assert_eq!(
        picked(&properties(&call), &["$ai_latency", "$ai_time_to_first_token", "llm_gateway_overhead", "$ai_stream"]),
        json!({
            "$ai_latency": 2.5,
            "$ai_time_to_first_token": 0.25,
            "llm_gateway_overhead": 0.000_125,
            "$ai_stream": true,
        })
    );
}

#[test]
fn the_address_is_that_of_the_providers_dialect() {
    for (caller, provider, delivery, url) in [
        (Dialect::Anthropic, Dialect::OpenAiResponses, Delivery::Whole, "https://api.example.com/v1/responses"),
        (Dialect::OpenAiChat, Dialect::Anthropic, Delivery::Events, "https://api.example.com/v1/v1/messages"),
        (
            Dialect::OpenAiChat,
            Dialect::Gemini,
            Delivery::Events,
            "https://api.example.com/v1/v1beta/models/model-served:streamGenerateContent",
        ),
    ] {
        let mut call = generation(caller);
        let served = call.served.as_mut().unwrap();
        (served.dialect, served.delivery) = (provider, delivery);
        assert_eq!(properties(&call)["$ai_request_url"], url);
    }
}

#[test]
fn a_fallback_and_ignored_fields_are_told() {
    let mut call = generation(Dialect::OpenAiChat);
    let served = call.served.as_mut().unwrap();
    served.choice = Preference::Fallback;
    served.ignored = Some(HeaderValue::from_static("logit_bias, seed"));
    call.seen.model = Some("model-served-2025-01-01".to_owned());
    assert_eq!(
        picked(
            &properties(&call),
            &["llm_gateway_fallback_used", "llm_gateway_ignored_fields", "llm_gateway_model_answered"]
        ),
        json!({
            "llm_gateway_fallback_used": true,
            "llm_gateway_ignored_fields": ["logit_bias", "seed"],
            "llm_gateway_model_answered": "model-served-2025-01-01",
        })
    );
}

#[test]
fn a_failure_is_told_in_words_only_where_content_is() {
    let said = "messages[0].content: \"my secret\" is too long";
    let mut call = whole(Dialect::Anthropic, &json!({"messages": []}), &json!({}));
    call.served = None;
    call.end = End { status: 400, failure: Some(Failure { code: "invalid_value", message: said.to_owned() }) };
    let names = ["$ai_is_error", "$ai_error", "$ai_http_status", "llm_gateway_error_code", "$ai_model", "$ai_provider"];
    assert_eq!(
        picked(&properties(&call), &names),
        json!({
            "$ai_is_error": true,
            "$ai_error": said,
            "$ai_http_status": 400,
            "llm_gateway_error_code": "invalid_value",
            "$ai_model": "model-asked",
        })
    );
    for content in [Content::Metadata, Content::Private] {
        call.content = content;
        assert_eq!(properties(&call)["$ai_error"], "invalid_value");
    }
}

#[test]
fn a_private_call_says_that_it_is_one_and_nothing_else() {
    let mut call =
        whole(Dialect::OpenAiChat, &json!({"messages": [{"role": "user", "content": "secret"}]}), &json!({}));
    call.content = Content::Private;
    let bytes = event(&call);
    assert!(!String::from_utf8(bytes).unwrap().contains("secret"));
    assert_eq!(properties(&call)["llm_gateway_capture"], "private");
}

#[test]
fn a_body_that_is_no_json_gives_an_event_without_content() {
    for body in [&b""[..], b"{", b"[1]", b"\xff\xfe", b"{\"messages\": 1, \"messages\": 2}", b"null"] {
        for dialect in Dialect::ALL {
            for answer in [Answer::Nothing, Answer::Whole(Bytes::copy_from_slice(body))] {
                let content = Content::Held { request: Bytes::copy_from_slice(body), answer };
                let told = properties(&Generation { content, ..generation(dialect) });
                assert_eq!(told.get("$ai_input"), None, "{body:?}");
                assert_eq!(told["$ai_output_choices"], json!([]));
                assert_eq!(told["llm_gateway_unreadable"], true);
            }
        }
    }
}

/// A call, and one for each field that the parts in common depend on, which differs in that one only.
fn alike_but_for_one_field() -> Vec<Generation> {
    let base = || {
        let mut call = whole(Dialect::OpenAiChat, &json!({"messages": []}), &json!({"choices": []}));
        call.cost = Some(Cost { amount: NanoUsd(5), provenance: Provenance::Computed, parts: None });
        call
    };
    let served = |change: fn(&mut Served)| {
        let mut call = base();
        change(call.served.as_mut().unwrap());
        call
    };
    let with = |change: fn(&mut Generation)| {
        let mut call = base();
        change(&mut call);
        call
    };
    vec![
        base(),
        with(|call| call.product = ProductName::from("code")),
        with(|call| call.team = Some(TeamId(4))),
        with(|call| call.team = None),
        with(|call| {
            let mut caller = (*call.caller).clone();
            caller.distinct_id = None;
            call.caller = Arc::new(caller);
        }),
        with(|call| call.dialect = Dialect::Gemini),
        with(|call| call.delivery = Delivery::Events),
        with(|call| call.asked.model = Some("another".to_owned())),
        with(|call| call.asked.model = None),
        with(|call| call.asked.temperature = Some(0.5)),
        with(|call| call.asked.temperature = Some(0.25)),
        with(|call| call.asked.max_output_tokens = Some(9)),
        with(|call| call.served = None),
        served(|served| served.provider = ProviderName::from("other")),
        served(|served| served.model = ModelId::from("other")),
        served(|served| served.dialect = Dialect::Anthropic),
        served(|served| served.base_url = None),
        served(|served| served.base_url = Some("https://other.example.com/v1".parse().unwrap())),
        served(|served| served.ignored = Some(HeaderValue::from_static("top_k"))),
        served(|served| served.choice = Preference::Fallback),
        with(|call| call.seen.model = Some("answered".to_owned())),
        with(|call| call.seen.unsaid = Some("logprobs".to_owned())),
        with(|call| call.seen.finish = Some("length".to_owned())),
        with(|call| call.seen.service_tier = Some("flex".to_owned())),
        with(|call| call.cost = None),
        with(|call| call.cost = Some(Cost { amount: NanoUsd(5), provenance: Provenance::Default, parts: None })),
        with(|call| call.end.status = 500),
        with(|call| call.end.failure = Some(Failure { code: "internal", message: "no".to_owned() })),
        with(|call| call.end.failure = Some(Failure { code: "upstream_error", message: "no".to_owned() })),
        with(|call| call.content = Content::Metadata),
        with(|call| call.content = Content::Private),
    ]
}

#[test]
fn one_writer_never_tells_one_calls_field_of_another() {
    let calls = alike_but_for_one_field();
    let alone: Vec<Vec<u8>> = calls.iter().map(|call| Writer::default().event(call).to_vec()).collect();
    for (at, one) in alone.iter().enumerate() {
        assert!(!alone[..at].contains(one), "call {at} differs from no other");
    }
    let mut writer = Writer::default();
    // Each after each other one, and all again in the other order.
    for first in 0..calls.len() {
        for second in (0..calls.len()).chain((0..first).rev()) {
            assert_eq!(writer.event(&calls[first]), alone[first], "call {first}");
            assert_eq!(writer.event(&calls[second]), alone[second], "call {second} after {first}");
        }
    }
}
