//! How spending limits are kept.

use std::time::Duration;

use serde::Deserialize;

use super::value;

/// `[limits]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// How often what was spent is sent to Redis.
    #[serde(deserialize_with = "value::positive")]
    pub flush_every: Duration,
}
