//! One call, from the caller's bytes to the provider's and back.
//!
//! Five steps: [`admit`] says whether the call may be made, [`plan`] where it goes and in which bytes, [`dispatch`] opens the
//! provider's answer, [`relay`] hands it to the caller, [`settle`] writes down what it came to, whatever happened.
//!
//! It knows nothing of the web framework in front of it, and a caller that leaves simply drops what this module returned.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use actix_http::header::{HeaderName, HeaderValue};
use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::sync::Semaphore;

use crate::actors::analytics::Analytics;
use crate::actors::auth::Auth;
use crate::actors::lane::Lanes;
use crate::actors::limiter::Limiter;
use crate::auth::principal::Principal;
use crate::catalog::SharedCatalog;
use crate::clock::Clock;
use crate::config::{Config, SharedConfig};
use crate::dialect::peek::Peek;
use crate::dialect::{self, Delivery, Dialect, Operation};
use crate::fault::{Fault, FaultKind};
use crate::ids::{ProductName, RequestId};
use crate::telemetry::metrics::{Endpoint, Metrics};
use crate::translate::Traits;

pub mod admit;
pub mod bill;
pub mod cut;
pub mod dispatch;
pub mod fallback;
pub mod memory;
pub mod plan;
pub mod record;
pub mod relay;
pub mod reply;
pub mod settle;
pub mod turn;

use cut::Cut;
use fallback::Choices;
use memory::{Held, MemoryBound};
use relay::{Pump, Relay};
use reply::{Failed, Whole};
use settle::Settlement;

/// What all calls of one gateway share.
#[derive(Debug)]
pub struct Gateway {
    /// The configuration in force.
    pub config: SharedConfig,
    /// Which models there are. `load()` it once for a request, after the configuration.
    pub catalog: SharedCatalog,
    /// How families of models think and sample.
    pub traits: Traits,
    /// Who may call.
    pub auth: Auth,
    /// What may be spent.
    pub limiter: Limiter,
    /// Who hears of ended calls.
    pub analytics: Analytics,
    /// What is counted.
    pub metrics: Metrics,
    /// What time it is.
    pub clock: Clock,
    /// What bodies of requests may hold together.
    pub bodies: Arc<MemoryBound>,
    /// What whole answers may hold together.
    pub memory: Arc<MemoryBound>,
    /// What streams may hold together for their events.
    pub captures: Arc<MemoryBound>,
    /// How many answers may be read to their end for callers that have left.
    pub drains: Arc<Semaphore>,
    /// Ends calls that are under way.
    pub cut: Arc<Cut>,
}

/// One worker's way to the providers.
#[derive(Clone)]
pub struct Exchange {
    gateway: Arc<Gateway>,
    lanes: Lanes,
}

/// A call that its token admits, with its body.
#[derive(Clone, Debug)]
pub struct Call {
    /// Follows the call everywhere.
    pub request_id: RequestId,
    /// On whose behalf.
    pub product: ProductName,
    /// Who calls.
    pub principal: Arc<Principal>,
    /// How the caller speaks.
    pub dialect: Dialect,
    /// What is asked.
    pub operation: Operation,
    /// The name in metrics.
    pub endpoint: Endpoint,
    /// What Google's paths say instead of the body: the model, and how the answer arrives.
    pub from_path: Option<(String, Delivery)>,
    /// The query, without the question mark.
    pub query: String,
    /// All of the caller's headers; what goes on is chosen later.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body, to the byte.
    pub body: Bytes,
    /// The body's share of what all of them may hold: given back when nothing refers to it any more, or before.
    pub room: Arc<Held>,
    /// When the request's head was there, by [`Clock::now`].
    pub received: std::time::Instant,
    /// How long the token's look-up took.
    pub auth_took: Duration,
}

/// What the caller gets.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Everything but what the connection itself needs.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: AnswerBody,
}

/// The body of an answer.
#[derive(Debug)]
pub enum AnswerBody {
    /// Complete.
    Whole {
        /// The bytes.
        body: Bytes,
        /// Their share of what whole answers may hold, until they have been written.
        held: Option<Held>,
    },
    /// In pieces, as they come.
    Stream(Box<Relay>),
}

/// What an attempt came to, before it is settled.
enum Reply {
    Whole(Whole),
    Stream { head: Vec<(HeaderName, HeaderValue)>, pump: Box<Pump> },
}

impl Exchange {
    /// A worker's exchange over its own lanes.
    pub fn new(gateway: Arc<Gateway>, lanes: Lanes) -> Self {
        Self { gateway, lanes }
    }

    /// What all calls share.
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Serves one call. Dropping the future, or the stream that it returned, closes the provider's connection.
    pub async fn run(&self, call: Call) -> Answer {
        let config: Arc<Config> = self.gateway.config.load_full();
        let mut settlement = Settlement::open(self.gateway.clone(), &call, &config);
        let (dialect, request_id, product) = (call.dialect, call.request_id.clone(), call.product.clone());
        match or_bug(self.attempt(call, &config, &mut settlement)).await {
            Ok(Reply::Whole(whole)) => {
                let mut headers = whole.headers;
                settlement.settle();
                headers.extend(settlement.headers(true));
                settlement.answered(whole.status, None);
                settlement.whole(&whole.body);
                Answer { status: whole.status, headers, body: AnswerBody::Whole { body: whole.body, held: whole.held } }
            }
            Ok(Reply::Stream { mut head, pump }) => {
                head.extend(settlement.headers(false));
                let relay = Relay::new(pump, settlement, &config, &product, &self.gateway);
                Answer { status: 200, headers: head, body: AnswerBody::Stream(Box::new(relay)) }
            }
            Err(failed) => {
                let fault = failed.as_fault().clone();
                let mut answer = refusal(dialect, &request_id, failed);
                settlement.settle();
                answer.headers.extend(settlement.headers(true));
                settlement.answered(answer.status, Some(&fault));
                answer
            }
        }
    }

    async fn attempt(&self, call: Call, config: &Arc<Config>, settlement: &mut Settlement) -> Result<Reply, Failed> {
        let product = config.products.get(call.product.as_str());
        let (asked, refused) = match admit::request(&call, config) {
            Ok(asked) => (asked, None),
            // Of a body that says nothing, the token alone says whose limits these are.
            Err(fault) => (Peek::default(), Some(fault)),
        };
        let scope = admit::scope(&call, &asked);
        settlement.bill(admit::bill(&call, &asked, &scope, product, &self.gateway));
        if let Some(fault) = refused {
            return Err(fault.into());
        }
        settlement.asked(&asked, admit::named_user(&call, &asked));
        let resolved = plan::resolve(&call, &asked, None, config, &self.gateway)?;
        let spare = product.and_then(|product| fallback::spare(&call, &asked, &resolved.model, product, config));
        let plan = Arc::new(plan::route(call, asked, &resolved, config, &self.gateway)?);
        settlement.planned(&plan);
        if let Some(answer) = plan.answer_here() {
            return Ok(Reply::Whole(answer));
        }
        settlement.reserve(scope, &plan).await?;
        let delivery = plan.delivery;
        let choices = Choices::new(plan, spare);
        settlement.follow(choices.serving());
        let answer = async {
            match delivery {
                Delivery::Whole => self.whole(choices, config, settlement).await.map(Reply::Whole),
                Delivery::Events | Delivery::JsonArray => {
                    let serving = choices.serving();
                    let opening = fallback::open(choices, self.lanes.clone(), self.gateway.clone());
                    let (head, pump) = relay::stream(opening, &serving, config.stream.keepalive, settlement).await?;
                    Ok(Reply::Stream { head, pump: Box::new(pump) })
                }
            }
        };
        tokio::select! {
            biased;
            answer = answer => answer,
            fault = self.gateway.cut.made() => Err(fault.into()),
        }
    }

    /// The first whole answer that a choice gives.
    async fn whole(&self, choices: Choices, config: &Config, settlement: &mut Settlement) -> Result<Whole, Failed> {
        let (gateway, limit) = (&self.gateway, config.server.answer_limit);
        let attempt = async |choices: &Choices| {
            let plan = choices.plan();
            let opening = dispatch::open(self.lanes.clone(), plan.clone(), gateway.clone());
            relay::whole(opening, &plan, &gateway.memory, limit, settlement).await
        };
        choices.answer(gateway, attempt).await
    }
}

/// What an attempt came to; a panic is a bug of ours, and the caller hears of it instead of being hung up on.
async fn or_bug<T>(attempt: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    AssertUnwindSafe(attempt).catch_unwind().await.unwrap_or_else(|_| {
        let said = "the gateway made a mistake; report it with the request's id";
        Err(Fault::new(FaultKind::Internal, said).into())
    })
}

/// A failure as the caller's dialect has it.
fn refusal(dialect: Dialect, request_id: &RequestId, failed: Failed) -> Answer {
    match failed {
        Failed::Provider(failure) => {
            let Whole { status, headers, body, held } = failure.answer;
            Answer { status, headers, body: AnswerBody::Whole { body, held } }
        }
        Failed::Fault(fault) => fault_answer(dialect, request_id, &fault),
    }
}

/// A fault of ours as the caller's dialect has it, with `retry-after` where coming back may help.
pub fn fault_answer(dialect: Dialect, request_id: &RequestId, fault: &Fault) -> Answer {
    let status = dialect::error::status(dialect, fault);
    let mut headers = vec![(actix_http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    if let Some(after) = fault.retry_after {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        headers.push((actix_http::header::RETRY_AFTER, HeaderValue::from(seconds.max(1))));
        // The Anthropic SDK sleeps for as long as it is told.
        if seconds > 60 {
            headers.push((HeaderName::from_static("x-should-retry"), HeaderValue::from_static("false")));
        }
    }
    let body = dialect::error::body(dialect, fault, status, request_id);
    Answer { status, headers, body: AnswerBody::Whole { body, held: None } }
}

#[cfg(test)]
mod tests {
    use super::{Failed, or_bug};
    use crate::fault::FaultKind;

    #[tokio::test]
    #[expect(clippy::panic, reason = "it is what is tested")]
    async fn a_panic_is_answered_as_a_bug_of_ours() {
        let outcome: Result<(), Failed> = or_bug(async { panic!("as a bug would") }).await;
        assert_eq!(outcome.err().map(|failed| failed.as_fault().kind), Some(FaultKind::Internal));
    }
}
