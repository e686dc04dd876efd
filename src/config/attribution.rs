//! Whose events are whose.

use std::collections::BTreeSet;

use serde::Deserialize;

/// `[attribution]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribution {
    /// Ids of personal API keys (the column `id` of `posthog_personalapikey`) that may attribute their calls' events to any
    /// team.
    pub team_override_keys: BTreeSet<String>,
}
