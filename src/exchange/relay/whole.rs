//! Reads an answer whole: to its end, within a bound, and known to be one.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::exchange::dispatch::{Opened, in_band, kind_of};
use crate::exchange::memory::MemoryBound;
use crate::exchange::plan::Plan;
use crate::exchange::reply::{Failed, ProviderFailure, Whole};
use crate::exchange::settle::Settlement;
use crate::fault::{Fault, FaultKind};
use crate::translate::tap;
use crate::upstream::classify::{self, FailureKind, Outcome};

/// Collects an answer to its end and makes sure that it is one.
///
/// # Errors
/// 504 when it took too long; 502 when it was cut, is no JSON, or is larger than `limit`; 503 when all answers together
/// would hold too much; else what opening it came to.
pub async fn whole(
    opening: impl Future<Output = Result<Opened, Failed>>,
    plan: &Plan,
    memory: &Arc<MemoryBound>,
    limit: usize,
    settlement: &mut Settlement,
) -> Result<Whole, Failed> {
    settlement.attempt();
    let Opened { head, mut body, lease, first_byte_took, .. } = opening.await?;
    settlement.first_byte(first_byte_took, head.connected_in);
    let mut held = memory.begin();
    let mut reading = Reading::of(plan, settlement);
    while let Some(piece) = body.next().await {
        let piece = match piece {
            Ok(piece) => piece,
            Err(error) => {
                lease.report(classify::failure(&error));
                return Err(Fault::from(error).into());
            }
        };
        let (length, is_too_large) = (piece.len(), reading.len() + piece.len() > limit);
        reading.push(piece);
        if is_too_large {
            let said = format!("the answer of {} is larger than the {limit} bytes that are held", plan.provider);
            return Err(Fault::new(FaultKind::AnswerTooLarge, format!("{said}; ask for a stream")).into());
        }
        if !held.grow(length) {
            let said = "too many whole answers are being collected at this moment; try again, or ask for a stream";
            return Err(Fault::new(FaultKind::GatewayUnavailable, said).retry_after(Duration::from_secs(1)).into());
        }
    }
    match plan.answer(&head, reading.all()) {
        Ok((mut answer, seen)) => {
            (reading.is_done, reading.first) = (true, None);
            let settlement = &mut *reading.settlement;
            answer.held = Some(held);
            let fault = seen.error.as_ref().map(|error| {
                let status = (answer.status >= 400).then_some(answer.status);
                let kind = status.map_or(FaultKind::UpstreamError, kind_of);
                Fault { status, ..Fault::new(kind, error.message.clone()) }
            });
            lease.report(seen.error.as_ref().map_or(Outcome::Success, in_band));
            if fault.is_some() {
                plan.progress.left(seen.clone());
            }
            settlement.seen(seen);
            match fault {
                None => Ok(answer),
                // The provider's own words, with a status of success.
                Some(fault) if fault.status.is_none() => {
                    settlement.broke(&fault);
                    Ok(answer)
                }
                Some(fault) => Err(Failed::Provider(Box::new(ProviderFailure { answer, fault }))),
            }
        }
        Err(fault) => {
            lease.report(Outcome::Failure(FailureKind::Cut));
            Err(fault.into())
        }
    }
}

/// A whole answer on its way. Whatever ends that before it is known to be one, what had come by then counts.
struct Reading<'s> {
    plan: &'s Plan,
    settlement: &'s mut Settlement,
    first: Option<Bytes>,
    more: BytesMut,
    is_done: bool,
}

impl<'s> Reading<'s> {
    fn of(plan: &'s Plan, settlement: &'s mut Settlement) -> Self {
        Self { plan, settlement, first: None, more: BytesMut::new(), is_done: false }
    }

    fn len(&self) -> usize {
        self.first.as_ref().map_or(0, Bytes::len) + self.more.len()
    }

    fn push(&mut self, piece: Bytes) {
        match self.first {
            None => self.first = Some(piece),
            Some(_) => self.more.extend_from_slice(&piece),
        }
    }

    /// All of it. Most answers come in one piece, and need no copy.
    fn all(&mut self) -> Bytes {
        let more = std::mem::take(&mut self.more);
        if let Some(first) = self.first.as_ref().filter(|_| !more.is_empty()) {
            let mut all = BytesMut::with_capacity(first.len() + more.len());
            all.extend_from_slice(first);
            all.extend_from_slice(&more);
            self.first = Some(all.freeze());
        }
        self.first.clone().unwrap_or_default()
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            let held = self.all();
            let seen = tap::cut(self.plan.dialect, &held);
            self.plan.progress.left(seen.clone());
            self.settlement.seen(seen);
        }
    }
}
