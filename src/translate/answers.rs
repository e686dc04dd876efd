//! Answers told in another dialect: what the vendors' SDKs depend on, and what bills depend on.

use serde_json::{Value, json};

use super::{Told, Transcoder};
use crate::dialect::{Adaptions, Asked, Delivery, Dialect, sse};
use crate::ir::Request;

fn transcoder(caller: Dialect, provider: Dialect, delivery: Delivery) -> Transcoder {
    let request = Request { stream_usage: Some(true), ..Request::default() };
    Transcoder::new(caller, provider, Asked::by(&request, delivery).known_as("answer"), Adaptions::default())
}

/// The data of the caller's events, and what was told of the provider's.
fn streamed(caller: Dialect, provider: Dialect, events: &[Value]) -> (Vec<Value>, Told) {
    let mut stream = transcoder(caller, provider, Delivery::Events).stream().unwrap();
    let (mut bytes, mut out) = (Vec::new(), Vec::new());
    events.iter().for_each(|event| sse::write(&mut bytes, &event.to_string()));
    if provider == Dialect::OpenAiChat {
        sse::write(&mut bytes, "[DONE]");
    }
    stream.push(&bytes, &mut out);
    stream.finish(&mut out);
    let text = String::from_utf8(out).unwrap();
    let data = text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    (data, stream.told().clone())
}

/// A Messages stream of one text with these citations.
fn cited(citations: &[Value]) -> Vec<Value> {
    let usage = json!({"input_tokens": 1, "output_tokens": 1});
    let mut events = vec![
        json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
            "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage}}),
        json!({"type": "content_block_start", "index": 0,
            "content_block": {"type": "text", "text": "", "citations": []}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "So."}}),
    ];
    let delta = |citation| {
        json!({"type": "content_block_delta", "index": 0,
        "delta": {"type": "citations_delta", "citation": citation}})
    };
    events.extend(citations.iter().map(delta));
    events.extend([
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": usage}),
        json!({"type": "message_stop"}),
    ]);
    events
}

fn page(url: &str) -> Value {
    json!({"type": "web_search_result_location", "url": url, "title": "T", "cited_text": "c", "encrypted_index": "e"})
}

#[test]
fn a_chat_stream_tells_all_annotations_in_one_chunk_in_front_of_the_finish() {
    let events = cited(&[page("https://a.example"), page("https://b.example")]);
    let (chunks, _) = streamed(Dialect::OpenAiChat, Dialect::Anthropic, &events);
    let told: Vec<usize> =
        (0..chunks.len()).filter(|place| chunks[*place].pointer("/choices/0/delta/annotations").is_some()).collect();
    let [place] = told[..] else { panic!("{told:?}") };
    let annotations = chunks[place].pointer("/choices/0/delta/annotations").unwrap();
    let urls: Vec<&Value> =
        annotations.as_array().unwrap().iter().map(|annotation| &annotation["url_citation"]["url"]).collect();
    assert_eq!(urls, ["https://a.example", "https://b.example"]);
    assert_eq!(chunks[place + 1]["choices"][0]["finish_reason"], "stop");
}

#[test]
fn a_streams_tier_is_the_one_that_is_told_at_its_end() {
    let response = |status: &str, tier: &str, usage: Value| {
        json!({"id": "resp_1", "object": "response", "status": status, "model": "m", "output": [], "service_tier": tier,
            "usage": usage})
    };
    let usage = json!({"input_tokens": 1, "output_tokens": 1, "total_tokens": 2});
    let events = [
        json!({"type": "response.created", "sequence_number": 0, "response": response("in_progress", "auto", Value::Null)}),
        json!({"type": "response.completed", "sequence_number": 1, "response": response("completed", "priority", usage)}),
    ];
    let (_, told) = streamed(Dialect::Anthropic, Dialect::OpenAiResponses, &events);
    assert_eq!(told.service_tier.as_deref(), Some("priority"));
}

#[test]
fn googles_tiers_are_told_in_openais_words() {
    let answer = |key: &str, word: &str| {
        json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2, key: word}})
    };
    for (key, word, tier) in [
        ("trafficType", "ON_DEMAND", Some("default")),
        ("trafficType", "ON_DEMAND_PRIORITY", Some("priority")),
        ("serviceTier", "flex", Some("flex")),
        ("serviceTier", "standard", Some("default")),
        ("trafficType", "PROVISIONED_THROUGHPUT", None),
    ] {
        let whole = transcoder(Dialect::OpenAiChat, Dialect::Gemini, Delivery::Whole);
        let whole = whole.whole(answer(key, word).to_string().as_bytes()).unwrap();
        assert_eq!(whole.told.service_tier.as_deref(), tier, "{word}");
        let body: Value = serde_json::from_slice(&whole.body).unwrap();
        assert_eq!(body.get("service_tier").and_then(Value::as_str), tier, "{word}");
        let (_, told) = streamed(Dialect::OpenAiChat, Dialect::Gemini, &[answer(key, word)]);
        assert_eq!(told.service_tier.as_deref(), tier, "{word}");
    }
}

#[test]
fn a_responses_usage_always_counts_what_was_read_from_and_written_to_a_cache() {
    let (events, _) = streamed(
        Dialect::OpenAiResponses,
        Dialect::OpenAiChat,
        &[json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})],
    );
    let usage = events.last().and_then(|event| event.pointer("/response/usage")).unwrap();
    assert_eq!(usage["input_tokens_details"], json!({"cached_tokens": 0, "cache_write_tokens": 0}));
}

#[test]
fn what_is_left_out_of_an_answer_is_named_by_its_kind() {
    let blocks = json!([
        {"type": "server_tool_use", "id": "s", "name": "web_fetch", "input": {}},
        {"type": "text", "text": "So.", "citations": [
            {"type": "char_location", "cited_text": "c", "document_index": 0, "document_title": "D",
                "start_char_index": 0, "end_char_index": 1}]},
    ]);
    let message = json!({"id": "m", "type": "message", "role": "assistant", "model": "m", "content": blocks,
        "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1}});
    let losses_for = |caller| {
        let whole = transcoder(caller, Dialect::Anthropic, Delivery::Whole).whole(message.to_string().as_bytes());
        whole.unwrap().losses.iter().map(|loss| loss.field.clone()).collect::<Vec<_>>()
    };
    assert_eq!(losses_for(Dialect::OpenAiChat), ["server_tool_use", "annotations"]);
    assert_eq!(losses_for(Dialect::OpenAiResponses), ["server_tool_use", "annotations"]);
    // Google has a place for sources without an address.
    assert_eq!(losses_for(Dialect::Gemini), ["server_tool_use"]);

    let code = json!({"candidates": [{"content": {"role": "model", "parts": [
        {"executableCode": {"language": "PYTHON", "code": "1"}}, {"text": "1"}]}, "finishReason": "STOP"}]});
    let whole = transcoder(Dialect::Anthropic, Dialect::Gemini, Delivery::Whole);
    let losses = whole.whole(code.to_string().as_bytes()).unwrap().losses;
    assert_eq!(losses.header().as_deref(), Some("executableCode"));
}

#[test]
fn a_sound_that_a_chat_stream_says_is_reported() {
    let audio = json!({"id": "audio_1", "data": "AAAA"});
    let chunk = |delta: Value, finish: Value| {
        json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    };
    let events = [
        chunk(json!({"role": "assistant", "content": "Hi", "refusal": null}), Value::Null),
        chunk(json!({"audio": audio}), Value::Null),
        chunk(json!({}), json!("stop")),
    ];
    let mut bytes = Vec::new();
    events.iter().for_each(|event| sse::write(&mut bytes, &event.to_string()));
    sse::write(&mut bytes, "[DONE]");
    for caller in [Dialect::OpenAiResponses, Dialect::Anthropic, Dialect::Gemini] {
        let mut stream = transcoder(caller, Dialect::OpenAiChat, Delivery::Events).stream().unwrap();
        stream.push(&bytes, &mut Vec::new());
        assert_eq!(stream.losses().header().as_deref(), Some("audio"), "{caller}");
    }
}

#[test]
fn a_chat_stream_has_a_usage_chunk_without_choices_if_it_was_asked_for_and_none_otherwise() {
    let usage = json!({"input_tokens": 3, "output_tokens": 4});
    let events = [
        json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
            "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "Hi"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": usage}),
        json!({"type": "message_stop"}),
    ];
    for wanted in [None, Some(false), Some(true)] {
        let request = Request { stream_usage: wanted, ..Request::default() };
        let asked = Asked::by(&request, Delivery::Events).known_as("answer");
        let transcoder = Transcoder::new(Dialect::OpenAiChat, Dialect::Anthropic, asked, Adaptions::default());
        let (mut stream, mut bytes, mut out) = (transcoder.stream().unwrap(), Vec::new(), Vec::new());
        events.iter().for_each(|event| sse::write(&mut bytes, &event.to_string()));
        stream.push(&bytes, &mut out);
        let text = String::from_utf8(out).unwrap();
        let chunks: Vec<Value> =
            text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
        let with_usage: Vec<&Value> = chunks.iter().filter(|chunk| chunk["usage"].is_object()).collect();
        match wanted {
            Some(true) => {
                assert_eq!(with_usage.len(), 1);
                assert_eq!(with_usage[0]["choices"], json!([]));
                assert_eq!(with_usage[0]["usage"]["total_tokens"], 7);
                assert_eq!(chunks.last(), Some(with_usage[0]));
                assert!(chunks.iter().all(|chunk| chunk.get("usage").is_some()));
            }
            Some(false) | None => assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none())),
        }
    }
}
