//! The words and nodes of answers: finish reasons, usage, log probabilities.

use serde_json::{Value, json};

use super::{camel_keys, is_snake};
use crate::dialect::Object;
use crate::dialect::gemini::{DIALECT, tap};
use crate::ir::{Carry, Finish, FinishReason, Logprob, Opaque, Usage};

/// Reads `finishReason`. Gemini says `STOP` for calls too.
pub(in crate::dialect::gemini) fn finish_from(word: String, message: Option<String>, has_calls: bool) -> Finish {
    let reason = match word.as_str() {
        "STOP" if has_calls => FinishReason::ToolUse,
        "STOP" => FinishReason::Stop,
        "MAX_TOKENS" => FinishReason::MaxTokens,
        "SAFETY" | "MODEL_ARMOR" | "JAILBREAK" => FinishReason::ContentFilter,
        "RECITATION" => FinishReason::Recitation,
        "LANGUAGE" => FinishReason::Language,
        "BLOCKLIST" => FinishReason::Blocklist,
        "PROHIBITED_CONTENT" => FinishReason::ProhibitedContent,
        "SPII" => FinishReason::PersonalData,
        "IMAGE_SAFETY" | "IMAGE_PROHIBITED_CONTENT" | "IMAGE_RECITATION" | "IMAGE_OTHER" | "NO_IMAGE" => {
            FinishReason::Image
        }
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MISSING_THOUGHT_SIGNATURE"
        | "MALFORMED_RESPONSE" => FinishReason::MalformedToolCall,
        "OTHER" | "FINISH_REASON_UNSPECIFIED" => FinishReason::Unspecified,
        other => FinishReason::Other(other.to_owned()),
    };
    let mut finish = Finish::said(reason, DIALECT, word);
    finish.details = message.map(|message| Opaque::new(DIALECT, json!({"finishMessage": message})));
    finish
}

/// A prompt that was blocked (`promptFeedback.blockReason`): never less than a filter.
pub(in crate::dialect::gemini) fn blocked_from(feedback: &Value) -> Option<Finish> {
    let word = feedback.get("blockReason")?.as_str()?;
    let mut finish = finish_from(word.to_owned(), None, false);
    if matches!(finish.reason, FinishReason::Unspecified | FinishReason::Other(_) | FinishReason::Stop) {
        finish.reason = FinishReason::ContentFilter;
    }
    finish.details = Some(Opaque::new(DIALECT, json!({"promptFeedback": feedback})));
    Some(finish)
}

/// How an answer in which the model refused in words ended: OpenAI ends those like any other.
pub(in crate::dialect::gemini) fn refused(finish: &Finish) -> Finish {
    match &finish.original {
        Some((dialect, _)) if finish.reason == FinishReason::Stop => {
            Finish::said(FinishReason::Refusal, *dialect, "refusal")
        }
        Some(_) | None => finish.clone(),
    }
}

/// Writes `finishReason` and `finishMessage`: what another vendor said is told where Gemini's word is coarser.
pub(in crate::dialect::gemini) fn finish_to(finish: &Finish, object: &mut Object) {
    if let Some(word) = finish.word_for(DIALECT) {
        object.put("finishReason", word);
        let message = finish.details_for(DIALECT).and_then(|details| details.get("finishMessage"));
        object.put_some("finishMessage", message.cloned());
        return;
    }
    let (word, is_exact) = match finish.reason {
        FinishReason::Stop | FinishReason::StopSequence | FinishReason::ToolUse => ("STOP", true),
        FinishReason::MaxTokens => ("MAX_TOKENS", true),
        FinishReason::ContextWindow => ("MAX_TOKENS", false),
        FinishReason::ContentFilter => ("SAFETY", true),
        FinishReason::Refusal => ("SAFETY", false),
        FinishReason::Recitation => ("RECITATION", true),
        FinishReason::Blocklist => ("BLOCKLIST", true),
        FinishReason::ProhibitedContent => ("PROHIBITED_CONTENT", true),
        FinishReason::PersonalData => ("SPII", true),
        FinishReason::Language => ("LANGUAGE", true),
        FinishReason::Image => ("IMAGE_OTHER", false),
        FinishReason::MalformedToolCall => ("MALFORMED_FUNCTION_CALL", false),
        FinishReason::Pause
        | FinishReason::Compaction
        | FinishReason::Cancelled
        | FinishReason::Failed
        | FinishReason::Unspecified
        | FinishReason::Other(_) => ("OTHER", false),
    };
    object.put("finishReason", word);
    let native = finish.original.as_ref().map(|(_, native)| native.clone()).filter(|_| !is_exact);
    let stop = finish.stop_sequence.as_ref().map(|stop| format!("stop_sequence: {stop}"));
    object.put_some("finishMessage", stop.or(native));
}

/// Reads `usageMetadata`.
pub(in crate::dialect::gemini) fn usage_from(value: Value, searches: Option<u64>) -> Usage {
    let snake = value.as_object().filter(|map| map.keys().any(|key| is_snake(key)));
    let mut usage = match snake {
        Some(map) => tap::usage(Value::Object(camel_keys(map.clone()))),
        None => tap::usage(value.clone()),
    };
    usage.web_searches = searches;
    usage.service_tier = tier_from(&value).map(str::to_owned);
    usage.original = Some(Opaque::new(DIALECT, value));
    usage
}

/// The tier that served, in OpenAI's words: Google's own API says `serviceTier`, Vertex says `trafficType`.
fn tier_from(usage: &Value) -> Option<&'static str> {
    let word = ["serviceTier", "service_tier", "trafficType", "traffic_type"]
        .into_iter()
        .find_map(|key| usage.get(key).and_then(Value::as_str))?;
    match word.to_ascii_lowercase().trim_start_matches("service_tier_").trim_start_matches("on_demand_") {
        "priority" => Some("priority"),
        "flex" => Some("flex"),
        "standard" | "on_demand" => Some("default"),
        _ => None,
    }
}

/// Whether usage counts anything: a stream's early chunks may only name the kind of traffic.
pub(in crate::dialect::gemini) fn counts_anything(usage: &Usage) -> bool {
    usage.input.is_some() || usage.output.is_some()
}

/// Google's word for a tier, if it has one.
pub(in crate::dialect::gemini) fn tier_to(word: &str) -> Option<&'static str> {
    match word {
        "default" | "auto" | "standard" => Some("standard"),
        "flex" => Some("flex"),
        "priority" => Some("priority"),
        _ => None,
    }
}

/// Writes `usageMetadata`: thoughts stand beside the rest of the output. `tier` is the one that served; it goes without saying if
/// it is the usual one, because Google's own SDK does not know the field in whole answers yet.
pub(in crate::dialect::gemini) fn usage_to(usage: &Usage, tier: Option<&str>) -> Value {
    if let Some(own) = usage.original.as_ref().and_then(|original| original.for_dialect(DIALECT)) {
        return own.clone();
    }
    let mut object = Object::new().with("promptTokenCount", usage.input.unwrap_or(0));
    object.put_some("cachedContentTokenCount", usage.cache_read.filter(|count| *count > 0));
    let thoughts = usage.reasoning.filter(|count| *count > 0);
    let shown = usage.output.unwrap_or(0).saturating_sub(thoughts.unwrap_or(0));
    object.put("candidatesTokenCount", shown);
    object.put_some("thoughtsTokenCount", thoughts);
    object.put("totalTokenCount", usage.total());
    let input = [("AUDIO", usage.audio_input), ("IMAGE", usage.image_input)];
    put_modalities(&mut object, "promptTokensDetails", usage.input.unwrap_or(0), input);
    let output = [("AUDIO", usage.audio_output), ("IMAGE", usage.image_output)];
    put_modalities(&mut object, "candidatesTokensDetails", shown, output);
    object.put_some("serviceTier", tier.and_then(tier_to).filter(|tier| *tier != "standard"));
    object.into()
}

fn put_modalities(object: &mut Object, key: &str, total: u64, said: [(&str, Option<u64>); 2]) {
    let others: Vec<(&str, u64)> =
        said.into_iter().filter_map(|(name, count)| Some((name, count.filter(|count| *count > 0)?))).collect();
    if others.is_empty() {
        return;
    }
    let text = total.saturating_sub(others.iter().map(|(_, count)| count).sum());
    let all = [("TEXT", text)].into_iter().chain(others);
    let details: Vec<Value> = all.map(|(modality, count)| json!({"modality": modality, "tokenCount": count})).collect();
    object.put(key, details);
}

/// Reads `logprobsResult`; `None` if it has another form.
pub(in crate::dialect::gemini) fn logprobs_from(value: &Value) -> Option<Vec<Logprob>> {
    let chosen = value.get("chosenCandidates")?.as_array()?;
    let top = value.get("topCandidates").and_then(Value::as_array);
    let read = |entry: &Value| {
        Some(Logprob {
            token: entry.get("token")?.as_str()?.to_owned(),
            logprob: entry.get("logProbability")?.as_number()?.clone(),
            bytes: None,
            top: Vec::new(),
            carry: Carry::NONE,
        })
    };
    let at = |place: usize| {
        let candidates = top?.get(place)?.get("candidates")?.as_array()?;
        candidates.iter().map(read).collect::<Option<Vec<_>>>()
    };
    let entry = |(place, entry): (usize, &Value)| {
        let mut entry = read(entry)?;
        entry.top = at(place).unwrap_or_default();
        Some(entry)
    };
    chosen.iter().enumerate().map(entry).collect()
}

/// Writes `logprobsResult`.
pub(in crate::dialect::gemini) fn logprobs_to<'l>(entries: impl Iterator<Item = &'l Logprob> + Clone) -> Value {
    let write = |entry: &Logprob| json!({"token": entry.token, "logProbability": entry.logprob});
    let chosen: Vec<Value> = entries.clone().map(write).collect();
    let top = |entry: &Logprob| json!({"candidates": entry.top.iter().map(write).collect::<Vec<_>>()});
    let mut object = Object::new().with("chosenCandidates", chosen);
    if entries.clone().any(|entry| !entry.top.is_empty()) {
        object.put("topCandidates", entries.map(top).collect::<Vec<_>>());
    }
    object.into()
}

/// How many searches Google made for an answer.
pub(in crate::dialect::gemini) fn searches(grounding: &Value) -> Option<u64> {
    let queries = grounding.get("webSearchQueries")?.as_array()?;
    u64::try_from(queries.len()).ok().filter(|count| *count > 0)
}
