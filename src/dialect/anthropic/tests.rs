//! The laws of translation, held against our own fixtures and against what Anthropic really sent.

use proptest::prelude::{any, prop, proptest};
use serde_json::{Value, json};

use super::{Codec, DIALECT};
use crate::dialect::testing::{
    Sample, assert_every_chunk_size, assert_every_cut_ends_legally, assert_request_identity, assert_response_identity,
    decode_stream, fixtures, fold_stream, pretty, recorded, through_own_stream,
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

#[test]
fn a_foreign_conversation_becomes_turns_of_user_and_assistant() {
    let signed = Seal::new(Origin::Anthropic, SealKind::Signature, "EqQB");
    let hidden = Seal::new(Origin::Anthropic, SealKind::Redacted, "EmwK");
    let png = || Source::Base64 { mime: "image/png".to_owned(), data: "iVBO".to_owned() };
    let mut cached = Part::text("Look");
    cached.cache = Some(CacheHint { ttl: CacheTtl::OneHour, carry: Carry::NONE });
    let request = foreign(vec![
        Message::new(Role::System, vec![Part::text("Be brief.")]),
        Message::new(Role::Developer, vec![Part::text("In French.")]),
        Message::new(Role::User, vec![cached, media(MediaKind::Image, png()), Part::text(" \n")]),
        Message::new(
            Role::Assistant,
            vec![
                thought("Hm.", Some(signed)),
                Part::new(Content::Reasoning(Reasoning::default())).sealed(Some(hidden)),
                thought("Gone.", Some(Seal::new(Origin::OpenAi, SealKind::Encrypted, "gAAA"))),
                Part::text("Yes."),
            ],
        ),
        Message::new(Role::Assistant, vec![call("call_1", "look", ""), call("odd:id", "look", "{\"x\": 1}")]),
        Message::new(Role::Tool, vec![result("call_1", vec![Part::text("seen")], Outcome::Success)]),
        Message::new(
            Role::Tool,
            vec![result("odd:id", vec![Part::text("boom"), media(MediaKind::Image, png())], Outcome::Failure)],
        ),
        user("Well?"),
    ]);
    let encoded = Codec::encode_request(&request, &target());
    let odd = mark::portable_id("odd:id").into_owned();
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}});
    let expected = json!({
        "model": "claude-x",
        "max_tokens": 8192,
        "system": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "In French."}],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "Look", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
                image,
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"},
                {"type": "redacted_thinking", "data": "EmwK"},
                {"type": "text", "text": "Yes."},
                {"type": "tool_use", "id": "call_1", "name": "look", "input": {}},
                {"type": "tool_use", "id": odd, "name": "look", "input": {"x": 1}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": "seen"},
                {"type": "tool_result", "tool_use_id": odd, "is_error": true, "content": [
                    {"type": "text", "text": "boom"}, image,
                ]},
                {"type": "text", "text": "Well?"},
            ]},
        ],
    });
    assert_eq!(pretty(&encoded.body), pretty(&expected));
    assert_eq!(encoded.losses.header().as_deref(), Some("reasoning"));
    assert_eq!(encoded.losses.refusal(), None);
}

#[test]
fn system_messages_in_the_middle_go_where_anthropic_takes_them() {
    let system = |text: &str| Message::new(Role::System, vec![Part::text(text)]);
    let request = foreign(vec![
        user("One"),
        system("Be kind."),
        Message::new(Role::Assistant, vec![Part::text("Two")]),
        system("Be loud."),
        user("Three"),
    ]);
    let mut target = target();
    let reminded = Codec::encode_request(&request, &target);
    let tagged = |text: &str| json!({"type": "text", "text": format!("<system-reminder>\n{text}\n</system-reminder>")});
    let expected = json!([
        {"role": "user", "content": [{"type": "text", "text": "One"}, tagged("Be kind.")]},
        {"role": "assistant", "content": "Two"},
        {"role": "user", "content": [tagged("Be loud."), {"type": "text", "text": "Three"}]},
    ]);
    assert_eq!(pretty(&reminded.body["messages"]), pretty(&expected));
    assert_eq!(reminded.losses.iter().count(), 2);

    target.can.mid_conversation_system = true;
    let placed = Codec::encode_request(&request, &target);
    let expected = json!([
        {"role": "user", "content": "One"},
        {"role": "system", "content": "Be kind."},
        {"role": "assistant", "content": "Two"},
        {"role": "user", "content": "Three"},
        {"role": "system", "content": "Be loud."},
    ]);
    assert_eq!(pretty(&placed.body["messages"]), pretty(&expected));
    assert_eq!(placed.losses.iter().map(|loss| loss.field.as_str()).collect::<Vec<_>>(), ["messages[4]"]);
}

#[test]
fn conversations_that_anthropic_would_refuse_begin_and_end_with_the_user() {
    let assistant = |text: &str| Message::new(Role::Assistant, vec![Part::text(text)]);
    let mut target = target();
    let prefilled = Codec::encode_request(&foreign(vec![user("JSON, please"), assistant("{ \n")]), &target);
    assert_eq!(prefilled.body["messages"][1], json!({"role": "assistant", "content": "{"}));
    assert!(prefilled.losses.is_empty());

    target.can.prefill = false;
    let asked = Codec::encode_request(&foreign(vec![assistant("Hi"), assistant("there")]), &target);
    let roles: Vec<&str> =
        asked.body["messages"].as_array().unwrap().iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    assert_eq!(asked.losses.iter().count(), 2);

    let only_system = foreign(vec![Message::new(Role::System, vec![Part::text("Tell a joke.")])]);
    let body = Codec::encode_request(&only_system, &target).body;
    assert_eq!((body.get("system"), &body["messages"]), (None, &json!([{"role": "user", "content": "Tell a joke."}])));
}

#[test]
fn documents_take_the_forms_that_anthropic_has() {
    let of = |source: Source| {
        let request = foreign(vec![Message::new(Role::User, vec![media(MediaKind::Document, source)])]);
        let encoded = Codec::encode_request(&request, &target());
        assert!(encoded.losses.is_empty());
        encoded.body["messages"][0]["content"][0]["source"].clone()
    };
    let base64 = |mime: &str, data: &str| Source::Base64 { mime: mime.to_owned(), data: data.to_owned() };
    let text = json!({"type": "text", "media_type": "text/plain", "data": "a,b"});
    assert_eq!(of(base64("text/csv", "YSxi")), text);
    assert_eq!(of(Source::Text { text: "a,b".to_owned() }), text);
    let pdf = json!({"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="});
    assert_eq!(of(base64("", "JVBERi0=")), pdf);
    assert_eq!(of(base64("application/pdf", "JVBERi0=")), pdf);
    let url = "https://example.com/a.pdf";
    assert_eq!(of(Source::Url { url: url.to_owned(), mime: None }), json!({"type": "url", "url": url}));
    let theirs = Source::FileId { origin: Origin::OpenAi, id: "file-1".to_owned() };
    let request = foreign(vec![Message::new(Role::User, vec![media(MediaKind::Document, theirs)])]);
    let losses = Codec::encode_request(&request, &target()).losses;
    assert_eq!(losses.refusal().map(|loss| loss.field.as_str()), Some("messages[0].content[0]"));
}

#[test]
fn tools_of_all_kinds_are_offered_and_chosen() {
    let long = "n".repeat(200);
    let mut strict = FunctionTool {
        name: "strict".to_owned(),
        description: Some("Holds.".to_owned()),
        parameters: Some(json!({"type": "object", "properties": {"n": {"type": "integer", "minimum": 0}}})),
        strict: Some(true),
        cache: None,
        carry: Carry::NONE,
    };
    let sql = CustomTool { name: "sql".to_owned(), description: None, format: None, carry: Carry::NONE };
    let mut request = foreign(vec![user("Go")]);
    request.tools = vec![Tool::Function(strict.clone()), Tool::Custom(sql), function(&long, json!({"properties": {}}))];
    request.parallel_tool_calls = Some(false);
    let encoded = Codec::encode_request(&request, &target());
    let tools = encoded.body["tools"].as_array().unwrap();
    assert_eq!(tools[0]["strict"], true);
    assert_eq!(tools[0]["input_schema"]["properties"]["n"]["description"], "It must match {\"minimum\":0}");
    assert_eq!(tools[1]["input_schema"]["required"], json!(["input"]));
    assert_eq!(tools[2]["name"].as_str().unwrap().len(), 128);
    assert_eq!(encoded.body["tool_choice"], json!({"type": "auto", "disable_parallel_tool_use": true}));
    assert_eq!(encoded.adaptions.custom_tools, ["sql"]);
    assert_eq!(encoded.adaptions.tool_names.values().collect::<Vec<_>>(), [&long]);

    let named = |name: &str| ToolRef { kind: CallKind::Function, name: name.to_owned() };
    let mode = crate::ir::AllowedMode::Required;
    request.parallel_tool_calls = None;
    let cases = [
        (ToolMode::Auto, json!({"type": "auto"}), 3),
        (ToolMode::Required, json!({"type": "any"}), 3),
        (ToolMode::None, json!({"type": "none"}), 3),
        (ToolMode::Named(named("strict")), json!({"type": "tool", "name": "strict"}), 3),
        (ToolMode::Allowed { mode, tools: vec![named("strict")] }, json!({"type": "any"}), 1),
    ];
    for (mode, expected, count) in cases {
        request.tool_choice = Some(ToolChoice::new(mode));
        let body = Codec::encode_request(&request, &target()).body;
        assert_eq!((&body["tool_choice"], body["tools"].as_array().unwrap().len()), (&expected, count));
    }
    request.tools.clear();
    assert_eq!(Codec::encode_request(&request, &target()).body.get("tool_choice"), None);

    // A map of any keys cannot be strict.
    strict.parameters = Some(json!({"type": "object", "additionalProperties": {"type": "string"}}));
    request.tools = vec![Tool::Function(strict)];
    let encoded = Codec::encode_request(&request, &target());
    assert_eq!(encoded.body["tools"][0].get("strict"), None);
    assert!(encoded.losses.iter().any(|loss| loss.field == "tools[0].strict"));
}

#[test]
fn json_comes_by_output_config_or_by_a_tool_that_must_be_called() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]});
    let format = |schema: &Value| OutputFormat::JsonSchema {
        name: Some("answer".to_owned()),
        description: None,
        schema: Some(schema.clone()),
        strict: Some(true),
    };
    let ask = |format: OutputFormat, tools: Vec<Tool>, structured_output: StructuredOutput| {
        let mut request = foreign(vec![user("Go")]);
        request.output = Some(Output { format, carry: Carry::NONE });
        request.tools = tools;
        let mut target = target();
        target.can.structured_output = structured_output;
        Codec::encode_request(&request, &target)
    };
    let native = ask(format(&schema), Vec::new(), StructuredOutput::Native);
    assert_eq!(native.body["output_config"]["format"]["schema"]["additionalProperties"], false);
    assert_eq!((native.adaptions.json_tool, native.losses.is_empty()), (None, true));

    let forced = ask(format(&schema), Vec::new(), StructuredOutput::ForcedTool);
    assert_eq!(forced.adaptions.json_tool.as_deref(), Some("json_response"));
    assert_eq!(forced.body["tools"][0]["input_schema"], schema);
    assert_eq!(forced.body["tool_choice"], json!({"type": "tool", "name": "json_response"}));

    let any = ask(OutputFormat::JsonObject, vec![function("json_response", schema)], StructuredOutput::Native);
    assert_eq!(any.adaptions.json_tool.as_deref(), Some("json_response_"));
    assert_eq!(any.body["tool_choice"], json!({"type": "any"}));

    let list = ask(format(&json!({"type": "array"})), Vec::new(), StructuredOutput::ForcedTool);
    assert_eq!(list.losses.refusal().map(|loss| loss.field.as_str()), Some("response_format"));
}

#[test]
fn parameters_without_an_equivalent_are_reported_and_those_that_matter_refused() {
    let mut request = foreign(vec![user("Go")]);
    request.sampling = Sampling {
        temperature: serde_json::Number::from_f64(1.5),
        seed: Some(7.into()),
        presence_penalty: serde_json::Number::from_f64(0.5),
        ..Sampling::default()
    };
    request.stop = vec!["END".to_owned(), "\n\n".to_owned()];
    request.max_output = Some(500);
    request.user = Some("u1".to_owned());
    request.service_tier = Some("flex".to_owned());
    request.stream = Some(true);
    let encoded = Codec::encode_request(&request, &target());
    let expected = json!({"model": "claude-x", "max_tokens": 500, "messages": [{"role": "user", "content": "Go"}],
        "temperature": 1.0, "stop_sequences": ["END"], "stream": true, "metadata": {"user_id": "u1"}});
    assert_eq!(pretty(&encoded.body), pretty(&expected));
    assert_eq!(encoded.adaptions.stop, ["\n\n"]);
    let header = encoded.losses.header();
    assert_eq!(header.as_deref(), Some("temperature,stop,service_tier,presence_penalty,seed"));

    for (change, field) in [
        (Request { candidates: Some(2), ..request.clone() }, "n"),
        (Request { modalities: vec!["text".to_owned(), "audio".to_owned()], ..request.clone() }, "modalities"),
    ] {
        let losses = Codec::encode_request(&change, &target()).losses;
        assert_eq!(losses.refusal().map(|loss| loss.field.as_str()), Some(field));
    }
    let mut fixed = target();
    fixed.can = Capabilities { sampler: Sampler::Fixed, max_output: Some(100), ..fixed.can };
    let body = Codec::encode_request(&request, &fixed).body;
    assert_eq!((body.get("temperature"), &body["max_tokens"]), (None, &json!(100)));
}

#[test]
fn a_tool_loop_whose_thoughts_were_dropped_goes_on_without_thinking() {
    let mut request = foreign(vec![
        user("Go"),
        Message::new(Role::Assistant, vec![call("c1", "f", "{}")]),
        Message::new(Role::Tool, vec![result("c1", vec![Part::text("x")], Outcome::Success)]),
    ]);
    request.reasoning = Some(ReasoningAsk { effort: Some(Effort::Low), ..ReasoningAsk::default() });
    let encoded = Codec::encode_request(&request, &target());
    assert_eq!(encoded.body.get("thinking"), None);
    assert_eq!(encoded.losses.header().as_deref(), Some("reasoning"));

    let seal = Some(Seal::new(Origin::Anthropic, SealKind::Signature, "EqQB"));
    request.messages[1].parts.insert(0, thought("Hm.", seal));
    request.sampling.temperature = serde_json::Number::from_f64(0.5);
    let encoded = Codec::encode_request(&request, &target());
    assert_eq!(encoded.body["thinking"], json!({"type": "enabled", "budget_tokens": 1024}));
    assert_eq!(encoded.losses.header().as_deref(), Some("temperature"));

    request.messages[1].parts.remove(0);
    let mut adaptive = target();
    adaptive.can.reasoning = ReasoningStyle::Adaptive { levels: vec![Effort::Low], off: Off::Said };
    let body = Codec::encode_request(&request, &adaptive).body;
    assert_eq!((&body["thinking"], &body["output_config"]), (&json!({"type": "adaptive"}), &json!({"effort": "low"})));
}

/// An answer with all that others seal.
fn sealed_parts() -> Vec<Part> {
    let openai = Seal { item: Some("rs_1".to_owned()), ..Seal::new(Origin::OpenAi, SealKind::Encrypted, "gAAA") };
    vec![
        Part::new(Content::Reasoning(Reasoning {
            id: Some("rs_1".to_owned()),
            texts: vec![crate::ir::ReasoningText { kind: TextKind::Summary, text: "Hm.".to_owned() }],
        }))
        .sealed(Some(openai.clone())),
        Part::new(Content::Reasoning(Reasoning { id: Some("rs_1".to_owned()), texts: Vec::new() }))
            .sealed(Some(openai)),
        thought("Unsigned.", None),
        Part::text("Yes.").sealed(Some(Seal::new(Origin::Gemini, SealKind::Thought, "dGV4dA=="))),
        call("call_1", "f", "{}").sealed(Some(Seal::new(Origin::Gemini, SealKind::Thought, "Y2FsbA=="))),
    ]
}

fn events_of(parts: &[Part], finish: Finish) -> Vec<Event> {
    let mut events = vec![Event::Start(Box::default())];
    for (number, part) in (0_u32..).zip(parts) {
        let at = PartAt::first(number);
        let mut part = part.clone();
        let mut deltas = Vec::new();
        match &mut part.content {
            Content::Text(text) => deltas.push(Delta::Text(std::mem::take(&mut text.text))),
            Content::ToolCall(call) => deltas.push(Delta::Arguments(std::mem::take(&mut call.arguments))),
            Content::Reasoning(reasoning) => {
                for (text, known) in (0_u32..).zip(std::mem::take(&mut reasoning.texts)) {
                    deltas.push(Delta::Reasoning { text, kind: known.kind, delta: known.text });
                }
            }
            _ => {}
        }
        if !matches!(part.content, Content::ToolCall(_)) {
            deltas.extend(part.seal.take().map(|seal| Delta::Seal(Box::new(seal))));
        }
        events.push(Event::PartStart(at, Box::new(part)));
        events.extend(deltas.into_iter().map(|delta| Event::Delta(at, delta)));
        events.push(Event::PartStop(at, Carry::NONE));
    }
    events.push(Event::Finish(0, Box::new(finish), Carry::NONE));
    events.push(Event::End(Carry::NONE));
    events
}

/// What the SDKs accumulate from a stream.
fn accumulated(text: &str) -> Vec<Value> {
    let mut blocks: Vec<Value> = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let event: Value = serde_json::from_str(line).unwrap();
        match event["type"].as_str().unwrap() {
            "content_block_start" => blocks.push(event["content_block"].clone()),
            "content_block_delta" => {
                let block = blocks.last_mut().unwrap();
                for (key, piece) in event["delta"].as_object().unwrap() {
                    match key.as_str() {
                        "type" => {}
                        "partial_json" => block["input"] = serde_json::from_str(piece.as_str().unwrap()).unwrap(),
                        _ => block[key] = format!("{}{}", block[key].as_str().unwrap(), piece.as_str().unwrap()).into(),
                    }
                }
            }
            _ => {}
        }
    }
    blocks
}

#[test]
fn foreign_seals_travel_through_a_messages_caller_and_come_back() {
    let parts = sealed_parts();
    let finish = Finish::said(FinishReason::ToolUse, Dialect::OpenAiResponses, "tool_calls");
    let choice = Choice { parts: parts.clone(), finish: Some(finish.clone()), ..Choice::default() };
    let response = Response { choices: vec![choice], ..Response::default() };
    let whole = Codec::encode_response(&response, &asked()).body;
    let (_, text) = through_own_stream::<Codec>(&events_of(&parts, finish), &asked());
    assert_legal(&text);
    assert_eq!(Value::from(accumulated(&text)), whole["content"]);
    assert!(whole["content"].as_array().unwrap().iter().all(|block| match block["type"].as_str().unwrap() {
        "thinking" => mark::is_minted(block["signature"].as_str().unwrap()),
        "redacted_thinking" => mark::is_minted(block["data"].as_str().unwrap()),
        _ => true,
    }));

    let echoed = json!({"model": "x", "messages": [
        {"role": "user", "content": "Go"},
        {"role": "assistant", "content": whole["content"]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "done"}]},
    ], "max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 2000}});
    let request = Codec::decode_request(echoed, &head()).unwrap();
    let mut back = request.messages[1].parts.clone();
    back.iter_mut().for_each(|part| part.carry = Carry::NONE);
    assert_eq!(back, parts);
    assert!(back.iter().filter_map(|part| part.seal.as_ref()).all(|seal| seal.attach == Attach::Own));

    // Back to Anthropic: what others signed is left out, and the loop goes on without thinking.
    let unmarked = Codec::encode_request(&request, &target());
    let content = &unmarked.body["messages"][1]["content"];
    let kinds: Vec<&str> = content.as_array().unwrap().iter().map(|block| block["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["text", "tool_use"]);
    assert!(!unmarked.body.to_string().contains(mark::MARK));
    assert_eq!(unmarked.body["thinking"], json!({"type": "disabled"}));
    assert_eq!(unmarked.losses.header().as_deref(), Some("reasoning,thinking"));
}

#[test]
fn usage_counts_caches_apart_on_the_wire_and_within_the_input_here() {
    let whole = fixtures("responses", DIALECT).into_iter().find(|sample| sample.name == "everything.json").unwrap();
    let usage = Codec::decode_response(whole.json()).unwrap().usage.unwrap();
    let counts = (usage.input, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h, usage.output);
    assert_eq!(counts, (Some(90), Some(50), Some(10), Some(20), Some(40)));
    assert_eq!((usage.reasoning, usage.web_searches, usage.fresh_input()), (Some(25), Some(1), 10));

    let foreign = Usage { original: None, ..usage };
    let response = Response { usage: Some(foreign.clone()), ..Response::default() };
    let body = Codec::encode_response(&response, &asked()).body;
    let again = Codec::decode_response(body).unwrap().usage.unwrap();
    assert_eq!(Usage { original: None, ..again }, foreign);
}

#[test]
fn the_first_event_bears_the_best_count_of_the_input() {
    let start_of = |usage: Option<Usage>| {
        let mut encoder = Codec::encoder(&asked());
        let mut out = Vec::new();
        let start = Start { usage, ..Start::default() };
        crate::dialect::StreamEncoder::push(&mut encoder, &Event::Start(Box::new(start)), &mut out);
        let text = String::from_utf8(out).unwrap();
        let data: Value = serde_json::from_str(text.lines().nth(1).unwrap().strip_prefix("data: ").unwrap()).unwrap();
        data["message"].clone()
    };
    assert_eq!(start_of(None)["usage"]["input_tokens"], 123);
    assert_eq!((&start_of(None)["id"], &start_of(None)["model"]), (&json!("msg_fallback"), &json!("asked-model")));
    let known = Usage { input: Some(100), cache_read: Some(60), ..Usage::default() };
    let usage = start_of(Some(known))["usage"].clone();
    assert_eq!((&usage["input_tokens"], &usage["cache_read_input_tokens"]), (&json!(40), &json!(60)));
}

#[test]
fn every_finish_reason_has_a_word_and_what_was_withheld_is_never_a_clean_end() {
    let cases = [
        (FinishReason::Stop, "end_turn"),
        (FinishReason::StopSequence, "stop_sequence"),
        (FinishReason::MaxTokens, "max_tokens"),
        (FinishReason::ContextWindow, "model_context_window_exceeded"),
        (FinishReason::ToolUse, "tool_use"),
        (FinishReason::Pause, "pause_turn"),
        (FinishReason::Refusal, "refusal"),
        (FinishReason::ContentFilter, "refusal"),
        (FinishReason::MalformedToolCall, "refusal"),
        (FinishReason::Other("NEW".to_owned()), "refusal"),
    ];
    for (reason, word) in cases {
        let finish = Finish::said(reason.clone(), Dialect::Gemini, "NATIVE");
        let choice = Choice { finish: Some(finish), ..Choice::default() };
        let response = Response { choices: vec![choice], ..Response::default() };
        let body = Codec::encode_response(&response, &asked()).body;
        assert_eq!(body["stop_reason"], word);
        if word == "refusal" {
            assert_eq!(body["stop_details"]["explanation"], "NATIVE");
        } else {
            let read = Codec::decode_response(body).unwrap().choices.remove(0).finish.unwrap();
            assert_eq!(read.reason, reason);
        }
    }
}

#[test]
fn a_refusal_in_words_ends_as_a_refusal_and_calls_end_as_calls() {
    let stop = || Finish::said(FinishReason::Stop, Dialect::OpenAiChat, "stop");
    for (part, word) in [
        (Part::new(Content::Refusal("I can't.".to_owned())), "refusal"),
        (call("c", "f", "{}"), "tool_use"),
        (Part::text("Hi"), "end_turn"),
    ] {
        let choice = Choice { parts: vec![part.clone()], finish: Some(stop()), ..Choice::default() };
        let response = Response { choices: vec![choice], ..Response::default() };
        assert_eq!(Codec::encode_response(&response, &asked()).body["stop_reason"], word);
        let (events, text) = through_own_stream::<Codec>(&events_of(&[part], stop()), &asked());
        assert_legal(&text);
        let fold = events.into_iter().collect::<Fold>().finish();
        assert_eq!(fold.choices[0].finish.as_ref().unwrap().word_for(DIALECT), Some(word));
    }
}

#[test]
fn calls_that_come_interleaved_go_out_one_after_the_other() {
    let at = PartAt::first;
    let arguments = |part: u32, text: &str| Event::Delta(at(part), Delta::Arguments(text.to_owned()));
    let mut events = vec![Event::Start(Box::default())];
    events.extend([0, 1].map(|part| Event::PartStart(at(part), Box::new(call(&format!("c{part}"), "f", "")))));
    events.extend([arguments(1, "{\"b\":"), arguments(0, "{\"a\":1"), arguments(1, "2}"), arguments(0, "}")]);
    events.extend([0, 1].map(|part| Event::PartStop(at(part), Carry::NONE)));
    events.push(Event::Finish(0, Box::new(Finish::inferred(FinishReason::ToolUse)), Carry::NONE));
    events.push(Event::Usage(Box::new(Usage { input: Some(7), output: Some(3), ..Usage::default() })));
    events.push(Event::End(Carry::NONE));
    let (again, text) = through_own_stream::<Codec>(&events, &asked());
    assert_legal(&text);
    let response = again.into_iter().collect::<Fold>().finish();
    let calls: Vec<&str> = response.choices[0]
        .parts
        .iter()
        .map(|part| match &part.content {
            Content::ToolCall(call) => call.arguments.as_str(),
            _ => "",
        })
        .collect();
    assert_eq!(calls, ["{\"a\":1}", "{\"b\":2}"]);
    assert_eq!(response.usage.unwrap().output, Some(3));
}

#[test]
fn freeform_calls_are_one_json_document_and_citations_bear_the_mark() {
    let mut sql = call("c1", "sql", "SELECT \"x\"");
    if let Content::ToolCall(call) = &mut sql.content {
        call.kind = CallKind::Custom;
    }
    let cited = Content::Text(Text {
        text: "So.".to_owned(),
        citations: vec![Citation { url: Some("https://example.com".to_owned()), ..Citation::default() }],
        logprobs: Vec::new(),
    });
    let finish = Finish::inferred(FinishReason::ToolUse);
    let (_, text) = through_own_stream::<Codec>(&events_of(&[sql, Part::new(cited)], finish), &asked());
    assert_legal(&text);
    let blocks = accumulated(&text);
    assert_eq!(blocks[0]["input"], json!({"input": "SELECT \"x\""}));

    let citation = json!({"type": "web_search_result_location", "url": "https://example.com", "title": null,
        "cited_text": "", "encrypted_index": mark::MARK});
    let body = json!({"model": "x", "messages": [{"role": "assistant", "content": [
        {"type": "text", "text": "So.", "citations": [citation]}]}]});
    let request = Codec::decode_request(body, &head()).unwrap();
    let unmarked = Codec::encode_request(&request, &target()).body;
    assert_eq!(unmarked["messages"][0]["content"], json!([{"type": "text", "text": "So."}]));
}

#[test]
fn an_error_event_says_what_went_wrong_in_anthropics_words() {
    let events = [Event::Start(Box::default()), Event::Error(Box::new(ApiError::new(ErrorKind::Overloaded, "busy")))];
    let (again, text) = through_own_stream::<Codec>(&events, &asked());
    assert!(text.ends_with(
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n"
    ));
    let error = again.into_iter().collect::<Fold>().finish().error.unwrap();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Overloaded, "busy"));
}

#[test]
fn thinking_is_asked_for_in_neutral_words() {
    let ask = |thinking: Value, effort: Value| {
        let body = json!({"model": "x", "messages": [], "thinking": thinking, "output_config": effort});
        Codec::decode_request(body, &head()).unwrap().reasoning.unwrap()
    };
    let enabled = ask(json!({"type": "enabled", "budget_tokens": 5000}), json!({}));
    assert_eq!((enabled.budget, enabled.as_effort()), (Some(Budget::Tokens(5000)), Some(Effort::Medium)));
    let adaptive = ask(json!({"type": "adaptive"}), json!({"effort": "max"}));
    assert_eq!(adaptive.as_effort(), Some(Effort::Max));
    assert!(ask(json!({"type": "disabled"}), json!({"effort": "high"})).is_off());
}

#[test]
fn a_long_conversation_is_written_in_linear_time() {
    let messages = (0..20_001).map(|number| {
        let role = if number % 2 == 0 { Role::User } else { Role::Assistant };
        Message::new(role, vec![Part::text("x"), Part::text(" ")])
    });
    let encoded = Codec::encode_request(&foreign(messages.collect()), &target());
    assert_eq!(encoded.body["messages"].as_array().unwrap().len(), 20_001);
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
