//! What a caller's headers say of the event.
//!
//! Any of it may be hostile: there are at most [`MOST`] properties, of at most [`LONGEST_KEY`] and [`LONGEST_VALUE`] bytes, and
//! none that PostHog or the gateway gives a meaning of its own.

use std::borrow::Cow;

use actix_http::header::{HeaderName, HeaderValue};

use super::json::Json;

/// The most properties and flags of one event, each.
pub(super) const MOST: usize = 64;

/// The longest name of one, in bytes; longer ones are left out.
pub(super) const LONGEST_KEY: usize = 128;

/// How much of a value is kept, in bytes.
pub(super) const LONGEST_VALUE: usize = 1024;

/// Names that the gateway itself writes, or that say whose the event is.
const RESERVED: [&str; 4] = ["team_id", "ai_product", "distinct_id", "token"];

const PROPERTY: &str = "x-posthog-property-";
const FLAG: &str = "x-posthog-flag-";

/// What headers say.
#[derive(Debug, Default)]
pub(super) struct Hints<'g> {
    /// `X-PostHog-Trace-Id`.
    pub(super) trace: Option<Cow<'g, str>>,
    /// The trace of `traceparent`.
    pub(super) parent_trace: Option<&'g str>,
    /// The span of `traceparent`.
    pub(super) parent_span: Option<&'g str>,
    /// `X-PostHog-Session-Id`.
    pub(super) session: Option<Cow<'g, str>>,
    /// `X-PostHog-Property-<key>`.
    properties: Vec<(&'g str, Cow<'g, str>)>,
    /// `X-PostHog-Flag-<flag>`.
    flags: Vec<(&'g str, Cow<'g, str>)>,
}

impl<'g> Hints<'g> {
    pub(super) fn read(headers: &'g [(HeaderName, HeaderValue)]) -> Self {
        let mut hints = Self::default();
        for (name, value) in headers {
            let name = name.as_str();
            if let Some(key) = name.strip_prefix(PROPERTY) {
                if !key.starts_with('$') && !key.starts_with("llm_gateway_") && !RESERVED.contains(&key) {
                    take(&mut hints.properties, key, value);
                }
            } else if let Some(flag) = name.strip_prefix(FLAG) {
                take(&mut hints.flags, flag, value);
            } else if name == "x-posthog-trace-id" {
                hints.trace = filled(value);
            } else if name == "x-posthog-session-id" {
                hints.session = filled(value);
            } else if name == "traceparent"
                && let Some((trace, span)) = value.to_str().ok().and_then(traceparent)
            {
                hints.parent_trace = Some(trace);
                hints.parent_span = Some(span);
            }
        }
        hints
    }

    /// Writes the properties and flags.
    pub(super) fn write(&self, json: &mut Json) {
        for (key, value) in &self.properties {
            json.any_key(key);
            json.text(value);
        }
        for (flag, value) in &self.flags {
            json.any_key(&format!("$feature/{flag}"));
            json.text(value);
        }
    }
}

/// Keeps one, if it is sane and there is room. What is said twice counts as it was said first.
fn take<'g>(kept: &mut Vec<(&'g str, Cow<'g, str>)>, key: &'g str, value: &'g HeaderValue) {
    let is_sane = !key.is_empty() && key.len() <= LONGEST_KEY;
    if is_sane && kept.len() < MOST && !kept.iter().any(|(known, _)| *known == key) {
        kept.push((key, text(value)));
    }
}

fn filled(value: &HeaderValue) -> Option<Cow<'_, str>> {
    match text(value) {
        Cow::Borrowed(text) => Some(text.trim()).filter(|text| !text.is_empty()).map(Cow::Borrowed),
        Cow::Owned(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()).map(Cow::Owned),
    }
}

/// A header's value as text, cut to what is kept. What is no UTF-8 shows as such.
fn text(value: &HeaderValue) -> Cow<'_, str> {
    let bytes = value.as_bytes();
    if bytes.len() <= LONGEST_VALUE {
        return String::from_utf8_lossy(bytes);
    }
    // A character may be cut in two, and is left out then.
    let mut end = LONGEST_VALUE;
    while end > LONGEST_VALUE - 4 && bytes[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    String::from_utf8_lossy(&bytes[..end])
}

/// The trace and the span of W3C's header: <https://www.w3.org/TR/trace-context/#traceparent-header>.
fn traceparent(value: &str) -> Option<(&str, &str)> {
    let mut parts = value.trim().split('-');
    let (version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, len: usize| {
        text.len() == len && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_nothing = |text: &str| text.bytes().all(|byte| byte == b'0');
    let is_valid = is_hex(version, 2)
        && version != "ff"
        && is_hex(trace, 32)
        && !is_nothing(trace)
        && is_hex(span, 16)
        && !is_nothing(span)
        && parts.next().is_some_and(|flags| is_hex(flags, 2));
    is_valid.then_some((trace, span))
}
