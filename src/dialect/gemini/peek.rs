//! What the gateway reads of a `generateContent` or `countTokens` request.
//!
//! Google's servers take each field in camel case and in snake case (the JSON mapping of protocol buffers), and so does
//! this.

use serde::de::{IgnoredAny, MapAccess};
use serde_json::value::RawValue;

use crate::dialect::Operation;
use crate::dialect::peek::{
    Content, Draft, Members, ModelIn, Peek, Shape, Walk, count, number, read, says_something, text,
};
use crate::fault::Fault;

/// Where Google keeps files: an URI there names a file of the account.
const FILES_HOST: &str = "generativelanguage.googleapis.com";

pub(in crate::dialect) fn peek(operation: Operation, body: &str) -> Result<Peek, Fault> {
    let mut request = Request { draft: Draft::new(body), contents: Shape::Absent, operation };
    read(body, &mut request)?;
    request.draft.finish(
        ModelIn::Path,
        Content {
            param: "contents",
            shape: request.contents,
            // Google takes a single content without its array, and shows it so in its own examples.
            allowed: &[Shape::Array, Shape::Object],
            what: "an array of contents",
        },
    )
}

struct Request<'b> {
    draft: Draft<'b>,
    contents: Shape,
    operation: Operation,
}

impl Members for Request<'_> {
    fn member<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<(), M::Error> {
        match key {
            "contents" => {
                let mut kept = Kept(None);
                self.contents = map.next_value_seed(Walk(&mut kept))?;
                if let Some(field) = kept.0 {
                    self.draft.stateful(field);
                }
            }
            "tools" => {
                let mut offered = Offered { kept: Kept(None), run_by_provider: false };
                map.next_value_seed(Walk(&mut offered))?;
                if let Some(field) = offered.kept.0 {
                    self.draft.stateful(field);
                }
                self.draft.peek.runs_tools |= offered.run_by_provider;
            }
            "systemInstruction" | "system_instruction" => {
                let mut kept = Kept(None);
                map.next_value_seed(Walk(&mut kept))?;
                if let Some(field) = kept.0 {
                    self.draft.stateful(field);
                }
            }
            "cachedContent" | "cached_content" => {
                if says_something(map.next_value()?) {
                    self.draft.stateful("cachedContent");
                }
            }
            "serviceTier" | "service_tier" => self.draft.peek.service_tier = text(map.next_value()?),
            "generationConfig" | "generation_config" => {
                map.next_value_seed(Walk(&mut GenerationConfig(&mut self.draft.peek)))?;
            }
            // `countTokens` takes a whole request in place of contents.
            "generateContentRequest" | "generate_content_request" if self.operation == Operation::CountTokens => {
                map.next_value_seed(Walk(self))?;
            }
            _ => return map.next_value::<IgnoredAny>().map(drop),
        }
        Ok(())
    }
}

struct GenerationConfig<'p>(&'p mut Peek);

impl Members for GenerationConfig<'_> {
    fn member<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<(), M::Error> {
        let raw: &'de RawValue = map.next_value()?;
        match key {
            "maxOutputTokens" | "max_output_tokens" => self.0.max_output_tokens = count(raw),
            "candidateCount" | "candidate_count" => self.0.choices = count(raw),
            "temperature" => self.0.temperature = number(raw),
            _ => {}
        }
        Ok(())
    }
}

/// The tools, one after the other: all but functions are run by Google.
struct Offered {
    kept: Kept,
    run_by_provider: bool,
}

impl Members for Offered {
    fn member<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<(), M::Error> {
        self.run_by_provider |= !matches!(key, "functionDeclarations" | "function_declarations");
        self.kept.member(key, map)
    }
}

/// Names of what Google keeps, in contents and in tools.
struct Kept(Option<&'static str>);

impl Members for Kept {
    fn member<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<(), M::Error> {
        match key {
            "parts" | "fileData" | "file_data" | "fileSearch" | "file_search" | "functionResponse"
            | "function_response" => map.next_value_seed(Walk(self)).map(drop),
            "fileUri" | "file_uri" => {
                if text(map.next_value()?).is_some_and(|uri| uri.starts_with("files/") || uri.contains(FILES_HOST)) {
                    self.0.get_or_insert("fileUri");
                }
                Ok(())
            }
            "fileSearchStoreNames" | "file_search_store_names" => {
                let raw: &'de RawValue = map.next_value()?;
                if says_something(raw) && raw.get() != "[]" {
                    self.0.get_or_insert("fileSearchStoreNames");
                }
                Ok(())
            }
            _ => map.next_value::<IgnoredAny>().map(drop),
        }
    }
}
