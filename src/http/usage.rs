//! What was spent of a product's limits, and what is left, in dollars.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use crate::actors::limiter::Headroom;
use crate::config::products::Mode;
use crate::http::extract::{self, Caller};
use crate::http::{State, render};
use crate::limits::scope::{Payer, Scope};

/// For the caller itself, or for the end user of its own team that `?user=` names.
pub async fn show(request: &HttpRequest, state: &State, caller: &Caller) -> HttpResponse {
    let named = url::form_urlencoded::parse(request.query_string().as_bytes())
        .find(|(name, _)| name == "user")
        .map(|(_, value)| value.into_owned());
    let scope = Scope::new(caller.product.clone(), &caller.principal, named.as_deref());
    let config = state.gateway.config.load_full();
    let limiter = &state.gateway.limiter;
    let claims =
        config.products.get(&caller.product).map(|product| limiter.claims(&scope, product)).unwrap_or_default();
    let mut windows = limiter.usage(&caller.product, &claims).await;
    windows.sort_by_key(|window| (window.claim.per, window.claim.key.length()));
    let team = match scope.team {
        Payer::Team(team) => json!(team.0),
        Payer::Alone(_) => Value::Null,
    };
    let body = json!({
        "product": caller.product.as_str(),
        "team": team,
        "user": scope.end_user.to_string(),
        "windows": windows.iter().map(window).collect::<Vec<_>>(),
    });
    render::json(state, 200, &extract::request_id(request), body.to_string())
}

fn window(window: &Headroom) -> Value {
    let length = Duration::from_millis(window.claim.key.length().as_ms());
    json!({
        "per": window.claim.per.name(),
        "window": humantime::format_duration(length).to_string(),
        "enforced": window.claim.mode == Mode::Enforce,
        "limit_usd": window.claim.limit.as_usd(),
        "used_usd": window.used.as_usd(),
        "remaining_usd": window.remaining.as_usd(),
        "resets_in_seconds": window.clears.as_secs() + u64::from(window.clears.subsec_nanos() > 0),
    })
}
