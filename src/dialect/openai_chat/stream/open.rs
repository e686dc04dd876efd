//! What is open in a choice of a chat stream: where its parts begin and end.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Map, Value};

use super::decoder::MOST;
use crate::dialect::Fields;
use crate::dialect::openai_chat::{DIALECT, wire};
use crate::fault::Fault;
use crate::ir::{CallKind, Carry, Content, Delta, Event, Part, PartAt, Reasoning, Text, TextKind, ToolCall};

/// What is open in a choice.
#[derive(Clone, Debug, Default)]
pub(super) struct Open {
    next: u32,
    /// Text, refusal or thoughts: one of them at most.
    flow: Option<(u32, Flow)>,
    /// How many characters were said, and before the text that is open: citations count in all of them.
    said: u64,
    said_before: u64,
    calls: BTreeMap<u64, Call>,
    /// The index of the call that began last.
    last_call: u64,
    /// How many calls there were; more than `calls`, where servers number them all alike.
    called: usize,
    /// Loose fields of the choice, to be told at its end.
    pub(super) carry: Carry,
    /// Which unknown fields the message has (its sound): their values are not followed.
    pub(super) beside: Map<String, Value>,
    pub(super) finished: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Text,
    Refusal,
    Thoughts,
    /// An entry of `reasoning_details`, by its index.
    Detail(u64),
}

#[derive(Clone, Debug)]
struct Call {
    part: u32,
    kind: CallKind,
    /// A short mark of its id: a piece with another id is of another call, whatever its index says.
    id: u64,
    open: bool,
    json: Json,
}

/// Follows a JSON document just closely enough to know when it is complete.
#[derive(Clone, Copy, Debug, Default)]
struct Json {
    depth: u32,
    in_string: bool,
    escaped: bool,
    begun: bool,
}

impl Json {
    fn push(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                b'{' | b'[' if !self.in_string => {
                    self.begun = true;
                    self.depth += 1;
                }
                b'}' | b']' if !self.in_string => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    fn is_complete(self) -> bool {
        self.begun && self.depth == 0 && !self.in_string
    }
}

impl Open {
    /// Remembers which fields of a delta are not known.
    pub(super) fn keep(&mut self, rest: &Map<String, Value>) {
        const MOST: usize = 16;
        for (key, value) in rest {
            if !value.is_null() && self.beside.len() < MOST {
                self.beside.insert(key.clone(), Value::Bool(true));
            }
        }
    }

    fn begin(&mut self, choice: u32, part: Part, out: &mut Vec<Event>) -> u32 {
        let number = self.next;
        self.next += 1;
        out.push(Event::PartStart(PartAt { choice, part: number }, Box::new(part)));
        number
    }

    /// The open text, refusal or thought is over.
    pub(super) fn stop_flow(&mut self, choice: u32, out: &mut Vec<Event>) {
        if let Some((part, _)) = self.flow.take() {
            out.push(Event::PartStop(PartAt { choice, part }, Carry::NONE));
        }
    }

    /// All open calls are over.
    pub(super) fn stop_calls(&mut self, choice: u32, out: &mut Vec<Event>) {
        for call in self.calls.values_mut().filter(|call| call.open) {
            call.open = false;
            out.push(Event::PartStop(PartAt { choice, part: call.part }, Carry::NONE));
        }
    }

    /// The open part of this kind, begun if need be.
    fn flow(&mut self, choice: u32, flow: Flow, part: impl FnOnce() -> Part, out: &mut Vec<Event>) -> PartAt {
        if let Some((part, open)) = self.flow
            && open == flow
        {
            return PartAt { choice, part };
        }
        self.stop_flow(choice, out);
        let part = self.begin(choice, part(), out);
        if flow == Flow::Text {
            self.said_before = self.said;
        }
        self.flow = Some((part, flow));
        PartAt { choice, part }
    }

    /// Reads a piece of the choice's message.
    pub(super) fn delta(&mut self, choice: u32, delta: &mut Fields<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        self.thoughts(choice, delta, out)?;
        // OpenAI's first chunk has an empty text, also when only calls follow: it begins nothing.
        if let Some(text) = delta.string("content")?.filter(|text| !text.is_empty()) {
            let at = self.flow(choice, Flow::Text, || Part::text(""), out);
            self.said = self.said.saturating_add(u64::try_from(text.chars().count()).unwrap_or(u64::MAX));
            out.push(Event::Delta(at, Delta::Text(text)));
        }
        if let Some(text) = delta.string("refusal")?.filter(|text| !text.is_empty()) {
            let at = self.flow(choice, Flow::Refusal, || Part::new(Content::Refusal(String::new())), out);
            out.push(Event::Delta(at, Delta::Refusal(text)));
        }
        for annotation in delta.array("annotations")?.unwrap_or_default() {
            let at = self.flow(choice, Flow::Text, || Part::text(""), out);
            let citation = wire::citation_from(annotation).after(self.said_before);
            out.push(Event::Delta(at, Delta::Citation(Box::new(citation))));
        }
        let here = delta.path();
        let list = here.key("tool_calls");
        for (index, call) in delta.array("tool_calls")?.unwrap_or_default().into_iter().enumerate() {
            self.call(choice, Fields::of(call, list.index(index))?, index, out)?;
        }
        Ok(())
    }

    fn thoughts(&mut self, choice: u32, delta: &mut Fields<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        let plain = ["reasoning_content", "reasoning"];
        let details = delta.array("reasoning_details")?.unwrap_or_default();
        if details.is_empty() {
            for key in plain {
                let Some(Value::String(text)) = delta.take(key) else { continue };
                if text.is_empty() {
                    continue;
                }
                let begin = || {
                    let carry = Carry::NONE.noted(DIALECT, "field", key);
                    Part::new(Content::Reasoning(Reasoning::default())).carrying(carry)
                };
                let at = self.flow(choice, Flow::Thoughts, begin, out);
                out.push(Event::Delta(at, Delta::Reasoning { text: 0, kind: TextKind::Full, delta: text }));
                break;
            }
            return Ok(());
        }
        let here = delta.path();
        let list = here.key("reasoning_details");
        for (place, detail) in details.into_iter().enumerate() {
            self.detail(choice, Fields::of(detail, list.index(place))?, place, out)?;
        }
        Ok(())
    }

    /// A piece of an entry of `reasoning_details`; pieces of one entry share its index.
    fn detail(&mut self, choice: u32, mut detail: Fields<'_>, place: usize, out: &mut Vec<Event>) -> Result<(), Fault> {
        let index = detail.peek("index").and_then(Value::as_u64).unwrap_or(u64::try_from(place).unwrap_or(u64::MAX));
        let kind = detail.string("type")?.unwrap_or_else(|| "reasoning.text".to_owned());
        let texts = [("text", TextKind::Full), ("summary", TextKind::Summary)];
        let mut pieces = Vec::new();
        for (key, text_kind) in texts {
            pieces.extend(detail.string(key)?.filter(|text| !text.is_empty()).map(|text| (text_kind, text)));
        }
        let id = detail.string("id")?;
        let begin = || {
            let carry = Carry::NONE.noted(DIALECT, "field", "reasoning_details").noted(DIALECT, "type", kind);
            Part::new(Content::Reasoning(Reasoning { id, texts: Vec::new() })).carrying(carry)
        };
        let at = self.flow(choice, Flow::Detail(index), begin, out);
        for (text_kind, text) in pieces {
            out.push(Event::Delta(at, Delta::Reasoning { text: 0, kind: text_kind, delta: text }));
        }
        // A signature or encrypted form comes with an entry's last piece, and ends it.
        if detail.peek("signature").is_some() || detail.peek("data").is_some() {
            self.flow = None;
            out.push(Event::PartStop(at, detail.carry(DIALECT)));
        }
        Ok(())
    }

    fn call(&mut self, choice: u32, mut call: Fields<'_>, place: usize, out: &mut Vec<Event>) -> Result<(), Fault> {
        let index = call.count("index")?;
        let id = call.string("id")?.filter(|id| !id.is_empty());
        // Some servers leave the index out: what has no id goes on with the last call.
        let index = match (index, &id) {
            (Some(index), _) => index,
            (None, Some(_)) => u64::try_from(place).unwrap_or(u64::MAX),
            (None, None) => self.last_call,
        };
        let kind = match call.string("type")?.as_deref() {
            Some("custom") => CallKind::Custom,
            Some(_) | None => self.calls.get(&index).map_or(CallKind::Function, |call| call.kind),
        };
        let here = call.path();
        let key = wire::kind_to(kind);
        let mut inner = match call.take(key) {
            Some(inner) => Fields::of(inner, here.key(key))?,
            None => Fields::of_map(Map::new(), here),
        };
        // Others give every call the same index. A piece of a call that goes on may repeat its id, or make up a new one,
        // but has no name.
        let is_new = self.calls.get(&index).is_none_or(|known| {
            let named = inner.peek_str("name").is_some_and(|name| !name.is_empty());
            named && id.as_deref().is_some_and(|id| short(id) != known.id)
        });
        if is_new {
            if self.called >= MOST {
                return Err(call.invalid("index", format!("less than {MOST}")));
            }
            self.called += 1;
            self.last_call = index;
            if let Some(known) = self.calls.remove(&index).filter(|known| known.open) {
                out.push(Event::PartStop(PartAt { choice, part: known.part }, Carry::NONE));
            }
            self.stop_flow(choice, out);
            for other in self.calls.values_mut().filter(|other| other.open && other.is_complete()) {
                other.open = false;
                out.push(Event::PartStop(PartAt { choice, part: other.part }, Carry::NONE));
            }
            let head = ToolCall {
                id: id.ok_or_else(|| call.missing("id"))?,
                name: inner.required_string("name")?,
                arguments: String::new(),
                kind,
            };
            let id = short(&head.id);
            let part = self.begin(choice, Part::new(Content::ToolCall(head)), out);
            self.calls.insert(index, Call { part, kind, id, open: true, json: Json::default() });
        }
        let argument_key = match kind {
            CallKind::Function => "arguments",
            CallKind::Custom => "input",
        };
        let more = inner.string(argument_key)?.unwrap_or_default();
        if let Some(state) = self.calls.get_mut(&index)
            && !more.is_empty()
        {
            if !state.open {
                return Err(inner.invalid(argument_key, "absent once the call is complete"));
            }
            state.json.push(&more);
            out.push(Event::Delta(PartAt { choice, part: state.part }, Delta::Arguments(more)));
        }
        Ok(())
    }

    /// Reads the probabilities of a piece of text.
    pub(super) fn logprobs(&mut self, choice: u32, logprobs: &Value, out: &mut Vec<Event>) {
        let Some(entries) = logprobs.get("content").and_then(Value::as_array) else { return };
        let Some(known) = wire::logprobs_from(entries).filter(|known| !known.is_empty()) else { return };
        let at = self.flow(choice, Flow::Text, || Part::new(Content::Text(Text::default())), out);
        out.push(Event::Delta(at, Delta::Logprobs(known)));
    }
}

impl Call {
    /// Whether nothing more can come. Only JSON shows it.
    fn is_complete(&self) -> bool {
        match self.kind {
            CallKind::Function => self.json.is_complete(),
            CallKind::Custom => true,
        }
    }
}

/// A mark to know an id by, however long that is.
fn short(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}
