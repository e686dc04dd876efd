//! What the events of a Responses stream say, read only where they say something.

use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::Value;

use crate::dialect::error;
use crate::dialect::seen::{Seen, at, leading_type};
use crate::dialect::{Dialect, Operation};
use crate::ir::{Opaque, Usage};

/// Finds the members that an event is read for.
#[derive(Clone, Debug)]
pub(crate) struct Needles {
    sequence_number: Finder<'static>,
}

impl Default for Needles {
    fn default() -> Self {
        Self { sequence_number: Finder::new(br#""sequence_number""#) }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Event {
    r#type: Option<String>,
    response: Whole,
}

/// A response, as far as the gateway reads it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Whole {
    id: Option<String>,
    model: Option<String>,
    created_at: Option<f64>,
    service_tier: Option<String>,
    status: Option<String>,
    error: Option<Value>,
    incomplete_details: Option<Value>,
    output: Option<Vec<Item>>,
    usage: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Item {
    r#type: Option<String>,
    action: Option<Value>,
}

/// In tokens, on average over what OpenAI's models are known to have answered.
const AROUND_MESSAGE: u64 = 3;
const AROUND_CALL: u64 = 12;

/// Takes the data of one event.
pub(crate) fn event(needles: &Needles, payload: &[u8], seen: &mut Seen) {
    if payload.starts_with(b"[DONE]") {
        return;
    }
    seen.first_event = true;
    if let Some(number) = sequence_number(needles, payload) {
        seen.sequence_number = Some(number);
    }
    let parsed;
    let kind = match leading_type(payload) {
        Some(kind) => kind,
        // Some gateways order the members by name.
        None => match serde_json::from_slice::<Kind>(payload) {
            Ok(kind) => {
                parsed = kind.r#type;
                parsed.as_str()
            }
            Err(_) => return,
        },
    };
    match kind {
        "response.created" => {
            let Ok(event) = serde_json::from_slice::<Event>(payload) else { return };
            seen.created_at = event.response.created_at.map(|seconds| seconds as u64);
            seen.introduce(event.response.id, event.response.model);
        }
        "response.completed" | "response.incomplete" | "response.failed" => {
            seen.terminal = true;
            if let Ok(event) = serde_json::from_slice::<Event>(payload) {
                response(event.response, seen);
            }
        }
        "error" => seen.error = error::parse(Dialect::OpenAiResponses, 0, payload),
        // Beginnings of items and parts are no content yet.
        "response.output_item.added" => item_added(payload, seen),
        "response.in_progress" | "response.queued" | "response.content_part.added" => {}
        kind => {
            seen.content = true;
            if kind.ends_with(".delta") {
                seen.passed(payload, &[br#""delta""#]);
            }
        }
    }
}

/// What a message and a tool's call take beside their words and arguments. The path of a patch comes with the beginning only.
fn item_added(payload: &[u8], seen: &mut Seen) {
    let has = |mark: &[u8]| memchr::memmem::find(payload, mark).is_some();
    if has(b"\"type\":\"message\"") {
        seen.streamed.around(AROUND_MESSAGE);
    } else if has(b"_call\",") || has(b"\"type\":\"program\"") {
        seen.streamed.around(AROUND_CALL);
        seen.passed(payload, &[br#""path""#]);
    }
}

#[derive(Deserialize)]
struct Kind {
    r#type: String,
}

fn sequence_number(needles: &Needles, payload: &[u8]) -> Option<u64> {
    let found = needles.sequence_number.find(payload)?;
    let rest = payload[found + needles.sequence_number.needle().len()..].trim_ascii_start().strip_prefix(b":")?;
    let rest = rest.trim_ascii_start();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

/// Takes a whole answer.
pub(crate) fn whole(_: Operation, answer: Whole, seen: &mut Seen) {
    response(answer, seen);
}

fn response(response: Whole, seen: &mut Seen) {
    let details = response.incomplete_details.as_ref();
    let incomplete = details.and_then(|details| details.get("reason")).and_then(Value::as_str);
    seen.finish = incomplete.map(str::to_owned).or_else(|| response.status.clone());
    if let Some(error @ Value::Object(_)) = response.error
        && seen.error.is_none()
    {
        seen.error = error::parse_value(Dialect::OpenAiResponses, 0, &serde_json::json!({ "error": error }));
    }
    let searches = response.output.iter().flatten().filter(|item| item.is_search()).count();
    seen.searches = u64::try_from(searches).ok().filter(|count| *count > 0);
    seen.introduce(response.id, response.model);
    seen.tier(response.service_tier);
    seen.take_usage(response.usage);
}

impl Item {
    /// Opening a page that was found is an item of the same type, but no search.
    fn is_search(&self) -> bool {
        self.r#type.as_deref() == Some("web_search_call")
            && self
                .action
                .as_ref()
                .and_then(|action| action.get("type"))
                .and_then(Value::as_str)
                .is_none_or(|action| action == "search")
    }
}

/// The usage in the convention that all dialects share. OpenAI's totals include their parts already.
pub(crate) fn usage(wire: Value) -> Usage {
    Usage {
        input: at(&wire, "input_tokens"),
        cache_read: at(&wire, "input_tokens_details.cached_tokens"),
        cache_write_5m: at(&wire, "input_tokens_details.cache_write_tokens"),
        output: at(&wire, "output_tokens"),
        reasoning: at(&wire, "output_tokens_details.reasoning_tokens"),
        original: Some(Opaque::new(Dialect::OpenAiResponses, wire)),
        ..Usage::default()
    }
}
