//! How a call to a provider ends without an answer.

use crate::fault::{Fault, FaultKind};
use crate::upstream::breaker::RETRY_AFTER_MIN;

/// How a call ended without an answer, or in the middle of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The provider could not be reached: refused, no such host, no TLS.
    #[error("the provider could not be reached: {0}")]
    Connect(String),
    /// Connecting took longer than `timeouts.connect`.
    #[error("connecting to the provider took longer than `timeouts.connect` allows")]
    ConnectTimeout,
    /// The request was sent, and no answer began within `timeouts.first_byte`.
    #[error("the provider did not begin to answer within `timeouts.first_byte`")]
    FirstByteTimeout,
    /// Two pieces of the answer were further apart than `timeouts.idle`.
    #[error("the provider stopped in mid-answer for longer than `timeouts.idle` allows")]
    IdleTimeout,
    /// The whole answer was not there within `timeouts.total`.
    #[error("the provider's answer was not complete within `timeouts.total`")]
    TotalTimeout,
    /// The connection was closed before any answer.
    #[error("the provider closed the connection without an answer")]
    Closed,
    /// The answer broke off.
    #[error("the provider's answer broke off before its end")]
    Truncated,
    /// The provider sent us elsewhere, where we do not go.
    #[error("the provider answered with a redirect ({0}), which the gateway does not follow: correct its base URL")]
    Redirect(u16),
    /// What came is not an answer.
    #[error("the provider's answer makes no sense: {0}")]
    Protocol(String),
    /// The provider has no such endpoint; nothing was sent.
    #[error("{0}")]
    Unsupported(String),
}

impl From<&CallError> for Fault {
    fn from(error: &CallError) -> Self {
        let sentence = error.to_string();
        match error {
            CallError::Connect(_) => Self::new(FaultKind::ProviderUnavailable, sentence).retry_after(RETRY_AFTER_MIN),
            CallError::ConnectTimeout
            | CallError::FirstByteTimeout
            | CallError::IdleTimeout
            | CallError::TotalTimeout => Self::new(FaultKind::RequestTimeout, sentence),
            CallError::Closed | CallError::Truncated | CallError::Redirect(_) | CallError::Protocol(_) => {
                Self::new(FaultKind::UpstreamError, sentence)
            }
            CallError::Unsupported(_) => Self::new(FaultKind::UnsupportedParameter, sentence),
        }
    }
}

impl From<CallError> for Fault {
    fn from(error: CallError) -> Self {
        Self::from(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::CallError;
    use crate::fault::Fault;

    #[test]
    fn a_timeout_says_which_and_is_a_504() {
        for (error, setting) in [
            (CallError::ConnectTimeout, "timeouts.connect"),
            (CallError::FirstByteTimeout, "timeouts.first_byte"),
            (CallError::IdleTimeout, "timeouts.idle"),
            (CallError::TotalTimeout, "timeouts.total"),
        ] {
            let fault = Fault::from(error);
            assert_eq!(fault.kind.status(), 504);
            assert!(fault.message.contains(setting), "{}", fault.message);
        }
    }

    #[test]
    fn what_the_provider_did_wrong_is_a_502_and_one_out_of_reach_a_503() {
        for (error, status) in [
            (CallError::Closed, 502),
            (CallError::Truncated, 502),
            (CallError::Redirect(308), 502),
            (CallError::Protocol("an interim answer in place of the final one".into()), 502),
            (CallError::Connect("connection refused".into()), 503),
        ] {
            assert_eq!(Fault::from(error).kind.status(), status);
        }
    }
}
