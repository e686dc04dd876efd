//! What a request of Responses can say.

use serde_json::{Value, json};

use super::{long, portable, probe, schema};
use crate::translate::table::{Probe, put_over};

/// One thing each.
pub(super) fn probes() -> Vec<Probe> {
    let talk = |input: Value| json!({"input": input});
    let asks = |content: Value| json!({"input": [{"role": "user", "content": content}]});
    let tool = |name: &str| json!({"type": "function", "name": name, "description": "d", "parameters": schema()});
    let user = json!({"role": "user", "content": "hello"});
    let call = json!({"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{\"needle\": 1}"});
    let with_tool = |more: Value| {
        let mut said = json!({"tools": [tool("f"), tool("g")]});
        put_over(&mut said, &more);
        said
    };
    let said_before = |more: Value| {
        let mut item = json!({"type": "message", "role": "assistant", "id": "msg_1", "status": "completed",
            "content": [{"type": "output_text", "text": "a", "annotations": []}]});
        put_over(&mut item, &more);
        json!({"input": [user, item, user]})
    };
    vec![
        probe("`instructions`", "needle", json!({"instructions": "needle"})),
        probe(
            "image in a system or developer message",
            "bmVlZGxl",
            json!({"input": [{"role": "developer", "content": [
                {"type": "input_image", "image_url": "data:image/png;base64,bmVlZGxl"}]}, {"role": "user", "content": "x"}]}),
        ),
        probe(
            "system, developer in the middle",
            "needle",
            talk(
                json!([user, {"role": "assistant", "content": "a"}, {"role": "developer", "content": "needle"}, user]),
            ),
        ),
        probe("assistant last", "needle", talk(json!([user, {"role": "assistant", "content": "needle"}]))),
        probe(
            "`input_image`, by URL",
            "needle.png",
            asks(json!([{"type": "input_image", "image_url": "https://example.com/needle.png"}])),
        ),
        probe(
            "`input_image`, base64",
            "bmVlZGxl",
            asks(json!([{"type": "input_image", "image_url": "data:image/png;base64,bmVlZGxl"}])),
        ),
        probe(
            "`input_file`, base64 PDF",
            "bmVlZGxl",
            asks(
                json!([{"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,bmVlZGxl"}]),
            ),
        ),
        probe(
            "a file's `filename`",
            "needle.pdf",
            asks(
                json!([{"type": "input_file", "filename": "needle.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQK"}]),
            ),
        ),
        probe(
            "`input_file`, by URL",
            "needle.pdf",
            asks(json!([{"type": "input_file", "file_url": "https://example.com/needle.pdf"}])),
        ),
        probe("`input_file`, by id", "needle", asks(json!([{"type": "input_file", "file_id": "file-needle"}]))),
        probe(
            "`function_call`, its output",
            "needle",
            talk(json!([user, call, {"type": "function_call_output", "call_id": "call_1", "output": "done"}])),
        ),
        probe(
            "output with an image",
            "bmVlZGxl",
            talk(
                json!([user, call, {"type": "function_call_output", "call_id": "call_1", "output": [{"type": "input_image", "image_url": "data:image/png;base64,bmVlZGxl"}]}]),
            ),
        ),
        probe(
            "`custom_tool_call`, its output",
            "needle",
            talk(
                json!([user, {"type": "custom_tool_call", "call_id": "call_1", "name": "f", "input": "needle"}, {"type": "custom_tool_call_output", "call_id": "call_1", "output": "done"}]),
            ),
        ),
        probe(
            "`reasoning` items",
            "needle",
            talk(
                json!([user, {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "needle"}], "encrypted_content": "gAAA"}, {"role": "assistant", "content": "a"}, user]),
            ),
        ),
        probe(
            "items of provider-run tools in the history",
            "needle",
            talk(
                json!([user, {"type": "web_search_call", "id": "ws_needle", "status": "completed"}, {"role": "assistant", "content": "a"}, user]),
            ),
        ),
        probe(
            "`input_image`: `detail`",
            "\"high\"",
            asks(json!([{"type": "input_image", "detail": "high", "image_url": "data:image/png;base64,bmVlZGxl"}])),
        ),
        probe(
            "`input_audio`",
            "bmVlZGxl",
            asks(json!([{"type": "input_audio", "input_audio": {"data": "bmVlZGxl", "format": "wav"}}])),
        ),
        probe(
            "`refusal` in the history",
            "needle",
            said_before(json!({"content": [{"type": "refusal", "refusal": "needle"}]})),
        ),
        probe(
            "annotations in the history",
            "example.com",
            said_before(json!({"content": [{"type": "output_text", "text": "a", "annotations": [
                {"type": "url_citation", "url": "https://example.com", "title": "t", "start_index": 0, "end_index": 1}]}]})),
        ),
        probe("`phase` in the history", "commentary", said_before(json!({"phase": "commentary"}))),
        probe("ids of calls, of any length and letters", portable(&"needle/".repeat(20)), {
            let id = "needle/".repeat(20);
            let call = json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"});
            talk(json!([user, call, {"type": "function_call_output", "call_id": id, "output": "done"}]))
        }),
        probe("`item_reference`", "needle", talk(json!([{"type": "item_reference", "id": "needle"}, user]))),
        probe("`previous_response_id`", "needle", json!({"previous_response_id": "resp_needle"})),
        probe("`conversation`", "needle", json!({"conversation": "conv_needle"})),
        probe("`prompt`", "needle", json!({"prompt": {"id": "needle"}})),
        probe("`tools`: functions", "needle", with_tool(json!({}))),
        probe("names over a limit", "", json!({"tools": [tool(&long())]})),
        probe(
            "`strict`",
            "\"strict\":true",
            json!({"tools": [{"type": "function", "name": "f", "strict": true, "parameters": schema()}]}),
        ),
        probe("custom tools", "needle", json!({"tools": [{"type": "custom", "name": "needle"}]})),
        probe(
            "`namespace` tools",
            "needle",
            json!({"tools": [{"type": "namespace", "name": "n", "description": "d", "tools": [tool("needle")]}]}),
        ),
        probe("provider-run tools", "needle", json!({"tools": [{"type": "web_search"}]})),
        probe("`tool_choice: auto`", "", with_tool(json!({"tool_choice": "auto"}))),
        probe("`tool_choice: none`", "", with_tool(json!({"tool_choice": "none"}))),
        probe("`tool_choice: required`", "", with_tool(json!({"tool_choice": "required"}))),
        probe("`tool_choice`: one", "", with_tool(json!({"tool_choice": {"type": "function", "name": "f"}}))),
        probe(
            "`tool_choice`: some",
            "allowed",
            with_tool(
                json!({"tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]}}),
            ),
        ),
        probe("`parallel_tool_calls: false`", "parallel", with_tool(json!({"parallel_tool_calls": false}))),
        probe("`max_tool_calls`", "731", json!({"max_tool_calls": 731})),
        probe("`text.format: json_object`", "", json!({"text": {"format": {"type": "json_object"}}})),
        probe(
            "`text.format: json_schema`",
            "needle",
            json!({"text": {"format": {"type": "json_schema", "name": "n", "strict": true, "schema": schema()}}}),
        ),
        probe("`text.verbosity`", "\"low\"", json!({"text": {"verbosity": "low"}})),
        probe("`reasoning.effort`", "\"low\"", json!({"reasoning": {"effort": "low"}})),
        probe("`reasoning.summary`, beside an effort", "", json!({"reasoning": {"effort": "low", "summary": "auto"}})),
        probe("`reasoning.summary` alone", "", json!({"reasoning": {"summary": "auto"}})),
        probe("`include: reasoning.encrypted_content`", "", json!({"include": ["reasoning.encrypted_content"]})),
        probe("`temperature`", "0.731", json!({"temperature": 0.731})),
        probe("`top_p`", "0.731", json!({"top_p": 0.731})),
        probe(
            "`top_logprobs`",
            "\"top_logprobs\":13",
            json!({"top_logprobs": 13, "include": ["message.output_text.logprobs"]}),
        ),
        probe("`max_output_tokens`", "731", json!({"max_output_tokens": 731})),
        probe("`truncation: auto`", "truncation", json!({"truncation": "auto"})),
        probe(
            "`background: false`, `truncation: disabled`",
            "",
            json!({"background": false, "truncation": "disabled"}),
        ),
        probe(
            "`context_management`",
            "731",
            json!({"context_management": [{"type": "compaction", "compact_threshold": 731}]}),
        ),
        probe("`service_tier`", "flex", json!({"service_tier": "flex"})),
        probe("`user`", "needle", json!({"user": "needle"})),
        probe("`safety_identifier`", "needle", json!({"safety_identifier": "needle"})),
        probe("`prompt_cache_key`", "needle", json!({"prompt_cache_key": "needle"})),
        probe("`prompt_cache_retention`", "24h", json!({"prompt_cache_retention": "24h"})),
        probe("`metadata`", "needle", json!({"metadata": {"needle": "x"}})),
        probe("`store`", "store", json!({"store": true})),
        probe("`stream`", "", json!({"stream": true})),
        probe("a field of tomorrow", "needle", json!({"tomorrow": "needle"})),
    ]
}
