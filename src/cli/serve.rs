//! `serve`: production.

use std::io::Write as _;

use crate::app::{App, Mode, Reload, Signals, StartError};
use crate::catalog::Catalog;
use crate::cli::ReloadFrom;
use crate::config::Config;

/// Why a gateway ended that was to run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It never ran.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It could not listen for signals, or not say that it runs.
    #[error("cannot talk to the system that started the gateway: {0}")]
    System(#[from] std::io::Error),
}

/// Runs until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// When the gateway cannot start.
pub fn run(config: Config, catalog: Catalog, reload: ReloadFrom) -> Result<(), RunError> {
    super::install_crypto();
    actix_web::rt::System::new().block_on(async {
        let signals = Signals::listen()?;
        let reload = Reload::listen(reload.environment, reload.mode, &config)?;
        let app = App::start(config, catalog, Mode::Serve).await?;
        let mut stderr = std::io::stderr().lock();
        writeln!(stderr, "listening on http://{}", app.address())?;
        if let Some(admin) = app.admin_address() {
            writeln!(stderr, "operators: http://{admin}/health/actors and http://{admin}/metrics")?;
        }
        drop(stderr);
        app.run(signals, reload).await?;
        Ok(())
    })
}
