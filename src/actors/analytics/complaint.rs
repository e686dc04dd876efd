//! Says that events were dropped: at once, and then once a minute at most.

use std::time::{Duration, Instant};

/// How often it is said.
const EVERY: Duration = Duration::from_secs(60);

/// What was last said.
#[derive(Debug, Default)]
pub(super) struct Complaint {
    said: Option<Instant>,
    dropped: Vec<(&'static str, u64)>,
}

impl Complaint {
    /// What to say at this moment, given how many events were dropped for each reason since the start; each is said once.
    pub(super) fn due(&mut self, dropped: Vec<(&'static str, u64)>, now: Instant) -> Option<String> {
        if self.said.is_some_and(|said| now.saturating_duration_since(said) < EVERY) {
            return None;
        }
        let before =
            |reason: &str| self.dropped.iter().find(|(other, _)| *other == reason).map_or(0, |(_, count)| *count);
        let words: Vec<String> = dropped
            .iter()
            .map(|(reason, count)| (reason, count.saturating_sub(before(reason))))
            .filter(|(_, fresh)| *fresh > 0)
            .map(|(reason, fresh)| format!("{reason} {fresh}"))
            .collect();
        if words.is_empty() {
            return None;
        }
        *self = Self { said: Some(now), dropped };
        Some(words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Complaint;

    #[test]
    fn what_was_dropped_is_said_at_once_and_then_once_a_minute() {
        let (mut complaint, begun) = (Complaint::default(), Instant::now());
        let mut due = |after: u64, full: u64, old: u64| {
            complaint.due(vec![("spool_full", full), ("too_old", old)], begun + Duration::from_secs(after))
        };
        assert_eq!(due(0, 0, 0), None, "nothing was dropped");
        assert_eq!(due(1, 3, 0).as_deref(), Some("spool_full 3"));
        assert_eq!(due(2, 4, 0), None);
        assert_eq!(due(60, 9, 2), None, "59 s later");
        assert_eq!(due(61, 10, 2).as_deref(), Some("spool_full 7, too_old 2"));
        assert_eq!(due(200, 10, 2), None, "all of it was said");
        assert_eq!(due(201, 11, 2).as_deref(), Some("spool_full 1"));
    }
}
