//! Settings that are read again while the binary runs.

use llm_gateway::config::providers::Kind;
use llm_gateway::sandbox::{API_KEY, Sandbox, SandboxOptions};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::binary::{Binary, Running};
use crate::support::posthog::{KEY, PostHog};
use crate::support::wait;

const LISTED: &str = "[attribution]\nteam_override_keys = ";

/// `serve` on SQLite with one simulated provider, a PostHog, and a file of settings.
struct Served {
    running: Running,
    token: String,
    id: String,
    posthog: PostHog,
    files: TempDir,
    _openai: Sandbox,
}

impl Served {
    async fn start() -> Self {
        let files = TempDir::new().unwrap();
        let database = format!("sqlite:{}", files.path().join("gateway.db").display());
        let run = |arguments: &[&str]| {
            let ended = Binary::new(arguments).env("LLM_GATEWAY_DATABASE_URL", &database).run();
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            ended.stdout.trim().to_owned()
        };
        run(&["migrate"]);
        let token = run(&["keys", "create", "--email", "ada@example.com", "--team", "1"]);
        let listed: Value = serde_json::from_str(&run(&["keys", "list", "--json"])).unwrap();
        let id = listed[0]["id"].as_str().unwrap().to_owned();
        let openai = Sandbox::start(Kind::OpenAi, SandboxOptions::default()).await.unwrap();
        let posthog = PostHog::start();
        let file = files.path().join("gateway.toml");
        std::fs::write(&file, format!("{LISTED}[]")).unwrap();
        let running = Binary::new(["serve"])
            .env("LLM_GATEWAY_CONFIG", &file)
            .env("LLM_GATEWAY_DATABASE_URL", &database)
            .env("LLM_GATEWAY_HOST", "127.0.0.1")
            .env("LLM_GATEWAY_PORT", "0")
            .env("LLM_GATEWAY_ADMIN_ADDR", "127.0.0.1:0")
            .env("LLM_GATEWAY_OPENAI_API_KEY", API_KEY)
            .env("LLM_GATEWAY_OPENAI_BASE_URL", openai.base_url().as_str())
            .env("LLM_GATEWAY_POSTHOG_API_KEY", KEY)
            .env("LLM_GATEWAY_POSTHOG_HOST", posthog.url())
            .env("LLM_GATEWAY__ANALYTICS__FLUSH_EVERY", "10ms")
            .env("LLM_GATEWAY__ANALYTICS__SPOOL", files.path().join("events.db"))
            .start();
        Self { running, token, id, posthog, files, _openai: openai }
    }

    /// Writes the file of settings anew and says so.
    async fn tell(&self, settings: &str, times: usize) {
        std::fs::write(self.files.path().join("gateway.toml"), settings).unwrap();
        self.running.signal(Signal::HUP);
        let read = || self.running.stderr().matches("settings were read again").count() >= times;
        wait::until_true("the settings to be read", read).await;
    }

    /// The team of the event of a call that names one.
    async fn team_of_a_call(&self, url: &str, token: &str) -> Value {
        let before = self.posthog.taken();
        let body = json!({"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "hi"}]});
        let call = reqwest::Client::new().post(format!("{url}/v1/chat/completions")).bearer_auth(token);
        let answer = call.header("x-posthog-property-team_id", "42").json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        wait::until_true("the event", || self.posthog.taken() > before).await;
        self.posthog.events()[before].properties["team_id"].clone()
    }
}

#[tokio::test]
async fn the_keys_that_may_name_a_team_change_while_the_gateway_runs() {
    let served = Served::start().await;
    let url = served.running.url();
    assert_eq!(served.team_of_a_call(&url, &served.token).await, 1);
    served.tell(&format!("{LISTED}[\"{}\"]", served.id), 1).await;
    assert_eq!(served.team_of_a_call(&url, &served.token).await, 42);
    served.tell(&format!("{LISTED}[]"), 2).await;
    assert_eq!(served.team_of_a_call(&url, &served.token).await, 1);
}
