//! What becomes of an answer: its parts, why it ended, what it took.

mod endings;
mod probes;

use serde_json::{Value, json};

use super::{Fate, Probe, put_over, table};
use crate::dialect::{Adaptions, Asked, Delivery, Dialect};
use crate::ir::{Carry, Content, Delta, Event, Loss, Losses, Part, PartAt, Request, Severity, Start};
use crate::translate::Transcoder;
use crate::translate::codecs::{AnyEncoder, decode_response};

pub(super) use endings::{finish_reasons, usage};

pub(super) fn table_of(provider: Dialect) -> String {
    let rows = probes::probes(provider).into_iter().map(|probe| {
        let others = Dialect::ALL.into_iter().filter(|caller| *caller != provider);
        (probe.label.to_owned(), others.map(|caller| fate(provider, caller, &probe)).collect())
    });
    table(provider, "part of an answer", &rows.collect::<Vec<_>>())
}

/// An answer that says "hello", and one more thing.
fn plain(provider: Dialect) -> Value {
    match provider {
        Dialect::OpenAiChat => json!({"id": "c_1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}]}),
        Dialect::OpenAiResponses => json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "m",
            "status": "completed", "output": [message(json!([{"type": "output_text", "text": "hello", "annotations": []}]))]}),
        Dialect::Anthropic => json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
            "content": [{"type": "text", "text": "hello"}], "stop_reason": "end_turn", "stop_sequence": null}),
        Dialect::Gemini => json!({"responseId": "r_1", "modelVersion": "m",
            "candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP"}]}),
    }
}

fn message(content: Value) -> Value {
    json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content})
}

fn asked(delivery: Delivery) -> Asked {
    let request = Request { stream_usage: Some(true), ..Request::default() };
    Asked::by(&request, delivery).known_as("1")
}

fn told(provider: Dialect, caller: Dialect, body: &Value) -> (Value, Vec<Loss>) {
    let transcoder = Transcoder::new(caller, provider, asked(Delivery::Whole), Adaptions::default());
    let whole = transcoder.whole(body.to_string().as_bytes()).unwrap_or_else(|fault| panic!("{body}: {fault}"));
    (serde_json::from_slice(&whole.body).unwrap(), whole.losses.iter().cloned().collect())
}

/// What becomes of it whole. A stream has to say the same, or report it.
fn fate(provider: Dialect, caller: Dialect, probe: &Probe) -> Fate {
    let fate = whole_fate(provider, caller, probe);
    let mut body = plain(provider);
    put_over(&mut body, &probe.said);
    let wire = spoken(provider, &body);
    if wire == spoken(provider, &plain(provider)) {
        assert!(UNSAID_IN_STREAMS.contains(&(provider, probe.label)), "{} is not in {provider}'s stream", probe.label);
        return fate;
    }
    let Heard { heard, losses } = turned(caller, provider, &wire);
    let arrived = heard.to_lowercase().contains(&probe.needle.to_lowercase());
    let is_as_whole = match &fate {
        Fate::Carried => arrived || (caller, probe.label) == LATE && !losses.is_empty(),
        Fate::Approximated(None) => true,
        Fate::Approximated(Some(_)) | Fate::Reported => !losses.is_empty(),
        Fate::Needless => losses.is_empty(),
        Fate::Refused(_) => false,
    };
    assert!(is_as_whole, "{} from {provider} to {caller}: {fate:?}, but streamed {losses:?}\n{heard}", probe.label);
    fate
}

/// Comes too late in a stream, and is reported.
const LATE: (Dialect, &str) = (Dialect::Anthropic, "`thoughtSignature` of a text");

/// What a provider says in whole answers only.
const UNSAID_IN_STREAMS: &[(Dialect, &str)] = &[(Dialect::OpenAiChat, "`audio`")];

/// What a caller hears of a stream.
struct Heard {
    heard: String,
    losses: Losses,
}

/// The answer as its provider streams it, each text in one piece.
fn spoken(provider: Dialect, body: &Value) -> Vec<u8> {
    let answer = decode_response(provider, body.clone()).unwrap();
    let mut events = vec![Event::Start(Box::new(Start {
        id: answer.id,
        model: answer.model,
        created: answer.created,
        usage: None,
        service_tier: answer.service_tier,
        carry: answer.carry,
    }))];
    for choice in answer.choices {
        for (number, part) in (0_u32..).zip(choice.parts) {
            let at = PartAt { choice: choice.index, part: number };
            let (head, deltas) = taken_apart(part);
            events.push(Event::PartStart(at, Box::new(head)));
            events.extend(deltas.into_iter().map(|delta| Event::Delta(at, delta)));
            events.push(Event::PartStop(at, Carry::NONE));
        }
        events.extend(choice.finish.map(|finish| Event::Finish(choice.index, Box::new(finish), choice.carry)));
    }
    events.extend(answer.usage.map(|usage| Event::Usage(Box::new(usage))));
    events.push(Event::End(Carry::NONE));
    let (mut encoder, mut wire) = (AnyEncoder::new(provider, &asked(Delivery::Events)).unwrap(), Vec::new());
    events.iter().for_each(|event| encoder.push(event, &mut wire));
    encoder.finish(&mut wire);
    wire
}

/// A part as it begins, and the rest of it.
fn taken_apart(mut part: Part) -> (Part, Vec<Delta>) {
    let mut deltas = Vec::new();
    match &mut part.content {
        Content::Text(text) => {
            let text = std::mem::take(text);
            deltas.push(Delta::Text(text.text));
            deltas.extend((!text.logprobs.is_empty()).then_some(Delta::Logprobs(text.logprobs)));
            deltas.extend(text.citations.into_iter().map(|citation| Delta::Citation(Box::new(citation))));
            deltas.extend(part.seal.take().map(|seal| Delta::Seal(Box::new(seal))));
        }
        Content::Refusal(words) => deltas.push(Delta::Refusal(std::mem::take(words))),
        Content::ToolCall(call) => deltas.push(Delta::Arguments(std::mem::take(&mut call.arguments))),
        Content::Reasoning(reasoning) => {
            let texts = (0_u32..).zip(std::mem::take(&mut reasoning.texts));
            deltas.extend(texts.map(|(text, said)| Delta::Reasoning { text, kind: said.kind, delta: said.text }));
            deltas.extend(part.seal.take().map(|seal| Delta::Seal(Box::new(seal))));
        }
        Content::Media(_) | Content::ToolResult(_) | Content::Opaque(_) => {}
    }
    (part, deltas)
}

fn turned(caller: Dialect, provider: Dialect, wire: &[u8]) -> Heard {
    let transcoder = Transcoder::new(caller, provider, asked(Delivery::Events), Adaptions::default());
    let (mut stream, mut out) = (transcoder.stream().unwrap(), Vec::new());
    stream.push(wire, &mut out);
    stream.finish(&mut out);
    Heard { heard: String::from_utf8(out).unwrap(), losses: stream.losses() }
}

fn whole_fate(provider: Dialect, caller: Dialect, probe: &Probe) -> Fate {
    let mut body = plain(provider);
    put_over(&mut body, &probe.said);
    let (before, _) = told(provider, caller, &plain(provider));
    let (after, losses) = told(provider, caller, &body);
    let arrived = !probe.needle.is_empty() && after.to_string().to_lowercase().contains(&probe.needle.to_lowercase());
    if let (false, Some(_)) = (arrived, losses.iter().find(|loss| loss.severity != Severity::Approximated)) {
        return Fate::Reported;
    }
    if let Some(loss) = losses.first_approximated() {
        return Fate::Approximated(Some(loss.reason.clone()));
    }
    if arrived || (probe.needle.is_empty() && after != before) {
        return Fate::Carried;
    }
    if after != before {
        return Fate::Approximated(None);
    }
    if MEANINGLESS.contains(&probe.label) {
        return Fate::Needless;
    }
    panic!("{} is lost silently from {provider} to {caller}: {after}", probe.label);
}

/// What means nothing outside of its own dialect.
const MEANINGLESS: &[&str] =
    &["`system_fingerprint`", "`context_management`, `container`", "`createTime`, `avgLogprobs`"];

/// The first of some losses that is an approximation.
trait FirstApproximated {
    fn first_approximated(&self) -> Option<&Loss>;
}

impl FirstApproximated for Vec<Loss> {
    fn first_approximated(&self) -> Option<&Loss> {
        self.iter().find(|loss| loss.severity == Severity::Approximated)
    }
}
