//! Settings that are read again while the binary runs.

use futures_util::StreamExt as _;
use llm_gateway::config::providers::Kind;
use llm_gateway::sandbox::{Gate, Reply, Sandbox, SandboxOptions};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::binary::Running;
use crate::support::posthog::{KEY, PostHog};
use crate::support::sqlite::Sqlite;
use crate::support::wait;

const LISTED: &str = "[attribution]\nteam_override_keys = ";

/// `serve` on SQLite with one simulated provider, a PostHog, and a file of settings.
struct Served {
    running: Running,
    token: String,
    id: String,
    posthog: PostHog,
    database: Sqlite,
    openai: Sandbox,
}

impl Served {
    async fn start() -> Self {
        let database = Sqlite::create();
        let token = database.key();
        let listed: Value = serde_json::from_str(&database.run(&["keys", "list", "--json"])).unwrap();
        let id = listed[0]["id"].as_str().unwrap().to_owned();
        let openai = Sandbox::start(Kind::OpenAi, SandboxOptions::default()).await.unwrap();
        let posthog = PostHog::start();
        let file = database.folder().join("gateway.toml");
        std::fs::write(&file, format!("{LISTED}[]")).unwrap();
        let running = database
            .serve(&openai)
            .env("LLM_GATEWAY_CONFIG", &file)
            .env("LLM_GATEWAY_POSTHOG_API_KEY", KEY)
            .env("LLM_GATEWAY_POSTHOG_HOST", posthog.url())
            .env("LLM_GATEWAY__ANALYTICS__FLUSH_EVERY", "10ms")
            .env("LLM_GATEWAY__ANALYTICS__SPOOL", database.folder().join("events.db"))
            .start();
        Self { running, token, id, posthog, database, openai }
    }

    /// Writes the file of settings anew and says so.
    async fn tell(&self, settings: &str, times: usize) {
        std::fs::write(self.database.folder().join("gateway.toml"), settings).unwrap();
        self.running.signal(Signal::HUP);
        let read = || self.running.stderr().matches("settings were read again").count() >= times;
        wait::until_true("the settings to be read", read).await;
    }

    /// The team of the event of a call that names one.
    async fn team_of_a_call(&self) -> Value {
        let before = self.posthog.taken();
        let body = json!({"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "hi"}]});
        let url = format!("{}/v1/chat/completions", self.running.url());
        let call = reqwest::Client::new().post(url).bearer_auth(&self.token);
        let answer = call.header("x-posthog-property-team_id", "42").json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        wait::until_true("the event", || self.posthog.taken() > before).await;
        self.posthog.events()[before].properties["team_id"].clone()
    }
}

#[tokio::test]
async fn the_keys_that_may_name_a_team_change_while_the_gateway_runs() {
    let served = Served::start().await;
    assert_eq!(served.team_of_a_call().await, 1);
    served.tell(&format!("{LISTED}[\"{}\"]", served.id), 1).await;
    assert_eq!(served.team_of_a_call().await, 42);
    served.tell(&format!("{LISTED}[]"), 2).await;
    assert_eq!(served.team_of_a_call().await, 1);
}

/// A catalog with one model, by what a million of its tokens cost.
fn catalog(usd: i64) -> String {
    let rate = usd * 1_000_000_000;
    let prices = json!({"rates": {"input": rate, "output": rate}});
    json!({"models": [{"id": "gpt-99-lab", "provider": "openai", "prices": prices}]}).to_string()
}

impl Served {
    /// What a call of the catalog's model costs: 1000 tokens in and none out.
    async fn cost_of_a_call(&self) -> String {
        let usage = json!({"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000});
        let message = json!({"role": "assistant", "content": "hi"});
        let choices = json!([{"index": 0, "message": message, "finish_reason": "stop"}]);
        let answer = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-99-lab",
            "choices": choices, "usage": usage});
        self.openai.script().push(Reply::json(200, &answer));
        let answer = self.call(&json!({"model": "gpt-99-lab", "messages": [{"role": "user", "content": "hi"}]})).await;
        answer.headers()["x-llm-gateway-cost-usd"].to_str().unwrap().to_owned()
    }

    async fn call(&self, body: &Value) -> reqwest::Response {
        let url = format!("{}/v1/chat/completions", self.running.url());
        let answer = reqwest::Client::new().post(url).bearer_auth(&self.token).json(body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer
    }

    async fn says(&self, text: &str, times: usize) {
        wait::until_true(text, || self.running.stderr().matches(text).count() >= times).await;
    }
}

#[tokio::test]
async fn the_catalog_is_read_again_and_a_bad_one_refused_while_a_stream_goes_on() {
    let served = Served::start().await;
    let file = served.database.folder().join("catalog.json");
    std::fs::write(&file, catalog(1)).unwrap();
    served.tell(&format!("[catalog]\nfile = '{}'", file.display()), 1).await;
    assert_eq!(served.cost_of_a_call().await, "0.001");

    let gate = Gate::new();
    let first = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one\"}}]}\n\n";
    let last =
        "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    served.openai.script().push(Reply::sse().chunk(first).wait(&gate).chunk(last));
    let open = json!({"model": "gpt-99-lab", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let mut stream = served.call(&open).await.bytes_stream();
    let mut text = String::new();
    while !text.contains("one") {
        text.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
    }

    // Nobody says that the file has changed: it is looked at.
    std::fs::write(&file, catalog(20)).unwrap();
    served.says("settings were read again", 2).await;
    assert_eq!(served.cost_of_a_call().await, "0.02");

    std::fs::write(&file, "{\"models\": [\n{\"id\": 7}]}").unwrap();
    served.running.signal(Signal::HUP);
    served.says("settings cannot be used; the old ones stay in force", 1).await;
    let refusal = format!("the file {} is no catalog", file.display());
    let stderr = served.running.stderr();
    let line = stderr.lines().find(|line| line.contains(&refusal)).unwrap_or_else(|| unreachable!("{stderr}"));
    assert!(line.contains("at line 2 column") && line.contains("catalog.file, set in"), "{line}");
    assert_eq!(served.cost_of_a_call().await, "0.02");

    gate.open();
    while let Some(piece) = stream.next().await {
        text.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
    }
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");

    // A good one again, and the gateway takes it.
    std::fs::write(&file, catalog(300)).unwrap();
    served.running.signal(Signal::HUP);
    served.says("settings were read again", 3).await;
    assert_eq!(served.cost_of_a_call().await, "0.30");
}
