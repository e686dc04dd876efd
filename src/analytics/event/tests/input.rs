//! What requests say, for each dialect.

use super::*;

/// A small picture, as base64 has it; 70 bytes.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

fn picture() -> Value {
    json!({"type": "image", "media_type": "image/png", "size_bytes": 70})
}

fn told(dialect: Dialect, request: &Value) -> Value {
    properties(&whole(dialect, request, &json!({})))
}

fn assert_input(dialect: Dialect, request: &Value, input: &Value) {
    assert_eq!(told(dialect, request)["$ai_input"], *input, "{dialect}: {request}");
}

#[test]
fn messages_of_chat_stay_as_they_are_but_for_what_is_no_text() {
    let call =
        json!([{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{\"at\":\"Rome\"}"}}]);
    assert_input(
        Dialect::OpenAiChat,
        &json!({"messages": [
            {"role": "system", "content": "Be \"kind\"."},
            {"role": "user", "name": "ann", "ignored": 1, "content": [
                {"type": "text", "text": "What is it?"},
                {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PNG}"), "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
                {"type": "input_audio", "input_audio": {"data": "UklGRiQAAABXQVZF", "format": "wav"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQK"}},
                {"type": "file", "file": {"file_id": "file-1"}},
            ]},
            {"role": "assistant", "content": null, "tool_calls": call, "refusal": null},
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
            {"content": "who said that"},
            "no message",
        ]}),
        &json!([
            {"role": "system", "content": "Be \"kind\"."},
            {"role": "user", "name": "ann", "content": [
                {"type": "text", "text": "What is it?"},
                picture(),
                {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
                {"type": "audio", "media_type": "audio/wav", "size_bytes": 12},
                {"type": "file", "media_type": "application/pdf", "size_bytes": 9},
                {"type": "file", "file": {"file_id": "file-1"}},
            ]},
            {"role": "assistant", "content": null, "tool_calls": call},
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
            {"role": "user", "content": "who said that"},
            {"role": "user", "content": "no message"},
        ]),
    );
}

#[test]
fn the_system_of_messages_is_its_first_message() {
    assert_input(
        Dialect::Anthropic,
        &json!({
            "system": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": [
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                    {"type": "image", "source": {"type": "url", "url": "https://example.com/cat.png"}},
                    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}},
                    {"type": "text", "text": "?"},
                ]},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "see", "input": {"at": 1.0}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                    {"type": "text", "text": "a cat"},
                ]}]},
                {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "c2ln"}]},
            ],
        }),
        &json!([
            {"role": "system", "content": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}]},
            {"role": "user", "content": [
                picture(),
                {"type": "image", "source": {"type": "url", "url": "https://example.com/cat.png"}},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}},
                {"type": "text", "text": "?"},
            ]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "see", "input": {"at": 1.0}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [picture(), {"type": "text", "text": "a cat"}]},
            ]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "c2ln"}]},
        ]),
    );
}

#[test]
fn items_of_responses_that_are_no_messages_stay_as_they_are() {
    let request = json!({
        "instructions": "Be kind.",
        "input": [
            {"role": "user", "content": [
                {"type": "input_text", "text": "What is it?"},
                {"type": "input_image", "detail": "auto", "image_url": format!("data:image/png;base64,{PNG}")},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQK"},
            ]},
            {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": [
                {"type": "input_image", "image_url": format!("data:image/png;base64,{PNG}")},
            ]},
            {"type": "message", "role": "assistant", "content": "so"},
        ],
    });
    assert_input(
        Dialect::OpenAiResponses,
        &request,
        &json!([
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": [
                {"type": "input_text", "text": "What is it?"},
                picture(),
                {"type": "file", "media_type": "application/pdf", "size_bytes": 9},
            ]},
            {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": [picture()]},
            {"role": "assistant", "content": "so"},
        ]),
    );
    assert_eq!(told(Dialect::OpenAiResponses, &request)["$ai_instructions"], "Be kind.");
    assert_input(Dialect::OpenAiResponses, &json!({"input": "Hello"}), &json!([{"role": "user", "content": "Hello"}]));
}

#[test]
fn googles_parts_are_told_in_the_words_of_the_others() {
    assert_input(
        Dialect::Gemini,
        &json!({
            "systemInstruction": {"parts": [{"text": "Be kind."}]},
            "contents": [
                {"role": "user", "parts": [
                    {"text": "What is it?"},
                    {"inlineData": {"mimeType": "image/png", "data": PNG}},
                    {"fileData": {"mimeType": "video/mp4", "fileUri": "https://example.com/film"}},
                ]},
                {"role": "model", "parts": [
                    {"text": "hm", "thought": true, "thoughtSignature": "c2ln"},
                    {"functionCall": {"name": "weather", "args": {"at": "Rome"}}},
                    {"functionCall": {"id": "c2", "name": "time", "args": {}}},
                    {"executableCode": {"code": "1 + 1"}},
                ]},
                {"parts": [{"functionResponse": {"id": "c2", "name": "time", "response": {"output": 12}}}]},
            ],
        }),
        &json!([
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": [
                {"type": "text", "text": "What is it?"},
                picture(),
                {"type": "video", "file_data": {"mime_type": "video/mp4", "file_uri": "https://example.com/film"}},
            ]},
            {"role": "model", "content": [
                {"type": "thinking", "thinking": "hm"},
                {"type": "function", "function": {"name": "weather", "arguments": {"at": "Rome"}}},
                {"type": "function", "id": "c2", "function": {"name": "time", "arguments": {}}},
                {"type": "executableCode", "executableCode": {"code": "1 + 1"}},
            ]},
            {"role": "user", "content": [
                {"type": "function", "tool_name": "time", "tool_use_id": "c2", "content": {"output": 12}},
            ]},
        ]),
    );
}

#[test]
fn tools_are_told_without_credentials_of_other_servers() {
    let told = told(
        Dialect::OpenAiResponses,
        &json!({"input": "", "tools": [
            {"type": "function", "name": "weather", "parameters": {"type": "object"}},
            {"headers": {"authorization": "secret"}, "authorization": "secret", "type": "mcp", "server_url": "https://x"},
        ]}),
    );
    assert_eq!(
        told["$ai_tools"],
        json!([
            {"type": "function", "name": "weather", "parameters": {"type": "object"}},
            {"headers": "[REDACTED]", "authorization": "[REDACTED]", "type": "mcp", "server_url": "https://x"},
        ])
    );
}

#[test]
fn parameters_have_the_names_of_posthogs_wrappers() {
    let openai = json!({
        "temperature": 1, "max_tokens": 5, "max_completion_tokens": 6, "top_p": 0.5, "frequency_penalty": 0.1,
        "presence_penalty": 0.2, "n": 2, "stop": ["x"], "stream": true, "seed": 7, "user": "u", "messages": [],
    });
    let mut known = openai.clone();
    for other in ["seed", "user", "messages"] {
        known.as_object_mut().unwrap().remove(other);
    }
    let mut call = whole(Dialect::OpenAiChat, &openai, &json!({}));
    assert_eq!(properties(&call)["$ai_model_parameters"], known);
    call.seen.service_tier = Some("default".to_owned());
    known["service_tier"] = json!("default");
    assert_eq!(properties(&call)["$ai_model_parameters"], known);
    assert_eq!(properties(&call)["$ai_service_tier"], "default");

    let google = json!({"contents": [], "generationConfig": {
        "temperature": 0.5, "topP": 0.9, "maxOutputTokens": 9, "candidateCount": 1, "stopSequences": ["x"], "topK": 3,
    }});
    assert_eq!(
        told(Dialect::Gemini, &google)["$ai_model_parameters"],
        json!({"temperature": 0.5, "top_p": 0.9, "max_output_tokens": 9, "n": 1, "stop": ["x"]})
    );
}

/// How deep the lists and objects of a value stand in one another.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

#[test]
fn what_is_nested_too_deeply_for_posthog_is_left_out_and_nothing_beside_it() {
    let lists = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(100), "}".repeat(100));
    for deep in [lists, objects] {
        let request = format!(
            r#"{{"messages": [{{"role": "user", "content": [{{"type": "text", "text": "hi"}}, {deep}]}}],
                "tools": [{{"name": "f", "parameters": {deep}}}]}}"#
        );
        for dialect in [Dialect::OpenAiChat, Dialect::Anthropic] {
            let answer = format!(r#"{{"content": [{{"type": "tool_use", "id": "t", "name": "f", "input": {deep}}}]}}"#);
            let mut call = whole(dialect, &json!({}), &json!({}));
            call.content = Content::Held { request: request.clone().into(), answer: Answer::Whole(answer.into()) };
            let event = read(&call);
            assert!((60..80).contains(&depth(&event)), "{}", depth(&event));
            assert!(event.to_string().contains("[nested too deeply]"));
            let told = &event["properties"];
            assert_eq!(told["$ai_input"][0]["content"][0]["text"], "hi");
            assert_eq!(told["$ai_tools"][0]["name"], "f");
        }
    }
}

#[test]
fn a_providers_usage_that_is_nested_too_deeply_is_shown_as_far_as_it_can_be() {
    let deep = (0..120).fold(json!(1), |inner, at| if at % 2 == 0 { json!([inner]) } else { json!({"a": inner}) });
    let mut call = generation(Dialect::OpenAiChat);
    let original = Some(Opaque::new(Dialect::OpenAiChat, json!({"input": 3, "deep": deep})));
    call.seen.usage = Some(Usage { original, ..Usage::default() });
    let event = read(&call);
    assert!(depth(&event) < 30);
    assert_eq!(event["properties"]["$ai_usage"]["input"], 3);
}

#[test]
fn half_of_a_character_anywhere_makes_no_event_that_cannot_be_read() {
    let request = r#"{"messages": [
        {"role": "user", "content": "one \ud83d"},
        {"role": "user", "name": "\uDE00", "content": [{"type": "text", "text": "two \ud83d\ude00 \ude00", "\ud83d": 1}]}
    ], "input": "three \ud83d", "contents": [{"parts": [{"text": "four \ud83d"}]}], "tools": [{"name": "\ud83d"}]}"#;
    let answers = [
        (Dialect::OpenAiChat, r#"{"choices": [{"message": {"content": "said \ud83d"}}]}"#),
        (
            Dialect::OpenAiResponses,
            r#"{"output": [{"type": "message", "content": [{"type": "output_text", "text": "said \ud83d"}]}]}"#,
        ),
        (Dialect::Anthropic, r#"{"content": [{"type": "text", "text": "said \ud83d"}]}"#),
        (Dialect::Gemini, r#"{"candidates": [{"content": {"parts": [{"text": "said \ud83d"}]}}]}"#),
    ];
    for (dialect, answer) in answers {
        let mut call = whole(dialect, &json!({}), &json!({}));
        call.content = Content::Held { request: request.into(), answer: Answer::Whole(answer.into()) };
        let told = properties(&call);
        let (input, output) = (told["$ai_input"].to_string(), told["$ai_output_choices"].to_string());
        assert!(input.contains('\u{fffd}') && output.contains("said \u{fffd}"), "{dialect}: {input} {output}");
    }
    let stream = "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[{\"type\":\
                  \"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"said \\ud83d\"}]}]}}\n\n";
    let told = properties(&streamed(Dialect::OpenAiResponses, Delivery::Events, &json!({}), stream));
    assert_eq!(told["$ai_output_choices"][0]["content"][0]["text"], "said \u{fffd}");
}
