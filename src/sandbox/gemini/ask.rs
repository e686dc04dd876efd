//! A checked generateContent request as the simulation understands it.

use serde_json::Value;

use super::rules::parts;
use super::{Refusal, directives, version};
use crate::sandbox::compose::{Ask, Choice, Format, Tool, ToolInput, tokens_in};

pub(super) fn read(model: &str, request: &Value) -> Result<Ask, Refusal> {
    let contents = request.get("contents").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let is_spoken =
        |content: &Value| text(content, "role") != "model" && !words(content).is_empty() && results(content).is_empty();
    let has_results = |index: usize| contents.get(index).is_some_and(|content| !results(content).is_empty());
    // A word that follows on results (a reminder, say) does not begin a new turn.
    let begins = |index: usize| index.checked_sub(1).is_none_or(|before| !has_results(before));
    let spoken = contents
        .iter()
        .enumerate()
        .rev()
        .find(|(index, content)| is_spoken(content) && begins(*index))
        .map(|(at, _)| at);
    let latest = contents.iter().rev().take_while(|content| text(content, "role") != "model");
    let (directives, prompt) =
        directives(&spoken.and_then(|index| contents.get(index)).map(words).unwrap_or_default())?;
    let since = contents.get(spoken.map_or(0, |index| index + 1)..).unwrap_or_default();
    let config = request.get("generationConfig").unwrap_or(&Value::Null);
    Ok(Ask {
        model: model.to_owned(),
        prompt,
        directives,
        attachments: contents.last().map(attachments).unwrap_or_default(),
        results: latest.map(results).find(|results| !results.is_empty()).unwrap_or_default(),
        rounds: since.iter().filter(|content| !results(content).is_empty()).count(),
        tools: tools(request),
        choice: choice(request),
        one_call_at_most: false,
        format: format(config),
        reasons: thinks(model, config),
        max_tokens: config.get("maxOutputTokens").and_then(Value::as_u64),
        stops: config
            .get("stopSequences")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        input_tokens: ["systemInstruction", "contents", "tools"]
            .iter()
            .filter_map(|name| request.get(*name))
            .map(tokens_in)
            .sum(),
    })
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn words(content: &Value) -> String {
    let texts: Vec<_> = parts(content).iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect();
    texts.join("\n")
}

fn results(content: &Value) -> Vec<String> {
    let responses = parts(content).iter().filter_map(|part| part.get("functionResponse")?.get("response"));
    responses
        .map(|response| {
            match ["output", "result", "error", "content"].iter().find_map(|name| response.get(*name)?.as_str()) {
                Some(text) => text.to_owned(),
                None => response.to_string(),
            }
        })
        .collect()
}

fn attachments(content: &Value) -> Vec<String> {
    parts(content)
        .iter()
        .filter_map(|part| {
            let inline = part
                .get("inlineData")
                .map(|data| format!("{} ({} characters of data)", text(data, "mimeType"), text(data, "data").len()));
            inline.or_else(|| part.get("fileData").map(|data| format!("what is at {}", text(data, "fileUri"))))
        })
        .collect()
}

fn tools(request: &Value) -> Vec<Tool> {
    let allowed = request.pointer("/toolConfig/functionCallingConfig/allowedFunctionNames").and_then(Value::as_array);
    let tools = request.get("tools").and_then(Value::as_array).into_iter().flatten();
    let functions = tools.filter_map(|tool| tool.get("functionDeclarations")?.as_array()).flatten();
    functions
        .filter(|function| {
            allowed.is_none_or(|allowed| {
                allowed.is_empty() || allowed.contains(function.get("name").unwrap_or(&Value::Null))
            })
        })
        .map(|function| {
            let schema = function.get("parameters").or_else(|| function.get("parametersJsonSchema"));
            Tool {
                namespace: None,
                name: text(function, "name").to_owned(),
                input: ToolInput::Schema(schema.cloned().unwrap_or_default()),
            }
        })
        .collect()
}

fn choice(request: &Value) -> Choice {
    match request.pointer("/toolConfig/functionCallingConfig/mode").and_then(Value::as_str) {
        Some("ANY") => Choice::Required,
        Some("NONE") => Choice::None,
        _ => Choice::Auto,
    }
}

fn format(config: &Value) -> Format {
    let schema =
        ["responseSchema", "responseJsonSchema", "_responseJsonSchema"].iter().find_map(|name| config.get(*name));
    match schema {
        Some(schema) => Format::Schema(schema.clone()),
        None if text(config, "responseMimeType") == "application/json" => Format::Json,
        None => Format::Text,
    }
}

/// All models think since 2.5, Flash-Lite only when told to.
fn thinks(model: &str, config: &Value) -> bool {
    let budget = config.pointer("/thinkingConfig/thinkingBudget").and_then(Value::as_i64);
    match budget {
        _ if version(model) < (2, 5) || model.starts_with("gemma") => false,
        Some(budget) => budget != 0,
        None => !model.contains("2.5-flash-lite") || config.pointer("/thinkingConfig/thinkingLevel").is_some(),
    }
}
