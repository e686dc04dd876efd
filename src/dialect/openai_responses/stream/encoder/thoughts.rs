//! Reasoning items and their texts.

use serde_json::{Value, json};

use super::{Encoder, Open};
use crate::dialect::openai_responses::decode::is_own;
use crate::dialect::openai_responses::encode::{own_id, put_own, reasoning_item};
use crate::dialect::openai_responses::stream::record::quoted;
use crate::ir::{Content, Delta, Origin, Part, Reasoning, ReasoningText, SealKind, TextKind};

impl Encoder {
    pub(super) fn thoughts_start(&mut self, mut part: Part, out: &mut Vec<u8>) {
        self.close_message(out);
        let Content::Reasoning(reasoning) = &mut part.content else { return };
        let texts = std::mem::take(&mut reasoning.texts);
        let id = own_id(reasoning, &part.carry).unwrap_or_else(|| self.id("rs"));
        self.record.item_added(json!({"type": "reasoning", "id": id, "summary": []}), out);
        self.open = Some(Open::new(part, id));
        for (number, text) in (0_u32..).zip(texts) {
            self.delta(Delta::Reasoning { text: number, kind: text.kind, delta: text.text }, out);
        }
    }

    pub(super) fn thought(&mut self, number: u32, kind: TextKind, more: &str, out: &mut Vec<u8>) {
        let Some(texts) = self.texts() else { return };
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        if place == texts.len() {
            self.close_thought(out);
            let Some(texts) = self.texts() else { return };
            texts.push(ReasoningText { kind, text: String::new() });
            self.emit_thought("part.added", "\"\"", out);
        }
        let Some(texts) = self.texts() else { return };
        let is_last = place + 1 == texts.len();
        let Some(text) = texts.get_mut(place) else { return };
        text.text.push_str(more);
        self.record.keep(more.len());
        if is_last && !more.is_empty() {
            self.emit_thought("text.delta", &quoted(more), out);
        }
    }

    pub(super) fn texts(&mut self) -> Option<&mut Vec<ReasoningText>> {
        match &mut self.open.as_mut()?.part.content {
            Content::Reasoning(reasoning) => Some(&mut reasoning.texts),
            Content::Text(_)
            | Content::Refusal(_)
            | Content::Media(_)
            | Content::ToolCall(_)
            | Content::ToolResult(_)
            | Content::Opaque(_) => None,
        }
    }

    pub(super) fn close_thought(&mut self, out: &mut Vec<u8>) {
        let Some(last) = self.texts().and_then(|texts| texts.last()) else { return };
        let text = quoted(&last.text);
        self.emit_thought("text.done", &text, out);
        self.emit_thought("part.done", &text, out);
    }

    /// Writes an event about the last text of the thoughts: `text` is JSON.
    pub(super) fn emit_thought(&mut self, what: &str, text: &str, out: &mut Vec<u8>) {
        let Some(open) = &self.open else { return };
        let Content::Reasoning(Reasoning { texts, .. }) = &open.part.content else { return };
        let own = is_own(&open.part.carry);
        let Some(kind) = texts.last().map(|text| text.kind) else { return };
        let index = texts.iter().filter(|text| !own || text.kind == kind).count().saturating_sub(1);
        // The thoughts of other vendors' models are all summaries here.
        let (summary, part) = match kind {
            TextKind::Full if own => (false, "reasoning_text"),
            TextKind::Full | TextKind::Summary => (true, "summary_text"),
        };
        let key = if summary { "summary_index" } else { "content_index" };
        let name = match (what, summary) {
            ("part.added" | "part.done", true) => format!("response.reasoning_summary_{what}"),
            ("part.added" | "part.done", false) => format!("response.content_{what}"),
            (_, true) => format!("response.reasoning_summary_{what}"),
            (_, false) => format!("response.reasoning_{what}"),
        };
        match what {
            "text.delta" => self.emit_in_item(&name, format_args!("\"{key}\":{index},\"delta\":{text}"), out),
            "text.done" => self.emit_in_item(&name, format_args!("\"{key}\":{index},\"text\":{text}"), out),
            _ => {
                let part = format_args!("{{\"type\":\"{part}\",\"text\":{text}}}");
                self.emit_in_item(&name, format_args!("\"{key}\":{index},\"part\":{part}"), out);
            }
        }
    }

    pub(super) fn thoughts_stop(&mut self, out: &mut Vec<u8>) {
        self.close_thought(out);
        let Some(Open { part, id, .. }) = self.open.take() else { return };
        let Content::Reasoning(reasoning) = &part.content else { return };
        let encrypted = part.seal.as_ref().map(|seal| seal.text_for(Origin::OpenAi, SealKind::Encrypted));
        let mut object = reasoning_item(&part, reasoning, encrypted).with("id", id);
        put_own(&mut object, &part.carry);
        object.put_default("summary", json!([]));
        self.record.item_done(Value::from(object).to_string(), out);
    }
}
