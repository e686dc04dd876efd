//! Streams that end well, badly and not at all.

use super::*;
use crate::dialect::testing::{Sample, fixtures};
use crate::dialect::{Delivery, RequestHead, Target};
use crate::ir::Request;
use crate::translate::{Strictness, decode, encode};
use serde_json::{Value, json};

const CHAT: Dialect = Dialect::OpenAiChat;

fn transcoder() -> Transcoder {
    let asked = Asked::by(&Request { stream_usage: Some(true), ..Request::default() }, Delivery::Events);
    Transcoder::new(CHAT, CHAT, asked, Adaptions::default())
}

fn stream_fixture(name: &str) -> Sample {
    fixtures("streams", CHAT).into_iter().find(|sample| sample.name == name).unwrap()
}

#[test]
fn a_stream_that_is_cut_anywhere_never_ends_as_if_it_were_whole() {
    let bytes = stream_fixture("tools.txt").sse();
    for cut in 0..bytes.len() - 2 {
        let mut stream = transcoder().stream().unwrap();
        let mut out = Vec::new();
        stream.push(&bytes[..cut], &mut out);
        stream.finish(&mut out);
        // The last bytes of all are only the blank line of an event that is complete.
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains("[DONE]"), "cut at {cut}");
        assert!(text.trim_end().lines().last().unwrap().starts_with("data: {\"error\""), "cut at {cut}");
        assert!(!stream.told().is_complete && stream.told().error.is_some());
    }
}

#[test]
fn a_whole_stream_tells_what_it_took_and_ends_once() {
    let mut stream = transcoder().stream().unwrap();
    let mut out = Vec::new();
    stream.push(&stream_fixture("tools.txt").sse(), &mut out);
    assert!(stream.is_over());
    let len = out.len();
    stream.push(b"data: {}\n\n", &mut out);
    stream.keep_alive(&mut out);
    stream.fail(ApiError::cut(), &mut out);
    stream.finish(&mut out);
    assert_eq!(out.len(), len);
    assert!(out.ends_with(b"data: [DONE]\n\n"));
    let told = stream.told();
    assert_eq!(told.usage.as_ref().and_then(|usage| usage.input), Some(50));
    assert_eq!((told.finish.as_deref(), told.is_complete), (Some("tool_calls"), true));
}

#[test]
fn when_the_gateway_gives_up_the_caller_reads_why() {
    let mut stream = transcoder().stream().unwrap();
    let mut out = Vec::new();
    let fault = Fault::new(FaultKind::RequestTimeout, "nothing came for 120 s");
    stream.fail(ApiError::from(&fault), &mut out);
    let text = String::from_utf8(out).unwrap();
    let error: Value = serde_json::from_str(text.trim().trim_start_matches("data: ")).unwrap();
    assert_eq!(error["error"]["message"], "nothing came for 120 s");
    assert_eq!(
        (&error["error"]["type"], &error["error"]["code"]),
        (&json!("timeout_error"), &json!("request_timeout"))
    );
}

#[test]
fn rubbish_is_an_error_and_not_an_answer() {
    for rubbish in [&b"data: <html>\n\n"[..], b"data: []\n\n", b"data: {\"choices\": 7}\n\n", b"\xff\xfe", b""] {
        let mut stream = transcoder().stream().unwrap();
        let mut out = Vec::new();
        stream.push(rubbish, &mut out);
        stream.finish(&mut out);
        assert!(stream.told().error.is_some());
        assert!(!String::from_utf8(out).unwrap().contains("[DONE]"));
    }
    assert_eq!(transcoder().whole(b"{\"choices\": [").unwrap_err().kind, FaultKind::UpstreamError);
    assert_eq!(transcoder().whole(b"{\"id\": 1}").unwrap_err().kind, FaultKind::UpstreamError);
}

/// A chat stream whose only choice has this number.
fn chat_of_choice(index: u32, text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let choice = json!({"index": index, "delta": {"content": text}, "finish_reason": "stop"});
    sse::write_json(&mut bytes, &json!({"id": "c", "model": "m", "choices": [choice]}));
    sse::write(&mut bytes, "[DONE]");
    bytes
}

#[test]
fn an_answer_that_cannot_be_written_is_no_whole_answer() {
    // Messages and Responses have one choice, the first: without it nothing was answered.
    for caller in [Dialect::Anthropic, Dialect::OpenAiResponses] {
        let asked = Asked::by(&Request::default(), Delivery::Events);
        let mut stream = Transcoder::new(caller, CHAT, asked, Adaptions::default()).stream().unwrap();
        let mut out = Vec::new();
        stream.push(&chat_of_choice(1, "x"), &mut out);
        assert!(stream.is_over());
        assert!(!stream.told().is_complete && stream.told().error.is_some(), "{caller}");
        assert!(String::from_utf8(out).unwrap().contains("event: error"), "{caller}");
    }
}

#[test]
fn an_answer_that_never_ends_is_given_up_before_it_fills_the_memory() {
    let text = "x".repeat(8 << 20);
    let mut piece = Vec::new();
    let choice = json!({"index": 0, "delta": {"content": text}, "finish_reason": null});
    sse::write_json(&mut piece, &json!({"id": "c", "model": "m", "choices": [choice]}));
    let asked = Asked::by(&Request::default(), Delivery::Events);
    let mut stream = Transcoder::new(Dialect::Gemini, CHAT, asked, Adaptions::default()).stream().unwrap();
    let pushes = (1..20).find(|_| {
        stream.push(&piece, &mut Vec::new());
        stream.is_over()
    });
    assert_eq!(pushes, Some(8));
    assert!(stream.told().error.as_ref().is_some_and(|error| error.message.contains("67108864")));
}

#[test]
fn a_whole_answer_that_failed_fails_with_its_own_kind_and_words() {
    let answer = json!({"id": "resp_1", "object": "response", "status": "failed", "output": [], "model": "m",
        "error": {"code": "rate_limit_exceeded", "message": "Slow down."},
        "usage": {"input_tokens": 7, "output_tokens": 0, "total_tokens": 7}});
    for (caller, pointer, word) in [
        (CHAT, "/error/type", "rate_limit_error"),
        (Dialect::Anthropic, "/error/type", "rate_limit_error"),
        (Dialect::Gemini, "/error/status", "RESOURCE_EXHAUSTED"),
    ] {
        let asked = Asked::by(&Request::default(), Delivery::Whole).known_as("req-1");
        let transcoder = Transcoder::new(caller, Dialect::OpenAiResponses, asked, Adaptions::default());
        let whole = transcoder.whole(answer.to_string().as_bytes()).unwrap();
        let body: Value = serde_json::from_slice(&whole.body).unwrap();
        assert_eq!((whole.status, body.pointer(pointer)), (429, Some(&json!(word))), "{caller}");
        assert_eq!(body["error"]["message"], "Slow down.");
        assert_eq!(whole.told.usage.and_then(|usage| usage.input), Some(7));
        assert!(whole.told.error.is_some() && !whole.told.is_complete);
    }
}

#[test]
fn an_error_in_a_stream_for_anthropics_callers_names_the_request() {
    let asked = Asked::by(&Request::default(), Delivery::Events).known_as("req-1");
    let mut stream = Transcoder::new(Dialect::Anthropic, CHAT, asked, Adaptions::default()).stream().unwrap();
    let mut out = Vec::new();
    stream.finish(&mut out);
    let text = String::from_utf8(out).unwrap();
    let data: Value = serde_json::from_str(text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap()).unwrap();
    assert_eq!((&data["type"], &data["request_id"]), (&json!("error"), &json!("req-1")));
}

#[test]
fn a_strict_caller_hears_of_every_loss_and_others_of_those_that_matter() {
    let body = json!({"model": "x", "top_k": 3, "messages": [{"role": "user", "content": "hi"}]}).to_string();
    let mut request = decode(CHAT, body.as_bytes(), &RequestHead::default()).unwrap();
    request.spoken_in = Some(Dialect::Gemini);
    let target = Target::unlimited(CHAT, "gpt-4.1");
    let upstream = encode(&request, &target, Strictness::Report).unwrap();
    assert_eq!(upstream.losses.header().as_deref(), Some("generationConfig.topK"));
    let fault = encode(&request, &target, Strictness::Refuse).unwrap_err();
    assert_eq!((fault.kind.status(), fault.param.as_deref()), (400, Some("generationConfig.topK")));
    let deep = format!("{{\"model\": \"x\", \"messages\": {}", "[".repeat(100_000));
    assert_eq!(decode(CHAT, deep.as_bytes(), &RequestHead::default()).unwrap_err().kind, FaultKind::InvalidJson);
}

#[test]
fn a_whole_answer_is_turned_with_what_it_took() {
    let sample = fixtures("responses", CHAT).into_iter().find(|sample| sample.name == "tools.json").unwrap();
    let whole = transcoder().whole(sample.text.as_bytes()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&whole.body).unwrap(), sample.json());
    assert_eq!(whole.told.usage.and_then(|usage| usage.output), Some(20));
    assert!(whole.losses.is_empty());
}
