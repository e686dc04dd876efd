//! Turns what a call came to into HTTP.

use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONNECTION, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
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
        AnswerBody::Whole(body) => response.body(body),
        AnswerBody::Stream(relay) => response.streaming(relay.map(Ok::<_, std::convert::Infallible>)),
    }
}

/// A refusal in the dialect of the endpoint.
pub fn fault(state: &State, dialect: Dialect, request_id: &RequestId, fault: &Fault) -> HttpResponse {
    let mut response = answer(state, request_id, exchange::fault_answer(dialect, request_id, fault));
    if fault.kind == FaultKind::MethodNotAllowed {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
    }
    response
}

/// A body of ours that is no call's: probes, lists, pages.
pub fn json(state: &State, status: u16, request_id: &RequestId, body: impl Into<bytes::Bytes>) -> HttpResponse {
    head(state, status, request_id).content_type("application/json").body(body.into())
}

/// 405 on a path that is served by itself.
pub async fn method_not_allowed(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let said = format!("{} takes GET and HEAD only", extract::shown(request.path()));
    let refused = Fault::new(FaultKind::MethodNotAllowed, said);
    std::future::ready(fault(&state, Dialect::OpenAiChat, &extract::request_id(&request), &refused)).await
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
