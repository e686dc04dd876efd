//! What callers are told of their limits: in refusals, and in headers.

use std::fmt;
use std::time::Duration;

use actix_http::header::HeaderName;

use crate::config::products::Mode;
use crate::fault::{Fault, FaultKind};
use crate::limits::budget::Room;
use crate::limits::scope::Claim;
use crate::money::NanoUsd;

/// Why a call may not go.
#[derive(Debug)]
pub struct Refusal {
    /// What the caller is told.
    pub fault: Fault,
    /// How the limit stands that keeps the call out.
    pub tightest: Tightest,
}

/// The limit that leaves least, of those that refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tightest {
    /// How much may be spent in a window.
    pub limit: NanoUsd,
    /// What there is for the next call.
    pub room: Room,
}

/// When a call that found no room should come back.
const NO_ROOM_RETRY: Duration = Duration::from_secs(1);

/// What the contract calls them. A name that is made when it is used is read letter by letter each time.
const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit-usd");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining-usd");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

fn in_words(claim: &Claim) -> String {
    let window = humantime::format_duration(Duration::from_millis(claim.key.length().as_ms()));
    format!("the limit of ${} per {} in {window}", claim.limit, claim.per.name())
}

impl Refusal {
    /// The limit is spent.
    pub(super) fn spent(claim: &Claim, after: Duration) -> Self {
        let after = after.max(NO_ROOM_RETRY);
        let said =
            format!("{} is spent; a call of this size is admitted again in {} s", in_words(claim), seconds(after));
        Self::of(claim, said, Room { remaining: NanoUsd::ZERO, reset: after })
    }

    /// Calls under way may use the limit up.
    pub(super) fn no_room(claim: &Claim, remaining: NanoUsd) -> Self {
        let said = format!("calls under way may use up what is left of {}; try again in 1 s", in_words(claim));
        Self::of(claim, said, Room { remaining, reset: NO_ROOM_RETRY })
    }

    fn of(claim: &Claim, said: String, room: Room) -> Self {
        Self {
            fault: Fault::new(FaultKind::RateLimitExceeded, said).retry_after(room.reset),
            tightest: Tightest { limit: claim.limit, room },
        }
    }
}

/// Begun seconds count.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

impl Tightest {
    /// The tighter of the two, as long as it refuses.
    pub(super) fn note(tightest: &mut Option<Self>, claim: &Claim, room: Room) {
        if claim.mode == Mode::Enforce && tightest.is_none_or(|other| room.remaining < other.room.remaining) {
            *tightest = Some(Self { limit: claim.limit, room });
        }
    }

    /// What the contract's headers say of it: name and value.
    pub fn headers(&self, mut put: impl FnMut(HeaderName, &dyn fmt::Display)) {
        let Room { remaining, reset } = self.room;
        put(LIMIT, &self.limit);
        put(REMAINING, &remaining);
        put(RESET, &seconds(reset));
    }
}
