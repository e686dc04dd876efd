//! The same with a server that is stopped, crashes, comes back, counts, and has certificates.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use llm_gateway::auth::token::Token;
use llm_gateway::clock::Clock;
use llm_gateway::fault::FaultKind;
use llm_gateway::store::database::{Database, StoreError};
use llm_gateway::store::{api_keys, migrations};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::{check, kind_of_fault, listening, settings, start_listening, start_with};
use crate::support::own_postgres::OwnPostgres;
use crate::support::wait;

#[actix_rt::test]
async fn a_server_that_stops_or_crashes_and_comes_back_loses_nobody() {
    let mut server = OwnPostgres::start(&[]).await;
    let mut known = Vec::new();
    for _ in 0..20 {
        known.push(server.api_key().await);
    }
    let clock = Clock::manual(SystemTime::now());
    let config = settings(&server.url("127.0.0.1", ""));
    let ttl = config.auth.api_key_ttl;
    let auth = listening(start_with(config, clock.clone())).await;
    for key in &known {
        check(&auth, key).await.unwrap();
    }

    // Callers who never stop calling.
    let (is_over, calls) = (Cell::new(false), Cell::new(0_u32));
    let traffic = async {
        while !is_over.get() {
            for key in &known {
                check(&auth, key).await.unwrap();
                calls.set(calls.get() + 1);
            }
            tokio::task::yield_now().await;
        }
    };
    let outages = async {
        for stop in [OwnPostgres::crash, OwnPostgres::shut_down] {
            let unknown = server.api_key().await;
            stop(&mut server);
            wait::until_true("the loss to be noticed", || !auth.hears_revocations()).await;
            // Long enough for all that is known to be out of date.
            clock.advance(ttl);
            assert_eq!(kind_of_fault(&auth, &unknown).await, FaultKind::GatewayUnavailable);
            let so_far = calls.get();
            wait::until_true("the callers to go on", || calls.get() > so_far + 1_000).await;

            server.run().await;
            wait::until("the unknown key to be good", || async { check(&auth, &unknown).await.ok() }).await;
            wait::until_true("the gateway to listen again", || auth.hears_revocations()).await;
            assert!(!auth.is_database_gone());
        }
        is_over.set(true);
    };
    futures_util::future::join(traffic, outages).await;
    assert_eq!(auth.report().restarts, 0);
}

#[actix_rt::test]
async fn the_server_itself_counts_one_question_for_all_who_ask() {
    let server = OwnPostgres::start(&["shared_preload_libraries=pg_stat_statements"]).await;
    let key = server.api_key().await;
    let auth = start_listening(&server.url("127.0.0.1", "")).await;
    // The gateway feels its database's pulse with the same question; those are not the ones to be counted.
    wait::until_true("the first pulse", || auth.is_ready()).await;
    let counted = server.connect().await;
    counted.batch_execute("CREATE EXTENSION pg_stat_statements; SELECT pg_stat_statements_reset()").await.unwrap();

    for round in 0..10 {
        let asked = futures_util::future::join_all((0..500).map(|_| check(&auth, &key))).await;
        assert!(asked.iter().all(Result::is_ok), "round {round}");
    }
    let found: i64 = counted
        .query_one(
            "SELECT coalesce(sum(rows), 0)::bigint FROM pg_stat_statements WHERE query LIKE '%posthog_personalapikey%'",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    // A pulse finds no row; a look-up of this key finds one.
    assert_eq!(found, 1);
}

/// A certificate authority, and a server certificate of its making for `localhost`.
struct Certificates {
    root: String,
    certificate: String,
    key: String,
}

impl Certificates {
    fn make() -> Self {
        let mut root = CertificateParams::new(Vec::new()).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &root).unwrap();
        Self { root: root.pem(), certificate: leaf.pem(), key: key.serialize_pem() }
    }

    /// Puts them where the server finds them, and returns where their root is.
    fn install(&self, server: &OwnPostgres, root_name: &str) -> PathBuf {
        for (name, text) in [("server.crt", &self.certificate), ("server.key", &self.key)] {
            let path = server.data().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            server.give_away(&path);
        }
        write(server, root_name, &self.root)
    }
}

fn write(server: &OwnPostgres, name: &str, text: &str) -> PathBuf {
    let path = server.data().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// Whether a connection can be had with this URL.
async fn connects(url: &str) -> Result<(), StoreError> {
    let database = Database::open(&settings(url).database).unwrap();
    api_keys::list(&database, None).await.map(drop)
}

/// Whether all sessions of the gateway by this name are.
async fn is_encrypted(server: &OwnPostgres, name: &str) -> bool {
    let row = server
        .connect()
        .await
        .query_one(
            "SELECT bool_and(ssl), count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
             WHERE application_name = $1",
            &[&name],
        )
        .await
        .unwrap();
    assert!(row.get::<_, i64>(1) > 0, "no session of the gateway's");
    row.get(0)
}

#[actix_rt::test]
async fn tls_protects_as_far_as_the_url_asks() {
    let mut server = OwnPostgres::start(&[]).await;
    let root = Certificates::make().install(&server, "root.pem");
    let stranger = write(&server, "stranger.pem", &Certificates::make().root);
    server.shut_down();
    server.add_option("ssl=on");
    server.run().await;
    let key = server.api_key().await;

    let rooted = |mode: &str, root: &Path| format!("sslmode={mode}&sslrootcert={}", root.display());
    for (host, query) in [
        ("localhost", rooted("verify-full", &root)),
        ("localhost", rooted("verify-ca", &root)),
        ("127.0.0.1", rooted("verify-ca", &root)),
        ("127.0.0.1", rooted("require", &root)),
        ("127.0.0.1", "sslmode=require".to_owned()),
        ("127.0.0.1", "sslmode=prefer".to_owned()),
        ("127.0.0.1", String::new()),
    ] {
        let name = format!("gateway-{}", uuid::Uuid::new_v4());
        let auth = start_listening(&server.url(host, &format!("{query}&application_name={name}"))).await;
        auth.authenticate(&Token::parse(&key).unwrap()).await.unwrap();
        assert!(is_encrypted(&server, &name).await, "{host} {query}");
    }
    for (host, query) in [
        ("127.0.0.1", rooted("verify-full", &root)),
        ("localhost", rooted("verify-full", &stranger)),
        ("localhost", rooted("verify-ca", &stranger)),
        ("localhost", rooted("require", &stranger)),
        ("localhost", "sslmode=verify-full".to_owned()),
    ] {
        let error = connects(&server.url(host, &query)).await.unwrap_err();
        assert!(matches!(error, StoreError::Unreachable(_)), "{host} {query}: {error}");
        assert!(error.to_string().contains("certificate"), "{host} {query}: {error}");
    }
    connects(&server.url("127.0.0.1", "sslmode=disable")).await.unwrap();

    let config = settings(&server.url("localhost", &rooted("verify-full", &root)));
    tokio::task::spawn_blocking(move || migrations::run(&config.database)).await.unwrap().unwrap();
}

#[actix_rt::test]
async fn a_server_without_tls_is_refused_where_tls_is_required() {
    let server = OwnPostgres::start(&[]).await;
    connects(&server.url("127.0.0.1", "sslmode=prefer")).await.unwrap();
    let error = connects(&server.url("127.0.0.1", "sslmode=require")).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable(_)), "{error}");
}
