//! Writes a caller's Messages stream.
//!
//! One block is open at a time, which the [`Sequencer`] sees to. A block begins with its first piece, so that no empty
//! one is written, which callers could not send back. The reason and the usage go out together at the end, since other
//! dialects say the usage last.

use serde_json::{Map, Value, json};

use crate::dialect::anthropic::encode::{ThoughtBlock, call_seal, redacted_block, text_seal, thought_block};
use crate::dialect::anthropic::{DIALECT, wire};
use crate::dialect::{Asked, Object, StreamEncoder, adapt, sse};
use crate::ir::{
    ApiError, CallKind, Carry, Content, Delta, Event, Finish, Losses, Part, PartAt, ReasoningText, Sequencer, Start,
    Usage,
};

/// Loose fields of an answer that stand beside its stop reason.
const IN_DELTA: [&str; 3] = ["container", "stop_sequence", "stop_details"];

/// Writes one stream.
#[derive(Clone, Debug)]
pub struct Encoder {
    asked: Asked,
    sequencer: Sequencer,
    started: bool,
    over: bool,
    /// The next block's index.
    index: u64,
    open: Option<Open>,
    /// The seal of the text before: written if a block follows it, since no answer may end in a thought.
    after_text: Option<String>,
    held: wire::Held,
    finish: Option<Finish>,
    usage: Option<Usage>,
    /// The tier that was told.
    tier: Option<&'static str>,
    losses: Losses,
    /// The error that the stream ended with.
    failure: Option<ApiError>,
}

/// The open part.
#[derive(Clone, Debug)]
struct Open {
    at: PartAt,
    /// The part with what is needed of it at its end: its kind, its seal, what a thought said (the last words only), a
    /// freeform input.
    part: Part,
    /// Whether its block has begun.
    begun: bool,
}

impl StreamEncoder for Encoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        if !is_first_choice(event) {
            return self.losses.ignored("n", DIALECT);
        }
        let mut sequencer = std::mem::take(&mut self.sequencer);
        sequencer.push(event.clone(), &mut |event| self.event(event, out));
        self.sequencer = sequencer;
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
            asked: asked.clone(),
            sequencer: Sequencer::new(),
            started: false,
            over: false,
            index: 0,
            open: None,
            after_text: None,
            held: wire::Held::default(),
            finish: None,
            usage: None,
            tier: None,
            losses: Losses::new(),
            failure: None,
        }
    }

    fn event(&mut self, event: Event, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::Start(start) => self.start(&start, out),
            Event::PartStart(at, part) => self.part_start(at, *part, out),
            Event::Delta(at, delta) => self.delta(at, delta, out),
            Event::PartStop(at, _) => self.part_stop(at, out),
            Event::Finish(_, finish, _) => {
                self.finish = Some(*finish);
                if self.after_text.take().is_some() {
                    self.losses.ignored("reasoning", DIALECT);
                }
            }
            Event::Usage(usage) => {
                self.served_in(usage.service_tier.as_deref());
                self.usage = Some(*usage);
            }
            Event::Ping => sse::write_named(out, "ping", r#"{"type": "ping"}"#),
            Event::Opaque(opaque) => match opaque.for_dialect(DIALECT) {
                Some(own) => sse::write_named_json(out, opaque.type_name(), own),
                None => self.losses.ignored(opaque.type_name(), DIALECT),
            },
            Event::End(carry) => self.end(&carry, out),
            Event::Error(error) => self.fail(&error, out),
        }
    }

    fn start(&mut self, start: &Start, out: &mut Vec<u8>) {
        self.started = true;
        self.usage.clone_from(&start.usage);
        self.tier = start.service_tier.as_deref().map(wire::tier_to);
        self.served_in(start.service_tier.as_deref());
        let known = start.usage.clone().filter(|usage| usage.input.is_some());
        // The best count that there is by now: clients show it, and keep it if the stream is cut.
        let known = known.unwrap_or_else(|| Usage { input: self.asked.input_estimate, ..Usage::default() });
        let message = Object::new()
            .with("id", start.id.as_deref().unwrap_or(&self.asked.fallback_id))
            .with("type", "message")
            .with("role", "assistant")
            .with("model", start.model.as_deref().unwrap_or(&self.asked.request.model))
            .with("content", json!([]))
            .with("stop_reason", Value::Null)
            .with("stop_sequence", Value::Null)
            .with("usage", wire::usage_to(&known, start.service_tier.as_deref()))
            .carrying(&start.carry, DIALECT);
        write("message_start", Object::typed("message_start").with("message", message), out);
    }

    /// The tier is told in the first event only.
    fn served_in(&mut self, tier: Option<&str>) {
        let Some(tier) = tier else { return };
        if !wire::has_tier(tier) {
            self.losses.approximated("service_tier", wire::NO_SUCH_TIER);
        } else if wire::tier_to(tier) != self.tier.unwrap_or("standard") {
            self.losses.ignored("service_tier", DIALECT);
        }
    }

    fn part_start(&mut self, at: PartAt, mut part: Part, out: &mut Vec<u8>) {
        let (mut first, mut block) = (None, None);
        match &mut part.content {
            Content::Text(text) => {
                let words = std::mem::take(&mut text.text);
                first = Some(Delta::Text(words));
            }
            Content::Refusal(words) => {
                self.held.refusal = true;
                first = Some(Delta::Text(std::mem::take(words)));
            }
            Content::ToolCall(call) => {
                self.held.calls = true;
                first = Some(Delta::Arguments(std::mem::take(&mut call.arguments)));
                let object = Object::typed("tool_use")
                    .with("id", call.id.as_str())
                    .with("name", call.name.as_str())
                    .with("input", json!({}));
                block = Some(object.carrying(&part.carry, DIALECT));
                // Callers that send thoughts back send them before the call.
                if let Some(data) = call_seal(&part) {
                    self.block(redacted_block(data), None, out);
                    part.seal = None;
                }
            }
            Content::Reasoning(reasoning) => {
                let words = reasoning.joined();
                first = reasoning.texts.first().map(|text| Delta::Reasoning { text: 0, kind: text.kind, delta: words });
                reasoning.texts.clear();
            }
            Content::Opaque(opaque) => match opaque.for_dialect(DIALECT) {
                Some(Value::Object(own)) => self.opaque(own.clone(), out),
                Some(_) | None => self.losses.ignored(opaque.type_name(), DIALECT),
            },
            Content::Media(_) | Content::ToolResult(_) => self.losses.ignored("content", DIALECT),
        }
        self.open = Some(Open { at, part, begun: false });
        if let Some(block) = block {
            self.begin(block.into(), out);
        }
        if let Some(delta) = first {
            self.delta(at, delta, out);
        }
    }

    /// A block of a provider-run tool. Its input goes out in pieces, as Anthropic sends it.
    fn opaque(&mut self, mut block: Map<String, Value>, out: &mut Vec<u8>) {
        let is_use = block.get("type").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("tool_use"));
        let mut input = None;
        if is_use
            && let Some(whole) = block.get_mut("input")
            && whole.as_object().is_some_and(|map| !map.is_empty())
        {
            input = Some(std::mem::replace(whole, json!({})));
        }
        let delta = input.map(|input| json!({"type": "input_json_delta", "partial_json": input.to_string()}));
        self.block(block.into(), delta, out);
    }

    /// A whole block at once.
    fn block(&mut self, block: Value, delta: Option<Value>, out: &mut Vec<u8>) {
        self.block_start(block, out);
        if let Some(delta) = delta {
            self.block_delta(delta, out);
        }
        self.block_stop(out);
    }

    fn block_start(&mut self, block: Value, out: &mut Vec<u8>) {
        if let Some(data) = self.after_text.take() {
            self.block(redacted_block(data), None, out);
        }
        write(
            "content_block_start",
            Object::typed("content_block_start").with("index", self.index).with("content_block", block),
            out,
        );
    }

    fn block_delta(&self, delta: Value, out: &mut Vec<u8>) {
        write(
            "content_block_delta",
            Object::typed("content_block_delta").with("index", self.index).with("delta", delta),
            out,
        );
    }

    fn block_stop(&mut self, out: &mut Vec<u8>) {
        write("content_block_stop", Object::typed("content_block_stop").with("index", self.index), out);
        self.index += 1;
    }

    /// Begins the open part's block, once.
    fn begin(&mut self, block: Value, out: &mut Vec<u8>) {
        let Some(open) = &mut self.open else { return };
        if !std::mem::replace(&mut open.begun, true) {
            self.block_start(block, out);
        }
    }

    fn delta(&mut self, at: PartAt, delta: Delta, out: &mut Vec<u8>) {
        let Some(open) = self.open.as_mut().filter(|open| open.at == at) else { return };
        let text_block = || json!({"type": "text", "text": ""});
        match delta {
            Delta::Text(text) | Delta::Refusal(text) => {
                if !text.is_empty() {
                    self.begin(text_block(), out);
                    self.block_delta(json!({"type": "text_delta", "text": text}), out);
                }
            }
            Delta::Citation(citation) => {
                let Some(citation) = wire::citation_to(&citation) else {
                    return self.losses.ignored("annotations", DIALECT);
                };
                self.begin(text_block(), out);
                self.block_delta(json!({"type": "citations_delta", "citation": citation}), out);
            }
            Delta::Reasoning { text, kind, delta } => {
                let Content::Reasoning(known) = &mut open.part.content else { return };
                let is_new = usize::try_from(text).is_ok_and(|text| text >= known.texts.len());
                let is_next = is_new && !known.texts.is_empty();
                if is_new && !delta.is_empty() {
                    // Only that there are words matters at the end.
                    known.texts.push(ReasoningText { kind, text: String::new() });
                }
                if delta.is_empty() {
                    return;
                }
                let words = if is_next { format!("\n\n{delta}") } else { delta };
                self.begin(json!({"type": "thinking", "thinking": "", "signature": ""}), out);
                self.block_delta(json!({"type": "thinking_delta", "thinking": words}), out);
            }
            Delta::Seal(seal) => open.part.seal = Some(*seal),
            Delta::Arguments(json) => {
                if let Content::ToolCall(call) = &mut open.part.content
                    && call.kind == CallKind::Custom
                {
                    // A freeform input is a JSON document only once it is complete.
                    call.arguments.push_str(&json);
                } else if !json.is_empty() {
                    self.block_delta(json!({"type": "input_json_delta", "partial_json": json}), out);
                }
            }
            Delta::Logprobs(_) => self.losses.ignored("logprobs", DIALECT),
        }
    }

    fn part_stop(&mut self, at: PartAt, out: &mut Vec<u8>) {
        let Some(open) = self.open.take_if(|open| open.at == at) else { return };
        match &open.part.content {
            Content::Reasoning(_) => return self.thought_stop(&open, out),
            Content::ToolCall(call) if call.kind == CallKind::Custom => {
                let mut unused = Losses::new();
                let input = adapt::arguments_as_object(call.kind, &call.arguments, String::new, &mut unused);
                self.block_delta(json!({"type": "input_json_delta", "partial_json": input.to_string()}), out);
            }
            Content::ToolCall(_)
            | Content::Text(_)
            | Content::Refusal(_)
            | Content::Media(_)
            | Content::ToolResult(_)
            | Content::Opaque(_) => {}
        }
        if open.begun {
            self.block_stop(out);
        }
        match &open.part.content {
            Content::ToolCall(_) => {
                if let Some(data) = call_seal(&open.part) {
                    self.block(redacted_block(data), None, out);
                }
            }
            Content::Text(_) => self.after_text = text_seal(&open.part),
            Content::Reasoning(_)
            | Content::Refusal(_)
            | Content::Media(_)
            | Content::ToolResult(_)
            | Content::Opaque(_) => {}
        }
    }

    fn thought_stop(&mut self, open: &Open, out: &mut Vec<u8>) {
        match thought_block(&open.part) {
            Some(ThoughtBlock::Thinking(signature)) => {
                if !open.begun {
                    self.block_start(json!({"type": "thinking", "thinking": "", "signature": ""}), out);
                }
                self.block_delta(json!({"type": "signature_delta", "signature": signature}), out);
                self.block_stop(out);
            }
            Some(ThoughtBlock::Redacted(data)) => {
                self.block(redacted_block(data), None, out);
            }
            None => {}
        }
    }

    fn end(&mut self, carry: &Carry, out: &mut Vec<u8>) {
        let Some(finish) = self.finish.take().filter(|_| self.started) else {
            // Without a reason, the answer would look whole and not be.
            return self.fail(&ApiError::cut(), out);
        };
        self.over = true;
        let (word, details) = wire::finish_to(&finish, self.held);
        let mut delta = Object::new()
            .with("stop_reason", word)
            .with("stop_sequence", finish.stop_sequence.clone())
            .with_some("stop_details", details);
        let known = self.usage.take().filter(|usage| usage.input.is_some() || usage.output.is_some());
        let known = known.unwrap_or_else(|| Usage { input: self.asked.input_estimate, ..Usage::default() });
        let mut event = Object::typed("message_delta");
        for (key, value) in carry.rest_for(DIALECT).into_iter().flatten() {
            let place = if IN_DELTA.contains(&key.as_str()) { &mut delta } else { &mut event };
            place.put_default(key, value.clone());
        }
        event.put("delta", delta);
        event.put("usage", wire::final_usage_to(&known));
        write("message_delta", event, out);
        write("message_stop", Object::typed("message_stop"), out);
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        self.failure = Some(error.clone());
        self.over = true;
        let mut event = wire::error_to(error);
        if !self.asked.fallback_id.is_empty() {
            event["request_id"] = self.asked.fallback_id.as_str().into();
        }
        sse::write_named(out, "error", &event.to_string());
    }
}

/// Writes an event, whose name and `type` are the same.
fn write(kind: &str, event: Object, out: &mut Vec<u8>) {
    sse::write_named_json(out, kind, &event.into());
}

/// Messages has one choice.
fn is_first_choice(event: &Event) -> bool {
    match event {
        Event::PartStart(at, _) | Event::Delta(at, _) | Event::PartStop(at, _) => at.choice == 0,
        Event::Finish(choice, ..) => *choice == 0,
        Event::Start(_) | Event::Usage(_) | Event::Ping | Event::Opaque(_) | Event::End(_) | Event::Error(_) => true,
    }
}
