//! Takes changed settings over while the gateway runs: on SIGHUP, and when the file of settings has changed.
//!
//! Products, limits, aliases, fallbacks, prices and attribution change at once, for calls that begin from then on; what needs a
//! new listener, connection or thread needs a new process: it is left as it was. Settings that cannot be used are refused as
//! a whole, and the old ones stay.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{self, Config, ConfigError};
use crate::exchange::Gateway;

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Knows where settings come from, and when to read them again.
#[derive(Debug)]
pub struct Reload {
    environment: Vec<(String, String)>,
    mode: config::Mode,
    hang_up: Signal,
    file: Option<PathBuf>,
    seen: Option<(SystemTime, u64)>,
}

impl Reload {
    /// Takes SIGHUP over from the system, for the whole process.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen(environment: Vec<(String, String)>, mode: config::Mode) -> std::io::Result<Self> {
        let file = environment.iter().find(|(name, _)| name == config::FILE_VARIABLE).map(|(_, path)| path.into());
        let mut reload = Self { environment, mode, hang_up: signal(SignalKind::hangup())?, file, seen: None };
        reload.seen = reload.look();
        Ok(reload)
    }

    /// Until settings should be read again.
    pub(super) async fn asked(&mut self) {
        loop {
            tokio::select! {
                _ = self.hang_up.recv() => {
                    self.seen = self.look();
                    return;
                }
                () = tokio::time::sleep(LOOK_EVERY) => {
                    let looks = self.look();
                    if looks.is_some() && looks != self.seen {
                        self.seen = looks;
                        return;
                    }
                }
            }
        }
    }

    /// Reads settings, and puts those that may change in force.
    pub(super) fn apply(&self, gateway: &Gateway) {
        match self.read(gateway) {
            Ok(config) => {
                gateway.config.store(Arc::new(config));
                tracing::info!(
                    "settings were read again: products, limits, aliases, fallbacks, prices and attribution are in force"
                );
            }
            Err(error) => tracing::error!(error = %error, "settings cannot be used; the old ones stay in force"),
        }
    }

    fn read(&self, gateway: &Gateway) -> Result<Config, ConfigError> {
        let mut loaded = Config::load(self.environment.clone(), self.mode)?;
        gateway.catalog.check(&loaded)?;
        match self.mode {
            config::Mode::Dev { .. } => super::trust_development_key(&mut loaded.config),
            config::Mode::Serve | config::Mode::Tool => {}
        }
        let Config { products, aliases, fallbacks, prices, limits, attribution, .. } = loaded.config;
        let kept = Config::clone(&gateway.config.load());
        Ok(Config { products, aliases, fallbacks, prices, limits, attribution, ..kept })
    }

    fn look(&self) -> Option<(SystemTime, u64)> {
        let about = std::fs::metadata(self.file.as_ref()?).ok()?;
        Some((about.modified().ok()?, about.len()))
    }
}
