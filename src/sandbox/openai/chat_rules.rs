//! What chat completions demands beyond fields and types.

use std::collections::HashSet;

use serde_json::Value;

use super::schema_rules::{form_schema, object_schema, strict};
use super::{Refusal, reasons, takes_json, takes_schema};
use crate::sandbox::bytes;

/// The first rule that the request breaks.
pub(super) fn check(request: &Value) -> Result<(), Refusal> {
    short_ids(request)?;
    if list(request, "messages").is_empty() {
        return Err(Refusal::invalid(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        )
        .param("messages")
        .code("empty_array"));
    }
    tool_pairs(list(request, "messages"))?;
    contents(list(request, "messages"))?;
    tools(request)?;
    parameters(request)?;
    reasoning_model(request)
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn given(request: &Value, name: &str) -> bool {
    request.get(name).is_some_and(|value| !value.is_null())
}

/// Each call has its result before anybody else speaks, and each result its call.
fn tool_pairs(messages: &[Value]) -> Result<(), Refusal> {
    let mut open: Vec<&str> = Vec::new();
    let mut answerable: HashSet<&str> = HashSet::new();
    for (index, message) in messages.iter().enumerate() {
        if text(message, "role") == "tool" {
            let id = text(message, "tool_call_id");
            if !answerable.contains(id) {
                return Err(Refusal::invalid(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
                )
                .param(format!("messages.[{index}].role")));
            }
            open.retain(|one| *one != id);
            continue;
        }
        unanswered(&open, index)?;
        open = list(message, "tool_calls").iter().map(|call| text(call, "id")).collect();
        answerable = open.iter().copied().collect();
    }
    unanswered(&open, messages.len())
}

fn unanswered(open: &[&str], index: usize) -> Result<(), Refusal> {
    if open.is_empty() {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The \
         following tool_call_ids did not have response messages: {}",
        open.join(", ")
    ))
    .param(format!("messages.[{index}].role")))
}

fn contents(messages: &[Value]) -> Result<(), Refusal> {
    for (index, message) in messages.iter().enumerate() {
        if message.get("tool_calls").and_then(Value::as_array).is_some_and(Vec::is_empty) {
            return Err(Refusal::invalid(format!(
                "Invalid 'messages[{index}].tool_calls': empty array. Expected an array with minimum length 1, but got an \
                 empty array instead."
            ))
            .param(format!("messages[{index}].tool_calls"))
            .code("empty_array"));
        }
        for (call, id) in list(message, "tool_calls").iter().map(|call| text(call, "id")).enumerate() {
            if id.len() > 40 {
                let length = id.len();
                return Err(Refusal::invalid(format!(
                    "Invalid 'messages[{index}].tool_calls[{call}].id': string too long. Expected a string with maximum \
                     length 40, but got a string with length {length} instead."
                ))
                .param(format!("messages[{index}].tool_calls[{call}].id"))
                .code("string_above_max_length"));
            }
        }
        let silent = text(message, "role") == "assistant"
            && !["content", "tool_calls", "function_call", "refusal", "audio"].iter().any(|name| given(message, name));
        if silent {
            return Err(Refusal::invalid("Invalid value for 'content': expected a string, got null.")
                .param(format!("messages.[{index}].content")));
        }
        for (number, part) in list(message, "content").iter().enumerate() {
            let at = |field: &str| format!("messages[{index}].content[{number}].{field}");
            let string = |pointer: &str| part.pointer(pointer).and_then(Value::as_str);
            image(string("/image_url/url"), &at("image_url.url"))?;
            file(string("/file/file_data"), &at("file.file_data"))?;
            sound(string("/input_audio/data"), &at("input_audio.data"))?;
        }
    }
    Ok(())
}

/// A picture's data URL holds base64.
pub(super) fn image(url: Option<&str>, param: &str) -> Result<(), Refusal> {
    if url.and_then(bytes::of_data_url).is_none_or(bytes::is_standard) {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "Invalid '{param}'. Expected a base64-encoded data URL with an image MIME type (e.g. \
         'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU='), but got an invalid base64-encoded value."
    ))
    .param(param.to_owned())
    .code("invalid_value"))
}

/// A file is base64, in a data URL or bare.
pub(super) fn file(data: Option<&str>, param: &str) -> Result<(), Refusal> {
    let bare = data.map(|data| bytes::of_data_url(data).unwrap_or(data));
    if bare.is_none_or(bytes::is_standard) {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "Invalid '{param}'. Expected a base64-encoded data URL with an application/pdf MIME type (e.g. \
         'data:application/pdf;base64,aW1nIGJ5dGVzIGhlcmU='), but got an invalid base64-encoded value."
    ))
    .param(param.to_owned())
    .code("invalid_value"))
}

/// Sound is base64.
pub(super) fn sound(data: Option<&str>, param: &str) -> Result<(), Refusal> {
    if data.is_none_or(bytes::is_standard) {
        return Ok(());
    }
    Err(Refusal::invalid(format!("Invalid '{param}'. Expected base64-encoded audio bytes."))
        .param(param.to_owned())
        .code("invalid_value"))
}

fn tools(request: &Value) -> Result<(), Refusal> {
    let tools = list(request, "tools");
    let empty = request.get("tools").and_then(Value::as_array).is_some_and(Vec::is_empty);
    if empty {
        return Err(Refusal::invalid(
            "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        )
        .param("tools")
        .code("empty_array"));
    }
    let mut names = HashSet::new();
    for (index, tool) in tools.iter().enumerate() {
        let kind = text(tool, "type");
        let name = tool.get(kind).map_or("", |inner| text(inner, "name"));
        tool_name(name, &format!("tools[{index}].{kind}.name"))?;
        names.insert(name);
        let parameters =
            tool.pointer("/function/parameters").filter(|parameters| **parameters != serde_json::json!({}));
        if let Some(parameters) = parameters {
            object_schema(name, parameters, &format!("tools[{index}].function.parameters"))?;
        }
        if let (Some(true), Some(parameters)) = (tool.pointer("/function/strict").and_then(Value::as_bool), parameters)
        {
            strict(parameters, &format!("function '{name}'"), &format!("tools[{index}].function.parameters"))?;
        }
    }
    for dependent in ["tool_choice", "parallel_tool_calls"] {
        if tools.is_empty() && given(request, dependent) {
            return Err(
                Refusal::invalid(format!("'{dependent}' is only allowed when 'tools' are specified.")).param(dependent)
            );
        }
    }
    let choice = request.get("tool_choice").filter(|choice| choice.is_object());
    if let Some(name) = choice.and_then(|choice| choice.get(text(choice, "type"))?.get("name")?.as_str())
        && !names.contains(name)
    {
        return Err(
            Refusal::invalid(format!("Tool choice '{name}' not found in 'tools' parameter.")).param("tool_choice")
        );
    }
    Ok(())
}

/// A function's or a schema's name.
pub(super) fn tool_name(name: &str, path: &str) -> Result<(), Refusal> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if name.len() > 64 {
        return Err(Refusal::invalid(format!(
            "Invalid '{path}': string too long. Expected a string with maximum length 64, but got a string with length {} \
             instead.",
            name.len()
        ))
        .param(path)
        .code("string_above_max_length"));
    }
    if name.is_empty() || !name.bytes().all(word) {
        return Err(Refusal::invalid(format!(
            "Invalid '{path}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
        ))
        .param(path)
        .code("invalid_value"));
    }
    Ok(())
}

/// Users' ids are of 64 characters at most.
pub(super) fn short_ids(request: &Value) -> Result<(), Refusal> {
    for field in ["user", "safety_identifier"] {
        let length = request.get(field).and_then(Value::as_str).map_or(0, |id| id.chars().count());
        if length > 64 {
            return Err(Refusal::invalid(format!(
                "Invalid '{field}': string too long. Expected a string with maximum length 64, but got a string with length \
                 {length} instead."
            ))
            .param(field)
            .code("string_above_max_length"));
        }
    }
    Ok(())
}

fn parameters(request: &Value) -> Result<(), Refusal> {
    if given(request, "stream_options") && request.get("stream") != Some(&Value::Bool(true)) {
        return Err(Refusal::invalid("The 'stream_options' parameter is only allowed when 'stream' is enabled.")
            .param("stream_options"));
    }
    if given(request, "max_tokens") && given(request, "max_completion_tokens") {
        return Err(Refusal::invalid(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
        )
        .code("invalid_parameter_combination"));
    }
    if given(request, "top_logprobs") && request.get("logprobs") != Some(&Value::Bool(true)) {
        return Err(Refusal::invalid("The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.")
            .param("top_logprobs"));
    }
    if list(request, "stop").len() > 4 {
        let length = list(request, "stop").len();
        return Err(Refusal::invalid(format!(
            "Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length {length} \
             instead."
        ))
        .param("stop")
        .code("array_above_max_length"));
    }
    let kind = request.pointer("/response_format/type").and_then(Value::as_str);
    if kind == Some("json_object")
        && !list(request, "messages").iter().any(|message| message.to_string().to_lowercase().contains("json"))
    {
        return Err(Refusal::invalid(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
        )
        .param("messages"));
    }
    if kind == Some("json_object") {
        takes_json(text(request, "model"), "response_format")?;
    }
    if kind == Some("json_schema") {
        takes_schema(text(request, "model"), "response_format")?;
        let name = request.pointer("/response_format/json_schema/name").and_then(Value::as_str).unwrap_or_default();
        tool_name(name, "response_format.json_schema.name")?;
        let is_strict = request.pointer("/response_format/json_schema/strict") == Some(&Value::Bool(true));
        if let Some(schema) = request.pointer("/response_format/json_schema/schema") {
            form_schema(name, schema, is_strict, "response_format")?;
        }
    }
    Ok(())
}

fn reasoning_model(request: &Value) -> Result<(), Refusal> {
    let model = text(request, "model");
    if !reasons(model) {
        if given(request, "reasoning_effort") {
            return Err(Refusal::invalid("Unrecognized request argument supplied: reasoning_effort"));
        }
        return Ok(());
    }
    if given(request, "max_tokens") {
        return Err(unsupported("max_tokens", " Use 'max_completion_tokens' instead."));
    }
    // Without reasoning, the models since 5.1 sample as others do.
    if request.get("reasoning_effort").is_some_and(|effort| effort == "none") {
        return Ok(());
    }
    for name in ["temperature", "top_p", "presence_penalty", "frequency_penalty"] {
        let default = if matches!(name, "temperature" | "top_p") { 1.0 } else { 0.0 };
        if let Some(value) =
            request.get(name).filter(|value| value.as_f64().is_some_and(|value| value.total_cmp(&default).is_ne()))
        {
            return Err(Refusal::invalid(format!(
                "Unsupported value: '{name}' does not support {value} with this model. Only the default ({default}) value is \
                 supported."
            ))
            .param(name)
            .code("unsupported_value"));
        }
    }
    ["logprobs", "top_logprobs", "logit_bias"]
        .iter()
        .find(|name| request.get(**name).is_some_and(|value| !value.is_null() && value != &Value::Bool(false)))
        .map_or(Ok(()), |name| Err(unsupported(name, "")))
}

fn unsupported(name: &str, instead: &str) -> Refusal {
    Refusal::invalid(format!("Unsupported parameter: '{name}' is not supported with this model.{instead}"))
        .param(name)
        .code("unsupported_parameter")
}
