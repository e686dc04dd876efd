//! Tokens, money and time.
//!
//! Tokens are counted as the caller's dialect counts them, which is how PostHog's wrapper of that vendor's SDK would: with OpenAI
//! and Google the cached ones are part of the input, with Anthropic they stand apart (`$ai_cache_reporting_exclusive`); thoughts
//! are part of the output, but for Google's.

use std::time::Duration;

use super::json::{self, Json};
use crate::analytics::generation::Generation;
use crate::dialect::Dialect;
use crate::ir::Usage;
use crate::money::NanoUsd;

/// How many levels of a usage are shown.
const USAGE_LEVELS: usize = 16;

/// Writes what a call took.
pub(super) fn tokens(generation: &Generation, json: &mut Json) {
    let Some(usage) = &generation.seen.usage else { return };
    let (input, output, is_exclusive) = counted(generation.dialect, usage);
    if let Some(input) = input {
        json.number("$ai_input_tokens", input);
        json.number("$ai_cache_reporting_exclusive", is_exclusive);
    }
    for (name, count) in [
        ("$ai_output_tokens", output),
        ("$ai_cache_read_input_tokens", usage.cache_read),
        ("$ai_cache_creation_input_tokens", usage.cache_write()),
        ("$ai_reasoning_tokens", usage.reasoning),
        ("$ai_web_search_count", usage.web_searches.filter(|searches| *searches > 0)),
    ] {
        if let Some(count) = count {
            json.number(name, count);
        }
    }
    if let Some(original) = &usage.original {
        let before = json.len();
        json.key("$ai_usage");
        json::tree(json.bytes(), &original.value, USAGE_LEVELS);
        if json.len() - before > super::LARGEST_USAGE {
            json.back_to(before);
        }
    }
}

fn counted(dialect: Dialect, usage: &Usage) -> (Option<u64>, Option<u64>, bool) {
    match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses => (usage.input, usage.output, false),
        Dialect::Anthropic => (usage.input.map(|_| usage.fresh_input()), usage.output, true),
        Dialect::Gemini => {
            let output = usage.output.map(|output| output.saturating_sub(usage.reasoning.unwrap_or(0)));
            (usage.input, output, false)
        }
    }
}

/// Writes what a call cost, in dollars.
pub(super) fn money(generation: &Generation, json: &mut Json) {
    let Some(cost) = generation.cost else { return };
    if let Some(parts) = cost.parts {
        json.billionths("$ai_input_cost_usd", parts.input.0);
        json.billionths("$ai_output_cost_usd", parts.output.0);
        if parts.searches > NanoUsd::ZERO {
            json.billionths("$ai_web_search_cost_usd", parts.searches.0);
        }
    }
    json.billionths("$ai_total_cost_usd", cost.amount.0);
}

/// Writes how long a call took: seconds, to the microsecond.
pub(super) fn times(generation: &Generation, json: &mut Json) {
    json.billionths("$ai_latency", micros(generation.timings.latency));
    if let Some(first) = generation.timings.first_token {
        json.billionths("$ai_time_to_first_token", micros(first));
    }
    if let Some(overhead) = generation.timings.overhead {
        json.billionths("llm_gateway_overhead", micros(overhead));
    }
}

/// In billionths of a second, of which the last three digits are none.
fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 1000).saturating_mul(1000)
}
