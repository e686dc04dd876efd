//! A form that is asked of a model which has none: by a tool that it must call, undone in the answer, whole and streamed.
#![expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic")]

use serde_json::{Value, json};

use super::codecs::AnyDecoder;
use super::{Strictness, Transcoder, Upstream, decode, encode};
use crate::dialect::{Asked, Capabilities, Delivery, Dialect, RequestHead, StructuredOutput, Target, sse};
use crate::fault::Fault;
use crate::ir::{FinishReason, Fold, Part, Request};

const CHAT: Dialect = Dialect::OpenAiChat;
const RESPONSES: Dialect = Dialect::OpenAiResponses;
const MESSAGES: Dialect = Dialect::Anthropic;
const GEMINI: Dialect = Dialect::Gemini;

fn schema() -> Value {
    json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false})
}

/// A question whose answer has a form.
fn question(caller: Dialect, schema: &Value) -> Value {
    match caller {
        Dialect::OpenAiChat => json!({"model": "m", "messages": [{"role": "user", "content": "x"}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "c", "schema": schema}}}),
        Dialect::OpenAiResponses => {
            json!({"model": "m", "input": "x", "text": {"format": {"type": "json_schema", "name": "c", "schema": schema}}})
        }
        Dialect::Anthropic => json!({"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "x"}],
            "output_config": {"format": {"type": "json_schema", "schema": schema}}}),
        Dialect::Gemini => json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}],
            "generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": schema}}),
    }
}

/// A model that has no forms.
fn formless(provider: Dialect) -> Target {
    let can = Capabilities { structured_output: StructuredOutput::ForcedTool, ..Capabilities::unlimited(provider) };
    Target { can, ..Target::unlimited(provider, "m") }
}

fn ask(caller: Dialect, target: &Target, body: &Value) -> Result<(Value, Upstream), Fault> {
    let head = RequestHead { model: Some("m".to_owned()), ..RequestHead::default() };
    let upstream = encode(&decode(caller, body.to_string().as_bytes(), &head)?, target, Strictness::Report)?;
    Ok((serde_json::from_slice(&upstream.body).unwrap(), upstream))
}

/// The two providers, each with its other callers.
fn pairs() -> impl Iterator<Item = (Dialect, Dialect)> {
    let callers = |provider| Dialect::ALL.into_iter().filter(move |caller| *caller != provider);
    [CHAT, RESPONSES].into_iter().flat_map(move |provider| callers(provider).map(move |caller| (caller, provider)))
}

/// The text of an answer, and why it ended.
fn said(caller: Dialect, answer: &Value) -> (Value, Value) {
    let (text, end) = match caller {
        Dialect::OpenAiChat => ("/choices/0/message/content", "/choices/0/finish_reason"),
        Dialect::OpenAiResponses => ("/output/0/content/0/text", "/status"),
        Dialect::Anthropic => ("/content/0/text", "/stop_reason"),
        Dialect::Gemini => ("/candidates/0/content/parts/0/text", "/candidates/0/finishReason"),
    };
    let at = |place| answer.pointer(place).cloned().unwrap_or_default();
    (at(text), at(end))
}

fn end_of(caller: Dialect) -> &'static str {
    match caller {
        Dialect::OpenAiChat => "stop",
        Dialect::OpenAiResponses => "completed",
        Dialect::Anthropic => "end_turn",
        Dialect::Gemini => "STOP",
    }
}

#[test]
fn openais_models_without_forms_are_asked_for_one_by_a_tool_that_they_must_call() {
    for (caller, provider) in pairs() {
        let (sent, upstream) = ask(caller, &formless(provider), &question(caller, &schema())).unwrap();
        assert_eq!(upstream.adaptions.json_tool.as_deref(), Some("final_answer"), "{caller} to {provider}");
        // Where a form always binds, the caller hears that it does not here.
        let lost = match caller {
            Dialect::OpenAiChat | Dialect::OpenAiResponses => None,
            Dialect::Anthropic => Some("output_config.format"),
            Dialect::Gemini => Some("generationConfig.responseMimeType"),
        };
        assert_eq!(upstream.losses.header().as_deref(), lost, "{caller} to {provider}");
        let (tool, choice, field) = match provider {
            Dialect::OpenAiChat => (
                &sent["tools"][0]["function"],
                json!({"type": "function", "function": {"name": "final_answer"}}),
                "response_format",
            ),
            _ => (&sent["tools"][0], json!({"type": "function", "name": "final_answer"}), "text"),
        };
        assert_eq!((&tool["name"], &tool["parameters"]), (&json!("final_answer"), &schema()), "{caller} to {provider}");
        assert_eq!((&sent["tool_choice"], sent.get(field)), (&choice, None), "{caller} to {provider}");

        let native = ask(caller, &Target::unlimited(provider, "m"), &question(caller, &schema())).unwrap();
        assert!(native.0.get(field).is_some() && native.0.get("tools").is_none(), "{caller} to {provider}");
    }
}

const ARGUMENTS: &str = r#"{"city":"Paris"}"#;

/// A whole answer that calls the tool.
fn called_whole(provider: Dialect) -> Value {
    match provider {
        Dialect::OpenAiChat => {
            let call =
                json!({"id": "c", "type": "function", "function": {"name": "final_answer", "arguments": ARGUMENTS}});
            let message = json!({"role": "assistant", "content": null, "tool_calls": [call]});
            json!({"id": "1", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
        }
        _ => {
            let item = json!({"type": "function_call", "id": "fc", "call_id": "c", "name": "final_answer", "arguments": ARGUMENTS, "status": "completed"});
            json!({"id": "1", "object": "response", "created_at": 1, "model": "m", "status": "completed", "output": [item]})
        }
    }
}

/// The same, streamed in small pieces.
fn called_in_pieces(provider: Dialect) -> Vec<u8> {
    let pieces = ARGUMENTS.as_bytes().chunks(3).map(|piece| std::str::from_utf8(piece).unwrap());
    let mut bytes = Vec::new();
    let mut tell = |event: Value| sse::write_json(&mut bytes, &event);
    match provider {
        Dialect::OpenAiChat => {
            let chunk = |delta: Value, finish: Value| {
                json!({"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m",
                    "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
            };
            let call = json!({"index": 0, "id": "c", "type": "function", "function": {"name": "final_answer", "arguments": ""}});
            tell(chunk(json!({"role": "assistant", "content": null, "tool_calls": [call]}), Value::Null));
            for piece in pieces {
                let more = json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]});
                tell(chunk(more, Value::Null));
            }
            tell(chunk(json!({}), json!("stop")));
            sse::write(&mut bytes, "[DONE]");
        }
        _ => {
            let whole = called_whole(provider);
            let begun = json!({"id": "1", "object": "response", "created_at": 1, "model": "m", "status": "in_progress", "output": []});
            let open = json!({"type": "function_call", "id": "fc", "call_id": "c", "name": "final_answer", "arguments": "", "status": "in_progress"});
            tell(json!({"type": "response.created", "response": begun}));
            tell(json!({"type": "response.output_item.added", "output_index": 0, "item": open}));
            for piece in pieces {
                tell(
                    json!({"type": "response.function_call_arguments.delta", "item_id": "fc", "output_index": 0, "delta": piece}),
                );
            }
            tell(
                json!({"type": "response.function_call_arguments.done", "item_id": "fc", "output_index": 0, "arguments": ARGUMENTS}),
            );
            tell(json!({"type": "response.output_item.done", "output_index": 0, "item": whole["output"][0]}));
            tell(json!({"type": "response.completed", "response": whole}));
        }
    }
    bytes
}

#[test]
fn the_arguments_of_that_tool_are_the_answer_whole_and_streamed() {
    for (caller, provider) in pairs() {
        let (_, upstream) = ask(caller, &formless(provider), &question(caller, &schema())).unwrap();
        let transcoder = |delivery| {
            let asked = Asked::by(&Request { stream_usage: Some(true), ..Request::default() }, delivery).known_as("1");
            Transcoder::new(caller, provider, asked, upstream.adaptions.clone())
        };
        let answer = transcoder(Delivery::Whole).whole(called_whole(provider).to_string().as_bytes()).unwrap();
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(said(caller, &answer), (json!(ARGUMENTS), json!(end_of(caller))), "{provider} to {caller}");

        let mut stream = transcoder(Delivery::Events).stream().unwrap();
        let mut told = Vec::new();
        stream.push(&called_in_pieces(provider), &mut told);
        stream.finish(&mut told);
        let mut decoder = AnyDecoder::new(caller).unwrap();
        let mut events = Vec::new();
        sse::Parser::new().push(&told, |data| decoder.push(data, &mut events)).unwrap();
        decoder.finish(&mut events);
        let fold: Fold = events.into_iter().collect();
        let choice = &fold.response().choices[0];
        let texts: Vec<_> = choice.parts.iter().map(Part::as_text).collect();
        assert_eq!(texts, [Some(ARGUMENTS)], "{provider} to {caller}");
        assert_eq!(choice.finish.as_ref().unwrap().reason, FinishReason::Stop, "{provider} to {caller}");
    }
}

#[test]
fn tools_of_the_callers_stay_beside_that_tool_and_its_choice_is_kept() {
    let mut body = question(RESPONSES, &schema());
    body["tools"] = json!([{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}},
        {"type": "custom", "name": "final_answer"}]);
    let target = {
        let mut target = formless(CHAT);
        target.can.custom_tools = false;
        target
    };
    let function = |name: &str| json!({"type": "function", "function": {"name": name}});
    for (asked, sent) in [
        (Value::Null, json!("required")),
        (json!("auto"), json!("required")),
        (json!("none"), function("final_answer_")),
        (json!({"type": "function", "name": "f"}), function("f")),
        // A custom tool went as a function.
        (json!({"type": "custom", "name": "final_answer"}), function("final_answer")),
        (
            json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}),
            json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [function("f"), function("final_answer_")]}}),
        ),
    ] {
        body["tool_choice"] = asked.clone();
        let (wire, upstream) = ask(RESPONSES, &target, &body).unwrap();
        let names: Vec<_> = wire["tools"].as_array().unwrap().iter().map(|tool| &tool["function"]["name"]).collect();
        assert_eq!(names, ["f", "final_answer", "final_answer_"], "{asked}");
        assert_eq!(
            (&wire["tool_choice"], upstream.adaptions.json_tool.as_deref()),
            (&sent, Some("final_answer_")),
            "{asked}"
        );
    }
}

#[test]
fn where_no_tool_helps_the_provider_judges_the_form() {
    for provider in [CHAT, RESPONSES] {
        let mut no_tools = formless(provider);
        no_tools.can.tools = false;
        let all = ask(MESSAGES, &Target::unlimited(provider, "m"), &question(MESSAGES, &schema())).unwrap();
        let (sent, upstream) = ask(MESSAGES, &no_tools, &question(MESSAGES, &schema())).unwrap();
        assert_eq!((sent, upstream.adaptions), (all.0, all.1.adaptions), "{provider}");
        // JSON of any form is another thing.
        let (_, upstream) = ask(GEMINI, &formless(provider), &any_json("x")).unwrap();
        assert_eq!(upstream.adaptions.json_tool, None, "{provider}");
    }
}

/// A question whose answer is JSON of any form.
fn any_json(text: &str) -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": text}]}], "generationConfig": {"responseMimeType": "application/json"}})
}

/// The form that was asked for, as the provider reads it.
fn form(provider: Dialect, sent: &Value) -> Value {
    match provider {
        Dialect::OpenAiChat => sent["response_format"]["json_schema"].clone(),
        _ => sent["text"]["format"].clone(),
    }
}

/// The pairs whose callers know nothing of what OpenAI asks of schemas.
fn from_abroad() -> impl Iterator<Item = (Dialect, Dialect)> {
    pairs().filter(|(caller, _)| matches!(caller, Dialect::Anthropic | Dialect::Gemini))
}

#[test]
fn a_form_that_always_binds_is_held_to_the_letter_where_openai_can() {
    let open = json!({"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "string"}}, "required": ["city"]});
    for (caller, provider) in from_abroad() {
        let target = Target::unlimited(provider, "m");
        let (sent, upstream) = ask(caller, &target, &question(caller, &schema())).unwrap();
        let form = |sent: &Value| form(provider, sent);
        assert_eq!(
            (&form(&sent)["strict"], &form(&sent)["schema"]),
            (&json!(true), &schema()),
            "{caller} to {provider}"
        );
        assert_eq!((upstream.losses.header(), upstream.adaptions.wrapped), (None, false), "{caller} to {provider}");
        let (sent, upstream) = ask(caller, &target, &question(caller, &open)).unwrap();
        assert_eq!((form(&sent).get("strict"), &form(&sent)["schema"]), (None, &open), "{caller} to {provider}");
        assert!(upstream.losses.header().is_some(), "{caller} to {provider}");
    }
    // OpenAI's own callers say it themselves.
    let (sent, upstream) = ask(CHAT, &Target::unlimited(RESPONSES, "m"), &question(CHAT, &open)).unwrap();
    assert_eq!((form(RESPONSES, &sent).get("strict"), upstream.losses.header()), (None, None));
}

#[test]
fn a_form_that_is_no_object_is_asked_for_in_one() {
    let list = json!({"type": "array", "items": {"type": "string"}});
    let around =
        json!({"type": "object", "properties": {"value": list}, "required": ["value"], "additionalProperties": false});
    for (caller, provider) in from_abroad() {
        let (sent, upstream) = ask(caller, &Target::unlimited(provider, "m"), &question(caller, &list)).unwrap();
        let form = form(provider, &sent);
        assert_eq!((&form["schema"], &form["strict"]), (&around, &json!(true)), "{caller} to {provider}");
        assert!(upstream.adaptions.wrapped && upstream.losses.header().is_none(), "{caller} to {provider}");
        let (sent, upstream) = ask(caller, &formless(provider), &question(caller, &list)).unwrap();
        let tool = &sent["tools"][0];
        let parameters = tool.pointer("/function/parameters").unwrap_or(&tool["parameters"]);
        assert_eq!((parameters, upstream.adaptions.wrapped), (&around, true), "{caller} to {provider}");
    }
}

#[test]
fn json_of_any_form_is_asked_for_in_words_too_unless_the_caller_did() {
    for provider in [CHAT, RESPONSES] {
        let target = Target::unlimited(provider, "m");
        let (sent, upstream) = ask(GEMINI, &target, &any_json("List three.")).unwrap();
        let first = &sent[if provider == CHAT { "messages" } else { "input" }][0];
        assert!(first.to_string().contains("Answer in JSON.") && first["role"] != "user", "{sent}");
        assert_eq!(upstream.losses.header().as_deref(), Some("generationConfig.responseMimeType"), "{provider}");
        let (sent, upstream) = ask(GEMINI, &target, &any_json("List three as Json.")).unwrap();
        assert!(!sent.to_string().contains("Answer in JSON."), "{sent}");
        assert_eq!(upstream.losses.header(), None, "{provider}");
        // A model that has nothing of the kind.
        let mut older = target;
        older.can.json_object = false;
        let (sent, upstream) = ask(GEMINI, &older, &any_json("List three.")).unwrap();
        assert_eq!(upstream.adaptions.json_tool.as_deref(), Some("final_answer"), "{provider}");
        assert!(sent.get("text").is_none() && sent.get("response_format").is_none(), "{sent}");
    }
}

#[test]
fn json_of_any_form_beside_functions_is_one_more_function_where_gemini_has_no_other_way() {
    let mut older = Target::unlimited(GEMINI, "m");
    older.can.json_beside_tools = false;
    let tool =
        json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}});
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "JSON, please"}], "tools": [tool],
        "response_format": {"type": "json_object"}});
    let (sent, upstream) = ask(CHAT, &older, &body).unwrap();
    let last = &sent["tools"][0]["functionDeclarations"][1];
    assert_eq!(upstream.adaptions.json_tool.as_deref(), Some("final_answer"));
    assert_eq!(last["parametersJsonSchema"], json!({"type": "object", "additionalProperties": true}));
    assert_eq!(sent["toolConfig"]["functionCallingConfig"], json!({"mode": "ANY"}));
}

#[test]
fn a_function_is_an_object_without_choices_at_its_top() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "anyOf": [{"required": ["a"]}]});
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}],
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": schema}]}]});
    for provider in [CHAT, RESPONSES] {
        let (sent, upstream) = ask(GEMINI, &Target::unlimited(provider, "m"), &body).unwrap();
        let tool = &sent["tools"][0];
        let parameters = tool.pointer("/function/parameters").unwrap_or(&tool["parameters"]);
        assert_eq!(parameters["description"], "It must match {\"anyOf\":[{\"required\":[\"a\"]}]}", "{provider}");
        assert!(parameters.get("anyOf").is_none(), "{provider}");
        let lost: Vec<&str> = upstream.losses.iter().map(|loss| loss.field.as_str()).collect();
        assert_eq!(lost, ["tools[0].functionDeclarations[0].parametersJsonSchema"], "{provider}");
    }
}
