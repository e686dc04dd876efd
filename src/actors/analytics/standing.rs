//! How events stand, for operators.

use std::collections::BTreeMap;

use serde::Serialize;

use super::queue::FileState;

/// How events stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Whether there are any.
    pub is_on: bool,
    /// Between a call's end and the file.
    pub buffer: Load,
    /// In the file. What they hold is compressed.
    pub spool: Load,
    /// Whether that can be used.
    pub spool_state: SpoolState,
    /// In memory, because the file cannot be written. What they hold is compressed.
    pub memory: Load,
    /// How long the oldest has waited to be sent, in milliseconds; none if none waits.
    pub oldest_age_ms: Option<u64>,
    /// Taken in since the start.
    pub recorded: u64,
    /// Taken by PostHog since the start.
    pub sent: u64,
    /// Refused by PostHog since the start, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Given up since the start, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Batches that had to be sent again since the start, by reason.
    pub retries: BTreeMap<&'static str, u64>,
    /// Spans that OpenTelemetry's collector has taken since the start.
    pub spans_sent: u64,
    /// Spans that it has not.
    pub spans_dropped: u64,
}

/// So many, and what they hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Load {
    /// Events.
    pub events: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Whether the file can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SpoolState {
    /// There is to be none.
    None,
    /// It can.
    Good,
    /// It cannot; events wait in memory.
    Troubled,
}

impl From<FileState> for SpoolState {
    fn from(state: FileState) -> Self {
        match state {
            FileState::None => Self::None,
            FileState::Good => Self::Good,
            FileState::Troubled => Self::Troubled,
        }
    }
}
