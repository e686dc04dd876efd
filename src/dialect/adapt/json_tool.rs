//! An answer in a form that was asked for, from a model that has no such thing: by a tool that it must call in the end. Its
//! arguments are the answer's text ([`Adaptions::json_tool`]).

use serde_json::{Value, json};

use crate::dialect::{Adaptions, StructuredOutput, Target};
use crate::ir::{
    AllowedMode, CallKind, Carry, FunctionTool, Losses, OutputFormat, Request, ToolChoice, ToolMode, ToolRef,
};

/// The name of that tool, if none on offer has it.
const NAME: &str = "final_answer";

/// The tool, and the choice that makes the model call it.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonTool {
    /// What is offered beside the request's own tools. Its name and schema are as nobody's: the encoder adapts the schema.
    pub tool: FunctionTool,
    /// In place of the request's own choice.
    pub choice: ToolChoice,
}

impl JsonTool {
    /// The tool for the form that a request asks for, and a note of it in `adaptions`. `None`: it asks for none, or for one
    /// that no tool's arguments have, which is refused.
    pub fn of(request: &Request, target: &Target, adaptions: &mut Adaptions, losses: &mut Losses) -> Option<Self> {
        let any = || json!({"type": "object", "additionalProperties": true});
        let (schema, description, strict) = match &request.output.as_ref()?.format {
            OutputFormat::Text => return None,
            OutputFormat::JsonObject => (any(), None, None),
            OutputFormat::JsonSchema { schema, description, strict, .. } => {
                (schema.clone().unwrap_or_else(any), description.clone(), *strict)
            }
            OutputFormat::Other(_) => {
                losses.refused("response_format", format!("has a form that does not exist in {}", target.dialect));
                return None;
            }
        };
        if !target.can.tools {
            let reason = format!("cannot be asked of model {}, which has neither forms nor tools", target.model);
            losses.refused("response_format", reason);
            return None;
        }
        if schema.get("type").and_then(Value::as_str).is_some_and(|kind| kind != "object") {
            losses.refused("response_format", "must be a schema of type object for this model");
            return None;
        }
        let mut name = NAME.to_owned();
        while request.tools.iter().any(|tool| tool.name() == name) {
            name.push('_');
        }
        adaptions.json_tool = Some(name.clone());
        let description = description.unwrap_or_else(|| "Gives the whole final answer, as its arguments.".to_owned());
        let choice = ToolChoice::new(mode(request, &name));
        let tool = FunctionTool {
            name,
            description: Some(description),
            parameters: Some(schema),
            strict,
            cache: None,
            carry: Carry::NONE,
        };
        Some(Self { tool, choice })
    }

    /// The same, for models that have JSON of any form and no schemas for it. A model without tools is sent the schema, for
    /// its provider to judge.
    pub fn for_schema(
        request: &Request,
        target: &Target,
        adaptions: &mut Adaptions,
        losses: &mut Losses,
    ) -> Option<Self> {
        let has_schema = matches!(request.output.as_ref()?.format, OutputFormat::JsonSchema { .. });
        let by_tool = target.can.structured_output == StructuredOutput::ForcedTool && target.can.tools;
        if has_schema && by_tool { Self::of(request, target, adaptions, losses) } else { None }
    }
}

/// The request's own choice, so that the answer ends in a call of this tool: the model calls others as often as it likes, and
/// this one in the end. Where the caller demands a call of its own, that comes first.
fn mode(request: &Request, name: &str) -> ToolMode {
    let this = ToolRef { kind: CallKind::Function, name: name.to_owned() };
    let asked = request.tool_choice.as_ref().map(|choice| &choice.mode);
    if request.tools.is_empty() {
        return ToolMode::Named(this);
    }
    match asked {
        Some(ToolMode::None) => ToolMode::Named(this),
        Some(ToolMode::Allowed { mode: AllowedMode::Auto, tools }) => {
            let tools = tools.iter().cloned().chain([this]).collect();
            ToolMode::Allowed { mode: AllowedMode::Required, tools }
        }
        Some(forced @ (ToolMode::Named(_) | ToolMode::Allowed { mode: AllowedMode::Required, .. })) => forced.clone(),
        Some(ToolMode::Auto | ToolMode::Required | ToolMode::Provider(_)) | None => ToolMode::Required,
    }
}
