//! On whose behalf calls are made, and by what rules.

use std::time::Duration;

use serde::Deserialize;

use crate::money::NanoUsd;

/// `[products.<name>]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// Whether personal API keys are taken.
    pub api_keys: bool,
    /// Ids of OAuth applications; `*`: any; empty: none.
    pub oauth_applications: Vec<String>,
    /// Allowed prefixes of model ids; `*`: all.
    pub models: Vec<String>,
    /// How much of a call goes into its event.
    pub capture: Capture,
    /// Whether another provider may serve when the first cannot.
    pub fallback: bool,
    /// Whether ids of things that the provider keeps are let through.
    pub stateful: bool,
    /// What happens upstream when the caller hangs up.
    #[serde(default)]
    pub on_hang_up: OnHangUp,
    /// Spending limits.
    pub limits: Vec<Limit>,
}

/// How much of a call goes into its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Capture {
    /// Input and output.
    Full,
    /// Numbers only.
    Metadata,
    /// No event.
    Off,
}

/// What happens upstream when the caller hangs up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnHangUp {
    /// The provider's connection is closed at once.
    #[default]
    Close,
    /// The answer is read to its end, for its usage.
    Drain,
}

/// One spending limit.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Whose spending.
    pub per: Per,
    /// How much, in dollars.
    pub usd: Usd,
    /// In how long.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// Whether calls over it are refused.
    #[serde(default)]
    pub mode: Mode,
}

/// Whose spending a limit holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// Each end user of a team.
    User,
    /// Each credential.
    Key,
    /// Each team.
    Team,
    /// The product as a whole.
    Product,
}

/// Whether calls over a limit are refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// They are.
    #[default]
    Enforce,
    /// They are counted and reported only.
    Shadow,
}

/// Dollars in a file: finite, positive, at most a billion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Usd(pub NanoUsd);

impl TryFrom<f64> for Usd {
    type Error = String;

    fn try_from(usd: f64) -> Result<Self, String> {
        match NanoUsd::from_usd(usd) {
            Some(amount) if amount > NanoUsd::ZERO && usd <= 1e9 => Ok(Self(amount)),
            _ => Err(format!("{usd} is no limit in dollars: give a number above 0 and at most 1000000000")),
        }
    }
}
