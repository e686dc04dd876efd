//! How long look-ups are believed.

use std::time::Duration;

use serde::Deserialize;

use super::value;

/// `[auth]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// How long a personal API key is believed without asking again.
    #[serde(deserialize_with = "value::positive")]
    pub api_key_ttl: Duration,
    /// The same where revocations cannot be listened for.
    #[serde(deserialize_with = "value::positive")]
    pub api_key_ttl_without_listen: Duration,
    /// How long an OAuth token is believed; never past its `expires`.
    #[serde(deserialize_with = "value::positive")]
    pub oauth_ttl: Duration,
    /// How long a refusal is remembered.
    #[serde(deserialize_with = "value::positive")]
    pub refusal_ttl: Duration,
    /// How long tokens that were checked before stay good while the database is gone.
    #[serde(deserialize_with = "value::duration")]
    pub grace: Duration,
    /// The most tokens remembered.
    #[serde(deserialize_with = "value::at_least_one")]
    pub cache_capacity: usize,
    /// The most refusals remembered.
    #[serde(deserialize_with = "value::at_least_one")]
    pub refusal_capacity: usize,
    /// The most look-ups under way at one time; further ones are answered 503.
    #[serde(deserialize_with = "value::at_least_one")]
    pub max_lookups: usize,
}
