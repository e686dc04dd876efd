//! Holds calls to the spending limits that they are under.
//!
//! A call reserves what it may cost before it is made, and settles with what it did cost afterwards, on every path: dropped
//! without a word, a [`Reservation`] gives everything back. What is spent and reserved is in memory that all handles share, so
//! that a call decides for itself; an actor tells Redis, where there is one, and learns what other instances spent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::Addr;
use tokio::time::{Instant, timeout, timeout_at};

use self::keeper::Keeper;
use self::ledger::Ledger;
use self::spenders::Spenders;
use crate::actors::guarded::{self, Vitals};
use crate::actors::report::ActorReport;
use crate::clock::Clock;
use crate::config::SharedConfig;
use crate::config::products::{Mode, Product};
use crate::fault::{Fault, FaultKind};
use crate::limits::counter::{Company, Local};
use crate::limits::scope::{Claim, Scope};
use crate::money::NanoUsd;
use crate::store::counters::{Counters, CountersError, Look, Roll, Seen};
use crate::telemetry::metrics::{LimitEvent, Metrics};

mod keeper;
mod ledger;
mod spenders;

pub use spenders::Spender;

/// Messages that may wait for the actor: signs of life only.
const MAILBOX: usize = 16;

/// How long a caller waits for the others to say how they stand, before the limit is held from what is known here.
const ASK_PATIENCE: Duration = Duration::from_millis(300);

/// How often a call that waits looks again for what settled elsewhere.
const LOOK_AGAIN: Duration = Duration::from_millis(60);

/// When a call that found no room should come back.
const NO_ROOM_RETRY: Duration = Duration::from_secs(1);

/// Holds calls to their limits. Clones share all they know.
#[derive(Clone, Debug)]
pub struct Limiter {
    shared: Arc<Shared>,
    _actor: Addr<Keeper>,
}

/// What the handles and the actor have in common.
#[derive(Debug)]
struct Shared {
    ledger: Ledger,
    config: SharedConfig,
    metrics: Metrics,
    counters: Option<Counters>,
    gone: AtomicBool,
    spenders: Spenders,
    vitals: Arc<Vitals>,
}

/// What a call may cost, taken off what is left of its limits until it is settled.
#[derive(Debug)]
pub struct Reservation {
    shared: Arc<Shared>,
    scope: Scope,
    claims: Vec<Claim>,
    estimate: NanoUsd,
    is_open: bool,
}

/// How a limit stands for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headroom {
    /// The limit.
    pub claim: Claim,
    /// What was spent in the window.
    pub used: NanoUsd,
    /// What is left, reservations taken off.
    pub remaining: NanoUsd,
    /// How long until a call is admitted again; zero while anything is left.
    pub reset: Duration,
    /// How long until nothing counts of what was spent.
    pub clears: Duration,
}

/// Why a call may not go under one limit.
enum Held {
    Spent { after: Duration },
    NoRoom,
}

impl Limiter {
    /// Starts the actor on this thread, which has to be one that outlives the callers.
    pub fn start(config: SharedConfig, clock: Clock, metrics: Metrics, counters: Option<Counters>) -> Self {
        let vitals = Vitals::new(
            "limiter",
            "limits",
            "instances do not hear of one another's spending, and counters do not expire",
            clock.clone(),
        );
        let shared = Arc::new(Shared {
            ledger: Ledger::new(clock),
            config,
            metrics,
            counters,
            gone: AtomicBool::new(false),
            spenders: Spenders::default(),
            vitals: Arc::clone(&vitals),
        });
        let actor = guarded::start(&vitals, MAILBOX, {
            let shared = Arc::clone(&shared);
            move |_| Keeper::new(shared)
        });
        Self { shared, _actor: actor }
    }

    /// Meets the other instances, if there is a Redis; for a moment at most.
    pub async fn join(&self) {
        self.shared.meet().await;
    }

    /// The limits that somebody's calls are under.
    pub fn claims(&self, scope: &Scope, product: &Product) -> Vec<Claim> {
        scope.claims(product, &self.shared.config.load().limits)
    }

    /// Reserves what a call may cost under all of its limits, or under none. Near a limit it waits for calls under way.
    ///
    /// # Errors
    /// 429 when a limit is spent, or when the calls under way may use it up.
    pub async fn reserve(&self, scope: Scope, product: &Product, estimate: NanoUsd) -> Result<Reservation, Fault> {
        let shared = &self.shared;
        let settings = shared.config.load_full();
        let claims = scope.claims(product, &settings.limits);
        let deadline = Instant::now() + settings.limits.wait;
        let mut has_waited = false;
        loop {
            // Armed before the look, so that what settles in between is not missed.
            let armed = claims.iter().map(|claim| Box::pin(shared.ledger.settled(claim.key).notified()));
            let mut armed: Vec<_> = if has_waited { armed.collect() } else { Vec::new() };
            for one in &mut armed {
                one.as_mut().enable();
            }
            let (claim, held) = match shared.take_all(&scope, &claims, estimate).await {
                Ok(()) => {
                    shared.metrics.reserved(&scope.product, estimate);
                    let shared = Arc::clone(shared);
                    return Ok(Reservation { shared, scope, claims, estimate, is_open: true });
                }
                Err(held) => held,
            };
            match held {
                Held::Spent { after } => {
                    shared.metrics.limit(&scope.product, claim.per, LimitEvent::Refused);
                    return Err(refused(&claim, after));
                }
                Held::NoRoom if Instant::now() >= deadline => {
                    shared.metrics.limit(&scope.product, claim.per, LimitEvent::Refused);
                    return Err(no_room(&claim));
                }
                Held::NoRoom if !has_waited => {
                    shared.metrics.limit(&scope.product, claim.per, LimitEvent::Waited);
                    has_waited = true;
                }
                Held::NoRoom => {
                    let again = match shared.ledger.company() {
                        Company::Alone => deadline,
                        Company::Shared(_) => deadline.min(Instant::now() + LOOK_AGAIN),
                    };
                    let at = claims.iter().position(|other| other.key == claim.key).unwrap_or(0);
                    if let Some(one) = armed.get_mut(at) {
                        // Out of patience is as good as told: the loop looks once more.
                        let _ = timeout_at(again, one.as_mut()).await;
                    }
                }
            }
        }
    }

    /// How each limit stands.
    pub fn headroom(&self, claims: &[Claim]) -> Vec<Headroom> {
        claims.iter().map(|claim| self.shared.headroom(claim)).collect()
    }

    /// The same, with what other instances spent up to now, if they can be heard of.
    pub async fn usage(&self, claims: &[Claim]) -> Vec<Headroom> {
        if self.shared.counters.is_some() && !self.is_redis_gone() {
            for claim in claims {
                self.shared.ledger.ensure(claim);
                self.shared.ledger.enqueue(claim.key);
            }
            self.shared.flush().await;
        }
        self.headroom(claims)
    }

    /// Those who spent most since the start: teams and their users.
    pub fn top_spenders(&self) -> (Vec<Spender>, Vec<Spender>) {
        self.shared.spenders.top()
    }

    /// How many counters are kept.
    pub fn counters(&self) -> usize {
        self.shared.ledger.len()
    }

    /// Whether limits are held from this instance's own counters because Redis is out of reach.
    pub fn is_redis_gone(&self) -> bool {
        self.shared.gone.load(Ordering::Relaxed)
    }

    /// Tells Redis everything that it does not know yet. For the end, when nobody spends any more.
    pub async fn flush(&self) {
        if !self.shared.flush().await {
            tracing::warn!("what was spent in the last moments could not be told to Redis");
        }
    }

    /// For `/health/actors`.
    pub fn report(&self) -> ActorReport {
        self.shared.vitals.report()
    }
}

impl Reservation {
    /// Replaces what was reserved by what the call cost.
    pub fn settle(mut self, actual: NanoUsd) {
        self.close(actual);
    }

    /// How the call's limits stand.
    pub fn headroom(&self) -> Vec<Headroom> {
        self.claims.iter().map(|claim| self.shared.headroom(claim)).collect()
    }

    /// The limits.
    pub fn claims(&self) -> &[Claim] {
        &self.claims
    }

    /// What was reserved.
    pub fn estimate(&self) -> NanoUsd {
        self.estimate
    }

    fn close(&mut self, actual: NanoUsd) {
        if std::mem::replace(&mut self.is_open, false) {
            self.shared.settle(&self.scope, &self.claims, self.estimate, actual.max(NanoUsd::ZERO));
        }
    }
}

/// Nothing was called, or nobody knows of it.
impl Drop for Reservation {
    fn drop(&mut self) {
        self.close(NanoUsd::ZERO);
    }
}

impl Shared {
    /// Reserves under all limits or under none.
    async fn take_all(&self, scope: &Scope, claims: &[Claim], estimate: NanoUsd) -> Result<(), (Claim, Held)> {
        // Dropped half way, by a caller that left, it gives back what it took.
        let mut taken = Taken { shared: self, claims: Vec::with_capacity(claims.len()), estimate };
        for claim in claims {
            let company = if self.is_gone() { Company::Alone } else { self.ledger.company() };
            let local = match self.ledger.admit(claim, estimate, company) {
                Local::Ask => self.ask(claim, estimate).await,
                local @ (Local::Admitted | Local::Wait | Local::Refused { .. }) => local,
            };
            let held = match (local, claim.mode) {
                (Local::Admitted, _) => None,
                (Local::Refused { after }, Mode::Enforce) => Some(Held::Spent { after }),
                (Local::Wait | Local::Ask, Mode::Enforce) => Some(Held::NoRoom),
                (Local::Refused { .. } | Local::Wait | Local::Ask, Mode::Shadow) => {
                    self.metrics.limit(&scope.product, claim.per, LimitEvent::Shadowed);
                    self.ledger.with(claim.key, |counter, _| counter.reserve(estimate));
                    None
                }
            };
            match held {
                None => taken.claims.push(*claim),
                Some(held) => return Err((*claim, held)),
            }
        }
        taken.claims.clear();
        Ok(())
    }

    /// Asks the others for one call.
    async fn ask(&self, claim: &Claim, estimate: NanoUsd) -> Local {
        let Some(counters) = &self.counters else { return Local::Ask };
        let _turn = self.ledger.turn(claim.key).await;
        // Who had the turn before may have learnt enough for this call too.
        let company = if self.is_gone() { Company::Alone } else { self.ledger.company() };
        let local = self.ledger.admit(claim, estimate, company);
        let Company::Shared(instances) = company else { return local };
        if local != Local::Ask {
            return local;
        }
        for _ in 0..2 {
            let Some((told, at)) = self.ledger.with(claim.key, |counter, at| (counter.tell(at), at)) else { break };
            let look = Look { key: claim.key, told, asked: estimate, at };
            let looked = timeout(ASK_PATIENCE, counters.look(&[look], instances)).await;
            let seen = match looked.unwrap_or(Err(CountersError::Slow)) {
                Ok(answers) => answers.first().map(|(seen, _)| *seen),
                Err(error) => {
                    self.ledger.enqueue(claim.key);
                    self.lost(&error);
                    return self.ledger.admit(claim, estimate, Company::Alone);
                }
            };
            match seen {
                Some(Seen::Reset(resets)) => {
                    self.ledger.with(claim.key, |counter, _| counter.forget(resets));
                }
                Some(Seen::Learnt(learnt)) => {
                    let standing = self.ledger.with(claim.key, |counter, at| {
                        counter.learn(&told, &learnt, estimate, look.at, at);
                        counter.standing_at(at).admits_again_in(at)
                    });
                    return match standing {
                        _ if learnt.admitted => Local::Admitted,
                        Some(after) if after > Duration::ZERO => Local::Refused { after },
                        Some(_) | None => Local::Wait,
                    };
                }
                None => break,
            }
        }
        Local::Wait
    }

    fn settle(&self, scope: &Scope, claims: &[Claim], estimate: NanoUsd, actual: NanoUsd) {
        let warn_at = self.config.load().limits.warn_at;
        for claim in claims {
            let crossed = self.ledger.with(claim.key, |counter, at| counter.settle(estimate, actual, at, warn_at));
            if crossed == Some(true) {
                self.warn(scope, claim);
            }
            if self.counters.is_some() {
                self.ledger.enqueue(claim.key);
            }
            self.ledger.settled(claim.key).notify_waiters();
        }
        self.metrics.settled(&scope.product, actual);
        self.spenders.spent(scope, actual);
    }

    fn warn(&self, scope: &Scope, claim: &Claim) {
        self.metrics.limit(&scope.product, claim.per, LimitEvent::Warned);
        tracing::warn!(
            product.name = %scope.product,
            team.id = %scope.team,
            limit.per = claim.per.name(),
            limit.usd = claim.limit.as_usd(),
            limit.window_s = claim.key.length().as_ms() / 1000,
            "a spending limit is nearly used up"
        );
    }

    fn headroom(&self, claim: &Claim) -> Headroom {
        let standing = self.ledger.with(claim.key, |counter, at| {
            let standing = counter.standing_at(at);
            (standing.spent.within(standing.length, at), standing.reserved, at, standing)
        });
        match standing {
            None => Headroom {
                claim: *claim,
                used: NanoUsd::ZERO,
                remaining: claim.limit,
                reset: Duration::ZERO,
                clears: Duration::ZERO,
            },
            Some((used, reserved, at, mut standing)) => {
                standing.limit = claim.limit;
                let remaining = (claim.limit - used - reserved).max(NanoUsd::ZERO);
                Headroom {
                    claim: *claim,
                    used,
                    remaining,
                    reset: standing.admits_again_in(at),
                    clears: standing.spent.until_at_most(NanoUsd::ZERO, standing.length, at),
                }
            }
        }
    }

    fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Redis did not answer: from here on limits are held from what is known.
    fn lost(&self, error: &CountersError) {
        self.metrics.redis_fallback();
        if !self.gone.swap(true, Ordering::Relaxed) {
            tracing::warn!(error = %error, "Redis is out of reach; limits are held from this instance's own counters");
        }
        self.ledger.set_company(Company::Alone);
    }

    /// Says that this instance is there, and hears who else is. `true` if Redis answered.
    async fn meet(&self) -> bool {
        let Some(counters) = &self.counters else { return false };
        match counters.heartbeat().await {
            Ok(roll) => {
                self.met(&roll);
                true
            }
            Err(error) => {
                self.lost(&error);
                false
            }
        }
    }

    fn met(&self, roll: &Roll) {
        let was_gone = self.gone.swap(false, Ordering::Relaxed);
        let is_first = self.ledger.company() == Company::Alone;
        let now = self.ledger.now();
        let apart = now.0.abs_diff(roll.time.0);
        if apart > if is_first { FIRST_APART_MS } else { APART_MS } {
            tracing::info!(apart_ms = apart, "taking over Redis's time");
            self.ledger.step(roll.time);
        }
        self.ledger.set_company(Company::Shared(roll.instances));
        if was_gone {
            tracing::info!("Redis is back");
        }
        if was_gone || !roll.known {
            // It may have forgotten everything.
            self.ledger.enqueue_where(|_| true);
        }
    }

    /// Tells the others what they do not know. `false` if Redis is out of reach.
    async fn flush(&self) -> bool {
        let Some(counters) = &self.counters else { return true };
        loop {
            let keys = self.ledger.take_queued(BATCH);
            if keys.is_empty() {
                return true;
            }
            let _turns = self.ledger.turns(&keys).await;
            let instances = match self.ledger.company() {
                Company::Alone => 1,
                Company::Shared(instances) => instances,
            };
            let looks: Vec<Look> = keys
                .iter()
                .filter_map(|key| {
                    let (told, at) = self.ledger.with(*key, |counter, at| (counter.tell(at), at))?;
                    Some(Look { key: *key, told, asked: NanoUsd::ZERO, at })
                })
                .collect();
            match counters.look(&looks, instances).await {
                Ok(answers) => {
                    for (look, (seen, _)) in looks.iter().zip(answers) {
                        self.take_over(look, &seen);
                    }
                }
                Err(error) => {
                    for look in &looks {
                        self.ledger.enqueue(look.key);
                    }
                    self.lost(&error);
                    return false;
                }
            }
        }
    }

    fn take_over(&self, look: &Look, seen: &Seen) {
        match seen {
            Seen::Learnt(learnt) => {
                self.ledger.with(look.key, |counter, at| counter.learn(&look.told, learnt, NanoUsd::ZERO, look.at, at));
            }
            Seen::Reset(resets) => {
                self.ledger.with(look.key, |counter, _| counter.forget(*resets));
                self.ledger.enqueue(look.key);
            }
        }
        self.ledger.settled(look.key).notify_waiters();
    }
}

/// Counters that are told of in one pipeline.
const BATCH: usize = 256;

/// How far this instance's time may be from Redis's before it takes that over: the first time, and later, in milliseconds.
const FIRST_APART_MS: u64 = 50;
const APART_MS: u64 = 2_000;

/// What was reserved so far; given back when dropped.
struct Taken<'a> {
    shared: &'a Shared,
    claims: Vec<Claim>,
    estimate: NanoUsd,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        for claim in &self.claims {
            self.shared
                .ledger
                .with(claim.key, |counter, at| counter.settle(self.estimate, NanoUsd::ZERO, at, f64::MAX));
            if self.shared.counters.is_some() {
                self.shared.ledger.enqueue(claim.key);
            }
            self.shared.ledger.settled(claim.key).notify_waiters();
        }
    }
}

fn in_words(claim: &Claim) -> String {
    let window = humantime::format_duration(Duration::from_millis(claim.key.length().as_ms()));
    format!("the limit of ${} per {} in {window}", claim.limit, claim.per.name())
}

fn refused(claim: &Claim, after: Duration) -> Fault {
    let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
    let said = format!("{} is spent; calls are admitted again in {seconds} s", in_words(claim));
    Fault::new(FaultKind::RateLimitExceeded, said).retry_after(after.max(NO_ROOM_RETRY))
}

fn no_room(claim: &Claim) -> Fault {
    let said = format!("calls under way may use up what is left of {}; try again in 1 s", in_words(claim));
    Fault::new(FaultKind::RateLimitExceeded, said).retry_after(NO_ROOM_RETRY)
}

/// The limit that leaves least, of those that refuse.
pub fn tightest(headroom: &[Headroom]) -> Option<&Headroom> {
    headroom.iter().filter(|one| one.claim.mode == Mode::Enforce).min_by_key(|one| one.remaining)
}

/// What the contract's headers say of the tightest limit: name and value.
pub fn headers(headroom: &[Headroom]) -> Vec<(&'static str, String)> {
    let Some(tightest) = tightest(headroom) else { return Vec::new() };
    let seconds = tightest.reset.as_secs() + u64::from(tightest.reset.subsec_nanos() > 0);
    vec![
        ("x-ratelimit-limit-usd", tightest.claim.limit.to_string()),
        ("x-ratelimit-remaining-usd", tightest.remaining.to_string()),
        ("x-ratelimit-reset", seconds.to_string()),
    ]
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
