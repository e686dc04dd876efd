//! What a request of Messages can say.

use serde_json::{Value, json};

use super::{portable, probe, schema};
use crate::translate::table::{Probe, put_over};

/// One thing each.
pub(super) fn probes() -> Vec<Probe> {
    let talk = |messages: Value| json!({"messages": messages});
    let asks = |content: Value| json!({"messages": [{"role": "user", "content": content}]});
    let tool = |name: &str| json!({"name": name, "description": "d", "input_schema": schema()});
    let user = json!({"role": "user", "content": "hello"});
    let call = json!({"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"needle": 1}}]});
    let gave = |more: Value| {
        let mut block = json!({"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"});
        put_over(&mut block, &more);
        json!({"messages": [user, call, {"role": "user", "content": [block]}]})
    };
    let thought = |block: Value| json!({"messages": [user, {"role": "assistant", "content": [block, {"type": "text", "text": "a"}]}, user]});
    let with_tool = |more: Value| {
        let mut said = json!({"tools": [tool("f"), tool("g")]});
        put_over(&mut said, &more);
        said
    };
    vec![
        probe("`system`", "needle", json!({"system": "needle"})),
        probe(
            "`system` role in the middle",
            "needle",
            talk(json!([user, {"role": "assistant", "content": "a"}, {"role": "system", "content": "needle"}, user])),
        ),
        probe("assistant last (prefill)", "needle", talk(json!([user, {"role": "assistant", "content": "needle"}]))),
        probe(
            "`cache_control`",
            "ephemeral",
            asks(json!([{"type": "text", "text": "hello", "cache_control": {"type": "ephemeral"}}])),
        ),
        probe(
            "image, by URL",
            "needle.png",
            asks(json!([{"type": "image", "source": {"type": "url", "url": "https://example.com/needle.png"}}])),
        ),
        probe(
            "image, base64",
            "bmVlZGxl",
            asks(
                json!([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "bmVlZGxl"}}]),
            ),
        ),
        probe(
            "document, base64 PDF",
            "bmVlZGxl",
            asks(
                json!([{"type": "document", "title": "a.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": "bmVlZGxl"}}]),
            ),
        ),
        probe(
            "a document's `title`",
            "needle title",
            asks(
                json!([{"type": "document", "title": "needle title", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"}}]),
            ),
        ),
        probe(
            "document, PDF by URL",
            "needle.pdf",
            asks(json!([{"type": "document", "source": {"type": "url", "url": "https://example.com/needle.pdf"}}])),
        ),
        probe(
            "document, text",
            "needle",
            asks(
                json!([{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "needle"}}]),
            ),
        ),
        probe(
            "document, `citations` wanted",
            "citations",
            asks(
                json!([{"type": "document", "citations": {"enabled": true}, "source": {"type": "text", "media_type": "text/plain", "data": "x"}}]),
            ),
        ),
        probe(
            "`search_result`",
            "needle",
            asks(
                json!([{"type": "search_result", "source": "https://example.com", "title": "t", "content": [{"type": "text", "text": "needle"}]}]),
            ),
        ),
        probe("`tool_use`, `tool_result`", "needle", gave(json!({}))),
        probe("`tool_result`: `is_error`", "error", gave(json!({"is_error": true}))),
        probe(
            "`tool_result` with an image",
            "bmVlZGxl",
            gave(
                json!({"content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "bmVlZGxl"}}]}),
            ),
        ),
        probe(
            "`thinking`, signed",
            "needle",
            thought(json!({"type": "thinking", "thinking": "needle", "signature": "EqQB"})),
        ),
        probe("`redacted_thinking`", "needle", thought(json!({"type": "redacted_thinking", "data": "needle"}))),
        probe(
            "blocks of provider-run tools in the history",
            "needle",
            thought(
                json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "needle"}}),
            ),
        ),
        probe(
            "`tool_result` with a document",
            "bmVlZGxl",
            gave(
                json!({"content": [{"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "bmVlZGxl"}}]}),
            ),
        ),
        probe(
            "citations in the history",
            "example.com",
            thought(json!({"type": "text", "text": "t", "citations": [{"type": "web_search_result_location",
                "url": "https://example.com", "title": "t", "encrypted_index": "e", "cited_text": "c"}]})),
        ),
        probe("ids of calls, of any length and letters", portable(&"needle/".repeat(20)), {
            let id = "needle/".repeat(20);
            let call =
                json!({"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "f", "input": {}}]});
            let result =
                json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "done"}]});
            talk(json!([user, call, result]))
        }),
        probe("`tools`", "needle", with_tool(json!({}))),
        probe("names over a limit", "", json!({"tools": [tool(&"needle".repeat(20))]})),
        probe(
            "`strict`",
            "\"strict\":true",
            json!({"tools": [{"name": "f", "strict": true, "input_schema": schema()}]}),
        ),
        probe(
            "tool's `cache_control`",
            "ephemeral",
            json!({"tools": [{"name": "f", "input_schema": schema(), "cache_control": {"type": "ephemeral"}}]}),
        ),
        probe(
            "tool's `input_examples`",
            "example",
            json!({"tools": [{"name": "f", "input_schema": schema(), "input_examples": [{"example": 1}]}]}),
        ),
        probe(
            "provider-run tools",
            "needle",
            json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
        ),
        probe("`tool_choice: auto`", "", with_tool(json!({"tool_choice": {"type": "auto"}}))),
        probe("`tool_choice: none`", "", with_tool(json!({"tool_choice": {"type": "none"}}))),
        probe("`tool_choice: any`", "", with_tool(json!({"tool_choice": {"type": "any"}}))),
        probe("`tool_choice`: one", "", with_tool(json!({"tool_choice": {"type": "tool", "name": "f"}}))),
        probe(
            "`disable_parallel_tool_use`",
            "parallel",
            with_tool(json!({"tool_choice": {"type": "auto", "disable_parallel_tool_use": true}})),
        ),
        probe(
            "`output_config.format`",
            "needle",
            json!({"output_config": {"format": {"type": "json_schema", "schema": schema()}}}),
        ),
        probe("`thinking: enabled`, a budget", "7310", json!({"thinking": {"type": "enabled", "budget_tokens": 7310}})),
        probe("`thinking: adaptive`", "", json!({"thinking": {"type": "adaptive"}})),
        probe("`thinking: disabled`", "", json!({"thinking": {"type": "disabled"}})),
        probe("`output_config.effort`", "\"low\"", json!({"output_config": {"effort": "low"}})),
        probe(
            "`output_config.task_budget`",
            "7310",
            json!({"output_config": {"task_budget": {"type": "tokens", "total": 7310}}}),
        ),
        probe("`temperature`", "0.731", json!({"temperature": 0.731})),
        probe("`top_p`", "0.731", json!({"top_p": 0.731})),
        probe("`top_k`", "731", json!({"top_k": 731})),
        probe("`stop_sequences`", "\"needle\"", json!({"stop_sequences": ["needle"]})),
        probe("`max_tokens`", "731", json!({"max_tokens": 731})),
        probe("`metadata.user_id`", "needle", json!({"metadata": {"user_id": "needle"}})),
        probe("`service_tier`", "", json!({"service_tier": "standard_only"})),
        probe(
            "`context_management`",
            "clear",
            json!({"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}),
        ),
        probe(
            "`mcp_servers`",
            "needle",
            json!({"mcp_servers": [{"type": "url", "name": "needle", "url": "https://example.com/mcp"}]}),
        ),
        probe("`container`", "needle", json!({"container": "needle"})),
        probe("`stream`", "", json!({"stream": true})),
        probe("a field of tomorrow", "needle", json!({"tomorrow": "needle"})),
    ]
}
