//! Any caller's dialect over any provider's: what lies between them.
//!
//! [`plan`] says whether anything does. If so, the request is [decoded](decode) once, [encoded](encode) for each provider that
//! is tried, and a [`Transcoder`] turns the answer, whole or streamed, into what the caller understands. Bytes in, bytes
//! out, no I/O. Where nothing lies between, a [`tap`] watches the bytes go by.

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]
mod answers;
mod assemble;
mod called;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic")]
mod chat_and_gemini;
mod codecs;
pub mod count;
mod errors;
#[cfg(test)]
mod forms;
#[cfg(test)]
mod found;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod golden;
#[cfg(test)]
mod growth;
#[cfg(test)]
mod pairs;
pub mod plan;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic")]
mod properties;
mod restore;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod silence;
#[cfg(test)]
mod table;
#[cfg(test)]
mod taken;
pub mod tap;
// Its data is the catalog's, which is not fuzzed.
#[cfg(not(fuzzing))]
mod traits;
mod transcoder;
#[cfg(test)]
mod twins;
mod unsaid;

pub use assemble::{Assembled, Plain, assemble};
pub use codecs::{decode, encode};
pub use errors::{decode_error, encode_error};
pub use plan::{Plan, plan};
#[cfg(not(fuzzing))]
pub use traits::{Traits, TraitsError};
pub use transcoder::{Told, TranscodedStream, Transcoder, Whole};

use crate::dialect::Adaptions;
use crate::fault::{Fault, FaultKind};
use crate::ir::{Loss, Losses, Severity};

/// What to do with a loss that does not change the meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// Say it in `x-llm-gateway-ignored`.
    #[default]
    Report,
    /// Refuse the request: `x-llm-gateway-strict: true`.
    Refuse,
}

/// A request as it goes to a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    /// The body.
    pub body: Vec<u8>,
    /// What was left out or said otherwise; [`Losses::header`] is for the caller.
    pub losses: Losses,
    /// What the answer has to undo: for [`Transcoder::new`].
    pub adaptions: Adaptions,
}

/// Refuses losses that change the meaning, and all others if the caller is strict.
fn judge(losses: &Losses, strictness: Strictness) -> Result<(), Fault> {
    let worst = match strictness {
        Strictness::Report => losses.refusal(),
        Strictness::Refuse => losses.refusal().or_else(|| losses.iter().next()),
    };
    worst.map_or(Ok(()), |loss| Err(refusal(loss)))
}

fn refusal(loss: &Loss) -> Fault {
    let message = match loss.severity {
        Severity::Refused => format!("{} {}", loss.field, loss.reason),
        Severity::Ignored | Severity::Approximated => {
            format!("{} {}; without x-llm-gateway-strict it would be adapted", loss.field, loss.reason)
        }
    };
    Fault::new(FaultKind::UnsupportedParameter, message).at(loss.field.clone())
}
