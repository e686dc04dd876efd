//! What a call comes to in money: reserved before the provider is called, settled with the truth afterwards.
//!
//! A call that no provider took costs nothing; one that was answered costs what the provider says; one that ended in between
//! costs its input and what had come out of it by then.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use url::Url;

use crate::actors::limiter::{Headroom, Limiter, Reservation};
use crate::catalog::cost::{Basis, Cost, Request, ServiceTier, Tariff};
use crate::dialect::Operation;
use crate::dialect::seen::Seen;
use crate::limits::scope::Claim;
use crate::money::NanoUsd;

/// How far a call has come with its provider. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    stage: AtomicU8,
    sent_to: OnceLock<Url>,
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

    fn stage(&self) -> Stage {
        if self.0.stage.load(Ordering::Relaxed) == 0 { Stage::Free } else { Stage::Sent }
    }
}

/// One call's bill.
#[derive(Debug)]
pub struct Bill {
    limiter: Limiter,
    claims: Vec<Claim>,
    reservation: Option<Reservation>,
    tariff: Arc<Tariff>,
    request: Request,
    operation: Operation,
    progress: Progress,
    cost: Option<Cost>,
}

impl Bill {
    /// A call's, whose limits are known and nothing else.
    pub fn open(limiter: Limiter, claims: Vec<Claim>, request: Request, operation: Operation) -> Self {
        Self {
            limiter,
            claims,
            reservation: None,
            tariff: Arc::default(),
            request,
            operation,
            progress: Progress::default(),
            cost: None,
        }
    }

    /// What the call may cost at this tariff. Counting tokens costs nothing with any vendor.
    pub fn priced(&mut self, tariff: Arc<Tariff>) -> NanoUsd {
        self.tariff = tariff;
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

    /// Another model has taken the call over: what the first one may have done is not charged.
    pub fn moved(&mut self, tariff: Arc<Tariff>, progress: Progress) {
        self.tariff = tariff;
        self.progress = progress;
    }

    /// How the call's limits stand.
    pub fn headroom(&self) -> Vec<Headroom> {
        self.limiter.headroom(&self.claims)
    }

    /// Whether the price is the model's own.
    pub fn basis(&self) -> Basis {
        self.tariff.basis()
    }

    /// What the call cost, once it is settled.
    pub fn cost(&self) -> Option<Cost> {
        self.cost
    }

    /// Settles, once.
    pub fn settle(&mut self, seen: &Seen, streamed_tokens: u64) -> Option<Cost> {
        let reservation = self.reservation.take()?;
        let cost = self.due(seen, streamed_tokens, reservation.estimate());
        reservation.settle(cost.amount);
        self.cost = Some(cost);
        Some(cost)
    }

    fn due(&self, seen: &Seen, streamed_tokens: u64, estimate: NanoUsd) -> Cost {
        if self.operation == Operation::CountTokens || self.progress.stage() == Stage::Free {
            return Cost::NOTHING;
        }
        let tier = seen.service_tier.as_deref().map_or(ServiceTier::Standard, ServiceTier::from_word);
        let is_complete = seen.terminal && seen.error.is_none();
        if is_complete {
            return self.tariff.cost(seen.usage.as_ref(), tier, estimate);
        }
        self.tariff.partial(seen.usage.as_ref(), tier, &self.request, streamed_tokens)
    }
}
