//! Anthropic's `POST /v1/messages`.
//!
//! Content is a list of typed blocks; system texts stand beside the conversation; tool results stand in the user's turn;
//! a stream has one open block at a time. Blocks of tools that Anthropic itself runs (`server_tool_use`, `*_tool_result`,
//! `mcp_*`, `container_upload`, …) are opaque. See `docs/translation-design.md`.

pub mod attribution;
mod blocks;
mod decode;
mod encode;
pub(in crate::dialect) mod error;
pub mod models;
pub(in crate::dialect) mod peek;
mod stream;
pub(crate) mod tap;
mod wire;

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic")]
mod tests;

use serde_json::Value;

use super::{Asked, Dialect, Encoded, EncodedRequest, RequestHead, Target};
use crate::fault::Fault;
use crate::ir::{Request, Response};

pub use stream::{Decoder, Encoder};

/// This module's dialect.
const DIALECT: Dialect = Dialect::Anthropic;

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
