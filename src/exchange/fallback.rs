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
    changes: Vec<Arc<Plan>>,
}

/// A call that may have to be routed again, and the models that are left for it.
pub struct Spare {
    call: Call,
    asked: Peek,
    config: Arc<Config>,
    others: std::vec::IntoIter<ModelId>,
}

/// The plan of a call, and those that may come after it.
pub struct Choices {
    serving: Serving,
    spare: Option<Box<Spare>>,
}

impl Serving {
    /// The plan.
    pub fn plan(&self) -> Arc<Plan> {
        self.0.borrow().plan.clone()
    }

    /// The plans that have taken over since this was asked last, one after the other.
    pub fn take_changes(&self) -> Vec<Arc<Plan>> {
        std::mem::take(&mut self.0.borrow_mut().changes)
    }

    fn change(&self, plan: Plan) {
        let plan = Arc::new(plan);
        let mut now = self.0.borrow_mut();
        now.plan = plan.clone();
        now.changes.push(plan);
    }
}

/// What it takes to route a call again that goes to `model` first, if others may take its place.
pub fn spare(
    call: &Call,
    asked: &Peek,
    model: &ModelId,
    product: &Product,
    config: &Arc<Config>,
) -> Option<Box<Spare>> {
    if !product.fallback || call.operation != Operation::Generate {
        return None;
    }
    let others = config.fallbacks.get(model.as_str())?.clone().into_iter();
    Some(Box::new(Spare { call: call.clone(), asked: asked.clone(), config: config.clone(), others }))
}

impl Choices {
    /// The first choice, and what may take its place.
    pub fn new(plan: Arc<Plan>, spare: Option<Box<Spare>>) -> Self {
        Self { serving: Serving(Rc::new(RefCell::new(Now { plan, changes: Vec::new() }))), spare }
    }

    /// Who serves, also after this has been given away.
    pub fn serving(&self) -> Serving {
        self.serving.clone()
    }

    /// The choice at hand.
    pub fn plan(&self) -> Arc<Plan> {
        self.serving.plan()
    }

    /// The first answer that `attempt` gets of a choice, or why it got none of the first one.
    ///
    /// # Errors
    /// What the first attempt came to.
    pub async fn answer<T>(
        mut self,
        gateway: &Gateway,
        mut attempt: impl AsyncFnMut(&Self) -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        let mut first = None;
        loop {
            match attempt(&self).await {
                Ok(answer) => return Ok(answer),
                Err(failed) if self.next(failed.as_fault(), gateway) => {
                    first.get_or_insert(failed);
                }
                Err(failed) => return Err(first.unwrap_or(failed)),
            }
        }
    }

    /// Goes on to the next choice, if there is one and it may do better. Those that the product does not offer, or that cannot
    /// be asked this, are passed over.
    fn next(&mut self, fault: &Fault, gateway: &Gateway) -> bool {
        if !may_help(fault.kind) {
            return false;
        }
        let Some(Spare { call, asked, config, others }) = self.spare.as_deref_mut() else { return false };
        let mut route = |model: ModelId| {
            let resolved = plan::resolve(call, asked, Some(&model), config, gateway).ok()?;
            plan::route(call.clone(), asked.clone(), &resolved, config, gateway).ok()
        };
        let Some(plan) = others.find_map(&mut route) else { return false };
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
        self.spare.as_deref().is_none_or(|spare| spare.others.as_slice().is_empty())
    }
}

/// Opens the answer of the first choice that gives one. While there are others, an answer counts once its first event is there
/// and is no error of the provider's.
///
/// # Errors
/// Why the first choice gave none.
pub async fn open(choices: Choices, lanes: Lanes, gateway: Arc<Gateway>) -> Result<Opened, Failed> {
    let attempt = async |choices: &Choices| {
        let plan = choices.plan();
        let opened = dispatch::open(lanes.clone(), plan.clone(), gateway.clone()).await?;
        if choices.is_last() { Ok(opened) } else { begun(opened, &plan).await }
    };
    choices.answer(&gateway, attempt).await
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
                plan.progress.left(tap.seen());
                return Err(Fault::from(error).into());
            }
            None => {
                opened.lease.report(Outcome::Failure(FailureKind::Cut));
                plan.progress.left(tap.seen());
                let said = format!("the stream of {} was cut before its first event", plan.provider);
                return Err(Fault::new(FaultKind::UpstreamError, said).into());
            }
        }
    }
    let seen = tap.seen();
    match seen.error.clone() {
        Some(error) if in_band(&error) != Outcome::Success => {
            plan.progress.left(seen);
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
        // The provider has done its work, and another answer would be as long.
        | FaultKind::AnswerTooLarge
        | FaultKind::Internal
        | FaultKind::GatewayUnavailable => false,
    }
}
