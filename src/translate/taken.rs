//! What one vendor takes and another would refuse is sent so that the other takes it.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::{Value, json};

use crate::catalog::Catalog;
use crate::config::providers::Kind;
use crate::dialect::{Dialect, RequestHead, Target};
use crate::sandbox::testing::Provider;
use crate::translate::{Strictness, Traits, decode, encode};

/// What goes to this model, whose provider has to take it, and what is reported.
fn sent_to(model: &str, caller: Dialect, body: &Value, provider: Dialect) -> (Value, Option<String>) {
    let request = decode(caller, body.to_string().as_bytes(), &RequestHead::default()).unwrap();
    let (kind, path) = match provider {
        Dialect::OpenAiChat => (Kind::OpenAi, "/v1/chat/completions".to_owned()),
        Dialect::OpenAiResponses => (Kind::OpenAi, "/v1/responses".to_owned()),
        Dialect::Anthropic => (Kind::Anthropic, "/v1/messages".to_owned()),
        Dialect::Gemini => (Kind::Gemini, format!("/v1beta/models/{model}:generateContent")),
    };
    let catalog = Catalog::embedded().unwrap();
    let entry = catalog.models().find(|entry| entry.id.as_str() == model);
    let target = Traits::embedded().unwrap().target(provider, kind, &model.into(), entry);
    let upstream = encode(&request, &target, Strictness::Report).unwrap();
    let sent: Value = serde_json::from_slice(&upstream.body).unwrap();
    let said = Provider::new(kind).post(&path, &sent);
    assert_eq!(said.status(), 200, "{provider} refuses {sent}: {}", said.text());
    (sent, upstream.losses.header())
}

fn sent(caller: Dialect, body: &Value, provider: Dialect) -> (Value, Option<String>) {
    let model = match provider {
        Dialect::OpenAiChat => "gpt-4.1",
        Dialect::OpenAiResponses => "gpt-5.1",
        Dialect::Anthropic => "claude-sonnet-4-5",
        Dialect::Gemini => "gemini-3-pro-preview",
    };
    sent_to(model, caller, body, provider)
}

fn call(id: &str) -> Value {
    json!({"type": "function_call", "call_id": id, "name": format!("f_{id}"), "arguments": "{}"})
}

fn output(id: &str) -> Value {
    json!({"type": "function_call_output", "call_id": id, "output": format!("of {id}")})
}

fn responses(input: Value) -> Value {
    json!({"model": "m", "input": input})
}

/// The types of each message's blocks, with the call's id where there is one.
fn blocks(sent: &Value) -> Vec<String> {
    let block = |block: &Value| {
        let id = block.get("id").or(block.get("tool_use_id")).and_then(Value::as_str).unwrap_or_default();
        format!("{} {id}", block["type"].as_str().unwrap()).trim().to_owned()
    };
    let message = |message: &Value| match message["content"].as_array() {
        Some(list) => list.iter().map(block).collect::<Vec<_>>().join(", "),
        None => "text".to_owned(),
    };
    sent["messages"].as_array().unwrap().iter().map(message).collect()
}

#[test]
fn a_result_that_comes_after_another_call_is_put_behind_its_own() {
    let user = json!({"role": "user", "content": "hello"});
    let input = json!([user, call("a"), call("b"), output("a"), call("c"), output("b"), output("c"), user]);
    for provider in [Dialect::OpenAiChat, Dialect::Anthropic, Dialect::Gemini] {
        let (_, header) = sent(Dialect::OpenAiResponses, &responses(input.clone()), provider);
        assert_eq!(header.as_deref(), Some("input"), "{provider}");
    }
    let (told, _) = sent(Dialect::OpenAiResponses, &responses(input), Dialect::Anthropic);
    let expected =
        ["text", "tool_use a, tool_use b", "tool_result a, tool_result b", "tool_use c", "tool_result c, text"];
    assert_eq!(blocks(&told), expected);
}

#[test]
fn results_of_many_turns_may_come_at_the_end() {
    let user = json!({"role": "user", "content": "hello"});
    let note = json!({"role": "developer", "content": "be brief"});
    let words = json!({"role": "assistant", "content": "one moment"});
    let input =
        json!([user, call("a"), user, words, call("b"), note, call("c"), output("c"), output("b"), output("a")]);
    for provider in [Dialect::OpenAiChat, Dialect::Anthropic, Dialect::Gemini] {
        sent(Dialect::OpenAiResponses, &responses(input.clone()), provider);
    }
}

#[test]
fn what_is_said_between_a_call_and_its_result_comes_before_the_call() {
    let user = json!({"role": "user", "content": "hello"});
    let words = json!({"role": "assistant", "content": "one moment"});
    let input = json!([user, call("a"), words, output("a")]);
    let header = |provider| sent(Dialect::OpenAiResponses, &responses(input.clone()), provider).1;
    assert_eq!(header(Dialect::Anthropic).as_deref(), Some("input"));
    assert_eq!(header(Dialect::Gemini), None);
    assert_eq!(header(Dialect::OpenAiChat), None);
    let (told, _) = sent(Dialect::OpenAiResponses, &responses(input), Dialect::Anthropic);
    assert_eq!(blocks(&told), ["text", "text, tool_use a", "tool_result a"]);
}

#[test]
fn calls_that_are_numbered_anew_in_each_round_keep_their_results() {
    let round = |name: &str| {
        [
            json!({"role": "assistant", "tool_calls": [
                {"id": "call_0", "type": "function", "function": {"name": name, "arguments": "{}"}}]}),
            json!({"role": "tool", "tool_call_id": "call_0", "content": format!("of {name}")}),
        ]
    };
    let mut messages = vec![json!({"role": "user", "content": "hello"})];
    messages.extend(["first", "second", "third"].into_iter().flat_map(round));
    let body = json!({"model": "m", "messages": messages});
    for provider in [Dialect::OpenAiResponses, Dialect::Anthropic, Dialect::Gemini] {
        let (told, header) = sent(Dialect::OpenAiChat, &body, provider);
        assert_eq!(header, None);
        if provider == Dialect::Gemini {
            for (place, name) in [(2, "first"), (4, "second"), (6, "third")] {
                let response = &told["contents"][place]["parts"][0]["functionResponse"];
                assert_eq!(response["name"], name);
                assert_eq!(response["response"]["output"], format!("of {name}"));
            }
        }
    }
}

#[test]
fn later_gemini_models_are_not_asked_for_what_they_do_not_give() {
    let plain = json!({"model": "m", "messages": [{"role": "user", "content": "hello"}]});
    let mut body = plain.clone();
    body["frequency_penalty"] = json!(0.2);
    body["presence_penalty"] = json!(0.2);
    body["logprobs"] = json!(true);
    for model in ["gemini-2.5-flash", "gemini-2.5-pro", "gemini-3-pro-preview", "gemini-3.5-flash"] {
        let (_, header) = sent_to(model, Dialect::OpenAiChat, &body, Dialect::Gemini);
        assert_eq!(header.as_deref(), Some("frequency_penalty,presence_penalty,logprobs"), "{model}");
    }
    assert_eq!(sent_to("gemini-2.0-flash", Dialect::OpenAiChat, &body, Dialect::Gemini).1, None);
    body = plain;
    body["frequency_penalty"] = json!(0);
    assert_eq!(sent_to("gemini-2.5-flash", Dialect::OpenAiChat, &body, Dialect::Gemini).1, None);
}

#[test]
fn a_property_that_anthropic_refuses_is_named_with_its_tool() {
    let asks = |key: &str| {
        let schema = json!({"type": "object", "properties": {"ok.A-_1": {"type": "object", "properties": {"$in": {}}}, key: {}}});
        let tool = json!({"type": "function", "function": {"name": "search", "parameters": schema}});
        json!({"model": "m", "messages": [{"role": "user", "content": "hello"}], "tools": [tool]})
    };
    let (long, longest) = ("x".repeat(65), "x".repeat(64));
    for key in ["$filter", "a b", "", long.as_str()] {
        let request = decode(Dialect::OpenAiChat, asks(key).to_string().as_bytes(), &RequestHead::default()).unwrap();
        let fault = encode(&request, &Target::unlimited(Dialect::Anthropic, "m"), Strictness::Report).unwrap_err();
        assert_eq!(fault.param.as_deref(), Some("tools[0].function.parameters"));
        assert!(fault.message.contains(&format!("{key:?} in tool search")), "{}", fault.message);
    }
    sent(Dialect::OpenAiChat, &asks(&longest), Dialect::Anthropic);
}

#[test]
fn a_choice_of_tools_without_a_mode_is_googles_default() {
    for config in [json!({}), json!({"mode": "MODE_UNSPECIFIED"}), json!({"mode": "AUTO"})] {
        let tool = json!({"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "properties": {"x": {"type": "STRING"}}}}]});
        let body = json!({"contents": [{"role": "user", "parts": [{"text": "hello"}]}], "tools": [tool],
            "toolConfig": {"functionCallingConfig": config}});
        for provider in [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::Anthropic] {
            let (told, header) = sent(Dialect::Gemini, &body, provider);
            let is_auto =
                matches!(told["tool_choice"].as_str().or(told["tool_choice"]["type"].as_str()), Some("auto") | None);
            assert!(is_auto && header.is_none(), "{provider}: {told} {header:?}");
        }
        assert_eq!(sent(Dialect::Gemini, &body, Dialect::Gemini).0["toolConfig"], body["toolConfig"]);
    }
}

#[test]
fn gpt_5_chat_is_told_what_a_model_that_does_not_think_takes() {
    let body = json!({"model": "m", "max_tokens": 2_000, "temperature": 0.5, "thinking": {"type": "disabled"},
        "messages": [{"role": "user", "content": "hello"}]});
    for model in ["gpt-5-chat-latest", "gpt-5-chat"] {
        let (told, header) = sent_to(model, Dialect::Anthropic, &body, Dialect::OpenAiResponses);
        assert_eq!((&told["temperature"], told.get("include"), told.get("reasoning")), (&json!(0.5), None, None));
        assert_eq!(header, None);
        let mut thinks = body.clone();
        thinks["thinking"] = json!({"type": "enabled", "budget_tokens": 1_024});
        thinks["temperature"] = Value::Null;
        let (_, header) = sent_to(model, Dialect::Anthropic, &thinks, Dialect::OpenAiResponses);
        assert_eq!(header.as_deref(), Some("reasoning"));
    }
    // Those that came after it think when they see fit.
    let (told, header) = sent_to("gpt-5.2-chat-latest", Dialect::Anthropic, &body, Dialect::OpenAiResponses);
    assert_eq!(told["include"], json!(["reasoning.encrypted_content"]));
    assert!(header.is_some_and(|header| header.contains("temperature")));
}
