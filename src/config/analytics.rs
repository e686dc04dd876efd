//! Events for PostHog.

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

/// `[analytics]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Analytics {
    /// The project's key; none: no events.
    pub api_key: Option<SecretString>,
    /// Where events go.
    pub host: Url,
}
