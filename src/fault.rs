//! What can go wrong with a call, in the words of the contract's error table.
//!
//! A [`Fault`] says who is to blame, what the caller may do, and a stable code. It is rendered once, at the edge, in the
//! caller's dialect.

use std::time::Duration;

/// Who can mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The caller's request or credential.
    Caller,
    /// The gateway itself, or what it stores.
    Gateway,
    /// The provider.
    Provider,
}

/// What happened. Each has one status, type and code; two that callers need not tell apart share them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The body is not a JSON object.
    InvalidJson,
    /// A field that is needed is not there.
    MissingParameter,
    /// A field has a value that cannot be.
    InvalidParameter,
    /// No such model.
    ModelNotFound,
    /// What was asked for cannot be served, or not here.
    UnsupportedParameter,
    /// No token, or one that is unknown, expired or inactive.
    InvalidApiKey,
    /// The token lacks the scope `llm_gateway:read`.
    InsufficientScope,
    /// The product does not take this kind of credential or this application.
    ProductAccessDenied,
    /// The product does not offer this model.
    ModelNotAllowed,
    /// No such path or product.
    NotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// The request's body came too slowly.
    SlowBody,
    /// The body is over the limit.
    RequestTooLarge,
    /// The body's declared type is not JSON.
    UnsupportedMediaType,
    /// A spending limit of ours.
    RateLimitExceeded,
    /// A bug of ours.
    Internal,
    /// The provider sent nonsense, redirected, or was cut.
    UpstreamError,
    /// The provider's whole answer is larger than what is held of one here.
    AnswerTooLarge,
    /// The provider refused our credential.
    UpstreamAuthFailed,
    /// The provider cannot be called now: breaker open, cooling down, or out of reach.
    ProviderUnavailable,
    /// The gateway cannot serve now: a store is gone, shutting down, out of memory for answers.
    GatewayUnavailable,
    /// The provider took too long.
    RequestTimeout,
}

impl FaultKind {
    /// The HTTP status. Anthropic's endpoints turn 503 into 529 when they render it.
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidJson
            | Self::MissingParameter
            | Self::InvalidParameter
            | Self::ModelNotFound
            | Self::UnsupportedParameter => 400,
            Self::InvalidApiKey => 401,
            Self::InsufficientScope | Self::ProductAccessDenied | Self::ModelNotAllowed => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::SlowBody => 408,
            Self::RequestTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::RateLimitExceeded => 429,
            Self::Internal => 500,
            Self::UpstreamError | Self::AnswerTooLarge | Self::UpstreamAuthFailed => 502,
            Self::ProviderUnavailable | Self::GatewayUnavailable => 503,
            Self::RequestTimeout => 504,
        }
    }

    /// `error.type`.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::InvalidJson
            | Self::MissingParameter
            | Self::InvalidParameter
            | Self::ModelNotFound
            | Self::UnsupportedParameter
            | Self::MethodNotAllowed
            | Self::SlowBody
            | Self::RequestTooLarge
            | Self::UnsupportedMediaType => "invalid_request_error",
            Self::InvalidApiKey => "authentication_error",
            Self::InsufficientScope | Self::ProductAccessDenied | Self::ModelNotAllowed => "permission_error",
            Self::NotFound => "not_found_error",
            Self::RateLimitExceeded => "rate_limit_error",
            Self::Internal
            | Self::UpstreamError
            | Self::AnswerTooLarge
            | Self::UpstreamAuthFailed
            | Self::ProviderUnavailable
            | Self::GatewayUnavailable => "api_error",
            Self::RequestTimeout => "timeout_error",
        }
    }

    /// `error.code`.
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::MissingParameter => "missing_required_parameter",
            Self::InvalidParameter => "invalid_value",
            Self::ModelNotFound => "model_not_found",
            Self::UnsupportedParameter => "unsupported_parameter",
            Self::InvalidApiKey => "invalid_api_key",
            Self::InsufficientScope => "insufficient_scope",
            Self::ProductAccessDenied => "product_access_denied",
            Self::ModelNotAllowed => "model_not_allowed",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::SlowBody => "request_body_timeout",
            Self::RequestTooLarge => "request_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::RateLimitExceeded => "rate_limit_exceeded",
            Self::Internal => "internal_error",
            Self::UpstreamError | Self::AnswerTooLarge => "upstream_error",
            Self::UpstreamAuthFailed => "upstream_auth_failed",
            Self::ProviderUnavailable => "provider_unavailable",
            Self::GatewayUnavailable => "service_unavailable",
            Self::RequestTimeout => "request_timeout",
        }
    }

    /// Who can mend it.
    pub fn blame(self) -> Blame {
        match self {
            Self::InvalidJson
            | Self::MissingParameter
            | Self::InvalidParameter
            | Self::ModelNotFound
            | Self::UnsupportedParameter
            | Self::InvalidApiKey
            | Self::InsufficientScope
            | Self::ProductAccessDenied
            | Self::ModelNotAllowed
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::SlowBody
            | Self::RequestTooLarge
            | Self::UnsupportedMediaType
            | Self::RateLimitExceeded => Blame::Caller,
            Self::Internal | Self::AnswerTooLarge | Self::GatewayUnavailable => Blame::Gateway,
            Self::UpstreamError | Self::UpstreamAuthFailed | Self::ProviderUnavailable | Self::RequestTimeout => {
                Blame::Provider
            }
        }
    }
}

/// One call's failure, ready to be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What happened.
    pub kind: FaultKind,
    /// The provider's own status, which stands where it said nothing else that can be passed on.
    pub status: Option<u16>,
    /// A sentence that says what to do. Shown to the caller.
    pub message: String,
    /// The request's field at fault, `messages[3].content` for instance.
    pub param: Option<String>,
    /// When trying again may help.
    pub retry_after: Option<Duration>,
}

impl Fault {
    /// A fault with its sentence.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, status: None, message: message.into(), param: None, retry_after: None }
    }

    /// Names the request's field at fault.
    #[must_use]
    pub fn at(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Says when to come back.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }
}
