//! A caller that writes its bytes itself: for requests that no HTTP library would send, and for leaving in mid-call.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::wait;

/// One connection. Dropped: closed.
#[derive(Debug)]
pub(crate) struct RawClient {
    stream: TcpStream,
    heard: Vec<u8>,
}

impl RawClient {
    /// Connects.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, heard: Vec::new() }
    }

    /// Sends bytes as they are.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends a POST of JSON with a length, and more header lines (each ending in CR LF) where given.
    pub(crate) async fn post(&mut self, path: &str, headers: &str, body: &str) {
        let length = body.len();
        self.send(format!(
            "POST {path} HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        ))
        .await;
    }

    /// Says that nothing more will be sent, and stays to listen.
    pub(crate) async fn finish_sending(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Reads until what was heard so far holds `text`; returns all of it.
    ///
    /// # Panics
    /// When the connection ends first, with what was heard instead.
    pub(crate) async fn hear(&mut self, text: &str) -> String {
        while !self.text().contains(text) {
            let more = wait::within(text, self.stream.read_buf(&mut self.heard)).await.unwrap();
            assert!(more > 0, "the connection ended before {text:?}: {:?}", self.text());
        }
        self.text()
    }

    /// Reads about so many bytes, and no more.
    pub(crate) async fn take(&mut self, bytes: usize) {
        let most = self.heard.len() + bytes;
        while self.heard.len() < most {
            let mut rest = (&mut self.stream).take((most - self.heard.len()) as u64);
            let more = wait::within("more of the answer", rest.read_buf(&mut self.heard)).await.unwrap();
            assert!(more > 0, "the connection ended after {} bytes", self.heard.len());
        }
    }

    /// Reads until the gateway closes the connection, orderly or not; returns all that was heard.
    pub(crate) async fn hear_all(&mut self) -> String {
        while let Ok(1..) = wait::within("the end of the connection", self.stream.read_buf(&mut self.heard)).await {}
        self.text()
    }

    /// The status of the answer, once its first line is there.
    pub(crate) async fn status(&mut self) -> u16 {
        let heard = self.hear("\r\n").await;
        heard
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or_else(|| panic!("no status in {heard:?}"))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.heard).into_owned()
    }
}
