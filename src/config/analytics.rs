//! Events for PostHog.

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::value;

/// `[analytics]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Analytics {
    /// The project's key; none: no events.
    #[serde(default, deserialize_with = "value::api_key")]
    pub api_key: Option<SecretString>,
    /// Where events go.
    #[serde(deserialize_with = "value::http_url")]
    pub host: Url,
}
