//! `dev`: everything on one port of this machine, with simulated providers where no key is set.

use std::io::Write as _;
use std::path::PathBuf;

use crate::app::{App, Mode, Reload, Signals};
use crate::catalog::Catalog;
use crate::cli::ReloadFrom;
use crate::cli::serve::RunError;
use crate::config::Config;

/// Runs until SIGTERM or Ctrl-C.
///
/// # Errors
/// When the gateway cannot start.
pub fn run(config: Config, catalog: Catalog, data: PathBuf, reload: ReloadFrom) -> Result<(), RunError> {
    super::install_crypto();
    actix_web::rt::System::new().block_on(async {
        let real: Vec<String> = config
            .providers
            .iter()
            .filter(|(_, provider)| provider.is_configured())
            .map(|(name, _)| name.to_string())
            .collect();
        let signals = Signals::listen()?;
        let reload = Reload::listen(reload.environment, reload.mode, &config)?;
        let app = App::start(config, catalog, Mode::Dev { data }).await?;
        let mut stderr = std::io::stderr().lock();
        for sandbox in app.sandboxes() {
            writeln!(stderr, "simulated {} at {}", sandbox.kind(), sandbox.base_url())?;
        }
        let address = app.address();
        writeln!(stderr, "listening on http://{address}")?;
        if real.is_empty() {
            writeln!(stderr, "all providers are simulated; set LLM_GATEWAY_OPENAI_API_KEY and the like for real ones")?;
        } else {
            writeln!(stderr, "called for real: {}; the other providers are simulated", real.join(", "))?;
        }
        writeln!(stderr, "try it:\n")?;
        writeln!(
            stderr,
            "curl http://{address}/v1/chat/completions -H 'Authorization: Bearer {}' \
             -H 'Content-Type: application/json' \
             -d '{{\"model\": \"gpt-4.1-mini\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'\n",
            crate::auth::token::DEVELOPMENT_KEY,
        )?;
        drop(stderr);
        app.run(signals, reload).await?;
        Ok(())
    })
}
