//! Makes the tables that are missing, and leaves those that are there alone.

use std::path::Path;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use diesel_async::{AsyncMigrationHarness, SimpleAsyncConnection as _};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::config;
use crate::store::database::postgres::Postgres;
use crate::store::database::{OpenError, SqliteFile, Target, sqlite_setup, sqlite_uri};
use crate::store::schema::posthog_user as users;

const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Two gateways that migrate at once take turns: a number of our own, held while the tables are made.
const TURN: i64 = 0x6c6c_6d5f_6777;

/// How long SQLite waits for another writer.
const SQLITE_BUSY: Duration = Duration::from_secs(10);

/// Why the tables could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database's setting cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database is out of reach.
    #[error("the database cannot be reached: {0}")]
    Connect(#[from] ConnectionError),
    /// The database refused.
    #[error("the database refused: {0}")]
    Refused(#[from] diesel::result::Error),
    /// A migration failed.
    #[error("a migration failed: {0}")]
    Migration(Box<dyn std::error::Error + Send + Sync>),
    /// The folder of SQLite's file cannot be made.
    #[error("{path} cannot be made: {source}")]
    Folder {
        /// The folder.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// There was no thread to do it on.
    #[error("the migration's own thread failed: {0}")]
    Thread(String),
}

/// Makes what is missing and returns the names of the migrations that ran, none if all had run before.
///
/// Blocks; runs on a thread of its own, because diesel-async's harness panics on a single-threaded runtime.
///
/// # Errors
/// When the database's setting cannot be used, it is out of reach, or it refuses.
pub fn run(config: &config::database::Database) -> Result<Vec<String>, MigrateError> {
    let within = config.connect_timeout;
    match Target::read(config)? {
        Target::Postgres(postgres) => on_a_thread(move || migrate_postgres(&postgres, within)),
        Target::Sqlite(path) => on_a_thread(move || migrate_sqlite(&mut open_sqlite(&path)?)),
    }
}

/// Makes a SQLite file, its tables, and user 1 in team 1, where they are missing. The development key is not stored.
///
/// Blocks.
///
/// # Errors
/// When the file cannot be made or written.
pub fn prepare_development(path: &Path) -> Result<(), MigrateError> {
    let path = path.to_owned();
    on_a_thread(move || {
        let mut connection = open_sqlite(&path)?;
        migrate_sqlite(&mut connection)?;
        diesel::insert_into(users::table)
            .values((
                users::id.eq(1),
                users::email.eq("developer@localhost"),
                users::distinct_id.eq("developer"),
                users::current_team_id.eq(1),
            ))
            .on_conflict_do_nothing()
            .execute(&mut connection)?;
        Ok(())
    })
}

fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MigrateError> + Send + 'static,
) -> Result<T, MigrateError> {
    std::thread::Builder::new()
        .name("migrate".to_owned())
        .spawn(work)
        .map_err(|error| MigrateError::Thread(error.to_string()))?
        .join()
        .unwrap_or_else(|_| Err(MigrateError::Thread("it panicked".to_owned())))
}

fn migrate_postgres(postgres: &Postgres, within: Duration) -> Result<Vec<String>, MigrateError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| MigrateError::Thread(error.to_string()))?;
    runtime.block_on(async {
        let mut connection = postgres.connect(within).await?;
        connection.batch_execute(&format!("SELECT pg_advisory_lock({TURN})")).await?;
        let mut harness = AsyncMigrationHarness::new(connection);
        let ran = migrate(&mut harness, POSTGRES)?;
        harness.into_inner().batch_execute(&format!("SELECT pg_advisory_unlock({TURN})")).await?;
        Ok(ran)
    })
}

fn open_sqlite(path: &Path) -> Result<SqliteConnection, MigrateError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .map_err(|source| MigrateError::Folder { path: folder.display().to_string(), source })?;
    }
    let mut connection = SqliteConnection::establish(&sqlite_uri(path, SqliteFile::Made))?;
    connection.batch_execute(&sqlite_setup(SQLITE_BUSY))?;
    // Readers and a writer do not wait for each other. Belongs to the file, and stays.
    connection.batch_execute("PRAGMA journal_mode = WAL;")?;
    Ok(connection)
}

fn migrate_sqlite(connection: &mut SqliteConnection) -> Result<Vec<String>, MigrateError> {
    migrate(connection, SQLITE)
}

fn migrate<B: diesel::backend::Backend + 'static>(
    harness: &mut impl MigrationHarness<B>,
    migrations: EmbeddedMigrations,
) -> Result<Vec<String>, MigrateError>
where
    EmbeddedMigrations: diesel::migration::MigrationSource<B>,
{
    let ran = harness.run_pending_migrations(migrations).map_err(MigrateError::Migration)?;
    Ok(ran.into_iter().map(|version| version.to_string()).collect())
}
