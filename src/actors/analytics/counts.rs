//! What became of events, counted where anybody can look without asking the actor.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why an event was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dropped {
    /// There was no room between the call's end and the file.
    BufferFull,
    /// The gateway made a mistake while it wrote the event.
    Panicked,
    /// The gateway had ended.
    Stopped,
}

/// All counters; they only rise.
#[derive(Debug, Default)]
pub(super) struct Counts {
    recorded: AtomicU64,
    dropped: [AtomicU64; Dropped::ALL.len()],
}

impl Dropped {
    const ALL: [Self; 3] = [Self::BufferFull, Self::Panicked, Self::Stopped];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::BufferFull => "buffer_full",
            Self::Panicked => "panicked",
            Self::Stopped => "stopped",
        }
    }
}

impl Counts {
    pub(super) fn recorded(&self) {
        self.recorded.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self, why: Dropped, events: u64) {
        self.dropped[why as usize].fetch_add(events, Ordering::Relaxed);
    }

    pub(super) fn recorded_so_far(&self) -> u64 {
        self.recorded.load(Ordering::Relaxed)
    }

    pub(super) fn dropped_so_far(&self) -> Vec<(&'static str, u64)> {
        Dropped::ALL.map(|why| (why.name(), self.dropped[why as usize].load(Ordering::Relaxed))).into()
    }
}
