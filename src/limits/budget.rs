//! Whether a call may be made, given what was spent and what is promised to calls under way.

use std::time::Duration;

use crate::limits::window::{LedgerTime, Spent, WindowLength};
use crate::money::NanoUsd;

/// One counter as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How much may be spent in a window.
    pub limit: NanoUsd,
    /// The window.
    pub length: WindowLength,
    /// What was spent, by all instances as far as known.
    pub spent: Spent,
    /// What calls under way have reserved.
    pub reserved: NanoUsd,
}

/// What there is for the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// What is left, reservations taken off; never below zero.
    pub remaining: NanoUsd,
    /// How long until a call is admitted again; zero while anything is left.
    pub reset: Duration,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may go.
    Admit,
    /// There is room, but calls under way may use it up: wait for one of them to settle.
    Wait,
    /// The limit is spent.
    Refuse {
        /// When a call of this size is admitted again.
        after: Duration,
    },
}

impl Standing {
    /// Whether a call that is estimated at `estimate` may go at `at`.
    ///
    /// A lone caller is never refused because of an estimate: as long as anything is left and nothing is reserved, the call
    /// goes, and what it really costs is what counts.
    pub fn verdict(&self, estimate: NanoUsd, at: LedgerTime) -> Verdict {
        let spent = self.spent.within(self.length, at);
        if spent >= self.limit {
            return Verdict::Refuse { after: self.admits_in(estimate, at) };
        }
        if self.reserved <= NanoUsd::ZERO || spent + self.reserved + estimate <= self.limit {
            return Verdict::Admit;
        }
        Verdict::Wait
    }

    /// What there is for the next call.
    pub fn room(&self, at: LedgerTime) -> Room {
        let left = self.limit - self.spent.within(self.length, at);
        Room {
            remaining: (left - self.reserved).max(NanoUsd::ZERO),
            reset: if left > NanoUsd::ZERO { Duration::ZERO } else { self.admits_again_in(at) },
        }
    }

    /// How long until a call is admitted again: zero while anything is left.
    pub fn admits_again_in(&self, at: LedgerTime) -> Duration {
        self.spent.until_at_most(self.limit - NanoUsd(1), self.length, at)
    }

    /// How long until a call that is estimated at `estimate` is admitted, if those under way cost what they have reserved: zero
    /// while anything is left. What fits only after a whole window, or never, is tried then at the latest: a lone call may go.
    pub fn admits_in(&self, estimate: NanoUsd, at: LedgerTime) -> Duration {
        let alone = self.admits_again_in(at);
        if alone.is_zero() {
            return alone;
        }
        let promised = Spent { current: self.spent.current + self.reserved, ..self.spent };
        let fits = promised.until_at_most(self.limit - estimate, self.length, at);
        alone.max(fits.min(Duration::from_millis(self.length.as_ms())))
    }

    /// How much of the limit is used, from 0 up.
    pub fn used_share(&self, at: LedgerTime) -> f64 {
        self.spent.within(self.length, at).0 as f64 / self.limit.0.max(1) as f64
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const NOON: LedgerTime = LedgerTime(12 * 3_600_000);

    fn standing(limit: i64, current: i64, reserved: i64) -> Standing {
        Standing {
            limit: NanoUsd(limit),
            length: WindowLength::new(Duration::from_secs(3600)).unwrap(),
            spent: Spent { current: NanoUsd(current), previous: NanoUsd::ZERO },
            reserved: NanoUsd(reserved),
        }
    }

    #[test]
    fn a_call_that_fits_goes() {
        assert_eq!(standing(100, 50, 30).verdict(NanoUsd(20), NOON), Verdict::Admit);
    }

    #[test]
    fn a_lone_caller_is_not_refused_for_an_estimate() {
        assert_eq!(standing(100, 99, 0).verdict(NanoUsd(1_000_000), NOON), Verdict::Admit);
    }

    #[test]
    fn concurrent_callers_wait_for_one_another_near_the_limit() {
        assert_eq!(standing(100, 50, 40).verdict(NanoUsd(20), NOON), Verdict::Wait);
    }

    #[test]
    fn a_spent_limit_refuses_and_says_when_it_frees() {
        let Verdict::Refuse { after } = standing(100, 100, 0).verdict(NanoUsd(0), NOON) else {
            unreachable!("the limit is spent")
        };
        assert!(after > Duration::from_secs(3600) && after < Duration::from_secs(3700), "{after:?}");
    }

    /// At half past twelve, so that a window that began at noon is half over.
    fn waits(current: i64, reserved: i64, estimate: i64) -> u64 {
        let at = LedgerTime(NOON.0 + 1_800_000);
        standing(100, current, reserved).admits_in(NanoUsd(estimate), at).as_secs()
    }

    #[test]
    fn the_larger_a_call_the_longer_it_has_to_wait() {
        // Half an hour to the edge, and from there on a hundredth of the hour for each hundredth of the limit.
        assert_eq!(waits(100, 0, 10), 1_800 + 360);
        assert_eq!(waits(100, 0, 40), 1_800 + 1_440);
        assert_eq!(waits(100, 10, 40), 1_800 + 1_636, "what is reserved may have been spent by then");
    }

    #[test]
    fn a_call_that_never_fits_is_told_to_come_back_after_a_window() {
        assert_eq!(waits(100, 0, 1_000_000), 3_600);
        assert_eq!(waits(100, 0, i64::MAX), 3_600);
        // Unless even a lone call has to wait for longer.
        assert!(waits(1_000, 0, 1_000_000) > 3_600 + 1_400);
    }

    #[test]
    fn while_anything_is_left_there_is_nothing_to_wait_for() {
        assert_eq!(waits(99, 1, 50), 0);
    }

    #[test]
    fn what_is_left_never_reads_as_a_debt() {
        assert_eq!(standing(100, 130, 0).room(NOON).remaining, NanoUsd::ZERO);
    }
}
