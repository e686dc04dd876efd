//! Writes a caller's chat stream.
//!
//! Each choice begins with its `role` and ends with its `finish_reason`; the usage chunk has empty `choices` and comes
//! only if it was asked for; `[DONE]` comes only after a proper end. Annotations are told all at once, in front of the finish,
//! as OpenAI does it: its SDKs can neither join lists (Python) nor do they try to (JavaScript). Thoughts go out as `reasoning_content` piece by
//! piece; if they are sealed, an entry of `reasoning_details` with all of them follows when they end.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde_json::{Value, json};

use crate::dialect::openai_chat::encode::reasoning_detail;
use crate::dialect::openai_chat::{DIALECT, wire};
use crate::dialect::{Asked, Object, StreamEncoder, sse};
use crate::ir::{ApiError, CallKind, Carry, Content, Delta, Event, Finish, Losses, Part, PartAt, Source, Start, Usage};

/// Writes one stream.
#[derive(Clone, Debug)]
pub struct Encoder {
    asked: Asked,
    /// What every chunk begins with, written once: id, date, model.
    head: String,
    wants_usage: bool,
    usage: Option<Usage>,
    choices: BTreeMap<u32, State>,
    started: bool,
    over: bool,
    losses: Losses,
    /// The error that the stream ended with.
    failure: Option<ApiError>,
}

/// What has been said of a choice.
#[derive(Clone, Debug, Default)]
struct State {
    begun: bool,
    finished: bool,
    /// How many calls have begun.
    calls: u64,
    /// How many entries of `reasoning_details` have been sent.
    details: usize,
    /// How many images have been sent.
    images: u64,
    /// Where the text comes from; not sent yet.
    annotations: Vec<Value>,
    /// Characters of text sent.
    written: u64,
    parts: BTreeMap<u32, Open>,
}

/// An open part.
#[derive(Clone, Debug)]
struct Open {
    /// The call's place among the calls.
    call: u64,
    /// Whether any arguments have been sent.
    has_arguments: bool,
    /// Where the text began, in characters.
    offset: u64,
    /// The part with what is needed of it later: its kind, its seal, and all thoughts.
    part: Part,
}

impl StreamEncoder for Encoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::Start(start) => self.start(start, out),
            Event::PartStart(at, part) => self.part_start(*at, part, out),
            Event::Delta(at, delta) => self.delta(*at, delta, out),
            Event::PartStop(at, _) => self.part_stop(*at, out),
            Event::Finish(choice, finish, carry) => self.choice_finish(*choice, finish, carry, out),
            Event::Usage(usage) => self.usage(usage),
            Event::Ping => sse::write_comment(out, "keepalive"),
            Event::Opaque(opaque) => self.losses.ignored(opaque.type_name(), DIALECT),
            Event::End(_) => self.end(out),
            Event::Error(error) => self.fail(error, out),
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
            asked: asked.clone(),
            head: "{\"object\":\"chat.completion.chunk\"".to_owned(),
            wants_usage: asked.request.stream_usage == Some(true),
            usage: None,
            choices: BTreeMap::new(),
            started: false,
            over: false,
            losses: Losses::new(),
            failure: None,
        }
    }

    fn start(&mut self, start: &Start, out: &mut Vec<u8>) {
        self.started = true;
        self.usage.clone_from(&start.usage);
        let mut head = Object::new()
            .with("id", start.id.as_deref().unwrap_or(&self.asked.fallback_id))
            .with("object", "chat.completion.chunk")
            .with("created", start.created.unwrap_or(self.asked.now_s))
            .with("model", start.model.as_deref().unwrap_or(&self.asked.request.model))
            .with_some("service_tier", start.service_tier.clone());
        head.put_carried(&start.carry, DIALECT);
        // Without its closing brace: each chunk adds its own fields.
        self.head = Value::from(head).to_string();
        self.head.pop();
        self.begin(0, out);
    }

    /// What it took, and perhaps the tier that served, which the chunks from here on bear.
    fn usage(&mut self, usage: &Usage) {
        if let Some(tier) = &usage.service_tier
            && !self.head.contains("\"service_tier\":")
        {
            self.head.push_str(",\"service_tier\":");
            self.head.push_str(&Value::from(tier.as_str()).to_string());
        }
        self.usage = Some(usage.clone());
    }

    /// Begins a choice with its role, once.
    fn begin(&mut self, choice: u32, out: &mut Vec<u8>) {
        let state = self.choices.entry(choice).or_default();
        if !std::mem::replace(&mut state.begun, true) {
            self.chunk(choice, json!({"role": "assistant", "content": ""}), out);
        }
    }

    fn chunk(&self, choice: u32, delta: Value, out: &mut Vec<u8>) {
        let choice = format_args!("{{\"index\":{choice},\"delta\":{delta},\"logprobs\":null,\"finish_reason\":null}}");
        self.write(choice, "null", out);
    }

    /// Writes a chunk with one choice, or with none; `usage` is only told to those who asked.
    fn write(&self, choice: impl std::fmt::Display, usage: impl std::fmt::Display, out: &mut Vec<u8>) {
        let head = &self.head;
        // Writing into memory cannot fail, and JSON without line breaks is one line of data.
        let _ = if self.wants_usage {
            write!(out, "data: {head},\"choices\":[{choice}],\"usage\":{usage}}}\n\n")
        } else {
            write!(out, "data: {head},\"choices\":[{choice}]}}\n\n")
        };
    }

    fn part_start(&mut self, at: PartAt, part: &Part, out: &mut Vec<u8>) {
        self.begin(at.choice, out);
        let Some(state) = self.choices.get_mut(&at.choice) else { return };
        let mut open = Open { call: 0, has_arguments: false, offset: state.written, part: Part::text("") };
        if needs_memory(&part.content) {
            open.part = part.clone();
        } else {
            open.part.seal.clone_from(&part.seal);
        }
        let mut chunks = Vec::new();
        match &part.content {
            Content::ToolCall(call) => {
                open.call = state.calls;
                open.has_arguments = !call.arguments.is_empty();
                state.calls += 1;
                // Callers that send thoughts back send them before the call.
                if let Some(detail) = reasoning_detail(part, state.details) {
                    state.details += 1;
                    chunks.push(json!({"reasoning_details": [detail]}));
                    open.part.seal = None;
                }
                let kind = wire::kind_to(call.kind);
                let key = argument_key(call.kind);
                chunks.push(json!({"tool_calls": [{
                    "index": open.call,
                    "id": call.id,
                    "type": kind,
                    kind: {"name": call.name, key: call.arguments},
                }]}));
            }
            Content::Text(text) if !text.text.is_empty() => {
                state.written += count(&text.text);
                chunks.push(json!({"content": text.text}));
            }
            Content::Refusal(text) if !text.is_empty() => chunks.push(json!({"refusal": text})),
            Content::Reasoning(reasoning) if !reasoning.texts.is_empty() => {
                chunks.push(json!({"reasoning_content": reasoning.joined()}));
            }
            Content::Media(media) => {
                let url = match &media.source {
                    Source::Base64 { mime, data } => Some(format!("data:{mime};base64,{data}")),
                    Source::Url { url, .. } => Some(url.clone()),
                    Source::FileId { .. } | Source::Text { .. } => None,
                };
                if url.is_none() {
                    self.losses.ignored("content", DIALECT);
                }
                if let Some(url) = url {
                    let image = json!({"type": "image_url", "image_url": {"url": url}, "index": state.images});
                    state.images += 1;
                    chunks.push(json!({"images": [image]}));
                }
            }
            Content::ToolResult(_) => self.losses.ignored("content", DIALECT),
            Content::Opaque(opaque) => self.losses.ignored(opaque.type_name(), DIALECT),
            Content::Text(_) | Content::Refusal(_) | Content::Reasoning(_) => {}
        }
        state.parts.insert(at.part, open);
        for delta in chunks {
            self.chunk(at.choice, delta, out);
        }
    }

    fn delta(&mut self, at: PartAt, delta: &Delta, out: &mut Vec<u8>) {
        let Some(state) = self.choices.get_mut(&at.choice) else { return };
        let Some(open) = state.parts.get_mut(&at.part) else { return };
        let piece = match delta {
            Delta::Text(text) => {
                state.written += count(text);
                json!({"content": text})
            }
            Delta::Refusal(text) => json!({"refusal": text}),
            Delta::Arguments(text) => {
                open.has_arguments |= !text.is_empty();
                let kind = match &open.part.content {
                    Content::ToolCall(call) => call.kind,
                    Content::Text(_)
                    | Content::Refusal(_)
                    | Content::Media(_)
                    | Content::ToolResult(_)
                    | Content::Reasoning(_)
                    | Content::Opaque(_) => CallKind::Function,
                };
                json!({"tool_calls": [{"index": open.call, wire::kind_to(kind): {argument_key(kind): text}}]})
            }
            Delta::Reasoning { text, kind, delta } => {
                let Content::Reasoning(known) = &mut open.part.content else { return };
                let place = usize::try_from(*text).unwrap_or(usize::MAX);
                let is_next = place > 0 && place == known.texts.len();
                let piece = if is_next { format!("\n\n{delta}") } else { delta.clone() };
                match known.texts.get_mut(place) {
                    Some(known) => known.text.push_str(delta),
                    None => known.texts.push(crate::ir::ReasoningText { kind: *kind, text: delta.clone() }),
                }
                json!({"reasoning_content": piece})
            }
            Delta::Seal(seal) => {
                open.part.seal = Some(seal.as_ref().clone());
                return;
            }
            Delta::Citation(citation) => {
                let len = state.written.saturating_sub(open.offset);
                match wire::citation_to(citation, open.offset, len) {
                    Some(annotation) => state.annotations.push(annotation),
                    None => self.losses.ignored("annotations", DIALECT),
                }
                return;
            }
            Delta::Logprobs(logprobs) => {
                let logprobs = json!({"content": wire::logprobs_to(logprobs), "refusal": null});
                let choice = json!({"index": at.choice, "delta": {}, "logprobs": logprobs, "finish_reason": null});
                self.write(choice, "null", out);
                return;
            }
        };
        self.chunk(at.choice, piece, out);
    }

    fn part_stop(&mut self, at: PartAt, out: &mut Vec<u8>) {
        let Some(state) = self.choices.get_mut(&at.choice) else { return };
        let Some(open) = state.parts.remove(&at.part) else { return };
        let mut chunks = Vec::new();
        if let Some(detail) = reasoning_detail(&open.part, state.details) {
            state.details += 1;
            chunks.push(json!({"reasoning_details": [detail]}));
        }
        if let Content::ToolCall(call) = &open.part.content
            && call.kind == CallKind::Function
            && !open.has_arguments
        {
            // A call without arguments still has to parse as JSON.
            chunks.push(json!({"tool_calls": [{"index": open.call, "function": {"arguments": "{}"}}]}));
        }
        for delta in chunks {
            self.chunk(at.choice, delta, out);
        }
    }

    fn choice_finish(&mut self, choice: u32, finish: &Finish, carry: &Carry, out: &mut Vec<u8>) {
        self.begin(choice, out);
        let annotations = self.choices.get_mut(&choice).map(|state| std::mem::take(&mut state.annotations));
        if let Some(annotations) = annotations.filter(|annotations| !annotations.is_empty()) {
            self.chunk(choice, json!({"annotations": annotations}), out);
        }
        let (word, native) = wire::finish_to(finish);
        let body = Object::new()
            .with("index", choice)
            .with("delta", json!({}))
            .with("logprobs", Value::Null)
            .with("finish_reason", word)
            .with_some("native_finish_reason", native)
            .with_some("stop_reason", finish.stop_sequence.clone())
            .carrying(carry, DIALECT);
        self.write(Value::from(body), "null", out);
        if let Some(state) = self.choices.get_mut(&choice) {
            state.finished = true;
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if !self.started || self.choices.values().any(|state| !state.finished) {
            // Without a finish reason, the answer would look whole and not be.
            return self.fail(&ApiError::cut(), out);
        }
        self.over = true;
        if self.wants_usage
            && let Some(usage) = &self.usage
        {
            self.write("", wire::usage_to(usage), out);
        }
        sse::write(out, "[DONE]");
    }

    fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        self.failure = Some(error.clone());
        self.over = true;
        sse::write(out, &Value::Object(wire::stream_error(error)).to_string());
    }
}

/// Whether a later piece of the part depends on how it began.
fn needs_memory(content: &Content) -> bool {
    match content {
        Content::ToolCall(_) | Content::Reasoning(_) => true,
        Content::Text(_) | Content::Refusal(_) | Content::Media(_) | Content::ToolResult(_) | Content::Opaque(_) => {
            false
        }
    }
}

fn argument_key(kind: CallKind) -> &'static str {
    match kind {
        CallKind::Function => "arguments",
        CallKind::Custom => "input",
    }
}

fn count(text: &str) -> u64 {
    u64::try_from(text.chars().count()).unwrap_or(u64::MAX)
}
