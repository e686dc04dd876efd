//! A gateway in this process, composed by the function that `main` uses, with simulated providers that a test can script.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread::JoinHandle;

use llm_gateway::app::{App, Mode};
use llm_gateway::auth::token::DEVELOPMENT_KEY;
use llm_gateway::catalog::Catalog;
use llm_gateway::clock::Clock;
use llm_gateway::config::providers::Kind;
use llm_gateway::config::{self, Config};
use llm_gateway::http::State;
use llm_gateway::sandbox::{self, Sandbox, SandboxOptions};
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;
use url::Url;

use crate::support::postgres::TestDatabase;
use crate::support::raw_client::RawClient;

/// A running gateway. Dropped: it is told to stop.
pub(crate) struct TestGateway {
    address: SocketAddr,
    operators: SocketAddr,
    state: State,
    key: String,
    client: reqwest::Client,
    sandboxes: BTreeMap<&'static str, Sandbox>,
    stop: Mutex<Option<oneshot::Sender<()>>>,
    thread: Option<JoinHandle<()>>,
    _files: TempDir,
}

/// A gateway to be.
#[derive(Debug)]
pub(crate) struct Builder {
    environment: BTreeMap<String, String>,
    toml: String,
    serves: bool,
    key: String,
    clock: Clock,
}

/// The providers that are there from the start, and what their settings are called.
const PROVIDERS: [(&str, Kind); 3] =
    [("openai", Kind::OpenAi), ("anthropic", Kind::Anthropic), ("gemini", Kind::Gemini)];

impl TestGateway {
    /// One as in `dev`: SQLite, the development key, a sandbox for each provider.
    pub(crate) async fn start() -> Self {
        Self::builder().start().await
    }

    /// One that differs from [`TestGateway::start`].
    pub(crate) fn builder() -> Builder {
        let environment = [
            ("LLM_GATEWAY_HOST", "127.0.0.1"),
            ("LLM_GATEWAY_PORT", "0"),
            ("LLM_GATEWAY_ADMIN_ADDR", "127.0.0.1:0"),
            ("LLM_GATEWAY__SERVER__WORKERS", "2"),
            ("LLM_GATEWAY__DRAIN__DELAY", "0s"),
        ];
        Builder {
            environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            toml: String::new(),
            serves: false,
            key: DEVELOPMENT_KEY.to_owned(),
            clock: Clock::system(),
        }
    }

    /// Where callers connect to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path for callers.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The URL of a path for operators.
    pub(crate) fn operators_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.operators)
    }

    /// The gateway's inside.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// The key that [`TestGateway::request`] sends.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The simulated OpenAI.
    ///
    /// # Panics
    /// When the test put something else in its place; as do the other two.
    pub(crate) fn openai(&self) -> &Sandbox {
        self.sandbox("openai")
    }

    /// The simulated Anthropic.
    pub(crate) fn anthropic(&self) -> &Sandbox {
        self.sandbox("anthropic")
    }

    /// The simulated Gemini.
    pub(crate) fn gemini(&self) -> &Sandbox {
        self.sandbox("gemini")
    }

    /// Takes a sandbox out of the gateway's keeping, to stop it and start another on its port.
    pub(crate) fn take_sandbox(&mut self, provider: &str) -> Sandbox {
        self.sandboxes.remove(provider).unwrap_or_else(|| panic!("{provider} has no sandbox"))
    }

    /// A client with connections of its own, which follows no redirects.
    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// A request with the gateway's key.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, self.url(path)).bearer_auth(&self.key)
    }

    /// A GET with the gateway's key.
    pub(crate) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.request(Method::GET, path)
    }

    /// A POST of JSON with the gateway's key.
    pub(crate) fn post(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        self.request(Method::POST, path).json(body)
    }

    /// What an operator reads at a path.
    pub(crate) async fn operators_json(&self, path: &str) -> Value {
        self.client.get(self.operators_url(path)).send().await.unwrap().json().await.unwrap()
    }

    /// What `/metrics` says.
    pub(crate) async fn metrics(&self) -> String {
        self.client.get(self.operators_url("/metrics")).send().await.unwrap().text().await.unwrap()
    }

    /// A connection on which the test writes the bytes itself.
    pub(crate) async fn raw(&self) -> RawClient {
        RawClient::connect(self.address).await
    }

    /// Drains it, as SIGTERM does, and waits for its end.
    pub(crate) async fn stop(mut self) {
        self.begin_to_stop();
        if let Some(thread) = self.thread.take() {
            tokio::task::spawn_blocking(|| thread.join()).await.unwrap().unwrap();
        }
    }

    /// Tells it to drain, as SIGTERM does, and goes on.
    pub(crate) fn begin_to_stop(&self) {
        drop(self.stop.lock().unwrap().take());
    }

    fn sandbox(&self, provider: &str) -> &Sandbox {
        self.sandboxes.get(provider).unwrap_or_else(|| panic!("{provider} has no sandbox"))
    }
}

impl Builder {
    /// Sets any key: `setting("timeouts.idle", "200ms")`.
    pub(crate) fn setting(mut self, key: &str, value: &str) -> Self {
        self.environment.insert(format!("LLM_GATEWAY__{}", key.to_uppercase().replace('.', "__")), value.to_owned());
        self
    }

    /// Sets a variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Adds to the configuration file.
    pub(crate) fn toml(mut self, text: &str) -> Self {
        writeln!(self.toml, "{text}").unwrap();
        self
    }

    /// Adds a product: `product("narrow", r#"models = ["gpt-4.1-mini"]"#)`.
    pub(crate) fn product(self, name: &str, keys: &str) -> Self {
        self.toml(&format!("[products.{name}]\n{keys}"))
    }

    /// Puts something else in a provider's place: `openai`, `anthropic` or `gemini`, or a new name of that kind.
    pub(crate) fn provider(self, name: &str, kind: Kind, base_url: &Url) -> Self {
        let kind = match kind {
            Kind::OpenAi => "openai",
            Kind::Anthropic => "anthropic",
            Kind::Gemini => "gemini",
        };
        self.toml(&format!(
            "[providers.{name}]\nkind = \"{kind}\"\n\
             [providers.{name}.upstreams.default]\nbase_url = \"{base_url}\"\napi_key = \"{}\"",
            sandbox::API_KEY
        ))
    }

    /// As in `serve`: tokens are looked up in this database, and operators have a listener of their own.
    pub(crate) fn database(self, database: &TestDatabase) -> Self {
        self.database_url(database.url())
    }

    /// The same, by URL: through a proxy, or SQLite.
    pub(crate) fn database_url(mut self, url: &str) -> Self {
        self.serves = true;
        self.env("LLM_GATEWAY_DATABASE_URL", url)
    }

    /// What [`TestGateway::request`] is to send.
    pub(crate) fn key(mut self, key: &str) -> Self {
        key.clone_into(&mut self.key);
        self
    }

    /// What time it is for it.
    pub(crate) fn clock(mut self, clock: &Clock) -> Self {
        self.clock = clock.clone();
        self
    }

    /// Starts it, and its sandboxes.
    ///
    /// # Panics
    /// When it does not start.
    pub(crate) async fn start(mut self) -> TestGateway {
        let files = TempDir::new().unwrap();
        let mut sandboxes = BTreeMap::new();
        for (name, kind) in PROVIDERS {
            if !self.toml.contains(&format!("[providers.{name}]")) {
                let sandbox = Sandbox::start(kind, SandboxOptions::default()).await.unwrap();
                self = self.provider(name, kind, &sandbox.base_url());
                sandboxes.insert(name, sandbox);
            }
        }
        let (app, stop, thread) = self.run(&files).await;
        TestGateway {
            address: app.address,
            operators: app.operators,
            state: app.state,
            key: self.key,
            client: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap(),
            sandboxes,
            stop: Mutex::new(Some(stop)),
            thread: Some(thread),
            _files: files,
        }
    }

    /// Runs it on a thread of its own, until the sender is dropped.
    async fn run(&self, files: &TempDir) -> (Started, oneshot::Sender<()>, JoinHandle<()>) {
        let file = files.path().join("gateway.toml");
        std::fs::write(&file, &self.toml).unwrap();
        let mut environment = self.environment.clone();
        environment.insert("LLM_GATEWAY_CONFIG".to_owned(), file.to_str().unwrap().to_owned());
        let spool = files.path().join("events.db").to_str().unwrap().to_owned();
        environment.entry("LLM_GATEWAY__ANALYTICS__SPOOL".to_owned()).or_insert(spool);
        let (load, mode) = if self.serves {
            (config::Mode::Serve, Mode::Serve)
        } else {
            (config::Mode::Dev { port: Some(0) }, Mode::Dev { data: files.path().join("data") })
        };
        let config = Config::load(environment, load).unwrap().config;

        let clock = self.clock.clone();
        let (ready, is_ready) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            llm_gateway::cli::install_crypto();
            actix_web::rt::System::new().block_on(async move {
                let app = App::start_by(clock, config, Catalog::embedded().unwrap(), mode).await.unwrap();
                let address = app.address();
                let started =
                    Started { address, operators: app.admin_address().unwrap_or(address), state: app.state().clone() };
                assert!(ready.send(started).is_ok(), "the test is gone");
                // Told by the sender's end.
                let _dropped = stopped.await;
                app.stop().await;
            });
        });
        let started = is_ready.await.expect("the gateway did not start; its thread's panic says why");
        (started, stop, thread)
    }
}

struct Started {
    address: SocketAddr,
    operators: SocketAddr,
    state: State,
}

mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_gateway_serves_calls_from_its_sandboxes_and_ends() {
        let gateway = TestGateway::start().await;
        let body = json!({"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Hello"}]});
        let answer = gateway.post("/v1/chat/completions", &body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let request = gateway.openai().request(0).await;
        assert_eq!(request.json(), body);
        assert_eq!(request.header("authorization"), Some("Bearer sk-sandbox"));

        let address = gateway.address();
        gateway.stop().await;
        tokio::net::TcpStream::connect(address).await.unwrap_err();
    }
}
