//! What outlives the process: the database that tokens are looked up in, and the counters that instances share.
//!
//! One query text serves PostgreSQL and SQLite; `on_db!` type-checks it once for each.

pub mod api_keys;
pub mod counters;
pub mod database;
pub mod listen;
pub mod migrations;
pub mod oauth_tokens;
mod schema;
pub mod spool;
mod tls;
pub mod users;
