//! Decides whether an upstream may be called: one circuit for the upstream as a whole, and one for each model in it.
//!
//! A plain state machine: time is an argument, the settings are too. [`Breaker`] has one owner, who tells it what
//! became of each call; what it decides it publishes in its [`Gates`], which any thread reads without asking.
//!
//! - A circuit opens when at least `failure_rate` of at least `minimum_calls` calls failed within `window`. Failures to
//!   connect belong to the upstream alone, and so many in a row open it at once.
//! - A failure that only one model shows is that model's: the upstream opens by its rate only if the rest of the calls,
//!   the worst model's left out, failed too.
//! - An open circuit waits `open_for`, then lets one probe through at a time. A probe that fails doubles the wait, up to
//!   `open_for_max`; one that succeeds closes the circuit; one that is lost holds up the next for `probe_deadline` only.
//! - A 429 is no failure: the model cools down for as long as the provider says.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::gate::Gate;
pub use self::gate::{Gates, Held, Permit, Shut, ShutReason, Standing, State};
use self::window::Window;
use super::classify::{FailureKind, Outcome};
use crate::config::breaker::Breaker as Settings;
use crate::ids::ModelId;

mod gate;
mod window;

/// How many models of one upstream are watched. Callers can invent names, so there has to be an end to it.
pub const MODELS_MAX: usize = 256;

/// The circuits of one upstream.
#[derive(Debug)]
pub struct Breaker {
    gates: Arc<Gates>,
    upstream: Circuit,
    models: HashMap<ModelId, Circuit>,
    connect_failures: u32,
}

/// One circuit. It is open exactly when its gate is not free for all.
#[derive(Debug)]
struct Circuit {
    gate: Arc<Gate>,
    window: Window,
    is_open: bool,
    /// How often it opened without having held in between.
    trips: u32,
    closed_at: Option<Instant>,
    cool_until: Option<Instant>,
    used: Instant,
}

impl Breaker {
    /// Takes over what the gates say, be they new or left by an owner that panicked.
    pub fn adopt(gates: Arc<Gates>, now: Instant) -> Self {
        let upstream = Circuit::adopt(gates.upstream(), &gates, now);
        let models = gates.models();
        let models = models.iter().map(|(id, gate)| (id.clone(), Circuit::adopt(gate, &gates, now))).collect();
        Self { upstream, models, connect_failures: 0, gates }
    }

    /// What this breaker has decided.
    pub fn gates(&self) -> &Arc<Gates> {
        &self.gates
    }

    /// Whether the upstream as a whole may not be called, but for probes.
    pub fn is_open(&self) -> bool {
        self.upstream.is_open
    }

    /// The same for a model in it.
    pub fn is_model_open(&self, model: &ModelId) -> bool {
        self.models.get(model).is_some_and(|circuit| circuit.is_open)
    }

    /// Counts calls of a model that succeeded and held no probe.
    pub fn succeeded(&mut self, settings: &Settings, model: &ModelId, calls: u32, now: Instant) {
        self.connect_failures = 0;
        self.upstream.count(&self.gates, settings, now, calls, 0);
        let gates = Arc::clone(&self.gates);
        self.model(model, now).count(&gates, settings, now, calls, 0);
    }

    /// Takes in what became of one call.
    pub fn record(&mut self, settings: &Settings, model: &ModelId, outcome: &Outcome, held: Held, now: Instant) {
        match outcome {
            // The gates were told by the one who abandoned it; a call that nobody waited for says nothing.
            Outcome::Abandoned => self.gates.give_back(model, held),
            Outcome::Success => self.answered(settings, model, held, now),
            Outcome::CoolDown(asked) => {
                self.answered(settings, model, held, now);
                let until = now + (*asked).min(settings.cool_down_max);
                let circuit = self.model(model, now);
                circuit.cool_until = Some(until.max(circuit.cool_until.unwrap_or(until)));
            }
            Outcome::Failure(FailureKind::Connect) => self.unreachable(settings, model, held, now),
            Outcome::Failure(FailureKind::Timeout | FailureKind::Status | FailureKind::Cut | FailureKind::Nonsense) => {
                self.failed(settings, model, held, now);
            }
        }
        self.publish(settings, now);
    }

    /// What time alone changes: cool-downs end, and models that nobody calls any more are forgotten.
    pub fn tick(&mut self, settings: &Settings, now: Instant) {
        let keep_closed = settings.window;
        // A model that nobody probes is not kept from being tried for ever.
        let keep_open = settings.open_for_max.saturating_mul(4);
        self.models.retain(|_, circuit| {
            let unused = now.saturating_duration_since(circuit.used);
            let is_cooling = circuit.cool_until.is_some_and(|until| until > now);
            is_cooling || unused < if circuit.is_open { keep_open } else { keep_closed }
        });
        self.publish(settings, now);
    }

    fn answered(&mut self, settings: &Settings, model: &ModelId, held: Held, now: Instant) {
        self.succeeded(settings, model, 1, now);
        if held.upstream.is_some() {
            self.upstream.close(now);
        }
        if held.model.is_some() {
            self.model(model, now).close(now);
        }
    }

    fn failed(&mut self, settings: &Settings, model: &ModelId, held: Held, now: Instant) {
        self.connect_failures = 0;
        let gates = Arc::clone(&self.gates);
        self.upstream.count(&gates, settings, now, 0, 1);
        let circuit = self.model(model, now);
        circuit.count(&gates, settings, now, 0, 1);
        if circuit.is_open {
            circuit.probe_failed(&gates, settings, held.model, now);
        } else if settings.is_tripped_by(circuit.window.totals(gates.since_epoch(now), settings.window)) {
            circuit.trip(&gates, settings, now);
        }
        self.judge_upstream(settings, held, now);
        if let Some(circuit) = self.models.get_mut(model).filter(|circuit| circuit.is_open) {
            // What opened this model's circuit is not held against the upstream a second time.
            self.upstream.window.subtract(&circuit.window);
            circuit.window.clear();
        }
    }

    fn unreachable(&mut self, settings: &Settings, model: &ModelId, held: Held, now: Instant) {
        self.connect_failures = self.connect_failures.saturating_add(1);
        let gates = Arc::clone(&self.gates);
        self.upstream.count(&gates, settings, now, 0, 1);
        // The model was never asked, so its probe proved nothing.
        gates.give_back(model, Held { upstream: None, model: held.model });
        self.judge_upstream(settings, held, now);
    }

    fn judge_upstream(&mut self, settings: &Settings, held: Held, now: Instant) {
        let gates = Arc::clone(&self.gates);
        if self.upstream.is_open {
            self.upstream.probe_failed(&gates, settings, held.upstream, now);
        } else if self.connect_failures >= settings.connect_failures || self.is_bad_beyond_one_model(settings, now) {
            self.upstream.trip(&gates, settings, now);
            self.upstream.window.clear();
            self.connect_failures = 0;
        }
    }

    /// Whether the upstream's calls failed, and still did with the worst model's left out.
    fn is_bad_beyond_one_model(&self, settings: &Settings, now: Instant) -> bool {
        let at = self.gates.since_epoch(now);
        let all = self.upstream.window.totals(at, settings.window);
        if !settings.is_tripped_by(all) {
            return false;
        }
        let models = self.models.values().map(|circuit| circuit.window.totals(at, settings.window));
        let worst = models.max_by_key(|totals| totals.failures).unwrap_or_default();
        let rest = all.without(worst);
        rest.calls() > 0 && settings.is_rate_reached(rest)
    }

    fn model(&mut self, model: &ModelId, now: Instant) -> &mut Circuit {
        if !self.models.contains_key(model) && self.models.len() >= MODELS_MAX {
            self.forget_one();
        }
        let circuit = self.models.entry(model.clone()).or_insert_with(|| Circuit::new(Arc::default(), now));
        circuit.used = now;
        circuit
    }

    /// Makes room: an idle closed circuit goes before one that says something.
    fn forget_one(&mut self) {
        let least = self
            .models
            .iter()
            .min_by_key(|(_, circuit)| (circuit.is_open || circuit.cool_until.is_some(), circuit.used));
        if let Some(id) = least.map(|(id, _)| id.clone()) {
            self.models.remove(&id);
        }
    }

    /// Brings the gates in line with the circuits.
    fn publish(&mut self, settings: &Settings, now: Instant) {
        let at = self.gates.since_epoch(now);
        self.upstream.publish(&self.gates, settings, now);
        let mut shut = HashMap::new();
        for (id, circuit) in &mut self.models {
            circuit.publish(&self.gates, settings, now);
            if !circuit.gate.is_free_for_all(at) {
                shut.insert(id.clone(), Arc::clone(&circuit.gate));
            }
        }
        self.gates.set_models(shut);
    }
}

impl Circuit {
    fn new(gate: Arc<Gate>, now: Instant) -> Self {
        Self { gate, window: Window::default(), is_open: false, trips: 0, closed_at: None, cool_until: None, used: now }
    }

    fn adopt(gate: &Arc<Gate>, gates: &Gates, now: Instant) -> Self {
        let mut circuit = Self::new(Arc::clone(gate), now);
        match gate.standing(gates.since_epoch(now)).state {
            State::Closed => {}
            State::Open | State::HalfOpen => {
                circuit.is_open = true;
                circuit.trips = 1;
            }
            State::CoolingDown => {
                circuit.cool_until = Some(now + gate.standing(gates.since_epoch(now)).retry_after);
            }
        }
        circuit
    }

    fn count(&mut self, gates: &Gates, settings: &Settings, now: Instant, successes: u32, failures: u32) {
        self.window.add(gates.since_epoch(now), settings.window, successes, failures);
        self.used = now;
    }

    fn trip(&mut self, gates: &Gates, settings: &Settings, now: Instant) {
        let has_held = self.closed_at.is_none_or(|at| now.saturating_duration_since(at) >= settings.window);
        self.trips = if has_held && !self.is_open { 1 } else { self.trips.saturating_add(1) };
        let doublings = self.trips.saturating_sub(1);
        let wait = settings.open_for.saturating_mul(2_u32.saturating_pow(doublings)).min(settings.open_for_max);
        self.is_open = true;
        self.gate.open_until(gates.since_epoch(now) + wait);
    }

    /// Only the probe that is out now decides: one that was given up for lost has been followed by another.
    fn probe_failed(&mut self, gates: &Gates, settings: &Settings, probe: Option<gate::Probe>, now: Instant) {
        if probe.is_some_and(|probe| self.gate.is_out(probe)) {
            self.trip(gates, settings, now);
        }
    }

    fn close(&mut self, now: Instant) {
        if self.is_open {
            self.is_open = false;
            self.closed_at = Some(now);
            self.gate.close();
            self.window.clear();
        }
    }

    fn publish(&mut self, gates: &Gates, settings: &Settings, now: Instant) {
        self.cool_until = self.cool_until.filter(|until| *until > now);
        if !self.is_open {
            match self.cool_until {
                Some(until) => self.gate.cool_until(gates.since_epoch(until)),
                None => self.gate.close(),
            }
        }
        let totals = self.window.totals(gates.since_epoch(now), settings.window);
        self.gate.set_totals(totals.calls(), totals.failures);
    }
}

impl Settings {
    fn is_tripped_by(&self, totals: window::Totals) -> bool {
        totals.calls() >= self.minimum_calls.max(1) && self.is_rate_reached(totals)
    }

    fn is_rate_reached(&self, totals: window::Totals) -> bool {
        f64::from(totals.failures) >= self.failure_rate * f64::from(totals.calls())
    }
}

/// What a caller is told at least to wait, so that `retry-after` never says 0.
pub(crate) const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
