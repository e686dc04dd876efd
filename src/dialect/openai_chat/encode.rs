//! Into chat completions: a request for a provider, a whole answer for a caller.

mod answer;
mod messages;

use std::borrow::Cow;

use serde_json::{Value, json};

use super::{DIALECT, wire};
use crate::dialect::adapt::{self, JsonTool};
use crate::dialect::{Adaptions, EncodedRequest, Object, OutputTokensField, ReasoningStyle, Target};
use crate::ir::{CallKind, Effort, Losses, Request, Sampling, Tool, ToolRef, Visibility};

pub(super) use answer::{reasoning_detail, response};

/// In what OpenAI's models answer.
const MODALITIES: [&str; 2] = ["text", "audio"];

/// Writes a request.
pub(super) fn request(request: &Request, target: &Target) -> EncodedRequest {
    let mut losses = Losses::new();
    let mut names = adapt::ToolNames::new(&target.can);
    let foreign = request.is_foreign_to(DIALECT);
    if foreign {
        adapt::refuse_what_is_beyond(request, target, &mut losses);
    }
    let mut body = Object::new().with("model", target.model.as_str());
    let list = if foreign {
        let mut list = messages::foreign(request, target, &mut names, &mut losses);
        if adapt::openai::wants_the_word(request, request.instructions.as_ref(), &mut losses) {
            list.insert(0, json!({"role": "system", "content": adapt::openai::JSON_PLEASE}));
        }
        list
    } else {
        if request.messages.iter().flat_map(|message| &message.parts).any(|part| part.seal.is_some()) {
            // Only seals that were minted here are taken out by the decoder, and no server of this dialect made them.
            losses.ignored("reasoning_details", DIALECT);
        }
        messages::own(&request.messages)
    };
    body.put("messages", list);
    let mut adaptions = Adaptions::default();
    let by_tool = if foreign { JsonTool::for_form(request, target, &mut adaptions, &mut losses) } else { None };
    offer_tools(&mut body, request, by_tool.as_ref(), target, &mut names, &mut losses);
    if foreign {
        foreign_parameters(&mut body, request, target, &mut adaptions, &mut losses);
    } else {
        own_parameters(&mut body, request);
    }
    adaptions.tool_names = names.into_adaptions().tool_names;
    for tool in request.tools.iter().filter(|_| foreign && !target.can.custom_tools) {
        if let Tool::Custom(tool) = tool {
            adaptions.custom_tools.push(tool.name.clone());
        }
    }
    body.put_carried(&request.carry, DIALECT);
    EncodedRequest { body: body.into(), losses, adaptions }
}

/// All that is written in the same way, wherever the request came from.
fn shared_parameters(body: &mut Object, request: &Request, sampling: &Sampling) {
    body.put_some("temperature", sampling.temperature.clone());
    body.put_some("top_p", sampling.top_p.clone());
    body.put_some("frequency_penalty", sampling.frequency_penalty.clone());
    body.put_some("presence_penalty", sampling.presence_penalty.clone());
    body.put_some("seed", sampling.seed.clone());
    body.put_some("logit_bias", sampling.logit_bias.clone());
    body.put_some("n", request.candidates);
    body.put_some("verbosity", request.verbosity.clone());
    adapt::openai::put_users(body, request, DIALECT);
    body.put_some("prompt_cache_key", request.prompt_cache_key.clone());
    body.put_some("prompt_cache_retention", request.prompt_cache_retention.clone());
    body.put_some("store", request.store);
    if !request.modalities.is_empty() {
        body.put("modalities", request.modalities.clone());
    }
    if let Some(logprobs) = request.logprobs {
        // Responses only says how many; chat wants to hear that any are wanted at all.
        let enabled = logprobs.enabled.or(request.is_foreign_to(DIALECT).then_some(true));
        body.put_some("logprobs", enabled);
        body.put_some("top_logprobs", logprobs.top);
    }
}

fn own_parameters(body: &mut Object, request: &Request) {
    body.put_some("parallel_tool_calls", request.parallel_tool_calls);
    body.put_some("metadata", request.metadata.clone());
    shared_parameters(body, request, &request.sampling);
    body.put_some("top_k", request.sampling.top_k.clone());
    let note = |key: &str| request.carry.noted_as(DIALECT, key);
    match request.stop.as_slice() {
        [] => {}
        [one] if note("stop").is_some() => body.put("stop", one.as_str()),
        many => body.put("stop", many.to_vec()),
    }
    let older = note("max_output").is_some();
    body.put_some(if older { "max_tokens" } else { "max_completion_tokens" }, request.max_output);
    body.put_some("stream", request.stream);
    if let Some(options) = note("stream_options") {
        let mut options_object = Object::new().with_some("include_usage", request.stream_usage);
        if let Value::Object(rest) = options {
            options_object.put_defaults(rest);
        }
        body.put("stream_options", options_object);
    }
    let effort = request.reasoning.as_ref().and_then(|ask| ask.effort.as_ref());
    body.put_some("reasoning_effort", effort.map(Effort::as_str));
    body.put_some("response_format", request.output.as_ref().and_then(wire::output_to));
    body.put_some("service_tier", request.service_tier.clone());
}

fn foreign_parameters(
    body: &mut Object,
    request: &Request,
    target: &Target,
    adaptions: &mut Adaptions,
    losses: &mut Losses,
) {
    let can = &target.can;
    let sampling = adapt::sampling(&request.sampling, can, losses);
    if sampling.top_k.is_some() {
        losses.ignored("top_k", DIALECT);
    }
    // OpenAI refuses it where there are no tools.
    body.put_some("parallel_tool_calls", request.parallel_tool_calls.filter(|_| !request.tools.is_empty()));
    body.put_some("metadata", adapt::labels(request, DIALECT, losses));
    if let Some(other) = request.modalities.iter().find(|word| !MODALITIES.contains(&word.as_str())) {
        losses.refused("modalities", format!("asks for {other}, and {DIALECT} gives text and audio"));
    }
    shared_parameters(body, request, &sampling);
    let stop = adapt::stop(request, can, adaptions, losses);
    if !stop.is_empty() {
        body.put("stop", stop.to_vec());
    }
    let field = match can.output_tokens {
        OutputTokensField::MaxCompletionTokens => "max_completion_tokens",
        OutputTokensField::MaxTokens => "max_tokens",
    };
    body.put_some(field, adapt::max_output(request, can, losses));
    if request.stream == Some(true) {
        body.put("stream", true);
        // What a call took must be known here, whether or not the caller's dialect shows it.
        body.put("stream_options", Object::new().with("include_usage", true));
    }
    if let Some(effort) = request.reasoning.as_ref().and_then(crate::ir::ReasoningAsk::as_effort) {
        match &can.reasoning {
            ReasoningStyle::None if effort == Effort::None => {}
            ReasoningStyle::None => losses.ignored("reasoning", DIALECT),
            ReasoningStyle::Effort { levels } | ReasoningStyle::Adaptive { levels, .. } => {
                let nearest = adapt::nearest_effort(&effort, levels);
                if nearest != effort {
                    let reason = format!("is {} for this model, not {}", nearest.as_str(), effort.as_str());
                    losses.approximated("reasoning", reason);
                }
                body.put("reasoning_effort", nearest.as_str());
            }
            ReasoningStyle::Budget { .. } => body.put("reasoning_effort", effort.as_str()),
        }
    }
    if let Some(ask) = &request.reasoning {
        losses.report_carry(&ask.carry, DIALECT, "reasoning.", &[]);
    }
    let shown = request.reasoning.as_ref().and_then(|ask| ask.visibility.as_ref());
    if shown.is_some_and(|shown| *shown != Visibility::Hidden) {
        losses.ignored("reasoning.summary", DIALECT);
    }
    if let Some(output) = &request.output {
        let by_tool = adaptions.json_tool.is_some();
        let form =
            if by_tool { Cow::Borrowed(output) } else { adapt::openai::form(output, request, adaptions, losses) };
        match wire::output_to(&form) {
            Some(_) if by_tool => {}
            Some(format) => body.put("response_format", format),
            None => losses.refused("response_format", format!("has a form that does not exist in {DIALECT}")),
        }
        losses.report_carry(&output.carry, DIALECT, "", &["type"]);
    }
    // Anthropic's own word; the others are OpenAI's, or mean the same.
    let tier = request.service_tier.as_deref().map(|tier| if tier == "standard_only" { "default" } else { tier });
    body.put_some("service_tier", tier);
    losses.report_carry(&request.carry, DIALECT, "", &[]);
}

fn offer_tools(
    body: &mut Object,
    request: &Request,
    by_tool: Option<&JsonTool>,
    target: &Target,
    names: &mut adapt::ToolNames,
    losses: &mut Losses,
) {
    let mut list = Vec::with_capacity(request.tools.len());
    for (index, offered) in request.tools.iter().enumerate() {
        let beside = match offered {
            Tool::Provider(tool) if request.carry.has_note(DIALECT, &tool.name) => Some(tool),
            Tool::Provider(_) | Tool::Function(_) | Tool::Custom(_) => None,
        };
        match beside {
            Some(tool) => body.put(&tool.name, tool.original.value.clone()),
            None => list.extend(tool(offered, index, request, target, names, losses)),
        }
    }
    list.extend(by_tool.map(|by_tool| function(&by_tool.tool, request.tools.len(), request, names, losses)));
    let foreign = request.is_foreign_to(DIALECT);
    // OpenAI refuses a choice where there is nothing to choose from.
    let is_empty = list.is_empty();
    if !is_empty {
        body.put("tools", list);
    }
    let choice = by_tool.map(|by_tool| &by_tool.choice).or(request.tool_choice.as_ref());
    let Some(choice) = choice.filter(|_| !(foreign && is_empty)) else { return };
    let mut name = |tool: &ToolRef| match foreign {
        false => (tool.kind, tool.name.clone()),
        true => {
            (if target.can.custom_tools { tool.kind } else { CallKind::Function }, names.wire(&tool.name).into_owned())
        }
    };
    body.put_some("tool_choice", wire::tool_choice_to(choice, &mut name));
}

fn tool(
    tool: &Tool,
    index: usize,
    request: &Request,
    target: &Target,
    names: &mut adapt::ToolNames,
    losses: &mut Losses,
) -> Option<Value> {
    let foreign = request.is_foreign_to(DIALECT);
    match tool {
        Tool::Provider(tool) => tool.original.for_dialect(DIALECT).cloned(),
        Tool::Custom(custom) if foreign && !target.can.custom_tools => {
            Some(function(&adapt::custom_as_function(custom), index, request, names, losses))
        }
        Tool::Custom(custom) => {
            let name = if foreign { names.wire(&custom.name).into_owned() } else { custom.name.clone() };
            let mut inner = Object::new()
                .with("name", name)
                .with_some("description", custom.description.clone())
                .with_some("format", custom.format.as_ref().map(wire::custom_format_to));
            put_noted(&mut inner, &custom.carry, "custom");
            Some(Object::typed("custom").with("custom", inner).carrying(&custom.carry, DIALECT).into())
        }
        Tool::Function(tool) if foreign => Some(function(tool, index, request, names, losses)),
        Tool::Function(tool) => {
            let inner = function_fields(tool, &tool.name, tool.parameters.clone(), tool.strict);
            let object = Object::typed("function").with("function", inner).carrying(&tool.carry, DIALECT);
            let cache = tool.cache.as_ref().and_then(|cache| cache.carry.rest_for(DIALECT).cloned());
            Some(object.with_some("cache_control", cache).into())
        }
    }
}

fn function(
    tool: &crate::ir::FunctionTool,
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
    let schema = tool.parameters.is_some().then_some(parameters.schema);
    Object::typed("function")
        .with("function", function_fields(tool, &names.wire(&tool.name), schema, parameters.strict))
        .into()
}

fn function_fields(
    tool: &crate::ir::FunctionTool,
    name: &str,
    parameters: Option<Value>,
    strict: Option<bool>,
) -> Object {
    let mut inner = Object::new()
        .with("name", name)
        .with_some("description", tool.description.clone())
        .with_some("parameters", parameters)
        .with_some("strict", strict);
    put_noted(&mut inner, &tool.carry, "function");
    inner
}

/// Adds what the decoder noted of an inner object.
fn put_noted(object: &mut Object, carry: &crate::ir::Carry, key: &str) {
    if let Some(Value::Object(rest)) = carry.noted_as(DIALECT, key) {
        object.put_defaults(rest);
    }
}
