//! Tells the other instances what was spent here, by way of Redis, and learns what they spent.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Shared;
use crate::limits::counter::Company;
use crate::limits::scope::CounterKey;
use crate::limits::window::WindowLength;
use crate::money::NanoUsd;
use crate::store::counters::{Answers, Batch, CountersError, Look, Roll, Seen};

/// Counters that are told of in one pipeline.
const MOST: usize = 256;

/// How far this instance's time may be from Redis's before it takes that over, beside what the question took: the first time, and
/// later, in milliseconds. A part of the shortest window, so that instances are in one bucket most of the time.
const FIRST_APART_MS: u64 = 50;
const APART_MS: u64 = WindowLength::SHORTEST_MS / 4;

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
        let asked = Instant::now();
        match counters.heartbeat().await {
            Ok(roll) => {
                self.met(&roll, asked.elapsed());
                true
            }
            Err(error) => {
                self.lost(&error);
                false
            }
        }
    }

    /// Somebody is there, who answered after `took`.
    pub(super) fn met(&self, roll: &Roll, took: Duration) {
        let was_gone = self.gone.swap(false, Ordering::Relaxed);
        let is_first = self.ledger.company() == Company::Alone;
        let now = self.ledger.now();
        let apart = now.0.abs_diff(roll.time.0);
        let may_be = if is_first { FIRST_APART_MS } else { APART_MS };
        if u128::from(apart) > u128::from(may_be) + took.as_millis() {
            tracing::info!(apart_ms = apart, "taking over Redis's time");
            self.ledger.step(roll.time);
        }
        self.ledger.set_company(Company::Shared(roll.instances));
        if was_gone {
            tracing::info!("Redis is back");
        }
        if was_gone || !roll.known {
            // It may have forgotten everything.
            self.ledger.enqueue_where(|counter| {
                counter.doubt();
                true
            });
        }
    }

    /// Tells the others all that they do not know. For when nobody spends any more: what comes up meanwhile is told too.
    /// `false` if Redis is out of reach.
    pub(super) async fn flush(&self) -> bool {
        loop {
            if !self.tell_queued().await {
                return false;
            }
            if self.ledger.queued() == 0 {
                return true;
            }
        }
    }

    /// Tells the others what they do not know by now; what comes up meanwhile is for the next time. What somebody else is telling
    /// has been told then, too.
    pub(super) async fn tell_queued(&self) -> bool {
        let _one = self.telling.lock().await;
        let mut left = self.ledger.queued();
        while left > 0 {
            let keys = self.ledger.take_queued(left.min(MOST));
            left = if keys.is_empty() { 0 } else { left - keys.len() };
            if !self.tell(&keys).await {
                return false;
            }
        }
        true
    }

    /// Tells the others of these counters, in one pipeline. `false` if Redis is out of reach.
    pub(super) async fn tell(&self, keys: &[CounterKey]) -> bool {
        let Some(counters) = self.counters.as_ref().filter(|_| !keys.is_empty()) else { return true };
        let _turns = self.ledger.turns(keys).await;
        let instances = match self.ledger.company() {
            Company::Alone => 1,
            Company::Shared(instances) => instances,
        };
        let mut batch = Batch::default();
        for key in keys {
            self.ledger.with(*key, |counter, at| match counter.mention(at) {
                Some(mention) => batch.mentions.push((*key, mention)),
                None => {
                    batch.looks.push(Look { key: *key, told: counter.tell(at), asked: NanoUsd::ZERO, at });
                }
            });
        }
        match counters.tell(&batch, instances).await {
            Ok(Answers { unknown, seen }) => {
                for key in unknown {
                    self.ledger.with(key, |counter, _| counter.doubt());
                    self.ledger.enqueue(key);
                }
                for (look, seen) in batch.looks.iter().zip(seen) {
                    self.take_over(look, &seen);
                }
                true
            }
            Err(error) => {
                for key in keys {
                    self.ledger.enqueue(*key);
                }
                self.lost(&error);
                false
            }
        }
    }

    /// Somebody has reset the counter.
    fn reset(&self, key: CounterKey, resets: u64) {
        self.ledger.with(key, |counter, _| counter.forget(resets));
        self.ledger.enqueue(key);
    }

    fn take_over(&self, look: &Look, seen: &Seen) {
        match seen {
            Seen::Learnt(learnt) => {
                self.ledger.with(look.key, |counter, at| counter.learn(&look.told, learnt, NanoUsd::ZERO, look.at, at));
            }
            Seen::Reset(resets) => self.reset(look.key, *resets),
        }
        self.ledger.wake([look.key]);
    }
}
