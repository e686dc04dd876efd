//! Answers of other vendors, written for Anthropic's callers.

use super::*;

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
    assert!(whole["content"].as_array().unwrap().iter().all(|block| match block["type"].as_str().unwrap() {
        "thinking" => mark::is_minted(block["signature"].as_str().unwrap()),
        "redacted_thinking" => mark::is_minted(block["data"].as_str().unwrap()),
        _ => true,
    }));

    let echoed = |content: &Value| {
        let body = json!({"model": "x", "messages": [
            {"role": "user", "content": "Go"},
            {"role": "assistant", "content": content},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "done"}]},
        ], "max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 2000}});
        Codec::decode_request(body, &head()).unwrap()
    };
    // A stream says the seal of a text after it, a whole answer before.
    for content in [&whole["content"], &Value::from(accumulated(&text))] {
        let mut back = echoed(content).messages[1].parts.clone();
        back.iter_mut().for_each(|part| part.carry = Carry::NONE);
        assert_eq!(back, parts);
        assert!(back.iter().filter_map(|part| part.seal.as_ref()).all(|seal| seal.attach == Attach::Own));
    }
    let request = echoed(&whole["content"]);

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
fn no_answer_ends_in_the_seal_of_its_text() {
    let sealed = |text: &str| {
        let seal = Seal::new(Origin::Gemini, SealKind::Thought, "c2lnbmVk");
        Part::new(Content::Text(Text { text: text.to_owned(), ..Text::default() })).sealed(Some(seal))
    };
    let finish = Finish::said(FinishReason::Stop, Dialect::Gemini, "STOP");
    // Google puts the seal on the text, or on an empty one after it.
    for parts in [vec![sealed("Done.")], vec![Part::text("Done."), sealed("")]] {
        let choice = Choice { parts: parts.clone(), finish: Some(finish.clone()), ..Choice::default() };
        let whole = Codec::encode_response(&Response { choices: vec![choice], ..Response::default() }, &asked());
        let content = &whole.body["content"];
        assert_eq!(
            (&content[0]["type"], &content[1]),
            (&json!("redacted_thinking"), &json!({"type": "text", "text": "Done."}))
        );
        assert!(whole.losses.is_empty());
        let echoed = json!({"model": "x", "max_tokens": 9000, "messages": [
            {"role": "user", "content": "Go"}, {"role": "assistant", "content": content}, {"role": "user", "content": "On"}]});
        let back = Codec::decode_request(echoed, &head()).unwrap().messages.remove(1).parts;
        assert_eq!(back, [sealed("Done.")]);

        // In a stream it comes too late.
        let (_, stream) = through_own_stream::<Codec>(&events_of(&parts, finish.clone()), &asked());
        assert_legal(&stream);
        assert_eq!(Value::from(accumulated(&stream)), json!([{"type": "text", "text": "Done."}]));
        let mut encoder = Codec::encoder(&asked());
        for event in events_of(&parts, finish.clone()) {
            crate::dialect::StreamEncoder::push(&mut encoder, &event, &mut Vec::new());
        }
        assert_eq!(crate::dialect::StreamEncoder::losses(&encoder).header().as_deref(), Some("reasoning"));
    }
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
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"},\
         \"request_id\":\"msg_fallback\"}\n\n"
    ));
    let error = again.into_iter().collect::<Fold>().finish().error.unwrap();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Overloaded, "busy"));
}
