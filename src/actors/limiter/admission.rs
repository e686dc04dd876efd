//! Decides on calls by the counters, asks the other instances where it has to, and settles.

use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::ledger::Crossed;
use super::words::{Refusal, Tightest};
use super::{Headroom, Settled, Shared};
use crate::analytics::warning::LimitWarning;
use crate::config::products::Mode;
use crate::ids::ProductName;
use crate::limits::budget::Room;
use crate::limits::counter::{Company, Local};
use crate::limits::scope::{Claim, Scope};
use crate::money::NanoUsd;
use crate::store::counters::{CountersError, Look, Seen};
use crate::telemetry::metrics::LimitEvent;

/// How long a caller waits for the others to say how they stand, before the limit is held from what is known here.
const ASK_PATIENCE: Duration = Duration::from_millis(300);

/// How often a call that waits looks again for what settled elsewhere.
const LOOK_AGAIN: Duration = Duration::from_millis(60);

/// How long before its deadline it asks the others for the last time; and how long they have to answer then, should this process
/// be late.
const LAST_LOOK: Duration = Duration::from_millis(20);

/// Why a call may not go under one limit.
pub(super) enum Held {
    /// The limit is spent.
    Spent {
        /// Until a call of this size is admitted again.
        after: Duration,
    },
    /// Calls under way may use it up.
    NoRoom,
}

/// What was reserved so far; given back when dropped.
struct Taken<'a> {
    shared: &'a Shared,
    product: &'a ProductName,
    claims: &'a [Claim],
    count: usize,
    estimate: NanoUsd,
}

impl Shared {
    /// Reserves under all limits or under none. Says what the tightest of them leaves then. Whoever is asked has answered by the
    /// deadline, which begins with the first question.
    pub(super) async fn take_all(
        &self,
        scope: &Scope,
        claims: &[Claim],
        estimate: NanoUsd,
        deadline: &mut Option<Instant>,
    ) -> Result<Option<Tightest>, (Claim, Held)> {
        // Dropped half way, by a caller that left, it gives back what it took.
        let mut taken = Taken { shared: self, product: &scope.product, claims, count: 0, estimate };
        let mut tightest = None;
        let (mut company, mut at) = (self.company(), self.ledger.moment());
        for claim in claims {
            let company_here = match claim.mode {
                Mode::Enforce => company,
                // Whoever is not refused need not ask.
                Mode::Shadow => Company::Alone,
            };
            let (local, room) = match self.ledger.admit(&scope.product, claim, estimate, company_here, at) {
                (Local::Ask, room) => {
                    let deadline = *deadline.get_or_insert_with(|| self.deadline());
                    let local = self.ask_until(deadline, &scope.product, claim, estimate).await;
                    (company, at) = (self.company(), self.ledger.moment());
                    (local, self.ledger.with(claim.key, |counter, at| counter.standing_at(at).room(at)).unwrap_or(room))
                }
                known => known,
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
                None => {
                    taken.count += 1;
                    Tightest::note(&mut tightest, claim, room);
                }
                Some(held) => return Err((*claim, held)),
            }
        }
        taken.count = 0;
        Ok(tightest)
    }

    /// Reserves once calls under way have settled, for as long as the settings say. `kept_out` is what left no room a moment ago.
    pub(super) async fn wait_for_room(
        &self,
        scope: &Scope,
        claims: &[Claim],
        estimate: NanoUsd,
        kept_out: Claim,
        deadline: Option<Instant>,
    ) -> Result<Option<Tightest>, Refusal> {
        // The others were asked just now; what settles before this is armed is found when they are asked again. Alone, nobody
        // is asked, and a look costs nothing.
        let mut just_asked = deadline.is_some().then_some(kept_out);
        let deadline = deadline.unwrap_or_else(|| self.deadline());
        let last_look = deadline.checked_sub(LAST_LOOK).unwrap_or(deadline);
        let waiting = self.ledger.wait();
        loop {
            let begun = Instant::now();
            // Armed before the look, so that what settles in between is not missed.
            let mut armed: Vec<_> = claims.iter().map(|claim| Box::pin(waiting.settled(claim.key))).collect();
            for one in &mut armed {
                one.as_mut().enable();
            }
            let kept_out = just_asked.take();
            let looks = kept_out.is_none();
            let looked = match kept_out {
                Some(claim) => Err((claim, Held::NoRoom)),
                None => self.take_all(scope, claims, estimate, &mut Some(deadline.max(begun + LAST_LOOK))).await,
            };
            let claim = match looked {
                Ok(tightest) => return Ok(tightest),
                Err((claim, held)) => {
                    if let Some(refusal) = self.refusal(scope, claims, estimate, &claim, &held) {
                        return Err(refusal);
                    }
                    claim
                }
            };
            let last = match self.ledger.company() {
                Company::Alone => deadline,
                Company::Shared(_) => last_look,
            };
            let (was_last, now) = (looks && begun >= last, Instant::now());
            let again = if was_last { deadline } else { last.min(now + LOOK_AGAIN) };
            let at = claims.iter().position(|other| other.key == claim.key).unwrap_or(0);
            let is_settled = match armed.get_mut(at) {
                Some(one) if now < deadline => timeout_at(again, one.as_mut()).await.is_ok(),
                Some(_) | None => false,
            };
            if was_last && !is_settled {
                self.metrics.limit(&scope.product, claim.per, LimitEvent::Refused);
                return Err(Refusal::no_room(&claim, self.headroom(&claim).remaining));
            }
        }
    }

    /// The answer to a call one of whose limits is spent: of several, it names the one that keeps the call out longest. `None`
    /// where there is room once calls under way have settled.
    pub(super) fn refusal(
        &self,
        scope: &Scope,
        claims: &[Claim],
        estimate: NanoUsd,
        claim: &Claim,
        held: &Held,
    ) -> Option<Refusal> {
        let mut longest = match held {
            Held::Spent { after } => Some((claim, *after)),
            Held::NoRoom => None,
        };
        for other in claims.iter().filter(|other| other.mode == Mode::Enforce) {
            let after = self.ledger.with(other.key, |counter, at| counter.standing_at(at).admits_in(estimate, at));
            let after = after.unwrap_or_default();
            if after > longest.map_or(Duration::ZERO, |(_, longest)| longest) {
                longest = Some((other, after));
            }
        }
        let (claim, after) = longest?;
        self.metrics.limit(&scope.product, claim.per, LimitEvent::Refused);
        Some(Refusal::spent(claim, after))
    }

    /// How long a call that comes now may wait.
    fn deadline(&self) -> Instant {
        Instant::now() + self.config.load().limits.wait
    }

    /// Asks the others for one call. Where too many ask at one time, or Redis is slow, there is no room by the deadline.
    async fn ask_until(&self, deadline: Instant, product: &ProductName, claim: &Claim, estimate: NanoUsd) -> Local {
        let answer = timeout_at(deadline, self.ask(product, claim, estimate)).await;
        answer.unwrap_or_else(|_| {
            // What was half asked for is put right.
            self.ledger.enqueue(claim.key);
            Local::Wait
        })
    }

    /// Asks the others for one call.
    async fn ask(&self, product: &ProductName, claim: &Claim, estimate: NanoUsd) -> Local {
        let Some(counters) = &self.counters else { return Local::Ask };
        let _turn = self.ledger.turn(claim.key).await;
        // Who had the turn before may have learnt enough for this call too.
        let company = self.company();
        let (local, _) = self.ledger.admit(product, claim, estimate, company, self.ledger.moment());
        let Company::Shared(instances) = company else { return local };
        if local != Local::Ask {
            return local;
        }
        for _ in 0..2 {
            let Some((told, at)) = self.ledger.with(claim.key, |counter, at| (counter.tell(at), at)) else { break };
            let look = Look { key: claim.key, told, asked: estimate, at };
            let looked = timeout(ASK_PATIENCE, counters.look(look, instances)).await;
            let seen = match looked.unwrap_or(Err(CountersError::Slow)) {
                Ok(seen) => seen,
                Err(error) => {
                    self.ledger.enqueue(claim.key);
                    self.lost(&error);
                    return self.ledger.admit(product, claim, estimate, Company::Alone, self.ledger.moment()).0;
                }
            };
            match seen {
                Some(Seen::Reset(resets)) => {
                    self.ledger.with(claim.key, |counter, _| counter.forget(resets));
                }
                Some(Seen::Learnt(learnt)) => {
                    let standing = self.ledger.with(claim.key, |counter, at| {
                        counter.learn(&told, &learnt, estimate, look.at, at);
                        counter.standing_at(at).admits_in(estimate, at)
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

    /// Replaces what was reserved by what the call cost. Says what the tightest limit leaves then.
    pub(super) fn settle(&self, scope: &Scope, claims: &[Claim], estimate: NanoUsd, actual: NanoUsd) -> Settled {
        let warn_at = self.config.load().limits.warn_at;
        let (mut warnings, mut tightest) = (Vec::new(), None);
        let at = self.ledger.moment();
        for claim in claims {
            let (crossed, room) = self.ledger.settle(&scope.product, claim, estimate, actual, warn_at, at);
            Tightest::note(&mut tightest, claim, room);
            if crossed == Crossed::Yes {
                warnings.push(self.warn(scope, claim));
            }
        }
        self.ledger.wake(claims.iter().map(|claim| claim.key));
        self.metrics.settled(&scope.product, estimate, actual);
        self.spenders.spent(scope, actual);
        Settled { warnings, tightest }
    }

    fn warn(&self, scope: &Scope, claim: &Claim) -> LimitWarning {
        self.metrics.limit(&scope.product, claim.per, LimitEvent::Warned);
        let Headroom { used, clears, .. } = self.headroom(claim);
        let warning = LimitWarning {
            occasion: self.ledger.with(claim.key, |counter, _| counter.occasion()),
            at: self.ledger.wall(),
            product: scope.product.clone(),
            payer: scope.team,
            claim: *claim,
            used,
            clears,
        };
        tracing::warn!(
            product.name = %scope.product,
            team.id = %scope.team,
            limit.per = claim.per.name(),
            limit.subject = warning.subject(),
            limit.mode = claim.mode.name(),
            limit.usd = claim.limit.as_usd(),
            limit.used_usd = used.as_usd(),
            limit.window_s = claim.key.length().as_ms() / 1000,
            "a spending limit is nearly used up"
        );
        warning
    }

    /// How a limit stands.
    pub(super) fn headroom(&self, claim: &Claim) -> Headroom {
        let standing = self.ledger.with(claim.key, |counter, at| {
            let standing = counter.standing_at(at);
            (standing.spent.within(standing.length, at), at, standing)
        });
        match standing {
            None => Headroom {
                claim: *claim,
                used: NanoUsd::ZERO,
                remaining: claim.limit,
                reset: Duration::ZERO,
                clears: Duration::ZERO,
            },
            Some((used, at, mut standing)) => {
                standing.limit = claim.limit;
                let Room { remaining, reset } = standing.room(at);
                Headroom {
                    claim: *claim,
                    used,
                    remaining,
                    reset,
                    clears: standing.spent.until_at_most(NanoUsd::ZERO, standing.length, at),
                }
            }
        }
    }

    fn company(&self) -> Company {
        if self.is_gone() { Company::Alone } else { self.ledger.company() }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let taken = &self.claims[..self.count];
        if taken.is_empty() {
            return;
        }
        let at = self.shared.ledger.moment();
        for claim in taken {
            self.shared.ledger.settle(self.product, claim, self.estimate, NanoUsd::ZERO, f64::MAX, at);
        }
        self.shared.ledger.wake(taken.iter().map(|claim| claim.key));
    }
}
