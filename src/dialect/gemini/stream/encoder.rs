//! Writes a caller's stream: server-sent events, or the elements of one array.
//!
//! Google tells calls whole, and the reason for the end together with the usage in the last chunk; so does this. Nothing
//! that looks like an end goes out before the stream has really ended.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::dialect::error::status_in;
use crate::dialect::gemini::encode::{answer_part, lose};
use crate::dialect::gemini::error::status_name;
use crate::dialect::gemini::grounding::Grounding;
use crate::dialect::gemini::{DIALECT, wire};
use crate::dialect::{Asked, Delivery, Object, StreamEncoder, keepalive, sse};
use crate::ir::{
    ApiError, Carry, Citation, Content, Delta, Event, Finish, Losses, Part, PartAt, Reasoning, ReasoningText,
    Sequencer, Start, Usage,
};

/// Writes one stream.
#[derive(Clone, Debug)]
pub struct Encoder {
    asked: Asked,
    sequencer: Sequencer,
    state: State,
}

/// What has been said.
#[derive(Clone, Debug, Default)]
struct State {
    is_array: bool,
    /// How many elements of the array have been written.
    elements: u64,
    started: bool,
    over: bool,
    /// What every chunk ends with: usage apart.
    tail: Object,
    usage: Option<Usage>,
    /// The tier that serves.
    tier: Option<String>,
    open: Option<(PartAt, Open)>,
    choices: BTreeMap<u32, Told>,
    losses: Losses,
    /// The error that the stream ended with.
    failure: Option<ApiError>,
}

/// An open part.
#[derive(Clone, Debug)]
struct Open {
    /// As far as it is needed at its end: calls whole, seals.
    part: Part,
    /// The text, for the places of its citations.
    text: String,
    citations: Vec<Citation>,
}

/// What has been said of a candidate.
#[derive(Clone, Debug, Default)]
struct Told {
    /// Bytes of text.
    written: u64,
    grounding: Grounding,
    finish: Option<(Finish, Carry)>,
    has_refused: bool,
}

impl StreamEncoder for Encoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        let (sequencer, state, asked) = (&mut self.sequencer, &mut self.state, &self.asked);
        if !state.over {
            sequencer.push(event.clone(), &mut |event| state.event(event, asked, out));
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if !self.state.over {
            self.state.fail(&ApiError::cut(), out);
        }
    }

    fn losses(&self) -> &Losses {
        &self.state.losses
    }

    fn failure(&self) -> Option<&ApiError> {
        self.state.failure.as_ref()
    }
}

impl Encoder {
    /// Nothing written yet.
    pub fn new(asked: &Asked) -> Self {
        let is_array = asked.delivery == Delivery::JsonArray;
        Self { asked: asked.clone(), sequencer: Sequencer::new(), state: State { is_array, ..State::default() } }
    }
}

impl State {
    fn event(&mut self, event: Event, asked: &Asked, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::Start(start) => self.start(*start, asked),
            Event::PartStart(at, part) => self.part_start(at, *part, out),
            Event::Delta(at, delta) => self.delta(at, delta, out),
            Event::PartStop(at, carry) => self.part_stop(at, carry, out),
            Event::Finish(choice, finish, carry) => {
                self.choices.entry(choice).or_default().finish = Some((*finish, carry));
            }
            Event::Usage(mut usage) => {
                self.served_in(usage.service_tier.take());
                self.usage = Some(*usage);
            }
            Event::Ping => {
                let delivery = if self.is_array { Delivery::JsonArray } else { Delivery::Events };
                out.extend_from_slice(keepalive::keepalive(DIALECT, delivery));
            }
            Event::Opaque(opaque) => self.losses.ignored(opaque.type_name(), DIALECT),
            Event::End(carry) => self.end(&carry, out),
            Event::Error(error) => self.fail(&error, out),
        }
    }

    fn start(&mut self, start: Start, asked: &Asked) {
        self.started = true;
        self.usage = start.usage;
        self.served_in(start.service_tier);
        let model = start.model.as_deref().unwrap_or(&asked.request.model);
        let id = start.id.as_deref().unwrap_or(&asked.fallback_id);
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        self.tail = Object::new().with_some("modelVersion", text(model)).with_some("responseId", text(id));
        self.tail.put_carried(&start.carry, DIALECT);
    }

    fn served_in(&mut self, tier: Option<String>) {
        let Some(tier) = tier else { return };
        if wire::tier_to(&tier).is_none() {
            self.losses.ignored("service_tier", DIALECT);
        }
        self.tier = Some(tier);
    }

    /// Writes one element.
    fn write(&mut self, value: &Value, out: &mut Vec<u8>) {
        if !self.is_array {
            return sse::write_json(out, value);
        }
        out.extend_from_slice(if self.elements == 0 { b"[" } else { b",\r\n" });
        sse::json_to(out, value);
        self.elements += 1;
    }

    fn chunk(&mut self, candidates: impl Into<Value>, usage: Option<Value>, out: &mut Vec<u8>) {
        let mut chunk = Object::new().with("candidates", candidates.into()).with_some("usageMetadata", usage);
        chunk.put_defaults(&self.tail.clone().into());
        self.write(&chunk.into(), out);
    }

    /// Writes a part, or a piece of one.
    fn piece(&mut self, choice: u32, part: Value, out: &mut Vec<u8>) {
        let content = Object::new().with("parts", vec![part]).with("role", "model");
        self.chunk(vec![Value::from(Object::new().with("content", content).with("index", choice))], None, out);
    }

    fn part_start(&mut self, at: PartAt, part: Part, out: &mut Vec<u8>) {
        self.choices.entry(at.choice).or_default();
        let mut open = Open { part, text: String::new(), citations: Vec::new() };
        let text = match &mut open.part.content {
            Content::Text(text) => {
                open.citations = std::mem::take(&mut text.citations);
                let logprobs = std::mem::take(&mut text.logprobs);
                let first = std::mem::take(&mut text.text);
                (!logprobs.is_empty())
                    .then_some(Delta::Logprobs(logprobs))
                    .into_iter()
                    .chain([Delta::Text(first)])
                    .collect()
            }
            Content::Refusal(text) => vec![Delta::Refusal(std::mem::take(text))],
            Content::Reasoning(reasoning) => {
                let texts = std::mem::take(&mut reasoning.texts);
                (0_u32..)
                    .zip(texts)
                    .map(|(text, said)| Delta::Reasoning { text, kind: said.kind, delta: said.text })
                    .collect()
            }
            Content::Media(_) | Content::ToolCall(_) | Content::ToolResult(_) | Content::Opaque(_) => Vec::new(),
        };
        self.open = Some((at, open));
        for delta in text {
            self.delta(at, delta, out);
        }
    }

    fn delta(&mut self, at: PartAt, delta: Delta, out: &mut Vec<u8>) {
        let Some((_, open)) = self.open.as_mut().filter(|(place, _)| *place == at) else { return };
        let piece = match delta {
            Delta::Text(text) | Delta::Refusal(text) => {
                open.text.push_str(&text);
                if matches!(open.part.content, Content::Refusal(_)) && !text.is_empty() {
                    self.choices.entry(at.choice).or_default().has_refused = true;
                }
                Some(text).filter(|text| !text.is_empty()).map(|text| Object::new().with("text", text).into())
            }
            Delta::Reasoning { text, kind, delta } => {
                let Content::Reasoning(Reasoning { texts, .. }) = &mut open.part.content else { return };
                let place = usize::try_from(text).unwrap_or(usize::MAX);
                let gap = if place > 0 && place == texts.len() { "\n\n" } else { "" };
                if place == texts.len() {
                    // Its words are not needed any more: only that it has begun.
                    texts.push(ReasoningText { kind, text: String::new() });
                }
                Some(format!("{gap}{delta}"))
                    .filter(|text| !text.is_empty())
                    .map(|text| json!({"text": text, "thought": true}))
            }
            Delta::Seal(seal) => {
                open.part.seal = Some(*seal);
                None
            }
            Delta::Arguments(more) => {
                if let Content::ToolCall(call) = &mut open.part.content {
                    call.arguments.push_str(&more);
                }
                None
            }
            Delta::Citation(citation) => {
                open.citations.push(*citation);
                None
            }
            Delta::Logprobs(logprobs) => {
                let result = wire::logprobs_to(logprobs.iter());
                let candidate = json!({
                    "content": {"parts": [{"text": ""}], "role": "model"},
                    "index": at.choice,
                    "logprobsResult": result,
                });
                return self.chunk(json!([candidate]), None, out);
            }
        };
        if let Some(piece) = piece {
            self.piece(at.choice, piece, out);
        }
    }

    fn part_stop(&mut self, at: PartAt, carry: Carry, out: &mut Vec<u8>) {
        let Some((_, mut open)) = self.open.take_if(|(place, _)| *place == at) else { return };
        open.part.carry.merge(carry);
        let rest = match &mut open.part.content {
            Content::Text(_) | Content::Refusal(_) => {
                let told = self.choices.entry(at.choice).or_default();
                told.grounding.add(&open.citations, &open.text, None, told.written);
                told.written += u64::try_from(open.text.len()).unwrap_or(u64::MAX);
                // A seal stands on an empty text after the others, as Google's own does.
                open.part.seal.is_some().then(|| answer_part(&open.part)).flatten()
            }
            Content::Reasoning(reasoning) => {
                reasoning.texts.clear();
                open.part.seal.is_some().then(|| answer_part(&open.part)).flatten()
            }
            Content::Media(_) | Content::ToolCall(_) | Content::ToolResult(_) | Content::Opaque(_) => {
                let part = answer_part(&open.part);
                if part.is_none() {
                    lose(&open.part.content, &mut self.losses);
                }
                part
            }
        };
        if let Some(part) = rest {
            self.piece(at.choice, part, out);
        }
    }

    /// The last chunk: why each candidate ended, and what all took.
    fn end(&mut self, carry: &Carry, out: &mut Vec<u8>) {
        let is_whole = self.started && self.choices.values().all(|told| told.finish.is_some());
        if !is_whole {
            return self.fail(&ApiError::cut(), out);
        }
        self.over = true;
        let mut candidates = Vec::new();
        for (index, told) in std::mem::take(&mut self.choices) {
            let Some((finish, carry)) = told.finish else { continue };
            if carry.has_note(DIALECT, "blocked") {
                continue;
            }
            let mut candidate = Object::new().with("content", json!({"parts": [{"text": ""}], "role": "model"}));
            let finish = if told.has_refused { wire::refused(&finish) } else { finish };
            wire::finish_to(&finish, &mut candidate);
            candidate.put("index", index);
            candidate.put_carried(&carry, DIALECT);
            let is_said = |key: &str| carry.field(DIALECT, key).is_some();
            if !is_said("groundingMetadata") && !is_said("citationMetadata") {
                candidate.put_some("groundingMetadata", told.grounding.finish());
            }
            candidates.push(Value::from(candidate));
        }
        if let Some(late) = carry.rest_for(DIALECT) {
            let mut tail = Object::new();
            tail.put_defaults(late);
            tail.put_defaults(&std::mem::take(&mut self.tail).into());
            self.tail = tail;
        }
        let usage = self.usage.take().map(|usage| wire::usage_to(&usage, self.tier.as_deref()));
        let mut last = Object::new();
        if !candidates.is_empty() {
            last.put("candidates", candidates);
        }
        last.put_some("usageMetadata", usage);
        last.put_defaults(&self.tail.clone().into());
        self.write(&last.into(), out);
        if self.is_array {
            out.push(b']');
        }
    }

    /// The error, as Google's SDKs raise it: in `data` for the Python one, and as a bare object for the others.
    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        self.failure = Some(error.clone());
        self.over = true;
        let body = error_to(error);
        self.write(&body, out);
        out.extend_from_slice(if self.is_array { "]".to_owned() } else { format!("{body}\n") }.as_bytes());
    }
}

fn error_to(error: &ApiError) -> Value {
    let mut details = Vec::new();
    if let Some(code) = &error.code {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": code.to_ascii_uppercase(),
            "domain": "llm-gateway",
        }));
    }
    if let Some(param) = &error.param {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": param, "description": error.message}],
        }));
    }
    let status = status_in(DIALECT, error.status);
    let mut inner =
        Object::new().with("code", status).with("message", error.message.as_str()).with("status", status_name(status));
    if !details.is_empty() {
        inner.put("details", details);
    }
    Object::new().with("error", inner).into()
}
