//! `keys`: makes, lists and revokes personal API keys.

use std::io::{self, Write};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::auth::scope::{GATEWAY_SCOPE, Scopes};
use crate::auth::token::{TokenHash, api_key_from};
use crate::cli::{Failure, KeysCommand};
use crate::config::database::Database as Settings;
use crate::ids::{TeamId, UserId};
use crate::store::api_keys::{self, ListedKey, NewKey, Revoked};
use crate::store::database::{Database, OpenError, StoreError};
use crate::store::users::{self, Activity, User, Who};

/// How long labels and scopes may be in PostHog's table, in characters.
const LABEL_MAX: usize = 40;
const SCOPE_MAX: usize = 100;

/// Why a key was not made, listed or revoked.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The database's setting cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The tables are not there.
    #[error("the database has no tables for keys yet; run `llm-gateway migrate`")]
    NoTables,
    /// The database cannot answer, or refuses.
    #[error(transparent)]
    Store(StoreError),
    /// Nobody has that number.
    #[error("there is no user {0} in posthog_user; name another, or give --email to have one made")]
    NoUser(i32),
    /// The user's keys would not be good.
    #[error("user {0} ({1}) is inactive, and so would be the key; activate the user, or name another")]
    Inactive(i32, String),
    /// The user could not be made.
    #[error(
        "there is no user {email}, and none could be made: {source}; on PostHog's own database, name a user that is there"
    )]
    NotMade {
        /// The address.
        email: String,
        /// What the database said.
        source: StoreError,
    },
    /// The label does not fit.
    #[error("the label has {0} characters; give it at most {LABEL_MAX}, and at least one")]
    Label(usize),
    /// A scope that cannot be one.
    #[error("\"{0}\" is no scope; scopes read {GATEWAY_SCOPE}, have no spaces and at most {SCOPE_MAX} characters")]
    Scope(String),
    /// There is nothing to revoke.
    #[error("there is no key {0}; `llm-gateway keys list` shows those that are there")]
    NoKey(String),
    /// No random bytes could be had.
    #[error("the system has no random bytes to make a token from: {0}")]
    Random(getrandom::Error),
    /// There was nothing to run on.
    #[error("no thread to talk to the database on: {0}")]
    Runtime(#[source] io::Error),
}

impl From<StoreError> for KeysError {
    fn from(error: StoreError) -> Self {
        if error.is_about_missing_tables() { Self::NoTables } else { Self::Store(error) }
    }
}

/// Does what is asked. Tokens and lists go to `data`, all else to `people`.
///
/// # Errors
/// When the database cannot be used or refuses, what is asked makes no sense, or nobody can be told.
pub fn run(
    command: KeysCommand,
    settings: &Settings,
    data: &mut impl Write,
    people: &mut impl Write,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(KeysError::Runtime)?;
    runtime.block_on(async {
        let database = Database::open(settings).map_err(KeysError::from)?;
        match command {
            KeysCommand::Create { user, email, team, label, scopes } => {
                let order = Order { user, email, team, label, scopes: scopes_of(&scopes)? };
                let made = create(&database, order).await?;
                made.tell(data, people).map_err(Failure::Output)
            }
            KeysCommand::List { user, json } => {
                let keys = api_keys::list(&database, user).await.map_err(KeysError::from)?;
                let printed = if json { as_json(&keys, data) } else { as_table(&keys, data) };
                printed.map_err(Failure::Output)
            }
            KeysCommand::Revoke { id } => match api_keys::revoke(&database, &id).await.map_err(KeysError::from)? {
                Revoked::Done => writeln!(people, "revoked key {id}").map_err(Failure::Output),
                Revoked::Unknown => Err(KeysError::NoKey(id).into()),
            },
        }
    })
}

/// A key that somebody wants.
struct Order {
    user: Option<UserId>,
    email: Option<String>,
    team: Option<TeamId>,
    label: String,
    scopes: Scopes,
}

/// A key that was made.
struct Made {
    id: String,
    token: String,
    owner: User,
    scopes: Scopes,
}

impl Made {
    fn tell(&self, data: &mut impl Write, people: &mut impl Write) -> io::Result<()> {
        let UserId(user) = self.owner.id;
        writeln!(people, "made key {} for user {user} ({}); its token is shown only now:", self.id, self.owner.email)?;
        writeln!(data, "{}", self.token)?;
        data.flush()?;
        if !self.scopes.allows_gateway() {
            writeln!(people, "note: it lacks the scope {GATEWAY_SCOPE}, so the gateway will refuse its calls")?;
        }
        if self.owner.team.is_none() {
            writeln!(people, "note: user {user} is in no team; give --team to put them in one")?;
        }
        Ok(())
    }
}

async fn create(database: &Database, order: Order) -> Result<Made, KeysError> {
    let characters = order.label.chars().count();
    if characters == 0 || characters > LABEL_MAX {
        return Err(KeysError::Label(characters));
    }
    let mut owner = owner(database, order.user, order.email, order.team).await?;
    if owner.activity == Activity::Inactive {
        return Err(KeysError::Inactive(owner.id.0, owner.email));
    }
    if let Some(team) = order.team
        && owner.team != Some(team)
    {
        users::set_team(database, owner.id, team).await?;
        owner.team = Some(team);
    }
    let token = fresh_token()?;
    let id = uuid::Uuid::now_v7().to_string();
    let key = NewKey {
        id: id.clone(),
        label: order.label,
        hash: TokenHash::of(&token),
        scopes: order.scopes.clone(),
        user: owner.id,
    };
    api_keys::create(database, key).await?;
    Ok(Made { id, token, owner, scopes: order.scopes })
}

/// Who the key is for: found, or made if named by an address that nobody has.
async fn owner(
    database: &Database,
    user: Option<UserId>,
    email: Option<String>,
    team: Option<TeamId>,
) -> Result<User, KeysError> {
    let who = match (user, email.clone()) {
        (_, Some(email)) => Who::Email(email),
        (user, None) => Who::Id(user.unwrap_or(UserId(0))),
    };
    if let Some(found) = users::find(database, who).await? {
        return Ok(found);
    }
    let Some(email) = email else { return Err(KeysError::NoUser(user.map_or(0, |user| user.0))) };
    match users::create(database, &email, team).await {
        Ok(id) => Ok(User { id, email, activity: Activity::Active, team }),
        Err(source) => Err(KeysError::NotMade { email, source }),
    }
}

fn scopes_of(given: &[String]) -> Result<Scopes, KeysError> {
    let is_scope = |scope: &str| {
        !scope.is_empty()
            && scope.chars().count() <= SCOPE_MAX
            && !scope.contains(|c: char| c.is_whitespace() || c == ',')
    };
    match given.iter().find(|scope| !is_scope(scope)) {
        Some(wrong) => Err(KeysError::Scope(wrong.clone())),
        None => Ok(given.iter().collect()),
    }
}

fn fresh_token() -> Result<String, KeysError> {
    let mut random = [0; 64];
    loop {
        getrandom::fill(&mut random).map_err(KeysError::Random)?;
        if let Some(token) = api_key_from(&random) {
            return Ok(token);
        }
    }
}

fn as_table(keys: &[ListedKey], out: &mut impl Write) -> io::Result<()> {
    let header = ["ID", "LABEL", "USER", "EMAIL", "SCOPES", "MADE", "LAST USED"].map(str::to_owned);
    let rows: Vec<[String; 7]> = std::iter::once(header)
        .chain(keys.iter().map(|key| {
            [
                key.id.clone(),
                key.label.clone(),
                key.user.0.to_string(),
                key.email.clone(),
                key.scopes.to_text(),
                moment(key.created_at),
                key.last_used_at.map_or_else(|| "-".to_owned(), moment),
            ]
        }))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; 7] = std::array::from_fn(width);
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

fn as_json(keys: &[ListedKey], out: &mut impl Write) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        id: &'a str,
        label: &'a str,
        user: UserId,
        email: &'a str,
        scopes: Vec<&'a str>,
        created_at: DateTime<Utc>,
        last_used_at: Option<DateTime<Utc>>,
    }
    let lines: Vec<Line<'_>> = keys
        .iter()
        .map(|key| Line {
            id: &key.id,
            label: &key.label,
            user: key.user,
            email: &key.email,
            scopes: key.scopes.iter().collect(),
            created_at: key.created_at,
            last_used_at: key.last_used_at,
        })
        .collect();
    serde_json::to_writer_pretty(&mut *out, &lines)?;
    writeln!(out)
}

fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M").to_string()
}
