//! All counters of an instance. It outlives the actor: a restart loses nothing.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::futures::Notified;
use tokio::sync::{MutexGuard, Notify};

use super::slots::Slots;
use crate::clock::Clock;
use crate::config::products::Per;
use crate::ids::ProductName;
use crate::limits::budget::Room;
use crate::limits::counter::{Company, Counter, Local};
use crate::limits::scope::{Claim, CounterKey};
use crate::limits::window::{LedgerTime, WindowLength};
use crate::money::NanoUsd;

/// Into how many groups counters fall that are waited for, and asked about, together.
const SLOTS: usize = 64;

/// How many bits say how often the time was set.
const STEP_BITS: u32 = 16;

/// Of one limit, how much of it is used where it is used most.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitUse {
    /// The product.
    pub product: ProductName,
    /// Whose spending it bounds.
    pub per: Per,
    /// In which window.
    pub window: WindowLength,
    /// The share that is used, from 0 up.
    pub share: f64,
}

/// Who hears of what was spent here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// There is no Redis.
    Nobody,
    /// Other instances.
    Others,
}

/// Whether what was settled took a counter over the share at which a warning is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crossed {
    Yes,
    No,
}

/// All counters of an instance.
#[derive(Debug)]
pub(super) struct Ledger {
    counters: Slots,
    /// What counters are of, by their number.
    limits: RwLock<Vec<(ProductName, Per, WindowLength)>>,
    audience: Audience,
    /// Counters that have something to tell the others.
    queue: Mutex<VecDeque<CounterKey>>,
    /// Told when a reservation was settled.
    settled: Vec<Notify>,
    /// How many calls wait to be told.
    waiting: AtomicUsize,
    /// Held while the others are asked about a counter: one question at a time.
    asking: Vec<tokio::sync::Mutex<()>>,
    /// Instances alive; 0: this one is alone, or cannot reach the others.
    company: AtomicU32,
    clock: Clock,
    anchor: Instant,
    /// Ledger time at the anchor, in milliseconds, and in the lowest bits how often it was set: read at once, so that no counter
    /// is seen at a time that it was not brought up to.
    base: AtomicU64,
    /// The last time that it was set: from when to when.
    set: RwLock<(LedgerTime, LedgerTime)>,
    setting: Mutex<()>,
}

/// A moment, and how often the time had been set before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    at: LedgerTime,
    steps: u16,
}

/// Somebody waits for room.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    ledger: &'a Ledger,
}

impl Ledger {
    pub(super) fn new(clock: Clock, audience: Audience) -> Self {
        let wall = clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            counters: Slots::default(),
            limits: RwLock::default(),
            audience,
            queue: Mutex::default(),
            settled: (0..SLOTS).map(|_| Notify::new()).collect(),
            waiting: AtomicUsize::new(0),
            asking: (0..SLOTS).map(|_| tokio::sync::Mutex::new(())).collect(),
            company: AtomicU32::new(0),
            anchor: clock.now(),
            clock,
            base: AtomicU64::new(millis(wall) << STEP_BITS),
            set: RwLock::new((LedgerTime(0), LedgerTime(0))),
            setting: Mutex::default(),
        }
    }

    /// The moment, as all instances number it. Never jumps with the machine's calendar.
    pub(super) fn now(&self) -> LedgerTime {
        self.moment().at
    }

    /// The moment, and how often the time was set before it.
    pub(super) fn moment(&self) -> Moment {
        let base = self.base.load(Ordering::Acquire);
        let passed = self.clock.now().saturating_duration_since(self.anchor);
        let steps = u16::try_from(base & ((1 << STEP_BITS) - 1)).unwrap_or_default();
        Moment { at: LedgerTime((base >> STEP_BITS).saturating_add(millis(passed))), steps }
    }

    /// When it is for a counter: at this moment, if the time was not set between them, else now, and the counter is brought up to
    /// that. As the counter is held, it is never ahead of what is read here.
    fn brought_to(&self, moment: Moment, counter: &mut Counter) -> LedgerTime {
        if counter.steps == moment.steps {
            return moment.at;
        }
        let now = self.moment();
        if counter.steps != now.steps {
            let (from, to) = *self.set.read().unwrap_or_else(PoisonError::into_inner);
            counter.step(from, to);
            counter.steps = now.steps;
        }
        now.at
    }

    /// The calendar's time.
    pub(super) fn wall(&self) -> SystemTime {
        self.clock.wall()
    }

    /// Sets the time to `to`, which is what the others go by. What was spent stays as old as it was.
    pub(super) fn step(&self, to: LedgerTime) {
        let _one = self.setting.lock().unwrap_or_else(PoisonError::into_inner);
        let Moment { at: from, steps } = self.moment();
        *self.set.write().unwrap_or_else(PoisonError::into_inner) = (from, to);
        let passed = millis(self.clock.now().saturating_duration_since(self.anchor));
        let base = (to.0.saturating_sub(passed) << STEP_BITS) | u64::from(steps.wrapping_add(1));
        self.base.store(base, Ordering::Release);
        // Those that a call comes to sooner are brought up to it by that.
        self.counters.for_each(|_, counter| {
            self.brought_to(self.moment(), counter);
        });
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

    /// Decides on a call under one limit. What room there is afterwards is said with it.
    pub(super) fn admit(
        &self,
        product: &ProductName,
        claim: &Claim,
        estimate: NanoUsd,
        company: Company,
        moment: Moment,
    ) -> (Local, Room) {
        let admit = |counter: &mut Counter| {
            let at = self.brought_to(moment, counter);
            counter.touch(claim.limit, at);
            let (local, room) = counter.admit(estimate, at, company);
            // Told soon, what was reserved counts for the others once the lease does not, and the next call knows more.
            let wants =
                company != Company::Alone && !counter.queued && (local == Local::Admitted || counter.is_stale(at));
            counter.queued |= wants;
            (local, room, wants)
        };
        let (local, room, wants) = self.counters.reach(claim.key, || self.begin(product, claim), admit);
        if wants {
            self.push(claim.key);
        }
        (local, room)
    }

    /// Replaces what was reserved under one limit by what the call cost. What room there is afterwards is said with it. Those who
    /// wait for it look when they are woken. A cost is never lost: where the counter is not there, it begins with it.
    pub(super) fn settle(
        &self,
        product: &ProductName,
        claim: &Claim,
        estimate: NanoUsd,
        actual: NanoUsd,
        warn_at: f64,
        moment: Moment,
    ) -> (Crossed, Room) {
        let settle = |counter: &mut Counter| {
            let at = self.brought_to(moment, counter);
            let (crossed, room) = counter.settle(estimate, actual, at, warn_at);
            let wants = self.audience == Audience::Others && !counter.queued;
            counter.queued |= wants;
            (if crossed { Crossed::Yes } else { Crossed::No }, room, wants)
        };
        let (crossed, room, wants) = self.counters.reach(claim.key, || self.begin(product, claim), settle);
        if wants {
            self.push(claim.key);
        }
        (crossed, room)
    }

    /// Begins a counter that is not there.
    pub(super) fn ensure(&self, product: &ProductName, claim: &Claim) {
        let touch = |counter: &mut Counter| {
            let at = self.brought_to(self.moment(), counter);
            counter.touch(claim.limit, at);
        };
        self.counters.reach(claim.key, || self.begin(product, claim), touch);
    }

    fn begin(&self, product: &ProductName, claim: &Claim) -> Counter {
        let Moment { at, steps } = self.moment();
        let mut counter = Counter::new(claim.key.length(), claim.limit, at);
        counter.steps = steps;
        counter.limit_number = self.number_of(product, claim);
        counter
    }

    /// Limits are few: those of the configuration, and of the configurations before it.
    fn number_of(&self, product: &ProductName, claim: &Claim) -> u16 {
        let is_it = |(of, per, window): &(ProductName, Per, WindowLength)| {
            of == product && *per == claim.per && *window == claim.key.length()
        };
        let known = self.limits.read().unwrap_or_else(PoisonError::into_inner).iter().position(is_it);
        let number = known.unwrap_or_else(|| {
            let mut limits = self.limits.write().unwrap_or_else(PoisonError::into_inner);
            limits.iter().position(is_it).unwrap_or_else(|| {
                limits.push((product.clone(), claim.per, claim.key.length()));
                limits.len() - 1
            })
        });
        u16::try_from(number).unwrap_or(u16::MAX)
    }

    /// Of each limit, how much of it is used where it is used most.
    pub(super) fn uses(&self) -> Vec<LimitUse> {
        let limits = self.limits.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut shares = vec![0.0_f64; limits.len()];
        self.counters.for_each(|_, counter| {
            let at = self.brought_to(self.moment(), counter);
            if let Some(share) = shares.get_mut(usize::from(counter.limit_number)) {
                *share = share.max(counter.standing_at(at).used_share(at));
            }
        });
        let uses = limits.into_iter().zip(shares);
        uses.map(|((product, per, window), share)| LimitUse { product, per, window, share }).collect()
    }

    /// Changes a counter, if it is there.
    pub(super) fn with<T>(&self, key: CounterKey, change: impl FnOnce(&mut Counter, LedgerTime) -> T) -> Option<T> {
        self.counters.with(key, |counter| {
            let at = self.brought_to(self.moment(), counter);
            change(counter, at)
        })
    }

    /// Notes that a counter has something to tell.
    pub(super) fn enqueue(&self, key: CounterKey) {
        let is_new = self.with(key, |counter, _| !std::mem::replace(&mut counter.queued, true));
        if is_new == Some(true) {
            self.push(key);
        }
    }

    /// The same for all that it is true of.
    pub(super) fn enqueue_where(&self, chosen: impl Fn(&mut Counter) -> bool) {
        let mut keys = Vec::new();
        self.counters.for_each(|key, counter| {
            if chosen(counter) && !counter.queued {
                counter.queued = true;
                keys.push(key);
            }
        });
        self.queue().extend(keys);
    }

    /// All counters have something to tell, whatever was noted before: whoever had taken some of them to tell is no more.
    pub(super) fn requeue(&self) {
        let mut keys = Vec::with_capacity(self.counters.len());
        self.counters.for_each(|key, counter| {
            counter.queued = true;
            keys.push(key);
        });
        // Those that are there twice are told twice, which changes nothing.
        self.queue().extend(keys);
    }

    fn push(&self, key: CounterKey) {
        self.queue().push_back(key);
    }

    /// How many counters have something to tell.
    pub(super) fn queued(&self) -> usize {
        self.queue().len()
    }

    /// Takes so many of them at most, those first that have waited longest.
    pub(super) fn take_queued(&self, most: usize) -> Vec<CounterKey> {
        let mut queue = self.queue();
        let count = queue.len().min(most);
        queue.drain(..count).collect()
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, VecDeque<CounterKey>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets those look again who wait for room under one of these.
    pub(super) fn wake(&self, keys: impl IntoIterator<Item = CounterKey>) {
        // Who begins to wait says so before it looks: either it is seen here, or it sees what was changed before.
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) > 0 {
            for key in keys {
                self.settled[key.slot(SLOTS)].notify_waiters();
            }
        }
    }

    /// Somebody begins to wait for room. What it is to look at, it has to look at afterwards.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        Waiting { ledger: self }
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
        let given_up = self.counters.retain(|counter| {
            let at = self.brought_to(self.moment(), counter);
            !counter.is_idle(at)
        });
        // While Redis is gone the queue is not told, and would keep what is no more.
        if given_up > 0 {
            self.queue().retain(|key| self.counters.contains(key));
        }
    }

    /// How many counters are kept.
    pub(super) fn len(&self) -> usize {
        self.counters.len()
    }
}

impl Waiting<'_> {
    /// When something was settled of a counter, or of another in its group.
    pub(super) fn settled(&self, key: CounterKey) -> Notified<'_> {
        self.ledger.settled[key.slot(SLOTS)].notified()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.ledger.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
