//! People and their credentials, put into a test's database by hand.

use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::support::postgres::TestDatabase;

/// The scope that the gateway asks for.
pub(crate) const SCOPE: &str = "llm_gateway:read";

/// Somebody in `posthog_user`.
#[derive(Clone, Debug)]
pub(crate) struct User {
    /// Their id.
    pub(crate) id: i32,
}

/// A user to be.
#[derive(Clone, Debug)]
pub(crate) struct NewUser {
    team: Option<i32>,
    distinct_id: Option<String>,
    is_active: bool,
}

/// An OAuth token to be.
#[derive(Clone, Debug)]
pub(crate) struct NewOAuthToken {
    scope: String,
    expires: SystemTime,
    application: Option<Uuid>,
}

impl Default for NewUser {
    /// An active user of team 1.
    fn default() -> Self {
        Self { team: Some(1), distinct_id: None, is_active: true }
    }
}

impl NewUser {
    /// Their current team; none: they have left all of theirs.
    pub(crate) fn team(self, team: impl Into<Option<i32>>) -> Self {
        Self { team: team.into(), ..self }
    }

    /// What PostHog knows them by.
    pub(crate) fn distinct_id(self, id: &str) -> Self {
        Self { distinct_id: Some(id.to_owned()), ..self }
    }

    /// Somebody who may not sign in any more.
    pub(crate) fn inactive(self) -> Self {
        Self { is_active: false, ..self }
    }

    /// Puts them into the database.
    pub(crate) async fn create(self, database: &TestDatabase) -> User {
        let row = database
            .connect()
            .await
            .query_one(
                "INSERT INTO posthog_user (email, distinct_id, is_active, current_team_id)
                 VALUES ($1, $2, $3, $4) RETURNING id",
                &[&format!("{}@example.com", Uuid::new_v4()), &self.distinct_id, &self.is_active, &self.team],
            )
            .await
            .unwrap();
        User { id: row.get(0) }
    }
}

impl User {
    /// Gives them a personal API key with these scopes, and returns it.
    pub(crate) async fn api_key(&self, database: &TestDatabase, scopes: &[&str]) -> String {
        let token = format!("phx_{}", Uuid::new_v4().simple());
        database
            .connect()
            .await
            .execute(
                "INSERT INTO posthog_personalapikey (id, label, secure_value, scopes, user_id) VALUES ($1, 'test', $2, $3, $4)",
                &[&Uuid::new_v4().to_string(), &format!("sha256${}", checksum(&token)), &scopes, &self.id],
            )
            .await
            .unwrap();
        token
    }

    /// Gives them an OAuth access token, and returns it.
    pub(crate) async fn oauth_token(&self, database: &TestDatabase, token: NewOAuthToken) -> String {
        let text = format!("pha_{}", Uuid::new_v4().simple());
        let expires = token.expires.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        database
            .connect()
            .await
            .execute(
                "INSERT INTO posthog_oauthaccesstoken (token_checksum, scope, expires, application_id, user_id)
                 VALUES ($1, $2, to_timestamp($3), $4::text::uuid, $5)",
                &[&checksum(&text), &token.scope, &expires, &token.application.map(|id| id.to_string()), &self.id],
            )
            .await
            .unwrap();
        text
    }
}

impl Default for NewOAuthToken {
    /// With the gateway's scope, for an hour, without an application.
    fn default() -> Self {
        Self { scope: SCOPE.to_owned(), expires: SystemTime::now() + Duration::from_secs(3600), application: None }
    }
}

impl NewOAuthToken {
    /// Scopes, separated by spaces.
    pub(crate) fn scope(self, scope: &str) -> Self {
        Self { scope: scope.to_owned(), ..self }
    }

    /// When it ends; may have been.
    pub(crate) fn expires(self, expires: SystemTime) -> Self {
        Self { expires, ..self }
    }

    /// Which application it was given to.
    pub(crate) fn application(self, application: Uuid) -> Self {
        Self { application: Some(application), ..self }
    }
}

fn checksum(token: &str) -> String {
    hex::encode(Sha256::digest(token))
}
