//! The queue of replies that a test has put before the simulation.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::reply::Reply;

/// Answers to give, in order of the requests' arrival; when it is empty, the simulation answers. Clones are the same
/// script.
#[derive(Clone, Debug, Default)]
pub struct Script(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    queue: VecDeque<Reply>,
    always: Option<Reply>,
}

impl Script {
    /// Answers the next request that has no reply yet.
    pub fn push(&self, reply: Reply) {
        self.lock().queue.push_back(reply);
    }

    /// Answers the next requests.
    pub fn extend(&self, replies: impl IntoIterator<Item = Reply>) {
        self.lock().queue.extend(replies);
    }

    /// Answers every request for which nothing is queued.
    pub fn always(&self, reply: Reply) {
        self.lock().always = Some(reply);
    }

    /// Back to the simulation.
    pub fn clear(&self) {
        *self.lock() = Lines::default();
    }

    /// How many queued replies wait for a request.
    pub fn remaining(&self) -> usize {
        self.lock().queue.len()
    }

    pub(super) fn next(&self) -> Option<Reply> {
        let mut lines = self.lock();
        lines.queue.pop_front().or_else(|| lines.always.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
