//! A PostgreSQL server that belongs to one test, which may stop it, start it again, and give it certificates.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use crate::support::port::Port;
use crate::support::wait;

/// What PostHog's own database has of what the gateway reads.
const POSTHOG_TABLES: &str = include_str!("../../fixtures/posthog_tables.sql");

/// A server on a free port of the loopback. Dropped: it is stopped.
#[derive(Debug)]
pub(crate) struct OwnPostgres {
    folder: TempDir,
    port: Port,
    options: Vec<String>,
    running: Option<Child>,
}

impl OwnPostgres {
    /// Makes one with PostHog's tables, and starts it. Blocks for a second or two.
    pub(crate) async fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // PostgreSQL refuses to run as root; the user that it runs as has to get through here.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut server = Self { folder, port: Port::free(), options, running: None };
        server.give_away(&server.data());
        let made = as_owner(&bin().join("initdb"))
            .args(["--username=gateway", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata"])
            .arg(server.data())
            .current_dir(server.data())
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        server.run().await;
        server.connect().await.batch_execute(POSTHOG_TABLES).await.unwrap();
        server
    }

    /// As `LLM_GATEWAY_DATABASE_URL` takes it, with another name for the host and what follows the question mark.
    pub(crate) fn url(&self, host: &str, query: &str) -> String {
        format!("postgres://gateway@{host}:{}/postgres?{query}", self.port.number())
    }

    /// The folder of the server's data; what it reads has to be given to it with [`Self::give_away`].
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Makes a file the server's own: it refuses keys that are somebody else's.
    pub(crate) fn give_away(&self, path: &Path) {
        if let Some(owner) = owner() {
            let given = Command::new("chown").arg("-R").arg(owner).arg(path).status().unwrap();
            assert!(given.success());
        }
    }

    /// A connection for the test's own statements.
    pub(crate) async fn connect(&self) -> Client {
        wait::until("PostgreSQL to take sessions", || async {
            let (client, connection) =
                tokio_postgres::connect(&self.url("127.0.0.1", "sslmode=disable"), NoTls).await.ok()?;
            tokio::spawn(async move {
                let _ended = connection.await;
            });
            Some(client)
        })
        .await
    }

    /// A user's new key, put into the tables by hand.
    pub(crate) async fn api_key(&self) -> String {
        let token = format!("phx_{}", uuid::Uuid::new_v4().simple());
        let hash = llm_gateway::auth::token::TokenHash::of(&token);
        self.connect()
            .await
            .batch_execute(&format!(
                "WITH owner AS (INSERT INTO posthog_user (email, distinct_id) VALUES ('{token}@example.com', '{token}') RETURNING id)
                 INSERT INTO posthog_personalapikey (id, label, secure_value, scopes, user_id)
                 SELECT '{}', 'test', '{}', '{{llm_gateway:read}}', id FROM owner",
                uuid::Uuid::new_v4(),
                hash.secure_value()
            ))
            .await
            .unwrap();
        token
    }

    /// Sets one of the server's settings, `name=value`, from its next start on.
    pub(crate) fn add_option(&mut self, option: &str) {
        self.options.push(option.to_owned());
    }

    /// Ends it as a crash would: sessions are cut without a goodbye.
    pub(crate) fn crash(&mut self) {
        self.stop_with(Signal::QUIT);
    }

    /// Ends it as an operator would: sessions are told.
    pub(crate) fn shut_down(&mut self) {
        self.stop_with(Signal::INT);
    }

    /// Starts it, with the data and on the port that it had.
    pub(crate) async fn run(&mut self) {
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let child = as_owner(&bin().join("postgres"))
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.number().to_string()])
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
            .args(["-c", "fsync=off", "-c", "shared_buffers=16MB"])
            .args(self.options.iter().flat_map(|option| ["-c", option]))
            .current_dir(self.data())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.running = Some(child);
        self.connect().await;
    }

    fn stop_with(&mut self, signal: Signal) {
        let Some(mut child) = self.running.take() else { return };
        kill_process(Pid::from_child(&child), signal).unwrap();
        child.wait().unwrap();
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        self.stop_with(Signal::QUIT);
    }
}

/// Who the server runs as where it may not run as this process's user.
fn owner() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let is_known = |name: &str| Command::new("id").arg(name).output().unwrap().status.success();
    Some(if is_known("postgres") { "postgres" } else { "nobody" })
}

fn as_owner(program: &Path) -> Command {
    match owner() {
        None => Command::new(program),
        Some(owner) => {
            let mut command = Command::new("setpriv");
            // Its process ends with the test's, whatever becomes of that.
            command.args(["--pdeathsig", "QUIT", "--reuid", owner, "--clear-groups"]);
            let group = Command::new("id").args(["-g", owner]).output().unwrap();
            command.args(["--regid", String::from_utf8(group.stdout).unwrap().trim()]);
            command.arg(program);
            command
        }
    }
}

/// The newest of Debian's, or what the path leads to.
fn bin() -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path().join("bin"))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    found.sort_by_key(|bin| bin.to_string_lossy().split('/').find_map(|part| part.parse::<u32>().ok()));
    let on_path = || {
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .find(|folder| folder.join("initdb").exists())
    };
    found.pop().or_else(on_path).expect("PostgreSQL's initdb is missing: install Debian's postgresql package")
}
