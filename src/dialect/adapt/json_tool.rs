//! An answer in a form that was asked for, from a model that has no such thing: by a tool that it must call in the end. Its
//! arguments are the answer's text ([`Adaptions::json_tool`]).

use serde_json::json;

use super::as_object;
use crate::dialect::{Adaptions, Dialect, StructuredOutput, Target};
use crate::ir::{
    AllowedMode, CallKind, Carry, FunctionTool, Losses, Origin, OutputFormat, Request, ToolChoice, ToolMode, ToolRef,
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
    /// that no tool's arguments have, which is refused. What is no object is one member of the arguments
    /// ([`Adaptions::wrapped`]).
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
        if is_binding(request, strict) && (strict.is_none() || target.dialect.origin() != Origin::OpenAi) {
            let reason = "is asked for by a tool, to whose schema this model is not held to the letter";
            losses.approximated("response_format", reason);
        }
        let (schema, wrapped) = as_object(&schema);
        let schema = schema.into_owned();
        adaptions.wrapped = wrapped;
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

    /// The same, for those of OpenAI's models that lack such a form. A model without tools is sent the form, for its provider
    /// to judge.
    pub fn for_form(
        request: &Request,
        target: &Target,
        adaptions: &mut Adaptions,
        losses: &mut Losses,
    ) -> Option<Self> {
        let lacks = match request.output.as_ref()?.format {
            OutputFormat::JsonSchema { .. } => target.can.structured_output == StructuredOutput::ForcedTool,
            OutputFormat::JsonObject => !target.can.json_object,
            OutputFormat::Text | OutputFormat::Other(_) => false,
        };
        if lacks && target.can.tools { Self::of(request, target, adaptions, losses) } else { None }
    }
}

/// Whether the answer is to be by the schema to the letter: as it says, or, where there is no word for it, always.
fn is_binding(request: &Request, strict: Option<bool>) -> bool {
    let has_schema = request.output.as_ref().is_some_and(|output| match output.format {
        OutputFormat::JsonSchema { schema: Some(_), .. } => true,
        OutputFormat::JsonSchema { schema: None, .. }
        | OutputFormat::Text
        | OutputFormat::JsonObject
        | OutputFormat::Other(_) => false,
    });
    let always = match request.spoken_in {
        Some(Dialect::Anthropic | Dialect::Gemini) => true,
        Some(Dialect::OpenAiChat | Dialect::OpenAiResponses) | None => false,
    };
    has_schema && strict.unwrap_or(always)
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
