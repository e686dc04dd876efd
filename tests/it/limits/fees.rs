//! What a provider charges by the call: searches of the web, where configuration has a price for them.

use llm_gateway::sandbox::Reply;
use serde_json::{Value, json};

use super::header;
use crate::support::gateway::TestGateway;

/// A cent for a search; dollars per million tokens.
const PRICES: &str = r#"
[prices."gpt-4.1"]
input = 2
output = 8
web_search = 10000
[prices."claude-sonnet-4-5"]
input = 3
output = 15
web_search = 10000
[prices."gemini-2.5-pro"]
input = 1.25
output = 10
web_search = 14000
"#;

fn gemini(queries: &Value) -> Value {
    json!({
        "candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [{"text": "hi"}]},
            "groundingMetadata": {"webSearchQueries": queries}}],
        "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 10, "totalTokenCount": 110},
        "modelVersion": "gemini-2.5-pro",
    })
}

fn anthropic(usage: &Value) -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn", "stop_sequence": null, "usage": usage,
    })
}

fn responses(items: &[Value]) -> Value {
    let message = json!({"type": "message", "id": "m", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "hi", "annotations": []}]});
    let output: Vec<Value> = items.iter().cloned().chain([message]).collect();
    json!({
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "gpt-4.1", "output": output,
        "usage": {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110},
    })
}

fn search(action: &str) -> Value {
    json!({"type": "web_search_call", "id": "ws", "status": "completed", "action": {"type": action, "query": "rain"}})
}

#[tokio::test]
async fn searches_that_usage_reports_are_charged_with_every_provider() {
    let gateway = TestGateway::builder().toml(PRICES).start().await;
    let messages =
        json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    let input = json!({"model": "gpt-4.1", "input": "hi"});
    let contents = json!({"contents": [{"parts": [{"text": "hi"}]}]});
    let rows = [
        // 100 x 2 + 10 x 8 = 280 millionths, and no search.
        ("/v1/responses", &input, responses(&[]), "0.00028"),
        // The same and two searches of a cent; opening a page that was found is none.
        ("/v1/responses", &input, responses(&[search("search"), search("open_page"), search("search")]), "0.02028"),
        // 100 x 3 + 10 x 15 = 450 millionths, and three cents.
        (
            "/v1/messages",
            &messages,
            anthropic(
                &json!({"input_tokens": 100, "output_tokens": 10, "server_tool_use": {"web_search_requests": 3}}),
            ),
            "0.03045",
        ),
        ("/v1/messages", &messages, anthropic(&json!({"input_tokens": 100, "output_tokens": 10})), "0.00045"),
        // 100 x 1.25 + 10 x 10 = 225 millionths, and two searches of 1.4 cents.
        ("/v1beta/models/gemini-2.5-pro:generateContent", &contents, gemini(&json!(["rain", "sun"])), "0.028225"),
        ("/v1beta/models/gemini-2.5-pro:generateContent", &contents, gemini(&json!([])), "0.000225"),
        // More searches than anybody makes are not believed: the answer costs what had been reserved, not a fortune.
        (
            "/v1/messages",
            &messages,
            anthropic(
                &json!({"input_tokens": 100, "output_tokens": 10, "server_tool_use": {"web_search_requests": 1_000_000_000}}),
            ),
            "",
        ),
    ];
    for (path, body, answered, cost) in rows {
        let provider = match path {
            "/v1/responses" => gateway.openai(),
            "/v1/messages" => gateway.anthropic(),
            _ => gateway.gemini(),
        };
        provider.script().push(Reply::json(200, &answered));
        let answer = gateway.post(path, body).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{answered}");
        let charged = header(&answer, "x-llm-gateway-cost-usd");
        if cost.is_empty() {
            assert!(charged.parse::<f64>().unwrap() < 0.001, "{charged}");
        } else {
            assert_eq!(charged, cost, "{answered}");
        }
    }
}
