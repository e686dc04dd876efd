//! Answers everything that [`routes`] knows: calls to models, and the lists of them.

use actix_web::http::header::{ALLOW, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};

use crate::auth::access;
use crate::dialect::Dialect;
use crate::exchange::{Call, Exchange};
use crate::fault::{Fault, FaultKind};
use crate::http::State;
use crate::http::extract::{self, Caller, Refused};
use crate::http::models;
use crate::http::render;
use crate::http::routes::{self, CallTarget, Route, Target};
use crate::http::usage;
use crate::ids::{ProductName, RequestId};
use crate::telemetry::metrics::Endpoint;
use crate::upstream::endpoint;

/// The product of a path that names none.
const DEFAULT_PRODUCT: &str = "llm_gateway";

/// Stands in metrics for what a caller made up.
const UNKNOWN: &str = "unknown";

/// Any path that is no probe and no operator's page.
pub async fn any(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
    exchange: web::Data<Exchange>,
) -> HttpResponse {
    let received = state.gateway.clock.now();
    let request_id = extract::request_id(&request);
    let path = request.path();
    let route = routes::resolve(path);
    let dialect = spoken(&request, route.as_ref());
    let (endpoint, product, served) = match &route {
        Some(route) => {
            let served = serve(&request, route, payload, &state, &exchange, &request_id, received).await;
            (route.endpoint(), known_product(&state, route), served)
        }
        None => {
            let said = format!(
                "there is nothing at {}; the calls are POST /v1/chat/completions, /v1/responses, /v1/messages and Google's \
                 /v1beta/models/{{model}}:generateContent",
                extract::shown(path)
            );
            let fault = Fault::new(FaultKind::NotFound, said);
            (Endpoint("unknown"), ProductName::from(UNKNOWN), Err(Refused::skimmed(fault, payload).await))
        }
    };
    match served {
        Ok(response) => response,
        Err(Refused { fault, unread }) => {
            let status = crate::dialect::error::status(dialect, &fault);
            render::count_refusal(&state, &product, endpoint, status, received, &fault, &request_id);
            let mut response = render::fault(&state, dialect, &request_id, &fault);
            if let (FaultKind::MethodNotAllowed, Some(route)) = (fault.kind, &route) {
                response.headers_mut().insert(ALLOW, HeaderValue::from_static(route.method()));
            }
            match unread {
                Some(rest) => render::before_the_body_ends(response, rest),
                None => response,
            }
        }
    }
}

/// In whose words a refusal is written. What is no call may be asked by any vendor's SDK; Anthropic's names itself.
fn spoken(request: &HttpRequest, route: Option<&Route<'_>>) -> Dialect {
    let is_call = route.is_some_and(|route| matches!(route.target, Target::Call(_)));
    let by_path = route.map_or_else(|| routes::likely_dialect(request.path()), Route::dialect);
    if !is_call && by_path == Dialect::OpenAiChat && request.headers().contains_key("anthropic-version") {
        return Dialect::Anthropic;
    }
    by_path
}

async fn serve(
    request: &HttpRequest,
    route: &Route<'_>,
    payload: web::Payload,
    state: &State,
    exchange: &Exchange,
    request_id: &RequestId,
    received: std::time::Instant,
) -> Result<HttpResponse, Refused> {
    let caller = match identify(request, route, state).await {
        Ok(caller) => caller,
        Err(fault) => return Err(Refused::skimmed(fault, payload).await),
    };
    let auth_took = state.gateway.clock.now().saturating_duration_since(received);
    let target = match &route.target {
        Target::Models(shape) => {
            let response = models::list(request, state, &caller, *shape);
            render::count_served(state, &caller.product, route.endpoint(), received, request_id);
            return Ok(response);
        }
        Target::Model(shape, id) => match models::one(request, state, &caller, *shape, id) {
            Ok(response) => {
                render::count_served(state, &caller.product, route.endpoint(), received, request_id);
                return Ok(response);
            }
            Err(fault) => return Err(Refused::skimmed(fault, payload).await),
        },
        Target::Usage => return Ok(usage::show(request, state, &caller).await),
        Target::Call(target) => target,
    };
    let (body, room) = extract::body(request, payload, state).await?;
    let call = Call {
        request_id: request_id.clone(),
        product: caller.product,
        principal: caller.principal,
        dialect: target.dialect,
        operation: target.operation,
        endpoint: target.endpoint(),
        from_path: from_path(target, request.query_string()),
        query: without_credentials(request.query_string()),
        headers: without_credential_headers(request.headers()),
        body,
        room,
        received,
        auth_took,
    };
    Ok(render::answer(state, request_id, exchange.run(call).await))
}

/// A caller's query; its token has done its work, and nothing behind this could log or leak it.
fn without_credentials(query: &str) -> String {
    query.split('&').filter(|part| !endpoint::is_credential(part)).collect::<Vec<_>>().join("&")
}

/// The same of its headers.
fn without_credential_headers(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    const CREDENTIALS: [&str; 5] = ["authorization", "x-api-key", "x-goog-api-key", "cookie", "proxy-authorization"];
    let passes = |(name, _): &(&HeaderName, &HeaderValue)| !CREDENTIALS.contains(&name.as_str());
    headers.iter().filter(passes).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Who calls, for which product, by which right.
async fn identify(request: &HttpRequest, route: &Route<'_>, state: &State) -> Result<Caller, Fault> {
    let config = state.gateway.config.load();
    let name = route.product.unwrap_or(DEFAULT_PRODUCT);
    let Some((product, rules)) = config.products.get_key_value(name) else {
        let known: Vec<&str> = config.products.keys().map(ProductName::as_str).collect();
        return Err(Fault::new(
            FaultKind::NotFound,
            format!("there is no product \"{}\"; the products are {}", extract::shown(name), known.join(", ")),
        ));
    };
    if request.method().as_str() != route.method() {
        return Err(Fault::new(
            FaultKind::MethodNotAllowed,
            format!("{} takes {} only", extract::shown(request.path()), route.method()),
        ));
    }
    let token = extract::token(request, route)?;
    let principal = state.gateway.auth.authenticate(&token).await?;
    access::admit(&principal, product, rules)?;
    Ok(Caller { product: product.clone(), principal })
}

/// What Google's paths say instead of the body.
fn from_path(target: &CallTarget<'_>, query: &str) -> Option<(String, crate::dialect::Delivery)> {
    target.google.as_ref().map(|google| (google.model.clone().into_owned(), google.verb.delivery(query)))
}

/// The product for a metric: one that is configured, never what a caller made up.
fn known_product(state: &State, route: &Route<'_>) -> ProductName {
    let config = state.gateway.config.load();
    let asked = route.product.unwrap_or(DEFAULT_PRODUCT);
    config.products.get_key_value(asked).map_or_else(|| ProductName::from(UNKNOWN), |(name, _)| name.clone())
}
