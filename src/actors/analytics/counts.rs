//! What became of events, counted where anybody can look without asking the actor.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why an event was given up before PostHog was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dropped {
    /// There was no room between the call's end and the file.
    BufferFull,
    /// There was no room in the file, or in the memory that stands in for it.
    SpoolFull,
    /// It had waited longer than it should.
    TooOld,
    /// The gateway made a mistake while it wrote the event.
    Panicked,
    /// The file was damaged.
    Unreadable,
    /// The gateway had ended.
    Stopped,
}

/// Why PostHog does not want an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// 400.
    Malformed,
    /// 413, although it was alone.
    TooLarge,
}

/// Why a batch has to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retried {
    /// PostHog was not reached, or the connection was cut.
    Network,
    /// It did not answer in time.
    Timeout,
    /// 429.
    RateLimited,
    /// 401 or 403: the key is wrong.
    Unauthorized,
    /// 5xx.
    Server,
    /// Anything else: that is not PostHog.
    Unexpected,
}

/// All counters; they only rise.
#[derive(Debug, Default)]
pub(super) struct Counts {
    recorded: AtomicU64,
    sent: AtomicU64,
    dropped: [AtomicU64; Dropped::ALL.len()],
    refused: [AtomicU64; Refused::ALL.len()],
    retried: [AtomicU64; Retried::ALL.len()],
    spans_sent: AtomicU64,
    spans_dropped: AtomicU64,
}

impl Dropped {
    const ALL: [Self; 6] =
        [Self::BufferFull, Self::SpoolFull, Self::TooOld, Self::Panicked, Self::Unreadable, Self::Stopped];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::BufferFull => "buffer_full",
            Self::SpoolFull => "spool_full",
            Self::TooOld => "too_old",
            Self::Panicked => "panicked",
            Self::Unreadable => "unreadable",
            Self::Stopped => "stopped",
        }
    }
}

impl Refused {
    const ALL: [Self; 2] = [Self::Malformed, Self::TooLarge];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
        }
    }
}

impl Retried {
    const ALL: [Self; 6] =
        [Self::Network, Self::Timeout, Self::RateLimited, Self::Unauthorized, Self::Server, Self::Unexpected];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Timeout => "timeout",
            Self::RateLimited => "rate_limited",
            Self::Unauthorized => "unauthorized",
            Self::Server => "server",
            Self::Unexpected => "unexpected",
        }
    }
}

impl Counts {
    pub(super) fn recorded(&self) {
        self.recorded.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn sent(&self, events: u64) {
        self.sent.fetch_add(events, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self, why: Dropped, events: u64) {
        self.dropped[why as usize].fetch_add(events, Ordering::Relaxed);
    }

    pub(super) fn refused(&self, why: Refused, events: u64) {
        self.refused[why as usize].fetch_add(events, Ordering::Relaxed);
    }

    pub(super) fn retried(&self, why: Retried) {
        self.retried[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn spans_sent(&self, spans: u64) {
        self.spans_sent.fetch_add(spans, Ordering::Relaxed);
    }

    pub(super) fn spans_dropped(&self, spans: u64) {
        self.spans_dropped.fetch_add(spans, Ordering::Relaxed);
    }

    /// Sent, and given up.
    pub(super) fn spans_so_far(&self) -> (u64, u64) {
        (self.spans_sent.load(Ordering::Relaxed), self.spans_dropped.load(Ordering::Relaxed))
    }

    pub(super) fn recorded_so_far(&self) -> u64 {
        self.recorded.load(Ordering::Relaxed)
    }

    pub(super) fn sent_so_far(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn dropped_so_far(&self) -> Vec<(&'static str, u64)> {
        Dropped::ALL.map(|why| (why.name(), self.dropped[why as usize].load(Ordering::Relaxed))).into()
    }

    pub(super) fn refused_so_far(&self) -> Vec<(&'static str, u64)> {
        Refused::ALL.map(|why| (why.name(), self.refused[why as usize].load(Ordering::Relaxed))).into()
    }

    pub(super) fn retried_so_far(&self) -> Vec<(&'static str, u64)> {
        Retried::ALL.map(|why| (why.name(), self.retried[why as usize].load(Ordering::Relaxed))).into()
    }
}
