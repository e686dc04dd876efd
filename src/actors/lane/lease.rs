//! Leave to make one call, with all that is needed for it.

use std::rc::Rc;
use std::sync::Arc;

use super::lane_actor::Upstream;
use super::outbox::Outbox;
use crate::config::Config;
use crate::config::providers::{Kind, Upstream as Settings};
use crate::ids::{ModelId, UpstreamName};
use crate::upstream::breaker::{Held, Permit};
use crate::upstream::classify::Outcome;
use crate::upstream::client::{CallError, Client, UpstreamBody, UpstreamHead, UpstreamRequest};

/// One call's place at an upstream. Whatever happens to it, its breaker learns what became of the call: by
/// [`Lease::report`], or, if it is dropped, that nobody waited.
pub struct Lease {
    upstream: Rc<Upstream>,
    client: Client,
    config: Arc<Config>,
    outcome: OutcomeGuard,
}

struct OutcomeGuard {
    upstream: Rc<Upstream>,
    outbox: Rc<Outbox>,
    model: ModelId,
    held: Held,
    is_reported: bool,
}

impl Lease {
    pub(super) fn new(
        upstream: Rc<Upstream>,
        client: Client,
        config: Arc<Config>,
        outbox: Rc<Outbox>,
        model: ModelId,
        permit: Permit,
    ) -> Self {
        let held = permit.held();
        let outcome = OutcomeGuard { upstream: Rc::clone(&upstream), outbox, model, held, is_reported: false };
        Self { upstream, client, config, outcome }
    }

    /// Which of the provider's upstreams it is for.
    pub fn upstream(&self) -> &UpstreamName {
        &self.upstream.name
    }

    /// Which vendor's API is spoken there.
    pub fn kind(&self) -> Kind {
        self.upstream.endpoint.kind()
    }

    /// That upstream's settings.
    pub fn settings(&self) -> &Settings {
        &self.upstream.settings
    }

    /// Makes the call, once more on a fresh connection if a kept one was found closed.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call(&mut self, request: UpstreamRequest) -> Result<(UpstreamHead, UpstreamBody), CallError> {
        let called = self.client.call(&self.upstream.endpoint, &self.config.timeouts, request).await;
        if let Ok((head, _)) = &called
            && matches!(head.status, 200..=428 | 430..=499)
        {
            self.outcome.probe_succeeded();
        }
        called
    }

    /// Says what became of the call.
    pub fn report(mut self, outcome: Outcome) {
        self.outcome.settle(outcome);
    }
}

impl OutcomeGuard {
    /// A probe asks whether the upstream answers, and a head is an answer: others need not wait until a long stream has
    /// ended. How it ends is counted then, as for any other call.
    fn probe_succeeded(&mut self) {
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            self.outbox.report(&self.upstream.name, &self.model, Outcome::Success, held);
        }
    }

    fn settle(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.is_reported, true) {
            return;
        }
        let held = std::mem::take(&mut self.held);
        if outcome == Outcome::Abandoned {
            self.upstream.gates.give_back(&self.model, held);
        } else {
            self.outbox.report(&self.upstream.name, &self.model, outcome, held);
        }
    }
}

impl Drop for OutcomeGuard {
    fn drop(&mut self) {
        self.settle(Outcome::Abandoned);
    }
}
