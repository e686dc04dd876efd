//! How long a provider may take.

use std::time::Duration;

use serde::Deserialize;

/// `[timeouts]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// To connect, TLS included.
    #[serde(with = "humantime_serde")]
    pub connect: Duration,
    /// From the request's end to the first byte of the answer's head.
    #[serde(with = "humantime_serde")]
    pub first_byte: Duration,
    /// Between two pieces of an answer.
    #[serde(with = "humantime_serde")]
    pub idle: Duration,
    /// For a whole answer, from the request's beginning. Streams have none.
    #[serde(with = "humantime_serde")]
    pub total: Duration,
}
