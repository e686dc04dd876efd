//! What comes from other dialects, and what goes to their callers' models.

use serde_json::{Value, json};

use super::{asked, fold, grammar, head, request};
use crate::dialect::openai_responses::{Codec, DIALECT};
use crate::dialect::testing::through_own_stream;
use crate::dialect::{Asked, Codec as _, Delivery, Dialect, ReasoningStyle, Sampler, Target};
use crate::ir::{
    Budget, CallKind, Carry, Choice, Citation, Content, Delta, Effort, Event, Finish, FinishReason, FunctionTool,
    Media, MediaKind, Message, Outcome, Output, OutputFormat, Part, PartAt, ProviderTool, Reasoning, ReasoningAsk,
    Request, Response, Role, Sampling, Seal, SealKind, Source, Text, TextKind, ThinkingMode, Tool, ToolCall,
    ToolChoice, ToolMode, ToolRef, ToolResult, Usage, Visibility,
};

fn call(id: &str, name: &str, arguments: &str, kind: CallKind) -> Part {
    Part::new(Content::ToolCall(ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        kind,
    }))
}

fn result(id: &str, parts: Vec<Part>, outcome: Outcome, kind: CallKind) -> Part {
    Part::new(Content::ToolResult(ToolResult { call_id: id.to_owned(), name: None, parts, outcome, kind }))
}

fn picture() -> Part {
    Part::new(Content::Media(Media {
        kind: MediaKind::Image,
        source: Source::Base64 { mime: "image/png".to_owned(), data: "AAAA".to_owned() },
        detail: None,
        name: None,
    }))
}

fn thought(text: &str) -> Part {
    Part::new(Content::Reasoning(Reasoning::of(TextKind::Full, text)))
}

fn function(name: &str) -> Tool {
    Tool::Function(FunctionTool {
        name: name.to_owned(),
        description: None,
        parameters: None,
        strict: None,
        cache: None,
        carry: Carry::NONE,
    })
}

fn target() -> Target {
    Target::unlimited(DIALECT, "gpt-5.1")
}

fn from_anthropic() -> Request {
    Request { spoken_in: Some(Dialect::Anthropic), model: "claude".to_owned(), ..Request::default() }
}

#[test]
fn a_foreign_conversation_becomes_items() {
    let own_seal = Seal { item: Some("rs_9".to_owned()), ..Seal::new(DIALECT.origin(), SealKind::Encrypted, "gAAAA") };
    let request = Request {
        instructions: Some(Message::new(Role::System, vec![Part::text("Be brief."), Part::text("Be kind.")])),
        messages: vec![
            Message::new(Role::User, vec![Part::text("Look"), picture()]),
            Message::new(
                Role::Assistant,
                vec![
                    thought("Hm."),
                    thought("Mine.").sealed(Some(own_seal)),
                    Part::text("I call."),
                    call("functions.look:0", "look", "", CallKind::Function),
                    call("call_2", "sql", "SELECT 1", CallKind::Custom),
                ],
            ),
            Message::new(
                Role::User,
                vec![
                    Part::text("And?"),
                    result("functions.look:0", vec![Part::text("a"), picture()], Outcome::Failure, CallKind::Function),
                    result("call_2", vec![Part::text("1"), Part::text("2")], Outcome::Success, CallKind::Custom),
                ],
            ),
            Message::new(Role::System, vec![Part::text("Now shout.")]),
        ],
        ..from_anthropic()
    };
    let encoded = Codec::encode_request(&request, &target());
    let id = crate::ir::mark::portable_id("functions.look:0").into_owned();
    assert_eq!(encoded.body["instructions"], "Be brief.\n\nBe kind.");
    let image = json!({"type": "input_image", "image_url": "data:image/png;base64,AAAA"});
    let expected = json!([
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Look"}, image]},
        {"type": "reasoning", "id": "rs_9", "summary": [{"type": "summary_text", "text": "Mine."}], "encrypted_content": "gAAAA"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I call."}]},
        {"type": "function_call", "call_id": id, "name": "look", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "call_2", "name": "sql", "input": "SELECT 1"},
        {"type": "function_call_output", "call_id": id, "output": [
            {"type": "input_text", "text": "Error:"}, {"type": "input_text", "text": "a"}, image,
        ]},
        {"type": "custom_tool_call_output", "call_id": "call_2", "output": "1\n2"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "And?"}]},
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Now shout."}]},
    ]);
    assert_eq!(encoded.body["input"], expected);
    assert_eq!(encoded.losses.header().as_deref(), Some("reasoning"));
    // What was written is a request of this dialect.
    let again = Codec::decode_request(encoded.body.clone(), &head()).unwrap();
    assert_eq!(Codec::encode_request(&again, &target()).body, encoded.body);
}

#[test]
fn parameters_are_said_in_the_words_of_responses() {
    let mut target = target();
    target.can.sampler = Sampler::Fixed;
    target.can.reasoning = ReasoningStyle::Effort { levels: vec![Effort::Low, Effort::High] };
    let request = Request {
        stream: Some(true),
        max_output: Some(5),
        sampling: Sampling {
            temperature: serde_json::Number::from_f64(0.5),
            top_k: Some(4.into()),
            seed: Some(7.into()),
            ..Sampling::default()
        },
        stop: vec!["END".to_owned()],
        reasoning: Some(ReasoningAsk {
            mode: Some(ThinkingMode::On),
            budget: Some(Budget::Tokens(10_000)),
            ..ReasoningAsk::default()
        }),
        output: Some(Output {
            format: OutputFormat::JsonSchema {
                name: None,
                description: None,
                schema: Some(json!({"type": "object", "properties": {}})),
                strict: Some(true),
            },
            carry: Carry::NONE,
        }),
        tools: vec![function("f"), function("a.very:odd name")],
        tool_choice: Some(ToolChoice::new(ToolMode::Named(ToolRef { kind: CallKind::Function, name: "f".to_owned() }))),
        service_tier: Some("standard_only".to_owned()),
        user: Some("u".to_owned()),
        ..from_anthropic()
    };
    let encoded = Codec::encode_request(&request, &target);
    let odd = encoded.adaptions.tool_names.keys().next().unwrap();
    let schema = json!({"type": "object", "properties": {}});
    let closed = json!({"type": "object", "properties": {}, "required": [], "additionalProperties": false});
    let expected = json!({
        "model": "gpt-5.1",
        "input": [],
        "tools": [
            {"type": "function", "name": "f", "parameters": schema, "strict": false},
            {"type": "function", "name": odd, "parameters": schema, "strict": false},
        ],
        "tool_choice": {"type": "function", "name": "f"},
        "user": "u",
        "max_output_tokens": 16,
        "stream": true,
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"format": {"type": "json_schema", "name": "response", "schema": closed, "strict": true}},
        "include": ["reasoning.encrypted_content"],
        "store": false,
        "service_tier": "default",
    });
    assert_eq!(encoded.body, expected);
    assert_eq!(encoded.adaptions.stop, ["END"]);
    assert_eq!(encoded.losses.header().as_deref(), Some("temperature,top_k,max_tokens,stop,reasoning,seed"));
    assert!(encoded.losses.refusal().is_none());
}

#[test]
fn what_would_change_the_meaning_is_refused() {
    let search = Tool::Provider(ProviderTool {
        name: "web_search_20250305".to_owned(),
        field: "tools[1]".to_owned(),
        original: crate::ir::Opaque::new(Dialect::Anthropic, json!({"type": "web_search_20250305"})),
    });
    let cases = [
        (Request { candidates: Some(2), ..from_anthropic() }, "n"),
        (Request { modalities: vec!["text".to_owned(), "audio".to_owned()], ..from_anthropic() }, "modalities"),
        (Request { tools: vec![function("f"), search], ..from_anthropic() }, "tools[1]"),
        (
            Request {
                messages: vec![Message::new(Role::User, vec![Part::opaque(Dialect::Anthropic, json!({"type": "x"}))])],
                ..from_anthropic()
            },
            "messages[0].content[0]",
        ),
    ];
    for (request, field) in cases {
        let encoded = Codec::encode_request(&request, &target());
        assert_eq!(encoded.losses.refusal().map(|loss| loss.field.as_str()), Some(field));
    }
}

#[test]
fn a_model_that_does_not_think_is_not_told_to() {
    let mut target = target();
    target.can.reasoning = ReasoningStyle::None;
    let ask =
        ReasoningAsk { effort: Some(Effort::High), visibility: Some(Visibility::Auto), ..ReasoningAsk::default() };
    let encoded = Codec::encode_request(&Request { reasoning: Some(ask), ..from_anthropic() }, &target);
    assert_eq!(encoded.body, json!({"model": "gpt-5.1", "input": [], "store": false}));
    assert_eq!(encoded.losses.header().as_deref(), Some("reasoning"));
}

#[test]
fn freeform_tools_are_functions_for_models_without_them() {
    let mut foreign = request("codex.json");
    foreign.spoken_in = Some(Dialect::OpenAiChat);
    let mut target = target();
    target.can.custom_tools = false;
    let encoded = Codec::encode_request(&foreign, &target);
    assert_eq!(encoded.adaptions.custom_tools, ["apply_patch"]);
    let patch = encoded.body["tools"].as_array().unwrap().iter().find(|tool| tool["name"] == "apply_patch").unwrap();
    assert_eq!(patch["type"], "function");
    let items = encoded.body["input"].as_array().unwrap();
    let patch = items.iter().find(|item| item["name"] == "apply_patch").unwrap();
    assert_eq!(patch["type"], "function_call");
    assert!(patch["arguments"].as_str().unwrap().starts_with("{\"input\":\"*** Begin Patch"));
    assert!(items.iter().all(|item| item["type"] != "custom_tool_call_output"));
}

/// An answer of a Claude or Gemini model, with all that this dialect's callers may meet.
fn answer() -> Vec<Part> {
    let cited = Part::new(Content::Text(Text {
        text: "Warm.".to_owned(),
        citations: vec![Citation { url: Some("https://example.com".to_owned()), ..Citation::default() }],
        logprobs: Vec::new(),
    }));
    vec![
        thought("Hm.").sealed(Some(Seal::new(Dialect::Anthropic.origin(), SealKind::Signature, "EqQB"))),
        Part::new(Content::Reasoning(Reasoning::default())).sealed(Some(Seal::new(
            Dialect::Anthropic.origin(),
            SealKind::Redacted,
            "xyz",
        ))),
        Part::text("Yes: \"ja\"\n"),
        cited,
        Part::new(Content::Refusal("No.".to_owned())),
        call("toolu_1", "mcp__docs__look_up", "{\"q\": 1}", CallKind::Function).sealed(Some(Seal::new(
            Dialect::Gemini.origin(),
            SealKind::Thought,
            "c2ln",
        ))),
        call("toolu_2", "exec_command", "", CallKind::Function),
        call("toolu_3", "apply_patch", "*** Begin Patch\n", CallKind::Custom),
        picture(),
        Part::text("Done.").sealed(Some(Seal::new(Dialect::Gemini.origin(), SealKind::Thought, "dGV4dA=="))),
    ]
}

fn usage() -> Usage {
    Usage {
        input: Some(100),
        cache_read: Some(70),
        cache_write_5m: Some(10),
        output: Some(20),
        reasoning: Some(15),
        ..Usage::default()
    }
}

fn whole(parts: Vec<Part>, reason: FinishReason, word: &str) -> Response {
    let finish = Some(Finish::said(reason, Dialect::Anthropic, word));
    Response {
        id: Some("msg_01".to_owned()),
        model: Some("claude-x".to_owned()),
        choices: vec![Choice { parts, finish, ..Choice::default() }],
        usage: Some(usage()),
        ..Response::default()
    }
}

fn stream(parts: Vec<Part>, reason: FinishReason, word: &str) -> Vec<Event> {
    let start = crate::ir::Start {
        id: Some("msg_01".to_owned()),
        model: Some("claude-x".to_owned()),
        ..crate::ir::Start::default()
    };
    let mut events = vec![Event::Start(Box::new(start))];
    for (number, part) in (0_u32..).zip(parts) {
        let at = PartAt::first(number);
        let mut head = part.clone();
        let mut deltas = Vec::new();
        match &mut head.content {
            Content::Text(text) => {
                deltas.extend(text.text.drain(..).map(|letter| Delta::Text(letter.to_string())));
                deltas.extend(text.citations.drain(..).map(|citation| Delta::Citation(Box::new(citation))));
            }
            Content::Refusal(text) => deltas.push(Delta::Refusal(std::mem::take(text))),
            Content::ToolCall(call) => {
                deltas.extend(call.arguments.drain(..).map(|letter| Delta::Arguments(letter.to_string())));
            }
            Content::Reasoning(reasoning) => {
                for (number, text) in (0_u32..).zip(reasoning.texts.drain(..)) {
                    deltas.push(Delta::Reasoning { text: number, kind: text.kind, delta: text.text });
                }
                deltas.extend(head.seal.take().map(|seal| Delta::Seal(Box::new(seal))));
            }
            _ => {}
        }
        if part.as_text().is_some() {
            deltas.extend(head.seal.take().map(|seal| Delta::Seal(Box::new(seal))));
        }
        events.push(Event::PartStart(at, Box::new(head)));
        events.extend(deltas.into_iter().map(|delta| Event::Delta(at, delta)));
        events.push(Event::PartStop(at, Carry::NONE));
    }
    events.push(Event::Usage(Box::new(usage())));
    events.push(Event::Finish(0, Box::new(Finish::said(reason, Dialect::Anthropic, word)), Carry::NONE));
    events.push(Event::End(Carry::NONE));
    events
}

fn codex_asks() -> Asked {
    Asked::by(&request("codex.json"), Delivery::Events).at(1_760_000_000).known_as("req-1")
}

fn last_event(text: &str) -> Value {
    let data = text.trim_end().rsplit("data: ").next().unwrap();
    serde_json::from_str(data).unwrap()
}

#[test]
fn a_foreign_answer_is_the_same_items_whole_and_streamed() {
    let asked = codex_asks();
    let body = Codec::encode_response(&whole(answer(), FinishReason::ToolUse, "tool_use"), &asked).body;
    let (read, text) = through_own_stream::<Codec>(&stream(answer(), FinishReason::ToolUse, "tool_use"), &asked);
    grammar::assert_legal(&text, "a foreign answer");
    let streamed = &last_event(&text)["response"];
    assert_eq!(streamed, &body);
    let kinds: Vec<&str> =
        body["output"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    let expected = [
        "reasoning",
        "reasoning",
        "message",
        "reasoning",
        "function_call",
        "function_call",
        "custom_tool_call",
        "image_generation_call",
        "message",
        "reasoning",
    ];
    assert_eq!(kinds, expected);
    let call = &body["output"][4];
    assert_eq!((&call["name"], &call["namespace"]), (&json!("look_up"), &json!("mcp__docs__")));
    assert_eq!(body["output"][5]["arguments"], "{}");
    assert_eq!(body["output"][2]["content"].as_array().unwrap().len(), 3);
    assert_eq!(
        (&body["status"], &body["id"], &body["created_at"]),
        (&json!("completed"), &json!("resp_msg_01"), &json!(1_760_000_000))
    );
    assert_eq!(body["tools"].as_array().unwrap().len(), 5);
    assert_eq!(body["reasoning"], json!({"effort": "medium", "summary": "auto"}));
    assert_eq!(body["usage"]["input_tokens_details"], json!({"cached_tokens": 70, "cache_write_tokens": 10}));
    assert_eq!(body["usage"]["total_tokens"], 120);
    // Read again, it says the same.
    let read = fold(read);
    let again = Codec::decode_response(body).unwrap();
    assert_eq!(read.clone().bare(), again.bare());
    let read_usage = read.usage.unwrap();
    assert_eq!((read_usage.input, read_usage.cache_read, read_usage.cache_write_5m), (Some(100), Some(70), Some(10)));
    assert_eq!((read_usage.output, read_usage.reasoning), (Some(20), Some(15)));
}

#[test]
fn every_item_of_a_foreign_answer_has_an_id_of_its_own_that_bears_the_mark() {
    let body = Codec::encode_response(&whole(answer(), FinishReason::ToolUse, "tool_use"), &codex_asks()).body;
    let mut ids: Vec<String> =
        body["output"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect();
    for id in &ids {
        assert!(id.contains(crate::ir::mark::MARK) && id.len() <= 64, "{id}");
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn foreign_finish_reasons_never_become_a_clean_end() {
    let cases = [
        (FinishReason::Stop, "end_turn", "completed", None, None),
        (FinishReason::StopSequence, "stop_sequence", "completed", None, None),
        (FinishReason::ToolUse, "tool_use", "completed", None, None),
        (FinishReason::Pause, "pause_turn", "incomplete", Some("max_output_tokens"), Some("pause_turn")),
        (FinishReason::MaxTokens, "max_tokens", "incomplete", Some("max_output_tokens"), None),
        (
            FinishReason::ContextWindow,
            "model_context_window_exceeded",
            "incomplete",
            Some("max_output_tokens"),
            Some("model_context_window_exceeded"),
        ),
        (FinishReason::ContentFilter, "SAFETY", "incomplete", Some("content_filter"), None),
        (FinishReason::Refusal, "refusal", "incomplete", Some("content_filter"), Some("refusal")),
        (
            FinishReason::MalformedToolCall,
            "MALFORMED_FUNCTION_CALL",
            "incomplete",
            Some("content_filter"),
            Some("MALFORMED_FUNCTION_CALL"),
        ),
    ];
    for (reason, word, status, incomplete, native) in cases {
        let body = Codec::encode_response(&whole(vec![Part::text("a")], reason.clone(), word), &asked()).body;
        let (_, text) = through_own_stream::<Codec>(&stream(vec![Part::text("a")], reason, word), &asked());
        let event = last_event(&text);
        assert_eq!(event["type"], format!("response.{status}"));
        for response in [&body, &event["response"]] {
            assert_eq!(response["status"], status, "{word}");
            assert_eq!(response["incomplete_details"]["reason"].as_str(), incomplete, "{word}");
            assert_eq!(response["native_finish_reason"].as_str(), native, "{word}");
        }
    }
}

#[test]
fn an_answer_that_failed_or_was_cancelled_ends_as_a_failure() {
    for reason in [FinishReason::Failed, FinishReason::Cancelled] {
        let (read, text) = through_own_stream::<Codec>(&stream(vec![Part::text("a")], reason, "x"), &asked());
        assert!(super::ends_badly(&text));
        assert!(fold(read).error.is_some());
    }
    let mut response = whole(vec![], FinishReason::Failed, "failed");
    response.error = Some(crate::ir::ApiError::new(crate::ir::ErrorKind::RateLimit, "Slow down."));
    let body = Codec::encode_response(&response, &asked()).body;
    assert_eq!(
        (&body["status"], &body["error"]),
        (&json!("failed"), &json!({"code": "rate_limit_exceeded", "message": "Slow down."}))
    );
}

#[test]
fn of_several_choices_the_first_is_told() {
    let mut events = stream(vec![Part::text("a")], FinishReason::Stop, "stop");
    let other = PartAt { choice: 1, part: 0 };
    events.insert(1, Event::PartStart(other, Box::new(Part::text("other"))));
    let end = events.len() - 1;
    events.insert(end, Event::PartStop(other, Carry::NONE));
    let (read, text) = through_own_stream::<Codec>(&events, &asked());
    grammar::assert_legal(&text, "two choices");
    assert_eq!(fold(read).choices[0].parts[0].as_text(), Some("a"));
    assert!(!text.contains("other"));
}

#[test]
fn an_answer_that_says_nothing_is_legal_all_the_same() {
    let (read, text) = through_own_stream::<Codec>(&stream(Vec::new(), FinishReason::Stop, "stop"), &asked());
    grammar::assert_legal(&text, "nothing");
    assert_eq!(last_event(&text)["response"]["output"], json!([]));
    assert!(fold(read).error.is_none());
}
