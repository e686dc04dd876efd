//! A composed answer as a GenerateContentResponse, whole and as the pieces of a stream.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::rules::SIGNATURE;
use super::version;
use crate::sandbox::compose::{Ask, Composed, Finish, Input, pieces, tokens};
use crate::sandbox::seal;
use crate::sandbox::world::Call;

/// An answer with what both of its forms need.
pub(super) struct Said<'a> {
    model: &'a str,
    ask: &'a Ask,
    answer: &'a Composed,
    shows_thoughts: bool,
    candidates: usize,
    response_id: String,
    call_ids: Vec<String>,
}

impl<'a> Said<'a> {
    pub(super) fn new(
        model: &'a str,
        request: &Value,
        ask: &'a Ask,
        answer: &'a Composed,
        call: &mut Call<'_>,
    ) -> Self {
        let count = request.pointer("/generationConfig/candidateCount").and_then(Value::as_u64).unwrap_or(1);
        Self {
            model,
            ask,
            answer,
            shows_thoughts: request.pointer("/generationConfig/thinkingConfig/includeThoughts")
                == Some(&Value::Bool(true)),
            candidates: usize::try_from(count).unwrap_or(1),
            response_id: call.ids.alphanumeric("", 22),
            call_ids: answer.calls.iter().map(|_| call.ids.alphanumeric("", 8).to_lowercase()).collect(),
        }
    }

    /// The whole answer.
    pub(super) fn whole(&self) -> Value {
        if self.answer.finish == Finish::Blocked {
            return self.blocked();
        }
        let mut parts = self.thoughts();
        parts.extend(self.texts(|text| vec![text.to_owned()]));
        parts.extend(self.calls());
        let candidates: Vec<_> = (0..self.candidates).map(|index| self.candidate(index, parts.clone(), true)).collect();
        self.response(candidates.into(), self.answer.usage.output)
    }

    /// The stream's pieces: thoughts, text, calls, the last with the finish reason.
    pub(super) fn chunks(&self) -> Vec<Value> {
        if self.answer.finish == Finish::Blocked {
            return vec![self.blocked()];
        }
        let mut parts = self.thoughts();
        parts.extend(self.texts(pieces));
        // A signature that belongs to text comes in a part of its own at the end, as Gemini streams it.
        if let Some(signature) = self.text_signature() {
            parts.push(json!({"text": "", "thoughtSignature": signature}));
            strip_signatures(&mut parts);
        }
        parts.extend(self.calls());
        if parts.is_empty() {
            parts.push(json!({"text": ""}));
        }
        let count = parts.len();
        let mut sent = 0;
        let mut chunks = Vec::new();
        for (number, part) in parts.into_iter().enumerate() {
            let last = number + 1 == count;
            if part.get("thought").is_none() {
                sent += part.get("text").and_then(Value::as_str).map_or(0, tokens);
            }
            let output = if last { self.answer.usage.output } else { sent.min(self.answer.usage.output) };
            let candidates: Vec<_> =
                (0..self.candidates).map(|index| self.candidate(index, vec![part.clone()], last)).collect();
            chunks.push(self.response(candidates.into(), output));
        }
        chunks
    }

    fn thoughts(&self) -> Vec<Value> {
        let shown = self.answer.reasoning.as_ref().filter(|_| self.shows_thoughts);
        shown.map(|reasoning| json!({"text": reasoning, "thought": true})).into_iter().collect()
    }

    fn texts(&self, split: impl Fn(&str) -> Vec<String>) -> Vec<Value> {
        if self.answer.text.is_empty() {
            return Vec::new();
        }
        let mut parts: Vec<_> = split(&self.answer.text).into_iter().map(|piece| json!({"text": piece})).collect();
        if let (Some(signature), Some(last)) = (self.text_signature(), parts.last_mut().and_then(Value::as_object_mut))
        {
            last.insert("thoughtSignature".to_owned(), signature.into());
        }
        parts
    }

    /// Since Gemini 3, the answer's text is signed when there was thinking.
    fn text_signature(&self) -> Option<String> {
        let signs = self.answer.calls.is_empty() && !self.answer.text.is_empty() && version(self.model) >= (3, 0);
        self.answer.reasoning.as_ref().filter(|_| signs).map(|reasoning| seal::seal(SIGNATURE, reasoning.as_bytes()))
    }

    fn calls(&self) -> Vec<Value> {
        let calls = self.answer.calls.iter().zip(&self.call_ids).enumerate();
        calls
            .map(|(index, (called, id))| {
                let args = match &called.input {
                    Input::Json(value) => value.clone(),
                    Input::Text(text) => json!({"input": text}),
                };
                let mut call = json!({"name": called.name, "args": args});
                if version(self.model) >= (3, 0)
                    && let Some(call) = call.as_object_mut()
                {
                    call.insert("id".to_owned(), id.clone().into());
                }
                let mut part = json!({"functionCall": call});
                // Of parallel calls the first is signed.
                if let (0, Some(reasoning), Some(part)) = (index, &self.answer.reasoning, part.as_object_mut()) {
                    part.insert("thoughtSignature".to_owned(), seal::seal(SIGNATURE, reasoning.as_bytes()).into());
                }
                part
            })
            .collect()
    }

    fn candidate(&self, index: usize, parts: Vec<Value>, last: bool) -> Value {
        let mut candidate = Map::new();
        let stopped_early = self.answer.finish == Finish::Safety;
        if !parts.is_empty() {
            candidate.insert("content".to_owned(), json!({"parts": parts, "role": "model"}));
        } else if !stopped_early {
            candidate.insert("content".to_owned(), json!({"role": "model"}));
        }
        if last {
            candidate.insert("finishReason".to_owned(), finish_reason(&self.answer.finish).into());
            if stopped_early {
                let rating =
                    json!({"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": true});
                candidate.insert("safetyRatings".to_owned(), json!([rating]));
            }
        }
        candidate.insert("index".to_owned(), index.into());
        Value::Object(candidate)
    }

    fn blocked(&self) -> Value {
        let rating = json!({"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH"});
        let input = self.answer.usage.input;
        json!({
            "promptFeedback": {"blockReason": "SAFETY", "safetyRatings": [rating]},
            "usageMetadata": {
                "promptTokenCount": input,
                "totalTokenCount": input,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": input}],
            },
            "modelVersion": self.model,
            "responseId": self.response_id,
        })
    }

    fn response(&self, candidates: Value, output: u64) -> Value {
        json!({
            "candidates": candidates,
            "usageMetadata": self.usage(output),
            "modelVersion": self.model,
            "responseId": self.response_id,
        })
    }

    fn usage(&self, output: u64) -> Value {
        let usage = self.answer.usage;
        let output = output * u64::try_from(self.candidates).unwrap_or(1);
        let mut metadata = json!({
            "promptTokenCount": usage.input,
            "candidatesTokenCount": output,
            "totalTokenCount": usage.input + output + usage.reasoning,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": usage.input}],
        });
        if let Some(metadata) = metadata.as_object_mut() {
            if usage.cached > 0 {
                metadata.insert("cachedContentTokenCount".to_owned(), usage.cached.into());
                metadata
                    .insert("cacheTokensDetails".to_owned(), json!([{"modality": "TEXT", "tokenCount": usage.cached}]));
            }
            if self.ask.reasons {
                metadata.insert("thoughtsTokenCount".to_owned(), usage.reasoning.into());
            }
        }
        metadata
    }
}

fn strip_signatures(parts: &mut [Value]) {
    let Some((_, before)) = parts.split_last_mut() else { return };
    for part in before.iter_mut().filter_map(Value::as_object_mut) {
        part.remove("thoughtSignature");
    }
}

fn finish_reason(finish: &Finish) -> &str {
    match finish {
        Finish::Stop | Finish::StopSequence(_) | Finish::Calls => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::Refusal | Finish::Safety | Finish::Blocked => "SAFETY",
        Finish::Forced(reason) => reason,
    }
}

/// One event; Google ends its lines with CRLF.
pub(super) fn sse(chunk: &Value) -> Bytes {
    format!("data: {chunk}\r\n\r\n").into()
}

/// The stream as a JSON array that comes in pieces.
pub(super) fn array(chunks: &[Value]) -> Vec<Bytes> {
    let mut frames: Vec<Bytes> = chunks.iter().enumerate().map(|(index, chunk)| array_item(index, chunk)).collect();
    frames.push(Bytes::from_static(b"]"));
    frames
}

fn array_item(index: usize, chunk: &Value) -> Bytes {
    let before = if index == 0 { "[" } else { ",\r\n" };
    format!("{before}{chunk}").into()
}

/// The last item with the array's end.
pub(super) fn array_end(index: usize, chunk: &Value) -> Bytes {
    [array_item(index, chunk), Bytes::from_static(b"]")].concat().into()
}

/// How a stream says that it failed.
pub(super) fn broken() -> Value {
    json!({"error": {"code": 503, "message": "The model is overloaded. Please try again later.", "status": "UNAVAILABLE"}})
}
