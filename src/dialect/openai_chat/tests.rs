//! The laws of translation, held against our own fixtures and against what real providers sent.

use serde_json::{Value, json};

use super::{Codec, DIALECT};
use crate::dialect::testing::{
    Sample, assert_every_chunk_size, assert_every_cut_ends_legally, assert_request_identity, assert_response_identity,
    decode_request, decode_stream, fixtures, fold_stream, recorded, through_own_stream, written,
};
use crate::dialect::{Asked, Capabilities, Codec as _, Delivery, Dialect, RequestHead, Sampler, Target};
use crate::ir::{
    Attach, CallKind, Carry, Content, Delta, Event, Finish, FinishReason, Message, Origin, Outcome, Part, PartAt,
    Reasoning, Request, Role, Sampling, Seal, SealKind, Source, TextKind, ToolCall, ToolResult, Usage,
};

/// The recordings leave `[DONE]` out.
fn recorded_streams() -> Vec<Sample> {
    let mut streams = recorded(DIALECT, ".chunks.txt");
    streams.iter_mut().for_each(|sample| sample.text.push_str("\n[DONE]\n"));
    streams
}

fn asked() -> Asked {
    let request = Request { stream_usage: Some(true), ..Request::default() };
    Asked::by(&request, Delivery::Events).at(1_760_000_000).known_as("chatcmpl-test")
}

fn head() -> RequestHead {
    RequestHead::default()
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
    Part::new(Content::ToolResult(ToolResult {
        call_id: id.to_owned(),
        name: None,
        parts,
        outcome,
        kind: CallKind::Function,
    }))
}

#[test]
fn requests_come_out_as_they_went_in() {
    for sample in fixtures("requests", DIALECT) {
        assert_request_identity::<Codec>(&sample, &head());
    }
}

#[test]
fn a_files_address_comes_out_as_it_went_in_and_others_may_fetch_it() {
    let file = json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "https://example.com/a.pdf"}});
    let body = json!({"model": "x", "messages": [{"role": "user", "content": [file]}]});
    let request = Codec::decode_request(body.clone(), &head()).unwrap();
    let home = Codec::encode_request(&request, &Target::unlimited(DIALECT, "x"));
    assert_eq!((written(&home.body), home.losses.header()), (written(&body), None));
    let Content::Media(media) = &request.messages[0].parts[0].content else { panic!("{request:?}") };
    assert_eq!(media.source, Source::Url { url: "https://example.com/a.pdf".to_owned(), mime: None });
    // Another's address is one that OpenAI would have to fetch.
    let mut foreign = Request { spoken_in: Some(Dialect::Anthropic), ..request };
    foreign.messages[0].parts[0].carry = Carry::NONE;
    let losses = Codec::encode_request(&foreign, &Target::unlimited(DIALECT, "x")).losses;
    assert_eq!(losses.refusal().map(|loss| loss.field.as_str()), Some("messages[0].content[0]"));
}

#[test]
fn answers_come_out_as_they_went_in() {
    for sample in fixtures("responses", DIALECT) {
        assert_response_identity::<Codec>(&sample);
    }
    let whole = recorded(DIALECT, ".json").into_iter().filter(|sample| !sample.name.contains("error"));
    for sample in whole {
        assert_response_identity::<Codec>(&sample);
    }
}

#[test]
fn a_stream_folds_to_what_the_same_answer_is_when_whole() {
    let whole = &fixtures("responses", DIALECT).into_iter().find(|sample| sample.name == "tools.json").unwrap();
    let expected = Codec::decode_response(whole.json()).unwrap().bare();
    for sample in fixtures("streams", DIALECT).iter().filter(|sample| sample.name.starts_with("tools")) {
        assert_eq!(fold_stream::<Codec>(sample).finish().bare(), expected, "{}", sample.name);
    }
}

#[test]
fn every_split_of_a_stream_gives_the_same_events() {
    for sample in fixtures("streams", DIALECT) {
        assert_every_chunk_size::<Codec>(&sample);
    }
    for mut sample in recorded_streams() {
        let lines: Vec<&str> = sample.events().into_iter().take(40).collect();
        sample.text = lines.join("\n");
        assert_every_chunk_size::<Codec>(&sample);
    }
}

#[test]
fn every_cut_of_a_stream_ends_in_an_error_and_never_with_done() {
    let ends_well = |text: &str| text.ends_with("data: [DONE]\n\n");
    let ends_badly = |text: &str| {
        let last = text.trim_end().rsplit("data: ").next().unwrap_or_default();
        let error = serde_json::from_str::<Value>(last).unwrap_or_default();
        error.pointer("/error/message").is_some_and(Value::is_string)
    };
    for sample in fixtures("streams", DIALECT).iter().chain(&recorded_streams()) {
        assert_every_cut_ends_legally::<Codec>(sample, &asked(), ends_well, ends_badly);
    }
}

#[test]
fn real_streams_are_read_to_their_end_with_their_usage() {
    for sample in recorded_streams() {
        let fold = fold_stream::<Codec>(&sample);
        assert!(fold.is_complete(), "{}", sample.name);
        let response = fold.finish();
        assert!(response.usage.unwrap().output.unwrap() > 0);
        assert_eq!(response.choices[0].finish, Some(Finish::said(FinishReason::Stop, DIALECT, "stop")));
        assert!(!response.choices[0].parts[0].as_text().unwrap().is_empty());
    }
}

#[test]
fn what_the_encoder_writes_the_decoder_reads() {
    for sample in fixtures("streams", DIALECT).iter().chain(&recorded_streams()) {
        let events = decode_stream::<Codec>(&sample.sse(), usize::MAX);
        let (again, _) = through_own_stream::<Codec>(&events, &asked());
        let fold = |events: Vec<Event>| events.into_iter().collect::<crate::ir::Fold>().finish().bare();
        let (mut one, mut other) = (fold(events), fold(again));
        // The words of an error are the contract's, not the server's.
        for response in [&mut one, &mut other] {
            if let Some(error) = &mut response.error {
                error.type_word = None;
            }
        }
        assert_eq!(one, other, "{}", sample.name);
    }
}

#[test]
fn interleaved_calls_keep_their_own_arguments() {
    let own = |id: &str, arguments: &str| (id.to_owned(), arguments.to_owned());
    let expected = [own("call_a", r#"{"city":"Oslo"}"#), own("call_b", r#"{"city":"Rome"}"#)];
    assert_eq!(called("tools_interleaved.txt"), expected);
}

/// The ids and arguments of the calls in a fixture of a stream.
fn called(name: &str) -> Vec<(String, String)> {
    let samples = fixtures("streams", DIALECT);
    let sample = samples.iter().find(|sample| sample.name == name).unwrap();
    let choices = fold_stream::<Codec>(sample).finish().choices;
    let calls = choices[0].parts.iter().filter_map(|part| match &part.content {
        Content::ToolCall(call) => Some((call.id.clone(), call.arguments.clone())),
        _ => None,
    });
    calls.collect()
}

#[test]
fn calls_that_a_server_numbers_alike_or_not_at_all_stay_apart() {
    for (name, ids) in
        [("calls_with_one_index.txt", ["call_k2", "call_k3"]), ("calls_without_index.txt", ["call_m2", "call_m3"])]
    {
        let cities = [r#"{"city":"Oslo"}"#, r#"{"city":"Bergen"}"#];
        let expected: Vec<_> = ids.iter().zip(cities).map(|(id, city)| ((*id).to_owned(), city.to_owned())).collect();
        assert_eq!(called(name), expected, "{name}");
    }
}

#[test]
fn a_call_goes_on_under_its_index_whatever_id_each_piece_makes_up() {
    let chunk = |call: Value| {
        let choice = json!({"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": null});
        json!({"id": "c", "model": "m", "choices": [choice]}).to_string()
    };
    let pieces = [
        json!({"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"a\""}}),
        json!({"index": 0, "id": "call_2", "type": "function", "function": {"name": "", "arguments": ":"}}),
        json!({"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "1}"}}),
    ];
    let text: Vec<_> = pieces.into_iter().map(|piece| format!("data: {}\n\n", chunk(piece))).collect();
    let events = decode_stream::<Codec>(text.concat().as_bytes(), usize::MAX);
    let fold: crate::ir::Fold = events.into_iter().collect();
    assert_eq!(fold.response().choices[0].parts, [call("call_1", "f", r#"{"a":1}"#)]);
}

#[test]
fn the_usage_chunk_comes_only_when_asked_for_and_has_no_choices() {
    let sample = fixtures("streams", DIALECT).into_iter().find(|sample| sample.name == "tools.txt").unwrap();
    let events = decode_stream::<Codec>(&sample.sse(), usize::MAX);
    let (_, with) = through_own_stream::<Codec>(&events, &asked());
    let (_, without) = through_own_stream::<Codec>(&events, &Asked::by(&Request::default(), Delivery::Events));
    assert!(!without.contains("\"usage\""));
    let last = with.lines().filter(|line| line.contains("prompt_tokens")).collect::<Vec<_>>();
    assert_eq!(last.len(), 1);
    let chunk: Value = serde_json::from_str(last[0].trim_start_matches("data: ")).unwrap();
    assert_eq!((&chunk["choices"], &chunk["usage"]["prompt_tokens"]), (&json!([]), &json!(50)));
}

#[test]
fn a_broken_request_is_refused_by_field_and_index() {
    let cases = [
        (json!({"messages": []}), "model"),
        (json!({"model": "x"}), "messages"),
        (json!({"model": "x", "messages": [{"role": "user", "content": "a"}, {"content": "b"}]}), "messages[1].role"),
        (
            json!({"model": "x", "messages": [{"role": "user", "content": [{"type": "text"}]}]}),
            "messages[0].content[0].text",
        ),
        (json!({"model": "x", "messages": [{"role": "tool", "content": "b"}]}), "messages[0].tool_call_id"),
        (
            json!({"model": "x", "messages": [], "tools": [{"type": "function", "function": {}}]}),
            "tools[0].function.name",
        ),
        (json!({"model": "x", "messages": [], "stop": 7}), "stop"),
        (json!({"model": "x", "messages": [], "stop": ["a", 7]}), "stop[1]"),
        (json!({"model": "x", "messages": [], "temperature": "hot"}), "temperature"),
    ];
    for (body, field) in cases {
        let fault = Codec::decode_request(body, &head()).unwrap_err();
        assert_eq!((fault.kind.status(), fault.param.as_deref()), (400, Some(field)), "{fault}");
    }
}

#[test]
fn a_foreign_conversation_becomes_chats_turns() {
    let image = Part::new(Content::Media(crate::ir::Media {
        kind: crate::ir::MediaKind::Image,
        source: Source::Base64 { mime: "image/png".to_owned(), data: "AAAA".to_owned() },
        detail: None,
        name: None,
    }));
    let thought = Part::new(Content::Reasoning(Reasoning::of(TextKind::Full, "Hm.")));
    let request = Request {
        spoken_in: Some(Dialect::Anthropic),
        model: "claude".to_owned(),
        instructions: Some(Message::new(Role::System, vec![Part::text("Be brief.")])),
        messages: vec![
            Message::new(Role::User, vec![Part::text("Look")]),
            Message::new(Role::Assistant, vec![thought, Part::text("Yes.")]),
            Message::new(Role::Assistant, vec![call("toolu_1", "look", ""), call("odd:id", "look", "{\"x\":1}")]),
            Message::new(
                Role::User,
                vec![
                    result("toolu_1", vec![image], Outcome::Success),
                    result("odd:id", vec![Part::text("boom")], Outcome::Failure),
                    Part::text("Well?"),
                ],
            ),
        ],
        ..Request::default()
    };
    let encoded = Codec::encode_request(&request, &Target::unlimited(DIALECT, "gpt-4.1"));
    let odd = crate::ir::mark::portable_id("odd:id").into_owned();
    let expected = json!({"model": "gpt-4.1", "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Look"},
        {"role": "assistant", "content": "Yes.", "tool_calls": [
            {"id": "toolu_1", "type": "function", "function": {"name": "look", "arguments": "{}"}},
            {"id": odd, "type": "function", "function": {"name": "look", "arguments": "{\"x\":1}"}},
        ]},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "See the attachment in the next message."},
        {"role": "tool", "tool_call_id": odd, "content": "Error: boom"},
        {"role": "user", "content": [
            {"type": "text", "text": "Attached to the result of tool call toolu_1:"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            {"type": "text", "text": "Well?"},
        ]},
    ]});
    assert_eq!(written(&encoded.body), written(&expected));
    assert_eq!(encoded.losses.header().as_deref(), Some("reasoning,messages"));
    assert_eq!(encoded.losses.refusal(), None);
}

#[test]
fn what_changes_the_meaning_is_refused_and_the_rest_is_reported() {
    let mut target = Target::unlimited(DIALECT, "gpt-4.1");
    target.can = Capabilities { images: false, sampler: Sampler::Fixed, ..target.can };
    let body = json!({"model": "x", "top_k": 5, "temperature": 0.5, "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}]});
    let mut request = Codec::decode_request(body, &head()).unwrap();
    request.spoken_in = Some(Dialect::Gemini);
    let losses = Codec::encode_request(&request, &target).losses;
    assert_eq!(losses.refusal().map(|loss| loss.field.as_str()), Some("messages[0].content[0]"));
    assert_eq!(losses.header().as_deref(), Some("messages,temperature,top_k"));
}

#[test]
fn sampling_and_stops_beyond_the_target_are_adapted_and_said() {
    let mut target = Target::unlimited(DIALECT, "gpt-4.1");
    target.can.max_output = Some(100);
    let request = Request {
        spoken_in: Some(Dialect::Gemini),
        sampling: Sampling { temperature: serde_json::Number::from_f64(3.5), ..Sampling::default() },
        stop: ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec(),
        max_output: Some(1_000),
        ..Request::default()
    };
    let encoded = Codec::encode_request(&request, &target);
    assert_eq!((&encoded.body["temperature"], &encoded.body["max_completion_tokens"]), (&json!(2.0), &json!(100)));
    assert_eq!((encoded.body.get("stop"), encoded.adaptions.stop.len()), (None, 5));
    assert_eq!(encoded.losses.header().as_deref(), Some("temperature,stop,max_tokens"));
}

#[test]
fn foreign_seals_travel_through_a_chat_caller_and_come_back() {
    let thought_seal = Seal::new(Origin::Anthropic, SealKind::Signature, "EqQB");
    let call_seal = Seal::new(Origin::Gemini, SealKind::Thought, "c2ln");
    let parts = vec![
        Part::new(Content::Reasoning(Reasoning::of(TextKind::Full, "Hm."))).sealed(Some(thought_seal.clone())),
        Part::new(Content::Reasoning(Reasoning::default())).sealed(Some(Seal::new(
            Origin::Anthropic,
            SealKind::Redacted,
            "xyz",
        ))),
        Part::text("Yes."),
        call("call_1", "f", "{}").sealed(Some(call_seal.clone())),
    ];
    let choice = crate::ir::Choice {
        index: 0,
        parts: parts.clone(),
        finish: Some(Finish::said(FinishReason::ToolUse, Dialect::Anthropic, "tool_use")),
        carry: crate::ir::Carry::NONE,
    };
    let response = crate::ir::Response { choices: vec![choice], ..crate::ir::Response::default() };
    let whole = Codec::encode_response(&response, &asked()).body["choices"][0]["message"].clone();

    let mut events = vec![Event::Start(Box::default())];
    for (number, part) in (0_u32..).zip(&parts) {
        let mut head = part.clone();
        if matches!(part.content, Content::Reasoning(_) | Content::Text(_)) {
            head.seal = None;
        }
        events.push(Event::PartStart(PartAt::first(number), Box::new(head)));
        if let Some(seal) = &part.seal {
            events.push(Event::Delta(PartAt::first(number), Delta::Seal(Box::new(seal.clone()))));
        }
        events.push(Event::PartStop(PartAt::first(number), crate::ir::Carry::NONE));
    }
    let finish = Finish::said(FinishReason::ToolUse, Dialect::Anthropic, "tool_use");
    events.push(Event::Finish(0, Box::new(finish), crate::ir::Carry::NONE));
    events.push(Event::End(crate::ir::Carry::NONE));
    let (_, text) = through_own_stream::<Codec>(&events, &asked());
    let details: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
        .filter_map(|chunk| chunk.pointer("/choices/0/delta/reasoning_details/0").cloned())
        .collect();

    for echoed in [
        whole.clone(),
        json!({"role": "assistant", "content": "Yes.", "reasoning_content": "Hm.",
        "reasoning_details": details, "tool_calls": whole["tool_calls"]}),
    ] {
        let body =
            json!({"model": "x", "messages": [echoed, {"role": "tool", "tool_call_id": "call_1", "content": ""}]});
        assert!(body.to_string().contains(crate::ir::mark::MARK));
        let request = Codec::decode_request(body, &head()).unwrap();
        let seals: Vec<_> = request.messages[0].parts.iter().filter_map(|part| part.seal.clone()).collect();
        let redacted = Seal::new(Origin::Anthropic, SealKind::Redacted, "xyz");
        assert_eq!(seals, [thought_seal.clone(), redacted, call_seal.clone()]);
        assert_eq!(seals[2].attach, Attach::Own);
    }
}

#[test]
fn usage_of_another_dialect_counts_everything_in_the_totals() {
    let usage = Usage {
        input: Some(100),
        cache_read: Some(70),
        cache_write_5m: Some(10),
        output: Some(20),
        reasoning: Some(15),
        ..Usage::default()
    };
    let response = crate::ir::Response { usage: Some(usage), ..crate::ir::Response::default() };
    let body = Codec::encode_response(&response, &asked()).body;
    let read = Codec::decode_response(body).unwrap().usage.unwrap();
    assert_eq!(
        (read.input, read.cache_read, read.cache_write_5m, read.output, read.reasoning),
        (Some(100), Some(70), Some(10), Some(20), Some(15))
    );
}

#[test]
fn finish_reasons_without_a_word_of_chat_keep_their_own_beside_it() {
    let cases = [
        (FinishReason::Pause, "pause_turn", "length"),
        (FinishReason::ContextWindow, "model_context_window_exceeded", "length"),
        (FinishReason::Refusal, "refusal", "content_filter"),
        (FinishReason::MalformedToolCall, "MALFORMED_FUNCTION_CALL", "content_filter"),
    ];
    for (reason, native, word) in cases {
        let choice = crate::ir::Choice {
            finish: Some(Finish::said(reason, Dialect::Anthropic, native)),
            ..crate::ir::Choice::default()
        };
        let response = crate::ir::Response { choices: vec![choice], ..crate::ir::Response::default() };
        let body = Codec::encode_response(&response, &asked()).body;
        assert_eq!(body["choices"][0]["finish_reason"], word);
        assert_eq!(body["choices"][0]["native_finish_reason"], native);
    }
}

#[test]
fn a_long_conversation_is_written_in_linear_time() {
    let sample = Sample {
        name: "long".to_owned(),
        text: json!({"model": "x", "messages": (0..20_001).map(|number| json!({
            "role": if number % 2 == 0 { "user" } else { "assistant" },
            "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}],
        })).collect::<Vec<_>>()})
        .to_string(),
    };
    let mut request = decode_request::<Codec>(&sample, &head());
    request.spoken_in = Some(Dialect::Anthropic);
    let encoded = Codec::encode_request(&request, &Target::unlimited(DIALECT, "x"));
    assert_eq!(encoded.body["messages"].as_array().unwrap().len(), 20_001);
    assert_eq!(encoded.losses.iter().count(), 1);
}
