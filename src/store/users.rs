//! Who owns keys: `posthog_user`.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use crate::ids::{TeamId, UserId};
use crate::store::database::{Database, StoreError, on_db};
use crate::store::schema::posthog_user as users;

/// How a user is named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// By number.
    Id(UserId),
    /// By address.
    Email(String),
}

/// A user, as far as keys need one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The number.
    pub id: UserId,
    /// The address.
    pub email: String,
    /// Whether the user's keys are good.
    pub activity: Activity,
    /// The team that the user works in now.
    pub team: Option<TeamId>,
}

/// Whether a user's keys are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// They are.
    Active,
    /// They are refused.
    Inactive,
}

/// Finds a user.
///
/// # Errors
/// When the database cannot answer.
pub async fn find(database: &Database, who: Who) -> Result<Option<User>, StoreError> {
    Database::carry_through(find_one(database.clone(), who)).await
}

async fn find_one(database: Database, who: Who) -> Result<Option<User>, StoreError> {
    type Row = (i32, String, bool, Option<i32>);
    let (id, email) = match who {
        Who::Id(id) => (Some(id.0), None),
        Who::Email(email) => (None, Some(email)),
    };
    let row: Option<Row> = on_db!(&database, |connection| users::table
        .filter(users::id.nullable().eq(id).or(users::email.nullable().eq(&email)))
        .order(users::id)
        .select((users::id, users::email, users::is_active, users::current_team_id))
        .first(connection)
        .await
        .optional())?;
    Ok(row.map(|(id, email, is_active, team)| User {
        id: UserId(id),
        email,
        activity: if is_active { Activity::Active } else { Activity::Inactive },
        team: team.map(TeamId),
    }))
}

/// Makes a user, for databases that are not PostHog's own.
///
/// # Errors
/// When the database cannot answer, or refuses: PostHog's own table wants more than is known here.
pub async fn create(database: &Database, email: &str, team: Option<TeamId>) -> Result<UserId, StoreError> {
    Database::carry_through(create_one(database.clone(), email.to_owned(), team)).await
}

async fn create_one(database: Database, email: String, team: Option<TeamId>) -> Result<UserId, StoreError> {
    let distinct_id = uuid::Uuid::now_v7().to_string();
    let id: i32 = on_db!(&database, |connection| diesel::insert_into(users::table)
        .values((
            users::email.eq(&email),
            users::distinct_id.eq(&distinct_id),
            users::current_team_id.eq(team.map(|team| team.0)),
        ))
        .returning(users::id)
        .get_result(connection)
        .await)?;
    Ok(UserId(id))
}

/// Makes a team the user's current one.
///
/// # Errors
/// When the database cannot answer, or refuses.
pub async fn set_team(database: &Database, user: UserId, team: TeamId) -> Result<(), StoreError> {
    Database::carry_through(set_team_once(database.clone(), user, team)).await
}

async fn set_team_once(database: Database, user: UserId, team: TeamId) -> Result<(), StoreError> {
    on_db!(&database, |connection| diesel::update(users::table.filter(users::id.eq(user.0)))
        .set(users::current_team_id.eq(team.0))
        .execute(connection)
        .await)?;
    Ok(())
}
