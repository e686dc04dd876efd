//! Calls an upstream over HTTP/1.1: the only home of the HTTP client library.
//!
//! What the library leaves open is settled here: our own timers, no redirects, no cookies, no decompression, an answer
//! that was cut or cannot be delimited is an error, an early refusal of a big request is read, and one retry when a kept
//! connection was found closed. Dropping a call or its body closes its connection at once.

use std::cell::OnceCell;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use actix_http::error::ParseError;
use actix_http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_http::{Method, StatusCode, Uri, Version};
use awc::ClientResponse;
use awc::error::SendRequestError;
use bytes::Bytes;
use url::Url;

use self::body::Framing;
pub use self::body::UpstreamBody;
use self::dial::Dial;
pub use self::dial::Tls;
use self::scope::Call;
use self::timer::Timer;
pub use super::classify::CallError;
use super::endpoint::{self, Asked, Endpoint, Origin};
pub use super::headers::UpstreamHeaders;
use super::headers::ours;
use super::retry;
use crate::config::timeouts::Timeouts;
use crate::dialect::{Delivery, Dialect, Operation};
use crate::ids::ModelId;

mod body;
mod dial;
mod scope;
mod timer;
mod wire;

/// How long an idle connection is kept: less than what servers usually allow (60 s and more at the providers and the
/// load balancers before them), so that we close first.
pub const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// How long a busy connection is kept, so that a provider's change of addresses is noticed.
const LIFETIME: Duration = Duration::from_secs(3600);

/// The library's own timers are kept out of the way of ours.
const NEVER: Duration = Duration::from_secs(86_400);

/// One request, as a caller made it or as it was translated.
#[derive(Clone, Debug)]
pub struct UpstreamRequest {
    /// How it speaks.
    pub dialect: Dialect,
    /// What for.
    pub operation: Operation,
    /// How the answer is to arrive.
    pub delivery: Delivery,
    /// The provider's name of the model.
    pub model: ModelId,
    /// The caller's query, without `?`.
    pub query: String,
    /// The caller's headers; only those that are allowed to pass do.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body, passed as it is.
    pub body: Bytes,
}

/// The beginning of an answer.
#[derive(Clone, Debug)]
pub struct UpstreamHead {
    /// The HTTP status.
    pub status: u16,
    /// The provider's headers.
    pub headers: UpstreamHeaders,
    /// How long connecting took; none if a kept connection served.
    pub connected_in: Option<Duration>,
}

/// Where something is posted, and under which headers.
#[derive(Clone, Debug)]
pub struct Post {
    uri: Uri,
    headers: HeaderMap,
}

impl Post {
    /// To this URL; `headers` come on top of those that each request has.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the URL.
    pub fn to(url: &Url, headers: &[(HeaderName, HeaderValue)]) -> Result<Self, String> {
        let origin = Origin::of(url)?;
        // The scheme is always the plain one: TLS is spoken below the HTTP client, by `wire`.
        let uri = format!("http://{}:{}{}", origin.host, origin.port, url.path());
        let uri = Uri::try_from(uri).map_err(|error| error.to_string())?;
        let mut sent = HeaderMap::new();
        for (name, value) in ours(&endpoint::host(url)?).iter().chain(headers) {
            sent.insert(name.clone(), value.clone());
        }
        Ok(Self { uri, headers: sent })
    }
}

/// Connections to one origin, of one thread. Clones share them.
#[derive(Clone)]
pub struct Client(Rc<Connections>);

struct Connections {
    origin: Origin,
    dial: Dial,
    kept: awc::Client,
    /// Never keeps a connection, and so never finds one closed. Made when first needed.
    fresh: OnceCell<awc::Client>,
}

impl Client {
    /// A client without connections.
    pub fn new(origin: Origin, tls: Tls) -> Self {
        let dial = Dial::new(origin.clone(), tls);
        Self(Rc::new(Connections { origin, kept: awc_client(dial.clone()), dial, fresh: OnceCell::new() }))
    }

    /// Where it connects to.
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// Makes one call.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call(
        &self,
        endpoint: &Endpoint,
        timeouts: &Timeouts,
        request: UpstreamRequest,
    ) -> Result<(UpstreamHead, UpstreamBody), CallError> {
        let begun = Instant::now();
        let UpstreamRequest { dialect, operation, delivery, model, query, headers, body } = request;
        let attempt = Attempt {
            uri: endpoint.uri(&Asked { dialect, operation, delivery, model: &model, query: &query })?,
            headers: endpoint.headers(&headers),
            body,
            timeouts,
            total: (!delivery.is_stream()).then(|| begun + timeouts.total),
        };
        let call = Call::new(timeouts.connect);
        match attempt.make(self.kept(), Rc::clone(&call)).await {
            Err(error) if retry::is_worth_a_fresh_connection(&error, call.progress()) => {
                attempt.make(self.fresh(), Call::new(timeouts.connect)).await
            }
            made => made,
        }
    }

    /// Posts something that is not a call to a provider, and that may arrive twice.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn post(
        &self,
        post: &Post,
        body: Bytes,
        timeouts: &Timeouts,
    ) -> Result<(UpstreamHead, UpstreamBody), CallError> {
        let total = Some(Instant::now() + timeouts.total);
        let attempt = Attempt { uri: post.uri.clone(), headers: post.headers.clone(), body, timeouts, total };
        let call = Call::new(timeouts.connect);
        match attempt.make(self.kept(), Rc::clone(&call)).await {
            Err(error) if retry::is_worth_a_fresh_connection(&error, call.progress()) => {
                attempt.make(self.fresh(), Call::new(timeouts.connect)).await
            }
            made => made,
        }
    }

    fn kept(&self) -> awc::ClientRequest {
        self.0.kept.request(Method::POST, Uri::default())
    }

    fn fresh(&self) -> awc::ClientRequest {
        let client = self.0.fresh.get_or_init(|| awc_client(self.0.dial.clone()));
        client.request(Method::POST, Uri::default()).force_close()
    }
}

fn awc_client(dial: Dial) -> awc::Client {
    // The library looks at its own TLS settings, which are never used, and panics if it finds no provider for them.
    // Somebody else having been first is just as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let connector = awc::Connector::new()
        .connector(dial)
        .limit(0)
        .timeout(NEVER)
        .handshake_timeout(NEVER)
        .conn_keep_alive(KEEP_ALIVE)
        .conn_lifetime(LIFETIME);
    awc::ClientBuilder::new().connector(connector).disable_timeout().disable_redirects().no_default_headers().finish()
}

/// All that is needed to make a call, and to make it again.
struct Attempt<'a> {
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    timeouts: &'a Timeouts,
    total: Option<Instant>,
}

impl Attempt<'_> {
    async fn make(
        &self,
        request: awc::ClientRequest,
        call: Rc<Call>,
    ) -> Result<(UpstreamHead, UpstreamBody), CallError> {
        let mut request = request.uri(self.uri.clone()).no_decompress();
        for (name, value) in &self.headers {
            request.headers_mut().append(name.clone(), value.clone());
        }
        let response = self.head(request, &call).await?;
        let framing = framing(&response).inspect_err(|_| call.spoil_line())?;
        let head = UpstreamHead {
            status: response.status().as_u16(),
            headers: UpstreamHeaders::new(response.headers().clone()),
            connected_in: call.connected_in(),
        };
        Ok((head, UpstreamBody::new(response, call, framing, self.timeouts.idle, self.total)))
    }

    /// Sends the request and waits for the answer's head.
    async fn head(&self, request: awc::ClientRequest, call: &Rc<Call>) -> Result<ClientResponse, CallError> {
        let begun = Instant::now();
        let mut sending = request.send_body(self.body.clone());
        let mut timer = Timer::default();
        poll_fn(|cx| {
            if let Poll::Ready(sent) = call.within(|| Pin::new(&mut sending).poll(cx)) {
                return Poll::Ready(sent.map_err(|error| refused(&error, call)));
            }
            loop {
                // Counted from the request's end or, where that is not reached, from when it last got on. While there is
                // no connection yet, the dialler has its own deadline.
                let since = call.last_write().unwrap_or(begun + self.timeouts.connect);
                let first_byte = since + self.timeouts.first_byte;
                let deadline = self.total.map_or(first_byte, |total| total.min(first_byte));
                match timer.poll(cx, deadline) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(now) if now < deadline => {}
                    Poll::Ready(now) if self.total.is_some_and(|total| total <= now) => {
                        return Poll::Ready(Err(CallError::TotalTimeout));
                    }
                    Poll::Ready(_) => return Poll::Ready(Err(CallError::FirstByteTimeout)),
                }
            }
        })
        .await
    }
}

/// The library's words in ours.
fn refused(error: &SendRequestError, call: &Call) -> CallError {
    if let Some(error) = call.take_connect_error() {
        return error;
    }
    if let SendRequestError::Connect(_) | SendRequestError::Send(_) | SendRequestError::Response(ParseError::Io(_)) =
        error
    {
        // The connection ended: in the answer's head, or before it.
        return if call.progress() == retry::Progress::Answered { CallError::Truncated } else { CallError::Closed };
    }
    if let SendRequestError::Response(error) = error {
        return CallError::Protocol(format!("its head is malformed ({error})"));
    }
    CallError::Protocol(error.to_string())
}

/// How the body ends, if the answer is one that can be taken at all.
fn framing(response: &ClientResponse) -> Result<Framing, CallError> {
    let (status, headers) = (response.status(), response.headers());
    if status.is_informational() {
        // The library takes it for the final answer, which is still to come. Nobody asked for one: `expect` is not sent.
        return Err(CallError::Protocol(format!(
            "an interim answer ({}) came in place of the final one",
            status.as_u16()
        )));
    }
    if status.is_redirection() {
        return Err(CallError::Redirect(status.as_u16()));
    }
    let encoding = headers.get(header::CONTENT_ENCODING).map_or(b"identity".as_slice(), HeaderValue::as_bytes);
    if !encoding.eq_ignore_ascii_case(b"identity") {
        return Err(CallError::Protocol("it is compressed although that was not accepted".to_owned()));
    }
    if status == StatusCode::NO_CONTENT {
        return Ok(Framing::Empty);
    }
    let is_http_11 = response.version() == Version::HTTP_11;
    if is_http_11 && headers.get(header::TRANSFER_ENCODING).is_some_and(is_chunked) {
        return Ok(Framing::Chunks);
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.trim().parse().ok());
    match length {
        Some(0) => Ok(Framing::Empty),
        Some(length) => Ok(Framing::Length(length)),
        None if is_http_11 => {
            // It would end with the connection, but the library shows it as empty:
            // <https://github.com/actix/actix-web/issues/2287>
            Err(CallError::Protocol("it says neither its length nor that it comes in chunks".to_owned()))
        }
        None => Ok(Framing::Close),
    }
}

fn is_chunked(encoding: &HeaderValue) -> bool {
    encoding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked")
}
