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

#[test]
fn what_is_nested_too_deeply_is_left_out() {
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    let body =
        format!(r#"{{"messages": [{{"role": "user", "content": {deep}}}, {{"role": "user", "content": "hi"}}]}}"#);
    let content = Content::Held { request: body.into(), answer: Answer::Nothing };
    let told = properties(&Generation { content, ..generation(Dialect::OpenAiChat) });
    assert_eq!(told["$ai_input"], json!([{"role": "user", "content": null}, {"role": "user", "content": "hi"}]));
}
