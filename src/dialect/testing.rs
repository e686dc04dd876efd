//! What the tests of all four codecs share: the corpus, and the laws as assertions.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

pub(crate) mod values;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Asked, Codec, Delivery, Dialect, RequestHead, StreamDecoder, StreamEncoder, Target, sse};
use crate::ir::{Event, Fold, Request, check_grammar};

/// One file of the corpus.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Its name, for messages.
    pub(crate) name: String,
    /// What is in it.
    pub(crate) text: String,
}

impl Sample {
    /// As JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// A recorded stream's events; fixtures of streams have one event's data a line as well.
    pub(crate) fn events(&self) -> Vec<&str> {
        self.text.lines().filter(|line| !line.trim().is_empty()).collect()
    }

    /// The same as server-sent events.
    pub(crate) fn sse(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for event in self.events() {
            sse::write(&mut bytes, event);
        }
        bytes
    }
}

/// Our own fixtures: `kind` is `requests`, `responses`, `streams` or `errors`.
pub(crate) fn fixtures(kind: &str, dialect: Dialect) -> Vec<Sample> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(kind).join(dialect.name());
    let samples = read(&folder, "");
    assert!(!samples.is_empty(), "no fixtures in {}", folder.display());
    samples
}

/// What real providers answered: whole (`.json`) or streamed (`.chunks.txt`). They stay outside of the project.
pub(crate) fn recorded(dialect: Dialect, suffix: &str) -> Vec<Sample> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/recorded");
    let folder = std::env::var_os("RECORDED_DIR").map_or(beside, PathBuf::from);
    assert!(folder.is_dir(), "recorded answers are not in {}: set RECORDED_DIR", folder.display());
    read(&folder.join(dialect.name()), suffix)
}

fn read(folder: &Path, suffix: &str) -> Vec<Sample> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut samples: Vec<Sample> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(suffix))
        .map(|path| Sample {
            name: path.file_name().unwrap().to_str().unwrap().to_owned(),
            text: fs::read_to_string(&path).unwrap(),
        })
        .collect();
    samples.sort_by(|one, other| one.name.cmp(&other.name));
    samples
}

/// Law 4 for requests: what comes in this dialect and goes out in it is the same.
pub(crate) fn assert_request_identity<C: Codec>(sample: &Sample, head: &RequestHead) {
    let request = decode_request::<C>(sample, head);
    let encoded = C::encode_request(&request, &Target::unlimited(C::DIALECT, &request.model));
    assert_eq!(written(&encoded.body), written(&sample.json()), "{}", sample.name);
    assert!(encoded.losses.is_empty(), "{}: {:?}", sample.name, encoded.losses);
}

/// Reads a request.
pub(crate) fn decode_request<C: Codec>(sample: &Sample, head: &RequestHead) -> Request {
    C::decode_request(sample.json(), head).unwrap_or_else(|fault| panic!("{}: {fault}", sample.name))
}

/// Law 4 for whole answers.
pub(crate) fn assert_response_identity<C: Codec>(sample: &Sample) {
    let response = C::decode_response(sample.json()).unwrap_or_else(|fault| panic!("{}: {fault}", sample.name));
    let encoded = C::encode_response(&response, &Asked::by(&Request::default(), Delivery::Whole));
    assert_eq!(written(&encoded.body), written(&sample.json()), "{}", sample.name);
    assert!(encoded.losses.is_empty(), "{}: {:?}", sample.name, encoded.losses);
}

/// Reads a stream that comes in chunks of this many bytes.
pub(crate) fn decode_stream<C: Codec>(bytes: &[u8], chunk: usize) -> Vec<Event> {
    let mut parser = sse::Parser::new();
    let mut decoder = C::decoder();
    let mut events = Vec::new();
    for chunk in bytes.chunks(chunk.max(1)) {
        parser.push(chunk, |data| decoder.push(data, &mut events)).unwrap();
    }
    parser.finish(|data| decoder.push(data, &mut events));
    decoder.finish(&mut events);
    events
}

/// Reads a stream in one piece, checks its grammar, and folds it.
pub(crate) fn fold_stream<C: Codec>(sample: &Sample) -> Fold {
    let events = decode_stream::<C>(&sample.sse(), usize::MAX);
    check_grammar(&events).unwrap_or_else(|wrong| panic!("{}: {wrong}", sample.name));
    events.into_iter().collect()
}

/// However the bytes are split, the events are the same.
pub(crate) fn assert_every_chunk_size<C: Codec>(sample: &Sample) {
    let bytes = sample.sse();
    let whole = decode_stream::<C>(&bytes, usize::MAX);
    for size in (1..64).chain([127, 1_000, 4_096]) {
        assert_eq!(decode_stream::<C>(&bytes, size), whole, "{} in chunks of {size}", sample.name);
    }
}

/// Wherever the provider's stream is cut, the events keep the grammar and end in an error unless all was there, and the
/// caller's stream is ended in `ends_well` or `ends_badly`.
pub(crate) fn assert_every_cut_ends_legally<C: Codec>(
    sample: &Sample,
    asked: &Asked,
    ends_well: impl Fn(&str) -> bool,
    ends_badly: impl Fn(&str) -> bool,
) {
    let bytes = sample.sse();
    let mut parser = sse::Parser::new();
    let mut decoder = C::decoder();
    let mut encoder = C::encoder(asked);
    let mut events = Vec::new();
    let mut written = Vec::new();
    for byte in bytes.chunks(1) {
        let before = events.len();
        parser.push(byte, |data| decoder.push(data, &mut events)).unwrap();
        events[before..].iter().for_each(|event| encoder.push(event, &mut written));
        // End it here, on copies.
        let (mut cut, mut cut_encoder) = (decoder.clone(), encoder.clone());
        let mut tail = Vec::new();
        parser.clone().finish(|data| cut.push(data, &mut tail));
        cut.finish(&mut tail);
        let mut tail_bytes = Vec::new();
        tail.iter().for_each(|event| cut_encoder.push(event, &mut tail_bytes));
        cut_encoder.finish(&mut tail_bytes);
        let last = events.iter().chain(&tail).last();
        let is_whole = matches!(last, Some(Event::End(_)));
        assert!(is_whole || matches!(last, Some(Event::Error(_))), "{}: {last:?}", sample.name);
        let start = written.len().saturating_sub(4_096);
        let text = String::from_utf8([&written[start..], &tail_bytes].concat());
        let text = text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        if is_whole {
            assert!(ends_well(&text), "{}: {text}", sample.name);
        } else {
            assert!(ends_badly(&text) && !ends_well(&text), "{}: {text}", sample.name);
        }
    }
    check_grammar(&{
        let mut all = events;
        decoder.finish(&mut all);
        all
    })
    .unwrap_or_else(|wrong| panic!("{}: {wrong}", sample.name));
}

/// Encodes a stream's events for a caller and reads them again with the same dialect's decoder.
pub(crate) fn through_own_stream<C: Codec>(events: &[Event], asked: &Asked) -> (Vec<Event>, String) {
    let mut encoder = C::encoder(asked);
    let mut bytes = Vec::new();
    events.iter().for_each(|event| encoder.push(event, &mut bytes));
    encoder.finish(&mut bytes);
    (decode_stream::<C>(&bytes, usize::MAX), String::from_utf8(bytes).unwrap())
}

/// Nodes whose keys have an order that somebody meant: schemas, arguments, results, and what nobody here knows.
const IN_ORDER: [&str; 16] = [
    "parameters",
    "parametersJsonSchema",
    "input_schema",
    "schema",
    "responseSchema",
    "responseJsonSchema",
    "input",
    "args",
    "arguments",
    "response",
    "metadata",
    "labels",
    "logit_bias",
    "field_of_tomorrow",
    "a_field_of_tomorrow",
    "anotherOne",
];

/// For differences that can be read. The keys of an envelope have no order; those of what is in it have the one in which
/// they were written: models are told of them in that order, and caches know what they were told by it.
pub(crate) fn written(value: &Value) -> String {
    serde_json::to_string_pretty(&sorted(value)).unwrap()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            let node = |key: &String| {
                let is_in_order = IN_ORDER.contains(&key.as_str()) && map[key].is_object();
                if is_in_order { map[key].clone() } else { sorted(&map[key]) }
            };
            keys.into_iter().map(|key| (key.clone(), node(key))).collect()
        }
        Value::Array(values) => values.iter().map(sorted).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}
