//! Connections to PostgreSQL or SQLite, made when they are needed.
//!
//! Opening a [`Database`] connects to nothing: one that is down at start is an error of the first question, and of no later
//! one. Every question has a deadline, for the connection and for the answer. On PostgreSQL, each is a transaction of its own
//! with statements that do not outlive it, so that a proxy that pools transactions may stand between.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bb8::{ErrorSink, ManageConnection, PooledConnection};
use diesel::ConnectionError;
use diesel::result::Error as QueryError;
use diesel_async::pooled_connection::bb8::Pool;
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, PoolError, PoolableConnection, RecyclingMethod,
};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection, TransactionManager};
use futures_util::FutureExt as _;
use secrecy::ExposeSecret as _;
use tokio::sync::watch;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use self::postgres::Postgres;
pub(super) use self::postgres::{begin, end};
use self::sqlite::connect_sqlite;
pub(super) use self::sqlite::{SqliteFile, SqliteLink, sqlite_setup, sqlite_uri};
use crate::config;

pub(super) mod postgres;
mod sqlite;

/// How long nobody tries to connect after it failed, while there is no connection at all.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(250);

/// A database that questions can be put to. Clones share their connections.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    pools: Pools,
    target: Target,
    connect_timeout: Duration,
    query_timeout: Duration,
    pool_size: u32,
    failures: Failures,
}

/// The connections, by the database they lead to.
pub(super) enum Pools {
    Postgres(Pool<AsyncPgConnection>),
    Sqlite(Pool<SqliteLink>),
}

/// Where a database is.
#[derive(Clone)]
pub(super) enum Target {
    Postgres(Arc<Postgres>),
    Sqlite(PathBuf),
}

/// Why a database cannot be used, ever, as it is set. No message holds the URL: it may have a password in it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is none.
    #[error("LLM_GATEWAY_DATABASE_URL (database.url) is not set; set it to postgres://... or sqlite:PATH")]
    Missing,
    /// It is of another kind.
    #[error("LLM_GATEWAY_DATABASE_URL (database.url) must begin with postgres://, postgresql:// or sqlite:")]
    Scheme,
    /// A SQLite URL without a file.
    #[error(
        "LLM_GATEWAY_DATABASE_URL (database.url) must name a file: sqlite:PATH; a database in memory cannot be shared"
    )]
    SqlitePath,
    /// A PostgreSQL URL that cannot be read.
    #[error("LLM_GATEWAY_DATABASE_URL (database.url) cannot be read: {0}")]
    Url(String),
    /// `sslmode` is none of libpq's.
    #[error(
        "sslmode={0} in LLM_GATEWAY_DATABASE_URL (database.url) is unknown; \
         use disable, prefer, require, verify-ca or verify-full"
    )]
    SslMode(String),
    /// `sslrootcert` cannot be used.
    #[error("sslrootcert={path} in LLM_GATEWAY_DATABASE_URL (database.url) cannot be used: {reason}")]
    RootCertificate {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("TLS to the database cannot be set up: {0}")]
    Tls(String),
}

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection could be had.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// All connections were busy, or making one took too long.
    #[error("no connection to the database came free within {0:?}")]
    NoConnection(Duration),
    /// A connection was lost while its answer was waited for.
    #[error("the connection to the database was lost: {0}")]
    Lost(#[source] QueryError),
    /// The answer took too long.
    #[error("the database did not answer within {0:?}")]
    Timeout(Duration),
    /// The question was refused. Missing tables are the common case.
    #[error("the database refused: {0}")]
    Refused(#[from] QueryError),
    /// A bug of ours.
    #[error("a question to the database was not carried through")]
    Abandoned,
}

impl StoreError {
    /// Whether the tables are not there: nobody has run `migrate`, or the URL names another database than it should.
    pub fn is_about_missing_tables(&self) -> bool {
        match self {
            // Neither database's driver has a kind for this one.
            Self::Refused(QueryError::DatabaseError(_, information)) => {
                let message = information.message();
                message.starts_with("no such table")
                    || (message.starts_with("relation") && message.ends_with("does not exist"))
            }
            Self::Refused(_)
            | Self::Unreachable(_)
            | Self::NoConnection(_)
            | Self::Lost(_)
            | Self::Timeout(_)
            | Self::Abandoned => false,
        }
    }
}

/// Asks either database with one text. The body is an expression that awaits a `QueryResult` on the named connection; it must
/// own or copy all that it uses, and the function around it must be called through [`Database::carry_through`].
macro_rules! on_db {
    ($database:expr, |$connection:ident| $query:expr) => {{
        let database: &$crate::store::database::Database = $database;
        match database.pools() {
            $crate::store::database::Pools::Postgres(pool) => {
                let mut lease = database.lease(pool).await?;
                let asked = tokio::time::timeout(database.query_timeout(), async {
                    $crate::store::database::begin(&mut lease).await?;
                    let $connection = &mut *lease;
                    let answer = $query;
                    $crate::store::database::end(&mut lease, answer).await
                })
                .await;
                database.settle(&mut lease, asked).await
            }
            $crate::store::database::Pools::Sqlite(pool) => {
                let mut lease = database.lease(pool).await?;
                let $connection = &mut *lease;
                // Its own busy timeout bounds the wait.
                $query.map_err($crate::store::database::StoreError::from)
            }
        }
    }};
}
pub(super) use on_db;

impl Database {
    /// Reads where the database is. Connects to nothing; has to be called on a thread that runs tasks.
    ///
    /// # Errors
    /// When the URL is missing or cannot be used.
    pub fn open(config: &config::database::Database) -> Result<Self, OpenError> {
        let target = Target::read(config)?;
        let failures = Failures::default();
        let pools = match &target {
            Target::Postgres(postgres) => Pools::Postgres(pool(config, &failures, {
                let (postgres, within) = (postgres.clone(), config.connect_timeout);
                move || {
                    let postgres = postgres.clone();
                    async move { postgres.connect(within).await }
                }
            })),
            Target::Sqlite(path) => Pools::Sqlite(pool(config, &failures, {
                let (path, within) = (path.clone(), config.query_timeout);
                move || connect_sqlite(path.clone(), within)
            })),
        };
        Ok(Self(Arc::new(Inner {
            pools,
            target,
            connect_timeout: config.connect_timeout,
            query_timeout: config.query_timeout,
            pool_size: config.pool_size,
            failures,
        })))
    }

    /// Whether [`Self::open`] could use these settings. Connects to nothing.
    ///
    /// # Errors
    /// When it could not.
    pub fn check(config: &config::database::Database) -> Result<(), OpenError> {
        Target::read(config).map(drop)
    }

    /// Runs a question to its end even if nobody waits for it any more.
    ///
    /// `SyncConnectionWrapper` panics on a single-threaded runtime when a question is dropped before its answer, so none is.
    pub(super) async fn carry_through<T: Send + 'static>(
        question: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        tokio::spawn(question).await.unwrap_or(Err(StoreError::Abandoned))
    }

    /// The same for a question that may be put again: after a restart of the server, every connection of the pool may be one
    /// that was lost, and that is no reason to turn a caller away.
    pub(super) async fn persist<T, F>(&self, question: impl Fn(Self) -> F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        for _ in 0..self.0.pool_size {
            match Self::carry_through(question(self.clone())).await {
                Err(StoreError::Lost(_)) => {}
                answer => return answer,
            }
        }
        Self::carry_through(question(self.clone())).await
    }

    pub(super) fn pools(&self) -> &Pools {
        &self.0.pools
    }

    pub(super) fn target(&self) -> &Target {
        &self.0.target
    }

    pub(super) fn query_timeout(&self) -> Duration {
        self.0.query_timeout
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        self.0.connect_timeout
    }

    /// A connection, soon or not at all: while none is open, one failure to connect answers everybody who waits.
    pub(super) async fn lease<'p, M>(&self, pool: &'p bb8::Pool<M>) -> Result<PooledConnection<'p, M>, StoreError>
    where
        M: ManageConnection<Error = PoolError>,
    {
        let mut failures = self.0.failures.0.subscribe();
        if let Some(failure) = failures.borrow_and_update().as_ref()
            && failure.at.elapsed() < PAUSE_AFTER_FAILURE
            && pool.state().connections == 0
        {
            return Err(StoreError::Unreachable(failure.reason.clone()));
        }
        let mut got = std::pin::pin!(pool.get());
        loop {
            tokio::select! {
                biased;
                lease = &mut got => {
                    return lease.map_err(|error| match error {
                        bb8::RunError::User(error) => StoreError::Unreachable(error.to_string()),
                        bb8::RunError::TimedOut => StoreError::NoConnection(self.0.connect_timeout),
                    });
                }
                Ok(()) = failures.changed() => {
                    let failure = failures.borrow_and_update();
                    if let Some(failure) = failure.as_ref()
                        && pool.state().connections == 0
                    {
                        return Err(StoreError::Unreachable(failure.reason.clone()));
                    }
                }
            }
        }
    }

    /// What came of a question to PostgreSQL. A connection that owes an answer, or was lost, is never used again.
    pub(super) async fn settle<T>(
        &self,
        connection: &mut AsyncPgConnection,
        asked: Result<Result<T, QueryError>, Elapsed>,
    ) -> Result<T, StoreError> {
        let error = match asked {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) if self.still_answers(connection).await => StoreError::Refused(error),
            Ok(Err(error)) => StoreError::Lost(error),
            Err(_) => StoreError::Timeout(self.0.query_timeout),
        };
        if !matches!(error, StoreError::Refused(_)) {
            <AsyncPgConnection as AsyncConnection>::TransactionManager::transaction_manager_status_mut(connection)
                .set_in_error();
        }
        Err(error)
    }

    /// A server that is being stopped says so in an error like any other, and closes the connection a moment later. Only
    /// asking again tells the two apart.
    async fn still_answers(&self, connection: &mut AsyncPgConnection) -> bool {
        !connection.is_broken()
            && matches!(timeout(self.0.query_timeout, connection.batch_execute("SELECT 1")).await, Ok(Ok(())))
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match &self.0.target {
            Target::Postgres(_) => "PostgreSQL",
            Target::Sqlite(_) => "SQLite",
        };
        f.debug_tuple("Database").field(&kind).finish()
    }
}

impl Target {
    pub(super) fn read(config: &config::database::Database) -> Result<Self, OpenError> {
        let url = config.url.as_ref().ok_or(OpenError::Missing)?.expose_secret();
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            let is_file = !path.is_empty() && !path.contains(":memory:") && !path.contains('?');
            return is_file.then(|| Self::Sqlite(path.into())).ok_or(OpenError::SqlitePath);
        }
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(OpenError::Scheme);
        }
        Ok(Self::Postgres(Arc::new(Postgres::read(url, config)?)))
    }
}

/// The last failure to connect, told to all who wait for a connection.
#[derive(Clone, Debug)]
struct Failures(Arc<watch::Sender<Option<Failure>>>);

#[derive(Debug)]
struct Failure {
    at: Instant,
    reason: String,
}

impl Default for Failures {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl ErrorSink<PoolError> for Failures {
    fn sink(&self, error: PoolError) {
        match error {
            PoolError::ConnectionError(error) => {
                self.0.send_replace(Some(Failure { at: Instant::now(), reason: error.to_string() }));
            }
            // A pooled connection turned out to be closed. The pool makes another.
            PoolError::QueryError(_) => {}
        }
    }

    fn boxed_clone(&self) -> Box<dyn ErrorSink<PoolError>> {
        Box::new(self.clone())
    }
}

fn pool<C, F>(
    config: &config::database::Database,
    failures: &Failures,
    connect: impl Fn() -> F + Send + Sync + 'static,
) -> Pool<C>
where
    C: PoolableConnection + 'static,
    AsyncDieselConnectionManager<C>: ManageConnection<Connection = C, Error = PoolError>,
    F: Future<Output = Result<C, ConnectionError>> + Send + 'static,
{
    let mut manager = ManagerConfig::default();
    manager.custom_setup = Box::new(move |_| connect().boxed());
    // Looks, but asks nothing: that would be a round trip for each question. What a look does not show, a deadline does.
    manager.recycling_method = RecyclingMethod::CustomFunction(Box::new(|connection: &mut C| {
        let is_good = !connection.is_broken();
        async move { if is_good { Ok(()) } else { Err(QueryError::BrokenTransactionManager) } }.boxed()
    }));
    Pool::builder()
        .max_size(config.pool_size.max(1))
        .connection_timeout(config.connect_timeout)
        .retry_connection(false)
        .error_sink(failures.boxed_clone())
        .build_unchecked(AsyncDieselConnectionManager::new_with_config("", manager))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::{OpenError, Target};
    use crate::config::database::Database as Settings;

    fn read(url: Option<&str>) -> Result<Target, OpenError> {
        Target::read(&Settings {
            url: url.map(|url| url.to_owned().into()),
            pool_size: 1,
            connect_timeout: Duration::from_secs(1),
            query_timeout: Duration::from_secs(1),
        })
    }

    #[test]
    fn sqlite_urls_name_a_file() {
        for (url, path) in [("sqlite:a.db", "a.db"), ("sqlite:/x/a.db", "/x/a.db"), ("sqlite:///x/a b.db", "/x/a b.db")]
        {
            assert!(matches!(read(Some(url)), Ok(Target::Sqlite(read)) if read == Path::new(path)), "{url}");
        }
        for url in ["sqlite:", "sqlite://", "sqlite::memory:", "sqlite:a.db?mode=memory"] {
            assert!(matches!(read(Some(url)), Err(OpenError::SqlitePath)), "{url}");
        }
    }

    #[test]
    fn postgres_urls_are_read_with_their_passwords_and_options() {
        for url in ["postgres://u:p%40ss@h:1/db", "postgresql://u@h/db?sslmode=disable&application_name=x"] {
            assert!(matches!(read(Some(url)), Ok(Target::Postgres(_))), "{url}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_showing_the_password() {
        for url in [
            None,
            Some("mysql://u:secret@h/db"),
            Some("postgres://u:secret@h:port/db"),
            Some("postgres://u:secret@h/db?x=y"),
        ] {
            let refused = read(url).err().unwrap().to_string();
            assert!(refused.contains("LLM_GATEWAY_DATABASE_URL") && !refused.contains("secret"), "{refused}");
        }
    }
}
