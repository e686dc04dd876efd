//! Takes in what is known of ended calls, and sees to it that PostHog hears of them.
//!
//! A call's thread puts a [`Generation`] into a bounded buffer, and goes on. Everything else happens on a thread that belongs to
//! the actor alone: the event is written, packed with its neighbours, put into a file, and sent from there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::Addr;
use actix_rt::ArbiterHandle;
use serde::Serialize;
use tokio::sync::Notify;

use self::buffer::{Buffer, Load, Put};
use self::clerk::{Clerk, Close};
use self::counts::{Counts, Dropped};
use crate::actors::guarded::{self, Vitals};
use crate::actors::report::ActorReport;
use crate::analytics::generation::Generation;
use crate::clock::Clock;
use crate::config::analytics::Analytics as Settings;

mod buffer;
mod clerk;
mod counts;

/// Messages that may wait for the actor: signs of life, and the end.
const MAILBOX: usize = 16;

/// Where ended calls are handed in. Clones share all they know.
#[derive(Clone, Debug)]
pub struct Analytics {
    shared: Arc<Shared>,
    actor: Addr<Clerk>,
}

/// What the handles and the actor have in common.
#[derive(Debug)]
struct Shared {
    is_on: bool,
    is_closed: AtomicBool,
    buffer: Buffer<Generation>,
    /// The first one lies in the buffer.
    begun: Notify,
    /// The buffer is half full, or there is no time to wait for more.
    pressed: Notify,
    counts: Counts,
    vitals: Arc<Vitals>,
}

/// How events stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Whether there are any.
    pub is_on: bool,
    /// Between a call's end and the file.
    pub buffered_events: usize,
    /// What these hold.
    pub buffered_bytes: usize,
    /// Taken in since the start.
    pub recorded: u64,
    /// Given up since the start, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
}

impl Analytics {
    /// Starts the actor on a thread that should be its own, and has to outlive the calls'.
    pub fn start(settings: &Settings, clock: Clock, arbiter: &ArbiterHandle) -> Self {
        let vitals =
            Vitals::new("analytics", "events", "events wait in memory, and are lost if they are too many", clock);
        let shared = Arc::new(Shared {
            is_on: settings.api_key.is_some(),
            is_closed: AtomicBool::new(false),
            buffer: Buffer::new(Load { events: settings.buffer_events, bytes: settings.buffer_bytes }),
            begun: Notify::new(),
            pressed: Notify::new(),
            counts: Counts::default(),
            vitals: Arc::clone(&vitals),
        });
        let actor = guarded::start_in(arbiter, &vitals, MAILBOX, {
            let shared = Arc::clone(&shared);
            move |_| Clerk::new(shared)
        });
        Self { shared, actor }
    }

    /// Whether anybody wants to hear of calls. If not, nothing needs to be kept of them.
    pub fn is_on(&self) -> bool {
        self.shared.is_on
    }

    /// Hands in a call that has ended. Never waits; what there is no room for is dropped and counted.
    pub fn record(&self, generation: Generation) {
        let shared = &self.shared;
        if !shared.is_on {
            return;
        }
        if shared.is_closed.load(Ordering::Acquire) {
            shared.counts.dropped(Dropped::Stopped, 1);
            return;
        }
        let bytes = generation.held_bytes();
        match shared.buffer.put(generation, bytes) {
            Put::First => shared.begun.notify_one(),
            Put::Behind => {}
            Put::Pressing => shared.pressed.notify_one(),
            Put::Full => {
                shared.counts.dropped(Dropped::BufferFull, 1);
                return;
            }
        }
        shared.counts.recorded();
    }

    /// Brings to an end what was handed in. For the end, when no call is under way any more.
    pub async fn close(&self) {
        // The actor is gone only if its thread is.
        let _ = self.actor.send(Close).await;
    }

    /// How events stand, for operators.
    pub fn standing(&self) -> Standing {
        let Load { events, bytes } = self.shared.buffer.held();
        let counts = &self.shared.counts;
        Standing {
            is_on: self.shared.is_on,
            buffered_events: events,
            buffered_bytes: bytes,
            recorded: counts.recorded_so_far(),
            dropped: counts.dropped_so_far().into_iter().collect(),
        }
    }

    /// For `/health/actors`.
    pub fn report(&self) -> ActorReport {
        self.shared.vitals.report()
    }
}
