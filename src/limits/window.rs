//! What was spent in a sliding window.
//!
//! Two fixed buckets, the older one weighted by how much of it the window still covers: there is no moment at which a whole
//! limit comes free at once, and a counter takes the same few bytes whatever was spent. The price is that spending inside the
//! older bucket is taken to have been even.
//!
//! Time is *ledger time*: a count of milliseconds that all instances share and that never jumps; who passes it in sees to that.

use std::time::Duration;

use crate::money::NanoUsd;

/// A moment of ledger time, in milliseconds since 1970 by the clock that all instances follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LedgerTime(pub u64);

/// How long a window is. At least a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WindowLength(u64);

/// The number of a fixed bucket: ledger time divided by the window's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(pub u64);

impl WindowLength {
    /// The shortest window, in milliseconds.
    pub const SHORTEST_MS: u64 = 1_000;

    /// `None` for less than a second.
    pub fn new(length: Duration) -> Option<Self> {
        let ms = u64::try_from(length.as_millis()).ok()?;
        (ms >= Self::SHORTEST_MS).then_some(Self(ms))
    }

    /// In milliseconds.
    pub fn as_ms(self) -> u64 {
        self.0
    }

    /// The bucket that a moment is in.
    pub fn bucket(self, at: LedgerTime) -> Bucket {
        Bucket(at.0 / self.0)
    }

    /// Whether a bucket is over. Multiplies, as it is asked of each counter with each call: a division takes longer.
    pub fn is_over(self, bucket: Bucket, at: LedgerTime) -> bool {
        at.0 >= bucket.0.saturating_add(1).saturating_mul(self.0)
    }

    /// How much of the bucket before the current one the window still covers at `at`: from 1 down to 0.
    fn older_ms(self, at: LedgerTime) -> u64 {
        self.0 - at.0 % self.0
    }

    /// When the window's current bucket ends.
    fn to_edge(self, at: LedgerTime) -> u64 {
        self.older_ms(at)
    }
}

/// What was spent in the current bucket and in the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// In the current bucket.
    pub current: NanoUsd,
    /// In the one before.
    pub previous: NanoUsd,
}

impl Spent {
    /// What counts at `at`: the current bucket, and the part of the one before that the window still covers, rounded up.
    pub fn within(&self, length: WindowLength, at: LedgerTime) -> NanoUsd {
        // So it is far from most windows' edges.
        if self.previous == NanoUsd::ZERO {
            return self.current;
        }
        self.current + weighted(self.previous, length.older_ms(at), length.0)
    }

    /// The same spending seen from a later bucket.
    #[must_use]
    pub fn rolled(self, from: Bucket, to: Bucket) -> Self {
        match to.0.saturating_sub(from.0) {
            0 => self,
            1 => Self { current: NanoUsd::ZERO, previous: self.current },
            _ => Self::default(),
        }
    }

    /// The same spending where the time is set from `from` to `to`, which is elsewhere in its bucket: each part stays as old as
    /// it was, and as much of it counts as before. Inside a bucket it is taken to have been even.
    #[must_use]
    pub fn moved(self, length: WindowLength, from: LedgerTime, to: LedgerTime) -> Self {
        let (before, after) = (from.0 % length.0, to.0 % length.0);
        if after >= before {
            let older = weighted(self.previous, after - before, length.0);
            return Self { current: self.current + older, previous: self.previous };
        }
        let current = weighted(self.current, after, before);
        // What counts of the older one now is a part of it; the whole of it is more.
        let counts = self.current - current + weighted(self.previous, length.0 - before, length.0);
        Self { current, previous: weighted(counts, length.0, length.0 - after) }
    }

    /// The larger of the two in each bucket.
    #[must_use]
    pub fn at_least(self, other: Self) -> Self {
        Self { current: self.current.max(other.current), previous: self.previous.max(other.previous) }
    }

    /// How long from `at` until no more than `room` counts, if nothing more is spent. Zero when that is so already.
    pub fn until_at_most(&self, room: NanoUsd, length: WindowLength, at: LedgerTime) -> Duration {
        if self.within(length, at) <= room {
            return Duration::ZERO;
        }
        let to_edge = length.to_edge(at);
        // Within this bucket only the older one fades.
        if let Some(room) = positive(room - self.current)
            && let Some(covered) = covered_when(self.previous, room, length)
        {
            let fades = length.older_ms(at).saturating_sub(covered);
            if fades < to_edge {
                return Duration::from_millis(fades.max(1));
            }
        }
        // In the next one, what is current now is the older one, and fades in turn.
        let covered = positive(room).and_then(|room| covered_when(self.current, room, length)).unwrap_or(0);
        Duration::from_millis(to_edge + (length.0 - covered))
    }
}

/// `amount * part / whole`, rounded up.
fn weighted(amount: NanoUsd, part: u64, whole: u64) -> NanoUsd {
    // Wide divisions take long.
    let narrow =
        i64::try_from(part).ok().and_then(|part| amount.0.checked_mul(part)).and_then(|it| u64::try_from(it).ok());
    if let Some(product) = narrow {
        return NanoUsd(i64::try_from(product.div_ceil(whole.max(1))).unwrap_or(i64::MAX));
    }
    let product = i128::from(amount.0) * i128::from(part);
    let whole = i128::from(whole.max(1));
    let rounded = product.div_euclid(whole) + i128::from(product.rem_euclid(whole) > 0);
    NanoUsd(i64::try_from(rounded).unwrap_or(i64::MAX))
}

/// How much of a bucket that holds `amount` may still be covered, in milliseconds, for at most `room` of it to count.
fn covered_when(amount: NanoUsd, room: NanoUsd, length: WindowLength) -> Option<u64> {
    if amount <= room {
        return Some(length.0);
    }
    let covered = i128::from(room.0) * i128::from(length.0) / i128::from(amount.0.max(1));
    u64::try_from(covered).ok()
}

fn positive(amount: NanoUsd) -> Option<NanoUsd> {
    (amount >= NanoUsd::ZERO).then_some(amount)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: u64 = 3_600_000;

    fn hour() -> WindowLength {
        WindowLength::new(Duration::from_millis(HOUR)).unwrap()
    }

    #[test]
    fn the_older_bucket_counts_for_as_much_as_the_window_covers_of_it() {
        let spent = Spent { current: NanoUsd(10), previous: NanoUsd(100) };
        for (minute, counts) in [(0, 110), (15, 85), (30, 60), (45, 35)] {
            assert_eq!(
                spent.within(hour(), LedgerTime(5 * HOUR + minute * 60_000)),
                NanoUsd(counts),
                "minute {minute}"
            );
        }
    }

    #[test]
    fn what_counts_is_never_rounded_down() {
        let spent = Spent { current: NanoUsd::ZERO, previous: NanoUsd(1) };
        assert_eq!(spent.within(hour(), LedgerTime(5 * HOUR + HOUR - 1)), NanoUsd(1));
    }

    #[test]
    fn a_window_forgets_after_two_buckets() {
        let spent = Spent { current: NanoUsd(7), previous: NanoUsd(9) };
        assert_eq!(spent.rolled(Bucket(3), Bucket(3)), spent);
        assert_eq!(spent.rolled(Bucket(3), Bucket(4)), Spent { current: NanoUsd::ZERO, previous: NanoUsd(7) });
        assert_eq!(spent.rolled(Bucket(3), Bucket(5)), Spent::default());
    }

    #[test]
    fn a_window_shorter_than_a_second_is_none() {
        assert_eq!(WindowLength::new(Duration::from_millis(999)), None);
    }

    proptest! {
        #[test]
        fn as_much_counts_after_the_time_was_set_as_before(
            current in 0i64..2_000_000_000,
            previous in 0i64..2_000_000_000,
            from in 0u64..HOUR,
            to in 0u64..HOUR,
        ) {
            let spent = Spent { current: NanoUsd(current), previous: NanoUsd(previous) };
            let (from, to) = (LedgerTime(7 * HOUR + from), LedgerTime(90 * HOUR + to));
            let before = spent.within(hour(), from);
            let moved = spent.moved(hour(), from, to);
            let after = moved.within(hour(), to);
            prop_assert!(after >= before && after <= before + NanoUsd(3), "{before} before, {after} after");
        }

        #[test]
        fn after_the_wait_it_says_there_is_room_and_a_moment_before_there_is_not(
            current in 0i64..2_000_000_000,
            previous in 0i64..2_000_000_000,
            room in 0i64..2_000_000_000,
            offset in 0u64..HOUR,
        ) {
            let spent = Spent { current: NanoUsd(current), previous: NanoUsd(previous) };
            let at = LedgerTime(7 * HOUR + offset);
            let wait = u64::try_from(spent.until_at_most(NanoUsd(room), hour(), at).as_millis()).unwrap();
            let counts = |after: u64| {
                let later = LedgerTime(at.0 + after);
                spent.rolled(hour().bucket(at), hour().bucket(later)).within(hour(), later)
            };
            prop_assert!(counts(wait) <= NanoUsd(room), "waited {wait} ms, {} counts", counts(wait));
            if wait > 1 {
                prop_assert!(counts(wait - 2) > NanoUsd(room), "a wait of {} ms would do", wait - 2);
            }
        }
    }
}
