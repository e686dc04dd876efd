//! Which headers pass, each way. Everything that is not named here stays out, but for Anthropic's own.
//!
//! Upwards: what the vendors' APIs read. Not the caller's credential, not the ids of an organization or project (the
//! provider's account is the gateway's), no cookies, and none of the SDKs' own telemetry (`x-stainless-*`,
//! `x-goog-api-client`), which the APIs do without.

pub use actix_http::header::{HeaderName, HeaderValue};

use actix_http::header::{self, HeaderMap};

use super::classify::Lookup;
use crate::config::providers::Kind;

/// Whether a caller's header, by its lower-case name, is passed on to a provider of that kind.
pub fn is_passed_up(kind: Kind, name: &str) -> bool {
    match name {
        "content-type" | "accept" => true,
        "idempotency-key" => matches!(kind, Kind::OpenAi | Kind::Anthropic),
        // Not whose account it is: that is the gateway's.
        "anthropic-organization-id" | "anthropic-workspace-id" => false,
        "openai-beta" => kind == Kind::OpenAi,
        // An open list: Claude Code's new abilities come with new headers
        // (code.claude.com/docs/en/llm-gateway-protocol).
        other => kind == Kind::Anthropic && other.starts_with("anthropic-"),
    }
}

/// A provider's headers.
#[derive(Clone, Debug)]
pub struct UpstreamHeaders(HeaderMap);

impl UpstreamHeaders {
    /// As they came.
    pub(super) fn new(headers: HeaderMap) -> Self {
        Self(headers)
    }

    /// Those that the caller may see, under the names that it sees them by: what the provider says of itself and not of
    /// the call has `x-upstream-` in front, so that it is not mistaken for the gateway's.
    pub fn for_caller(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> + '_ {
        self.0.iter().filter_map(|(name, value)| Some((name_for_caller(name)?, value.clone())))
    }
}

impl Lookup for UpstreamHeaders {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }
}

fn name_for_caller(name: &HeaderName) -> Option<HeaderName> {
    match name.as_str() {
        "content-type"
        | "retry-after"
        | "retry-after-ms"
        | "x-should-retry"
        | "request-id"
        | "openai-processing-ms"
        | "openai-version"
        | "x-gemini-service-tier" => Some(name.clone()),
        "x-request-id" => Some(HeaderName::from_static("x-upstream-request-id")),
        other => {
            let is_limit = other.starts_with("x-ratelimit-") || other.starts_with("anthropic-ratelimit-");
            let renamed = is_limit.then(|| format!("x-upstream-{}", other.strip_prefix("x-").unwrap_or(other)))?;
            HeaderName::try_from(renamed).ok()
        }
    }
}

/// What the gateway itself sends with each call, over what the caller sent.
pub(super) fn ours(host: &HeaderValue) -> [(HeaderName, HeaderValue); 3] {
    [
        (header::HOST, host.clone()),
        // A compressed stream arrives in lumps, and its usage cannot be read in passing.
        (header::ACCEPT_ENCODING, HeaderValue::from_static("identity")),
        (header::USER_AGENT, HeaderValue::from_static(concat!("llm-gateway/", env!("CARGO_PKG_VERSION")))),
    ]
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use actix_http::header::{HeaderMap, HeaderName, HeaderValue};

    use super::{UpstreamHeaders, is_passed_up};
    use crate::config::providers::Kind;

    #[test]
    fn no_credential_or_identity_of_the_caller_goes_up() {
        for kind in [Kind::OpenAi, Kind::Anthropic, Kind::Gemini] {
            for name in [
                "authorization",
                "x-api-key",
                "x-goog-api-key",
                "cookie",
                "openai-organization",
                "openai-project",
                "x-goog-user-project",
                "x-posthog-distinct-id",
                "x-forwarded-for",
                "forwarded",
                "host",
                "expect",
                "connection",
                "content-length",
                "transfer-encoding",
                "accept-encoding",
                "proxy-authorization",
                "x-stainless-lang",
            ] {
                assert!(!is_passed_up(kind, name), "{name}");
            }
        }
    }

    #[test]
    fn a_vendors_own_headers_go_to_that_vendor_only() {
        assert!(is_passed_up(Kind::Anthropic, "anthropic-beta") && is_passed_up(Kind::Anthropic, "anthropic-version"));
        assert!(!is_passed_up(Kind::OpenAi, "anthropic-beta") && !is_passed_up(Kind::Gemini, "anthropic-version"));
        assert!(
            is_passed_up(Kind::Anthropic, "anthropic-later-thing") && !is_passed_up(Kind::OpenAi, "anthropic-later")
        );
        assert!(!is_passed_up(Kind::Anthropic, "anthropic-organization-id"));
        assert!(is_passed_up(Kind::OpenAi, "openai-beta") && !is_passed_up(Kind::Anthropic, "openai-beta"));
    }

    #[test]
    fn of_the_answers_headers_only_the_allowed_pass_some_of_them_renamed() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "application/json"),
            ("x-request-id", "req_1"),
            ("request-id", "req_2"),
            ("retry-after", "3"),
            ("x-ratelimit-remaining-tokens", "9"),
            ("anthropic-ratelimit-requests-limit", "8"),
            ("openai-processing-ms", "12"),
            ("x-gemini-service-tier", "standard"),
            ("set-cookie", "__cf_bm=secret"),
            ("openai-organization", "our-company"),
            ("anthropic-organization-id", "our-company"),
            ("server", "cloudflare"),
            ("content-length", "2"),
            ("connection", "close"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let headers = UpstreamHeaders::new(headers);
        let mut seen: Vec<String> =
            headers.for_caller().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        seen.sort();
        assert_eq!(
            seen,
            [
                "content-type: application/json",
                "openai-processing-ms: 12",
                "request-id: req_2",
                "retry-after: 3",
                "x-gemini-service-tier: standard",
                "x-upstream-anthropic-ratelimit-requests-limit: 8",
                "x-upstream-ratelimit-remaining-tokens: 9",
                "x-upstream-request-id: req_1",
            ]
        );
    }
}
