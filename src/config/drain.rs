//! What SIGTERM does.

use std::time::Duration;

use serde::Deserialize;

use super::value;

/// `[drain]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// How long calls are still taken, with `connection: close`, while readiness already says no.
    #[serde(deserialize_with = "value::duration")]
    pub delay: Duration,
    /// How long open streams may go on after that.
    #[serde(deserialize_with = "value::duration")]
    pub grace: Duration,
}
