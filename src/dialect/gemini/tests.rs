//! The laws of translation, held against our own fixtures and against what real providers sent.

mod foreign;

use serde_json::{Value, json};

use super::{Codec, DIALECT};
use crate::dialect::testing::{
    Sample, assert_every_chunk_size, assert_every_cut_ends_legally, assert_request_identity, assert_response_identity,
    decode_stream, fixtures, fold_stream, recorded, through_own_stream, written,
};
use crate::dialect::{
    Asked, Codec as _, Delivery, Dialect, RequestHead, StreamDecoder as _, StreamEncoder as _, Target,
};
use crate::ir::{
    AllowedMode, Budget, Content, Effort, Event, FinishReason, Fold, MediaKind, Origin, Outcome, OutputFormat, Request,
    Role, Source, Tool, ToolMode, check_grammar,
};

fn asked() -> Asked {
    Asked::by(&Request::default(), Delivery::Events).known_as("resp-test")
}

fn head() -> RequestHead {
    RequestHead { model: Some("gemini-3-pro-preview".to_owned()), delivery: Some(Delivery::Events) }
}

fn decode(body: Value) -> Request {
    Codec::decode_request(body, &head()).unwrap()
}

fn sample(kind: &str, name: &str) -> Sample {
    fixtures(kind, DIALECT).into_iter().find(|sample| sample.name == name).unwrap()
}

fn calls(response: &crate::ir::Response) -> Vec<(String, String, Value)> {
    let parts = response.choices.iter().flat_map(|choice| &choice.parts);
    parts
        .filter_map(|part| match &part.content {
            Content::ToolCall(call) => {
                let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
                Some((call.id.clone(), call.name.clone(), serde_json::from_str(arguments).unwrap()))
            }
            _ => None,
        })
        .collect()
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
    let whole = recorded(DIALECT, ".json").into_iter().filter(|sample| !sample.name.contains("429"));
    for sample in whole {
        assert_response_identity::<Codec>(&sample);
    }
}

#[test]
fn a_stream_folds_to_what_the_same_answer_is_when_whole() {
    let whole = sample("responses", "tools.json");
    let expected = Codec::decode_response(whole.json()).unwrap().bare();
    assert_eq!(expected.choices[0].finish.as_ref().unwrap().reason, FinishReason::ToolUse);
    for sample in fixtures("streams", DIALECT).iter().filter(|sample| sample.name.starts_with("tools")) {
        assert_eq!(fold_stream::<Codec>(sample).finish().bare(), expected, "{}", sample.name);
    }
}

#[test]
fn every_split_of_a_stream_gives_the_same_events() {
    for sample in fixtures("streams", DIALECT) {
        assert_every_chunk_size::<Codec>(&sample);
    }
    for mut sample in recorded(DIALECT, ".chunks.txt") {
        let lines: Vec<&str> = sample.events().into_iter().take(12).collect();
        sample.text = lines.join("\n");
        assert_every_chunk_size::<Codec>(&sample);
    }
}

#[test]
fn every_cut_of_a_stream_ends_in_an_error_and_never_as_if_it_were_whole() {
    let last = |text: &str| serde_json::from_str::<Value>(text.trim_end().lines().last().unwrap_or_default()).ok();
    let ends_badly = |text: &str| last(text).is_some_and(|last| last.pointer("/error/message").is_some());
    let ends_well = |text: &str| {
        let data = text.trim_end().rsplit("data: ").next().unwrap_or_default();
        let data = serde_json::from_str::<Value>(data).unwrap_or_default();
        data.pointer("/candidates/0/finishReason").is_some() || data.pointer("/promptFeedback").is_some()
    };
    for sample in fixtures("streams", DIALECT).iter().chain(&recorded(DIALECT, ".chunks.txt")) {
        assert_every_cut_ends_legally::<Codec>(sample, &asked(), ends_well, ends_badly);
    }
}

#[test]
fn a_stream_as_an_array_is_one_legal_array_wherever_it_is_cut() {
    let asked = Asked::by(&Request::default(), Delivery::JsonArray);
    for sample in fixtures("streams", DIALECT) {
        let events = decode_stream::<Codec>(&sample.sse(), usize::MAX);
        for end in 0..=events.len() {
            let mut encoder = Codec::encoder(&asked);
            let mut bytes = Vec::new();
            events[..end].iter().for_each(|event| encoder.push(event, &mut bytes));
            encoder.push(&Event::Ping, &mut bytes);
            encoder.finish(&mut bytes);
            encoder.finish(&mut bytes);
            let chunks: Vec<Value> = serde_json::from_slice(&bytes).unwrap();
            let is_whole = matches!(events[..end].last(), Some(Event::End(_)));
            assert_eq!(chunks.last().unwrap().get("error").is_none(), is_whole, "{}", sample.name);
            // The decoder takes an array as it takes its elements.
            let mut decoder = Codec::decoder();
            let mut again = Vec::new();
            decoder.push(&String::from_utf8(bytes).unwrap(), &mut again);
            decoder.finish(&mut again);
            assert_eq!(check_grammar(&again), Ok(()));
            if is_whole {
                let fold = |events: &[Event]| events.iter().cloned().collect::<Fold>().finish().bare();
                assert_eq!(fold(&again), fold(&events), "{}", sample.name);
            }
        }
    }
}

#[test]
fn what_the_encoder_writes_the_decoder_reads() {
    for sample in fixtures("streams", DIALECT).iter().chain(&recorded(DIALECT, ".chunks.txt")) {
        let events = decode_stream::<Codec>(&sample.sse(), usize::MAX);
        let (again, _) = through_own_stream::<Codec>(&events, &asked());
        let fold = |events: Vec<Event>| events.into_iter().collect::<Fold>().finish().bare();
        assert_eq!(fold(events), fold(again), "{}", sample.name);
    }
}

#[test]
fn real_streams_are_read_to_their_end_with_calls_and_usage() {
    for sample in recorded(DIALECT, ".chunks.txt") {
        let fold = fold_stream::<Codec>(&sample);
        assert!(fold.is_complete(), "{}", sample.name);
        let response = fold.finish();
        let usage = response.usage.clone().unwrap();
        assert!(usage.output.unwrap() > usage.reasoning.unwrap() && usage.input.unwrap() > 0, "{}", sample.name);
        assert!(response.choices[0].parts.iter().any(|part| part.seal.is_some()), "{}", sample.name);
        let called: Vec<_> = calls(&response).into_iter().map(|(_, name, arguments)| (name, arguments)).collect();
        let call = |name: &str, arguments: Value| (name.to_owned(), arguments);
        let item = |id: &str, description: &str, price: f64| json!({"action": "add", "description": description, "itemid": id, "price": price});
        match sample.name.as_str() {
            "google-stream-no-args-tool-call.chunks.txt" => assert_eq!(
                called,
                [
                    call("read_theme", json!({})),
                    call("read_screen", json!({"id": "A"})),
                    call("read_screen", json!({"id": "B"})),
                    call("read_screen", json!({"id": "C"})),
                ]
            ),
            "google-stream-tool-call-arguments.chunks.txt" => assert_eq!(
                called,
                [
                    call("getWeather", json!({"location": "Boston"})),
                    call("getWeather", json!({"location": "San Francisco"})),
                ]
            ),
            name if name.contains("missing-terminal") => assert_eq!(
                called,
                [call(
                    "writeItems",
                    json!({"operations": [
                        item("apple_001", "Fresh red apple", 0.5),
                        item("banana_001", "Ripe yellow banana", 0.3),
                    ]})
                )]
            ),
            name if name.contains("nested") => {
                let recipe = &called[0].1["recipe"];
                assert_eq!((called.len(), &recipe["name"]), (1, &json!("Lasagna")));
                assert_eq!(recipe["ingredients"].as_array().unwrap().len(), 10);
                assert_eq!(recipe["steps"][9], "Let stand for 15 minutes before serving.");
            }
            _ => {
                assert!(called.is_empty());
                assert!(response.choices[0].parts[0].as_text().unwrap().contains("strawberry"), "{}", sample.name);
            }
        }
        let finish = response.choices[0].finish.as_ref().unwrap();
        let expected = if called.is_empty() { FinishReason::Stop } else { FinishReason::ToolUse };
        assert_eq!((&finish.reason, finish.word_for(DIALECT)), (&expected, Some("STOP")), "{}", sample.name);
    }
}

#[test]
fn arguments_go_on_piece_by_piece() {
    let events = decode_stream::<Codec>(&sample("streams", "tools_partial.txt").sse(), usize::MAX);
    let pieces: Vec<&str> = events
        .iter()
        .filter_map(|event| match event {
            Event::Delta(at, crate::ir::Delta::Arguments(text)) if at.part == 2 => Some(text.as_str()),
            _ => None,
        })
        .collect();
    let expected =
        ["{\"city\":\"Os", "lo", "\"", ",\"days\":[{\"n\":1,\"ok\":true", "},{\"n\":2.5", ",\"ok\":null", "}]}"];
    assert_eq!(pieces, expected);
}

#[test]
fn every_spelling_of_protocol_buffers_is_read() {
    let body = json!({
        "contents": {"parts": {"text": "hi"}},
        "system_instruction": {"parts": {"text": "Be short."}},
        "generation_config": {
            "max_output_tokens": "12", "top_p": "0.5", "candidate_count": 1.0, "stop_sequences": ["x"],
            "thinking_config": {"thinking_budget": "-1", "include_thoughts": true},
            "response_mime_type": "application/json", "response_schema": {"type": "STRING"},
        },
        "tools": {"function_declarations": {"name": "f", "parameters_json_schema": {"type": "object"}}, "google_search": {}},
        "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}},
        "safety_settings": [],
        "cached_content": "cachedContents/x",
    });
    let camel = json!({
        "contents": [{"parts": [{"text": "hi"}]}],
        "systemInstruction": {"parts": [{"text": "Be short."}]},
        "generationConfig": {
            "maxOutputTokens": 12, "topP": 0.5, "candidateCount": 1, "stopSequences": ["x"],
            "thinkingConfig": {"thinkingBudget": -1, "includeThoughts": true},
            "responseMimeType": "application/json", "responseSchema": {"type": "STRING"},
        },
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}], "googleSearch": {}}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "safetySettings": [],
        "cachedContent": "cachedContents/x",
    });
    let (request, expected) = (decode(body), decode(camel.clone()));
    let target = Target::unlimited(DIALECT, "gemini-3-pro-preview");
    assert_eq!(written(&Codec::encode_request(&request, &target).body), written(&camel));
    assert_eq!(request, expected);
}

#[test]
fn a_request_says_what_all_dialects_know() {
    let request = decode(sample("requests", "every_parameter.json").json());
    assert_eq!((request.model.as_str(), request.stream), ("gemini-3-pro-preview", Some(true)));
    assert_eq!(request.instructions.unwrap().parts.len(), 2);
    assert_eq!(request.messages[1].role, Role::Assistant);
    assert_eq!((request.max_output, request.stop.len()), (Some(512), 2));
    let ask = request.reasoning.unwrap();
    assert_eq!((ask.budget, ask.effort), (Some(Budget::Dynamic), None));
    let OutputFormat::JsonSchema { schema: Some(schema), .. } = request.output.unwrap().format else {
        unreachable!("it is a schema");
    };
    let items = json!({"type": ["string", "null"]});
    assert_eq!(schema["properties"]["rivers"], json!({"type": "array", "items": items, "maxItems": 3}));
    assert_eq!((request.service_tier.as_deref(), request.store), (Some("default"), Some(false)));
    assert_eq!(request.modalities, ["text"]);
    let known: Vec<&String> = request.carry.rest_for(DIALECT).unwrap().keys().collect();
    assert_eq!(known, ["safetySettings", "anotherOne", "generationConfig"]);
    assert_eq!(decode(sample("requests", "several_answers.json").json()).candidates, Some(2));
    assert_eq!(decode(sample("requests", "pictures.json").json()).modalities, ["text", "image"]);
    let levels = decode(sample("requests", "levels.json").json()).reasoning.unwrap();
    assert_eq!(levels.effort, Some(Effort::Low));
}

#[test]
fn calls_and_results_without_ids_are_matched_by_name_and_order() {
    let request = decode(sample("requests", "tool_loop.json").json());
    let mut called = Vec::new();
    let mut answered = Vec::new();
    for part in request.messages.iter().flat_map(|message| &message.parts) {
        match &part.content {
            Content::ToolCall(call) => called.push(call.id.clone()),
            Content::ToolResult(result) => answered.push((result.call_id.clone(), result.outcome)),
            _ => {}
        }
    }
    assert!(called.iter().all(|id| !id.is_empty()) && called[1] == "call-2");
    let matched: Vec<_> = answered.iter().take(3).map(|(id, _)| id.clone()).collect();
    assert_eq!(matched, called);
    assert_eq!((answered[1].1, answered[3].1), (Outcome::Failure, Outcome::Success));
    assert!(!called.contains(&answered[3].0));
    let kinds: Vec<bool> = request.tools.iter().map(|tool| matches!(tool, Tool::Function(_))).collect();
    assert_eq!(kinds, [true, true, true, false, false, false]);
    let ToolMode::Allowed { mode: AllowedMode::Required, tools } = request.tool_choice.unwrap().mode else {
        unreachable!("two are allowed");
    };
    assert_eq!(tools.len(), 2);
}

#[test]
fn media_are_what_their_types_and_addresses_say() {
    let request = decode(sample("requests", "media.json").json());
    let media: Vec<_> = request.messages[0]
        .parts
        .iter()
        .filter_map(|part| match &part.content {
            Content::Media(media) => {
                Some((media.kind, matches!(media.source, Source::FileId { origin: Origin::Gemini, .. })))
            }
            _ => None,
        })
        .collect();
    let expected = [
        (MediaKind::Image, false),
        (MediaKind::Document, false),
        (MediaKind::Audio, false),
        (MediaKind::Image, false),
        (MediaKind::Video, false),
        (MediaKind::Video, true),
        (MediaKind::Document, true),
    ];
    assert_eq!(media, expected);
    let opaque = request.messages[1].parts.iter().filter(|part| matches!(part.content, Content::Opaque(_))).count();
    assert_eq!(opaque, 5);
}

#[test]
fn an_answer_says_what_all_dialects_know() {
    let response = Codec::decode_response(sample("responses", "everything.json").json()).unwrap();
    let reasons: Vec<_> = response.choices.iter().map(|choice| choice.finish.clone().unwrap().reason).collect();
    let other = FinishReason::Other("A_REASON_OF_TOMORROW".to_owned());
    let expected = [FinishReason::MaxTokens, FinishReason::ContentFilter, FinishReason::MalformedToolCall, other];
    assert_eq!(reasons, expected);
    let usage = response.usage.unwrap();
    assert_eq!((usage.input, usage.output, usage.web_searches), (Some(109), Some(12), Some(2)));
    let Content::Text(text) = &response.choices[0].parts[0].content else { unreachable!("it is a text") };
    let said: Vec<_> = text.citations.iter().map(|citation| (citation.title.as_deref(), citation.span)).collect();
    assert_eq!(said, [(Some("Köln"), Some((16, 41))), (Some("Atlas"), Some((16, 41))), (None, Some((0, 5)))]);
    assert_eq!((text.logprobs.len(), text.logprobs[0].top.len()), (1, 2));
    let blocked = Codec::decode_response(sample("responses", "blocked.json").json()).unwrap();
    assert_eq!(blocked.choices[0].finish.as_ref().unwrap().reason, FinishReason::ProhibitedContent);
}

#[test]
fn every_reason_for_an_end_keeps_its_word() {
    let words = [
        "STOP",
        "MAX_TOKENS",
        "SAFETY",
        "RECITATION",
        "LANGUAGE",
        "OTHER",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "MALFORMED_FUNCTION_CALL",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "IMAGE_OTHER",
        "NO_IMAGE",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
        "MALFORMED_RESPONSE",
        "FINISH_REASON_UNSPECIFIED",
    ];
    for word in words {
        let text = json!({"candidates": [{"content": {"parts": [{"text": "x"}], "role": "model"},
            "finishReason": word, "finishMessage": "why", "index": 0}]});
        let sample = Sample { name: word.to_owned(), text: text.to_string() };
        assert_response_identity::<Codec>(&sample);
        let response = fold_stream::<Codec>(&sample).finish();
        let finish = response.choices[0].finish.clone().unwrap();
        assert_eq!(finish.word_for(DIALECT), Some(word));
        let is_clean = matches!(finish.reason, FinishReason::Stop | FinishReason::ToolUse);
        assert_eq!(is_clean, word == "STOP");
        assert!(!matches!(finish.reason, FinishReason::Other(_)), "{word} is not known");
    }
}

#[test]
fn a_broken_request_is_refused_by_field_and_index() {
    let part = |part: Value| json!({"contents": [{"role": "user", "parts": [{"text": "x"}, part]}]});
    let cases = [
        (json!({}), "contents"),
        (json!({"contents": 7}), "contents"),
        (json!({"contents": [{"role": "system", "parts": []}]}), "contents[0].role"),
        (json!({"contents": [{"role": "user"}, 7]}), "contents[1]"),
        (part(json!({"text": 7})), "contents[0].parts[1].text"),
        (part(json!({"inlineData": {"mimeType": "image/png"}})), "contents[0].parts[1].inlineData.data"),
        (part(json!({"fileData": {}})), "contents[0].parts[1].fileData.fileUri"),
        (part(json!({"functionCall": {"args": {}}})), "contents[0].parts[1].functionCall.name"),
        (part(json!({"functionCall": {"name": "f", "args": []}})), "contents[0].parts[1].functionCall.args"),
        (
            part(json!({"functionResponse": {"name": "f", "response": "x"}})),
            "contents[0].parts[1].functionResponse.response",
        ),
        (json!({"contents": [], "tools": [{"functionDeclarations": [{}]}]}), "tools[0].functionDeclarations[0].name"),
        (json!({"contents": [], "generationConfig": {"temperature": "warm"}}), "generationConfig.temperature"),
        (json!({"contents": [], "generationConfig": {"maxOutputTokens": -1}}), "generationConfig.maxOutputTokens"),
        (
            json!({"contents": [], "generationConfig": {"thinkingConfig": {"thinkingBudget": -2}}}),
            "generationConfig.thinkingConfig.thinkingBudget",
        ),
    ];
    for (body, field) in cases {
        let fault = Codec::decode_request(body, &head()).unwrap_err();
        assert_eq!((fault.kind.status(), fault.param.as_deref()), (400, Some(field)));
    }
}

#[test]
fn rubbish_in_a_stream_is_an_error_and_not_an_answer() {
    let call = |call: Value| json!({"candidates": [{"content": {"parts": [{"functionCall": call}]}}]}).to_string();
    let partial = |path: &str| call(json!({"name": "f", "partialArgs": [{"jsonPath": path, "numberValue": 1}]}));
    for rubbish in [
        "<html>".to_owned(),
        "7".to_owned(),
        "{}".to_owned(),
        "{\"candidates\": 7}".to_owned(),
        call(json!({"partialArgs": [{"jsonPath": "$.a", "numberValue": 1}]})),
        partial("a"),
        partial("$.a[9999999999999]"),
    ] {
        let sample = Sample { name: rubbish.clone(), text: rubbish };
        let events = decode_stream::<Codec>(&sample.sse(), usize::MAX);
        assert_eq!(check_grammar(&events), Ok(()));
        assert!(matches!(events.last(), Some(Event::Error(_))), "{}", sample.name);
    }
}

#[test]
fn a_long_conversation_goes_through_in_linear_time() {
    let thought = |number: usize| json!({"text": number.to_string(), "thought": true});
    let contents: Vec<Value> = (0..10_001)
        .map(|number| match number % 2 {
            0 => json!({"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "x"}}}]}),
            _ => json!({"role": "model", "parts": [thought(number), {"functionCall": {"name": "f", "args": {}}}]}),
        })
        .collect();
    let mut request = decode(json!({"contents": contents}));
    request.spoken_in = Some(Dialect::Anthropic);
    let encoded = Codec::encode_request(&request, &Target::unlimited(DIALECT, "x"));
    assert_eq!(encoded.body["contents"].as_array().unwrap().len(), 10_001);
}

#[test]
fn files_in_the_url_safe_alphabet_are_read_in_the_standard_one_wherever_they_stand() {
    let inline = |mime: &str| json!({"inlineData": {"mimeType": mime, "data": "-_8"}});
    let response =
        json!({"functionResponse": {"name": "look", "response": {"output": "seen"}, "parts": [inline("image/png")]}});
    let body = json!({"contents": [
        {"role": "user", "parts": [inline("image/png"), inline("application/pdf"), inline("audio/wav"), {"text": "go"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "look", "args": {}}}]},
        {"role": "user", "parts": [response]},
    ]});
    let request = decode(body.clone());
    let mut parts: Vec<_> = request.messages.iter().flat_map(|message| message.parts.clone()).collect();
    let inside = parts.iter().filter_map(|part| match &part.content {
        Content::ToolResult(result) => Some(result.parts.clone()),
        _ => None,
    });
    parts.extend(inside.flatten().collect::<Vec<_>>());
    let data: Vec<_> = parts
        .iter()
        .filter_map(|part| match &part.content {
            Content::Media(media) => Some(media.source.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(data.len(), 4);
    assert!(data.iter().all(|source| matches!(source, Source::Base64 { data, .. } if data == "+/8=")), "{data:?}");
    let home = Codec::encode_request(&request, &Target::unlimited(DIALECT, "gemini-3-pro-preview"));
    assert_eq!(home.body["contents"], body["contents"]);
}
