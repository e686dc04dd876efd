//! The page that Prometheus reads.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use prometheus::core::Collector as _;
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntCounterVec, IntGauge, IntGaugeVec, Opts};

use crate::actors::report::ActorState;
use crate::fault::{Fault, FaultKind};
use crate::http::{self, extract, health, render};
use crate::ids::ModelId;
use crate::upstream::breaker::State as BreakerState;

mod analytics;

/// Stands for every model that is not in the catalog.
const OTHER_MODEL: &str = "other";

/// Everything that is counted.
pub async fn scrape(request: HttpRequest, state: web::Data<http::State>) -> HttpResponse {
    let text = moment(&state).and_then(|moment| state.gateway.metrics.render(&moment));
    let id = extract::request_id(&request);
    std::future::ready(match text {
        Ok(text) => render::page(&state, 200, &id, "text/plain; version=0.0.4", text),
        Err(error) => {
            tracing::error!(error = %error, "the metrics could not be written");
            let fault = Fault::new(FaultKind::Internal, "the metrics could not be written; the log says why");
            render::fault(&state, crate::dialect::Dialect::OpenAiChat, &id, &fault)
        }
    })
    .await
}

/// What is not counted on the request path but known at any time: actors, breakers, the auth cache, held memory.
fn moment(state: &http::State) -> Result<Vec<MetricFamily>, prometheus::Error> {
    let vector = |name: &str, help: &str, labels: &[&str]| IntGaugeVec::new(Opts::new(name, help), labels);
    let up = vector("llm_gateway_actor_up", "1 while the actor runs.", &["kind", "name"])?;
    let counter = |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
    let restarts =
        counter("llm_gateway_actor_restarts_total", "How often the actor was restarted.", &["kind", "name"])?;
    let depth = vector("llm_gateway_actor_mailbox_depth", "Messages that wait for the actor.", &["kind", "name"])?;
    for report in health::reports(state) {
        let labels = [report.kind, report.name.as_str()];
        up.with_label_values(&labels).set(i64::from(report.state == ActorState::Running));
        restarts.with_label_values(&labels).inc_by(report.restarts);
        depth.with_label_values(&labels).set(i64::try_from(report.mailbox_depth).unwrap_or(i64::MAX));
    }
    let open = vector(
        "llm_gateway_breaker_open",
        "1 while the breaker refuses calls; model is empty for the upstream as a whole, other for all that the catalog lacks.",
        &["provider", "upstream", "model"],
    )?;
    let catalog = state.gateway.catalog.load();
    for report in state.providers.breakers() {
        // A caller can name models that nobody knows; each would be a series.
        let known = |id: &ModelId| catalog.models().any(|model| model.id == *id);
        let model = report.model.as_ref().map_or("", |id| if known(id) { id.as_str() } else { OTHER_MODEL });
        let open = open.with_label_values(&[report.provider.as_str(), report.upstream.as_str(), model]);
        if report.state != BreakerState::Closed {
            open.set(1);
        }
    }
    let auth = counter("llm_gateway_auth_total", "Tokens that were presented, by what came of them.", &["result"])?;
    for (result, count) in state.gateway.auth.counts() {
        auth.with_label_values(&[result]).inc_by(count);
    }
    let remembered = vector("llm_gateway_auth_remembered", "Tokens that need not be looked up now.", &["kind"])?;
    let (good, refused) = state.gateway.auth.remembered();
    for (kind, count) in [("good", good), ("refused", refused)] {
        remembered.with_label_values(&[kind]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
    let team_cost = GaugeVec::new(
        Opts::new(
            "llm_gateway_top_team_cost_usd",
            "The most that the hundred teams that spent most may have since the start, in dollars: of a thousand teams, a new one takes over the sum of the smallest. llm_gateway_top_team_cost_least_usd is sure.",
        ),
        &["team"],
    )?;
    let user_cost = GaugeVec::new(
        Opts::new(
            "llm_gateway_top_user_cost_usd",
            "The most that the hundred users that spent most may have since the start, in dollars: of a thousand users, a new one takes over the sum of the smallest. llm_gateway_top_user_cost_least_usd is sure.",
        ),
        &["team", "user"],
    )?;
    let team_least = GaugeVec::new(
        Opts::new("llm_gateway_top_team_cost_least_usd", "What the same teams are sure to have spent, in dollars."),
        &["team"],
    )?;
    let user_least = GaugeVec::new(
        Opts::new("llm_gateway_top_user_cost_least_usd", "What the same users are sure to have spent, in dollars."),
        &["team", "user"],
    )?;
    let (teams, users) = state.gateway.limiter.top_spenders();
    for team in &teams {
        team_cost.with_label_values(&[team.team.as_str()]).add(team.spent.as_usd());
        team_least.with_label_values(&[team.team.as_str()]).add(team.least.as_usd());
    }
    for user in &users {
        // Names that are alike in their beginnings are one here.
        user_cost.with_label_values(&[user.team.as_str(), user.user.as_str()]).add(user.spent.as_usd());
        user_least.with_label_values(&[user.team.as_str(), user.user.as_str()]).add(user.least.as_usd());
    }
    let used = GaugeVec::new(
        Opts::new(
            "llm_gateway_limit_used_ratio",
            "How much of a limit is used, from 0 up, by whoever used most of it.",
        ),
        &["product", "per", "window"],
    )?;
    for limit in state.gateway.limiter.uses() {
        let window = Duration::from_millis(limit.window.as_ms());
        let window = humantime::format_duration(window).to_string();
        used.with_label_values(&[limit.product.as_str(), limit.per.name(), &window]).set(limit.share);
    }
    let kept = IntGauge::new("llm_gateway_limit_counters", "Counters of spending that are kept.")?;
    kept.set(i64::try_from(state.gateway.limiter.counters()).unwrap_or(i64::MAX));
    let redis_gone =
        IntGauge::new("llm_gateway_redis_gone", "1 while limits are held without Redis, which is out of reach.")?;
    redis_gone.set(i64::from(state.gateway.limiter.is_redis_gone()));
    let held = IntGauge::new("llm_gateway_answer_bytes_held", "Bytes of whole answers that are being collected.")?;
    held.set(i64::try_from(state.gateway.memory.held()).unwrap_or(i64::MAX));
    let bodies =
        IntGauge::new("llm_gateway_request_bytes_held", "Bytes of requests' bodies that are held or being read.")?;
    bodies.set(i64::try_from(state.gateway.bodies.held()).unwrap_or(i64::MAX));
    let mut families = held.collect();
    families.extend(bodies.collect());
    families.extend(kept.collect());
    families.extend(redis_gone.collect());
    families.extend(team_cost.collect());
    families.extend(user_cost.collect());
    families.extend(team_least.collect());
    families.extend(user_least.collect());
    families.extend(used.collect());
    for gauges in [up, depth, open, remembered] {
        families.extend(gauges.collect());
    }
    for counters in [restarts, auth] {
        families.extend(counters.collect());
    }
    families.extend(analytics::families(&state.gateway.analytics.standing())?);
    families.retain(|family| !family.get_metric().is_empty());
    Ok(families)
}
