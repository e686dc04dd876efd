//! How long look-ups are believed.

use std::time::Duration;

use serde::Deserialize;

/// `[auth]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// How long a personal API key is believed without asking again.
    #[serde(with = "humantime_serde")]
    pub api_key_ttl: Duration,
    /// The same where revocations cannot be listened for.
    #[serde(with = "humantime_serde")]
    pub api_key_ttl_without_listen: Duration,
    /// How long an OAuth token is believed; never past its `expires`.
    #[serde(with = "humantime_serde")]
    pub oauth_ttl: Duration,
    /// How long a refusal is remembered.
    #[serde(with = "humantime_serde")]
    pub refusal_ttl: Duration,
    /// How long tokens that were checked before stay good while the database is gone.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
    /// The most tokens remembered.
    pub cache_capacity: usize,
    /// The most refusals remembered.
    pub refusal_capacity: usize,
    /// The most look-ups under way at one time; further ones are answered 503.
    pub max_lookups: usize,
}
