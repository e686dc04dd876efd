//! Answers and streams of every kind, for every pair.

use serde_json::{Value, json};

use super::{End, answer, assert_linear, assert_linear_to, bytes_of_a_stream, list, stream};
use crate::dialect::Dialect;

#[test]
fn a_whole_answer_takes_as_long_as_its_bytes() {
    assert_linear("choices", |count| {
        let choices = list(
            count,
            |number| json!({"index": number, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}),
        );
        answer(Dialect::OpenAiChat, &json!({"id": "1", "model": "m", "choices": choices}));
    });
    assert_linear("calls", |count| {
        let blocks = list(
            count,
            |number| json!({"type": "tool_use", "id": format!("t.{number}"), "name": "f", "input": {"a": number}}),
        );
        answer(
            Dialect::Anthropic,
            &json!({"id": "1", "type": "message", "role": "assistant", "model": "m", "content": blocks, "stop_reason": "tool_use"}),
        );
    });
    assert_linear("texts and citations", |count| {
        let blocks = list(
            count,
            |_| json!({"type": "text", "text": "aaaaaaa", "citations": [{"type": "web_search_result_location", "url": "https://example.com", "cited_text": "x", "title": "t", "encrypted_index": "e"}]}),
        );
        answer(
            Dialect::Anthropic,
            &json!({"id": "1", "type": "message", "role": "assistant", "model": "m", "content": blocks, "stop_reason": "end_turn"}),
        );
    });
    // Where a place is counted from the beginning of the answer each time, it shows in long texts first.
    assert_linear_to(6_400, "citations of long texts", |count| {
        let text = "a".repeat(2_000);
        let blocks = list(
            count,
            |_| json!({"type": "text", "text": text, "citations": [{"type": "web_search_result_location", "url": "https://example.com", "cited_text": "x", "title": "t", "encrypted_index": "e"}]}),
        );
        let body = json!({"id": "1", "type": "message", "role": "assistant", "model": "m", "content": blocks, "stop_reason": "end_turn"});
        answer(Dialect::Anthropic, &body);
    });
    assert_linear("items", |count| {
        let items = list(count, |number| match number % 3 {
            0 => {
                json!({"type": "reasoning", "id": format!("rs_{number}"), "summary": [{"type": "summary_text", "text": "x"}], "encrypted_content": "gAAA"})
            }
            1 => {
                json!({"type": "message", "id": format!("m_{number}"), "role": "assistant", "content": [{"type": "output_text", "text": "x", "annotations": []}]})
            }
            _ => json!({"type": "web_search_call", "id": format!("ws_{number}"), "status": "completed"}),
        });
        answer(
            Dialect::OpenAiResponses,
            &json!({"id": "r", "object": "response", "model": "m", "status": "completed", "output": items}),
        );
    });
    assert_linear("parts and groundings", |count| {
        let parts = list(
            count,
            |number| json!({"text": "xä", "thoughtSignature": format!("c{number}"), "thought": number % 2 == 0}),
        );
        let chunks =
            list(count, |number| json!({"web": {"uri": format!("https://example.com/{number}"), "title": "t"}}));
        let supports = list(
            count,
            |number| json!({"segment": {"startIndex": number, "endIndex": number + 1, "text": "x"}, "groundingChunkIndices": [number]}),
        );
        let candidate = json!({"content": {"parts": parts, "role": "model"}, "finishReason": "STOP", "groundingMetadata": {"groundingChunks": chunks, "groundingSupports": supports}});
        answer(Dialect::Gemini, &json!({"responseId": "1", "candidates": [candidate]}));
    });
}

#[test]
fn tiny_events_of_every_kind_take_as_long_as_their_bytes() {
    let chat = |delta: Value| json!({"id": "1", "choices": [{"index": 0, "delta": delta}]});
    assert_linear("pieces of text", |count| {
        stream(Dialect::OpenAiChat, (0..count).map(|_| chat(json!({"role": "assistant", "content": "a"}))), 100);
    });
    assert_linear("pieces of thoughts", |count| {
        stream(Dialect::OpenAiChat, (0..count).map(|_| chat(json!({"reasoning_content": "a"}))), 100);
    });
    assert_linear("pieces of arguments", |count| {
        let piece = |number: usize| match number {
            0 => json!({"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}),
            _ => json!({"index": 0, "function": {"arguments": "["}}),
        };
        stream(Dialect::OpenAiChat, (0..count).map(|number| chat(json!({"tool_calls": [piece(number)]}))), 100);
    });
    assert_linear("calls that interleave", |count| {
        let piece = |number: usize| {
            let index = number % 1_000;
            let name = if number < 1_000 { json!("f") } else { Value::Null };
            json!({"index": index, "id": format!("c{index}"), "function": {"name": name, "arguments": "["}})
        };
        stream(Dialect::OpenAiChat, (0..count).map(|number| chat(json!({"tool_calls": [piece(number)]}))), 100);
    });
    assert_linear("blocks", |count| {
        let begun = json!({"type": "message_start", "message": {"id": "1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {"input_tokens": 1}}});
        let block = |number: usize| match number % 2 {
            0 => {
                json!({"type": "content_block_start", "index": number / 2, "content_block": {"type": "tool_use", "id": format!("t{number}"), "name": "f", "input": {}}})
            }
            _ => json!({"type": "content_block_stop", "index": number / 2}),
        };
        stream(Dialect::Anthropic, std::iter::once(begun).chain((0..count).map(block)), 100);
    });
    assert_linear("citations in one text", |count| {
        let begun = json!({"type": "message_start", "message": {"id": "1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {"input_tokens": 1}}});
        let block = json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
        let piece = |number: usize| {
            let citation = json!({"type": "web_search_result_location", "url": "https://example.com", "cited_text": "x", "title": "t", "encrypted_index": "e"});
            let delta = match number % 2 {
                0 => json!({"type": "text_delta", "text": "aä"}),
                _ => json!({"type": "citations_delta", "citation": citation}),
            };
            json!({"type": "content_block_delta", "index": 0, "delta": delta})
        };
        stream(Dialect::Anthropic, [begun, block].into_iter().chain((0..count).map(piece)), 1_000);
    });
    assert_linear("pings and usages", |count| {
        let begun = json!({"type": "message_start", "message": {"id": "1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {"input_tokens": 1}}});
        let event = |number: usize| match number % 2 {
            0 => json!({"type": "ping"}),
            _ => json!({"type": "message_delta", "delta": {}, "usage": {"output_tokens": number}}),
        };
        stream(Dialect::Anthropic, std::iter::once(begun).chain((0..count).map(event)), 100);
    });
    assert_linear("items", |count| {
        let begun = json!({"type": "response.created", "response": {"id": "r", "model": "m", "output": []}});
        let item = |number: usize| {
            let item = json!({"type": "function_call", "id": format!("fc{number}"), "call_id": format!("c{number}"), "name": "f", "arguments": "{}"});
            json!({"type": "response.output_item.done", "output_index": number, "item": item})
        };
        stream(Dialect::OpenAiResponses, std::iter::once(begun).chain((0..count).map(item)), 100);
    });
    assert_linear("summaries", |count| {
        let begun = json!({"type": "response.created", "response": {"id": "r", "model": "m", "output": []}});
        let item = json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "id": "rs", "summary": []}});
        let piece = |number: usize| json!({"type": "response.reasoning_summary_text.delta", "item_id": "rs", "output_index": 0, "summary_index": number % 1_000, "delta": "x"});
        stream(Dialect::OpenAiResponses, [begun, item].into_iter().chain((0..count).map(piece)), 100);
    });
    assert_linear("chunks with everything in them", |count| {
        let chunk = |number: usize| {
            let candidate = json!({"index": 0, "content": {"parts": [{"text": "x"}, {"functionCall": {"name": "f", "args": {"a": number}}}], "role": "model"},
                "finishReason": "STOP", format!("later{number}"): 1, "groundingMetadata": {"webSearchQueries": ["q"]}});
            json!({"responseId": "1", "candidates": [candidate], "usageMetadata": {"promptTokenCount": number}, format!("late{number}"): 1})
        };
        stream(Dialect::Gemini, (0..count).map(chunk), 100);
    });
    assert_linear("arguments in pieces", |count| {
        let chunk = |number: usize| {
            let call = match number {
                0 => json!({"name": "f", "willContinue": true}),
                _ => {
                    json!({"partialArgs": [{"jsonPath": "$.a", "stringValue": "x", "willContinue": true}], "willContinue": true})
                }
            };
            json!({"responseId": "1", "candidates": [{"content": {"parts": [{"functionCall": call}], "role": "model"}}]})
        };
        stream(Dialect::Gemini, (0..count).map(chunk), 100);
    });
    assert_linear("bytes, one at a time", |count| {
        stream(Dialect::OpenAiChat, (0..count / 20).map(|_| chat(json!({"role": "assistant", "content": "a"}))), 1);
    });
    assert_linear("comments and empty lines", |count| {
        bytes_of_a_stream(Dialect::OpenAiChat, ": x\n\n\r\n".repeat(count).as_bytes(), 100, End::Taken);
    });
}
