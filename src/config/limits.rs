//! How spending limits are kept.

use std::time::Duration;

use serde::Deserialize;

/// `[limits]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// How often what was spent is sent to Redis.
    #[serde(with = "humantime_serde")]
    pub flush_every: Duration,
}
