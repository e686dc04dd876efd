//! The handle without Redis: concurrency, estimates, shadows, and what a dropped reservation leaves.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use futures_util::future::join_all;

use super::keeper::Break;
use super::ledger::{Audience, Ledger};
use super::slots::Slot;
use super::{Limiter, Reservation};
use crate::clock::Clock;
use crate::config::products::Product;
use crate::config::{self, Config};
use crate::fault::Fault;
use crate::ids::{ProductName, TeamId, UserId};
use crate::limits::counter::Company;
use crate::limits::scope::{CounterKey, EndUser, Payer, Scope};
use crate::limits::window::LedgerTime;
use crate::money::NanoUsd;
use crate::store::counters::{Counters, Roll};
use crate::telemetry::metrics::Metrics;

const CENT: NanoUsd = NanoUsd(10_000_000);
const DOLLAR: NanoUsd = NanoUsd(1_000_000_000);

fn config(limits: &str) -> Config {
    let env = [
        ("LLM_GATEWAY__PRODUCTS__LLM_GATEWAY__LIMITS".to_owned(), limits.to_owned()),
        ("LLM_GATEWAY__LIMITS__WAIT".to_owned(), "100ms".to_owned()),
    ];
    Config::load(env, config::Mode::Tool).unwrap().config
}

/// In the middle of an hour, whenever this runs: near a window's edge, what was spent fades soon.
fn clock() -> Clock {
    Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(490_000 * 3_600 + 1_800))
}

fn start(limits: &str) -> (Limiter, Product) {
    start_with(limits, clock())
}

fn start_with(limits: &str, clock: Clock) -> (Limiter, Product) {
    let config = config(limits);
    let product = config.products["llm_gateway"].clone();
    let config = std::sync::Arc::new(ArcSwap::from_pointee(config));
    (Limiter::start(config, clock, Metrics::new().unwrap(), None), product)
}

fn scope(user: &str) -> Scope {
    Scope {
        product: ProductName::from("llm_gateway"),
        team: Payer::Team(TeamId(1)),
        end_user: EndUser::Named(user.to_owned()),
        credential: "key:1".to_owned(),
    }
}

async fn reserve(limiter: &Limiter, product: &Product, scope: Scope, estimate: NanoUsd) -> Result<Reservation, Fault> {
    let claims = limiter.claims(&scope, product);
    limiter.reserve(scope, claims, estimate).await.map_err(|refusal| refusal.fault)
}

/// So many callers, each of whom calls until it is told that the limit is spent; what all of that cost, and the last word.
async fn spend(callers: usize, estimate: NanoUsd, actual: NanoUsd) -> (NanoUsd, Vec<Fault>) {
    let (limiter, product) = start("[{ per = 'user', usd = 1, window = '1h' }]");
    let (limiter, product) = (Rc::new(limiter), Rc::new(product));
    let callers = (0..callers).map(|_| {
        let (limiter, product) = (limiter.clone(), product.clone());
        async move {
            let mut spent = NanoUsd::ZERO;
            loop {
                match reserve(&limiter, &product, scope("ann"), estimate).await {
                    Ok(reservation) => {
                        for _ in 0..3 {
                            tokio::task::yield_now().await;
                        }
                        reservation.settle(actual);
                        spent += actual;
                    }
                    Err(fault) if fault.message.contains("is spent") => return (spent, fault),
                    Err(_) => {}
                }
            }
        }
    });
    let (spent, faults): (Vec<NanoUsd>, Vec<Fault>) = join_all(callers).await.into_iter().unzip();
    (spent.into_iter().sum(), faults)
}

#[actix_rt::test]
async fn concurrent_callers_pass_a_limit_by_no_more_than_one_call() {
    let (spent, faults) = spend(64, CENT, CENT).await;
    assert!(spent >= DOLLAR && spent <= DOLLAR + CENT, "{spent}");
    assert!(faults[0].retry_after.unwrap().as_secs() >= 1);
    assert!(faults[0].message.contains("$1.00 per user in 1h"), "{}", faults[0].message);
}

#[actix_rt::test]
async fn with_estimates_ten_times_too_high_the_whole_limit_is_spent() {
    let (spent, _) = spend(16, NanoUsd(CENT.0 * 10), CENT).await;
    assert!(spent >= DOLLAR && spent <= DOLLAR + CENT, "{spent}");
}

#[actix_rt::test]
async fn a_call_that_finds_no_room_waits_and_is_told_to_come_back_in_a_second() {
    let (limiter, product) = start("[{ per = 'user', usd = 1, window = '1h' }]");
    let held = reserve(&limiter, &product, scope("ann"), DOLLAR).await.unwrap();
    let fault = reserve(&limiter, &product, scope("ann"), CENT).await.unwrap_err();
    assert_eq!(fault.retry_after.unwrap().as_secs(), 1);
    reserve(&limiter, &product, scope("bob"), CENT).await.unwrap();
    // One that waits is let in as soon as the other settles.
    let waits = reserve(&limiter, &product, scope("ann"), CENT);
    let (waited, ()) = futures_util::future::join(waits, async move {
        tokio::task::yield_now().await;
        held.settle(CENT);
    })
    .await;
    waited.unwrap();
}

#[actix_rt::test]
async fn a_reservation_that_is_dropped_gives_everything_back() {
    let (limiter, product) =
        start("[{ per = 'user', usd = 1, window = '1h' }, { per = 'team', usd = 2, window = '1h' }]");
    let claims = limiter.claims(&scope("ann"), &product);
    let remaining = || limiter.tightest(&claims).unwrap().room.remaining.to_string();
    let held = reserve(&limiter, &product, scope("ann"), CENT).await.unwrap();
    assert_eq!(remaining(), "0.99");
    drop(held);
    assert_eq!(remaining(), "1.00");
}

#[actix_rt::test]
async fn a_call_says_what_it_left_of_the_tightest_limit() {
    let (limiter, product) =
        start("[{ per = 'team', usd = 2, window = '1h' }, { per = 'user', usd = 1, window = '1h' }]");
    let held = reserve(&limiter, &product, scope("ann"), CENT).await.unwrap();
    let mut said = Vec::new();
    held.tightest().unwrap().headers(|name, value| said.push(format!("{name}: {value}")));
    assert_eq!(said, ["x-ratelimit-limit-usd: 1.00", "x-ratelimit-remaining-usd: 0.99", "x-ratelimit-reset: 0"]);
    let left = held.settle(DOLLAR).tightest.unwrap();
    assert_eq!(left.room.remaining, NanoUsd::ZERO);
    assert!(left.room.reset.as_secs() >= 1, "{left:?}");
}

#[actix_rt::test]
async fn a_call_is_reserved_under_all_of_its_limits_or_under_none() {
    let (limiter, product) =
        start("[{ per = 'user', usd = 1, window = '1h' }, { per = 'team', usd = 2, window = '1h' }]");
    for user in ["ann", "bob"] {
        reserve(&limiter, &product, scope(user), DOLLAR).await.unwrap().settle(DOLLAR);
    }
    let fault = reserve(&limiter, &product, scope("eve"), CENT).await.unwrap_err();
    assert!(fault.message.contains("per team"), "{}", fault.message);
    let claims = limiter.claims(&scope("eve"), &product);
    let user = claims.iter().find(|claim| claim.per.name() == "user").unwrap();
    assert_eq!(limiter.headroom(&[*user])[0].remaining, DOLLAR);
}

#[actix_rt::test]
async fn of_several_limits_that_are_spent_the_one_that_keeps_a_call_out_longest_is_named() {
    let (limiter, product) =
        start("[{ per = 'user', usd = 1, window = '1m' }, { per = 'user', usd = 1, window = '1h' }]");
    let held = reserve(&limiter, &product, scope("ann"), CENT).await.unwrap();
    held.settle(DOLLAR);
    let claims = limiter.claims(&scope("ann"), &product);
    let refusal = limiter.reserve(scope("ann"), claims, CENT).await.unwrap_err();
    assert!(refusal.fault.message.contains("per user in 1h"), "{}", refusal.fault.message);
    let after = refusal.fault.retry_after.unwrap();
    assert!(after > Duration::from_secs(120), "{after:?}");
    assert_eq!((refusal.tightest.room.remaining, refusal.tightest.room.reset), (NanoUsd::ZERO, after));
}

#[actix_rt::test]
async fn nobody_waits_for_room_under_one_limit_while_another_is_spent() {
    let (limiter, product) =
        start("[{ per = 'user', usd = 1, window = '1h' }, { per = 'team', usd = 2, window = '1h' }]");
    let _held = reserve(&limiter, &product, scope("ann"), DOLLAR).await.unwrap();
    let spends = reserve(&limiter, &product, scope("bob"), CENT).await.unwrap();
    spends.settle(NanoUsd(2 * DOLLAR.0));
    let fault = reserve(&limiter, &product, scope("ann"), CENT).now_or_never().unwrap().unwrap_err();
    assert!(fault.message.contains("per team in 1h is spent"), "{}", fault.message);
}

#[actix_rt::test]
async fn what_costs_nothing_neither_waits_nor_is_refused() {
    let (limiter, product) = start("[{ per = 'user', usd = 1, window = '1h' }]");
    let held = reserve(&limiter, &product, scope("ann"), DOLLAR).await.unwrap();
    reserve(&limiter, &product, scope("ann"), NanoUsd::ZERO).await.unwrap();
    held.settle(DOLLAR);
    reserve(&limiter, &product, scope("ann"), CENT).await.unwrap_err();
    // Should it have cost something after all, that counts.
    reserve(&limiter, &product, scope("ann"), NanoUsd::ZERO).await.unwrap().settle(CENT);
    let claims = limiter.claims(&scope("ann"), &product);
    assert_eq!(limiter.headroom(&claims)[0].used, DOLLAR + CENT);
}

#[actix_rt::test]
async fn a_limit_in_the_shadow_counts_and_refuses_nobody() {
    let (limiter, product) = start("[{ per = 'user', usd = 1, window = '1h', mode = 'shadow' }]");
    for _ in 0..3 {
        reserve(&limiter, &product, scope("ann"), DOLLAR).await.unwrap().settle(DOLLAR);
    }
    let claims = limiter.claims(&scope("ann"), &product);
    assert_eq!(limiter.headroom(&claims)[0].used, NanoUsd(3 * DOLLAR.0));
    assert_eq!(limiter.tightest(&claims), None);
}

/// So many users make a call each, of a cent.
fn spend_a_cent_each(ledger: &Ledger, config: &Config, users: i32) {
    for user in 0..users {
        let scope = Scope { end_user: EndUser::Owner(UserId(user)), ..scope("") };
        for claim in scope.claims(&config.products["llm_gateway"], &config.limits) {
            ledger.admit(&scope.product, &claim, CENT, Company::Alone, ledger.moment());
            ledger.settle(&scope.product, &claim, CENT, CENT, 0.8, ledger.moment());
        }
    }
}

#[test]
fn a_hundred_thousand_users_fit_in_a_hundred_megabytes_and_expire() {
    let config = config("[{ per = 'user', usd = 1, window = '1h' }, { per = 'user', usd = 5, window = '1d' }]");
    let clock = clock();
    let ledger = Ledger::new(clock.clone(), Audience::Nobody);
    spend_a_cent_each(&ledger, &config, 100_000);
    assert_eq!(ledger.len(), 200_000);
    // A hash table is at least seven sixteenths full after it has grown. Beside a counter there is how many know it.
    let in_table = (size_of::<(CounterKey, Arc<Slot>)>() + 1) * 16 / 7;
    let bytes = ledger.len() * (in_table + size_of::<Slot>() + align_of::<Slot>());
    assert!(bytes < 100_000_000, "{bytes} bytes");
    clock.advance(Duration::from_secs(3 * 3600));
    ledger.expire();
    assert_eq!(ledger.len(), 100_000, "those of the longer window are needed still");
    clock.advance(Duration::from_secs(2 * 24 * 3600));
    ledger.expire();
    assert_eq!(ledger.len(), 0);
}

#[test]
fn counters_that_a_redis_that_is_gone_was_not_told_of_expire_too() {
    let config = config("[{ per = 'user', usd = 1, window = '1h' }]");
    let clock = clock();
    let ledger = Ledger::new(clock.clone(), Audience::Others);
    spend_a_cent_each(&ledger, &config, 2_000);
    ledger.expire();
    assert_eq!((ledger.len(), ledger.queued()), (2_000, 2_000));
    clock.advance(Duration::from_secs(3 * 3600));
    ledger.expire();
    assert_eq!((ledger.len(), ledger.queued()), (0, 0));
}

#[test]
fn what_is_settled_on_a_counter_that_has_expired_is_not_lost() {
    let config = config("[{ per = 'user', usd = 1, window = '1h' }]");
    let clock = clock();
    let ledger = Ledger::new(clock.clone(), Audience::Others);
    let claim = scope("ann").claims(&config.products["llm_gateway"], &config.limits)[0];
    let settle = || ledger.settle(&scope("ann").product, &claim, NanoUsd::ZERO, CENT, 0.8, ledger.moment());
    let state = || {
        let used = ledger.with(claim.key, |counter, at| counter.standing_at(at).spent.current);
        (used, ledger.queued())
    };
    settle();
    assert_eq!(state(), (Some(CENT), 1));
    clock.advance(Duration::from_secs(3 * 3600));
    ledger.expire();
    assert_eq!(state(), (None, 0));
    // This thread came to it before, and remembers where it was.
    settle();
    assert_eq!(state(), (Some(CENT), 1));
}

#[actix_rt::test]
async fn what_was_being_told_when_the_actor_panics_is_told_anew() {
    let env = [
        ("LLM_GATEWAY_REDIS_URL".to_owned(), "redis://127.0.0.1:1/".to_owned()),
        ("LLM_GATEWAY__LIMITS__FLUSH_EVERY".to_owned(), "1h".to_owned()),
    ];
    let config = Config::load(env, config::Mode::Tool).unwrap().config;
    let counters = Counters::open(&config.redis).unwrap();
    let product = config.products["llm_gateway"].clone();
    let config = std::sync::Arc::new(ArcSwap::from_pointee(config));
    let limiter = Limiter::start(config, Clock::system(), Metrics::new().unwrap(), counters);
    reserve(&limiter, &product, scope("ann"), CENT).await.unwrap().settle(CENT);
    let taken = limiter.shared.ledger.take_queued(10);
    assert_eq!((taken.len(), limiter.shared.ledger.queued()), (product.limits.len(), 0));
    limiter._actor.send(Break).await.unwrap_err();
    let again = async {
        while limiter.shared.ledger.queued() < taken.len() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), again).await.unwrap();
}

#[actix_rt::test]
async fn a_step_of_redis_time_neither_frees_nor_holds_anybody_for_longer_than_a_window() {
    const DAY_MS: u64 = 24 * 3_600_000;
    const ODD_MS: u64 = 17 * 60_000 + 333;
    let far = [3 * DAY_MS, 3 * DAY_MS + ODD_MS, 3 * DAY_MS - ODD_MS, 2 * ODD_MS, 3_600_000, 3_700];
    for (step, by) in far.iter().flat_map(|by| [(Step::Forwards, by), (Step::Backwards, by)]) {
        let clock = clock();
        let (limiter, product) = start_with("[{ per = 'user', usd = 1, window = '1h' }]", clock.clone());
        reserve(&limiter, &product, scope("ann"), DOLLAR).await.unwrap().settle(DOLLAR);
        let now = limiter.shared.ledger.now().0;
        let time = LedgerTime(match step {
            Step::Forwards => now + by,
            Step::Backwards => now - by,
        });
        limiter.shared.met(&Roll { instances: 1, known: true, time }, Duration::ZERO);
        // There is nobody to be asked.
        limiter.shared.ledger.set_company(Company::Alone);
        let fault = reserve(&limiter, &product, scope("ann"), CENT).await.unwrap_err();
        let after = fault.retry_after.unwrap();
        // What was spent just now is gone after two windows at most, however the time was set.
        assert!(after.as_secs() <= 3_600 + 3_700, "{step:?} by {by}: {after:?}");
        reserve(&limiter, &product, scope("bob"), CENT).await.unwrap();

        clock.advance(after);
        reserve(&limiter, &product, scope("ann"), CENT).await.unwrap();
    }
}

#[test]
fn nothing_is_lost_while_the_time_is_set_and_calls_settle() {
    let config = config("[{ per = 'user', usd = 1000, window = '1h' }]");
    let ledger = Ledger::new(Clock::system(), Audience::Nobody);
    let claims: Vec<_> = (0..200)
        .map(|user| {
            let scope = Scope { end_user: EndUser::Owner(UserId(user)), ..scope("") };
            scope.claims(&config.products["llm_gateway"], &config.limits)[0]
        })
        .collect();
    let product = ProductName::from("llm_gateway");
    const ROUNDS: i64 = 200;
    std::thread::scope(|threads| {
        let calls = threads.spawn(|| {
            for _ in 0..ROUNDS {
                for claim in &claims {
                    ledger.settle(&product, claim, NanoUsd::ZERO, CENT, 0.8, ledger.moment());
                }
            }
        });
        // By whole windows, so that what was spent stays in its bucket.
        let mut hours = 1;
        while !calls.is_finished() {
            let now = ledger.now().0;
            ledger.step(LedgerTime(if hours > 0 { now + 3 * 3_600_000 } else { now - 3 * 3_600_000 }));
            hours = -hours;
        }
    });
    for claim in &claims {
        let spent = ledger.with(claim.key, |counter, at| counter.standing_at(at).spent).unwrap();
        // Between two looks at the clock a part of a millisecond passes, by which it is moved.
        let (sum, due) = ((spent.current + spent.previous).0, CENT.0 * ROUNDS);
        assert!((sum - due).abs() <= due / 1_000, "{sum} and not {due}");
    }
}

#[actix_rt::test]
#[expect(clippy::panic, reason = "it is what is tested")]
async fn a_panic_in_a_calls_path_gives_its_reservation_back() {
    let (limiter, product) = start("[{ per = 'user', usd = 1, window = '1h' }]");
    let call = async {
        let _held = reserve(&limiter, &product, scope("ann"), CENT).await.unwrap();
        panic!("as a bug would");
    };
    std::panic::AssertUnwindSafe(call).catch_unwind().await.unwrap_err();
    let claims = limiter.claims(&scope("ann"), &product);
    assert_eq!(limiter.headroom(&claims)[0].remaining, DOLLAR);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Forwards,
    Backwards,
}

#[actix_rt::test]
async fn of_each_limit_it_is_known_how_much_is_used_where_it_is_used_most() {
    let (limiter, product) =
        start("[{ per = 'user', usd = 1, window = '1h' }, { per = 'team', usd = 4, window = '1h' }]");
    for (user, spent) in [("ann", CENT), ("bob", NanoUsd(DOLLAR.0 / 2))] {
        reserve(&limiter, &product, scope(user), CENT).await.unwrap().settle(spent);
    }
    let mut uses: Vec<(&str, f64)> =
        limiter.uses().iter().map(|limit| (limit.per.name(), (limit.share * 1e4).round() / 1e4)).collect();
    uses.sort_by(|one, other| one.0.cmp(other.0));
    assert_eq!(uses, [("team", 0.1275), ("user", 0.5)]);
}
