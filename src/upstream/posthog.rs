//! Hands batches of events to PostHog.
//!
//! What the answers mean is PostHog's own doing: `rust/capture/src/api.rs` in its repository, and posthog-python's consumer. A
//! batch is taken or refused as a whole, and a refusal does not say which event it is about.

use std::time::{Duration, SystemTime};

use actix_http::header::{self, HeaderValue};
use bytes::Bytes;
use url::Url;

use super::classify::{CallError, retry_after};
use super::client::{Client, Post, Tls};
use super::endpoint::Origin;
use crate::config::timeouts::Timeouts;

/// An answer's body is of no interest, but its connection is.
const ANSWER_MAX: usize = 64 * 1024;

/// One project's way in, from one thread.
pub struct PostHog {
    client: Client,
    post: Post,
    timeouts: Timeouts,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// PostHog has it.
    Taken,
    /// It is too large: 413.
    TooLarge,
    /// Something in it is malformed: 400 or 422.
    Malformed,
    /// It has to be sent again.
    Again {
        /// Why.
        why: Trouble,
        /// How long PostHog asks to wait.
        after: Option<Duration>,
        /// The same for people.
        words: String,
    },
}

/// Why a batch has to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// PostHog was not reached, or the connection was cut.
    Network,
    /// It did not answer in time.
    Timeout,
    /// 429.
    RateLimited,
    /// 401 or 403: the key is wrong.
    Unauthorized,
    /// 5xx, or 408.
    Server,
    /// Anything else: that is not PostHog.
    Unexpected,
}

impl PostHog {
    /// Below this URL.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the URL.
    pub fn at(host: &Url, tls: Tls, timeout: Duration) -> Result<Self, String> {
        let mut url = host.clone();
        url.set_path(&format!("{}/batch/", host.path().trim_end_matches('/')));
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (header::CONTENT_ENCODING, HeaderValue::from_static("gzip")),
        ];
        let connect = timeout.min(Duration::from_secs(10));
        let timeouts = Timeouts { connect, first_byte: timeout, idle: timeout, total: timeout };
        Ok(Self { client: Client::new(Origin::of(&url)?, tls), post: Post::to(&url, &headers)?, timeouts })
    }

    /// Sends a batch, compressed by gzip.
    pub async fn send(&self, body: Bytes) -> Verdict {
        match self.client.post(&self.post, body, &self.timeouts).await {
            Ok((head, mut body)) => {
                let mut read = 0;
                // What is not read to its end closes its connection.
                while let Some(Ok(piece)) = body.next().await {
                    read += piece.len();
                    if read > ANSWER_MAX {
                        break;
                    }
                }
                verdict(head.status, retry_after(&head.headers, None, SystemTime::now()))
            }
            Err(error) => Verdict::Again { why: trouble(&error), after: None, words: words(&error) },
        }
    }
}

impl std::fmt::Debug for PostHog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostHog").field("origin", self.client.origin()).finish_non_exhaustive()
    }
}

fn verdict(status: u16, after: Option<Duration>) -> Verdict {
    let again = |why| Verdict::Again { why, after, words: format!("it answered {status}") };
    match status {
        200..=299 => Verdict::Taken,
        413 => Verdict::TooLarge,
        400 | 422 => Verdict::Malformed,
        401 | 403 => again(Trouble::Unauthorized),
        429 => again(Trouble::RateLimited),
        408 | 500..=599 => again(Trouble::Server),
        // A wrong host, or something in between. The events are not to blame.
        _ => again(Trouble::Unexpected),
    }
}

fn trouble(error: &CallError) -> Trouble {
    match error {
        CallError::Connect(_) | CallError::Closed | CallError::Truncated => Trouble::Network,
        CallError::ConnectTimeout | CallError::FirstByteTimeout | CallError::IdleTimeout | CallError::TotalTimeout => {
            Trouble::Timeout
        }
        CallError::Redirect(_) | CallError::Protocol(_) | CallError::Unsupported(_) => Trouble::Unexpected,
    }
}

/// Its own sentences speak of providers and their settings.
fn words(error: &CallError) -> String {
    match error {
        CallError::Connect(why) => format!("it could not be reached: {why}"),
        CallError::ConnectTimeout => "it could not be reached in time".to_owned(),
        CallError::FirstByteTimeout | CallError::IdleTimeout | CallError::TotalTimeout => {
            "it did not answer within `analytics.timeout`".to_owned()
        }
        CallError::Closed | CallError::Truncated => "it closed the connection without an answer".to_owned(),
        CallError::Redirect(status) => format!("it answered with a redirect ({status}): correct `analytics.host`"),
        CallError::Protocol(_) | CallError::Unsupported(_) => "what it answered makes no sense".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Trouble, Verdict, verdict};

    #[test]
    fn only_what_the_events_are_to_blame_for_is_refused() {
        for status in [200, 204] {
            assert_eq!(verdict(status, None), Verdict::Taken);
        }
        assert_eq!(verdict(413, None), Verdict::TooLarge);
        for status in [400, 422] {
            assert_eq!(verdict(status, None), Verdict::Malformed);
        }
        for (status, expected) in [
            (401, Trouble::Unauthorized),
            (403, Trouble::Unauthorized),
            (404, Trouble::Unexpected),
            (405, Trouble::Unexpected),
            (408, Trouble::Server),
            (429, Trouble::RateLimited),
            (500, Trouble::Server),
            (503, Trouble::Server),
        ] {
            assert!(matches!(verdict(status, None), Verdict::Again { why, .. } if why == expected), "{status}");
        }
    }
}
