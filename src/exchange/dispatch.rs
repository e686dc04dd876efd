//! Opens the provider's answer: a lease, one call, and a first look at the head.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use crate::actors::lane::{Lanes, Lease, Refused, RefusedReason};
use crate::dialect::error::ProviderError;
use crate::dialect::{self, Delivery};
use crate::exchange::Gateway;
use crate::exchange::plan::{Plan, UsageChunk};
use crate::exchange::reply::{Failed, ProviderFailure};
use crate::fault::{Fault, FaultKind};
use crate::ids::ProviderName;
use crate::upstream::classify::{self, FailureKind, Lookup as _, Outcome};
use crate::upstream::client::{CallError, UpstreamBody, UpstreamHead, UpstreamRequest};

/// The largest error body of a provider that is looked at, in bytes.
const ERROR_BODY_LIMIT: usize = 256 * 1024;

/// Where Google says which tier served, since it may be another than was asked for
/// (ai.google.dev/gemini-api/docs/priority-inference).
const SERVICE_TIER: &str = "x-gemini-service-tier";

/// A provider's answer whose head is there and promises success.
pub struct Opened {
    /// Status and headers.
    pub head: UpstreamHead,
    /// The rest, as it comes.
    pub body: UpstreamBody,
    /// The permit of the breaker; dropped without a report, the call counts as abandoned.
    pub lease: Lease,
    /// Whose the usage chunk is.
    pub usage_chunk: UsageChunk,
    /// From the request's sending to the head.
    pub first_byte_took: Duration,
    /// What was read of the body already.
    pub early: VecDeque<Bytes>,
}

impl Opened {
    /// The body's next piece; `None` after the last. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Bytes, CallError>> {
        match self.early.pop_front() {
            Some(piece) => Some(Ok(piece)),
            None => self.body.next().await,
        }
    }
}

/// What an error says of the provider that is told in an answer with a status of success.
pub fn in_band(error: &ProviderError) -> Outcome {
    let blames_caller = |word: &String| {
        let word = word.to_ascii_lowercase();
        word.contains("invalid") || word.contains("not_found") || word.contains("content") || word.contains("policy")
    };
    if error.kind.iter().chain(&error.code).any(blames_caller) {
        return Outcome::Success;
    }
    Outcome::Failure(FailureKind::Status)
}

/// Calls the provider and waits for its head. The future holds what it needs and can outlive the plan.
pub async fn open(lanes: Lanes, plan: Arc<Plan>, gateway: Arc<Gateway>) -> Result<Opened, Failed> {
    let provider = &plan.provider;
    let mut lease = lanes.lease(provider, &plan.model).await.map_err(|refused| unavailable(provider, &refused))?;
    let (body, usage_chunk) = plan.body_for(lease.settings());
    let request = UpstreamRequest {
        dialect: plan.dialect,
        operation: plan.operation,
        delivery: plan.upstream_delivery(),
        model: plan.model.clone(),
        query: plan.query.clone(),
        headers: plan.headers.clone(),
        body,
    };
    let sent = Instant::now();
    plan.progress.sent(&lease.settings().base_url);
    let (head, mut body) = match lease.call(request).await {
        Ok(opened) => opened,
        Err(error) => {
            lease.report(classify::failure(&error));
            match error {
                CallError::Connect(_)
                | CallError::ConnectTimeout
                | CallError::Unsupported(_)
                | CallError::Redirect(_) => plan.progress.refused(),
                CallError::FirstByteTimeout
                | CallError::IdleTimeout
                | CallError::TotalTimeout
                | CallError::Closed
                | CallError::Truncated
                | CallError::Protocol(_) => {}
            }
            return Err(Fault::from(error).into());
        }
    };
    let first_byte_took = sent.elapsed();
    gateway.metrics.first_byte(provider, first_byte_took);
    if (200..300).contains(&head.status) {
        if plan.upstream_delivery() == Delivery::Events && !is_event_stream(&head) {
            let said = "it answered a call for a stream with something that is no event stream";
            let error = CallError::Protocol(said.to_owned());
            lease.report(classify::failure(&error));
            return Err(Fault::from(error).into());
        }
        if let Some(tier) = head.headers.get(SERVICE_TIER) {
            plan.progress.served_in(tier);
        }
        return Ok(Opened { head, body, lease, usage_chunk, first_byte_took, early: VecDeque::new() });
    }
    plan.progress.refused();
    let text = error_body(&mut body).await;
    let wall = gateway.clock.wall();
    lease.report(classify::answer(head.status, &head.headers, Some(&text), wall));
    if dialect::error::refuses_credential(plan.dialect, head.status, &text) {
        return Err(refused_credential(&gateway, provider, head.status).into());
    }
    let retry_after = classify::retry_after(&head.headers, Some(&text), wall);
    Err(provider_failure(&plan, &head, text, retry_after))
}

/// The provider does not take the gateway's key, or its account is closed: nothing that the caller can mend or should see.
fn refused_credential(gateway: &Gateway, provider: &ProviderName, status: u16) -> Fault {
    gateway.metrics.upstream_auth_failed(provider);
    tracing::error!(
        provider.name = %provider,
        status,
        "the provider refused the gateway's own credential: check its API key and its account",
    );
    let said = format!("{provider} refused the gateway's own credential; the gateway's operator has to mend this");
    Fault::new(FaultKind::UpstreamAuthFailed, said)
}

/// A provider's error, in its own words where the caller understands them.
fn provider_failure(plan: &Plan, head: &UpstreamHead, text: Bytes, retry_after: Option<Duration>) -> Failed {
    let said = dialect::error::parse(plan.dialect, head.status, &text).map(|error| error.message);
    let kind = kind_of(head.status);
    let is_native = said.is_some();
    let message =
        said.unwrap_or_else(|| format!("{} answered {} without an error that can be read", plan.provider, head.status));
    let is_error = (400..600).contains(&head.status);
    let fault = Fault { retry_after, status: is_error.then_some(head.status), ..Fault::new(kind, message) };
    if !(is_native && is_error) {
        // A page of some proxy in between: nothing that a caller's SDK could use.
        return Failed::Fault(fault);
    }
    let answer = plan.provider_error(head, text, retry_after);
    Failed::Provider(Box::new(ProviderFailure { answer, fault }))
}

/// What a provider's error with this status is in our words.
pub fn kind_of(status: u16) -> FaultKind {
    match status {
        429 => FaultKind::RateLimitExceeded,
        503 | 529 => FaultKind::ProviderUnavailable,
        404 => FaultKind::NotFound,
        413 => FaultKind::RequestTooLarge,
        400..500 => FaultKind::InvalidParameter,
        _ => FaultKind::UpstreamError,
    }
}

/// What there is of an error's body; a cut or endless one gives what came.
async fn error_body(body: &mut UpstreamBody) -> Bytes {
    let mut text = BytesMut::new();
    while let Some(Ok(piece)) = body.next().await {
        text.extend_from_slice(&piece);
        if text.len() > ERROR_BODY_LIMIT {
            text.truncate(ERROR_BODY_LIMIT);
            break;
        }
    }
    text.freeze()
}

fn is_event_stream(head: &UpstreamHead) -> bool {
    head.headers
        .get("content-type")
        .is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/event-stream"))
}

fn unavailable(provider: &ProviderName, refused: &Refused) -> Fault {
    let why = match refused.reason {
        RefusedReason::Open => "failed too often just now and is left alone for a moment",
        RefusedReason::CoolingDown => "asked not to be called for a moment",
        RefusedReason::Gone => "cannot be called by this gateway at the moment",
        RefusedReason::Unknown => "is not set up on this gateway",
    };
    Fault::new(FaultKind::ProviderUnavailable, format!("{provider} {why}; try again after the time in retry-after"))
        .retry_after(refused.retry_after)
}
