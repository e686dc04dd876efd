//! No input makes work grow faster than its size: eight times as much takes about eight times as long.
//!
//! Measured is the time that the test's own thread works, the least of some measurements. A square would take 64 times as
//! long; up to 12 times is taken for noise.
//!
//! Every kind of input, for every pair, is tried in thousands. `PROVE_GROWTH=12500` makes that 100,000 of everything, and
//! `PROVE_GROWTH=125000` a million (`scripts/prove-growth`); the plainest of them are as many here.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod answers;
mod requests;

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};

use super::tap::{Tap, UsageChunkFilter, whole};
use super::{Strictness, Transcoder, count, decode, encode};
use crate::dialect::peek::peek;
use crate::dialect::{Adaptions, Asked, Delivery, Dialect, Operation, RequestHead, Target, sse};
use crate::ir::Request;

/// How many are few; there are eight times as many of many.
fn few() -> usize {
    std::env::var("PROVE_GROWTH").map_or(800, |few| few.parse().unwrap())
}

fn worked() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.try_into().unwrap(), now.tv_nsec.try_into().unwrap())
}

fn takes(work: impl Fn()) -> Duration {
    let begun = worked();
    work();
    worked() - begun
}

/// Holds work that is done for so many things to its size. Other work on the machine only ever adds to what is measured, so
/// that the least of some measurements counts.
fn assert_linear(what: &str, work: impl Fn(usize)) {
    assert_linear_to(8 * few(), what, work);
}

#[expect(clippy::print_stderr, reason = "a figure for scripts/prove-growth")]
fn assert_linear_to(many: usize, what: &str, work: impl Fn(usize)) {
    let few = many / 8;
    let (mut short, mut long) = (Duration::MAX, Duration::MAX);
    for _ in 0..5 {
        short = short.min(takes(|| work(few)));
        long = long.min(takes(|| work(many)));
        if long < short * 12 + Duration::from_millis(10) {
            if std::env::var_os("PROVE_GROWTH").is_some() {
                eprintln!("{what}: {few} take {short:?}, {many} take {long:?}");
            }
            return;
        }
    }
    panic!("{what}: {few} take {short:?} and {many} take {long:?}");
}

/// Four ways between two dialects, in which each is read once and written once.
const ROUND: [(Dialect, Dialect); 4] = [
    (Dialect::OpenAiChat, Dialect::Anthropic),
    (Dialect::Anthropic, Dialect::OpenAiResponses),
    (Dialect::OpenAiResponses, Dialect::Gemini),
    (Dialect::Gemini, Dialect::OpenAiChat),
];

/// A request's way from a caller to one provider.
fn request_to(caller: Dialect, provider: Dialect, body: &[u8]) {
    peek(caller, Operation::Generate, body).unwrap();
    let head = RequestHead { model: Some("m".to_owned()), ..RequestHead::default() };
    let request = decode(caller, body, &head).unwrap();
    count::estimate(&request);
    encode(&request, &Target::unlimited(provider, "m"), Strictness::Report).unwrap();
}

/// A stream's way from a provider to one caller, which hears all of it; how much that is.
fn stream_to(provider: Dialect, caller: Dialect, bytes: impl Iterator<Item = Vec<u8>>) -> usize {
    let mut stream = Transcoder::new(caller, provider, asked(), adaptions()).stream().unwrap();
    let (mut out, mut heard) = (Vec::new(), 0);
    for piece in bytes {
        out.clear();
        stream.push(&piece, &mut out);
        heard += out.len();
    }
    stream.finish(&mut out);
    assert!(stream.told().is_complete);
    heard
}

/// Whether work comes to its end. What is refused is refused early, and its time says nothing of what is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Taken,
    Refused,
    /// One or the other: what is held is that it ends.
    Either,
}

impl End {
    fn of<T, E: std::fmt::Debug>(self, what: &str, result: Result<T, E>) -> Option<T> {
        match (self, result) {
            (Self::Taken, Err(error)) => panic!("{what} is refused: {error:?}"),
            (Self::Refused, Ok(_)) => panic!("{what} is taken"),
            (Self::Taken | Self::Either, Ok(value)) => Some(value),
            (Self::Refused | Self::Either, Err(_)) => None,
        }
    }
}

/// Everything that is done with a request, for all providers, which all take it.
fn request(caller: Dialect, body: &Value) {
    bytes_of_a_request(caller, body.to_string().as_bytes(), End::Taken);
}

/// The same with one that the codecs of these providers refuse, and the others take.
fn request_refused_by(refusing: &[Dialect], caller: Dialect, body: &Value) {
    let request = read(caller, body.to_string().as_bytes(), End::Taken).unwrap();
    for provider in Dialect::ALL.into_iter().filter(|provider| *provider != caller) {
        write(&request, provider, if refusing.contains(&provider) { End::Refused } else { End::Taken });
    }
}

fn bytes_of_a_request(caller: Dialect, body: &[u8], end: End) {
    let Some(request) = read(caller, body, end) else { return };
    for provider in Dialect::ALL.into_iter().filter(|provider| *provider != caller) {
        write(&request, provider, end);
    }
}

fn read(caller: Dialect, body: &[u8], end: End) -> Option<Request> {
    end.of("a request that is peeked at", peek(caller, Operation::Generate, body));
    let head = RequestHead { model: Some("m".to_owned()), ..RequestHead::default() };
    let request = end.of("a request", decode(caller, body, &head))?;
    count::estimate(&request);
    Some(request)
}

fn write(request: &Request, provider: Dialect, end: End) {
    let upstream = encode(request, &Target::unlimited(provider, "m"), Strictness::Report);
    end.of(&format!("a request for {provider}"), upstream);
}

/// Everything that is done with a whole answer, for all callers.
fn answer(provider: Dialect, body: &Value) {
    bytes_of_an_answer(provider, body.to_string().as_bytes(), End::Taken);
}

fn bytes_of_an_answer(provider: Dialect, body: &[u8], end: End) {
    let _ = whole(provider, Operation::Generate, body);
    for caller in Dialect::ALL.into_iter().filter(|caller| *caller != provider) {
        let told = Transcoder::new(caller, provider, asked(), adaptions()).whole(body);
        end.of(&format!("an answer of {provider} for {caller}"), told);
    }
}

fn asked() -> Asked {
    Asked::by(&Request { stream_usage: Some(true), ..Request::default() }, Delivery::Events).known_as("1")
}

/// Stop sequences that nearly begin everywhere.
fn adaptions() -> Adaptions {
    Adaptions { stop: vec!["aaaaaaab".to_owned(), "never".to_owned()], ..Adaptions::default() }
}

/// Everything that is done with a stream, for all callers, in chunks of this size. It is read to its end.
fn stream(provider: Dialect, events: impl Iterator<Item = Value>, chunk: usize) {
    let mut bytes = Vec::new();
    events.for_each(|event| sse::write_json(&mut bytes, &event));
    bytes_of_a_stream(provider, &bytes, chunk, End::Taken);
}

fn bytes_of_a_stream(provider: Dialect, bytes: &[u8], chunk: usize, end: End) {
    let mut tap = Tap::new(provider, Delivery::Events);
    let mut filter = UsageChunkFilter::new();
    for piece in bytes.chunks(chunk) {
        tap.push(piece);
        tap.begun();
        tap.at_event_boundary();
        filter.push(bytes::Bytes::copy_from_slice(piece));
    }
    tap.position();
    for caller in Dialect::ALL.into_iter().filter(|caller| *caller != provider) {
        let mut stream = Transcoder::new(caller, provider, asked(), adaptions()).stream().unwrap();
        let mut out = Vec::new();
        for piece in bytes.chunks(chunk) {
            out.clear();
            stream.push(piece, &mut out);
        }
        let failed = stream.told().error.clone();
        end.of(&format!("a stream of {provider} for {caller}"), failed.map_or(Ok(()), Err));
        stream.finish(&mut out);
    }
}

fn list(count: usize, each: impl FnMut(usize) -> Value) -> Value {
    (0..count).map(each).collect()
}

fn map(count: usize, each: impl FnMut(usize) -> (String, Value)) -> Value {
    Value::Object((0..count).map(each).collect::<Map<_, _>>())
}

fn talk(messages: &Value) -> Value {
    json!({"model": "m", "messages": messages})
}

/// A request with so many tools.
fn with_tools(caller: Dialect, count: usize) -> Vec<u8> {
    let schema = r#"{"type":"object","properties":{"a":{"type":"string"}}}"#;
    let tools = |begin: &str, name: &str, end: &str| {
        let tools: Vec<String> = (0..count).map(|number| format!("{begin}\"{name}_{number}\"{end}")).collect();
        tools.join(",")
    };
    let body = match caller {
        Dialect::OpenAiChat => {
            let end = format!(r#","parameters":{schema}}}}}"#);
            let tools = tools(r#"{"type":"function","function":{"name":"#, "tool", &end);
            format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],"tools":[{tools}]}}"#)
        }
        Dialect::OpenAiResponses => {
            let tools = tools(r#"{"type":"function","name":"#, "tool", &format!(r#","parameters":{schema}}}"#));
            format!(r#"{{"model":"m","input":"x","tools":[{tools}]}}"#)
        }
        Dialect::Anthropic => {
            let tools = tools(r#"{"name":"#, "tool", &format!(r#","input_schema":{schema}}}"#));
            let rest = r#""messages":[{"role":"user","content":"x"}]"#;
            format!(r#"{{"model":"m","max_tokens":1,{rest},"tools":[{tools}]}}"#)
        }
        Dialect::Gemini => {
            let schema = r#"{"type":"OBJECT","properties":{"a":{"type":"STRING"}}}"#;
            let tools = tools(r#"{"name":"#, "tool", &format!(r#","parameters":{schema}}}"#));
            let rest = r#""contents":[{"role":"user","parts":[{"text":"x"}]}]"#;
            format!(r#"{{{rest},"tools":[{{"functionDeclarations":[{tools}]}}]}}"#)
        }
    };
    body.into_bytes()
}

#[test]
fn a_hundred_thousand_tools_take_as_long_as_their_bytes() {
    for (caller, provider) in ROUND {
        assert_linear_to(100_000, &format!("tools of {caller} for {provider}"), |count| {
            request_to(caller, provider, &with_tools(caller, count));
        });
    }
}

/// A stream's beginning, a tiny event of it, and its end.
fn tiny(provider: Dialect) -> [Vec<u8>; 3] {
    let path = format!("{}/tests/fixtures/tiny/{provider}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut parts = text.split("\n\n").map(|part| {
        let mut bytes = Vec::new();
        part.lines().for_each(|data| sse::write(&mut bytes, data));
        bytes
    });
    std::array::from_fn(|_| parts.next().unwrap())
}

#[test]
fn a_million_tiny_events_take_as_long_as_their_bytes() {
    // Reading and writing a million takes a build for tests its time.
    let pairs = if std::env::var_os("PROVE_GROWTH").is_some() { &ROUND[..] } else { &ROUND[1..2] };
    for &(caller, provider) in pairs {
        assert_linear_to(1_000_000, &format!("events of {provider} for {caller}"), |count| {
            let [begin, event, end] = tiny(provider);
            let pieces = std::iter::repeat_n(event.repeat(100), count / 100);
            let bytes = std::iter::once(begin).chain(pieces).chain([end]);
            assert!(stream_to(provider, caller, bytes) > count);
        });
    }
}

/// How many brackets there are is what a caller, or a provider, likes it to be; how deep anything is read is not.
#[test]
fn json_of_any_depth_takes_as_long_as_its_bytes() {
    let deep =
        |count: usize, open: &str, close: &str| format!("{}{}", open.repeat(count * 50), close.repeat(count * 50));
    for (what, open, close) in
        [("lists", "[", "]"), ("objects", "{\"a\":", "}"), ("lists that stay open", "[", ""), ("ends", "]", "}")]
    {
        assert_linear(&format!("{what} in a request"), |count| {
            let deep = deep(count, open, close);
            let text = Value::from(deep.as_str());
            for body in [
                format!(r#"{{"model":"m","messages":[{{"role":"user","content":{deep}}}]}}"#),
                format!(r#"{{"model":"m","input":[{{"role":"user","content":{deep}}}]}}"#),
                format!(r#"{{"contents":[{{"role":"user","parts":{deep}}}]}}"#),
                format!(r#"{{"later":{deep},"model":"m","messages":[],"input":[],"contents":[]}}"#),
                format!(
                    r#"{{"model":"m","messages":[],"input":"x","tools":[{{"type":"function","name":"f","parameters":{deep}}}]}}"#
                ),
                format!(
                    r#"{{"model":"m","input":[{{"type":"function_call","call_id":"c","name":"f","arguments":{text}}}]}}"#
                ),
                deep,
            ] {
                for caller in Dialect::ALL {
                    bytes_of_a_request(caller, body.as_bytes(), End::Either);
                }
            }
        });
        assert_linear(&format!("{what} in an answer"), |count| {
            let deep = deep(count, open, close);
            for body in
                [format!(r#"{{"id":"1","choices":{deep},"output":{deep},"content":{deep},"candidates":{deep}}}"#), deep]
            {
                for provider in Dialect::ALL {
                    bytes_of_an_answer(provider, body.as_bytes(), End::Either);
                    bytes_of_a_stream(provider, format!("data: {body}\n\n").as_bytes(), 4_096, End::Either);
                }
            }
        });
    }
}
