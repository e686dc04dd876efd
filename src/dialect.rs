//! The four ways of speaking: who speaks which, and what they have in common.
//!
//! A dialect is how one speaks, a provider is who serves. No dialect's module imports another's.

pub mod adapt;
pub mod address;
pub mod anthropic;
mod codec;
pub mod error;
mod fields;
pub mod gemini;
pub mod keepalive;
mod kept;
mod listing;
mod mend;
mod object;
pub mod openai_chat;
pub mod openai_responses;
pub mod peek;
pub mod position;
pub mod seen;
pub mod splice;
pub mod sse;
mod target;
#[cfg(test)]
pub(crate) mod testing;
pub mod tokens;

pub use crate::ir::Dialect;
pub use codec::{Codec, Encoded, EncodedRequest, RequestHead, StreamDecoder, StreamEncoder};
pub use fields::{Fields, Path};
pub use listing::Listed;
pub use object::Object;
pub use target::{
    Adaptions, Asked, Capabilities, Off, OutputTokensField, ReasoningStyle, Sampler, SchemaStyle, StructuredOutput,
    Target,
};

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
