//! The one in-between representation of requests, answers and streams: what any dialect can say, said once.
//!
//! Four laws hold for everything here.
//!
//! 1. **Union, not intersection.** If one vendor can say it, it has a place: signed reasoning with its origin, cache
//!    hints, citations, refusals, every finish reason, several choices.
//! 2. **Opaque carry.** What a dialect's codec does not know is kept in a [`Carry`] (loose fields) or an [`Opaque`]
//!    (whole nodes), with the dialect it came from, and written again when the target is that dialect.
//! 3. **No silent loss.** Encoders return [`Loss`]es beside the value.
//! 4. **Identity.** `encode(decode(x))` is `x` as JSON for each dialect, and a stream [folds](Fold) to what the same
//!    answer would decode to if it had not been streamed.
//!
//! Plain data without I/O: nothing here knows a socket, a clock or another module's types. `docs/translation-design.md`
//! explains how codecs are built on it.

mod carry;
mod content;
mod error;
mod event;
mod finish;
mod fold;
mod loss;
pub mod mark;
mod media;
mod output;
mod reasoning;
mod request;
mod response;
mod seal;
mod sequence;
mod tools;
mod usage;

pub use carry::{Carry, Dialect, Opaque, Origin};
pub use content::{
    CacheHint, CacheTtl, CallKind, Citation, Content, Logprob, Outcome, Part, Place, Reasoning, ReasoningText, Text,
    TextKind, ToolCall, ToolResult, weight,
};
pub use error::{ApiError, ErrorKind};
pub use event::{Delta, Event, PartAt, Start};
pub use finish::{Finish, FinishReason};
pub use fold::{Fold, check_grammar};
pub use loss::{Loss, Losses, Severity};
pub use media::{Media, MediaKind, Source};
pub use output::{Output, OutputFormat};
pub use reasoning::{Budget, Effort, ReasoningAsk, ThinkingMode, Visibility};
pub use request::{LogprobsAsk, Message, Request, Role, Sampling};
pub use response::{Choice, Response};
pub use seal::{Attach, Seal, SealKind, reattach};
pub use sequence::Sequencer;
pub use tools::{AllowedMode, CustomTool, FunctionTool, ProviderTool, Tool, ToolChoice, ToolMode, ToolRef};
pub use usage::Usage;
