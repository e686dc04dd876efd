//! The ways in which providers write how long to wait.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};

/// A longer wait than this is not meant.
const MAX: Duration = Duration::from_secs(86_400);

/// `retry-after-ms`, as OpenAI sends it.
pub(super) fn milliseconds(text: &str) -> Option<Duration> {
    sane(text.trim().parse::<f64>().ok()? / 1e3)
}

/// `retry-after`: seconds, with a fraction at times, or an HTTP date (RFC 9110, 10.2.3).
pub(super) fn seconds_or_date(text: &str, now: SystemTime) -> Option<Duration> {
    match text.trim().parse::<f64>() {
        Ok(seconds) => sane(seconds),
        Err(_) => {
            let date = SystemTime::from(DateTime::parse_from_rfc2822(text.trim()).ok()?.with_timezone(&Utc));
            sane(date.duration_since(now).ok()?.as_secs_f64())
        }
    }
}

/// `34.4s`, as protobuf writes a duration in JSON.
pub(super) fn protobuf_duration(text: &str) -> Option<Duration> {
    sane(text.strip_suffix('s')?.parse::<f64>().ok()?)
}

fn sane(seconds: f64) -> Option<Duration> {
    let is_wait = seconds.is_finite() && seconds > 0.0;
    is_wait.then(|| Duration::from_secs_f64(seconds.min(MAX.as_secs_f64())))
}
