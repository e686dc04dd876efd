//! OAuth access tokens: `posthog_oauthaccesstoken`.

use std::time::SystemTime;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use crate::auth::principal::{Credential, Principal};
use crate::auth::scope::Scopes;
use crate::auth::token::TokenHash;
use crate::ids::{TeamId, UserId};
use crate::store::database::{Database, StoreError, on_db};
use crate::store::schema::{ApplicationId, Moment, posthog_oauthaccesstoken as tokens, posthog_user as users};

/// An access token that was found. It may have expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// Whom it stands for.
    pub principal: Principal,
    /// From when on it is good no longer.
    pub expires: SystemTime,
}

/// What is known of an access token; none: there is no such token, or it has no user, or an inactive one.
///
/// # Errors
/// When the database cannot answer. Never means that the token is bad.
pub async fn find(database: &Database, hash: TokenHash) -> Result<Option<AccessToken>, StoreError> {
    database.persist(|database| find_once(database, hash)).await
}

async fn find_once(database: Database, hash: TokenHash) -> Result<Option<AccessToken>, StoreError> {
    type Row = (String, Moment, Option<ApplicationId>, i32, Option<String>, Option<i32>);
    let checksum = hash.hex();
    let row: Option<Row> = on_db!(&database, |connection| tokens::table
        .inner_join(users::table)
        .filter(tokens::token_checksum.eq(&checksum))
        .filter(users::is_active)
        .select((
            tokens::scope,
            tokens::expires,
            tokens::application_id,
            users::id,
            users::distinct_id,
            users::current_team_id,
        ))
        .first(connection)
        .await
        .optional())?;
    Ok(row.map(|(scope, expires, application, user, distinct_id, team)| AccessToken {
        principal: Principal {
            user: UserId(user),
            team: team.map(TeamId),
            distinct_id,
            credential: Credential::OAuth { application: application.map(|id| id.0) },
            scopes: Scopes::from_text(&scope),
        },
        expires: expires.0.into(),
    }))
}
