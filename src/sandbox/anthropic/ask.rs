//! A checked Messages request as the simulation understands it.

use serde_json::Value;

use super::{Refusal, directives, model_rules};
use crate::sandbox::compose::{Ask, Choice, Format, Tool, ToolInput, tokens_in};

/// `beta` is what the header of that name asks for.
pub(super) fn read(request: &Value, beta: Option<&str>) -> Result<Ask, Refusal> {
    let messages = request.get("messages").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    // The last user turn with words of its own; what follows it is a tool loop.
    let spoken = messages
        .iter()
        .rposition(|message| text(message, "role") == "user" && !words(message).is_empty() && !only_results(message));
    let spoken_words = spoken.and_then(|index| messages.get(index)).map(words).unwrap_or_default();
    let (directives, prompt) = directives(&spoken_words)?;
    let since = messages.get(spoken.map_or(0, |index| index + 1)..).unwrap_or_default();
    // Instructions may stand after it.
    let last_at = messages.iter().rposition(|message| text(message, "role") != "system");
    let last = last_at.and_then(|index| messages.get(index));
    // A model that is given a budget thinks before the first call, and between calls only where that is asked for.
    let is_interleaved = beta.is_some_and(|beta| beta.contains("interleaved-thinking"));
    let in_loop = last.is_some_and(|last| !results(last).is_empty());
    Ok(Ask {
        model: text(request, "model").to_owned(),
        prompt,
        directives,
        attachments: last.map(attachments).unwrap_or_default(),
        results: last.map(results).unwrap_or_default(),
        rounds: rounds(since) + usize::from(last.is_some_and(|last| spoken == last_at && !results(last).is_empty())),
        tools: tools(request),
        choice: choice(request),
        one_call_at_most: request.pointer("/tool_choice/disable_parallel_tool_use") == Some(&Value::Bool(true)),
        format: request
            .pointer("/output_config/format/schema")
            .map_or(Format::Text, |schema| Format::Schema(schema.clone())),
        reasons: match request.pointer("/thinking/type").and_then(Value::as_str) {
            Some("enabled") => is_interleaved || !in_loop,
            Some("adaptive") => true,
            _ => false,
        },
        max_tokens: request.get("max_tokens").and_then(Value::as_u64),
        stops: request
            .get("stop_sequences")
            .and_then(Value::as_array)
            .map(|stops| stops.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            .unwrap_or_default(),
        input_tokens: ["system", "messages", "tools"].iter().filter_map(|name| request.get(*name)).map(tokens_in).sum(),
    })
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn blocks(message: &Value) -> &[Value] {
    message.get("content").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn words(message: &Value) -> String {
    if let Some(content) = message.get("content").and_then(Value::as_str) {
        return content.to_owned();
    }
    let texts: Vec<_> =
        blocks(message).iter().filter(|block| text(block, "type") == "text").map(|block| text(block, "text")).collect();
    texts.join("\n")
}

fn is_result(block: &Value) -> bool {
    text(block, "type") == "tool_result"
}

/// Words beside tool results (a reminder, say) do not begin a new turn.
fn only_results(message: &Value) -> bool {
    blocks(message).iter().any(is_result)
}

fn results(message: &Value) -> Vec<String> {
    let content = |block: &Value| match block.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let parts: Vec<_> = parts
                .iter()
                .map(|part| part.get("text").and_then(Value::as_str).map_or_else(|| attachment(part), str::to_owned))
                .collect();
            parts.join("\n")
        }
        _ => String::new(),
    };
    blocks(message).iter().filter(|block| is_result(block)).map(content).collect()
}

fn rounds(since: &[Value]) -> usize {
    since.iter().filter(|message| blocks(message).iter().any(is_result)).count()
}

fn attachments(message: &Value) -> Vec<String> {
    blocks(message).iter().filter(|block| matches!(text(block, "type"), "image" | "document")).map(attachment).collect()
}

fn attachment(block: &Value) -> String {
    let source = block.get("source").unwrap_or(&Value::Null);
    match text(source, "type") {
        "base64" | "text" => {
            format!("{} ({} characters of data)", text(source, "media_type"), text(source, "data").len())
        }
        "url" => format!("{} at {}", text(block, "type"), text(source, "url")),
        other => format!("{} from {other}", text(block, "type")),
    }
}

fn tools(request: &Value) -> Vec<Tool> {
    let tools = request.get("tools").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let own = tools.iter().filter(|tool| tool.get("type").is_none_or(|kind| kind == "custom"));
    own.map(|tool| Tool {
        name: text(tool, "name").to_owned(),
        namespace: None,
        input: ToolInput::Schema(tool.get("input_schema").cloned().unwrap_or_default()),
    })
    .collect()
}

fn choice(request: &Value) -> Choice {
    match request.pointer("/tool_choice/type").and_then(Value::as_str) {
        Some("any") => Choice::Required,
        Some("tool") => {
            Choice::Named(request.pointer("/tool_choice/name").and_then(Value::as_str).unwrap_or_default().to_owned())
        }
        Some("none") => Choice::None,
        _ => Choice::Auto,
    }
}

/// Whether thinking is shown or only signed, by the request or by the model's own default.
pub(super) fn shows_thinking(request: &Value) -> bool {
    match request.pointer("/thinking/display").and_then(Value::as_str) {
        Some(display) => display == "summarized",
        None => model_rules::version(text(request, "model")) < (4, 7),
    }
}
