//! Decides whether a call that got no answer is made again on a fresh connection.

use super::classify::CallError;

/// How far a call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It went out on a connection made for it.
    Fresh,
    /// It went out on a connection that was kept from an earlier call, and nothing came back.
    Kept,
    /// Something of an answer was seen.
    Answered,
}

/// Whether one more attempt, on a fresh connection, is right.
///
/// A provider may close a kept connection in the very moment in which it is used again. It then has not begun with the
/// call, as far as anybody can tell: any other failure may have cost something, and is not repeated here.
pub fn is_worth_a_fresh_connection(error: &CallError, progress: Progress) -> bool {
    match (error, progress) {
        (CallError::Closed, Progress::Kept) => true,
        (CallError::Closed, Progress::Fresh | Progress::Answered) => false,
        (
            CallError::Connect(_)
            | CallError::ConnectTimeout
            | CallError::FirstByteTimeout
            | CallError::IdleTimeout
            | CallError::TotalTimeout
            | CallError::Truncated
            | CallError::Redirect(_)
            | CallError::Protocol(_)
            | CallError::Unsupported(_),
            Progress::Fresh | Progress::Kept | Progress::Answered,
        ) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Progress, is_worth_a_fresh_connection};
    use crate::upstream::classify::CallError;

    #[test]
    fn only_a_kept_connection_that_was_found_closed_is_worth_it() {
        assert!(is_worth_a_fresh_connection(&CallError::Closed, Progress::Kept));
        assert!(!is_worth_a_fresh_connection(&CallError::Closed, Progress::Fresh));
        assert!(!is_worth_a_fresh_connection(&CallError::Closed, Progress::Answered));
        for error in [
            CallError::Connect("connection refused".into()),
            CallError::ConnectTimeout,
            CallError::FirstByteTimeout,
            CallError::Truncated,
        ] {
            assert!(!is_worth_a_fresh_connection(&error, Progress::Kept), "{error}");
        }
    }
}
