//! What a provider's answer says of itself, gathered while its bytes go by.

use serde_json::Value;

use super::error::ProviderError;
use super::position::ResponseHead;
use super::tokens::{Tokens, string_length};
use crate::ir::Usage;

/// What has been seen of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// An event that is no ping was complete.
    pub first_event: bool,
    /// Something of the answer's content was in an event: text, thoughts, a tool's call.
    pub content: bool,
    /// The event that ends an answer was there.
    pub terminal: bool,
    /// The provider said in the answer that it failed.
    pub error: Option<ProviderError>,
    /// What it took. A stream that was cut has what was known by then.
    pub usage: Option<Usage>,
    /// Why it ended, in the dialect's own word; of several choices, the last one's.
    pub finish: Option<String>,
    /// The tier that it was served in, which may change its price.
    pub service_tier: Option<String>,
    /// Text, thoughts and tools' arguments that went by in a stream since the provider last said what it took.
    pub streamed: Tokens,
    /// The provider's id of the answer.
    pub response_id: Option<String>,
    /// The model that answered, as the provider names it.
    pub model: Option<String>,
    /// What of it the caller's dialect could not say, as `x-llm-gateway-ignored` has it.
    pub unsaid: Option<String>,
    /// Usage as the wire had it, all events together.
    pub(crate) wire_usage: Option<Value>,
    /// Searches that the dialect counts outside of its usage.
    pub(crate) searches: Option<u64>,
    pub(crate) sequence_number: Option<u64>,
    pub(crate) created_at: Option<u64>,
}

impl Seen {
    /// Adds what another event says of the usage.
    pub(crate) fn take_usage(&mut self, usage: Option<Value>) {
        let Some(usage @ Value::Object(_)) = usage else { return };
        self.streamed = Tokens::default();
        match &mut self.wire_usage {
            None => self.wire_usage = Some(usage),
            Some(known) => merge(known, usage),
        }
    }

    /// Counts the strings that stand behind these quoted names, on any level.
    pub(crate) fn passed(&mut self, payload: &[u8], quoted_names: &[&[u8]]) {
        for name in quoted_names {
            for found in memchr::memmem::find_iter(payload, name) {
                let value = payload[found + name.len()..].trim_ascii_start().strip_prefix(b":");
                let text = value.and_then(|value| value.trim_ascii_start().strip_prefix(b"\""));
                if let Some((text, length)) = text.and_then(|text| Some((text, string_length(text)?))) {
                    self.streamed.escaped(&text[..length]);
                }
            }
        }
    }

    /// Keeps what is there; an answer's events say these things again and again.
    pub(crate) fn introduce(&mut self, id: Option<String>, model: Option<String>) {
        keep(&mut self.response_id, id);
        keep(&mut self.model, model);
    }

    pub(crate) fn tier(&mut self, tier: Option<String>) {
        if tier.is_some() {
            self.service_tier = tier;
        }
    }

    pub(crate) fn response_head(&self) -> Option<ResponseHead> {
        let id = self.response_id.clone()?;
        Some(ResponseHead { id, model: self.model.clone(), created_at: self.created_at })
    }
}

fn keep(known: &mut Option<String>, said: Option<String>) {
    if known.is_none() {
        *known = said.filter(|text| !text.is_empty());
    }
}

/// Counts only ever grow within one answer, and an event may leave some out, or repeat them as zero.
fn merge(known: &mut Value, said: Value) {
    match (known, said) {
        (_, Value::Null) => {}
        (Value::Object(known), Value::Object(said)) => {
            for (key, value) in said {
                match known.get_mut(&key) {
                    Some(known) => merge(known, value),
                    None => {
                        known.insert(key, value);
                    }
                }
            }
        }
        (Value::Number(known), Value::Number(said)) => {
            if said.as_f64() > known.as_f64() {
                *known = said;
            }
        }
        (known, said) => *known = said,
    }
}

/// A count inside of a usage: `at(usage, "prompt_tokens_details.cached_tokens")`.
pub(super) fn at(usage: &Value, path: &str) -> Option<u64> {
    said(usage, path)?.as_u64()
}

/// Whether a count is there that cannot be: below zero, broken, or no number. A total that it is a part of is not known then.
pub(super) fn is_nonsense(usage: &Value, path: &str) -> bool {
    said(usage, path).is_some_and(|value| !value.is_null() && value.as_u64().is_none())
}

fn said<'a>(usage: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(usage, |value, key| value.get(key))
}

/// Whether a member of this name has a value other than null. Quotes inside of strings are escaped, so that only members
/// are found, on any level.
pub(super) fn has(payload: &[u8], quoted_name: &memchr::memmem::Finder<'_>) -> bool {
    quoted_name.find_iter(payload).any(|found| {
        let rest = payload[found + quoted_name.needle().len()..].trim_ascii_start();
        rest.strip_prefix(b":").is_some_and(|value| !value.trim_ascii_start().starts_with(b"null"))
    })
}

/// The `type` that an event's data begins with, as both vendors that have one write it.
pub(super) fn leading_type(payload: &[u8]) -> Option<&str> {
    let rest = payload.trim_ascii_start().strip_prefix(b"{")?.trim_ascii_start();
    let rest = rest.strip_prefix(br#""type""#)?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let rest = rest.strip_prefix(b"\"")?;
    let end = memchr::memchr2(b'"', b'\\', rest)?;
    (rest[end] == b'"').then(|| std::str::from_utf8(&rest[..end]).ok()).flatten()
}
