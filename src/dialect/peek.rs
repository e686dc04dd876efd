//! Reads what the gateway needs from a request, in one pass, and leaves the body as it is.
//!
//! The pass checks the whole body as JSON. What it does not need is skipped without recursion, so that neither size nor
//! depth of a body costs more than its bytes.

use std::ops::Range;

use serde::de::{IgnoredAny, MapAccess};
use serde_json::value::RawValue;

use super::{Dialect, Operation, anthropic, gemini, openai_chat, openai_responses};
use crate::fault::{Fault, FaultKind};
use crate::ir::mark;

mod walk;

pub(super) use walk::{Each, Members, Shape, Walk};

/// What a request asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Peek {
    /// The model, and where it is written. `None` where the path says it: Gemini.
    pub model: Option<ModelField>,
    /// Whether the answer is to be a stream. Gemini's path says that; here it is `false` then.
    pub stream: bool,
    /// Who the caller says the end user is: `user`, or what [`anthropic::attribution`] makes of `metadata.user_id`.
    pub end_user: Option<String>,
    /// The session that Claude Code names beside its user.
    pub session: Option<String>,
    /// The most tokens that the answer may have.
    pub max_output_tokens: Option<u64>,
    /// What the caller said of `stream_options.include_usage`; `None` if nothing.
    pub include_usage: Option<bool>,
    /// Where `stream_options` is, for [`super::splice`].
    pub stream_options: StreamOptions,
    /// The field that names something which the provider keeps for its account: a response, a conversation, a file.
    pub stateful: Option<&'static str>,
    /// Whether the answer is to be made in the background.
    pub background: bool,
    /// Whether something of the gateway's own minting may be in it ([`mark::MARK`]).
    pub marks: bool,
    /// How many answers are wanted: `n`, `candidateCount`.
    pub choices: Option<u64>,
    /// The temperature.
    pub temperature: Option<f64>,
    /// The service tier that is asked for, as the caller has it: `service_tier`, `serviceTier`.
    pub service_tier: Option<String>,
    /// Whether tools are offered that the provider runs itself, so that it may ask its model again and again.
    pub runs_tools: bool,
}

/// A model's name in a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelField {
    /// The name.
    pub text: String,
    /// The bytes of its JSON string, quotes included.
    pub span: Range<usize>,
}

/// Where a body's `stream_options` are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StreamOptions {
    /// There are none.
    #[default]
    Absent,
    /// They are no object, `null` for instance; these are their bytes.
    Replaceable(Range<usize>),
    /// An object without `include_usage`; its first member, or its closing brace, is here.
    Object {
        /// The place behind the opening brace.
        inside: usize,
        /// Whether it has no member.
        empty: bool,
    },
    /// An object with it; these are the bytes of its value.
    IncludeUsage(Range<usize>),
}

/// Reads a request's body.
///
/// # Errors
/// 400: the body is empty, no JSON or no object, `model` or what is to be answered is missing or of a wrong type (the field
/// is named), or a member that decides something is there twice.
pub fn peek(dialect: Dialect, operation: Operation, body: &[u8]) -> Result<Peek, Fault> {
    let text = object(body)?;
    let mut peek = match dialect {
        Dialect::OpenAiChat => openai_chat::peek::peek(text),
        Dialect::OpenAiResponses => openai_responses::peek::peek(text),
        Dialect::Anthropic => anthropic::peek::peek(text),
        Dialect::Gemini => gemini::peek::peek(operation, text),
    }?;
    peek.marks = memchr::memmem::find(body, mark::MARK.as_bytes()).is_some();
    Ok(peek)
}

/// The body as text, if it begins like an object.
fn object(body: &[u8]) -> Result<&str, Fault> {
    let text = std::str::from_utf8(body).map_err(|error| {
        invalid_json(format!("the body is not valid JSON: it is not UTF-8 at byte {}", error.valid_up_to()))
    })?;
    let start = text.trim_ascii_start();
    if start.starts_with('{') {
        return Ok(text);
    }
    if start.is_empty() {
        return Err(invalid_json("the request has no body; send a JSON object"));
    }
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Err(error) => Err(not_json(&error)),
        Ok(_) => {
            let what = match start.as_bytes().first() {
                Some(b'[') => "an array",
                Some(b'"') => "a string",
                Some(b'n') => "null",
                Some(b't' | b'f') => "a boolean",
                _ => "a number",
            };
            Err(invalid_json(format!("the body is JSON, but {what}; send a JSON object")))
        }
    }
}

fn invalid_json(message: impl Into<String>) -> Fault {
    Fault::new(FaultKind::InvalidJson, message)
}

fn not_json(error: &serde_json::Error) -> Fault {
    invalid_json(format!("the body is not valid JSON: {error}"))
}

/// Collects what a dialect's members say, and what is wrong with them.
#[derive(Debug)]
pub(super) struct Draft<'b> {
    body: &'b str,
    pub(super) peek: Peek,
    fault: Option<Fault>,
    /// A bit for each watched member that was there.
    seen: u32,
}

impl<'b> Draft<'b> {
    pub(super) fn new(body: &'b str) -> Self {
        Self { body, peek: Peek::default(), fault: None, seen: 0 }
    }

    /// Where a value of the body is.
    pub(super) fn span(&self, raw: &RawValue) -> Range<usize> {
        // A raw value borrows from the body: its address tells its place.
        let start = (raw.get().as_ptr() as usize).saturating_sub(self.body.as_ptr() as usize);
        start..start + raw.get().len()
    }

    /// Remembers the first thing that is wrong.
    pub(super) fn refuse(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    pub(super) fn wrong(&mut self, param: &str, what: &str) {
        self.refuse(Fault::new(FaultKind::InvalidParameter, format!("{param} must be {what}")).at(param));
    }

    /// Refuses a member that is there twice: the provider might take the other one than was looked at here.
    pub(super) fn once(&mut self, place: usize, watched: &[&str]) {
        let bit = 1_u32 << (place % 32);
        if self.seen & bit != 0
            && let Some(param) = watched.get(place)
        {
            let said = format!("{param} is there twice; send it once");
            self.refuse(Fault::new(FaultKind::InvalidParameter, said).at(*param));
        }
        self.seen |= bit;
    }

    pub(super) fn model(&mut self, raw: &RawValue) {
        if raw.get() == "null" {
            return;
        }
        match text(raw) {
            None => self.wrong("model", "a string"),
            Some(text) if text.trim().is_empty() => {
                let said = "model is empty; name the model that is to answer";
                self.refuse(Fault::new(FaultKind::InvalidParameter, said).at("model"));
            }
            Some(text) => self.peek.model = Some(ModelField { text, span: self.span(raw) }),
        }
    }

    /// A field that is true, false, or not there.
    pub(super) fn flag(&mut self, param: &str, raw: &RawValue) -> bool {
        match raw.get() {
            "true" => true,
            "false" | "null" => false,
            _ => {
                self.wrong(param, "true or false");
                false
            }
        }
    }

    /// Reads `tools`, where that is a list of tools and no more.
    pub(super) fn tools<'de, M: MapAccess<'de>>(&mut self, map: &mut M) -> Result<(), M::Error> {
        let mut tools = Tools::default();
        map.next_value_seed(Each(&mut tools))?;
        self.peek.runs_tools |= tools.run_by_provider;
        Ok(())
    }

    /// The first such field is named.
    pub(super) fn stateful(&mut self, field: &'static str) {
        self.peek.stateful.get_or_insert(field);
    }

    /// What was found, if a model is named where one has to be and `content` is there.
    pub(super) fn finish(mut self, needs_model: ModelIn, content: Content) -> Result<Peek, Fault> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        if needs_model == ModelIn::Body && self.peek.model.is_none() {
            let said = "model is missing; name the model that is to answer";
            return Err(Fault::new(FaultKind::MissingParameter, said).at("model"));
        }
        if matches!(content.shape, Shape::Absent | Shape::Null) {
            let said = format!("{} is missing; send what is to be answered", content.param);
            return Err(Fault::new(FaultKind::MissingParameter, said).at(content.param));
        }
        if !content.allowed.contains(&content.shape) {
            let said = format!("{} must be {}", content.param, content.what);
            return Err(Fault::new(FaultKind::InvalidParameter, said).at(content.param));
        }
        Ok(self.peek)
    }
}

/// Finds out whether any tool of a list is one that the provider runs itself: all are but those whose `type` says that their
/// caller does, or says nothing.
#[derive(Debug, Default)]
pub(super) struct Tools {
    pub(super) run_by_provider: bool,
}

impl Tools {
    /// Takes a tool's `type`.
    pub(super) fn kind(&mut self, raw: &RawValue) {
        let is_the_callers = |kind: &str| matches!(kind, "function" | "custom" | "namespace");
        self.run_by_provider |= text(raw).is_some_and(|kind| !is_the_callers(&kind));
    }
}

impl Members for Tools {
    fn member<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<(), M::Error> {
        match key {
            "type" => self.kind(map.next_value()?),
            _ => return map.next_value::<IgnoredAny>().map(drop),
        }
        Ok(())
    }
}

/// Where a request names its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ModelIn {
    Body,
    Path,
}

/// The field that holds what is to be answered.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) param: &'static str,
    pub(super) shape: Shape,
    pub(super) allowed: &'static [Shape],
    pub(super) what: &'static str,
}

/// Reads the members of a whole body.
pub(super) fn read(body: &str, members: &mut impl Members) -> Result<(), Fault> {
    let mut deserializer = serde_json::Deserializer::from_str(body);
    serde::de::DeserializeSeed::deserialize(Walk(members), &mut deserializer)
        .and_then(|_| deserializer.end())
        .map_err(|error| not_json(&error))
}

/// A JSON string's text; `None` for another value.
pub(super) fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// A count; `None` for what is none.
pub(super) fn count(raw: &RawValue) -> Option<u64> {
    serde_json::from_str(raw.get()).ok()
}

/// A number; `None` for what is none.
pub(super) fn number(raw: &RawValue) -> Option<f64> {
    serde_json::from_str(raw.get()).ok()
}

/// Whether a value says something: neither null nor an empty string.
pub(super) fn says_something(raw: &RawValue) -> bool {
    !matches!(raw.get(), "null" | "\"\"")
}

#[cfg(test)]
mod tests;
