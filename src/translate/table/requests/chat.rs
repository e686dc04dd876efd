//! What a request of chat completions can say.

use serde_json::{Value, json};

use super::{long, portable, probe, schema};
use crate::translate::table::{Probe, put_over};

/// One thing each.
pub(super) fn probes() -> Vec<Probe> {
    let talk = |messages: Value| json!({"messages": messages});
    let asks = |content: Value| json!({"messages": [{"role": "user", "content": content}]});
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "description": "d", "parameters": schema()}});
    let with_tool = |more: Value| {
        let mut said = json!({"tools": [tool("f"), tool("g")]});
        put_over(&mut said, &more);
        said
    };
    let call = json!({"role": "assistant", "content": null, "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"needle\": 1}"}},
        {"id": "call_2", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let results = [
        json!({"role": "tool", "tool_call_id": "call_1", "content": "needle"}),
        json!({"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "two"}]}),
    ];
    let user = json!({"role": "user", "content": "hello"});
    vec![
        probe(
            "`messages`: system, developer, first",
            "needle",
            talk(json!([{"role": "developer", "content": "needle"}, user])),
        ),
        probe(
            "system in the middle",
            "needle",
            talk(json!([user, {"role": "assistant", "content": "a"}, {"role": "system", "content": "needle"}, user])),
        ),
        probe(
            "image in a system message",
            "bmVlZGxl",
            talk(json!([{"role": "system", "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,bmVlZGxl"}}]}, user])),
        ),
        probe("assistant last (prefill)", "needle", talk(json!([user, {"role": "assistant", "content": "needle"}]))),
        probe("`name` of a speaker", "needle", talk(json!([{"role": "user", "name": "needle", "content": "hello"}]))),
        probe(
            "`refusal` in the history",
            "needle",
            talk(json!([user, {"role": "assistant", "content": null, "refusal": "needle"}, user])),
        ),
        probe(
            "`reasoning_content` in the history",
            "needle",
            talk(json!([user, {"role": "assistant", "content": "a", "reasoning_content": "needle"}, user])),
        ),
        probe(
            "image, by URL",
            "needle.png",
            asks(json!([{"type": "image_url", "image_url": {"url": "https://example.com/needle.png"}}])),
        ),
        probe(
            "image, base64",
            "bmVlZGxl",
            asks(json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,bmVlZGxl"}}])),
        ),
        probe(
            "image `detail`",
            "\"high\"",
            asks(
                json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,bmVlZGxl", "detail": "high"}}]),
            ),
        ),
        probe(
            "audio in",
            "bmVlZGxl",
            asks(json!([{"type": "input_audio", "input_audio": {"data": "bmVlZGxl", "format": "wav"}}])),
        ),
        probe(
            "file, base64 PDF",
            "bmVlZGxl",
            asks(
                json!([{"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,bmVlZGxl"}}]),
            ),
        ),
        probe(
            "a file's `filename`",
            "needle.pdf",
            asks(
                json!([{"type": "file", "file": {"filename": "needle.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQK"}}]),
            ),
        ),
        probe("file, by id", "needle", asks(json!([{"type": "file", "file": {"file_id": "file-needle"}}]))),
        probe(
            "`cache_control` on a part",
            "ephemeral",
            asks(json!([{"type": "text", "text": "hello", "cache_control": {"type": "ephemeral"}}])),
        ),
        probe("tool calls, results", "needle", talk(json!([user, call, results[0], results[1]]))),
        probe("ids of calls, of any length and letters", portable(&"needle/".repeat(20)), {
            let id = "needle/".repeat(20);
            let call = json!({"role": "assistant", "content": null, "tool_calls": [
                {"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
            talk(json!([user, call, {"role": "tool", "tool_call_id": id, "content": "one"}]))
        }),
        probe(
            "custom tool calls, results",
            "needle",
            talk(json!([user, {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_1", "type": "custom", "custom": {"name": "f", "input": "needle"}}]},
                {"role": "tool", "tool_call_id": "call_1", "content": "done"}])),
        ),
        probe(
            "`audio` of an answer before",
            "needle",
            talk(json!([user, {"role": "assistant", "content": "a", "audio": {"id": "needle"}}, user])),
        ),
        probe("`tools`: functions", "needle", with_tool(json!({}))),
        probe(
            "schemas: `not`, `patternProperties`",
            "needle",
            json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {
                "a": {"type": "string", "not": {"const": "needle"}}}, "patternProperties": {"^needle": {"type": "string"}}}}}]}),
        ),
        probe(
            "schemas: `$ref`, `oneOf`, `const`",
            "needle",
            json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object",
                "$defs": {"d": {"type": "string", "description": "needle"}},
                "properties": {"a": {"$ref": "#/$defs/d"}, "b": {"oneOf": [{"const": 1}, {"type": "null"}]}}}}}]}),
        ),
        probe("names over a limit", "", json!({"tools": [tool(&long())]})),
        probe(
            "`strict`",
            "\"strict\":true",
            json!({"tools": [{"type": "function", "function": {"name": "f", "strict": true, "parameters": schema()}}]}),
        ),
        probe(
            "custom tools",
            "needle",
            json!({"tools": [{"type": "custom", "custom": {"name": "needle", "description": "d"}}]}),
        ),
        probe("`web_search_options`", "needle", json!({"web_search_options": {"search_context_size": "needle"}})),
        probe("`functions` (deprecated)", "needle", json!({"functions": [{"name": "needle", "parameters": {}}]})),
        probe("`tool_choice: auto`", "", with_tool(json!({"tool_choice": "auto"}))),
        probe("`tool_choice: none`", "", with_tool(json!({"tool_choice": "none"}))),
        probe("`tool_choice: required`", "", with_tool(json!({"tool_choice": "required"}))),
        probe(
            "`tool_choice`: one",
            "",
            with_tool(json!({"tool_choice": {"type": "function", "function": {"name": "f"}}})),
        ),
        probe(
            "`tool_choice`: some",
            "allowed",
            with_tool(
                json!({"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]}}}),
            ),
        ),
        probe("`parallel_tool_calls: false`", "parallel", with_tool(json!({"parallel_tool_calls": false}))),
        probe("`parallel_tool_calls: true`", "parallel", with_tool(json!({"parallel_tool_calls": true}))),
        probe("`response_format: text`", "", json!({"response_format": {"type": "text"}})),
        probe("`response_format: json_object`", "", json!({"response_format": {"type": "json_object"}})),
        probe(
            "`response_format: json_schema`",
            "needle",
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": true, "schema": schema()}}}),
        ),
        probe("`temperature`", "0.731", json!({"temperature": 0.731})),
        probe("`temperature` over 1", "1.731", json!({"temperature": 1.731})),
        probe("`top_p`", "0.731", json!({"top_p": 0.731})),
        probe("`top_k` (others' servers)", "731", json!({"top_k": 731})),
        probe("`frequency_penalty`", "0.731", json!({"frequency_penalty": 0.731})),
        probe("`presence_penalty`", "0.731", json!({"presence_penalty": 0.731})),
        probe("`seed`", "731", json!({"seed": 731})),
        probe("`logit_bias`", "731", json!({"logit_bias": {"731": 5}})),
        probe("`stop`", "\"needle\"", json!({"stop": ["needle"]})),
        probe("`max_completion_tokens`, `max_tokens`", "731", json!({"max_completion_tokens": 731})),
        probe("`n`", "\"candidatecount\":3", json!({"n": 3})),
        probe("`logprobs`, `top_logprobs`", "\"top_logprobs\":13", json!({"logprobs": true, "top_logprobs": 13})),
        probe("`reasoning_effort`", "\"low\"", json!({"reasoning_effort": "low"})),
        probe("`verbosity`", "\"low\"", json!({"verbosity": "low"})),
        probe("`prediction`", "needle", json!({"prediction": {"type": "content", "content": "needle"}})),
        probe(
            "`modalities: audio`, `audio`",
            "needle",
            json!({"modalities": ["text", "audio"], "audio": {"voice": "needle", "format": "wav"}}),
        ),
        probe("`service_tier`", "flex", json!({"service_tier": "flex"})),
        probe("`user`", "needle", json!({"user": "needle"})),
        probe("`safety_identifier`", "needle", json!({"safety_identifier": "needle"})),
        probe("`prompt_cache_key`", "needle", json!({"prompt_cache_key": "needle"})),
        probe("`prompt_cache_retention`", "24h", json!({"prompt_cache_retention": "24h"})),
        probe("`metadata`", "needle", json!({"metadata": {"needle": "x"}})),
        probe("`store`", "store", json!({"store": true})),
        probe("`stream`", "", json!({"stream": true})),
        probe("`stream_options`", "", json!({"stream_options": {"include_usage": true}})),
        probe("a field of tomorrow", "needle", json!({"tomorrow": "needle"})),
    ]
}
