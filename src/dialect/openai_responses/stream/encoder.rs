//! Writes a caller's Responses stream.
//!
//! One item at a time and one part at a time; neighbouring texts and refusals are one message. Every item is added, told in
//! pieces and done; the last event repeats all. After a failure comes the `error` event, which OpenAI's SDKs raise, and
//! `response.failed`, which Codex reads.

mod calls;
mod message;
mod thoughts;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::record::{Record, quoted};
use crate::dialect::openai_responses::encode::{capsule_item, head, image_item, item_id};
use crate::dialect::openai_responses::namespace::Namespaces;
use crate::dialect::openai_responses::{DIALECT, wire};
use crate::dialect::{Asked, StreamEncoder, sse};
use crate::ir::{
    ApiError, Attach, CallKind, Carry, Content, Delta, Event, Finish, FinishReason, Losses, Opaque, Part, Seal,
    Sequencer, Start, ToolCall, Usage,
};

/// Writes one stream.
#[derive(Clone, Debug)]
pub struct Encoder {
    asked: Asked,
    groups: Arc<Namespaces>,
    sequencer: Sequencer,
    record: Record,
    /// What every whole response begins with.
    head: Map<String, Value>,
    /// The provider's id for the answer, of which ids of items are made.
    answer: String,
    message: Option<Message>,
    open: Option<Open>,
    usage: Option<Usage>,
    finish: Option<Finish>,
    started: bool,
    over: bool,
    losses: Losses,
    /// The error that the stream ended with.
    failure: Option<ApiError>,
}

/// The message that is being written.
#[derive(Clone, Debug)]
struct Message {
    id: String,
    /// What it says of itself.
    object: Map<String, Value>,
    /// Its parts that are done, as JSON.
    parts: Vec<Arc<str>>,
}

/// The part that is being written.
#[derive(Clone, Debug)]
struct Open {
    /// All of it that has come.
    part: Part,
    /// The id of its item.
    id: String,
    /// How many characters of text have come.
    characters: u64,
    /// How many annotations have been written.
    annotations: usize,
}

impl Open {
    fn new(part: Part, id: String) -> Self {
        Self { part, id, characters: 0, annotations: 0 }
    }
}

impl StreamEncoder for Encoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        // An answer is one choice here.
        let is_other = match event {
            Event::PartStart(at, _) | Event::Delta(at, _) | Event::PartStop(at, _) => at.choice != 0,
            Event::Finish(choice, ..) => *choice != 0,
            Event::Start(_) | Event::Usage(_) | Event::Ping | Event::Opaque(_) | Event::End(_) | Event::Error(_) => {
                false
            }
        };
        if self.over {
            return;
        }
        if is_other {
            return self.losses.ignored("n", DIALECT);
        }
        let mut sequencer = std::mem::take(&mut self.sequencer);
        sequencer.push(event.clone(), &mut |event| self.write(event, out));
        self.sequencer = sequencer;
        if !self.over && self.record.bytes() > sse::MAX_EVENT {
            self.fail(&ApiError::nonsense(sse::TooLarge { limit: sse::MAX_EVENT }), out);
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if !self.over {
            self.fail(&ApiError::cut(), out);
        }
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }

    fn failure(&self) -> Option<&ApiError> {
        self.failure.as_ref()
    }
}

impl Encoder {
    /// Nothing written yet.
    pub fn new(asked: &Asked) -> Self {
        Self {
            groups: Arc::new(Namespaces::of(&asked.request)),
            asked: asked.clone(),
            sequencer: Sequencer::new(),
            record: Record::default(),
            head: Map::new(),
            answer: asked.fallback_id.clone(),
            message: None,
            open: None,
            usage: None,
            finish: None,
            started: false,
            over: false,
            losses: Losses::new(),
            failure: None,
        }
    }

    fn write(&mut self, event: Event, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::Start(start) => self.start(*start, out),
            Event::PartStart(_, part) => self.part_start(*part, out),
            Event::Delta(_, delta) => self.delta(delta, out),
            Event::PartStop(_, carry) => self.part_stop(carry, out),
            Event::Finish(_, finish, _) => {
                if finish.stop_sequence.is_some() {
                    self.losses.ignored("stop_sequence", DIALECT);
                }
                self.finish = Some(*finish);
            }
            Event::Usage(usage) => self.usage(*usage),
            Event::Ping => sse::write_comment(out, "keepalive"),
            Event::Opaque(opaque) => self.losses.ignored(opaque.type_name(), DIALECT),
            Event::End(_) => self.end(out),
            Event::Error(error) => self.fail(&error, out),
        }
    }

    fn start(&mut self, start: Start, out: &mut Vec<u8>) {
        if let Some(id) = &start.id {
            self.answer.clone_from(id);
        }
        let tier = start.service_tier.as_deref();
        let (id, model) = (start.id.as_deref(), start.model.as_deref());
        self.head = head(&self.asked, id, model, start.created, tier, &start.carry);
        self.record.set_head(&self.head);
        self.usage = start.usage;
        self.started = true;
        self.record.begun(out);
    }

    /// What it took, and perhaps the tier that served: the last event repeats both.
    fn usage(&mut self, mut usage: Usage) {
        if let Some(tier) = usage.service_tier.take() {
            self.head.insert("service_tier".to_owned(), tier.into());
            self.record.set_head(&self.head);
        }
        self.usage = Some(usage);
    }

    /// An id for the next item.
    fn id(&self, prefix: &str) -> String {
        item_id(prefix, &self.answer, self.record.place())
    }

    fn part_start(&mut self, part: Part, out: &mut Vec<u8>) {
        self.open = None;
        match &part.content {
            Content::Text(_) | Content::Refusal(_) => self.text_start(part, out),
            Content::ToolCall(_) => self.call_start(part, out),
            Content::Reasoning(_) => self.thoughts_start(part, out),
            Content::Media(media) => {
                self.close_message(out);
                match image_item(media, self.id("ig"), &part.carry) {
                    Some(item) => self.image(&item, out),
                    None => self.losses.ignored("content", DIALECT),
                }
            }
            Content::Opaque(opaque) => self.opaque(opaque, &part.carry, out),
            Content::ToolResult(_) => self.losses.ignored("content", DIALECT),
        }
    }

    /// Writes an event about the item that is being written, which is no message.
    fn emit_in_item(&mut self, name: &str, more: std::fmt::Arguments<'_>, out: &mut Vec<u8>) {
        let Some(open) = &self.open else { return };
        let (id, place) = (quoted(&open.id), self.record.place());
        self.record.emit(name, format_args!("\"item_id\":{id},\"output_index\":{place},{more}"), out);
    }

    /// A whole item that holds nothing but another's seal.
    fn capsule(&mut self, seal: &Seal, attach: Attach, out: &mut Vec<u8>) {
        let id = self.id("rs");
        self.record.item_added(json!({"type": "reasoning", "id": id, "summary": []}), out);
        self.record.item_done(capsule_item(id, seal, attach).to_string(), out);
    }

    fn image(&mut self, item: &Value, out: &mut Vec<u8>) {
        let id = item.get("id").cloned().unwrap_or_default();
        let begun = json!({"type": "image_generation_call", "id": id, "status": "in_progress", "result": null});
        self.record.item_added(begun, out);
        let place = self.record.place();
        for name in ["response.image_generation_call.in_progress", "response.image_generation_call.completed"] {
            self.record.emit(name, format_args!("\"item_id\":{id},\"output_index\":{place}"), out);
        }
        self.record.item_done(item.to_string(), out);
    }

    fn opaque(&mut self, opaque: &Opaque, carry: &Carry, out: &mut Vec<u8>) {
        let Some(own) = opaque.for_dialect(DIALECT) else {
            return self.losses.ignored(opaque.type_name(), DIALECT);
        };
        if carry.has_note(DIALECT, "in_message") {
            self.speak(carry, out);
            self.emit_in_message("response.content_part.added", format_args!("\"part\":{own}"), out);
            self.part_done(own.to_string(), out);
        } else {
            self.close_message(out);
            self.record.item_added(own, out);
            self.record.item_done(own.to_string(), out);
        }
    }

    fn delta(&mut self, delta: Delta, out: &mut Vec<u8>) {
        let Some(open) = &mut self.open else { return };
        match (delta, &mut open.part.content) {
            (Delta::Text(more), Content::Text(text)) => {
                if more.is_empty() {
                    return;
                }
                text.text.push_str(&more);
                open.characters = open.characters.saturating_add(characters(&more));
                self.record.keep(more.len());
                let more = quoted(&more);
                let fields = format_args!("\"delta\":{more},\"logprobs\":[]");
                self.emit_in_message("response.output_text.delta", fields, out);
            }
            (Delta::Logprobs(logprobs), Content::Text(text)) => {
                text.logprobs.extend_from_slice(&logprobs);
                self.likely(&logprobs, out);
            }
            (Delta::Citation(citation), Content::Text(text)) => {
                let Some(annotation) = wire::citation_to(&citation, open.characters) else {
                    return self.losses.ignored("annotations", DIALECT);
                };
                text.citations.push(*citation);
                let number = open.annotations;
                open.annotations += 1;
                let annotation = annotation.to_string();
                self.record.keep(annotation.len());
                let fields = format_args!("\"annotation_index\":{number},\"annotation\":{annotation}");
                self.emit_in_message("response.output_text.annotation.added", fields, out);
            }
            (Delta::Refusal(more), Content::Refusal(text)) => {
                if more.is_empty() {
                    return;
                }
                text.push_str(&more);
                self.record.keep(more.len());
                let more = quoted(&more);
                self.emit_in_message("response.refusal.delta", format_args!("\"delta\":{more}"), out);
            }
            (Delta::Arguments(more), Content::ToolCall(call)) => {
                if more.is_empty() {
                    return;
                }
                call.arguments.push_str(&more);
                let name = delta_name(call);
                self.record.keep(more.len());
                let more = quoted(&more);
                self.emit_in_item(name, format_args!("\"delta\":{more}"), out);
            }
            (Delta::Reasoning { text, kind, delta }, Content::Reasoning(_)) => self.thought(text, kind, &delta, out),
            (Delta::Seal(seal), _) => open.part.seal = Some(*seal),
            (
                Delta::Text(_)
                | Delta::Logprobs(_)
                | Delta::Citation(_)
                | Delta::Refusal(_)
                | Delta::Arguments(_)
                | Delta::Reasoning { .. },
                _,
            ) => {}
        }
    }

    fn part_stop(&mut self, carry: Carry, out: &mut Vec<u8>) {
        let Some(open) = &mut self.open else { return };
        open.part.carry.merge(carry);
        match &open.part.content {
            Content::Text(_) | Content::Refusal(_) => self.text_stop(out),
            Content::ToolCall(_) => self.call_stop(out),
            Content::Reasoning(_) => self.thoughts_stop(out),
            Content::Media(_) | Content::ToolResult(_) | Content::Opaque(_) => {}
        }
        self.open = None;
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let Some(finish) = self.finish.take().filter(|_| self.started) else {
            // Without a reason, the answer would look whole and not be.
            return self.fail(&ApiError::cut(), out);
        };
        if matches!(finish.reason, FinishReason::Failed | FinishReason::Cancelled) {
            return self.fail(&wire::error_from(&Value::Null), out);
        }
        self.close_message(out);
        self.over = true;
        self.record.ended(&finish, self.usage.as_ref(), out);
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        self.failure = Some(error.clone());
        if !std::mem::replace(&mut self.started, true) {
            self.record.set_head(&head(&self.asked, None, None, None, None, &Carry::NONE));
        }
        self.over = true;
        self.record.failed(error, self.usage.as_ref(), out);
    }
}

fn characters(text: &str) -> u64 {
    u64::try_from(text.chars().count()).unwrap_or(u64::MAX)
}

fn delta_name(call: &ToolCall) -> &'static str {
    match call.kind {
        CallKind::Function => "response.function_call_arguments.delta",
        CallKind::Custom => "response.custom_tool_call_input.delta",
    }
}
