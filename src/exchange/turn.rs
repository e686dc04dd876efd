//! Between a provider's stream and its caller: nothing but a watcher, or a translation.

use bytes::{Bytes, BytesMut};

use crate::dialect::error::{self, ProviderError};
use crate::dialect::seen::Seen;
use crate::dialect::{Delivery, Dialect, keepalive};
use crate::fault::Fault;
use crate::ids::RequestId;
use crate::ir::ApiError;
use crate::translate::tap::{Tap, UsageChunkFilter};
use crate::translate::{Told, TranscodedStream};

/// Turns what the provider sends into what the caller gets.
pub enum Turn {
    /// The bytes pass as they are, and are watched.
    Native(Box<Native>),
    /// The bytes are translated.
    Translated(Box<TranscodedStream>),
}

/// Bytes that pass as they are.
pub struct Native {
    dialect: Dialect,
    delivery: Delivery,
    tap: Tap,
    /// Takes out the usage chunk that only the gateway asked for.
    filter: Option<UsageChunkFilter>,
}

/// How a provider's stream ended.
pub struct Ended {
    /// What was still held back.
    pub rest: Bytes,
    /// What the provider said went wrong, which the caller has been told; none: it ended as it should.
    pub said: Option<ProviderError>,
    /// Whether the stream was all there.
    pub completeness: Completeness,
}

/// Whether a stream was all there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// It ended with what its dialect ends with.
    Whole,
    /// It did not.
    Cut,
}

impl Turn {
    /// Caller and provider speak one dialect.
    pub fn native(dialect: Dialect, delivery: Delivery) -> Self {
        Self::Native(Box::new(Native { dialect, delivery, tap: Tap::new(dialect, delivery), filter: None }))
    }

    /// From here on, the usage chunk is not for the caller.
    pub fn hide_usage(&mut self) {
        match self {
            Self::Native(native) => native.filter = Some(UsageChunkFilter::new()),
            // The encoder knows what the caller asked for.
            Self::Translated(_) => {}
        }
    }

    /// The provider's next bytes, split anywhere, as the caller's. Empty when there is nothing to say yet.
    pub fn push(&mut self, bytes: Bytes) -> Bytes {
        match self {
            Self::Native(native) => {
                native.tap.push(&bytes);
                match &mut native.filter {
                    Some(filter) => filter.push(bytes),
                    None => bytes,
                }
            }
            Self::Translated(stream) => {
                let mut out = Vec::with_capacity(bytes.len() * 2);
                stream.push(&bytes, &mut out);
                out.into()
            }
        }
    }

    /// Whether the caller has all that there can be.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Native(native) => native.tap.is_final(),
            Self::Translated(stream) => stream.is_over(),
        }
    }

    /// Whether the answer may end where it is.
    pub fn may_end(&self) -> bool {
        match self {
            Self::Native(native) => native.tap.ended_legally(),
            Self::Translated(stream) => stream.is_over(),
        }
    }

    /// The dialect's sign of life, where one may be put.
    pub fn keepalive(&mut self) -> Option<Bytes> {
        match self {
            Self::Native(native) => native.tap.at_event_boundary().then(|| {
                native.tap.note_keepalive();
                Bytes::from_static(keepalive::keepalive(native.dialect, native.delivery))
            }),
            Self::Translated(stream) => {
                let mut out = Vec::new();
                stream.keep_alive(&mut out);
                (!out.is_empty()).then(|| out.into())
            }
        }
    }

    /// The provider closed its answer.
    pub fn end(&mut self) -> Ended {
        match self {
            Self::Native(native) if !native.tap.ended_legally() => {
                Ended { rest: Bytes::new(), said: None, completeness: Completeness::Cut }
            }
            Self::Native(native) => {
                Ended { rest: native.withheld(), said: native.tap.seen().error, completeness: Completeness::Whole }
            }
            Self::Translated(stream) => {
                let mut out = Vec::new();
                stream.finish(&mut out);
                Ended { rest: out.into(), said: told(stream.told()).error, completeness: Completeness::Whole }
            }
        }
    }

    /// The caller's error ending, after whatever was still held back.
    pub fn fail(&mut self, fault: &Fault, request_id: &RequestId) -> Bytes {
        match self {
            Self::Native(native) => {
                let mut last = BytesMut::from(native.withheld());
                let position = native.tap.position();
                last.extend_from_slice(&error::event(native.dialect, native.delivery, fault, request_id, &position));
                last.freeze()
            }
            Self::Translated(stream) => {
                let mut out = Vec::new();
                stream.fail(ApiError::from(fault), &mut out);
                out.into()
            }
        }
    }

    /// Whether something of the answer's content has gone by.
    pub fn has_content(&self) -> bool {
        match self {
            Self::Native(native) => native.tap.has_content(),
            Self::Translated(stream) => stream.told().has_content,
        }
    }

    /// What the answer said of itself so far.
    pub fn seen(&self) -> Seen {
        match self {
            Self::Native(native) => native.tap.seen(),
            Self::Translated(stream) => Seen { unsaid: stream.losses().header(), ..told(stream.told()) },
        }
    }
}

impl Native {
    /// What the filter still holds; the caller has all that was pushed once it has this.
    fn withheld(&mut self) -> Bytes {
        self.filter.take().map(UsageChunkFilter::finish).unwrap_or_default()
    }
}

/// What a translation heard, in the watcher's words.
pub fn told(told: &Told) -> Seen {
    Seen {
        first_event: told.id.is_some() || told.has_content || told.is_complete,
        content: told.has_content,
        terminal: told.is_complete,
        error: told.error.as_ref().map(|error| ProviderError {
            status: error.status,
            message: error.message.clone(),
            kind: error.type_word.clone(),
            code: error.code.clone(),
            param: error.param.clone(),
        }),
        usage: told.usage.clone(),
        finish: told.finish.clone(),
        service_tier: told.service_tier.clone(),
        response_id: told.id.clone(),
        model: told.model.clone(),
        ..Seen::default()
    }
}
