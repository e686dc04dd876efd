//! Writes down what a call came to: the one place where it is counted, whatever happened.
//!
//! A [`Settlement`] is opened before anything can go wrong and settles when it is dropped. A call that nobody ended was left by
//! its caller.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_http::header::{HeaderName, HeaderValue};
use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use crate::analytics::generation::{self, Failure};
use crate::catalog::cost::{Basis, Cost};
use crate::config::Config;
use crate::dialect::peek::Peek;
use crate::dialect::seen::Seen;
use crate::exchange::bill::Bill;
use crate::exchange::fallback::Serving;
use crate::exchange::plan::Plan;
use crate::exchange::record::{Account, Record};
use crate::exchange::{Call, Gateway};
use crate::fault::{Blame, Fault, FaultKind};
use crate::ids::{ModelId, ProductName, ProviderName, RequestId};
use crate::limits::scope::Scope;
use crate::money::NanoUsd;
use crate::telemetry::metrics::{ActiveStream, Endpoint, Finished, Missing};

/// What a caller that left is written down as; nobody is sent it.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// What callers are told in headers.
const PROVIDER: HeaderName = HeaderName::from_static("x-llm-gateway-provider");
const MODEL: HeaderName = HeaderName::from_static("x-llm-gateway-model");
const COST: HeaderName = HeaderName::from_static("x-llm-gateway-cost-usd");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// One call's account.
#[derive(Debug)]
pub struct Settlement {
    gateway: Arc<Gateway>,
    request_id: RequestId,
    product: ProductName,
    endpoint: Endpoint,
    received: Instant,
    served_by: Option<(ProviderName, ModelId)>,
    serving: Option<Serving>,
    timings: Timings,
    is_stream: bool,
    open_stream: Option<ActiveStream>,
    bytes_out: usize,
    seen: Seen,
    bill: Option<Bill>,
    end: Option<End>,
    record: Option<Box<Record>>,
}

/// How a call ended.
#[derive(Debug)]
struct End {
    status: u16,
    fault: Option<Fault>,
}

/// Where the time went, up to the answer's head.
#[derive(Clone, Copy, Debug, Default)]
struct Timings {
    auth: Duration,
    limit: Option<Duration>,
    planned: Option<Duration>,
    connect: Option<Duration>,
    first_byte: Option<Duration>,
    first_content: Option<Duration>,
    head: Option<Duration>,
}

impl Settlement {
    /// Opens the account of a call.
    pub fn open(gateway: Arc<Gateway>, call: &Call, config: &Config) -> Self {
        Self {
            record: Record::open(&gateway, call, config),
            request_id: call.request_id.clone(),
            product: call.product.clone(),
            endpoint: call.endpoint,
            received: call.received,
            served_by: None,
            serving: None,
            timings: Timings { auth: call.auth_took, ..Timings::default() },
            is_stream: false,
            open_stream: None,
            bytes_out: 0,
            seen: Seen::default(),
            bill: None,
            end: None,
            gateway,
        }
    }

    /// The body has been looked at.
    pub fn asked(&mut self, asked: &Peek, named_user: Option<&str>) {
        if let Some(record) = &mut self.record {
            record.asked(asked, named_user);
        }
    }

    /// The call has a provider.
    pub fn planned(&mut self, plan: &Plan) {
        if let Some(record) = &mut self.record {
            record.planned(plan);
        }
        self.served_by = Some((plan.provider.clone(), plan.model.clone()));
        self.timings.planned = Some(self.elapsed());
    }

    /// Another model may take the call over.
    pub fn follow(&mut self, serving: Serving) {
        self.serving = Some(serving);
    }

    /// Writes down who serves now, if that has changed.
    pub fn catch_up(&mut self) {
        for plan in self.serving.as_ref().map(Serving::take_changes).unwrap_or_default() {
            if let Some(record) = &mut self.record {
                record.planned(&plan);
            }
            if let Some(bill) = &mut self.bill {
                let basis = bill.basis();
                if let Some(cost) = bill.moved(&plan) {
                    self.charged(&cost, basis);
                }
            }
            self.served_by = Some((plan.provider.clone(), plan.model.clone()));
        }
    }

    /// Another attempt at a whole answer begins: what an earlier one had of it is none of this one's.
    pub fn attempt(&mut self) {
        self.catch_up();
        self.seen = Seen::default();
    }

    /// Counts what a model was charged that served the call.
    fn charged(&self, cost: &Cost, basis: Basis) {
        let Some((provider, model)) = self.served_by.as_ref().filter(|_| cost.amount > NanoUsd::ZERO) else { return };
        match self.gateway.metrics.cost(&self.product, provider, model, cost, basis) {
            Some(Missing::Price) => tracing::warn!(
                provider.name = %provider,
                model = %model,
                "a model without a price is charged at its vendor's dearest; give it one under [prices] or in catalog.file"
            ),
            Some(Missing::Usage) => tracing::warn!(
                provider.name = %provider,
                model = %model,
                usage.input = self.seen.usage.as_ref().and_then(|usage| usage.input),
                usage.output = self.seen.usage.as_ref().and_then(|usage| usage.output),
                "an answer without a usage that can be believed is charged at its estimate"
            ),
            None => {}
        }
    }

    /// The limits that the call is under are known.
    pub fn bill(&mut self, bill: Bill) {
        self.bill = Some(bill);
    }

    /// Sets aside what the call may cost. Near a limit that may take a moment.
    ///
    /// # Errors
    /// 429 when a limit is spent, or calls under way may use it up.
    pub async fn reserve(&mut self, scope: Scope, plan: &Plan) -> Result<(), Fault> {
        let begun = self.gateway.clock.now();
        let Some(bill) = &mut self.bill else { return Ok(()) };
        let estimate = bill.priced(plan);
        let reserved = self.gateway.limiter.reserve(scope, bill.claims(), estimate).await;
        self.timings.limit = Some(self.gateway.clock.now().saturating_duration_since(begun));
        match reserved {
            Ok(reservation) => {
                bill.reserved(reservation, plan.progress.clone());
                Ok(())
            }
            Err(refusal) => {
                let fault = bill.refused(refusal);
                // Whatever else may go wrong there is a failure like others, and an event.
                if let Some(record) = self.record.as_mut().filter(|_| fault.kind == FaultKind::RateLimitExceeded) {
                    record.refused();
                }
                Err(fault)
            }
        }
    }

    /// Settles what the call cost, as far as it is known now. Settled once, it stays so.
    pub fn settle(&mut self) {
        self.catch_up();
        let Some(bill) = &mut self.bill else { return };
        let Some(cost) = bill.settle(&mut self.seen) else { return };
        for warning in bill.take_warnings() {
            self.gateway.analytics.warn(warning);
        }
        self.charged(&cost, self.bill.as_ref().map_or(Basis::Listed, Bill::basis));
    }

    /// The provider's head is there.
    pub fn first_byte(&mut self, took: Duration, connected_in: Option<Duration>) {
        self.timings.first_byte = Some(took);
        self.timings.connect = connected_in;
    }

    /// The answer goes out as a stream.
    pub fn stream_opened(&mut self) {
        self.is_stream = true;
        if let Some(record) = &mut self.record {
            record.stream_opened(&self.gateway);
        }
        self.open_stream = Some(self.gateway.metrics.stream_opened(&self.product));
    }

    /// A piece of a stream goes to the caller.
    pub fn passed(&mut self, piece: &Bytes) {
        self.bytes_out += piece.len();
        self.kept(piece);
    }

    /// A piece of a stream comes that no caller waits for.
    pub fn kept(&mut self, piece: &Bytes) {
        if let Some(record) = &mut self.record {
            record.passed(piece);
        }
    }

    /// The answer goes to the caller in one piece.
    pub fn whole(&mut self, body: &Bytes) {
        if let Some(record) = &mut self.record {
            record.answered(body);
        }
    }

    /// Whether it is still to be noted when the first of a stream's content came.
    pub fn awaits_content(&self) -> bool {
        self.record.is_some() && self.timings.first_content.is_none()
    }

    /// The first of a stream's content is on its way to the caller.
    pub fn first_content(&mut self) {
        self.timings.first_content = Some(self.elapsed());
    }

    /// What the answer said of itself.
    pub fn seen(&mut self, seen: Seen) {
        self.seen = seen;
    }

    /// The call ended before or with its head.
    pub fn answered(&mut self, status: u16, fault: Option<&Fault>) {
        let known = self.end.take().and_then(|end| end.fault);
        self.end = Some(End { status, fault: fault.cloned().or(known) });
    }

    /// The caller has gone, and the answer is read on without it.
    pub fn caller_left(&mut self) {
        self.end = Some(unended());
        self.open_stream = None;
    }

    /// Whether it is known how the call ended.
    pub fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// The stream ended as it should.
    pub fn completed(&mut self) {
        self.end.get_or_insert(End { status: 200, fault: None });
    }

    /// The stream broke after its head.
    pub fn broke(&mut self, fault: &Fault) {
        self.end = Some(End { status: 200, fault: Some(fault.clone()) });
    }

    /// What the caller may know of how it was served.
    pub fn headers(&mut self, complete: bool) -> Vec<(HeaderName, HeaderValue)> {
        self.catch_up();
        let head = self.elapsed();
        self.timings.head = Some(head);
        // All values are cut from one text: an allocation each would take longer than to write them.
        let mut text = BytesMut::with_capacity(256);
        let mut ends: SmallVec<[(HeaderName, usize); 8]> = SmallVec::new();
        let mut put = |name: HeaderName, value: &dyn fmt::Display| {
            // It grows where it has to.
            let _ = write!(text, "{value}");
            ends.push((name, text.len()));
        };
        if let Some((provider, model)) = &self.served_by {
            put(PROVIDER, provider);
            put(MODEL, model);
        }
        put(SERVER_TIMING, &ServerTiming { timings: &self.timings, total: complete.then_some(head) });
        if let Some(bill) = &self.bill {
            if let Some(tightest) = bill.tightest() {
                tightest.headers(&mut put);
            }
            if let Some(cost) = bill.cost().filter(|_| complete) {
                put(COST, &cost.amount);
            }
        }
        let (text, mut start) = (text.freeze(), 0);
        let values = ends.into_iter().filter_map(|(name, end)| {
            let value = text.slice(std::mem::replace(&mut start, end)..end);
            Some((name, HeaderValue::from_maybe_shared(value).ok()?))
        });
        values.collect()
    }

    fn elapsed(&self) -> Duration {
        self.gateway.clock.now().saturating_duration_since(self.received)
    }
}

/// The end of a call that nobody ended: its caller left, or a bug of ours threw it out.
fn unended() -> End {
    if std::thread::panicking() {
        let fault = Fault::new(FaultKind::Internal, "a bug of the gateway ended the call");
        return End { status: fault.kind.status(), fault: Some(fault) };
    }
    End { status: CLIENT_CLOSED_REQUEST, fault: None }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        self.settle();
        let duration = self.elapsed();
        let end = self.end.take().unwrap_or_else(unended);
        let provider = self.served_by.as_ref().map(|(provider, _)| provider);
        let overhead = self.timings.overhead();
        self.gateway.metrics.finished(&Finished {
            product: &self.product,
            endpoint: self.endpoint,
            provider,
            status: end.status,
            duration,
            overhead,
        });
        if let (Some(provider), true, Some(_)) = (provider, self.is_stream, &end.fault) {
            self.gateway.metrics.broken_stream(&self.product, provider);
        }
        self.log(&end, duration);
        if let Some(record) = self.record.take() {
            self.hand_in(*record, end, duration);
        }
    }
}

impl Settlement {
    fn hand_in(&mut self, record: Record, end: End, latency: Duration) {
        let fault = end.fault.as_ref().map(|fault| fault.kind);
        let failure = match end.fault {
            Some(fault) => Some(Failure { code: fault.kind.code(), message: fault.message }),
            None if end.status == CLIENT_CLOSED_REQUEST => Some(Failure {
                code: "caller_left",
                message: "the caller left before the answer was complete".to_owned(),
            }),
            None => None,
        };
        let account = Account {
            request_id: &self.request_id,
            product: &self.product,
            end: generation::End { status: end.status, failure },
            fault,
            seen: std::mem::take(&mut self.seen),
            cost: self.bill.as_ref().and_then(Bill::cost),
            timings: generation::Timings {
                latency,
                first_token: self.timings.first_content,
                overhead: self.timings.overhead(),
            },
        };
        record.hand_in(&self.gateway, account);
    }

    fn log(&self, end: &End, duration: Duration) {
        let (provider, model) =
            self.served_by.as_ref().map_or(("", ""), |(provider, model)| (provider.as_str(), model.as_str()));
        let cost = self.bill.as_ref().and_then(Bill::cost).map_or(0.0, |cost| cost.amount.as_usd());
        let code = end.fault.as_ref().map_or("", |fault| fault.kind.code());
        macro_rules! say {
            ($level:ident, $text:literal) => {
                tracing::$level!(
                    request.id = %self.request_id,
                    product.name = %self.product,
                    endpoint = self.endpoint.0,
                    provider.name = provider,
                    model = model,
                    status = end.status,
                    error.code = code,
                    stream = self.is_stream,
                    bytes_out = self.bytes_out,
                    cost_usd = cost,
                    duration_ms = duration.as_millis(),
                    $text
                )
            };
        }
        match end.fault.as_ref().map(|fault| fault.kind.blame()) {
            Some(Blame::Gateway | Blame::Provider) => say!(warn, "call failed"),
            Some(Blame::Caller) => say!(info, "call refused"),
            None if end.status == CLIENT_CLOSED_REQUEST => say!(info, "caller left"),
            None => say!(info, "call served"),
        }
    }
}

/// `server-timing`, in milliseconds.
struct ServerTiming<'a> {
    timings: &'a Timings,
    total: Option<Duration>,
}

impl fmt::Display for ServerTiming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { timings, total } = self;
        let planned = timings.planned.map(|planned| planned.saturating_sub(timings.auth));
        let mut comma = "";
        for (name, took) in [
            ("auth", Some(timings.auth)),
            ("limit", timings.limit),
            ("translate", planned),
            ("connect", timings.connect),
            ("ttfb", timings.first_byte),
            ("total", *total),
        ] {
            let Some(took) = took else { continue };
            let micros = took.as_micros() as u64;
            write!(f, "{comma}{name};dur={}.{:03}", micros / 1000, micros % 1000)?;
            comma = ", ";
        }
        Ok(())
    }
}

impl Timings {
    /// What the gateway itself took, up to the answer's head.
    fn overhead(&self) -> Option<Duration> {
        Some(self.head?.saturating_sub(self.first_byte?))
    }
}
