//! Streams of nothing but text, which most are: put together without a tree for each event.
//!
//! Whatever says anything else is left to the dialect's own decoder.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::dialect::{Dialect, sse};

/// The text of a stream that has nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plain {
    /// What was said.
    pub text: String,
    /// Why it ended, in the dialect's own word.
    pub stop: Option<String>,
}

/// Puts a stream together; none where it has more than one text.
pub(super) fn plain<'p>(dialect: Dialect, pieces: impl Iterator<Item = &'p [u8]>) -> Option<Plain> {
    let read: fn(&str, &mut Plain) -> Option<()> = match dialect {
        Dialect::OpenAiChat => chat,
        Dialect::Anthropic => anthropic,
        Dialect::OpenAiResponses | Dialect::Gemini => return None,
    };
    let mut plain = Plain::default();
    let mut parser = sse::Parser::new();
    let mut is_plain = true;
    for piece in pieces {
        parser.push(piece, |data| is_plain = is_plain && read(data, &mut plain).is_some()).ok()?;
        if !is_plain {
            return None;
        }
    }
    (!plain.text.is_empty()).then_some(plain)
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Chunk<'a> {
    #[serde(default)]
    choices: Vec<Choice<'a>>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Choice<'a> {
    #[serde(default)]
    index: u32,
    delta: Delta<'a>,
    #[serde(default)]
    finish_reason: Option<String>,
}

/// Anything else that is not null makes it no plain text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
struct Delta<'a> {
    #[serde(default, rename = "role")]
    _role: Option<IgnoredAny>,
    #[serde(default)]
    content: Option<Text<'a>>,
    #[serde(default)]
    refusal: Option<IgnoredAny>,
    #[serde(default)]
    tool_calls: Option<IgnoredAny>,
}

/// A text, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn chat(data: &str, plain: &mut Plain) -> Option<()> {
    if data.trim_start().starts_with("[DONE]") {
        return Some(());
    }
    let chunk: Chunk<'_> = serde_json::from_str(data).ok()?;
    if chunk.error.is_some() {
        return None;
    }
    for choice in chunk.choices {
        if choice.index != 0 || choice.delta.refusal.is_some() || choice.delta.tool_calls.is_some() {
            return None;
        }
        if let Some(Text(text)) = choice.delta.content {
            plain.text.push_str(&text);
        }
        if choice.finish_reason.is_some() {
            plain.stop = choice.finish_reason;
        }
    }
    Some(())
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(default)]
    index: u64,
    #[serde(default)]
    content_block: Option<Block<'a>>,
    #[serde(default)]
    delta: Option<BlockDelta<'a>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Block<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(default)]
    text: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct BlockDelta<'a> {
    #[serde(default, rename = "type")]
    kind: Option<&'a str>,
    #[serde(default)]
    text: Option<Text<'a>>,
    #[serde(default)]
    stop_reason: Option<String>,
}

fn anthropic(data: &str, plain: &mut Plain) -> Option<()> {
    let event: Event<'_> = serde_json::from_str(data).ok()?;
    match event.kind {
        "message_start" | "message_stop" | "content_block_stop" | "ping" => Some(()),
        "content_block_start" => {
            let block = event.content_block.filter(|block| block.kind == "text" && event.index == 0)?;
            plain.text.push_str(&block.text?.0);
            Some(())
        }
        "content_block_delta" => {
            let delta = event.delta.filter(|delta| delta.kind == Some("text_delta") && event.index == 0)?;
            plain.text.push_str(&delta.text?.0);
            Some(())
        }
        "message_delta" => {
            plain.stop = event.delta?.stop_reason.or(plain.stop.take());
            Some(())
        }
        _ => None,
    }
}
