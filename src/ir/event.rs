//! A streamed answer, event by event.
//!
//! The grammar, which every decoder keeps and every encoder may rely on (`check_grammar` tests it):
//!
//! ```text
//! stream  = Start  { Ping | Opaque | Usage | part-event | Finish }  ( End | Error )
//! part    = PartStart  { Delta | Ping ... }  PartStop
//! ```
//! - Exactly one `Start`, first (`Ping`s may come before it; a stream that fails at once may be a lone `Error`).
//! - Parts of a choice are numbered 0, 1, 2, … in the order in which they start. Several may be open at the same time.
//!   Every part is stopped before its choice's `Finish`, unless the stream ends in an `Error`.
//! - `Usage` is cumulative: a later one replaces an earlier one.
//! - Exactly one `End` or `Error`, last. `End` is only said when the provider ended the stream as its dialect demands.

use super::{ApiError, Carry, Citation, Finish, Logprob, Opaque, Part, Seal, TextKind, Usage};

/// One event of a streamed answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The answer begins.
    Start(Box<Start>),
    /// A part begins. Its content is empty but for what is known at once: a call's id and name, a text's first words.
    /// An opaque part arrives whole.
    PartStart(PartAt, Box<Part>),
    /// More of an open part.
    Delta(PartAt, Delta),
    /// A part is complete; fields of it that were learnt only now.
    PartStop(PartAt, Carry),
    /// A choice is complete; its number, why, and its loose fields.
    Finish(u32, Box<Finish>, Carry),
    /// What it took so far.
    Usage(Box<Usage>),
    /// A sign of life.
    Ping,
    /// An event that only its own dialect understands. Left out elsewhere.
    Opaque(Box<Opaque>),
    /// The provider ended the stream as its dialect demands; loose fields of the answer that were learnt only now.
    End(Carry),
    /// The stream failed. Nothing follows.
    Error(Box<ApiError>),
}

/// Which part: choice and number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartAt {
    /// The choice.
    pub choice: u32,
    /// The part's place in the choice.
    pub part: u32,
}

/// What is known when an answer begins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Start {
    /// The provider's id for it.
    pub id: Option<String>,
    /// The model that answers.
    pub model: Option<String>,
    /// When, in seconds since 1970.
    pub created: Option<u64>,
    /// The input's size, where the provider says it at once (Messages does).
    pub usage: Option<Usage>,
    /// The tier that serves.
    pub service_tier: Option<String>,
    /// Fields that the codec does not know.
    pub carry: Carry,
}

/// More of an open part.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// More text.
    Text(String),
    /// Log probabilities of the text just sent.
    Logprobs(Vec<Logprob>),
    /// Where the text comes from.
    Citation(Box<Citation>),
    /// More of a refusal.
    Refusal(String),
    /// More thoughts: into text number `text` of the part, which begins if it is the next number.
    Reasoning {
        /// Which of the part's texts.
        text: u32,
        /// Retold or not.
        kind: TextKind,
        /// The words.
        delta: String,
    },
    /// The seal of the part. It replaces an earlier one.
    Seal(Box<Seal>),
    /// More of a tool call's arguments or input.
    Arguments(String),
}

impl Event {
    /// About how much memory it takes, in bytes, as far as encoders may have to keep it.
    pub fn size(&self) -> usize {
        const NODE: usize = 128;
        match self {
            Self::PartStart(_, part) => NODE + part.content.size(),
            Self::Delta(_, delta) => delta.size(),
            Self::PartStop(..) | Self::Finish(..) => NODE,
            Self::Start(_) | Self::Usage(_) | Self::Ping | Self::Opaque(_) | Self::End(_) | Self::Error(_) => 0,
        }
    }
}

impl Delta {
    fn size(&self) -> usize {
        match self {
            Self::Text(text) | Self::Refusal(text) | Self::Arguments(text) => text.len(),
            Self::Reasoning { delta, .. } => delta.len(),
            Self::Logprobs(tokens) => tokens.iter().map(Logprob::size).sum(),
            Self::Citation(citation) => citation.size(),
            Self::Seal(seal) => seal.data.len(),
        }
    }
}

impl PartAt {
    /// A part of the first choice.
    pub fn first(part: u32) -> Self {
        Self { choice: 0, part }
    }
}
