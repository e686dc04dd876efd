//! What Responses demands beyond fields and types.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::chat_rules::{file, image, short_ids, sound, tool_name};
use super::responses_shape::{ITEMS, OTHER_ITEMS};
use super::schema_rules::{form_schema, object_schema, strict};
use super::{Refusal, reasons, said, takes_json, takes_schema};
use crate::sandbox::seal;
use crate::sandbox::shape::{Names, Shape, Step, check as check_shape};

pub(super) const ENCRYPTED: &str = "openai reasoning";

/// The first rule that the request breaks.
pub(super) fn check(request: &Value) -> Result<(), Refusal> {
    short_ids(request)?;
    let input = items(request);
    for (index, item) in input.iter().enumerate() {
        item_shape(index, item)?;
    }
    if !["input", "prompt", "previous_response_id", "conversation"].iter().any(|name| given(request, name)) {
        return Err(Refusal::invalid("Missing required parameter: 'input'.")
            .param("input")
            .code("missing_required_parameter"));
    }
    if let Some(id) = request.get("previous_response_id").and_then(Value::as_str) {
        return Err(Refusal::invalid(format!("Previous response with id '{id}' not found."))
            .param("previous_response_id")
            .code("previous_response_not_found"));
    }
    call_pairs(input)?;
    reasoning(input)?;
    tools(request)?;
    parameters(request)
}

fn items(request: &Value) -> &[Value] {
    request.get("input").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn given(request: &Value, name: &str) -> bool {
    request.get(name).is_some_and(|value| !value.is_null())
}

/// An item without a type is a message.
pub(super) fn kind(item: &Value) -> &str {
    item.get("type").and_then(Value::as_str).unwrap_or("message")
}

fn item_shape(index: usize, item: &Value) -> Result<(), Refusal> {
    let kind = kind(item);
    let fields = ITEMS.iter().find(|(name, _)| *name == kind).map(|(_, fields)| *fields);
    let fields = match fields {
        Some(fields) => fields,
        None if OTHER_ITEMS.contains(&kind) => return Ok(()),
        None => {
            let kinds: Vec<_> = ITEMS.iter().map(|(name, _)| *name).chain(OTHER_ITEMS.iter().copied()).collect();
            return Err(Refusal::invalid(format!(
                "Invalid value: '{kind}'. Supported values are: {}.",
                super::listed(&kinds)
            ))
            .param(format!("input[{index}].type"))
            .code("invalid_value"));
        }
    };
    check_shape(Shape::Object(fields), item, Names::Exact).map_err(|mut violation| {
        violation.path.splice(0..0, [Step::Key("input".to_owned()), Step::Index(index)]);
        said(&violation)
    })?;
    parts(index, item)
}

/// What the assistant said is output, what anybody else said is input.
fn parts(index: usize, item: &Value) -> Result<(), Refusal> {
    for list in ["content", "output"] {
        for (number, part) in item.get(list).and_then(Value::as_array).into_iter().flatten().enumerate() {
            let at = |field: &str| format!("input[{index}].{list}[{number}].{field}");
            let string = |pointer: &str| part.pointer(pointer).and_then(Value::as_str);
            image(string("/image_url"), &at("image_url"))?;
            file(string("/file_data"), &at("file_data"))?;
            sound(string("/input_audio/data"), &at("input_audio.data"))?;
        }
    }
    if kind(item) != "message" {
        return Ok(());
    }
    let assistant = text(item, "role") == "assistant";
    for (number, part) in item.get("content").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let part_kind = text(part, "type");
        let output = matches!(part_kind, "output_text" | "refusal");
        if output != assistant {
            let supported =
                if assistant { "'output_text' and 'refusal'" } else { "'input_text', 'input_image', and 'input_file'" };
            return Err(Refusal::invalid(format!("Invalid value: '{part_kind}'. Supported values are: {supported}."))
                .param(format!("input[{index}].content[{number}]"))
                .code("invalid_value"));
        }
    }
    Ok(())
}

fn call_pairs(input: &[Value]) -> Result<(), Refusal> {
    for (call, output, what) in [
        ("function_call", "function_call_output", "function"),
        ("custom_tool_call", "custom_tool_call_output", "custom tool"),
    ] {
        let mut called = HashSet::new();
        let mut answered = HashSet::new();
        for item in input {
            let id = text(item, "call_id");
            if kind(item) == call {
                called.insert(id);
            } else if kind(item) == output {
                if !called.contains(id) {
                    return Err(Refusal::invalid(format!(
                        "No tool call found for {what} call output with call_id {id}."
                    ))
                    .param("input"));
                }
                answered.insert(id);
            }
        }
        let open = input
            .iter()
            .filter(|item| kind(item) == call)
            .map(|item| text(item, "call_id"))
            .find(|id| !answered.contains(id));
        if let Some(id) = open {
            return Err(Refusal::invalid(format!("No tool output found for {what} call {id}.")).param("input"));
        }
    }
    long_ids(input)
}

fn long_ids(input: &[Value]) -> Result<(), Refusal> {
    for (index, item) in input.iter().enumerate() {
        for name in ["id", "call_id"] {
            let length = text(item, name).len();
            if length > 64 {
                return Err(Refusal::invalid(format!(
                    "Invalid 'input[{index}].{name}': string too long. Expected a string with maximum length 64, but got a \
                     string with length {length} instead."
                ))
                .param(format!("input[{index}].{name}"))
                .code("string_above_max_length"));
            }
        }
        let beginning = match kind(item) {
            "function_call" => "fc",
            "custom_tool_call" => "ctc",
            "reasoning" => "rs",
            "message" if text(item, "role") == "assistant" => "msg",
            _ => continue,
        };
        let id = text(item, "id");
        if !id.is_empty() && !id.starts_with(beginning) {
            return Err(Refusal::invalid(format!(
                "Invalid 'input[{index}].id': '{id}'. Expected an ID that begins with '{beginning}'."
            ))
            .param(format!("input[{index}].id"))
            .code("invalid_value"));
        }
    }
    Ok(())
}

fn reasoning(input: &[Value]) -> Result<(), Refusal> {
    for (index, item) in input.iter().enumerate().filter(|(_, item)| kind(item) == "reasoning") {
        let id = text(item, "id");
        match item.get("encrypted_content").and_then(Value::as_str) {
            Some(encrypted) if seal::open(ENCRYPTED, encrypted).is_none() => {
                let start: String = encrypted.chars().take(4).collect();
                return Err(Refusal::invalid(format!(
                    "The encrypted content {start}... could not be verified. Reason: Encrypted content could not be decrypted \
                     or parsed."
                ))
                .code("invalid_encrypted_content"));
            }
            Some(_) => {}
            None => {
                return Err(Refusal::invalid(format!(
                    "Item with id '{id}' not found. Items are not persisted when `store` is set to false. Try again with \
                     `store` set to true, or remove this item from your input."
                ))
                .status(404)
                .param("input"));
            }
        }
        let follows = input.get(index + 1).is_some_and(|next| {
            matches!(kind(next), "reasoning" | "function_call" | "custom_tool_call")
                || kind(next) == "message" && text(next, "role") == "assistant"
                || OTHER_ITEMS.contains(&kind(next))
        });
        if !follows {
            return Err(Refusal::invalid(format!(
                "Item '{id}' of type 'reasoning' was provided without its required following item."
            ))
            .param("input"));
        }
    }
    Ok(())
}

fn tools(request: &Value) -> Result<(), Refusal> {
    let tools = request.get("tools").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut names = HashSet::new();
    for (index, tool) in
        tools.iter().enumerate().filter(|(_, tool)| matches!(text(tool, "type"), "function" | "custom"))
    {
        let name = text(tool, "name");
        tool_name(name, &format!("tools[{index}].name"))?;
        names.insert(name);
        let Some(parameters) =
            tool.get("parameters").filter(|parameters| !parameters.is_null() && **parameters != json!({}))
        else {
            continue;
        };
        let path = format!("tools[{index}].parameters");
        object_schema(name, parameters, &path)?;
        if tool.get("strict") == Some(&Value::Bool(true)) {
            strict(parameters, &format!("function '{name}'"), &path)?;
        }
    }
    let choice = request.get("tool_choice").filter(|choice| matches!(text(choice, "type"), "function" | "custom"));
    if let Some(choice) = choice {
        let name = text(choice, "name");
        if !names.contains(name) {
            return Err(Refusal::invalid(format!(
                "Tool choice '{}' not found in 'tools' parameter.",
                text(choice, "type")
            ))
            .param("tool_choice"));
        }
    }
    if tools.is_empty() && request.get("tool_choice").is_some_and(|choice| choice == "required") {
        return Err(
            Refusal::invalid("Tool choice 'required' must be specified with 'tools' parameter.").param("tool_choice")
        );
    }
    Ok(())
}

fn parameters(request: &Value) -> Result<(), Refusal> {
    if request.pointer("/text/format/type").is_some_and(|kind| kind == "json_schema") {
        takes_schema(text(request, "model"), "text.format")?;
        let name = request.pointer("/text/format/name").and_then(Value::as_str).unwrap_or_default();
        tool_name(name, "text.format.name")?;
        let is_strict = request.pointer("/text/format/strict") == Some(&Value::Bool(true));
        if let Some(schema) = request.pointer("/text/format/schema") {
            form_schema(name, schema, is_strict, "text.format.schema")?;
        }
    }
    if request.pointer("/text/format/type").is_some_and(|kind| kind == "json_object") {
        takes_json(text(request, "model"), "text.format")?;
        // Instructions do not count.
        let said = request.get("input").map(Value::to_string).unwrap_or_default();
        if !said.to_lowercase().contains("json") {
            return Err(Refusal::invalid(
                "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'.",
            )
            .param("input"));
        }
    }
    let model = text(request, "model");
    if !reasons(model) {
        let effort = request.pointer("/reasoning/effort").filter(|effort| !effort.is_null());
        let included = request.get("include").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if included.iter().any(|what| what == "reasoning.encrypted_content") {
            return Err(Refusal::invalid("Encrypted content is not supported with this model.").param("include"));
        }
        return match effort {
            Some(_) => Err(unsupported("reasoning.effort")),
            None => Ok(()),
        };
    }
    if request.pointer("/reasoning/effort").is_some_and(|effort| effort == "none") {
        return Ok(());
    }
    let sampled = ["temperature", "top_p"]
        .iter()
        .find(|name| request.get(**name).and_then(Value::as_f64).is_some_and(|value| value.total_cmp(&1.0).is_ne()));
    sampled.map_or(Ok(()), |name| Err(unsupported(name)))
}

fn unsupported(name: &str) -> Refusal {
    Refusal::invalid(format!("Unsupported parameter: '{name}' is not supported with this model.")).param(name)
}
