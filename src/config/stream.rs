//! What callers of streams are promised.

use std::time::Duration;

use serde::Deserialize;

use super::value;

/// `[stream]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// After how much silence a keepalive goes out, before the first byte too.
    #[serde(deserialize_with = "value::positive")]
    pub keepalive: Duration,
}
