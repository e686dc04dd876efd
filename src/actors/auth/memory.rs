//! What is known of tokens, how old that is, and for how long it may be believed.
//!
//! Lives in the handle, not in the actor: a restart loses nothing. Holds hashes only.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use crate::actors::auth::bounded::Bounded;
use crate::auth::principal::{Credential, Principal};
use crate::auth::token::TokenHash;
use crate::clock::Clock;
use crate::config;
use crate::store::listen::Change;

/// The shared memory of all handles and of the actor.
#[derive(Debug)]
pub(super) struct Memory {
    clock: Clock,
    known: Bounded<Known>,
    refused: Bounded<Instant>,
    /// Entries of an older generation have to be looked up again: a change may have gone unheard since.
    generation: AtomicU64,
    /// Moves with every change that was heard. An answer that was on its way meanwhile may be outdated.
    changes: AtomicU64,
    is_listening: AtomicBool,
    was_deaf: AtomicBool,
    is_gone: AtomicBool,
    last_contact: Mutex<Option<Instant>>,
}

/// A token that was good when it was looked up.
#[derive(Debug)]
struct Known {
    principal: Arc<Principal>,
    checked: Instant,
    expires: Option<SystemTime>,
    generation: u64,
}

/// What the memory says of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Recollection {
    /// It is good.
    Good(Arc<Principal>),
    /// It was good, and too long ago. The database is gone, so it still is.
    GoodInGrace(Arc<Principal>),
    /// It was refused a moment ago.
    Refused,
    /// The database has to be asked.
    Nothing,
}

/// A good token, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) principal: Arc<Principal>,
    /// An OAuth token's end.
    pub(super) expires: Option<SystemTime>,
}

impl Memory {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            known: Bounded::new(),
            refused: Bounded::new(),
            generation: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            is_listening: AtomicBool::new(false),
            was_deaf: AtomicBool::new(false),
            is_gone: AtomicBool::new(false),
            last_contact: Mutex::new(None),
        }
    }

    /// What is known of a token, without asking anybody.
    pub(super) fn recall(&self, hash: &TokenHash, config: &config::auth::Auth) -> Recollection {
        let now = self.clock.now();
        if let Some(slot) = self.known.read(hash) {
            let known = &slot.value;
            if known.expires.is_some_and(|expires| expires <= self.clock.wall()) {
                return Recollection::Nothing;
            }
            let age = now.saturating_duration_since(known.checked);
            let ttl = self.ttl(known, config);
            if known.generation == self.generation.load(Ordering::Acquire) && age < ttl {
                return Recollection::Good(Arc::clone(&known.principal));
            }
            let is_in_grace = age < ttl.saturating_add(config.grace) && self.is_in_grace(now, config);
            if is_in_grace && self.is_gone.load(Ordering::Acquire) {
                return Recollection::GoodInGrace(Arc::clone(&known.principal));
            }
            return Recollection::Nothing;
        }
        let was_refused = self.refused.peek(hash).is_some_and(|slot| {
            let age = now.saturating_duration_since(slot.value);
            age < config.refusal_ttl
        });
        if was_refused { Recollection::Refused } else { Recollection::Nothing }
    }

    /// A token was looked up and is good.
    pub(super) fn remember(&self, hash: TokenHash, found: &Found, config: &config::auth::Auth) {
        self.refused.remove(&hash);
        let known = Known {
            principal: Arc::clone(&found.principal),
            checked: self.clock.now(),
            expires: found.expires,
            generation: self.generation.load(Ordering::Acquire),
        };
        self.known.insert(hash, known, config.cache_capacity);
    }

    /// A token was looked up and is not good.
    pub(super) fn refuse(&self, hash: TokenHash, config: &config::auth::Auth) {
        self.known.remove(&hash);
        self.refused.insert(hash, self.clock.now(), config.refusal_capacity);
    }

    /// Whether an OAuth token has come to its end.
    pub(super) fn has_expired(&self, found: &Found) -> bool {
        found.expires.is_some_and(|expires| expires <= self.clock.wall())
    }

    /// The database answered.
    pub(super) fn reached(&self) {
        *self.last_contact.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.clock.now());
        if self.is_gone.swap(false, Ordering::AcqRel) {
            tracing::info!("the database answers again");
        }
    }

    /// The database did not answer.
    pub(super) fn missed(&self, error: &dyn std::error::Error) {
        if !self.is_gone.swap(true, Ordering::AcqRel) {
            tracing::error!(
                error = %error,
                "tokens cannot be checked; those that were checked before stay good for a while, others are answered 503"
            );
        }
    }

    /// Whether the database is out of reach.
    pub(super) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Acquire)
    }

    /// Whether revocations are heard as they happen.
    pub(super) fn is_listening(&self) -> bool {
        self.is_listening.load(Ordering::Acquire)
    }

    /// Whether tokens can be checked, or could be so recently that those checked before stay good.
    pub(super) fn is_ready(&self, config: &config::auth::Auth) -> bool {
        self.is_in_grace(self.clock.now(), config)
    }

    /// Moves whenever something may have changed.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Takes in what the watch heard.
    pub(super) fn hear(&self, change: &Change) {
        match change {
            Change::Token(hash) => {
                self.known.remove(hash);
                self.refused.remove(hash);
                self.changes.fetch_add(1, Ordering::AcqRel);
            }
            Change::Everything => self.distrust_all(),
            Change::Listening => {
                self.distrust_all();
                self.is_listening.store(true, Ordering::Release);
                tracing::info!("revoked keys take effect at once");
            }
            Change::Deaf(reason) => {
                self.is_listening.store(false, Ordering::Release);
                if !self.was_deaf.swap(true, Ordering::AcqRel) {
                    tracing::warn!(
                        reason,
                        "revocations cannot be listened for; keys are looked up again after a minute"
                    );
                }
            }
            Change::Cut => {
                self.is_listening.store(false, Ordering::Release);
                tracing::warn!("the connection that listens for revocations was lost; connecting again");
            }
            Change::Gone(error) => {
                self.is_listening.store(false, Ordering::Release);
                tracing::debug!(error = %error, "revocations are not heard");
            }
        }
    }

    /// Whether a token was good when it was last looked up, however long ago.
    pub(super) fn was_good(&self, hash: &TokenHash) -> bool {
        self.known.peek(hash).is_some()
    }

    /// How many tokens are remembered, good ones and refused ones.
    pub(super) fn len(&self) -> (usize, usize) {
        (self.known.len(), self.refused.len())
    }

    /// Everything has to be looked up again. What was known stays for the grace: the database may go before it answers.
    fn distrust_all(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.refused.clear();
    }

    fn ttl(&self, known: &Known, config: &config::auth::Auth) -> std::time::Duration {
        match known.principal.credential {
            Credential::ApiKey { .. } if self.is_listening() => config.api_key_ttl,
            Credential::ApiKey { .. } => config.api_key_ttl_without_listen.min(config.api_key_ttl),
            Credential::OAuth { .. } => config.oauth_ttl,
        }
    }

    fn is_in_grace(&self, now: Instant, config: &config::auth::Auth) -> bool {
        let last_contact = *self.last_contact.lock().unwrap_or_else(PoisonError::into_inner);
        last_contact.is_some_and(|last| now.saturating_duration_since(last) < config.grace)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use super::{Found, Memory, Recollection};
    use crate::auth::principal::{Credential, Principal};
    use crate::auth::scope::Scopes;
    use crate::auth::token::TokenHash;
    use crate::clock::Clock;
    use crate::config::auth::Auth as Settings;
    use crate::ids::UserId;
    use crate::store::database::StoreError;
    use crate::store::listen::Change;

    const MINUTE: Duration = Duration::from_secs(60);

    struct Bench {
        clock: Clock,
        memory: Memory,
        settings: Settings,
        hash: TokenHash,
    }

    impl Bench {
        /// A memory that listens and has just reached its database.
        fn new() -> Self {
            let clock = Clock::manual(SystemTime::UNIX_EPOCH);
            let memory = Memory::new(clock.clone());
            memory.hear(&Change::Listening);
            memory.reached();
            let settings = Settings {
                api_key_ttl: 15 * MINUTE,
                api_key_ttl_without_listen: MINUTE,
                oauth_ttl: MINUTE,
                refusal_ttl: Duration::from_secs(10),
                grace: 60 * MINUTE,
                cache_capacity: 100,
                refusal_capacity: 100,
                max_lookups: 10,
            };
            Self { clock, memory, settings, hash: TokenHash::of("phx_a") }
        }

        fn remember_key(&self) {
            self.remember(Credential::ApiKey { id: "k".to_owned() }, None);
        }

        fn remember_oauth(&self, expires_in: Duration) {
            self.remember(Credential::OAuth { application: None }, Some(self.clock.wall() + expires_in));
        }

        fn remember(&self, credential: Credential, expires: Option<SystemTime>) {
            let principal =
                Principal { user: UserId(1), team: None, distinct_id: None, credential, scopes: Scopes::none() };
            self.memory.remember(self.hash, &Found { principal: Arc::new(principal), expires }, &self.settings);
        }

        fn recall(&self) -> &'static str {
            match self.memory.recall(&self.hash, &self.settings) {
                Recollection::Good(_) => "good",
                Recollection::GoodInGrace(_) => "grace",
                Recollection::Refused => "refused",
                Recollection::Nothing => "nothing",
            }
        }

        fn after(&self, time: Duration) -> &'static str {
            self.clock.advance(time);
            self.recall()
        }

        fn lose_database(&self) {
            self.memory.missed(&StoreError::Unreachable("gone".to_owned()));
        }
    }

    #[test]
    fn a_key_is_believed_for_its_time_and_no_longer() {
        let bench = Bench::new();
        assert_eq!(bench.recall(), "nothing");
        bench.remember_key();
        assert_eq!(bench.after(15 * MINUTE - Duration::from_millis(1)), "good");
        assert_eq!(bench.after(Duration::from_millis(1)), "nothing");
    }

    #[test]
    fn a_key_is_believed_for_a_minute_where_revocations_cannot_be_heard() {
        for deaf in [Change::Deaf("standby".to_owned()), Change::Cut] {
            let bench = Bench::new();
            bench.remember_key();
            bench.memory.hear(&deaf);
            assert_eq!(bench.after(MINUTE - Duration::from_millis(1)), "good");
            assert_eq!(bench.after(Duration::from_millis(1)), "nothing");
        }
    }

    #[test]
    fn an_oauth_token_is_believed_for_a_minute_but_never_past_its_end() {
        let bench = Bench::new();
        bench.remember_oauth(60 * MINUTE);
        assert_eq!(bench.after(MINUTE - Duration::from_millis(1)), "good");
        assert_eq!(bench.after(Duration::from_millis(1)), "nothing");
        bench.remember_oauth(Duration::from_secs(5));
        assert_eq!(bench.after(Duration::from_secs(4)), "good");
        assert_eq!(bench.after(Duration::from_secs(1)), "nothing");
    }

    #[test]
    fn not_even_grace_keeps_an_oauth_token_past_its_end() {
        let bench = Bench::new();
        bench.remember_oauth(5 * MINUTE);
        bench.lose_database();
        assert_eq!(bench.after(4 * MINUTE), "grace");
        assert_eq!(bench.after(MINUTE), "nothing");
    }

    #[test]
    fn a_refusal_is_remembered_for_ten_seconds() {
        let bench = Bench::new();
        bench.memory.refuse(bench.hash, &bench.settings);
        assert_eq!(bench.after(Duration::from_millis(9_999)), "refused");
        assert_eq!(bench.after(Duration::from_millis(1)), "nothing");
    }

    #[test]
    fn a_refusal_and_a_recognition_replace_each_other() {
        let bench = Bench::new();
        bench.remember_key();
        bench.memory.refuse(bench.hash, &bench.settings);
        assert_eq!(bench.recall(), "refused");
        bench.remember_key();
        assert_eq!(bench.recall(), "good");
    }

    #[test]
    fn while_the_database_is_gone_old_knowledge_is_good_for_the_grace() {
        let bench = Bench::new();
        bench.remember_key();
        bench.clock.advance(20 * MINUTE);
        bench.memory.reached();
        assert_eq!(bench.recall(), "nothing");
        bench.lose_database();
        assert_eq!(bench.recall(), "grace");
        assert_eq!(bench.after(40 * MINUTE), "grace");
        assert!(bench.memory.is_ready(&bench.settings));
        assert_eq!(bench.after(20 * MINUTE), "nothing");
        assert!(!bench.memory.is_ready(&bench.settings));
    }

    #[test]
    fn a_token_that_was_last_checked_long_before_the_loss_is_not_in_grace() {
        let bench = Bench::new();
        bench.remember_key();
        bench.clock.advance(2 * 60 * MINUTE);
        bench.memory.reached();
        bench.lose_database();
        assert_eq!(bench.recall(), "nothing");
    }

    #[test]
    fn a_revoked_token_is_forgotten_even_for_the_grace() {
        let bench = Bench::new();
        bench.remember_key();
        bench.memory.hear(&Change::Token(bench.hash));
        assert_eq!(bench.recall(), "nothing");
        bench.lose_database();
        assert_eq!(bench.recall(), "nothing");
    }

    #[test]
    fn after_a_reconnect_all_is_looked_up_again_but_kept_for_the_grace() {
        for change in [Change::Listening, Change::Everything] {
            let bench = Bench::new();
            bench.remember_key();
            bench.memory.hear(&change);
            assert_eq!(bench.recall(), "nothing");
            bench.lose_database();
            assert_eq!(bench.recall(), "grace");
            bench.memory.reached();
            bench.remember_key();
            assert_eq!(bench.recall(), "good");
        }
    }

    #[test]
    fn refusals_do_not_outlive_a_change_of_everything_or_of_their_token() {
        let bench = Bench::new();
        for change in [Change::Listening, Change::Everything, Change::Token(bench.hash)] {
            bench.memory.refuse(bench.hash, &bench.settings);
            bench.memory.hear(&change);
            assert_eq!(bench.recall(), "nothing");
        }
    }

    #[test]
    fn every_change_that_was_heard_can_be_told_from_silence() {
        let bench = Bench::new();
        for change in [Change::Listening, Change::Everything, Change::Token(bench.hash)] {
            let before = bench.memory.changes();
            bench.memory.hear(&change);
            assert_ne!(bench.memory.changes(), before);
        }
        let before = bench.memory.changes();
        bench.memory.reached();
        bench.memory.hear(&Change::Cut);
        assert_eq!(bench.memory.changes(), before);
    }

    #[test]
    fn nothing_is_ready_before_the_database_was_reached_once() {
        let bench = Bench::new();
        let fresh = Memory::new(bench.clock.clone());
        assert!(!fresh.is_ready(&bench.settings));
        fresh.missed(&StoreError::Unreachable("gone".to_owned()));
        assert!(!fresh.is_ready(&bench.settings) && fresh.is_gone());
        fresh.reached();
        assert!(fresh.is_ready(&bench.settings) && !fresh.is_gone());
    }
}
