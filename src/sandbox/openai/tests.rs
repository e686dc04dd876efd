//! Chat completions and Responses as OpenAI answers them, and as it refuses them.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod forms;

use serde_json::{Value, json};

use crate::config::providers::Kind;
use crate::sandbox::testing::{Provider, Said, city, with};

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";

fn chat(body: &Value) -> Said {
    Provider::new(Kind::OpenAi).post(CHAT, body)
}

fn responses(body: &Value) -> Said {
    Provider::new(Kind::OpenAi).post(RESPONSES, body)
}

fn plain() -> Value {
    json!({"model": "gpt-4.1", "messages": [{"role": "user", "content": "hi"}]})
}

fn tools() -> Value {
    with(
        plain(),
        "/tools",
        json!([{"type": "function", "function": {"name": "weather", "parameters": city(), "strict": true}}]),
    )
}

fn input() -> Value {
    json!({"model": "gpt-5", "input": "hi", "include": ["reasoning.encrypted_content"], "reasoning": {"summary": "auto"}})
}

fn input_tools() -> Value {
    with(
        input(),
        "/tools",
        json!([{"type": "function", "name": "weather", "parameters": city()}, {"type": "custom", "name": "patch"}]),
    )
}

#[test]
fn a_completion_has_every_field_and_its_usage_adds_up() {
    let answer = chat(&with(plain(), "/model", "gpt-5".into())).json();
    assert_eq!(
        answer.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["id", "object", "created", "model", "choices", "usage", "service_tier", "system_fingerprint"]
    );
    let usage = &answer["usage"];
    assert!(usage["completion_tokens_details"]["reasoning_tokens"].as_u64().unwrap() > 0);
    assert_eq!(
        usage["total_tokens"].as_u64().unwrap(),
        usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap()
    );
}

#[test]
fn a_chat_stream_begins_with_the_role_and_ends_with_done() {
    let said = chat(&with(plain(), "/stream", true.into()));
    let events = said.events();
    assert_eq!(events[0]["choices"][0]["delta"], json!({"role": "assistant", "content": "", "refusal": null}));
    assert_eq!(events.last().unwrap()["choices"][0]["finish_reason"], "stop");
    assert!(events.iter().all(|event| event.get("usage").is_none()), "nobody asked for usage");
    assert!(said.text().ends_with("data: [DONE]\n\n"));
}

#[test]
fn usage_comes_in_a_chunk_of_its_own_when_asked_for() {
    let request = with(with(plain(), "/stream", true.into()), "/stream_options", json!({"include_usage": true}));
    let events = chat(&request).events();
    let (last, before) = events.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert!(last["usage"]["total_tokens"].is_u64());
    assert!(before.iter().all(|event| event["usage"].is_null() && event.get("usage").is_some()));
}

#[test]
fn parallel_calls_stream_with_indexes_of_their_own() {
    let request = with(with(tools(), "/stream", true.into()), "/messages/0/content", "[[sandbox:calls=2]]".into());
    let events = chat(&request).events();
    let calls: Vec<&Value> = events.iter().filter_map(|event| event.pointer("/choices/0/delta/tool_calls/0")).collect();
    for index in 0..2 {
        let own: Vec<_> = calls.iter().filter(|call| call["index"] == index).collect();
        assert!(own[0]["id"].as_str().unwrap().starts_with("call_"));
        assert!(own[1..].iter().all(|call| call.get("id").is_none()));
        let arguments: String = own.iter().filter_map(|call| call.pointer("/function/arguments")?.as_str()).collect();
        assert!(serde_json::from_str::<Value>(&arguments).unwrap()["city"].is_string());
    }
    assert_eq!(events.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
}

#[test]
fn choices_refusals_filters_limits_and_stops() {
    let choices = chat(&with(plain(), "/n", 3.into())).json()["choices"].clone();
    assert_eq!(choices.as_array().unwrap().len(), 3);
    assert_ne!(choices[0]["message"]["content"], choices[1]["message"]["content"]);
    let refusal =
        chat(&with(plain(), "/messages/0/content", "[[sandbox:refusal]]".into())).json()["choices"][0].clone();
    assert!(refusal["message"]["refusal"].is_string() && refusal["message"]["content"].is_null());
    let filtered = chat(&with(plain(), "/messages/0/content", "[[sandbox:safety]]".into())).json();
    assert_eq!(filtered["choices"][0]["finish_reason"], "content_filter");
    let short = chat(&with(plain(), "/max_tokens", 3.into())).json();
    assert_eq!(
        (&short["choices"][0]["finish_reason"], &short["usage"]["completion_tokens"]),
        (&json!("length"), &json!(3))
    );
    let stopped = chat(&with(plain(), "/stop", "answer".into())).json();
    assert_eq!(stopped["choices"][0]["message"]["content"], "This is a simulated ");
}

#[test]
fn a_chat_tool_loop_finishes() {
    let provider = Provider::new(Kind::OpenAi);
    let first = provider.post(CHAT, &tools()).json()["choices"][0]["message"].clone();
    let result = json!({"role": "tool", "tool_call_id": first["tool_calls"][0]["id"], "content": "sunny"});
    let next = with(tools(), "/messages", json!([tools()["messages"][0], first, result]));
    let last = provider.post(CHAT, &next).json();
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert!(last["choices"][0]["message"]["content"].as_str().unwrap().contains("sunny"));
}

#[test]
fn a_response_has_every_field_and_streams_in_openais_order() {
    let whole = responses(&input()).json();
    assert_eq!(whole["output"][0]["type"], "reasoning");
    assert!(whole["output"][0]["encrypted_content"].is_string());
    assert_eq!(whole["output"][1]["content"][0]["type"], "output_text");
    let usage = &whole["usage"];
    assert_eq!(
        usage["total_tokens"].as_u64().unwrap(),
        usage["input_tokens"].as_u64().unwrap() + usage["output_tokens"].as_u64().unwrap()
    );
    let said = responses(&with(input(), "/stream", true.into()));
    assert_eq!(
        said.kinds(),
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.reasoning_summary_part.added",
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.done",
            "response.reasoning_summary_part.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let numbers: Vec<_> = said.events().iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert!(numbers.iter().zip(0..).all(|(number, index)| *number == index));
    assert!(said.text().starts_with("event: response.created\ndata: {"));
}

#[test]
fn calls_of_both_kinds_stream_and_a_responses_tool_loop_finishes() {
    let provider = Provider::new(Kind::OpenAi);
    let said = "[[sandbox:call=weather {\"city\":\"Bonn\"}]][[sandbox:call=patch *** Begin]]";
    let request =
        with(with(input_tools(), "/input", json!([{"role": "user", "content": said}])), "/stream", true.into());
    let kinds = provider.post(RESPONSES, &request).kinds();
    for kind in ["response.function_call_arguments.done", "response.custom_tool_call_input.done"] {
        assert!(kinds.iter().any(|one| one == kind), "{kinds:?}");
    }
    let whole = provider.post(RESPONSES, &with(request.clone(), "/stream", Value::Null)).json();
    let mut items = request["input"].as_array().unwrap().clone();
    for item in whole["output"].as_array().unwrap() {
        items.push(item.clone());
    }
    for (call, kind) in [(1, "function_call_output"), (2, "custom_tool_call_output")] {
        items.push(json!({"type": kind, "call_id": whole["output"][call]["call_id"], "output": "sunny"}));
    }
    let last = provider.post(RESPONSES, &with(with(request, "/stream", Value::Null), "/input", items.into())).json();
    assert_eq!(last["status"], "completed");
    assert!(last["output"][1]["content"][0]["text"].as_str().unwrap().contains("“sunny” and “sunny”"));
}

#[test]
fn tools_of_namespaces_and_of_the_input_are_called_by_their_own_names() {
    let member = json!({"type": "custom", "name": "exec", "description": ""});
    let group = json!({"type": "namespace", "name": "functions", "description": "", "tools": [member]});
    let added = json!({"type": "additional_tools", "role": "developer", "tools": [group.clone()]});
    let said = json!({"role": "user", "content": "Go [[sandbox:call=exec text(1)]]"});
    for (input, tools) in [(json!([added, said]), json!([])), (json!([said]), json!([group]))] {
        let answer = responses(&json!({"model": "gpt-6", "input": input, "tools": tools})).json();
        let call = answer["output"].as_array().unwrap().iter().find(|item| item["type"] == "custom_tool_call").unwrap();
        assert_eq!(
            (&call["name"], &call["namespace"], &call["input"]),
            (&json!("exec"), &json!("functions"), &json!("text(1)"))
        );
    }
}

#[test]
fn a_text_for_a_function_is_its_first_argument() {
    let asked = with(tools(), "/messages/0/content", json!("Go [[sandbox:call=weather Paris]]"));
    let call = chat(&asked).json()["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"].clone();
    assert_eq!(call, json!(r#"{"city":"Paris"}"#));
}

#[test]
fn an_instruction_after_results_does_not_hide_them() {
    let said = json!({"role": "user", "content": "Go"});
    let call = json!({"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"});
    let result = json!({"type": "function_call_output", "call_id": "c", "output": "sunny"});
    let input = json!([said, call, result, {"role": "developer", "content": "Be quick"}]);
    let answer = responses(&with(input_tools(), "/input", input)).json();
    assert!(answer["output"].to_string().contains("The tools answered \u{201c}sunny"), "{answer}");
}

#[test]
fn an_incomplete_response_says_why() {
    let request = with(with(input(), "/model", "gpt-4.1".into()), "/reasoning", Value::Null);
    let (status, message) = responses(&request).refusal();
    assert_eq!((status, message.as_str()), (400, "Encrypted content is not supported with this model."));
    let request = with(request, "/include", Value::Null);
    let short = responses(&with(request, "/max_output_tokens", 16.into())).json();
    assert_eq!(
        (&short["status"], &short["incomplete_details"]),
        (&json!("incomplete"), &json!({"reason": "max_output_tokens"}))
    );
    let failed =
        responses(&with(with(input(), "/stream", true.into()), "/input", "[[sandbox:stream_error=4]]".into())).events();
    let numbers: Vec<_> = failed.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5]);
    assert_eq!(failed[5]["type"], "response.failed");
}

#[test]
fn a_schema_is_answered_with_a_value_of_it() {
    let format = json!({"type": "json_schema", "json_schema": {"name": "c", "schema": city(), "strict": true}});
    let answer = chat(&with(plain(), "/response_format", format)).json();
    assert_eq!(answer["choices"][0]["message"]["content"], r#"{"city":"sandbox city"}"#);
}

#[test]
fn the_models_from_before_schemas_refuse_them() {
    let format = json!({"type": "json_schema", "json_schema": {"name": "c", "schema": city()}});
    let text = json!({"format": {"type": "json_schema", "name": "c", "schema": city()}});
    for (model, status) in [
        ("gpt-4", 400),
        ("gpt-3.5-turbo", 400),
        ("gpt-4-turbo", 400),
        ("gpt-4o-2024-05-13", 400),
        ("gpt-4o", 200),
        ("gpt-4.1", 200),
    ] {
        let asked = chat(&with(with(plain(), "/response_format", format.clone()), "/model", model.into()));
        let answer = responses(&json!({"model": model, "input": "hi", "text": text}));
        for said in [asked, answer] {
            let (code, message) = said.refusal();
            assert_eq!(code, status, "{model}: {message}");
            assert_eq!(message.contains("not supported with this model"), status == 400, "{model}: {message}");
        }
    }
}

#[test]
fn what_chat_refuses_is_refused_in_its_words() {
    let call = json!({"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]});
    let user = || json!({"role": "user", "content": "a"});
    let tool = |parameters: Value| json!({"type": "function", "function": {"name": "list", "parameters": parameters}});
    for (request, status, message, code) in [
        (with(plain(), "/foo", 1.into()), 400, "Unrecognized request argument supplied: foo", None),
        (with(plain(), "/model", Value::Null), 400, "you must provide a model parameter", None),
        (
            with(plain(), "/messages", Value::Null),
            400,
            "Missing required parameter: 'messages'.",
            Some("missing_required_parameter"),
        ),
        (
            with(plain(), "/messages/0/foo", 1.into()),
            400,
            "Unknown parameter: 'messages[0].foo'.",
            Some("unknown_parameter"),
        ),
        (
            with(plain(), "/messages/0/content", 1.into()),
            400,
            "Invalid type for 'messages[0].content': expected one of a string or an array of objects, but got an integer instead.",
            Some("invalid_type"),
        ),
        (
            with(plain(), "/messages/0/role", "bot".into()),
            400,
            "Invalid value: 'bot'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.",
            Some("invalid_value"),
        ),
        (
            with(plain(), "/temperature", json!(2.5)),
            400,
            "Expected a value <= 2, but got 2.5 instead.",
            Some("decimal_above_max_value"),
        ),
        (with(plain(), "/model", "gpt-none".into()), 404, "does not exist", Some("model_not_found")),
        (
            with(plain(), "/user", "u".repeat(65).into()),
            400,
            "Invalid 'user': string too long. Expected a string with maximum length 64, but got a string with length 65 instead.",
            Some("string_above_max_length"),
        ),
        (
            with(plain(), "/tools", json!([tool(json!({"type": "object"}))])),
            400,
            "In context=(), object schema missing properties.",
            Some("invalid_function_parameters"),
        ),
        (
            with(plain(), "/tools", json!([tool(json!({"type": "object", "properties": {"a": {"type": "array"}}}))])),
            400,
            "In context=('properties', 'a'), array schema missing items.",
            Some("invalid_function_parameters"),
        ),
        (
            with(with(plain(), "/model", "gpt-5".into()), "/max_tokens", 5.into()),
            400,
            "Use 'max_completion_tokens' instead",
            Some("unsupported_parameter"),
        ),
        (
            with(plain(), "/messages", json!([user(), call])),
            400,
            "The following tool_call_ids did not have response messages: c1",
            None,
        ),
        (
            with(plain(), "/messages", json!([user(), {"role": "tool", "tool_call_id": "c1", "content": "x"}])),
            400,
            "messages with role 'tool' must be a response",
            None,
        ),
        (
            with(plain(), "/stream_options", json!({"include_usage": true})),
            400,
            "only allowed when 'stream' is enabled",
            None,
        ),
        (with(plain(), "/tool_choice", "auto".into()), 400, "only allowed when 'tools' are specified", None),
        (
            with(tools(), "/tools/0/function/parameters/additionalProperties", Value::Null),
            400,
            "'additionalProperties' is required to be supplied and to be false",
            Some("invalid_function_parameters"),
        ),
        (with(tools(), "/tools/0/function/name", "a.b".into()), 400, "does not match pattern", Some("invalid_value")),
    ] {
        let said = chat(&request);
        let (got, words) = said.refusal();
        assert!(got == status && words.contains(message), "wanted {message}, got {got} {words}");
        let body: Value = serde_json::from_str(&said.text()).unwrap();
        assert_eq!(body["error"]["code"].as_str(), code, "{words}");
    }
}

#[test]
fn what_responses_refuses_is_refused_in_its_words() {
    let item = |item: Value| with(input(), "/input", json!([{"role": "user", "content": "a"}, item]));
    for (request, status, message) in [
        (with(input(), "/foo", 1.into()), 400, "Unknown parameter: 'foo'."),
        (with(input(), "/input", Value::Null), 400, "Missing required parameter: 'input'."),
        (with(input(), "/model", "gpt-none".into()), 400, "The requested model 'gpt-none' does not exist."),
        (with(input(), "/include/0", "thoughts".into()), 400, "Invalid value: 'thoughts'."),
        (
            item(json!({"type": "function_call", "call_id": "c1", "name": "a", "arguments": "{}"})),
            400,
            "No tool output found for function call c1.",
        ),
        (
            item(json!({"type": "function_call_output", "call_id": "c1", "output": "x"})),
            400,
            "No tool call found for function call output with call_id c1.",
        ),
        (
            item(json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "abcd"})),
            400,
            "could not be verified",
        ),
        (item(json!({"type": "reasoning", "id": "rs_1", "summary": []})), 404, "Item with id 'rs_1' not found."),
        (
            item(json!({"type": "message", "role": "assistant", "content": [{"type": "input_text", "text": "a"}]})),
            400,
            "Supported values are: 'output_text' and 'refusal'.",
        ),
        (item(json!({"type": "dance"})), 400, "Invalid value: 'dance'."),
        (with(input(), "/temperature", json!(0.2)), 400, "'temperature' is not supported with this model"),
        (with(input(), "/previous_response_id", "resp_1".into()), 400, "Previous response with id 'resp_1' not found."),
    ] {
        let (got, words) = responses(&request).refusal();
        assert!(got == status && words.contains(message), "wanted {message}, got {got} {words}");
    }
}

#[test]
fn credentials_and_paths_are_checked() {
    let provider = Provider::new(Kind::OpenAi);
    let send = |headers: &[(&str, String)]| provider.send("POST", CHAT, headers, plain().to_string()).refusal();
    assert!(send(&[]).1.starts_with("You didn't provide an API key"));
    let (status, message) = send(&[("authorization", "Bearer sk-wrong-key".to_owned())]);
    assert!(status == 401 && message.starts_with("Incorrect API key provided: sk-wrong***"), "{message}");
    assert_eq!(provider.post("/v1/nothing", &plain()).refusal(), (404, "Invalid URL (POST /v1/nothing)".to_owned()));
    let counted = provider.post("/v1/responses/input_tokens", &json!({"model": "gpt-5", "input": "12345678"})).json();
    assert_eq!(counted, json!({"object": "response.input_tokens", "input_tokens": 2}));
}

#[test]
fn models_that_only_responses_has_are_not_found_on_chat() {
    for model in ["gpt-5-pro", "o1-pro-2025-03-19", "gpt-5.1-codex-max", "codex-mini-latest", "o3-deep-research"] {
        let refusal = chat(&with(plain(), "/model", model.into()));
        assert_eq!(refusal.0.status, 404, "{model}");
        assert_eq!(
            serde_json::from_str::<Value>(&refusal.text()).unwrap()["error"],
            json!({"message": "This model is only supported in v1/responses and not in v1/chat/completions.",
                "type": "invalid_request_error", "param": "model", "code": null})
        );
        assert_eq!(responses(&json!({"model": model, "input": "hi"})).0.status, 200, "{model}");
    }
}

#[test]
fn files_are_in_the_standard_alphabet_of_base64() {
    let url = |data: &str| format!("data:image/png;base64,{data}");
    let shown = |data: &str| {
        let part = json!({"type": "image_url", "image_url": {"url": url(data)}});
        chat(&with(plain(), "/messages/0/content", json!([part])))
    };
    let told = |data: &str| {
        let item = json!({"role": "user", "content": [{"type": "input_image", "image_url": url(data)}]});
        responses(&with(input(), "/input", json!([item])))
    };
    shown("+/8=").json();
    told("+/8=").json();
    for (said, param) in
        [(shown("-_8="), "messages[0].content[0].image_url.url"), (told("-_8="), "input[0].content[0].image_url")]
    {
        let (status, said) = said.refusal();
        assert_eq!(status, 400);
        assert!(said.starts_with(&format!("Invalid '{param}'. Expected a base64-encoded data URL")), "{said}");
    }
}
