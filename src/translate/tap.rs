//! Watches a provider's answer go by: what it took, whether it is whole, and where it can be interrupted.
//!
//! A tap reads the bytes beside the relay and never changes or delays them; what it cannot read, it lets pass. Each event
//! is searched for the few members that matter, and parsed only if it has one. It holds the line, or the element, that is
//! not complete yet, within a bound.

use memchr::memchr;
use serde_json::Value;

use crate::dialect::position::{Array, EventData, Open, Position};
use crate::dialect::seen;
use crate::dialect::{Delivery, Dialect, anthropic, gemini, openai_chat, openai_responses};
use crate::ir::Usage;

mod array;
mod cut;
mod usage_chunk;
mod whole;

pub use cut::cut;
pub use seen::Seen;
pub use usage_chunk::UsageChunkFilter;
pub use whole::{NotWhole, whole};

pub(super) use array::Elements;

/// The largest line, or element, that is held to be read, in bytes: an image comes in one.
const LARGEST_EVENT: usize = 32 * 1024 * 1024;

/// Watches one streamed answer.
#[derive(Clone, Debug)]
pub struct Tap {
    reader: Reader,
    framing: Framing,
    seen: Seen,
    kept_alive: KeptAlive,
}

/// How the data of an event is read.
#[derive(Clone, Debug)]
enum Reader {
    OpenAiChat(Box<openai_chat::tap::Needles>),
    OpenAiResponses(Box<openai_responses::tap::Needles>),
    Anthropic,
    Gemini,
}

/// How events are told apart.
#[derive(Clone, Debug)]
enum Framing {
    Events(Lines),
    Array(Elements),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeptAlive {
    No,
    Yes,
}

/// The lines of server-sent events. Every vendor writes an event's data in one line.
#[derive(Clone, Debug, Default)]
struct Lines {
    line: Vec<u8>,
    overflow: bool,
    event: Option<EventData>,
}

impl Tap {
    /// Watches an answer of this dialect. A whole answer has no events: [`whole`] is for it.
    pub fn new(dialect: Dialect, delivery: Delivery) -> Self {
        let reader = match dialect {
            Dialect::OpenAiChat => Reader::OpenAiChat(Box::default()),
            Dialect::OpenAiResponses => Reader::OpenAiResponses(Box::default()),
            Dialect::Anthropic => Reader::Anthropic,
            Dialect::Gemini => Reader::Gemini,
        };
        let framing = match delivery {
            Delivery::Whole | Delivery::Events => Framing::Events(Lines::default()),
            Delivery::JsonArray => Framing::Array(Elements::default()),
        };
        Self { reader, framing, seen: Seen::default(), kept_alive: KeptAlive::No }
    }

    /// The next bytes of the answer, cut anywhere.
    pub fn push(&mut self, bytes: &[u8]) {
        let Self { reader, framing, seen, .. } = self;
        match framing {
            Framing::Events(lines) => lines.push(bytes, |payload| reader.read(payload, seen)),
            Framing::Array(elements) => elements.push(bytes, |payload| reader.read(payload, seen)),
        }
    }

    /// Whether the caller has something of this answer: from then on no other answer can take its place. Comments, blank
    /// lines and pings bind nobody.
    pub fn begun(&self) -> bool {
        let opened = match &self.framing {
            Framing::Events(_) => false,
            Framing::Array(elements) => elements.array != Array::Unopened,
        };
        opened || self.seen.first_event || !self.at_event_boundary()
    }

    /// Whether something of the answer's content was in an event.
    pub fn has_content(&self) -> bool {
        self.seen.content
    }

    /// Whether an event that is no ping was complete.
    pub fn first_event_seen(&self) -> bool {
        self.seen.first_event
    }

    /// Whether the answer may end here: its last event was there, or the provider's own error.
    pub fn ended_legally(&self) -> bool {
        match &self.framing {
            Framing::Array(elements) => elements.array == Array::Closed,
            Framing::Events(lines) => {
                if self.seen.terminal || self.seen.error.is_some() {
                    return true;
                }
                // The line feed behind the last event is nobody's loss, if the event itself is all there.
                let Some(payload) = data(&lines.line).filter(|payload| !lines.overflow && is_complete(payload)) else {
                    return false;
                };
                let mut seen = self.seen.clone();
                self.reader.read(payload, &mut seen);
                seen.terminal || seen.error.is_some()
            }
        }
    }

    /// Whether nothing can follow any more. Google's streams never say so before their connection ends: of several candidates
    /// one may go on when another has finished.
    pub fn is_final(&self) -> bool {
        match (&self.framing, &self.reader) {
            (Framing::Array(elements), _) => elements.array == Array::Closed,
            (Framing::Events(_), Reader::Gemini) => false,
            (Framing::Events(_), Reader::OpenAiChat(_) | Reader::OpenAiResponses(_) | Reader::Anthropic) => {
                self.seen.terminal
            }
        }
    }

    /// Whether a keepalive may be put here.
    pub fn at_event_boundary(&self) -> bool {
        match &self.framing {
            Framing::Events(lines) => lines.line.is_empty() && !lines.overflow && lines.event.is_none(),
            Framing::Array(elements) => elements.is_between(),
        }
    }

    /// Remembers that a keepalive was put into the answer.
    pub fn note_keepalive(&mut self) {
        self.kept_alive = KeptAlive::Yes;
    }

    /// Whether one was.
    pub fn keepalive_sent(&self) -> bool {
        self.kept_alive == KeptAlive::Yes
    }

    /// Where the caller is, if it got all the bytes that were pushed.
    pub fn position(&self) -> Position {
        let (open, array) = match &self.framing {
            Framing::Events(lines) => (lines.open(), Array::Unopened),
            Framing::Array(elements) => (elements.open(), elements.array),
        };
        Position { open, array, response: self.seen.response_head(), sequence_number: self.seen.sequence_number }
    }

    /// What was seen so far.
    pub fn seen(&self) -> Seen {
        let mut seen = self.seen.clone();
        seen.usage = self.usage();
        seen
    }

    /// What the answer took, as far as it has said so.
    pub fn usage(&self) -> Option<Usage> {
        let dialect = match &self.reader {
            Reader::OpenAiChat(_) => Dialect::OpenAiChat,
            Reader::OpenAiResponses(_) => Dialect::OpenAiResponses,
            Reader::Anthropic => Dialect::Anthropic,
            Reader::Gemini => Dialect::Gemini,
        };
        self.seen.wire_usage.clone().map(|wire| usage(dialect, wire, self.seen.searches))
    }
}

/// The usage of what was seen, in the convention that all dialects share.
fn usage(dialect: Dialect, wire: Value, searches: Option<u64>) -> Usage {
    let mut usage = match dialect {
        Dialect::OpenAiChat => openai_chat::tap::usage(wire),
        Dialect::OpenAiResponses => openai_responses::tap::usage(wire),
        Dialect::Anthropic => anthropic::tap::usage(wire),
        Dialect::Gemini => gemini::tap::usage(wire),
    };
    usage.web_searches = usage.web_searches.or(searches);
    usage
}

impl Reader {
    fn read(&self, payload: &[u8], seen: &mut Seen) {
        match self {
            Self::OpenAiChat(needles) => openai_chat::tap::event(needles, payload, seen),
            Self::OpenAiResponses(needles) => openai_responses::tap::event(needles, payload, seen),
            Self::Anthropic => anthropic::tap::event(payload, seen),
            Self::Gemini => gemini::tap::event(payload, seen),
        }
    }
}

/// What a line of an event says, if it is its data.
fn data(line: &[u8]) -> Option<&[u8]> {
    line.strip_prefix(b"data:").map(<[u8]>::trim_ascii)
}

fn is_complete(payload: &[u8]) -> bool {
    payload == b"[DONE]" || serde_json::from_slice::<serde::de::IgnoredAny>(payload).is_ok()
}

impl Lines {
    fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) {
        while let Some(end) = memchr(b'\n', bytes) {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            bytes = rest;
            if self.line.is_empty() && !self.overflow {
                self.take(line, &mut each);
                continue;
            }
            self.hold(line);
            let line = std::mem::take(&mut self.line);
            // What is left of a line that was too large still tells its type.
            self.take(&line, &mut each);
            self.overflow = false;
            self.line = line;
            self.line.clear();
            self.line.shrink_to(64 * 1024);
        }
        self.hold(bytes);
    }

    fn hold(&mut self, bytes: &[u8]) {
        let room = LARGEST_EVENT.saturating_sub(self.line.len());
        self.overflow |= bytes.len() > room;
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn take(&mut self, line: &[u8], each: &mut impl FnMut(&[u8])) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            self.event = None;
        } else if let Some(payload) = data(line) {
            self.event = Some(EventData::There);
            each(payload);
        } else if !line.starts_with(b":") {
            self.event.get_or_insert(EventData::Missing);
        }
    }

    fn open(&self) -> Open {
        if self.overflow {
            return Open::TooLarge;
        }
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        match (line.is_empty(), self.event) {
            (false, _) => Open::Fragment(line.to_vec()),
            (true, Some(data)) => Open::Event(data),
            (true, None) => Open::Nothing,
        }
    }
}

#[cfg(test)]
mod tests;
