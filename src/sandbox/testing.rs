//! Asks the simulation without a socket.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::{Instant, SystemTime};

use bytes::Bytes;
use serde_json::{Value, json};

use super::record::Recorded;
use super::reply::{Act, Reply};
use super::world::World;
use super::{API_KEY, SandboxOptions};
use crate::clock::Clock;
use crate::config::providers::Kind;

/// A provider to ask, at a moment that stands still.
pub(crate) struct Provider(World);

/// What it said.
pub(crate) struct Said(pub(super) Reply);

impl Provider {
    pub(crate) fn new(kind: Kind) -> Self {
        let clock = Clock::manual(SystemTime::UNIX_EPOCH);
        Self(World::new(kind, SandboxOptions { clock, ..SandboxOptions::default() }))
    }

    /// Posts with a good credential.
    pub(crate) fn post(&self, target: &str, body: &Value) -> Said {
        let headers = match self.0.kind {
            Kind::OpenAi => vec![("authorization", format!("Bearer {API_KEY}"))],
            Kind::Anthropic => vec![("x-api-key", API_KEY.to_owned()), ("anthropic-version", "2023-06-01".to_owned())],
            Kind::Gemini => vec![("x-goog-api-key", API_KEY.to_owned())],
        };
        self.send("POST", target, &headers, body.to_string())
    }

    pub(crate) fn send(&self, method: &str, target: &str, headers: &[(&str, String)], body: String) -> Said {
        Said(self.0.simulate(&Recorded {
            connection: 0,
            method: method.to_owned(),
            target: target.to_owned(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect(),
            head: Bytes::new(),
            body: body.into(),
            complete: true,
            arrived: Instant::now(),
            peer_closed: None,
            answered: None,
        }))
    }
}

impl Said {
    pub(crate) fn status(&self) -> u16 {
        self.0.status
    }

    pub(crate) fn text(&self) -> String {
        let parts =
            self.0.acts.iter().filter_map(|act| if let Act::Bytes(bytes) = act { Some(bytes.as_ref()) } else { None });
        String::from_utf8(parts.collect::<Vec<_>>().concat()).unwrap()
    }

    /// The whole answer, which has to be a success.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.0.status, 200, "{}", self.text());
        serde_json::from_str(&self.text()).unwrap()
    }

    /// Status and message of a refusal.
    pub(crate) fn refusal(&self) -> (u16, String) {
        let body: Value = serde_json::from_str(&self.text()).unwrap();
        (self.0.status, body["error"]["message"].as_str().unwrap_or_default().to_owned())
    }

    /// The data of the stream's events.
    pub(crate) fn events(&self) -> Vec<Value> {
        assert_eq!(self.0.status, 200, "{}", self.text());
        let text = self.text().replace("\r\n", "\n");
        let data = text.split("\n\n").filter_map(|event| event.lines().find_map(|line| line.strip_prefix("data: ")));
        data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
    }

    /// The events' types, each run of the same only once.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let mut kinds: Vec<_> =
            self.events().iter().map(|event| event["type"].as_str().unwrap_or_default().to_owned()).collect();
        kinds.dedup();
        kinds
    }
}

/// The value with another put in at a pointer whose parent exists; null removes.
pub(crate) fn with(mut value: Value, at: &str, new: Value) -> Value {
    let (parent, name) = at.rsplit_once('/').unwrap();
    match value.pointer_mut(parent).unwrap() {
        Value::Object(object) if new.is_null() => {
            object.remove(name);
        }
        Value::Object(object) => {
            object.insert(name.to_owned(), new);
        }
        other @ (Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
            other[name.parse::<usize>().unwrap()] = new;
        }
    }
    value
}

/// A tool's schema.
pub(crate) fn city() -> Value {
    json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false})
}
