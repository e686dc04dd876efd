//! What a dialect's codec does: to and from the in-between representation, for requests, answers and streams.

use serde_json::Value;

use super::{Adaptions, Asked, Delivery, Dialect, Target};
use crate::fault::Fault;
use crate::ir::{ApiError, Event, Losses, Request, Response};

/// A dialect's codec. Each is a unit struct, `Codec`, in its dialect's module; all of it is pure.
pub trait Codec {
    /// Which dialect.
    const DIALECT: Dialect;
    /// Reads the provider's stream.
    type Decoder: StreamDecoder;
    /// Writes the caller's stream.
    type Encoder: StreamEncoder;

    /// Reads a caller's request.
    ///
    /// # Errors
    /// A field that cannot be read, named with its path and, in arrays, its index: `messages[3].content[0].text`. What is
    /// merely unknown is carried, never refused.
    fn decode_request(body: Value, head: &RequestHead) -> Result<Request, Fault>;

    /// Writes a request for a provider. Never fails: what cannot be said is a loss, and what must not be lost is a loss of
    /// [`Severity::Refused`](crate::ir::Severity::Refused), which whoever calls turns into a 400.
    fn encode_request(request: &Request, target: &Target) -> EncodedRequest;

    /// Reads a provider's whole answer (with a status of success).
    ///
    /// # Errors
    /// The provider sent nonsense; the fault names the field.
    fn decode_response(body: Value) -> Result<Response, Fault>;

    /// Writes a whole answer for a caller.
    fn encode_response(response: &Response, asked: &Asked) -> Encoded;

    /// A reader of one stream.
    fn decoder() -> Self::Decoder;

    /// A writer of one stream.
    fn encoder(asked: &Asked) -> Self::Encoder;
}

/// Reads a provider's stream, piece by piece. `Clone`, so that a test can end a stream after every byte in linear time.
pub trait StreamDecoder: Clone {
    /// Takes the data of one server-sent event (the events' own names are never needed: each dialect's data says what it
    /// is). Appends what it means. After an `End` or `Error` has been appended, nothing more ever is.
    fn push(&mut self, data: &str, out: &mut Vec<Event>);

    /// The connection has ended. Appends an [`Event::Error`] unless the stream was complete.
    fn finish(&mut self, out: &mut Vec<Event>);
}

/// Writes a caller's stream, framing included. Relies on the grammar of [`Event`].
pub trait StreamEncoder: Clone {
    /// Appends the bytes for one event, if it has any in this dialect.
    fn push(&mut self, event: &Event, out: &mut Vec<u8>);

    /// No more events will come. Appends the dialect's error ending unless the stream has been ended. Idempotent.
    fn finish(&mut self, out: &mut Vec<u8>);

    /// What of the events so far could not be said.
    fn losses(&self) -> &Losses;

    /// The error with which the stream was ended, if it was: the decoder's, or one that was found in writing.
    fn failure(&self) -> Option<&ApiError>;
}

/// What a request says outside of its body: Gemini's path has the model and the way of delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestHead {
    /// The model in the path.
    pub model: Option<String>,
    /// The delivery that the path asks for.
    pub delivery: Option<Delivery>,
}

/// A written request.
#[derive(Clone, Debug, PartialEq)]
pub struct EncodedRequest {
    /// The body.
    pub body: Value,
    /// What could not be said.
    pub losses: Losses,
    /// What has to be undone in the answer.
    pub adaptions: Adaptions,
}

/// A written answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    /// The body.
    pub body: Value,
    /// What could not be said.
    pub losses: Losses,
}
