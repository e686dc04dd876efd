//! What calls may hold together: of requests, of whole answers, of streams for their events.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of one kind that are held, over all calls, against a bound.
#[derive(Debug)]
pub struct MemoryBound {
    limit: usize,
    held: AtomicUsize,
}

/// Bytes that one call holds; given back when dropped.
#[derive(Debug)]
pub struct Held {
    memory: Arc<MemoryBound>,
    bytes: AtomicUsize,
}

impl MemoryBound {
    /// Room for `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, held: AtomicUsize::new(0) }
    }

    /// Bytes held now.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// A call that holds nothing yet.
    pub fn begin(self: &Arc<Self>) -> Held {
        Held { memory: self.clone(), bytes: AtomicUsize::new(0) }
    }
}

impl Held {
    /// Takes `more` bytes. `false`, with nothing taken, when there is no room for them.
    #[must_use]
    pub fn grow(&mut self, more: usize) -> bool {
        let before = self.memory.held.fetch_add(more, Ordering::Relaxed);
        if before.saturating_add(more) > self.memory.limit {
            self.memory.held.fetch_sub(more, Ordering::Relaxed);
            return false;
        }
        *self.bytes.get_mut() += more;
        true
    }

    /// Gives back all of it, for who counts it elsewhere from now on.
    pub fn release(&self) {
        let bytes = self.bytes.swap(0, Ordering::Relaxed);
        self.memory.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_gives_back_what_it_held() {
        let memory = Arc::new(MemoryBound::new(100));
        let mut one = memory.begin();
        assert!(one.grow(60));
        let mut two = memory.begin();
        assert!(!two.grow(41), "there were 40 bytes left");
        assert!(two.grow(40));
        drop(one);
        assert_eq!(memory.held(), 40);
        drop(two);
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn what_was_given_back_is_not_given_back_again() {
        let memory = Arc::new(MemoryBound::new(100));
        let mut one = memory.begin();
        let mut two = memory.begin();
        assert!(one.grow(60) && two.grow(40));
        one.release();
        assert_eq!(memory.held(), 40);
        drop(one);
        assert_eq!(memory.held(), 40);
    }
}
