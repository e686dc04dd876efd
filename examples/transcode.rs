//! Writes everything in a folder in every dialect, for the vendors' own SDKs to judge (`tests/sdk/python/judges`).
//!
//! `transcode answers ANSWERS OUT`: ANSWERS has a folder for each dialect with what its vendor answered: `NAME.json`, a
//! whole answer, and `NAME.chunks.txt`, a stream with one event's data a line. OUT gets a folder for each of them,
//! `DIALECT/FILE`, with
//!
//! | file | holds |
//! |---|---|
//! | `DIALECT.json` | the whole answer; a stream that was folded is written in its own dialect first, and read again |
//! | `DIALECT.stream` | the stream; a whole answer is streamed in its own dialect first, and read again |
//! | `DIALECT.losses` | what the whole answer could not say, one field a line |
//! | `told.json` | what the gateway read of it for its own purposes: the usage, and whether it was complete |
//!
//! `transcode requests REQUESTS OUT`: REQUESTS has a folder for each dialect with requests. OUT gets for each of them
//! `DIALECT.json`, `DIALECT.losses` and `DIALECT.refused`: the fields that are refused, one a line. What is refused is taken
//! out, and the rest is tried again, so that a later field is named by its place in what was left. Where nothing is left, there is
//! no `DIALECT.json`.
#![expect(clippy::print_stderr, reason = "a tool for tests")]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use llm_gateway::dialect::{
    Adaptions, Asked, Codec, Delivery, Dialect, RequestHead, StreamDecoder, StreamEncoder, Target, anthropic, gemini,
    openai_chat, openai_responses, sse,
};
use llm_gateway::ids::RequestId;
use llm_gateway::ir::{Carry, Content, Delta, Event, Fold, Part, PartAt, Request, Response, Start};
use llm_gateway::translate::{Strictness, Transcoder, decode, decode_error, encode, encode_error};
use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What a provider answered, in its own dialect: as it came, and as our own codec of that dialect writes it.
struct Answer {
    dialect: Dialect,
    whole: Whole,
    stream: Vec<u8>,
    /// Which of the two was recorded.
    recorded: Delivery,
    own_whole: Value,
    own_stream: Vec<u8>,
}

/// A whole answer.
enum Whole {
    /// With a status of success.
    Answer(Value),
    /// The body of an error.
    Error(Value),
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let each = match arguments.first().map(String::as_str) {
        Some("answers") => answer,
        Some("requests") => request,
        Some(_) | None => usage(),
    };
    let [_, from, out] = arguments.as_slice() else { usage() };
    if let Err(error) = all(Path::new(from), Path::new(out), each) {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn usage() -> ! {
    eprintln!("usage: transcode answers|requests FOLDER OUT");
    std::process::exit(2);
}

/// Does something with each file, whose name and text it gets, and the folder for what comes of it.
fn all(from: &Path, out: &Path, each: fn(Dialect, &str, &str, &Path) -> Outcome<()>) -> Outcome<()> {
    for dialect in Dialect::ALL {
        for entry in fs::read_dir(from.join(dialect.name()))? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).ok_or("a file's name is not text")?;
            let text = fs::read_to_string(&path)?;
            let out = out.join(dialect.name()).join(name);
            fs::create_dir_all(&out)?;
            each(dialect, name, &text, &out).map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    Ok(())
}

fn request(dialect: Dialect, _: &str, text: &str, out: &Path) -> Outcome<()> {
    let head = RequestHead { model: Some("model".to_owned()), delivery: Some(Delivery::Whole) };
    let head = if dialect == Dialect::Gemini { head } else { RequestHead::default() };
    for provider in Dialect::ALL.into_iter().filter(|provider| *provider != dialect) {
        let file = |kind: &str| out.join(format!("{}.{kind}", provider.name()));
        let mut body: Value = serde_json::from_str(text)?;
        let mut refused: Vec<String> = Vec::new();
        let upstream = loop {
            let request = match decode(dialect, body.to_string().as_bytes(), &head) {
                Ok(request) => request,
                // Nothing is left to ask.
                Err(_) if !refused.is_empty() => break None,
                Err(fault) => return Err(fault.message.into()),
            };
            match encode(&request, &Target::unlimited(provider, "model"), Strictness::Report) {
                Ok(upstream) => break Some(upstream),
                Err(fault) => {
                    let field = fault.param.ok_or("a refusal without a field")?;
                    remove(&mut body, &field).ok_or_else(|| format!("{field} is refused, and is not there"))?;
                    refused.push(field);
                }
            }
        };
        fs::write(file("refused"), refused.join("\n"))?;
        if let Some(upstream) = upstream {
            let losses: Vec<&str> = upstream.losses.iter().map(|loss| loss.field.as_str()).collect();
            fs::write(file("json"), upstream.body)?;
            fs::write(file("losses"), losses.join("\n"))?;
        }
    }
    Ok(())
}

/// Takes a field out of a body: `messages[2].content[3]`.
fn remove(body: &mut Value, field: &str) -> Option<Value> {
    let pointer: String = field.split(['.', '[']).map(|step| format!("/{}", step.trim_end_matches(']'))).collect();
    let (parent, last) = pointer.rsplit_once('/')?;
    match body.pointer_mut(parent)? {
        Value::Object(map) => map.shift_remove(last),
        Value::Array(list) => last.parse().ok().filter(|place| *place < list.len()).map(|place| list.remove(place)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn answer(dialect: Dialect, name: &str, text: &str, out: &Path) -> Outcome<()> {
    match dialect {
        Dialect::OpenAiChat => answered::<openai_chat::Codec>(name, text, out),
        Dialect::OpenAiResponses => answered::<openai_responses::Codec>(name, text, out),
        Dialect::Anthropic => answered::<anthropic::Codec>(name, text, out),
        Dialect::Gemini => answered::<gemini::Codec>(name, text, out),
    }
}

fn answered<C: Codec>(name: &str, text: &str, out: &Path) -> Outcome<()> {
    let answer =
        if name.ends_with(".chunks.txt") { streamed::<C>(text) } else { whole::<C>(serde_json::from_str(text)?)? };
    let dialect = answer.dialect.name();
    fs::write(out.join(format!("{dialect}.json")), answer.own_whole.to_string())?;
    fs::write(out.join(format!("{dialect}.stream")), &answer.own_stream)?;
    for caller in Dialect::ALL.into_iter().filter(|caller| *caller != answer.dialect) {
        answer.write_for(caller, out)?;
    }
    Ok(())
}

/// A recorded stream.
fn streamed<C: Codec>(text: &str) -> Answer {
    let mut stream = Vec::new();
    text.lines().filter(|line| !line.trim().is_empty()).for_each(|line| sse::write(&mut stream, line));
    if C::DIALECT == Dialect::OpenAiChat {
        sse::write(&mut stream, "[DONE]");
    }
    let mut events = Vec::new();
    let mut decoder = C::decoder();
    let mut parser = sse::Parser::new();
    let parsed = parser.push(&stream, |data| decoder.push(data, &mut events));
    decoder.finish(&mut events);
    let own_stream = encoded::<C>(&events);
    let response = events.into_iter().collect::<Fold>().finish();
    let own_whole = C::encode_response(&response, &asked(Delivery::Whole)).body;
    let whole = match (&response.error, parsed) {
        (None, Ok(())) => Whole::Answer(own_whole.clone()),
        (_, _) => Whole::Error(own_whole.clone()),
    };
    Answer { dialect: C::DIALECT, whole, stream, recorded: Delivery::Events, own_whole, own_stream }
}

/// A recorded whole answer, or an error.
fn whole<C: Codec>(body: Value) -> Outcome<Answer> {
    if body.get("error").is_some_and(|error| !error.is_null()) {
        let own_whole = body.clone();
        let whole = Whole::Error(body);
        return Ok(Answer {
            dialect: C::DIALECT,
            whole,
            stream: Vec::new(),
            recorded: Delivery::Whole,
            own_whole,
            own_stream: Vec::new(),
        });
    }
    let response = C::decode_response(body.clone()).map_err(|fault| fault.message)?;
    let own_whole = C::encode_response(&response, &asked(Delivery::Whole)).body;
    let own_stream = encoded::<C>(&events_of(response));
    let (whole, stream) = (Whole::Answer(body), own_stream.clone());
    Ok(Answer { dialect: C::DIALECT, whole, stream, recorded: Delivery::Whole, own_whole, own_stream })
}

impl Answer {
    fn write_for(&self, caller: Dialect, out: &Path) -> Outcome<()> {
        let file = |kind: &str| out.join(format!("{}.{kind}", caller.name()));
        let transcoder = |delivery| Transcoder::new(caller, self.dialect, asked(delivery), Adaptions::default());
        match &self.whole {
            Whole::Answer(body) => {
                let whole = transcoder(Delivery::Whole).whole(body.to_string().as_bytes());
                let whole = whole.map_err(|fault| fault.message)?;
                let losses: Vec<&str> = whole.losses.iter().map(|loss| loss.field.as_str()).collect();
                fs::write(file("json"), whole.body)?;
                fs::write(file("losses"), losses.join("\n"))?;
            }
            Whole::Error(body) if self.recorded == Delivery::Whole => {
                let error = decode_error(self.dialect, 429, body.to_string().as_bytes());
                let id = RequestId::generate();
                let (_, body) = encode_error(caller, &error, Some(Duration::from_secs(1)), &id);
                fs::write(file("json"), body)?;
                return Ok(());
            }
            Whole::Error(_) => {}
        }
        let mut stream = transcoder(Delivery::Events).stream().map_err(|fault| fault.message)?;
        let mut written = Vec::new();
        stream.push(&self.stream, &mut written);
        stream.finish(&mut written);
        fs::write(file("stream"), written)?;
        let told = stream.told();
        let error = told.error.as_ref().map(|error| error.message.as_str());
        fs::write(out.join("told.json"), json!({"complete": told.is_complete, "error": error}).to_string())?;
        Ok(())
    }
}

/// What the caller asked for: nothing but the usage at the end of a stream.
fn asked(delivery: Delivery) -> Asked {
    let request = Request { stream_usage: Some(true), ..Request::default() };
    Asked::by(&request, delivery).at(1_700_000_000).known_as("answer")
}

fn encoded<C: Codec>(events: &[Event]) -> Vec<u8> {
    let mut encoder = C::encoder(&asked(Delivery::Events));
    let mut bytes = Vec::new();
    events.iter().for_each(|event| encoder.push(event, &mut bytes));
    encoder.finish(&mut bytes);
    bytes
}

/// A whole answer, as the events of a stream that tells it in few pieces.
fn events_of(response: Response) -> Vec<Event> {
    let Response { id, model, created, choices, usage, service_tier, error: _, carry } = response;
    let mut events = vec![Event::Start(Box::new(Start { id, model, created, usage: None, service_tier, carry }))];
    for choice in choices {
        for (number, mut part) in (0_u32..).zip(choice.parts) {
            let at = PartAt { choice: choice.index, part: number };
            let deltas = taken_out(&mut part);
            let carry = part.carry.clone();
            events.push(Event::PartStart(at, Box::new(part)));
            events.extend(deltas.into_iter().map(|delta| Event::Delta(at, delta)));
            events.push(Event::PartStop(at, carry));
        }
        if let Some(finish) = choice.finish {
            events.push(Event::Finish(choice.index, Box::new(finish), choice.carry));
        }
    }
    events.extend(usage.map(|usage| Event::Usage(Box::new(usage))));
    events.push(Event::End(Carry::NONE));
    events
}

/// What of a part comes after its beginning.
fn taken_out(part: &mut Part) -> Vec<Delta> {
    let mut deltas = Vec::new();
    match &mut part.content {
        Content::Text(text) => {
            deltas.extend(halves(&std::mem::take(&mut text.text)).map(Delta::Text));
            let logprobs = std::mem::take(&mut text.logprobs);
            deltas.extend((!logprobs.is_empty()).then_some(Delta::Logprobs(logprobs)));
            let citations = std::mem::take(&mut text.citations);
            deltas.extend(citations.into_iter().map(|citation| Delta::Citation(Box::new(citation))));
        }
        Content::Refusal(text) => deltas.extend(halves(&std::mem::take(text)).map(Delta::Refusal)),
        Content::ToolCall(call) => deltas.extend(halves(&std::mem::take(&mut call.arguments)).map(Delta::Arguments)),
        Content::Reasoning(reasoning) => {
            for (text, whole) in (0_u32..).zip(std::mem::take(&mut reasoning.texts)) {
                let kind = whole.kind;
                deltas.extend(halves(&whole.text).map(|delta| Delta::Reasoning { text, kind, delta }));
            }
            deltas.extend(part.seal.take().map(|seal| Delta::Seal(Box::new(seal))));
        }
        Content::Media(_) | Content::ToolResult(_) | Content::Opaque(_) => {}
    }
    deltas
}

/// A text in two pieces.
fn halves(text: &str) -> impl Iterator<Item = String> {
    let middle = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(place, _)| place);
    let (first, second) = text.split_at(middle);
    [first.to_owned(), second.to_owned()].into_iter().filter(|piece| !piece.is_empty())
}
