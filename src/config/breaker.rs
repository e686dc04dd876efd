//! When a provider is left alone.

use std::time::Duration;

use serde::Deserialize;

/// `[breaker]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breaker {
    /// The share of failures that opens it, above 0 and at most 1.
    pub failure_rate: f64,
    /// How many calls must have ended in the window before the share says anything.
    pub minimum_calls: u32,
    /// How far back calls count.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// How many connect failures in a row open it.
    pub connect_failures: u32,
    /// How long a tripped breaker waits before its first probe; doubles each time the probe fails.
    #[serde(with = "humantime_serde")]
    pub open_for: Duration,
    /// What the doubling ends at.
    #[serde(with = "humantime_serde")]
    pub open_for_max: Duration,
    /// How long a probe may stay without an outcome before another is let through.
    #[serde(with = "humantime_serde")]
    pub probe_deadline: Duration,
    /// The longest cool-down that a provider's `retry-after` may ask for.
    #[serde(with = "humantime_serde")]
    pub cool_down_max: Duration,
}
