//! Takes in what is known of ended calls, and sees to it that PostHog hears of them.
//!
//! A call's thread writes its event into a bounded buffer where that is short work; a call with all that was said in it, it puts
//! there as it is. Everything else happens on a thread that belongs to the actor alone: such calls' events are written, all are
//! packed with their neighbours, put into a file, and sent from there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use actix::Addr;
use actix_rt::ArbiterHandle;
use tokio::sync::Notify;
use url::Url;

use self::buffer::{Buffer, Load, Put};
use self::clerk::{Break, Clerk, Close};
use self::counts::{Counts, Dropped};
use self::desk::{Desk, Writes};
use self::entry::{Entry, Piece, Scribes};
use self::queue::FileState;
use self::returns::{Home, Returns};
pub use self::standing::Standing;
use crate::actors::guarded::{self, Vitals};
use crate::actors::report::ActorReport;
use crate::analytics::generation::Generation;
use crate::analytics::warning::LimitWarning;
use crate::clock::Clock;
use crate::config::analytics::Analytics as Settings;
use crate::store::spool::Depth;
use crate::upstream::client::Tls;

mod buffer;
mod clerk;
mod complaint;
mod counts;
mod courier;
mod desk;
mod entry;
mod queue;
mod returns;
mod spans;
pub mod standing;

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
    /// PostHog is there; a collector of spans alone hears of calls only.
    wants_events: bool,
    writes: Writes,
    is_closed: AtomicBool,
    buffer: Buffer<Entry>,
    scribes: Scribes,
    /// Calls whose events are written.
    returns: Returns<Entry>,
    /// The first one lies in the buffer.
    begun: Notify,
    /// The buffer is half full.
    pressed: Notify,
    counts: Counts,
    /// What the file holds, what memory holds, and how the file is.
    depths: Mutex<(Depth, Depth, FileState)>,
    clock: Clock,
    vitals: Arc<Vitals>,
}

impl Analytics {
    /// Starts the actor on a thread that should be its own, and has to outlive the calls'.
    ///
    /// `otlp` is where OpenTelemetry's collector is, if there is one.
    pub fn start(settings: &Settings, otlp: Option<Url>, clock: Clock, tls: Tls, arbiter: &ArbiterHandle) -> Self {
        let vitals = Vitals::new(
            "analytics",
            "events",
            "events of ended calls wait in memory, and are dropped once they are too many",
            clock.clone(),
        );
        let file = if settings.spool.is_some() { FileState::Good } else { FileState::None };
        let shared = Arc::new(Shared {
            is_on: settings.api_key.is_some() || otlp.is_some(),
            wants_events: settings.api_key.is_some(),
            writes: if otlp.is_some() { Writes::EventAndSpan } else { Writes::Event },
            is_closed: AtomicBool::new(false),
            buffer: Buffer::new(Load { events: settings.buffer_events, bytes: settings.buffer_bytes }),
            scribes: Scribes::default(),
            returns: Returns::new(),
            begun: Notify::new(),
            pressed: Notify::new(),
            counts: Counts::default(),
            depths: Mutex::new((Depth::default(), Depth::default(), file)),
            clock: clock.clone(),
            vitals: Arc::clone(&vitals),
        });
        let actor = guarded::start_in(arbiter, &vitals, MAILBOX, {
            let (shared, settings) = (Arc::clone(&shared), settings.clone());
            move |_| Clerk::new(Desk::new(shared, settings, clock), tls, otlp)
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
        // Where there are spans, one is written beside the event, which takes long.
        if shared.writes == Writes::Event && Scribes::take(&generation) {
            let is_written = shared.scribes.write(&generation, |event| {
                self.hand_in(Piece::held_for(event), |waiting| shared.scribes.append(waiting, event));
            });
            if !is_written {
                shared.counts.dropped(Dropped::Panicked, 1);
            }
            return;
        }
        let home = Home::here();
        self.hand_in_entry(Entry::Call(Box::new(generation), home));
        drop(shared.returns.take(home));
    }

    /// Hands in that a limit is nearly used up, in the same way.
    pub fn warn(&self, warning: LimitWarning) {
        if self.shared.wants_events {
            self.hand_in_entry(Entry::Warning(warning));
        }
    }

    fn hand_in_entry(&self, entry: Entry) {
        self.hand_in(entry.held_bytes(), |waiting| waiting.push(entry));
    }

    /// Puts one in that holds so many bytes.
    fn hand_in(&self, bytes: usize, put: impl FnOnce(&mut Vec<Entry>)) {
        let shared = &self.shared;
        if shared.is_closed.load(Ordering::Acquire) {
            shared.counts.dropped(Dropped::Stopped, 1);
            return;
        }
        match shared.buffer.put(bytes, put) {
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

    /// Brings to an end what was handed in: it is written to the file, and sent as far as PostHog takes it within a few seconds.
    /// For the end, when no call is under way any more.
    pub async fn close(&self) {
        if self.shared.is_on && self.actor.send(Close).await.is_err() {
            tracing::error!("the thread of analytics has ended too early; its last events are lost");
        }
    }

    /// How events stand, for operators.
    pub fn standing(&self) -> Standing {
        let shared = &self.shared;
        let counts = &shared.counts;
        let held = shared.buffer.held();
        let (file, memory, state) = *shared.depths.lock().unwrap_or_else(PoisonError::into_inner);
        let load = |depth: Depth| standing::Load { events: depth.events, bytes: depth.bytes };
        let now_ms = shared.clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let oldest_ms = file.oldest_ms.into_iter().chain(memory.oldest_ms).min();
        Standing {
            is_on: shared.is_on,
            buffer: standing::Load { events: held.events as u64, bytes: held.bytes as u64 },
            spool: load(file),
            spool_state: state.into(),
            memory: load(memory),
            oldest_age_ms: oldest_ms.map(|oldest| {
                let age = i128::try_from(now_ms).unwrap_or(i128::MAX) - i128::from(oldest);
                u64::try_from(age).unwrap_or_default()
            }),
            recorded: counts.recorded_so_far(),
            sent: counts.sent_so_far(),
            refused: counts.refused_so_far().into_iter().collect(),
            dropped: counts.dropped_so_far().into_iter().collect(),
            retries: counts.retried_so_far().into_iter().collect(),
            spans_sent: counts.spans_so_far().0,
            spans_dropped: counts.spans_so_far().1,
        }
    }

    /// Makes the actor panic, for tests of its restart.
    #[doc(hidden)]
    pub fn break_clerk(&self) {
        self.actor.do_send(Break);
    }

    /// For `/health/actors`.
    pub fn report(&self) -> ActorReport {
        self.shared.vitals.report()
    }
}

impl Shared {
    /// Takes no more calls.
    fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    fn publish(&self, depths: (Depth, Depth, FileState)) {
        *self.depths.lock().unwrap_or_else(PoisonError::into_inner) = depths;
    }
}
