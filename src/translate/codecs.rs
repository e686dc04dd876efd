//! Picks a dialect's codec at run time.

use std::borrow::Cow;

use serde_json::Value;

use super::called::called;
use super::{Strictness, Upstream, judge, unsaid};
use crate::dialect::{
    Asked, Codec, Dialect, Encoded, EncodedRequest, RequestHead, StreamDecoder, StreamEncoder, Target, adapt,
    anthropic, gemini, openai_chat, openai_responses, sse,
};
use crate::fault::{Fault, FaultKind};
use crate::ir::{ApiError, Event, Losses, Request, Response};

/// Does something with the codec of a dialect.
macro_rules! with_codec {
    ($dialect:expr, $codec:ident => $then:expr) => {
        match $dialect {
            Dialect::OpenAiChat => {
                type $codec = openai_chat::Codec;
                $then
            }
            Dialect::Anthropic => {
                type $codec = anthropic::Codec;
                $then
            }
            Dialect::Gemini => {
                type $codec = gemini::Codec;
                $then
            }
            Dialect::OpenAiResponses => {
                type $codec = openai_responses::Codec;
                $then
            }
        }
    };
}

/// A reader of any dialect's stream.
#[derive(Clone, Debug)]
pub(super) enum AnyDecoder {
    OpenAiChat(openai_chat::Decoder),
    Anthropic(Box<anthropic::Decoder>),
    Gemini(Box<gemini::Decoder>),
    OpenAiResponses(Box<openai_responses::Decoder>),
}

/// A writer of any dialect's stream.
#[derive(Clone, Debug)]
pub(super) enum AnyEncoder {
    OpenAiChat(Box<openai_chat::Encoder>),
    Anthropic(Box<anthropic::Encoder>),
    Gemini(Box<gemini::Encoder>),
    OpenAiResponses(Box<openai_responses::Encoder>),
}

/// Reads a caller's request.
///
/// # Errors
/// 400: it is not JSON, or a field cannot be read.
pub fn decode(caller: Dialect, body: &[u8], head: &RequestHead) -> Result<Request, Fault> {
    decode_value(caller, parse(body)?, head)
}

pub(super) fn parse(body: &[u8]) -> Result<Value, Fault> {
    serde_json::from_slice(body)
        .map_err(|error| Fault::new(FaultKind::InvalidJson, format!("the body is not valid JSON: {error}")))
}

pub(super) fn decode_value(caller: Dialect, body: Value, head: &RequestHead) -> Result<Request, Fault> {
    with_codec!(caller, C => C::decode_request(body, head))
}

/// Writes a request for a provider.
///
/// # Errors
/// 400: it asks for something that cannot be said there without changing its meaning, or, if the caller is strict, without
/// any loss. The field is named.
pub fn encode(request: &Request, target: &Target, strictness: Strictness) -> Result<Upstream, Fault> {
    let EncodedRequest { body, losses, adaptions } = encode_value(request, target, strictness)?;
    Ok(Upstream { body: bytes(&body), losses, adaptions })
}

/// A document's text.
pub(super) fn bytes(document: &Value) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    sse::json_to(&mut bytes, document);
    bytes
}

pub(super) fn encode_value(
    request: &Request,
    target: &Target,
    strictness: Strictness,
) -> Result<EncodedRequest, Fault> {
    let unique =
        if request.is_foreign_to(target.dialect) { adapt::unique_ids(request) } else { Cow::Borrowed(request) };
    let mut encoded = with_codec!(target.dialect, C => C::encode_request(&unique, target));
    unsaid::in_request(request, target.dialect, &mut encoded.losses);
    encoded.losses.rename(|field| called(request, field));
    judge(&encoded.losses, strictness)?;
    Ok(encoded)
}

pub(super) fn decode_response(provider: Dialect, body: Value) -> Result<Response, Fault> {
    with_codec!(provider, C => C::decode_response(body))
}

pub(super) fn encode_response(caller: Dialect, response: &Response, asked: &Asked) -> Result<Encoded, Fault> {
    with_codec!(caller, C => Ok(C::encode_response(response, asked)))
}

impl AnyDecoder {
    pub(super) fn new(provider: Dialect) -> Result<Self, Fault> {
        match provider {
            Dialect::OpenAiChat => Ok(Self::OpenAiChat(openai_chat::Codec::decoder())),
            Dialect::Anthropic => Ok(Self::Anthropic(Box::new(anthropic::Codec::decoder()))),
            Dialect::Gemini => Ok(Self::Gemini(Box::new(gemini::Codec::decoder()))),
            Dialect::OpenAiResponses => Ok(Self::OpenAiResponses(Box::new(openai_responses::Codec::decoder()))),
        }
    }

    pub(super) fn push(&mut self, data: &str, out: &mut Vec<Event>) {
        match self {
            Self::OpenAiChat(decoder) => decoder.push(data, out),
            Self::Anthropic(decoder) => decoder.push(data, out),
            Self::Gemini(decoder) => decoder.push(data, out),
            Self::OpenAiResponses(decoder) => decoder.push(data, out),
        }
    }

    pub(super) fn finish(&mut self, out: &mut Vec<Event>) {
        match self {
            Self::OpenAiChat(decoder) => decoder.finish(out),
            Self::Anthropic(decoder) => decoder.finish(out),
            Self::Gemini(decoder) => decoder.finish(out),
            Self::OpenAiResponses(decoder) => decoder.finish(out),
        }
    }
}

impl AnyEncoder {
    pub(super) fn new(caller: Dialect, asked: &Asked) -> Result<Self, Fault> {
        match caller {
            Dialect::OpenAiChat => Ok(Self::OpenAiChat(Box::new(openai_chat::Codec::encoder(asked)))),
            Dialect::Anthropic => Ok(Self::Anthropic(Box::new(anthropic::Codec::encoder(asked)))),
            Dialect::Gemini => Ok(Self::Gemini(Box::new(gemini::Codec::encoder(asked)))),
            Dialect::OpenAiResponses => Ok(Self::OpenAiResponses(Box::new(openai_responses::Codec::encoder(asked)))),
        }
    }

    pub(super) fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        match self {
            Self::OpenAiChat(encoder) => encoder.push(event, out),
            Self::Anthropic(encoder) => encoder.push(event, out),
            Self::Gemini(encoder) => encoder.push(event, out),
            Self::OpenAiResponses(encoder) => encoder.push(event, out),
        }
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::OpenAiChat(encoder) => encoder.finish(out),
            Self::Anthropic(encoder) => encoder.finish(out),
            Self::Gemini(encoder) => encoder.finish(out),
            Self::OpenAiResponses(encoder) => encoder.finish(out),
        }
    }

    pub(super) fn failure(&self) -> Option<&ApiError> {
        match self {
            Self::OpenAiChat(encoder) => encoder.failure(),
            Self::Anthropic(encoder) => encoder.failure(),
            Self::Gemini(encoder) => encoder.failure(),
            Self::OpenAiResponses(encoder) => encoder.failure(),
        }
    }

    pub(super) fn losses(&self) -> &Losses {
        match self {
            Self::OpenAiChat(encoder) => encoder.losses(),
            Self::Anthropic(encoder) => encoder.losses(),
            Self::Gemini(encoder) => encoder.losses(),
            Self::OpenAiResponses(encoder) => encoder.losses(),
        }
    }
}
