//! The root span of a request, and its id.
//!
//! tracing-actix-web's own root span records a dozen fields and costs more than the rest of the request; this one records the
//! method, the path and the id. The query is left out: on Google's paths it may hold a token.

use actix_web::HttpMessage as _;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use tracing::Span;
use tracing_actix_web::RootSpanBuilder;

use crate::http::extract::shown;
use crate::ids::RequestId;

/// Makes the span and the id that everything else about a request carries.
#[derive(Clone, Copy, Debug)]
pub struct RequestSpan;

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let id = request
            .headers()
            .get("x-request-id")
            .and_then(|value| value.to_str().ok())
            .and_then(RequestId::from_caller)
            .unwrap_or_else(RequestId::generate);
        let span = tracing::info_span!(
            "request",
            http.method = %request.method(),
            http.path = shown(request.path()),
            request.id = %id,
        );
        request.extensions_mut().insert(id);
        span
    }

    fn on_request_end<B: MessageBody>(_span: Span, _outcome: &Result<ServiceResponse<B>, actix_web::Error>) {}
}
