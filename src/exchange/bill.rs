//! What a call comes to in money: reserved before the provider is called, settled with the truth afterwards.
//!
//! A call that no provider took costs nothing; one that was answered costs what the provider says; one that ended in between
//! costs its input and what had come out of it by then.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use url::Url;

use crate::actors::limiter::{Limiter, Refusal, Reservation, Settled, Tightest};
use crate::analytics::warning::LimitWarning;
use crate::catalog::cost::{Basis, Case, Cost, Counted, Parts, Provenance, Request, ServiceTier, Tariff};
use crate::dialect::seen::Seen;
use crate::dialect::{Dialect, Operation, tokens};
use crate::exchange::plan::Plan;
use crate::fault::Fault;
use crate::limits::scope::Claim;
use crate::money::NanoUsd;

/// How far a call has come with its provider. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    stage: AtomicU8,
    sent_to: OnceLock<Url>,
    left: OnceLock<Seen>,
    tier: OnceLock<String>,
}

/// See [`Progress`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing was sent, or the provider refused it: nothing is billed.
    Free,
    /// The provider may be working on it.
    Sent,
}

impl Progress {
    /// The request is on its way to an upstream.
    pub fn sent(&self, base_url: &Url) {
        self.0.stage.store(1, Ordering::Relaxed);
        self.0.sent_to.get_or_init(|| base_url.clone());
    }

    /// The upstream that it was first sent to.
    pub fn sent_to(&self) -> Option<Url> {
        self.0.sent_to.get().cloned()
    }

    /// The provider never had it, or answered with an error.
    pub fn refused(&self) {
        self.0.stage.store(0, Ordering::Relaxed);
    }

    /// The answer's head says which tier serves it.
    pub fn served_in(&self, tier: &str) {
        self.0.tier.get_or_init(|| tier.to_owned());
    }

    /// What an answer said of itself, with what its head did.
    fn heard(&self, seen: &mut Seen) {
        if seen.service_tier.is_none() {
            seen.service_tier = self.0.tier.get().cloned();
        }
    }

    /// An attempt at it failed, and this is what had been said by then.
    pub fn left(&self, mut seen: Seen) {
        self.heard(&mut seen);
        self.0.left.get_or_init(|| seen);
    }

    fn stage(&self) -> Stage {
        if self.0.stage.load(Ordering::Relaxed) == 0 { Stage::Free } else { Stage::Sent }
    }
}

/// A request, for the case that its provider never says how many tokens it was.
#[derive(Debug)]
enum Prompt {
    /// To be counted then.
    Kept(Bytes),
    /// Too large to be kept for as long as its answer streams.
    Counted(u64),
}

impl Prompt {
    fn of(plan: &Plan) -> Self {
        if !plan.delivery.is_stream() || plan.body.len() <= tokens::READ_WHOLE {
            return Self::Kept(plan.body.clone());
        }
        Self::Counted(match plan.dialect {
            Dialect::OpenAiChat | Dialect::OpenAiResponses => tokens::of_request(&plan.body),
            // These say it with the first that they say.
            Dialect::Anthropic | Dialect::Gemini => u64::try_from(tokens::weight(&plan.body) / 4).unwrap_or(u64::MAX),
        })
    }

    fn tokens(&self) -> u64 {
        match self {
            Self::Kept(body) => tokens::of_request(body),
            Self::Counted(tokens) => *tokens,
        }
    }
}

/// One call's bill.
#[derive(Debug)]
pub struct Bill {
    limiter: Limiter,
    claims: Arc<[Claim]>,
    reservation: Option<Reservation>,
    tariff: Arc<Tariff>,
    dialect: Dialect,
    prompt: Prompt,
    request: Request,
    operation: Operation,
    progress: Progress,
    /// What models have cost that others have taken over from.
    earlier: Option<Cost>,
    cost: Option<Cost>,
    tightest: Option<Tightest>,
    warnings: Vec<LimitWarning>,
}

impl Bill {
    /// A call's, whose limits are known and nothing else.
    pub fn open(limiter: Limiter, claims: Arc<[Claim]>, request: Request, operation: Operation) -> Self {
        Self {
            limiter,
            claims,
            reservation: None,
            tariff: Arc::default(),
            dialect: Dialect::OpenAiChat,
            prompt: Prompt::Counted(0),
            request,
            operation,
            progress: Progress::default(),
            earlier: None,
            cost: None,
            tightest: None,
            warnings: Vec::new(),
        }
    }

    /// What the call may cost where it goes. Counting tokens costs nothing with any vendor.
    pub fn priced(&mut self, plan: &Plan) -> NanoUsd {
        self.tariff = plan.tariff.clone();
        self.dialect = plan.dialect;
        self.prompt = Prompt::of(plan);
        match self.operation {
            Operation::Generate => self.tariff.estimate(&self.request),
            Operation::CountTokens => NanoUsd::ZERO,
        }
    }

    /// What it may cost is set aside; how far it gets is written to `progress`.
    pub fn reserved(&mut self, reservation: Reservation, progress: Progress) {
        self.reservation = Some(reservation);
        self.progress = progress;
    }

    /// One of its limits keeps it out.
    pub fn refused(&mut self, Refusal { fault, tightest }: Refusal) -> Fault {
        self.tightest = Some(tightest);
        fault
    }

    /// Another model has taken the call over. What the first one is known to have done is charged, and is what this returns; what it
    /// may have done beside that is not. Whatever room there is, as much is set aside as the other one may cost.
    pub fn moved(&mut self, plan: &Plan) -> Option<Cost> {
        let left = self.left();
        if let Some(cost) = left {
            self.earlier = Some(self.earlier.map_or(cost, |earlier| both(earlier, cost)));
        }
        self.tariff = plan.tariff.clone();
        self.dialect = plan.dialect;
        self.prompt = Prompt::of(plan);
        self.progress = plan.progress.clone();
        if let Some(reservation) = &mut self.reservation {
            let spent = self.earlier.map_or(NanoUsd::ZERO, |earlier| earlier.amount);
            reservation.raise(spent + self.tariff.estimate(&self.request));
        }
        left
    }

    /// What the model that the call is with is known to have done, if it was given up.
    fn left(&self) -> Option<Cost> {
        let seen = self.progress.0.left.get().filter(|_| self.progress.stage() == Stage::Sent)?;
        let has_done_something = seen.usage.is_some() || seen.streamed.at(self.dialect) > 0;
        let reserved = self.reservation.as_ref().map_or(NanoUsd::ZERO, Reservation::estimate);
        has_done_something.then(|| self.partial(seen, &self.case(seen, reserved)))
    }

    /// The limits that the call is under.
    pub fn claims(&self) -> Arc<[Claim]> {
        self.claims.clone()
    }

    /// What the tightest of the call's limits leaves: as the call left it, if it was admitted.
    pub fn tightest(&self) -> Option<Tightest> {
        let known = self.reservation.as_ref().map_or(self.tightest, Reservation::tightest);
        known.or_else(|| self.limiter.tightest(&self.claims))
    }

    /// Whether the price is the model's own.
    pub fn basis(&self) -> Basis {
        self.tariff.basis()
    }

    /// What the call cost, once it is settled.
    pub fn cost(&self) -> Option<Cost> {
        self.cost
    }

    /// The limits that are nearly used up since it was settled.
    pub fn take_warnings(&mut self) -> Vec<LimitWarning> {
        std::mem::take(&mut self.warnings)
    }

    /// Settles, once. Returns what the model cost that had the call last.
    pub fn settle(&mut self, seen: &mut Seen) -> Option<Cost> {
        let reservation = self.reservation.take()?;
        self.progress.heard(seen);
        let cost = self.due(seen, reservation.estimate());
        let all = self.earlier.map_or(cost, |earlier| both(earlier, cost));
        Settled { warnings: self.warnings, tightest: self.tightest } = reservation.settle(all.amount);
        self.cost = Some(all);
        Some(cost)
    }

    fn due(&self, seen: &Seen, reserved: NanoUsd) -> Cost {
        if self.operation == Operation::CountTokens || self.progress.stage() == Stage::Free {
            return Cost::NOTHING;
        }
        let case = self.case(seen, reserved);
        if seen.terminal && seen.error.is_none() {
            return self.tariff.cost(seen.usage.as_ref(), &case);
        }
        self.partial(seen, &case)
    }

    fn partial(&self, seen: &Seen, case: &Case) -> Cost {
        let is_known = seen.usage.as_ref().is_some_and(|usage| usage.input.is_some());
        let input = if is_known { 0 } else { self.prompt.tokens() };
        let counted = Counted { input, output: seen.streamed.at(self.dialect) };
        self.tariff.partial(seen.usage.as_ref(), counted, case)
    }

    /// What is left of what was reserved stands in for counts that cannot be.
    fn case(&self, seen: &Seen, reserved: NanoUsd) -> Case {
        Case {
            request: self.request,
            served_in: seen.service_tier.as_deref().map(ServiceTier::from_word),
            estimate: reserved - self.earlier.map_or(NanoUsd::ZERO, |earlier| earlier.amount),
        }
    }
}

/// What two models cost that had a call one after the other: known as well as the one that is known less well.
fn both(one: Cost, other: Cost) -> Cost {
    let sum = |(one, other): (Parts, Parts)| Parts {
        input: one.input + other.input,
        output: one.output + other.output,
        searches: one.searches + other.searches,
    };
    let provenance = match (one.provenance, other.provenance) {
        (Provenance::Default, _) | (_, Provenance::Default) => Provenance::Default,
        (Provenance::EstimatedPartial, _) | (_, Provenance::EstimatedPartial) => Provenance::EstimatedPartial,
        (Provenance::Computed, Provenance::Computed) => Provenance::Computed,
    };
    Cost { amount: one.amount + other.amount, parts: one.parts.zip(other.parts).map(sum), provenance }
}
