//! What the gateway reads of a chat completions request.

use serde::de::{IgnoredAny, MapAccess};
use serde_json::value::RawValue;

use crate::dialect::peek::{
    Content, Draft, Each, Members, ModelIn, Peek, Shape, StreamOptions, Walk, count, number, read, says_something, text,
};
use crate::fault::Fault;

pub(in crate::dialect) fn peek(body: &str) -> Result<Peek, Fault> {
    let mut request = Request { draft: Draft::new(body), messages: Shape::Absent, completion_tokens: None };
    read(body, &mut request)?;
    let Request { mut draft, messages, completion_tokens } = request;
    // `max_tokens` is the older name, and the newer one wins where both are there.
    draft.peek.max_output_tokens = completion_tokens.or(draft.peek.max_output_tokens);
    draft.finish(
        ModelIn::Body,
        Content { param: "messages", shape: messages, allowed: &[Shape::Array], what: "an array of messages" },
    )
}

struct Request<'b> {
    draft: Draft<'b>,
    messages: Shape,
    completion_tokens: Option<u64>,
}

/// The members that decide something here, and so may be there once only.
const WATCHED: &[&str] = &[
    "model",
    "stream",
    "stream_options",
    "user",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "temperature",
    "service_tier",
    "background",
];

impl Members for Request<'_> {
    fn member<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<(), M::Error> {
        if key == "messages" {
            let mut message = Message::default();
            self.messages = map.next_value_seed(Each(&mut message))?;
            if let Some(field) = message.0 {
                self.draft.stateful(field);
            }
            return Ok(());
        }
        if key == "tools" {
            return self.draft.tools(map);
        }
        // Searching is no tool here.
        if key == "web_search_options" {
            self.draft.peek.runs_tools |= says_something(map.next_value()?);
            return Ok(());
        }
        let Some(place) = WATCHED.iter().position(|watched| *watched == key) else {
            return map.next_value::<IgnoredAny>().map(drop);
        };
        let raw: &'de RawValue = map.next_value()?;
        self.draft.once(place, WATCHED);
        match key {
            "model" => self.draft.model(raw),
            "stream" => self.draft.peek.stream = self.draft.flag("stream", raw),
            "background" => self.draft.peek.background = self.draft.flag("background", raw),
            "stream_options" => self.stream_options(raw),
            "user" => self.draft.peek.end_user = text(raw).filter(|user| !user.is_empty()),
            "max_tokens" => self.draft.peek.max_output_tokens = count(raw),
            "max_completion_tokens" => self.completion_tokens = count(raw),
            "n" => self.draft.peek.choices = count(raw),
            "temperature" => self.draft.peek.temperature = number(raw),
            "service_tier" => self.draft.peek.service_tier = text(raw),
            _ => {}
        }
        Ok(())
    }
}

impl Request<'_> {
    fn stream_options(&mut self, raw: &RawValue) {
        let span = self.draft.span(raw);
        if !raw.get().starts_with('{') {
            self.draft.peek.include_usage = None;
            self.draft.peek.stream_options = StreamOptions::Replaceable(span);
            return;
        }
        let mut options = Options { inner: Draft::new(raw.get()), include_usage: None, value: None, members: 0 };
        if read(raw.get(), &mut options).is_err() {
            return;
        }
        self.draft.peek.include_usage = options.include_usage;
        self.draft.peek.stream_options = match options.value {
            Some(value) => StreamOptions::IncludeUsage(span.start + value.start..span.start + value.end),
            None => StreamOptions::Object { inside: span.start + 1, empty: options.members == 0 },
        };
    }
}

struct Options<'b> {
    inner: Draft<'b>,
    include_usage: Option<bool>,
    value: Option<std::ops::Range<usize>>,
    members: usize,
}

impl Members for Options<'_> {
    fn member<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<(), M::Error> {
        self.members += 1;
        if key != "include_usage" {
            return map.next_value::<IgnoredAny>().map(drop);
        }
        let raw: &'de RawValue = map.next_value()?;
        self.include_usage = serde_json::from_str(raw.get()).ok();
        self.value = Some(self.inner.span(raw));
        Ok(())
    }
}

/// The parts of messages that name what the provider keeps.
#[derive(Default)]
struct Message(Option<&'static str>);

impl Members for Message {
    fn member<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<(), M::Error> {
        match key {
            "content" => map.next_value_seed(Walk(&mut Part(&mut self.0))).map(drop),
            // An assistant's `audio` names an answer of the past by its id.
            "audio" => {
                map.next_value_seed(Walk(&mut Id { field: "audio.id", key: "id", found: &mut self.0 })).map(drop)
            }
            _ => map.next_value::<IgnoredAny>().map(drop),
        }
    }
}

struct Part<'f>(&'f mut Option<&'static str>);

impl Members for Part<'_> {
    fn member<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<(), M::Error> {
        match key {
            "file" => map.next_value_seed(Walk(&mut Id { field: "file_id", key: "file_id", found: self.0 })).map(drop),
            _ => map.next_value::<IgnoredAny>().map(drop),
        }
    }
}

struct Id<'f> {
    field: &'static str,
    key: &'static str,
    found: &'f mut Option<&'static str>,
}

impl Members for Id<'_> {
    fn member<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<(), M::Error> {
        if key != self.key {
            return map.next_value::<IgnoredAny>().map(drop);
        }
        if says_something(map.next_value()?) {
            self.found.get_or_insert(self.field);
        }
        Ok(())
    }
}
