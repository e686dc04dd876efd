//! The providers' supervisors: one for each configured provider, on the control thread.
//!
//! A supervisor owns its upstreams' breakers and is the only one that opens and closes them. The lanes tell it what
//! became of calls; they read what it decided from shared gates, so that calls go on while it is down. A restarted
//! supervisor goes on from what its gates say.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use actix::Addr;
use actix_rt::ArbiterHandle;
use serde::Serialize;

use self::supervisor::{Break, Supervisor};
use super::guarded::{self, Vitals};
use super::lane::Lanes;
use super::report::ActorReport;
use crate::clock::Clock;
use crate::config::SharedConfig;
use crate::ids::{ModelId, ProviderName, UpstreamName};
use crate::upstream::breaker::{Gates, Standing, State};
use crate::upstream::client::Tls;

pub(super) use self::supervisor::{Batch, Event};

mod supervisor;

/// Batches that may wait for a supervisor. Lanes keep what does not fit, and try again.
const MAILBOX: usize = 1024;

/// The supervisors of all configured providers.
#[derive(Clone)]
pub struct Providers(Arc<Inner>);

struct Inner {
    config: SharedConfig,
    clock: Clock,
    tls: Tls,
    control: ArbiterHandle,
    supervisions: Mutex<BTreeMap<ProviderName, Arc<Supervision>>>,
    lanes: Mutex<Vec<Weak<Vitals>>>,
    workers: AtomicUsize,
}

/// One supervisor, and what it shares with its lanes. The gates outlive its panics.
pub(super) struct Supervision {
    pub(super) address: Addr<Supervisor>,
    pub(super) vitals: Arc<Vitals>,
    shared: Arc<SharedGates>,
    /// The provider was taken out of the configuration. If it is put back, it gets another.
    is_over: AtomicBool,
}

/// The gates of one provider's upstreams.
pub(super) struct SharedGates {
    epoch: Instant,
    by_upstream: Mutex<BTreeMap<UpstreamName, Arc<Gates>>>,
}

/// One circuit, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BreakerReport {
    /// Whose.
    pub provider: ProviderName,
    /// Which of its upstreams.
    pub upstream: UpstreamName,
    /// Which model in it; none: the upstream as a whole. Models are reported only while they are not simply let through.
    pub model: Option<ModelId>,
    /// What it does with calls.
    pub state: State,
    /// How long it still refuses, in milliseconds.
    pub retry_after_ms: u64,
    /// How often it has opened.
    pub opened: u64,
    /// Calls within the window, as of late.
    pub calls: u32,
    /// Those of them that failed.
    pub failures: u32,
}

impl Providers {
    /// Starts the supervisors on the control thread.
    pub fn start(config: SharedConfig, clock: Clock, tls: Tls, control: &ArbiterHandle) -> Self {
        let providers = Self(Arc::new(Inner {
            config,
            clock,
            tls,
            control: control.clone(),
            supervisions: Mutex::default(),
            lanes: Mutex::default(),
            workers: AtomicUsize::new(0),
        }));
        providers.reconcile();
        providers
    }

    /// Starts supervisors for providers that the configuration has gained, and ends those of providers it has lost.
    pub fn reconcile(&self) {
        let config = self.0.config.load();
        self.supervisions().retain(|name, supervision| {
            let stays = config.providers.contains_key(name);
            supervision.is_over.store(!stays, Ordering::Relaxed);
            stays
        });
        for name in config.providers.keys() {
            self.supervision(name);
        }
    }

    /// The lanes of this thread. Called once on each HTTP worker thread.
    pub fn start_lanes(&self) -> Lanes {
        Lanes::new(self.clone(), self.0.workers.fetch_add(1, Ordering::Relaxed))
    }

    /// Supervisors and lanes.
    pub fn reports(&self) -> Vec<ActorReport> {
        let mut reports: Vec<_> = self.supervisions().values().map(|supervision| supervision.vitals.report()).collect();
        let mut lanes = self.lanes();
        lanes.retain(|lane| lane.strong_count() > 0);
        reports.extend(lanes.iter().filter_map(Weak::upgrade).map(|lane| lane.report()));
        reports
    }

    /// Every upstream's circuit, and those of models that are not simply let through.
    pub fn breakers(&self) -> Vec<BreakerReport> {
        let now = self.0.clock.now();
        let mut reports = Vec::new();
        for (provider, supervision) in &*self.supervisions() {
            for (upstream, gates) in &*supervision.shared.lock() {
                let report = |model, standing: Standing| BreakerReport {
                    provider: provider.clone(),
                    upstream: upstream.clone(),
                    model,
                    state: standing.state,
                    retry_after_ms: u64::try_from(standing.retry_after.as_millis()).unwrap_or(u64::MAX),
                    opened: standing.opened,
                    calls: standing.calls,
                    failures: standing.failures,
                };
                reports.push(report(None, gates.standing(now)));
                let models = gates.models_standing(now);
                reports.extend(models.into_iter().map(|(model, standing)| report(Some(model), standing)));
            }
        }
        reports
    }

    /// Makes a provider's supervisor panic: for tests of what then happens.
    #[doc(hidden)]
    pub fn break_supervisor(&self, provider: &ProviderName) {
        if let Some(supervision) = self.supervision(provider) {
            let _ = supervision.address.try_send(Break);
        }
    }

    /// The supervisor of a configured provider, started if it was not.
    pub(super) fn supervision(&self, provider: &ProviderName) -> Option<Arc<Supervision>> {
        if !self.0.config.load().providers.contains_key(provider) {
            return None;
        }
        let mut supervisions = self.supervisions();
        if let Some(known) = supervisions.get(provider) {
            return Some(Arc::clone(known));
        }
        let started = Arc::new(self.supervise(provider));
        supervisions.insert(provider.clone(), Arc::clone(&started));
        Some(started)
    }

    pub(super) fn config(&self) -> &SharedConfig {
        &self.0.config
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(super) fn tls(&self) -> &Tls {
        &self.0.tls
    }

    pub(super) fn register_lane(&self, vitals: &Arc<Vitals>) {
        self.lanes().push(Arc::downgrade(vitals));
    }

    fn supervise(&self, provider: &ProviderName) -> Supervision {
        let Inner { config, clock, control, .. } = &*self.0;
        let degrades = "a breaker neither opens nor closes; calls go on";
        let vitals = Vitals::new("provider", provider.as_str(), degrades, clock.clone());
        let shared = Arc::new(SharedGates { epoch: clock.now(), by_upstream: Mutex::default() });
        let supervisor = Supervisor::new(provider.clone(), Arc::clone(config), clock.clone(), Arc::clone(&shared));
        let address = guarded::start_in(control, &vitals, MAILBOX, move |_| supervisor);
        Supervision { address, vitals, shared, is_over: AtomicBool::new(false) }
    }

    fn supervisions(&self) -> MutexGuard<'_, BTreeMap<ProviderName, Arc<Supervision>>> {
        self.0.supervisions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lanes(&self) -> MutexGuard<'_, Vec<Weak<Vitals>>> {
        self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Supervision {
    /// Whether the lanes have to ask for another.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    pub(super) fn gates(&self, upstream: &UpstreamName) -> Arc<Gates> {
        self.shared.of(upstream)
    }
}

impl SharedGates {
    /// The gates of an upstream, new ones if nobody asked before.
    fn of(&self, upstream: &UpstreamName) -> Arc<Gates> {
        let mut gates = self.lock();
        Arc::clone(gates.entry(upstream.clone()).or_insert_with(|| Arc::new(Gates::new(self.epoch))))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<UpstreamName, Arc<Gates>>> {
        self.by_upstream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often supervisors look at what time alone changes.
const TICK: Duration = Duration::from_secs(1);
