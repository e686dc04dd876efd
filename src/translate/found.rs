//! What fuzzing and random values found, each as it was found.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::{Value, json};

use super::{Strictness, Transcoder, decode, encode};
use crate::dialect::{Adaptions, Asked, Delivery, Dialect, RequestHead, Target};
use crate::ir::Request;

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
