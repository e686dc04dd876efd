//! Messages: texts and refusals, each a part.

use serde_json::{Map, Value, json};

use super::{Encoder, Message, Open};
use crate::dialect::Object;
use crate::dialect::openai_responses::encode::text_part;
use crate::dialect::openai_responses::stream::record::quoted;
use crate::dialect::openai_responses::{DIALECT, wire};
use crate::ir::{Attach, Carry, Content, Delta, Logprob, Part};

impl Encoder {
    /// Begins a message, if the part says so or none is there.
    pub(super) fn speak(&mut self, carry: &Carry, out: &mut Vec<u8>) {
        let head = carry.noted_as(DIALECT, "item").and_then(Value::as_object);
        if head.is_none() && self.message.is_some() {
            return;
        }
        self.close_message(out);
        let mut object = Object::typed("message");
        if let Some(head) = head {
            object.put_defaults(head);
        }
        object.put_default("id", self.id("msg").into());
        object.put_default("role", "assistant".into());
        let mut object: Map<String, Value> = object.into();
        object.insert("status".to_owned(), "in_progress".into());
        let id = object.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut added = object.clone();
        added.insert("content".to_owned(), json!([]));
        self.record.item_added(Value::Object(added), out);
        object.insert("status".to_owned(), "completed".into());
        self.message = Some(Message { id, object, parts: Vec::new() });
    }

    pub(super) fn close_message(&mut self, out: &mut Vec<u8>) {
        let Some(message) = self.message.take() else { return };
        let mut item = Value::Object(message.object).to_string();
        item.pop();
        item.push_str(",\"content\":[");
        item.push_str(&message.parts.join(","));
        item.push_str("]}");
        self.record.item_done(item, out);
    }

    /// Writes an event about the message's part that is being written.
    pub(super) fn emit_in_message(&mut self, name: &str, more: std::fmt::Arguments<'_>, out: &mut Vec<u8>) {
        let Some(message) = &self.message else { return };
        let (id, place, content) = (&message.id, self.record.place(), message.parts.len());
        self.record.emit(
            name,
            format_args!("\"item_id\":\"{id}\",\"output_index\":{place},\"content_index\":{content},{more}"),
            out,
        );
    }

    pub(super) fn text_start(&mut self, mut part: Part, out: &mut Vec<u8>) {
        self.speak(&part.carry, out);
        let (empty, first) = match &mut part.content {
            Content::Refusal(text) => (json!({"type": "refusal", "refusal": ""}), Delta::Refusal(std::mem::take(text))),
            Content::Text(text) => {
                let first = Delta::Text(std::mem::take(&mut text.text));
                (json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []}), first)
            }
            Content::Media(_)
            | Content::ToolCall(_)
            | Content::ToolResult(_)
            | Content::Reasoning(_)
            | Content::Opaque(_) => return,
        };
        self.emit_in_message("response.content_part.added", format_args!("\"part\":{empty}"), out);
        self.open = Some(Open::new(part, String::new()));
        self.delta(first, out);
    }

    pub(super) fn part_done(&mut self, part: String, out: &mut Vec<u8>) {
        self.emit_in_message("response.content_part.done", format_args!("\"part\":{part}"), out);
        if let Some(message) = &mut self.message {
            message.parts.push(part.into());
        }
    }

    /// Log probabilities come beside the text, of which nothing is left to say by then.
    pub(super) fn likely(&mut self, logprobs: &[Logprob], out: &mut Vec<u8>) {
        let logprobs = wire::logprobs_to(logprobs);
        let fields = format_args!("\"delta\":\"\",\"logprobs\":{logprobs}");
        self.emit_in_message("response.output_text.delta", fields, out);
    }

    pub(super) fn text_stop(&mut self, out: &mut Vec<u8>) {
        let Some(Open { part, .. }) = self.open.take() else { return };
        match &part.content {
            Content::Text(text) => {
                let (words, logprobs) = (quoted(&text.text), wire::logprobs_to(&text.logprobs));
                let fields = format_args!("\"text\":{words},\"logprobs\":{logprobs}");
                self.emit_in_message("response.output_text.done", fields, out);
                self.part_done(text_part(text, &part.carry).to_string(), out);
            }
            Content::Refusal(text) => {
                let words = quoted(text);
                self.emit_in_message("response.refusal.done", format_args!("\"refusal\":{words}"), out);
                let object = Object::typed("refusal").with("refusal", text.as_str()).carrying(&part.carry, DIALECT);
                self.part_done(Value::from(object).to_string(), out);
            }
            Content::Media(_)
            | Content::ToolCall(_)
            | Content::ToolResult(_)
            | Content::Reasoning(_)
            | Content::Opaque(_) => {}
        }
        if let Some(seal) = &part.seal {
            self.close_message(out);
            self.capsule(seal, Attach::Text, out);
        }
    }
}
