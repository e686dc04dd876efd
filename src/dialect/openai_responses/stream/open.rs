//! Items of a stream that have begun and are not done.

mod heard;
mod part;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::dialect::Path;
use crate::dialect::openai_responses::decode::{self, OutputItem};
use crate::dialect::openai_responses::{DIALECT, wire};
use crate::fault::Fault;
use crate::ir::{Carry, Content, Delta, Event, Part, PartAt, Reasoning, TextKind};

use heard::Heard;
use part::Open;

/// The most parts and texts of an item: more is nonsense, and would be memory given away.
const MOST: usize = 1_024;

/// How many parts have begun.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    next: u32,
    pub(super) has_calls: bool,
}

/// An item.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// A message: what it says of itself, for its first part, and its parts by their index.
    Message(Option<Map<String, Value>>, BTreeMap<u64, Open>),
    /// A call, and what has come of its arguments.
    Call(PartAt, Heard),
    /// Thoughts: which of the part's texts each is, and what has come of it.
    Thoughts(PartAt, BTreeMap<(Shown, u64), (u32, Heard)>),
    /// Told when it is done.
    Whole,
}

/// Summaries and full thoughts are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shown {
    Summary,
    Full,
}

impl Parts {
    fn begin(&mut self, part: Part, out: &mut Vec<Event>) -> PartAt {
        let at = PartAt::first(self.next);
        self.next = self.next.saturating_add(1);
        out.push(Event::PartStart(at, Box::new(part)));
        at
    }

    fn whole(&mut self, part: Part, out: &mut Vec<Event>) {
        let at = self.begin(part, out);
        out.push(Event::PartStop(at, Carry::NONE));
    }
}

impl Item {
    /// An item was added.
    pub(super) fn begin(value: Value, here: Path<'_>, parts: &mut Parts, out: &mut Vec<Event>) -> Result<Self, Fault> {
        let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
        match kind {
            "message" => {
                let Value::Object(mut head) = value else { return Ok(Self::Whole) };
                head.shift_remove("type");
                head.shift_remove("content");
                // Its status when it is done is another one.
                head.shift_remove("status");
                Ok(Self::Message(Some(head), BTreeMap::new()))
            }
            "function_call" | "custom_tool_call" => {
                let mut value = value;
                let key = if kind_is_custom(&value) { "input" } else { "arguments" };
                if value.get(key).is_none_or(Value::is_null) {
                    value[key] = Value::from("");
                }
                let OutputItem::Node(mut part) = decode::output_item(value, here)? else { return Ok(Self::Whole) };
                let mut first = String::new();
                if let Content::ToolCall(call) = &mut part.content {
                    first = std::mem::take(&mut call.arguments);
                }
                parts.has_calls = true;
                let at = parts.begin(part, out);
                let mut item = Self::Call(at, Heard::default());
                item.arguments(&first, out);
                Ok(item)
            }
            "reasoning" => {
                let id = value.get("id").and_then(Value::as_str).map(str::to_owned);
                let carry = Carry::NONE.noted(DIALECT, "own", true);
                let part = Part::new(Content::Reasoning(Reasoning { id, texts: Vec::new() })).carrying(carry);
                Ok(Self::Thoughts(parts.begin(part, out), BTreeMap::new()))
            }
            "" => Err(here.key("type").missing()),
            _ => Ok(Self::Whole),
        }
    }

    /// The item is done: tells what is new of it, and ends it.
    pub(super) fn end(self, whole: OutputItem, parts: &mut Parts, out: &mut Vec<Event>) {
        match (self, whole) {
            (Self::Message(head, mut contents), OutputItem::Message(_, known)) => {
                let mut head = head;
                for (index, part) in (0_u64..).zip(known) {
                    match contents.remove(&index) {
                        Some(open) => open.end(part, &mut head, parts, out),
                        None => Open::begin(&part, &mut head, parts, out).end(part, &mut head, parts, out),
                    }
                }
                Self::Message(head, contents).close(parts, out);
            }
            (Self::Message(_, contents), OutputItem::Node(part)) if contents.is_empty() => parts.whole(part, out),
            (Self::Whole, OutputItem::Node(part)) => parts.whole(part, out),
            (Self::Whole, OutputItem::Message(_, known)) => known.into_iter().for_each(|part| parts.whole(part, out)),
            (Self::Call(at, heard), OutputItem::Node(part)) => {
                if let Content::ToolCall(call) = &part.content
                    && let Some(more) = heard.news(&call.arguments)
                {
                    out.push(Event::Delta(at, Delta::Arguments(more.to_owned())));
                }
                out.push(Event::PartStop(at, part.carry));
            }
            (Self::Thoughts(at, texts), OutputItem::Node(part)) => {
                let mut open = Self::Thoughts(at, texts);
                if let Content::Reasoning(reasoning) = &part.content {
                    let (mut summaries, mut fulls) = (0_u64, 0_u64);
                    for text in &reasoning.texts {
                        let index = match text.kind {
                            TextKind::Summary => &mut summaries,
                            TextKind::Full => &mut fulls,
                        };
                        // Too many texts were refused when they came.
                        let _ = open.whole_thought(text.kind, *index, &text.text, out);
                        *index += 1;
                    }
                }
                if let Some(seal) = part.seal {
                    out.push(Event::Delta(at, Delta::Seal(Box::new(seal))));
                }
                out.push(Event::PartStop(at, part.carry));
            }
            (open @ (Self::Message(..) | Self::Call(..) | Self::Thoughts(..)), _) => open.close(parts, out),
        }
    }

    /// Ends what is open of an item of which nothing more is known.
    pub(super) fn close(self, _parts: &mut Parts, out: &mut Vec<Event>) {
        match self {
            Self::Message(_, contents) => {
                let open = contents.into_values().filter(|content| !content.done).filter_map(|content| content.at);
                out.extend(open.map(|at| Event::PartStop(at, Carry::NONE)));
            }
            Self::Call(at, _) | Self::Thoughts(at, _) => out.push(Event::PartStop(at, Carry::NONE)),
            Self::Whole => {}
        }
    }

    /// More of a call's arguments or input.
    pub(super) fn arguments(&mut self, more: &str, out: &mut Vec<Event>) {
        if let Self::Call(at, heard) = self
            && !more.is_empty()
        {
            heard.more(more);
            out.push(Event::Delta(*at, Delta::Arguments(more.to_owned())));
        }
    }

    /// All of a call's arguments or input.
    pub(super) fn whole_arguments(&mut self, whole: &str, out: &mut Vec<Event>) {
        if let Self::Call(_, heard) = self
            && let Some(more) = heard.news(whole)
        {
            self.arguments(more, out);
        }
    }

    /// More of a text of thoughts, which begins with its first piece.
    pub(super) fn thought(
        &mut self,
        kind: TextKind,
        index: u64,
        more: &str,
        out: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        let Self::Thoughts(at, texts) = self else { return Ok(()) };
        let shown = match kind {
            TextKind::Summary => Shown::Summary,
            TextKind::Full => Shown::Full,
        };
        if texts.len() >= MOST {
            return Err(Path::ROOT.key("summary_index").invalid(format!("less than {MOST}")));
        }
        let next = u32::try_from(texts.len()).unwrap_or(u32::MAX);
        let (number, heard) = texts.entry((shown, index)).or_insert_with(|| (next, Heard::default()));
        heard.more(more);
        let (at, text) = (*at, *number);
        out.push(Event::Delta(at, Delta::Reasoning { text, kind, delta: more.to_owned() }));
        Ok(())
    }

    /// All of a text of thoughts.
    pub(super) fn whole_thought(
        &mut self,
        kind: TextKind,
        index: u64,
        whole: &str,
        out: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        let Self::Thoughts(_, texts) = self else { return Ok(()) };
        let shown = match kind {
            TextKind::Summary => Shown::Summary,
            TextKind::Full => Shown::Full,
        };
        match texts.get(&(shown, index)) {
            None => self.thought(kind, index, whole, out),
            Some((_, heard)) => match heard.news(whole) {
                Some(more) => self.thought(kind, index, more, out),
                None => Ok(()),
            },
        }
    }

    /// A part of a message begins.
    pub(super) fn part_added(
        &mut self,
        index: u64,
        value: &Value,
        parts: &mut Parts,
        out: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        let Self::Message(head, contents) = self else { return Ok(()) };
        if contents.contains_key(&index) {
            return Ok(());
        }
        let part = decode::content_part(value.clone(), Path::ROOT.key("part"))?;
        if contents.len() >= MOST {
            return Err(Path::ROOT.key("content_index").invalid(format!("less than {MOST}")));
        }
        let mut open = Open::begin(&part, head, parts, out);
        open.more(&part, out);
        contents.insert(index, open);
        Ok(())
    }

    /// A part of a message is done.
    pub(super) fn part_done(
        &mut self,
        index: u64,
        value: &Value,
        parts: &mut Parts,
        out: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        match self {
            Self::Message(..) => {}
            Self::Thoughts(..) => {
                let words = value.get("text").and_then(Value::as_str).unwrap_or_default();
                return self.whole_thought(TextKind::Full, index, words, out);
            }
            Self::Call(..) | Self::Whole => return Ok(()),
        }
        self.part_added(index, value, parts, out)?;
        let Self::Message(head, contents) = self else { return Ok(()) };
        let part = decode::content_part(value.clone(), Path::ROOT.key("part"))?;
        if let Some(open) = contents.get_mut(&index).filter(|open| !open.done) {
            open.clone().end(part, head, parts, out);
            open.done = true;
        }
        Ok(())
    }

    /// The open part with this index, begun if its beginning was not told.
    fn content(
        &mut self,
        index: u64,
        part: impl FnOnce() -> Part,
        parts: &mut Parts,
        out: &mut Vec<Event>,
    ) -> Result<Option<&mut Open>, Fault> {
        let Self::Message(head, contents) = self else { return Ok(None) };
        if !contents.contains_key(&index) {
            if contents.len() >= MOST {
                return Err(Path::ROOT.key("content_index").invalid(format!("less than {MOST}")));
            }
            let open = Open::begin(&part(), head, parts, out);
            contents.insert(index, open);
        }
        match contents.get_mut(&index) {
            Some(open) if open.done => Err(Path::ROOT.key("content_index").invalid("that of a part that is not done")),
            other => Ok(other),
        }
    }

    /// More of a text.
    pub(super) fn text(
        &mut self,
        index: u64,
        more: &str,
        logprobs: Option<&Value>,
        parts: &mut Parts,
        out: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        let Some(open) = self.content(index, || Part::text(""), parts, out)? else { return Ok(()) };
        open.say(more, Delta::Text, out);
        let entries = logprobs.and_then(Value::as_array).filter(|entries| !entries.is_empty());
        open.likely(entries.map_or(&[], Vec::as_slice), out);
        Ok(())
    }

    /// All of a text.
    pub(super) fn whole_text(
        &mut self,
        index: u64,
        whole: &str,
        logprobs: Option<&Value>,
        parts: &mut Parts,
        out: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        let Some(open) = self.content(index, || Part::text(""), parts, out)? else { return Ok(()) };
        open.say(open.heard.news(whole).unwrap_or_default(), Delta::Text, out);
        let entries = logprobs.and_then(Value::as_array);
        let entries = entries.and_then(|entries| entries.get(open.logprobs..)).unwrap_or_default();
        open.likely(entries, out);
        Ok(())
    }

    /// An annotation of a text.
    pub(super) fn annotation(
        &mut self,
        index: u64,
        value: &Value,
        parts: &mut Parts,
        out: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        let Some(open) = self.content(index, || Part::text(""), parts, out)? else { return Ok(()) };
        open.citations += 1;
        if let Some(at) = open.at {
            out.push(Event::Delta(at, Delta::Citation(Box::new(wire::citation_from(value.clone())))));
        }
        Ok(())
    }

    /// More of a refusal.
    pub(super) fn refusal(
        &mut self,
        index: u64,
        more: &str,
        parts: &mut Parts,
        out: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        let begin = || Part::new(Content::Refusal(String::new()));
        if let Some(open) = self.content(index, begin, parts, out)? {
            open.say(more, Delta::Refusal, out);
        }
        Ok(())
    }

    /// All of a refusal.
    pub(super) fn whole_refusal(
        &mut self,
        index: u64,
        whole: &str,
        parts: &mut Parts,
        out: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        let begin = || Part::new(Content::Refusal(String::new()));
        if let Some(open) = self.content(index, begin, parts, out)? {
            open.say(open.heard.news(whole).unwrap_or_default(), Delta::Refusal, out);
        }
        Ok(())
    }
}

fn kind_is_custom(item: &Value) -> bool {
    item.get("type").and_then(Value::as_str) == Some("custom_tool_call")
}
