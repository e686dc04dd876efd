//! Messages as Anthropic answers them, and as it refuses them.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::{Value, json};

use crate::config::providers::Kind;
use crate::sandbox::testing::{Provider, Said, city, with};

const TARGET: &str = "/v1/messages";

fn ask(body: &Value) -> Said {
    Provider::new(Kind::Anthropic).post(TARGET, body)
}

fn plain() -> Value {
    json!({"model": "claude-sonnet-4-5", "max_tokens": 4000, "messages": [{"role": "user", "content": "hi"}]})
}

fn tools() -> Value {
    with(plain(), "/tools", json!([{"name": "weather", "input_schema": city()}]))
}

fn thinking() -> Value {
    with(tools(), "/thinking", json!({"type": "enabled", "budget_tokens": 1024}))
}

/// The conversation after the answer and one result for each of its calls.
fn answered(request: &Value, answer: &Value) -> Value {
    let results: Vec<_> = answer["content"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|block| block["type"] == "tool_use")
        .map(|block| json!({"type": "tool_result", "tool_use_id": block["id"], "content": "sunny"}))
        .collect();
    let mut messages = request["messages"].as_array().unwrap().clone();
    messages.push(json!({"role": "assistant", "content": answer["content"]}));
    messages.push(json!({"role": "user", "content": results}));
    with(request.clone(), "/messages", messages.into())
}

#[test]
fn a_whole_answer_has_every_field_of_a_message() {
    let answer = ask(&plain()).json();
    assert_eq!(
        answer.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["model", "id", "type", "role", "content", "stop_reason", "stop_sequence", "stop_details", "usage"]
    );
    assert_eq!(answer["stop_reason"], "end_turn");
    assert!(answer["id"].as_str().unwrap().starts_with("msg_01"));
    assert_eq!(answer["usage"]["input_tokens"], 1);
}

#[test]
fn a_stream_has_the_events_in_anthropics_order() {
    let said = ask(&with(thinking(), "/stream", true.into()));
    assert_eq!(
        said.kinds(),
        [
            "message_start",
            "content_block_start",
            "ping",
            "content_block_delta",
            "content_block_stop",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
    );
    let events = said.events();
    let deltas: Vec<_> = events.iter().filter_map(|event| event.pointer("/delta/type")?.as_str()).collect();
    assert_eq!(deltas.first(), Some(&"thinking_delta"));
    let signature = deltas.iter().position(|delta| *delta == "signature_delta").unwrap();
    assert!(deltas[signature + 1..].iter().all(|delta| *delta == "input_json_delta"));
    let input: String = events.iter().filter_map(|event| event.pointer("/delta/partial_json")?.as_str()).collect();
    assert_eq!(input, r#"{"city":"sandbox city"}"#);
    assert!(said.text().starts_with("event: message_start\ndata: {"));
}

#[test]
fn a_tool_loop_with_thinking_finishes() {
    let provider = Provider::new(Kind::Anthropic);
    let request = with(thinking(), "/messages/0/content", json!("weather in parallel [[sandbox:steps=2]]"));
    let first = provider.post(TARGET, &request).json();
    assert_eq!(first["content"].as_array().unwrap().len(), 3, "thinking and two calls");
    assert_eq!(first["stop_reason"], "tool_use");
    let request = answered(&request, &first);
    let second = provider.post(TARGET, &request).json();
    assert_eq!(second["stop_reason"], "tool_use");
    // What the first thought was about is still going on: there is none between the calls, and none is missed.
    assert_eq!(second["content"][0]["type"], "tool_use");
    let request = answered(&request, &second);
    let last = provider.post(TARGET, &request).json();
    assert_eq!(last["stop_reason"], "end_turn");
    assert!(last["content"][0]["text"].as_str().unwrap().contains("sunny"));
    // Interleaved thinking thinks again.
    let headers = [
        ("x-api-key", "sk-sandbox".to_owned()),
        ("anthropic-version", "2023-06-01".to_owned()),
        ("anthropic-beta", "interleaved-thinking-2025-05-14".to_owned()),
    ];
    let last = provider.send("POST", TARGET, &headers, request.to_string()).json();
    assert_eq!(last["content"][0]["type"], "thinking");
}

#[test]
fn usage_adds_up_and_a_cached_prefix_is_written_once_and_then_read() {
    let provider = Provider::new(Kind::Anthropic);
    let system =
        json!([{"type": "text", "text": "x".repeat(400), "cache_control": {"type": "ephemeral", "ttl": "1h"}}]);
    let request = with(plain(), "/system", system);
    let first = provider.post(TARGET, &request).json()["usage"].clone();
    let second = provider.post(TARGET, &request).json()["usage"].clone();
    assert_eq!((&first["cache_creation_input_tokens"], &first["cache_read_input_tokens"]), (&json!(100), &json!(0)));
    assert_eq!(first["cache_creation"], json!({"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 100}));
    assert_eq!((&second["cache_creation_input_tokens"], &second["cache_read_input_tokens"]), (&json!(0), &json!(100)));
    assert_eq!((&first["input_tokens"], &second["input_tokens"]), (&json!(1), &json!(1)));
    let more = json!([{"role": "user", "content": [{"type": "text", "text": "y".repeat(40), "cache_control": {"type": "ephemeral"}}]}]);
    let third = provider.post(TARGET, &with(request, "/messages", more)).json()["usage"].clone();
    assert_eq!((&third["cache_creation_input_tokens"], &third["cache_read_input_tokens"]), (&json!(10), &json!(100)));
}

#[test]
fn limits_and_stop_sequences_end_an_answer_for_their_reason() {
    let short = ask(&with(plain(), "/max_tokens", 5.into())).json();
    assert_eq!((&short["stop_reason"], &short["usage"]["output_tokens"]), (&json!("max_tokens"), &json!(5)));
    let stopped = ask(&with(plain(), "/stop_sequences", json!(["answer"]))).json();
    assert_eq!((&stopped["stop_reason"], &stopped["stop_sequence"]), (&json!("stop_sequence"), &json!("answer")));
    for (magic, reason) in [("refusal", "refusal"), ("finish=pause_turn", "pause_turn")] {
        let answer = ask(&with(plain(), "/messages/0/content", format!("[[sandbox:{magic}]]").into())).json();
        assert_eq!(answer["stop_reason"], reason);
    }
}

#[test]
fn forced_and_forbidden_tools_are_honoured() {
    let both = json!([{"name": "a", "input_schema": city()}, {"name": "b", "input_schema": city()}]);
    let forced = with(with(plain(), "/tools", both), "/tool_choice", json!({"type": "tool", "name": "b"}));
    let answer = ask(&forced).json();
    assert_eq!((&answer["content"][0]["name"], answer["content"].as_array().unwrap().len()), (&json!("b"), 1));
    assert_eq!(ask(&with(forced, "/tool_choice", json!({"type": "none"}))).json()["stop_reason"], "end_turn");
}

#[test]
fn a_schema_is_answered_with_a_value_of_it() {
    let format = json!({"format": {"type": "json_schema", "schema": city()}});
    let answer = ask(&with(plain(), "/output_config", format)).json();
    assert_eq!(answer["content"][0]["text"], r#"{"city":"sandbox city"}"#);
}

#[test]
fn what_anthropic_refuses_is_refused_in_its_words() {
    let tool_use = |id: &str| json!({"type": "tool_use", "id": id, "name": "weather", "input": {}});
    let result = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": "sunny"});
    let user = |content: Value| json!({"role": "user", "content": content});
    let assistant = |content: Value| json!({"role": "assistant", "content": content});
    let history = |messages: Value| with(tools(), "/messages", messages);
    for (request, message) in [
        (with(plain(), "/foo", 1.into()), "foo: Extra inputs are not permitted"),
        (with(plain(), "/max_tokens", Value::Null), "max_tokens: Field required"),
        (with(plain(), "/max_tokens", "1".into()), "max_tokens: Input should be a valid integer"),
        (with(plain(), "/temperature", json!(1.5)), "temperature: Input should be less than or equal to 1"),
        (with(plain(), "/messages", json!([])), "messages: at least one message is required"),
        (
            with(plain(), "/messages/0/role", "tool".into()),
            "messages.0.role: Input should be 'user', 'assistant' or 'system'",
        ),
        (
            with(plain(), "/messages/0/content", json!([{"type": "text", "text": "a", "b": 1}])),
            "messages.0.content.0.text.b: Extra inputs are not permitted",
        ),
        (
            with(plain(), "/messages/0/content", json!([{"type": "sound"}])),
            "messages.0.content.0: Input tag 'sound' found",
        ),
        (with(plain(), "/messages/0/content", "".into()), "messages.0: all messages must have non-empty content"),
        (history(json!([assistant("a".into())])), "first message must use the \"user\" role"),
        (
            history(json!([user("a".into()), assistant(json!([tool_use("t1")]))])),
            "`tool_use` ids were found without `tool_result` blocks immediately after: t1",
        ),
        (
            history(json!([
                user("a".into()),
                assistant(json!([tool_use("t1")])),
                user(json!([{"type": "text", "text": "b"}, result("t1")]))
            ])),
            "messages.1: `tool_use` ids were found",
        ),
        (
            history(json!([
                user("a".into()),
                assistant(json!([tool_use("t1"), {"type": "text", "text": "b"}])),
                user(json!([result("t1")]))
            ])),
            "messages.1: `tool_use` ids were found",
        ),
        (
            history(json!([user(json!([result("t1")]))])),
            "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: t1",
        ),
        (
            history(json!([user("a".into()), assistant(json!([tool_use("t.1")])), user(json!([result("t.1")]))])),
            "String should match pattern",
        ),
        (
            history(json!([user(json!([tool_use("t1")]))])),
            "messages.0: `tool_use` blocks can only be in `assistant` messages",
        ),
        (
            history(json!([
                user("a".into()),
                assistant(
                    json!([{"type": "thinking", "thinking": "b", "signature": "c"}, {"type": "text", "text": "d"}])
                ),
                user("e".into())
            ])),
            "messages.1.content.0: Invalid `signature` in `thinking` block",
        ),
        (with(tools(), "/tools/0/input_schema", json!({})), "tools.0.custom.input_schema.type: Field required"),
        (with(tools(), "/tools/0/name", "a b".into()), "tools.0.custom.name: String should match pattern"),
        (with(tools(), "/tools/0/parameters", json!({})), "tools.0.custom.parameters: Extra inputs are not permitted"),
        (
            with(plain(), "/tool_choice", json!({"type": "auto"})),
            "tool_choice may only be specified while providing tools",
        ),
        (with(thinking(), "/max_tokens", 1024.into()), "`max_tokens` must be greater than `thinking.budget_tokens`"),
        (
            with(thinking(), "/tool_choice", json!({"type": "any"})),
            "Thinking may not be enabled when tool_choice forces tool use",
        ),
        (
            with(
                with(with(tools(), "/model", "claude-opus-4-7".into()), "/thinking", json!({"type": "adaptive"})),
                "/tool_choice",
                json!({"type": "any"}),
            ),
            "Thinking may not be enabled when tool_choice forces tool use",
        ),
        (
            with(thinking(), "/model", "claude-opus-4-8".into()),
            "\"thinking.type.enabled\" is not supported for this model",
        ),
        (with(plain(), "/thinking", json!({"type": "adaptive"})), "adaptive thinking is not supported"),
        (
            with(with(plain(), "/model", "claude-opus-4-8".into()), "/temperature", json!(0.5)),
            "`temperature` is deprecated for this model",
        ),
        (
            with(
                with(plain(), "/model", "claude-opus-4-6".into()),
                "/messages",
                json!([user("a".into()), assistant("b".into())]),
            ),
            "does not support assistant message prefill",
        ),
        (
            with(plain(), "/messages", json!([user("a".into()), assistant("b ".into())])),
            "cannot end with trailing whitespace",
        ),
        (
            with(plain(), "/messages", json!([user("a".into()), {"role": "system", "content": "b"}])),
            "role 'system' is not supported on this model",
        ),
        (
            with(
                thinking(),
                "/messages",
                json!([user("a".into()), assistant(json!([tool_use("t1")])), user(json!([result("t1")]))]),
            ),
            "Expected `thinking` or `redacted_thinking`, but found `tool_use`",
        ),
        (with(plain(), "/messages/0/content", "[[sandbox:eror=1]]".into()), "eror"),
    ] {
        let (status, said) = ask(&request).refusal();
        assert!(status == 400 && said.contains(message), "wanted {message}, got {status} {said}");
    }
    assert_eq!(ask(&with(plain(), "/model", "claude-none".into())).refusal(), (404, "model: claude-none".to_owned()));
}

#[test]
fn a_signature_is_good_only_for_its_own_thought() {
    let provider = Provider::new(Kind::Anthropic);
    let first = provider.post(TARGET, &thinking()).json();
    let next = answered(&thinking(), &first);
    assert_eq!(provider.post(TARGET, &next).json()["stop_reason"], "end_turn");
    let changed = with(next, "/messages/1/content/0/thinking", "another thought".into());
    assert!(provider.post(TARGET, &changed).refusal().1.contains("Invalid `signature`"));
}

#[test]
fn system_messages_come_after_a_user_since_opus_4_8() {
    let messages = json!([{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]);
    let request = with(with(plain(), "/model", "claude-opus-4-8".into()), "/messages", messages);
    ask(&request).json();
}

#[test]
fn credentials_versions_and_paths_are_checked() {
    let provider = Provider::new(Kind::Anthropic);
    let version = || ("anthropic-version", "2023-06-01".to_owned());
    let send = |headers: &[(&str, String)]| provider.send("POST", TARGET, headers, plain().to_string()).refusal();
    assert_eq!(send(&[version()]), (401, "x-api-key header is required".to_owned()));
    assert_eq!(send(&[version(), ("x-api-key", "sk-x".to_owned())]), (401, "invalid x-api-key".to_owned()));
    assert_eq!(
        send(&[("x-api-key", "sk-sandbox".to_owned())]),
        (400, "anthropic-version: header is required".to_owned())
    );
    assert_eq!(provider.post("/v1/nothing", &plain()).refusal().0, 404);
}

#[test]
fn beta_fields_want_their_header() {
    let provider = Provider::new(Kind::Anthropic);
    let request = with(plain(), "/context_management", json!({"edits": []}));
    assert!(provider.post(TARGET, &request).refusal().1.starts_with("context_management: Extra"));
    let under = |beta: &str| {
        let headers = [
            ("x-api-key", "sk-sandbox".to_owned()),
            ("anthropic-version", "2023-06-01".to_owned()),
            ("anthropic-beta", beta.to_owned()),
        ];
        provider.send("POST", TARGET, &headers, request.to_string())
    };
    under("effort-2025-11-24, context-management-2025-06-27").json();
    assert_eq!(under("effort-2025-11-24").refusal().0, 400);
}

#[test]
fn files_are_in_the_standard_alphabet_of_base64() {
    let image =
        |data: &str| json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}});
    let content = |blocks: Value| with(plain(), "/messages/0/content", blocks);
    ask(&content(json!([image("+/8=")]))).json();
    let inside = json!({"type": "document", "source": {"type": "content", "content": [image("-_8=")]}});
    for (blocks, complaint) in [
        (json!([image("-_8=")]), "messages.0.content.0.image.source.base64: invalid base64 data"),
        (
            json!([inside]),
            "messages.0.content.0.document.source.content.content.0.image.source.base64: invalid base64 data",
        ),
    ] {
        assert_eq!(ask(&content(blocks)).refusal(), (400, complaint.to_owned()));
    }
}
