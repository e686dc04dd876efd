//! Turns what a call came to into HTTP.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONNECTION, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use bytes::Bytes;
use futures_util::StreamExt as _;

use crate::dialect::Dialect;
use crate::exchange::{self, Answer, AnswerBody};
use crate::fault::{Fault, FaultKind};
use crate::http::{State, extract};
use crate::ids::{ProductName, RequestId};
use crate::telemetry::metrics::{Endpoint, Finished};

/// Carries the request's id.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// An answer, with what belongs to the connection.
pub fn answer(state: &State, request_id: &RequestId, answer: Answer) -> HttpResponse {
    let mut response = head(state, answer.status, request_id);
    for header in answer.headers {
        response.append_header(header);
    }
    match answer.body {
        AnswerBody::Whole { body, held: None } => response.body(body),
        AnswerBody::Whole { body, held } => response.body(Holding { text: body, _held: held }),
        AnswerBody::Stream(relay) => response.streaming(relay.map(Ok::<_, Infallible>)),
    }
}

/// A refusal in the dialect of the endpoint.
pub fn fault(state: &State, dialect: Dialect, request_id: &RequestId, fault: &Fault) -> HttpResponse {
    answer(state, request_id, exchange::fault_answer(dialect, request_id, fault))
}

/// An answer to a request whose body is not read to its end. It goes out at once, and the connection ends with it.
///
/// The HTTP library reads the rest of a chunked body that was dropped for as long as it comes, and does not end the
/// connection; of one that is still held when the answer has gone out it reads for as long as a refused caller may go on.
pub fn before_the_body_ends(response: HttpResponse, rest: web::Payload) -> HttpResponse {
    response.map_body(|_, body| match body.try_into_bytes() {
        Ok(text) => BoxBody::new(Holding { text, _held: rest }),
        Err(body) => body,
    })
}

/// A body that holds on to something until it has been written: what is unread of the request, or the answer's share of memory.
struct Holding<T> {
    text: Bytes,
    _held: T,
}

impl<T: Unpin> MessageBody for Holding<T> {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.text.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let text = std::mem::take(&mut self.text);
        Poll::Ready((!text.is_empty()).then_some(Ok(text)))
    }
}

/// A body of ours that is no call's: probes, lists, pages.
pub fn json(state: &State, status: u16, request_id: &RequestId, body: impl Into<Bytes>) -> HttpResponse {
    page(state, status, request_id, "application/json", body)
}

/// The same in another format.
pub fn page(
    state: &State,
    status: u16,
    request_id: &RequestId,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> HttpResponse {
    head(state, status, request_id).content_type(content_type).body(body.into())
}

/// 405 on a path that is served by itself.
pub fn method_not_allowed(request: &HttpRequest, state: &State, allowed: &'static str) -> HttpResponse {
    let said = format!("{} takes {} only", extract::shown(request.path()), allowed.replace(", ", " and "));
    let refused = Fault::new(FaultKind::MethodNotAllowed, said);
    let mut response = fault(state, Dialect::OpenAiChat, &extract::request_id(request), &refused);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// 404 on the operators' listener.
pub async fn no_operator_page(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let said = format!(
        "there is nothing at {} for operators; the pages are /health/actors, /metrics, /_liveness and /_readiness",
        extract::shown(request.path())
    );
    let refused = Fault::new(FaultKind::NotFound, said);
    std::future::ready(fault(&state, Dialect::OpenAiChat, &extract::request_id(&request), &refused)).await
}

/// Counts and logs what was refused before it was a call.
pub fn count_refusal(
    state: &State,
    product: &ProductName,
    endpoint: Endpoint,
    status: u16,
    received: Instant,
    fault: &Fault,
    request_id: &RequestId,
) {
    state.gateway.metrics.finished(&Finished {
        product,
        endpoint,
        provider: None,
        status,
        duration: state.gateway.clock.now().saturating_duration_since(received),
        overhead: None,
    });
    tracing::info!(
        request.id = %request_id,
        product.name = %product,
        endpoint = endpoint.0,
        status,
        error.code = fault.kind.code(),
        "call refused"
    );
}

/// Counts and logs what was served without a provider.
pub fn count_served(
    state: &State,
    product: &ProductName,
    endpoint: Endpoint,
    received: Instant,
    request_id: &RequestId,
) {
    let duration = state.gateway.clock.now().saturating_duration_since(received);
    state.gateway.metrics.finished(&Finished {
        product,
        endpoint,
        provider: None,
        status: 200,
        duration,
        overhead: None,
    });
    tracing::info!(request.id = %request_id, product.name = %product, endpoint = endpoint.0, status = 200, "served");
}

fn head(state: &State, status: u16, request_id: &RequestId) -> HttpResponseBuilder {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = HttpResponse::build(status);
    if let Ok(id) = HeaderValue::from_str(request_id.as_str()) {
        response.insert_header((X_REQUEST_ID, id));
    }
    if state.draining.has_begun() {
        response.force_close();
        response.insert_header((CONNECTION, HeaderValue::from_static("close")));
    }
    response
}
