//! Holds calls to the spending limits that they are under.
//!
//! A call reserves what it may cost before it is made, and settles with what it did cost afterwards, on every path: dropped
//! without a word, a [`Reservation`] gives everything back. What is spent and reserved is in memory that all handles share, so
//! that a call decides for itself; an actor tells Redis, where there is one, and learns what other instances spent.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix::Addr;

use self::keeper::Keeper;
use self::ledger::{Audience, Ledger};
use self::orders::Orders;
use self::spenders::Spenders;
use crate::actors::guarded::{self, Vitals};
use crate::actors::report::ActorReport;
use crate::analytics::warning::LimitWarning;
use crate::clock::Clock;
use crate::config::SharedConfig;
use crate::config::products::Product;
use crate::ids::ProductName;
use crate::limits::budget::Room;
use crate::limits::scope::{Claim, Scope};
use crate::money::NanoUsd;
use crate::store::counters::Counters;
use crate::telemetry::metrics::{LimitEvent, Metrics};

mod admission;
mod keeper;
mod ledger;
mod orders;
mod slots;
mod spenders;
mod telling;
mod words;

pub use ledger::LimitUse;
pub use spenders::Spender;
pub use words::{Refusal, Tightest};

/// Messages that may wait for the actor: signs of life only.
const MAILBOX: usize = 16;

/// How long a Redis that is away is waited for at the end, and how often it is tried.
const FLUSH_PATIENCE: Duration = Duration::from_secs(5);
const FLUSH_AGAIN: Duration = Duration::from_millis(100);

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
    /// Held while the others are told what has come up.
    telling: tokio::sync::Mutex<()>,
    orders: Orders,
    spenders: Spenders,
    vitals: Arc<Vitals>,
}

/// What a call may cost, taken off what is left of its limits until it is settled.
#[derive(Debug)]
pub struct Reservation {
    shared: Arc<Shared>,
    scope: Scope,
    claims: Arc<[Claim]>,
    estimate: NanoUsd,
    tightest: Option<Tightest>,
    is_open: bool,
}

/// What came of a settled call.
#[derive(Debug)]
pub struct Settled {
    /// The limits that are nearly used up by it.
    pub warnings: Vec<LimitWarning>,
    /// What the tightest limit leaves now.
    pub tightest: Option<Tightest>,
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
            ledger: Ledger::new(clock, if counters.is_some() { Audience::Others } else { Audience::Nobody }),
            config,
            metrics,
            counters,
            gone: AtomicBool::new(false),
            telling: tokio::sync::Mutex::default(),
            orders: Orders::default(),
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
    pub fn claims(&self, scope: &Scope, product: &Product) -> Arc<[Claim]> {
        self.shared.orders.claims(&self.shared.config, scope, product)
    }

    /// Reserves what a call may cost under all of its limits, or under none. Near a limit it waits for calls under way.
    ///
    /// # Errors
    /// 429 when a limit is spent, or when the calls under way may use it up.
    pub async fn reserve(&self, scope: Scope, claims: Arc<[Claim]>, estimate: NanoUsd) -> Result<Reservation, Refusal> {
        let shared = &self.shared;
        if estimate <= NanoUsd::ZERO {
            // What costs nothing passes no limit, spent or not.
            let tightest = self.tightest(&claims);
            return Ok(Reservation {
                shared: Arc::clone(shared),
                scope,
                claims,
                estimate: NanoUsd::ZERO,
                tightest,
                is_open: true,
            });
        }
        let mut deadline = None;
        let tightest = match shared.take_all(&scope, &claims, estimate, &mut deadline).await {
            Ok(tightest) => tightest,
            Err((claim, held)) => {
                if let Some(refusal) = shared.refusal(&scope, &claims, estimate, &claim, &held) {
                    return Err(refusal);
                }
                shared.metrics.limit(&scope.product, claim.per, LimitEvent::Waited);
                shared.wait_for_room(&scope, &claims, estimate, claim, deadline).await?
            }
        };
        shared.metrics.reserved(&scope.product, estimate);
        Ok(Reservation { shared: Arc::clone(shared), scope, claims, estimate, tightest, is_open: true })
    }

    /// What the tightest of these limits leaves.
    pub fn tightest(&self, claims: &[Claim]) -> Option<Tightest> {
        let mut tightest = None;
        for Headroom { claim, remaining, reset, .. } in self.headroom(claims) {
            Tightest::note(&mut tightest, &claim, Room { remaining, reset });
        }
        tightest
    }

    /// How each limit stands.
    pub fn headroom(&self, claims: &[Claim]) -> Vec<Headroom> {
        claims.iter().map(|claim| self.shared.headroom(claim)).collect()
    }

    /// The same, with what other instances spent up to now, if they can be heard of.
    pub async fn usage(&self, product: &ProductName, claims: &[Claim]) -> Vec<Headroom> {
        if self.shared.counters.is_some() && !self.is_redis_gone() {
            for claim in claims {
                self.shared.ledger.ensure(product, claim);
                self.shared.ledger.with(claim.key, |counter, _| counter.doubt());
            }
            let keys: Vec<_> = claims.iter().map(|claim| claim.key).collect();
            self.shared.tell(&keys).await;
        }
        self.headroom(claims)
    }

    /// Those who spent most since the start: teams and their users.
    pub fn top_spenders(&self) -> (Vec<Spender>, Vec<Spender>) {
        self.shared.spenders.top()
    }

    /// Of each limit, how much of it whoever used most of it has used: from 0 up.
    pub fn uses(&self) -> Vec<LimitUse> {
        self.shared.ledger.uses()
    }

    /// How many counters are kept.
    pub fn counters(&self) -> usize {
        self.shared.ledger.len()
    }

    /// Whether limits are held from this instance's own counters because Redis is out of reach.
    pub fn is_redis_gone(&self) -> bool {
        self.shared.is_gone()
    }

    /// Tells Redis everything that it does not know yet. For the end, when nobody spends any more: a Redis that is away is
    /// waited for, for some seconds.
    pub async fn flush(&self) {
        let flushed = async {
            while !self.shared.flush().await {
                tokio::time::sleep(FLUSH_AGAIN).await;
            }
        };
        if tokio::time::timeout(FLUSH_PATIENCE, flushed).await.is_err() {
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
    pub fn settle(mut self, actual: NanoUsd) -> Settled {
        self.close(actual)
    }

    /// What the tightest of the call's limits left once this was reserved.
    pub fn tightest(&self) -> Option<Tightest> {
        self.tightest
    }

    /// The limits.
    pub fn claims(&self) -> &[Claim] {
        &self.claims
    }

    /// What was reserved.
    pub fn estimate(&self) -> NanoUsd {
        self.estimate
    }

    /// Sets aside more, up to `estimate`, whatever room there is: the call is under way. It never becomes less.
    pub fn raise(&mut self, estimate: NanoUsd) {
        let more = estimate - self.estimate;
        if more <= NanoUsd::ZERO || !self.is_open {
            return;
        }
        let (ledger, product) = (&self.shared.ledger, &self.scope.product);
        let mut tightest = None;
        for claim in self.claims.iter() {
            ledger.ensure(product, claim);
            let room = ledger.with(claim.key, |counter, at| {
                counter.reserve(more);
                counter.standing_at(at).room(at)
            });
            if let Some(room) = room {
                Tightest::note(&mut tightest, claim, room);
            }
        }
        self.shared.metrics.reserved(product, more);
        (self.estimate, self.tightest) = (estimate, tightest);
    }

    fn close(&mut self, actual: NanoUsd) -> Settled {
        if !std::mem::replace(&mut self.is_open, false) {
            return Settled { warnings: Vec::new(), tightest: self.tightest };
        }
        self.shared.settle(&self.scope, &self.claims, self.estimate, actual.max(NanoUsd::ZERO))
    }
}

/// Nothing was called, or nobody knows of it.
impl Drop for Reservation {
    fn drop(&mut self) {
        self.close(NanoUsd::ZERO);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
