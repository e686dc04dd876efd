//! Probes, and the health of every actor and breaker.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use crate::actors::report::ActorReport;
use crate::http::{State, extract, render};

/// The process runs.
pub async fn liveness(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    std::future::ready(render::json(&state, 200, &extract::request_id(&request), r#"{"status":"ok"}"#)).await
}

/// Calls can be served: tokens can be checked, and nobody has asked the gateway to stop.
pub async fn readiness(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let (status, body) = if state.draining.has_begun() {
        (503, json!({"status": "draining"}))
    } else if state.gateway.auth.is_ready() {
        (200, json!({"status": "ready"}))
    } else {
        (503, json!({"status": "not ready", "waiting_for": "the database"}))
    };
    std::future::ready(render::json(&state, status, &extract::request_id(&request), body.to_string())).await
}

/// Every actor and every breaker, as they are now.
pub async fn actors(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let body = json!({
        "actors": reports(&state),
        "breakers": state.providers.breakers(),
        "analytics": state.gateway.analytics.standing(),
    });
    std::future::ready(render::json(&state, 200, &extract::request_id(&request), body.to_string())).await
}

/// Every actor of the gateway.
pub fn reports(state: &State) -> Vec<ActorReport> {
    let mut all = vec![state.gateway.auth.report(), state.gateway.limiter.report(), state.gateway.analytics.report()];
    all.extend(state.providers.reports());
    all
}
