//! Where counters are kept, and how a thread finds those again that it comes to with every call.
//!
//! The map knows all of them. Beside it each thread remembers where some were that it came to lately: a call finds its counters
//! without the map's locks, which all threads share, and its settling finds them where its admission did.

use std::cell::RefCell;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dashmap::DashMap;
use foldhash::fast::RandomState;
use thread_local::ThreadLocal;

use crate::limits::counter::Counter;
use crate::limits::scope::CounterKey;

/// How many counters a thread remembers. More than come often, as two that belong in one place take it from one another.
const REMEMBERED: usize = 4096;

/// All counters.
#[derive(Debug, Default)]
pub(super) struct Slots {
    all: DashMap<CounterKey, Arc<Slot>, RandomState>,
    remembered: ThreadLocal<RefCell<Remembered>>,
}

/// One counter, on cache lines of its own.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Slot(Mutex<Counter>);

/// Counters that a thread came to lately; each can be in one place only, where the next one that belongs there replaces it.
#[derive(Debug)]
struct Remembered(Vec<Option<(CounterKey, Arc<Slot>)>>);

impl Default for Remembered {
    fn default() -> Self {
        Self(vec![None; REMEMBERED])
    }
}

impl Slot {
    fn counter(&self) -> MutexGuard<'_, Counter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    /// Changes a counter that calls come to; where it is not there, it begins. What changes it must not come back here.
    pub(super) fn reach<T>(
        &self,
        key: CounterKey,
        begin: impl Fn() -> Counter,
        change: impl FnOnce(&mut Counter) -> T,
    ) -> T {
        let mut remembered = self.remembered.get_or_default().borrow_mut();
        let place = usize::try_from(self.all.hasher().hash_one(key) >> 32).unwrap_or_default() % REMEMBERED;
        if let Some((known, slot)) = &remembered.0[place]
            && *known == key
        {
            let mut counter = slot.counter();
            if !counter.is_gone {
                return change(&mut counter);
            }
        }
        loop {
            let known = self.all.get(&key).map(|slot| Arc::clone(&slot));
            let slot = known.unwrap_or_else(|| {
                Arc::clone(&self.all.entry(key).or_insert_with(|| Arc::new(Slot(Mutex::new(begin())))))
            });
            let mut counter = slot.counter();
            // Between the map and the lock it may have been given up.
            if !counter.is_gone {
                let changed = change(&mut counter);
                drop(counter);
                remembered.0[place] = Some((key, slot));
                return changed;
            }
        }
    }

    /// Changes a counter, if it is there.
    pub(super) fn with<T>(&self, key: CounterKey, change: impl FnOnce(&mut Counter) -> T) -> Option<T> {
        self.all.get(&key).map(|slot| change(&mut slot.counter()))
    }

    /// Goes through all of them.
    pub(super) fn for_each(&self, mut change: impl FnMut(CounterKey, &mut Counter)) {
        for slot in &self.all {
            change(*slot.key(), &mut slot.counter());
        }
    }

    /// Gives those up that are not to be kept. How many those were.
    pub(super) fn retain(&self, keep: impl Fn(&mut Counter) -> bool) -> usize {
        let mut given_up = 0;
        self.all.retain(|_, slot| {
            let mut counter = slot.counter();
            counter.is_gone = !keep(&mut counter);
            given_up += usize::from(counter.is_gone);
            !counter.is_gone
        });
        given_up
    }

    /// Whether it is there.
    pub(super) fn contains(&self, key: &CounterKey) -> bool {
        self.all.contains_key(key)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
}
