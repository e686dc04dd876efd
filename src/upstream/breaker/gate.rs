//! What the hot path reads of a breaker: atomics that any thread may pass or find shut.
//!
//! The breaker's owner is the only one that opens and closes. Passing threads change one thing: the one that is first
//! through an open gate whose time is up takes the place of its probe, and it may give that place back.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};

use crate::ids::ModelId;

/// The gates of one upstream: its own, and those of the models in it that are not free for all.
#[derive(Debug)]
pub struct Gates {
    epoch: Instant,
    upstream: Arc<Gate>,
    models: ArcSwap<HashMap<ModelId, Arc<Gate>>>,
}

/// One circuit's gate. Its word is a time in milliseconds and, in the lowest two bits, what that time means.
#[derive(Debug, Default)]
pub(super) struct Gate {
    word: AtomicU64,
    opened: AtomicU64,
    calls: AtomicU32,
    failures: AtomicU32,
}

/// Free for all.
const CLOSED: u64 = 0;
/// Shut until the time; then one probe may pass.
const OPEN: u64 = 1;
/// A probe is out; if it is not back at the time, another may pass.
const PROBING: u64 = 2;
/// Shut until the time; then free for all.
const COOLING: u64 = 3;
const KIND: u64 = 3;

/// The place of a probe, by the gate's word that it was given with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe(u64);

/// Leave to make one call.
#[derive(Debug)]
#[must_use = "a permit that holds a probe must be reported or given back"]
pub struct Permit(Held);

/// The probes' places that a call holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub(super) upstream: Option<Probe>,
    pub(super) model: Option<Probe>,
}

/// Why a call may not be made, and when it may be asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shut {
    /// Not before.
    pub retry_after: Duration,
    /// Why.
    pub reason: ShutReason,
}

/// Why a call may not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutReason {
    /// The upstream, or the model in it, failed too often.
    Open,
    /// The provider asked for patience with this model.
    CoolingDown,
}

/// A circuit as operators see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What it does with calls.
    pub state: State,
    /// How long it still refuses; zero when it does not.
    pub retry_after: Duration,
    /// How often it has opened since the start.
    pub opened: u64,
    /// Calls within the window, as of late.
    pub calls: u32,
    /// Those of them that failed.
    pub failures: u32,
}

/// What a circuit does with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Lets them through.
    Closed,
    /// Refuses them.
    Open,
    /// Lets single probes through.
    HalfOpen,
    /// Refuses them because the provider asked for it.
    CoolingDown,
}

impl Held {
    /// Whether there is anything to give back.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

impl Permit {
    /// What was taken to get it.
    pub fn held(&self) -> Held {
        self.0
    }
}

impl Gates {
    /// Gates that are free for all. Times are counted from `epoch`.
    pub fn new(epoch: Instant) -> Self {
        Self { epoch, upstream: Arc::default(), models: ArcSwap::default() }
    }

    /// Leave to call the model now, or when to ask again.
    ///
    /// # Errors
    /// [`Shut`] if the upstream or the model may not be called.
    pub fn admit(&self, model: &ModelId, now: Instant, probe_deadline: Duration) -> Result<Permit, Shut> {
        let now = self.since_epoch(now);
        let models = self.models.load();
        let gate = if models.is_empty() { None } else { models.get(model) };
        // Looked at before the upstream's probe is taken, so that a shut model hardly ever costs one.
        if let Some(shut) = gate.and_then(|gate| gate.shut(now)) {
            return Err(shut);
        }
        let upstream = self.upstream.pass(now, probe_deadline)?;
        match gate.map(|gate| gate.pass(now, probe_deadline)).transpose() {
            Ok(model) => Ok(Permit(Held { upstream, model: model.flatten() })),
            Err(shut) => {
                self.give_back(model, Held { upstream, model: None });
                Err(shut)
            }
        }
    }

    /// Frees probes' places for the next: the call was not made, or nobody learnt what became of it.
    pub fn give_back(&self, model: &ModelId, held: Held) {
        if let Some(probe) = held.upstream {
            self.upstream.give_back(probe);
        }
        if let Some(probe) = held.model
            && let Some(gate) = self.models.load().get(model)
        {
            gate.give_back(probe);
        }
    }

    /// The upstream's circuit as a whole.
    pub fn standing(&self, now: Instant) -> Standing {
        self.upstream.standing(self.since_epoch(now))
    }

    /// The circuits of models that are not free for all.
    pub fn models_standing(&self, now: Instant) -> Vec<(ModelId, Standing)> {
        let now = self.since_epoch(now);
        self.models.load().iter().map(|(id, gate)| (id.clone(), gate.standing(now))).collect()
    }

    pub(super) fn since_epoch(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.epoch)
    }

    pub(super) fn upstream(&self) -> &Arc<Gate> {
        &self.upstream
    }

    pub(super) fn models(&self) -> Guard<Arc<HashMap<ModelId, Arc<Gate>>>> {
        self.models.load()
    }

    pub(super) fn set_models(&self, shut: HashMap<ModelId, Arc<Gate>>) {
        let current = self.models.load();
        let is_same = current.len() == shut.len()
            && shut.iter().all(|(id, gate)| current.get(id).is_some_and(|known| Arc::ptr_eq(known, gate)));
        if !is_same {
            self.models.store(Arc::new(shut));
        }
    }
}

impl Gate {
    /// Why nobody may pass now.
    fn shut(&self, now: Duration) -> Option<Shut> {
        shut(self.word.load(Ordering::Acquire), now)
    }

    /// Passes; with a probe's place if only probes may.
    fn pass(&self, now: Duration, probe_deadline: Duration) -> Result<Option<Probe>, Shut> {
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            if let Some(shut) = shut(word, now) {
                return Err(shut);
            }
            if matches!(word & KIND, CLOSED | COOLING) {
                return Ok(None);
            }
            // Past the lost probe's time, so that the two do not hold the same word.
            let deadline = ms(now + probe_deadline).max((word >> 2) + 1);
            let probe = (deadline << 2) | PROBING;
            match self.word.compare_exchange_weak(word, probe, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(Some(Probe(probe))),
                Err(changed) => word = changed,
            }
        }
    }

    fn give_back(&self, probe: Probe) {
        let _ = self.word.compare_exchange(probe.0, OPEN, Ordering::AcqRel, Ordering::Acquire);
    }

    pub(super) fn is_out(&self, probe: Probe) -> bool {
        self.word.load(Ordering::Acquire) == probe.0
    }

    pub(super) fn open_until(&self, until: Duration) {
        self.word.store((ms(until) << 2) | OPEN, Ordering::Release);
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn cool_until(&self, until: Duration) {
        self.word.store((ms(until) << 2) | COOLING, Ordering::Release);
    }

    pub(super) fn close(&self) {
        self.word.store(CLOSED, Ordering::Release);
    }

    pub(super) fn set_totals(&self, calls: u32, failures: u32) {
        self.calls.store(calls, Ordering::Relaxed);
        self.failures.store(failures, Ordering::Relaxed);
    }

    pub(super) fn is_free_for_all(&self, now: Duration) -> bool {
        self.standing(now).state == State::Closed
    }

    pub(super) fn standing(&self, now: Duration) -> Standing {
        let word = self.word.load(Ordering::Acquire);
        let shut = shut(word, now);
        let state = match (word & KIND, shut) {
            (OPEN, Some(_)) => State::Open,
            (OPEN, None) | (PROBING, _) => State::HalfOpen,
            (COOLING, Some(_)) => State::CoolingDown,
            _ => State::Closed,
        };
        Standing {
            state,
            retry_after: shut.map_or(Duration::ZERO, |shut| shut.retry_after),
            opened: self.opened.load(Ordering::Relaxed),
            calls: self.calls.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
        }
    }
}

fn shut(word: u64, now: Duration) -> Option<Shut> {
    let left = (word >> 2).checked_sub(ms(now)).filter(|left| *left > 0).map(Duration::from_millis)?;
    match word & KIND {
        OPEN => Some(Shut { retry_after: left, reason: ShutReason::Open }),
        // The probe may be back any moment; its deadline says nothing about when.
        PROBING => Some(Shut { retry_after: left.min(super::RETRY_AFTER_MIN), reason: ShutReason::Open }),
        COOLING => Some(Shut { retry_after: left, reason: ShutReason::CoolingDown }),
        _ => None,
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX) & (u64::MAX >> 2)
}
