//! How spending limits are kept.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::value::{self, Wrong};
use crate::ids::TeamId;

/// `[limits]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// How often what was spent is sent to Redis.
    #[serde(deserialize_with = "value::positive")]
    pub flush_every: Duration,
    /// How long a call waits, near a limit, for one that is under way to settle.
    #[serde(deserialize_with = "value::duration")]
    pub wait: Duration,
    /// The share of a limit at which a warning is given.
    #[serde(deserialize_with = "value::share")]
    pub warn_at: f64,
    /// Factors for the limits per user, key and team, by the team's number.
    pub team_multipliers: BTreeMap<String, f64>,
}

impl Limits {
    /// What a team's limits are multiplied with.
    pub fn multiplier(&self, team: TeamId) -> f64 {
        if self.team_multipliers.is_empty() {
            return 1.0;
        }
        self.team_multipliers.get(&team.0.to_string()).copied().unwrap_or(1.0)
    }

    pub(super) fn check(&self) -> Result<(), Wrong> {
        for (team, factor) in &self.team_multipliers {
            let path = format!("limits.team_multipliers.{team}");
            if team.parse::<i32>().is_err() {
                return Err(Wrong::new(path, "expected the number of a team"));
            }
            if !(factor.is_finite() && *factor >= 0.001 && *factor <= 1000.0) {
                return Err(Wrong::new(path, "expected a factor from 0.001 to 1000"));
            }
        }
        Ok(())
    }
}
