//! A concurrent map that never grows over its bound.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use dashmap::DashMap;
use dashmap::mapref::one::Ref;

use crate::auth::token::TokenHash;

/// Entries by token. Any thread reads; the actor alone writes. When it is full, the oldest entry goes, but one that was read
/// since it was last looked at gets a second chance, so that a flood of tokens seen once does not wash out those in use.
#[derive(Debug)]
pub(super) struct Bounded<V> {
    entries: DashMap<TokenHash, Slot<V>>,
    line: Mutex<Line>,
}

#[derive(Debug)]
pub(super) struct Slot<V> {
    pub(super) value: V,
    ticket: u64,
    was_read: AtomicBool,
}

/// Who came when. Holds tickets of entries that are gone, too; they are passed over.
#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<(TokenHash, u64)>,
    next_ticket: u64,
}

impl<V> Bounded<V> {
    pub(super) fn new() -> Self {
        Self { entries: DashMap::new(), line: Mutex::default() }
    }

    /// Looks without a trace.
    pub(super) fn peek(&self, hash: &TokenHash) -> Option<Ref<'_, TokenHash, Slot<V>>> {
        self.entries.get(hash)
    }

    /// Looks, and marks the entry as in use.
    pub(super) fn read(&self, hash: &TokenHash) -> Option<Ref<'_, TokenHash, Slot<V>>> {
        let slot = self.entries.get(hash)?;
        // Written once, not on every call: the line in the processor's cache is shared by all threads.
        if !slot.was_read.load(Ordering::Relaxed) {
            slot.was_read.store(true, Ordering::Relaxed);
        }
        Some(slot)
    }

    /// Puts an entry in, and others out until there are at most `capacity`.
    pub(super) fn insert(&self, hash: TokenHash, value: V, capacity: usize) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let ticket = line.next_ticket;
        line.next_ticket += 1;
        line.waiting.push_back((hash, ticket));
        self.entries.insert(hash, Slot { value, ticket, was_read: AtomicBool::new(false) });
        while self.entries.len() > capacity.max(1)
            && let Some((oldest, ticket)) = line.waiting.pop_front()
        {
            match self.verdict(&oldest, ticket) {
                Verdict::Gone => {}
                Verdict::Spared => line.waiting.push_back((oldest, ticket)),
                Verdict::Evicted => {
                    self.entries.remove(&oldest);
                }
            }
        }
        // Entries that are refreshed leave their old tickets behind.
        if line.waiting.len() > capacity.max(1).saturating_mul(2) {
            line.waiting.retain(|(hash, ticket)| self.entries.get(hash).is_some_and(|slot| slot.ticket == *ticket));
        }
    }

    pub(super) fn remove(&self, hash: &TokenHash) {
        self.entries.remove(hash);
    }

    pub(super) fn clear(&self) {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).waiting.clear();
        self.entries.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn verdict(&self, hash: &TokenHash, ticket: u64) -> Verdict {
        match self.entries.get(hash) {
            Some(slot) if slot.ticket == ticket => {
                if slot.was_read.swap(false, Ordering::Relaxed) {
                    Verdict::Spared
                } else {
                    Verdict::Evicted
                }
            }
            Some(_) | None => Verdict::Gone,
        }
    }
}

enum Verdict {
    Gone,
    Spared,
    Evicted,
}

#[cfg(test)]
mod tests {
    use super::Bounded;
    use crate::auth::token::TokenHash;

    fn hash(number: usize) -> TokenHash {
        TokenHash::of(&number.to_string())
    }

    #[test]
    fn a_flood_never_takes_more_than_the_bound() {
        let map = Bounded::new();
        for number in 0..10_000 {
            map.insert(hash(number), number, 100);
            assert!(map.len() <= 100);
        }
        assert_eq!(map.len(), 100);
        assert!(
            map.peek(&hash(9_999)).is_some() && map.peek(&hash(9_900)).is_some() && map.peek(&hash(9_899)).is_none()
        );
    }

    #[test]
    fn an_entry_in_use_outlives_a_flood() {
        let map = Bounded::new();
        map.insert(hash(0), 0, 100);
        for number in 1..10_000 {
            assert!(map.read(&hash(0)).is_some(), "gone after {number}");
            map.insert(hash(number), number, 100);
        }
    }

    #[test]
    fn entries_that_are_all_in_use_still_make_room() {
        let map = Bounded::new();
        for number in 0..200 {
            map.insert(hash(number), number, 10);
            for number in 0..=number {
                let _ = map.read(&hash(number));
            }
        }
        assert_eq!(map.len(), 10);
    }

    #[test]
    fn refreshing_one_entry_forever_takes_no_memory() {
        let map = Bounded::new();
        for _ in 0..10_000 {
            map.insert(hash(0), 0, 4);
        }
        assert_eq!(map.len(), 1);
        assert!(map.line.lock().unwrap_or_else(std::sync::PoisonError::into_inner).waiting.len() <= 9);
    }

    #[test]
    fn a_removed_entry_comes_back_with_its_full_time() {
        let map = Bounded::new();
        map.insert(hash(0), 0, 3);
        map.insert(hash(1), 1, 3);
        map.remove(&hash(0));
        map.insert(hash(0), 0, 3);
        map.insert(hash(2), 2, 3);
        map.insert(hash(3), 3, 3);
        assert!(map.peek(&hash(0)).is_some() && map.peek(&hash(1)).is_none());
        map.clear();
        assert_eq!(map.len(), 0);
    }

    #[test]
    fn a_bound_of_nothing_still_holds_one() {
        let map = Bounded::new();
        map.insert(hash(0), 0, 0);
        map.insert(hash(1), 1, 0);
        assert_eq!(map.len(), 1);
    }
}
