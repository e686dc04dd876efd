//! Settings that are read again while the binary runs.

use llm_gateway::config::providers::Kind;
use llm_gateway::sandbox::{Sandbox, SandboxOptions};
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
    _openai: Sandbox,
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
        Self { running, token, id, posthog, database, _openai: openai }
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
