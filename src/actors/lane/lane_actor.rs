//! The actor behind [`super::Lanes`].

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, AsyncContext as _, Context, Handler, Message, Supervised};
use send_wrapper::SendWrapper;

use super::lease::Lease;
use super::outbox::Outbox;
use super::{Refused, UNKNOWN};
use crate::actors::guarded::{Ping, Queued};
use crate::actors::provider::{Providers, Supervision};
use crate::config::Config;
use crate::config::providers::Upstream as Settings;
use crate::ids::{ModelId, ProviderName, UpstreamName};
use crate::upstream::breaker::Gates;
use crate::upstream::client::{Client, KEEP_ALIVE};
use crate::upstream::endpoint::Endpoint;

/// How often counted successes are sent on.
const FLUSH_EVERY: Duration = Duration::from_millis(50);

/// How often connections of upstreams that are not called are looked at.
const REAP_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Lane {
    provider: ProviderName,
    providers: Providers,
    supervision: Arc<Supervision>,
    outbox: Rc<Outbox>,
    /// The configuration that `upstreams` was made from.
    made_from: Option<Arc<Config>>,
    upstreams: Vec<Rc<Upstream>>,
}

/// One upstream, as this thread reaches it.
pub(super) struct Upstream {
    pub(super) name: UpstreamName,
    pub(super) endpoint: Endpoint,
    pub(super) settings: Settings,
    pub(super) gates: Arc<Gates>,
    client: RefCell<Client>,
    /// None since its connections were last dropped.
    leased_at: Cell<Option<Instant>>,
}

#[derive(Message)]
#[rtype(result = "Result<SendWrapper<Lease>, Refused>")]
pub(super) struct Acquire {
    pub(super) model: ModelId,
    pub(super) queued: Queued,
}

/// A panic, on purpose.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Break;

impl Lane {
    pub(super) fn new(
        provider: ProviderName,
        providers: Providers,
        supervision: Arc<Supervision>,
        outbox: Rc<Outbox>,
    ) -> Self {
        Self { provider, providers, supervision, outbox, made_from: None, upstreams: Vec::new() }
    }

    fn acquire(&mut self, model: &ModelId) -> Result<Lease, Refused> {
        let config = self.providers.config().load();
        if !self.made_from.as_ref().is_some_and(|known| Arc::ptr_eq(known, &config)) {
            self.rebuild(&config);
        }
        let now = self.providers.clock().now();
        let mut soonest: Option<Refused> = None;
        for upstream in &self.upstreams {
            match upstream.gates.admit(model, now, config.breaker.probe_deadline) {
                Ok(permit) => {
                    upstream.leased_at.set(Some(now));
                    let client = upstream.client.borrow().clone();
                    let (upstream, outbox) = (Rc::clone(upstream), Rc::clone(&self.outbox));
                    return Ok(Lease::new(upstream, client, Arc::clone(&config), outbox, model.clone(), permit));
                }
                Err(shut) => {
                    let refused = Refused::from(shut);
                    soonest = Some(match soonest {
                        Some(known) if known.retry_after <= refused.retry_after => known,
                        Some(_) | None => refused,
                    });
                }
            }
        }
        Err(soonest.unwrap_or(UNKNOWN))
    }

    /// Takes in a changed configuration. Connections to places that stayed the same are kept.
    fn rebuild(&mut self, config: &Arc<Config>) {
        let before = std::mem::take(&mut self.upstreams);
        if let Some(provider) = config.providers.get(&self.provider) {
            for (name, settings) in &provider.upstreams {
                match Endpoint::new(provider.kind, settings) {
                    Ok(Some(endpoint)) => {
                        self.upstreams.push(Rc::new(self.upstream(name, endpoint, settings, &before)))
                    }
                    // Without a key it takes no calls.
                    Ok(None) => {}
                    Err(error) => tracing::error!(
                        provider.name = %self.provider,
                        upstream.name = %name,
                        error,
                        "an upstream cannot be used with these settings"
                    ),
                }
            }
        }
        self.made_from = Some(Arc::clone(config));
    }

    fn upstream(
        &self,
        name: &UpstreamName,
        endpoint: Endpoint,
        settings: &Settings,
        before: &[Rc<Upstream>],
    ) -> Upstream {
        let same = before.iter().find(|known| known.client.borrow().origin() == endpoint.origin());
        let client = match same {
            Some(known) => known.client.borrow().clone(),
            None => Client::new(endpoint.origin().clone(), self.providers.tls().clone()),
        };
        Upstream {
            name: name.clone(),
            gates: self.supervision.gates(name),
            leased_at: Cell::new(same.and_then(|known| known.leased_at.get())),
            client: RefCell::new(client),
            settings: settings.clone(),
            endpoint,
        }
    }

    /// Drops the connections of upstreams that were not called for so long that none of them may be used again. The
    /// library itself looks at them only at the next call, which may never come.
    fn reap(&mut self) {
        let now = self.providers.clock().now();
        for upstream in &self.upstreams {
            let is_idle = |at: Instant| now.saturating_duration_since(at) >= KEEP_ALIVE;
            if upstream.leased_at.get().is_some_and(is_idle) {
                upstream.leased_at.set(None);
                let client = Client::new(upstream.endpoint.origin().clone(), self.providers.tls().clone());
                upstream.client.replace(client);
            }
        }
    }
}

impl Actor for Lane {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(FLUSH_EVERY, |lane, _| lane.outbox.flush());
        ctx.run_interval(REAP_EVERY, |lane, _| lane.reap());
    }
}

impl Supervised for Lane {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.made_from = None;
        self.upstreams.clear();
    }
}

impl Handler<Acquire> for Lane {
    type Result = Result<SendWrapper<Lease>, Refused>;

    fn handle(&mut self, acquire: Acquire, _: &mut Self::Context) -> Self::Result {
        let Acquire { model, queued } = acquire;
        let lease = self.acquire(&model).map(SendWrapper::new);
        drop(queued);
        lease
    }
}

impl Handler<Ping> for Lane {
    type Result = ();

    fn handle(&mut self, ping: Ping, _: &mut Self::Context) {
        ping.answer();
    }
}

impl Handler<Break> for Lane {
    type Result = ();

    #[expect(clippy::panic, reason = "that is what was asked for")]
    fn handle(&mut self, _: Break, _: &mut Self::Context) {
        panic!("a test broke this lane");
    }
}
