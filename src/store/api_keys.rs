//! Personal API keys: `posthog_personalapikey`.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel_async::{AsyncConnection as _, RunQueryDsl};

use crate::auth::principal::{Credential, Principal};
use crate::auth::scope::Scopes;
use crate::auth::token::TokenHash;
use crate::ids::{TeamId, UserId};
use crate::store::database::{Database, Pools, StoreError, on_db};
use crate::store::listen::{Notice, notify};
use crate::store::schema::{Moment, ScopeList, posthog_personalapikey as keys, posthog_user as users};

/// A key that is about to be made. Its token is known to nobody but its owner.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// What it is listed and revoked by, at most 50 characters.
    pub id: String,
    /// What its owner calls it, at most 40 characters.
    pub label: String,
    /// The token's hash.
    pub hash: TokenHash,
    /// What it is made for.
    pub scopes: Scopes,
    /// Whose it is.
    pub user: UserId,
}

/// A key as it is listed: without its token and without its hash.
#[derive(Clone, Debug)]
pub struct ListedKey {
    /// What it is revoked by.
    pub id: String,
    /// What its owner calls it.
    pub label: String,
    /// Whose it is.
    pub user: UserId,
    /// Its owner's address.
    pub email: String,
    /// What it was made for.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When PostHog last saw it used; gateways write nothing.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// Whom a key stands for; none: there is no such key, or its owner is inactive.
///
/// # Errors
/// When the database cannot answer. Never means that the key is bad.
pub async fn find(database: &Database, hash: TokenHash) -> Result<Option<Principal>, StoreError> {
    database.persist(|database| find_once(database, hash)).await
}

async fn find_once(database: Database, hash: TokenHash) -> Result<Option<Principal>, StoreError> {
    type Row = (String, Option<ScopeList>, i32, Option<String>, Option<i32>);
    let secure_value = hash.secure_value();
    let row: Option<Row> = on_db!(&database, |connection| keys::table
        .inner_join(users::table)
        .filter(keys::secure_value.eq(&secure_value))
        .filter(users::is_active)
        .select((keys::id, keys::scopes, users::id, users::distinct_id, users::current_team_id))
        .first(connection)
        .await
        .optional())?;
    Ok(row.map(|(id, scopes, user, distinct_id, team)| Principal {
        user: UserId(user),
        team: team.map(TeamId),
        distinct_id,
        credential: Credential::ApiKey { id },
        scopes: ScopeList::scopes(scopes),
    }))
}

/// The keys of one user, or all, the newest first.
///
/// # Errors
/// When the database cannot answer.
pub async fn list(database: &Database, of: Option<UserId>) -> Result<Vec<ListedKey>, StoreError> {
    Database::carry_through(list_all(database.clone(), of)).await
}

async fn list_all(database: Database, of: Option<UserId>) -> Result<Vec<ListedKey>, StoreError> {
    type Row = (String, String, i32, String, Option<ScopeList>, Moment, Option<Moment>);
    let (is_all, user) = (of.is_none(), of.map_or(0, |user| user.0));
    let rows: Vec<Row> = on_db!(&database, |connection| keys::table
        .inner_join(users::table)
        .filter(keys::user_id.eq(user).or(is_all.into_sql::<Bool>()))
        .order((keys::created_at.desc(), keys::id))
        .select((keys::id, keys::label, users::id, users::email, keys::scopes, keys::created_at, keys::last_used_at,))
        .load(connection)
        .await)?;
    let listed = |(id, label, user, email, scopes, created_at, last_used_at): Row| ListedKey {
        id,
        label,
        user: UserId(user),
        email,
        scopes: ScopeList::scopes(scopes),
        created_at: created_at.0,
        last_used_at: last_used_at.map(|moment| moment.0),
    };
    Ok(rows.into_iter().map(listed).collect())
}

/// Stores a key, and tells running gateways in case they have refused its token before.
///
/// # Errors
/// When the database cannot answer, or refuses.
pub async fn create(database: &Database, key: NewKey) -> Result<(), StoreError> {
    Database::carry_through(create_one(database.clone(), key)).await
}

async fn create_one(database: Database, key: NewKey) -> Result<(), StoreError> {
    let row = (
        keys::id.eq(key.id),
        keys::label.eq(key.label),
        keys::secure_value.eq(key.hash.secure_value()),
        keys::scopes.eq(Some(ScopeList(key.scopes.iter().map(str::to_owned).collect()))),
        keys::user_id.eq(key.user.0),
    );
    match database.pools() {
        Pools::Postgres(pool) => {
            let mut lease = database.lease(pool).await?;
            let stored = lease.transaction(async |connection| {
                diesel::insert_into(keys::table).values(row).execute(connection).await?;
                notify(connection, Notice::Token(key.hash)).await
            });
            let stored = tokio::time::timeout(database.query_timeout(), stored).await;
            database.settle(&mut lease, stored).await
        }
        Pools::Sqlite(pool) => {
            let mut lease = database.lease(pool).await?;
            diesel::insert_into(keys::table).values(row).execute(&mut *lease).await?;
            Ok(())
        }
    }
}

/// Deletes a key and tells running gateways in the same transaction.
///
/// # Errors
/// When the database cannot answer, or refuses.
pub async fn revoke(database: &Database, id: &str) -> Result<Revoked, StoreError> {
    Database::carry_through(revoke_one(database.clone(), id.to_owned())).await
}

/// What came of revoking a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// It is gone.
    Done,
    /// There was none of that id.
    Unknown,
}

async fn revoke_one(database: Database, id: String) -> Result<Revoked, StoreError> {
    let deleted = match database.pools() {
        Pools::Postgres(pool) => {
            let mut lease = database.lease(pool).await?;
            let deleted = lease.transaction(async |connection| {
                let secure_value = diesel::delete(keys::table.filter(keys::id.eq(id)))
                    .returning(keys::secure_value)
                    .get_result::<Option<String>>(connection)
                    .await
                    .optional()?;
                let Some(secure_value) = secure_value else { return Ok(0) };
                notify(connection, Notice::of_secure_value(secure_value.as_deref())).await?;
                Ok(1)
            });
            let deleted = tokio::time::timeout(database.query_timeout(), deleted).await;
            database.settle(&mut lease, deleted).await?
        }
        Pools::Sqlite(pool) => {
            let mut lease = database.lease(pool).await?;
            diesel::delete(keys::table.filter(keys::id.eq(id))).execute(&mut *lease).await?
        }
    };
    Ok(if deleted == 0 { Revoked::Unknown } else { Revoked::Done })
}
