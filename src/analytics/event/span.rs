//! Writes a [`Generation`] as OpenTelemetry's span of a model's call.
//!
//! The attributes are those of the conventions for generative AI, <https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/>,
//! the form is OTLP's JSON, <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>: ids in hexadecimal, 64-bit numbers as
//! text. What was said in the call is not in it, whatever the product captures.

use std::time::SystemTime;

use serde_json::{Value, json};
use uuid::Uuid;

use super::common::operation;
use super::hints::Hints;
use super::identity::Identity;
use crate::analytics::generation::{Generation, LONGEST_WORD, short};
use crate::ids::ProviderName;

/// `SPAN_KIND_CLIENT`.
const CLIENT: u8 = 3;

/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// The name of the service and of what writes its spans.
const NAME: &str = "llm-gateway";

/// Traces of ids that are none of OpenTelemetry's. Never change it: the same id has to give the same trace.
const NAMESPACE: Uuid = Uuid::from_u128(0x6b1d_9a0e_52c7_4f0b_8c3e_77ad_10f4_e2c6);

/// The span, as a list of `spans` takes it: a JSON object.
pub fn span(generation: &Generation) -> Vec<u8> {
    let hints = Hints::read(&generation.headers);
    let identity = Identity::of(generation, &hints);
    let (trace, span) = (trace_id(&identity.trace), span_id(generation.uuid));
    let model = generation.asked.model.as_deref();
    let model = model.or_else(|| generation.served.as_ref().map(|served| served.model.as_str())).unwrap_or("unknown");
    let model = short(model, LONGEST_WORD);
    let end = generation.timestamp.checked_add(generation.timings.latency).unwrap_or(generation.timestamp);
    let mut written = json!({
        "traceId": trace,
        "spanId": span,
        "name": format!("{} {model}", operation(generation.dialect)),
        "kind": CLIENT,
        "startTimeUnixNano": nanos(generation.timestamp),
        "endTimeUnixNano": nanos(end),
        "attributes": attributes(generation, &identity, model),
        "status": {},
    });
    if let Some(parent) = hints.parent_span.filter(|_| hints.parent_trace == Some(trace.as_str())) {
        written["parentSpanId"] = parent.into();
    }
    if let Some(failure) = &generation.end.failure {
        // Its message may repeat something of the request.
        written["status"] = json!({"code": ERROR, "message": failure.code});
    }
    written.to_string().into_bytes()
}

/// The body of a request to `/v1/traces`.
pub fn request(spans: &[Vec<u8>]) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let resource = json!({"attributes": [
        attribute("service.name", text(NAME)),
        attribute("service.version", text(version)),
    ]});
    let scope = json!({"name": NAME, "version": version});
    let head =
        format!("{{\"resourceSpans\":[{{\"resource\":{resource},\"scopeSpans\":[{{\"scope\":{scope},\"spans\":[");
    [head.as_bytes(), spans.join(&b',').as_slice(), b"]}]}]}".as_slice()].concat()
}

fn attributes(generation: &Generation, identity: &Identity<'_>, model: &str) -> Vec<Value> {
    let mut list = vec![
        attribute("gen_ai.operation.name", text(operation(generation.dialect))),
        attribute("gen_ai.request.model", text(model)),
        attribute("llm_gateway.product", text(generation.product.as_str())),
        attribute("llm_gateway.request_id", text(generation.request_id.as_str())),
        // Where the same call is in PostHog.
        attribute("posthog.trace_id", text(&identity.trace)),
        attribute("posthog.span_id", text(&generation.uuid.to_string())),
    ];
    let mut add = |name: &str, value: Option<Value>| list.extend(value.map(|value| attribute(name, value)));
    if let Some(served) = &generation.served {
        add("gen_ai.provider.name", Some(text(provider(&served.provider))));
        if let Some(base) = &served.base_url {
            add("server.address", base.host_str().map(text));
            add("server.port", base.port_or_known_default().map(|port| whole(port.into())));
        }
    }
    add("gen_ai.conversation.id", identity.session.as_deref().map(text));
    add("gen_ai.request.temperature", generation.asked.temperature.map(|number| json!({"doubleValue": number})));
    add("gen_ai.request.max_tokens", generation.asked.max_output_tokens.map(whole));
    let seen = &generation.seen;
    add("gen_ai.response.id", seen.response_id.as_deref().map(word));
    add("gen_ai.response.model", seen.model.as_deref().map(word));
    add(
        "gen_ai.response.finish_reasons",
        seen.finish.as_deref().map(|reason| json!({"arrayValue": {"values": [word(reason)]}})),
    );
    if let Some(usage) = &seen.usage {
        add("gen_ai.usage.input_tokens", usage.input.map(whole));
        add("gen_ai.usage.output_tokens", usage.output.map(whole));
        add("gen_ai.usage.cache_read.input_tokens", usage.cache_read.map(whole));
        add("gen_ai.usage.cache_creation.input_tokens", usage.cache_write().map(whole));
    }
    add("error.type", generation.end.failure.as_ref().map(|failure| text(failure.code)));
    add("http.response.status_code", Some(whole(generation.end.status.into())));
    add("llm_gateway.cost_usd", generation.cost.map(|cost| json!({"doubleValue": cost.amount.as_usd()})));
    list
}

/// The conventions' word for a provider, where they have one.
fn provider(name: &ProviderName) -> &str {
    match name.as_str() {
        "gemini" => "gcp.gemini",
        other => other,
    }
}

/// PostHog's trace, if OpenTelemetry could have it as it is; else one that is always the same for it.
fn trace_id(id: &str) -> String {
    let is_trace = id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_trace {
        return id.to_owned();
    }
    let uuid = Uuid::try_parse(id).ok().filter(|uuid| !uuid.is_nil());
    uuid.unwrap_or_else(|| Uuid::new_v5(&NAMESPACE, id.as_bytes())).simple().to_string()
}

/// The half of the event's uuid that is chance.
fn span_id(uuid: Uuid) -> String {
    let (_, chance) = uuid.as_u64_pair();
    format!("{:016x}", chance.max(1))
}

fn nanos(time: SystemTime) -> String {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}

fn attribute(name: &str, value: Value) -> Value {
    json!({"key": name, "value": value})
}

fn text(value: &str) -> Value {
    json!({"stringValue": value})
}

/// One of a caller's or a provider's making.
fn word(value: &str) -> Value {
    text(short(value, LONGEST_WORD))
}

fn whole(number: u64) -> Value {
    json!({"intValue": number.to_string()})
}
