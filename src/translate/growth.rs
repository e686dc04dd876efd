//! No input makes work grow faster than its size: eight times as much takes about eight times as long.
//!
//! Measured is the time that the test's own thread works, the least of some measurements. A square would take 64 times as
//! long; up to 12 times is taken for noise.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};

use super::tap::{Tap, UsageChunkFilter, whole};
use super::{Strictness, Transcoder, count, decode, encode};
use crate::dialect::peek::peek;
use crate::dialect::{Adaptions, Asked, Delivery, Dialect, Operation, RequestHead, Target, sse};
use crate::ir::Request;

const FEW: usize = 800;
const MANY: usize = 8 * FEW;

fn worked() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.try_into().unwrap(), now.tv_nsec.try_into().unwrap())
}

fn takes(work: impl Fn()) -> Duration {
    let begun = worked();
    work();
    worked() - begun
}

/// Holds work that is done for so many things to its size. Other work on the machine only ever adds to what is measured, so
/// that the least of some measurements counts.
fn assert_linear(what: &str, work: impl Fn(usize)) {
    let (mut few, mut many) = (Duration::MAX, Duration::MAX);
    for _ in 0..5 {
        few = few.min(takes(|| work(FEW)));
        many = many.min(takes(|| work(MANY)));
        if many < few * 12 + Duration::from_millis(10) {
            return;
        }
    }
    panic!("{what}: {FEW} take {few:?} and {MANY} take {many:?}");
}

/// Everything that is done with a request, for all providers.
fn request(caller: Dialect, body: &Value) {
    let body = body.to_string().into_bytes();
    let _ = peek(caller, Operation::Generate, &body);
    let head = RequestHead { model: Some("m".to_owned()), ..RequestHead::default() };
    let Ok(request) = decode(caller, &body, &head) else { return };
    count::estimate(&request);
    for provider in Dialect::ALL.into_iter().filter(|provider| *provider != caller) {
        let _ = encode(&request, &Target::unlimited(provider, "m"), Strictness::Report);
    }
}

/// Everything that is done with a whole answer, for all callers.
fn answer(provider: Dialect, body: &Value) {
    let body = body.to_string().into_bytes();
    let _ = whole(provider, Operation::Generate, &body);
    for caller in Dialect::ALL.into_iter().filter(|caller| *caller != provider) {
        let _ = Transcoder::new(caller, provider, asked(), adaptions()).whole(&body);
    }
}

fn asked() -> Asked {
    Asked::by(&Request { stream_usage: Some(true), ..Request::default() }, Delivery::Events).known_as("1")
}

/// Stop sequences that nearly begin everywhere.
fn adaptions() -> Adaptions {
    Adaptions { stop: vec!["aaaaaaab".to_owned(), "never".to_owned()], ..Adaptions::default() }
}

/// Everything that is done with a stream, for all callers, in chunks of this size.
fn stream(provider: Dialect, events: impl Iterator<Item = Value>, chunk: usize) {
    let mut bytes = Vec::new();
    events.for_each(|event| sse::write_json(&mut bytes, &event));
    bytes_of_a_stream(provider, &bytes, chunk);
}

fn bytes_of_a_stream(provider: Dialect, bytes: &[u8], chunk: usize) {
    let mut tap = Tap::new(provider, Delivery::Events);
    let mut filter = UsageChunkFilter::new();
    for piece in bytes.chunks(chunk) {
        tap.push(piece);
        tap.begun();
        tap.at_event_boundary();
        filter.push(bytes::Bytes::copy_from_slice(piece));
    }
    tap.position();
    for caller in Dialect::ALL.into_iter().filter(|caller| *caller != provider) {
        let mut stream = Transcoder::new(caller, provider, asked(), adaptions()).stream().unwrap();
        let mut out = Vec::new();
        for piece in bytes.chunks(chunk) {
            out.clear();
            stream.push(piece, &mut out);
        }
        stream.finish(&mut out);
    }
}

fn list(count: usize, each: impl FnMut(usize) -> Value) -> Value {
    (0..count).map(each).collect()
}

fn map(count: usize, each: impl FnMut(usize) -> (String, Value)) -> Value {
    Value::Object((0..count).map(each).collect::<Map<_, _>>())
}

fn talk(messages: &Value) -> Value {
    json!({"model": "m", "messages": messages})
}

#[test]
fn a_hundred_thousand_tools_take_as_long_as_their_bytes() {
    let function = |name: String| json!({"type": "function", "function": {"name": name, "strict": true, "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}});
    assert_linear("tools", |count| {
        let tools = list(count, |number| function(format!("tool_{number}")));
        request(Dialect::OpenAiChat, &json!({"model": "m", "messages": [], "tools": tools}));
    });
    assert_linear("tools whose names are changed, some of them allowed", |count| {
        let tools = list(count, |number| function(format!("a.tool:{number}")));
        let allowed =
            list(count, |number| json!({"type": "function", "function": {"name": format!("a.tool:{number}")}}));
        let choice = json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": allowed}});
        request(Dialect::OpenAiChat, &json!({"model": "m", "messages": [], "tools": tools, "tool_choice": choice}));
    });
    assert_linear("custom tools", |count| {
        let tools = list(count, |number| json!({"type": "custom", "name": format!("tool_{number}")}));
        request(Dialect::OpenAiResponses, &json!({"model": "m", "input": "x", "tools": tools}));
    });
    assert_linear("provider-run tools", |count| {
        let tools = list(count, |number| json!({"type": format!("later_{number}")}));
        request(Dialect::OpenAiResponses, &json!({"model": "m", "input": "x", "tools": tools}));
    });
    assert_linear("namespaces", |count| {
        let tools = list(
            count,
            |number| json!({"type": "namespace", "name": format!("n{number}"), "tools": [{"type": "function", "name": "f", "parameters": {}}]}),
        );
        request(Dialect::OpenAiResponses, &json!({"model": "m", "input": "x", "tools": tools}));
    });
    assert_linear("declarations", |count| {
        let tools = list(
            count,
            |number| json!({"functionDeclarations": [{"name": format!("f{number}"), "parameters": {"type": "OBJECT"}}]}),
        );
        request(Dialect::Gemini, &json!({"contents": [{"parts": [{"text": "x"}]}], "tools": tools}));
    });
}

#[test]
fn a_schema_takes_as_long_as_its_bytes() {
    let with = |schema: Value| {
        let tools = json!([{"type": "function", "function": {"name": "f", "parameters": schema}}]);
        let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
        request(Dialect::OpenAiChat, &json!({"model": "m", "messages": [], "tools": tools, "response_format": format}));
    };
    assert_linear("properties", |count| {
        let all = list(count, |number| format!("p{number}").into());
        let properties = map(count, |number| (format!("p{number}"), json!({"type": ["string", "null"], "not": {}})));
        with(json!({"type": "object", "properties": properties, "required": all}));
    });
    assert_linear("alternatives", |count| {
        with(
            json!({"anyOf": list(count, |number| json!({"const": number})), "oneOf": list(count, |number| json!({"enum": [number]}))}),
        );
    });
    assert_linear("all of many", |count| {
        let all = list(
            count,
            |number| json!({"type": "object", "properties": {format!("p{number}"): {"type": "string"}}, "required": [format!("p{number}")]}),
        );
        with(json!({"allOf": all}));
    });
    assert_linear("references", |count| {
        let properties = map(count, |number| (format!("p{number}"), json!({"$ref": format!("#/$defs/d{number}")})));
        let definitions = map(count, |number| (format!("d{number}"), json!({"type": "string"})));
        with(json!({"type": "object", "properties": properties, "$defs": definitions}));
    });
    assert_linear("a chain of references", |count| {
        let definitions =
            map(count, |number| (format!("d{number}"), json!({"$ref": format!("#/$defs/d{}", number + 1)})));
        with(json!({"$ref": "#/$defs/d0", "$defs": definitions}));
    });
    assert_linear("references that double at each step", |count| {
        let definitions = map(count, |number| {
            let next = json!({"$ref": format!("#/$defs/d{}", number + 1)});
            (format!("d{number}"), json!({"type": "object", "properties": {"a": next, "b": next}}))
        });
        with(json!({"$ref": "#/$defs/d0", "$defs": definitions}));
    });
    assert_linear("one large definition, referred to again and again", |count| {
        let large = map(count, |number| (format!("p{number}"), json!({"type": "string"})));
        let properties = map(count, |number| (format!("p{number}"), json!({"$ref": "#/$defs/d"})));
        with(
            json!({"type": "object", "properties": properties, "$defs": {"d": {"type": "object", "properties": large}}}),
        );
    });
}

#[test]
fn a_conversation_takes_as_long_as_its_bytes() {
    assert_linear("messages", |count| {
        let role = |number: usize| if number.is_multiple_of(2) { "user" } else { "assistant" };
        request(
            Dialect::OpenAiChat,
            &talk(&list(count, |number| json!({"role": role(number), "content": "x", "name": "n"}))),
        );
    });
    assert_linear("system messages in the middle", |count| {
        let role = |number: usize| if number.is_multiple_of(2) { "user" } else { "system" };
        request(Dialect::OpenAiChat, &talk(&list(count, |number| json!({"role": role(number), "content": "x"}))));
    });
    let call = |id: String| {
        let call = json!({"id": id, "type": "function", "function": {"name": "a.f", "arguments": "{\"a\":1}"}});
        json!({"role": "assistant", "content": null, "tool_calls": [call]})
    };
    let gave = |id: String| json!({"role": "tool", "tool_call_id": id, "content": "done"});
    assert_linear("calls and results", |count| {
        let id = |number: usize| format!("call.{number}");
        let messages = list(2 * count, |number| if number % 2 == 0 { call(id(number)) } else { gave(id(number - 1)) });
        request(Dialect::OpenAiChat, &talk(&messages));
    });
    assert_linear("calls of one id, and results for it", |count| {
        let id = || "call_1".to_owned();
        let messages = list(2 * count, |number| if number < count { call(id()) } else { gave(id()) });
        request(Dialect::OpenAiChat, &talk(&messages));
    });
    assert_linear("results without calls", |count| {
        request(Dialect::OpenAiChat, &talk(&list(count, |number| gave(format!("call_{number}")))));
    });
    assert_linear("calls in one message", |count| {
        let calls =
            list(count, |number| json!({"type": "tool_use", "id": format!("t{number}"), "name": "f", "input": {}}));
        let results =
            list(count, |number| json!({"type": "tool_result", "tool_use_id": format!("t{number}"), "content": "x"}));
        let messages = json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": calls}, {"role": "user", "content": results}]);
        request(Dialect::Anthropic, &json!({"model": "m", "max_tokens": 1, "messages": messages}));
    });
    assert_linear("calls without ids", |count| {
        let calls = list(count, |_| json!({"functionCall": {"name": "f", "args": {}}}));
        let results = list(count, |_| json!({"functionResponse": {"name": "f", "response": {"output": 1}}}));
        let contents = json!([{"role": "user", "parts": [{"text": "x"}]}, {"role": "model", "parts": calls}, {"role": "user", "parts": results}]);
        request(Dialect::Gemini, &json!({"contents": contents}));
    });
    assert_linear("parts, each with something that is lost", |count| {
        let parts = list(
            count,
            |number| json!({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}, format!("later{number}"): 1}),
        );
        request(
            Dialect::Anthropic,
            &json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": parts}]}),
        );
    });
    assert_linear("thoughts with seals of ours", |count| {
        use crate::ir::{Attach, Origin, Seal, SealKind};
        let seal = |number: usize| {
            Seal::new(Origin::Gemini, SealKind::Thought, "c2ln").attached(Attach::Call(format!("c{number}"))).capsule()
        };
        let items = list(2 * count, |number| {
            if number % 2 == 0 {
                json!({"type": "reasoning", "id": format!("rs_{number}"), "summary": [], "encrypted_content": seal(number)})
            } else {
                json!({"type": "function_call", "call_id": format!("c{}", number - 1), "name": "f", "arguments": "{}"})
            }
        });
        request(Dialect::OpenAiResponses, &json!({"model": "m", "input": items}));
    });
    assert_linear("fields that nobody knows", |count| {
        let mut body = map(count, |number| (format!("later_{number}"), json!(number)));
        body["model"] = "m".into();
        body["messages"] = json!([]);
        request(Dialect::OpenAiChat, &body);
    });
    assert_linear("stop sequences", |count| {
        let stop = list(count, |number| format!("s{number}").into());
        request(Dialect::OpenAiChat, &json!({"model": "m", "messages": [], "stop": stop}));
    });
}

#[test]
fn one_large_thing_takes_as_long_as_its_bytes() {
    let large = |count: usize, text: &str| text.repeat(count * 100);
    assert_linear("a text", |count| {
        request(Dialect::OpenAiChat, &talk(&json!([{"role": "user", "content": large(count, "a\n\"ä")}])));
    });
    assert_linear("an image", |count| {
        let url = format!("data:image/png;base64,{}", large(count, "QUJD"));
        let parts = json!([{"type": "image_url", "image_url": {"url": url}}]);
        request(Dialect::OpenAiChat, &talk(&json!([{"role": "user", "content": parts}])));
    });
    assert_linear("names and ids", |count| {
        let call = json!({"id": large(count, "i"), "type": "function", "function": {"name": large(count, "n."), "arguments": large(count, "[")}});
        let tool = json!({"type": "function", "function": {"name": large(count, "n."), "parameters": {}}});
        let messages = json!([{"role": "assistant", "content": null, "tool_calls": [call]}]);
        request(Dialect::OpenAiChat, &json!({"model": "m", "messages": messages, "tools": [tool]}));
    });
    assert_linear("a thought with our mark", |count| {
        let block =
            json!({"type": "thinking", "thinking": "x", "signature": format!("lgwMark1{}", large(count, "QUJD"))});
        request(
            Dialect::Anthropic,
            &json!({"model": "m", "max_tokens": 1, "messages": [{"role": "assistant", "content": [block]}]}),
        );
    });
    assert_linear("an event", |count| {
        let delta = json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": large(count, "a")}}]});
        stream(Dialect::OpenAiChat, [json!({"id": "1", "choices": []}), delta].into_iter(), 1_000);
    });
    assert_linear("a line that does not end", |count| {
        let bytes = format!("data: {}", large(count, "{\"a\":"));
        for provider in Dialect::ALL {
            bytes_of_a_stream(provider, bytes.as_bytes(), 1_000);
        }
    });
}

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
fn a_million_tiny_events_take_as_long_as_their_bytes() {
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
        let piece = |number: usize| json!({"type": "response.reasoning_summary_text.delta", "item_id": "rs", "output_index": 0, "summary_index": number, "delta": "x"});
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
        bytes_of_a_stream(Dialect::OpenAiChat, ": x\n\n\r\n".repeat(count).as_bytes(), 100);
    });
}
