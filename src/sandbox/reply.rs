//! An answer as a list of acts on the wire: what a test scripts, and what the simulation comes down to.
//!
//! Every byte and every border is the writer's: each chunk is one write and one HTTP chunk. The head goes out just
//! before the first thing that follows it, so a delay or a gate that comes first holds back the head, too.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::gate::Gate;

/// What to say, when, and how to end.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) framing: Framing,
    pub(super) acts: Vec<Act>,
    pub(super) ending: Ending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// `transfer-encoding: chunked`.
    Chunked,
    /// `content-length` as it really is, or as claimed.
    Length(Option<usize>),
    /// Neither: the body ends when the connection does.
    UntilClose,
    /// Not even a head: the acts are all there is.
    Raw,
    /// After the acts, what the simulation answers.
    Simulated,
}

#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Send the head if it has not been sent.
    Head,
    Bytes(Bytes),
    Delay(Duration),
    Wait(Gate),
    /// Say nothing more until the caller leaves.
    Stall,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// As the framing demands; the connection lives on if both sides want it to.
    Whole,
    /// The connection is closed with nothing more said.
    Close,
    /// The connection is reset.
    Reset,
    /// The last chunk is announced whole and sent by half, then the connection is closed.
    HalfChunk,
}

impl Reply {
    /// An empty answer, to be filled.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), framing: Framing::Length(None), acts: Vec::new(), ending: Ending::Whole }
    }

    /// A whole JSON answer.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::status(status).header("content-type", "application/json").body(body.to_string())
    }

    /// A 200 event stream, to be filled with [`Reply::chunk`] or [`Reply::event`].
    pub fn sse() -> Self {
        Self { framing: Framing::Chunked, ..Self::status(200) }
            .header("content-type", "text/event-stream; charset=utf-8")
    }

    /// Bytes for the wire with no head of ours; then the connection is closed.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        let mut reply = Self { framing: Framing::Raw, ending: Ending::Close, ..Self::status(0) };
        reply.acts.push(Act::Bytes(bytes.into()));
        reply
    }

    /// Closes the connection without a word.
    pub fn hang_up() -> Self {
        Self { framing: Framing::Raw, ending: Ending::Close, ..Self::status(0) }
    }

    /// Takes the request and never says a word.
    pub fn silence() -> Self {
        Self { framing: Framing::Raw, ..Self::status(0) }.stall()
    }

    /// What the sandbox would have answered without a script; put delays and gates before it with
    /// [`Reply::delay`] and [`Reply::wait`].
    pub fn simulated() -> Self {
        Self { framing: Framing::Simulated, ..Self::status(0) }
    }

    /// Adds a header; content-type and framing headers too are only what is set.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The whole body, sent with its length in one piece.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.acts.push(Act::Bytes(body.into()));
        self
    }

    /// One chunk of a chunked body, written by itself.
    pub fn chunk(mut self, bytes: impl Into<Bytes>) -> Self {
        if self.framing == Framing::Length(None) {
            self.framing = Framing::Chunked;
        }
        self.acts.push(Act::Bytes(bytes.into()));
        self
    }

    /// One server-sent event with this data, as a chunk of its own.
    pub fn event(self, data: &str) -> Self {
        let frame = format!("data: {data}\n\n");
        self.chunk(frame)
    }

    /// One named server-sent event, as a chunk of its own.
    pub fn named_event(self, name: &str, data: &str) -> Self {
        let frame = format!("event: {name}\ndata: {data}\n\n");
        self.chunk(frame)
    }

    /// Claims this content-length, true or not; chunks then go out as they are.
    pub fn content_length(mut self, length: usize) -> Self {
        self.framing = Framing::Length(Some(length));
        self
    }

    /// No length and no chunks: the body ends with the connection.
    pub fn until_close(mut self) -> Self {
        self.framing = Framing::UntilClose;
        self.ending = Ending::Close;
        self
    }

    /// Sends the head now, ahead of what follows.
    pub fn head(mut self) -> Self {
        self.acts.push(Act::Head);
        self
    }

    /// Waits by the clock. A test should rather use [`Reply::wait`].
    pub fn delay(mut self, time: Duration) -> Self {
        self.acts.push(Act::Delay(time));
        self
    }

    /// Waits until the gate is open.
    pub fn wait(mut self, gate: &Gate) -> Self {
        self.acts.push(Act::Wait(gate.clone()));
        self
    }

    /// Says nothing more, until the caller leaves or the sandbox stops.
    pub fn stall(mut self) -> Self {
        self.acts.push(Act::Stall);
        self
    }

    /// Ends by closing the connection, without the last chunk or the rest of the claimed length.
    pub fn cut(mut self) -> Self {
        self.ending = Ending::Close;
        self
    }

    /// Ends by announcing the last chunk whole, sending half of it and closing.
    pub fn cut_in_chunk(mut self) -> Self {
        self.ending = Ending::HalfChunk;
        self
    }

    /// Ends by resetting the connection.
    pub fn reset(mut self) -> Self {
        self.ending = Ending::Reset;
        self
    }
}
