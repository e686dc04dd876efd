//! Who spends most: bounded, whatever callers write for their users.
//!
//! The "space saving" count of Metwally, Agrawal and El Abbadi: a name that is new takes the place, and the amount, of the
//! smallest. So amounts are never too low, and too high by no more than what was taken over, which is kept beside them.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::{Mutex, PoisonError};

use foldhash::quality::RandomState;

use crate::limits::scope::{EndUser, Payer, Scope};
use crate::money::NanoUsd;

/// How many names are kept of a kind, and how many of them are shown.
const KEPT: usize = 1_000;
const SHOWN: usize = 100;

/// The longest name of a user that is kept, in characters.
const NAME: usize = 64;

/// Who spends most.
#[derive(Debug, Default)]
pub(super) struct Spenders {
    teams: Mutex<HashMap<u64, (Payer, Sum)>>,
    users: Mutex<HashMap<u64, (Named, Sum)>>,
    /// Names are found by a hash of theirs, so that a call copies none. Keyed by chance: nobody can make two names meet.
    hasher: RandomState,
}

/// A user of a team's.
type Named = (Payer, EndUser);

/// What somebody spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sum {
    /// At most, with what was taken over.
    most: NanoUsd,
    /// What of it was taken over from another.
    inherited: NanoUsd,
}

/// Somebody, and what they spent since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spender {
    /// The team.
    pub team: String,
    /// The user; empty for the team as a whole.
    pub user: String,
    /// How much, at most.
    pub spent: NanoUsd,
    /// How much, at least: what they are known to have spent since their name was last new here.
    pub least: NanoUsd,
}

impl Spenders {
    pub(super) fn spent(&self, scope: &Scope, amount: NanoUsd) {
        if amount <= NanoUsd::ZERO {
            return;
        }
        add(&self.teams, self.hasher.hash_one(scope.team), amount, || scope.team);
        let user = self.hasher.hash_one((scope.team, &scope.end_user));
        add(&self.users, user, amount, || (scope.team, bounded(&scope.end_user)));
    }

    /// Teams, and users.
    pub(super) fn top(&self) -> (Vec<Spender>, Vec<Spender>) {
        let spender = |team: &Payer, user: String, sum: Sum| Spender {
            team: team.to_string(),
            user,
            spent: sum.most,
            least: sum.most - sum.inherited,
        };
        let teams = top(&self.teams, |team, sum| spender(team, String::new(), sum));
        let users = top(&self.users, |(team, user), sum| spender(team, user.to_string(), sum));
        (teams, users)
    }
}

/// A user whose name can be shown.
fn bounded(user: &EndUser) -> EndUser {
    match user {
        EndUser::Owner(user) => EndUser::Owner(*user),
        EndUser::Named(name) => EndUser::Named(name.chars().take(NAME).flat_map(char::escape_debug).collect()),
    }
}

fn add<W>(kept: &Mutex<HashMap<u64, (W, Sum)>>, hash: u64, amount: NanoUsd, who: impl FnOnce() -> W) {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, sum)) = kept.get_mut(&hash) {
        sum.most += amount;
        return;
    }
    let mut inherited = NanoUsd::ZERO;
    if kept.len() >= KEPT
        && let Some((smallest, most)) =
            kept.iter().min_by_key(|(_, (_, sum))| sum.most).map(|(hash, (_, sum))| (*hash, sum.most))
    {
        kept.remove(&smallest);
        inherited = most;
    }
    kept.insert(hash, (who(), Sum { most: inherited + amount, inherited }));
}

fn top<W>(kept: &Mutex<HashMap<u64, (W, Sum)>>, shown: impl Fn(&W, Sum) -> Spender) -> Vec<Spender> {
    let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let mut all: Vec<&(W, Sum)> = kept.values().collect();
    all.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.most));
    all.into_iter().take(SHOWN).map(|(who, sum)| shown(who, *sum)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ProductName, TeamId};

    fn scope(name: &str) -> Scope {
        Scope {
            product: ProductName::from("wizard"),
            team: Payer::Team(TeamId(1)),
            end_user: EndUser::Named(name.to_owned()),
            credential: String::new(),
        }
    }

    #[test]
    fn however_many_names_there_are_those_that_spend_most_are_shown() {
        let spenders = Spenders::default();
        for index in 0..5_000_u32 {
            spenders.spent(&scope(&format!("small {index}")), NanoUsd(1));
            spenders.spent(&scope("large\n"), NanoUsd(10));
        }
        let (teams, users) = spenders.top();
        assert_eq!((teams.len(), users.len()), (1, SHOWN));
        assert_eq!(teams[0].spent, NanoUsd(55_000));
        assert_eq!((users[0].user.as_str(), users[0].spent), ("large\\n", NanoUsd(50_000)));
    }

    #[test]
    fn what_was_taken_over_from_another_is_not_among_what_is_sure() {
        let spenders = Spenders::default();
        for index in 0..KEPT {
            spenders.spent(&scope(&format!("first {index}")), NanoUsd(100));
        }
        spenders.spent(&scope("late"), NanoUsd(7));
        let (_, users) = spenders.top();
        assert_eq!((users[0].user.as_str(), users[0].spent, users[0].least), ("late", NanoUsd(107), NanoUsd(7)));
        assert_eq!((users[1].spent, users[1].least), (NanoUsd(100), NanoUsd(100)));
    }
}
