//! Who serves: providers and their upstreams.

use std::fmt;

use indexmap::IndexMap;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::environment;
use super::value::{self, Wrong};
use crate::ids::{ProviderName, UpstreamName};

/// Which vendor's API a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Chat completions and Responses.
    OpenAi,
    /// Messages.
    Anthropic,
    /// generateContent.
    Gemini,
}

impl Kind {
    /// The name in settings: `openai`, `anthropic`, `gemini`.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `[providers.<name>]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Which vendor's API it speaks.
    pub kind: Kind,
    /// Where it is reached, first choice first; by name.
    pub upstreams: IndexMap<UpstreamName, Upstream>,
}

/// `[providers.<name>.upstreams.<name>]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// As that vendor's own SDK takes it.
    #[serde(deserialize_with = "value::http_url")]
    pub base_url: Url,
    /// The provider's key; none: the upstream is not configured and takes no calls.
    #[serde(default, deserialize_with = "value::api_key")]
    pub api_key: Option<SecretString>,
    /// Whether `stream_options.include_usage` may be added to a chat stream, so that it can be metered.
    #[serde(default = "yes")]
    pub include_usage: bool,
    /// Whether it has `/responses`; if not, it is spoken to in chat completions only.
    #[serde(default = "yes")]
    pub responses: bool,
}

impl Provider {
    /// Whether it can be called: at least one of its upstreams has a key.
    pub fn is_configured(&self) -> bool {
        self.upstreams.values().any(|upstream| upstream.api_key.is_some())
    }

    /// The environment variable that would give this provider its key.
    pub fn missing_setting(&self, name: &ProviderName) -> String {
        let upstream = self.upstreams.keys().next().map_or("default", UpstreamName::as_str);
        environment::name_of(&["providers", name.as_str(), "upstreams", upstream, "api_key"])
    }

    pub(super) fn check(&self, name: &ProviderName) -> Result<(), Wrong> {
        let path = format!("providers.{name}");
        if !value::is_name(name.as_str()) {
            return Err(Wrong::new(path, value::NAME));
        }
        // Google's SDKs write `models/` before every id.
        if name.as_str() == "models" {
            return Err(Wrong::new(path, "the name models is taken by Google's form of model ids; choose another"));
        }
        if self.upstreams.is_empty() {
            return Err(Wrong::new(format!("{path}.upstreams"), "expected at least one upstream"));
        }
        match self.upstreams.keys().find(|upstream| !value::is_name(upstream.as_str())) {
            Some(upstream) => Err(Wrong::new(format!("{path}.upstreams.{upstream}"), value::NAME)),
            None => Ok(()),
        }
    }
}

fn yes() -> bool {
    true
}
