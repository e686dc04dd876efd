//! Errors in each dialect: ours written, the provider's read.
//!
//! A stream that has begun cannot take its status back, so its error is the last thing in it, in the form that the
//! official SDKs raise:
//!
//! | dialect | ending | raised by |
//! |---|---|---|
//! | chat | `data: {"error": …}`, no `[DONE]` | `Stream` of openai-python and openai-node, for any event whose data has `error` |
//! | Responses | `event: error` with the error both nested (as the service sends it) and flat (as its reference has it), then `response.failed` | the SDKs by the first, Codex by the second |
//! | Messages | `event: error` | `Stream` of anthropic-sdk-python and -typescript |
//! | Gemini, events | `data: {"error": …}`, then the bare object on a line of its own | python-genai by the first; js-genai knows no error in `data`, and fails on the rest only |
//! | Gemini, array | an element `{"error": …}` and the closing bracket | |

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::mend::{Mend, mend};
use super::position::{Array, EventData, Open, Position};
use super::{Delivery, Dialect, anthropic, gemini, openai_chat, openai_responses};
use crate::fault::Fault;
use crate::ids::RequestId;

/// A provider's error, as far as it could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderError {
    /// The answer's status; for an error in a stream what its words mean, or 0.
    pub status: u16,
    /// The provider's sentence.
    pub message: String,
    /// Its `type`, Google's `status`.
    pub kind: Option<String>,
    /// Its `code`, Google's `reason`.
    pub code: Option<String>,
    /// The request's field at fault.
    pub param: Option<String>,
}

/// What an error's body says, whoever said it: the gateway ([`Said::of`]) or a provider.
#[derive(Clone, Copy, Debug)]
pub struct Said<'e> {
    /// A sentence.
    pub message: &'e str,
    /// `error.type`, in the contract's words.
    pub type_name: &'static str,
    /// A stable code, where there is one.
    pub code: Option<&'e str>,
    /// The request's field at fault.
    pub param: Option<&'e str>,
    /// When trying again may help.
    pub retry_after: Option<Duration>,
}

impl<'e> Said<'e> {
    /// The gateway's own words.
    pub fn of(fault: &'e Fault) -> Self {
        Self {
            message: &fault.message,
            type_name: fault.kind.type_name(),
            code: Some(fault.kind.code()),
            param: fault.param.as_deref(),
            retry_after: fault.retry_after,
        }
    }
}

/// The HTTP status of a fault in a dialect.
pub fn status(dialect: Dialect, fault: &Fault) -> u16 {
    status_in(dialect, fault.status.unwrap_or_else(|| fault.kind.status()))
}

/// A status in a dialect: Anthropic's clients know 529 where others know 503.
pub fn status_in(dialect: Dialect, status: u16) -> u16 {
    match (dialect, status) {
        (Dialect::Anthropic, 503) => 529,
        (Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Gemini, 529) => 503,
        (_, status) => status,
    }
}

/// A fault as the body of an answer.
pub fn body(dialect: Dialect, fault: &Fault, status: u16, request_id: &RequestId) -> Bytes {
    body_of(dialect, &Said::of(fault), status, request_id)
}

/// An error as the body of an answer with this status.
pub fn body_of(dialect: Dialect, said: &Said<'_>, status: u16, request_id: &RequestId) -> Bytes {
    Bytes::from(Value::Object(object(dialect, said, status, request_id)).to_string())
}

fn object(dialect: Dialect, said: &Said<'_>, status: u16, request_id: &RequestId) -> Map<String, Value> {
    match dialect {
        Dialect::OpenAiChat => openai_chat::error::object(said),
        Dialect::OpenAiResponses => openai_responses::error::object(said),
        Dialect::Anthropic => anthropic::error::object(said, status, request_id),
        Dialect::Gemini => gemini::error::object(said, status, request_id),
    }
}

/// The end of a stream that has begun: what is unfinished is finished, and the error is the last that is said.
pub fn event(
    dialect: Dialect,
    delivery: Delivery,
    fault: &Fault,
    request_id: &RequestId,
    position: &Position,
) -> Bytes {
    let members = match dialect {
        Dialect::OpenAiResponses => openai_responses::error::event_members(fault, position),
        Dialect::OpenAiChat | Dialect::Anthropic | Dialect::Gemini => {
            object(dialect, &Said::of(fault), status(dialect, fault), request_id)
        }
    };
    let mut ending = Ending { out: Vec::with_capacity(512), dialect, members: &members };
    match delivery {
        // A whole answer has no middle: its error is its body.
        Delivery::Whole => return Bytes::from(Value::Object(members).to_string()),
        Delivery::JsonArray => ending.array(position),
        Delivery::Events => {
            ending.events(position);
            match dialect {
                Dialect::OpenAiResponses => {
                    ending.out.extend_from_slice(&openai_responses::error::failed(fault, request_id, position));
                }
                Dialect::Gemini => ending.out.extend_from_slice(format!("{}\n", ending.json()).as_bytes()),
                Dialect::OpenAiChat | Dialect::Anthropic => {}
            }
        }
    }
    Bytes::from(ending.out)
}

struct Ending<'m> {
    out: Vec<u8>,
    dialect: Dialect,
    members: &'m Map<String, Value>,
}

impl Ending<'_> {
    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn json(&self) -> String {
        serde_json::to_string(self.members).unwrap_or_default()
    }

    /// The error as the last member of an object that has others, and the end of that object.
    fn last_member(&mut self) {
        let error = self.members.get("error").unwrap_or(&Value::Null);
        self.put(&format!("\"error\":{error}}}"));
    }

    fn named(&self) -> bool {
        match self.dialect {
            Dialect::OpenAiResponses | Dialect::Anthropic => true,
            Dialect::OpenAiChat | Dialect::Gemini => false,
        }
    }

    fn events(&mut self, position: &Position) {
        match &position.open {
            Open::Nothing => self.fresh(),
            Open::Event(EventData::There) => {
                self.put("\n");
                self.fresh();
            }
            Open::Event(EventData::Missing) => self.renamed(),
            Open::TooLarge => {
                self.put("\n");
                self.renamed();
            }
            Open::Fragment(line) => self.line(line),
        }
    }

    /// The error as an event of its own.
    fn fresh(&mut self) {
        if self.named() {
            self.put("event: error\n");
        }
        let json = self.json();
        self.put(&format!("data: {json}\n\n"));
    }

    /// The error in an event that has a name already: the last name counts.
    fn renamed(&mut self) {
        let json = self.json();
        self.put(&format!("event: error\ndata: {json}\n\n"));
    }

    /// The error in the line that was cut.
    fn line(&mut self, line: &[u8]) {
        let Some(data) = line.strip_prefix(b"data:") else {
            self.put("\n");
            return self.renamed();
        };
        if data.trim_ascii().is_empty() {
            let json = self.json();
            self.put(&json);
            return self.close_line();
        }
        match mend(data) {
            Mend::Complete => {
                self.put("\n\n");
                self.fresh();
            }
            Mend::Open(tail) => {
                self.out.extend_from_slice(&tail);
                self.last_member();
                self.close_line();
                // For readers that only know an error by its `type`, or, like python-genai, by its place.
                self.fresh();
            }
            Mend::Hopeless => {
                self.put("\n");
                self.renamed();
            }
        }
    }

    fn close_line(&mut self) {
        self.put(if self.named() { "\nevent: error\n\n" } else { "\n\n" });
    }

    fn array(&mut self, position: &Position) {
        let json = self.json();
        match &position.open {
            Open::Nothing | Open::Event(_) | Open::TooLarge => {
                self.put(match position.array {
                    Array::Unopened => "[",
                    Array::Filled => ",",
                    Array::Empty | Array::Comma => "",
                    Array::Closed => return,
                });
                self.put(&json);
            }
            Open::Fragment(element) => match mend(element) {
                Mend::Open(tail) => {
                    self.out.extend_from_slice(&tail);
                    self.last_member();
                }
                Mend::Complete | Mend::Hopeless => {
                    self.put(",");
                    self.put(&json);
                }
            },
        }
        self.put("]");
    }
}

/// Reads a provider's error from the body of its answer; `None` if there is no error that this dialect knows.
pub fn parse(dialect: Dialect, status: u16, body: &[u8]) -> Option<ProviderError> {
    let value: Value = serde_json::from_slice(body).ok()?;
    parse_value(dialect, status, &value)
}

/// The same for JSON that has been read already: an error in the middle of a stream.
pub(crate) fn parse_value(dialect: Dialect, status: u16, value: &Value) -> Option<ProviderError> {
    match dialect {
        Dialect::OpenAiChat => openai_chat::error::parse(status, value),
        Dialect::OpenAiResponses => openai_responses::error::parse(status, value),
        Dialect::Anthropic => anthropic::error::parse(status, value),
        Dialect::Gemini => gemini::error::parse(status, value),
    }
}

/// Whether a body is an error of this dialect, which its SDKs can read as it is.
pub fn is_native(dialect: Dialect, body: &[u8]) -> bool {
    parse(dialect, 0, body).is_some()
}

/// Whether the provider refuses the gateway's own credential or account: nothing that its caller could mend, or should read.
pub fn refuses_credential(dialect: Dialect, status: u16, body: &[u8]) -> bool {
    match status {
        401..=403 => true,
        // Some say it with a status that means something else.
        400 => parse(dialect, status, body).is_some_and(|error| match dialect {
            Dialect::OpenAiChat | Dialect::OpenAiResponses => false,
            Dialect::Anthropic => anthropic::error::is_about_the_account(&error),
            Dialect::Gemini => gemini::error::is_about_the_key(&error),
        }),
        _ => false,
    }
}

/// A text member of an object.
pub(super) fn member(value: &Value, key: &str) -> Option<String> {
    match value.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests;
