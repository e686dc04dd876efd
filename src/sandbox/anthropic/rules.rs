//! What Anthropic demands beyond fields and types: who speaks when, which tool result answers what, whose signature it is.

use std::collections::HashSet;

use serde_json::Value;

use super::model_rules::{self, thinks_always, version};
use super::{Refusal, shape};
use crate::sandbox::{bytes, seal};

pub(super) const SIGNATURE: &str = "anthropic thinking";
pub(super) const REDACTED: &str = "anthropic redacted thinking";

/// Server tools by the beginnings of their types.
const SERVER_TOOLS: [&str; 12] = [
    "web_search_",
    "web_fetch_",
    "code_execution_",
    "bash_",
    "text_editor_",
    "computer_",
    "memory_",
    "tool_search_tool_",
    "mcp_toolset",
    "browser_",
    "advisor_",
    "str_replace_",
];

const MOST_BREAKPOINTS: usize = 4;

/// The first rule that the request breaks.
pub(super) fn check(request: &Value) -> Result<(), Refusal> {
    system_messages(request)?;
    let turns = turns(request);
    first_turn(&turns)?;
    contents(request, &turns)?;
    tool_pairs(&turns)?;
    signatures(&turns)?;
    tools(request)?;
    model_rules::check(request, &turns)?;
    breakpoints(request)
}

/// Messages of one role in a row are one turn, as Anthropic joins them.
pub(super) struct Turn<'a> {
    pub(super) role: &'a str,
    /// The number of its first message.
    pub(super) first: usize,
    pub(super) blocks: Vec<Block<'a>>,
}

pub(super) struct Block<'a> {
    pub(super) message: usize,
    pub(super) index: usize,
    pub(super) kind: &'a str,
    pub(super) value: &'a Value,
}

fn messages(request: &Value) -> &[Value] {
    list(request, "messages")
}

pub(super) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn turns(request: &Value) -> Vec<Turn<'_>> {
    let mut turns: Vec<Turn<'_>> = Vec::new();
    for (message, value) in messages(request).iter().enumerate() {
        let blocks: Vec<_> = match value.get("content") {
            Some(Value::Array(blocks)) => blocks
                .iter()
                .enumerate()
                .map(|(index, value)| Block { message, index, kind: text(value, "type"), value })
                .collect(),
            Some(value) => vec![Block { message, index: 0, kind: "text", value }],
            None => Vec::new(),
        };
        let role = text(value, "role");
        if role == "system" {
            continue;
        }
        match turns.last_mut() {
            Some(last) if last.role == role => last.blocks.extend(blocks),
            _ => turns.push(Turn { role, first: message, blocks }),
        }
    }
    turns
}

/// Instructions in mid-conversation: since Opus 4.8, right after what a user said.
fn system_messages(request: &Value) -> Result<(), Refusal> {
    let model = text(request, "model");
    let messages = messages(request);
    for (index, _) in messages.iter().enumerate().filter(|(_, message)| text(message, "role") == "system") {
        if version(model) < (4, 8) && !thinks_always(model) {
            return Err(Refusal::invalid(format!("messages.{index}: role 'system' is not supported on this model")));
        }
        let before =
            index.checked_sub(1).and_then(|before| messages.get(before)).map_or("", |before| text(before, "role"));
        if before != "user" {
            return Err(Refusal::invalid(format!(
                "messages.{index}: `system` messages must immediately follow a `user` message"
            )));
        }
    }
    Ok(())
}

fn first_turn(turns: &[Turn<'_>]) -> Result<(), Refusal> {
    match turns.first() {
        None => Err(Refusal::invalid("messages: at least one message is required")),
        Some(turn) if turn.role != "user" => {
            Err(Refusal::invalid("messages: first message must use the \"user\" role"))
        }
        Some(_) => Ok(()),
    }
}

fn contents(request: &Value, turns: &[Turn<'_>]) -> Result<(), Refusal> {
    let messages = messages(request);
    for (index, message) in messages.iter().enumerate() {
        let empty = message
            .get("content")
            .is_some_and(|content| content == "" || content.as_array().is_some_and(Vec::is_empty));
        let last_assistant = index + 1 == messages.len() && text(message, "role") == "assistant";
        if empty && !last_assistant {
            return Err(Refusal::invalid(format!(
                "messages.{index}: all messages must have non-empty content except for the optional final assistant message"
            )));
        }
    }
    for block in turns.iter().flat_map(|turn| &turn.blocks) {
        if block.kind == "text" && block.value.get("text").is_some_and(|text| text == "") {
            return Err(Refusal::invalid("messages: text content blocks must be non-empty"));
        }
    }
    for turn in turns {
        for block in &turn.blocks {
            let foreign = match block.kind {
                "tool_use" | "thinking" | "redacted_thinking" | "server_tool_use" => turn.role != "assistant",
                "tool_result" | "image" | "document" | "search_result" => turn.role != "user",
                _ => false,
            };
            if foreign {
                let owner = if turn.role == "user" { "assistant" } else { "user" };
                return Err(Refusal::invalid(format!(
                    "messages.{}: `{}` blocks can only be in `{owner}` messages",
                    block.message, block.kind
                )));
            }
            files(block.value, &format!("messages.{}.content.{}", block.message, block.index))?;
        }
    }
    Ok(())
}

/// The files of a block, and of the blocks in it, are base64.
fn files(block: &Value, at: &str) -> Result<(), Refusal> {
    let kind = text(block, "type");
    let is_file = block.pointer("/source/type").is_some_and(|kind| kind == "base64");
    if is_file && !block.pointer("/source/data").and_then(Value::as_str).is_some_and(bytes::is_standard) {
        return Err(Refusal::invalid(format!("{at}.{kind}.source.base64: invalid base64 data")));
    }
    let inner = match kind {
        "tool_result" => block.get("content").map(|inner| (inner, "tool_result.content")),
        "document" => block.pointer("/source/content").map(|inner| (inner, "document.source.content.content")),
        _ => None,
    };
    let Some((Value::Array(blocks), name)) = inner else { return Ok(()) };
    blocks.iter().enumerate().try_for_each(|(index, block)| files(block, &format!("{at}.{name}.{index}")))
}

fn tool_pairs(turns: &[Turn<'_>]) -> Result<(), Refusal> {
    let mut ids_so_far = HashSet::new();
    for (number, turn) in turns.iter().enumerate() {
        let before: Vec<&str> =
            number.checked_sub(1).and_then(|before| turns.get(before)).map(used).unwrap_or_default();
        results(turn, &before)?;
        let used = used(turn);
        for block in turn.blocks.iter().filter(|block| block.kind == "tool_use") {
            tool_use(block, &mut ids_so_far)?;
        }
        if used.is_empty() {
            continue;
        }
        // Only results that lead the next turn count, and only if nothing followed the calls in this one.
        let answered: Vec<&str> = turns
            .get(number + 1)
            .map(|next| {
                let leading = next.blocks.iter().take_while(|block| block.kind == "tool_result");
                leading.map(|block| text(block.value, "tool_use_id")).collect()
            })
            .unwrap_or_default();
        let calls_end_the_turn =
            turn.blocks.iter().skip_while(|block| block.kind != "tool_use").all(|block| block.kind == "tool_use");
        let open: Vec<&str> = used.into_iter().filter(|id| !calls_end_the_turn || !answered.contains(id)).collect();
        if !open.is_empty() {
            let at =
                turn.blocks.iter().rfind(|block| block.kind == "tool_use").map_or(turn.first, |block| block.message);
            return Err(Refusal::invalid(format!(
                "messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. Each \
                 `tool_use` block must have a corresponding `tool_result` block in the next message.",
                open.join(", ")
            )));
        }
    }
    Ok(())
}

fn used<'a>(turn: &Turn<'a>) -> Vec<&'a str> {
    turn.blocks.iter().filter(|block| block.kind == "tool_use").map(|block| text(block.value, "id")).collect()
}

fn results(turn: &Turn<'_>, used_before: &[&str]) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    for block in turn.blocks.iter().filter(|block| block.kind == "tool_result") {
        let id = text(block.value, "tool_use_id");
        if !used_before.contains(&id) {
            return Err(Refusal::invalid(format!(
                "messages.{}.content.{}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` \
                 block must have a corresponding `tool_use` block in the previous message.",
                block.message, block.index
            )));
        }
        if !seen.insert(id) {
            return Err(Refusal::invalid(format!(
                "messages.{}.content.{}: each tool_use must have a single result. Found multiple `tool_result` blocks \
                 with id: {id}",
                block.message, block.index
            )));
        }
    }
    Ok(())
}

fn tool_use<'a>(block: &Block<'a>, ids_so_far: &mut HashSet<&'a str>) -> Result<(), Refusal> {
    let id = text(block.value, "id");
    if !is_word(id, usize::MAX) {
        return Err(Refusal::invalid(format!(
            "messages.{}.content.{}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
            block.message, block.index
        )));
    }
    if !is_word(text(block.value, "name"), 200) {
        return Err(Refusal::invalid(format!(
            "messages.{}.content.{}.tool_use.name: String should match pattern '^[a-zA-Z0-9_-]{{1,200}}$'",
            block.message, block.index
        )));
    }
    if !ids_so_far.insert(id) {
        return Err(Refusal::invalid(format!(
            "messages.{}.content.{}: `tool_use` ids must be unique",
            block.message, block.index
        )));
    }
    Ok(())
}

fn is_word(text: &str, longest: usize) -> bool {
    !text.is_empty()
        && text.len() <= longest
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

fn is_key(key: &str) -> bool {
    (1..=64).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

fn signatures(turns: &[Turn<'_>]) -> Result<(), Refusal> {
    for block in turns.iter().flat_map(|turn| &turn.blocks) {
        let (field, good) = match block.kind {
            "thinking" => {
                ("signature", seal::signed(SIGNATURE, text(block.value, "thinking"), text(block.value, "signature")))
            }
            "redacted_thinking" => ("data", seal::open(REDACTED, text(block.value, "data")).is_some()),
            _ => continue,
        };
        if !good {
            return Err(Refusal::invalid(format!(
                "messages.{}.content.{}: Invalid `{field}` in `{}` block",
                block.message, block.index, block.kind
            )));
        }
    }
    Ok(())
}

fn tools(request: &Value) -> Result<(), Refusal> {
    let tools = list(request, "tools");
    let mut names = HashSet::new();
    for (index, tool) in tools.iter().enumerate() {
        let kind = tool.get("type").and_then(Value::as_str).unwrap_or("custom");
        if kind == "custom" {
            shape::tool(index, tool).map_err(Refusal::invalid)?;
            if !is_word(text(tool, "name"), 128) {
                return Err(Refusal::invalid(format!(
                    "tools.{index}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
                )));
            }
            match tool.pointer("/input_schema/type") {
                Some(kind) if kind == "object" => {}
                Some(_) => {
                    return Err(Refusal::invalid(format!(
                        "tools.{index}.custom.input_schema.type: Input should be 'object'"
                    )));
                }
                None => {
                    return Err(Refusal::invalid(format!("tools.{index}.custom.input_schema.type: Field required")));
                }
            }
            // Only those at the top are looked at.
            let keys = tool.pointer("/input_schema/properties").and_then(Value::as_object);
            if keys.is_some_and(|keys| !keys.keys().all(|key| is_key(key))) {
                return Err(Refusal::invalid(format!(
                    "tools.{index}.custom.input_schema.properties: Property keys should match pattern \
                     '^[a-zA-Z0-9_.-]{{1,64}}$'"
                )));
            }
        } else if !SERVER_TOOLS.iter().any(|beginning| kind.starts_with(beginning)) {
            return Err(Refusal::invalid(format!(
                "tools.{index}: Input tag '{kind}' found using 'type' does not match any of the expected tags: 'custom', \
                 'bash_20250124', 'text_editor_20250728', 'web_search_20250305', 'code_execution_20250825'"
            )));
        }
        if !names.insert(text(tool, "name")) {
            return Err(Refusal::invalid("tools: Tool names must be unique."));
        }
    }
    let Some(choice) = request.get("tool_choice").filter(|choice| !choice.is_null()) else { return Ok(()) };
    if tools.is_empty() {
        return Err(Refusal::invalid("tool_choice: tool_choice may only be specified while providing tools"));
    }
    let name = text(choice, "name");
    if text(choice, "type") == "tool" && !names.contains(name) {
        return Err(Refusal::invalid(format!("Tool '{name}' not found in provided tools")));
    }
    Ok(())
}

fn breakpoints(request: &Value) -> Result<(), Refusal> {
    let found = count(request, "cache_control");
    if found > MOST_BREAKPOINTS {
        return Err(Refusal::invalid(format!(
            "A maximum of {MOST_BREAKPOINTS} blocks with cache_control may be provided. Found {found}."
        )));
    }
    Ok(())
}

fn count(value: &Value, name: &str) -> usize {
    match value {
        Value::Array(items) => items.iter().map(|item| count(item, name)).sum(),
        Value::Object(fields) => fields
            .iter()
            // What a tool call or a schema holds is the caller's own.
            .filter(|(key, _)| !matches!(key.as_str(), "input" | "input_schema"))
            .map(|(key, value)| usize::from(key == name && !value.is_null()) + count(value, name))
            .sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}
