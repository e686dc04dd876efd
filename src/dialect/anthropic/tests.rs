//! The laws of translation, held against our own fixtures and against what Anthropic really sent.

mod answers;
mod requests;

use proptest::prelude::{any, prop, proptest};
use serde_json::{Value, json};

use super::{Codec, DIALECT};
use crate::dialect::testing::{
    Sample, assert_every_chunk_size, assert_every_cut_ends_legally, assert_request_identity, assert_response_identity,
    decode_stream, fixtures, fold_stream, recorded, through_own_stream, written,
};
use crate::dialect::{
    Asked, Capabilities, Codec as _, Delivery, Dialect, Off, ReasoningStyle, RequestHead, Sampler, StructuredOutput,
    Target,
};
use crate::ir::{
    ApiError, Attach, Budget, CacheHint, CacheTtl, CallKind, Carry, Choice, Citation, Content, CustomTool, Delta,
    Effort, ErrorKind, Event, Finish, FinishReason, Fold, FunctionTool, Media, MediaKind, Message, Origin, Outcome,
    Output, OutputFormat, Part, PartAt, Reasoning, ReasoningAsk, Request, Response, Role, Sampling, Seal, SealKind,
    Source, Start, Text, TextKind, Tool, ToolCall, ToolChoice, ToolMode, ToolRef, ToolResult, Usage, check_grammar,
    mark,
};

/// Two recordings are not one answer each: three in a row, and one that was spliced into another.
fn recorded_streams() -> Vec<Sample> {
    let mut streams = recorded(DIALECT, ".chunks.txt");
    streams.retain(|sample| !sample.name.starts_with("spliced"));
    for sample in &mut streams {
        let end = sample.text.find(r#"{"type":"message_stop"}"#).unwrap();
        sample.text.truncate(end + r#"{"type":"message_stop"}"#.len());
    }
    assert!(streams.len() > 10);
    streams
}

fn asked() -> Asked {
    Asked::by(&Request { model: "asked-model".to_owned(), ..Request::default() }, Delivery::Events)
        .known_as("msg_fallback")
        .estimated(Some(123))
}

fn head() -> RequestHead {
    RequestHead::default()
}

fn target() -> Target {
    Target::unlimited(DIALECT, "claude-x")
}

fn call(id: &str, name: &str, arguments: &str) -> Part {
    Part::new(Content::ToolCall(ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        kind: CallKind::Function,
    }))
}

fn result(id: &str, parts: Vec<Part>, outcome: Outcome) -> Part {
    let kind = CallKind::Function;
    Part::new(Content::ToolResult(ToolResult { call_id: id.to_owned(), name: None, parts, outcome, kind }))
}

fn thought(text: &str, seal: Option<Seal>) -> Part {
    Part::new(Content::Reasoning(Reasoning::of(TextKind::Full, text))).sealed(seal)
}

fn media(kind: MediaKind, source: Source) -> Part {
    Part::new(Content::Media(Media { kind, source, detail: None, name: None }))
}

fn function(name: &str, parameters: Value) -> Tool {
    Tool::Function(FunctionTool {
        name: name.to_owned(),
        description: None,
        parameters: Some(parameters),
        strict: None,
        cache: None,
        carry: Carry::NONE,
    })
}

fn user(text: &str) -> Message {
    Message::new(Role::User, vec![Part::text(text)])
}

fn foreign(messages: Vec<Message>) -> Request {
    Request { spoken_in: Some(Dialect::OpenAiChat), model: "x".to_owned(), messages, ..Request::default() }
}

#[test]
fn requests_come_out_as_they_went_in() {
    for sample in fixtures("requests", DIALECT) {
        assert_request_identity::<Codec>(&sample, &head());
    }
}

#[test]
fn answers_come_out_as_they_went_in() {
    for sample in fixtures("responses", DIALECT) {
        assert_response_identity::<Codec>(&sample);
    }
    let whole = recorded(DIALECT, ".json");
    assert!(whole.len() > 10);
    for sample in whole {
        assert_response_identity::<Codec>(&sample);
    }
}

#[test]
fn a_stream_folds_to_what_the_same_answer_is_when_whole() {
    let whole = fixtures("responses", DIALECT);
    let streams = fixtures("streams", DIALECT);
    let mut pairs = 0;
    for stream in &streams {
        let name = stream.name.replace(".txt", ".json");
        let Some(whole) = whole.iter().find(|sample| sample.name == name) else { continue };
        let expected = Codec::decode_response(whole.json()).unwrap();
        let folded = fold_stream::<Codec>(stream).finish();
        // Of usage and loose fields nothing is lost either.
        assert_eq!(folded.carry.field(DIALECT, "container"), expected.carry.field(DIALECT, "container"));
        assert_eq!(folded.bare(), expected.bare(), "{name}");
        pairs += 1;
    }
    assert_eq!(pairs, 3);
}

#[test]
fn every_split_of_a_stream_gives_the_same_events() {
    for sample in fixtures("streams", DIALECT) {
        assert_every_chunk_size::<Codec>(&sample);
    }
    for mut sample in recorded_streams() {
        let lines: Vec<&str> = sample.events().into_iter().take(30).collect();
        sample.text = lines.join("\n");
        assert_every_chunk_size::<Codec>(&sample);
    }
}

#[test]
fn every_cut_of_a_stream_ends_in_an_error_and_never_as_if_it_were_whole() {
    let ends_well = |text: &str| text.ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    let ends_badly = |text: &str| {
        let last = text.trim_end().rsplit("event: ").next().unwrap_or_default();
        let error = last.strip_prefix("error\ndata: ").unwrap_or_default();
        let error = serde_json::from_str::<Value>(error).unwrap_or_default();
        error["type"] == "error" && error["error"]["message"].is_string() && error["error"]["type"].is_string()
    };
    // The longest recordings differ in length only, and each byte is cut with a copy of all that is open.
    let recorded = recorded_streams().into_iter().filter(|sample| sample.text.len() < 40_000);
    for sample in fixtures("streams", DIALECT).into_iter().chain(recorded) {
        assert_every_cut_ends_legally::<Codec>(&sample, &asked(), ends_well, ends_badly);
    }
}

#[test]
fn real_streams_are_read_to_their_end_with_their_usage() {
    for sample in recorded_streams() {
        let fold = fold_stream::<Codec>(&sample);
        assert!(fold.is_complete(), "{}", sample.name);
        let response = fold.finish();
        let last: Value = serde_json::from_str(sample.events().iter().rev().nth(1).unwrap()).unwrap();
        let usage = response.usage.unwrap();
        assert_eq!(usage.output, last["usage"]["output_tokens"].as_u64(), "{}", sample.name);
        assert_eq!(usage.input, last["usage"]["input_tokens"].as_u64(), "{}", sample.name);
        assert_eq!(
            response.choices[0].finish.as_ref().and_then(|finish| finish.word_for(DIALECT)),
            last["delta"]["stop_reason"].as_str()
        );
        assert!(!response.choices[0].parts.is_empty());
    }
}

#[test]
fn a_message_within_a_message_is_an_error() {
    let streams = recorded(DIALECT, ".chunks.txt");
    let spliced = streams.iter().find(|sample| sample.name.starts_with("spliced")).unwrap();
    let fold = fold_stream::<Codec>(spliced);
    assert!(!fold.is_complete());
    assert_eq!(fold.finish().error.unwrap().status, 502);
}

/// What the official SDKs do: they append blocks and deltas by index, and demand this order.
fn assert_legal(text: &str) {
    let mut open: Option<(u64, String)> = None;
    let mut next = 0;
    let mut names = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix("event: ") else { continue };
        let data: Value = serde_json::from_str(lines.next().unwrap().strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(data["type"], name);
        let index = data["index"].as_u64();
        match name {
            "content_block_start" => {
                assert_eq!((index, &open), (Some(next), &None), "{text}");
                open = Some((next, data["content_block"]["type"].as_str().unwrap().to_owned()));
                next += 1;
            }
            "content_block_delta" => {
                let (at, kind) = open.as_ref().unwrap();
                assert_eq!(index, Some(*at));
                let expected: &[&str] = match kind.as_str() {
                    "text" => &["text_delta", "citations_delta"],
                    "thinking" => &["thinking_delta", "signature_delta"],
                    _ => &["input_json_delta"],
                };
                assert!(expected.contains(&data["delta"]["type"].as_str().unwrap()), "{data}");
            }
            "content_block_stop" => assert_eq!(index, open.take().map(|(at, _)| at)),
            "message_delta" => assert!(open.is_none() && data["usage"]["output_tokens"].is_u64()),
            "message_start" => {
                let message = &data["message"];
                assert!(message["usage"]["input_tokens"].is_u64() && message["usage"]["output_tokens"].is_u64());
                assert!(message["id"].is_string() && message["model"].is_string() && message["content"] == json!([]));
            }
            _ => {}
        }
        if name != "ping" {
            names.push(name.to_owned());
        }
    }
    assert_eq!(names.first().map(String::as_str), Some("message_start"));
    assert_eq!(names.last().map(String::as_str), Some("message_stop"));
    assert_eq!(names[names.len() - 2], "message_delta");
}

#[test]
fn what_the_encoder_writes_the_decoder_reads() {
    for sample in fixtures("streams", DIALECT).iter().chain(&recorded_streams()) {
        let events = decode_stream::<Codec>(&sample.sse(), usize::MAX);
        let (again, text) = through_own_stream::<Codec>(&events, &asked());
        check_grammar(&again).unwrap();
        if !sample.name.starts_with("error") {
            assert_legal(&text);
        }
        let fold = |events: Vec<Event>| {
            let mut response = events.into_iter().collect::<Fold>().finish().bare();
            // A text without words is not written: it could not be sent back.
            response.choices.iter_mut().for_each(|choice| choice.parts.retain(|part| part.as_text() != Some("")));
            response
        };
        assert_eq!(fold(again), fold(events), "{}", sample.name);
    }
}

#[test]
fn a_broken_request_is_refused_by_field_and_index() {
    let with = |block: Value| json!({"model": "x", "messages": [{"role": "user", "content": [block]}]});
    let cases = [
        (json!({"messages": []}), "model"),
        (json!({"model": "x"}), "messages"),
        (json!({"model": "x", "messages": [{"role": "user", "content": "a"}, {"content": "b"}]}), "messages[1].role"),
        (json!({"model": "x", "messages": [{"role": "tool", "content": "b"}]}), "messages[0].role"),
        (json!({"model": "x", "messages": [{"role": "user"}]}), "messages[0].content"),
        (with(json!({"text": "x"})), "messages[0].content[0].type"),
        (with(json!({"type": "text"})), "messages[0].content[0].text"),
        (with(json!({"type": "image"})), "messages[0].content[0].source"),
        (with(json!({"type": "image", "source": {"type": "url"}})), "messages[0].content[0].source.url"),
        (with(json!({"type": "tool_result"})), "messages[0].content[0].tool_use_id"),
        (
            with(json!({"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": 1}]})),
            "messages[0].content[0].content[0].text",
        ),
        (json!({"model": "x", "messages": [], "tools": [{"input_schema": {}}]}), "tools[0].name"),
        (json!({"model": "x", "messages": [], "tool_choice": {"type": "tool"}}), "tool_choice.name"),
        (json!({"model": "x", "messages": [], "stop_sequences": ["a", 7]}), "stop_sequences[1]"),
        (
            json!({"model": "x", "messages": [], "thinking": {"type": "enabled", "budget_tokens": -1}}),
            "thinking.budget_tokens",
        ),
        (json!({"model": "x", "messages": [], "system": [{"type": "text"}]}), "system[0].text"),
        (json!({"model": "x", "messages": [], "max_tokens": "many"}), "max_tokens"),
    ];
    for (body, field) in cases {
        let fault = Codec::decode_request(body, &head()).unwrap_err();
        assert_eq!((fault.kind.status(), fault.param.as_deref()), (400, Some(field)), "{fault}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoders_panic(text in "\\PC{0,200}", lines in prop::collection::vec(any::<u8>(), 0..200)) {
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::String(text.clone()));
        drop(Codec::decode_request(value.clone(), &head()));
        drop(Codec::decode_response(value));
        check_grammar(&decode_stream::<Codec>(&lines, 7)).unwrap();
        check_grammar(&decode_stream::<Codec>(format!("data: {text}\n\n").as_bytes(), 7)).unwrap();
    }

    #[test]
    fn a_stream_with_a_broken_event_keeps_the_grammar(
        name in 0_usize..5, line in 0_usize..40, from in 0_usize..200, with in "\\PC{0,6}",
    ) {
        let samples = fixtures("streams", DIALECT);
        let sample = &samples[name % samples.len()];
        let mut lines: Vec<String> = sample.events().iter().map(|line| (*line).to_owned()).collect();
        let line = line % lines.len();
        let chars: Vec<char> = lines[line].chars().collect();
        let from = from % chars.len();
        lines[line] = chars[..from].iter().collect::<String>() + &with + &chars[from + 1..].iter().collect::<String>();
        let broken = Sample { name: String::new(), text: lines.join("\n") };
        let events = decode_stream::<Codec>(&broken.sse(), usize::MAX);
        check_grammar(&events).unwrap();
        let (again, text) = through_own_stream::<Codec>(&events, &asked());
        check_grammar(&again).unwrap();
        assert!(text.contains("event: message_stop") != text.contains("event: error"));
    }
}
