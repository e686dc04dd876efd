//! The one source of time.
//!
//! Everything that measures or dates asks a [`Clock`], so that a test can move time by hand instead of waiting for it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// A source of monotonic and calendar time. Clones share their source.
#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    /// The machine's own, beside a calendar that can be set.
    Set(Arc<AtomicI64>),
    Manual(Arc<Manual>),
}

#[derive(Debug)]
struct Manual {
    started: Instant,
    started_wall: SystemTime,
    moved: Mutex<Duration>,
}

impl Clock {
    /// The machine's own time.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// The machine's own time, but for the calendar, which is so many seconds ahead (or behind) until [`Clock::set_ahead`] sets it.
    pub fn ahead_by(seconds: i64) -> Self {
        Self(Source::Set(Arc::new(AtomicI64::new(seconds))))
    }

    /// Sets the calendar of such a clock, as who corrects a machine's time does: nothing else moves.
    pub fn set_ahead(&self, seconds: i64) {
        if let Source::Set(ahead) = &self.0 {
            ahead.store(seconds, Ordering::Relaxed);
        }
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    pub fn manual(wall: SystemTime) -> Self {
        Self(Source::Manual(Arc::new(Manual {
            started: Instant::now(),
            started_wall: wall,
            moved: Mutex::new(Duration::ZERO),
        })))
    }

    /// Monotonic time: for durations and deadlines.
    pub fn now(&self) -> Instant {
        match &self.0 {
            Source::System | Source::Set(_) => Instant::now(),
            Source::Manual(manual) => manual.started + manual.moved(),
        }
    }

    /// Calendar time: for expiry dates and events.
    pub fn wall(&self) -> SystemTime {
        match &self.0 {
            Source::System => SystemTime::now(),
            Source::Set(ahead) => shifted(SystemTime::now(), ahead.load(Ordering::Relaxed)),
            Source::Manual(manual) => manual.started_wall + manual.moved(),
        }
    }

    /// Moves a manual clock on. The system's clock is left as it is.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(manual) = &self.0 {
            *manual.moved.lock().unwrap_or_else(PoisonError::into_inner) += by;
        }
    }
}

fn shifted(time: SystemTime, seconds: i64) -> SystemTime {
    let by = Duration::from_secs(seconds.unsigned_abs());
    let shifted = if seconds < 0 { time.checked_sub(by) } else { time.checked_add(by) };
    shifted.unwrap_or(time)
}

impl Manual {
    fn moved(&self) -> Duration {
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
