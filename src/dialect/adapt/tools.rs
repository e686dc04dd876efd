//! Tools for a target that takes less: their names, freeform ones as functions, arguments as objects, and the choice.

use std::borrow::Cow;
use std::collections::HashSet;

use indexmap::IndexMap;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::dialect::{Adaptions, Capabilities, Target};
use crate::ir::{CallKind, Carry, CustomTool, FunctionTool, Losses, Request, Severity, Tool, ToolMode, ToolRef};

/// Names of tools that the target takes, and how to get back from them.
#[derive(Clone, Debug, Default)]
pub struct ToolNames {
    max: usize,
    begins_with_letter: bool,
    renamed: IndexMap<String, String>,
}

impl ToolNames {
    /// For a target.
    pub fn new(can: &Capabilities) -> Self {
        Self { max: can.tool_name_max, begins_with_letter: false, renamed: IndexMap::new() }
    }

    /// For providers whose names begin with a letter or an underscore (Gemini).
    #[must_use]
    pub fn beginning_with_a_letter(mut self) -> Self {
        self.begins_with_letter = true;
        self
    }

    /// The name to send: the caller's own if it can be, else one made from it, always the same.
    pub fn wire<'n>(&mut self, name: &'n str) -> Cow<'n, str> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let begins_well =
            !self.begins_with_letter || name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
        if !name.is_empty() && name.len() <= self.max && name.bytes().all(plain) && begins_well {
            return Cow::Borrowed(name);
        }
        let digest = hex::encode(Sha256::digest(name.as_bytes()));
        let lead = if begins_well { "" } else { "_" };
        let kept: String = name
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() || letter == '_' || letter == '-' { letter } else { '_' })
            .take(self.max.saturating_sub(9 + lead.len()))
            .collect();
        let short = format!("{lead}{kept}_{}", &digest[..8]);
        self.renamed.insert(short.clone(), name.to_owned());
        Cow::Owned(short)
    }

    /// What has to be undone in the answer.
    pub fn into_adaptions(self) -> Adaptions {
        Adaptions { tool_names: self.renamed, ..Adaptions::default() }
    }
}

/// The grammar of a freeform tool's input, if it has one.
fn grammar(tool: &CustomTool) -> Option<&Value> {
    tool.format.as_ref().filter(|format| format.get("type").and_then(Value::as_str) == Some("grammar"))
}

/// A freeform tool as a function with one string, `input`. The answer is turned back ([`Adaptions::custom_tools`]).
pub fn custom_as_function(tool: &CustomTool) -> FunctionTool {
    let mut input = json!({"type": "string"});
    if let Some(grammar) = grammar(tool) {
        input["description"] = Value::from(format!("The text must match this grammar: {grammar}"));
    }
    FunctionTool {
        name: tool.name.clone(),
        description: tool.description.clone(),
        parameters: Some(json!({
            "type": "object",
            "properties": {"input": input},
            "required": ["input"],
            "additionalProperties": false,
        })),
        strict: None,
        cache: None,
        carry: Carry::NONE,
    }
}

/// The arguments of a call as a JSON text, whatever the tool's kind: a freeform input becomes `{"input": …}`.
pub fn arguments_as_json(kind: CallKind, arguments: &str) -> Cow<'_, str> {
    match kind {
        CallKind::Custom => Cow::Owned(json!({"input": arguments}).to_string()),
        CallKind::Function if arguments.trim().is_empty() => Cow::Borrowed("{}"),
        CallKind::Function => Cow::Borrowed(arguments),
    }
}

/// The arguments of a call as a JSON object, for dialects that have them so (Messages, Gemini). What is not an object,
/// since models write broken JSON, becomes `{"raw_arguments": …}` and is reported.
pub fn arguments_as_object(
    kind: CallKind,
    arguments: &str,
    field: impl FnOnce() -> String,
    losses: &mut Losses,
) -> Value {
    match serde_json::from_str(&arguments_as_json(kind, arguments)) {
        Ok(Value::Object(map)) => Value::Object(map),
        Ok(_) | Err(_) => {
            losses.approximated(field(), "is not a JSON object and was wrapped in one");
            json!({"raw_arguments": arguments})
        }
    }
}

/// Reports what of the tools the target cannot take: those that it cannot have at all, which changes the meaning, and what
/// custom tools and the choice say beside.
pub fn refuse_what_is_beyond(request: &Request, target: &Target, losses: &mut Losses) {
    if !target.can.tools && !request.tools.is_empty() {
        losses.refused("tools", format!("cannot be used with model {}", target.model));
    }
    for (index, tool) in request.tools.iter().enumerate() {
        match tool {
            Tool::Provider(tool) if tool.original.dialect != target.dialect => losses.refused(
                format!("tools[{index}]"),
                format!("is run by its own provider ({}) and does not exist in {}", tool.name, target.dialect),
            ),
            Tool::Custom(tool) => {
                losses.report_carry(&tool.carry, target.dialect, format_args!("tools[{index}]."), &["type"]);
                if grammar(tool).is_some() && !target.can.custom_tools {
                    let reason = "is a grammar, which the model is told in words and nothing holds it to";
                    losses.approximated(format!("tools[{index}].format"), reason);
                }
            }
            Tool::Provider(_) | Tool::Function(_) => {}
        }
    }
    let Some(choice) = &request.tool_choice else { return };
    losses.report_carry(&choice.carry, target.dialect, "tool_choice.", &["type"]);
    match &choice.mode {
        ToolMode::Provider(opaque) if opaque.dialect != target.dialect => {
            losses.refused("tool_choice", format!("has a form that does not exist in {}", target.dialect));
        }
        ToolMode::Required | ToolMode::Named(_) | ToolMode::Allowed { .. } if request.tools.is_empty() => {
            losses.add(Severity::Ignored, "tool_choice", "has no tools to choose from");
        }
        ToolMode::Auto
        | ToolMode::None
        | ToolMode::Required
        | ToolMode::Named(_)
        | ToolMode::Allowed { .. }
        | ToolMode::Provider(_) => {}
    }
}

/// The names in a choice of allowed tools, for dialects that have no such choice: they send only those tools.
pub fn allowed_names(allowed: &[ToolRef]) -> HashSet<&str> {
    allowed.iter().map(|reference| reference.name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;

    #[test]
    fn names_over_the_limit_are_shortened_the_same_way_each_time() {
        let mut names = ToolNames::new(&Capabilities::unlimited(Dialect::OpenAiChat));
        let long = "mcp__a.server__".to_owned() + &"x".repeat(80);
        let short = names.wire(&long).into_owned();
        assert_eq!(short.len(), 64);
        assert_eq!(names.wire(&long), short);
        assert_eq!(names.wire("plain_name"), "plain_name");
        assert_eq!(names.into_adaptions().tool_names.get(&short), Some(&long));
    }
}
