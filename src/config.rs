//! Everything that can be set, one typed section a file.
//!
//! Layers, later wins: the embedded `config/default.toml`, the file named by `LLM_GATEWAY_CONFIG`, the environment.
//! Loading refuses an unknown key, a wrong type or an impossible value, and names the key and where it came from. No
//! value is ever repeated in a refusal: it may be a secret.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;
use serde::Deserialize;

use crate::ids::{ModelId, ProductName, ProviderName};

pub use error::ConfigError;
pub use tree::{Origin, Sources};

pub mod analytics;
pub mod attribution;
pub mod auth;
pub mod breaker;
pub mod catalog;
pub mod database;
pub mod drain;
mod environment;
mod error;
pub mod limits;
pub mod mask;
pub mod prices;
pub mod products;
pub mod providers;
mod read;
pub mod server;
pub mod stream;
pub mod telemetry;
pub mod timeouts;
mod tree;
mod value;

/// The documentation of every key, and the layer below all others.
pub const DEFAULT_TOML: &str = include_str!("../config/default.toml");

/// The variable that names the file of settings.
pub const FILE_VARIABLE: &str = "LLM_GATEWAY_CONFIG";

/// What `DEFAULT_TOML` is called in messages.
const DEFAULT_NAME: &str = "config/default.toml";

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
    /// Models of one's own.
    pub catalog: catalog::Catalog,
    /// Which models answer in a model's place, in order, for products that allow it.
    pub fallbacks: BTreeMap<ModelId, Vec<ModelId>>,
    /// What models cost, where the list is wrong or has nothing.
    pub prices: BTreeMap<ModelId, prices::Price>,
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
    /// Whose events are whose.
    pub attribution: attribution::Attribution,
    /// Logs.
    pub telemetry: telemetry::Telemetry,
}

/// The configuration in force. `load()` it once for a request, so that one request sees one configuration.
pub type SharedConfig = Arc<arc_swap::ArcSwap<Config>>;

/// What the settings are loaded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Production: the database's URL has to be set.
    Serve,
    /// A developer's machine: nothing has to be set, and log lines are for a person.
    Dev {
        /// What `--port` says; wins over every layer.
        port: Option<u16>,
    },
    /// A command that does its work and ends. Ask [`Config::database_url`] where it needs one.
    Tool,
}

/// What loading found.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Names of `LLM_GATEWAY_*` variables that are none of ours, in order: for one line at debug level each.
    pub ignored: Vec<String>,
    /// Where each key that is set was set.
    pub sources: Sources,
}

impl Loaded {
    /// Says which variables were ignored. Called once logging is set up.
    pub fn log_ignored(&self) {
        for name in &self.ignored {
            tracing::debug!(variable.name = %name, "an environment variable is none of the gateway's settings");
        }
    }
}

impl Config {
    /// Loads all layers. `env` is the environment, of which only names that begin with `LLM_GATEWAY_` are looked at.
    ///
    /// # Errors
    /// When a key is unknown, a value has the wrong type or is impossible, the file cannot be read, or, to serve, no
    /// database is named.
    pub fn load(env: impl IntoIterator<Item = (String, String)>, mode: Mode) -> Result<Loaded, ConfigError> {
        let environment = environment::Environment::sort(env);
        let defaults = tree::Node::parse(DEFAULT_TOML, &Arc::from(DEFAULT_NAME))?;
        let mut tree = defaults.clone();
        if let Mode::Dev { .. } = mode {
            tree.set(&["telemetry", "format"], tree::Node::loose("text", Origin::Command("dev")));
        }
        if let Some(path) = environment.file.as_ref().map(PathBuf::from) {
            let text = std::fs::read_to_string(&path).map_err(|error| ConfigError::unreadable(&path, &error))?;
            tree.merge(tree::Node::parse(&text, &Arc::from(path.display().to_string()))?);
        }
        for variable in environment.settings {
            variable.apply(&mut tree);
        }
        if let Mode::Dev { port: Some(port) } = mode {
            tree.set(&["server", "port"], tree::Node::loose(&port.to_string(), Origin::Command("--port")));
        }
        products::fill_in(&mut tree, &defaults);

        let sources = tree.sources();
        let config: Self = read::read(&tree).map_err(ConfigError::from)?;
        config.check().map_err(|wrong| ConfigError::wrong(wrong, &sources))?;
        if mode == Mode::Serve {
            config.server.check_listeners().map_err(|wrong| ConfigError::wrong(wrong, &sources))?;
            config.database_url()?;
        }
        Ok(Loaded { config, ignored: environment.ignored, sources })
    }

    /// The database's URL, for a command that cannot do without.
    ///
    /// # Errors
    /// When it is not set.
    pub fn database_url(&self) -> Result<&SecretString, ConfigError> {
        self.database.url.as_ref().ok_or_else(ConfigError::no_database)
    }

    /// What no single key can tell.
    fn check(&self) -> Result<(), value::Wrong> {
        self.server.check()?;
        self.breaker.check()?;
        self.limits.check()?;
        self.analytics.check()?;
        self.redis.check()?;
        for (name, provider) in &self.providers {
            provider.check(name)?;
        }
        for (name, product) in &self.products {
            product.check(name)?;
        }
        for (alias, model) in &self.aliases {
            let wrong = |problem: &str| Err(value::Wrong::new(format!("aliases.{alias}"), problem));
            if alias.trim().is_empty() || model.as_str().trim().is_empty() {
                return wrong("expected the name of a model on both sides");
            }
            if self.aliases.contains_key(model.as_str()) {
                return wrong("it stands for another alias; name the model itself");
            }
        }
        for (model, price) in &self.prices {
            price.check(model)?;
        }
        for (model, others) in &self.fallbacks {
            let wrong = |problem: &str| Err(value::Wrong::new(format!("fallbacks.{model}"), problem));
            if others.is_empty() || others.iter().any(|other| other.as_str().trim().is_empty()) {
                return wrong("expected the names of the models that may answer in its place");
            }
            if others.contains(model) {
                return wrong("a model cannot answer in its own place; name others");
            }
        }
        Ok(())
    }
}

/// The process's environment, read here and nowhere else. Text that is not UTF-8 is replaced, so that it is refused as a
/// value instead of being overlooked.
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os().map(|(name, value)| (lossy(&name), lossy(&value))).collect()
}

fn lossy(text: &std::ffi::OsStr) -> String {
    text.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
