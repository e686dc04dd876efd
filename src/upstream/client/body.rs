//! A provider's answer, piece by piece, that never ends as if it had been whole when it was not.
//!
//! awc shows a body that broke off as one that ended. What is checked here, with and without TLS:
//! - `content-length`: as many bytes came as were announced;
//! - chunks: the last chunk was seen before the connection's end;
//! - neither, from an HTTP/1.0 server: the end of the connection is the end of the body, and a cut cannot be told from
//!   it (over TLS it can, unless the server said a proper goodbye). Whoever reads the body has to look for the end that
//!   its format has: a terminal event, a closing brace.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_http::error::PayloadError;
use awc::ClientResponse;
use bytes::Bytes;
use futures_util::stream::Stream as _;

use super::scope::Call;
use super::timer::Timer;
use crate::upstream::classify::CallError;

/// How an answer says where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// By `content-length`.
    Length(u64),
    /// By chunks.
    Chunks,
    /// By closing the connection: HTTP/1.0.
    Close,
    /// There is no body.
    Empty,
}

/// The body of an answer. Dropping it before its end closes the connection.
pub struct UpstreamBody {
    response: Option<ClientResponse>,
    call: Rc<Call>,
    framing: Framing,
    got: u64,
    idle: Duration,
    /// When somebody began to wait for the next piece. A caller that takes its time is not the provider's silence.
    waiting_since: Option<Instant>,
    total: Option<Instant>,
    timer: Timer,
}

impl UpstreamBody {
    pub(super) fn new(
        response: ClientResponse,
        call: Rc<Call>,
        framing: Framing,
        idle: Duration,
        total: Option<Instant>,
    ) -> Self {
        Self {
            response: (framing != Framing::Empty).then_some(response),
            call,
            framing,
            got: 0,
            idle,
            waiting_since: None,
            total,
            timer: Timer::default(),
        }
    }

    /// The next piece as it came; `None` after the last.
    ///
    /// # Errors
    /// [`CallError::Truncated`], [`CallError::IdleTimeout`], [`CallError::TotalTimeout`] or [`CallError::Protocol`]:
    /// what was given out before is not the whole answer. Nothing follows an error.
    pub async fn next(&mut self) -> Option<Result<Bytes, CallError>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The same, to be polled.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, CallError>>> {
        let Some(response) = &mut self.response else { return Poll::Ready(None) };
        let polled = self.call.within(|| Pin::new(response).poll_next(cx));
        let ended = match polled {
            Poll::Ready(Some(Ok(piece))) => {
                self.got += piece.len() as u64;
                self.waiting_since = None;
                return Poll::Ready(Some(Ok(piece)));
            }
            Poll::Ready(Some(Err(error))) => Some(Self::broken(&error)),
            Poll::Ready(None) => self.is_cut().then_some(CallError::Truncated),
            Poll::Pending => match self.poll_time(cx) {
                Poll::Ready(error) => Some(error),
                Poll::Pending => return Poll::Pending,
            },
        };
        // Whatever is left of the connection is closed with it.
        self.response = None;
        Poll::Ready(ended.map(Err))
    }

    fn is_cut(&self) -> bool {
        match self.framing {
            Framing::Length(length) => self.got < length,
            Framing::Chunks => self.call.has_ended(),
            Framing::Close | Framing::Empty => false,
        }
    }

    fn broken(error: &PayloadError) -> CallError {
        if let PayloadError::Io(error) | PayloadError::Incomplete(Some(error)) = error
            && matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
        {
            return CallError::Protocol(format!("its chunks are malformed ({error})"));
        }
        CallError::Truncated
    }

    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<CallError> {
        loop {
            let idle = *self.waiting_since.get_or_insert_with(Instant::now) + self.idle;
            let deadline = self.total.map_or(idle, |total| total.min(idle));
            match self.timer.poll(cx, deadline) {
                Poll::Pending => return Poll::Pending,
                // It was set before the last piece came.
                Poll::Ready(now) if now < deadline => {}
                Poll::Ready(now) if self.total.is_some_and(|total| total <= now) => {
                    return Poll::Ready(CallError::TotalTimeout);
                }
                Poll::Ready(_) => return Poll::Ready(CallError::IdleTimeout),
            }
        }
    }
}

impl std::fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpstreamBody").field("framing", &self.framing).field("got", &self.got).finish_non_exhaustive()
    }
}
