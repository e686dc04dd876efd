//! What real providers sent, split and cut at every byte, and told to callers of every other dialect.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::collections::HashSet;
use std::mem;

use serde_json::Value;

use super::{AnyDecoder, TranscodedStream, Transcoder};
use crate::dialect::testing::{Sample, fixtures, recorded};
use crate::dialect::{Adaptions, Asked, Delivery, Dialect, sse};
use crate::ir::{Event, Request};

/// In a longer event, cuts in its middle are tried every so many bytes only: reading it up to each of its bytes would be work
/// that grows with the square of its size, and a beginning of a JSON object is never another one. In bytes.
const LONG_EVENT: usize = 2_048;
const STRIDE: usize = 101;

/// How a caller's stream has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Clean,
    Failed,
    None,
}

fn streams(dialect: Dialect) -> impl Iterator<Item = Sample> {
    let recorded = recorded(dialect, ".chunks.txt").into_iter().map(move |mut sample| {
        if dialect == Dialect::OpenAiChat {
            sample.text.push_str("\n[DONE]\n");
        }
        sample
    });
    fixtures("streams", dialect).into_iter().chain(recorded)
}

/// What is read of bytes that come in pieces of this size.
fn read(bytes: &[u8], size: usize, mut each: impl FnMut(&str)) {
    let mut parser = sse::Parser::new();
    for piece in bytes.chunks(size) {
        parser.push(piece, &mut each).unwrap();
    }
    parser.finish(&mut each);
}

fn decoded(provider: Dialect, bytes: &[u8], size: usize) -> Vec<Event> {
    let mut decoder = AnyDecoder::new(provider).unwrap();
    let mut events = Vec::new();
    read(bytes, size, |data| decoder.push(data, &mut events));
    decoder.finish(&mut events);
    events
}

/// A decoder hears of nothing but events' data, so that it is enough to compare these for most sizes.
#[test]
fn every_recorded_stream_is_read_the_same_in_pieces_of_every_size() {
    for provider in Dialect::ALL {
        for sample in streams(provider) {
            let bytes = sample.sse();
            let mut whole = Vec::new();
            read(&bytes, usize::MAX, |data| whole.push(data.to_owned()));
            assert_eq!(whole, sample.events(), "{}", sample.name);
            for size in (1..=64).chain([127, 1_000, 4_096]) {
                let mut heard = 0;
                read(&bytes, size, |data| {
                    assert_eq!(Some(data), whole.get(heard).map(String::as_str), "{} by {size}", sample.name);
                    heard += 1;
                });
                assert_eq!(heard, whole.len(), "{} by {size}", sample.name);
            }
            assert_eq!(decoded(provider, &bytes, 1), decoded(provider, &bytes, usize::MAX), "{}", sample.name);
        }
    }
}

/// Where an event of so many bytes is cut: from behind its first to behind its last.
fn cuts(length: usize) -> impl Iterator<Item = usize> {
    let edge = LONG_EVENT / 2;
    (1..=length)
        .filter(move |cut| length <= LONG_EVENT || *cut <= edge || length - cut <= edge || cut.is_multiple_of(STRIDE))
}

/// Whether this much of an event is one after which a stream may end.
fn may_be_over(provider: Dialect, event: &[u8]) -> bool {
    let words: &[&str] = match provider {
        Dialect::OpenAiChat => &["[DONE]"],
        Dialect::OpenAiResponses => &["response.completed", "response.incomplete"],
        Dialect::Anthropic => &["message_stop"],
        Dialect::Gemini => &["finishReason", "blockReason"],
    };
    words.iter().any(|word| memchr::memmem::find(event, word.as_bytes()).is_some())
}

fn ending(caller: Dialect, text: &str) -> Ending {
    // Google's errors stand once more behind their event, on a bare line: that is where Google's SDKs look.
    let (event, bare) = (text.strip_suffix("\n\n"), text.strip_suffix('\n').filter(|_| caller == Dialect::Gemini));
    let Some(last) = event.or(bare).and_then(|text| text.lines().last()) else { return Ending::None };
    let last = match (caller, last.strip_prefix("data: ")) {
        (_, Some(data)) => data,
        (Dialect::Gemini, None) => last,
        (Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Anthropic, None) => return Ending::None,
    };
    if last == "[DONE]" {
        return if caller == Dialect::OpenAiChat { Ending::Clean } else { Ending::None };
    }
    let Ok(last) = serde_json::from_str::<Value>(last) else { return Ending::None };
    let has_message = |place: &str| last.pointer(place).is_some_and(|message| message.is_string());
    let (clean, failed) = match caller {
        Dialect::OpenAiChat => (false, has_message("/error/message")),
        Dialect::OpenAiResponses => (
            last["type"] == "response.completed" || last["type"] == "response.incomplete",
            last["type"] == "response.failed" && has_message("/response/error/message"),
        ),
        Dialect::Anthropic => {
            (last["type"] == "message_stop", last["type"] == "error" && has_message("/error/message"))
        }
        Dialect::Gemini => (
            last.pointer("/candidates/0/finishReason").is_some() || last.get("promptFeedback").is_some(),
            has_message("/error/message"),
        ),
    };
    match (clean, failed) {
        (true, false) => Ending::Clean,
        (false, true) => Ending::Failed,
        _ => Ending::None,
    }
}

/// One caller's stream, as far as whole events have gone, and the end of what was written of it.
struct Told {
    caller: Dialect,
    stream: TranscodedStream,
    written: Vec<u8>,
}

impl Told {
    fn new(caller: Dialect, provider: Dialect) -> Self {
        let request = Request { stream_usage: Some(true), ..Request::default() };
        let asked = Asked::by(&request, Delivery::Events).known_as("answer");
        let stream = Transcoder::new(caller, provider, asked, Adaptions::default()).stream().unwrap();
        Self { caller, stream, written: Vec::new() }
    }

    /// The provider's stream ends behind this much of an event.
    fn assert_cut_here(&self, part: &[u8], is_whole: bool, name: &str) {
        let mut stream = self.stream.clone();
        let mut out = self.written.clone();
        stream.push(part, &mut out);
        stream.finish(&mut out);
        let expected = if is_whole { Ending::Clean } else { Ending::Failed };
        let text = String::from_utf8(out).unwrap();
        assert_eq!(ending(self.caller, &text), expected, "{name} for {}: {text}", self.caller);
        let told = stream.told();
        assert_eq!((told.is_complete, told.error.is_some()), (is_whole, !is_whole), "{name} for {}", self.caller);
    }

    fn push(&mut self, event: &[u8]) {
        let mut out = Vec::new();
        self.stream.push(event, &mut out);
        if !out.is_empty() {
            self.written = out;
        }
    }
}

/// Cuts a stream everywhere. What the decoder makes of a cut is looked at each time; what it makes of most cuts within an
/// event is one and the same, so that callers' streams are ended once for each of the ways in which an event can be cut.
fn cut_everywhere(provider: Dialect, sample: &Sample) {
    let name = &sample.name;
    let callers = Dialect::ALL.into_iter().filter(|caller| *caller != provider);
    let mut told: Vec<Told> = callers.map(|caller| Told::new(caller, provider)).collect();
    let mut parser = sse::Parser::new();
    let mut decoder = AnyDecoder::new(provider).unwrap();
    let mut may_end = false;
    let mut last: Option<Event> = None;
    for event in sample.events() {
        let mut bytes = Vec::new();
        sse::write(&mut bytes, event);
        let mut ways = HashSet::new();
        let mut done = 0;
        let mut events = Vec::new();
        for cut in cuts(bytes.len()) {
            let next = &bytes[mem::replace(&mut done, cut)..cut];
            parser.push(next, |data| decoder.push(data, &mut events)).unwrap();
            let (mut cut_parser, mut cut_decoder) = (parser.clone(), decoder.clone());
            let mut tail = events.clone();
            cut_parser.finish(|data| cut_decoder.push(data, &mut tail));
            cut_decoder.finish(&mut tail);
            let is_whole = match tail.last().or(last.as_ref()) {
                Some(Event::End(_)) => true,
                Some(Event::Error(_)) => false,
                other => panic!("{name}: cut in {event} at {cut}, it ends in {other:?}"),
            };
            assert!(!is_whole || may_end || may_be_over(provider, &bytes[..cut]), "{name}: whole in {event} at {cut}");
            // An error's words say at which byte.
            let way = tail
                .iter()
                .map(|event| if let Event::Error(_) = event { "error".to_owned() } else { format!("{event:?}") });
            if ways.insert(way.collect::<String>()) {
                told.iter().for_each(|told| told.assert_cut_here(&bytes[..cut], is_whole, name));
            }
        }
        if let Some(event) = events.pop() {
            last = Some(event);
        }
        told.iter_mut().for_each(|told| told.push(&bytes));
        may_end |= may_be_over(provider, &bytes);
    }
}

#[test]
fn every_recorded_stream_that_is_cut_behind_any_byte_ends_in_an_error_for_every_caller() {
    for provider in Dialect::ALL {
        streams(provider).for_each(|sample| cut_everywhere(provider, &sample));
    }
}
