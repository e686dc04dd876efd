//! Hears that keys have changed, on a connection of its own.
//!
//! PostgreSQL: LISTEN, with the token's hash as payload. SQLite: its `data_version`, looked at four times a second. A watch that
//! had to reconnect says so, because nobody knows what was said meanwhile.

use std::path::PathBuf;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::sqlite::SqliteConnection;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection as _};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::auth::token::TokenHash;
use crate::store::database::{Database, Pools, SqliteFile, StoreError, Target, sqlite_setup, sqlite_uri};

/// Where changed keys are told of.
const CHANNEL: &str = "llm_gateway_keys";

/// How often a silent connection is asked whether it still lives, and so how late a lost one is noticed.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// How soon LISTEN is tried again where it could not be had: after a failover it may be possible.
const DEAF_FOR: Duration = Duration::from_secs(60);

/// How long the watch waits for its own voice.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// How often SQLite is looked at.
const POLL: Duration = Duration::from_millis(250);

/// The first pause before a connection is tried again; doubles up to the second.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// What is said on the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// This token's key or access token was made, changed or deleted.
    Token(TokenHash),
    /// Any of them may have changed.
    Everything,
    /// A gateway tries whether it hears itself.
    Probe(u64),
}

impl Notice {
    /// The notice for a key that is stored under `secure_value`.
    pub fn of_secure_value(secure_value: Option<&str>) -> Self {
        secure_value
            .and_then(|value| value.strip_prefix("sha256$"))
            .and_then(TokenHash::from_hex)
            .map_or(Self::Everything, Self::Token)
    }

    /// How it is written.
    pub fn payload(self) -> String {
        match self {
            Self::Token(hash) => hash.hex(),
            Self::Everything => "*".to_owned(),
            Self::Probe(number) => format!("probe:{number}"),
        }
    }

    /// Reads what another gateway, a command or a trigger wrote.
    pub fn parse(payload: &str) -> Option<Self> {
        if payload == "*" {
            return Some(Self::Everything);
        }
        if let Some(number) = payload.strip_prefix("probe:") {
            return number.parse().ok().map(Self::Probe);
        }
        TokenHash::from_hex(payload).map(Self::Token)
    }
}

/// What a watch has to say.
#[derive(Debug)]
pub enum Change {
    /// From now on changes are heard. What happened before is unknown.
    Listening,
    /// The database answers, but changes cannot be heard: it is a standby, or behind a proxy that pools transactions.
    Deaf(String),
    /// One token's key has changed.
    Token(TokenHash),
    /// Any key may have changed.
    Everything,
    /// Changes are not heard at the moment; the connection was lost.
    Cut,
    /// No connection could be had, or it failed at once.
    Gone(StoreError),
}

/// A PostgreSQL session that listens.
struct Session {
    client: tokio_postgres::Client,
    payloads: mpsc::UnboundedReceiver<String>,
}

/// Watches a database for changes.
pub struct Watch {
    database: Database,
    state: State,
    failures: u32,
}

enum State {
    Apart,
    Listening(Session),
    Deaf,
    Polling { connection: SqliteConnection, version: i64 },
}

impl Watch {
    /// Connects to nothing yet.
    pub fn new(database: Database) -> Self {
        Self { database, state: State::Apart, failures: 0 }
    }

    /// The next thing to say. Waits by itself before it tries to connect again.
    pub async fn next(&mut self) -> Change {
        match std::mem::replace(&mut self.state, State::Apart) {
            State::Apart => self.connect().await,
            State::Listening(session) => self.listen(session).await,
            State::Deaf => {
                sleep(DEAF_FOR).await;
                self.connect().await
            }
            State::Polling { connection, version } => self.poll(connection, version).await,
        }
    }

    async fn connect(&mut self) -> Change {
        if let Some(doublings) = self.failures.checked_sub(1) {
            let (first, last) = BACKOFF;
            let pause = first.saturating_mul(2_u32.saturating_pow(doublings)).min(last);
            // Gateways that lost the same server do not all come back at the same moment.
            sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
        }
        let change = match self.database.target().clone() {
            Target::Postgres(postgres) => match postgres.session(self.database.connect_timeout()).await {
                Ok((client, payloads)) => self.begin_to_listen(Session { client, payloads }).await,
                Err(error) => Change::Gone(StoreError::Unreachable(error.to_string())),
            },
            Target::Sqlite(path) => self.begin_to_poll(path).await,
        };
        self.failures = if matches!(change, Change::Gone(_)) { self.failures.saturating_add(1) } else { 0 };
        change
    }

    async fn begin_to_listen(&mut self, mut session: Session) -> Change {
        let within = self.database.query_timeout();
        match timeout(within, session.client.batch_execute(&format!("LISTEN {CHANNEL}"))).await {
            Err(_) => return Change::Gone(StoreError::Timeout(within)),
            Ok(Err(error)) if session.client.is_closed() => {
                return Change::Gone(StoreError::Unreachable(error.to_string()));
            }
            Ok(Err(error)) => {
                return self.become_deaf(
                    error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned()),
                );
            }
            Ok(Ok(())) => {}
        }
        // A proxy that pools transactions takes LISTEN and delivers nothing. So it is tried, and from another connection: on
        // this one the proxy might happen to deliver.
        let probe = Notice::Probe(fastrand::u64(..));
        if let Err(error) = tell(&self.database, probe).await {
            return match error {
                StoreError::Refused(error) => self.become_deaf(error.to_string()),
                error @ (StoreError::Unreachable(_)
                | StoreError::NoConnection(_)
                | StoreError::Lost(_)
                | StoreError::Timeout(_)
                | StoreError::Abandoned) => Change::Gone(error),
            };
        }
        let own_voice = async {
            while let Some(payload) = session.payloads.recv().await {
                if Notice::parse(&payload) == Some(probe) {
                    return true;
                }
            }
            false
        };
        let heard = timeout(PROBE_TIMEOUT, own_voice).await;
        match heard {
            Ok(true) => {
                self.state = State::Listening(session);
                Change::Listening
            }
            Ok(false) => Change::Cut,
            Err(_) => self.become_deaf("notifications do not arrive".to_owned()),
        }
    }

    fn become_deaf(&mut self, reason: String) -> Change {
        self.state = State::Deaf;
        Change::Deaf(reason)
    }

    async fn listen(&mut self, mut session: Session) -> Change {
        loop {
            let change = match timeout(HEARTBEAT, session.payloads.recv()).await {
                Ok(Some(payload)) => match Notice::parse(&payload) {
                    Some(Notice::Token(hash)) => Change::Token(hash),
                    Some(Notice::Everything) => Change::Everything,
                    // Another gateway that tries its ears, or words of a later version.
                    Some(Notice::Probe(_)) | None => continue,
                },
                Ok(None) => return Change::Cut,
                Err(_) => {
                    match timeout(self.database.query_timeout(), session.client.batch_execute("SELECT 1")).await {
                        Ok(Ok(())) => continue,
                        Ok(Err(_)) | Err(_) => return Change::Cut,
                    }
                }
            };
            self.state = State::Listening(session);
            return change;
        }
    }

    async fn begin_to_poll(&mut self, path: PathBuf) -> Change {
        let busy = self.database.query_timeout();
        let opened = tokio::task::spawn_blocking(move || {
            let mut connection = SqliteConnection::establish(&sqlite_uri(&path, SqliteFile::MustExist))
                .map_err(|error| StoreError::Unreachable(format!("{}: {error}", path.display())))?;
            connection.batch_execute(&sqlite_setup(busy))?;
            let version = data_version(&mut connection)?;
            Ok((connection, version))
        });
        match opened.await.unwrap_or(Err(StoreError::Abandoned)) {
            Ok((connection, version)) => {
                self.state = State::Polling { connection, version };
                Change::Listening
            }
            Err(error) => Change::Gone(error),
        }
    }

    async fn poll(&mut self, connection: SqliteConnection, version: i64) -> Change {
        let mut connection = connection;
        loop {
            sleep(POLL).await;
            let looked = tokio::task::spawn_blocking(move || {
                let version = data_version(&mut connection);
                (connection, version)
            });
            let Ok((back, Ok(found))) = looked.await else { return Change::Cut };
            if found != version {
                self.state = State::Polling { connection: back, version: found };
                return Change::Everything;
            }
            connection = back;
        }
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("database", &self.database).finish_non_exhaustive()
    }
}

/// Says something to every gateway on this database. SQLite's gateways notice by themselves.
///
/// # Errors
/// When the database cannot answer, or refuses.
pub async fn tell(database: &Database, notice: Notice) -> Result<(), StoreError> {
    database.persist(|database| tell_once(database, notice)).await
}

async fn tell_once(database: Database, notice: Notice) -> Result<(), StoreError> {
    match database.pools() {
        Pools::Postgres(pool) => {
            let mut lease = database.lease(pool).await?;
            let told = timeout(database.query_timeout(), notify(&mut lease, notice)).await;
            database.settle(&mut lease, told).await
        }
        Pools::Sqlite(_) => Ok(()),
    }
}

/// NOTIFY, as part of what the connection is doing.
pub(super) async fn notify(connection: &mut AsyncPgConnection, notice: Notice) -> QueryResult<()> {
    // Nothing that a payload may be has to be quoted.
    connection.batch_execute(&format!("NOTIFY {CHANNEL}, '{}'", notice.payload())).await
}

/// Changes whenever another connection has changed the file: <https://www.sqlite.org/pragma.html#pragma_data_version>.
fn data_version(connection: &mut SqliteConnection) -> QueryResult<i64> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        data_version: i64,
    }
    let row: Row = diesel::sql_query("PRAGMA data_version").get_result(connection)?;
    Ok(row.data_version)
}

#[cfg(test)]
mod tests {
    use super::Notice;
    use crate::auth::token::TokenHash;

    #[test]
    fn notices_are_read_as_they_were_written() {
        for notice in [Notice::Token(TokenHash::of("phx_a")), Notice::Everything, Notice::Probe(u64::MAX)] {
            assert_eq!(Notice::parse(&notice.payload()), Some(notice));
        }
    }

    #[test]
    fn words_of_others_are_no_notice() {
        for payload in ["", "probe:", "probe:x", "**", "deadbeef", "sha256$00"] {
            assert_eq!(Notice::parse(payload), None, "{payload:?}");
        }
    }

    #[test]
    fn a_key_stored_in_an_older_way_concerns_everything() {
        let hash = TokenHash::of("phx_a");
        assert_eq!(Notice::of_secure_value(Some(&hash.secure_value())), Notice::Token(hash));
        for older in [None, Some("pbkdf2_sha256$260000$temporary_salt$x"), Some("sha256$short")] {
            assert_eq!(Notice::of_secure_value(older), Notice::Everything);
        }
    }
}
