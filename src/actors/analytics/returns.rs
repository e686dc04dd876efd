//! Brings what was written back to the threads that made it, to be freed there.
//!
//! An allocator takes memory back most cheaply on the thread that gave it out: freed elsewhere, each of a call's dozen pieces comes
//! back through other caches than those that its thread works in, which costs a call's thread as much as all else that it does for
//! an event.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Threads that share a list have more of them freed elsewhere, and nothing worse.
const HOMES: usize = 64;

/// The most that lie on one list: what a thread makes within some moments under load.
const MOST: usize = 2_048;

/// How many a thread frees at a time: more than it makes, so that the list gets shorter.
const AT_ONCE: usize = 2;

/// Where something was made: a number for a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Home(usize);

/// What is to be freed, by where it was made.
#[derive(Debug)]
pub(super) struct Returns<T> {
    lists: Vec<Mutex<Vec<T>>>,
}

impl Home {
    /// This thread.
    pub(super) fn here() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static HERE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % HOMES;
        }
        Self(HERE.with(|here| *here))
    }
}

impl<T> Returns<T> {
    pub(super) fn new() -> Self {
        Self { lists: (0..HOMES).map(|_| Mutex::default()).collect() }
    }

    /// Gives these back. Where too many lie already they are freed at once.
    pub(super) fn give(&self, home: Home, mut some: Vec<T>) {
        let Some(list) = self.lists.get(home.0) else { return };
        let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
        if list.len() + some.len() <= MOST {
            list.append(&mut some);
        }
    }

    /// Takes some that were made here, if nobody gives any just now.
    pub(super) fn take(&self, home: Home) -> [Option<T>; AT_ONCE] {
        let list = self.lists.get(home.0).and_then(|list| list.try_lock().ok());
        let Some(mut list) = list else { return [const { None }; AT_ONCE] };
        std::array::from_fn(|_| list.pop())
    }

    /// Frees what nobody came for.
    pub(super) fn clear(&self) {
        for list in &self.lists {
            let left = std::mem::take(&mut *list.lock().unwrap_or_else(PoisonError::into_inner));
            drop(left);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Home, MOST, Returns};

    #[test]
    fn what_a_thread_made_comes_back_to_it_and_to_no_other() {
        let here = Home::here();
        assert_eq!(here, Home::here());
        let there = std::thread::spawn(Home::here).join().ok();
        assert_ne!(Some(here), there);
        let returns = Returns::new();
        returns.give(here, vec![1, 2, 3]);
        assert_eq!(there.map(|there| returns.take(there)), Some([None, None]));
        assert_eq!(returns.take(here), [Some(3), Some(2)]);
        assert_eq!(returns.take(here), [Some(1), None]);
    }

    #[test]
    fn where_nobody_comes_for_it_it_is_freed() {
        let (returns, home) = (Returns::new(), Home::here());
        let one = Arc::new(());
        returns.give(home, vec![Arc::clone(&one); MOST]);
        returns.give(home, vec![Arc::clone(&one); 5]);
        assert_eq!(Arc::strong_count(&one), MOST + 1, "too many are freed at once");
        returns.clear();
        assert_eq!(Arc::strong_count(&one), 1);
    }
}
