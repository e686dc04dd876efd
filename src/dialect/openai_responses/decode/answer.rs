//! A provider's whole answer, and the items of its output.

use serde_json::Value;

use super::item;
use crate::dialect::openai_responses::{DIALECT, wire};
use crate::dialect::{Fields, Path};
use crate::fault::Fault;
use crate::ir::{ApiError, Carry, Choice, Content, Finish, Part, Response};

/// An item of an answer's output.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::dialect::openai_responses) enum OutputItem {
    /// A message: what it says of itself, and its parts.
    Message(Carry, Vec<Part>),
    /// Any other.
    Node(Part),
}

/// Reads an answer.
pub(in crate::dialect::openai_responses) fn response(body: Value) -> Result<Response, Fault> {
    let mut fields = Fields::of(body, Path::ROOT)?;
    let list = Path::ROOT.key("output");
    let failed = fields.peek("error").filter(|error| error.is_object()).map(wire::error_from);
    let items = match fields.array("output")? {
        Some(items) => items,
        None if failed.is_some() => Vec::new(),
        None => return Err(list.missing()),
    };
    let searches = searches(&items, fields.peek("tool_usage"));
    let mut parts = Vec::with_capacity(items.len());
    for (index, value) in items.into_iter().enumerate() {
        match output_item(value, list.index(index))? {
            OutputItem::Node(part) => parts.push(part),
            OutputItem::Message(head, mut content) => {
                if let Some(first) = content.first_mut() {
                    first.carry.note(DIALECT, "item", head.rest_for(DIALECT).cloned().unwrap_or_default());
                }
                parts.extend(content);
            }
        }
    }
    let finish = finish(&fields, parts.iter().any(is_call));
    if fields.peek_str("object") == Some("response") {
        fields.forget("object");
    }
    let created = match fields.peek("created_at").and_then(Value::as_u64) {
        Some(seconds) => {
            fields.forget("created_at");
            Some(seconds)
        }
        None => None,
    };
    let usage = fields.take("usage").map(|usage| {
        let mut usage = wire::usage_from(usage);
        usage.web_searches = searches;
        usage
    });
    Ok(Response {
        id: fields.string("id")?,
        model: fields.string("model")?,
        created,
        choices: vec![Choice { index: 0, parts, finish: Some(finish), carry: Carry::NONE }],
        usage,
        service_tier: fields.string("service_tier")?,
        error: failed,
        carry: fields.carry(DIALECT).noted(DIALECT, "own", true),
    })
}

/// How many searches of the web are billed.
pub(in crate::dialect::openai_responses) fn searches(items: &[Value], tool_usage: Option<&Value>) -> Option<u64> {
    let told = tool_usage.and_then(|usage| usage.pointer("/web_search/num_requests")).and_then(Value::as_u64);
    let counted = || u64::try_from(items.iter().filter(|item| wire::is_search(item)).count()).ok();
    told.or_else(counted).filter(|count| *count > 0)
}

/// Why an answer ended.
pub(in crate::dialect::openai_responses) fn finish(response: &Fields<'_>, calls: bool) -> Finish {
    let incomplete = response.peek("incomplete_details").and_then(|details| details.get("reason"));
    wire::finish_from(response.peek_str("status"), incomplete.and_then(Value::as_str), calls)
}

/// An answer that failed: why.
pub(in crate::dialect::openai_responses) fn failure(response: &Value) -> ApiError {
    match response.get("error") {
        Some(error @ Value::Object(_)) => wire::error_from(error),
        Some(_) | None => wire::error_from(&Value::Null),
    }
}

fn is_call(part: &Part) -> bool {
    match &part.content {
        Content::ToolCall(_) => true,
        Content::Text(_)
        | Content::Refusal(_)
        | Content::Media(_)
        | Content::ToolResult(_)
        | Content::Reasoning(_)
        | Content::Opaque(_) => false,
    }
}

/// Reads an item of the output.
pub(in crate::dialect::openai_responses) fn output_item(value: Value, path: Path<'_>) -> Result<OutputItem, Fault> {
    let kind = match value.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(_) => return Err(path.key("type").invalid("a string")),
        None if value.is_object() => return Err(path.key("type").missing()),
        None => return Err(path.invalid("an object")),
    };
    match kind.as_str() {
        "message" if has_content(&value) => {
            let mut fields = Fields::of(value, path)?;
            fields.forget("type");
            let content = fields.array("content")?.unwrap_or_default();
            let list = path.key("content");
            let parts =
                content.into_iter().enumerate().map(|(index, part)| item::content_part(part, list.index(index)));
            let parts = parts.collect::<Result<_, _>>()?;
            Ok(OutputItem::Message(fields.carry(DIALECT), parts))
        }
        "function_call" | "custom_tool_call" | "reasoning" => Ok(OutputItem::Node(item::node(value, &kind, path)?)),
        "image_generation_call" if item::has_image(&value) => Ok(OutputItem::Node(item::node(value, &kind, path)?)),
        _ => Ok(OutputItem::Node(Part::opaque(DIALECT, value))),
    }
}

/// A message without content has no part that could stand for it: it stays as it is.
fn has_content(item: &Value) -> bool {
    item.get("content").and_then(Value::as_array).is_some_and(|content| !content.is_empty())
}
