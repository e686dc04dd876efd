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

/// How many spans wait at most.
const MOST: usize = 8192;

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
    waiting: RefCell<VecDeque<Vec<u8>>>,
    news: Notify,
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
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= MOST {
            waiting.pop_front();
            self.shared.counts.spans_dropped(1);
        }
        waiting.push_back(span);
        drop(waiting);
        self.news.notify_one();
    }

    /// Sends them, for ever.
    pub(super) async fn deliver(&self, collector: &Collector) {
        loop {
            if self.waiting.borrow().is_empty() {
                self.news.notified().await;
            }
            if self.waiting.borrow().len() < BATCH {
                sleep(LINGER).await;
            }
            self.send_batch(collector, ATTEMPTS).await;
        }
    }

    /// Sends what waits, once, for the end.
    pub(super) async fn send_all(&self, collector: &Collector) {
        while !self.waiting.borrow().is_empty() {
            self.send_batch(collector, 1).await;
        }
    }

    async fn send_batch(&self, collector: &Collector, attempts: u32) {
        let batch: Vec<Vec<u8>> = {
            let mut waiting = self.waiting.borrow_mut();
            let most = waiting.len().min(BATCH);
            waiting.drain(..most).collect()
        };
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
