//! What a lane has to tell its provider's supervisor, until it is told.
//!
//! Successes are only counted, and sent a few times a second; what may change a breaker is sent at once, together with
//! the successes before it, so that it is judged with them in view.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use actix::dev::SendError;

use crate::actors::provider::{Batch, Event, Supervision};
use crate::ids::{ModelId, UpstreamName};
use crate::upstream::breaker::Held;
use crate::upstream::classify::Outcome;

/// The most events kept for a supervisor that takes none.
const EVENTS_MAX: usize = 1024;

/// The most models counted between two sendings; callers can invent names.
const MODELS_MAX: usize = 1024;

pub(super) struct Outbox {
    supervision: Arc<Supervision>,
    pending: RefCell<HashMap<UpstreamName, Pending>>,
}

#[derive(Default)]
struct Pending {
    successes: HashMap<ModelId, u32>,
    events: Vec<Event>,
}

impl Outbox {
    pub(super) fn new(supervision: Arc<Supervision>) -> Self {
        Self { supervision, pending: RefCell::default() }
    }

    /// Takes in what became of a call.
    pub(super) fn report(&self, upstream: &UpstreamName, model: &ModelId, outcome: Outcome, held: Held) {
        let is_quiet = held.is_empty();
        match outcome {
            Outcome::Abandoned if is_quiet => {}
            Outcome::Success if is_quiet => self.with(upstream, |pending| pending.succeeded(model)),
            Outcome::Success | Outcome::Failure(_) | Outcome::CoolDown(_) | Outcome::Abandoned => {
                self.with(upstream, |pending| pending.events.push(Event { model: model.clone(), outcome, held }));
                self.flush();
            }
        }
    }

    /// Sends what there is. What the supervisor does not take now is kept.
    pub(super) fn flush(&self) {
        for (upstream, pending) in &mut *self.pending.borrow_mut() {
            if pending.successes.is_empty() && pending.events.is_empty() {
                continue;
            }
            let Pending { successes, events } = std::mem::take(pending);
            let queued = Some(self.supervision.vitals.queued());
            let batch = Batch { upstream: upstream.clone(), successes, events, queued };
            if let Err(SendError::Full(back) | SendError::Closed(back)) = self.supervision.address.try_send(batch) {
                pending.successes = back.successes;
                pending.events = back.events;
                let surplus = pending.events.len().saturating_sub(EVENTS_MAX);
                pending.events.drain(..surplus);
            }
        }
    }

    fn with(&self, upstream: &UpstreamName, change: impl FnOnce(&mut Pending)) {
        let mut pending = self.pending.borrow_mut();
        match pending.get_mut(upstream) {
            Some(known) => change(known),
            None => change(pending.entry(upstream.clone()).or_default()),
        }
    }
}

impl Pending {
    fn succeeded(&mut self, model: &ModelId) {
        if let Some(calls) = self.successes.get_mut(model) {
            *calls = calls.saturating_add(1);
        } else if self.successes.len() < MODELS_MAX {
            self.successes.insert(model.clone(), 1);
        }
    }
}
