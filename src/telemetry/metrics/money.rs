//! The numbers that are about money: what calls cost, how good estimates were, and what limits did.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{CounterVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};

use super::Metrics;
use crate::catalog::cost::{Basis, Cost, Provenance};
use crate::config::products::Per;
use crate::ids::{ModelId, ProductName, ProviderName};
use crate::money::NanoUsd;

/// What a charge lacked, so that it is at a stand-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Missing {
    /// The model's price: no list has it.
    Price,
    /// The answer's usage: there was none that could be believed.
    Usage,
}

impl Missing {
    fn name(self) -> &'static str {
        match self {
            Self::Price => "price",
            Self::Usage => "usage",
        }
    }
}

/// Which models were told of already. Callers make names up, so that only so many are kept.
type Told = Arc<Mutex<HashSet<(Missing, ProviderName, ModelId)>>>;

/// How many models are told of in a log line. Of more than that the metric tells, which has all of them as one.
pub(super) const MOST_TOLD: usize = 256;

/// What a limit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitEvent {
    /// A call was refused.
    Refused,
    /// A call would have been refused, but the limit only reports.
    Shadowed,
    /// A call waited for another to settle.
    Waited,
    /// It came near its end.
    Warned,
}

impl LimitEvent {
    fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Shadowed => "shadowed",
            Self::Waited => "waited",
            Self::Warned => "warned",
        }
    }
}

/// Stands for every model that is not in the catalog.
const OTHER_MODEL: &str = "other";

/// The handles to them.
#[derive(Clone, Debug)]
pub(super) struct Money {
    cost: CounterVec,
    unpriced: IntCounterVec,
    told: Told,
    reserved: CounterVec,
    settled: CounterVec,
    estimates: HistogramVec,
    limits: IntCounterVec,
    redis_fallback: IntCounter,
}

impl Money {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            cost: CounterVec::new(
                Opts::new("llm_gateway_cost_usd_total", "What calls cost, in dollars, and how well that is known."),
                &["product", "provider", "model", "provenance"],
            )?,
            unpriced: IntCounterVec::new(
                Opts::new(
                    "llm_gateway_unpriced_calls_total",
                    "Calls charged at a stand-in: their model has no price, or their answer no usage that could be believed.",
                ),
                &["provider", "model", "missing"],
            )?,
            told: Told::default(),
            reserved: CounterVec::new(
                Opts::new("llm_gateway_reserved_usd_total", "What calls were estimated at, in dollars."),
                &["product"],
            )?,
            settled: CounterVec::new(
                Opts::new("llm_gateway_settled_usd_total", "What the same calls came to, in dollars."),
                &["product"],
            )?,
            estimates: HistogramVec::new(
                HistogramOpts::new(
                    "llm_gateway_settled_to_reserved_ratio",
                    "What calls came to, as a share of what they were estimated at: 1 is exact, more was underestimated.",
                )
                .buckets(vec![0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 5.0, 10.0]),
                &["product"],
            )?,
            limits: IntCounterVec::new(
                Opts::new("llm_gateway_limit_events_total", "What limits did: refused, shadowed, waited, warned."),
                &["product", "per", "event"],
            )?,
            redis_fallback: IntCounter::new(
                "llm_gateway_redis_fallback_total",
                "How often Redis did not answer, and limits were held from this instance's own counters.",
            )?,
        })
    }

    pub(super) fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.cost.clone()))?;
        registry.register(Box::new(self.unpriced.clone()))?;
        registry.register(Box::new(self.reserved.clone()))?;
        registry.register(Box::new(self.settled.clone()))?;
        registry.register(Box::new(self.estimates.clone()))?;
        registry.register(Box::new(self.limits.clone()))?;
        registry.register(Box::new(self.redis_fallback.clone()))
    }
}

impl Metrics {
    /// Counts what a call cost.
    ///
    /// A model that no list has is not named: callers make such names up. Says what was missing where the operator should be told
    /// of it: once for each of the first 256 models; the metric counts all of them.
    pub fn cost(
        &self,
        product: &ProductName,
        provider: &ProviderName,
        model: &ModelId,
        cost: &Cost,
        basis: Basis,
    ) -> Option<Missing> {
        let shown = match basis {
            Basis::Listed => model.as_str(),
            Basis::Dearest => OTHER_MODEL,
        };
        let labels = [product.as_str(), provider.as_str(), shown, cost.provenance.name()];
        self.money.cost.with_label_values(&labels).inc_by(cost.amount.as_usd().max(0.0));
        match cost.provenance {
            Provenance::Default => {}
            Provenance::Computed | Provenance::EstimatedPartial => match basis {
                Basis::Listed => return None,
                // What had gone by is charged, by a price that is not the model's.
                Basis::Dearest => {}
            },
        }
        // What was never computed from counts had none, whatever the price.
        let missing = if cost.parts.is_none() { Missing::Usage } else { Missing::Price };
        self.money.unpriced.with_label_values(&[provider.as_str(), shown, missing.name()]).inc();
        self.is_news(missing, provider, model).then_some(missing)
    }

    fn is_news(&self, missing: Missing, provider: &ProviderName, model: &ModelId) -> bool {
        let mut told = self.money.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < MOST_TOLD && told.insert((missing, provider.clone(), model.clone()))
    }

    /// A call was estimated at this much.
    pub fn reserved(&self, product: &ProductName, estimate: NanoUsd) {
        self.money.reserved.with_label_values(&[product.as_str()]).inc_by(estimate.as_usd().max(0.0));
    }

    /// It came to this much. A call that was never estimated, and one that costs nothing because no provider took it, say nothing
    /// of how good estimates are.
    pub fn settled(&self, product: &ProductName, estimate: NanoUsd, actual: NanoUsd) {
        self.money.settled.with_label_values(&[product.as_str()]).inc_by(actual.as_usd().max(0.0));
        if estimate > NanoUsd::ZERO && actual > NanoUsd::ZERO {
            self.money.estimates.with_label_values(&[product.as_str()]).observe(actual.as_usd() / estimate.as_usd());
        }
    }

    /// A limit did something.
    pub fn limit(&self, product: &ProductName, per: Per, event: LimitEvent) {
        self.money.limits.with_label_values(&[product.as_str(), per.name(), event.name()]).inc();
    }

    /// Redis did not answer.
    pub fn redis_fallback(&self) {
        self.money.redis_fallback.inc();
    }
}
