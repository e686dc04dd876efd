//! `migrate`: what it makes, and what it leaves alone.

use llm_gateway::actors::auth::{Auth, DevelopmentKey};
use llm_gateway::clock::Clock;
use llm_gateway::store::database::Database;
use llm_gateway::store::migrations;

use crate::auth::settings;
use crate::support::binary::{Binary, Ended};
use crate::support::postgres::TestDatabase;
use crate::support::wait;

fn migrate(url: &str) -> Ended {
    let ended = Binary::new(["migrate"]).env("LLM_GATEWAY_DATABASE_URL", url).run();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{}", ended.stderr);
    ended
}

/// Tables, columns, triggers: everything about the public schema that could have been changed.
async fn shape(database: &TestDatabase) -> Vec<String> {
    database
        .connect()
        .await
        .query(
            "SELECT table_name || '.' || column_name || ' ' || udt_name || ' ' || is_nullable || coalesce(column_default, '')
             FROM information_schema.columns WHERE table_schema = 'public' AND table_name LIKE 'posthog%'
             UNION ALL SELECT tgrelid::regclass || ' ' || tgname FROM pg_trigger WHERE NOT tgisinternal
             UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
             WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text LIKE 'posthog%'
             ORDER BY 1",
            &[],
        )
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect()
}

#[actix_rt::test]
async fn an_empty_database_gets_the_tables_once() {
    let database = TestDatabase::empty();
    let url = database.url().to_owned();
    let first = tokio::task::spawn_blocking(move || migrate(&url)).await.unwrap();
    assert!(first.stderr.contains("ran migration"), "{}", first.stderr);
    let made = shape(&database).await;
    let url = database.url().to_owned();
    let second = tokio::task::spawn_blocking(move || migrate(&url)).await.unwrap();
    assert!(second.stderr.contains("up to date"), "{}", second.stderr);
    assert_eq!(shape(&database).await, made);
    for column in ["posthog_user.id int4", "posthog_personalapikey.scopes _varchar", "posthog_oauthaccesstoken.expires"]
    {
        assert!(made.iter().any(|line| line.starts_with(column)), "{column} is not in {made:#?}");
    }
}

#[actix_rt::test]
async fn posthogs_own_tables_stay_as_they_are() {
    let database = TestDatabase::posthog();
    let before = shape(&database).await;
    let url = database.url().to_owned();
    tokio::task::spawn_blocking(move || migrate(&url)).await.unwrap();
    assert_eq!(shape(&database).await, before);
}

#[actix_rt::test]
async fn a_table_that_alone_is_missing_is_made_beside_those_that_are_there() {
    let database = TestDatabase::posthog();
    let before = shape(&database).await;
    database.execute("DROP TABLE posthog_oauthaccesstoken").await;
    let url = database.url().to_owned();
    tokio::task::spawn_blocking(move || migrate(&url)).await.unwrap();
    let after = shape(&database).await;
    let others = |shape: &[String]| -> Vec<String> {
        shape.iter().filter(|line| !line.starts_with("posthog_oauthaccesstoken")).cloned().collect()
    };
    assert_eq!(others(&after), others(&before));
    assert!(after.iter().any(|line| line.starts_with("posthog_oauthaccesstoken.token_checksum")), "{after:#?}");
}

#[test]
fn two_that_migrate_at_once_take_turns() {
    let database = TestDatabase::empty();
    let running: Vec<_> =
        (0..4).map(|_| Binary::new(["migrate"]).env("LLM_GATEWAY_DATABASE_URL", database.url()).spawn()).collect();
    let ended: Vec<Ended> = running.into_iter().map(crate::support::binary::Running::wait).collect();
    assert!(ended.iter().all(|ended| ended.code == Some(0)), "{ended:#?}");
    assert_eq!(ended.iter().filter(|ended| ended.stderr.contains("ran migration")).count(), 1);
}

#[test]
fn sqlite_gets_its_folder_its_file_and_its_tables() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/down/50% of #1.db");
    let url = format!("sqlite:{}", path.display());
    assert!(migrate(&url).stderr.contains("ran migration"));
    assert!(migrate(&url).stderr.contains("up to date"));
    assert!(path.exists());
}

#[test]
fn what_cannot_be_migrated_says_why() {
    for (url, code, said) in [
        ("postgres://nobody:hunter2@127.0.0.1:1/none", 1, "cannot be reached"),
        ("sqlite::memory:", 78, "LLM_GATEWAY_DATABASE_URL"),
        ("postgres://h/db?sslmode=sometimes", 78, "LLM_GATEWAY_DATABASE_URL"),
        ("postgres://h/db?sslmode=verify-full&sslrootcert=/none/ca.pem", 78, "/none/ca.pem"),
    ] {
        let ended = Binary::new(["migrate"]).env("LLM_GATEWAY_DATABASE_URL", url).run();
        assert_eq!(ended.code, Some(code), "{url}: {}", ended.stderr);
        assert!(ended.stderr.contains(said) && !ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
    let ended = Binary::new(["migrate"]).run();
    assert_eq!(ended.code, Some(78), "{}", ended.stderr);
    assert!(ended.stderr.contains("LLM_GATEWAY_DATABASE_URL"), "{}", ended.stderr);
}

#[actix_rt::test]
async fn a_prepared_development_database_has_user_1_and_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/gateway.db");
    // Inside of a running system, where a migration that blocked on this runtime would panic.
    migrations::prepare_development(&path).unwrap();
    migrations::prepare_development(&path).unwrap();
    let config = settings(&format!("sqlite:{}", path.display()));
    let database = Database::open(&config.database).unwrap();
    let user =
        llm_gateway::store::users::find(&database, llm_gateway::store::users::Who::Id(llm_gateway::ids::UserId(1)))
            .await
            .unwrap()
            .unwrap();
    assert_eq!(user.team, Some(llm_gateway::ids::TeamId(1)));
    assert!(llm_gateway::store::api_keys::list(&database, None).await.unwrap().is_empty());
    let shared = std::sync::Arc::new(arc_swap::ArcSwap::from_pointee(config));
    let auth = Auth::start(database, shared, Clock::system(), DevelopmentKey::Accepted);
    wait::until_true("the gateway to be ready", || auth.is_ready()).await;
}
