//! Writes a caller's Responses stream.
//!
//! One item at a time and one part at a time; neighbouring texts and refusals are one message. Every item is added, told in
//! pieces and done; the last event repeats all. After a failure comes the `error` event, which OpenAI's SDKs raise, and
//! `response.failed`, which Codex reads.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::record::{Record, quoted};
use crate::dialect::openai_responses::decode::is_own;
use crate::dialect::openai_responses::encode::{
    call_item, capsule_item, head, image_item, item_id, own_id, put_own, reasoning_item, text_part,
};
use crate::dialect::openai_responses::namespace::Namespaces;
use crate::dialect::openai_responses::{DIALECT, wire};
use crate::dialect::{Asked, Object, StreamEncoder, sse};
use crate::ir::{
    ApiError, Attach, CallKind, Carry, Citation, Content, Delta, Event, Finish, FinishReason, Logprob, Losses, Opaque,
    Origin, Part, Reasoning, ReasoningText, Seal, SealKind, Sequencer, Start, TextKind, ToolCall, Usage,
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

    /// Begins a message, if the part says so or none is there.
    fn speak(&mut self, carry: &Carry, out: &mut Vec<u8>) {
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

    fn close_message(&mut self, out: &mut Vec<u8>) {
        let Some(message) = self.message.take() else { return };
        let mut item = Value::Object(message.object).to_string();
        item.pop();
        item.push_str(",\"content\":[");
        item.push_str(&message.parts.join(","));
        item.push_str("]}");
        self.record.item_done(item, out);
    }

    /// Writes an event about the message's part that is being written.
    fn emit_in_message(&mut self, name: &str, more: std::fmt::Arguments<'_>, out: &mut Vec<u8>) {
        let Some(message) = &self.message else { return };
        let (id, place, content) = (&message.id, self.record.place(), message.parts.len());
        self.record.emit(
            name,
            format_args!("\"item_id\":\"{id}\",\"output_index\":{place},\"content_index\":{content},{more}"),
            out,
        );
    }

    /// Writes an event about the item that is being written, which is no message.
    fn emit_in_item(&mut self, name: &str, more: std::fmt::Arguments<'_>, out: &mut Vec<u8>) {
        let Some(open) = &self.open else { return };
        let (id, place) = (quoted(&open.id), self.record.place());
        self.record.emit(name, format_args!("\"item_id\":{id},\"output_index\":{place},{more}"), out);
    }

    fn text_start(&mut self, mut part: Part, out: &mut Vec<u8>) {
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
        self.open = Some(Open { part, id: String::new() });
        self.delta(first, out);
    }

    fn call_start(&mut self, mut part: Part, out: &mut Vec<u8>) {
        self.close_message(out);
        let Content::ToolCall(call) = &mut part.content else { return };
        let first = std::mem::take(&mut call.arguments);
        let (call_id, prefix) = (call.id.clone(), if call.kind == CallKind::Custom { "ctc" } else { "fc" });
        // Callers that send thoughts back send them before the call.
        if let Some(seal) = part.seal.take() {
            self.capsule(&seal, Attach::Call(call_id), out);
        }
        let known = part.carry.field(DIALECT, "id").and_then(Value::as_str).map(str::to_owned);
        let id = known.unwrap_or_else(|| self.id(prefix));
        let open = Open { part, id };
        self.record.item_added(self.call(&open, "in_progress"), out);
        self.open = Some(open);
        self.delta(Delta::Arguments(first), out);
    }

    /// The item of the call that is being written.
    fn call(&self, open: &Open, status: &str) -> Value {
        let Content::ToolCall(call) = &open.part.content else { return Value::Null };
        let (group, name) = self.groups.split(&call.name);
        let mut object = call_item(&open.part, call, group, name).with("id", open.id.as_str()).with("status", status);
        object.put_carried(&open.part.carry, DIALECT);
        object.into()
    }

    fn thoughts_start(&mut self, mut part: Part, out: &mut Vec<u8>) {
        self.close_message(out);
        let Content::Reasoning(reasoning) = &mut part.content else { return };
        let texts = std::mem::take(&mut reasoning.texts);
        let id = own_id(reasoning, &part.carry).unwrap_or_else(|| self.id("rs"));
        self.record.item_added(json!({"type": "reasoning", "id": id, "summary": []}), out);
        self.open = Some(Open { part, id });
        for (number, text) in (0_u32..).zip(texts) {
            self.delta(Delta::Reasoning { text: number, kind: text.kind, delta: text.text }, out);
        }
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

    fn part_done(&mut self, part: String, out: &mut Vec<u8>) {
        self.emit_in_message("response.content_part.done", format_args!("\"part\":{part}"), out);
        if let Some(message) = &mut self.message {
            message.parts.push(part.into());
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
                text.citations.push(citation.as_ref().clone());
                let length = u64::try_from(text.text.chars().count()).unwrap_or(u64::MAX);
                let number = text.citations.iter().filter(|citation| wire::citation_to(citation, 0).is_some()).count();
                self.annotation(&citation, length, number, out);
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

    /// Log probabilities come beside the text, of which nothing is left to say by then.
    fn likely(&mut self, logprobs: &[Logprob], out: &mut Vec<u8>) {
        let logprobs = wire::logprobs_to(logprobs);
        let fields = format_args!("\"delta\":\"\",\"logprobs\":{logprobs}");
        self.emit_in_message("response.output_text.delta", fields, out);
    }

    fn annotation(&mut self, citation: &Citation, length: u64, number: usize, out: &mut Vec<u8>) {
        let Some(annotation) = wire::citation_to(citation, length) else {
            return self.losses.ignored("annotations", DIALECT);
        };
        let number = number.saturating_sub(1);
        let fields = format_args!("\"annotation_index\":{number},\"annotation\":{annotation}");
        self.emit_in_message("response.output_text.annotation.added", fields, out);
    }

    fn thought(&mut self, number: u32, kind: TextKind, more: &str, out: &mut Vec<u8>) {
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

    fn texts(&mut self) -> Option<&mut Vec<ReasoningText>> {
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

    fn close_thought(&mut self, out: &mut Vec<u8>) {
        let Some(last) = self.texts().and_then(|texts| texts.last()) else { return };
        let text = quoted(&last.text);
        self.emit_thought("text.done", &text, out);
        self.emit_thought("part.done", &text, out);
    }

    /// Writes an event about the last text of the thoughts: `text` is JSON.
    fn emit_thought(&mut self, what: &str, text: &str, out: &mut Vec<u8>) {
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

    fn text_stop(&mut self, out: &mut Vec<u8>) {
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

    fn call_stop(&mut self, out: &mut Vec<u8>) {
        let Some(open) = &self.open else { return };
        let Content::ToolCall(call) = &open.part.content else { return };
        if call.arguments.is_empty() && call.kind == CallKind::Function && !is_own(&open.part.carry) {
            // A call without arguments still has to parse as JSON.
            self.delta(Delta::Arguments("{}".to_owned()), out);
        }
        let Some(open) = &self.open else { return };
        let Content::ToolCall(call) = &open.part.content else { return };
        let arguments = quoted(&call.arguments);
        let (kind, call_id) = (call.kind, call.id.clone());
        let name = quoted(self.groups.split(&call.name).1);
        match kind {
            CallKind::Function => self.emit_in_item(
                "response.function_call_arguments.done",
                format_args!("\"name\":{name},\"arguments\":{arguments}"),
                out,
            ),
            CallKind::Custom => {
                let fields = format_args!("\"input\":{arguments}");
                self.emit_in_item("response.custom_tool_call_input.done", fields, out);
            }
        }
        let Some(open) = self.open.take() else { return };
        self.record.item_done(self.call(&open, "completed").to_string(), out);
        if let Some(seal) = &open.part.seal {
            self.capsule(seal, Attach::Call(call_id), out);
        }
    }

    fn thoughts_stop(&mut self, out: &mut Vec<u8>) {
        self.close_thought(out);
        let Some(Open { part, id }) = self.open.take() else { return };
        let Content::Reasoning(reasoning) = &part.content else { return };
        let encrypted = part.seal.as_ref().map(|seal| seal.text_for(Origin::OpenAi, SealKind::Encrypted));
        let mut object = reasoning_item(&part, reasoning, encrypted).with("id", id);
        put_own(&mut object, &part.carry);
        object.put_default("summary", json!([]));
        self.record.item_done(Value::from(object).to_string(), out);
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
        if !std::mem::replace(&mut self.started, true) {
            self.record.set_head(&head(&self.asked, None, None, None, None, &Carry::NONE));
        }
        self.over = true;
        self.record.failed(error, self.usage.as_ref(), out);
    }
}

fn delta_name(call: &ToolCall) -> &'static str {
    match call.kind {
        CallKind::Function => "response.function_call_arguments.delta",
        CallKind::Custom => "response.custom_tool_call_input.delta",
    }
}
