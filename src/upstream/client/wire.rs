//! One connection to an upstream, TLS included: what the HTTP client reads and writes.
//!
//! TLS is spoken here, below the HTTP client, so that the end of a connection is seen the same way with and without it:
//! exactly where the HTTP bytes end.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_rt::net::{ActixStream, Ready, TcpStream};
use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use super::scope::{Call, Line};

/// How much of an answer that comes before its request has ended is looked at.
const EARLY_MAX: usize = 8 * 1024;

/// A connection.
pub(super) struct Wire {
    stream: Stream,
    line: Rc<Line>,
    /// Of an answer, read while the request was still being written.
    early: BytesMut,
    /// The upstream takes no more of the request. The rest of it is thrown away, so that its answer can be read.
    is_deaf: bool,
}

pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, line: Rc::default(), early: BytesMut::new(), is_deaf: false }
    }

    fn go_deaf(&mut self) {
        self.is_deaf = true;
        // Half a request was sent: the connection is good for this answer, and for no other.
        self.line.spoil();
    }

    /// Whether the upstream has answered already, and not with a 1xx or 2xx: then it will not read the rest.
    fn is_refused_early(&mut self, cx: &mut Context<'_>) -> bool {
        while self.early.len() < EARLY_MAX {
            let mut chunk = [0; 1024];
            let mut chunk = ReadBuf::new(&mut chunk);
            match Pin::new(&mut self.stream).poll_read(cx, &mut chunk) {
                Poll::Pending => break,
                Poll::Ready(Ok(())) if !chunk.filled().is_empty() => self.early.extend_from_slice(chunk.filled()),
                // It is gone. Reading will say so again.
                Poll::Ready(Ok(()) | Err(_)) => return true,
            }
        }
        // `HTTP/1.1 401`
        self.early.get(9).is_some_and(|digit| (b'3'..=b'5').contains(digit))
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let call = Call::current().filter(|call| call.is_on(&this.line));
        if call.is_none() && this.line.is_spoilt() {
            // The pool asks whether the connection still lives. For the pool it does not.
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        if this.early.is_empty() {
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        } else {
            let count = this.early.len().min(buf.remaining());
            buf.put_slice(&this.early[..count]);
            this.early.advance(count);
        }
        if let Some(call) = call {
            call.read(buf.filled().len() - before);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let call = Call::current();
        if !this.is_deaf {
            match Pin::new(&mut this.stream).poll_write(cx, buf) {
                Poll::Ready(Ok(count)) => {
                    if let Some(call) = call {
                        call.wrote(&this.line);
                    }
                    return Poll::Ready(Ok(count));
                }
                // An upstream that refuses a request early often closes at once. Its answer may have arrived before.
                Poll::Ready(Err(_)) => this.go_deaf(),
                Poll::Pending if this.is_refused_early(cx) => this.go_deaf(),
                Poll::Pending => return Poll::Pending,
            }
        }
        if let Some(call) = call {
            call.wrote(&this.line);
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.is_deaf && ready!(Pin::new(&mut this.stream).poll_flush(cx)).is_err() {
            this.go_deaf();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl ActixStream for Wire {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.stream.tcp().poll_read_ready(cx)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.stream.tcp().poll_write_ready(cx)
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("line", &self.line).field("is_deaf", &self.is_deaf).finish_non_exhaustive()
    }
}

impl Stream {
    fn tcp(&self) -> &impl ActixStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
