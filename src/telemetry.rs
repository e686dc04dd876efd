//! What the gateway tells its operators: log lines and metrics.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::config::telemetry::{Format, Telemetry};

pub mod metrics;

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not parse.
    #[error("telemetry.log is no log filter: write something like \"info\" or \"llm_gateway=debug,warn\"")]
    Filter(#[source] ParseError),
    /// Somebody was there before.
    #[error("logging was set up twice in one process")]
    Twice(#[source] TryInitError),
}

/// Sends log lines to stderr from here on, for the whole process.
///
/// # Errors
/// When the filter does not parse, or when a subscriber was installed before.
pub fn init(settings: &Telemetry) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&settings.log).map_err(TelemetryError::Filter)?;
    let registry = tracing_subscriber::registry().with(filter);
    match settings.format {
        Format::Json => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .json()
                    .flatten_event(true)
                    // The span that a line is in says all; the list of all spans would say it twice, in each line.
                    .with_span_list(false)
                    .with_writer(std::io::stderr),
            )
            .try_init(),
        Format::Text => registry.with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr)).try_init(),
    }
    .map_err(TelemetryError::Twice)
}
