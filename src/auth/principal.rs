//! Whom a token stands for.

use crate::auth::scope::Scopes;
use crate::ids::{TeamId, UserId};

/// A caller whose token was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The token's owner.
    pub user: UserId,
    /// The team that the owner works in now; a user may be in none.
    pub team: Option<TeamId>,
    /// How PostHog's events name the owner.
    pub distinct_id: Option<String>,
    /// What was presented.
    pub credential: Credential,
    /// What it was made for.
    pub scopes: Scopes,
}

/// What a caller presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A personal API key.
    ApiKey {
        /// Its id in `posthog_personalapikey`; not the key itself.
        id: String,
    },
    /// An OAuth access token.
    OAuth {
        /// The application that it was given to.
        application: Option<uuid::Uuid>,
    },
}
