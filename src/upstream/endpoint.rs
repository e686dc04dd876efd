//! Where an upstream's endpoints are, and with what credential it is called.

use std::borrow::Cow;

use actix_http::Uri;
use actix_http::header::{self, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use secrecy::ExposeSecret as _;
use url::{Host, Url};

use super::classify::CallError;
use super::headers;
use crate::config::providers::{Kind, Upstream};
use crate::dialect::{Delivery, Dialect, Operation, address};
use crate::ids::ModelId;

/// Anthropic's API demands one: <https://docs.anthropic.com/en/api/versioning>.
const ANTHROPIC_VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

/// A machine and how to speak to it: what connections are kept for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    pub(super) host: Host<String>,
    pub(super) port: u16,
    pub(super) transport: Transport,
}

/// What is spoken below HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP.
    Plain,
    /// TLS over TCP.
    Tls,
}

/// One upstream, ready to be called.
#[derive(Clone, Debug)]
pub struct Endpoint {
    kind: Kind,
    origin: Origin,
    /// `api.example.com` or, with a port of its own, `localhost:8080`.
    host: HeaderValue,
    /// The base URL's path without a slash at its end.
    path: String,
    credential: (HeaderName, HeaderValue),
}

/// What is asked of an endpoint, but for its body.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// How the request speaks.
    pub dialect: Dialect,
    /// What for.
    pub operation: Operation,
    /// How the answer is to arrive.
    pub delivery: Delivery,
    /// The provider's name of the model.
    pub model: &'a ModelId,
    /// The caller's query, without `?`.
    pub query: &'a str,
}

impl Endpoint {
    /// `None` for an upstream without a key: it is not configured.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the settings.
    pub fn new(kind: Kind, upstream: &Upstream) -> Result<Option<Self>, String> {
        let Some(key) = &upstream.api_key else { return Ok(None) };
        let base = &upstream.base_url;
        Ok(Some(Self {
            kind,
            origin: Origin::of(base)?,
            host: host(base)?,
            path: base.path().trim_end_matches('/').to_owned(),
            credential: credential(kind, key.expose_secret())?,
        }))
    }

    /// Which vendor's API it speaks.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it is.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The full address.
    ///
    /// # Errors
    /// [`CallError::Unsupported`] if the provider has no such endpoint.
    pub(super) fn uri(&self, asked: &Asked<'_>) -> Result<Uri, CallError> {
        let path = path(self.kind, asked)?;
        let query = query(self.kind, asked);
        let mark = if query.is_empty() { "" } else { "?" };
        // The scheme is always the plain one: TLS is spoken below the HTTP client, by `client::wire`.
        let text = format!("http://{}:{}{}{path}{mark}{query}", self.origin.host, self.origin.port, self.path);
        Uri::try_from(text)
            .map_err(|_| CallError::Unsupported("the request's query has characters that no URL may have".to_owned()))
    }

    /// The caller's headers that may pass, then ours.
    pub(super) fn headers(&self, callers: &[(HeaderName, HeaderValue)]) -> HeaderMap {
        let mut sent = HeaderMap::with_capacity(callers.len() + 6);
        for (name, value) in callers.iter().filter(|(name, _)| headers::is_passed_up(self.kind, name.as_str())) {
            if name == header::CONTENT_TYPE {
                // Two would leave it to the provider which one counts.
                sent.insert(name.clone(), value.clone());
            } else {
                sent.append(name.clone(), value.clone());
            }
        }
        if !sent.contains_key(header::CONTENT_TYPE) {
            sent.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if self.kind == Kind::Anthropic && !sent.contains_key(ANTHROPIC_VERSION.0) {
            let (name, value) = ANTHROPIC_VERSION;
            sent.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        for (name, value) in headers::ours(&self.host) {
            sent.insert(name, value);
        }
        sent.insert(self.credential.0.clone(), self.credential.1.clone());
        sent
    }
}

impl Origin {
    /// The one that a URL names.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the URL.
    pub fn of(base: &Url) -> Result<Self, String> {
        let transport = match base.scheme() {
            "http" => Transport::Plain,
            "https" => Transport::Tls,
            other => return Err(format!("{other}:// is no way to reach a provider: give an http or https URL")),
        };
        match (base.host(), base.port_or_known_default()) {
            (Some(host), Some(port)) => Ok(Self { host: host.to_owned(), port, transport }),
            _ => Err("the base URL names no host".to_owned()),
        }
    }
}

pub(super) fn host(base: &Url) -> Result<HeaderValue, String> {
    let host = base.host_str().unwrap_or_default();
    let host = base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    HeaderValue::try_from(host).map_err(|_| "the base URL's host cannot be put into a header".to_owned())
}

fn credential(kind: Kind, key: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = match kind {
        Kind::OpenAi => (header::AUTHORIZATION, format!("Bearer {key}")),
        Kind::Anthropic => (HeaderName::from_static("x-api-key"), key.to_owned()),
        Kind::Gemini => (HeaderName::from_static("x-goog-api-key"), key.to_owned()),
    };
    let mut value = HeaderValue::try_from(value)
        .map_err(|_| "the API key has characters that no header may have: copy it again".to_owned())?;
    value.set_sensitive(true);
    Ok((name, value))
}

fn path(kind: Kind, asked: &Asked<'_>) -> Result<Cow<'static, str>, CallError> {
    match (kind, asked.dialect) {
        (Kind::OpenAi, Dialect::OpenAiChat | Dialect::OpenAiResponses)
        | (Kind::Anthropic, Dialect::Anthropic)
        | (Kind::Gemini, Dialect::Gemini) => address::path(asked.dialect, asked.operation, asked.delivery, asked.model)
            .ok_or_else(|| {
                CallError::Unsupported(
                    "OpenAI counts tokens of Responses requests only: send this one in that form".to_owned(),
                )
            }),
        (Kind::OpenAi, Dialect::Anthropic | Dialect::Gemini)
        | (Kind::Anthropic, Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Gemini)
        | (Kind::Gemini, Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Anthropic) => {
            Err(CallError::Unsupported(format!("this provider has no endpoint that speaks {}", asked.dialect)))
        }
    }
}

/// Parameters that every API at Google takes, and that would change the answer's form (which nobody here could read or meter
/// then), name another account, or carry a credential. `alt` is written here. A `$` in front means the same.
/// <https://cloud.google.com/apis/docs/system-parameters>
const GOOGLES_OWN: [&str; 10] = [
    "alt",
    "fields",
    "callback",
    "prettyPrint",
    "quotaUser",
    "userProject",
    "userIp",
    "upload_protocol",
    "uploadType",
    "ctx",
];

/// Where a credential may stand in a query.
const CREDENTIALS: [&str; 3] = ["key", "access_token", "oauth_token"];

/// Whether a part of a query, `name=value`, carries a credential.
pub fn is_credential(part: &str) -> bool {
    CREDENTIALS.contains(&name_of(part).trim_start_matches('$'))
}

fn name_of(part: &str) -> Cow<'_, str> {
    percent_decode_str(part.split('=').next().unwrap_or_default()).decode_utf8_lossy()
}

/// The caller's query without credentials and without what would change the form of the answer.
fn query(kind: Kind, asked: &Asked<'_>) -> String {
    let passes = |part: &&str| {
        let name = name_of(part);
        let name = name.trim_start_matches('$');
        let is_googles = kind == Kind::Gemini && GOOGLES_OWN.contains(&name);
        !name.is_empty() && !is_credential(part) && !is_googles
    };
    let mut parts: Vec<&str> = asked.query.split('&').filter(passes).collect();
    let is_events =
        kind == Kind::Gemini && asked.operation == Operation::Generate && asked.delivery == Delivery::Events;
    if is_events {
        parts.push("alt=sse");
    }
    parts.join("&")
}

#[cfg(test)]
mod tests;
