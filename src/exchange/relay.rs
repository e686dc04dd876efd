//! Hands the provider's answer to the caller: whole and checked, or piece by piece with a legal ending whatever happens.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::LocalBoxStream;
use tokio::sync::Semaphore;

use crate::config::Config;
use crate::config::products::OnHangUp;
use crate::dialect::Delivery;
use crate::exchange::Gateway;
use crate::exchange::cut::Cut;
use crate::exchange::dispatch::{Opened, in_band};
use crate::exchange::fallback::Serving;
use crate::exchange::plan::{Plan, UsageChunk};
use crate::exchange::reply::Failed;
use crate::exchange::settle::Settlement;
use crate::exchange::turn::{Completeness, Ended, Turn};
use crate::fault::{Fault, FaultKind};
use crate::ids::ProductName;
use crate::upstream::classify::{self, FailureKind, Outcome};

mod whole;

pub use whole::whole;

/// How long the end of a connection is waited for once the answer is all there.
const AFTER_THE_END: Duration = Duration::from_secs(1);

/// Waits for the head, but no longer than a keepalive, and returns the caller's head with what pumps the rest.
///
/// # Errors
/// What opening the answer came to, when it was known in time for a status of its own.
pub async fn stream(
    opening: impl Future<Output = Result<Opened, Failed>> + 'static,
    serving: &Serving,
    keepalive: Duration,
    settlement: &mut Settlement,
) -> Result<(Vec<(HeaderName, HeaderValue)>, Pump), Failed> {
    let mut opening: LocalBoxFuture<'static, Result<Opened, Failed>> = Box::pin(opening);
    let plan = serving.plan();
    let (delivery, turn) = (plan.delivery, plan.turn()?);
    let mut pump = Pump { stage: Stage::Over, keepalive, plan, serving: serving.clone(), turn };
    let mut head = match tokio::time::timeout(keepalive, &mut opening).await {
        Ok(Ok(opened)) => {
            settlement.first_byte(opened.first_byte_took, opened.head.connected_in);
            let head = serving.plan().caller_headers(&opened.head);
            pump.flow(opened)?;
            head
        }
        Ok(Err(failed)) => return Err(failed),
        Err(_) => {
            pump.stage = Stage::Due(opening);
            Vec::new()
        }
    };
    settlement.stream_opened();
    if !head.iter().any(|(name, _)| *name == CONTENT_TYPE) {
        head.push((CONTENT_TYPE, content_type(delivery)));
    }
    // Proxies that buffer would hold every event back.
    head.push((HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")));
    Ok((head, pump))
}

fn content_type(delivery: Delivery) -> HeaderValue {
    match delivery {
        Delivery::Events => HeaderValue::from_static("text/event-stream; charset=utf-8"),
        Delivery::Whole | Delivery::JsonArray => HeaderValue::from_static("application/json"),
    }
}

/// Turns what the provider sends into what the caller gets, piece by piece.
pub struct Pump {
    stage: Stage,
    keepalive: Duration,
    /// What the turn was made for.
    plan: Arc<Plan>,
    serving: Serving,
    turn: Turn,
}

enum Stage {
    /// No head yet, and the caller's own is on its way with a first keepalive.
    Due(LocalBoxFuture<'static, Result<Opened, Failed>>),
    /// No head yet, and the caller has had a keepalive.
    Overdue(LocalBoxFuture<'static, Result<Opened, Failed>>),
    Flowing(Box<Opened>),
    Over,
}

/// What goes out next.
enum Piece {
    Bytes(Bytes),
    /// The rest of what was withheld, and the error ending unless the provider wrote one; nothing follows.
    Broken(Bytes, Fault),
}

impl Piece {
    fn bytes(&self) -> &Bytes {
        match self {
            Self::Bytes(bytes) | Self::Broken(bytes, _) => bytes,
        }
    }
}

impl Pump {
    /// The answer's head is there. Where another model took the call over, the caller has had nothing but keepalives yet.
    fn flow(&mut self, opened: Opened) -> Result<(), Fault> {
        let plan = self.serving.plan();
        if !Arc::ptr_eq(&plan, &self.plan) {
            self.turn = plan.turn()?;
            self.plan = plan;
        }
        if opened.usage_chunk == UsageChunk::Ours {
            self.turn.hide_usage();
        }
        self.stage = Stage::Flowing(Box::new(opened));
        Ok(())
    }

    /// The next piece; `None` after a clean end. Dropping the future loses nothing.
    async fn next(&mut self) -> Option<Piece> {
        loop {
            match &mut self.stage {
                Stage::Over => return None,
                Stage::Due(_) => {
                    if let Stage::Due(opening) = std::mem::replace(&mut self.stage, Stage::Over) {
                        self.stage = Stage::Overdue(opening);
                    }
                    if let Some(silence) = self.turn.keepalive() {
                        return Some(Piece::Bytes(silence));
                    }
                }
                Stage::Overdue(opening) => match tokio::time::timeout(self.keepalive, opening).await {
                    Err(_) => {
                        if let Some(silence) = self.turn.keepalive() {
                            return Some(Piece::Bytes(silence));
                        }
                    }
                    Ok(Ok(opened)) => {
                        if let Err(fault) = self.flow(opened) {
                            return Some(self.broken(fault));
                        }
                    }
                    Ok(Err(failed)) => return Some(self.broken(failed.as_fault().clone())),
                },
                // All is said: what is left is the end of the connection, and nobody needs to wait long for that.
                Stage::Flowing(opened) if self.turn.is_final() => {
                    let _ = tokio::time::timeout(AFTER_THE_END, async { while opened.body.next().await.is_some() {} })
                        .await;
                    return self.end();
                }
                Stage::Flowing(opened) => match tokio::time::timeout(self.keepalive, opened.next()).await {
                    Err(_) => {
                        if let Some(silence) = self.turn.keepalive() {
                            return Some(Piece::Bytes(silence));
                        }
                    }
                    Ok(Some(Ok(bytes))) => {
                        let passed = self.turn.push(bytes);
                        if !passed.is_empty() {
                            return Some(Piece::Bytes(passed));
                        }
                    }
                    Ok(Some(Err(_))) if self.turn.may_end() => return self.end(),
                    Ok(Some(Err(error))) => {
                        self.report(classify::failure(&error));
                        return Some(self.broken(error.into()));
                    }
                    Ok(None) => return self.end(),
                },
            }
        }
    }

    /// Whether more is to come from the provider.
    fn is_flowing(&self) -> bool {
        matches!(self.stage, Stage::Flowing(_))
    }

    /// The provider closed its answer: was that all of it?
    fn end(&mut self) -> Option<Piece> {
        let Ended { rest, said, completeness } = self.turn.end();
        if completeness == Completeness::Cut {
            self.report(Outcome::Failure(FailureKind::Cut));
            let said = format!("the stream of {} was cut before its end", self.plan.provider);
            return Some(self.broken(Fault::new(FaultKind::UpstreamError, said)));
        }
        if let Some(error) = said {
            self.report(in_band(&error));
            return Some(Piece::Broken(rest, Fault::new(FaultKind::UpstreamError, error.message)));
        }
        self.report(Outcome::Success);
        (!rest.is_empty()).then_some(Piece::Bytes(rest))
    }

    fn report(&mut self, outcome: Outcome) {
        if let Stage::Flowing(opened) = std::mem::replace(&mut self.stage, Stage::Over) {
            opened.lease.report(outcome);
        }
    }

    fn broken(&mut self, fault: Fault) -> Piece {
        self.stage = Stage::Over;
        Piece::Broken(self.turn.fail(&fault, &self.plan.request_id), fault)
    }
}

impl std::fmt::Debug for Pump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pump").field("provider", &self.plan.provider).finish_non_exhaustive()
    }
}

/// A stream on its way to the caller. Dropped before its end, it closes the provider's connection and settles the call.
pub struct Relay(LocalBoxStream<'static, Bytes>);

/// A pump and what it will have come to; empty once both have been given away.
struct Flow(Option<Running>);

struct Running {
    pump: Box<Pump>,
    settlement: Settlement,
    left: Left,
    cut: Arc<Cut>,
}

/// What happens when the caller leaves.
struct Left {
    then: OnHangUp,
    /// Bounds how many answers are read for nobody.
    room: Arc<Semaphore>,
    /// How long the rest of an answer may be read for nobody.
    at_most: Duration,
}

impl Relay {
    /// A relay that settles with `settlement` when the stream is over.
    pub fn new(
        pump: Box<Pump>,
        settlement: Settlement,
        config: &Config,
        product: &ProductName,
        gateway: &Gateway,
    ) -> Self {
        let then = config.products.get(product).map(|product| product.on_hang_up).unwrap_or_default();
        let left = Left { then, room: gateway.drains.clone(), at_most: config.timeouts.total };
        let flow = Flow(Some(Running { pump, settlement, left, cut: gateway.cut.clone() }));
        Self(Box::pin(futures_util::stream::unfold(flow, Flow::step)))
    }
}

impl Stream for Relay {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay").finish_non_exhaustive()
    }
}

impl Flow {
    async fn step(mut self) -> Option<(Bytes, Self)> {
        let Running { pump, settlement, cut, .. } = self.0.as_mut()?;
        let piece = tokio::select! {
            biased;
            piece = pump.next() => Ok(piece),
            fault = cut.made(), if !settlement.has_ended() => Err(fault),
        };
        // Another model may have taken the call over while the caller had keepalives.
        settlement.catch_up();
        match piece.unwrap_or_else(|fault| Some(pump.broken(fault))) {
            Some(Piece::Bytes(bytes)) => {
                if settlement.awaits_content() && pump.turn.has_content() {
                    settlement.first_content();
                }
                settlement.passed(&bytes);
                Some((bytes, self))
            }
            Some(Piece::Broken(ending, fault)) => {
                settlement.broke(&fault);
                settlement.passed(&ending);
                // An empty piece would be the end of a chunked body.
                (!ending.is_empty()).then_some((ending, self))
            }
            None => {
                settlement.completed();
                None
            }
        }
    }
}

/// Whatever ended the stream, what was seen of it counts.
impl Drop for Flow {
    fn drop(&mut self) {
        let Some(Running { mut pump, mut settlement, left, .. }) = self.0.take() else { return };
        if left.then == OnHangUp::Drain
            && !settlement.has_ended()
            && pump.is_flowing()
            && let Ok(permit) = left.room.try_acquire_owned()
        {
            settlement.caller_left();
            // The task ends with the provider's answer, with a provider's timeout, or after `at_most`; the worker's end ends it,
            // too, and the call is settled in each case.
            actix_rt::spawn(async move {
                let rest = async {
                    while let Some(piece) = pump.next().await {
                        settlement.kept(piece.bytes());
                    }
                };
                let _ = tokio::time::timeout(left.at_most, rest).await;
                settlement.seen(pump.turn.seen());
                drop(permit);
            });
            return;
        }
        settlement.seen(pump.turn.seen());
    }
}
