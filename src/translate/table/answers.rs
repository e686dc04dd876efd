//! What becomes of an answer: its parts, why it ended, what it took.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Fate, Probe, put_over, table, title};
use crate::dialect::testing::values;
use crate::dialect::{Adaptions, Asked, Delivery, Dialect};
use crate::ir::{FinishReason, Loss, Request, Severity};
use crate::translate::Transcoder;
use crate::translate::codecs::{AnyEncoder, decode_response, encode_response};
use crate::translate::pairs::{counts as counts_of, folded, reason as reason_of};

pub(super) fn table_of(provider: Dialect) -> String {
    let rows = probes(provider).into_iter().map(|probe| {
        let others = Dialect::ALL.into_iter().filter(|caller| *caller != provider);
        (probe.label.to_owned(), others.map(|caller| fate(provider, caller, &probe)).collect())
    });
    table(provider, "part of an answer", &rows.collect::<Vec<_>>())
}

/// An answer that says "hello", and one more thing.
fn plain(provider: Dialect) -> Value {
    match provider {
        Dialect::OpenAiChat => json!({"id": "c_1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}]}),
        Dialect::OpenAiResponses => json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "m",
            "status": "completed", "output": [message(json!([{"type": "output_text", "text": "hello", "annotations": []}]))]}),
        Dialect::Anthropic => json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
            "content": [{"type": "text", "text": "hello"}], "stop_reason": "end_turn", "stop_sequence": null}),
        Dialect::Gemini => json!({"responseId": "r_1", "modelVersion": "m",
            "candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP"}]}),
    }
}

fn message(content: Value) -> Value {
    json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content})
}

fn told(provider: Dialect, caller: Dialect, body: &Value) -> (Value, Vec<Loss>) {
    let request = Request { stream_usage: Some(true), ..Request::default() };
    let asked = Asked::by(&request, Delivery::Whole).known_as("1");
    let transcoder = Transcoder::new(caller, provider, asked, Adaptions::default());
    let whole = transcoder.whole(body.to_string().as_bytes()).unwrap_or_else(|fault| panic!("{body}: {fault}"));
    (serde_json::from_slice(&whole.body).unwrap(), whole.losses.iter().cloned().collect())
}

fn fate(provider: Dialect, caller: Dialect, probe: &Probe) -> Fate {
    let mut body = plain(provider);
    put_over(&mut body, &probe.said);
    let (before, _) = told(provider, caller, &plain(provider));
    let (after, losses) = told(provider, caller, &body);
    let arrived = !probe.needle.is_empty() && after.to_string().to_lowercase().contains(&probe.needle.to_lowercase());
    if let (false, Some(_)) = (arrived, losses.iter().find(|loss| loss.severity != Severity::Approximated)) {
        return Fate::Reported;
    }
    if let Some(loss) = losses.first_approximated() {
        return Fate::Approximated(Some(loss.reason.clone()));
    }
    if arrived || (probe.needle.is_empty() && after != before) {
        return Fate::Carried;
    }
    if after != before {
        return Fate::Approximated(None);
    }
    if MEANINGLESS.contains(&probe.label) {
        return Fate::Needless;
    }
    panic!("{} is lost silently from {provider} to {caller}: {after}", probe.label);
}

/// What means nothing outside of its own dialect.
const MEANINGLESS: &[&str] =
    &["`system_fingerprint`", "`context_management`, `container`", "`createTime`, `avgLogprobs`"];

/// The first of some losses that is an approximation.
trait FirstApproximated {
    fn first_approximated(&self) -> Option<&Loss>;
}

impl FirstApproximated for Vec<Loss> {
    fn first_approximated(&self) -> Option<&Loss> {
        self.iter().find(|loss| loss.severity == Severity::Approximated)
    }
}

fn probe(label: &'static str, needle: &'static str, said: Value) -> Probe {
    Probe { label, said, needle }
}

fn probes(provider: Dialect) -> Vec<Probe> {
    match provider {
        Dialect::OpenAiChat => chat(),
        Dialect::OpenAiResponses => responses(),
        Dialect::Anthropic => messages(),
        Dialect::Gemini => generate_content(),
    }
}

fn chat() -> Vec<Probe> {
    let says = |more: Value| {
        let mut message = json!({"role": "assistant", "content": "hello"});
        put_over(&mut message, &more);
        json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    };
    let call = |kind: &str, inner: Value| says(json!({"tool_calls": [{"id": "call_1", "type": kind, kind: inner}]}));
    vec![
        probe("text", "needle", says(json!({"content": "needle"}))),
        probe("`refusal`", "needle", says(json!({"content": null, "refusal": "needle"}))),
        probe(
            "`tool_calls`: functions",
            "needle",
            call("function", json!({"name": "f", "arguments": "{\"needle\":1}"})),
        ),
        probe("`tool_calls`: custom", "needle", call("custom", json!({"name": "f", "input": "needle"}))),
        probe("`reasoning_content`", "needle", says(json!({"reasoning_content": "needle"}))),
        probe(
            "`annotations`",
            "example.com",
            says(
                json!({"annotations": [{"type": "url_citation", "url_citation": {"url": "https://example.com", "title": "t", "start_index": 0, "end_index": 5}}]}),
            ),
        ),
        probe(
            "`logprobs`",
            "-0.731",
            json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop",
            "logprobs": {"content": [{"token": "hello", "logprob": -0.731, "bytes": null, "top_logprobs": []}], "refusal": null}}]}),
        ),
        probe(
            "a second choice",
            "needle",
            json!({"choices": [
            {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"},
            {"index": 1, "message": {"role": "assistant", "content": "needle"}, "finish_reason": "stop"}]}),
        ),
        probe(
            "`audio`",
            "bmVlZGxl",
            says(json!({"audio": {"id": "audio_1", "data": "bmVlZGxl", "transcript": "t", "expires_at": 1}})),
        ),
        probe("`id`", "needle", json!({"id": "needle"})),
        probe("`model`", "needle", json!({"model": "needle"})),
        probe(
            "`service_tier`",
            "flex",
            json!({"service_tier": "flex", "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}),
        ),
        probe("`system_fingerprint`", "needle", json!({"system_fingerprint": "needle"})),
        probe("a field of tomorrow", "needle", json!({"tomorrow": "needle"})),
    ]
}

fn responses() -> Vec<Probe> {
    let says = |item: Value| json!({"output": [item, message(json!([{"type": "output_text", "text": "hello", "annotations": []}]))]});
    let part = |part: Value| json!({"output": [message(json!([part]))]});
    vec![
        probe("text", "needle", part(json!({"type": "output_text", "text": "needle", "annotations": []}))),
        probe("`refusal`", "needle", part(json!({"type": "refusal", "refusal": "needle"}))),
        probe(
            "`function_call`",
            "needle",
            says(
                json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{\"needle\":1}", "status": "completed"}),
            ),
        ),
        probe(
            "`custom_tool_call`",
            "needle",
            says(
                json!({"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1", "name": "f", "input": "needle"}),
            ),
        ),
        probe(
            "`reasoning`: summaries",
            "needle",
            says(json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "needle"}]})),
        ),
        probe(
            "`reasoning`: `encrypted_content`",
            "lgwMark1",
            says(json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"})),
        ),
        probe(
            "annotations",
            "example.com",
            part(
                json!({"type": "output_text", "text": "hello", "annotations": [{"type": "url_citation", "url": "https://example.com", "title": "t", "start_index": 0, "end_index": 5}]}),
            ),
        ),
        probe(
            "`logprobs`",
            "-0.731",
            part(
                json!({"type": "output_text", "text": "hello", "annotations": [], "logprobs": [{"token": "hello", "logprob": -0.731, "bytes": [], "top_logprobs": []}]}),
            ),
        ),
        probe(
            "`image_generation_call`",
            "bmVlZGxl",
            says(json!({"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "bmVlZGxl"})),
        ),
        probe(
            "items of provider-run tools",
            "needle",
            says(
                json!({"type": "web_search_call", "id": "ws_needle", "status": "completed", "action": {"type": "search", "query": "needle"}}),
            ),
        ),
        probe("`id`", "needle", json!({"id": "needle"})),
        probe("`model`", "needle", json!({"model": "needle"})),
        probe(
            "`service_tier`",
            "flex",
            json!({"service_tier": "flex", "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}}),
        ),
        probe(
            "`phase` of a message",
            "commentary",
            json!({"output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "phase": "commentary",
                "content": [{"type": "output_text", "text": "hello", "annotations": []}]}]}),
        ),
        probe("a field of tomorrow", "needle", json!({"tomorrow": "needle"})),
    ]
}

fn messages() -> Vec<Probe> {
    let says = |block: Value| json!({"content": [block, {"type": "text", "text": "hello"}]});
    vec![
        probe("text", "needle", json!({"content": [{"type": "text", "text": "needle"}]})),
        probe(
            "`tool_use`",
            "needle",
            says(json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"needle": 1}})),
        ),
        probe("`thinking`", "needle", says(json!({"type": "thinking", "thinking": "needle", "signature": ""}))),
        probe("its `signature`", "lgwMark1", says(json!({"type": "thinking", "thinking": "t", "signature": "EqQB"}))),
        probe("`redacted_thinking`", "lgwMark1", says(json!({"type": "redacted_thinking", "data": "EmwK"}))),
        probe(
            "`citations`",
            "example.com",
            json!({"content": [{"type": "text", "text": "hello", "citations": [{"type": "web_search_result_location", "url": "https://example.com", "title": "t", "encrypted_index": "e", "cited_text": "c"}]}]}),
        ),
        probe(
            "blocks of provider-run tools",
            "needle",
            says(
                json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "needle"}}),
            ),
        ),
        probe("`stop_sequence`", "needle", json!({"stop_reason": "stop_sequence", "stop_sequence": "needle"})),
        probe("`id`", "needle", json!({"id": "needle"})),
        probe("`model`", "needle", json!({"model": "needle"})),
        probe(
            "`usage.service_tier`",
            "priority",
            json!({"usage": {"input_tokens": 1, "output_tokens": 1, "service_tier": "priority"}}),
        ),
        probe(
            "`context_management`, `container`",
            "needle",
            json!({"context_management": {"applied_edits": [{"type": "needle"}]}, "container": {"id": "needle"}}),
        ),
        probe("a field of tomorrow", "needle", json!({"tomorrow": "needle"})),
    ]
}

fn generate_content() -> Vec<Probe> {
    let candidate = |more: Value| {
        let mut candidate =
            json!({"index": 0, "content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP"});
        put_over(&mut candidate, &more);
        json!({"candidates": [candidate]})
    };
    let says = |part: Value| candidate(json!({"content": {"parts": [part, {"text": "hello"}]}}));
    vec![
        probe("text", "needle", says(json!({"text": "needle"}))),
        probe("`functionCall`", "needle", says(json!({"functionCall": {"name": "f", "args": {"needle": 1}}}))),
        probe("thought parts", "needle", says(json!({"text": "needle", "thought": true}))),
        probe(
            "`thoughtSignature` of a call",
            "lgwMark1",
            says(json!({"functionCall": {"id": "1", "name": "f", "args": {}}, "thoughtSignature": "bmVlZGxl"})),
        ),
        probe(
            "`thoughtSignature` of a text",
            "lgwMark1",
            candidate(json!({"content": {"parts": [{"text": "hello", "thoughtSignature": "bmVlZGxl"}]}})),
        ),
        probe(
            "`groundingMetadata`",
            "example.com",
            candidate(json!({"groundingMetadata": {
            "groundingChunks": [{"web": {"uri": "https://example.com", "title": "t"}}],
            "groundingSupports": [{"segment": {"startIndex": 0, "endIndex": 5, "text": "hello"}, "groundingChunkIndices": [0]}]}})),
        ),
        probe(
            "`logprobsResult`",
            "-0.731",
            candidate(
                json!({"logprobsResult": {"chosenCandidates": [{"token": "hello", "logProbability": -0.731}], "topCandidates": []}}),
            ),
        ),
        probe(
            "a second candidate",
            "needle",
            json!({"candidates": [
            {"index": 0, "content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP"},
            {"index": 1, "content": {"role": "model", "parts": [{"text": "needle"}]}, "finishReason": "STOP"}]}),
        ),
        probe(
            "image, `inlineData`",
            "bmVlZGxl",
            says(json!({"inlineData": {"mimeType": "image/png", "data": "bmVlZGxl"}})),
        ),
        probe(
            "`executableCode`, its result",
            "needle",
            says(json!({"executableCode": {"language": "PYTHON", "code": "needle"}})),
        ),
        probe(
            "`safetyRatings`",
            "HARM",
            candidate(json!({"safetyRatings": [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "LOW"}]})),
        ),
        probe("`responseId`", "needle", json!({"responseId": "needle"})),
        probe("`modelVersion`", "needle", json!({"modelVersion": "needle"})),
        probe(
            "`usageMetadata.serviceTier`",
            "flex",
            json!({"usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2, "serviceTier": "flex"}}),
        ),
        probe(
            "`createTime`, `avgLogprobs`",
            "needle",
            json!({"createTime": "needle", "candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP", "avgLogprobs": -0.1}]}),
        ),
        probe("a field of tomorrow", "needle", json!({"tomorrow": "needle"})),
    ]
}

/// The vendors' words, each as every caller reads it. Streams end with the same: that is held here as well.
pub(super) fn finish_reasons() -> String {
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
    let answer = decode_response(provider, body.clone()).unwrap();
    let request = Request { stream_usage: Some(true), ..Request::default() };
    let asked = Asked::by(&request, Delivery::Events).known_as("1");
    let mut encoder = AnyEncoder::new(provider, &asked).unwrap();
    let mut wire = Vec::new();
    values::events_of(&answer, 3, false).iter().for_each(|event| encoder.push(event, &mut wire));
    encoder.finish(&mut wire);
    let mut stream = Transcoder::new(caller, provider, asked.clone(), Adaptions::default()).stream().unwrap();
    let mut out = Vec::new();
    stream.push(&wire, &mut out);
    stream.finish(&mut out);
    let read = folded(caller, &out);
    let words = reason(caller, &encode_response(caller, &read, &asked).unwrap().body);
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
pub(super) fn usage() -> String {
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
