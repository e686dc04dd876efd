//! A provider that does exactly what a test says, byte for byte, in ways that no HTTP library would.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::wait;

/// Listens on loopback, on this test's own thread. Dropped: gone, with all its connections.
pub(crate) struct RawUpstream {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: actix_rt::task::JoinHandle<()>,
}

/// One connection, as the upstream has it. Dropped: closed.
pub(crate) struct RawConnection {
    stream: Box<dyn Duplex>,
    heard: Vec<u8>,
}

trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct RawRequest {
    /// The request line and the headers, as they were written.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl RawRequest {
    /// A header's value by its lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

impl RawUpstream {
    /// `serve` gets each connection with its number, from 0.
    pub(crate) async fn start<F>(serve: impl Fn(usize, RawConnection) -> F + 'static) -> Self
    where
        F: Future<Output = ()> + 'static,
    {
        Self::listen(None, serve).await
    }

    /// The same over TLS, with the certificate that callers have to trust. It is one for `localhost`.
    pub(crate) async fn start_tls<F>(
        serve: impl Fn(usize, RawConnection) -> F + 'static,
    ) -> (Self, CertificateDer<'static>)
    where
        F: Future<Output = ()> + 'static,
    {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
        (Self::listen(Some(TlsAcceptor::from(Arc::new(config))), serve).await, certificate)
    }

    async fn listen<F>(tls: Option<TlsAcceptor>, serve: impl Fn(usize, RawConnection) -> F + 'static) -> Self
    where
        F: Future<Output = ()> + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let task = actix_rt::spawn(async move {
            let mut serving = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let number = counted.fetch_add(1, Ordering::SeqCst);
                let stream: Box<dyn Duplex> = match &tls {
                    None => Box::new(stream),
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => Box::new(stream),
                        // A client that trusts us not.
                        Err(_) => continue,
                    },
                };
                serving.spawn_local(serve(number, RawConnection { stream, heard: Vec::new() }));
            }
        });
        Self { address, connections, task }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were made to it.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for RawUpstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl RawConnection {
    /// The next request, body and all; none when the caller has left.
    pub(crate) async fn request(&mut self) -> Option<RawRequest> {
        let head = self.head().await?;
        let mut request = RawRequest { head, body: Vec::new() };
        let length: usize = request.header("content-length").map_or(0, |length| length.parse().unwrap());
        while self.heard.len() < length {
            self.hear().await?;
        }
        request.body = self.heard.drain(..length).collect();
        Some(request)
    }

    /// The next request's head only. Its body is left unread.
    pub(crate) async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.heard.windows(4).position(|window| window == b"\r\n\r\n") {
                let head: Vec<u8> = self.heard.drain(..end + 4).collect();
                return Some(String::from_utf8(head).unwrap());
            }
            self.hear().await?;
        }
    }

    /// Reads so many bytes of a body and throws them away; how many came.
    pub(crate) async fn read_bytes(&mut self, count: usize) -> usize {
        let mut got = std::mem::take(&mut self.heard).len();
        while got < count && self.hear().await.is_some() {
            got += std::mem::take(&mut self.heard).len();
        }
        got
    }

    /// Sends bytes as they are. A caller that has left is none of its business.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
        let _ = self.stream.flush().await;
    }

    /// An answer with its length.
    pub(crate) async fn answer(&mut self, status: u16, headers: &str, body: &str) {
        let length = body.len();
        self.send(format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}\r\n{body}")).await;
    }

    /// Says goodbye properly: over TLS that is more than closing.
    pub(crate) async fn goodbye(mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// Until the caller has closed.
    pub(crate) async fn closed(&mut self) {
        while self.hear().await.is_some() {}
    }

    async fn hear(&mut self) -> Option<()> {
        match wait::within("a caller's next word", self.stream.read_buf(&mut self.heard)).await {
            Ok(1..) => Some(()),
            Ok(0) | Err(_) => None,
        }
    }
}
