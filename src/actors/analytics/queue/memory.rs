//! Packs that wait in memory.

use std::collections::VecDeque;

use crate::analytics::pack::Pack;
use crate::config::analytics::WhenFull;
use crate::store::spool::{Depth, Waiting};

/// In the order in which they came.
#[derive(Debug)]
pub(super) struct Memory {
    most_bytes: u64,
    waiting: VecDeque<Waiting>,
    depth: Depth,
    next_id: i64,
    /// The last one of those that are being sent. These stay.
    under_way: Option<i64>,
}

impl Memory {
    pub(super) fn new(most_bytes: u64) -> Self {
        Self { most_bytes, waiting: VecDeque::new(), depth: Depth::default(), next_id: 1, under_way: None }
    }

    pub(super) fn depth(&self) -> Depth {
        self.depth
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.iter()
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    pub(super) fn push(&mut self, packed_at_ms: i64, pack: Pack) {
        add(&mut self.depth, packed_at_ms, &pack);
        self.waiting.push_back(Waiting { id: self.next_id, packed_at_ms, pack });
        self.next_id += 1;
    }

    /// The oldest packs and the last one's id: one at least, if there are any.
    pub(super) fn head(&mut self, events: u64, raw_bytes: u64) -> Option<(i64, Vec<Pack>)> {
        let mut sum = Depth::default();
        let fits = self.waiting.iter().take_while(|one| {
            let is_first = sum == Depth::default();
            add(&mut sum, one.packed_at_ms, &one.pack);
            is_first || (sum.events <= events && sum.raw_bytes <= raw_bytes)
        });
        let (ids, packs): (Vec<i64>, Vec<Pack>) = fits.map(|one| (one.id, one.pack.clone())).unzip();
        self.under_way = ids.last().copied();
        Some((self.under_way?, packs))
    }

    pub(super) fn put_back(&mut self) {
        self.under_way = None;
    }

    /// They were sent.
    pub(super) fn done(&mut self, through: i64) {
        self.under_way = None;
        while self.waiting.front().is_some_and(|one| one.id <= through) {
            self.pop_oldest();
        }
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.depth = Depth::default();
    }

    /// Drops the newest but for so many bytes; returns how many events these were.
    pub(super) fn keep(&mut self, bytes: u64) -> u64 {
        let mut dropped = 0;
        while self.depth.bytes > bytes {
            dropped += self.pop_newest();
        }
        dropped
    }

    /// Drops what there is no room for; returns how many events these were.
    pub(super) fn fit(&mut self, when_full: WhenFull) -> u64 {
        let mut dropped = 0;
        while self.depth.bytes > self.most_bytes {
            dropped += match when_full {
                WhenFull::DropOldest if self.is_oldest_free() => self.pop_oldest(),
                WhenFull::DropOldest | WhenFull::DropNewest => self.pop_newest(),
            };
        }
        dropped
    }

    /// Drops what was packed before then; returns how many events these were.
    pub(super) fn drop_before(&mut self, ms: i64) -> u64 {
        let mut dropped = 0;
        while self.is_oldest_free() && self.waiting.front().is_some_and(|one| one.packed_at_ms < ms) {
            dropped += self.pop_oldest();
        }
        dropped
    }

    fn is_oldest_free(&self) -> bool {
        let oldest = self.waiting.front();
        oldest.is_some_and(|one| self.under_way.is_none_or(|under_way| one.id > under_way))
    }

    fn pop_oldest(&mut self) -> u64 {
        let popped = self.waiting.pop_front();
        self.popped(popped)
    }

    fn pop_newest(&mut self) -> u64 {
        let popped = self.waiting.pop_back();
        self.popped(popped)
    }

    fn popped(&mut self, popped: Option<Waiting>) -> u64 {
        let Some(Waiting { pack, .. }) = popped else {
            // Nothing is there, so nothing is held.
            self.depth = Depth::default();
            return 0;
        };
        let events = pack.events() as u64;
        self.depth.events = self.depth.events.saturating_sub(events);
        self.depth.raw_bytes = self.depth.raw_bytes.saturating_sub(pack.raw_bytes() as u64);
        self.depth.bytes = self.depth.bytes.saturating_sub(pack.bytes() as u64);
        self.depth.oldest_ms = self.waiting.front().map(|one| one.packed_at_ms);
        events
    }
}

fn add(depth: &mut Depth, packed_at_ms: i64, pack: &Pack) {
    depth.events += pack.events() as u64;
    depth.raw_bytes += pack.raw_bytes() as u64;
    depth.bytes += pack.bytes() as u64;
    depth.oldest_ms = depth.oldest_ms.or(Some(packed_at_ms));
}
