//! A PostgreSQL database for each test, cloned from a template and dropped when the test is over.
//!
//! The server is the one that `TEST_DATABASE_URL` names. It not being there is a failure, never a reason to skip.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Mutex;

use sha2::{Digest as _, Sha256};
use tokio_postgres::{Client, NoTls};
use url::Url;

/// What PostHog's own database has of what the gateway reads, made by hand and not by our migrations.
const POSTHOG_TABLES: &str = include_str!("../../fixtures/posthog_tables.sql");

/// Any number: all who make templates on one server take this lock.
const TEMPLATE_LOCK: i64 = 0x0011_6A7E;

/// A database of its own for one test.
#[derive(Debug)]
pub(crate) struct TestDatabase {
    name: String,
    url: Url,
}

/// What a new database holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Content {
    /// What our migrations make.
    Migrated,
    /// What PostHog has.
    PostHog,
    /// Nothing at all.
    Empty,
}

impl TestDatabase {
    /// One with the schema that our migrations make. Blocks for some ten milliseconds.
    pub(crate) fn create() -> Self {
        Self::with(Content::Migrated)
    }

    /// One with PostHog's tables, which our migrations have never touched.
    pub(crate) fn posthog() -> Self {
        Self::with(Content::PostHog)
    }

    /// One without any table.
    pub(crate) fn empty() -> Self {
        Self::with(Content::Empty)
    }

    /// As `LLM_GATEWAY_DATABASE_URL` takes it.
    pub(crate) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The same database by way of another address: a proxy's.
    pub(crate) fn url_through(&self, address: std::net::SocketAddr) -> String {
        let mut url = self.url.clone();
        url.set_ip_host(address.ip()).unwrap();
        url.set_port(Some(address.port())).unwrap();
        url.into()
    }

    /// Where the server listens: what a proxy is put in front of.
    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.url.socket_addrs(|| Some(5432)).unwrap()[0]
    }

    /// The database's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A connection for the test's own statements.
    pub(crate) async fn connect(&self) -> Client {
        connect(&self.url).await
    }

    /// Runs statements.
    pub(crate) async fn execute(&self, sql: &str) {
        self.connect().await.batch_execute(sql).await.unwrap();
    }

    /// Ends all sessions in it but the one that does so: what a restart of the server looks like to the gateway.
    pub(crate) async fn disconnect_everyone(&self) {
        self.connect()
            .await
            .execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()",
                &[&self.name],
            )
            .await
            .unwrap();
    }

    fn with(content: Content) -> Self {
        let server = server();
        let name = format!("llm_gateway_test_{}", uuid::Uuid::new_v4().simple());
        let statement = match content {
            Content::Empty => format!("CREATE DATABASE {name}"),
            Content::Migrated | Content::PostHog => format!("CREATE DATABASE {name} TEMPLATE {}", template(content)),
        };
        let mut url = server.clone();
        url.set_path(&name);
        block_on(async move { connect(&server).await.batch_execute(&statement).await.unwrap() });
        Self { name, url }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // A database that stays behind harms nobody; a panic while a test's own panic unwinds would abort all tests.
        let _dropped = std::thread::spawn(|| {
            block_on(async move { connect(&server()).await.batch_execute(&statement).await.unwrap() });
        })
        .join();
    }
}

/// The server that the tests were given.
fn server() -> Url {
    let url = std::env::var("TEST_DATABASE_URL").expect(
        "TEST_DATABASE_URL is not set: run scripts/test, or scripts/with-servers cargo test, which start a PostgreSQL",
    );
    Url::parse(&url).expect("TEST_DATABASE_URL is not a URL")
}

/// The name of the template with this content, made by whoever needs it first: its name holds a hash of what it was made
/// of, so that one server serves many runs and many branches.
fn template(content: Content) -> String {
    static MADE: Mutex<BTreeMap<Content, String>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    made.entry(content).or_insert_with(|| make_template(content)).clone()
}

fn make_template(content: Content) -> String {
    let source = match content {
        Content::Migrated => migrations().concat(),
        Content::PostHog | Content::Empty => POSTHOG_TABLES.to_owned(),
    };
    let name = format!("llm_gateway_template_{}", &hex::encode(Sha256::digest(source))[..16]);
    let server = server();
    let mut url = server.clone();
    url.set_path(&name);

    let made = name.clone();
    block_on(async move {
        let admin = connect(&server).await;
        // Held until this session ends.
        admin.execute("SELECT pg_advisory_lock($1)", &[&TEMPLATE_LOCK]).await.unwrap();
        let finished = admin
            .query_opt("SELECT 1 FROM pg_database WHERE datname = $1 AND datistemplate", &[&made])
            .await
            .unwrap()
            .is_some();
        if finished {
            return;
        }
        // A maker that was killed half-way left one that is no template yet.
        admin.batch_execute(&format!("DROP DATABASE IF EXISTS {made} WITH (FORCE)")).await.unwrap();
        admin.batch_execute(&format!("CREATE DATABASE {made}")).await.unwrap();
        fill(content, &url).await;
        // The server refuses to clone a database that somebody is connected to.
        admin
            .batch_execute(&format!("ALTER DATABASE {made} WITH is_template true allow_connections false"))
            .await
            .unwrap();
    });
    name
}

async fn fill(content: Content, url: &Url) {
    match content {
        Content::Migrated => {
            for migration in migrations() {
                run_and_leave(url, &migration).await;
            }
        }
        Content::PostHog => run_and_leave(url, POSTHOG_TABLES).await,
        Content::Empty => {}
    }
}

/// Our migrations for PostgreSQL, in their order.
fn migrations() -> Vec<String> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/postgres");
    let mut folders: Vec<_> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders.iter().map(|folder| std::fs::read_to_string(folder.join("up.sql")).unwrap()).collect()
}

/// Runs statements in a session that has ended when this returns.
async fn run_and_leave(url: &Url, sql: &str) {
    let (client, connection) = tokio_postgres::connect(url.as_str(), NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute(sql).await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
}

async fn connect(url: &Url) -> Client {
    let (client, connection) = match tokio_postgres::connect(url.as_str(), NoTls).await {
        Ok(connected) => connected,
        Err(error) => panic!("no session at PostgreSQL, {}: {error}", url.path()),
    };
    // Ends when its client is dropped, or with the runtime that the test brought.
    tokio::spawn(async move {
        let _ended = connection.await;
    });
    client
}

/// Runs a future on a thread and a runtime of its own, so that it works from within and from without any runtime.
fn block_on<T: Send>(future: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        let ran = scope.spawn(|| {
            // Several threads, as diesel's migrations need them.
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(future)
        });
        match ran.join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

mod tests {
    use super::*;

    #[tokio::test]
    async fn each_test_has_a_database_of_its_own() {
        let first = TestDatabase::posthog();
        let second = TestDatabase::posthog();
        first.execute("INSERT INTO posthog_user (email, distinct_id) VALUES ('a@example.com', 'a')").await;
        for (database, users) in [(&first, 1), (&second, 0)] {
            let row = database.connect().await.query_one("SELECT count(*) FROM posthog_user", &[]).await.unwrap();
            assert_eq!(row.get::<_, i64>(0), users);
        }
    }

    #[tokio::test]
    async fn a_database_is_gone_once_its_test_is_over() {
        let database = TestDatabase::empty();
        let name = database.name().to_owned();
        let other = TestDatabase::empty();
        let left_open = database.connect().await;
        drop(database);
        let row = other
            .connect()
            .await
            .query_one("SELECT count(*) FROM pg_database WHERE datname = $1", &[&name])
            .await
            .unwrap();
        assert_eq!(row.get::<_, i64>(0), 0);
        left_open.query_one("SELECT 1", &[]).await.unwrap_err();
    }
}
