//! Tells the other instances what was spent here, by way of Redis, and learns what they spent.

use std::sync::atomic::Ordering;

use super::Shared;
use crate::limits::counter::Company;
use crate::money::NanoUsd;
use crate::store::counters::{CountersError, Look, Roll, Seen};

/// Counters that are told of in one pipeline.
const BATCH: usize = 256;

/// How far this instance's time may be from Redis's before it takes that over: the first time, and later, in milliseconds.
const FIRST_APART_MS: u64 = 50;
const APART_MS: u64 = 2_000;

impl Shared {
    /// Whether Redis is out of reach.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Redis did not answer: from here on limits are held from what is known.
    pub(super) fn lost(&self, error: &CountersError) {
        self.metrics.redis_fallback();
        if !self.gone.swap(true, Ordering::Relaxed) {
            tracing::warn!(error = %error, "Redis is out of reach; limits are held from this instance's own counters");
        }
        self.ledger.set_company(Company::Alone);
    }

    /// Says that this instance is there, and hears who else is. `true` if Redis answered.
    pub(super) async fn meet(&self) -> bool {
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

    pub(super) fn met(&self, roll: &Roll) {
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
    pub(super) async fn flush(&self) -> bool {
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
