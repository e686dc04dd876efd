//! What answers say, for each dialect, whole and in pieces.

use super::*;
use crate::dialect::testing::fixtures;

fn assert_told(call: &Generation, choices: &Value, stop: Option<&str>) {
    let told = properties(call);
    assert_eq!(told["$ai_output_choices"], *choices);
    assert_eq!(told.get("$ai_stop_reason").and_then(Value::as_str), stop);
}

fn message(content: &Value) -> Value {
    json!([{"role": "assistant", "content": content}])
}

#[test]
fn chat_whole_and_in_pieces() {
    let content = json!([
        {"type": "text", "text": "Let me see."},
        {"type": "function", "id": "c1", "function": {"name": "weather", "arguments": "{\"at\":\"Rome\"}"}},
    ]);
    let answer = json!({"choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
    "role": "assistant", "content": "Let me see.", "refusal": null, "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{\"at\":\"Rome\"}"}},
    ]}}]});
    assert_told(&whole(Dialect::OpenAiChat, &json!({}), &answer), &message(&content), Some("tool_calls"));

    let chunk = |delta: Value, finish: Value| {
        json!({"id": "x", "object": "chat.completion.chunk", "created": 1,
        "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    };
    let mut stream = sse(&[
        chunk(json!({"role": "assistant", "content": ""}), Value::Null),
        chunk(json!({"content": "Let me"}), Value::Null),
        chunk(json!({"content": " see."}), Value::Null),
        chunk(
            json!({"tool_calls": [{"index": 0, "id": "c1", "type": "function",
            "function": {"name": "weather", "arguments": ""}}]}),
            Value::Null,
        ),
        chunk(json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"at\":"}}]}), Value::Null),
        chunk(json!({"tool_calls": [{"index": 0, "function": {"arguments": "\"Rome\"}"}}]}), Value::Null),
        chunk(json!({}), json!("tool_calls")),
    ]);
    stream.push_str("data: [DONE]\n\n");
    let call = streamed(Dialect::OpenAiChat, Delivery::Events, &json!({}), &stream);
    assert_told(&call, &message(&content), Some("tool_calls"));
}

#[test]
fn several_choices_are_one_message_and_refusals_and_sound_are_told() {
    let answer = json!({"choices": [
        {"finish_reason": "stop", "message": {"role": "assistant", "content": "one"}},
        {"finish_reason": "length", "message": {"role": "assistant", "content": null, "refusal": "no"}},
        {"finish_reason": "stop", "message": {"role": "assistant", "audio": {"id": "a", "data": "AAAA", "transcript": "hi"}}},
        {"finish_reason": "tool_calls", "message": {"role": "assistant", "tool_calls": [
            {"id": "c", "type": "custom", "custom": {"name": "patch", "input": "free text"}},
        ]}},
    ]});
    assert_told(
        &whole(Dialect::OpenAiChat, &json!({}), &answer),
        &message(&json!([
            {"type": "text", "text": "one"},
            {"type": "refusal", "refusal": "no"},
            {"type": "audio", "media_type": "audio", "size_bytes": 3, "id": "a", "transcript": "hi"},
            {"type": "function", "id": "c", "function": {"name": "patch", "arguments": "free text"}},
        ])),
        Some("stop"),
    );
}

#[test]
fn responses_whole_and_in_pieces() {
    let reasoning = json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]});
    let answer = json!({"id": "resp_1", "status": "completed", "incomplete_details": null, "output": [
        reasoning,
        {"type": "message", "id": "m", "role": "assistant", "content": [
            {"type": "output_text", "text": "Hello", "annotations": []},
            {"type": "refusal", "refusal": "no"},
        ]},
        {"type": "function_call", "id": "fc", "call_id": "c1", "name": "weather", "arguments": "{}"},
        {"type": "web_search_call", "id": "ws", "status": "completed"},
    ]});
    let content = json!([
        reasoning,
        {"type": "text", "text": "Hello"},
        {"type": "refusal", "refusal": "no"},
        {"type": "function", "id": "c1", "function": {"name": "weather", "arguments": "{}"}},
        {"type": "web_search_call", "id": "ws", "status": "completed"},
    ]);
    let request = json!({"input": "Hello"});
    assert_told(&whole(Dialect::OpenAiResponses, &request, &answer), &message(&content), Some("completed"));

    let begun = json!({"type": "response.created", "sequence_number": 0, "response": {"id": "resp_1", "status": "in_progress", "output": []}});
    let stream = sse(&[begun, json!({"type": "response.completed", "sequence_number": 1, "response": answer})]);
    let call = streamed(Dialect::OpenAiResponses, Delivery::Events, &request, &stream);
    assert_told(&call, &message(&content), Some("completed"));

    let cut = json!({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": []});
    assert_told(&whole(Dialect::OpenAiResponses, &request, &cut), &json!([]), Some("max_output_tokens"));
}

#[test]
fn messages_whole_and_in_pieces() {
    let content = json!([
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "text", "text": "Let me see."},
        {"type": "function", "id": "t1", "function": {"name": "weather", "arguments": {"at": "Rome"}}},
    ]);
    let answer = json!({"type": "message", "role": "assistant", "stop_reason": "tool_use", "content": [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "t1", "name": "weather", "input": {"at": "Rome"}},
    ]});
    assert_told(&whole(Dialect::Anthropic, &json!({}), &answer), &message(&content), Some("tool_use"));

    let block = |index: u32, block: Value, deltas: &[Value]| {
        let mut events = vec![json!({"type": "content_block_start", "index": index, "content_block": block})];
        events
            .extend(deltas.iter().map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta})));
        events.push(json!({"type": "content_block_stop", "index": index}));
        events
    };
    let mut events =
        vec![json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant",
        "model": "c", "content": [], "stop_reason": null, "usage": {"input_tokens": 1, "output_tokens": 1}}})];
    events.extend(block(
        0,
        json!({"type": "thinking", "thinking": "", "signature": ""}),
        &[json!({"type": "thinking_delta", "thinking": "hm"}), json!({"type": "signature_delta", "signature": "c2ln"})],
    ));
    events.extend(block(
        1,
        json!({"type": "text", "text": ""}),
        &[json!({"type": "text_delta", "text": "Let me"}), json!({"type": "text_delta", "text": " see."})],
    ));
    events.extend(block(
        2,
        json!({"type": "tool_use", "id": "t1", "name": "weather", "input": {}}),
        &[
            json!({"type": "input_json_delta", "partial_json": "{\"at\":"}),
            json!({"type": "input_json_delta", "partial_json": "\"Rome\"}"}),
        ],
    ));
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}}));
    events.push(json!({"type": "message_stop"}));
    let call = streamed(Dialect::Anthropic, Delivery::Events, &json!({}), &sse(&events));
    assert_told(&call, &message(&content), Some("tool_use"));
}

#[test]
fn google_whole_and_in_pieces_by_events_and_as_an_array() {
    let content = json!([
        {"type": "text", "text": "Let me see."},
        {"type": "function", "function": {"name": "weather", "arguments": {"at": "Rome"}}},
    ]);
    let chunk = |parts: Value, finish: Option<&str>| {
        let mut candidate = json!({"index": 0, "content": {"role": "model", "parts": parts}});
        if let Some(finish) = finish {
            candidate["finishReason"] = json!(finish);
        }
        json!({"candidates": [candidate], "modelVersion": "g", "responseId": "r"})
    };
    let call = json!({"functionCall": {"name": "weather", "args": {"at": "Rome"}}});
    let answer = chunk(json!([{"text": "Let me see."}, call]), Some("STOP"));
    assert_told(&whole(Dialect::Gemini, &json!({}), &answer), &message(&content), Some("STOP"));

    let chunks = [
        chunk(json!([{"text": "Let me"}]), None),
        chunk(json!([{"text": " see."}]), None),
        chunk(json!([call]), Some("STOP")),
    ];
    let by_events = streamed(Dialect::Gemini, Delivery::Events, &json!({}), &sse(&chunks));
    assert_told(&by_events, &message(&content), Some("STOP"));
    let array = json!(chunks).to_string();
    let as_array = streamed(Dialect::Gemini, Delivery::JsonArray, &json!({}), &array);
    assert_told(&as_array, &message(&content), Some("STOP"));
}

#[test]
fn googles_candidates_are_messages_of_their_own() {
    let candidate = |text: &str| json!({"content": {"parts": [{"text": text}]}, "finishReason": "STOP"});
    let answer = json!({"candidates": [candidate("one"), {"finishReason": "SAFETY"}, candidate("two")]});
    assert_told(
        &whole(Dialect::Gemini, &json!({}), &answer),
        &json!([
            {"role": "assistant", "content": [{"type": "text", "text": "one"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "two"}]},
        ]),
        Some("STOP"),
    );
}

#[test]
fn pictures_that_a_model_made_leave_no_bytes() {
    let bytes = "iVBORw0KGgo".to_owned() + &"AAAA".repeat(100);
    let picture = json!({"type": "image", "media_type": "image/png", "size_bytes": 308});
    let answer = json!({"status": "completed", "output": [
        {"type": "image_generation_call", "id": "ig", "status": "completed", "result": bytes},
    ]});
    assert_told(&whole(Dialect::OpenAiResponses, &json!({}), &answer), &message(&json!([picture])), Some("completed"));
    let answer = json!({"candidates": [{"content": {"parts": [
        {"inlineData": {"mimeType": "image/png", "data": bytes}},
    ]}}]});
    assert_told(&whole(Dialect::Gemini, &json!({}), &answer), &message(&json!([picture])), None);
    let stream = sse(&[answer]);
    let call = streamed(Dialect::Gemini, Delivery::Events, &json!({}), &stream);
    assert_told(&call, &message(&json!([picture])), None);
}

#[test]
fn a_stream_that_was_cut_is_told_as_far_as_it_went() {
    let chunk = json!({"id": "x", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {"content": "Half"}}]});
    let stream = format!("{}data: {{\"id\": \"x\", \"choi", sse(&[chunk]));
    let mut call = streamed(Dialect::OpenAiChat, Delivery::Events, &json!({}), &stream);
    assert_told(&call, &message(&json!([{"type": "text", "text": "Half"}])), None);
    if let Content::Held { answer: Answer::Stream { extent, .. }, .. } = &mut call.content {
        *extent = Extent::Beginning;
    }
    assert_eq!(properties(&call)["llm_gateway_output_incomplete"], true);
}

#[test]
fn every_recorded_shape_makes_an_event_whole_and_streamed() {
    for dialect in Dialect::ALL {
        for sample in fixtures("requests", dialect) {
            let told = properties(&whole(dialect, &sample.json(), &json!({})));
            assert!(told["$ai_input"].is_array(), "{}", sample.name);
        }
        for sample in fixtures("responses", dialect) {
            let told = properties(&whole(dialect, &json!({}), &sample.json()));
            assert!(told["$ai_output_choices"].is_array(), "{}", sample.name);
        }
        for sample in fixtures("streams", dialect) {
            let stream = String::from_utf8(sample.sse()).unwrap();
            let told = properties(&streamed(dialect, Delivery::Events, &json!({}), &stream));
            assert!(told["$ai_output_choices"].is_array(), "{}", sample.name);
        }
    }
}
