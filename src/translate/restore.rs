//! Undoes in an answer what was adapted in its request, between the decoder and the encoder and for all dialects alike:
//! tools' names, freeform inputs, JSON by a forced tool, the object around what is to be none, stop sequences that the
//! provider does not take. And makes the ids of tool calls valid everywhere.
//!
//! A stop sequence ends the answer's text, whatever that is: JSON too, as it does where a provider looks for it.

#[cfg(test)]
mod tests;
mod unwrap;

use std::collections::BTreeMap;

use serde_json::Value;

use self::unwrap::Unwrap;

use crate::dialect::{Adaptions, Dialect};
use crate::ir::{
    CallKind, Carry, Content, Delta, Event, Finish, FinishReason, Part, PartAt, Response, Text, ToolCall, mark,
};

/// Restores one answer.
#[derive(Clone, Debug)]
pub(super) struct Restore {
    adaptions: Adaptions,
    ids: CallIds,
    open: BTreeMap<PartAt, Open>,
    choices: BTreeMap<u32, Told>,
}

/// The ids by which a caller is to know the calls of an answer.
#[derive(Clone, Copy, Debug)]
enum CallIds {
    /// The provider's own, where they are valid everywhere.
    Portable,
    /// Marked ones, for callers who may go on with a model of their own dialect's vendor: the mark says on the way back that
    /// another's model called. Gemini demands a signature or a stand-in with calls, and Claude, where it thinks by a budget,
    /// that a tool loop begins with its own thoughts.
    Minted,
}

/// What an open part needs.
#[derive(Clone, Debug)]
enum Open {
    /// Text: the answer's own, or the forced tool's arguments.
    Text(OpenText),
    /// A freeform input that is still JSON.
    Custom { arguments: String },
}

/// A text that is not told as it comes.
#[derive(Clone, Debug)]
struct OpenText {
    unwrap: Option<Unwrap>,
    /// Its last characters, which may be the beginning of a stop sequence.
    held: String,
}

#[derive(Clone, Debug, Default)]
struct Told {
    /// The stop sequence at which the answer was cut; parts after it are not told.
    cut: Option<String>,
    /// How many parts were told before the cut.
    parts: u32,
    json: bool,
    calls: bool,
}

impl Restore {
    /// Undoes these adaptions in an answer that goes from `provider` to `caller`.
    pub(super) fn new(adaptions: Adaptions, caller: Dialect, provider: Dialect) -> Self {
        let ids = match caller {
            Dialect::Gemini | Dialect::Anthropic if provider != caller => CallIds::Minted,
            Dialect::Gemini | Dialect::Anthropic | Dialect::OpenAiChat | Dialect::OpenAiResponses => CallIds::Portable,
        };
        Self { adaptions, ids, open: BTreeMap::new(), choices: BTreeMap::new() }
    }

    /// A whole answer, restored.
    pub(super) fn whole(&self, mut response: Response) -> Response {
        for choice in &mut response.choices {
            let mut told = Told::default();
            let mut parts = Vec::with_capacity(choice.parts.len());
            for mut part in choice.parts.drain(..) {
                let is_json = self.head(&mut part, &mut told);
                if let Content::ToolCall(call) = &mut part.content
                    && call.kind == CallKind::Custom
                    && self.adaptions.custom_tools.contains(&call.name)
                {
                    call.arguments = input_of(&call.arguments);
                }
                if let Content::Text(text) = &mut part.content
                    && let Some(mut unwrap) = self.unwrap(is_json)
                {
                    text.text = unwrap.push(&text.text) + &unwrap.finish();
                }
                if let Content::Text(text) = &mut part.content
                    && let Some((at, stop)) = first_stop(&self.adaptions.stop, &text.text)
                {
                    text.text.truncate(at);
                    told.cut = Some(stop.to_owned());
                    parts.push(part);
                    break;
                }
                parts.push(part);
            }
            choice.parts = parts;
            choice.finish = choice.finish.take().map(|finish| told.finish(finish));
        }
        response
    }

    /// One event of a stream, restored: `each` gets what it becomes.
    pub(super) fn event(&mut self, event: Event, each: &mut impl FnMut(Event)) {
        match event {
            Event::PartStart(at, part) => self.part_start(at, *part, each),
            Event::Delta(at, delta) => self.delta(at, delta, each),
            Event::PartStop(at, carry) => self.part_stop(at, carry, each),
            Event::Finish(choice, finish, carry) => {
                let told = self.choices.entry(choice).or_default();
                each(Event::Finish(choice, Box::new(told.finish(*finish)), carry));
            }
            other @ (Event::Start(_)
            | Event::Usage(_)
            | Event::Ping
            | Event::Opaque(_)
            | Event::End(_)
            | Event::Error(_)) => each(other),
        }
    }

    /// What takes the object off a text, where one stands around it.
    fn unwrap(&self, is_json: bool) -> Option<Unwrap> {
        (self.adaptions.wrapped && is_json == self.adaptions.json_tool.is_some()).then(Unwrap::default)
    }

    /// Restores what is known of a part when it begins. Whether it was the forced tool's call, which is a text now.
    fn head(&self, part: &mut Part, told: &mut Told) -> bool {
        let Content::ToolCall(call) = &mut part.content else { return false };
        if self.adaptions.json_tool.as_deref() == Some(call.name.as_str()) {
            told.json = true;
            let text = std::mem::take(&mut call.arguments);
            part.content = Content::Text(Text { text, ..Text::default() });
            return true;
        }
        told.calls = true;
        if let Some(name) = self.adaptions.tool_names.get(&call.name) {
            call.name.clone_from(name);
        }
        if self.adaptions.custom_tools.contains(&call.name) {
            call.kind = CallKind::Custom;
        }
        match self.ids {
            CallIds::Portable => {
                if let std::borrow::Cow::Owned(id) = mark::portable_id(&call.id) {
                    call.id = id;
                }
            }
            CallIds::Minted => call.id = mark::call_id(&["foreign", &call.id]),
        }
        false
    }

    fn is_custom(&self, part: &Part) -> bool {
        match &part.content {
            Content::ToolCall(call) => self.adaptions.custom_tools.contains(&call.name),
            Content::Text(_)
            | Content::Refusal(_)
            | Content::Media(_)
            | Content::ToolResult(_)
            | Content::Reasoning(_)
            | Content::Opaque(_) => false,
        }
    }

    fn part_start(&mut self, at: PartAt, mut part: Part, each: &mut impl FnMut(Event)) {
        let mut told = self.choices.remove(&at.choice).unwrap_or_default();
        if told.cut.is_none() {
            told.parts += 1;
            let is_json = self.head(&mut part, &mut told);
            let mut first = None;
            if self.is_custom(&part) {
                if let Content::ToolCall(ToolCall { arguments, .. }) = &mut part.content {
                    self.open.insert(at, Open::Custom { arguments: std::mem::take(arguments) });
                }
            } else if let Content::Text(text) = &mut part.content {
                let unwrap = self.unwrap(is_json);
                if is_json || unwrap.is_some() || !self.adaptions.stop.is_empty() {
                    first = Some(std::mem::take(&mut text.text)).filter(|text| !text.is_empty());
                    self.open.insert(at, Open::Text(OpenText { unwrap, held: String::new() }));
                }
            }
            each(Event::PartStart(at, Box::new(part)));
            self.choices.insert(at.choice, told);
            if let Some(text) = first {
                self.delta(at, Delta::Text(text), each);
            }
            return;
        }
        self.choices.insert(at.choice, told);
    }

    /// Whether a part is told: parts that began after a cut are not.
    fn is_told(&self, at: PartAt) -> bool {
        self.choices.get(&at.choice).is_none_or(|told| told.cut.is_none() || at.part < told.parts)
    }

    fn is_cut(&self, choice: u32) -> bool {
        self.choices.get(&choice).is_some_and(|told| told.cut.is_some())
    }

    fn delta(&mut self, at: PartAt, delta: Delta, each: &mut impl FnMut(Event)) {
        if self.is_cut(at.choice) {
            return;
        }
        match (self.open.get_mut(&at), delta) {
            (Some(Open::Custom { arguments }), Delta::Arguments(more)) => arguments.push_str(&more),
            (Some(Open::Text(open)), Delta::Text(more) | Delta::Arguments(more)) => {
                let more = match &mut open.unwrap {
                    Some(unwrap) => unwrap.push(&more),
                    None => more,
                };
                self.text(at, &more, each);
            }
            (_, delta) => each(Event::Delta(at, delta)),
        }
    }

    /// More of an open text, which is told up to where a stop sequence begins or may begin.
    fn text(&mut self, at: PartAt, more: &str, each: &mut impl FnMut(Event)) {
        let Some(Open::Text(OpenText { held, .. })) = self.open.get_mut(&at) else { return };
        held.push_str(more);
        let (told, cut) = match first_stop(&self.adaptions.stop, held) {
            Some((end, stop)) => (end, Some(stop.to_owned())),
            None => (held.len() - longest_beginning(&self.adaptions.stop, held), None),
        };
        let text: String = held.drain(..told).collect();
        if !text.is_empty() {
            each(Event::Delta(at, Delta::Text(text)));
        }
        if cut.is_some() {
            held.clear();
            self.choices.entry(at.choice).or_default().cut = cut;
        }
    }

    fn part_stop(&mut self, at: PartAt, carry: Carry, each: &mut impl FnMut(Event)) {
        if !self.is_told(at) {
            return;
        }
        let is_cut = self.is_cut(at.choice);
        if let Some(Open::Text(OpenText { unwrap: Some(unwrap), .. })) = self.open.get_mut(&at)
            && !is_cut
        {
            let last = unwrap.finish();
            self.text(at, &last, each);
        }
        match self.open.remove(&at) {
            Some(Open::Text(OpenText { held, .. })) if !held.is_empty() => each(Event::Delta(at, Delta::Text(held))),
            Some(Open::Custom { arguments }) => {
                each(Event::Delta(at, Delta::Arguments(input_of(&arguments))));
            }
            Some(Open::Text(_)) | None => {}
        }
        each(Event::PartStop(at, carry));
    }
}

impl Told {
    fn finish(&self, finish: Finish) -> Finish {
        if let Some(stop) = &self.cut {
            let mut cut = Finish::inferred(FinishReason::StopSequence);
            cut.stop_sequence = Some(stop.clone());
            return cut;
        }
        if self.json && !self.calls && finish.reason == FinishReason::ToolUse {
            return Finish::inferred(FinishReason::Stop);
        }
        finish
    }
}

/// The text in `{"input": …}`; if the model wrote something else, that.
fn input_of(arguments: &str) -> String {
    match serde_json::from_str::<Value>(arguments) {
        Ok(Value::Object(mut map)) => match map.shift_remove("input") {
            Some(Value::String(input)) => input,
            Some(_) | None => arguments.to_owned(),
        },
        Ok(_) | Err(_) => arguments.to_owned(),
    }
}

/// Where the first stop sequence begins, and which it is.
fn first_stop<'s>(stops: &'s [String], text: &str) -> Option<(usize, &'s str)> {
    let found = stops.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| Some((text.find(stop.as_str())?, stop)));
    found.min_by_key(|(at, _)| *at).map(|(at, stop)| (at, stop.as_str()))
}

/// How many of the text's last bytes may be the beginning of a stop sequence.
fn longest_beginning(stops: &[String], text: &str) -> usize {
    let beginning = |stop: &String| {
        let longest = stop.len().saturating_sub(1).min(text.len());
        (1..=longest).rev().find(|len| {
            text.is_char_boundary(text.len() - len) && stop.as_bytes().starts_with(&text.as_bytes()[text.len() - len..])
        })
    };
    stops.iter().filter_map(beginning).max().unwrap_or(0)
}
