//! The part of PostHog's tables that is read here, typed so that one text serves PostgreSQL and SQLite.
//!
//! Written by hand: three columns are of types that SQLite lacks. They have SQL types of our own, which each database reads
//! and writes in its way.

use chrono::{DateTime, Utc};
use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::Pg;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::{Array, Nullable, Text, Timestamptz, TimestamptzSqlite};
use diesel::sqlite::Sqlite;

use crate::auth::scope::Scopes;

/// The SQL types of the columns that the two databases write differently.
pub(super) mod sql_types {
    use diesel::query_builder::QueryId;
    use diesel::sql_types::SqlType;

    /// `varchar(100)[]`, or text separated by spaces.
    #[derive(Debug, Clone, Copy, SqlType, QueryId)]
    // 1009 is text[], which PostgreSQL assigns to varchar[]; parameters of that type itself would be refused, because diesel
    // writes their elements as text.
    #[diesel(postgres_type(oid = 1009, array_oid = 0))]
    #[diesel(sqlite_type(name = "Text"))]
    pub struct Scopes;

    /// `timestamptz`, or text in ISO 8601.
    #[derive(Debug, Clone, Copy, SqlType, QueryId)]
    #[diesel(postgres_type(oid = 1184, array_oid = 1185))]
    #[diesel(sqlite_type(name = "Text"))]
    pub struct Moment;

    /// `uuid`, or its text.
    #[derive(Debug, Clone, Copy, SqlType, QueryId)]
    #[diesel(postgres_type(oid = 2950, array_oid = 2951))]
    #[diesel(sqlite_type(name = "Text"))]
    pub struct ApplicationId;
}

diesel::table! {
    posthog_user (id) {
        id -> Integer,
        email -> Text,
        distinct_id -> Nullable<Text>,
        is_active -> Bool,
        current_team_id -> Nullable<Integer>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::sql_types::{Moment, Scopes};

    posthog_personalapikey (id) {
        id -> Text,
        label -> Text,
        secure_value -> Nullable<Text>,
        scopes -> Nullable<Scopes>,
        created_at -> Moment,
        last_used_at -> Nullable<Moment>,
        user_id -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::sql_types::{ApplicationId, Moment};

    posthog_oauthaccesstoken (id) {
        id -> BigInt,
        token_checksum -> Nullable<Text>,
        scope -> Text,
        expires -> Moment,
        application_id -> Nullable<ApplicationId>,
        user_id -> Nullable<Integer>,
    }
}

diesel::joinable!(posthog_personalapikey -> posthog_user (user_id));
diesel::joinable!(posthog_oauthaccesstoken -> posthog_user (user_id));
diesel::allow_tables_to_appear_in_same_query!(posthog_user, posthog_personalapikey, posthog_oauthaccesstoken);

/// The scopes of a personal API key.
#[derive(Debug, FromSqlRow, AsExpression)]
#[diesel(sql_type = sql_types::Scopes)]
pub(super) struct ScopeList(pub(super) Vec<String>);

/// A point in time.
#[derive(Debug, FromSqlRow)]
pub(super) struct Moment(pub(super) DateTime<Utc>);

/// An OAuth application's id.
#[derive(Debug, FromSqlRow)]
pub(super) struct ApplicationId(pub(super) uuid::Uuid);

impl ScopeList {
    /// The scopes of a column that may be NULL.
    pub(super) fn scopes(column: Option<Self>) -> Scopes {
        column.map_or_else(Scopes::none, |list| list.0.into_iter().collect())
    }
}

impl FromSql<sql_types::Scopes, Pg> for ScopeList {
    fn from_sql(value: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let scopes = <Vec<Option<String>> as FromSql<Array<Nullable<Text>>, Pg>>::from_sql(value)?;
        Ok(Self(scopes.into_iter().flatten().collect()))
    }
}

impl FromSql<sql_types::Scopes, Sqlite> for ScopeList {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let text = <String as FromSql<Text, Sqlite>>::from_sql(value)?;
        Ok(Self(text.split_whitespace().map(str::to_owned).collect()))
    }
}

impl ToSql<sql_types::Scopes, Pg> for ScopeList {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<Array<Text>, Pg>::to_sql(&self.0, out)
    }
}

impl ToSql<sql_types::Scopes, Sqlite> for ScopeList {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.join(" "));
        Ok(serialize::IsNull::No)
    }
}

impl FromSql<sql_types::Moment, Pg> for Moment {
    fn from_sql(value: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        <DateTime<Utc> as FromSql<Timestamptz, Pg>>::from_sql(value).map(Self)
    }
}

impl FromSql<sql_types::Moment, Sqlite> for Moment {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        <DateTime<Utc> as FromSql<TimestamptzSqlite, Sqlite>>::from_sql(value).map(Self)
    }
}

impl FromSql<sql_types::ApplicationId, Pg> for ApplicationId {
    fn from_sql(value: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        <uuid::Uuid as FromSql<diesel::sql_types::Uuid, Pg>>::from_sql(value).map(Self)
    }
}

impl FromSql<sql_types::ApplicationId, Sqlite> for ApplicationId {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let text = <String as FromSql<Text, Sqlite>>::from_sql(value)?;
        Ok(Self(uuid::Uuid::try_parse(&text)?))
    }
}
