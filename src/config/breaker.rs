//! When a provider is left alone.

use std::time::Duration;

use serde::Deserialize;

use super::value::{self, Wrong};

/// `[breaker]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breaker {
    /// The share of failures that opens it, above 0 and at most 1.
    #[serde(deserialize_with = "value::share")]
    pub failure_rate: f64,
    /// How many calls must have ended in the window before the share says anything.
    #[serde(deserialize_with = "value::at_least_one")]
    pub minimum_calls: u32,
    /// How far back calls count.
    #[serde(deserialize_with = "value::positive")]
    pub window: Duration,
    /// How many connect failures in a row open it.
    #[serde(deserialize_with = "value::at_least_one")]
    pub connect_failures: u32,
    /// How long a tripped breaker waits before its first probe; doubles each time the probe fails.
    #[serde(deserialize_with = "value::positive")]
    pub open_for: Duration,
    /// What the doubling ends at.
    #[serde(deserialize_with = "value::positive")]
    pub open_for_max: Duration,
    /// How long a probe may stay without an outcome before another is let through.
    #[serde(deserialize_with = "value::positive")]
    pub probe_deadline: Duration,
    /// The longest cool-down that a provider's `retry-after` may ask for.
    #[serde(deserialize_with = "value::positive")]
    pub cool_down_max: Duration,
}

impl Breaker {
    pub(super) fn check(&self) -> Result<(), Wrong> {
        if self.open_for > self.open_for_max {
            return Err(Wrong::clash("breaker.open_for", "it is longer than", "breaker.open_for_max"));
        }
        Ok(())
    }
}
