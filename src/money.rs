//! Money, in whole billionths of a US dollar.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub, SubAssign};

use serde::{Deserialize, Serialize};

/// An amount in nano-dollars (10⁻⁹ USD). Arithmetic saturates: an absurd amount stays absurd and never wraps round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NanoUsd(pub i64);

impl NanoUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Nano-dollars in a dollar.
    pub const PER_USD: i64 = 1_000_000_000;

    /// From dollars as a person writes them. `None` for what is not a finite amount within about nine billion dollars.
    pub fn from_usd(usd: f64) -> Option<Self> {
        let nano = (usd * Self::PER_USD as f64).round();
        (nano.is_finite() && nano.abs() < i64::MAX as f64).then_some(Self(nano as i64))
    }

    /// In dollars: for display and events, never for sums.
    pub fn as_usd(self) -> f64 {
        self.0 as f64 / Self::PER_USD as f64
    }
}

impl Add for NanoUsd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for NanoUsd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for NanoUsd {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl SubAssign for NanoUsd {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for NanoUsd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// Dollars with nine digits after the point, cut to those that say something but never below cents: `0.05`, `1.234567`.
impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every answer has some amounts in its headers. From the last digit to the first: the last zeros
        // say nothing.
        let mut text = [0_u8; 24];
        let mut at = text.len();
        let mut put = |byte: u8| {
            at -= 1;
            text[at] = byte;
        };
        const NANO: u64 = NanoUsd::PER_USD as u64;
        let amount = self.0.unsigned_abs();
        let (mut usd, mut part) = (amount / NANO, (amount % NANO) as u32);
        let mut places = 9;
        while places > 2 && part.is_multiple_of(10) {
            part /= 10;
            places -= 1;
        }
        for _ in 0..places {
            put(b'0' + (part % 10) as u8);
            part /= 10;
        }
        put(b'.');
        loop {
            put(b'0' + (usd % 10) as u8);
            usd /= 10;
            if usd == 0 {
                break;
            }
        }
        if self.0 < 0 {
            put(b'-');
        }
        f.write_str(std::str::from_utf8(&text[at..]).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::NanoUsd;

    #[test]
    fn amounts_read_as_dollars_with_at_least_cents() {
        for (nano, text) in [
            (0, "0.00"),
            (500_000_000_000, "500.00"),
            (1_234_567_000, "1.234567"),
            (1, "0.000000001"),
            (-50_000_000, "-0.05"),
            (10_100_000_000, "10.10"),
            (i64::MAX, "9223372036.854775807"),
            (i64::MIN, "-9223372036.854775808"),
        ] {
            assert_eq!(NanoUsd(nano).to_string(), text);
        }
    }

    #[test]
    fn absurd_dollars_are_no_amount() {
        for usd in [f64::NAN, f64::INFINITY, 1e12, -1e12] {
            assert_eq!(NanoUsd::from_usd(usd), None);
        }
    }

    #[test]
    fn sums_saturate_instead_of_wrapping() {
        assert_eq!(NanoUsd(i64::MAX) + NanoUsd(1), NanoUsd(i64::MAX));
        assert_eq!(NanoUsd(i64::MIN) - NanoUsd(1), NanoUsd(i64::MIN));
    }
}
