//! What the gateway reads of a Responses request.

use serde::de::{IgnoredAny, MapAccess};
use serde_json::value::RawValue;

use crate::dialect::peek::{
    Content, Draft, Each, Members, ModelIn, Peek, Shape, Tools, Walk, count, number, read, says_something, text,
};
use crate::fault::Fault;

pub(in crate::dialect) fn peek(body: &str) -> Result<Peek, Fault> {
    let mut request = Request { draft: Draft::new(body), input: Shape::Absent };
    read(body, &mut request)?;
    let Request { draft, mut input } = request;
    // What the provider keeps may be all the input that there is.
    if input == Shape::Absent && matches!(draft.peek.stateful, Some("previous_response_id" | "conversation" | "prompt"))
    {
        input = Shape::Array;
    }
    draft.finish(
        ModelIn::Body,
        Content {
            param: "input",
            shape: input,
            allowed: &[Shape::Text, Shape::Array],
            what: "a string or an array of items",
        },
    )
}

struct Request<'b> {
    draft: Draft<'b>,
    input: Shape,
}

/// The members that decide something here, and so may be there once only.
const WATCHED: &[&str] = &[
    "model",
    "stream",
    "user",
    "max_output_tokens",
    "temperature",
    "service_tier",
    "background",
    "previous_response_id",
    "conversation",
    "prompt",
];

impl Members for Request<'_> {
    fn member<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<(), M::Error> {
        match key {
            "input" => {
                let mut items = Items::default();
                self.input = map.next_value_seed(Each(&mut items))?;
                if let Some(field) = items.found {
                    self.draft.stateful(field);
                }
                return Ok(());
            }
            "tools" => {
                let mut offered = Offered { kept: Kept(None), tools: Tools::default() };
                map.next_value_seed(Walk(&mut offered))?;
                if let Some(field) = offered.kept.0 {
                    self.draft.stateful(field);
                }
                self.draft.peek.runs_tools |= offered.tools.run_by_provider;
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
            "user" => self.draft.peek.end_user = text(raw).filter(|user| !user.is_empty()),
            "max_output_tokens" => self.draft.peek.max_output_tokens = count(raw),
            "temperature" => self.draft.peek.temperature = number(raw),
            "service_tier" => self.draft.peek.service_tier = text(raw),
            "previous_response_id" if says_something(raw) => self.draft.stateful("previous_response_id"),
            "conversation" if says_something(raw) => self.draft.stateful("conversation"),
            // A template that is kept under an id.
            "prompt" if says_something(raw) => self.draft.stateful("prompt"),
            _ => {}
        }
        Ok(())
    }
}

/// The tools, one after the other.
struct Offered {
    kept: Kept,
    tools: Tools,
}

impl Members for Offered {
    fn member<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<(), M::Error> {
        if key == "type" { self.tools.member(key, map) } else { self.kept.member(key, map) }
    }
}

/// Ids of what the provider keeps, on whatever level of a tool or of an item's content they are.
struct Kept(Option<&'static str>);

impl Members for Kept {
    fn member<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<(), M::Error> {
        let field = match key {
            "file_id" => "file_id",
            "file_ids" => "file_ids",
            "vector_store_ids" => "vector_store_ids",
            "container_id" => "container_id",
            // A container is an id, or an object that says what a new one is made of.
            "container" => {
                if map.next_value_seed(Walk(self))? == Shape::Text {
                    self.0.get_or_insert("container");
                }
                return Ok(());
            }
            "environment" | "input_image_mask" | "content" | "output" => {
                return map.next_value_seed(Walk(self)).map(drop);
            }
            _ => return map.next_value::<IgnoredAny>().map(drop),
        };
        let raw: &'de RawValue = map.next_value()?;
        if says_something(raw) && raw.get() != "[]" {
            self.0.get_or_insert(field);
        }
        Ok(())
    }
}

/// The items of `input`, one after the other.
#[derive(Default)]
struct Items {
    found: Option<&'static str>,
    item: Item,
}

#[derive(Default)]
struct Item {
    kind: Option<String>,
    id: bool,
    speaks: bool,
}

impl Item {
    /// Its `type` may be left out; then nothing but the id is there.
    fn is_reference(&self) -> bool {
        match self.kind.as_deref() {
            Some(kind) => kind == "item_reference",
            None => self.id && !self.speaks,
        }
    }
}

impl Members for Items {
    fn member<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<(), M::Error> {
        match key {
            "type" => self.item.kind = text(map.next_value()?),
            "id" => self.item.id = says_something(map.next_value()?),
            _ => {
                self.item.speaks |= matches!(key, "role" | "content");
                let mut kept = Kept(self.found);
                kept.member(key, map)?;
                self.found = kept.0;
            }
        }
        Ok(())
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.item).is_reference() {
            self.found.get_or_insert("item_reference");
        }
    }
}
