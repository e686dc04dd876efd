//! A panic in a call's path. The gateway has none that a caller or a provider could bring about, so a library that it calls has
//! one: what writes log lines, and only where a provider of this name refuses the gateway's key.

use llm_gateway::config::providers::Kind;
use llm_gateway::sandbox::Reply;
use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

use super::header;
use crate::support::gateway::TestGateway;
use crate::support::wait;

/// Who is not written of without a panic.
const UNSPEAKABLE: &str = "unspeakable";

struct Brittle;

impl Subscriber for Brittle {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR && metadata.is_event() && metadata.fields().field("provider.name").is_some()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::ERROR)
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Reads);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Reads;

impl Visit for Reads {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        assert!(field.name() != "provider.name" || format!("{value:?}") != UNSPEAKABLE, "as a bug would");
    }
}

#[tokio::test]
async fn a_call_that_panics_is_a_500_in_every_dialect_and_nothing_of_it_stays_reserved() {
    tracing::subscriber::set_global_default(Brittle).expect("no other test has one");
    let known = TestGateway::start().await;
    let gateway = TestGateway::builder()
        .product("tight", r#"limits = [{ per = "team", usd = 1, window = "24h" }]"#)
        .provider(UNSPEAKABLE, Kind::OpenAi, &known.openai().base_url())
        .start()
        .await;
    let no = json!({"error": {"message": "no such key", "type": "invalid_request_error", "code": "invalid_api_key"}});
    known.openai().script().always(Reply::json(401, &no));
    let messages = json!([{"role": "user", "content": "hi"}]);
    let model = format!("{UNSPEAKABLE}/gpt-4.1");
    for stream in [false, true] {
        let verb = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
        for (path, body) in [
            ("/tight/v1/chat/completions".to_owned(), json!({"model": model, "stream": stream, "messages": messages})),
            ("/tight/v1/responses".to_owned(), json!({"model": model, "stream": stream, "input": "hi"})),
            (
                "/tight/v1/messages".to_owned(),
                json!({"model": model, "stream": stream, "max_tokens": 9, "messages": messages}),
            ),
            (format!("/tight/v1beta/models/{model}:{verb}"), json!({"contents": [{"parts": [{"text": "hi"}]}]})),
        ] {
            let answer = gateway.post(&path, &body).send().await.unwrap();
            assert_eq!(answer.status(), 500, "{path}");
            assert!(!header(&answer, "x-request-id").is_empty(), "{path}");
            assert_eq!(header(&answer, "x-ratelimit-limit-usd"), "1.00", "{path}");
            let said: Value = answer.json().await.unwrap();
            assert!(
                said["error"]["message"].as_str().unwrap().contains("the gateway made a mistake"),
                "{path}: {said}"
            );
            wait::until("nothing to be reserved", || async {
                let usage: Value = gateway.get("/v1/usage/tight").send().await.unwrap().json().await.unwrap();
                let window = &usage["windows"][0];
                (window["used_usd"] == 0.0 && window["remaining_usd"] == 1.0).then_some(())
            })
            .await;
        }
    }
    let metrics = gateway.metrics().await;
    let reserved = r#"llm_gateway_reserved_usd_total{product="tight"} "#;
    let reserved = metrics.lines().find_map(|line| line.strip_prefix(reserved)).unwrap();
    assert!(reserved.parse::<f64>().unwrap() > 0.0, "{reserved}");
}
