//! Writes a [`Generation`] as PostHog's `$ai_generation`.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

use super::generation::Generation;

/// The event as PostHog's `/batch/` takes it in its list: a JSON object with `uuid`, `event`, `distinct_id`, `timestamp` and
/// `properties`.
pub fn event(generation: &Generation) -> Vec<u8> {
    let timestamp = DateTime::<Utc>::from(generation.timestamp).to_rfc3339_opts(SecondsFormat::Millis, true);
    json!({
        "uuid": generation.uuid,
        "event": "$ai_generation",
        "distinct_id": generation.uuid,
        "timestamp": timestamp,
        "properties": {},
    })
    .to_string()
    .into_bytes()
}
