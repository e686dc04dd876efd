//! Sessions with a PostgreSQL server, and the transactions that questions are put in.

use std::time::Duration;

use diesel::ConnectionError;
use diesel::connection::CacheSize;
use diesel::result::Error as QueryError;
use diesel_async::{AsyncConnection as _, AsyncPgConnection, SimpleAsyncConnection as _};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config;
use crate::store::database::OpenError;
use crate::store::tls::TlsWish;

/// When the system gives up on a peer that went silent without a goodbye.
const DEAD_PEER: Duration = Duration::from_secs(30);

/// A PostgreSQL server and how to speak to it.
pub(in crate::store) struct Postgres {
    config: tokio_postgres::Config,
    tls: Option<MakeRustlsConnect>,
}

impl Postgres {
    /// Reads a URL. Connects to nothing.
    pub(super) fn read(url: &str, config: &config::database::Database) -> Result<Self, OpenError> {
        let (url, tls) = TlsWish::take_from(url)?;
        let mut settings: tokio_postgres::Config = url.parse().map_err(|error| OpenError::Url(sentence(&error)))?;
        settings.ssl_mode(tls.ssl_mode()).keepalives_idle(DEAD_PEER).tcp_user_timeout(DEAD_PEER);
        if settings.get_application_name().is_none() {
            settings.application_name("llm-gateway");
        }
        if settings.get_connect_timeout().is_none() {
            settings.connect_timeout(config.connect_timeout);
        }
        Ok(Self { config: settings, tls: tls.connector()? })
    }

    /// A connection that questions can be put to.
    pub(in crate::store) async fn connect(&self, within: Duration) -> Result<AsyncPgConnection, ConnectionError> {
        let connecting = async {
            let (client, _) = self.session(within).await?;
            // A proxy that pools transactions may stand between, and give each transaction to another server session. The
            // setting-up that diesel does is a prepared statement, so it has to be within one.
            client.batch_execute("BEGIN").await.map_err(bad)?;
            let mut connection = AsyncPgConnection::try_from(client).await?;
            connection.batch_execute("COMMIT").await.map_err(ConnectionError::CouldntSetupConfiguration)?;
            connection.set_prepared_statement_cache_size(CacheSize::Disabled);
            Ok(connection)
        };
        match timeout(within, connecting).await {
            Ok(connection) => connection,
            Err(_) => Err(ConnectionError::BadConnection(format!("no answer within {within:?}"))),
        }
    }

    /// A session without diesel, and the payloads of the notifications that it hears. Ends when the client is dropped.
    pub(in crate::store) async fn session(
        &self,
        within: Duration,
    ) -> Result<(tokio_postgres::Client, mpsc::UnboundedReceiver<String>), ConnectionError> {
        let connecting = async {
            let (payloads, heard) = mpsc::unbounded_channel();
            let client = match &self.tls {
                Some(tls) => {
                    let (client, connection) = self.config.connect(tls.clone()).await.map_err(bad)?;
                    tokio::spawn(drive(connection, payloads));
                    client
                }
                None => {
                    let (client, connection) = self.config.connect(tokio_postgres::NoTls).await.map_err(bad)?;
                    tokio::spawn(drive(connection, payloads));
                    client
                }
            };
            Ok((client, heard))
        };
        match timeout(within, connecting).await {
            Ok(session) => session,
            Err(_) => Err(ConnectionError::BadConnection(format!("no answer within {within:?}"))),
        }
    }
}

/// Moves a session's bytes until its client is dropped or the server leaves; then the notifications end, too.
async fn drive<S>(
    mut connection: tokio_postgres::Connection<tokio_postgres::Socket, S>,
    payloads: mpsc::UnboundedSender<String>,
) where
    S: tokio_postgres::tls::TlsStream + Unpin,
{
    while let Some(Ok(message)) = std::future::poll_fn(|task| connection.poll_message(task)).await {
        if let tokio_postgres::AsyncMessage::Notification(notification) = message {
            // Where nobody listens, nothing was asked for, and nothing comes.
            let _ = payloads.send(notification.payload().to_owned());
        }
    }
}

fn bad(error: tokio_postgres::Error) -> ConnectionError {
    ConnectionError::BadConnection(sentence(&error))
}

/// Opens the transaction that a question is put in.
pub(in crate::store) async fn begin(connection: &mut AsyncPgConnection) -> Result<(), QueryError> {
    connection.batch_execute("BEGIN").await
}

/// Ends it, as its answer says.
pub(in crate::store) async fn end<T>(
    connection: &mut AsyncPgConnection,
    answer: Result<T, QueryError>,
) -> Result<T, QueryError> {
    match answer {
        Ok(answer) => connection.batch_execute("COMMIT").await.map(|()| answer),
        Err(error) => {
            // If that fails, so will the next question, and the connection is dropped.
            let _ = connection.batch_execute("ROLLBACK").await;
            Err(error)
        }
    }
}

/// An error with its causes.
fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
