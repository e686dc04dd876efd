//! Logs.

use serde::Deserialize;

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
