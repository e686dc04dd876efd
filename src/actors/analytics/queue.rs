//! What waits to be sent: the older part in a file, the newer in memory while the file cannot be written.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use self::memory::Memory;
use crate::analytics::pack::Pack;
use crate::config::analytics::{Analytics as Settings, WhenFull};
use crate::store::spool::{Depth, Spool, SpoolError, set_aside};

mod memory;
#[cfg(test)]
mod tests;

/// How long a file that could not be used is left alone, at first and at most.
const LEFT_ALONE: Duration = Duration::from_millis(500);
const LEFT_ALONE_MAX: Duration = Duration::from_secs(30);

/// How long what is in memory waits behind a file that cannot be read, so that the order is kept.
const IN_ORDER_FOR: Duration = Duration::from_secs(60);

/// How often files of ended processes are looked for.
const ADOPT_EVERY: Duration = Duration::from_secs(30);

/// Packs in the order in which they were made.
#[derive(Debug)]
pub(super) struct Queue {
    path: Option<PathBuf>,
    file: Option<Box<Spool>>,
    /// How many files there have been: each numbers its packs from 1.
    files: u64,
    file_limit: u64,
    age: Duration,
    when_full: WhenFull,
    /// What the file does not have, newer than what it has.
    memory: Memory,
    /// The last pack of the file that was sent. If it could not be removed, it is not to be sent again.
    sent: Option<i64>,
    is_removal_owed: bool,
    /// The last pack of the file that is being sent.
    under_way: Option<i64>,
    trouble: Trouble,
    /// Since when the file cannot be read; none: it can.
    unread_since: Option<Instant>,
    adopt_at: Instant,
    /// Events of an ended process that were taken over so far, while there are more of them.
    adopted: u64,
}

/// The file's, since it last could be written.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    /// Zero: there is none.
    wait: Duration,
    /// When to try again.
    until: Instant,
}

/// What was given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) no_room: u64,
    pub(super) too_old: u64,
    pub(super) unreadable: u64,
}

/// Says which packs were sent, or are to be sent later.
#[derive(Debug)]
pub(super) struct Head {
    place: Place,
    through: i64,
    /// Which of the files that this process has had it is about.
    file: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    File,
    Memory,
}

/// Whether there is a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileState {
    /// There is to be none.
    None,
    /// It can be written, as far as is known.
    Good,
    /// It cannot.
    Troubled,
}

impl Queue {
    pub(super) fn new(settings: &Settings, now: Instant) -> Self {
        Self {
            path: settings.spool.clone(),
            file: None,
            files: 0,
            file_limit: settings.spool_bytes,
            age: settings.spool_age,
            when_full: settings.when_full,
            memory: Memory::new(settings.buffer_bytes as u64),
            sent: None,
            is_removal_owed: false,
            under_way: None,
            trouble: Trouble { wait: Duration::ZERO, until: now },
            unread_since: None,
            adopt_at: now,
            adopted: 0,
        }
    }

    /// What the file holds, what memory holds, and how the file is.
    pub(super) fn depths(&self) -> (Depth, Depth, FileState) {
        let state = match (&self.path, self.trouble.wait.is_zero()) {
            (None, _) => FileState::None,
            (Some(_), true) => FileState::Good,
            (Some(_), false) => FileState::Troubled,
        };
        (self.file.as_ref().map(|spool| spool.depth()).unwrap_or_default(), self.memory.depth(), state)
    }

    /// All that waits.
    pub(super) fn depth(&self) -> Depth {
        let (file, memory, _) = self.depths();
        Depth {
            events: file.events + memory.events,
            raw_bytes: file.raw_bytes + memory.raw_bytes,
            bytes: file.bytes + memory.bytes,
            oldest_ms: file.oldest_ms.into_iter().chain(memory.oldest_ms).min(),
        }
    }

    /// Whether there is more to be taken over from an ended process, soon.
    pub(super) fn is_adopting(&self) -> bool {
        self.file.as_ref().is_some_and(|spool| spool.is_adopting())
    }

    /// Puts packs at the end.
    pub(super) fn push(&mut self, packed_at_ms: i64, packs: Vec<Pack>, now: Instant) -> Lost {
        let mut lost = Lost::default();
        for pack in packs {
            self.memory.push(packed_at_ms, pack);
        }
        self.write(now, &mut lost);
        lost.no_room += self.memory.fit(self.when_full);
        lost
    }

    /// Looks after the file: opens it, takes over what others left, removes what is owed, drops what is too old.
    pub(super) fn tidy(&mut self, now: Instant, now_ms: i64) -> Lost {
        let mut lost = Lost::default();
        self.write(now, &mut lost);
        if self.is_removal_owed && self.trouble.until <= now {
            self.remove_sent(now, &mut lost);
        }
        let limit_ms = now_ms.saturating_sub(i64::try_from(self.age.as_millis()).unwrap_or(i64::MAX));
        let behind = self.under_way.or(self.sent);
        if let Some(spool) = &mut self.file {
            match spool.drop_before(behind, limit_ms) {
                Ok(events) => lost.too_old += events,
                Err(error) => self.failed(&error, now, &mut lost),
            }
        }
        lost.too_old += self.memory.drop_before(limit_ms);
        lost
    }

    /// The oldest packs, no more than so many events and bytes of JSON, but one pack at least. They have to be given back by
    /// [`Self::done`] or [`Self::put_back`] before others are asked for. None while older ones cannot be read.
    pub(super) fn head(
        &mut self,
        events: usize,
        raw_bytes: usize,
        now: Instant,
        lost: &mut Lost,
    ) -> Option<(Head, Vec<Pack>)> {
        let (events, raw_bytes) = (events as u64, raw_bytes as u64);
        if let Some(spool) = &mut self.file {
            match spool.head(self.sent, events, raw_bytes) {
                Ok(waiting) => {
                    self.unread_since = None;
                    if let Some(through) = waiting.last().map(|last| last.id) {
                        self.under_way = Some(through);
                        let packs = waiting.into_iter().map(|one| one.pack).collect();
                        return Some((Head { place: Place::File, through, file: self.files }, packs));
                    }
                }
                Err(error) => {
                    self.failed(&error, now, lost);
                    if self.keeps_order(now) {
                        return None;
                    }
                }
            }
        }
        let (through, packs) = self.memory.head(events, raw_bytes)?;
        Some((Head { place: Place::Memory, through, file: self.files }, packs))
    }

    /// Whether what is in memory has to wait for what is in the file, which cannot be read.
    fn keeps_order(&mut self, now: Instant) -> bool {
        let is_behind = self.file.as_ref().is_some_and(|spool| spool.depth().events > 0);
        let since = *self.unread_since.get_or_insert(now);
        is_behind && now.saturating_duration_since(since) < IN_ORDER_FOR
    }

    /// Nothing is being sent.
    pub(super) fn reset(&mut self) {
        self.under_way = None;
        self.memory.put_back();
    }

    /// Nobody needs these any more.
    pub(super) fn done(&mut self, head: &Head, now: Instant, lost: &mut Lost) {
        match head.place {
            // Of a file that was set aside, nothing is left to be removed.
            Place::File if head.file != self.files => {}
            Place::File => {
                self.under_way = None;
                self.sent = Some(head.through);
                self.remove_sent(now, lost);
            }
            Place::Memory => self.memory.done(head.through),
        }
    }

    /// These are to be sent later.
    pub(super) fn put_back(&mut self, head: &Head) {
        match head.place {
            Place::File if head.file != self.files => {}
            Place::File => self.under_way = None,
            Place::Memory => self.memory.put_back(),
        }
    }

    /// Gives the file up, for whoever comes next. Returns how many events are lost with this process.
    pub(super) fn close(&mut self, now: Instant) -> u64 {
        let mut lost = Lost::default();
        self.trouble.until = now;
        self.memory.put_back();
        self.write(now, &mut lost);
        if self.is_removal_owed {
            self.remove_sent(now, &mut lost);
        }
        self.file = None;
        self.path = None;
        self.memory.depth().events + lost.no_room + lost.unreadable
    }

    /// Moves what is in memory into the file.
    fn write(&mut self, now: Instant, lost: &mut Lost) {
        self.open(now);
        let Some(spool) = &mut self.file else { return };
        if self.memory.is_empty() || self.memory.is_under_way() || self.trouble.until > now {
            return;
        }
        let room = self.file_limit.saturating_sub(spool.depth().bytes);
        let excess = self.memory.depth().bytes.saturating_sub(room);
        if excess > 0 {
            match self.when_full {
                WhenFull::DropNewest => lost.no_room += self.memory.keep(room),
                WhenFull::DropOldest => match spool.drop_oldest(self.under_way.or(self.sent), excess) {
                    Ok(events) => lost.no_room += events,
                    Err(error) => return self.failed(&error, now, lost),
                },
            }
        }
        match spool.append(self.memory.all().map(|one| (one.packed_at_ms, &one.pack))) {
            Ok(()) => {
                self.memory.clear();
                self.works();
            }
            Err(error) => self.failed(&error, now, lost),
        }
    }

    fn open(&mut self, now: Instant) {
        let Some(path) = &self.path else { return };
        if let Some(spool) = &mut self.file {
            if self.adopt_at > now {
                return;
            }
            let room = self.file_limit.saturating_sub(spool.depth().bytes);
            // A piece at a time: what is to be written now does not wait for all of it.
            self.adopted += spool.adopt(path, room).unwrap_or(0);
            if !spool.is_adopting() {
                self.adopt_at = now + ADOPT_EVERY;
                let events = std::mem::take(&mut self.adopted);
                if events > 0 {
                    tracing::info!(events, "events that an ended process left behind were taken over");
                }
            }
        } else if self.trouble.until <= now {
            match Spool::open(path) {
                Ok(spool) => {
                    (self.sent, self.under_way, self.is_removal_owed) = (None, None, false);
                    self.unread_since = None;
                    self.files += 1;
                    self.file = Some(Box::new(spool));
                    if self.trouble.wait.is_zero() {
                        self.open(now);
                    } else {
                        self.works();
                    }
                }
                Err(error) => self.failed(&error, now, &mut Lost::default()),
            }
        }
    }

    fn remove_sent(&mut self, now: Instant, lost: &mut Lost) {
        self.is_removal_owed = true;
        let (Some(spool), Some(sent)) = (&mut self.file, self.sent) else { return };
        match spool.remove_through(sent) {
            Ok(()) => {
                self.is_removal_owed = false;
                self.works();
            }
            Err(error) => self.failed(&error, now, lost),
        }
    }

    fn works(&mut self) {
        if !self.trouble.wait.is_zero() {
            tracing::info!("the file in which events wait can be used again");
            self.trouble.wait = Duration::ZERO;
        }
    }

    /// The file failed: it is left alone for a while, and a damaged one is set aside. Said once, until it works again.
    fn failed(&mut self, error: &SpoolError, now: Instant, lost: &mut Lost) {
        let is_news = self.trouble.wait.is_zero();
        self.trouble.wait = (self.trouble.wait * 2).clamp(LEFT_ALONE, LEFT_ALONE_MAX);
        self.trouble.until = now + self.trouble.wait;
        if let SpoolError::Damaged(reason) = error
            && let Some(spool) = self.file.take()
        {
            lost.unreadable += spool.depth().events;
            let path = spool.path().to_owned();
            drop(spool);
            if set_aside(&path, reason).is_ok() {
                self.trouble = Trouble { wait: Duration::ZERO, until: now };
            }
        } else if is_news {
            tracing::error!(
                spool.file = self.path.as_ref().map(|path| path.display().to_string()),
                error = %error,
                "the file in which events wait cannot be used: they wait in memory, and it is tried again"
            );
        }
    }
}
