//! The actor behind [`super::Providers`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, AsyncContext as _, Context, Handler, Message, Supervised};

use super::{SharedGates, TICK};
use crate::actors::guarded::{Ping, Queued};
use crate::clock::Clock;
use crate::config::SharedConfig;
use crate::ids::{ModelId, ProviderName, UpstreamName};
use crate::upstream::breaker::{Breaker, Held};
use crate::upstream::classify::Outcome;

pub(in crate::actors) struct Supervisor {
    provider: ProviderName,
    config: SharedConfig,
    clock: Clock,
    gates: Arc<SharedGates>,
    breakers: HashMap<UpstreamName, Breaker>,
}

/// What became of one lane's calls to one upstream of late.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::actors) struct Batch {
    pub(in crate::actors) upstream: UpstreamName,
    /// Those that succeeded and held no probe, counted. They come first: an event is judged with them in view.
    pub(in crate::actors) successes: HashMap<ModelId, u32>,
    pub(in crate::actors) events: Vec<Event>,
    pub(in crate::actors) queued: Option<Queued>,
}

/// What became of one call.
pub(in crate::actors) struct Event {
    pub(in crate::actors) model: ModelId,
    pub(in crate::actors) outcome: Outcome,
    pub(in crate::actors) held: Held,
}

/// A panic, on purpose.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Break;

impl Supervisor {
    pub(super) fn new(provider: ProviderName, config: SharedConfig, clock: Clock, gates: Arc<SharedGates>) -> Self {
        Self { provider, config, clock, gates, breakers: HashMap::new() }
    }

    fn breaker(&mut self, upstream: &UpstreamName, now: Instant) -> &mut Breaker {
        let gates = &self.gates;
        self.breakers.entry(upstream.clone()).or_insert_with(|| Breaker::adopt(gates.of(upstream), now))
    }

    fn tick(&mut self) {
        let now = self.clock.now();
        let config = self.config.load();
        for breaker in self.breakers.values_mut() {
            breaker.tick(&config.breaker, now);
        }
    }

    fn record(&mut self, upstream: &UpstreamName, event: &Event) {
        let now = self.clock.now();
        let config = self.config.load_full();
        let breaker = self.breaker(upstream, now);
        let before = (breaker.is_open(), breaker.is_model_open(&event.model));
        breaker.record(&config.breaker, &event.model, &event.outcome, event.held, now);
        let after = (breaker.is_open(), breaker.is_model_open(&event.model));
        if before.0 != after.0 {
            self.log(upstream, None, after.0, &event.outcome);
        }
        if before.1 != after.1 {
            self.log(upstream, Some(&event.model), after.1, &event.outcome);
        }
    }

    fn log(&self, upstream: &UpstreamName, model: Option<&ModelId>, is_open: bool, because: &Outcome) {
        let (provider, model) = (self.provider.as_str(), model.map_or("", ModelId::as_str));
        if is_open {
            tracing::warn!(provider.name = provider, upstream.name = %upstream, model, ?because, "a breaker opened");
        } else {
            tracing::info!(provider.name = provider, upstream.name = %upstream, model, ?because, "a breaker closed");
        }
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Those that were watched before a panic are watched again.
        let (now, gates) = (self.clock.now(), Arc::clone(&self.gates));
        let known: Vec<UpstreamName> = gates.lock().keys().cloned().collect();
        for upstream in known {
            self.breaker(&upstream, now);
        }
        ctx.run_interval(TICK, |supervisor, _| supervisor.tick());
    }
}

impl Supervised for Supervisor {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.breakers.clear();
    }
}

impl Handler<Batch> for Supervisor {
    type Result = ();

    fn handle(&mut self, batch: Batch, _: &mut Self::Context) {
        let Batch { upstream, successes, events, queued } = batch;
        let now = self.clock.now();
        let config = self.config.load_full();
        for (model, calls) in successes {
            self.breaker(&upstream, now).succeeded(&config.breaker, &model, calls, now);
        }
        for event in &events {
            self.record(&upstream, event);
        }
        drop(queued);
    }
}

impl Handler<Ping> for Supervisor {
    type Result = ();

    fn handle(&mut self, ping: Ping, _: &mut Self::Context) {
        ping.answer();
    }
}

impl Handler<Break> for Supervisor {
    type Result = ();

    #[expect(clippy::panic, reason = "that is what was asked for")]
    fn handle(&mut self, _: Break, _: &mut Self::Context) {
        panic!("a test broke this supervisor");
    }
}
