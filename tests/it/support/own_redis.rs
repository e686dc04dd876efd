//! Redis servers that belong to one test, which may stop them and start them again: one, one with TLS, a cluster of three.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use redis::{Client, FromRedisValue};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::port::Port;
use crate::support::wait;

/// A server on a free port of the loopback that keeps nothing on disk. Dropped: it is stopped.
#[derive(Debug)]
pub(crate) struct OwnRedis {
    folder: TempDir,
    port: Port,
    transport: Transport,
    options: Vec<String>,
    running: Option<Child>,
}

/// Three of them that share the slots.
#[derive(Debug)]
pub(crate) struct OwnCluster {
    nodes: Vec<OwnRedis>,
    /// Where they speak with one another.
    _bus: Vec<Port>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Plain,
    /// With a certificate for `localhost`, by an authority that nobody else knows.
    Tls,
}

impl OwnRedis {
    /// One that takes connections without TLS.
    pub(crate) async fn start() -> Self {
        Self::with(Transport::Plain, &[]).await
    }

    /// One that takes connections with TLS only.
    pub(crate) async fn start_tls() -> Self {
        Self::with(Transport::Tls, &[]).await
    }

    async fn with(transport: Transport, options: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self { folder, port: Port::free(), transport, options: options.to_vec(), running: None };
        if transport == Transport::Tls {
            server.certify();
        }
        server.run().await;
        server
    }

    /// As `LLM_GATEWAY_REDIS_URL` takes it.
    pub(crate) fn url(&self) -> String {
        match self.transport {
            Transport::Plain => format!("redis://127.0.0.1:{}/", self.port.number()),
            Transport::Tls => format!("rediss://localhost:{}/", self.port.number()),
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.port.address()
    }

    /// The authority that made its certificate, as a PEM file.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Ends it. All that it knew is lost.
    pub(crate) fn stop(&mut self) {
        let Some(mut child) = self.running.take() else { return };
        kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
        child.wait().unwrap();
    }

    /// Starts it, on the port that it had.
    pub(crate) async fn run(&mut self) {
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let mut command = Command::new("setpriv");
        // Its process ends with the test's, whatever becomes of that.
        command.args([
            "--pdeathsig",
            "KILL",
            "redis-server",
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        match self.transport {
            Transport::Plain => command.args(["--port", &self.port.number().to_string()]),
            Transport::Tls => command
                .args(["--port", "0", "--tls-port", &self.port.number().to_string(), "--tls-auth-clients", "no"])
                .args(["--tls-cert-file", "leaf.pem", "--tls-key-file", "leaf.key", "--tls-ca-cert-file", "ca.pem"]),
        };
        let child = command
            .args(&self.options)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.running = Some(child);
        let address = self.address();
        wait::until("Redis to take connections", || async { tokio::net::TcpStream::connect(address).await.ok() }).await;
    }

    /// Sends one command, and returns its answer.
    pub(crate) async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let client = Client::open(self.url()).unwrap();
        let mut connection =
            wait::until("Redis to answer", || async { client.get_multiplexed_async_connection().await.ok() }).await;
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query_async(&mut connection).await.unwrap()
    }

    fn certify(&self) {
        let mut root = CertificateParams::new(Vec::new()).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &root).unwrap();
        for (name, text) in [("ca.pem", root.pem()), ("leaf.pem", leaf.pem()), ("leaf.key", key.serialize_pem())] {
            std::fs::write(self.folder.path().join(name), text).unwrap();
        }
    }
}

impl Drop for OwnRedis {
    fn drop(&mut self) {
        self.stop();
    }
}

impl OwnCluster {
    /// Starts three nodes without replicas, and waits until they know one another.
    pub(crate) async fn start() -> Self {
        let mut nodes = Vec::new();
        let bus: Vec<_> = (0..3).map(|_| Port::free()).collect();
        for port in &bus {
            let options = [
                "--cluster-enabled",
                "yes",
                "--cluster-config-file",
                "nodes.conf",
                // A node that was away is noticed soon.
                "--cluster-node-timeout",
                "1000",
                "--cluster-port",
                &port.number().to_string(),
            ];
            nodes.push(OwnRedis::with(Transport::Plain, &options.map(ToOwned::to_owned)).await);
        }
        for (node, (first, last)) in nodes.iter().zip([(0, 5460), (5461, 10922), (10923, 16383)]) {
            let () = node.ask(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]).await;
        }
        for other in &nodes[1..] {
            let () = nodes[0]
                .ask(&["CLUSTER", "MEET", "127.0.0.1", &other.port.number().to_string(), &other.options[7]])
                .await;
        }
        let cluster = Self { nodes, _bus: bus };
        cluster.until_complete().await;
        cluster
    }

    /// As `LLM_GATEWAY_REDIS_URL` takes it: one node is named, the others are learnt of.
    pub(crate) fn url(&self) -> String {
        self.nodes[0].url()
    }

    /// The nodes.
    pub(crate) fn nodes(&mut self) -> &mut [OwnRedis] {
        &mut self.nodes
    }

    /// Waits until every node says that all slots are served, and knows all three.
    pub(crate) async fn until_complete(&self) {
        for node in &self.nodes {
            wait::until("the cluster to be complete", || async {
                let said: String = node.ask(&["CLUSTER", "INFO"]).await;
                let holds = |line: &str| said.contains(line);
                (holds("cluster_state:ok") && holds("cluster_known_nodes:3") && holds("cluster_size:3")).then_some(())
            })
            .await;
        }
    }

    /// How many counters' hashes each node holds.
    pub(crate) async fn hashes(&self) -> Vec<usize> {
        let mut counts = Vec::new();
        for node in &self.nodes {
            let keys: Vec<String> = node.ask(&["KEYS", "llmgw:{*"]).await;
            counts.push(keys.len());
        }
        counts
    }
}
