//! Whose spending a call adds to.
//!
//! A counter's key is of a fixed size. Numbers are in it as they are, and what callers write is in it as a hash: a user's name,
//! of whatever length and with whatever characters, can neither reach another team's counter nor anything else in Redis.

use std::fmt;

use sha2::{Digest as _, Sha256};
use smallvec::SmallVec;

use crate::auth::principal::{Credential, Principal};
use crate::config::limits::Limits;
use crate::config::products::{Limit, Mode, Per, Product};
use crate::ids::{ProductName, TeamId, UserId};
use crate::limits::window::WindowLength;
use crate::money::NanoUsd;

/// One counter: somebody's spending in windows of one length.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CounterKey {
    whose: [u8; 16],
    length: WindowLength,
}

/// The end user that a call is billed to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EndUser {
    /// The token's owner.
    Owner(UserId),
    /// Whom the caller named.
    Named(String),
}

/// Whose spending a call adds to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// On whose behalf.
    pub product: ProductName,
    /// The team that pays; an owner without a team is one of its own.
    pub team: Payer,
    /// The end user.
    pub end_user: EndUser,
    /// The credential, as its kind and id.
    pub credential: String,
}

/// Who pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Payer {
    /// A team.
    Team(TeamId),
    /// A user who is in none.
    Alone(UserId),
}

/// One limit that a call is under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The counter.
    pub key: CounterKey,
    /// Whose it is.
    pub per: Per,
    /// How much may be spent in a window.
    pub limit: NanoUsd,
    /// Whether a call over it is refused.
    pub mode: Mode,
}

impl CounterKey {
    /// The window's length.
    pub fn length(&self) -> WindowLength {
        self.length
    }

    /// Spreads counters over a number of places.
    pub fn slot(&self, slots: usize) -> usize {
        usize::try_from(fnv1a(&self.whose) % slots.max(1) as u64).unwrap_or_default()
    }

    /// Whose it is, in hexadecimal digits.
    pub fn whose(&self) -> String {
        hex::encode(self.whose)
    }

    /// The same digits, without an allocation.
    pub fn digits(&self) -> [u8; 32] {
        let mut digits = [0; 32];
        // It has the room.
        let _ = hex::encode_to_slice(self.whose, &mut digits);
        digits
    }
}

impl fmt::Debug for CounterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} ms", self.whose(), self.length.as_ms())
    }
}

impl fmt::Display for Payer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Team(TeamId(team)) => write!(f, "{team}"),
            Self::Alone(UserId(user)) => write!(f, "user {user}"),
        }
    }
}

impl fmt::Display for EndUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner(UserId(user)) => write!(f, "owner {user}"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

impl Scope {
    /// A call's: `named` is whom it says it is for. An OAuth token is its user's, whatever is said.
    pub fn new(product: ProductName, principal: &Principal, named: Option<&str>) -> Self {
        let named = named.map(str::trim).filter(|name| !name.is_empty());
        let end_user = match (&principal.credential, named) {
            (Credential::ApiKey { .. }, Some(name)) => EndUser::Named(name.to_owned()),
            (Credential::ApiKey { .. }, None) | (Credential::OAuth { .. }, _) => EndUser::Owner(principal.user),
        };
        let credential = match &principal.credential {
            Credential::ApiKey { id } => format!("key:{id}"),
            Credential::OAuth { application } => {
                let application = application.map_or_else(|| "none".to_owned(), |id| id.to_string());
                format!("oauth:{application}:{}", principal.user.0)
            }
        };
        Self { product, team: Payer::of(principal), end_user, credential }
    }

    /// The limits that the call is under, in the order of their counters, so that all calls take them in one order.
    pub fn claims(&self, product: &Product, settings: &Limits) -> SmallVec<[Claim; 4]> {
        let mut claims: SmallVec<[_; 4]> =
            product.limits.iter().filter_map(|limit| self.claim(limit, settings)).collect();
        claims.sort_unstable_by_key(|claim| claim.key);
        claims
    }

    fn claim(&self, limit: &Limit, settings: &Limits) -> Option<Claim> {
        let length = WindowLength::new(limit.window)?;
        let factor = match (limit.per, self.team) {
            (Per::User | Per::Key | Per::Team, Payer::Team(team)) => settings.multiplier(team),
            (Per::User | Per::Key | Per::Team, Payer::Alone(_)) | (Per::Product, _) => 1.0,
        };
        // As large as amounts get, or as small, it is a limit still.
        let amount = if factor == 1.0 { limit.usd.0 } else { NanoUsd(((limit.usd.0.0 as f64 * factor) as i64).max(1)) };
        Some(Claim {
            key: CounterKey { whose: self.whose(limit.per), length },
            per: limit.per,
            limit: amount,
            mode: limit.mode,
        })
    }

    fn whose(&self, per: Per) -> [u8; 16] {
        let product = self.product.as_str().as_bytes();
        let (payer, id) = match self.team {
            Payer::Team(TeamId(team)) => (b't', team),
            Payer::Alone(UserId(user)) => (b'u', user),
        };
        match per {
            Per::User => match &self.end_user {
                EndUser::Owner(UserId(user)) => numbered([b'o', payer], product, [id, *user]),
                EndUser::Named(name) => hash(&[&[payer], product, &id.to_be_bytes(), name.as_bytes()]),
            },
            Per::Key => hash(&[b"key", product, self.credential.as_bytes()]),
            Per::Team => numbered([b't', payer], product, [id, 0]),
            Per::Product => numbered([b'p', 0], product, [0, 0]),
        }
    }
}

impl Payer {
    /// Who pays for a token's calls.
    pub fn of(principal: &Principal) -> Self {
        principal.team.map_or(Self::Alone(principal.user), Self::Team)
    }
}

/// Two letters for what it is, 48 bits for the product, and the numbers. Product names are the configuration's: that their hash is
/// a weak one gives nobody anything.
fn numbered(kind: [u8; 2], product: &[u8], [first, second]: [i32; 2]) -> [u8; 16] {
    let mut out = [0; 16];
    out[..2].copy_from_slice(&kind);
    out[2..8].copy_from_slice(&fnv1a(product).to_be_bytes()[2..]);
    out[8..12].copy_from_slice(&first.to_be_bytes());
    out[12..].copy_from_slice(&second.to_be_bytes());
    out
}

/// The 64-bit hash of Fowler, Noll and Vo: the same in every process, for all time.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Each part with its length before it, so that no two lists of parts are the same bytes.
fn hash(parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let mut out = [0; 16];
    out.copy_from_slice(&hasher.finalize()[..16]);
    out
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::auth::scope::Scopes;
    use crate::config::{self, Config};

    fn principal(team: Option<i32>, credential: Credential) -> Principal {
        Principal {
            user: UserId(7),
            team: team.map(TeamId),
            distinct_id: None,
            credential,
            scopes: Scopes::from_text("*"),
        }
    }

    fn key() -> Credential {
        Credential::ApiKey { id: "k1".to_owned() }
    }

    fn scope(product: &str, team: i32, named: Option<&str>) -> Scope {
        Scope::new(ProductName::from(product), &principal(Some(team), key()), named)
    }

    fn config(env: &[(&str, &str)]) -> Config {
        let env = env.iter().map(|&(name, text)| (name.to_owned(), text.to_owned()));
        Config::load(env, config::Mode::Tool).unwrap().config
    }

    fn claim(scope: &Scope, per: Per) -> Claim {
        let config = config(&[]);
        let claims = scope.claims(&config.products["llm_gateway"], &config.limits);
        *claims.iter().find(|claim| claim.per == per).unwrap()
    }

    #[test]
    fn naming_another_teams_user_spends_nothing_of_theirs() {
        let (ours, theirs) = (scope("wizard", 1, Some("ann")), scope("wizard", 2, Some("ann")));
        assert_ne!(claim(&ours, Per::User).key, claim(&theirs, Per::User).key);
        assert_ne!(claim(&ours, Per::Team).key, claim(&theirs, Per::Team).key);
        assert_eq!(claim(&ours, Per::Product).key, claim(&theirs, Per::Product).key);
    }

    #[test]
    fn whoever_is_named_the_teams_counter_is_the_same() {
        let (ann, bob) = (scope("wizard", 1, Some("ann")), scope("wizard", 1, Some("bob")));
        assert_ne!(claim(&ann, Per::User).key, claim(&bob, Per::User).key);
        assert_eq!(claim(&ann, Per::Team).key, claim(&bob, Per::Team).key);
    }

    #[test]
    fn a_named_user_is_never_an_owner() {
        let (owner, named) = (scope("wizard", 1, None), scope("wizard", 1, Some("7")));
        assert_eq!(owner.end_user, EndUser::Owner(UserId(7)));
        assert_ne!(claim(&owner, Per::User).key, claim(&named, Per::User).key);
    }

    #[test]
    fn an_oauth_token_is_its_users_whatever_is_said() {
        let token = principal(Some(1), Credential::OAuth { application: None });
        let scope = Scope::new(ProductName::from("array"), &token, Some("somebody else"));
        assert_eq!(scope.end_user, EndUser::Owner(UserId(7)));
    }

    #[test]
    fn a_name_of_any_size_and_characters_makes_a_key_of_fixed_size_without_them() {
        let huge = "é{}:\r\n\u{0}*".repeat(1100);
        let one = claim(&scope("wizard", 1, Some(&huge)), Per::User).key;
        let whose = one.whose();
        assert_eq!(whose.len(), 32);
        assert!(whose.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(one, claim(&scope("wizard", 1, Some(&huge)), Per::User).key);
    }

    #[test]
    fn a_user_without_a_team_shares_with_nobody() {
        let alone = Scope::new(ProductName::from("wizard"), &principal(None, key()), None);
        let team = scope("wizard", 7, None);
        assert_ne!(claim(&alone, Per::Team).key, claim(&team, Per::Team).key);
    }

    #[test]
    fn a_limit_that_a_multiplier_makes_very_large_or_very_small_is_a_limit_still() {
        for (usd, factor, limit) in
            [("1000000000", "1000.0", i64::MAX), ("0.000000001", "0.001", 1), ("3", "1.5", 4_500_000_000)]
        {
            let limits = format!("[{{ per = 'user', usd = {usd}, window = '1h' }}]");
            let multipliers = format!("{{ 1 = {factor} }}");
            let config = config(&[
                ("LLM_GATEWAY__PRODUCTS__WIZARD__LIMITS", &limits),
                ("LLM_GATEWAY__LIMITS__TEAM_MULTIPLIERS", &multipliers),
            ]);
            let claims = scope("wizard", 1, None).claims(&config.products["wizard"], &config.limits);
            assert_eq!(claims.iter().map(|claim| claim.limit.0).collect::<Vec<_>>(), [limit]);
        }
    }

    #[test]
    fn a_teams_multiplier_raises_its_own_limits_and_not_the_products() {
        let config = config(&[("LLM_GATEWAY__LIMITS__TEAM_MULTIPLIERS", "{ 1 = 2.5 }")]);
        let amounts = |team| {
            let mut claims = scope("llm_gateway", team, None).claims(&config.products["llm_gateway"], &config.limits);
            claims.sort_by_key(|claim| claim.per);
            claims.into_iter().map(|claim| claim.limit.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(amounts(1), ["1250.00", "12500.00", "1000.00"]);
        assert_eq!(amounts(2), ["500.00", "5000.00", "1000.00"]);
    }
}
