//! Takes changed settings over while the gateway runs: on SIGHUP, and when the file of settings, or that of the
//! catalog, has changed.
//!
//! Products, limits, aliases, fallbacks, the catalog, prices and attribution change at once, for calls that begin from then on; what needs a
//! new listener, connection or thread needs a new process: it is left as it was. Settings that cannot be used are refused as
//! a whole, and the old ones stay.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::catalog::{Catalog, LoadError};
use crate::config::{self, Config};
use crate::exchange::Gateway;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Knows where settings come from, and when to read them again.
#[derive(Debug)]
pub struct Reload {
    environment: Vec<(String, String)>,
    mode: config::Mode,
    hang_up: Signal,
    settings: Watched,
    catalog: Watched,
}

/// A file, and how it looked when it was last read: when it was written, and its size.
#[derive(Debug)]
struct Watched {
    path: Option<PathBuf>,
    seen: Option<(SystemTime, u64)>,
}

impl Reload {
    /// Takes SIGHUP over from the system, for the whole process. `config` is what is in force.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen(environment: Vec<(String, String)>, mode: config::Mode, config: &Config) -> std::io::Result<Self> {
        let settings = environment.iter().find(|(name, _)| name == config::FILE_VARIABLE).map(|(_, path)| path.into());
        Ok(Self {
            settings: Watched::of(settings),
            catalog: Watched::of(config.catalog.file.clone()),
            environment,
            mode,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Until settings should be read again.
    pub(super) async fn asked(&mut self) {
        loop {
            tokio::select! {
                _ = self.hang_up.recv() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {
                    if self.settings.has_changed() || self.catalog.has_changed() {
                        return;
                    }
                }
            }
        }
    }

    /// Reads settings, and puts those that may change in force.
    pub(super) fn apply(&mut self, gateway: &Gateway) {
        match self.read(gateway) {
            Ok((config, catalog)) => {
                // In this order: what settings name has to be in the catalog.
                gateway.catalog.store(Arc::new(catalog));
                gateway.config.store(Arc::new(config));
                tracing::info!(
                    "settings were read again: products, limits, aliases, fallbacks, the catalog, prices and attribution are in force"
                );
            }
            Err(error) => tracing::error!(error = %error, "settings cannot be used; the old ones stay in force"),
        }
    }

    fn read(&mut self, gateway: &Gateway) -> Result<(Config, Catalog), LoadError> {
        // How the files look is noted before they are read: what is written meanwhile is read the next time.
        self.settings.look();
        self.catalog.look();
        let mut loaded = Config::load(self.environment.clone(), self.mode)?;
        if loaded.config.catalog.file != self.catalog.path {
            self.catalog = Watched::of(loaded.config.catalog.file.clone());
        }
        let models = Catalog::load(&loaded)?;
        match self.mode {
            config::Mode::Dev { .. } => super::trust_development_key(&mut loaded.config),
            config::Mode::Serve | config::Mode::Tool => {}
        }
        let Config { products, aliases, fallbacks, catalog, prices, limits, attribution, .. } = loaded.config;
        let kept = Config::clone(&gateway.config.load());
        Ok((Config { products, aliases, fallbacks, catalog, prices, limits, attribution, ..kept }, models))
    }
}

impl Watched {
    fn of(path: Option<PathBuf>) -> Self {
        let mut watched = Self { path, seen: None };
        watched.look();
        watched
    }

    fn look(&mut self) {
        self.seen = self.looks();
    }

    /// One that is gone is no news: it may be on its way.
    fn has_changed(&self) -> bool {
        let looks = self.looks();
        looks.is_some() && looks != self.seen
    }

    fn looks(&self) -> Option<(SystemTime, u64)> {
        let about = std::fs::metadata(self.path.as_ref()?).ok()?;
        Some((about.modified().ok()?, about.len()))
    }
}
