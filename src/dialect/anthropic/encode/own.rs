//! A request that came in this dialect, as it came: without what another vendor signed.

use serde_json::{Map, Value};

use super::thinking::needs_thoughts;
use crate::dialect::anthropic::{DIALECT, blocks, wire};
use crate::dialect::{Adaptions, EncodedRequest, Object, Target};
use crate::ir::{
    Budget, Content, Effort, Losses, Message, Part, ReasoningAsk, Request, Role, Severity, ThinkingMode, Tool, mark,
};

/// Writes a request.
pub(super) fn request(request: &Request, target: &Target) -> EncodedRequest {
    let mut losses = Losses::new();
    let mut body = Object::new().with("model", target.model.as_str());
    body.put_some("max_tokens", request.max_output);
    if let Some(system) = &request.instructions {
        let blocks: Vec<Value> = system.parts.iter().filter_map(blocks::write).collect();
        match system.parts.as_slice() {
            [only] if !system.carry.has_note(DIALECT, "content") => body.put_some("system", only.as_text()),
            _ => body.put("system", blocks),
        }
    }
    let messages: Vec<Value> =
        request.messages.iter().filter_map(|message| write_message(message, target, &mut losses)).collect();
    // What was left out just now, or never was there, may be what thinking needs in the middle of a tool loop.
    let is_foreign = !losses.is_empty() || another_called(&request.messages);
    let cannot_think = is_foreign && needs_thoughts(&messages);
    body.put("messages", messages);
    offer_tools(&mut body, request);
    think(&mut body, request, cannot_think, &mut losses);
    body.put_some("temperature", request.sampling.temperature.clone());
    body.put_some("top_p", request.sampling.top_p.clone());
    body.put_some("top_k", request.sampling.top_k.clone());
    if !request.stop.is_empty() {
        body.put("stop_sequences", request.stop.clone());
    }
    body.put_some("stream", request.stream);
    body.put_some("service_tier", request.service_tier.clone());
    if request.user.is_some() || request.metadata.is_some() {
        let mut metadata = Object::new().with_some("user_id", request.user.clone());
        metadata.put_defaults(request.metadata.as_ref().unwrap_or(&Map::new()));
        body.put("metadata", metadata);
    }
    body.put_carried(&request.carry, DIALECT);
    EncodedRequest { body: body.into(), losses, adaptions: Adaptions::default() }
}

/// Whether a call of the last tool loop is another vendor's model's: its id is then of our minting.
fn another_called(messages: &[Message]) -> bool {
    let is_result = |part: &Part| matches!(part.content, Content::ToolResult(_));
    let begins = |message: &&Message| message.role == Role::User && !message.parts.iter().any(is_result);
    let is_minted = |part: &Part| part.content.as_tool_call().is_some_and(|call| mark::is_minted(&call.id));
    // The caller's words beside the results, in a message of their own.
    let rest = messages.iter().rev().skip_while(begins);
    rest.take_while(|message| !begins(message)).flat_map(|message| &message.parts).any(is_minted)
}

/// Writes a message; `None` if nothing of it is left.
fn write_message(message: &Message, target: &Target, losses: &mut Losses) -> Option<Value> {
    let mut kept: Vec<&Part> = Vec::with_capacity(message.parts.len());
    for part in &message.parts {
        let is_foreign = part.seal.as_ref().is_some_and(|seal| seal.for_origin(target.origin).is_none());
        let is_thought = matches!(part.content, Content::Reasoning(_));
        let is_unreadable = is_thought && part.seal.is_none() && part.carry.has_note(DIALECT, "minted");
        if is_foreign || is_unreadable {
            losses.ignored("reasoning", DIALECT);
        }
        // A seal of an empty text came alone.
        let is_only_a_seal = is_foreign && part.as_text().is_some_and(str::is_empty);
        if !(is_thought && is_foreign || is_unreadable || is_only_a_seal) {
            kept.push(part);
        }
    }
    if kept.is_empty() && !message.parts.is_empty() {
        return None;
    }
    let mut object = Object::new().with("role", wire::role_to(message.role));
    let blocks = kept.iter().filter_map(|part| blocks::write(part)).collect();
    blocks::put_content(&mut object, &message.carry, blocks, &message.parts);
    object.put_carried(&message.carry, DIALECT);
    Some(object.into())
}

fn offer_tools(body: &mut Object, request: &Request) {
    let mut list = Vec::with_capacity(request.tools.len());
    for tool in &request.tools {
        match tool {
            Tool::Provider(tool) if request.carry.has_note(DIALECT, &tool.name) => {
                body.put(&tool.name, tool.original.value.clone());
            }
            Tool::Provider(tool) => list.extend(tool.original.for_dialect(DIALECT).cloned()),
            Tool::Custom(_) => {}
            Tool::Function(tool) => {
                let mut object = Object::new();
                object.put_some("type", tool.carry.noted_as(DIALECT, "type").cloned());
                object.put("name", tool.name.as_str());
                object.put_some("description", tool.description.clone());
                object.put_some("input_schema", tool.parameters.clone());
                object.put_some("strict", tool.strict);
                object.put_some("cache_control", tool.cache.as_ref().map(wire::cache_to));
                list.push(object.carrying(&tool.carry, DIALECT).into());
            }
        }
    }
    if !list.is_empty() {
        body.put("tools", list);
    }
    if let Some(choice) = &request.tool_choice {
        let mut name = |name: &str| name.to_owned();
        body.put_some("tool_choice", wire::tool_choice_to(choice, request.parallel_tool_calls, &mut name));
    }
}

fn think(body: &mut Object, request: &Request, cannot_think: bool, losses: &mut Losses) {
    let default = ReasoningAsk::default();
    let ask = request.reasoning.as_ref().unwrap_or(&default);
    let mut thinking = Object::new();
    match ask.mode {
        Some(ThinkingMode::On) => thinking.put("type", "enabled"),
        Some(ThinkingMode::Adaptive) => thinking.put("type", "adaptive"),
        Some(ThinkingMode::Off) => thinking.put("type", "disabled"),
        None => {}
    }
    if let Some(Budget::Tokens(tokens)) = ask.budget {
        thinking.put("budget_tokens", tokens);
    }
    thinking.put_some("display", wire::display_to(ask.visibility.as_ref()));
    if ask.mode == Some(ThinkingMode::On) && cannot_think {
        let reason = "cannot be continued in the middle of a tool loop that another vendor's model began";
        losses.add(Severity::Ignored, "thinking", reason);
        body.put("thinking", Object::typed("disabled"));
    } else {
        put_merged(body, "thinking", thinking, request);
    }

    let mut config = Object::new().with_some("effort", ask.effort.as_ref().map(Effort::as_str));
    if let Some(output) = &request.output {
        let format = wire::output_to(output);
        if output.carry.has_note(DIALECT, "output_format") {
            body.put_some("output_format", format);
        } else {
            config.put_some("format", format);
        }
    }
    put_merged(body, "output_config", config, request);
}

/// Puts an object together with what the decoder carried of it.
fn put_merged(body: &mut Object, key: &str, mut object: Object, request: &Request) {
    match request.carry.field(DIALECT, key) {
        Some(Value::Object(rest)) => object.put_defaults(rest),
        Some(_) | None if object.is_empty() => return,
        Some(_) | None => {}
    }
    body.put(key, object);
}
