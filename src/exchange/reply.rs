//! What a call comes to: a complete answer, or why there is none.

use actix_http::header::{HeaderName, HeaderValue};
use bytes::Bytes;

use crate::exchange::memory::Held;
use crate::fault::Fault;

/// A complete answer.
#[derive(Debug)]
pub struct Whole {
    /// The HTTP status.
    pub status: u16,
    /// The provider's headers that go back.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: Bytes,
    /// Its share of what whole answers may hold.
    pub held: Option<Held>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Failed {
    /// In the gateway's own words.
    Fault(Fault),
    /// In the provider's, which the caller understands.
    Provider(Box<ProviderFailure>),
}

/// A provider's error.
#[derive(Debug)]
pub struct ProviderFailure {
    /// For the caller: the bytes as the provider sent them.
    pub answer: Whole,
    /// The same in our words, for logs and for streams that have begun.
    pub fault: Fault,
}

impl Failed {
    /// What happened, in the gateway's words.
    pub fn as_fault(&self) -> &Fault {
        match self {
            Self::Fault(fault) => fault,
            Self::Provider(failure) => &failure.fault,
        }
    }
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}
