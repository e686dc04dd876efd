//! How the binary ends when it is told to: whoever is being served is served to the end, within bounds.

use std::time::{Duration, Instant};

use llm_gateway::config::providers::Kind;
use llm_gateway::sandbox::{Gate, Reply, Sandbox, SandboxOptions};
use reqwest::Response;
use serde_json::{Value, json};

use crate::support::binary::{Binary, Ended, Running};
use crate::support::own_redis::OwnRedis;
use crate::support::sqlite::Sqlite;
use crate::support::wait;

/// `serve` as in production, on SQLite, with one simulated provider.
struct Served {
    running: Running,
    url: String,
    key: String,
    openai: Sandbox,
    _database: Sqlite,
}

impl Served {
    async fn start(delay: &str, grace: &str) -> Self {
        Self::with(delay, grace, &[]).await
    }

    async fn with(delay: &str, grace: &str, settings: &[(&str, &str)]) -> Self {
        let database = Sqlite::create();
        let key = database.key();
        let openai = Sandbox::start(Kind::OpenAi, SandboxOptions::default()).await.unwrap();
        let mut binary =
            database.serve(&openai).env("LLM_GATEWAY__DRAIN__DELAY", delay).env("LLM_GATEWAY__DRAIN__GRACE", grace);
        for (name, value) in settings {
            binary = binary.env(name, value);
        }
        let running = binary.start();
        let url = running.url();
        let served = Self { running, url, key, openai, _database: database };
        wait::until("the gateway to be ready", || async { (served.readiness().await == 200).then_some(()) }).await;
        served
    }

    async fn readiness(&self) -> u16 {
        reqwest::get(format!("{}/_readiness", self.url)).await.unwrap().status().as_u16()
    }

    async fn call(&self, client: &reqwest::Client, stream: Stream) -> Response {
        let body = json!({
            "model": "gpt-4.1-mini",
            "stream": stream == Stream::Yes,
            "messages": [{"role": "user", "content": "Hello"}],
        });
        let request = client.post(format!("{}/v1/chat/completions", self.url)).bearer_auth(&self.key);
        request.json(&body).send().await.unwrap()
    }

    /// A stream that has begun, and goes on when the gate opens.
    async fn stream(&self) -> (Response, Gate) {
        let gate = Gate::new();
        let reply = Reply::sse()
            .event(r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"one"},"finish_reason":null}]}"#)
            .wait(&gate)
            .event(r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#)
            .event("[DONE]");
        self.openai.script().push(reply);
        let mut response = self.call(&reqwest::Client::new(), Stream::Yes).await;
        let first = wait::within("the first event", response.chunk()).await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&first).contains("one"));
        (response, gate)
    }

    /// Until nobody can connect any more.
    async fn no_longer_listens(&self) {
        let address: std::net::SocketAddr = self.url.trim_start_matches("http://").parse().unwrap();
        wait::until("the listener to be closed", || async { tokio::net::TcpStream::connect(address).await.err() })
            .await;
    }

    async fn ended(self) -> Ended {
        tokio::task::spawn_blocking(|| self.running.wait()).await.unwrap()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stream {
    Yes,
    No,
}

#[actix_rt::test]
async fn sigterm_says_not_ready_serves_on_for_a_while_and_lets_streams_finish() {
    let served = Served::start("2s", "30s").await;
    let kept = reqwest::Client::new();
    let before = served.call(&kept, Stream::No).await;
    assert_eq!(before.headers().get("connection"), None);
    drop(before.bytes().await.unwrap());
    let (stream, gate) = served.stream().await;

    served.running.terminate();
    wait::until("readiness to say no", || async { (served.readiness().await == 503).then_some(()) }).await;
    let said: Value = reqwest::get(format!("{}/_readiness", served.url)).await.unwrap().json().await.unwrap();
    assert_eq!(said["status"], "draining");
    assert_eq!(reqwest::get(format!("{}/_liveness", served.url)).await.unwrap().status(), 200);
    // On a connection from before, on a new one, and for a stream.
    for (client, kind) in
        [(&kept, Stream::No), (&reqwest::Client::new(), Stream::No), (&reqwest::Client::new(), Stream::Yes)]
    {
        let response = served.call(client, kind).await;
        assert_eq!((response.status().as_u16(), response.headers()["connection"].to_str().unwrap()), (200, "close"));
        assert!(!response.bytes().await.unwrap().is_empty());
    }
    // A refusal, too.
    let refused = reqwest::Client::new().post(format!("{}/v1/messages", served.url)).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["connection"].to_str().unwrap()), (401, "close"));

    served.no_longer_listens().await;
    gate.open();
    let rest = wait::within("the rest of the stream", stream.text()).await.unwrap();
    assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
    let ended = served.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("draining") && ended.stderr.contains("stopped"), "{}", ended.stderr);
}

#[actix_rt::test]
async fn a_whole_answer_under_way_is_finished() {
    let served = Served::start("0s", "30s").await;
    let gate = Gate::new();
    served.openai.script().push(Reply::simulated().wait(&gate));
    let client = reqwest::Client::new();
    let (response, ()) = tokio::join!(served.call(&client, Stream::No), async {
        served.openai.request(0).await;
        served.running.terminate();
        served.no_longer_listens().await;
        gate.open();
    });
    assert_eq!(response.status(), 200);
    assert!(response.json::<Value>().await.unwrap()["choices"].is_array());
    assert_eq!(served.ended().await.code, Some(0));
}

#[actix_rt::test]
async fn idle_connections_do_not_hold_the_end_up() {
    let served = Served::start("0s", "600s").await;
    let address = served.url.trim_start_matches("http://").to_owned();
    let client = reqwest::Client::new();
    drop(served.call(&client, Stream::No).await.bytes().await.unwrap());
    let silent = tokio::net::TcpStream::connect(&address).await.unwrap();
    let begun = Instant::now();
    served.running.terminate();
    let ended = served.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    drop((client, silent));
}

#[actix_rt::test]
async fn a_second_signal_cuts_what_is_under_way_and_what_it_cost_is_told_all_the_same() {
    let redis = OwnRedis::start().await;
    // Only the end tells Redis.
    let settings = [("LLM_GATEWAY_REDIS_URL", redis.url()), ("LLM_GATEWAY__LIMITS__FLUSH_EVERY", "1h".to_owned())];
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    let served = Served::with("0s", "600s", &settings).await;
    let (stream, _gate) = served.stream().await;
    served.openai.script().push(Reply::silence());
    let client = reqwest::Client::new();
    let begun = Instant::now();
    let (whole, ()) = tokio::join!(served.call(&client, Stream::No), async {
        served.openai.request(1).await;
        served.running.terminate();
        served.no_longer_listens().await;
        served.running.terminate();
    });
    assert_eq!(whole.status(), 503);
    assert!(whole.text().await.unwrap().contains("the gateway is ending"));
    let rest = wait::within("the rest of the stream", stream.text()).await.unwrap();
    assert!(rest.contains("the gateway is ending") && !rest.contains("[DONE]"), "{rest}");
    let ended = served.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert!(ended.stderr.contains("a second signal") && ended.stderr.contains("stopped"), "{}", ended.stderr);

    let shown = Binary::new(["usage", "show", "--product", "llm_gateway", "--team", "1"])
        .env("LLM_GATEWAY_REDIS_URL", redis.url())
        .run();
    let used: f64 = shown.stdout.lines().nth(1).unwrap().split_whitespace().nth(3).unwrap().parse().unwrap();
    assert!(used > 0.0, "{shown:?}");
}
