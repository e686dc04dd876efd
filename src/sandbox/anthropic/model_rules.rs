//! What depends on Claude's version: modes of thinking, sampling, prefill.

use serde_json::Value;

use super::Refusal;
use super::rules::{Turn, list, text};

const LEAST_BUDGET: u64 = 1024;

/// The first rule that the request breaks.
pub(super) fn check(request: &Value, turns: &[Turn<'_>]) -> Result<(), Refusal> {
    thinking(request, turns)?;
    sampling(request)?;
    prefill(request, turns)
}

/// The version in a model's name, as major and minor: (4, 5) for `claude-sonnet-4-5-20250929`.
pub(super) fn version(model: &str) -> (u64, u64) {
    let mut numbers = model.split(['-', '.']).filter(|part| part.len() < 3).filter_map(|part| part.parse().ok());
    (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default())
}

pub(super) fn thinks_always(model: &str) -> bool {
    model.contains("fable") || model.contains("mythos")
}

fn thinking(request: &Value, turns: &[Turn<'_>]) -> Result<(), Refusal> {
    let model = text(request, "model");
    let mode = request.get("thinking").map_or("", |thinking| text(thinking, "type"));
    let adaptive_only = version(model) >= (4, 7) || thinks_always(model);
    match mode {
        "enabled" if adaptive_only => {
            return Err(Refusal::invalid(
                "\"thinking.type.enabled\" is not supported for this model. Use \"thinking.type.adaptive\" and \
                 \"output_config.effort\" to control thinking behavior.",
            ));
        }
        "adaptive" if version(model) < (4, 6) && !thinks_always(model) => {
            return Err(Refusal::invalid("adaptive thinking is not supported on this model"));
        }
        "disabled" if thinks_always(model) => {
            return Err(Refusal::invalid("\"thinking.type.disabled\" is not supported for this model."));
        }
        "enabled" => budget(request)?,
        _ => {}
    }
    if !matches!(mode, "enabled" | "adaptive") {
        return Ok(());
    }
    // Since Opus 4.8, adaptive thinking goes together with a forced tool.
    let forces = matches!(request.pointer("/tool_choice/type").and_then(Value::as_str), Some("any" | "tool"));
    if (mode == "enabled" || version(model) < (4, 8)) && forces {
        return Err(Refusal::invalid("Thinking may not be enabled when tool_choice forces tool use."));
    }
    if request
        .get("temperature")
        .and_then(Value::as_f64)
        .is_some_and(|temperature| (temperature - 1.0).abs() > f64::EPSILON)
    {
        return Err(Refusal::invalid(
            "`temperature` may only be set to 1 when thinking is enabled. Please consult our documentation at \
             https://docs.claude.com/en/docs/build-with-claude/extended-thinking#important-considerations-when-using-extended-thinking",
        ));
    }
    if mode == "enabled" { thinking_leads(turns) } else { Ok(()) }
}

fn budget(request: &Value) -> Result<(), Refusal> {
    let budget = request.pointer("/thinking/budget_tokens").and_then(Value::as_u64).unwrap_or_default();
    if budget < LEAST_BUDGET {
        return Err(Refusal::invalid("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"));
    }
    if request.get("max_tokens").and_then(Value::as_u64).is_some_and(|most| most <= budget) {
        return Err(Refusal::invalid(
            "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at \
             https://docs.claude.com/en/docs/build-with-claude/extended-thinking#max-tokens-and-context-window-size",
        ));
    }
    Ok(())
}

/// A tool loop has to begin with the thinking that led to the first calls. Later steps may have none: without interleaved
/// thinking, there is none after a result.
fn thinking_leads(turns: &[Turn<'_>]) -> Result<(), Refusal> {
    let has_result = |turn: &Turn<'_>| turn.blocks.iter().any(|block| block.kind == "tool_result");
    let of_loop = turns.iter().rev().take_while(|turn| turn.role == "assistant" || has_result(turn));
    let ends_in_results = turns.last().is_some_and(has_result);
    let assistant = of_loop.filter(|turn| turn.role == "assistant").last().filter(|_| ends_in_results);
    let Some(first) = assistant.and_then(|turn| turn.blocks.first()) else { return Ok(()) };
    if matches!(first.kind, "thinking" | "redacted_thinking") {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "messages.{}.content.{}.type: Expected `thinking` or `redacted_thinking`, but found `{}`. When `thinking` is enabled, \
         a final `assistant` message must start with a thinking block (preceeding the lastmost set of `tool_use` and \
         `tool_result` blocks). We recommend you include thinking blocks from previous turns. To avoid this requirement, \
         disable `thinking`. Please consult our documentation at \
         https://docs.claude.com/en/docs/build-with-claude/extended-thinking",
        first.message, first.index, first.kind
    )))
}

fn sampling(request: &Value) -> Result<(), Refusal> {
    let model = text(request, "model");
    let given = |name: &str| request.get(name).is_some_and(|value| !value.is_null());
    if version(model) >= (4, 7) || thinks_always(model) {
        for name in ["temperature", "top_p", "top_k"] {
            // The defaults pass.
            if given(name) && request.get(name).and_then(Value::as_f64) != Some(1.0) {
                return Err(Refusal::invalid(format!("`{name}` is deprecated for this model.")));
            }
        }
    }
    if version(model) >= (4, 5) && given("temperature") && given("top_p") {
        return Err(Refusal::invalid(
            "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        ));
    }
    if request.get("max_tokens").is_some_and(|most| most.as_u64().is_none_or(|most| most == 0)) {
        return Err(Refusal::invalid("max_tokens: Input should be greater than or equal to 1"));
    }
    let blank = |stop: &Value| stop.as_str().is_some_and(|stop| stop.trim().is_empty());
    if list(request, "stop_sequences").iter().any(blank) {
        return Err(Refusal::invalid("stop_sequences: each stop sequence must contain non-whitespace"));
    }
    Ok(())
}

fn prefill(request: &Value, turns: &[Turn<'_>]) -> Result<(), Refusal> {
    let Some(last) = turns.last().filter(|turn| turn.role == "assistant") else { return Ok(()) };
    let model = text(request, "model");
    if version(model) >= (4, 6) || thinks_always(model) {
        return Err(Refusal::invalid(
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        ));
    }
    let thinks = request.pointer("/thinking/type").is_some_and(|mode| mode == "enabled");
    if thinks {
        return Err(Refusal::invalid("messages: a final assistant message is not supported when thinking is enabled"));
    }
    let ending =
        last.blocks.last().and_then(|block| block.value.as_str().or_else(|| block.value.get("text")?.as_str()));
    if ending.is_some_and(|ending| ending.ends_with(char::is_whitespace)) {
        return Err(Refusal::invalid("messages: final assistant content cannot end with trailing whitespace"));
    }
    Ok(())
}
