//! Why an answer ended: every vendor's reasons, none of them flattened.

use super::{Dialect, Opaque};
use serde_json::Value;

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Finish {
    /// Why.
    pub reason: FinishReason,
    /// The vendor's own word, and whose: encoders of that dialect write it again. `None` when it was inferred.
    pub original: Option<(Dialect, String)>,
    /// The stop sequence that was hit.
    pub stop_sequence: Option<String>,
    /// What more was said: Anthropic's `stop_details`, Gemini's `finishMessage`, Responses' `incomplete_details`.
    pub details: Option<Opaque>,
}

/// The reasons. A codec maps a reason that its dialect lacks to the nearest one that it has, never to a clean `stop`
/// unless the comment says so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FinishReason {
    /// The model was done.
    Stop,
    /// A stop sequence was hit (a kind of `stop` where there is no word of its own).
    StopSequence,
    /// The most tokens asked for were generated.
    MaxTokens,
    /// The context window is full (Anthropic: `model_context_window_exceeded`; elsewhere a kind of length).
    ContextWindow,
    /// Tools are to be called.
    ToolUse,
    /// A provider-run tool wants another turn (Anthropic: `pause_turn`).
    Pause,
    /// The model refused (Anthropic: `refusal`).
    Refusal,
    /// A filter took the answer, or the prompt (`content_filter`, `SAFETY`, a blocked prompt).
    ContentFilter,
    /// It repeated protected text (Gemini: `RECITATION`; elsewhere a content filter).
    Recitation,
    /// Blocked words (Gemini: `BLOCKLIST`; elsewhere a content filter).
    Blocklist,
    /// Prohibited content (Gemini: `PROHIBITED_CONTENT`; elsewhere a content filter).
    ProhibitedContent,
    /// Personal data (Gemini: `SPII`; elsewhere a content filter).
    PersonalData,
    /// The model's language is not supported (Gemini: `LANGUAGE`).
    Language,
    /// An image was filtered or failed (Gemini: `IMAGE_SAFETY`, `IMAGE_OTHER`, ...; the original word tells which).
    Image,
    /// The model wrote a call that cannot be read (Gemini: `MALFORMED_FUNCTION_CALL`, `UNEXPECTED_TOOL_CALL`,
    /// `TOO_MANY_TOOL_CALLS`, `MISSING_THOUGHT_SIGNATURE`). Elsewhere the word for an answer that
    /// was withheld, never a stop.
    MalformedToolCall,
    /// The conversation was compacted (Anthropic: `compaction`).
    Compaction,
    /// Cancelled.
    Cancelled,
    /// Failed.
    Failed,
    /// The vendor said that there is no known reason (Gemini: `OTHER`, `FINISH_REASON_UNSPECIFIED`).
    Unspecified,
    /// A word that is newer than this code.
    Other(String),
}

impl Finish {
    /// A reason, as a dialect said it.
    pub fn said(reason: FinishReason, dialect: Dialect, word: impl Into<String>) -> Self {
        Self { reason, original: Some((dialect, word.into())), stop_sequence: None, details: None }
    }

    /// A reason that follows from the rest.
    pub fn inferred(reason: FinishReason) -> Self {
        Self { reason, original: None, stop_sequence: None, details: None }
    }

    /// The vendor's word, if it is this dialect's.
    pub fn word_for(&self, dialect: Dialect) -> Option<&str> {
        self.original.as_ref().filter(|(whose, _)| *whose == dialect).map(|(_, word)| word.as_str())
    }

    /// What more was said, if it is this dialect's.
    pub fn details_for(&self, dialect: Dialect) -> Option<&Value> {
        self.details.as_ref().and_then(|details| details.for_dialect(dialect))
    }
}
