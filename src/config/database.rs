//! PostgreSQL or SQLite, and Redis.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::value::{self, Wrong};

/// `[database]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// `postgres://…` (with `sslmode` up to `verify-full`) or `sqlite:PATH`.
    #[serde(default, deserialize_with = "value::database_url")]
    pub url: Option<SecretString>,
    /// The most connections held at one time.
    #[serde(deserialize_with = "value::at_least_one")]
    pub pool_size: u32,
    /// How long a look-up waits for a connection.
    #[serde(deserialize_with = "value::positive")]
    pub connect_timeout: Duration,
    /// How long one query may take.
    #[serde(deserialize_with = "value::positive")]
    pub query_timeout: Duration,
}

/// `[redis]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// `redis://…` or `rediss://…`; none: counters live in memory.
    #[serde(default, deserialize_with = "value::redis_url")]
    pub url: Option<SecretString>,
    /// Whether the URL names a node of a Redis Cluster.
    pub cluster: bool,
    /// A file of PEM certificates: the authorities that may vouch for a `rediss://` server, instead of the public ones.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

impl Redis {
    /// What no single key can tell.
    pub(super) fn check(&self) -> Result<(), Wrong> {
        let is_secret = self.url.as_ref().is_some_and(|url| url.expose_secret().starts_with("rediss:"));
        if self.ca_file.is_some() && !is_secret {
            return Err(Wrong::new(
                "redis.ca_file",
                "expected redis.url to begin with rediss://, without which it is not used",
            ));
        }
        Ok(())
    }
}
