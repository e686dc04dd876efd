//! What an answer can say, a thing each.

use serde_json::{Value, json};

use super::message;
use crate::dialect::Dialect;
use crate::translate::table::{Probe, put_over};

/// Those of a provider.
pub(super) fn probes(provider: Dialect) -> Vec<Probe> {
    match provider {
        Dialect::OpenAiChat => chat(),
        Dialect::OpenAiResponses => responses(),
        Dialect::Anthropic => messages(),
        Dialect::Gemini => generate_content(),
    }
}

fn probe(label: &'static str, needle: &'static str, said: Value) -> Probe {
    Probe { label, said, needle }
}

fn chat() -> Vec<Probe> {
    let says = |more: Value| {
        let mut message = json!({"role": "assistant", "content": "hello"});
        put_over(&mut message, &more);
        json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    };
    let call = |kind: &str, inner: Value| says(json!({"tool_calls": [{"id": "call_1", "type": kind, kind: inner}]}));
    vec![
        probe("text", "needle", says(json!({"content": "needle"}))),
        probe("`refusal`", "needle", says(json!({"content": null, "refusal": "needle"}))),
        probe(
            "`tool_calls`: functions",
            "needle",
            call("function", json!({"name": "f", "arguments": "{\"needle\":1}"})),
        ),
        probe("`tool_calls`: custom", "needle", call("custom", json!({"name": "f", "input": "needle"}))),
        probe("`reasoning_content`", "needle", says(json!({"reasoning_content": "needle"}))),
        probe(
            "`annotations`",
            "example.com",
            says(
                json!({"annotations": [{"type": "url_citation", "url_citation": {"url": "https://example.com", "title": "t", "start_index": 0, "end_index": 5}}]}),
            ),
        ),
        probe(
            "`logprobs`",
            "-0.731",
            json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop",
            "logprobs": {"content": [{"token": "hello", "logprob": -0.731, "bytes": null, "top_logprobs": []}], "refusal": null}}]}),
        ),
        probe(
            "a second choice",
            "needle",
            json!({"choices": [
            {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"},
            {"index": 1, "message": {"role": "assistant", "content": "needle"}, "finish_reason": "stop"}]}),
        ),
        probe(
            "`audio`",
            "bmVlZGxl",
            says(json!({"audio": {"id": "audio_1", "data": "bmVlZGxl", "transcript": "t", "expires_at": 1}})),
        ),
        probe("`id`", "needle", json!({"id": "needle"})),
        probe("`model`", "needle", json!({"model": "needle"})),
        probe(
            "`service_tier`",
            "flex",
            json!({"service_tier": "flex", "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}),
        ),
        probe("`system_fingerprint`", "needle", json!({"system_fingerprint": "needle"})),
        probe("a field of tomorrow", "needle", json!({"tomorrow": "needle"})),
    ]
}

fn responses() -> Vec<Probe> {
    let says = |item: Value| json!({"output": [item, message(json!([{"type": "output_text", "text": "hello", "annotations": []}]))]});
    let part = |part: Value| json!({"output": [message(json!([part]))]});
    vec![
        probe("text", "needle", part(json!({"type": "output_text", "text": "needle", "annotations": []}))),
        probe("`refusal`", "needle", part(json!({"type": "refusal", "refusal": "needle"}))),
        probe(
            "`function_call`",
            "needle",
            says(
                json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{\"needle\":1}", "status": "completed"}),
            ),
        ),
        probe(
            "`custom_tool_call`",
            "needle",
            says(
                json!({"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1", "name": "f", "input": "needle"}),
            ),
        ),
        probe(
            "`reasoning`: summaries",
            "needle",
            says(json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "needle"}]})),
        ),
        probe(
            "`reasoning`: `encrypted_content`",
            "lgwMark1",
            says(json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"})),
        ),
        probe(
            "annotations",
            "example.com",
            part(
                json!({"type": "output_text", "text": "hello", "annotations": [{"type": "url_citation", "url": "https://example.com", "title": "t", "start_index": 0, "end_index": 5}]}),
            ),
        ),
        probe(
            "`logprobs`",
            "-0.731",
            part(
                json!({"type": "output_text", "text": "hello", "annotations": [], "logprobs": [{"token": "hello", "logprob": -0.731, "bytes": [], "top_logprobs": []}]}),
            ),
        ),
        probe(
            "`image_generation_call`",
            "bmVlZGxl",
            says(json!({"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "bmVlZGxl"})),
        ),
        probe(
            "items of provider-run tools",
            "needle",
            says(
                json!({"type": "web_search_call", "id": "ws_needle", "status": "completed", "action": {"type": "search", "query": "needle"}}),
            ),
        ),
        probe("`id`", "needle", json!({"id": "needle"})),
        probe("`model`", "needle", json!({"model": "needle"})),
        probe(
            "`service_tier`",
            "flex",
            json!({"service_tier": "flex", "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}}),
        ),
        probe(
            "`phase` of a message",
            "commentary",
            json!({"output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "phase": "commentary",
                "content": [{"type": "output_text", "text": "hello", "annotations": []}]}]}),
        ),
        probe("a field of tomorrow", "needle", json!({"tomorrow": "needle"})),
    ]
}

fn messages() -> Vec<Probe> {
    let says = |block: Value| json!({"content": [block, {"type": "text", "text": "hello"}]});
    vec![
        probe("text", "needle", json!({"content": [{"type": "text", "text": "needle"}]})),
        probe(
            "`tool_use`",
            "needle",
            says(json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"needle": 1}})),
        ),
        probe("`thinking`", "needle", says(json!({"type": "thinking", "thinking": "needle", "signature": ""}))),
        probe("its `signature`", "lgwMark1", says(json!({"type": "thinking", "thinking": "t", "signature": "EqQB"}))),
        probe("`redacted_thinking`", "lgwMark1", says(json!({"type": "redacted_thinking", "data": "EmwK"}))),
        probe(
            "`citations`",
            "example.com",
            json!({"content": [{"type": "text", "text": "hello", "citations": [{"type": "web_search_result_location", "url": "https://example.com", "title": "t", "encrypted_index": "e", "cited_text": "c"}]}]}),
        ),
        probe(
            "blocks of provider-run tools",
            "needle",
            says(
                json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "needle"}}),
            ),
        ),
        probe("`stop_sequence`", "needle", json!({"stop_reason": "stop_sequence", "stop_sequence": "needle"})),
        probe("`id`", "needle", json!({"id": "needle"})),
        probe("`model`", "needle", json!({"model": "needle"})),
        probe(
            "`usage.service_tier`",
            "priority",
            json!({"usage": {"input_tokens": 1, "output_tokens": 1, "service_tier": "priority"}}),
        ),
        probe(
            "`context_management`, `container`",
            "needle",
            json!({"context_management": {"applied_edits": [{"type": "needle"}]}, "container": {"id": "needle"}}),
        ),
        probe("a field of tomorrow", "needle", json!({"tomorrow": "needle"})),
    ]
}

fn generate_content() -> Vec<Probe> {
    let candidate = |more: Value| {
        let mut candidate =
            json!({"index": 0, "content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP"});
        put_over(&mut candidate, &more);
        json!({"candidates": [candidate]})
    };
    let says = |part: Value| candidate(json!({"content": {"parts": [part, {"text": "hello"}]}}));
    vec![
        probe("text", "needle", says(json!({"text": "needle"}))),
        probe("`functionCall`", "needle", says(json!({"functionCall": {"name": "f", "args": {"needle": 1}}}))),
        probe("thought parts", "needle", says(json!({"text": "needle", "thought": true}))),
        probe(
            "`thoughtSignature` of a call",
            "lgwMark1",
            says(json!({"functionCall": {"id": "1", "name": "f", "args": {}}, "thoughtSignature": "bmVlZGxl"})),
        ),
        probe(
            "`thoughtSignature` of a text",
            "lgwMark1",
            candidate(json!({"content": {"parts": [{"text": "hello", "thoughtSignature": "bmVlZGxl"}]}})),
        ),
        probe(
            "`groundingMetadata`",
            "example.com",
            candidate(json!({"groundingMetadata": {
            "groundingChunks": [{"web": {"uri": "https://example.com", "title": "t"}}],
            "groundingSupports": [{"segment": {"startIndex": 0, "endIndex": 5, "text": "hello"}, "groundingChunkIndices": [0]}]}})),
        ),
        probe(
            "`logprobsResult`",
            "-0.731",
            candidate(
                json!({"logprobsResult": {"chosenCandidates": [{"token": "hello", "logProbability": -0.731}], "topCandidates": []}}),
            ),
        ),
        probe(
            "a second candidate",
            "needle",
            json!({"candidates": [
            {"index": 0, "content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP"},
            {"index": 1, "content": {"role": "model", "parts": [{"text": "needle"}]}, "finishReason": "STOP"}]}),
        ),
        probe(
            "image, `inlineData`",
            "bmVlZGxl",
            says(json!({"inlineData": {"mimeType": "image/png", "data": "bmVlZGxl"}})),
        ),
        probe(
            "`executableCode`, its result",
            "needle",
            says(json!({"executableCode": {"language": "PYTHON", "code": "needle"}})),
        ),
        probe(
            "`safetyRatings`",
            "HARM",
            candidate(json!({"safetyRatings": [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "LOW"}]})),
        ),
        probe("`responseId`", "needle", json!({"responseId": "needle"})),
        probe("`modelVersion`", "needle", json!({"modelVersion": "needle"})),
        probe(
            "`usageMetadata.serviceTier`",
            "flex",
            json!({"usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2, "serviceTier": "flex"}}),
        ),
        probe(
            "`createTime`, `avgLogprobs`",
            "needle",
            json!({"createTime": "needle", "candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP", "avgLogprobs": -0.1}]}),
        ),
        probe("a field of tomorrow", "needle", json!({"tomorrow": "needle"})),
    ]
}
