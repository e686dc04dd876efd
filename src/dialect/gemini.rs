//! Google's `generateContent` and `streamGenerateContent`.
//!
//! What the JSON mapping of protocol buffers lets one write in several ways (snake case, one message where a list is
//! meant, numbers as text) is read in all of them and written in one: camel case, lists, numbers. In all else, what comes
//! in this dialect goes out as it came.

mod arguments;
mod bytes;
mod decode;
mod encode;
pub(in crate::dialect) mod error;
mod grounding;
pub mod models;
mod parts;
pub(in crate::dialect) mod peek;
mod schema;
mod stream;
pub(crate) mod tap;
mod wire;

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic")]
mod tests;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod properties;

use serde_json::Value;

use super::{Asked, Dialect, Encoded, EncodedRequest, RequestHead, Target};
use crate::fault::Fault;
use crate::ir::{Request, Response};

pub use stream::{Decoder, Encoder};

/// This module's dialect.
const DIALECT: Dialect = Dialect::Gemini;

/// The codec.
#[derive(Clone, Copy, Debug)]
pub struct Codec;

impl super::Codec for Codec {
    const DIALECT: Dialect = DIALECT;
    type Decoder = Decoder;
    type Encoder = Encoder;

    fn decode_request(body: Value, head: &RequestHead) -> Result<Request, Fault> {
        decode::request(body, head)
    }

    fn encode_request(request: &Request, target: &Target) -> EncodedRequest {
        encode::request(request, target)
    }

    fn decode_response(body: Value) -> Result<Response, Fault> {
        decode::response(body)
    }

    fn encode_response(response: &Response, asked: &Asked) -> Encoded {
        encode::response(response, asked)
    }

    fn decoder() -> Decoder {
        Decoder::new()
    }

    fn encoder(asked: &Asked) -> Encoder {
        Encoder::new(asked)
    }
}
