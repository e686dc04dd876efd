//! Which limits callers are under, for those that come again: what a configuration says of one does not change.
//!
//! Each thread remembers what it worked out lately. To do that anew takes a hash of the user's name for others to go by, which
//! costs more than all that is looked at here.

use std::cell::RefCell;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use foldhash::fast::RandomState;
use thread_local::ThreadLocal;

use crate::config::products::Product;
use crate::config::{Config, SharedConfig};
use crate::limits::scope::{Claim, EndUser, Payer, Scope};

/// How many callers a thread remembers.
const REMEMBERED: usize = 2048;

/// The longest name of a user that is remembered, in bytes.
const LONGEST: usize = 256;

/// Limits by whom they bind.
#[derive(Debug, Default)]
pub(super) struct Orders {
    threads: ThreadLocal<RefCell<Known>>,
    hasher: RandomState,
}

/// What one thread remembers.
#[derive(Debug, Default)]
struct Known {
    /// By which all of it was worked out. Held, so that no other is where it was.
    config: Option<Arc<Config>>,
    /// Each caller can be in one place only, where the next one that belongs there replaces it.
    places: Vec<Option<Order>>,
}

/// The limits that one caller's calls are under.
#[derive(Debug)]
struct Order {
    /// At which address it is, in that configuration.
    product: usize,
    team: Payer,
    end_user: EndUser,
    credential: String,
    claims: Arc<[Claim]>,
}

impl Orders {
    /// The limits that somebody's calls are under.
    pub(super) fn claims(&self, config: &SharedConfig, scope: &Scope, product: &Product) -> Arc<[Claim]> {
        let config = config.load();
        let mut known = self.threads.get_or_default().borrow_mut();
        if !known.config.as_ref().is_some_and(|known| Arc::ptr_eq(known, &config)) {
            *known = Known { config: Some(Arc::clone(&config)), places: Vec::new() };
        }
        // A call that began under an older configuration has its product elsewhere.
        let address = std::ptr::from_ref(product).addr();
        let hash = self.hasher.hash_one((address, scope.team, &scope.end_user, &scope.credential));
        let place = usize::try_from(hash >> 32).unwrap_or_default() % REMEMBERED;
        if let Some(Some(order)) = known.places.get(place)
            && order.is_of(address, scope)
        {
            return Arc::clone(&order.claims);
        }
        let claims: Arc<[Claim]> = scope.claims(product, &config.limits).as_slice().into();
        let is_short = match &scope.end_user {
            EndUser::Owner(_) => true,
            EndUser::Named(name) => name.len() <= LONGEST,
        };
        if is_short {
            known.places.resize_with(REMEMBERED, || None);
            known.places[place] = Some(Order {
                product: address,
                team: scope.team,
                end_user: scope.end_user.clone(),
                credential: scope.credential.clone(),
                claims: Arc::clone(&claims),
            });
        }
        claims
    }
}

impl Order {
    fn is_of(&self, product: usize, scope: &Scope) -> bool {
        self.product == product
            && self.team == scope.team
            && self.end_user == scope.end_user
            && self.credential == scope.credential
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use arc_swap::ArcSwap;

    use super::*;
    use crate::config::{Loaded, Mode};
    use crate::ids::{ProductName, TeamId, UserId};

    fn config(limit: &str) -> Config {
        let env = [("LLM_GATEWAY__PRODUCTS__WIZARD__LIMITS", limit)].map(|(name, text)| (name.into(), text.into()));
        let Loaded { config, .. } = Config::load(env, Mode::Tool).unwrap();
        config
    }

    fn limit(usd: u32) -> String {
        format!("[{{ per = 'user', usd = {usd}, window = '1h' }}, {{ per = 'key', usd = {usd}, window = '1h' }}]")
    }

    fn scope(team: i32, user: &str, credential: &str) -> Scope {
        Scope {
            product: ProductName::from("wizard"),
            team: Payer::Team(TeamId(team)),
            end_user: EndUser::Named(user.to_owned()),
            credential: credential.to_owned(),
        }
    }

    #[test]
    fn what_is_remembered_is_what_would_be_worked_out_for_each_of_many_callers() {
        let shared: SharedConfig = Arc::new(ArcSwap::from_pointee(config(&limit(1))));
        let orders = Orders::default();
        let long = "x".repeat(LONGEST + 1);
        for round in 0..2 {
            let config = shared.load();
            let (wizard, other) = (&config.products["wizard"], &config.products["llm_gateway"]);
            let mut scopes: Vec<_> =
                (0..3 * REMEMBERED as i32).map(|at| scope(at % 7, &at.to_string(), "key:a")).collect();
            scopes.push(scope(1, "1", "key:b"));
            scopes.push(scope(1, &long, "key:a"));
            scopes.push(Scope { end_user: EndUser::Owner(UserId(1)), ..scope(1, "", "key:a") });
            scopes.push(Scope { team: Payer::Alone(UserId(1)), ..scope(1, "1", "key:a") });
            for scope in &scopes {
                for product in [wizard, other] {
                    let expected = scope.claims(product, &config.limits);
                    // The second time it is remembered.
                    for _ in 0..2 {
                        assert_eq!(*orders.claims(&shared, scope, product), *expected, "round {round}, {scope:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn another_configuration_has_limits_of_its_own_from_the_first_call_on() {
        let shared: SharedConfig = Arc::new(ArcSwap::from_pointee(config(&limit(1))));
        let (orders, scope) = (Orders::default(), scope(1, "ann", "key:a"));
        for usd in 2..20 {
            let before = shared.load_full();
            let old = orders.claims(&shared, &scope, &before.products["wizard"]);
            shared.store(Arc::new(config(&limit(usd))));
            let late = orders.claims(&shared, &scope, &before.products["wizard"]);
            assert_eq!(old, late, "a call goes by the limits that it began with");
            drop(before);
            let new = orders.claims(&shared, &scope, &shared.load().products["wizard"]);
            assert_eq!(new.iter().map(|claim| claim.limit.0).collect::<Vec<_>>(), [i64::from(usd) * 1_000_000_000; 2]);
        }
    }
}
