//! Who serves: providers and their upstreams.

use indexmap::IndexMap;

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use crate::ids::UpstreamName;

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
    pub base_url: Url,
    /// The provider's key; none: the upstream is not configured and takes no calls.
    pub api_key: Option<SecretString>,
    /// Whether `stream_options.include_usage` may be added to a chat stream, so that it can be metered.
    #[serde(default = "yes")]
    pub include_usage: bool,
}

fn yes() -> bool {
    true
}
