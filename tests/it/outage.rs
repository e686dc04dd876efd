//! What callers and operators see when something behind the gateway breaks, and when it comes back.

use std::time::{Duration, Instant};

use llm_gateway::config::providers::Kind;
use llm_gateway::ids::ProviderName;
use llm_gateway::sandbox::{Reply, Sandbox, SandboxOptions};
use serde_json::{Value, json};

use crate::support::gateway::TestGateway;
use crate::support::keys::{NewOAuthToken, NewUser, SCOPE};
use crate::support::postgres::TestDatabase;
use crate::support::proxy::{Proxy, Weather};
use crate::support::wait;

#[tokio::test]
async fn a_provider_that_stopped_is_refused_within_ten_milliseconds_and_the_others_go_on() {
    let mut gateway =
        TestGateway::builder().setting("breaker.open_for", "60s").setting("breaker.open_for_max", "60s").start().await;
    assert_eq!(chat(&gateway).await.status(), 200);
    gateway.take_sandbox("openai").stop().await;
    wait::until("the breaker to open", || async {
        chat(&gateway).await;
        (breaker(&gateway, "openai").await["state"] == "open").then_some(())
    })
    .await;

    let mut took = Vec::new();
    for _ in 0..9 {
        let asked = Instant::now();
        let refused = chat(&gateway).await;
        took.push(asked.elapsed());
        assert_eq!(refused.status(), 503);
        assert!(refused.headers().contains_key("retry-after"));
        assert_eq!(refused.json::<Value>().await.unwrap()["error"]["code"], "provider_unavailable");
        assert_eq!(messages(&gateway).await.status(), 200, "another provider was harmed");
    }
    took.sort();
    assert!(took[took.len() / 2] < Duration::from_millis(10), "refusals took {took:?}");
}

#[tokio::test]
async fn a_provider_that_comes_back_is_called_again_by_itself() {
    let mut gateway = TestGateway::builder()
        .setting("breaker.open_for", "100ms")
        .setting("breaker.open_for_max", "200ms")
        .start()
        .await;
    let sandbox = gateway.take_sandbox("openai");
    let port = sandbox.port();
    sandbox.stop().await;
    wait::until("the breaker to open", || async {
        chat(&gateway).await;
        (breaker(&gateway, "openai").await["opened"].as_u64()? > 0).then_some(())
    })
    .await;

    let _revived = Sandbox::restart_on(Kind::OpenAi, port, SandboxOptions::default()).await.unwrap();
    wait::until("the provider to be called again", || async { (chat(&gateway).await.status() == 200).then_some(()) })
        .await;
    wait::until("the breaker to close", || async {
        (breaker(&gateway, "openai").await["state"] == "closed").then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_open_breaker_is_529_overloaded_on_messages() {
    let gateway =
        TestGateway::builder().setting("breaker.minimum_calls", "2").setting("breaker.open_for", "60s").start().await;
    gateway
        .anthropic()
        .script()
        .always(Reply::json(500, &json!({"type": "error", "error": {"type": "api_error", "message": "no"}})));
    wait::until("the breaker to open", || async { (messages(&gateway).await.status() == 529).then_some(()) }).await;

    let refused = messages(&gateway).await;
    assert!(refused.headers().contains_key("retry-after"));
    let error: Value = refused.json().await.unwrap();
    assert_eq!((&error["type"], &error["error"]["type"]), (&json!("error"), &json!("overloaded_error")));
}

#[tokio::test]
async fn a_supervisor_that_panics_is_shown_as_restarted_and_its_calls_go_on() {
    let gateway = TestGateway::start().await;
    gateway.state().providers.break_supervisor(&ProviderName::from("openai"));
    for _ in 0..20 {
        assert_eq!(chat(&gateway).await.status(), 200, "a call was harmed");
    }
    wait::until("the supervisor's restart to show", || async {
        let health = gateway.operators_json("/health/actors").await;
        let actors = health["actors"].as_array()?;
        let actor = actors.iter().find(|actor| actor["kind"] == "provider" && actor["name"] == "openai")?;
        (actor["restarts"] == 1 && actor["state"] == "running" && actor["last_error"].is_string()).then_some(())
    })
    .await;

    // Its address is still good: it goes on deciding.
    gateway.openai().script().always(Reply::json(500, &json!({"error": {"message": "no", "type": "server_error"}})));
    wait::until("the breaker to open", || async { (chat(&gateway).await.status() == 503).then_some(()) }).await;
}

#[tokio::test]
async fn serve_authenticates_both_kinds_of_token_on_tables_that_were_made_by_hand() {
    let database = TestDatabase::posthog();
    let user = NewUser::default().team(7).create(&database).await;
    let key = user.api_key(&database, &[SCOPE]).await;
    let oauth = user.oauth_token(&database, NewOAuthToken::default()).await;
    let narrow = user.api_key(&database, &["insight:read"]).await;
    let gateway = TestGateway::builder().database(&database).key(&key).start().await;

    for token in [&key, &oauth] {
        let body = json!({"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "hi"}]});
        let request = gateway.client().post(gateway.url("/v1/chat/completions")).bearer_auth(token).json(&body);
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    let models = gateway.client().get(gateway.url("/v1/models"));
    let refused = models.header("x-api-key", &narrow).send().await.unwrap();
    assert_eq!(refused.status(), 403);
    assert_eq!(refused.json::<Value>().await.unwrap()["error"]["code"], "insufficient_scope");
    let django = gateway.client().get(gateway.url("/django/v1/models")).bearer_auth(&oauth).send().await.unwrap();
    assert_eq!(django.json::<Value>().await.unwrap()["error"]["code"], "product_access_denied");
    let developer = llm_gateway::auth::token::DEVELOPMENT_KEY;
    let never = gateway.client().get(gateway.url("/v1/models")).bearer_auth(developer).send().await.unwrap();
    assert_eq!(never.status(), 401, "serve took the development key");
}

#[tokio::test]
async fn a_database_that_goes_away_under_traffic_harms_no_caller_that_was_seen_and_comes_back() {
    let database = TestDatabase::create();
    let user = NewUser::default().team(7).create(&database).await;
    let (known, stranger) = (user.api_key(&database, &[SCOPE]).await, user.api_key(&database, &[SCOPE]).await);
    let proxy = Proxy::start(database.address()).await;
    let gateway = TestGateway::builder()
        .database_url(&database.url_through(proxy.address()))
        .setting("database.connect_timeout", "500ms")
        .setting("auth.api_key_ttl", "1ms")
        .key(&known)
        .start()
        .await;
    assert_eq!(chat(&gateway).await.status(), 200);

    // Traffic before, during and after the cut, not just around it.
    let traffic = async {
        for _ in 0..200 {
            assert_eq!(chat(&gateway).await.status(), 200, "a caller that was seen before was turned away");
        }
    };
    let (_, ()) = tokio::join!(traffic, async {
        wait::until("some traffic", || async { (gateway.openai().requests().len() > 20).then_some(()) }).await;
        proxy.set(Weather::Cut);
    });
    let unknown = gateway.client().get(gateway.url("/v1/models")).bearer_auth(&stranger).send().await.unwrap();
    assert_eq!(unknown.status(), 503, "a token that cannot be checked is not a bad token");
    let probe = gateway.client().get(gateway.url("/_readiness")).send().await.unwrap();
    assert_eq!(probe.status(), 200, "ready until the grace is over");

    proxy.set(Weather::Fair);
    wait::until("the database to be used again", || async {
        let answer = gateway.client().get(gateway.url("/v1/models")).bearer_auth(&stranger).send().await.unwrap();
        (answer.status() == 200).then_some(())
    })
    .await;
}

async fn breaker(gateway: &TestGateway, provider: &str) -> Value {
    let health = gateway.operators_json("/health/actors").await;
    let breakers = health["breakers"].as_array().unwrap();
    breakers
        .iter()
        .find(|breaker| breaker["provider"] == provider && breaker["model"].is_null())
        .cloned()
        .unwrap_or_default()
}

async fn chat(gateway: &TestGateway) -> reqwest::Response {
    let body = json!({"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "hi"}]});
    gateway.post("/v1/chat/completions", &body).send().await.unwrap()
}

async fn messages(gateway: &TestGateway) -> reqwest::Response {
    let body = json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    gateway.post("/v1/messages", &body).send().await.unwrap()
}
