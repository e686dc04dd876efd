//! Who may call, looked up in real databases: what callers get while these work, change, hang and die.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use llm_gateway::actors::auth::{Auth, DevelopmentKey};
use llm_gateway::auth::principal::{Credential, Principal};
use llm_gateway::auth::token::{DEVELOPMENT_KEY, Token};
use llm_gateway::clock::Clock;
use llm_gateway::config::{Config, Mode};
use llm_gateway::fault::{Fault, FaultKind};
use llm_gateway::ids::{TeamId, UserId};
use llm_gateway::store::database::Database;

use crate::support::keys::{NewOAuthToken, NewUser, SCOPE};
use crate::support::postgres::TestDatabase;
use crate::support::proxy::{Proxy, Weather};
use crate::support::wait;

mod server;

/// A gateway's settings, with a database and short deadlines.
pub(crate) fn settings(url: &str) -> Config {
    let env = [
        ("LLM_GATEWAY_DATABASE_URL", url),
        ("LLM_GATEWAY__DATABASE__CONNECT_TIMEOUT", "2s"),
        ("LLM_GATEWAY__DATABASE__QUERY_TIMEOUT", "2s"),
    ];
    Config::load(env.map(|(name, value)| (name.to_owned(), value.to_owned())), Mode::Tool).unwrap().config
}

fn start_with(config: Config, clock: Clock) -> Auth {
    let database = Database::open(&config.database).unwrap();
    Auth::start(database, Arc::new(ArcSwap::from_pointee(config)), clock, DevelopmentKey::Refused)
}

fn start(url: &str) -> Auth {
    start_with(settings(url), Clock::system())
}

/// One that hears of revocations already: from then on nothing is looked up twice.
async fn start_listening(url: &str) -> Auth {
    listening(start(url)).await
}

async fn listening(auth: Auth) -> Auth {
    wait::until_true("the gateway to listen", || auth.hears_revocations()).await;
    auth
}

async fn check(auth: &Auth, token: &str) -> Result<Arc<Principal>, Fault> {
    auth.authenticate(&Token::parse(token).unwrap()).await
}

async fn kind_of_fault(auth: &Auth, token: &str) -> FaultKind {
    check(auth, token).await.unwrap_err().kind
}

fn lookups(auth: &Auth) -> u64 {
    auth.counters().lookups.load(Ordering::SeqCst)
}

#[actix_rt::test]
async fn both_kinds_of_token_are_looked_up_in_posthogs_own_tables() {
    let database = TestDatabase::posthog();
    let user = NewUser::default().team(7).distinct_id("ada").create(&database).await;
    let application = uuid::Uuid::new_v4();
    let key = user.api_key(&database, &["insight:read", SCOPE]).await;
    let access = user.oauth_token(&database, NewOAuthToken::default().application(application)).await;
    let auth = start(database.url());

    let by_key = check(&auth, &key).await.unwrap();
    assert_eq!((by_key.user, by_key.team), (UserId(user.id), Some(TeamId(7))));
    assert_eq!(by_key.distinct_id.as_deref(), Some("ada"));
    assert!(matches!(by_key.credential, Credential::ApiKey { .. }));
    assert!(by_key.scopes.allows_gateway());
    assert_eq!(by_key.scopes.iter().collect::<Vec<_>>(), ["insight:read", SCOPE]);

    let by_token = check(&auth, &access).await.unwrap();
    assert_eq!(by_token.user, by_key.user);
    assert_eq!(by_token.credential, Credential::OAuth { application: Some(application) });
    assert!(by_token.scopes.allows_gateway());

    let elsewhere = user.oauth_token(&database, NewOAuthToken::default().scope("insight:read dashboard:read")).await;
    let elsewhere = check(&auth, &elsewhere).await.unwrap();
    assert_eq!(elsewhere.scopes.iter().collect::<Vec<_>>(), ["insight:read", "dashboard:read"]);
    assert!(!elsewhere.scopes.allows_gateway());
}

#[actix_rt::test]
async fn a_user_without_team_or_distinct_id_and_a_key_without_scopes_are_known() {
    let database = TestDatabase::posthog();
    let user = NewUser::default().team(None).create(&database).await;
    let key = user.api_key(&database, &[]).await;
    database.execute("UPDATE posthog_personalapikey SET scopes = NULL").await;
    let auth = start(database.url());
    let principal = check(&auth, &key).await.unwrap();
    assert_eq!((principal.team, principal.distinct_id.as_deref()), (None, None));
    assert!(!principal.scopes.allows_gateway());
}

#[actix_rt::test]
async fn unknown_expired_and_inactive_are_all_401() {
    let database = TestDatabase::posthog();
    let past = SystemTime::now() - Duration::from_secs(1);
    let active = NewUser::default().create(&database).await;
    let expired = active.oauth_token(&database, NewOAuthToken::default().expires(past)).await;
    let inactive = NewUser::default().inactive().create(&database).await;
    let key = inactive.api_key(&database, &[SCOPE]).await;
    let access = inactive.oauth_token(&database, NewOAuthToken::default()).await;
    let nobodys = active.oauth_token(&database, NewOAuthToken::default()).await;
    database
        .execute(&format!(
            "UPDATE posthog_oauthaccesstoken SET user_id = NULL WHERE token_checksum = '{}'",
            Token::parse(&nobodys).unwrap().hash().hex()
        ))
        .await;
    let auth = start(database.url());
    for token in [expired.as_str(), &key, &access, &nobodys, "phx_unknown", "pha_unknown"] {
        assert_eq!(kind_of_fault(&auth, token).await, FaultKind::InvalidApiKey, "{token}");
    }
}

#[actix_rt::test]
async fn an_access_token_ends_on_time_even_in_the_cache() {
    let database = TestDatabase::posthog();
    let user = NewUser::default().create(&database).await;
    let clock = Clock::manual(SystemTime::now());
    let expires = clock.wall() + Duration::from_secs(30);
    let access = user.oauth_token(&database, NewOAuthToken::default().expires(expires)).await;
    let auth = listening(start_with(settings(database.url()), clock.clone())).await;
    check(&auth, &access).await.unwrap();
    clock.advance(Duration::from_secs(29));
    check(&auth, &access).await.unwrap();
    assert_eq!(lookups(&auth), 1);
    // PostgreSQL rounds to microseconds.
    clock.advance(Duration::from_millis(1001));
    assert_eq!(kind_of_fault(&auth, &access).await, FaultKind::InvalidApiKey);
}

#[actix_rt::test]
async fn reading_rights_are_enough() {
    let database = TestDatabase::posthog();
    let user = NewUser::default().create(&database).await;
    let key = user.api_key(&database, &[SCOPE]).await;
    let role = format!("reader_{}", uuid::Uuid::new_v4().simple());
    database
        .execute(&format!(
            "CREATE ROLE {role} LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}; \
             ALTER ROLE {role} SET default_transaction_read_only = on"
        ))
        .await;
    let mut url = url::Url::parse(database.url()).unwrap();
    url.set_username(&role).unwrap();

    let auth = start_listening(url.as_str()).await;
    check(&auth, &key).await.unwrap();
    database.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[actix_rt::test]
async fn one_question_serves_all_who_ask_about_one_token() {
    let database = TestDatabase::posthog();
    let user = NewUser::default().create(&database).await;
    let key = user.api_key(&database, &[SCOPE]).await;
    let proxy = Proxy::start(database.address()).await;
    let auth = start_listening(&database.url_through(proxy.address())).await;

    // With every answer underway for longer than it takes to ask, all hundred have to meet in one look-up.
    proxy.set(Weather::Slow(Duration::from_millis(100)));
    let asked = futures_util::future::join_all((0..100).map(|_| check(&auth, &key))).await;
    assert!(asked.iter().all(Result::is_ok));
    assert_eq!(lookups(&auth), 1);
    assert_eq!(auth.counters().misses.load(Ordering::SeqCst), 100);

    check(&auth, &key).await.unwrap();
    assert_eq!(lookups(&auth), 1);
    assert_eq!(auth.counters().hits.load(Ordering::SeqCst), 1);
}

#[actix_rt::test]
async fn ten_thousand_bad_tokens_neither_fill_memory_nor_flood_the_database() {
    let database = TestDatabase::posthog();
    let user = NewUser::default().create(&database).await;
    let key = user.api_key(&database, &[SCOPE]).await;
    let mut config = settings(database.url());
    config.auth.refusal_capacity = 1_000;
    let (pool, most) = (config.database.pool_size, config.auth.max_lookups);
    let auth = listening(start_with(config, Clock::system())).await;
    check(&auth, &key).await.unwrap();

    let mut refused = 0;
    for thousand in 0..10 {
        let tokens: Vec<String> = (0..1_000).map(|n| format!("phx_bad_{thousand}_{n}")).collect();
        let asked = tokens.iter().map(|token| kind_of_fault(&auth, token));
        let mut kinds = futures_util::future::join_all(asked).await;
        kinds.retain(|kind| *kind == FaultKind::InvalidApiKey);
        // A thousand at a time: those over the bound are told to come back, and are no look-ups.
        assert!(kinds.len() >= most.min(1_000), "only {} were looked up", kinds.len());
        refused += kinds.len();
        assert!(auth.remembered().1 <= 1_000);
    }
    assert_eq!(lookups(&auth), 1 + u64::try_from(refused).unwrap());
    let connections: i64 = database
        .connect()
        .await
        .query_one("SELECT count(*) FROM pg_stat_activity WHERE datname = $1", &[&database.name()])
        .await
        .unwrap()
        .get(0);
    // The pool, the listener, and this question's own.
    assert!(connections <= i64::from(pool) + 2, "{connections} connections");
    check(&auth, &key).await.unwrap();
    assert_eq!(lookups(&auth), 1 + u64::try_from(refused).unwrap());
}

#[actix_rt::test]
async fn a_refused_token_is_not_looked_up_again_for_ten_seconds() {
    let database = TestDatabase::posthog();
    let clock = Clock::manual(SystemTime::now());
    let auth = listening(start_with(settings(database.url()), clock.clone())).await;
    for _ in 0..3 {
        assert_eq!(kind_of_fault(&auth, "phx_bad").await, FaultKind::InvalidApiKey);
    }
    assert_eq!(lookups(&auth), 1);
    clock.advance(Duration::from_secs(10));
    assert_eq!(kind_of_fault(&auth, "phx_bad").await, FaultKind::InvalidApiKey);
    assert_eq!(lookups(&auth), 2);
}

#[actix_rt::test]
async fn a_database_that_is_down_at_start_is_503_until_it_is_there() {
    let database = TestDatabase::posthog();
    let user = NewUser::default().create(&database).await;
    let key = user.api_key(&database, &[SCOPE]).await;
    let proxy = Proxy::start(database.address()).await;
    proxy.set(Weather::Cut);
    let auth = start(&database.url_through(proxy.address()));

    let fault = check(&auth, &key).await.unwrap_err();
    assert_eq!((fault.kind, fault.kind.status()), (FaultKind::GatewayUnavailable, 503));
    assert!(fault.retry_after.is_some());
    assert!(!auth.is_ready());

    proxy.set(Weather::Fair);
    wait::until_true("the gateway to be ready", || auth.is_ready()).await;
    wait::until("the key to be good", || async { check(&auth, &key).await.ok() }).await;
}

#[actix_rt::test]
async fn tables_that_are_missing_are_503_and_not_ready_until_they_are_made() {
    let database = TestDatabase::empty();
    let auth = start_listening(database.url()).await;
    assert_eq!(kind_of_fault(&auth, "phx_any").await, FaultKind::GatewayUnavailable);
    assert!(!auth.is_ready());
    let config = settings(database.url());
    llm_gateway::store::migrations::run(&config.database).unwrap();
    wait::until_true("the gateway to be ready", || auth.is_ready()).await;
    assert_eq!(kind_of_fault(&auth, "phx_any").await, FaultKind::InvalidApiKey);
}

#[actix_rt::test]
async fn callers_who_were_checked_live_through_an_outage_and_others_get_503() {
    let database = TestDatabase::posthog();
    let user = NewUser::default().create(&database).await;
    let known = user.api_key(&database, &[SCOPE]).await;
    let unknown = user.api_key(&database, &[SCOPE]).await;
    let proxy = Proxy::start(database.address()).await;
    let clock = Clock::manual(SystemTime::now());
    let config = settings(&database.url_through(proxy.address()));
    let (ttl, grace) = (config.auth.api_key_ttl, config.auth.grace);
    let auth = listening(start_with(config, clock.clone())).await;
    check(&auth, &known).await.unwrap();

    for weather in [Weather::Cut, Weather::Hanging] {
        proxy.set(weather);
        clock.advance(ttl);
        check(&auth, &known).await.unwrap();
        assert!(auth.is_database_gone() && auth.is_ready());
        assert_eq!(kind_of_fault(&auth, &unknown).await, FaultKind::GatewayUnavailable);

        // From now on nobody waits for a database that is known to be gone.
        let started = Instant::now();
        for _ in 0..100 {
            check(&auth, &known).await.unwrap();
        }
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());

        proxy.set(Weather::Fair);
        wait::until_true("the database to be found again", || !auth.is_database_gone()).await;
        wait::until_true("the gateway to listen again", || auth.hears_revocations()).await;
        let before = lookups(&auth);
        check(&auth, &known).await.unwrap();
        assert_eq!(lookups(&auth), before + 1, "what was known before an outage is looked up again after it");
    }

    proxy.set(Weather::Cut);
    clock.advance(grace);
    assert_eq!(kind_of_fault(&auth, &known).await, FaultKind::GatewayUnavailable);
    assert!(!auth.is_ready());
}

#[actix_rt::test]
async fn sessions_that_the_server_ends_lose_nobody() {
    let database = TestDatabase::posthog();
    let user = NewUser::default().create(&database).await;
    let auth = start_listening(database.url()).await;
    for _ in 0..5 {
        // A fresh key each time: it has to be looked up on connections that are found dead.
        let key = user.api_key(&database, &[SCOPE]).await;
        check(&auth, &key).await.unwrap();
        database.disconnect_everyone().await;
        let another = user.api_key(&database, &[SCOPE]).await;
        check(&auth, &key).await.unwrap();
        check(&auth, &another).await.unwrap();
    }
    wait::until_true("the gateway to listen again", || auth.hears_revocations()).await;
}

#[actix_rt::test]
async fn a_notice_reaches_every_gateway_within_a_second() {
    let database = TestDatabase::posthog();
    let user = NewUser::default().create(&database).await;
    let key = user.api_key(&database, &[SCOPE]).await;
    let other = user.api_key(&database, &[SCOPE]).await;
    let gateways = [start_listening(database.url()).await, start_listening(database.url()).await];
    for gateway in &gateways {
        check(gateway, &key).await.unwrap();
        check(gateway, &other).await.unwrap();
    }
    let store = Database::open(&settings(database.url()).database).unwrap();
    let id: String = match &check(&gateways[0], &key).await.unwrap().credential {
        Credential::ApiKey { id } => id.clone(),
        Credential::OAuth { .. } => panic!("not a key"),
    };

    llm_gateway::store::api_keys::revoke(&store, &id).await.unwrap();
    let revoked = Instant::now();
    for gateway in &gateways {
        wait::until("the key to be refused", || async { check(gateway, &key).await.is_err().then_some(()) }).await;
        assert!(revoked.elapsed() < Duration::from_secs(1), "{:?}", revoked.elapsed());
        assert_eq!(kind_of_fault(gateway, &key).await, FaultKind::InvalidApiKey);
        let before = lookups(gateway);
        check(gateway, &other).await.unwrap();
        assert_eq!(lookups(gateway), before, "the other key was forgotten, too");
    }
}

#[actix_rt::test]
async fn a_key_revoked_while_nobody_listened_is_refused_once_the_listener_is_back() {
    let database = TestDatabase::posthog();
    let user = NewUser::default().create(&database).await;
    let key = user.api_key(&database, &[SCOPE]).await;
    let proxy = Proxy::start(database.address()).await;
    let auth = start_listening(&database.url_through(proxy.address())).await;
    check(&auth, &key).await.unwrap();

    proxy.set(Weather::Cut);
    wait::until_true("the listener to notice", || !auth.hears_revocations()).await;
    database.execute("DELETE FROM posthog_personalapikey; NOTIFY llm_gateway_keys, '*'").await;
    check(&auth, &key).await.unwrap();
    proxy.set(Weather::Fair);
    wait::until("the key to be refused", || async { check(&auth, &key).await.is_err().then_some(()) }).await;
    assert_eq!(kind_of_fault(&auth, &key).await, FaultKind::InvalidApiKey);
}

#[actix_rt::test]
async fn a_key_that_is_made_is_good_at_once_even_if_its_token_was_refused_before() {
    let database = TestDatabase::posthog();
    let user = NewUser::default().create(&database).await;
    let auth = start_listening(database.url()).await;
    let token = Token::parse("phx_made_later").unwrap();
    assert_eq!(kind_of_fault(&auth, "phx_made_later").await, FaultKind::InvalidApiKey);
    let store = Database::open(&settings(database.url()).database).unwrap();
    llm_gateway::store::api_keys::create(
        &store,
        llm_gateway::store::api_keys::NewKey {
            id: "made-later".to_owned(),
            label: "made later".to_owned(),
            hash: token.hash(),
            scopes: [SCOPE].into_iter().collect(),
            user: UserId(user.id),
        },
    )
    .await
    .unwrap();
    wait::until("the key to be good", || async { check(&auth, "phx_made_later").await.ok() }).await;
}

#[actix_rt::test]
async fn serve_refuses_the_development_key_whatever_the_database_says() {
    let database = TestDatabase::posthog();
    let user = NewUser::default().create(&database).await;
    let hash = Token::parse(DEVELOPMENT_KEY).unwrap().hash();
    database
        .execute(&format!(
            "INSERT INTO posthog_personalapikey (id, label, secure_value, scopes, user_id) \
             VALUES ('dev', 'dev', '{}', '{{*}}', {})",
            hash.secure_value(),
            user.id
        ))
        .await;
    let auth = start(database.url());
    assert_eq!(kind_of_fault(&auth, DEVELOPMENT_KEY).await, FaultKind::InvalidApiKey);
    assert_eq!(lookups(&auth), 0);
}

#[actix_rt::test]
async fn dev_takes_the_development_key_without_any_database() {
    let config = settings("postgres://nobody@127.0.0.1:1/none");
    let database = Database::open(&config.database).unwrap();
    let shared = Arc::new(ArcSwap::from_pointee(config));
    let auth = Auth::start(database, shared, Clock::system(), DevelopmentKey::Accepted);
    let developer = check(&auth, DEVELOPMENT_KEY).await.unwrap();
    assert_eq!((developer.user, developer.team), (UserId(1), Some(TeamId(1))));
    assert!(developer.scopes.allows_gateway());
}
