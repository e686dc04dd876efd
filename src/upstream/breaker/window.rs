//! Counts calls of the recent past, in ten slots.

use std::time::Duration;

const SLOTS: usize = 10;

/// Calls that ended within the window.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    slots: [Slot; SLOTS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Which tenth of a window since the beginning of time this is, plus one; 0: none.
    index: u64,
    totals: Totals,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) successes: u32,
    pub(super) failures: u32,
}

impl Totals {
    pub(super) fn calls(self) -> u32 {
        self.successes.saturating_add(self.failures)
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self {
            successes: self.successes.saturating_sub(other.successes),
            failures: self.failures.saturating_sub(other.failures),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            successes: self.successes.saturating_add(other.successes),
            failures: self.failures.saturating_add(other.failures),
        }
    }
}

impl Window {
    /// Counts calls that ended at `at`, measured from any fixed point.
    pub(super) fn add(&mut self, at: Duration, window: Duration, successes: u32, failures: u32) {
        let index = index(at, window);
        let slot = &mut self.slots[usize::try_from(index % SLOTS as u64).unwrap_or(0)];
        if slot.index != index {
            *slot = Slot { index, totals: Totals::default() };
        }
        slot.totals = slot.totals.plus(Totals { successes, failures });
    }

    /// The calls that ended within the window before `at`, to a tenth of it.
    pub(super) fn totals(&self, at: Duration, window: Duration) -> Totals {
        let newest = index(at, window);
        let is_recent = |slot: &&Slot| slot.index <= newest && slot.index + SLOTS as u64 > newest;
        self.slots.iter().filter(is_recent).fold(Totals::default(), |sum, slot| sum.plus(slot.totals))
    }

    /// Takes back what the other window counted here too.
    pub(super) fn subtract(&mut self, other: &Self) {
        for (slot, counted) in self.slots.iter_mut().zip(&other.slots) {
            if slot.index == counted.index {
                slot.totals = slot.totals.without(counted.totals);
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.slots = Default::default();
    }
}

fn index(at: Duration, window: Duration) -> u64 {
    let slot = (window / SLOTS as u32).max(Duration::from_millis(1));
    u64::try_from(at.as_nanos() / slot.as_nanos()).unwrap_or(u64::MAX - SLOTS as u64).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Totals, Window};

    const WINDOW: Duration = Duration::from_secs(10);

    #[test]
    fn calls_leave_the_window_a_tenth_at_a_time() {
        let mut window = Window::default();
        let at = |seconds| Duration::from_secs(seconds);
        window.add(at(100), WINDOW, 1, 0);
        window.add(at(105), WINDOW, 2, 3);
        assert_eq!(window.totals(at(109), WINDOW), Totals { successes: 3, failures: 3 });
        assert_eq!(window.totals(at(110), WINDOW), Totals { successes: 2, failures: 3 });
        assert_eq!(window.totals(at(115), WINDOW), Totals::default());
    }

    #[test]
    fn a_slot_is_used_again_after_a_whole_turn() {
        let mut window = Window::default();
        window.add(Duration::from_secs(3), WINDOW, 0, 9);
        window.add(Duration::from_secs(13), WINDOW, 1, 0);
        assert_eq!(window.totals(Duration::from_secs(13), WINDOW), Totals { successes: 1, failures: 0 });
    }

    #[test]
    fn counts_saturate() {
        let mut window = Window::default();
        window.add(Duration::ZERO, WINDOW, u32::MAX, u32::MAX);
        window.add(Duration::ZERO, WINDOW, 1, 1);
        assert_eq!(window.totals(Duration::ZERO, WINDOW).calls(), u32::MAX);
    }
}
