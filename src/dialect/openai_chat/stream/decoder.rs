//! Reads a provider's chat stream.
//!
//! Chat marks neither where a part begins nor where it ends. A part begins with its first piece; text, refusal and
//! thoughts end when another kind of piece comes; a call ends when the next one begins and its arguments are a complete
//! JSON document (else the two are interleaved, and it stays open); all end with the choice's finish reason.

use std::collections::BTreeMap;

use serde_json::Value;

use super::open::Open;
use crate::dialect::kept::Kept;
use crate::dialect::openai_chat::{DIALECT, wire};
use crate::dialect::{Fields, Path, StreamDecoder};
use crate::fault::Fault;
use crate::ir::{ApiError, Carry, ErrorKind, Event, Start};

/// The most choices and calls that are followed: more is nonsense, and would be memory given away.
pub(super) const MOST: usize = 1_024;

/// Reads one stream.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    started: bool,
    over: bool,
    choices: BTreeMap<u32, Open>,
    /// Loose fields of chunks that came before the answer began (Azure's filter results).
    early: Carry,
    kept: Kept,
}

impl StreamDecoder for Decoder {
    fn push(&mut self, data: &str, out: &mut Vec<Event>) {
        if self.over {
            return;
        }
        let data = data.trim();
        if data == "[DONE]" {
            self.done(out);
            return;
        }
        let chunk = match serde_json::from_str::<Value>(data) {
            Ok(chunk) => chunk,
            Err(error) => return self.fail(ApiError::nonsense(error), out),
        };
        if let Err(fault) = self.chunk(chunk, out) {
            self.fail(ApiError::nonsense(fault.message), out);
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        if !self.over {
            self.fail(ApiError::cut(), out);
        }
    }
}

impl Decoder {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn fail(&mut self, error: ApiError, out: &mut Vec<Event>) {
        self.over = true;
        out.push(Event::Error(Box::new(error)));
    }

    fn done(&mut self, out: &mut Vec<Event>) {
        let is_whole = self.started && !self.choices.is_empty() && self.choices.values().all(|choice| choice.finished);
        if !is_whole {
            return self.fail(ApiError::cut(), out);
        }
        self.over = true;
        out.push(Event::End(Carry::NONE));
    }

    fn chunk(&mut self, chunk: Value, out: &mut Vec<Event>) -> Result<(), Fault> {
        let mut fields = Fields::of(chunk, Path::ROOT)?;
        if let Some(error) = fields.take("error") {
            self.fail(error_from(error), out);
            return Ok(());
        }
        if fields.peek_str("object") == Some("chat.completion.chunk") {
            fields.take("object");
        }
        // Filler against guessing at lengths; it means nothing.
        fields.forget("obfuscation");
        let choices = fields.array("choices")?.unwrap_or_default();
        let usage = fields.take("usage");
        fields.forget("usage");
        self.start(fields, choices.is_empty() && usage.is_none(), out)?;
        let list = Path::ROOT.key("choices");
        for (index, choice) in choices.into_iter().enumerate() {
            self.choice(Fields::of(choice, list.index(index))?, out)?;
        }
        if let Some(usage) = usage.filter(Value::is_object)
            && self.started
        {
            out.push(Event::Usage(Box::new(wire::usage_from(usage))));
        }
        Ok(())
    }

    /// Begins the answer with the first chunk that belongs to it: Azure sends one before, without an id.
    fn start(&mut self, mut fields: Fields<'_>, is_empty: bool, out: &mut Vec<Event>) -> Result<(), Fault> {
        if self.started {
            return Ok(());
        }
        let id = fields.string("id")?.filter(|id| !id.is_empty());
        let model = fields.string("model")?.filter(|model| !model.is_empty());
        let created = fields.count("created")?;
        let service_tier = fields.string("service_tier")?;
        self.kept.merge(&mut self.early, fields.carry(DIALECT))?;
        if is_empty && id.is_none() {
            return Ok(());
        }
        self.started = true;
        let carry = std::mem::take(&mut self.early);
        out.push(Event::Start(Box::new(Start { id, model, created, usage: None, service_tier, carry })));
        Ok(())
    }

    fn choice(&mut self, mut fields: Fields<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        let index = fields.count("index")?.unwrap_or(0);
        let index = u32::try_from(index).map_err(|_| fields.invalid("index", "a small number"))?;
        if self.choices.len() >= MOST && !self.choices.contains_key(&index) {
            return Err(fields.invalid("index", format!("less than {MOST}")));
        }
        let state = self.choices.entry(index).or_default();
        let here = fields.path();
        if let Some(delta) = fields.take("delta") {
            let mut delta = Fields::of(delta, here.key("delta"))?;
            if state.finished && says_something(&delta) {
                return Err(delta.invalid("content", "absent after the choice's finish reason"));
            }
            state.delta(index, &mut delta, out)?;
            state.keep(&delta.rest());
        }
        if let Some(logprobs) = fields.take("logprobs") {
            state.logprobs(index, &logprobs, out);
        }
        let finish = fields.string("finish_reason")?;
        self.kept.merge(&mut state.carry, fields.carry(DIALECT))?;
        if let Some(word) = finish
            && !std::mem::replace(&mut state.finished, true)
        {
            state.stop_flow(index, out);
            state.stop_calls(index, out);
            let mut carry = std::mem::take(&mut state.carry);
            if !state.beside.is_empty() {
                carry.note(DIALECT, "message", std::mem::take(&mut state.beside));
            }
            out.push(Event::Finish(index, Box::new(wire::finish_from(word)), carry));
        }
        Ok(())
    }
}

/// Whether a delta holds a piece of the answer, rather than only empty or unknown fields.
fn says_something(delta: &Fields<'_>) -> bool {
    let text = ["content", "refusal", "reasoning_content", "reasoning"]
        .iter()
        .any(|key| delta.peek_str(key).is_some_and(|text| !text.is_empty()));
    let list = ["tool_calls", "reasoning_details"]
        .iter()
        .any(|key| delta.peek(key).and_then(Value::as_array).is_some_and(|list| !list.is_empty()));
    text || list
}

/// Reads an error that a server sends in the middle of a stream.
fn error_from(value: Value) -> ApiError {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let type_word = text("type");
    let status = value.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let kind = type_word
        .as_deref()
        .and_then(ErrorKind::from_type_name)
        .or_else(|| status.filter(|status| *status >= 400).map(ErrorKind::from_status))
        .unwrap_or(ErrorKind::Api);
    let message = text("message").or_else(|| value.as_str().map(str::to_owned));
    let mut error =
        ApiError::new(kind, message.unwrap_or_else(|| "the provider ended the stream with an error".into()));
    error.type_word = type_word;
    error.code = text("code");
    error.param = text("param");
    error
}
