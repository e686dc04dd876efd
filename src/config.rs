//! Everything that can be set, one typed section a file.
//!
//! Layers, later wins: the embedded `config/default.toml`, the file named by `LLM_GATEWAY_CONFIG`, the environment.
//! Loading refuses an unknown key, a wrong type or an impossible value, and names the key and where it came from.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::ids::{ModelId, ProductName, ProviderName};

pub mod analytics;
pub mod auth;
pub mod breaker;
pub mod database;
pub mod drain;
pub mod limits;
pub mod products;
pub mod providers;
pub mod server;
pub mod stream;
pub mod telemetry;
pub mod timeouts;

/// The loaded and validated settings. Shared behind one swap, so that they can be reloaded.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Listeners, workers, sizes.
    pub server: server::Server,
    /// PostgreSQL or SQLite.
    pub database: database::Database,
    /// Redis, for counters shared between instances.
    pub redis: database::Redis,
    /// How long look-ups are believed.
    pub auth: auth::Auth,
    /// Who serves.
    pub providers: BTreeMap<ProviderName, providers::Provider>,
    /// On whose behalf.
    pub products: BTreeMap<ProductName, products::Product>,
    /// Names that stand for models: `claude-3-5-sonnet = "claude-3-5-sonnet-20241022"`.
    pub aliases: BTreeMap<String, ModelId>,
    /// When a provider is left alone.
    pub breaker: breaker::Breaker,
    /// How long a provider may take.
    pub timeouts: timeouts::Timeouts,
    /// What callers of streams are promised.
    pub stream: stream::Stream,
    /// What SIGTERM does.
    pub drain: drain::Drain,
    /// How spending limits are kept.
    pub limits: limits::Limits,
    /// Events for PostHog.
    pub analytics: analytics::Analytics,
    /// Logs.
    pub telemetry: telemetry::Telemetry,
}

/// The configuration in force. `load()` it once for a request, so that one request sees one configuration.
pub type SharedConfig = Arc<arc_swap::ArcSwap<Config>>;
