//! Who spends most: bounded, whatever callers write for their users.
//!
//! The "space saving" count of Metwally, Agrawal and El Abbadi: a name that is new takes the place, and the amount, of the
//! smallest. So amounts are never too low, and too high by no more than the smallest that is kept.

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
    teams: Mutex<HashMap<u64, (Payer, NanoUsd)>>,
    users: Mutex<HashMap<u64, (Named, NanoUsd)>>,
    /// Names are found by a hash of theirs, so that a call copies none. Keyed by chance: nobody can make two names meet.
    hasher: RandomState,
}

/// A user of a team's.
type Named = (Payer, EndUser);

/// Somebody, and what they spent since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spender {
    /// The team.
    pub team: String,
    /// The user; empty for the team as a whole.
    pub user: String,
    /// How much.
    pub spent: NanoUsd,
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
        let teams = top(&self.teams, |team, spent| Spender { team: team.to_string(), user: String::new(), spent });
        let users =
            top(&self.users, |(team, user), spent| Spender { team: team.to_string(), user: user.to_string(), spent });
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

fn add<W>(kept: &Mutex<HashMap<u64, (W, NanoUsd)>>, hash: u64, amount: NanoUsd, who: impl FnOnce() -> W) {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, spent)) = kept.get_mut(&hash) {
        *spent += amount;
        return;
    }
    let mut inherited = NanoUsd::ZERO;
    if kept.len() >= KEPT
        && let Some((smallest, spent)) =
            kept.iter().min_by_key(|(_, (_, spent))| *spent).map(|(hash, (_, spent))| (*hash, *spent))
    {
        kept.remove(&smallest);
        inherited = spent;
    }
    kept.insert(hash, (who(), inherited + amount));
}

fn top<W>(kept: &Mutex<HashMap<u64, (W, NanoUsd)>>, shown: impl Fn(&W, NanoUsd) -> Spender) -> Vec<Spender> {
    let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let mut all: Vec<&(W, NanoUsd)> = kept.values().collect();
    all.sort_by_key(|(_, spent)| std::cmp::Reverse(*spent));
    all.into_iter().take(SHOWN).map(|(who, spent)| shown(who, *spent)).collect()
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
}
