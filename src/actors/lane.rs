//! A provider's lanes: one actor for each provider on each HTTP worker thread, which holds that thread's connections.
//!
//! A call takes a [`Lease`] from the lane of its own thread, and then drives the call itself: the body never crosses a
//! thread, and dropping the call closes its connection at once. A lane never waits for an upstream.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use send_wrapper::SendWrapper;

use self::lane_actor::{Acquire, Break, Lane};
pub use self::lease::Lease;
use self::outbox::Outbox;
use super::guarded::{self, Budget, Vitals};
use super::provider::{Providers, Supervision};
use super::report::ActorState;
use crate::ids::{ModelId, ProviderName};
use crate::upstream::breaker::{Shut, ShutReason};

mod lane_actor;
mod lease;
mod outbox;

/// Calls that may wait for a lane. It answers in a microsecond, so that more than a few are never seen; senders wait.
const MAILBOX: usize = 1024;

/// When a caller of a lane that is down may try again.
const GONE: Refused = Refused { retry_after: Duration::from_secs(1), reason: RefusedReason::Gone };

/// Nothing that waiting mends.
const UNKNOWN: Refused = Refused { retry_after: Duration::from_secs(60), reason: RefusedReason::Unknown };

/// The lanes of one thread.
#[derive(Clone)]
pub struct Lanes(Rc<Inner>);

struct Inner {
    providers: Providers,
    worker: usize,
    lanes: RefCell<HashMap<ProviderName, LaneHandle>>,
}

#[derive(Clone)]
struct LaneHandle {
    address: Addr<Lane>,
    vitals: Arc<Vitals>,
    supervision: Arc<Supervision>,
}

/// Why no lease was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When to ask again.
    pub retry_after: Duration,
    /// Why.
    pub reason: RefusedReason,
}

/// Why no lease was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusedReason {
    /// Every upstream's breaker is open.
    Open,
    /// The provider asked for patience with this model.
    CoolingDown,
    /// The lane is down, and is being restarted.
    Gone,
    /// No such provider, or none of its upstreams has a key.
    Unknown,
}

impl From<Shut> for Refused {
    fn from(shut: Shut) -> Self {
        let reason = match shut.reason {
            ShutReason::Open => RefusedReason::Open,
            ShutReason::CoolingDown => RefusedReason::CoolingDown,
        };
        Self { retry_after: shut.retry_after, reason }
    }
}

impl Lanes {
    /// One for each provider that is configured; those that a reload adds start with their first call.
    pub(super) fn new(providers: Providers, worker: usize) -> Self {
        let lanes = Self(Rc::new(Inner { providers, worker, lanes: RefCell::default() }));
        let config = lanes.0.providers.config().load_full();
        for provider in config.providers.keys() {
            // One that cannot be started is refused when it is asked for.
            let _ = lanes.lane(provider);
        }
        lanes
    }

    /// Leave to call a model of a provider, at the first of its upstreams whose breaker allows it.
    ///
    /// # Errors
    /// [`Refused`] says why not, and when to ask again.
    pub async fn lease(&self, provider: &ProviderName, model: &ModelId) -> Result<Lease, Refused> {
        let lane = self.lane(provider)?;
        // A lane that panics over this call is restarted at once, with new connections, and asked once more.
        for _ in 0..2 {
            if lane.vitals.state() != ActorState::Running {
                return Err(GONE);
            }
            let acquire = Acquire { model: model.clone(), queued: lane.vitals.queued() };
            if let Ok(answer) = lane.address.send(acquire).await {
                return answer.map(SendWrapper::take);
            }
        }
        Err(GONE)
    }

    /// Makes this thread's lane panic over the next message: for tests of what then happens.
    #[doc(hidden)]
    pub fn break_lane(&self, provider: &ProviderName) {
        if let Ok(lane) = self.lane(provider) {
            let _ = lane.address.try_send(Break);
        }
    }

    /// The lane of a configured provider, started if it was not.
    fn lane(&self, provider: &ProviderName) -> Result<LaneHandle, Refused> {
        let mut lanes = self.0.lanes.borrow_mut();
        match lanes.get(provider) {
            Some(lane) if lane.vitals.state() != ActorState::Stopped && !lane.supervision.is_over() => Ok(lane.clone()),
            _ => {
                lanes.remove(provider);
                let supervision = self.0.providers.supervision(provider).ok_or(UNKNOWN)?;
                let lane = self.start(provider, supervision);
                lanes.insert(provider.clone(), lane.clone());
                Ok(lane)
            }
        }
    }

    fn start(&self, provider: &ProviderName, supervision: Arc<Supervision>) -> LaneHandle {
        let providers = &self.0.providers;
        let name = format!("{provider}/{}", self.0.worker);
        let degrades = "calls to this provider from one worker thread are refused";
        let vitals = Vitals::new("lane", name, degrades, providers.clock().clone());
        providers.register_lane(&vitals);
        // What was counted survives the lane's panics.
        let outbox = Rc::new(Outbox::new(Arc::clone(&supervision)));
        let lane = Lane::new(provider.clone(), providers.clone(), Arc::clone(&supervision), outbox);
        let budget = Budget { delay_max: Duration::from_secs(1), ..Budget::default() };
        let address = guarded::start_with(budget, &vitals, MAILBOX, move |_| lane);
        LaneHandle { address, vitals, supervision }
    }
}
