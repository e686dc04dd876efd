//! One counter as an instance keeps it: what it spent itself, what it has reserved, and what it knows of the others.
//!
//! Alone, an instance decides by [`Standing`]. With others, it may spend without asking what its *lease* allows: a slice of what
//! was left when it last looked, which the others see as if it were spent. So no two instances give the same dollar away, far
//! from a limit nobody asks, and near it every call does.

use std::time::Duration;

use crate::limits::budget::{Room, Standing, Verdict};
use crate::limits::window::{Bucket, LedgerTime, Spent, WindowLength};
use crate::money::NanoUsd;

/// What an instance that has never looked, or not lately, may spend of a limit before it does: one in this many, shared among
/// the instances.
const UNSEEN_SHARE: i64 = 100;

/// How long a lease is good, in milliseconds. The others take it for spent for somewhat longer.
pub const LEASE_MS: u64 = 1_000;

/// How long what was learnt does for the next batches, in milliseconds, as long as half of the lease is there. The look that
/// follows has an answer before the lease ends.
const LOOK_EVERY_MS: u64 = 800;

/// How long what an instance has reserved counts for the others after it was last told, in milliseconds: long enough to be told
/// again.
pub const PROMISE_MS: u64 = 3_000;

/// One counter as an instance keeps it. What each call needs of it comes first, and with a lock before it fits two cache lines: a
/// product's counter goes from one thread's cache to another's with every call.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Counter {
    /// How often the time had been set when it was last brought up to that.
    pub steps: u16,
    /// Which limit it is of, as whoever keeps it numbers them.
    pub limit_number: u16,
    /// Something is to be told to the others, or asked of them.
    pub queued: bool,
    /// It was given up: whoever still has it looks for the one that has taken its place.
    pub is_gone: bool,
    /// At the last settling the share at which a warning is given was reached.
    is_over: bool,
    /// How much may be spent in a window, as the last call had it.
    pub limit: NanoUsd,
    length: WindowLength,
    bucket: Bucket,
    own: Spent,
    others: Spent,
    /// Outstanding here.
    reserved: NanoUsd,
    lease: NanoUsd,
    looked_at: LedgerTime,
    /// Admitted since the last look began, at estimates.
    admitted_since: NanoUsd,
    /// The last call's estimate: a lease that does not cover two such calls is none.
    typical: NanoUsd,
    touched: LedgerTime,
    /// Outstanding elsewhere when last looked, leases included.
    promised: NanoUsd,
    /// The lease as it was given.
    granted: NanoUsd,
    resets: u64,
    /// Where a warning was last given.
    warned_in: Option<Bucket>,
}

/// When a counter looked that never did: so long ago that it says nothing.
const NEVER: LedgerTime = LedgerTime(0);

/// How many share a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// This instance only, or the others are out of reach.
    Alone,
    /// So many instances, this one included.
    Shared(u32),
}

/// What becomes of a call, as far as can be told here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Local {
    /// It may go; its estimate is reserved.
    Admitted,
    /// There is room once a call under way has settled.
    Wait,
    /// The limit is spent.
    Refused {
        /// When a call of this size is admitted again.
        after: Duration,
    },
    /// The others have to be asked.
    Ask,
}

/// What an instance tells the others of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// The current bucket.
    pub bucket: Bucket,
    /// What it spent in it and in the one before.
    pub own: Spent,
    /// What it has reserved.
    pub reserved: NanoUsd,
    /// The limit.
    pub limit: NanoUsd,
    /// What a call is estimated at.
    pub typical: NanoUsd,
    /// Which reset of the counter it knows.
    pub resets: u64,
}

/// What an instance says it spent of a counter, and no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mention {
    /// The current bucket.
    pub bucket: Bucket,
    /// What it spent in it.
    pub own: NanoUsd,
}

/// What it learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learnt {
    /// Whether the call that was asked for may go.
    pub admitted: bool,
    /// What the others spent.
    pub others: Spent,
    /// What the others have reserved, or hold leases for.
    pub promised: NanoUsd,
    /// What may be spent here before the next look.
    pub lease: NanoUsd,
}

impl Counter {
    /// One with nothing in it.
    pub fn new(length: WindowLength, limit: NanoUsd, at: LedgerTime) -> Self {
        Self {
            steps: 0,
            limit_number: 0,
            queued: false,
            is_gone: false,
            is_over: false,
            limit,
            length,
            bucket: length.bucket(at),
            own: Spent::default(),
            others: Spent::default(),
            reserved: NanoUsd::ZERO,
            lease: NanoUsd::ZERO,
            looked_at: NEVER,
            admitted_since: NanoUsd::ZERO,
            typical: NanoUsd::ZERO,
            touched: at,
            promised: NanoUsd::ZERO,
            granted: NanoUsd::ZERO,
            resets: 0,
            warned_in: None,
        }
    }

    /// Decides on a call, and reserves its estimate if it may go. What room there is afterwards is said with it.
    pub fn admit(&mut self, estimate: NanoUsd, at: LedgerTime, company: Company) -> (Local, Room) {
        self.roll(at);
        self.typical = estimate;
        let local = self.decide(estimate, at, company);
        if local == Local::Admitted {
            self.reserve(estimate);
        }
        (local, self.standing().room(at))
    }

    fn decide(&self, estimate: NanoUsd, at: LedgerTime, company: Company) -> Local {
        if self.is_far_from_its_limit(estimate, at, company) {
            return Local::Admitted;
        }
        let mut standing = self.standing();
        if company == Company::Alone {
            standing.reserved += self.promised_elsewhere(at);
        }
        match (company, standing.verdict(estimate, at)) {
            (_, Verdict::Refuse { after }) => Local::Refused { after },
            (Company::Alone, Verdict::Wait) => Local::Wait,
            (Company::Alone, Verdict::Admit) => Local::Admitted,
            // Nobody else's settling is heard of here sooner than by asking.
            (Company::Shared(_), Verdict::Wait) if self.is_full_by_own(estimate, at) => Local::Wait,
            (Company::Shared(instances), Verdict::Admit | Verdict::Wait) => {
                if self.is_covered(estimate, at, instances) { Local::Admitted } else { Local::Ask }
            }
        }
    }

    /// What nearly all calls find, with few comparisons: a call that the rest of the limit has room for, and that nobody has to be
    /// asked about.
    fn is_far_from_its_limit(&self, estimate: NanoUsd, at: LedgerTime, company: Company) -> bool {
        let needs_nobody = match company {
            Company::Alone => self.promised == NanoUsd::ZERO,
            Company::Shared(_) => estimate <= self.lease && !self.is_stale(at),
        };
        needs_nobody && estimate > NanoUsd::ZERO && self.spent_within(at) + self.reserved + estimate <= self.limit
    }

    /// Reserves, whatever there is room for.
    pub fn reserve(&mut self, estimate: NanoUsd) {
        self.reserved += estimate;
        self.lease -= estimate;
        self.admitted_since += estimate;
    }

    /// Takes a reservation back, and adds what the call really cost. Says whether that took the counter over `warn_at` of its
    /// limit, not more than once in a bucket, and what room there is afterwards.
    pub fn settle(&mut self, estimate: NanoUsd, actual: NanoUsd, at: LedgerTime, warn_at: f64) -> (bool, Room) {
        self.roll(at);
        let crosses = self.spend(estimate, actual, at, warn_at);
        (crosses, self.standing().room(at))
    }

    fn spend(&mut self, estimate: NanoUsd, actual: NanoUsd, at: LedgerTime, warn_at: f64) -> bool {
        self.reserved = (self.reserved - estimate).max(NanoUsd::ZERO);
        self.lease += estimate - actual;
        self.admitted_since += actual - estimate;
        if actual <= NanoUsd::ZERO {
            return false;
        }
        let was_over = self.is_over && self.standing().used_share(at) >= warn_at;
        self.own.current += actual;
        self.is_over = self.standing().used_share(at) >= warn_at;
        let crosses = self.is_over && !was_over && self.warned_in != Some(self.bucket);
        if crosses {
            self.warned_in = Some(self.bucket);
        }
        crosses
    }

    /// What tells this window of the counter from its others: the current bucket, and how often it was reset.
    pub fn occasion(&self) -> (Bucket, u64) {
        (self.bucket, self.resets)
    }

    /// The counter as it stands.
    pub fn standing_at(&mut self, at: LedgerTime) -> Standing {
        self.roll(at);
        self.standing()
    }

    /// What to tell the others; a look begins.
    pub fn tell(&mut self, at: LedgerTime) -> Told {
        self.roll(at);
        self.admitted_since = NanoUsd::ZERO;
        self.queued = false;
        Told {
            bucket: self.bucket,
            own: self.own,
            reserved: self.reserved,
            limit: self.limit,
            typical: self.typical,
            resets: self.resets,
        }
    }

    /// What to tell the others where nothing has to be learnt from them: an instance that looked a moment ago and has half of its
    /// lease left. What it may spend by then is promised, and what was spent in the bucket before has been told.
    pub fn mention(&mut self, at: LedgerTime) -> Option<Mention> {
        self.roll(at);
        let is_fresh =
            self.length.bucket(self.looked_at) == self.bucket && at.0.saturating_sub(self.looked_at.0) < LOOK_EVERY_MS;
        if !is_fresh || self.lease <= NanoUsd(self.granted.0 / 2) || self.granted <= NanoUsd::ZERO {
            return None;
        }
        self.queued = false;
        Some(Mention { bucket: self.bucket, own: self.own.current })
    }

    /// What the others know, or can be known of them, is in doubt: next time there is a look.
    pub fn doubt(&mut self) {
        self.granted = NanoUsd::ZERO;
    }

    /// What came of a look that was begun at `begun`, told `told` and, if it asked for a call, asked for `asked`.
    pub fn learn(&mut self, told: &Told, learnt: &Learnt, asked: NanoUsd, begun: LedgerTime, at: LedgerTime) {
        self.roll(at);
        // Spending only grows within a bucket. A smaller amount is that of a Redis that has forgotten some of it.
        self.others = self.others.at_least(learnt.others.rolled(told.bucket, self.bucket));
        self.promised = learnt.promised;
        self.lease = learnt.lease - self.admitted_since;
        self.granted = learnt.lease;
        // Where the time was set back meanwhile, the look did not begin in times to come.
        self.looked_at = LedgerTime(begun.0.min(at.0));
        if learnt.admitted && asked > NanoUsd::ZERO {
            self.reserved += asked;
        }
    }

    /// Somebody reset the counter: nothing was spent. A counter that has never looked had not heard of a reset that may be older
    /// than all it knows: what was spent here since it began stays.
    pub fn forget(&mut self, resets: u64) {
        self.resets = resets;
        if self.looked_at == NEVER {
            return;
        }
        self.own = Spent::default();
        self.others = Spent::default();
        self.is_over = false;
        self.warned_in = None;
        self.doubt();
    }

    /// Whether nothing is known that would not be known of a new counter. What was to be told of windows that have passed is of
    /// no use to anybody: a Redis that is gone keeps no counter here.
    pub fn is_idle(&mut self, at: LedgerTime) -> bool {
        self.roll(at);
        let is_empty = self.own == Spent::default() && self.others == Spent::default();
        let rested = at.0.saturating_sub(self.touched.0) > LEASE_MS;
        is_empty && rested && self.reserved == NanoUsd::ZERO
    }

    /// Notes that a call came by.
    pub fn touch(&mut self, limit: NanoUsd, at: LedgerTime) {
        self.limit = limit;
        self.touched = at;
    }

    /// Ledger time was set from `from` to `to`: what was spent stays as old as it was. Within one bucket nothing is moved: others
    /// have been told of it, and it grows older or younger by less than a window.
    pub fn step(&mut self, from: LedgerTime, to: LedgerTime) {
        self.roll(from);
        let bucket = self.length.bucket(to);
        if bucket != self.bucket {
            self.own = self.own.moved(self.length, from, to);
            self.others = self.others.moved(self.length, from, to);
            self.bucket = bucket;
        }
        self.touched = shifted(self.touched, from, to);
        if self.looked_at != NEVER {
            self.looked_at = shifted(self.looked_at, from, to);
        }
        self.doubt();
    }

    /// Whether calls are under way here.
    pub fn is_outstanding(&self) -> bool {
        self.reserved > NanoUsd::ZERO
    }

    /// Whether somebody looked a while ago, or never.
    pub fn is_stale(&self, at: LedgerTime) -> bool {
        at.0.saturating_sub(self.looked_at.0) >= LEASE_MS
    }

    fn standing(&self) -> Standing {
        Standing { limit: self.limit, length: self.length, spent: self.spent(), reserved: self.reserved }
    }

    /// By all, as far as known.
    fn spent(&self) -> Spent {
        Spent { current: self.own.current + self.others.current, previous: self.own.previous + self.others.previous }
    }

    fn spent_within(&self, at: LedgerTime) -> NanoUsd {
        self.spent().within(self.length, at)
    }

    /// What the others have promised, as far as known and not too long ago.
    fn promised_elsewhere(&self, at: LedgerTime) -> NanoUsd {
        let is_fresh = at.0.saturating_sub(self.looked_at.0) < PROMISE_MS;
        if is_fresh { self.promised } else { NanoUsd::ZERO }
    }

    /// Whether this instance's own calls under way leave no room.
    fn is_full_by_own(&self, estimate: NanoUsd, at: LedgerTime) -> bool {
        let spent = self.spent_within(at);
        self.reserved > NanoUsd::ZERO && spent + self.reserved + estimate > self.limit
    }

    /// Whether nobody needs to be asked.
    fn is_covered(&self, estimate: NanoUsd, at: LedgerTime, instances: u32) -> bool {
        if !self.is_stale(at) {
            return estimate <= self.lease;
        }
        let unseen = NanoUsd(self.limit.0 / UNSEEN_SHARE / i64::from(instances.max(1)));
        let spent = self.spent_within(at);
        self.admitted_since.max(NanoUsd::ZERO) + estimate <= unseen && spent + self.reserved + estimate <= self.limit
    }

    fn roll(&mut self, at: LedgerTime) {
        if self.length.is_over(self.bucket, at) {
            let now = self.length.bucket(at);
            self.own = self.own.rolled(self.bucket, now);
            self.others = self.others.rolled(self.bucket, now);
            self.bucket = now;
        }
    }
}

/// A moment as far from `to` as it was from `from`.
fn shifted(moment: LedgerTime, from: LedgerTime, to: LedgerTime) -> LedgerTime {
    LedgerTime((to.0 + moment.0).saturating_sub(from.0))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
