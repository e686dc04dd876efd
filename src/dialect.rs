//! The four ways of speaking: who speaks which, and what they have in common.
//!
//! A dialect is how one speaks, a provider is who serves. No dialect's module imports another's.

use std::fmt;

/// How a caller or a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// OpenAI's `POST /v1/chat/completions`.
    OpenAiChat,
    /// OpenAI's `POST /v1/responses`.
    OpenAiResponses,
    /// Anthropic's `POST /v1/messages`.
    Anthropic,
    /// Google's `generateContent` and `streamGenerateContent`.
    Gemini,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::OpenAiChat, Self::OpenAiResponses, Self::Anthropic, Self::Gemini];

    /// The name in metrics, logs and fixtures.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai_chat",
            Self::OpenAiResponses => "openai_responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is asked of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// An answer.
    Generate,
    /// How many tokens a request would be, without an answer.
    CountTokens,
}

/// How the answer is to arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// Complete, as one JSON document.
    Whole,
    /// Server-sent events.
    Events,
    /// One JSON array whose elements arrive one by one: Google's `streamGenerateContent` without `alt=sse`.
    JsonArray,
}

impl Delivery {
    /// Whether the answer arrives in pieces.
    pub fn is_stream(self) -> bool {
        match self {
            Self::Whole => false,
            Self::Events | Self::JsonArray => true,
        }
    }
}
