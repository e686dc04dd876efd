//! Into generateContent: a request for a provider, a whole answer for a caller.

mod answer;
mod contents;
mod parameters;

use serde_json::{Map, Value, json};

use super::schema::{self, Adapted, Language, Order};
use super::{DIALECT, wire};
use crate::dialect::adapt::{self, JsonTool};
use crate::dialect::{Adaptions, EncodedRequest, Object, SchemaStyle, Target};
use crate::ir::{FunctionTool, Losses, Request, Tool, ToolChoice, ToolMode};

pub(super) use answer::{lose, part as answer_part, response};

/// Writes a request.
pub(super) fn request(request: &Request, target: &Target) -> EncodedRequest {
    if request.is_foreign_to(DIALECT) { foreign(request, target) } else { own(request, target) }
}

fn own(request: &Request, target: &Target) -> EncodedRequest {
    let mut losses = Losses::new();
    let note = |key: &str| request.carry.noted_as(DIALECT, key);
    let mut body = Object::new().with("contents", contents::own(&request.messages, target, &mut losses));
    body.put_some("systemInstruction", request.instructions.as_ref().map(contents::own_instructions));
    if let Some(groups) = note("tools") {
        body.put("tools", own_tools(&request.tools, groups));
    }
    if let Some(choice) = &request.tool_choice {
        let mut config = Object::new();
        config.put_some("functionCallingConfig", wire::tool_choice_to(choice, &mut |name| name.to_owned()));
        if let Some(Value::Object(rest)) = request.carry.field(DIALECT, "toolConfig") {
            config.put_defaults(rest);
        }
        body.put("toolConfig", config);
    }
    let config = parameters::own(request);
    if !config.is_empty() {
        body.put("generationConfig", config);
    }
    body.put_some(
        "serviceTier",
        note("serviceTier").cloned().or_else(|| request.service_tier.clone().map(Value::from)),
    );
    body.put_some("labels", request.metadata.clone());
    body.put_some("store", request.store);
    body.put_carried(&request.carry, DIALECT);
    EncodedRequest { body: body.into(), losses, adaptions: Adaptions::default() }
}

/// Writes the tools in the groups in which they came.
fn own_tools(tools: &[Tool], groups: &Value) -> Vec<Value> {
    let mut tools = tools.iter();
    let count = |group: &Value, place: usize| {
        group.get(place).and_then(Value::as_u64).and_then(|count| usize::try_from(count).ok())
    };
    let mut list = Vec::new();
    for group in groups.as_array().into_iter().flatten() {
        let mut object = Object::new();
        if let Some(functions) = count(group, 0) {
            let functions: Vec<Value> = tools.by_ref().take(functions).filter_map(own_function).collect();
            object.put("functionDeclarations", functions);
        }
        for tool in tools.by_ref().take(count(group, 1).unwrap_or(0)) {
            if let Tool::Provider(tool) = tool
                && let Some(Value::Object(own)) = tool.original.for_dialect(DIALECT)
            {
                object.put_defaults(own);
            }
        }
        list.push(object.into());
    }
    list
}

fn own_function(tool: &Tool) -> Option<Value> {
    let Tool::Function(tool) = tool else { return None };
    let mut object = Object::new().with("name", tool.name.as_str()).with_some("description", tool.description.clone());
    match tool.carry.noted_as(DIALECT, "parameters") {
        Some(original) => object.put("parameters", original.clone()),
        None => object.put_some("parametersJsonSchema", tool.parameters.clone()),
    }
    Some(object.carrying(&tool.carry, DIALECT).into())
}

fn foreign(request: &Request, target: &Target) -> EncodedRequest {
    let mut losses = Losses::new();
    let mut adaptions = Adaptions::default();
    let mut names = adapt::ToolNames::new(&target.can).beginning_with_a_letter();
    adapt::refuse_what_is_beyond(request, target, &mut losses);
    let conversation = contents::foreign(request, target, &mut names, &mut losses);
    let mut body = Object::new().with("contents", conversation.contents);
    body.put_some("systemInstruction", conversation.system);
    let mut functions = Vec::with_capacity(request.tools.len());
    for (index, tool) in request.tools.iter().enumerate() {
        match tool {
            Tool::Function(tool) => functions.push(function(tool, index, target, &mut names, &mut losses)),
            Tool::Custom(tool) => {
                adaptions.custom_tools.push(tool.name.clone());
                functions.push(function(&adapt::custom_as_function(tool), index, target, &mut names, &mut losses));
            }
            Tool::Provider(_) => {}
        }
    }
    let mut choice = request.tool_choice.clone();
    let mut config = parameters::foreign(request, target, &mut adaptions, &mut losses);
    match (functions.is_empty(), target.can.json_beside_tools) {
        (false, false) => json_by_function(request, &mut functions, &mut choice, &mut adaptions, target, &mut losses),
        (true, _) | (_, true) => parameters::output(request, target, &mut config, &mut losses),
    }
    if !functions.is_empty() {
        body.put("tools", vec![Value::from(Object::new().with("functionDeclarations", functions))]);
        let choice = choice.as_ref().filter(|choice| choice.mode != ToolMode::Auto);
        let config = choice.and_then(|choice| wire::tool_choice_to(choice, &mut |name| names.wire(name).into_owned()));
        if let Some(config) = config {
            body.put("toolConfig", json!({"functionCallingConfig": config}));
        }
    }
    if !config.is_empty() {
        body.put("generationConfig", config);
    }
    parameters::beside(request, &mut body, &mut losses);
    adaptions.tool_names = names.into_adaptions().tool_names;
    EncodedRequest { body: body.into(), losses, adaptions }
}

fn function(
    tool: &FunctionTool,
    index: usize,
    target: &Target,
    names: &mut adapt::ToolNames,
    losses: &mut Losses,
) -> Value {
    if tool.cache.is_some() {
        losses.ignored("cache_control", DIALECT);
    }
    if tool.strict == Some(true) {
        losses.ignored(format!("tools[{index}].strict"), DIALECT);
    }
    losses.report_carry(&tool.carry, DIALECT, format_args!("tools[{index}]."), &["type"]);
    let field = || format!("tools[{index}].parameters");
    declaration(tool, &names.wire(&tool.name), Order::Unsaid, field, target, losses)
}

fn declaration(
    tool: &FunctionTool,
    name: &str,
    order: Order,
    field: impl FnOnce() -> String,
    target: &Target,
    losses: &mut Losses,
) -> Value {
    let mut object = Object::new().with("name", name).with_some("description", tool.description.clone());
    if let Some(parameters) = &tool.parameters {
        let adapted = adapted(parameters, target, order, field, losses);
        let key = match adapted.language {
            Language::OpenApi => "parameters",
            Language::Json => "parametersJsonSchema",
        };
        object.put_some(key, adapted.schema);
    }
    object.into()
}

/// Adapts a schema, and says what is lost of it.
fn adapted(
    schema: &Value,
    target: &Target,
    order: Order,
    field: impl FnOnce() -> String,
    losses: &mut Losses,
) -> Adapted {
    let preferred = match target.can.schema {
        SchemaStyle::OpenApiSubset => Language::OpenApi,
        SchemaStyle::JsonSchema => Language::Json,
    };
    let adapted = schema::adapt(schema, preferred, order);
    if !adapted.lost.is_empty() {
        let lost: Vec<&str> = adapted.lost.iter().copied().collect();
        losses.approximated(field(), format!("holds what Gemini's schemas cannot say: {}", lost.join(", ")));
    }
    adapted
}

/// Asks for a form by a function, where Google takes no form beside functions.
fn json_by_function(
    request: &Request,
    functions: &mut Vec<Value>,
    choice: &mut Option<ToolChoice>,
    adaptions: &mut Adaptions,
    target: &Target,
    losses: &mut Losses,
) {
    let Some(by_tool) = JsonTool::of(request, target, adaptions, losses) else { return };
    let JsonTool { tool, choice: must } = by_tool;
    let field = || "response_format".to_owned();
    functions.push(declaration(&tool, &tool.name, Order::Said, field, target, losses));
    *choice = Some(must);
}

/// Keeps what is an object.
fn as_map(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object)
}
