//! Makes connections: name, TCP, TLS, all within one deadline.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_http::Uri;
use actix_rt::net::TcpStream;
use actix_rt::time::{sleep, timeout};
use actix_service::Service;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use rustls::pki_types::{CertificateDer, IpAddr, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use url::Host;

use super::scope::Call;
use super::wire::{Stream, Wire};
use crate::upstream::classify::CallError;
use crate::upstream::endpoint::{Origin, Transport};

/// How long one address may be silent before the next is tried beside it (RFC 8305, 5).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// Whom to trust. Clones share their sessions, so that connections of all threads resume each other's.
#[derive(Clone, Debug)]
pub struct Tls(Arc<ClientConfig>);

impl Tls {
    /// Mozilla's roots.
    ///
    /// # Errors
    /// If the TLS library refuses its own protocol versions.
    pub fn web() -> Result<Self, rustls::Error> {
        Self::with_roots(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
    }

    /// One root: a test's, or a company's own.
    ///
    /// # Errors
    /// If the certificate is none.
    pub fn trusting(root: CertificateDer<'static>) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(root)?;
        Self::with_roots(roots)
    }

    fn with_roots(roots: RootCertStore) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = versions.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

/// Connects to one origin, for awc.
#[derive(Clone)]
pub(super) struct Dial(Rc<Target>);

struct Target {
    origin: Origin,
    tls: Tls,
}

impl Dial {
    pub(super) fn new(origin: Origin, tls: Tls) -> Self {
        Self(Rc::new(Target { origin, tls }))
    }
}

impl Service<ConnectInfo<Uri>> for Dial {
    type Response = Connection<Uri, Wire>;
    type Error = ConnectError;
    type Future = LocalBoxFuture<'static, Result<Self::Response, ConnectError>>;

    actix_service::always_ready!();

    fn call(&self, info: ConnectInfo<Uri>) -> Self::Future {
        let target = Rc::clone(&self.0);
        Box::pin(async move {
            let call = Call::current();
            let limit = call.as_ref().map_or(Duration::from_secs(5), |call| call.connect_timeout);
            let begun = Instant::now();
            let dialled = match timeout(limit, target.connect()).await {
                Ok(Ok(stream)) => Ok(stream),
                Ok(Err(error)) => Err(CallError::Connect(in_words(&error))),
                Err(_) => Err(CallError::ConnectTimeout),
            };
            match (dialled, call) {
                (Ok(stream), call) => {
                    if let Some(call) = call {
                        call.connected(begun.elapsed());
                    }
                    Ok(Connection::new(info.request().clone(), Wire::new(stream)))
                }
                (Err(error), call) => {
                    let told = io::Error::other(error.to_string());
                    if let Some(call) = call {
                        call.could_not_connect(error);
                    }
                    Err(ConnectError::Io(told))
                }
            }
        })
    }
}

impl Target {
    async fn connect(&self) -> io::Result<Stream> {
        let tcp = self.tcp().await?;
        // A small write must not wait for the last one's acknowledgement.
        tcp.set_nodelay(true)?;
        match self.origin.transport {
            Transport::Plain => Ok(Stream::Plain(tcp)),
            Transport::Tls => {
                let connector = TlsConnector::from(Arc::clone(&self.tls.0));
                let tls = connector.connect(self.server_name()?, tcp).await?;
                Ok(Stream::Tls(Box::new(tls)))
            }
        }
    }

    async fn tcp(&self) -> io::Result<TcpStream> {
        let port = self.origin.port;
        let addresses: Vec<SocketAddr> = match &self.origin.host {
            Host::Domain(name) => tokio::net::lookup_host((name.as_str(), port)).await?.collect(),
            Host::Ipv4(ip) => vec![(*ip, port).into()],
            Host::Ipv6(ip) => vec![(*ip, port).into()],
        };
        first_to_answer(addresses).await
    }

    fn server_name(&self) -> io::Result<ServerName<'static>> {
        match &self.origin.host {
            Host::Domain(name) => ServerName::try_from(name.clone()).map_err(io::Error::other),
            Host::Ipv4(ip) => Ok(ServerName::IpAddress(IpAddr::from(std::net::IpAddr::V4(*ip)))),
            Host::Ipv6(ip) => Ok(ServerName::IpAddress(IpAddr::from(std::net::IpAddr::V6(*ip)))),
        }
    }
}

/// Tries the addresses in their order, the next as soon as one fails or is silent for a while; the first wins.
async fn first_to_answer(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    let mut waiting = addresses.into_iter();
    let mut trying = FuturesUnordered::new();
    trying.extend(waiting.next().map(TcpStream::connect));
    while !trying.is_empty() {
        tokio::select! {
            biased;
            Some(tried) = trying.next() => match tried {
                Ok(stream) => return Ok(stream),
                Err(failed) => error = failed,
            },
            () = sleep(NEXT_ADDRESS_AFTER), if waiting.len() > 0 => {}
        }
        trying.extend(waiting.next().map(TcpStream::connect));
    }
    Err(error)
}

/// What went wrong, without the addresses of our network.
fn in_words(error: &io::Error) -> String {
    let kind = error.kind();
    if kind == io::ErrorKind::ConnectionRefused {
        "connection refused".to_owned()
    } else if matches!(kind, io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) {
        "the connection was closed during the handshake".to_owned()
    } else {
        error.to_string()
    }
}
