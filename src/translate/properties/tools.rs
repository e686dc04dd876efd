//! The tools that a request offers, and the choice between them, arrive, or it is reported what does not.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::reports;
use crate::dialect::{Adaptions, Dialect, Target};
use crate::ir::{AllowedMode, Losses, OutputFormat, Request, Tool, ToolMode, ToolRef};

/// A tool as its caller knows it.
#[derive(Debug, PartialEq)]
struct Offered {
    name: String,
    is_custom: bool,
    description: Option<String>,
    schema: Option<Value>,
    strict: bool,
}

/// The tools on offer, but for the one that gives the answer.
fn offered(request: &Request, adaptions: &Adaptions) -> Vec<Offered> {
    let own = |name: &str| adaptions.tool_names.get(name).cloned().unwrap_or_else(|| name.to_owned());
    let tools = request.tools.iter().filter(|tool| adaptions.json_tool.as_deref() != Some(tool.name()));
    let tools = tools.filter_map(|tool| match tool {
        Tool::Function(tool) => Some(Offered {
            name: own(&tool.name),
            is_custom: adaptions.custom_tools.contains(&own(&tool.name)),
            description: tool.description.clone(),
            schema: tool.parameters.clone(),
            strict: tool.strict == Some(true),
        }),
        Tool::Custom(tool) => Some(Offered {
            name: own(&tool.name),
            is_custom: true,
            description: tool.description.clone(),
            schema: None,
            strict: false,
        }),
        Tool::Provider(_) => None,
    });
    tools.collect()
}

/// What a schema says in any dialect: the names of its properties, in their order, and which of them must be there. Gemini's
/// form says the rest in words of its own.
fn outline(schema: Option<&Value>) -> (Vec<String>, Value) {
    let properties = schema.and_then(|schema| schema.get("properties")?.as_object());
    let names = properties.into_iter().flat_map(|map| map.keys().cloned()).collect();
    let required = schema.and_then(|schema| schema.get("required")).filter(|list| **list != json!([]));
    (names, required.cloned().unwrap_or_default())
}

/// No arguments, however they are written.
fn no_less(schema: Option<&Value>) -> Value {
    match schema {
        None => json!({}),
        Some(schema)
            if outline(Some(schema)).0.is_empty() && schema.get("type").is_none_or(|kind| kind == "object") =>
        {
            json!({})
        }
        Some(schema) => schema.clone(),
    }
}

/// The choice, in words that all dialects share.
fn chosen(request: &Request, adaptions: &Adaptions) -> String {
    let own = |tool: &ToolRef| adaptions.tool_names.get(&tool.name).unwrap_or(&tool.name).clone();
    match request.tool_choice.as_ref().map(|choice| &choice.mode) {
        None | Some(ToolMode::Auto) => "auto".to_owned(),
        Some(ToolMode::None) => "none".to_owned(),
        Some(ToolMode::Required) => "required".to_owned(),
        Some(ToolMode::Named(tool)) => format!("required {}", own(tool)),
        Some(ToolMode::Allowed { mode, tools }) => {
            let mode = if *mode == AllowedMode::Required { "required" } else { "auto" };
            format!("{mode} {}", tools.iter().map(own).collect::<Vec<_>>().join(" "))
        }
        Some(ToolMode::Provider(other)) => format!("{other:?}"),
    }
}

/// Whether the tool that gives the answer has the form that was asked for.
pub(super) fn gives_the_answer(before: &Request, after: &Request, adaptions: &Adaptions) -> bool {
    let schema = after.tools.iter().find_map(|tool| match tool {
        Tool::Function(tool) if adaptions.json_tool.as_ref() == Some(&tool.name) => Some(tool.parameters.as_ref()),
        Tool::Function(_) | Tool::Custom(_) | Tool::Provider(_) => None,
    });
    match (before.output.as_ref().map(|output| &output.format), schema) {
        (Some(OutputFormat::JsonSchema { schema: meant, .. }), Some(Some(schema))) if adaptions.wrapped => {
            outline(meant.as_ref()) == outline(schema["properties"].get("value"))
        }
        (Some(OutputFormat::JsonSchema { schema: meant, .. }), Some(schema)) => {
            outline(meant.as_ref()) == outline(schema)
        }
        (Some(OutputFormat::JsonObject), Some(_)) => true,
        _ => false,
    }
}

/// Holds the tools, and the choice between them.
pub(super) fn arrive(
    before: &Request,
    after: &Request,
    target: &Target,
    adaptions: &Adaptions,
    losses: &Losses,
) -> Result<(), TestCaseError> {
    let (mut meant, mut heard) = (offered(before, &Adaptions::default()), offered(after, adaptions));
    let choice_is_lost = reports(before, losses, &["tool_choice"]);
    if choice_is_lost && heard.len() < meant.len() {
        // Where there is no such choice, those that are not allowed are not offered.
        meant.retain(|tool| heard.iter().any(|other| other.name == tool.name));
    }
    prop_assert_eq!(heard.len(), meant.len());
    for (number, (meant, heard)) in meant.iter_mut().zip(&mut heard).enumerate() {
        let is_reported = |rest: &str| reports(before, losses, &[&format!("tools[{number}]{rest}")]) || choice_is_lost;
        if meant.is_custom {
            heard.schema = None;
        } else if target.dialect == Dialect::Gemini || before.spoken_in == Some(Dialect::Gemini) {
            prop_assert_eq!(outline(heard.schema.as_ref()), outline(meant.schema.as_ref()));
            heard.schema.clone_from(&meant.schema);
        } else if no_less(meant.schema.as_ref()) == no_less(heard.schema.as_ref()) {
            heard.schema.clone_from(&meant.schema);
        } else if is_reported("") {
            // Keywords that are not taken there are said in words.
            prop_assert_eq!(outline(heard.schema.as_ref()), outline(meant.schema.as_ref()));
            heard.schema.clone_from(&meant.schema);
        }
        // In the order in which it was written.
        prop_assert_eq!(meant.schema.as_ref().map(Value::to_string), heard.schema.as_ref().map(Value::to_string));
        if meant.strict && !heard.strict {
            // Where there are no arguments, there is nothing to hold the model to.
            let is_moot = no_less(meant.schema.as_ref()) == json!({});
            prop_assert!(is_moot || is_reported(""), "strict is lost");
            heard.strict = true;
        }
        prop_assert_eq!(&*meant, &*heard);
    }
    let (wanted, got) = (chosen(before, &Adaptions::default()), chosen(after, adaptions));
    let is_moot = before.tools.is_empty() && matches!(wanted.as_str(), "auto" | "none");
    prop_assert!(wanted == got || is_moot || choice_is_lost || adaptions.json_tool.is_some(), "{wanted} became {got}");
    // Where nothing may be called, nothing is called at once.
    let one_at_a_time = before.parallel_tool_calls == Some(false) && !before.tools.is_empty() && wanted != "none";
    if one_at_a_time && after.parallel_tool_calls != Some(false) {
        prop_assert!(reports(before, losses, &["parallel_tool_calls"]), "parallel calls are allowed");
    }
    Ok(())
}
