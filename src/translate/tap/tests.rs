#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::PathBuf;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::dialect::Operation;
use crate::dialect::error;
use crate::fault::{Fault, FaultKind};
use crate::ids::RequestId;

const CHAT: &str = "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"usage\":null}\n\n\
: note\n\n\
data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"say \\\"usage\\\": 1\"}}],\"usage\":null}\r\n\r\n\
data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n\
data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4,\"prompt_tokens_details\":{\"cached_tokens\":2}}}\n\n\
data: [DONE]\n\n";

const RESPONSES: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"model\":\"m\",\"created_at\":7}}\n\n\
event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"delta\":\"héllo\"}\n\n\
event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":2,\"response\":{\"id\":\"resp_1\",\"status\":\"completed\",\"service_tier\":\"default\",\"output\":[{\"type\":\"web_search_call\",\"action\":{\"type\":\"search\"}},{\"type\":\"web_search_call\",\"action\":{\"type\":\"open_page\"}}],\"usage\":{\"input_tokens\":10,\"output_tokens\":5,\"output_tokens_details\":{\"reasoning_tokens\":3}}}}\n\n";

const MESSAGES: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg\",\"model\":\"c\",\"usage\":{\"input_tokens\":12,\"cache_read_input_tokens\":100,\"cache_creation_input_tokens\":30,\"cache_creation\":{\"ephemeral_5m_input_tokens\":10,\"ephemeral_1h_input_tokens\":20},\"output_tokens\":1,\"service_tier\":\"standard\"}}}\n\n\
event: ping\ndata: {\"type\": \"ping\"}\n\n\
event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hé\"}}\n\n\
event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"input_tokens\":0,\"cache_creation_input_tokens\":30,\"output_tokens\":30,\"server_tool_use\":{\"web_search_requests\":2}}}\n\n\
event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

const GEMINI: &str = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a } ] \\\" b\"}]}}],\"usageMetadata\":{\"promptTokenCount\":9},\"modelVersion\":\"g\",\"responseId\":\"r\"}\r\n\r\n\
data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"é\"}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":9,\"candidatesTokenCount\":5,\"thoughtsTokenCount\":7}}\r\n\r\n";

fn array(events: &str) -> String {
    let elements: Vec<&str> =
        events.lines().filter_map(|line| line.strip_prefix("data: ")).map(str::trim_end).collect();
    format!("[{}\n]\n", elements.join("\n,\r\n"))
}

fn streams() -> Vec<(Dialect, Delivery, String)> {
    vec![
        (Dialect::OpenAiChat, Delivery::Events, CHAT.to_owned()),
        (Dialect::OpenAiResponses, Delivery::Events, RESPONSES.to_owned()),
        (Dialect::Anthropic, Delivery::Events, MESSAGES.to_owned()),
        (Dialect::Gemini, Delivery::Events, GEMINI.to_owned()),
        (Dialect::Gemini, Delivery::JsonArray, array(GEMINI)),
    ]
}

fn tapped(dialect: Dialect, delivery: Delivery, pieces: &[&[u8]]) -> Tap {
    let mut tap = Tap::new(dialect, delivery);
    for piece in pieces {
        tap.push(piece);
    }
    tap
}

#[test]
fn every_dialect_tells_its_usage_and_its_end() {
    let expected = [
        (Some(9), Some(4), None, "stop"),
        (Some(10), Some(5), Some(1), "completed"),
        (Some(142), Some(30), Some(2), "end_turn"),
        (Some(9), Some(12), None, "STOP"),
        (Some(9), Some(12), None, "STOP"),
    ];
    for ((dialect, delivery, text), (input, output, searches, finish)) in streams().into_iter().zip(expected) {
        let tap = tapped(dialect, delivery, &[text.as_bytes()]);
        let seen = tap.seen();
        let usage = seen.usage.unwrap();
        assert!(tap.ended_legally() && tap.first_event_seen() && tap.at_event_boundary() && seen.content);
        assert_eq!((usage.input, usage.output, usage.web_searches), (input, output, searches), "{dialect}");
        assert_eq!(seen.finish.as_deref(), Some(finish));
        assert!(seen.response_id.is_some() && seen.model.is_some() && seen.error.is_none());
    }
    let usage = tapped(Dialect::Anthropic, Delivery::Events, &[MESSAGES.as_bytes()]).usage().unwrap();
    assert_eq!((usage.cache_read, usage.cache_write_5m, usage.cache_write_1h), (Some(100), Some(10), Some(20)));
}

#[test]
fn borders_of_chunks_change_nothing() {
    for (dialect, delivery, text) in streams() {
        let bytes = text.as_bytes();
        let expected = tapped(dialect, delivery, &[bytes]);
        for at in 0..=bytes.len() {
            let tap = tapped(dialect, delivery, &[&bytes[..at], &bytes[at..]]);
            assert_eq!((tap.seen(), tap.position()), (expected.seen(), expected.position()), "{dialect} at {at}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(tapped(dialect, delivery, &single).seen(), expected.seen());
    }
}

#[test]
fn a_stream_that_is_cut_anywhere_gets_an_ending_that_says_so() {
    let fault = Fault::new(FaultKind::UpstreamError, "the stream was cut");
    for (dialect, delivery, text) in streams() {
        let mut tap = Tap::new(dialect, delivery);
        for (at, byte) in text.bytes().enumerate() {
            if !tap.ended_legally() {
                let mut whole = text.as_bytes()[..at].to_vec();
                whole.extend(error::event(dialect, delivery, &fault, &RequestId::from("r"), &tap.position()));
                let after = tapped(dialect, delivery, &[&whole]);
                let seen = after.seen();
                let near = String::from_utf8_lossy(&whole[at.saturating_sub(60)..]);
                // A marker that is cut cannot become an event; that it breaks the stream is all it can do.
                if !text.as_bytes()[..at].windows(7).any(|window| window == b"data: [") {
                    assert_eq!(seen.error.map(|error| error.message).as_deref(), Some("the stream was cut"), "{near}");
                }
                assert!(after.at_event_boundary() || dialect == Dialect::Gemini, "{near}");
            }
            tap.push(&[byte]);
        }
        assert!(tap.ended_legally());
    }
}

#[test]
fn a_tap_forked_at_any_byte_ends_only_at_the_end() {
    for (dialect, delivery, text) in streams() {
        let mut tap = Tap::new(dialect, delivery);
        let mut legal_from = None;
        for (at, byte) in text.bytes().enumerate() {
            if tap.clone().ended_legally() {
                legal_from.get_or_insert(at);
            }
            tap.push(&[byte]);
        }
        let legal_from = legal_from.unwrap_or(text.len());
        assert!(text.len() - legal_from <= 4, "{dialect} may end {} bytes early", text.len() - legal_from);
    }
}

#[test]
fn a_blocked_prompt_is_a_legal_end_without_a_finish() {
    let text = "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"},\"usageMetadata\":{\"promptTokenCount\":4}}\n\n";
    let tap = tapped(Dialect::Gemini, Delivery::Events, &[text.as_bytes()]);
    assert!(tap.ended_legally());
    assert_eq!(tap.seen().finish.as_deref(), Some("SAFETY"));
    assert_eq!(tap.usage().unwrap().input, Some(4));
}

#[test]
fn a_providers_error_in_the_stream_is_an_end_and_is_seen() {
    let cases = [
        (Dialect::OpenAiChat, "data: {\"error\":{\"message\":\"boom\",\"type\":\"server_error\"}}\n\n"),
        (Dialect::OpenAiResponses, "event: error\ndata: {\"type\":\"error\",\"code\":\"x\",\"message\":\"boom\"}\n\n"),
        (
            Dialect::Anthropic,
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"boom\"}}\n\n",
        ),
        (Dialect::Gemini, "data: {\"error\":{\"code\":503,\"message\":\"boom\",\"status\":\"UNAVAILABLE\"}}\n\n"),
    ];
    for (dialect, text) in cases {
        let tap = tapped(dialect, Delivery::Events, &[text.as_bytes()]);
        assert!(tap.ended_legally(), "{dialect}");
        let seen = tap.seen();
        assert!(!seen.terminal);
        assert_eq!(seen.error.unwrap().message, "boom");
    }
}

#[test]
fn a_keepalive_may_stand_between_events_only() {
    let mut tap = Tap::new(Dialect::Anthropic, Delivery::Events);
    assert!(tap.at_event_boundary() && !tap.begun());
    let boundaries: Vec<usize> = MESSAGES
        .bytes()
        .enumerate()
        .filter_map(|(at, byte)| {
            tap.push(&[byte]);
            tap.at_event_boundary().then_some(at + 1)
        })
        .collect();
    let expected: Vec<usize> = MESSAGES.match_indices("\n\n").map(|(at, _)| at + 2).collect();
    assert_eq!(boundaries, expected);
    tap.note_keepalive();
    assert!(tap.keepalive_sent());
}

#[test]
fn an_answer_has_begun_with_its_first_event_and_not_with_a_ping() {
    let mut tap = Tap::new(Dialect::Anthropic, Delivery::Events);
    tap.push(b": comment\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n");
    assert!(!tap.begun());
    tap.push(b"e");
    assert!(tap.begun());
    let mut tap = Tap::new(Dialect::Gemini, Delivery::JsonArray);
    tap.push(b"\n");
    assert!(!tap.begun());
    tap.push(b"[");
    assert!(tap.begun());
}

#[test]
fn an_event_over_the_bound_is_not_held_and_still_ends_the_stream() {
    let mut tap = Tap::new(Dialect::OpenAiResponses, Delivery::Events);
    tap.push(b"data: {\"type\":\"response.completed\",\"response\":{\"x\":\"");
    let piece = vec![b'a'; 1 << 20];
    for _ in 0..40 {
        tap.push(&piece);
    }
    assert_eq!(tap.position().open, Open::TooLarge);
    tap.push(b"\"}}\n\n");
    assert!(tap.ended_legally() && tap.usage().is_none());
}

#[test]
fn whole_answers_are_whole_or_refused() {
    let answers = [
        (
            Dialect::OpenAiChat,
            r#"{"id":"c","choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#,
        ),
        (Dialect::OpenAiResponses, r#"{"id":"r","status":"completed","usage":{"input_tokens":3,"output_tokens":2}}"#),
        (Dialect::Anthropic, r#"{"id":"m","stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2}}"#),
        (
            Dialect::Gemini,
            r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2}}"#,
        ),
    ];
    for (dialect, text) in answers {
        let seen = whole(dialect, Operation::Generate, text.as_bytes()).unwrap();
        let usage = seen.usage.unwrap();
        assert_eq!((usage.input, usage.output), (Some(3), Some(2)));
        assert!(seen.finish.is_some());
        for cut in 0..text.len() {
            assert_eq!(whole(dialect, Operation::Generate, &text.as_bytes()[..cut]), Err(NotWhole::Cut));
        }
        for odd in ["[]", "x", "<html></html>"] {
            assert!(matches!(whole(dialect, Operation::Generate, odd.as_bytes()), Err(NotWhole::NoObject(_))));
        }
        // Another shape than expected is the provider's business, not a cut.
        assert!(whole(dialect, Operation::Generate, br#"{"choices":7,"candidates":7,"usage":[],"id":{}}"#).is_ok());
        assert!(whole(dialect, Operation::CountTokens, br#"{"input_tokens":3}"#).unwrap().usage.is_none());
    }
    let error = whole(Dialect::OpenAiChat, Operation::Generate, br#"{"error":{"message":"boom"}}"#).unwrap().error;
    assert_eq!(error.unwrap().message, "boom");
}

fn filtered(pieces: &[&[u8]]) -> Vec<u8> {
    let mut filter = UsageChunkFilter::new();
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(&filter.push(Bytes::copy_from_slice(piece)));
    }
    out.extend_from_slice(&filter.finish());
    out
}

/// The stream without its usage chunk.
fn without_usage_chunk() -> String {
    let events: Vec<&str> = CHAT.split_inclusive("\n\n").filter(|event| !event.contains("\"choices\":[],")).collect();
    events.concat()
}

#[test]
fn the_usage_chunk_and_nothing_else_is_taken_out_wherever_chunks_end() {
    let bytes = CHAT.as_bytes();
    let expected = without_usage_chunk();
    assert_ne!(expected, CHAT);
    for at in 0..=bytes.len() {
        assert_eq!(filtered(&[&bytes[..at], &bytes[at..]]), expected.as_bytes(), "at {at}");
    }
    assert_eq!(filtered(&bytes.chunks(1).collect::<Vec<_>>()), expected.as_bytes());
}

#[test]
fn a_filtered_stream_that_is_cut_anywhere_ends_with_an_error_behind_what_was_held() {
    let fault = Fault::new(FaultKind::UpstreamError, "the stream was cut");
    let bytes = CHAT.as_bytes();
    let done = CHAT.find("data: [").unwrap() + 6;
    for at in 0..done {
        let mut filter = UsageChunkFilter::new();
        let tap = tapped(Dialect::OpenAiChat, Delivery::Events, &[&bytes[..at]]);
        let mut caller = filter.push(Bytes::copy_from_slice(&bytes[..at])).to_vec();
        caller.extend_from_slice(&filter.finish());
        let ending =
            error::event(Dialect::OpenAiChat, Delivery::Events, &fault, &RequestId::from("r"), &tap.position());
        caller.extend_from_slice(&ending);
        let seen = tapped(Dialect::OpenAiChat, Delivery::Events, &[&caller]).seen();
        assert_eq!(seen.error.map(|error| error.message).as_deref(), Some("the stream was cut"), "at {at}");
    }
}

#[test]
fn what_is_no_usage_chunk_is_neither_changed_nor_held() {
    let mut filter = UsageChunkFilter::new();
    let content = Bytes::from_static(b"data: {\"choices\":[{\"delta\":{\"content\":\"hel");
    assert_eq!(filter.push(content.clone()).as_ptr(), content.as_ptr());
    let rest = Bytes::from_static(b"lo\"}}],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n");
    assert_eq!(filter.push(rest.clone()), rest);
    assert!(filter.finish().is_empty());

    // Azure's first event has no choice, and no usage.
    let azure = b"data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n";
    assert_eq!(filtered(&[azure]), azure);
    // Comments and blank lines are nobody's event.
    let odd = b"\n\n: hello\n\n\r\n: usage choices []\n\ndata: [DONE]";
    assert_eq!(filtered(&[odd]), odd);
}

proptest! {
    #[test]
    fn any_chunks_of_any_stream_give_the_same_result(which in 0..5_usize, cuts in prop::collection::vec(0..2000_usize, 0..12)) {
        let (dialect, delivery, text) = streams().swap_remove(which);
        let bytes = text.as_bytes();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (bytes.len() + 1)).chain([0, bytes.len()]).collect();
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
        prop_assert_eq!(tapped(dialect, delivery, &pieces).seen(), tapped(dialect, delivery, &[bytes]).seen());
        if dialect == Dialect::OpenAiChat {
            prop_assert_eq!(filtered(&pieces), without_usage_chunk().into_bytes());
        }
    }

    #[test]
    fn nonsense_harms_nothing(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for (dialect, delivery, _) in streams() {
            let tap = tapped(dialect, delivery, &[&bytes]);
            let fault = Fault::new(FaultKind::UpstreamError, "cut");
            error::event(dialect, delivery, &fault, &RequestId::from("r"), &tap.position());
        }
        let passed = filtered(&[&bytes]);
        prop_assert_eq!(passed, bytes);
    }
}

/// Streams that real providers sent; they lie beside the checkout.
fn recorded(dialect: Dialect) -> Vec<(PathBuf, String)> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/recorded");
    let root = std::env::var_os("RECORDED_DIR").map_or(beside, PathBuf::from);
    let entries = std::fs::read_dir(root.join(dialect.name())).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(".chunks.txt"));
    files.sort();
    assert!(!files.is_empty());
    files.into_iter().map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn recorded_streams_end_legally_with_the_usage_of_their_last_word() {
    for dialect in Dialect::ALL {
        for (path, mut chunks) in recorded(dialect) {
            // One recording has several messages, one behind the other.
            if let Some(at) = chunks.find("{\"type\":\"message_stop\"}") {
                chunks.truncate(at + 23);
            }
            let mut text: String =
                chunks.lines().filter(|line| !line.is_empty()).map(|line| format!("data: {line}\n\n")).collect();
            if dialect == Dialect::OpenAiChat {
                text.push_str("data: [DONE]\n\n");
            }
            let tap = tapped(dialect, Delivery::Events, &text.as_bytes().chunks(97).collect::<Vec<_>>());
            let name = path.display();
            assert!(tap.ended_legally(), "{name}");
            let last = chunks.lines().filter_map(|line| last_usage(dialect, line)).next_back();
            let seen = tap.seen();
            assert_eq!(seen.wire_usage.is_some(), last.is_some(), "{name}");
            if let (Some(wire), Some(last)) = (&seen.wire_usage, &last) {
                assert_contains(wire, last, &name.to_string());
            }
            assert_eq!(seen.error.is_some(), name.to_string().contains("error"), "{name}");
        }
    }
}

/// The usage of an event, if it has one.
fn last_usage(dialect: Dialect, line: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(line).ok()?;
    let usage = match dialect {
        Dialect::OpenAiChat => value.get("usage"),
        Dialect::OpenAiResponses => value.get("response").and_then(|response| response.get("usage")),
        Dialect::Anthropic => {
            value.get("usage").or_else(|| value.get("message").and_then(|message| message.get("usage")))
        }
        Dialect::Gemini => value.get("usageMetadata"),
    };
    usage.filter(|usage| usage.is_object()).cloned()
}

fn assert_contains(whole: &Value, part: &Value, name: &str) {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            for (key, value) in part.iter().filter(|(_, value)| !value.is_null()) {
                assert_contains(whole.get(key).unwrap_or(&Value::Null), value, &format!("{name} {key}"));
            }
        }
        _ => assert_eq!(whole, part, "{name}"),
    }
}
