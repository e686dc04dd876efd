//! Who answers when the provider of the first choice cannot: other models, in the order in which the configuration names them.
//!
//! Another one may take a call over for as long as the caller has nothing but keepalives of an answer. Where all fail, the caller
//! hears why the first one did.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::actors::lane::Lanes;
use crate::config::Config;
use crate::config::products::Product;
use crate::dialect::Operation;
use crate::dialect::peek::Peek;
use crate::exchange::dispatch::{self, Opened, in_band};
use crate::exchange::plan::{self, Plan};
use crate::exchange::reply::Failed;
use crate::exchange::{Call, Gateway};
use crate::fault::{Fault, FaultKind};
use crate::ids::ModelId;
use crate::translate::tap::Tap;
use crate::upstream::classify::{self, FailureKind, Outcome};

/// The most that is read of a stream to see its first event, in bytes.
const LARGEST_BEGINNING: usize = 64 * 1024;

/// The plan that a call goes by at the moment. Clones share it.
#[derive(Clone, Debug)]
pub struct Serving(Rc<RefCell<Now>>);

#[derive(Debug)]
struct Now {
    plan: Arc<Plan>,
    change: Option<Arc<Plan>>,
}

/// A call that may have to be routed again.
pub struct Spare {
    call: Call,
    asked: Peek,
    config: Arc<Config>,
}

/// The plan of a call, and those that may come after it.
pub struct Choices {
    serving: Serving,
    spare: Option<Box<Spare>>,
    others: std::vec::IntoIter<ModelId>,
}

impl Serving {
    /// The plan.
    pub fn plan(&self) -> Arc<Plan> {
        self.0.borrow().plan.clone()
    }

    /// The plan that has taken over since this was asked last.
    pub fn take_change(&self) -> Option<Arc<Plan>> {
        self.0.borrow_mut().change.take()
    }

    fn change(&self, plan: Plan) {
        let plan = Arc::new(plan);
        *self.0.borrow_mut() = Now { plan: plan.clone(), change: Some(plan) };
    }
}

/// What it takes to route a call again, if that may be wanted.
pub fn spare(call: &Call, asked: &Peek, product: &Product, config: &Arc<Config>) -> Option<Box<Spare>> {
    let may_be = product.fallback && !config.fallbacks.is_empty() && call.operation == Operation::Generate;
    may_be.then(|| Box::new(Spare { call: call.clone(), asked: asked.clone(), config: config.clone() }))
}

impl Choices {
    /// The first choice, and those that the configuration names for its model.
    pub fn new(plan: Arc<Plan>, spare: Option<Box<Spare>>) -> Self {
        let named = |spare: &Spare| spare.config.fallbacks.get(plan.model.as_str()).cloned();
        let others = spare.as_deref().and_then(named).unwrap_or_default().into_iter();
        Self { serving: Serving(Rc::new(RefCell::new(Now { plan, change: None }))), spare, others }
    }

    /// Who serves, also after this has been given away.
    pub fn serving(&self) -> Serving {
        self.serving.clone()
    }

    /// The choice at hand.
    pub fn plan(&self) -> Arc<Plan> {
        self.serving.plan()
    }

    /// Goes on to the next choice, if there is one and it may do better. Those that the product does not offer, or that cannot
    /// be asked this, are passed over.
    pub fn next(&mut self, fault: &Fault, gateway: &Gateway) -> bool {
        if !may_help(fault.kind) {
            return false;
        }
        let Some(spare) = self.spare.as_deref() else { return false };
        let Spare { call, asked, config } = spare;
        let route = |model: ModelId| plan::route(call.clone(), asked.clone(), Some(&model), config, gateway).ok();
        let Some(plan) = self.others.find_map(route) else { return false };
        let failed = self.plan();
        gateway.metrics.fell_back(&plan.product, &failed.provider, &plan.provider);
        tracing::info!(
            request.id = %plan.request_id,
            provider.name = %failed.provider,
            model = %failed.model,
            error.code = fault.kind.code(),
            fallback.provider = %plan.provider,
            fallback.model = %plan.model,
            "another model takes the call over"
        );
        self.serving.change(plan);
        true
    }

    fn is_last(&self) -> bool {
        self.others.as_slice().is_empty()
    }
}

/// Opens the answer of the first choice that gives one. While there are others, an answer counts once its first event is there
/// and is no error of the provider's.
pub async fn open(mut choices: Choices, lanes: Lanes, gateway: Arc<Gateway>) -> Result<Opened, Failed> {
    let mut first = None;
    loop {
        let plan = choices.plan();
        let opened = match dispatch::open(lanes.clone(), plan.clone(), gateway.clone()).await {
            Ok(opened) if choices.is_last() => return Ok(opened),
            Ok(opened) => begun(opened, &plan).await,
            Err(failed) => Err(failed),
        };
        match opened {
            Ok(opened) => return Ok(opened),
            Err(failed) if choices.next(failed.as_fault(), &gateway) => {
                first.get_or_insert(failed);
            }
            Err(failed) => return Err(first.unwrap_or(failed)),
        }
    }
}

/// Waits for the first event.
async fn begun(mut opened: Opened, plan: &Plan) -> Result<Opened, Failed> {
    let mut tap = Tap::new(plan.dialect, plan.upstream_delivery());
    let mut read = 0;
    while !tap.first_event_seen() && read < LARGEST_BEGINNING {
        match opened.body.next().await {
            Some(Ok(piece)) => {
                tap.push(&piece);
                read += piece.len();
                opened.early.push_back(piece);
            }
            Some(Err(error)) => {
                opened.lease.report(classify::failure(&error));
                return Err(Fault::from(error).into());
            }
            None => {
                opened.lease.report(Outcome::Failure(FailureKind::Cut));
                let said = format!("the stream of {} was cut before its first event", plan.provider);
                return Err(Fault::new(FaultKind::UpstreamError, said).into());
            }
        }
    }
    match tap.seen().error {
        Some(error) if in_band(&error) != Outcome::Success => {
            opened.lease.report(in_band(&error));
            Err(Fault::new(FaultKind::UpstreamError, error.message).into())
        }
        Some(_) | None => Ok(opened),
    }
}

/// Whether another provider may do what this one did not.
fn may_help(kind: FaultKind) -> bool {
    match kind {
        FaultKind::UpstreamError
        | FaultKind::UpstreamAuthFailed
        | FaultKind::ProviderUnavailable
        | FaultKind::RequestTimeout
        // Limits of the gateway's own are held before any provider is called.
        | FaultKind::RateLimitExceeded => true,
        FaultKind::InvalidJson
        | FaultKind::MissingParameter
        | FaultKind::InvalidParameter
        | FaultKind::ModelNotFound
        | FaultKind::UnsupportedParameter
        | FaultKind::InvalidApiKey
        | FaultKind::InsufficientScope
        | FaultKind::ProductAccessDenied
        | FaultKind::ModelNotAllowed
        | FaultKind::NotFound
        | FaultKind::MethodNotAllowed
        | FaultKind::SlowBody
        | FaultKind::RequestTooLarge
        | FaultKind::UnsupportedMediaType
        | FaultKind::Internal
        | FaultKind::GatewayUnavailable => false,
    }
}
