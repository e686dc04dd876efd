//! Timestamps: calls come many in a second, and all of it but the milliseconds is written once.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};

/// Where the milliseconds stand in `2026-01-02T03:04:05.678Z`, and how long that is.
const MILLIS: usize = 20;
const LEN: usize = 24;

/// The second of the last timestamp.
#[derive(Debug, Default)]
pub(super) struct Second {
    since_1970: Option<u64>,
    text: String,
}

impl Second {
    /// A moment as ISO 8601 has it, in UTC, with milliseconds.
    pub(super) fn timestamp(&mut self, moment: SystemTime) -> &str {
        let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.since_1970 == Some(since.as_secs()) && self.text.len() == LEN {
            let millis = since.subsec_millis();
            self.text.truncate(MILLIS);
            self.text.extend([100, 10, 1].map(|place| char::from_digit(millis / place % 10, 10).unwrap_or('0')));
            self.text.push('Z');
        } else {
            self.since_1970 = Some(since.as_secs());
            self.text = DateTime::<Utc>::from(moment).to_rfc3339_opts(SecondsFormat::Millis, true);
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_moment_is_written_as_the_calendar_has_it() {
        let mut second = Second::default();
        let day = 1_764_000_000_000_u64;
        for millis in [0, 1, 999, 1000, 1234, 59_999, 60_000, 60_010, 3_600_100, 86_400_000, 86_399_999, 0] {
            let moment = UNIX_EPOCH + Duration::from_millis(day + millis);
            let expected = DateTime::<Utc>::from(moment).to_rfc3339_opts(SecondsFormat::Millis, true);
            assert_eq!(second.timestamp(moment), expected);
        }
    }
}
