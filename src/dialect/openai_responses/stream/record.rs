//! The record of a stream that is being written: numbers its events, and keeps the items that are done, since the last event
//! repeats all of them.

use std::fmt::{Arguments, Display};
use std::io::Write as _;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::dialect::openai_responses::wire;
use crate::ir::{ApiError, Finish, Usage};

/// What has been written.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    sequence_number: u64,
    /// What each whole response begins with, without braces.
    head: Arc<str>,
    /// The items that are done, as JSON.
    items: Vec<Arc<str>>,
    /// Bytes kept.
    bytes: usize,
}

impl Record {
    /// The response's fields that do not depend on how it ends.
    pub(super) fn set_head(&mut self, head: &Map<String, Value>) {
        let text = serde_json::to_string(head).unwrap_or_default();
        self.head = text.trim_start_matches('{').strip_suffix('}').unwrap_or_default().into();
    }

    /// How many items are done: the place of the next one.
    pub(super) fn place(&self) -> usize {
        self.items.len()
    }

    /// Counts what is kept of pieces until the answer ends.
    pub(super) fn keep(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// How much is kept, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Writes an event.
    pub(super) fn emit(&mut self, name: &str, fields: Arguments<'_>, out: &mut Vec<u8>) {
        let number = self.sequence_number;
        self.sequence_number += 1;
        // Writing into memory cannot fail, and JSON without line breaks is one line of data.
        let _ = write!(out, "event: {name}\ndata: {{\"type\":\"{name}\",\"sequence_number\":{number},{fields}}}\n\n");
    }

    /// An item begins.
    pub(super) fn item_added(&mut self, item: impl Display, out: &mut Vec<u8>) {
        let place = self.place();
        self.emit("response.output_item.added", format_args!("\"output_index\":{place},\"item\":{item}"), out);
    }

    /// An item is done.
    pub(super) fn item_done(&mut self, item: String, out: &mut Vec<u8>) {
        let place = self.place();
        self.emit("response.output_item.done", format_args!("\"output_index\":{place},\"item\":{item}"), out);
        self.bytes = self.bytes.saturating_add(item.len());
        self.items.push(item.into());
    }

    /// The answer has begun.
    pub(super) fn begun(&mut self, out: &mut Vec<u8>) {
        for name in ["response.created", "response.in_progress"] {
            let head = Arc::clone(&self.head);
            self.emit(
                name,
                format_args!(
                    "\"response\":{{{head},\"status\":\"in_progress\",\"error\":null,\"incomplete_details\":null,\
                     \"output\":[],\"usage\":null}}"
                ),
                out,
            );
        }
    }

    /// The answer has ended as it should.
    pub(super) fn ended(&mut self, finish: &Finish, usage: Option<&Usage>, out: &mut Vec<u8>) {
        let ending = wire::finish_to(finish);
        let name = if ending.status == "completed" { "response.completed" } else { "response.incomplete" };
        let mut more = Map::new();
        more.insert("status".to_owned(), ending.status.into());
        more.insert("error".to_owned(), Value::Null);
        let incomplete = ending.incomplete.map_or(Value::Null, |reason| json!({"reason": reason}));
        more.insert("incomplete_details".to_owned(), incomplete);
        if let Some(native) = ending.native {
            more.insert("native_finish_reason".to_owned(), native.into());
        }
        self.whole(name, more, usage, out);
    }

    /// The answer failed: the error in the form that SDKs raise, then the response in the one that Codex reads.
    pub(super) fn failed(&mut self, error: &ApiError, usage: Option<&Usage>, out: &mut Vec<u8>) {
        let code = wire::error_code(error);
        let (message, param) = (json!(error.message), json!(error.param));
        let nested = json!({
            "type": error.kind.type_name(),
            "code": code,
            "message": error.message,
            "param": error.param,
        });
        let code = json!(code);
        self.emit(
            "error",
            format_args!("\"code\":{code},\"message\":{message},\"param\":{param},\"error\":{nested}"),
            out,
        );
        let mut more = Map::new();
        more.insert("status".to_owned(), "failed".into());
        more.insert("error".to_owned(), json!({"code": code, "message": error.message}));
        more.insert("incomplete_details".to_owned(), Value::Null);
        self.whole("response.failed", more, usage, out);
    }

    fn whole(&mut self, name: &str, more: Map<String, Value>, usage: Option<&Usage>, out: &mut Vec<u8>) {
        let more = Value::Object(more).to_string();
        let more = more.trim_start_matches('{').strip_suffix('}').unwrap_or_default();
        let usage = usage.map_or(Value::Null, wire::usage_to);
        let (head, items) = (Arc::clone(&self.head), self.items.join(","));
        self.emit(name, format_args!("\"response\":{{{head},{more},\"output\":[{items}],\"usage\":{usage}}}"), out);
    }
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}
