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
