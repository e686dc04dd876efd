//! The handle and its actor on a real SQLite file: panics, floods, and what comes back after them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use futures_util::future::{join, join_all};

use super::lookup::Break;
use super::{Auth, DevelopmentKey, MAILBOX};
use crate::auth::token::{Token, TokenHash};
use crate::clock::Clock;
use crate::config::{Config, Mode};
use crate::fault::FaultKind;
use crate::ids::UserId;
use crate::store::api_keys::{self, NewKey};
use crate::store::database::Database;
use crate::store::migrations;

/// A gateway's auth on a database of its own, with some good keys.
struct Bench {
    auth: Auth,
    clock: Clock,
    keys: Vec<Token>,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn start(keys: usize, max_lookups: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.db");
        migrations::prepare_development(&path).unwrap();
        let url = format!("sqlite:{}", path.display());
        let env = [("LLM_GATEWAY_DATABASE_URL".to_owned(), url)];
        let mut config = Config::load(env, Mode::Tool).unwrap().config;
        config.auth.max_lookups = max_lookups;
        let database = Database::open(&config.database).unwrap();
        let mut tokens = Vec::new();
        for number in 0..keys {
            let text = format!("phx_{number}");
            let key = NewKey {
                id: number.to_string(),
                label: "test".to_owned(),
                hash: TokenHash::of(&text),
                scopes: ["*"].into_iter().collect(),
                user: UserId(1),
            };
            api_keys::create(&database, key).await.unwrap();
            tokens.push(Token::parse(&text).unwrap());
        }
        let clock = Clock::manual(SystemTime::now());
        let shared = Arc::new(ArcSwap::from_pointee(config));
        let auth = Auth::start(database, shared, clock.clone(), DevelopmentKey::Refused);
        let bench = Self { auth, clock, keys: tokens, _folder: folder };
        bench.listen().await;
        bench
    }

    async fn listen(&self) {
        while !self.auth.hears_revocations() {
            tokio::task::yield_now().await;
        }
    }

    async fn is_good(&self, key: usize) -> bool {
        self.auth.authenticate(&self.keys[key]).await.is_ok()
    }

    fn lookups(&self) -> u64 {
        self.auth.counters().lookups.load(Ordering::SeqCst)
    }

    async fn break_actor(&self) {
        self.auth.actor.send(Break).await.unwrap_err();
    }
}

#[actix_rt::test]
async fn a_panic_loses_nothing_that_was_known_and_nobody_who_comes_after() {
    let bench = Bench::start(2, 10).await;
    assert!(bench.is_good(0).await);
    bench.break_actor().await;
    assert_eq!(bench.auth.remembered(), (1, 0));
    assert!(bench.is_good(0).await && bench.is_good(1).await);
    let report = bench.auth.report();
    assert_eq!((report.restarts, report.mailbox_depth), (1, 0));
    assert!(report.last_error.unwrap().contains("broken by a test"));
}

#[actix_rt::test]
async fn those_who_wait_when_it_panics_ask_once_more() {
    let bench = Bench::start(1, 10).await;
    let (answers, ()) = join(join_all((0..10).map(|_| bench.is_good(0))), bench.break_actor()).await;
    assert_eq!(answers, [true; 10]);
    // The look-up that was under way, the one for all who asked again, and perhaps that one's repetition: the watch has
    // just begun anew.
    assert!((2..=4).contains(&bench.lookups()), "{}", bench.lookups());
    assert_eq!(bench.auth.report().restarts, 1);
}

#[actix_rt::test]
async fn after_a_panic_it_listens_again() {
    let bench = Bench::start(1, 10).await;
    assert!(bench.is_good(0).await);
    bench.break_actor().await;
    api_keys::revoke(&bench.auth.shared.database, "0").await.unwrap();
    while bench.is_good(0).await {
        tokio::task::yield_now().await;
    }
}

#[actix_rt::test]
async fn look_ups_over_the_bound_are_503_but_not_those_of_callers_known_before() {
    let bench = Bench::start(5, 1).await;
    for key in 0..5 {
        assert!(bench.is_good(key).await);
    }
    bench.clock.advance(bench.auth.shared.config.load().auth.api_key_ttl);

    let stranger = |number: usize| Token::parse(&format!("phx_stranger_{number}")).unwrap();
    let strangers: Vec<Token> = (0..20).map(stranger).collect();
    let (of_strangers, of_callers) = join(
        join_all(strangers.iter().map(|token| bench.auth.authenticate(token))),
        join_all((0..5).map(|key| bench.is_good(key))),
    )
    .await;
    assert_eq!(of_callers, [true; 5]);
    let kinds: Vec<FaultKind> = of_strangers.into_iter().map(|answer| answer.unwrap_err().kind).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == FaultKind::InvalidApiKey).count(), 1);
    assert_eq!(kinds.iter().filter(|kind| **kind == FaultKind::GatewayUnavailable).count(), 19);
}

#[actix_rt::test]
async fn a_full_mailbox_is_503_at_once() {
    let bench = Bench::start(1, 10).await;
    // All of them ask before the actor, on this same thread, has its turn.
    let answers = join_all((0..3 * MAILBOX).map(|_| bench.is_good(0))).await;
    let good = answers.iter().filter(|good| **good).count();
    assert!((MAILBOX..2 * MAILBOX).contains(&good), "{good}");
    assert_eq!(bench.auth.report().mailbox_depth, 0);
    assert!(bench.is_good(0).await);
}

#[actix_rt::test]
async fn a_change_under_way_makes_the_answer_be_asked_again() {
    let bench = Bench::start(1, 10).await;
    let ((), good) = join(
        async {
            // Let the look-up take off first.
            while bench.lookups() == 0 {
                tokio::task::yield_now().await;
            }
            bench.auth.shared.memory.hear(&crate::store::listen::Change::Token(bench.keys[0].hash()));
        },
        bench.is_good(0),
    )
    .await;
    assert!(good);
    assert_eq!(bench.lookups(), 2);
    assert!(bench.is_good(0).await);
    assert_eq!(bench.lookups(), 2);
}
