//! OpenAI's chat completions: `POST /v1/chat/completions`, the dialect that most servers in the world speak.
//!
//! Beside what OpenAI's reference has, two extensions that chat clients know are read and written: thoughts as
//! `reasoning_content` and `reasoning_details`, and `native_finish_reason` beside a finish reason that chat has no word
//! for. This module is the exemplar for the other three: see `docs/translation-design.md`.

mod decode;
mod encode;
pub(in crate::dialect) mod error;
pub mod models;
pub(in crate::dialect) mod peek;
mod stream;
pub(crate) mod tap;
mod wire;

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, clippy::wildcard_enum_match_arm, reason = "a test may panic")]
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
const DIALECT: Dialect = Dialect::OpenAiChat;

/// The codec.
#[derive(Clone, Copy, Debug)]
pub struct Codec;

impl super::Codec for Codec {
    const DIALECT: Dialect = DIALECT;
    type Decoder = Decoder;
    type Encoder = Encoder;

    fn decode_request(body: Value, _head: &RequestHead) -> Result<Request, Fault> {
        decode::request(body)
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
