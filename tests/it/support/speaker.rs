//! Callers of the four dialects, as their SDKs are: what they send, what they take from an answer, what they keep of it
//! for the next turn. None of it is the gateway's own code, and each judges the grammar of the streams that it reads.

mod chat;
mod gemini;
mod messages;
mod responses;

use serde_json::Value;

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaker {
    Chat,
    Responses,
    Messages,
    Gemini,
}

/// How an answer is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Whole,
    Stream,
}

/// A conversation, before anybody has said it in a dialect.
#[derive(Clone, Debug, Default)]
pub(crate) struct Talk {
    pub(crate) model: String,
    pub(crate) system: Option<&'static str>,
    pub(crate) turns: Vec<Turn>,
    pub(crate) tools: Vec<Tool>,
    /// This tool has to be called.
    pub(crate) forced: Option<&'static str>,
    /// The answer has to be JSON by this schema.
    pub(crate) schema: Option<Value>,
    pub(crate) thinking: Thinking,
    pub(crate) max_output: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Thinking {
    #[default]
    Unsaid,
    Hard,
}

#[derive(Clone, Debug)]
pub(crate) enum Turn {
    User(String),
    /// A question about a PNG, in base64.
    Picture(String, &'static str),
    Assistant(String),
    /// What the model said, as the SDK kept it: [`Heard::kept`].
    Kept(Vec<Value>),
    /// What the tools gave for these calls.
    Results(Vec<(Call, String)>),
}

#[derive(Clone, Debug)]
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) parameters: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: Value,
}

/// An answer, as far as all dialects can say it.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) text: String,
    pub(crate) thoughts: String,
    pub(crate) calls: Vec<Call>,
    pub(crate) finish: Finish,
    pub(crate) usage: Usage,
    /// The turn as it goes into the history.
    pub(crate) kept: Vec<Value>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    Stop,
    Length,
    Calls,
    Withheld,
    Other(String),
}

/// Totals that include everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) input: u64,
    pub(crate) cached: u64,
    pub(crate) output: u64,
    pub(crate) reasoning: u64,
}

/// How a stream ended, if it was legal.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    /// As a whole answer: what it adds up to.
    Whole(Value),
    /// In an error.
    Failed(Said),
}

/// An error as the SDK reads it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said {
    pub(crate) message: String,
    /// `type`, or Google's `status`.
    pub(crate) kind: String,
}

/// Everything of a stream; or what in it is against the dialect's grammar.
pub(crate) type Judged = Result<Ending, String>;

impl Speaker {
    pub(crate) const ALL: [Self; 4] = [Self::Chat, Self::Responses, Self::Messages, Self::Gemini];

    /// Path and body of a call.
    pub(crate) fn call(self, talk: &Talk, mode: Mode) -> (String, Value) {
        match self {
            Self::Chat => ("/v1/chat/completions".to_owned(), chat::body(talk, mode)),
            Self::Responses => ("/v1/responses".to_owned(), responses::body(talk, mode)),
            Self::Messages => ("/v1/messages".to_owned(), messages::body(talk, mode)),
            Self::Gemini => {
                let method = match mode {
                    Mode::Whole => "generateContent",
                    Mode::Stream => "streamGenerateContent?alt=sse",
                };
                (format!("/v1beta/models/{}:{method}", talk.model), gemini::body(talk))
            }
        }
    }

    /// Takes an answer apart, whole or added up.
    pub(crate) fn hear(self, answer: &Value) -> Heard {
        match self {
            Self::Chat => chat::hear(answer),
            Self::Responses => responses::hear(answer),
            Self::Messages => messages::hear(answer),
            Self::Gemini => gemini::hear(answer),
        }
    }

    /// Adds a stream up, and judges it.
    pub(crate) fn judge(self, stream: &str) -> Judged {
        match self {
            Self::Chat => chat::judge(&events(stream)?),
            Self::Responses => responses::judge(&events(stream)?),
            Self::Messages => messages::judge(&events(stream)?),
            Self::Gemini => gemini::judge(stream),
        }
    }

    /// The same for Google's stream as an array.
    pub(crate) fn judge_array(stream: &str) -> Judged {
        gemini::judge_array(stream)
    }

    /// Reads an error's body.
    ///
    /// # Panics
    /// When it is not this dialect's error.
    pub(crate) fn error(self, status: u16, body: &Value) -> Said {
        match self {
            Self::Chat | Self::Responses => chat::error(body),
            Self::Messages => messages::error(body),
            Self::Gemini => gemini::error(status, body),
        }
    }

    /// What a keepalive begins with.
    pub(crate) fn keepalive(self) -> &'static str {
        match self {
            Self::Chat | Self::Responses => ":",
            Self::Messages => "event: ping",
            Self::Gemini => "\n",
        }
    }
}

impl Heard {
    /// The calls without their ids, which every dialect has its own of.
    pub(crate) fn called(&self) -> Vec<(&str, &Value)> {
        self.calls.iter().map(|call| (call.name.as_str(), &call.arguments)).collect()
    }
}

/// One server-sent event.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) name: Option<String>,
    pub(crate) data: String,
}

/// The events of a stream, all of which have to be complete. Comments are nothing.
fn events(stream: &str) -> Result<Vec<Event>, String> {
    let mut events = Vec::new();
    let mut name = None;
    let mut data: Option<String> = None;
    for line in stream.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)) {
        if line.is_empty() {
            if let Some(data) = data.take() {
                events.push(Event { name: name.take(), data });
            }
            name = None;
        } else if let Some(said) = line.strip_prefix("data:") {
            let said = said.strip_prefix(' ').unwrap_or(said);
            data = Some(data.map_or_else(|| said.to_owned(), |before| format!("{before}\n{said}")));
        } else if let Some(said) = line.strip_prefix("event:") {
            name = Some(said.trim().to_owned());
        } else if !line.starts_with(':') {
            return Err(format!("{line:?} is no line of a stream of events"));
        }
    }
    match data {
        Some(data) => Err(format!("the last event is not closed: {data}")),
        None => Ok(events),
    }
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("{text:?} is no JSON: {error}"))
}

/// Arguments as the SDK's callers parse them.
fn arguments(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("arguments {text:?} are no JSON: {error}"))
}

/// Fails with a sentence unless it holds.
fn demand(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
