//! The gateway as a process: what it prints, what signals do to it, and what its logs may hold.

use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::binary::{Binary, Running};
use crate::support::gateway::TestGateway;
use crate::support::keys::{NewUser, SCOPE};
use crate::support::port::Port;
use crate::support::postgres::TestDatabase;
use crate::support::raw_client::RawClient;
use crate::support::wait;

const KEY: &str = "phx_dev_local_test_api_key_1234567890abcdef";

/// What must not be in any log.
const PROMPT: &str = "the launch code is hunter2";

fn dev(data: &tempfile::TempDir) -> Binary {
    Binary::new(["dev", "--port", "0", "--data", data.path().to_str().unwrap()])
}

fn chat(prompt: &str) -> Value {
    json!({"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": prompt}]})
}

async fn connect(gateway: &Running) -> RawClient {
    RawClient::connect(gateway.url().trim_start_matches("http://").parse().unwrap()).await
}

/// Begins a stream that takes a while, and returns once its first event is there.
async fn streaming(gateway: &Running) -> RawClient {
    let mut body = chat("[[sandbox:words=30]][[sandbox:pace_ms=10]]");
    body["stream"] = true.into();
    let mut caller = connect(gateway).await;
    caller.post("/v1/chat/completions", &format!("authorization: Bearer {KEY}\r\n"), &body.to_string()).await;
    caller.hear("data: ").await;
    caller
}

#[test]
fn dev_prints_a_curl_line_that_works_when_pasted() {
    let data = tempfile::tempdir().unwrap();
    let gateway = dev(&data).start();
    let said = wait::block_until("the curl line", || {
        let said = gateway.stderr();
        said.lines().find(|line| line.starts_with("curl ")).map(ToOwned::to_owned)
    });
    let ran = Command::new("sh").args(["-c", &format!("{said} --silent --show-error --fail")]).output().unwrap();
    assert!(ran.status.success(), "{said}: {}", String::from_utf8_lossy(&ran.stderr));
    let answer: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert!(answer["choices"][0]["message"]["content"].is_string(), "{answer}");
}

#[tokio::test]
async fn sigterm_and_sigint_let_a_stream_finish_and_end_with_zero() {
    for signal in [Signal::TERM, Signal::INT] {
        let data = tempfile::tempdir().unwrap();
        let gateway = dev(&data).start();
        let address = gateway.url();
        let mut caller = streaming(&gateway).await;
        gateway.signal(signal);
        wait::until(&format!("{signal:?} to close the listener"), || async {
            tokio::net::TcpStream::connect(address.trim_start_matches("http://")).await.err()
        })
        .await;
        let heard = caller.hear_all().await;
        assert!(heard.contains("data: [DONE]") && heard.ends_with("0\r\n\r\n"), "{signal:?}: {heard}");
        let ended = tokio::task::spawn_blocking(|| gateway.wait()).await.unwrap();
        assert_eq!(ended.code, Some(0), "{signal:?}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn a_stream_that_outlasts_the_grace_ends_in_an_error() {
    let data = tempfile::tempdir().unwrap();
    let gateway = dev(&data).env("LLM_GATEWAY__DRAIN__GRACE", "1s").start();
    let mut body = chat("[[sandbox:words=20]][[sandbox:stall=3]]");
    body["stream"] = true.into();
    let mut caller = connect(&gateway).await;
    caller.post("/v1/chat/completions", &format!("authorization: Bearer {KEY}\r\n"), &body.to_string()).await;
    caller.hear("data: ").await;
    gateway.terminate();
    let heard = caller.hear_all().await;
    assert!(heard.contains("the gateway is ending") && !heard.contains("[DONE]"), "{heard}");
    let ended = tokio::task::spawn_blocking(|| gateway.wait()).await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[tokio::test]
async fn a_draining_gateway_is_not_ready_and_still_serves_with_connection_close() {
    let database = TestDatabase::create();
    let key = NewUser::default().create(&database).await.api_key(&database, &[SCOPE]).await;
    let gateway = TestGateway::builder().database(&database).key(&key).setting("drain.delay", "1h").start().await;
    let readiness = async |wanted: u16| {
        wait::until(&format!("readiness to be {wanted}"), || async {
            (gateway.get("/_readiness").send().await.unwrap().status() == wanted).then_some(())
        })
        .await;
    };
    readiness(200).await;
    gateway.begin_to_stop();
    readiness(503).await;
    let answer = gateway.post("/v1/chat/completions", &chat("Hello")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["connection"], "close");
    assert_eq!(gateway.get("/_liveness").send().await.unwrap().status(), 200);
}

#[test]
fn a_port_that_is_taken_is_one_sentence_and_a_failure() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let data = tempfile::tempdir().unwrap();
    let ended = Binary::new(["dev", "--port", &port.to_string(), "--data", data.path().to_str().unwrap()]).run();
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains(&port.to_string()) && ended.stdout.is_empty(), "{}", ended.stderr);
}

#[tokio::test]
async fn serve_runs_without_its_database_and_says_that_it_is_not_ready() {
    let port = Port::free();
    let nowhere = port.address();
    let gateway = serve(&format!("postgres://gateway@{nowhere}/posthog")).start();
    let client = reqwest::Client::new();
    let status = async |path: &str| client.get(format!("{}{path}", gateway.url())).send().await.unwrap().status();
    assert_eq!(status("/_liveness").await, 200);
    assert_eq!(status("/_readiness").await, 503);
    let asked = client
        .post(format!("{}/v1/chat/completions", gateway.url()))
        .bearer_auth("phx_might_be_a_good_one")
        .json(&chat("Hello"))
        .send()
        .await
        .unwrap();
    assert_eq!(asked.status(), 503, "a token that cannot be checked is not a wrong one");

    gateway.terminate();
    let ended = tokio::task::spawn_blocking(|| gateway.wait()).await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[tokio::test]
async fn serve_refuses_the_development_key_and_keeps_operators_paths_to_themselves() {
    let database = TestDatabase::create();
    let gateway = serve(database.url()).start();
    let client = reqwest::Client::new();
    let refused = client
        .post(format!("{}/v1/chat/completions", gateway.url()))
        .bearer_auth(KEY)
        .json(&chat("Hello"))
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 401);
    for path in ["/metrics", "/health/actors"] {
        assert_eq!(client.get(format!("{}{path}", gateway.url())).send().await.unwrap().status(), 404, "{path}");
    }
}

#[tokio::test]
async fn log_lines_are_json_with_the_request_id_and_never_hold_a_token_or_a_prompt() {
    let database = TestDatabase::create();
    let key = NewUser::default().create(&database).await.api_key(&database, &[SCOPE]).await;
    let provider = llm_gateway::sandbox::Sandbox::start(
        llm_gateway::config::providers::Kind::OpenAi,
        llm_gateway::sandbox::SandboxOptions { api_key: "sk-providers-secret".to_owned(), ..Default::default() },
    )
    .await
    .unwrap();
    let gateway = serve(database.url())
        .env("LLM_GATEWAY__TELEMETRY__LOG", "debug,llm_gateway=trace")
        .env("LLM_GATEWAY_OPENAI_BASE_URL", provider.base_url().as_str())
        .env("LLM_GATEWAY_OPENAI_API_KEY", "sk-providers-secret")
        .start();
    let client = reqwest::Client::new();
    // Served, refused by the provider, cut by it, and refused by us; the last with the token in the query as well.
    for (path, prompt, token) in [
        ("/v1/chat/completions", PROMPT.to_owned(), key.as_str()),
        ("/v1/chat/completions", format!("{PROMPT}[[sandbox:error=500]]"), key.as_str()),
        ("/v1/chat/completions", format!("{PROMPT}[[sandbox:cut]]"), key.as_str()),
        ("/v1/chat/completions", PROMPT.to_owned(), "phx_unknown_but_secret"),
        (
            "/v1beta/models/gpt-4.1-mini:generateContent?key=phx_unknown_but_secret",
            PROMPT.to_owned(),
            "phx_unknown_but_secret",
        ),
    ] {
        let request = client.post(format!("{}{path}", gateway.url())).header("x-request-id", "follow-me");
        let answer = request.bearer_auth(token).json(&chat(&prompt)).send().await.unwrap();
        answer.bytes().await.unwrap();
    }
    gateway.terminate();
    let ended = tokio::task::spawn_blocking(|| gateway.wait()).await.unwrap();

    assert!(ended.stdout.is_empty(), "{}", ended.stdout);
    for secret in [key.as_str(), "phx_unknown_but_secret", "sk-providers-secret", "hunter2"] {
        let leak = ended.stderr.lines().find(|line| line.contains(secret));
        assert_eq!(leak, None, "{secret} was logged");
    }
    let lines: Vec<Value> = ended
        .stderr
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.iter().any(|line| line.to_string().contains("follow-me")), "no line names the request: {lines:#?}");
}

/// `serve` on free ports, with what it needs least.
fn serve(database: &str) -> Binary {
    Binary::new(["serve"])
        .env("LLM_GATEWAY_DATABASE_URL", database)
        .env("LLM_GATEWAY_HOST", "127.0.0.1")
        .env("LLM_GATEWAY_PORT", "0")
        .env("LLM_GATEWAY_ADMIN_ADDR", "127.0.0.1:0")
        .env("LLM_GATEWAY__DRAIN__DELAY", "0s")
}
