//! A provider's error, whoever said it: in a body with an error status, or in the middle of a stream.

use super::Carry;

/// A provider's error.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    /// What kind, in the words that all dialects share.
    pub kind: ErrorKind,
    /// The HTTP status: the answer's, or the one that this kind has when it comes in a stream.
    pub status: u16,
    /// The provider's sentence.
    pub message: String,
    /// The provider's own `type` or `status` word.
    pub type_word: Option<String>,
    /// A stable code, where there is one: `context_length_exceeded`.
    pub code: Option<String>,
    /// The request's field at fault.
    pub param: Option<String>,
    /// Fields that the codec does not know.
    pub carry: Carry,
}

/// Kinds of errors, as Anthropic names them (`errors` in its API reference): the finest set of the three vendors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// 400
    InvalidRequest,
    /// 401
    Authentication,
    /// 402
    Billing,
    /// 403
    Permission,
    /// 404
    NotFound,
    /// 413
    RequestTooLarge,
    /// 429
    RateLimit,
    /// 500
    Api,
    /// 503; Anthropic: 529
    Overloaded,
    /// 504
    Timeout,
}

impl ErrorKind {
    /// The kind that a status means.
    pub fn from_status(status: u16) -> Self {
        match status {
            401 => Self::Authentication,
            402 => Self::Billing,
            403 => Self::Permission,
            404 => Self::NotFound,
            413 => Self::RequestTooLarge,
            429 => Self::RateLimit,
            503 | 529 => Self::Overloaded,
            408 | 504 => Self::Timeout,
            400..=499 => Self::InvalidRequest,
            _ => Self::Api,
        }
    }

    /// The status that it has.
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::Authentication => 401,
            Self::Billing => 402,
            Self::Permission => 403,
            Self::NotFound => 404,
            Self::RequestTooLarge => 413,
            Self::RateLimit => 429,
            Self::Api => 500,
            Self::Overloaded => 503,
            Self::Timeout => 504,
        }
    }

    /// Anthropic's `error.type`, which the contract uses for all.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request_error",
            Self::Authentication => "authentication_error",
            Self::Billing => "billing_error",
            Self::Permission => "permission_error",
            Self::NotFound => "not_found_error",
            Self::RequestTooLarge => "request_too_large",
            Self::RateLimit => "rate_limit_error",
            Self::Api => "api_error",
            Self::Overloaded => "overloaded_error",
            Self::Timeout => "timeout_error",
        }
    }

    /// The reverse of [`ErrorKind::type_name`], OpenAI's words included.
    pub fn from_type_name(name: &str) -> Option<Self> {
        match name {
            "invalid_request_error" => Some(Self::InvalidRequest),
            "authentication_error" => Some(Self::Authentication),
            "billing_error" | "insufficient_quota" => Some(Self::Billing),
            "permission_error" => Some(Self::Permission),
            "not_found_error" => Some(Self::NotFound),
            "request_too_large" => Some(Self::RequestTooLarge),
            "rate_limit_error" | "rate_limit_exceeded" | "requests" | "tokens" => Some(Self::RateLimit),
            "api_error" | "server_error" => Some(Self::Api),
            "overloaded_error" => Some(Self::Overloaded),
            "timeout_error" => Some(Self::Timeout),
            _ => None,
        }
    }
}

impl ApiError {
    /// An error of a kind, with the status of its kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            status: kind.status(),
            message: message.into(),
            type_word: None,
            code: None,
            param: None,
            carry: Carry::NONE,
        }
    }

    /// The provider's stream stopped before its end.
    pub fn cut() -> Self {
        let mut error = Self::new(ErrorKind::Api, "the provider's stream ended before the answer was complete");
        error.status = 502;
        error.code = Some("upstream_error".to_owned());
        error
    }

    /// The provider sent something that its dialect does not allow.
    pub fn nonsense(what: impl std::fmt::Display) -> Self {
        let mut error = Self::new(ErrorKind::Api, format!("the provider sent an answer that cannot be read: {what}"));
        error.status = 502;
        error.code = Some("upstream_error".to_owned());
        error
    }
}
