//! How long a provider may take.

use std::time::Duration;

use serde::Deserialize;

use super::value;

/// `[timeouts]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// To connect, TLS included.
    #[serde(deserialize_with = "value::positive")]
    pub connect: Duration,
    /// From the request's end to the first byte of the answer's head.
    #[serde(deserialize_with = "value::positive")]
    pub first_byte: Duration,
    /// Between two pieces of an answer.
    #[serde(deserialize_with = "value::positive")]
    pub idle: Duration,
    /// For a whole answer, from the request's beginning. Streams have none.
    #[serde(deserialize_with = "value::positive")]
    pub total: Duration,
}
