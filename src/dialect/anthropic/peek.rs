//! What the gateway reads of a Messages request.

use serde::de::{IgnoredAny, MapAccess};
use serde_json::value::RawValue;

use super::attribution::Attribution;
use crate::dialect::peek::{
    Content, Draft, Each, Members, ModelIn, Peek, Shape, Walk, count, number, read, says_something, text,
};
use crate::fault::Fault;

pub(in crate::dialect) fn peek(body: &str) -> Result<Peek, Fault> {
    let mut request = Request { draft: Draft::new(body), messages: Shape::Absent };
    read(body, &mut request)?;
    request.draft.finish(
        ModelIn::Body,
        Content { param: "messages", shape: request.messages, allowed: &[Shape::Array], what: "an array of messages" },
    )
}

struct Request<'b> {
    draft: Draft<'b>,
    messages: Shape,
}

/// The members that decide something here, and so may be there once only.
const WATCHED: &[&str] = &["model", "stream", "max_tokens", "temperature", "service_tier", "background"];

impl Members for Request<'_> {
    fn member<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<(), M::Error> {
        match key {
            "messages" => {
                let mut blocks = Blocks(None);
                self.messages = map.next_value_seed(Each(&mut blocks))?;
                if let Some(field) = blocks.0 {
                    self.draft.stateful(field);
                }
                return Ok(());
            }
            "tools" => return self.draft.tools(map),
            // Their tools are called by Anthropic.
            "mcp_servers" => {
                let raw: &'de RawValue = map.next_value()?;
                self.draft.peek.runs_tools |= says_something(raw) && raw.get() != "[]";
                return Ok(());
            }
            // An id, or an object that may hold one beside the skills of a new container.
            "container" => {
                let mut container = Container(false);
                let shape = map.next_value_seed(Walk(&mut container))?;
                if shape == Shape::Text || container.0 {
                    self.draft.stateful("container");
                }
                return Ok(());
            }
            "metadata" => {
                let mut metadata = Metadata(None);
                map.next_value_seed(Walk(&mut metadata))?;
                if let Some(attribution) = metadata.0.as_deref().and_then(Attribution::read) {
                    self.draft.peek.end_user = Some(attribution.user);
                    self.draft.peek.session = attribution.session;
                }
                return Ok(());
            }
            _ => {}
        }
        let Some(place) = WATCHED.iter().position(|watched| *watched == key) else {
            return map.next_value::<IgnoredAny>().map(drop);
        };
        let raw: &'de RawValue = map.next_value()?;
        self.draft.once(place, WATCHED);
        match key {
            "model" => self.draft.model(raw),
            "stream" => self.draft.peek.stream = self.draft.flag("stream", raw),
            "background" => self.draft.peek.background |= self.draft.flag("background", raw),
            "max_tokens" => self.draft.peek.max_output_tokens = count(raw),
            "temperature" => self.draft.peek.temperature = number(raw),
            "service_tier" => self.draft.peek.service_tier = text(raw),
            _ => {}
        }
        Ok(())
    }
}

struct Metadata(Option<String>);

impl Members for Metadata {
    fn member<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<(), M::Error> {
        match key {
            "user_id" => {
                let raw: &'de RawValue = map.next_value()?;
                self.0 = text(raw);
                Ok(())
            }
            _ => map.next_value::<IgnoredAny>().map(drop),
        }
    }
}

struct Container(bool);

impl Members for Container {
    fn member<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<(), M::Error> {
        match key {
            "id" => {
                self.0 |= says_something(map.next_value()?);
                Ok(())
            }
            _ => map.next_value::<IgnoredAny>().map(drop),
        }
    }
}

/// Messages and their blocks: both have a `content`, and a block may have a file's id, or a source that has.
///
/// A tool's own result is an object, not an array, and is not entered: its file ids are what the tool made, and are
/// history when they come back.
struct Blocks(Option<&'static str>);

impl Members for Blocks {
    fn member<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<(), M::Error> {
        match key {
            "content" => map.next_value_seed(Each(self)).map(drop),
            "source" => map.next_value_seed(Walk(self)).map(drop),
            "file_id" => {
                if says_something(map.next_value()?) {
                    self.0.get_or_insert("file_id");
                }
                Ok(())
            }
            _ => map.next_value::<IgnoredAny>().map(drop),
        }
    }
}
