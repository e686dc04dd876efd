//! Reads a provider's stream.
//!
//! Every chunk is a whole response with the next piece. A text or a thought goes on until another kind of part comes or
//! until it is signed; a call comes whole, or as a name and then updates of its arguments (`partialArgs`, Gemini 3). A
//! finish reason is no last word: older models say it in every chunk. What ends the stream is the connection, and it is
//! whole if every candidate had said a reason by then.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::dialect::gemini::arguments::Arguments;
use crate::dialect::gemini::decode::{call_id, feedback_finish, thought};
use crate::dialect::gemini::grounding::{self, Texts};
use crate::dialect::gemini::parts::part_from;
use crate::dialect::gemini::wire::{self, list, open};
use crate::dialect::gemini::{DIALECT, error};
use crate::dialect::kept::Kept;
use crate::dialect::{Fields, Path, StreamDecoder};
use crate::fault::Fault;
use crate::ir::{
    ApiError, CallKind, Carry, Citation, Content, Delta, ErrorKind, Event, Finish, Part, PartAt, Seal, Start, TextKind,
    ToolCall,
};

/// The most candidates that are followed: more is nonsense, and would be memory given away.
const MOST: usize = 1_024;

/// Reads one stream.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    started: bool,
    over: bool,
    id: Option<String>,
    choices: BTreeMap<u32, Open>,
    /// Loose fields of chunks after the first.
    late: Carry,
    kept: Kept,
    /// Searches that Google made.
    searches: Option<u64>,
}

/// What is open in a candidate.
#[derive(Clone, Debug, Default)]
struct Open {
    next: u32,
    flow: Option<(u32, Flow)>,
    call: Option<(u32, Arguments)>,
    calls: usize,
    /// All that was said: citations count in it.
    text: String,
    /// Where in it the text begins that is open, or the last one.
    last_text: usize,
    /// Why it ended, if nothing more comes.
    finish: Option<Finish>,
    /// Loose fields, to be told at the end.
    carry: Carry,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Text,
    Thought,
}

impl StreamDecoder for Decoder {
    fn push(&mut self, data: &str, out: &mut Vec<Event>) {
        if self.over || data.trim().is_empty() {
            return;
        }
        match serde_json::from_str::<Value>(data) {
            // An array's elements, where a stream comes as one.
            Ok(Value::Array(chunks)) => {
                for chunk in chunks {
                    self.chunk(chunk, out);
                }
            }
            Ok(chunk) => self.chunk(chunk, out),
            Err(error) => self.fail(ApiError::nonsense(error), out),
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        if self.over {
            return;
        }
        let is_whole =
            self.started && !self.choices.is_empty() && self.choices.values().all(|choice| choice.finish.is_some());
        if !is_whole {
            return self.fail(ApiError::cut(), out);
        }
        self.over = true;
        for (index, mut choice) in std::mem::take(&mut self.choices) {
            choice.stop(index, out);
            if let Some(finish) = choice.finish {
                out.push(Event::Finish(index, Box::new(finish), choice.carry));
            }
        }
        out.push(Event::End(std::mem::take(&mut self.late)));
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

    fn chunk(&mut self, chunk: Value, out: &mut Vec<Event>) {
        if self.over {
            return;
        }
        if chunk.get("error").is_some() {
            return self.fail(error_from(&chunk), out);
        }
        if let Err(fault) = self.read(chunk, out) {
            self.fail(ApiError::nonsense(fault.message), out);
        }
    }

    fn read(&mut self, chunk: Value, out: &mut Vec<Event>) -> Result<(), Fault> {
        let mut fields = open(chunk, Path::ROOT)?;
        let id = fields.string("responseId")?;
        let model = fields.string("modelVersion")?;
        let candidates = list(&mut fields, "candidates")?;
        let usage = fields.take("usageMetadata");
        let blocked = feedback_finish(fields.peek("promptFeedback"));
        if candidates.is_none() && usage.is_none() && blocked.is_none() && id.is_none() && model.is_none() {
            return Err(fields.missing("candidates"));
        }
        if self.started {
            self.kept.merge(&mut self.late, fields.carry(DIALECT))?;
        } else {
            self.started = true;
            self.id.clone_from(&id);
            let mut usage = usage.clone().map(|usage| wire::usage_from(usage, None));
            let service_tier = usage.as_mut().and_then(|usage| usage.service_tier.take());
            let usage = usage.filter(wire::counts_anything);
            let carry = fields.carry(DIALECT);
            let start = Start { id, model, created: None, usage, service_tier, carry };
            out.push(Event::Start(Box::new(start)));
        }
        let places = Path::ROOT.key("candidates");
        for (index, candidate) in candidates.into_iter().flatten().enumerate() {
            self.candidate(open(candidate, places.index(index))?, index, out)?;
        }
        if let Some(finish) = blocked.filter(|_| self.choices.is_empty()) {
            let carry = Carry::NONE.noted(DIALECT, "blocked", true);
            self.choices.insert(0, Open { finish: Some(finish), carry, ..Open::default() });
        }
        let usage = usage.map(|usage| wire::usage_from(usage, self.searches)).filter(wire::counts_anything);
        out.extend(usage.map(|usage| Event::Usage(Box::new(usage))));
        Ok(())
    }

    fn candidate(&mut self, mut fields: Fields<'_>, place: usize, out: &mut Vec<Event>) -> Result<(), Fault> {
        let index = match wire::count(&mut fields, "index")? {
            Some(index) => u32::try_from(index).map_err(|_| fields.invalid("index", "a small number"))?,
            None => u32::try_from(place).unwrap_or(u32::MAX),
        };
        if self.choices.len() >= MOST && !self.choices.contains_key(&index) {
            return Err(fields.invalid("index", format!("less than {MOST}")));
        }
        let here = fields.path();
        let choice = self.choices.entry(index).or_default();
        if let Some(content) = fields.take("content") {
            let path = here.key("content");
            let mut content = open(content, path)?;
            let places = path.key("parts");
            for (number, part) in list(&mut content, "parts")?.into_iter().flatten().enumerate() {
                choice.part(index, part, places.index(number), self.id.as_deref(), out)?;
            }
        }
        if let Some(logprobs) = fields.take("logprobsResult").and_then(|value| wire::logprobs_from(&value))
            && !logprobs.is_empty()
        {
            let at = choice.flow(index, Flow::Text, out);
            out.push(Event::Delta(at, Delta::Logprobs(logprobs)));
        }
        if let Some(searches) = fields.peek("groundingMetadata").and_then(wire::searches) {
            self.searches = self.searches.max(Some(searches));
        }
        let message = fields.string("finishMessage")?;
        if let Some(word) = fields.string("finishReason")? {
            choice.finish = Some(wire::finish_from(word, message, choice.calls > 0));
        }
        self.kept.merge(&mut choice.carry, fields.carry(DIALECT))
    }
}

impl Open {
    fn begin(&mut self, choice: u32, part: Part, out: &mut Vec<Event>) -> PartAt {
        let at = PartAt { choice, part: self.next };
        self.next += 1;
        out.push(Event::PartStart(at, Box::new(part)));
        at
    }

    /// Ends the call that is open.
    fn stop_call(&mut self, choice: u32, out: &mut Vec<Event>) {
        let Some((part, mut arguments)) = self.call.take() else { return };
        let at = PartAt { choice, part };
        let rest = arguments.finish();
        if !rest.is_empty() {
            out.push(Event::Delta(at, Delta::Arguments(rest)));
        }
        out.push(Event::PartStop(at, Carry::NONE));
    }

    fn stop_flow(&mut self, choice: u32, out: &mut Vec<Event>) {
        if let Some((part, _)) = self.flow.take() {
            out.push(Event::PartStop(PartAt { choice, part }, Carry::NONE));
        }
    }

    /// Ends all that is open; before the last text ends, it is told where it comes from. Google says that at the end:
    /// the sources of a text that is over by then are told without a place, if need be with an empty text.
    fn stop(&mut self, choice: u32, out: &mut Vec<Event>) {
        self.stop_call(choice, out);
        let field = |key: &str| self.carry.field(DIALECT, key);
        let (grounds, cited) = (field("groundingMetadata"), field("citationMetadata"));
        if grounds.is_some() || cited.is_some() {
            let open = if matches!(self.flow, Some((_, Flow::Text))) { self.last_text } else { self.text.len() };
            let (before, last) = self.text.split_at_checked(open).unwrap_or((&self.text, ""));
            let before = u64::try_from(before.chars().count()).unwrap_or(u64::MAX);
            // Google may count in the last text, or in all of them.
            let texts = Texts::of([(None, last), (None, self.text.as_str())]);
            let citations = grounding::citations_from(grounds, cited, &texts).into_iter();
            let in_open = |(text, citation): (usize, Citation)| citation.after(if text == 0 { 0 } else { before });
            let citations: Vec<Citation> = citations.map(in_open).collect();
            if !citations.is_empty() {
                let at = self.flow(choice, Flow::Text, out);
                let told = citations.into_iter().map(|citation| Event::Delta(at, Delta::Citation(Box::new(citation))));
                out.extend(told);
            }
        }
        self.stop_flow(choice, out);
    }

    /// The open part of this kind, begun if need be.
    fn flow(&mut self, choice: u32, flow: Flow, out: &mut Vec<Event>) -> PartAt {
        if let Some((part, open)) = self.flow
            && open == flow
        {
            return PartAt { choice, part };
        }
        self.stop_call(choice, out);
        self.stop_flow(choice, out);
        let part = match flow {
            Flow::Text => {
                self.last_text = self.text.len();
                Part::text("")
            }
            Flow::Thought => {
                let mut part = thought(String::new());
                if let Content::Reasoning(reasoning) = &mut part.content {
                    reasoning.texts.clear();
                }
                part
            }
        };
        let at = self.begin(choice, part, out);
        self.flow = Some((at.part, flow));
        at
    }

    fn part(
        &mut self,
        choice: u32,
        value: Value,
        path: Path<'_>,
        response: Option<&str>,
        out: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        let mut fields = open(value, path)?;
        if let Some(call) = fields.take("functionCall") {
            let call = open(call, path.key("functionCall"))?;
            let signature = fields.string("thoughtSignature")?;
            return self.call(choice, call, signature, fields.carry(DIALECT), response, out);
        }
        let part = part_from(Value::Object(fields.rest()), path)?;
        let Part { content, seal, carry, .. } = part;
        match content {
            Content::Text(text) => {
                if text.text.is_empty() && seal.is_none() {
                    return Ok(());
                }
                self.say(choice, Flow::Text, text.text, seal, out);
            }
            Content::Reasoning(reasoning) => self.say(choice, Flow::Thought, reasoning.joined(), seal, out),
            content @ (Content::Media(_)
            | Content::Opaque(_)
            | Content::Refusal(_)
            | Content::ToolCall(_)
            | Content::ToolResult(_)) => {
                self.stop_call(choice, out);
                self.stop_flow(choice, out);
                let at = self.begin(choice, Part::new(content).sealed(seal).carrying(carry), out);
                out.push(Event::PartStop(at, Carry::NONE));
            }
        }
        Ok(())
    }

    /// A piece of text or thought. A signature stands on the last piece, or on an empty one after it.
    fn say(&mut self, choice: u32, flow: Flow, text: String, seal: Option<Seal>, out: &mut Vec<Event>) {
        if text.is_empty() && seal.is_none() {
            return;
        }
        let at = self.flow(choice, flow, out);
        if !text.is_empty() {
            out.push(Event::Delta(
                at,
                match flow {
                    Flow::Text => {
                        self.text.push_str(&text);
                        Delta::Text(text)
                    }
                    Flow::Thought => Delta::Reasoning { text: 0, kind: TextKind::Summary, delta: text },
                },
            ));
        }
        if let Some(seal) = seal {
            out.push(Event::Delta(at, Delta::Seal(Box::new(seal))));
            // The text stays open, for its citations: a part that is signed does not go on, though.
            if flow == Flow::Thought {
                self.stop_flow(choice, out);
            }
        }
    }

    fn call(
        &mut self,
        choice: u32,
        mut call: Fields<'_>,
        signature: Option<String>,
        carry: Carry,
        response: Option<&str>,
        out: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        let nothing = |what: String| Fault::new(crate::fault::FaultKind::UpstreamError, what);
        let name = call.string("name")?.filter(|name| !name.is_empty());
        let id = call.string("id")?.filter(|id| !id.is_empty());
        let will_continue = call.boolean("willContinue")?.unwrap_or(false);
        let updates = list(&mut call, "partialArgs")?.unwrap_or_default();
        let whole = call.object("args")?;
        if let Some(name) = name {
            self.stop_call(choice, out);
            self.stop_flow(choice, out);
            let mut carry = carry;
            let id = id.unwrap_or_else(|| {
                carry.note(DIALECT, "no_id", true);
                call_id(response, choice, self.calls, &name)
            });
            self.calls += 1;
            let head = ToolCall { id, name, arguments: String::new(), kind: CallKind::Function };
            let seal =
                signature.and_then(|text| Seal::read(crate::ir::Origin::Gemini, crate::ir::SealKind::Thought, text));
            let at = self.begin(choice, Part::new(Content::ToolCall(head)).sealed(seal).carrying(carry), out);
            self.call = Some((at.part, Arguments::default()));
        }
        let Some((part, arguments)) = &mut self.call else {
            // The end of a call that has ended already.
            return if updates.is_empty() && whole.as_ref().is_none_or(Map::is_empty) {
                Ok(())
            } else {
                Err(call.missing("name"))
            };
        };
        let mut text = match whole {
            Some(whole) if updates.is_empty() && !whole.is_empty() => arguments.whole(&Value::Object(whole)),
            Some(_) | None => String::new(),
        };
        text.push_str(&arguments.update(&updates).map_err(nothing)?);
        if !text.is_empty() {
            out.push(Event::Delta(PartAt { choice, part: *part }, Delta::Arguments(text)));
        }
        if !will_continue {
            self.stop_call(choice, out);
        }
        Ok(())
    }
}

/// Reads an error that Google sends in the middle of a stream.
fn error_from(chunk: &Value) -> ApiError {
    let Some(said) = error::parse(0, chunk) else {
        return ApiError::new(ErrorKind::Api, "the provider ended the stream with an error");
    };
    let kind = if said.status >= 400 { ErrorKind::from_status(said.status) } else { ErrorKind::Api };
    let mut error = ApiError::new(kind, said.message);
    error.type_word = said.kind;
    error.code = said.code;
    error.param = said.param;
    error
}
