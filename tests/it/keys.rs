//! `keys create`, `list` and `revoke` as an operator runs them, on both databases.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use llm_gateway::actors::auth::{Auth, DevelopmentKey};
use llm_gateway::auth::token::Token;
use llm_gateway::clock::Clock;
use llm_gateway::fault::FaultKind;
use llm_gateway::ids::TeamId;
use llm_gateway::store::database::Database;

use crate::auth::settings;
use crate::support::binary::{Binary, Ended};
use crate::support::keys::NewUser;
use crate::support::postgres::TestDatabase;
use crate::support::wait;

fn keys(url: &str, arguments: &[&str]) -> Ended {
    let all: Vec<&str> = ["keys"].iter().chain(arguments).copied().collect();
    Binary::new(all).env("LLM_GATEWAY_DATABASE_URL", url).run()
}

fn done(ended: &Ended) -> &str {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.stdout.trim_end()
}

fn refused(ended: &Ended, code: i32) -> &str {
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    &ended.stderr
}

fn ids(url: &str) -> Vec<String> {
    let listed = keys(url, &["list", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(done(&listed)).unwrap();
    listed.as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect()
}

/// An empty SQLite database, migrated.
fn sqlite(folder: &tempfile::TempDir) -> String {
    let url = format!("sqlite:{}", folder.path().join("gateway.db").display());
    let migrated = Binary::new(["migrate"]).env("LLM_GATEWAY_DATABASE_URL", &url).run();
    assert_eq!(migrated.code, Some(0), "{}", migrated.stderr);
    url
}

fn start(url: &str) -> Auth {
    let config = settings(url);
    let database = Database::open(&config.database).unwrap();
    Auth::start(database, Arc::new(ArcSwap::from_pointee(config)), Clock::system(), DevelopmentKey::Refused)
}

/// A key's life from the command line, watched by two running gateways.
async fn a_key_lives_and_dies(url: String) {
    let gateways = [start(&url), start(&url)];
    for gateway in &gateways {
        wait::until_true("the gateway to listen", || gateway.hears_revocations()).await;
    }
    let run = |arguments: &'static [&'static str]| {
        let url = url.clone();
        async move { tokio::task::spawn_blocking(move || keys(&url, arguments)).await.unwrap() }
    };

    let made = run(&["create", "--email", "ada@example.com", "--team", "7", "--label", "laptop"]).await;
    let token = done(&made).to_owned();
    assert_eq!((token.len(), token.lines().count()), (47, 1));
    assert!(made.stderr.contains("ada@example.com") && !made.stderr.contains(&token), "{}", made.stderr);
    let parsed = Token::parse(&token).unwrap();
    for gateway in &gateways {
        let principal = wait::until("the key to be good", || async { gateway.authenticate(&parsed).await.ok() }).await;
        assert_eq!(principal.team, Some(TeamId(7)));
        assert!(principal.scopes.allows_gateway());
    }

    let listed = run(&["list"]).await;
    for part in ["laptop", "ada@example.com", "llm_gateway:read"] {
        assert!(done(&listed).contains(part), "{}", listed.stdout);
    }
    let as_json = run(&["list", "--json"]).await;
    for hidden in [&token, &parsed.hash().hex()] {
        assert!(!listed.stdout.contains(hidden) && !as_json.stdout.contains(hidden));
    }

    let id = serde_json::from_str::<serde_json::Value>(done(&as_json)).unwrap()[0]["id"].as_str().unwrap().to_owned();
    let revoked = {
        let url = url.clone();
        tokio::task::spawn_blocking(move || keys(&url, &["revoke", &id])).await.unwrap()
    };
    assert_eq!(done(&revoked), "");
    let since = Instant::now();
    for gateway in &gateways {
        let fault = wait::until("the key to be refused", || async { gateway.authenticate(&parsed).await.err() }).await;
        assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
        assert_eq!(fault.kind, FaultKind::InvalidApiKey);
    }
    assert!(ids(&url).is_empty());
}

#[actix_rt::test]
async fn a_key_lives_and_dies_on_postgresql() {
    let database = TestDatabase::create();
    a_key_lives_and_dies(database.url().to_owned()).await;
}

#[actix_rt::test]
async fn a_key_lives_and_dies_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    a_key_lives_and_dies(sqlite(&folder)).await;
}

#[actix_rt::test]
async fn a_key_that_is_deleted_by_hand_dies_as_fast_on_tables_of_our_own() {
    let database = TestDatabase::create();
    let user = NewUser::default().create(&database).await;
    let gateway = start(database.url());
    wait::until_true("the gateway to listen", || gateway.hears_revocations()).await;
    for change in [
        "DELETE FROM posthog_personalapikey",
        "UPDATE posthog_personalapikey SET secure_value = NULL",
        "UPDATE posthog_user SET is_active = false",
    ] {
        let token = Token::parse(&user.api_key(&database, &["*"]).await).unwrap();
        gateway.authenticate(&token).await.unwrap();
        database.execute(change).await;
        let since = Instant::now();
        wait::until("the key to be refused", || async { gateway.authenticate(&token).await.err() }).await;
        assert!(since.elapsed() < Duration::from_secs(1), "{change}: {:?}", since.elapsed());
    }
}

#[test]
fn keys_are_made_on_posthogs_own_tables_for_users_that_are_there() {
    let database = TestDatabase::posthog();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let user = runtime.block_on(NewUser::default().team(3).create(&database));
    let inactive = runtime.block_on(NewUser::default().inactive().create(&database));

    let made = keys(database.url(), &["create", "--user", &user.id.to_string(), "--scope", "a:read", "--scope", "*"]);
    assert!(Token::parse(done(&made)).is_some());
    let made = keys(database.url(), &["create", "--user", &user.id.to_string(), "--scope", "insight:read"]);
    done(&made);
    assert!(made.stderr.contains("lacks the scope llm_gateway:read"), "{}", made.stderr);

    let refusal = keys(database.url(), &["create", "--user", &inactive.id.to_string()]);
    assert!(refused(&refusal, 1).contains("is inactive"), "{}", refusal.stderr);
    let refusal = keys(database.url(), &["create", "--user", "4711"]);
    assert!(refused(&refusal, 1).contains("there is no user 4711"), "{}", refusal.stderr);

    assert_eq!(ids(database.url()).len(), 2);
    let of_nobody = keys(database.url(), &["list", "--user", &inactive.id.to_string(), "--json"]);
    assert_eq!(done(&of_nobody), "[]");
    let of_somebody = keys(database.url(), &["list", "--user", &user.id.to_string()]);
    assert_eq!(done(&of_somebody).lines().count(), 3);
}

#[test]
fn what_makes_no_sense_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(&folder);
    let long = "x".repeat(41);
    for (arguments, said) in [
        (["revoke", "nothing", "", ""], "there is no key nothing"),
        (["create", "--email=a@b.c", "--label", &long], "the label has 41 characters"),
        (["create", "--email=a@b.c", "--scope", "two scopes"], "\"two scopes\" is no scope"),
    ] {
        let arguments: Vec<&str> = arguments.into_iter().filter(|argument| !argument.is_empty()).collect();
        let ended = keys(&url, &arguments);
        assert!(refused(&ended, 1).contains(said), "{}", ended.stderr);
    }
    assert!(ids(&url).is_empty());
}

#[test]
fn a_database_without_tables_or_without_a_server_is_told_apart() {
    let database = TestDatabase::empty();
    let folder = tempfile::tempdir().unwrap();
    let missing = format!("sqlite:{}", folder.path().join("none.db").display());
    for (url, code, said) in [
        (database.url(), 1, "run `llm-gateway migrate`"),
        ("postgres://nobody@127.0.0.1:1/none", 1, "cannot be reached"),
        (missing.as_str(), 1, "cannot be reached"),
        ("mysql://u:hunter2@h/db", 78, "LLM_GATEWAY_DATABASE_URL"),
    ] {
        let ended = keys(url, &["list"]);
        assert!(refused(&ended, code).contains(said) && !ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
    assert!(!folder.path().join("none.db").exists());
}
