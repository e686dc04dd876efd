//! Logs, and spans for OpenTelemetry.

use serde::Deserialize;
use url::Url;

use super::value;

/// `[telemetry]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// What is logged, in `tracing`'s filter language: `info`, `llm_gateway=debug,warn`.
    #[serde(deserialize_with = "value::log_filter")]
    pub log: String,
    /// How.
    pub format: Format,
    /// The OTLP endpoint that a span of each call is sent to; none: no spans.
    #[serde(default, deserialize_with = "value::some_http_url")]
    pub otlp_endpoint: Option<Url>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For a person at a terminal.
    Text,
}
