//! What an answer says, as PostHog shows it: one message whose content is a list of blocks.
//!
//! The blocks are those of PostHog's own wrappers: `text`, `refusal`, `function` (whose arguments are text with OpenAI and JSON
//! with the others), `thinking`. What only one vendor knows stays as it is.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::google;
use super::input::{copied, each_of, is_string, object, said, told};
use super::json::Json;
use super::redact::{self, Media};
use super::sound::sound;
use crate::analytics::generation::Answer;
use crate::dialect::{Delivery, Dialect};
use crate::ir::{self, Content, Part, Reasoning, Source, ToolCall, mark};
use crate::translate::{Assembled, assemble};

/// Why an answer ended, in the caller's dialect.
pub(super) type StopReason = Option<String>;

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Completion<'a> {
    choices: Vec<Choice<'a>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Choice<'a> {
    #[serde(default)]
    message: Option<Message<'a>>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Message<'a> {
    content: Option<&'a RawValue>,
    refusal: Option<&'a RawValue>,
    reasoning_content: Option<&'a RawValue>,
    tool_calls: Option<Vec<Call<'a>>>,
    audio: Option<Audio<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Call<'a> {
    id: Option<&'a RawValue>,
    function: Option<Function<'a>>,
    custom: Option<Function<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Function<'a> {
    name: Option<&'a RawValue>,
    #[serde(alias = "input")]
    arguments: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Audio<'a> {
    id: Option<&'a RawValue>,
    data: Option<&'a RawValue>,
    transcript: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct ResponsesAnswer<'a> {
    output: Option<Vec<&'a RawValue>>,
    status: Option<String>,
    incomplete_details: Option<IncompleteDetails>,
}

#[derive(Deserialize)]
struct IncompleteDetails {
    #[serde(default)]
    reason: Option<String>,
}

/// An item of Responses, or a block of Messages.
#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Node<'a> {
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    id: Option<&'a RawValue>,
    call_id: Option<&'a RawValue>,
    name: Option<&'a RawValue>,
    arguments: Option<&'a RawValue>,
    input: Option<&'a RawValue>,
    content: Option<&'a RawValue>,
    text: Option<&'a RawValue>,
    refusal: Option<&'a RawValue>,
    thinking: Option<&'a RawValue>,
    signature: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct AnthropicAnswer<'a> {
    content: Option<Vec<&'a RawValue>>,
    stop_reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct GoogleAnswer<'a> {
    candidates: Vec<Candidate<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"), rename_all = "camelCase")]
struct Candidate<'a> {
    content: Option<GoogleContent<'a>>,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct GoogleContent<'a> {
    parts: Vec<&'a RawValue>,
}

/// Writes `$ai_output_choices`. None, and an empty list, for what cannot be read.
pub(super) fn choices(dialect: Dialect, delivery: Delivery, answer: &Answer, json: &mut Json) -> StopReason {
    let before = json.len();
    let written = match answer {
        Answer::Nothing => None,
        Answer::Whole(body) => std::str::from_utf8(body).ok().and_then(|body| whole(dialect, &sound(body), json)),
        Answer::Stream { pieces, .. } => match assemble(dialect, delivery, pieces.iter().map(AsRef::as_ref)) {
            None => None,
            Some(Assembled::Repeated(response)) => responses(&sound(&response), json),
            Some(Assembled::Plain(plain)) => {
                one_message(json, |json| text_block("text", &plain.text, json));
                Some(plain.stop)
            }
            Some(Assembled::Folded(response)) => Some(folded(dialect, &response, json)),
        },
    };
    written.unwrap_or_else(|| {
        json.back_to(before);
        json.open(b'[');
        json.close(b']');
        None
    })
}

/// The outer `Option` is none where the body cannot be read.
fn whole(dialect: Dialect, body: &str, json: &mut Json) -> Option<StopReason> {
    match dialect {
        Dialect::OpenAiChat => completion(body, json),
        Dialect::OpenAiResponses => responses(body, json),
        Dialect::Anthropic => anthropic(body, json),
        Dialect::Gemini => google(body, json),
    }
}

/// Writes the only message, with what `blocks` writes as its content; an empty list where that is nothing.
fn one_message(json: &mut Json, blocks: impl FnOnce(&mut Json)) {
    json.open(b'[');
    let before = json.len();
    assistant(json, blocks);
    if json.bytes().ends_with(b"[]}") {
        json.back_to(before);
    }
    json.close(b']');
}

fn assistant(json: &mut Json, blocks: impl FnOnce(&mut Json)) {
    json.open(b'{');
    json.member("role", "assistant");
    json.key("content");
    json.open(b'[');
    blocks(json);
    json.close(b']');
    json.close(b'}');
}

fn completion(body: &str, json: &mut Json) -> Option<StopReason> {
    let answer: Completion<'_> = object(body)?;
    one_message(json, |json| {
        for message in answer.choices.iter().filter_map(|choice| choice.message.as_ref()) {
            chat_blocks(message, json);
        }
    });
    Some(answer.choices.into_iter().next().and_then(|choice| choice.finish_reason))
}

fn chat_blocks(message: &Message<'_>, json: &mut Json) {
    for (kind, raw) in
        [("thinking", message.reasoning_content), ("text", message.content), ("refusal", message.refusal)]
    {
        if let Some(text) = said(raw).filter(|text| *text != "\"\"") {
            told(kind, kind, text, json);
        }
    }
    for call in message.tool_calls.iter().flatten() {
        if let Some(function) = call.function.as_ref().or(call.custom.as_ref()) {
            function_block(call.id, function.name, function.arguments, json);
        }
    }
    if let Some(audio) = &message.audio {
        let size = said(audio.data).map_or(0, |data| redact::decoded_len(data.trim_matches('"')));
        json.open(b'{');
        json.member("type", "audio");
        json.member("media_type", "audio");
        json.number("size_bytes", size);
        for (name, raw) in [("id", audio.id), ("transcript", audio.transcript)] {
            if let Some(value) = said(raw) {
                json.key(name);
                copied(value, json);
            }
        }
        json.close(b'}');
    }
}

fn function_block(id: Option<&RawValue>, name: Option<&RawValue>, arguments: Option<&RawValue>, json: &mut Json) {
    json.open(b'{');
    json.member("type", "function");
    if let Some(id) = said(id) {
        json.key("id");
        copied(id, json);
    }
    json.key("function");
    json.open(b'{');
    json.key("name");
    copied(name.map_or("null", RawValue::get), json);
    json.key("arguments");
    copied(arguments.map_or("{}", RawValue::get), json);
    json.close(b'}');
    json.close(b'}');
}

fn responses(body: &str, json: &mut Json) -> Option<StopReason> {
    let answer: ResponsesAnswer<'_> = object(body)?;
    one_message(json, |json| {
        for item in answer.output.iter().flatten() {
            let Some(node) = object::<Node<'_>>(item.get()) else { continue };
            match node.kind {
                Some("message") => message_blocks(&node, json),
                Some("function_call") => function_block(node.call_id.or(node.id), node.name, node.arguments, json),
                Some(_) => copied(item.get(), json),
                None => {}
            }
        }
    });
    let cut_by = answer.incomplete_details.and_then(|details| details.reason);
    Some(match answer.status.as_deref() {
        Some("incomplete") => cut_by.or(answer.status),
        Some("completed" | "failed" | "cancelled") => answer.status,
        Some(_) | None => None,
    })
}

fn message_blocks(item: &Node<'_>, json: &mut Json) {
    let Some(content) = said(item.content) else { return };
    if content.starts_with('"') {
        return told("text", "text", content, json);
    }
    each_of(content, |part| {
        let Some(part) = object::<Node<'_>>(part) else { return };
        match (part.kind, said(part.refusal), said(part.text)) {
            (Some("refusal"), Some(refusal), _) => told("refusal", "refusal", refusal, json),
            (_, _, Some(text)) => told("text", "text", text, json),
            (_, _, None) => {}
        }
    });
}

fn anthropic(body: &str, json: &mut Json) -> Option<StopReason> {
    let answer: AnthropicAnswer<'_> = object(body)?;
    one_message(json, |json| {
        for block in answer.content.iter().flatten() {
            let Some(node) = object::<Node<'_>>(block.get()) else { continue };
            match (node.kind, node.text.filter(|text| is_string(text))) {
                (Some("text"), Some(text)) => told("text", "text", text.get(), json),
                (Some("tool_use"), _) => function_block(node.id, node.name, node.input, json),
                (Some("thinking"), _) => thinking_block(
                    node.thinking.map_or("\"\"", RawValue::get),
                    node.signature.map_or("null", RawValue::get),
                    json,
                ),
                (Some(_), _) => copied(block.get(), json),
                (None, _) => {}
            }
        }
    });
    Some(answer.stop_reason)
}

fn thinking_block(thinking: &str, signature: &str, json: &mut Json) {
    json.open(b'{');
    json.member("type", "thinking");
    json.key("thinking");
    copied(thinking, json);
    json.key("signature");
    copied(signature, json);
    json.close(b'}');
}

/// Google's candidates are messages of their own.
fn google(body: &str, json: &mut Json) -> Option<StopReason> {
    let answer: GoogleAnswer<'_> = object(body)?;
    json.open(b'[');
    for content in answer.candidates.iter().filter_map(|candidate| candidate.content.as_ref()) {
        if !content.parts.is_empty() {
            assistant(json, |json| content.parts.iter().for_each(|part| google::block(part.get(), json)));
        }
    }
    json.close(b']');
    Some(answer.candidates.into_iter().next().and_then(|candidate| candidate.finish_reason))
}

/// An answer that came in pieces.
fn folded(dialect: Dialect, response: &ir::Response, json: &mut Json) -> StopReason {
    one_message(json, |json| {
        for part in response.choices.iter().flat_map(|choice| &choice.parts) {
            part_block(dialect, part, json);
        }
    });
    let finish = response.choices.first().and_then(|choice| choice.finish.as_ref())?;
    let (_, word) = finish.original.as_ref().filter(|(whose, _)| *whose == dialect)?;
    Some(word.clone())
}

fn part_block(dialect: Dialect, part: &Part, json: &mut Json) {
    match &part.content {
        Content::Text(text) => text_block("text", &text.text, json),
        Content::Refusal(text) => text_block("refusal", text, json),
        Content::ToolCall(call) => call_block(dialect, call, json),
        Content::Reasoning(reasoning) => reasoning_block(dialect, reasoning, part, json),
        Content::Media(media) => media_block(media, json),
        Content::Opaque(opaque) => copied(&opaque.value.to_string(), json),
        // The model gives no results of the caller's tools.
        Content::ToolResult(_) => {}
    }
}

fn text_block(kind: &str, text: &str, json: &mut Json) {
    json.open(b'{');
    json.member("type", kind);
    json.key(kind);
    said_text(text, json);
    json.close(b'}');
}

fn said_text(text: &str, json: &mut Json) {
    json.separate();
    redact::copy_text(text, json.bytes());
}

fn call_block(dialect: Dialect, call: &ToolCall, json: &mut Json) {
    json.open(b'{');
    json.member("type", "function");
    if !(dialect == Dialect::Gemini && mark::is_minted(&call.id)) {
        json.member("id", &call.id);
    }
    json.key("function");
    json.open(b'{');
    json.member("name", &call.name);
    json.key("arguments");
    match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses => said_text(&call.arguments, json),
        Dialect::Anthropic | Dialect::Gemini => {
            let before = json.len();
            let arguments = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
            if redact::copy(arguments, json.bytes()).is_err() {
                // Models write broken JSON now and then.
                json.back_to(before);
                said_text(&call.arguments, json);
            }
        }
    }
    json.close(b'}');
    json.close(b'}');
}

fn reasoning_block(dialect: Dialect, reasoning: &Reasoning, part: &Part, json: &mut Json) {
    let seal = part.seal.as_ref().map(|seal| seal.data.as_str());
    if dialect == Dialect::OpenAiResponses {
        json.open(b'{');
        json.member("type", "reasoning");
        if let Some(id) = &reasoning.id {
            json.member("id", id);
        }
        json.key("summary");
        json.open(b'[');
        for text in &reasoning.texts {
            json.open(b'{');
            json.member("type", "summary_text");
            json.key("text");
            said_text(&text.text, json);
            json.close(b'}');
        }
        json.close(b']');
        json.close(b'}');
        return;
    }
    if reasoning.texts.is_empty() && dialect == Dialect::Anthropic {
        json.open(b'{');
        json.member("type", "redacted_thinking");
        json.number("data", seal);
        json.close(b'}');
        return;
    }
    json.open(b'{');
    json.member("type", "thinking");
    json.key("thinking");
    said_text(&reasoning.joined(), json);
    if dialect == Dialect::Anthropic {
        json.number("signature", seal);
    }
    json.close(b'}');
}

fn media_block(media: &ir::Media, json: &mut Json) {
    json.separate();
    match &media.source {
        Source::Base64 { mime, data } => {
            let media = Media { mime: redact::mime_of(mime), size: redact::decoded_len(data) };
            redact::placeholder(&media, None, json.bytes());
        }
        Source::Url { url, .. } => {
            json.bytes().extend_from_slice(b"{\"type\":\"image\",\"image\":");
            redact::copy_text(url, json.bytes());
            json.close(b'}');
        }
        Source::FileId { id, .. } => {
            json.bytes().extend_from_slice(b"{\"type\":\"file\",\"file_id\":");
            redact::copy_text(id, json.bytes());
            json.close(b'}');
        }
        Source::Text { text } => {
            json.bytes().extend_from_slice(b"{\"type\":\"text\",\"text\":");
            redact::copy_text(text, json.bytes());
            json.close(b'}');
        }
    }
}
