//! The tools that a request offers.

use serde_json::Value;

use crate::dialect::adapt::{self, JsonTool};
use crate::dialect::openai_responses::{DIALECT, namespace};
use crate::dialect::{Object, Target};
use crate::ir::{Carry, CustomTool, FunctionTool, Losses, Request, Tool};

/// Tools that came in this dialect, namespaces put together again. Those that came in the middle of the input are not among
/// them: they are written there.
pub(super) fn own(request: &Request) -> Vec<Value> {
    let count = request.carry.noted_as(DIALECT, "tools").and_then(Value::as_u64);
    let count = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(request.tools.len());
    let mut list: Vec<Value> = Vec::with_capacity(count);
    let mut open = None;
    for tool in request.tools.iter().take(count) {
        let group = group(tool);
        let number = group.and_then(|group| group.get("number")).and_then(Value::as_u64);
        let written = own_tool(tool);
        if number.is_none() {
            list.extend(written);
        } else if number == open
            && let Some(members) = list.last_mut().and_then(|group| group["tools"].as_array_mut())
        {
            members.extend(written);
        } else {
            let mut head = Object::new();
            if let Some(Value::Object(noted)) = group.and_then(|group| group.get("head")) {
                head.put_defaults(noted);
            }
            head.put("tools", written.into_iter().collect::<Vec<_>>());
            list.push(head.into());
        }
        open = number;
    }
    list
}

fn group(tool: &Tool) -> Option<&Value> {
    carry(tool)?.noted_as(DIALECT, "group")
}

fn carry(tool: &Tool) -> Option<&Carry> {
    match tool {
        Tool::Function(tool) => Some(&tool.carry),
        Tool::Custom(tool) => Some(&tool.carry),
        Tool::Provider(_) => None,
    }
}

fn own_tool(tool: &Tool) -> Option<Value> {
    let own_name =
        |flat: &str| carry(tool).and_then(namespace::noted).map_or(flat.to_owned(), |(_, own)| own.to_owned());
    match tool {
        Tool::Function(tool) => Some(
            Object::typed("function")
                .with("name", own_name(&tool.name))
                .with_some("description", tool.description.clone())
                .with_some("parameters", tool.parameters.clone())
                .with_some("strict", tool.strict)
                .carrying(&tool.carry, DIALECT)
                .into(),
        ),
        Tool::Custom(tool) => Some(
            Object::typed("custom")
                .with("name", own_name(&tool.name))
                .with_some("description", tool.description.clone())
                .with_some("format", tool.format.clone())
                .carrying(&tool.carry, DIALECT)
                .into(),
        ),
        Tool::Provider(tool) => tool.original.for_dialect(DIALECT).cloned(),
    }
}

/// Tools of another dialect's request, and the one that gives its answer.
pub(super) fn foreign(
    request: &Request,
    by_tool: Option<&JsonTool>,
    target: &Target,
    names: &mut adapt::ToolNames,
    losses: &mut Losses,
) -> Vec<Value> {
    let tools = request.tools.iter().enumerate().filter_map(|(index, tool)| match tool {
        Tool::Function(tool) => Some(function(tool, index, request, names, losses)),
        Tool::Custom(tool) if target.can.custom_tools => Some(custom(tool, names)),
        Tool::Custom(tool) => Some(function(&adapt::custom_as_function(tool), index, request, names, losses)),
        Tool::Provider(tool) => tool.original.for_dialect(DIALECT).cloned(),
    });
    let mut tools: Vec<Value> = tools.collect();
    tools.extend(by_tool.map(|by_tool| function(&by_tool.tool, request.tools.len(), request, names, losses)));
    tools
}

fn function(
    tool: &FunctionTool,
    index: usize,
    request: &Request,
    names: &mut adapt::ToolNames,
    losses: &mut Losses,
) -> Value {
    if tool.cache.is_some() {
        losses.ignored("cache_control", DIALECT);
    }
    losses.report_carry(&tool.carry, DIALECT, format_args!("tools[{index}]."), &["type"]);
    let parameters = adapt::openai::parameters(tool, index, request, losses);
    Object::typed("function")
        .with("name", names.wire(&tool.name).into_owned())
        .with_some("description", tool.description.clone())
        .with("parameters", parameters.schema)
        // Responses makes a schema strict where nothing is said; everybody else does not.
        .with("strict", parameters.strict.unwrap_or(false))
        .into()
}

fn custom(tool: &CustomTool, names: &mut adapt::ToolNames) -> Value {
    Object::typed("custom")
        .with("name", names.wire(&tool.name).into_owned())
        .with_some("description", tool.description.clone())
        .with_some("format", tool.format.clone())
        .into()
}
