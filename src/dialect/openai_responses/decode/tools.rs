//! The tools that a request offers.

use serde_json::{Map, Value, json};

use crate::dialect::openai_responses::{DIALECT, namespace};
use crate::dialect::{Fields, Path};
use crate::fault::Fault;
use crate::ir::{CustomTool, FunctionTool, Opaque, ProviderTool, Tool};

/// Reads `tools`.
pub(super) fn offered(fields: &mut Fields<'_>) -> Result<Vec<Tool>, Fault> {
    let Some(values) = fields.array("tools")? else { return Ok(Vec::new()) };
    if values.is_empty() {
        fields.put_back("tools", Value::Array(Vec::new()));
    }
    list(values, Path::ROOT.key("tools"))
}

/// Reads the tools of an `additional_tools` item.
pub(super) fn additional(item: Value, path: Path<'_>) -> Result<Vec<Tool>, Fault> {
    let mut fields = Fields::of(item, path)?;
    let values = fields.array("tools")?.ok_or_else(|| fields.missing("tools"))?;
    list(values, path.key("tools"))
}

fn list(values: Vec<Value>, path: Path<'_>) -> Result<Vec<Tool>, Fault> {
    let mut tools = Vec::with_capacity(values.len());
    for (index, value) in values.into_iter().enumerate() {
        let here = path.index(index);
        if is_plain_group(&value) {
            group(value, here, index, &mut tools)?;
        } else {
            tools.push(tool(value, here)?);
        }
    }
    Ok(tools)
}

/// Whether it is a namespace of which all members are run by the caller.
fn is_plain_group(value: &Value) -> bool {
    let kind = |value: &Value| value.get("type").and_then(Value::as_str).map(str::to_owned);
    kind(value).as_deref() == Some("namespace")
        && value.get("name").is_some_and(Value::is_string)
        && value.get("tools").and_then(Value::as_array).is_some_and(|tools| {
            !tools.is_empty() && tools.iter().all(|tool| matches!(kind(tool).as_deref(), Some("function" | "custom")))
        })
}

/// Reads a namespace: its members become tools like others; what it says of itself is noted by its first.
fn group(value: Value, path: Path<'_>, number: usize, tools: &mut Vec<Tool>) -> Result<(), Fault> {
    let mut fields = Fields::of(value, path)?;
    let members = fields.array("tools")?.unwrap_or_default();
    let name = fields.peek_str("name").unwrap_or_default().to_owned();
    let mut head = Some(fields.rest());
    let list = path.key("tools");
    for (index, member) in members.into_iter().enumerate() {
        let mut member = tool(member, list.index(index))?;
        let (own, carry) = match &mut member {
            Tool::Function(tool) => (&mut tool.name, &mut tool.carry),
            Tool::Custom(tool) => (&mut tool.name, &mut tool.carry),
            Tool::Provider(_) => continue,
        };
        namespace::note(carry, &name, own);
        carry.note(DIALECT, "group", json!({"number": number, "head": head.take()}));
        *own = namespace::flat(&name, own);
        tools.push(member);
    }
    Ok(())
}

fn tool(value: Value, path: Path<'_>) -> Result<Tool, Fault> {
    let mut fields = Fields::of(value, path)?;
    let kind = fields.required_string("type")?;
    match kind.as_str() {
        "function" => Ok(Tool::Function(FunctionTool {
            name: fields.required_string("name")?,
            description: fields.string("description")?,
            parameters: fields.take("parameters"),
            strict: fields.boolean("strict")?,
            cache: None,
            carry: fields.carry(DIALECT),
        })),
        "custom" => Ok(Tool::Custom(CustomTool {
            name: fields.required_string("name")?,
            description: fields.string("description")?,
            format: fields.take("format"),
            carry: fields.carry(DIALECT),
        })),
        _ => {
            let mut whole = Map::from_iter([("type".to_owned(), Value::from(kind.as_str()))]);
            whole.extend(fields.rest());
            Ok(Tool::Provider(ProviderTool {
                name: kind,
                field: path.to_string(),
                original: Opaque::new(DIALECT, whole.into()),
            }))
        }
    }
}
