//! What fuzzing and random values found, each as it was found.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::{Value, json};

use super::{Strictness, Transcoder, decode, encode};
use crate::dialect::{Adaptions, Asked, Delivery, Dialect, Off, ReasoningStyle, RequestHead, Target};
use crate::ir::{Origin, Request, Seal, SealKind};

fn whole(caller: Dialect, provider: Dialect, answer: &Value) -> Value {
    let asked = Asked::by(&Request::default(), Delivery::Whole);
    let transcoder = Transcoder::new(caller, provider, asked, Adaptions::default());
    serde_json::from_slice(&transcoder.whole(answer.to_string().as_bytes()).unwrap().body).unwrap()
}

#[test]
fn a_call_without_an_input_has_arguments_that_are_json_whatever_else_it_says() {
    let call = json!({"type": "tool_use", "id": "toolu_1", "name": "now", "unknown": 1});
    let answer = json!({"id": "msg_1", "type": "message", "role": "assistant", "content": [call]});
    let chat = whole(Dialect::OpenAiChat, Dialect::Anthropic, &answer);
    assert_eq!(chat["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], "{}");
    let responses = whole(Dialect::OpenAiResponses, Dialect::Anthropic, &answer);
    assert_eq!(responses["output"][0]["arguments"], "{}");
}

#[test]
fn what_a_provider_keeps_is_refused_with_a_model_of_another() {
    for (dialect, field, body) in [
        (
            Dialect::OpenAiResponses,
            "previous_response_id",
            json!({"model": "m", "input": "x", "previous_response_id": "resp_1"}),
        ),
        (
            Dialect::OpenAiResponses,
            "conversation",
            json!({"model": "m", "input": "x", "conversation": {"id": "conv_1"}}),
        ),
        (
            Dialect::Anthropic,
            "container",
            json!({"model": "m", "max_tokens": 9, "container": "c_1", "messages": [{"role": "user", "content": "x"}]}),
        ),
        (
            Dialect::Gemini,
            "cachedContent",
            json!({"contents": [{"parts": [{"text": "x"}]}], "cachedContent": "cachedContents/1"}),
        ),
    ] {
        let head = RequestHead { model: Some("m".to_owned()), ..RequestHead::default() };
        let request = decode(dialect, body.to_string().as_bytes(), &head).unwrap();
        for provider in Dialect::ALL.into_iter().filter(|provider| *provider != dialect) {
            let fault = encode(&request, &Target::unlimited(provider, "m"), Strictness::Report).unwrap_err();
            assert_eq!((fault.kind.status(), fault.param.as_deref()), (400, Some(field)));
        }
    }
}

/// Deeper than JSON is read.
fn deep() -> String {
    format!("{}{}", "[".repeat(5_000), "]".repeat(5_000))
}

#[test]
fn an_answer_that_is_nested_too_deeply_is_nonsense_and_not_a_crash() {
    for provider in Dialect::ALL {
        for caller in Dialect::ALL {
            let asked = Asked::by(&Request::default(), Delivery::Events);
            let transcoder = Transcoder::new(caller, provider, asked, Adaptions::default());
            let fault = transcoder.whole(format!("{{\"id\":\"1\",\"x\":{}}}", deep()).as_bytes()).unwrap_err();
            assert_eq!(fault.kind.status(), 502);
            let mut stream = transcoder.stream().unwrap();
            let mut out = Vec::new();
            stream.push(format!("data: {{\"type\":\"x\",\"x\":{}}}\n\n", deep()).as_bytes(), &mut out);
            stream.finish(&mut out);
            assert!(stream.told().error.is_some() && !stream.told().is_complete, "{provider} to {caller}");
        }
    }
}

#[test]
fn a_request_that_is_nested_too_deeply_is_refused_wherever_it_is() {
    for caller in Dialect::ALL {
        let head = RequestHead { model: Some("m".to_owned()), ..RequestHead::default() };
        let fault = decode(caller, format!("{{\"model\":\"m\",\"x\":{}}}", deep()).as_bytes(), &head).unwrap_err();
        assert_eq!((fault.kind.status(), fault.kind.code()), (400, "invalid_json"));
        assert!(fault.message.contains("recursion"), "{}", fault.message);
    }
}

#[test]
fn arguments_that_are_nested_too_deeply_are_wrapped_as_a_text() {
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "f", "arguments": deep()}});
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"},
        {"role": "assistant", "content": null, "tool_calls": [call]}, {"role": "tool", "tool_call_id": "call_1", "content": "x"}]});
    let request = decode(Dialect::OpenAiChat, body.to_string().as_bytes(), &RequestHead::default()).unwrap();
    for provider in [Dialect::Anthropic, Dialect::Gemini] {
        let upstream = encode(&request, &Target::unlimited(provider, "m"), Strictness::Report).unwrap();
        let sent: Value = serde_json::from_slice(&upstream.body).unwrap();
        assert!(sent.to_string().contains("raw_arguments"));
        assert!(!upstream.losses.is_empty());
    }
}

#[test]
fn numbers_come_out_as_they_went_in_to_their_last_digit() {
    for number in ["1.022222222222222e+65", "0.30000000000000004", "-0.00012345678901234567"] {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],"later":{number}}}"#);
        let request = decode(Dialect::OpenAiChat, body.as_bytes(), &RequestHead::default()).unwrap();
        let sent = encode(&request, &Target::unlimited(Dialect::OpenAiChat, "m"), Strictness::Report).unwrap().body;
        let again = decode(Dialect::OpenAiChat, &sent, &RequestHead::default()).unwrap();
        assert_eq!(again.carry, request.carry, "{number}");
        assert!(String::from_utf8(sent).unwrap().contains(number), "{number}");
    }
}

fn told(caller: Dialect, target: &Target, body: &Value) -> (Value, Option<String>) {
    let request = decode(caller, body.to_string().as_bytes(), &RequestHead::default()).unwrap();
    let upstream = encode(&request, target, Strictness::Report).unwrap();
    (serde_json::from_slice(&upstream.body).unwrap(), upstream.losses.header())
}

#[test]
fn a_jpeg_has_the_type_that_every_vendor_takes() {
    for written in ["image/jpg", "image/JPG", "image/JPEG", "image/jpeg"] {
        let image = json!({"type": "image_url", "image_url": {"url": format!("data:{written};base64,AAAA")}});
        let body = json!({"model": "m", "messages": [{"role": "user", "content": [image]}]});
        for (dialect, pointer, expected) in [
            (Dialect::Anthropic, "/messages/0/content/0/source/media_type", "image/jpeg"),
            (Dialect::Gemini, "/contents/0/parts/0/inlineData/mimeType", "image/jpeg"),
            (Dialect::OpenAiResponses, "/input/0/content/0/image_url", "data:image/jpeg;base64,AAAA"),
        ] {
            let (sent, losses) = told(Dialect::OpenAiChat, &Target::unlimited(dialect, "m"), &body);
            assert_eq!((sent.pointer(pointer), losses), (Some(&json!(expected)), None), "{written}: {sent}");
        }
    }
}

#[test]
fn a_conversation_that_a_call_begins_has_a_users_turn_before_it_with_gemini() {
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "now", "arguments": "{}"}});
    let of = |first: Value| {
        let result = json!({"role": "tool", "tool_call_id": "call_1", "content": "noon"});
        let question = json!({"role": "user", "content": "When?"});
        let messages = if first["tool_calls"].is_null() { json!([first, question]) } else { json!([first, result]) };
        let body = json!({"model": "m", "messages": messages});
        told(Dialect::OpenAiChat, &Target::unlimited(Dialect::Gemini, "gemini-2.5-pro"), &body)
    };
    let (sent, losses) = of(json!({"role": "assistant", "tool_calls": [call]}));
    let roles: Vec<_> = sent["contents"].as_array().unwrap().iter().map(|content| &content["role"]).collect();
    assert_eq!(roles, ["user", "model", "user"]);
    assert_eq!(losses.as_deref(), Some("messages"));
    // The model's words may come first.
    let (sent, losses) = of(json!({"role": "assistant", "content": "Welcome."}));
    assert_eq!((&sent["contents"][0]["role"], losses), (&json!("model"), None));
}

#[test]
fn a_refusal_in_words_is_no_clean_stop_for_googles_callers() {
    let answer = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4.1", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": null, "refusal": "I cannot."}, "finish_reason": "stop"},
    ]});
    let candidate = whole(Dialect::Gemini, Dialect::OpenAiChat, &answer)["candidates"][0].clone();
    assert_eq!((&candidate["finishReason"], &candidate["finishMessage"]), (&json!("SAFETY"), &json!("refusal")));
    assert_eq!(candidate["content"]["parts"], json!([{"text": "I cannot."}]));

    let delta = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4.1", "choices": [choice]});
        format!("data: {chunk}\n\n")
    };
    let stream = [
        delta(json!({"role": "assistant", "content": "", "refusal": "I "}), Value::Null),
        delta(json!({"refusal": "cannot."}), Value::Null),
        delta(json!({}), json!("stop")),
        "data: [DONE]\n\n".to_owned(),
    ];
    let asked = Asked::by(&Request::default(), Delivery::Events);
    let transcoder = Transcoder::new(Dialect::Gemini, Dialect::OpenAiChat, asked, Adaptions::default());
    let (mut transcoded, mut heard) = (transcoder.stream().unwrap(), Vec::new());
    transcoded.push(stream.concat().as_bytes(), &mut heard);
    transcoded.finish(&mut heard);
    let heard = String::from_utf8(heard).unwrap();
    assert!(heard.contains("\"finishReason\":\"SAFETY\",\"finishMessage\":\"refusal\""), "{heard}");
    assert!(!heard.contains("\"STOP\""), "{heard}");
}

#[test]
fn thinking_goes_on_in_later_steps_of_a_tool_loop_which_have_no_thoughts_of_their_own() {
    let seal = Seal::read(Origin::Anthropic, SealKind::Signature, "sig".to_owned()).unwrap();
    let signature = seal.text_for(Origin::OpenAi, SealKind::Signature);
    let thought = json!({"type": "reasoning.text", "text": "Hm.", "signature": signature});
    let call = |id: &str| json!([{"id": id, "type": "function", "function": {"name": "now", "arguments": "{}"}}]);
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "noon"});
    let body = json!({"model": "m", "reasoning_effort": "medium", "messages": [
        {"role": "user", "content": "When?"},
        {"role": "assistant", "reasoning_details": [thought], "tool_calls": call("toolu_1")},
        result("toolu_1"),
        {"role": "assistant", "tool_calls": call("toolu_2")},
        result("toolu_2"),
    ]});
    let mut target = Target::unlimited(Dialect::Anthropic, "claude-sonnet-4-5");
    target.can.reasoning = ReasoningStyle::Budget { min: 1_024, max: 31_999, off: Off::Said };
    let (sent, losses) = told(Dialect::OpenAiChat, &target, &body);
    assert_eq!((&sent["thinking"]["type"], losses), (&json!("enabled"), None), "{sent}");
}

#[test]
fn a_summary_of_what_was_said_before_reaches_other_vendors_models() {
    let block = json!({"type": "compaction", "content": "They chose Paris."});
    let body = json!({"model": "m", "max_tokens": 99, "messages": [
        {"role": "user", "content": "Go on."},
        {"role": "assistant", "content": [block]},
        {"role": "user", "content": "Where to?"},
    ]});
    for dialect in [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::Gemini] {
        let (sent, losses) = told(Dialect::Anthropic, &Target::unlimited(dialect, "m"), &body);
        assert!(sent.to_string().contains("They chose Paris.") && losses.is_none(), "{losses:?} {sent}");
    }
    let (home, _) = told(Dialect::Anthropic, &Target::unlimited(Dialect::Anthropic, "m"), &body);
    assert_eq!(home["messages"], body["messages"]);
}
