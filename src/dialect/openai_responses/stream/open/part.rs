//! A part of a message that has begun and is not done.

use serde_json::{Map, Value};

use super::Parts;
use super::heard::Heard;
use crate::dialect::openai_responses::{DIALECT, wire};
use crate::ir::{Content, Delta, Event, Part, PartAt, Text};

/// A part of a message.
#[derive(Clone, Debug)]
pub(in crate::dialect::openai_responses::stream) struct Open {
    /// Where it is told; opaque parts are told when they are done.
    pub(super) at: Option<PartAt>,
    pub(super) heard: Heard,
    pub(super) citations: usize,
    pub(super) logprobs: usize,
    pub(super) done: bool,
}

impl Open {
    /// Begins a part, empty. What the message says of itself goes to its first part.
    pub(super) fn begin(
        part: &Part,
        head: &mut Option<Map<String, Value>>,
        parts: &mut Parts,
        out: &mut Vec<Event>,
    ) -> Self {
        let content = match &part.content {
            Content::Text(_) => Some(Content::Text(Text::default())),
            Content::Refusal(_) => Some(Content::Refusal(String::new())),
            Content::Media(_)
            | Content::ToolCall(_)
            | Content::ToolResult(_)
            | Content::Reasoning(_)
            | Content::Opaque(_) => None,
        };
        let at =
            content.map(|content| parts.begin(with_head(Part::new(content).carrying(part.carry.clone()), head), out));
        Self { at, heard: Heard::default(), citations: 0, logprobs: 0, done: false }
    }

    pub(super) fn say(&mut self, more: &str, delta: impl FnOnce(String) -> Delta, out: &mut Vec<Event>) {
        if let Some(at) = self.at
            && !more.is_empty()
        {
            self.heard.more(more);
            out.push(Event::Delta(at, delta(more.to_owned())));
        }
    }

    pub(super) fn likely(&mut self, entries: &[Value], out: &mut Vec<Event>) {
        self.logprobs += entries.len();
        if let Some(at) = self.at
            && !entries.is_empty()
            && let Some(known) = wire::logprobs_from(entries)
        {
            out.push(Event::Delta(at, Delta::Logprobs(known)));
        }
    }

    /// Tells what is new in the whole part.
    pub(super) fn more(&mut self, part: &Part, out: &mut Vec<Event>) {
        match &part.content {
            Content::Text(text) => {
                self.say(self.heard.news(&text.text).unwrap_or_default(), Delta::Text, out);
                let Some(at) = self.at else { return };
                let logprobs = text.logprobs.get(self.logprobs..).unwrap_or_default();
                if !logprobs.is_empty() {
                    self.logprobs += logprobs.len();
                    out.push(Event::Delta(at, Delta::Logprobs(logprobs.to_vec())));
                }
                for citation in text.citations.get(self.citations..).unwrap_or_default() {
                    self.citations += 1;
                    out.push(Event::Delta(at, Delta::Citation(Box::new(citation.clone()))));
                }
            }
            Content::Refusal(text) => {
                self.say(self.heard.news(text).unwrap_or_default(), Delta::Refusal, out);
            }
            Content::Media(_)
            | Content::ToolCall(_)
            | Content::ToolResult(_)
            | Content::Reasoning(_)
            | Content::Opaque(_) => {}
        }
    }

    /// Ends the part.
    pub(super) fn end(
        mut self,
        part: Part,
        head: &mut Option<Map<String, Value>>,
        parts: &mut Parts,
        out: &mut Vec<Event>,
    ) {
        if self.done {
            return;
        }
        self.more(&part, out);
        match self.at {
            Some(at) => out.push(Event::PartStop(at, part.carry)),
            None => parts.whole(with_head(part, head), out),
        }
    }
}

fn with_head(mut part: Part, head: &mut Option<Map<String, Value>>) -> Part {
    if let Some(head) = head.take() {
        part.carry.note(DIALECT, "item", head);
    }
    part
}
