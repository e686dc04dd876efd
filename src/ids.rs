//! Names and numbers that must not be mistaken for one another.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A user's number in PostHog's `posthog_user`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UserId(pub i32);

/// A team's number; PostHog calls it a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TeamId(pub i32);

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as it is.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// Who serves: `openai`, `anthropic`, `gemini`, or a name that configuration gave.
    ProviderName
}
name! {
    /// One of a provider's upstreams: `default` unless configuration names several.
    UpstreamName
}
name! {
    /// On whose behalf a call is made: `llm_gateway`, `array`, `wizard`, `django`, or a configured one.
    ProductName
}
name! {
    /// A model as its provider names it, without a provider's prefix.
    ModelId
}
/// Follows one request through logs, answers and events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId {
    text: Arc<str>,
    fresh: Option<Uuid>,
}

impl RequestId {
    /// The longest request id that is taken over from a caller, in bytes.
    pub const MAX_LEN: usize = 128;

    /// Takes the text as it is.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self { text: text.into(), fresh: None }
    }

    /// A fresh one.
    pub fn generate() -> Self {
        let uuid = Uuid::now_v7();
        Self { text: uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()).into(), fresh: Some(uuid) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The same as a UUID that no other request has: none where a caller chose the text.
    pub fn unique(&self) -> Option<Uuid> {
        self.fresh
    }

    /// The caller's own, where it is sane: printable ASCII without spaces, at most [`Self::MAX_LEN`] bytes.
    pub fn from_caller(text: &str) -> Option<Self> {
        let sane = !text.is_empty()
            && text.len() <= Self::MAX_LEN
            && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        sane.then(|| Self::new(text))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<&str> for RequestId {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}
