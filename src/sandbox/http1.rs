//! HTTP/1.1 as the sandbox reads it: whole requests off a socket, with nothing about their bytes lost.

use std::io;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Enough for the longest head any client here sends, and for its 16 KiB tokens.
const HEAD_LIMIT: usize = 256 * 1024;
const HEADERS: usize = 128;
const BODY_LIMIT: usize = 64 * 1024 * 1024;

/// What came, and whether it came to its end.
pub(super) struct Incoming {
    pub(super) head: Head,
    pub(super) body: Bytes,
    pub(super) complete: bool,
}

pub(super) struct Head {
    pub(super) raw: Bytes,
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) arrived: Instant,
    pub(super) keep_alive: bool,
}

enum Length {
    Fixed(usize),
    Chunked,
}

/// The reading half of a connection and what was read ahead.
pub(super) struct Inbox {
    half: OwnedReadHalf,
    ahead: BytesMut,
}

impl Inbox {
    pub(super) fn new(half: OwnedReadHalf) -> Self {
        Self { half, ahead: BytesMut::with_capacity(16 * 1024) }
    }

    /// The next request; none when the caller closed between two.
    pub(super) async fn request(&mut self, out: &mut OwnedWriteHalf) -> io::Result<Option<Incoming>> {
        let Some(head) = self.head().await? else { return Ok(None) };
        if value(&head.headers, "expect").is_some_and(|expect| expect.eq_ignore_ascii_case(b"100-continue")) {
            out.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let length = length(&head)?;
        let mut body = BytesMut::new();
        let read = match length {
            Length::Fixed(length) => self.take(length, &mut body).await,
            Length::Chunked => self.chunks(&mut body).await,
        };
        Ok(Some(Incoming { head, body: body.freeze(), complete: read.is_ok() }))
    }

    /// Returns when the caller's end has closed. What it sends until then is kept for the next request.
    pub(super) async fn closed(&mut self) {
        while self.ahead.len() < BODY_LIMIT && self.fill().await.is_ok() {}
    }

    async fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; HEADERS];
            let mut request = httparse::Request::new(&mut headers);
            if let httparse::Status::Complete(length) = request.parse(&self.ahead).map_err(bad)? {
                let method = request.method.unwrap_or_default().to_owned();
                let target = request.path.unwrap_or_default().to_owned();
                let version = request.version;
                let headers: Vec<_> =
                    request.headers.iter().map(|header| (header.name.to_owned(), header.value.to_vec())).collect();
                let keep_alive = version == Some(1)
                    && !value(&headers, "connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close"));
                let raw = self.ahead.split_to(length).freeze();
                return Ok(Some(Head { raw, method, target, headers, arrived: Instant::now(), keep_alive }));
            }
            if self.ahead.len() > HEAD_LIMIT {
                return Err(bad("the head is too long"));
            }
            match self.fill().await {
                Ok(()) => {}
                Err(_) if self.ahead.is_empty() => return Ok(None),
                Err(gone) => return Err(gone),
            }
        }
    }

    async fn take(&mut self, length: usize, body: &mut BytesMut) -> io::Result<()> {
        if body.len().saturating_add(length) > BODY_LIMIT {
            return Err(bad("the body is too long"));
        }
        let mut missing = length;
        loop {
            let part = self.ahead.split_to(missing.min(self.ahead.len()));
            missing -= part.len();
            body.unsplit(part);
            if missing == 0 {
                return Ok(());
            }
            self.fill().await?;
        }
    }

    async fn chunks(&mut self, body: &mut BytesMut) -> io::Result<()> {
        loop {
            let (skip, length) = loop {
                match httparse::parse_chunk_size(&self.ahead).map_err(|_| bad("a chunk's size is no number"))? {
                    httparse::Status::Complete(found) => break found,
                    httparse::Status::Partial => self.fill().await?,
                }
            };
            self.ahead.advance(skip);
            let length = usize::try_from(length).map_err(bad)?;
            if length == 0 {
                return self.trailer().await;
            }
            self.take(length, body).await?;
            self.take(2, &mut BytesMut::new()).await?;
        }
    }

    async fn trailer(&mut self) -> io::Result<()> {
        loop {
            if let Some(end) = memchr::memmem::find(&self.ahead, b"\r\n") {
                self.ahead.advance(end + 2);
                if end == 0 {
                    return Ok(());
                }
            } else {
                self.fill().await?;
            }
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        match self.half.read_buf(&mut self.ahead).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn length(head: &Head) -> io::Result<Length> {
    if value(&head.headers, "transfer-encoding").is_some() {
        return Ok(Length::Chunked);
    }
    let Some(length) = value(&head.headers, "content-length") else { return Ok(Length::Fixed(0)) };
    std::str::from_utf8(length)
        .ok()
        .and_then(|length| length.trim().parse().ok())
        .map(Length::Fixed)
        .ok_or_else(|| bad("the content-length is no number"))
}

fn value<'a>(headers: &'a [(String, Vec<u8>)], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|(candidate, _)| candidate.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
}

fn bad(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
