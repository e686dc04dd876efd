//! What became of a call, in the breaker's words.
//!
//! Connect errors, timeouts, 5xx (529 too), nonsense and cut answers are the provider's failures. A 4xx never is: it is
//! an answer. A 429 that says how long to wait is a cool-down. A caller that left is neither.

use std::time::{Duration, SystemTime};

use serde::Deserialize;

pub use self::call_error::CallError;

mod call_error;
mod retry_after;

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The provider did its work, or refused with good reason.
    Success,
    /// It did not.
    Failure(FailureKind),
    /// It asks for patience with this model.
    CoolDown(Duration),
    /// Nobody waited for the end.
    Abandoned,
}

/// How a provider failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// It could not be reached; the model had no part in it.
    Connect,
    /// It was reached and took too long.
    Timeout,
    /// It answered with a 5xx.
    Status,
    /// Its answer ended before its end.
    Cut,
    /// What it sent is not an answer.
    Nonsense,
}

impl FailureKind {
    /// The name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Status => "status",
            Self::Cut => "cut",
            Self::Nonsense => "nonsense",
        }
    }
}

/// A header of an answer by its lower-case name.
pub trait Lookup {
    /// Its value, if it was sent and is text.
    fn get(&self, name: &str) -> Option<&str>;
}

/// The outcome of a call that was answered in full.
///
/// `body` is read for Google's `RetryInfo` only, and only with a 429 that has no `retry-after`.
pub fn answer(status: u16, headers: &impl Lookup, body: Option<&[u8]>, now: SystemTime) -> Outcome {
    match status {
        429 => retry_after(headers, body, now).map_or(Outcome::Success, Outcome::CoolDown),
        100..=199 | 300..=399 => Outcome::Failure(FailureKind::Nonsense),
        500.. => Outcome::Failure(FailureKind::Status),
        _ => Outcome::Success,
    }
}

/// The outcome of a call that was not.
pub fn failure(error: &CallError) -> Outcome {
    match error {
        CallError::Connect(_) | CallError::ConnectTimeout => Outcome::Failure(FailureKind::Connect),
        CallError::FirstByteTimeout | CallError::IdleTimeout | CallError::TotalTimeout => {
            Outcome::Failure(FailureKind::Timeout)
        }
        CallError::Closed | CallError::Truncated => Outcome::Failure(FailureKind::Cut),
        CallError::Redirect(_) | CallError::Protocol(_) => Outcome::Failure(FailureKind::Nonsense),
        // Nothing was sent, so nothing is known.
        CallError::Unsupported(_) => Outcome::Abandoned,
    }
}

/// How long the provider asks to wait: `retry-after-ms`, `retry-after` in seconds or as a date, or in Google's body.
pub fn retry_after(headers: &impl Lookup, body: Option<&[u8]>, now: SystemTime) -> Option<Duration> {
    let in_ms = || retry_after::milliseconds(headers.get("retry-after-ms")?);
    let in_seconds = || retry_after::seconds_or_date(headers.get("retry-after")?, now);
    in_ms().or_else(in_seconds).or_else(|| google_retry_info(body?))
}

/// Google says it in the error's details:
/// <https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto> (`RetryInfo`). A stream without
/// `alt=sse` wraps the error in an array.
fn google_retry_info(body: &[u8]) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Body {
        error: Error,
    }
    #[derive(Deserialize)]
    struct Error {
        #[serde(default)]
        details: Vec<Detail>,
    }
    #[derive(Deserialize)]
    struct Detail {
        #[serde(rename = "@type", default)]
        kind: String,
        #[serde(rename = "retryDelay")]
        retry_delay: Option<String>,
    }
    let is_array = body.trim_ascii_start().starts_with(b"[");
    let body = if is_array {
        serde_json::from_slice::<[Body; 1]>(body).ok()?.into_iter().next()?
    } else {
        serde_json::from_slice(body).ok()?
    };
    let details = body.error.details;
    let info = details.into_iter().find(|detail| detail.kind.ends_with("google.rpc.RetryInfo"))?;
    retry_after::protobuf_duration(&info.retry_delay?)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::{CallError, FailureKind, Lookup, Outcome, answer, failure, retry_after};

    struct Headers(&'static [(&'static str, &'static str)]);

    impl Lookup for Headers {
        fn get(&self, name: &str) -> Option<&str> {
            self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
        }
    }

    const NONE: Headers = Headers(&[]);

    /// Sun, 06 Nov 1994 08:49:37 GMT
    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(784_111_777)
    }

    #[test]
    fn only_5xx_and_nonsense_are_failures() {
        for (status, outcome) in [
            (200, Outcome::Success),
            (400, Outcome::Success),
            (401, Outcome::Success),
            (404, Outcome::Success),
            (408, Outcome::Success),
            (429, Outcome::Success),
            (100, Outcome::Failure(FailureKind::Nonsense)),
            (302, Outcome::Failure(FailureKind::Nonsense)),
            (500, Outcome::Failure(FailureKind::Status)),
            (503, Outcome::Failure(FailureKind::Status)),
            (529, Outcome::Failure(FailureKind::Status)),
        ] {
            assert_eq!(answer(status, &NONE, None, now()), outcome, "{status}");
        }
    }

    #[test]
    fn a_429_cools_down_for_as_long_as_it_says() {
        for (headers, seconds) in [
            (Headers(&[("retry-after", "20")]), 20.0),
            (Headers(&[("retry-after", "0.5")]), 0.5),
            (Headers(&[("retry-after", "7"), ("retry-after-ms", "1500")]), 1.5),
            (Headers(&[("retry-after", "7"), ("retry-after-ms", "soon")]), 7.0),
            (Headers(&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")]), 30.0),
        ] {
            let outcome = answer(429, &headers, None, now());
            assert_eq!(outcome, Outcome::CoolDown(Duration::from_secs_f64(seconds)), "{:?}", headers.0);
        }
    }

    #[test]
    fn a_retry_after_that_makes_no_sense_is_none() {
        for value in ["", "-1", "NaN", "inf", "1e400", "later", "Sun, 06 Nov 1994 08:49:37 GMT", "99999999999999999999"]
        {
            let headers: &'static [(&str, &str)] = Box::leak(Box::new([("retry-after", value)]));
            let parsed = retry_after(&Headers(headers), None, now());
            assert!(parsed.is_none_or(|wait| wait > Duration::ZERO && wait <= Duration::from_secs(86_400)), "{value}");
        }
    }

    #[test]
    fn googles_retry_info_is_read_from_the_body() {
        let body = include_bytes!("../../tests/fixtures/errors/gemini/google-429-retry-info.json");
        assert_eq!(
            answer(429, &NONE, Some(body), now()),
            Outcome::CoolDown(Duration::from_millis(34_400)),
            "as generateContent sends it"
        );
        let array = [b"[".as_slice(), body, b"]"].concat();
        assert_eq!(answer(429, &NONE, Some(&array), now()), Outcome::CoolDown(Duration::from_millis(34_400)));
        for body in
            ["", "{}", "[]", "{\"error\":{}}", "{\"error\":{\"details\":[{\"@type\":\"x.google.rpc.RetryInfo\"}]}}"]
        {
            assert_eq!(answer(429, &NONE, Some(body.as_bytes()), now()), Outcome::Success, "{body}");
        }
    }

    #[test]
    fn each_call_error_has_its_outcome() {
        for (error, kind) in [
            (CallError::Connect("connection refused".into()), FailureKind::Connect),
            (CallError::ConnectTimeout, FailureKind::Connect),
            (CallError::FirstByteTimeout, FailureKind::Timeout),
            (CallError::IdleTimeout, FailureKind::Timeout),
            (CallError::TotalTimeout, FailureKind::Timeout),
            (CallError::Closed, FailureKind::Cut),
            (CallError::Truncated, FailureKind::Cut),
            (CallError::Redirect(307), FailureKind::Nonsense),
            (CallError::Protocol("an early reply".into()), FailureKind::Nonsense),
        ] {
            assert_eq!(failure(&error), Outcome::Failure(kind), "{error}");
        }
        assert_eq!(failure(&CallError::Unsupported("nothing".into())), Outcome::Abandoned);
    }
}
