//! What spending limits promise, proved by processes: gateways, a Redis and 64 callers over HTTP. What was spent is what the
//! callers have answers for; nothing is taken from the gateways' own word.
//!
//! With all other tests each proof runs once or twice; `scripts/prove-limits` runs them as often as was promised, and prints what
//! each run came to.

use std::time::{Duration, Instant};

use llm_gateway::config::products::Per;
use llm_gateway::money::NanoUsd;
use rustix::process::Signal;

use crate::support::own_redis::OwnRedis;
use crate::support::proxy::{Proxy, Weather};
use crate::support::wait;

mod fleet;
mod load;
mod machine;
mod step;

use fleet::Fleet;
use load::{Books, CENT, DOLLAR, Estimate, Load};
use machine::Lateness;

/// How much more or less than the limit may be spent: 2 %.
const SLACK: NanoUsd = NanoUsd(DOLLAR.0 / 50);

const DOLLAR_A_DAY: &str = "[{ per = 'user', usd = 1, window = '24h' }]";

/// Limits that nobody comes near.
const FAR: &str =
    "[{ per = 'user', usd = 1000000, window = '24h' }, { per = 'product', usd = 1000000, window = '24h' }]";

/// How often, unless this variable says otherwise.
fn times(variable: &str, unless_set: usize) -> usize {
    std::env::var(variable).map_or(unless_set, |text| text.parse().expect("the variable holds a number"))
}

#[expect(clippy::print_stderr, reason = "what was measured is for who runs it")]
fn report(text: &str) {
    eprintln!("{text}");
}

fn somebody() -> String {
    uuid::Uuid::new_v4().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gateways_and_64_callers_spend_a_limit_within_two_percent() {
    let redis = OwnRedis::start().await;
    let fleet = Fleet::start(2, Some(&redis.url()), DOLLAR_A_DAY);
    for run in 1..=times("PROVE_RUNS", 1) {
        for estimate in [Estimate::OnePercentHigh, Estimate::TwoPercentLow, Estimate::TenTimes] {
            let user = somebody();
            let total = Load::new(&fleet, estimate).until_spent(&user).await;
            report(&format!("run {run}, two gateways, {estimate:?}: ${total} of $1.00"));
            let least = if estimate == Estimate::TenTimes { DOLLAR } else { DOLLAR - SLACK };
            assert!(total >= least && total <= DOLLAR + SLACK, "{estimate:?}: {total}");
            fleet.until_in_redis(&redis, Per::User, &user, total).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_gateway_in_memory_passes_a_limit_by_one_call_at_most() {
    let fleet = Fleet::start(1, None, DOLLAR_A_DAY);
    for run in 1..=times("PROVE_RUNS", 1) {
        for estimate in [Estimate::OnePercentHigh, Estimate::TwoPercentLow, Estimate::TenTimes] {
            let total = Load::new(&fleet, estimate).until_spent(&somebody()).await;
            report(&format!("run {run}, one gateway in memory, {estimate:?}: ${total} of $1.00"));
            assert!(total >= DOLLAR && total <= DOLLAR + CENT, "{estimate:?}: {total}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_becomes_of_redis_it_holds_the_sum_of_all_costs_in_the_end() {
    let mut redis = OwnRedis::start().await;
    let proxy = Proxy::start(redis.address()).await;
    let limits = "[{ per = 'user', usd = 4, window = '24h' }, { per = 'product', usd = 1000000, window = '24h' }]";
    let fleet = Fleet::start(2, Some(&format!("redis://{}/", proxy.address())), limits);
    let mut all = NanoUsd::ZERO;
    let mut users = Vec::new();
    for outage in 1..=times("PROVE_OUTAGES", 2) {
        let user = somebody();
        let load = Load::new(&fleet, Estimate::OnePercentHigh);
        let trouble = async {
            load.until_paid(50).await;
            if outage % 2 == 0 {
                redis.stop();
                load.until_paid(150).await;
                redis.run().await;
            } else {
                // Pipelines and answers end somewhere in the middle.
                for bytes in [900, 90, 2_500, 300, 30] {
                    proxy.set(Weather::Brittle(bytes));
                    load.until_paid(load.paid() + 20).await;
                    proxy.set(Weather::Cut);
                    load.until_paid(load.paid() + 10).await;
                }
                proxy.set(Weather::Fair);
            }
        };
        let (total, ()) = tokio::join!(load.until_spent(&user), trouble);
        report(&format!("outage {outage}, {}: ${total} spent", if outage % 2 == 0 { "stopped" } else { "cut" }));
        // Out of reach of one another, each of the two may spend what is left.
        assert!(total >= NanoUsd(DOLLAR.0 * 4) && total <= NanoUsd(DOLLAR.0 * 8), "{total}");
        all += total;
        users.push((user, total));
        for (user, total) in users.iter().rev().take(3) {
            fleet.until_in_redis(&redis, Per::User, user, *total).await;
        }
        fleet.until_in_redis(&redis, Per::Product, "", all).await;
    }
    for (user, total) in &users {
        fleet.until_in_redis(&redis, Per::User, user, *total).await;
    }
    report(&format!("{} outages: ${all} spent, and in Redis", users.len()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_told_to_end_under_load_has_told_redis_everything() {
    for run in 1..=times("PROVE_KILLS", 1) {
        let redis = OwnRedis::start().await;
        let mut fleet = Fleet::start(2, Some(&redis.url()), FAR);
        let load = Load::new(&fleet, Estimate::OnePercentHigh);
        let end = async {
            load.until_paid(200).await;
            fleet.signal(0, Signal::TERM);
            load.until_paid(400).await;
            load.stop();
        };
        let (callers, ()) = tokio::join!(load.until_stopped(), end);
        fleet.signal(1, Signal::TERM);
        for gateway in 0..2 {
            let ended = fleet.ended(gateway).await;
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        }
        for caller in &callers {
            let told = fleet.in_redis(&redis, Per::User, &caller.user).await;
            assert_eq!(told, caller.total(), "{} has so much worth of answers", caller.user);
        }
        let paid: NanoUsd = callers.iter().map(Books::total).sum();
        let told = fleet.in_redis(&redis, Per::Product, "").await;
        report(&format!("run {run}, SIGTERM: ${paid} worth of answers, ${told} in Redis"));
        assert_eq!(told, paid);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_killed_takes_the_last_moments_with_it_and_no_more() {
    for run in 1..=times("PROVE_KILLS", 1) {
        let redis = OwnRedis::start().await;
        let mut fleet = Fleet::start(1, Some(&redis.url()), FAR);
        let load = Load::new(&fleet, Estimate::OnePercentHigh);
        let end = async {
            load.until_paid(300).await;
            let lateness = Lateness::watch();
            load.until_paid(400).await;
            fleet.signal(0, Signal::KILL);
            let killed = Instant::now();
            load.stop();
            (killed, lateness.worst())
        };
        let (callers, (killed, late)) = tokio::join!(load.until_stopped(), end);
        fleet.ended(0).await;
        let safe = killed - load::LAST_MOMENTS - late;
        let (mut lost, mut oldest) = (NanoUsd::ZERO, killed);
        for caller in &callers {
            let told = fleet.in_redis(&redis, Per::User, &caller.user).await;
            lost += (caller.total() - told).max(NanoUsd::ZERO);
            oldest = caller.first_beyond(told).map_or(oldest, |at| oldest.min(at));
            // A caller makes one call at a time. The last may have been told of, and not been answered.
            assert!(told <= caller.total() + CENT, "{}: {told} of {}", caller.user, caller.total());
        }
        let paid: NanoUsd = callers.iter().map(Books::total).sum();
        let age = killed.saturating_duration_since(oldest);
        report(&format!(
            "run {run}, kill -9: of ${paid} worth of answers ${lost} lost, the oldest of {age:?} before; \
             this machine was late by {late:?} at most"
        ));
        assert!(oldest >= safe, "{lost} lost, of {age:?} before");
        let told = fleet.in_redis(&redis, Per::Product, "").await;
        let due: NanoUsd = callers.iter().map(|caller| caller.total_by(safe)).sum();
        assert!(told >= due, "the product has spent {due} or more, and {told} in Redis");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_hangs_calls_far_from_their_limits_take_no_longer() {
    let redis = OwnRedis::start().await;
    let proxy = Proxy::start(redis.address()).await;
    let limits = "[{ per = 'user', usd = 500, window = '1h' }, { per = 'product', usd = 10000, window = '1h' }]";
    let fleet = Fleet::start(2, Some(&format!("redis://{}/", proxy.address())), limits);
    let mut slowest = Vec::new();
    for weather in [Weather::Fair, Weather::Hanging] {
        proxy.set(weather);
        let load = Load::new(&fleet, Estimate::OnePercentHigh);
        let enough = async {
            load.until_paid(2_000).await;
            load.stop();
        };
        tokio::join!(load.until_stopped(), enough);
        let held = load.held_by_limits();
        report(&format!("Redis {weather:?}: limits held a call for {held:?} at the 99th percentile"));
        slowest.push(held);
    }
    // A call that waited for Redis would have waited for 300 ms at least.
    assert!(slowest.iter().all(|held| *held < Duration::from_millis(150)), "{slowest:?}");
    wait::until("the loss to be counted", || async { fleet.metric(0, "llm_gateway_redis_gone 1").await.then_some(()) })
        .await;
}
