//! What an answer says beside its content, in fields that only its provider's dialect has: all of them are named to callers of
//! another one, but for those that mean nothing there.

use serde_json::Value;

use crate::dialect::Dialect;
use crate::ir::{Carry, Event, Losses, Response};

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

/// The fields of a provider's answers that mean nothing in another dialect, or that are said there by other means.
pub(super) fn meaningless(provider: Dialect) -> &'static [&'static str] {
    match provider {
        // The name of the vendor's build; what each chunk is; thoughts that are told in more detail beside.
        Dialect::OpenAiChat => &["system_fingerprint", "object", "role", "reasoning", "reasoning_content"],
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
