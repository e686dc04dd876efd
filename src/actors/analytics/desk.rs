//! What the actor works at: written events on one side, what waits to be sent on the other. Outlives the actor's panics.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use actix_rt::time::{sleep, timeout};
use tokio::sync::Notify;

use super::Shared;
use super::buffer::Load;
use super::complaint::Complaint;
use super::counts::Dropped;
use super::entry::Entry;
use super::queue::{Head, Lost, Queue};
use super::returns::Home;
use super::spans::{Collector, Spans};
use crate::analytics::event::Writer;
use crate::analytics::event::span::span;
use crate::analytics::pack::{Pack, Packer};
use crate::clock::Clock;
use crate::config::analytics::Analytics as Settings;

/// How long an event waits for others, so that they are packed together. With what writing takes, less than 100 ms.
const LINGER: Duration = Duration::from_millis(20);

/// How long an ended call waits to be written: so short that what it held is in the processor's cache still, when it is read here
/// and when its thread uses that memory again.
const GLANCE: Duration = Duration::from_millis(4);

/// The largest calls that are given back to where they were made; larger ones are freed at once.
const RETURNED_BYTES: usize = 8 * 1024;

/// The most events, and about the most bytes of JSON, in one pack.
const PACK_EVENTS: usize = 512;
const PACK_BYTES: usize = 512 * 1024;

/// How often the file is looked after.
const TIDY_EVERY: Duration = Duration::from_secs(1);

/// How long the end waits for PostHog to take what is left.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// One thread's.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) shared: Arc<Shared>,
    pub(super) settings: Settings,
    clock: Clock,
    queue: RefCell<Queue>,
    writer: RefCell<Writer>,
    packer: RefCell<Packer>,
    /// What is in the packer.
    written: Cell<Written>,
    /// Taken out of the buffer and not written yet: survives a panic, and keeps its order whoever goes on with it.
    taken: RefCell<VecDeque<Entry>>,
    pub(super) spans: Spans,
    /// Something was put into the queue, or the end has come.
    news: Notify,
    /// There is no time for pauses.
    pub(super) hurry: Notify,
    /// Something was sent, or could not be.
    settled: Notify,
    is_closing: Cell<bool>,
    has_failed: Cell<bool>,
    complaint: RefCell<Complaint>,
}

/// What is written of a call that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writes {
    /// Its event.
    Event,
    /// A span for OpenTelemetry's collector, too.
    EventAndSpan,
}

/// Events that are written and not packed: what they held as they waited, and since when there are any.
#[derive(Clone, Copy, Debug, Default)]
struct Written {
    held: Load,
    since: Option<Instant>,
}

/// Calls whose events are written, by where they were made: by few threads.
#[derive(Default)]
struct Homeward(Vec<(Home, Vec<Entry>)>);

impl Homeward {
    fn add(&mut self, home: Home, entry: Entry) {
        match self.0.iter_mut().find(|(other, _)| *other == home) {
            Some((_, some)) => some.push(entry),
            None => self.0.push((home, vec![entry])),
        }
    }
}

/// When events are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    /// Once there are many, or the first has waited.
    WhenDue,
    Now,
}

impl Desk {
    pub(super) fn new(shared: Arc<Shared>, settings: Settings, clock: Clock) -> Self {
        let queue = Queue::new(&settings, clock.now());
        let spans = Spans::new(Arc::clone(&shared));
        Self {
            shared,
            settings,
            clock,
            queue: RefCell::new(queue),
            writer: RefCell::default(),
            packer: RefCell::default(),
            written: Cell::default(),
            taken: RefCell::default(),
            spans,
            news: Notify::new(),
            hurry: Notify::new(),
            settled: Notify::new(),
            is_closing: Cell::new(false),
            has_failed: Cell::new(false),
            complaint: RefCell::default(),
        }
    }

    /// After a panic: what was being sent is sent again, and what was written is packed.
    pub(super) fn reset(&self) {
        self.queue.borrow_mut().reset();
        if !survives(|| self.pack()) {
            self.packer.replace(Packer::default());
            let Written { held, .. } = self.written.take();
            self.shared.buffer.release(held);
            self.shared.counts.dropped(Dropped::Panicked, held.events as u64);
        }
    }

    /// Writes ended calls as they come in, for ever.
    pub(super) async fn take_in(&self) {
        loop {
            if self.shared.buffer.held() == Load::default() {
                self.shared.begun.notified().await;
            }
            let (pause, packing) = match self.shared.buffer.first_is(|entry| matches!(entry, Entry::Call(..))) {
                true => (GLANCE, Packing::WhenDue),
                false => (LINGER, Packing::Now),
            };
            // Half a buffer does not wait.
            let is_pressed = timeout(pause, self.shared.pressed.notified()).await.is_ok();
            self.write_all(if is_pressed { Packing::Now } else { packing }).await;
        }
    }

    /// Writes all calls that have ended by now.
    async fn write_all(&self, packing: Packing) {
        self.taken.borrow_mut().extend(self.shared.buffer.take());
        loop {
            self.write();
            let is_due = self.written.get().since.is_some_and(|since| since.elapsed() >= LINGER);
            if packing == Packing::WhenDue && !is_due && !self.is_pack_full() {
                return;
            }
            if !self.pack() {
                return;
            }
            // What is being sent gets its turn.
            tokio::task::yield_now().await;
        }
    }

    fn is_pack_full(&self) -> bool {
        let packer = self.packer.borrow();
        packer.events() >= PACK_EVENTS || packer.len() >= PACK_BYTES
    }

    /// Writes what was taken, as far as a pack has room.
    fn write(&self) {
        let mut done = Load::default();
        let mut homeward = Homeward::default();
        while !self.is_pack_full() {
            let next = self.taken.borrow_mut().pop_front();
            let Some(entry) = next else { break };
            let events = entry.events();
            let held = entry.held_bytes();
            done.events += events;
            done.bytes += held;
            if self.shared.writes == Writes::EventAndSpan
                && let Entry::Call(generation, _) = &entry
            {
                let is_written = survives(|| self.spans.push(span(generation)));
                self.shared.counts.spans_dropped(u64::from(!is_written));
            }
            if self.shared.wants_events {
                let is_written = survives(|| match &entry {
                    Entry::Written(piece) => self.packer.borrow_mut().add_all(&piece.text, &piece.sizes),
                    Entry::Call(generation, _) => {
                        self.packer.borrow_mut().add(self.writer.borrow_mut().event(generation));
                    }
                    Entry::Warning(warning) => self.packer.borrow_mut().add(&warning.event()),
                });
                self.shared.counts.dropped(Dropped::Panicked, if is_written { 0 } else { events as u64 });
            }
            match entry {
                Entry::Written(piece) => self.shared.scribes.give_back(piece),
                Entry::Call(_, home) if held <= RETURNED_BYTES => homeward.add(home, entry),
                Entry::Call(..) | Entry::Warning(_) => {}
            }
        }
        for (home, some) in homeward.0 {
            self.shared.returns.give(home, some);
        }
        if done.events > 0 {
            let Written { held, since } = self.written.get();
            let held = Load { events: held.events + done.events, bytes: held.bytes + done.bytes };
            self.written.set(Written { held, since: since.or_else(|| Some(Instant::now())) });
        }
    }

    /// Packs what was written, for the queue. Until then it counts as waiting. `false` if nothing was.
    fn pack(&self) -> bool {
        let Written { held, .. } = self.written.get();
        if held.events == 0 {
            return false;
        }
        let pack = {
            let mut packer = self.packer.borrow_mut();
            (!packer.is_empty()).then(|| packer.pack())
        };
        // At once: whatever comes now, they wait no more.
        self.written.take();
        self.shared.buffer.release(held);
        if let Some(pack) = pack {
            let lost = self.queue.borrow_mut().push(self.now_ms(), vec![pack], self.clock.now());
            self.lost(lost);
        }
        self.publish();
        self.news.notify_one();
        true
    }

    /// Looks after the file, and says what was dropped, for ever.
    pub(super) async fn tidy(&self) {
        loop {
            let lost = self.queue.borrow_mut().tidy(self.clock.now(), self.now_ms());
            self.lost(lost);
            self.publish();
            self.news.notify_one();
            self.complain();
            self.shared.returns.clear();
            let is_adopting = self.queue.borrow().is_adopting();
            sleep(if is_adopting { LINGER } else { TIDY_EVERY }).await;
        }
    }

    /// Until there is something to send, and nothing to wait for.
    pub(super) async fn until_due(&self, batch_bytes: usize) {
        // The calendar knows of what was there before this process, and may be set back; this does not go back.
        let mut seen: Option<Instant> = None;
        loop {
            let depth = self.queue.borrow().depth();
            let is_full = depth.events >= self.settings.batch_events as u64 || depth.raw_bytes >= batch_bytes as u64;
            match depth.oldest_ms {
                Some(_) if is_full || self.is_closing.get() => return,
                Some(oldest_ms) => {
                    let now = self.clock.now();
                    let waited = now.saturating_duration_since(*seen.get_or_insert(now));
                    let by_calendar = u64::try_from(self.now_ms().saturating_sub(oldest_ms)).unwrap_or_default();
                    let waited = waited.max(Duration::from_millis(by_calendar));
                    let rest = self.settings.flush_every.saturating_sub(waited);
                    if rest.is_zero() {
                        return;
                    }
                    let _ = timeout(rest, self.news.notified()).await;
                }
                None => self.news.notified().await,
            }
        }
    }

    /// What is to be sent next.
    pub(super) fn head(&self, batch_bytes: usize) -> Option<(Head, Vec<Pack>)> {
        let mut lost = Lost::default();
        let head = self.queue.borrow_mut().head(self.settings.batch_events, batch_bytes, self.clock.now(), &mut lost);
        self.lost(lost);
        head
    }

    /// All of it was sent, or given up.
    pub(super) fn done(&self, head: &Head) {
        let mut lost = Lost::default();
        self.queue.borrow_mut().done(head, self.clock.now(), &mut lost);
        self.lost(lost);
        self.has_failed.set(false);
        self.publish();
        self.settled.notify_one();
    }

    /// It has to be sent later.
    pub(super) fn put_back(&self, head: &Head) {
        self.queue.borrow_mut().put_back(head);
        self.failed();
    }

    /// PostHog does not take it now.
    pub(super) fn failed(&self) {
        self.has_failed.set(true);
        self.settled.notify_one();
    }

    /// Packs two halves of a pack.
    pub(super) fn halves(&self, pack: &Pack) -> Vec<Pack> {
        pack.halves(&mut Packer::default()).unwrap_or_else(|damaged| {
            tracing::error!(error = %damaged, "events that waited cannot be read any more");
            self.shared.counts.dropped(Dropped::Unreadable, damaged.events as u64);
            Vec::new()
        })
    }

    /// Brings everything to an end: what has ended is written, and sent as far as PostHog takes it within a few seconds.
    pub(super) async fn close(&self, collector: Option<&Collector>) {
        self.write_all(Packing::Now).await;
        self.is_closing.set(true);
        self.has_failed.set(false);
        self.news.notify_one();
        self.hurry.notify_one();
        let sent = timeout(LAST_WORDS, async {
            while self.queue.borrow().depth().events > 0 && !self.has_failed.get() {
                self.settled.notified().await;
            }
        });
        if sent.await.is_err() {
            tracing::info!("PostHog is slow; what it has not taken yet is sent by the next process");
        }
        self.shared.close();
        self.write_all(Packing::Now).await;
        if let Some(collector) = collector {
            let _ = timeout(LAST_WORDS, self.spans.send_all(collector)).await;
        }
        let (left, lost) = {
            let mut queue = self.queue.borrow_mut();
            let left = queue.depth().events;
            (left, queue.close(self.clock.now()))
        };
        self.publish();
        self.complain();
        if lost > 0 {
            tracing::error!(
                events = lost,
                "events are lost: PostHog did not take them, and there is no file to keep them"
            );
        } else if left > 0 {
            tracing::info!(events = left, "events wait in the file for the next process");
        }
    }

    pub(super) fn now_rfc3339(&self) -> String {
        chrono::DateTime::<chrono::Utc>::from(self.clock.wall()).to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
    }

    fn now_ms(&self) -> i64 {
        let since = self.clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn lost(&self, lost: Lost) {
        let counts = &self.shared.counts;
        counts.dropped(Dropped::SpoolFull, lost.no_room);
        counts.dropped(Dropped::TooOld, lost.too_old);
        counts.dropped(Dropped::Unreadable, lost.unreadable);
    }

    fn publish(&self) {
        self.shared.publish(self.queue.borrow().depths());
    }

    /// Says that events were dropped, if that is to be said now.
    fn complain(&self) {
        let dropped = self.shared.counts.dropped_so_far();
        if let Some(words) = self.complaint.borrow_mut().due(dropped, self.clock.now()) {
            tracing::warn!(dropped = words, "events were dropped");
        }
    }
}

/// Writes an event, or a span, if there is no mistake of ours in it: that costs no other call its own.
pub(super) fn survives<T>(write: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(write)).is_ok()
}
