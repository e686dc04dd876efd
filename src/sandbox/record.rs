//! What a sandbox got, byte for byte, and when its callers left.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;

/// One request as it came over the wire.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Which connection it came on, counted from 0: requests with the same number shared it.
    pub connection: usize,
    /// `POST`.
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// Names as spelled, values as sent, in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The whole head, up to and with its empty line.
    pub head: Bytes,
    /// The body, freed of chunked coding.
    pub body: Bytes,
    /// Whether the body arrived to its end.
    pub complete: bool,
    /// When the head was there.
    pub arrived: Instant,
    /// When the caller's end of the connection was seen to close while this request was being answered, or cut off.
    pub peer_closed: Option<Instant>,
    /// When the last byte of the answer was handed to the kernel.
    pub answered: Option<Instant>,
}

impl Recorded {
    /// The first value of a header, by its name in any spelling; none also when it isn't text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(candidate, _)| candidate.eq_ignore_ascii_case(name))
            .and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// The body as JSON; `null` when it isn't.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The target up to the query.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The target's query, without the question mark.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }
}

/// In bytes.
const MOST_KEPT: usize = 256 << 20;

/// Everything that happened, for tests to look at and to wait for.
#[derive(Debug, Default)]
pub(super) struct Log {
    happened: Mutex<Happened>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Happened {
    requests: Vec<Recorded>,
    /// Bytes of the bodies that are kept.
    kept: usize,
    /// How many of the requests have lost their bodies again.
    forgotten: usize,
    accepted: usize,
    open: usize,
}

impl Happened {
    /// A sandbox may serve for days, so the oldest bodies are forgotten when there are too many of them.
    fn remember(&mut self, request: Recorded) {
        self.kept += request.body.len();
        self.requests.push(request);
        while self.kept > MOST_KEPT
            && let Some(oldest) = self.requests.get_mut(self.forgotten)
        {
            self.kept -= oldest.body.len();
            self.forgotten += 1;
            (oldest.body, oldest.head) = (Bytes::new(), Bytes::new());
        }
    }
}

/// What a condition may look at.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// All requests so far.
    pub requests: &'a [Recorded],
    /// Connections accepted so far.
    pub connections: usize,
    /// Connections open now.
    pub open: usize,
}

impl Log {
    pub(super) fn connected(&self) -> usize {
        let number = {
            let mut happened = self.lock();
            happened.open += 1;
            happened.accepted += 1;
            happened.accepted - 1
        };
        self.tell();
        number
    }

    pub(super) fn disconnected(&self) {
        self.lock().open -= 1;
        self.tell();
    }

    /// Returns the request's number.
    pub(super) fn request(&self, request: Recorded) -> usize {
        let number = {
            let mut happened = self.lock();
            happened.remember(request);
            happened.requests.len() - 1
        };
        self.tell();
        number
    }

    pub(super) fn peer_closed(&self, number: usize, at: Instant) {
        if let Some(request) = self.lock().requests.get_mut(number) {
            request.peer_closed = Some(at);
        }
        self.tell();
    }

    pub(super) fn answered(&self, number: usize, at: Instant) {
        if let Some(request) = self.lock().requests.get_mut(number) {
            request.answered = Some(at);
        }
        self.tell();
    }

    pub(super) fn look<T>(&self, look: impl FnOnce(Seen<'_>) -> T) -> T {
        let happened = self.lock();
        look(Seen { requests: &happened.requests, connections: happened.accepted, open: happened.open })
    }

    pub(super) async fn until<T>(&self, mut condition: impl FnMut(Seen<'_>) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            if let Some(met) = self.look(&mut condition) {
                return met;
            }
            // It can't fail: `self` keeps the sender alive.
            let _ = changed.changed().await;
        }
    }

    fn tell(&self) {
        self.changed.send_modify(|version| *version += 1);
    }

    fn lock(&self) -> MutexGuard<'_, Happened> {
        self.happened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_bodies_are_forgotten_when_there_are_too_many() {
        let log = Log::default();
        let body = Bytes::from(vec![0; MOST_KEPT / 2]);
        for _ in 0..3 {
            log.request(Recorded {
                connection: 0,
                method: "POST".to_owned(),
                target: "/".to_owned(),
                headers: Vec::new(),
                head: Bytes::new(),
                body: body.clone(),
                complete: true,
                arrived: Instant::now(),
                peer_closed: None,
                answered: None,
            });
        }
        let kept: Vec<usize> = log.look(|seen| seen.requests.iter().map(|request| request.body.len()).collect());
        assert_eq!(kept, [0, MOST_KEPT / 2, MOST_KEPT / 2]);
    }
}
