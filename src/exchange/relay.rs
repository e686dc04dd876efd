//! Hands the provider's answer to the caller: whole and checked, or piece by piece with a legal ending whatever happens.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::header::{HeaderName, HeaderValue};
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::LocalBoxStream;

use crate::dialect::{self, Delivery, Dialect};
use crate::exchange::dispatch::{Failed, Opened};
use crate::exchange::memory::AnswerMemory;
use crate::exchange::plan::{Plan, UsageChunk};
use crate::exchange::settle::Settlement;
use crate::fault::{Fault, FaultKind};
use crate::ids::{ProviderName, RequestId};
use crate::translate::tap::{self, Tap, UsageChunkFilter};
use crate::upstream::classify::{self, FailureKind, Outcome};

/// A complete answer.
#[derive(Clone, Debug)]
pub struct Whole {
    /// The HTTP status.
    pub status: u16,
    /// The provider's headers that go back.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body, to the byte.
    pub body: Bytes,
}

/// Collects an answer to its end and makes sure that it is one.
///
/// # Errors
/// 504 when it took too long; 502 when it was cut, is no JSON, or is larger than `limit`; 503 when all answers together
/// would hold too much; else what opening it came to.
pub async fn whole(
    opening: impl Future<Output = Result<Opened, Failed>>,
    plan: &Plan,
    memory: &Arc<AnswerMemory>,
    limit: usize,
    settlement: &mut Settlement,
) -> Result<Whole, Failed> {
    let Opened { head, mut body, lease, first_byte_took, .. } = opening.await?;
    settlement.first_byte(first_byte_took, head.connected_in);
    let mut held = memory.begin();
    let mut first: Option<Bytes> = None;
    let mut more = BytesMut::new();
    while let Some(piece) = body.next().await {
        let piece = match piece {
            Ok(piece) => piece,
            Err(error) => {
                lease.report(classify::failure(&error));
                return Err(Fault::from(error).into());
            }
        };
        if first.as_ref().map_or(0, Bytes::len) + more.len() + piece.len() > limit {
            let said = format!("the answer of {} is larger than the {limit} bytes that are held", plan.provider);
            return Err(Fault::new(FaultKind::UpstreamError, format!("{said}; ask for a stream")).into());
        }
        if !held.grow(piece.len()) {
            let said = "too many whole answers are being collected at this moment; try again, or ask for a stream";
            return Err(Fault::new(FaultKind::GatewayUnavailable, said).retry_after(Duration::from_secs(1)).into());
        }
        match first {
            None => first = Some(piece),
            Some(_) => more.extend_from_slice(&piece),
        }
    }
    let body = joined(first, more);
    match tap::whole(plan.dialect, plan.operation, &body) {
        Ok(seen) => {
            lease.report(Outcome::Success);
            settlement.seen(seen);
            Ok(Whole { status: head.status, headers: head.headers.for_caller().collect(), body })
        }
        Err(not_whole) => {
            lease.report(Outcome::Failure(FailureKind::Cut));
            Err(Fault::new(FaultKind::UpstreamError, format!("the answer of {} {not_whole}", plan.provider)).into())
        }
    }
}

/// Most answers come in one piece, and need no copy.
fn joined(first: Option<Bytes>, more: BytesMut) -> Bytes {
    match first {
        None => Bytes::new(),
        Some(first) if more.is_empty() => first,
        Some(first) => {
            let mut all = BytesMut::with_capacity(first.len() + more.len());
            all.extend_from_slice(&first);
            all.extend_from_slice(&more);
            all.freeze()
        }
    }
}

/// Waits for the head, but no longer than a keepalive, and returns the caller's head with what pumps the rest.
///
/// # Errors
/// What opening the answer came to, when it was known in time for a status of its own.
pub async fn stream(
    opening: impl Future<Output = Result<Opened, Failed>> + 'static,
    plan: &Plan,
    keepalive: Duration,
    settlement: &mut Settlement,
) -> Result<(Vec<(HeaderName, HeaderValue)>, Pump), Failed> {
    let mut opening: LocalBoxFuture<'static, Result<Opened, Failed>> = Box::pin(opening);
    let (mut head, stage) = match tokio::time::timeout(keepalive, &mut opening).await {
        Ok(Ok(opened)) => {
            settlement.first_byte(opened.first_byte_took, opened.head.connected_in);
            (opened.head.headers.for_caller().collect(), Stage::Flowing(Box::new(opened)))
        }
        Ok(Err(failed)) => return Err(failed),
        Err(_) => (vec![(actix_http::header::CONTENT_TYPE, content_type(plan.delivery))], Stage::Overdue(opening)),
    };
    settlement.stream_opened();
    // Proxies that buffer would hold every event back.
    head.push((HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")));
    let mut pump = Pump {
        stage,
        keepalive,
        dialect: plan.dialect,
        delivery: plan.delivery,
        provider: plan.provider.clone(),
        request_id: plan.request_id.clone(),
        tap: Tap::new(plan.dialect, plan.delivery),
        filter: None,
    };
    pump.filter_usage();
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
    dialect: Dialect,
    delivery: Delivery,
    provider: ProviderName,
    request_id: RequestId,
    tap: Tap,
    filter: Option<UsageChunkFilter>,
}

enum Stage {
    /// No head yet, and the caller has been sent a keepalive.
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

impl Pump {
    /// Takes the usage chunk out, if it is ours.
    fn filter_usage(&mut self) {
        if let Stage::Flowing(opened) = &self.stage {
            self.filter = (opened.usage_chunk == UsageChunk::Ours).then(UsageChunkFilter::new);
        }
    }

    /// The next piece; `None` after a clean end. Dropping the future loses nothing.
    async fn next(&mut self) -> Option<Piece> {
        loop {
            match &mut self.stage {
                Stage::Over => return None,
                Stage::Overdue(opening) => {
                    // The first poll sends the keepalive that the head was sent for.
                    if !self.tap.keepalive_sent() {
                        return Some(Piece::Bytes(self.silence()));
                    }
                    match tokio::time::timeout(self.keepalive, opening).await {
                        Err(_) => return Some(Piece::Bytes(self.silence())),
                        Ok(Ok(opened)) => {
                            self.stage = Stage::Flowing(Box::new(opened));
                            self.filter_usage();
                        }
                        Ok(Err(failed)) => return Some(self.broken(failed.as_fault().clone())),
                    }
                }
                Stage::Flowing(opened) => match tokio::time::timeout(self.keepalive, opened.body.next()).await {
                    Err(_) if self.tap.at_event_boundary() => return Some(Piece::Bytes(self.silence())),
                    Err(_) => {}
                    Ok(Some(Ok(bytes))) => {
                        self.tap.push(&bytes);
                        let passed = match &mut self.filter {
                            Some(filter) => filter.push(bytes),
                            None => bytes,
                        };
                        if !passed.is_empty() {
                            return Some(Piece::Bytes(passed));
                        }
                    }
                    Ok(Some(Err(error))) => {
                        self.report(classify::failure(&error));
                        return Some(self.broken(error.into()));
                    }
                    Ok(None) => return self.end(),
                },
            }
        }
    }

    fn silence(&mut self) -> Bytes {
        self.tap.note_keepalive();
        Bytes::from_static(dialect::keepalive::keepalive(self.dialect, self.delivery))
    }

    /// The provider closed its answer: was that all of it?
    fn end(&mut self) -> Option<Piece> {
        if !self.tap.ended_legally() {
            self.report(Outcome::Failure(FailureKind::Cut));
            let said = format!("the stream of {} was cut before its end", self.provider);
            return Some(self.broken(Fault::new(FaultKind::UpstreamError, said)));
        }
        let rest = self.withheld();
        if let Some(error) = self.tap.seen().error {
            // Its own words have been passed on already.
            self.report(Outcome::Failure(FailureKind::Status));
            return Some(Piece::Broken(rest, Fault::new(FaultKind::UpstreamError, error.message)));
        }
        self.report(Outcome::Success);
        (!rest.is_empty()).then_some(Piece::Bytes(rest))
    }

    /// What the filter still holds; the caller has all that was pushed once it has this.
    fn withheld(&mut self) -> Bytes {
        self.filter.take().map(UsageChunkFilter::finish).unwrap_or_default()
    }

    fn report(&mut self, outcome: Outcome) {
        if let Stage::Flowing(opened) = std::mem::replace(&mut self.stage, Stage::Over) {
            opened.lease.report(outcome);
        }
    }

    fn broken(&mut self, fault: Fault) -> Piece {
        self.stage = Stage::Over;
        let mut last = BytesMut::from(self.withheld());
        last.extend_from_slice(&dialect::error::event(
            self.dialect,
            self.delivery,
            &fault,
            &self.request_id,
            &self.tap.position(),
        ));
        Piece::Broken(last.freeze(), fault)
    }
}

impl std::fmt::Debug for Pump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pump").field("dialect", &self.dialect).field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// A stream on its way to the caller. Dropped before its end, it closes the provider's connection and settles the call.
pub struct Relay(LocalBoxStream<'static, Bytes>);

/// A pump and what it will have come to.
struct Flow {
    pump: Box<Pump>,
    settlement: Settlement,
}

impl Relay {
    /// A relay that settles with `settlement` when the stream is over.
    pub fn new(pump: Box<Pump>, settlement: Settlement) -> Self {
        let flow = Box::new(Flow { pump, settlement });
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
    async fn step(mut self: Box<Self>) -> Option<(Bytes, Box<Self>)> {
        match self.pump.next().await {
            Some(Piece::Bytes(bytes)) => {
                self.settlement.passed(bytes.len());
                Some((bytes, self))
            }
            Some(Piece::Broken(ending, fault)) => {
                self.settlement.broke(&fault);
                // An empty piece would be the end of a chunked body.
                (!ending.is_empty()).then_some((ending, self))
            }
            None => {
                self.settlement.completed();
                None
            }
        }
    }
}

/// Whatever ended the stream, what was seen of it counts.
impl Drop for Flow {
    fn drop(&mut self) {
        self.settlement.seen(self.pump.tap.seen());
    }
}
