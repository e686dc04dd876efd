//! What answers and conversations say beside their content, in fields that only their own dialect has: all of them are named
//! where another one is spoken, but for those that mean nothing there.

use std::fmt::Arguments;

use serde_json::Value;

use crate::dialect::Dialect;
use crate::ir::{Carry, Content, Event, Losses, Message, Part, Request, Response, Severity, Tool};

/// Reports what stands beside the content of a conversation.
pub(super) fn in_request(request: &Request, target: Dialect, losses: &mut Losses) {
    let Some(caller) = request.spoken_in.filter(|caller| *caller != target) else { return };
    for (number, tool) in request.tools.iter().enumerate() {
        let (carry, key) = match tool {
            Tool::Function(tool) => (&tool.carry, "function"),
            Tool::Custom(tool) => (&tool.carry, "custom"),
            Tool::Provider(_) => continue,
        };
        if let Some(Value::Object(inner)) = carry.noted_as(caller, key) {
            losses.report_inner(inner, target, format_args!("tools[{number}].{key}"));
        }
    }
    if let Some(instructions) = &request.instructions {
        in_message(instructions, caller, target, format_args!("system"), losses);
    }
    for (number, message) in request.messages.iter().enumerate() {
        // Whose turn it is may be another than the caller meant. Beside others an empty text says nothing.
        if !message.role.is_instructions() && message.parts.iter().all(is_empty) && is_said(message, caller) {
            losses.add(Severity::Ignored, format!("messages[{number}]"), "is empty, and is not sent");
        }
        in_message(message, caller, target, format_args!("messages[{number}]"), losses);
    }
}

/// Whether somebody said it. An item of Responses that is no message and has no parts stood for the seal of another one.
fn is_said(message: &Message, caller: Dialect) -> bool {
    match caller {
        Dialect::OpenAiChat | Dialect::Anthropic | Dialect::Gemini => true,
        Dialect::OpenAiResponses => !message.parts.is_empty() || message.carry.has_note(caller, "own"),
    }
}

/// Whether a part has no content at all.
fn is_empty(part: &Part) -> bool {
    match &part.content {
        Content::Text(text) => text.text.is_empty() && part.seal.is_none(),
        Content::Refusal(text) => text.is_empty(),
        Content::Media(_)
        | Content::ToolCall(_)
        | Content::ToolResult(_)
        | Content::Reasoning(_)
        | Content::Opaque(_) => false,
    }
}

fn in_message(message: &Message, caller: Dialect, target: Dialect, here: Arguments<'_>, losses: &mut Losses) {
    in_node(&message.carry, target, format_args!("{here}."), losses);
    if message.name.is_some() && target != Dialect::OpenAiChat {
        losses.ignored(format!("{here}.name"), target);
    }
    for (place, part) in message.parts.iter().enumerate() {
        in_part(part, caller, target, format_args!("{here}.content[{place}]"), losses);
        if let Content::ToolResult(result) = &part.content {
            // They are one thing to whoever reads of them.
            result.parts.iter().for_each(|inner| {
                in_part(inner, caller, target, format_args!("{here}.content[{place}]"), losses);
            });
        }
    }
}

fn in_part(part: &Part, caller: Dialect, target: Dialect, here: Arguments<'_>, losses: &mut Losses) {
    in_node(&part.carry, target, format_args!("{here}."), losses);
    // What a call or a medium holds is an object of its own in some dialects.
    for key in ["call", "inner"] {
        if let Some(Value::Object(inner)) = part.carry.noted_as(caller, key) {
            losses.report_inner(inner, target, here);
        }
    }
    if let Content::Text(text) = &part.content
        && !text.citations.is_empty()
    {
        let word = if caller == Dialect::Anthropic { "citations" } else { "annotations" };
        losses.ignored(format!("{here}.{word}"), target);
    }
}

fn in_node(carry: &Carry, target: Dialect, here: Arguments<'_>, losses: &mut Losses) {
    if let Some((caller, _)) = carry.loose() {
        losses.report_carry(carry, target, here, meaningless(caller));
    }
}

/// Reports what stands beside a whole answer's content.
pub(super) fn in_answer(response: &Response, caller: Dialect, losses: &mut Losses) {
    in_carry(&response.carry, caller, losses);
    for choice in &response.choices {
        in_carry(&choice.carry, caller, losses);
        choice.parts.iter().for_each(|part| in_carry(&part.carry, caller, losses));
    }
}

/// Reports what stands beside a piece of a stream.
pub(super) fn in_event(event: &Event, caller: Dialect, losses: &mut Losses) {
    match event {
        Event::Start(start) => in_carry(&start.carry, caller, losses),
        Event::PartStart(_, part) => in_carry(&part.carry, caller, losses),
        Event::PartStop(_, carry) | Event::Finish(_, _, carry) | Event::End(carry) => in_carry(carry, caller, losses),
        Event::Delta(..) | Event::Usage(_) | Event::Ping | Event::Opaque(_) | Event::Error(_) => {}
    }
}

fn in_carry(carry: &Carry, caller: Dialect, losses: &mut Losses) {
    let Some((provider, rest)) = carry.loose().filter(|(provider, _)| *provider != caller) else { return };
    losses.report_unsaid(provider, rest, caller, meaningless(provider));
    // Chat's message and Responses' are no nodes of their own here.
    for node in ["message", "item"] {
        if let Some(message) = carry.noted_as(provider, node).and_then(Value::as_object) {
            losses.report_unsaid(provider, message, caller, meaningless(provider));
        }
    }
}

/// The fields of answers, and of conversations that bring them back, that mean nothing in another dialect, or that are said there by other means.
pub(super) fn meaningless(provider: Dialect) -> &'static [&'static str] {
    match provider {
        // The name of the vendor's build; what each chunk is, and its place; thoughts that are told in more detail beside.
        Dialect::OpenAiChat => &["system_fingerprint", "object", "role", "index", "reasoning", "reasoning_content"],
        // What was asked for, repeated; items' own ids and states; how an image was drawn.
        Dialect::OpenAiResponses => &[
            "background",
            "billing",
            "caller",
            "completed_at",
            "content_filters",
            "conversation",
            "created_at",
            "error",
            "frequency_penalty",
            "id",
            "incomplete_details",
            "instructions",
            "max_output_tokens",
            "max_tool_calls",
            "metadata",
            "moderation",
            "namespace",
            "object",
            "output_format",
            "output_text",
            "parallel_tool_calls",
            "presence_penalty",
            "previous_response_id",
            "prompt",
            "prompt_cache_key",
            "prompt_cache_options",
            "prompt_cache_retention",
            "quality",
            "reasoning",
            "role",
            "safety_identifier",
            "size",
            "status",
            "store",
            "temperature",
            "text",
            "tool_choice",
            "tool_usage",
            "tools",
            "top_logprobs",
            "top_p",
            "truncation",
            "user",
        ],
        // Of provider-run tools, and of edits to the conversation, for which no other dialect can ask.
        Dialect::Anthropic => &["caller", "container", "context_management"],
        // Sources, log probabilities and a blocked prompt are told with the text and as the finish reason.
        Dialect::Gemini => &[
            "avgLogprobs",
            "citationMetadata",
            "createTime",
            "groundingMetadata",
            "logprobsResult",
            "modelStatus",
            "promptFeedback",
            "tokenCount",
        ],
    }
}
