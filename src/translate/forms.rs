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
        assert_eq!(upstream.losses.header(), None, "{caller} to {provider}");
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
fn a_form_that_no_tools_arguments_can_have_is_refused() {
    let refused = |target: &Target, schema: &Value| {
        ask(MESSAGES, target, &question(MESSAGES, schema)).unwrap_err().param.unwrap()
    };
    for provider in [CHAT, RESPONSES] {
        assert_eq!(refused(&formless(provider), &json!({"type": "array"})), "output_config.format", "{provider}");
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
        // JSON of any form is another thing, which all of them have.
        let mut any = question(GEMINI, &schema());
        any["generationConfig"] = json!({"responseMimeType": "application/json"});
        let (_, upstream) = ask(GEMINI, &formless(provider), &any).unwrap();
        assert_eq!(upstream.adaptions.json_tool, None, "{provider}");
    }
}
