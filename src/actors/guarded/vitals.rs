//! What a handle knows of its actor without asking it.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::actors::report::{ActorReport, ActorState};
use crate::clock::Clock;

/// Shared by an actor, the task it lives in, and its handles. Outlives the actor's panics.
#[derive(Debug)]
pub struct Vitals {
    kind: &'static str,
    name: String,
    degrades: &'static str,
    clock: Clock,
    born: Instant,
    state: AtomicU8,
    restarts: AtomicU64,
    depth: AtomicUsize,
    /// A ping is under way, so that an actor that does not answer is not buried under pings.
    pinged: AtomicBool,
    /// Milliseconds after `born`, plus one; 0: never.
    ponged: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl Vitals {
    /// For an actor that is about to be started.
    pub fn new(kind: &'static str, name: impl Into<String>, degrades: &'static str, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            kind,
            name: name.into(),
            degrades,
            born: clock.now(),
            clock,
            state: AtomicU8::new(RUNNING),
            restarts: AtomicU64::new(0),
            depth: AtomicUsize::new(0),
            pinged: AtomicBool::new(false),
            ponged: AtomicU64::new(0),
            last_error: Mutex::new(None),
        })
    }

    /// Whether the actor takes messages.
    pub fn state(&self) -> ActorState {
        match self.state.load(Ordering::Acquire) {
            RUNNING => ActorState::Running,
            RESTARTING => ActorState::Restarting,
            _ => ActorState::Stopped,
        }
    }

    /// How often the actor was restarted after a panic.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// Counts a message that is about to be sent. It is put into the message and so dropped when that was handled, or
    /// thrown away.
    pub fn queued(self: &Arc<Self>) -> Queued {
        self.depth.fetch_add(1, Ordering::Relaxed);
        Queued(Arc::clone(self))
    }

    /// For `/health/actors`.
    pub fn report(&self) -> ActorReport {
        let since_born_ms = self.since_born_ms();
        ActorReport {
            kind: self.kind,
            name: self.name.clone(),
            state: self.state(),
            restarts: self.restarts(),
            mailbox_depth: self.depth.load(Ordering::Relaxed),
            last_pong_ms: self.ponged.load(Ordering::Relaxed).checked_sub(1).map(|at| since_born_ms.saturating_sub(at)),
            last_error: self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            degrades: self.degrades,
        }
    }

    /// Whether a ping should be sent: none is under way.
    pub(super) fn begin_ping(&self) -> bool {
        !self.pinged.swap(true, Ordering::Relaxed)
    }

    pub(super) fn ponged(&self) {
        self.pinged.store(false, Ordering::Relaxed);
        self.ponged.store(self.since_born_ms().saturating_add(1), Ordering::Relaxed);
    }

    pub(super) fn panicked(&self, words: &str, restart_in: Duration) {
        tracing::error!(
            actor.kind = self.kind,
            actor.name = %self.name,
            actor.restarts = self.restarts(),
            restart_in_ms = u64::try_from(restart_in.as_millis()).unwrap_or(u64::MAX),
            error = words,
            "an actor panicked"
        );
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(words.to_owned());
        self.set_state(ActorState::Restarting);
    }

    pub(super) fn restarted(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
        self.pinged.store(false, Ordering::Relaxed);
        self.set_state(ActorState::Running);
    }

    pub(super) fn set_state(&self, state: ActorState) {
        let state = match state {
            ActorState::Running => RUNNING,
            ActorState::Restarting => RESTARTING,
            ActorState::Stopped => STOPPED,
        };
        self.state.store(state, Ordering::Release);
    }

    fn since_born_ms(&self) -> u64 {
        let since_born = self.clock.now().saturating_duration_since(self.born);
        u64::try_from(since_born.as_millis()).unwrap_or(u64::MAX)
    }
}

const RUNNING: u8 = 0;
const RESTARTING: u8 = 1;
const STOPPED: u8 = 2;

/// One message on its way to an actor.
#[derive(Debug)]
pub struct Queued(Arc<Vitals>);

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.depth.fetch_sub(1, Ordering::Relaxed);
    }
}
