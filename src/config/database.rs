//! PostgreSQL or SQLite, and Redis.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

/// `[database]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// `postgres://…` (with `sslmode` up to `verify-full`) or `sqlite:PATH`.
    pub url: Option<SecretString>,
    /// The most connections held at one time.
    pub pool_size: u32,
    /// How long a look-up waits for a connection.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long one query may take.
    #[serde(with = "humantime_serde")]
    pub query_timeout: Duration,
}

/// `[redis]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// `redis://…` or `rediss://…`; none: counters live in memory.
    pub url: Option<SecretString>,
}
