//! All counters of an instance. It outlives the actor: a restart loses nothing.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use dashmap::DashMap;
use tokio::sync::{MutexGuard, Notify};

use crate::clock::Clock;
use crate::limits::counter::{Company, Counter, Local};
use crate::limits::scope::{Claim, CounterKey};
use crate::limits::window::LedgerTime;
use crate::money::NanoUsd;

/// Into how many groups counters fall that are waited for, and asked about, together.
const SLOTS: usize = 64;

/// All counters of an instance.
#[derive(Debug)]
pub(super) struct Ledger {
    counters: DashMap<CounterKey, Counter>,
    /// Counters that have something to tell the others.
    queue: Mutex<Vec<CounterKey>>,
    /// Told when a reservation was settled.
    settled: Vec<Notify>,
    /// Held while the others are asked about a counter: one question at a time.
    asking: Vec<tokio::sync::Mutex<()>>,
    /// Instances alive; 0: this one is alone, or cannot reach the others.
    company: AtomicU32,
    clock: Clock,
    anchor: Instant,
    /// Ledger time at the anchor.
    base_ms: AtomicU64,
}

impl Ledger {
    pub(super) fn new(clock: Clock) -> Self {
        let wall = clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            counters: DashMap::new(),
            queue: Mutex::default(),
            settled: (0..SLOTS).map(|_| Notify::new()).collect(),
            asking: (0..SLOTS).map(|_| tokio::sync::Mutex::new(())).collect(),
            company: AtomicU32::new(0),
            anchor: clock.now(),
            clock,
            base_ms: AtomicU64::new(millis(wall)),
        }
    }

    /// The moment, as all instances number it. Never jumps with the machine's calendar.
    pub(super) fn now(&self) -> LedgerTime {
        let passed = self.clock.now().saturating_duration_since(self.anchor);
        LedgerTime(self.base_ms.load(Ordering::Relaxed).saturating_add(millis(passed)))
    }

    /// Sets the time to `to`, which is what the others go by. What was spent stays as old as it was.
    pub(super) fn step(&self, to: LedgerTime) {
        let from = self.now();
        let passed = millis(self.clock.now().saturating_duration_since(self.anchor));
        self.base_ms.store(to.0.saturating_sub(passed), Ordering::Relaxed);
        for mut counter in self.counters.iter_mut() {
            counter.step(from, to);
        }
        self.enqueue_where(|_| true);
    }

    pub(super) fn company(&self) -> Company {
        match self.company.load(Ordering::Relaxed) {
            0 => Company::Alone,
            instances => Company::Shared(instances),
        }
    }

    pub(super) fn set_company(&self, company: Company) {
        let instances = match company {
            Company::Alone => 0,
            Company::Shared(instances) => instances.max(1),
        };
        self.company.store(instances, Ordering::Relaxed);
    }

    /// Decides on a call under one limit.
    pub(super) fn admit(&self, claim: &Claim, estimate: NanoUsd, company: Company) -> Local {
        let at = self.now();
        let mut counter =
            self.counters.entry(claim.key).or_insert_with(|| Counter::new(claim.key.length(), claim.limit, at));
        counter.touch(claim.limit, at);
        let local = counter.admit(estimate, at, company);
        // Told soon, what was reserved counts for the others once the lease does not, and the next call knows more.
        let wants = company != Company::Alone && !counter.queued && (local == Local::Admitted || counter.is_stale(at));
        counter.queued |= wants;
        drop(counter);
        if wants {
            self.push(claim.key);
        }
        local
    }

    /// Begins a counter that is not there.
    pub(super) fn ensure(&self, claim: &Claim) {
        let at = self.now();
        self.counters
            .entry(claim.key)
            .or_insert_with(|| Counter::new(claim.key.length(), claim.limit, at))
            .touch(claim.limit, at);
    }

    /// Changes a counter, if it is there.
    pub(super) fn with<T>(&self, key: CounterKey, change: impl FnOnce(&mut Counter, LedgerTime) -> T) -> Option<T> {
        let at = self.now();
        self.counters.get_mut(&key).map(|mut counter| change(&mut counter, at))
    }

    /// Notes that a counter has something to tell.
    pub(super) fn enqueue(&self, key: CounterKey) {
        let is_new = self.with(key, |counter, _| !std::mem::replace(&mut counter.queued, true));
        if is_new == Some(true) {
            self.push(key);
        }
    }

    /// The same for all that it is true of.
    pub(super) fn enqueue_where(&self, chosen: impl Fn(&Counter) -> bool) {
        let mut keys = Vec::new();
        for mut counter in self.counters.iter_mut() {
            if !counter.queued && chosen(&counter) {
                counter.queued = true;
                keys.push(*counter.key());
            }
        }
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).append(&mut keys);
    }

    fn push(&self, key: CounterKey) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push(key);
    }

    /// Takes at most `most` of the counters that have something to tell.
    pub(super) fn take_queued(&self, most: usize) -> Vec<CounterKey> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = queue.len().saturating_sub(most);
        queue.split_off(rest)
    }

    /// Somebody who waits for room may look again.
    pub(super) fn settled(&self, key: CounterKey) -> &Notify {
        &self.settled[key.slot(SLOTS)]
    }

    /// Waits until nobody else asks about this counter.
    pub(super) async fn turn(&self, key: CounterKey) -> MutexGuard<'_, ()> {
        self.asking[key.slot(SLOTS)].lock().await
    }

    /// The same for several, always taken in one order.
    pub(super) async fn turns(&self, keys: &[CounterKey]) -> Vec<MutexGuard<'_, ()>> {
        let mut slots: Vec<usize> = keys.iter().map(|key| key.slot(SLOTS)).collect();
        slots.sort_unstable();
        slots.dedup();
        let mut turns = Vec::with_capacity(slots.len());
        for slot in slots {
            turns.push(self.asking[slot].lock().await);
        }
        turns
    }

    /// Drops counters that say nothing any more.
    pub(super) fn expire(&self) {
        let at = self.now();
        self.counters.retain(|_, counter| !counter.is_idle(at));
    }

    /// How many counters are kept.
    pub(super) fn len(&self) -> usize {
        self.counters.len()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
