//! The connections to Redis: a pool to one server, or a cluster's own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bb8_redis::{RedisConnectionManager, bb8};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use redis::aio::ConnectionLike;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{Client, Cmd, IntoConnectionInfo as _, Pipeline, RedisError, Script, TlsCertificates, Value};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::ExposeSecret;
use tokio::sync::Mutex;

use super::{ANSWER_TIMEOUT, CountersError};
use crate::config::database::Redis as Settings;

/// How long a connection may take to be made or to come free.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// Connections held at one time.
const POOL_SIZE: u32 = 8;

/// Commands that are under way at one time in a cluster, where none is in a pipeline.
const CLUSTER_BREADTH: usize = 64;

/// One server, or a cluster of them. Clones share their connections.
#[derive(Clone)]
pub(super) enum Server {
    One(bb8::Pool<RedisConnectionManager>),
    Cluster { client: Box<ClusterClient>, connection: Arc<Mutex<Option<ClusterConnection>>> },
}

/// Where Redis is, by the settings.
pub(super) enum Place {
    One(Box<RedisConnectionManager>),
    Cluster(Box<ClusterClient>),
}

impl Place {
    pub(super) fn named(settings: &Settings) -> Result<Option<Self>, CountersError> {
        let Some(url) = settings.url.as_ref().map(ExposeSecret::expose_secret) else { return Ok(None) };
        let authorities = settings.ca_file.as_deref().map(authorities_of).transpose()?;
        let place = if settings.cluster { Self::cluster(url, authorities) } else { Self::one(url, authorities) };
        place.map(Some).map_err(CountersError::Setting)
    }

    fn one(url: &str, authorities: Option<TlsCertificates>) -> Result<Self, RedisError> {
        let info = match authorities {
            Some(authorities) => Client::build_with_tls(url, authorities)?.get_connection_info().clone(),
            None => url.into_connection_info()?,
        };
        Ok(Self::One(Box::new(RedisConnectionManager::new(info)?)))
    }

    fn cluster(url: &str, authorities: Option<TlsCertificates>) -> Result<Self, RedisError> {
        let mut builder = ClusterClient::builder([url])
            .connection_timeout(CONNECT_TIMEOUT)
            .response_timeout(ANSWER_TIMEOUT)
            .retries(1);
        if let Some(authorities) = authorities {
            builder = builder.certs(authorities);
        }
        Ok(Self::Cluster(Box::new(builder.build()?)))
    }
}

impl Server {
    pub(super) fn at(place: Place) -> Self {
        match place {
            Place::One(manager) => Self::One(
                bb8::Pool::builder()
                    .max_size(POOL_SIZE)
                    .connection_timeout(CONNECT_TIMEOUT)
                    // A connection that was cut is found out before it is used.
                    .test_on_check_out(true)
                    .build_unchecked(*manager),
            ),
            Place::Cluster(client) => Self::Cluster { client, connection: Arc::default() },
        }
    }

    pub(super) fn is_cluster(&self) -> bool {
        match self {
            Self::One(_) => false,
            Self::Cluster { .. } => true,
        }
    }

    pub(super) async fn query(&self, commands: &Pipeline) -> Result<Vec<Value>, CountersError> {
        match self {
            Self::One(pool) => {
                let mut connection = pool.get().await.map_err(|_| CountersError::Connect)?;
                Ok(commands.query_async(&mut *connection).await?)
            }
            Self::Cluster { client, connection } => {
                let cluster = Self::connected(client, connection).await?;
                let answers = commands.cmd_iter().map(|command| {
                    let mut cluster = cluster.clone();
                    async move { one(&mut cluster, command).await }
                });
                Ok(stream::iter(answers).buffered(CLUSTER_BREADTH).try_collect().await?)
            }
        }
    }

    async fn connected(
        client: &ClusterClient,
        connection: &Mutex<Option<ClusterConnection>>,
    ) -> Result<ClusterConnection, CountersError> {
        let mut held = connection.lock().await;
        if let Some(connection) = &*held {
            return Ok(connection.clone());
        }
        let connection = client.get_async_connection().await?;
        Ok(held.insert(connection).clone())
    }

    pub(super) async fn load(&self, script: &Script, text: &str) -> Result<(), CountersError> {
        match self {
            Self::One(pool) => {
                let mut connection = pool.get().await.map_err(|_| CountersError::Connect)?;
                script.prepare_invoke().load_async(&mut *connection).await?;
            }
            Self::Cluster { client, connection } => {
                let mut cluster = Self::connected(client, connection).await?;
                // Sent to all of its nodes.
                let mut load = redis::cmd("SCRIPT");
                load.arg("LOAD").arg(text);
                one(&mut cluster, &load).await?;
            }
        }
        Ok(())
    }
}

async fn one(connection: &mut impl ConnectionLike, command: &Cmd) -> Result<Value, RedisError> {
    command.query_async(connection).await
}

/// Those whose signature is taken for a server's, from a PEM file.
fn authorities_of(path: &Path) -> Result<TlsCertificates, CountersError> {
    let unusable = |reason: String| CountersError::CaFile { path: path.to_owned(), reason };
    let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    let mut certificates = CertificateDer::pem_slice_iter(&pem);
    match certificates.next() {
        None => Err(unusable("it holds no certificate".to_owned())),
        Some(Err(error)) => Err(unusable(error.to_string())),
        Some(Ok(_)) => Ok(TlsCertificates { client_tls: None, root_cert: Some(pem) }),
    }
}
