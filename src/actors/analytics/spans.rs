//! Sends spans to OpenTelemetry's collector, as well as it goes: they wait in memory, and not for long.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix_http::header::{self, HeaderValue};
use actix_rt::time::sleep;
use tokio::sync::Notify;
use url::Url;

use super::Shared;
use crate::analytics::event::span::request;
use crate::config::timeouts::Timeouts;
use crate::upstream::client::{Client, Post, Tls};
use crate::upstream::endpoint::Origin;

/// How many spans wait at most, and how many bytes of them.
const MOST: usize = 8192;
const MOST_BYTES: usize = 16 << 20;

/// How many are sent together at most.
const BATCH: usize = 512;

/// How long a span waits for others.
const LINGER: Duration = Duration::from_secs(1);

/// How often a batch is sent that the collector does not take.
const ATTEMPTS: u32 = 3;

/// How long the collector may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Spans on their way.
#[derive(Debug)]
pub(super) struct Spans {
    shared: Arc<Shared>,
    waiting: RefCell<Waiting>,
    news: Notify,
}

/// Those that wait, in the order in which they came.
#[derive(Debug, Default)]
struct Waiting {
    spans: VecDeque<Vec<u8>>,
    bytes: usize,
}

/// Where they go.
pub(super) struct Collector {
    client: Client,
    post: Post,
    timeouts: Timeouts,
}

impl Collector {
    /// `/v1/traces` below this URL, as the protocol has it.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the URL.
    pub(super) fn at(endpoint: &Url, tls: Tls) -> Result<Self, String> {
        let mut url = endpoint.clone();
        url.set_path(&format!("{}/v1/traces", endpoint.path().trim_end_matches('/')));
        let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        let timeouts = Timeouts { connect: TIMEOUT, first_byte: TIMEOUT, idle: TIMEOUT, total: TIMEOUT };
        Ok(Self { client: Client::new(Origin::of(&url)?, tls), post: Post::to(&url, &headers)?, timeouts })
    }

    /// The status; none if there was no answer.
    async fn send(&self, body: Vec<u8>) -> Option<u16> {
        let (head, mut body) = self.client.post(&self.post, body.into(), &self.timeouts).await.ok()?;
        while let Some(Ok(_)) = body.next().await {}
        Some(head.status)
    }
}

impl Spans {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, waiting: RefCell::default(), news: Notify::new() }
    }

    /// Takes one in; the oldest makes room.
    pub(super) fn push(&self, span: Vec<u8>) {
        let dropped = self.waiting.borrow_mut().push(span);
        self.shared.counts.spans_dropped(dropped);
        self.news.notify_one();
    }

    /// Sends them, for ever.
    pub(super) async fn deliver(&self, collector: &Collector) {
        loop {
            if self.waiting.borrow().spans.is_empty() {
                self.news.notified().await;
            }
            if self.waiting.borrow().spans.len() < BATCH {
                sleep(LINGER).await;
            }
            self.send_batch(collector, ATTEMPTS).await;
        }
    }

    /// Sends what waits, once, for the end.
    pub(super) async fn send_all(&self, collector: &Collector) {
        while !self.waiting.borrow().spans.is_empty() {
            self.send_batch(collector, 1).await;
        }
    }

    async fn send_batch(&self, collector: &Collector, attempts: u32) {
        let batch = self.waiting.borrow_mut().take();
        let spans = batch.len() as u64;
        for attempt in 1..=attempts {
            match collector.send(request(&batch)).await {
                Some(200..=299) => return self.shared.counts.spans_sent(spans),
                // Those that the protocol names as worth another attempt, and silence.
                None | Some(429 | 502 | 503 | 504) if attempt < attempts => sleep(LINGER * attempt).await,
                Some(_) | None => break,
            }
        }
        self.shared.counts.spans_dropped(spans);
        tracing::debug!(spans, "the collector of OpenTelemetry did not take spans");
    }
}

impl Waiting {
    /// Puts one behind the others; the oldest make room. Returns how many these were.
    fn push(&mut self, span: Vec<u8>) -> u64 {
        self.bytes += span.len();
        self.spans.push_back(span);
        let mut dropped = 0;
        while self.spans.len() > MOST || self.bytes > MOST_BYTES {
            let Some(oldest) = self.spans.pop_front() else { break };
            self.bytes -= oldest.len();
            dropped += 1;
        }
        dropped
    }

    /// The oldest, as many as are sent together.
    fn take(&mut self) -> Vec<Vec<u8>> {
        let most = self.spans.len().min(BATCH);
        let batch: Vec<Vec<u8>> = self.spans.drain(..most).collect();
        self.bytes -= batch.iter().map(Vec::len).sum::<usize>();
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::{BATCH, MOST, MOST_BYTES, Waiting};

    #[test]
    fn spans_are_bounded_by_number_and_by_bytes_and_the_oldest_go() {
        let mut many = Waiting::default();
        assert_eq!((0..MOST + 3).map(|_| many.push(vec![1])).sum::<u64>(), 3);
        assert_eq!(many.spans.len(), MOST);
        let mut large = Waiting::default();
        assert_eq!((0..3).map(|at| large.push(vec![at; MOST_BYTES / 2])).sum::<u64>(), 1);
        assert_eq!((large.spans[0][0], large.bytes), (1, MOST_BYTES));
        assert_eq!(large.push(vec![9; MOST_BYTES + 1]), 3);
        assert_eq!(large.bytes, 0);
    }

    #[test]
    fn what_is_taken_is_not_held_any_more() {
        let mut waiting = Waiting::default();
        (0..=BATCH).for_each(|_| assert_eq!(waiting.push(vec![1, 2]), 0));
        assert_eq!((waiting.take().len(), waiting.bytes), (BATCH, 2));
        assert_eq!((waiting.take().len(), waiting.bytes), (1, 0));
    }
}
