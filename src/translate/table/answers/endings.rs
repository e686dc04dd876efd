//! Why an answer ended, and what it took.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{asked, plain, spoken, told, turned};
use crate::dialect::{Delivery, Dialect};
use crate::ir::FinishReason;
use crate::translate::codecs::{decode_response, encode_response};
use crate::translate::pairs::{counts as counts_of, folded, reason as reason_of};
use crate::translate::table::{put_over, title};

/// The vendors' words, each as every caller reads it. Streams end with the same: that is held here as well.
pub(in crate::translate::table) fn finish_reasons() -> String {
    let mut text = "| provider | its word |".to_owned();
    for caller in Dialect::ALL {
        write!(text, " {} |", title(caller)).unwrap();
    }
    text.push_str("\n|---|---|---|---|---|---|\n");
    for provider in Dialect::ALL {
        for (word, said) in words(provider) {
            let mut body = plain(provider);
            put_over(&mut body, &said);
            write!(text, "| {} | `{word}` |", title(provider)).unwrap();
            for caller in Dialect::ALL {
                let read = if caller == provider {
                    "as it is".to_owned()
                } else {
                    let (whole, _) = told(provider, caller, &body);
                    let told = reason(caller, &whole);
                    let (end, counts, again) = streamed(provider, caller, &body);
                    assert_eq!((end, counts), ending(caller, &whole), "{word} to {caller}, streamed");
                    assert_eq!(again, told, "{word} to {caller}, streamed");
                    let is_clean = CLEAN.iter().any(|clean| told.starts_with(&format!("`{clean}`")));
                    assert_eq!(is_clean, CLEAN.contains(&word), "{word} to {caller}: {told}");
                    told
                };
                write!(text, " {read} |").unwrap();
            }
            text.push('\n');
        }
    }
    text
}

/// The words for an answer that is all there.
const CLEAN: &[&str] = &["stop", "tool_calls", "completed", "end_turn", "stop_sequence", "tool_use", "STOP"];

/// How a whole answer ends, as its reader reads it: why, and what it took.
fn ending(caller: Dialect, body: &Value) -> (Option<FinishReason>, [Option<u64>; 3]) {
    let read = decode_response(caller, body.clone()).unwrap();
    (reason_of(&read), counts_of(&read))
}

/// The same of that answer when it is streamed, and the caller's words for it.
fn streamed(provider: Dialect, caller: Dialect, body: &Value) -> (Option<FinishReason>, [Option<u64>; 3], String) {
    let stream = turned(caller, provider, &spoken(provider, body));
    let read = folded(caller, stream.heard.as_bytes());
    let words = reason(caller, &encode_response(caller, &read, &asked(Delivery::Events)).unwrap().body);
    (reason_of(&read), counts_of(&read), words)
}

fn words(provider: Dialect) -> Vec<(&'static str, Value)> {
    match provider {
        Dialect::OpenAiChat => ["stop", "length", "tool_calls", "content_filter"]
            .map(|word| (word, json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": word}]})))
            .to_vec(),
        Dialect::OpenAiResponses => vec![
            ("completed", json!({})),
            ("incomplete: max_output_tokens", json!({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}})),
            ("incomplete: content_filter", json!({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}})),
        ],
        Dialect::Anthropic => [
            "end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded", "compaction",
        ]
        .map(|word| (word, json!({"stop_reason": word})))
        .to_vec(),
        Dialect::Gemini => {
            let mut words: Vec<(&str, Value)> = [
                "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "LANGUAGE", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII",
                "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE", "IMAGE_SAFETY",
            ]
            .map(|word| (word, json!({"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": word}]})))
            .to_vec();
            words.push(("a blocked prompt", json!({"candidates": null, "promptFeedback": {"blockReason": "SAFETY"}})));
            words
        }
    }
}

/// Why an answer ended, as its reader finds it.
fn reason(caller: Dialect, body: &Value) -> String {
    let word = |value: &Value| value.as_str().map(|word| format!("`{word}`")).unwrap_or_default();
    match caller {
        Dialect::OpenAiChat => {
            let choice = &body["choices"][0];
            word(&choice["finish_reason"]) + &beside(&word(&choice["native_finish_reason"]))
        }
        Dialect::OpenAiResponses => {
            let details = word(&body["incomplete_details"]["reason"]);
            let native = word(&body["native_finish_reason"]);
            let details = if details.is_empty() { details } else { format!(": {details}") };
            word(&body["status"]) + &details + &beside(&native)
        }
        Dialect::Anthropic => word(&body["stop_reason"]) + &beside(&word(&body["stop_details"]["explanation"])),
        Dialect::Gemini => {
            let candidate = &body["candidates"][0];
            word(&candidate["finishReason"]) + &beside(&word(&candidate["finishMessage"]))
        }
    }
}

fn beside(native: &str) -> String {
    if native.is_empty() { String::new() } else { format!(" ({native} beside it)") }
}

/// One usage, as each provider says it and as each caller reads it.
pub(in crate::translate::table) fn usage() -> String {
    let mut text = "| provider says | caller | reads |\n|---|---|---|\n".to_owned();
    for provider in Dialect::ALL {
        let mut body = plain(provider);
        let said = said_usage(provider);
        put_over(&mut body, &said);
        let own = said.as_object().unwrap().values().next().unwrap().clone();
        for caller in Dialect::ALL.into_iter().filter(|caller| *caller != provider) {
            let (body, _) = told(provider, caller, &body);
            let key = if caller == Dialect::Gemini { "usageMetadata" } else { "usage" };
            writeln!(text, "| {} | {} | {} |", counts(&own), title(caller), counts(&body[key])).unwrap();
        }
    }
    text
}

/// A hundred fresh tokens, forty read from a cache, twenty written to one where there is a word for that, and fifty that came
/// out, thirty of them thoughts.
fn said_usage(provider: Dialect) -> Value {
    match provider {
        Dialect::OpenAiChat => json!({"usage": {"prompt_tokens": 140, "completion_tokens": 50, "total_tokens": 190,
            "prompt_tokens_details": {"cached_tokens": 40}, "completion_tokens_details": {"reasoning_tokens": 30}}}),
        Dialect::OpenAiResponses => {
            json!({"usage": {"input_tokens": 140, "input_tokens_details": {"cached_tokens": 40},
            "output_tokens": 50, "output_tokens_details": {"reasoning_tokens": 30}, "total_tokens": 190}})
        }
        Dialect::Anthropic => {
            json!({"usage": {"input_tokens": 100, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 20, "output_tokens": 50}})
        }
        Dialect::Gemini => json!({"usageMetadata": {"promptTokenCount": 140, "cachedContentTokenCount": 40,
            "candidatesTokenCount": 20, "thoughtsTokenCount": 30, "totalTokenCount": 190}}),
    }
}

/// All counts that are not zero.
fn counts(usage: &Value) -> String {
    let mut found = Vec::new();
    for (key, value) in usage.as_object().into_iter().flatten() {
        match value {
            Value::Number(number) if number.as_u64() != Some(0) => found.push(format!("`{key}` {number}")),
            Value::Object(_) => found.extend(Some(counts(value)).filter(|inner| !inner.is_empty())),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {}
        }
    }
    found.join(", ")
}
