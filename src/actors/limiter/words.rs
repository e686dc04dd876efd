//! What callers are told of their limits: in refusals, and in headers.

use std::time::Duration;

use super::Headroom;
use crate::config::products::Mode;
use crate::fault::{Fault, FaultKind};
use crate::limits::scope::Claim;

/// When a call that found no room should come back.
const NO_ROOM_RETRY: Duration = Duration::from_secs(1);

fn in_words(claim: &Claim) -> String {
    let window = humantime::format_duration(Duration::from_millis(claim.key.length().as_ms()));
    format!("the limit of ${} per {} in {window}", claim.limit, claim.per.name())
}

/// The limit is spent.
pub(super) fn refused(claim: &Claim, after: Duration) -> Fault {
    let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
    let said = format!("{} is spent; calls are admitted again in {seconds} s", in_words(claim));
    Fault::new(FaultKind::RateLimitExceeded, said).retry_after(after.max(NO_ROOM_RETRY))
}

/// Calls under way may use the limit up.
pub(super) fn no_room(claim: &Claim) -> Fault {
    let said = format!("calls under way may use up what is left of {}; try again in 1 s", in_words(claim));
    Fault::new(FaultKind::RateLimitExceeded, said).retry_after(NO_ROOM_RETRY)
}

/// The limit that leaves least, of those that refuse.
pub fn tightest(headroom: &[Headroom]) -> Option<&Headroom> {
    headroom.iter().filter(|one| one.claim.mode == Mode::Enforce).min_by_key(|one| one.remaining)
}

/// What the contract's headers say of the tightest limit: name and value.
pub fn headers(headroom: &[Headroom]) -> Vec<(&'static str, String)> {
    let Some(tightest) = tightest(headroom) else { return Vec::new() };
    let seconds = tightest.reset.as_secs() + u64::from(tightest.reset.subsec_nanos() > 0);
    vec![
        ("x-ratelimit-limit-usd", tightest.claim.limit.to_string()),
        ("x-ratelimit-remaining-usd", tightest.remaining.to_string()),
        ("x-ratelimit-reset", seconds.to_string()),
    ]
}
