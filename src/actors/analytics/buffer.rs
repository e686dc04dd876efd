//! What lies between the calls' threads and the actor: bounded, and locked for a few instructions only.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What waits, in the order in which it came.
#[derive(Debug)]
pub(super) struct Buffer<T> {
    most: Load,
    inside: Mutex<Inside<T>>,
}

/// So many, and what they hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) events: usize,
    pub(super) bytes: usize,
}

/// What became of one that was to go in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It is the first: the actor should be told.
    First,
    /// It lies with others.
    Behind,
    /// With it, half of the room is taken: the actor should hurry.
    Pressing,
    /// There was no room.
    Full,
}

#[derive(Debug)]
struct Inside<T> {
    waiting: Vec<T>,
    /// Of those that wait, and of those that were taken and are not done with.
    held: Load,
}

impl<T> Buffer<T> {
    pub(super) fn new(most: Load) -> Self {
        Self { most, inside: Mutex::new(Inside { waiting: Vec::new(), held: Load::default() }) }
    }

    /// Puts one in that holds so many bytes, behind what waits.
    pub(super) fn put(&self, bytes: usize, put: impl FnOnce(&mut Vec<T>)) -> Put {
        let mut inside = self.inside();
        let before = inside.held;
        let held = Load { events: before.events + 1, bytes: before.bytes.saturating_add(bytes) };
        if held.events > self.most.events || held.bytes > self.most.bytes {
            // What was to go in is freed when the lock is open again: that may take a moment.
            return Put::Full;
        }
        inside.held = held;
        let is_first = inside.waiting.is_empty();
        put(&mut inside.waiting);
        match is_first {
            true => Put::First,
            false if self.is_pressing(held) && !self.is_pressing(before) => Put::Pressing,
            false => Put::Behind,
        }
    }

    /// Whether this is so of the first that waits.
    pub(super) fn first_is(&self, so: impl FnOnce(&T) -> bool) -> bool {
        self.inside().waiting.first().is_some_and(so)
    }

    /// All that wait. They count as held until they are [released](Self::release).
    pub(super) fn take(&self) -> Vec<T> {
        // As many are to be expected again, and who puts one in should not have to make room.
        let expected = self.inside().waiting.len();
        let fresh = Vec::with_capacity(expected);
        std::mem::replace(&mut self.inside().waiting, fresh)
    }

    /// They are done with.
    pub(super) fn release(&self, done: Load) {
        let mut inside = self.inside();
        inside.held.events = inside.held.events.saturating_sub(done.events);
        inside.held.bytes = inside.held.bytes.saturating_sub(done.bytes);
    }

    pub(super) fn held(&self) -> Load {
        self.inside().held
    }

    /// Whether half of the room is taken.
    fn is_pressing(&self, held: Load) -> bool {
        held.events > self.most.events / 2 || held.bytes > self.most.bytes / 2
    }

    fn inside(&self) -> MutexGuard<'_, Inside<T>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Buffer, Load, Put};

    fn put(buffer: &Buffer<char>, one: char, bytes: usize) -> Put {
        buffer.put(bytes, |waiting| waiting.push(one))
    }

    #[test]
    fn what_does_not_fit_by_number_or_by_bytes_stays_outside() {
        let buffer = Buffer::new(Load { events: 3, bytes: 100 });
        assert_eq!(put(&buffer, 'a', 10), Put::First);
        assert_eq!(put(&buffer, 'b', 10), Put::Pressing);
        assert_eq!(put(&buffer, 'c', 81), Put::Full);
        assert_eq!(put(&buffer, 'd', 80), Put::Behind);
        assert_eq!(put(&buffer, 'e', 0), Put::Full);
        assert_eq!(buffer.take(), ['a', 'b', 'd']);
    }

    #[test]
    fn what_was_taken_holds_its_room_until_it_is_done_with() {
        let buffer = Buffer::new(Load { events: 2, bytes: 100 });
        put(&buffer, 'a', 50);
        assert_eq!(buffer.take(), ['a']);
        assert_eq!(put(&buffer, 'b', 60), Put::Full);
        assert_eq!(put(&buffer, 'b', 50), Put::First);
        buffer.release(Load { events: 1, bytes: 50 });
        assert_eq!(buffer.held(), Load { events: 1, bytes: 50 });
        assert_eq!(put(&buffer, 'c', 50), Put::Pressing);
    }

    #[test]
    fn one_that_is_larger_than_all_the_room_does_not_wrap_the_count() {
        let buffer = Buffer::new(Load { events: 2, bytes: 100 });
        put(&buffer, 'a', 1);
        assert_eq!(put(&buffer, 'b', usize::MAX), Put::Full);
        assert_eq!(buffer.held(), Load { events: 1, bytes: 1 });
    }
}
