//! Answers everything that [`routes`] knows: calls to models, and the lists of them.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::auth::access;
use crate::exchange::{Call, Exchange};
use crate::fault::{Fault, FaultKind};
use crate::http::State;
use crate::http::extract::{self, Caller};
use crate::http::models;
use crate::http::render;
use crate::http::routes::{self, CallTarget, Route, Target};
use crate::ids::{ProductName, RequestId};

/// The product of a path that names none.
const DEFAULT_PRODUCT: &str = "llm_gateway";

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
    let Some(route) = routes::resolve(path) else {
        let fault = Fault::new(
            FaultKind::NotFound,
            format!(
                "there is nothing at {}; the calls are POST /v1/chat/completions, /v1/responses, /v1/messages and Google's \
                     /v1beta/models/{{model}}:generateContent",
                extract::shown(path)
            ),
        );
        extract::discard(payload, &state).await;
        return render::fault(&state, crate::dialect::Dialect::OpenAiChat, &request_id, &fault);
    };
    let dialect = route.dialect();
    match serve(&request, &route, payload, &state, &exchange, &request_id, received).await {
        Ok(response) => response,
        Err(Refused { fault, payload }) => {
            // A caller that is still sending would not see an answer on a connection that is closed under it.
            if let Some(payload) = payload {
                extract::discard(payload, &state).await;
            }
            let status = crate::dialect::error::status(dialect, &fault);
            let product = known_product(&state, &route);
            render::count_refusal(&state, &product, route.endpoint(), status, received, &fault, &request_id);
            render::fault(&state, dialect, &request_id, &fault)
        }
    }
}

/// A refusal, with what is still unread of the request.
struct Refused {
    fault: Fault,
    payload: Option<web::Payload>,
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
        Err(fault) => return Err(Refused { fault, payload: Some(payload) }),
    };
    let auth_took = state.gateway.clock.now().saturating_duration_since(received);
    let target = match &route.target {
        Target::Models(shape) => {
            return Ok(models::list(request, state, &caller, *shape));
        }
        Target::Model(shape, id) => {
            return models::one(request, state, &caller, *shape, id)
                .map_err(|fault| Refused { fault, payload: Some(payload) });
        }
        Target::Call(target) => target,
    };
    let body = extract::body(request, payload, state).await.map_err(|fault| Refused { fault, payload: None })?;
    let call = Call {
        request_id: request_id.clone(),
        product: caller.product,
        principal: caller.principal,
        dialect: target.dialect,
        operation: target.operation,
        endpoint: target.endpoint(),
        from_path: from_path(target, request.query_string()),
        query: request.query_string().to_owned(),
        headers: request.headers().iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        body,
        received,
        auth_took,
    };
    Ok(render::answer(state, request_id, exchange.run(call).await))
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
    config.products.get_key_value(asked).map_or_else(|| ProductName::from("unknown"), |(name, _)| name.clone())
}
