//! What a batch has to look like: the request's form as PostHog's capture service reads it (`rust/capture` in its repository),
//! the events' as its LLM analytics does, and the names of properties as the gateway promises them.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{KEY, gunzip};

/// As it came.
pub(super) struct Request {
    pub(super) line: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

/// What was in it.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) events: Vec<Event>,
    pub(super) sent_at: String,
    /// Of JSON.
    pub(super) bytes: usize,
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) uuid: String,
    pub(crate) event: String,
    pub(crate) distinct_id: String,
    pub(crate) timestamp: String,
    pub(crate) properties: Map<String, Value>,
}

impl Event {
    /// What PostHog tells a repeated event by: date, event, distinct id and uuid.
    pub(super) fn identity(&self) -> (String, String, String, String) {
        let date = self.timestamp.get(..10).unwrap_or_default();
        (date.to_owned(), self.event.clone(), self.distinct_id.clone(), self.uuid.clone())
    }
}

/// What a property may be.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Whole,
    Number,
    Boolean,
    Object,
    Array,
    /// A list of objects with a role and, unless they are items of Responses with a type, a content.
    Messages,
    /// A text or a list: what `$ai_instructions` may be.
    Any,
}

/// The properties of `$ai_generation`, and whether each event has to have them.
const PROPERTIES: &[(&str, Kind, bool)] = &[
    ("$lib", Kind::Text, true),
    ("$lib_version", Kind::Text, true),
    ("$ai_lib", Kind::Text, true),
    ("$ai_lib_version", Kind::Text, true),
    ("ai_product", Kind::Text, true),
    ("$ai_trace_id", Kind::Text, true),
    ("$ai_span_id", Kind::Text, true),
    ("$ai_parent_id", Kind::Text, false),
    ("$ai_session_id", Kind::Text, false),
    ("$ai_span_name", Kind::Text, false),
    ("$ai_model", Kind::Text, false),
    ("$ai_provider", Kind::Text, false),
    ("$ai_input", Kind::Messages, false),
    ("$ai_output_choices", Kind::Messages, false),
    ("$ai_instructions", Kind::Any, false),
    ("$ai_usage", Kind::Object, false),
    ("$ai_web_search_count", Kind::Whole, false),
    ("$ai_web_search_cost_usd", Kind::Number, false),
    ("$ai_service_tier", Kind::Text, false),
    ("$ai_tools", Kind::Array, false),
    ("$ai_input_tokens", Kind::Whole, false),
    ("$ai_output_tokens", Kind::Whole, false),
    ("$ai_cache_read_input_tokens", Kind::Whole, false),
    ("$ai_cache_creation_input_tokens", Kind::Whole, false),
    ("$ai_reasoning_tokens", Kind::Whole, false),
    ("$ai_input_cost_usd", Kind::Number, false),
    ("$ai_output_cost_usd", Kind::Number, false),
    ("$ai_total_cost_usd", Kind::Number, false),
    ("$ai_latency", Kind::Number, true),
    ("$ai_time_to_first_token", Kind::Number, false),
    ("$ai_stream", Kind::Boolean, true),
    ("$ai_http_status", Kind::Whole, true),
    ("$ai_base_url", Kind::Text, false),
    ("$ai_request_url", Kind::Text, false),
    ("$ai_is_error", Kind::Boolean, false),
    ("$ai_error", Kind::Text, false),
    ("$ai_temperature", Kind::Number, false),
    ("$ai_max_tokens", Kind::Whole, false),
    ("$ai_stop_reason", Kind::Text, false),
    ("$ai_model_parameters", Kind::Object, false),
    ("$ai_cache_reporting_exclusive", Kind::Boolean, false),
    ("$ai_tokens_source", Kind::Text, false),
    ("$process_person_profile", Kind::Boolean, false),
    ("$groups", Kind::Object, false),
    ("team_id", Kind::Whole, false),
    ("llm_gateway_request_id", Kind::Text, true),
    ("llm_gateway_capture", Kind::Text, true),
    ("llm_gateway_model_asked", Kind::Text, false),
    ("llm_gateway_model_answered", Kind::Text, false),
    ("llm_gateway_fallback_used", Kind::Boolean, false),
    ("llm_gateway_ignored_fields", Kind::Array, false),
    ("llm_gateway_cost_provenance", Kind::Text, false),
    ("llm_gateway_error_code", Kind::Text, false),
    ("llm_gateway_overhead", Kind::Number, false),
    ("llm_gateway_unreadable", Kind::Boolean, false),
    ("llm_gateway_output_incomplete", Kind::Boolean, false),
    ("llm_gateway_cut", Kind::Text, false),
];

/// The same of a limit's warning.
const WARNING: &[(&str, Kind, bool)] = &[
    ("$lib", Kind::Text, true),
    ("$lib_version", Kind::Text, true),
    ("$process_person_profile", Kind::Boolean, true),
    ("ai_product", Kind::Text, true),
    ("llm_gateway_limit_per", Kind::Text, true),
    ("llm_gateway_limit_subject", Kind::Text, true),
    ("llm_gateway_limit_mode", Kind::Text, true),
    ("llm_gateway_limit_usd", Kind::Number, true),
    ("llm_gateway_limit_window_seconds", Kind::Whole, true),
    ("llm_gateway_used_usd", Kind::Number, true),
    ("llm_gateway_resets_in_seconds", Kind::Whole, true),
    ("$groups", Kind::Object, false),
    ("team_id", Kind::Whole, false),
];

/// A request as PostHog reads it.
///
/// # Errors
/// What it would stumble over.
pub(super) fn read(request: &Request, largest: usize) -> Result<Batch, String> {
    expect(request.line == "POST /batch/", || format!("{} is not POST /batch/", request.line))?;
    let header = |name: &str| request.headers.get(name).map_or("", String::as_str);
    expect(header("content-type") == "application/json", || format!("content-type: {}", header("content-type")))?;
    expect(header("content-encoding") == "gzip", || format!("content-encoding: {}", header("content-encoding")))?;
    expect(header("user-agent").starts_with("llm-gateway/"), || format!("user-agent: {}", header("user-agent")))?;
    let text = gunzip(&request.body, largest)?;
    let body: Map<String, Value> = serde_json::from_str(&text).map_err(|error| format!("no JSON object: {error}"))?;
    for name in body.keys() {
        let known = ["api_key", "batch", "historical_migration", "sent_at"].contains(&name.as_str());
        expect(known, || format!("{name} is unknown"))?;
    }
    expect(body.get("api_key") == Some(&KEY.into()), || "the key is not the project's".to_owned())?;
    expect(body.get("historical_migration") == Some(&false.into()), || "historical_migration".to_owned())?;
    let sent_at = timestamp(body.get("sent_at"), "sent_at")?;
    let Some(Value::Array(events)) = body.get("batch") else { return Err("batch is no array".to_owned()) };
    expect(!events.is_empty(), || "the batch is empty".to_owned())?;
    let events = events.iter().map(event).collect::<Result<_, _>>()?;
    Ok(Batch { events, sent_at, bytes: text.len() })
}

fn event(value: &Value) -> Result<Event, String> {
    let Value::Object(object) = value else { return Err(format!("an event is no object: {value}")) };
    for name in object.keys() {
        let known = ["uuid", "event", "distinct_id", "timestamp", "properties"].contains(&name.as_str());
        expect(known, || format!("an event has {name}"))?;
    }
    let uuid = text(object.get("uuid"), "uuid")?;
    expect(Uuid::parse_str(&uuid).is_ok(), || format!("{uuid} is no uuid"))?;
    let event = text(object.get("event"), "event")?;
    let known = match event.as_str() {
        "$ai_generation" => PROPERTIES,
        "llm_gateway_limit_warning" => WARNING,
        _ => return Err(format!("{event} is not an event of ours")),
    };
    let distinct_id = text(object.get("distinct_id"), "distinct_id")?;
    // PostHog cuts longer ones.
    expect(!distinct_id.is_empty() && distinct_id.len() <= 200, || format!("distinct_id: {distinct_id}"))?;
    let timestamp = timestamp(object.get("timestamp"), "timestamp")?;
    let Some(Value::Object(properties)) = object.get("properties") else {
        return Err("an event has no properties".to_owned());
    };
    expect(value.to_string().len() <= 900 * 1024, || "an event has more than 900 KiB".to_owned())?;
    for (name, kind, is_needed) in known {
        match properties.get(*name) {
            None => expect(!is_needed, || format!("an event lacks {name}"))?,
            Some(value) => expect(kind.allows(value), || format!("{name} is no {kind:?}: {value}"))?,
        }
    }
    for name in properties.keys().filter(|name| name.starts_with('$') || name.starts_with("llm_gateway_")) {
        let is_known = known.iter().any(|(known, ..)| known == name) || name.starts_with("$feature/");
        expect(is_known, || format!("{name} is no name that PostHog knows, nor one of the gateway's"))?;
    }
    Ok(Event { uuid, event, distinct_id, timestamp, properties: properties.clone() })
}

impl Kind {
    fn allows(self, value: &Value) -> bool {
        match self {
            Self::Text => value.as_str().is_some_and(|text| !text.is_empty()),
            Self::Whole => value.is_u64() || value.is_i64(),
            Self::Number => value.as_f64().is_some_and(f64::is_finite),
            Self::Boolean => value.is_boolean(),
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
            Self::Messages => value.as_array().is_some_and(|messages| messages.iter().all(is_message)),
            Self::Any => value.is_string() || value.is_array(),
        }
    }
}

fn is_message(value: &Value) -> bool {
    let is_item = value["type"].is_string();
    value.is_object() && (is_item || (value["role"].is_string() && value.get("content").is_some()))
}

fn text(value: Option<&Value>, name: &str) -> Result<String, String> {
    value.and_then(Value::as_str).map(str::to_owned).ok_or_else(|| format!("{name} is no text"))
}

fn timestamp(value: Option<&Value>, name: &str) -> Result<String, String> {
    let text = text(value, name)?;
    expect(DateTime::parse_from_rfc3339(&text).is_ok(), || format!("{name} is no time: {text}"))?;
    Ok(text)
}

fn expect(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
