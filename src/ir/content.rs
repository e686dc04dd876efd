//! What messages and answers are made of.

use super::{Carry, Media, Opaque, Seal, Source};
use serde_json::Value;

/// One piece of a message or an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What it is.
    pub content: Content,
    /// A signature, or the encrypted form, that only its maker can read and that wants to come back. On a
    /// [`Content::Reasoning`] it seals that reasoning; Gemini also seals text and tool calls (`thoughtSignature`).
    pub seal: Option<Seal>,
    /// A hint to cache everything up to here: Anthropic's `cache_control`.
    pub cache: Option<CacheHint>,
    /// Fields of the node that the codec does not know.
    pub carry: Carry,
    /// Where it stood in the list that the caller wrote.
    pub place: Place,
}

/// Where something stood in the list that its caller wrote: for naming it to that caller. It is no part of what is said, so
/// that things are equal wherever they stood.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place(pub u32);

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl From<usize> for Place {
    fn from(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }
}

/// The kinds of parts.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Text for people.
    Text(Text),
    /// The model's refusal in words (`message.refusal` in chat, a `refusal` part in Responses).
    Refusal(String),
    /// An image, sound, film or document.
    Media(Media),
    /// A call of one of the *caller's* tools.
    ToolCall(ToolCall),
    /// What such a call gave.
    ToolResult(ToolResult),
    /// What the model thought.
    Reasoning(Reasoning),
    /// Anything else, provider-run tools and their results among it: understood by its own dialect only.
    Opaque(Opaque),
}

/// Text, with what was said about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Text {
    /// The text.
    pub text: String,
    /// Where it comes from.
    pub citations: Vec<Citation>,
    /// How likely each token was, if that was asked for.
    pub logprobs: Vec<Logprob>,
}

/// Where a stretch of text comes from. Chat and Responses call it an annotation, Gemini groundings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Citation {
    /// The page.
    pub url: Option<String>,
    /// The page's or document's title.
    pub title: Option<String>,
    /// The words of the source.
    pub cited_text: Option<String>,
    /// The stretch of the answer's text, in characters: first, and one past the last.
    pub span: Option<(u64, u64)>,
    /// As its dialect wrote it: written again as it is for that dialect.
    pub original: Option<Opaque>,
}

/// A token, and how likely it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Logprob {
    /// The token's text.
    pub token: String,
    /// The natural logarithm of its probability.
    pub logprob: serde_json::Number,
    /// Its UTF-8 bytes, where the provider says them.
    pub bytes: Option<Vec<u8>>,
    /// The likeliest tokens at this place.
    pub top: Vec<Logprob>,
    /// Fields that the codec does not know.
    pub carry: Carry,
}

/// Function or custom (freeform) tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// Arguments are JSON by a schema.
    Function,
    /// The input is text, free or by a grammar: OpenAI's `custom` tools.
    Custom,
}

/// A call of one of the caller's tools.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// Matches the result. Never empty: where a dialect has none (Gemini), the decoder mints one ([`super::mark`]).
    pub id: String,
    /// The tool.
    pub name: String,
    /// Function: the JSON text of the arguments, exactly as the model wrote it where the dialect shows it as text.
    /// It may be broken, since models write it. Empty means `{}`. Custom: the input itself.
    pub arguments: String,
    /// Which kind of tool.
    pub kind: CallKind,
}

/// What a call gave.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    /// The call's id.
    pub call_id: String,
    /// The tool's name, where the dialect says it (Gemini needs it: encoders look it up by `call_id` otherwise).
    pub name: Option<String>,
    /// Text and media. A structured result (Gemini's `response` object) is one text part of JSON.
    pub parts: Vec<Part>,
    /// Whether the tool failed.
    pub outcome: Outcome,
    /// Which kind of tool.
    pub kind: CallKind,
}

/// Whether a tool did what it was called for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It did, or nothing was said about it.
    #[default]
    Success,
    /// It failed (`is_error`).
    Failure,
}

/// What the model thought. Without any text it stands for redacted or encrypted thoughts: see [`Part::seal`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasoning {
    /// The item's id in Responses (`rs_...`).
    pub id: Option<String>,
    /// The thoughts. One text in Messages, chat and Gemini; Responses has several summary and content parts.
    pub texts: Vec<ReasoningText>,
}

/// One text of thoughts.
#[derive(Clone, Debug, PartialEq)]
pub struct ReasoningText {
    /// Whether it is a summary.
    pub kind: TextKind,
    /// The text.
    pub text: String,
}

/// Whether thoughts are shown as they were or retold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextKind {
    /// As they were, as far as the dialect says.
    Full,
    /// Responses' `summary_text`, and Gemini's thought summaries.
    Summary,
}

/// Anthropic's `cache_control`.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheHint {
    /// How long.
    pub ttl: CacheTtl,
    /// Fields that the codec does not know.
    pub carry: Carry,
}

/// How long a cached prefix is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CacheTtl {
    /// Five minutes: what Anthropic does when nothing is said.
    #[default]
    FiveMinutes,
    /// One hour.
    OneHour,
}

impl Part {
    /// A part with nothing but its content.
    pub fn new(content: Content) -> Self {
        Self { content, seal: None, cache: None, carry: Carry::NONE, place: Place::default() }
    }

    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Content::Text(Text { text: text.into(), ..Text::default() }))
    }

    /// A whole node that only its own dialect understands.
    pub fn opaque(dialect: super::Dialect, value: Value) -> Self {
        Self::new(Content::Opaque(Opaque::new(dialect, value)))
    }

    /// The same part with what its codec does not know.
    #[must_use]
    pub fn carrying(mut self, carry: Carry) -> Self {
        self.carry = carry;
        self
    }

    /// The same part, from this place of a list.
    #[must_use]
    pub fn at(mut self, index: usize) -> Self {
        self.place = index.into();
        self
    }

    /// The same part, sealed.
    #[must_use]
    pub fn sealed(mut self, seal: Option<Seal>) -> Self {
        self.seal = seal;
        self
    }

    /// Takes away what is carried for its own dialect.
    pub fn strip(&mut self) {
        self.carry = Carry::NONE;
        match &mut self.content {
            Content::Text(text) => {
                for citation in &mut text.citations {
                    citation.original = None;
                }
                for logprob in &mut text.logprobs {
                    logprob.carry = Carry::NONE;
                    logprob.top.iter_mut().for_each(|top| top.carry = Carry::NONE);
                }
            }
            Content::ToolResult(result) => result.parts.iter_mut().for_each(Self::strip),
            Content::Refusal(_)
            | Content::Media(_)
            | Content::ToolCall(_)
            | Content::Reasoning(_)
            | Content::Opaque(_) => {}
        }
    }

    /// The text, if it is a text.
    pub fn as_text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(&text.text),
            Content::Refusal(_)
            | Content::Media(_)
            | Content::ToolCall(_)
            | Content::ToolResult(_)
            | Content::Reasoning(_)
            | Content::Opaque(_) => None,
        }
    }
}

impl Content {
    /// What to call it in a sentence to the caller.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Refusal(_) => "a refusal",
            Self::Media(media) => media.kind.describe(),
            Self::ToolCall(_) => "a tool call",
            Self::ToolResult(_) => "a tool result",
            Self::Reasoning(_) => "reasoning",
            Self::Opaque(_) => "content that only its own provider understands",
        }
    }

    /// The result of a tool call, if it is one.
    pub fn as_tool_result(&self) -> Option<&ToolResult> {
        match self {
            Self::ToolResult(result) => Some(result),
            Self::Text(_)
            | Self::Refusal(_)
            | Self::Media(_)
            | Self::ToolCall(_)
            | Self::Reasoning(_)
            | Self::Opaque(_) => None,
        }
    }

    /// The tool call, if it is one.
    pub fn as_tool_call(&self) -> Option<&ToolCall> {
        match self {
            Self::ToolCall(call) => Some(call),
            Self::Text(_)
            | Self::Refusal(_)
            | Self::Media(_)
            | Self::ToolResult(_)
            | Self::Reasoning(_)
            | Self::Opaque(_) => None,
        }
    }
}

impl Content {
    /// About how much memory it takes, in bytes.
    pub fn size(&self) -> usize {
        match self {
            Self::Text(text) => {
                let logprobs: usize = text.logprobs.iter().map(Logprob::size).sum();
                text.text.len() + text.citations.iter().map(Citation::size).sum::<usize>() + logprobs
            }
            Self::Refusal(text) => text.len(),
            Self::Media(media) => match &media.source {
                Source::Base64 { data, .. } => data.len(),
                Source::Url { url, .. } => url.len(),
                Source::FileId { id, .. } => id.len(),
                Source::Text { text } => text.len(),
            },
            Self::ToolCall(call) => call.id.len() + call.name.len() + call.arguments.len(),
            Self::ToolResult(result) => result.parts.iter().map(|part| part.content.size()).sum(),
            Self::Reasoning(reasoning) => reasoning.texts.iter().map(|text| text.text.len()).sum(),
            Self::Opaque(opaque) => weight(&opaque.value),
        }
    }
}

impl Citation {
    /// The same, counted from the beginning of a text with so many characters before it. What stands before has no stretch in
    /// that text: it is where the text begins, and empty.
    #[must_use]
    pub fn after(mut self, before: u64) -> Self {
        self.span = self.span.map(|(start, end)| (start.saturating_sub(before), end.saturating_sub(before)));
        self
    }

    /// About how much memory it takes, in bytes.
    pub fn size(&self) -> usize {
        let texts = [&self.url, &self.title, &self.cited_text];
        let text: usize = texts.into_iter().flatten().map(String::len).sum();
        64 + text + self.original.as_ref().map_or(0, |original| weight(&original.value))
    }
}

impl Logprob {
    /// About how much memory it takes, in bytes.
    pub fn size(&self) -> usize {
        64 + self.token.len() + self.top.iter().map(Self::size).sum::<usize>()
    }
}

/// About how much memory JSON takes, in bytes.
pub fn weight(value: &Value) -> usize {
    const NODE: usize = 16;
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => NODE,
        Value::String(text) => NODE + text.len(),
        Value::Array(values) => NODE + values.iter().map(weight).sum::<usize>(),
        Value::Object(map) => NODE + map.iter().map(|(key, value)| key.len() + weight(value)).sum::<usize>(),
    }
}

impl Reasoning {
    /// One text of thoughts.
    pub fn of(kind: TextKind, text: impl Into<String>) -> Self {
        Self { id: None, texts: vec![ReasoningText { kind, text: text.into() }] }
    }

    /// All texts as one, for dialects that have one place for them.
    pub fn joined(&self) -> String {
        let texts: Vec<&str> = self.texts.iter().map(|text| text.text.as_str()).collect();
        texts.join("\n\n")
    }
}
