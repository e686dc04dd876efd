//! The HTTP front: a handler extracts, calls, renders.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::{HttpRequest, Route, web};

use crate::actors::provider::Providers;
use crate::exchange::Gateway;

pub mod call;
pub mod extract;
pub mod health;
pub mod metrics;
pub mod models;
pub mod render;
pub mod routes;
pub mod trace;
pub mod usage;

/// What every handler of one gateway can reach.
#[derive(Clone)]
pub struct State {
    /// What calls share.
    pub gateway: Arc<Gateway>,
    /// Who serves.
    pub providers: Providers,
    /// Whether the gateway is on its way out.
    pub draining: Draining,
}

/// Set once, when the gateway begins to shut down.
#[derive(Clone, Debug, Default)]
pub struct Draining(Arc<AtomicBool>);

impl Draining {
    /// From here on readiness says no and connections are closed after their answer.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Who is on the other side of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Callers only.
    Callers,
    /// Operators only.
    Operators,
    /// Both: `dev`.
    Both,
}

/// The handlers of a listener. What is not listed here is looked up in [`routes`].
pub fn configure(audience: Audience) -> impl FnOnce(&mut web::ServiceConfig) {
    move |service| {
        for path in ["/", "/_liveness", "/_readiness"] {
            let probe =
                if path == "/_readiness" { web::get().to(health::readiness) } else { web::get().to(health::liveness) };
            let head = if path == "/_readiness" {
                web::head().to(health::readiness)
            } else {
                web::head().to(health::liveness)
            };
            service.service(web::resource(path).route(probe).route(head).default_service(others_refused("GET, HEAD")));
        }
        if audience != Audience::Callers {
            service
                .service(
                    web::resource("/health/actors")
                        .route(web::get().to(health::actors))
                        .default_service(others_refused("GET")),
                )
                .service(
                    web::resource("/metrics")
                        .route(web::get().to(metrics::scrape))
                        .default_service(others_refused("GET")),
                );
        }
        match audience {
            Audience::Callers | Audience::Both => service.default_service(web::to(call::any)),
            Audience::Operators => service.default_service(web::to(render::no_operator_page)),
        };
    }
}

/// Methods that a page does not take.
fn others_refused(allowed: &'static str) -> Route {
    web::to(move |request: HttpRequest, state: web::Data<State>| {
        std::future::ready(render::method_not_allowed(&request, &state, allowed))
    })
}
