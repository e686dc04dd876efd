//! What PostHog hears of a limit that is nearly used up.

use std::time::Duration;

use serde_json::{Value, json};

use super::{chat, chat_answer};
use crate::support::gateway::{Builder, TestGateway};
use crate::support::own_redis::OwnRedis;
use crate::support::posthog::{Event, KEY, Mood, PostHog};
use crate::support::wait;

/// Two calls of 0.0028 dollars are over 80 % of the team's and the user's limits, and far from the product's.
const LIMITS: &str = r#"limits = [{ per = "user", usd = 0.006, window = "1h" }, { per = "product", usd = 1, window = "1h" },
                                 { per = "team", usd = 0.0029, window = "24h", mode = "shadow" }]"#;

fn builder(posthog: &PostHog) -> Builder {
    TestGateway::builder()
        .product("tight", LIMITS)
        .env("LLM_GATEWAY_POSTHOG_API_KEY", KEY)
        .env("LLM_GATEWAY_POSTHOG_HOST", &posthog.url())
        .setting("analytics.flush_every", "10ms")
}

fn warnings(posthog: &PostHog) -> Vec<Event> {
    posthog.events().into_iter().filter(|event| event.event == "llm_gateway_limit_warning").collect()
}

fn of(warnings: &[Event], per: &str) -> Event {
    warnings.iter().find(|event| event.properties["llm_gateway_limit_per"] == per).unwrap().clone()
}

async fn call(gateway: &TestGateway, user: &str) {
    let answer = gateway.post("/tight/v1/chat/completions", &chat(user)).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.bytes().await.unwrap();
}

#[tokio::test]
async fn posthog_hears_once_of_each_limit_that_is_nearly_used_up_also_in_the_shadow() {
    let posthog = PostHog::start();
    let gateway = builder(&posthog).start().await;
    gateway.openai().script().always(chat_answer());
    for _ in 0..3 {
        let _ = gateway.post("/tight/v1/chat/completions", &chat("ann")).send().await.unwrap();
    }
    // The limit per user is passed by the third call.
    wait::until_true("all events", || posthog.taken() >= 5).await;
    let warnings = warnings(&posthog);
    assert_eq!(warnings.len(), 2, "{warnings:#?}");

    let team = of(&warnings, "team");
    assert_eq!(team.distinct_id, "llm-gateway");
    for (name, value) in [
        ("ai_product", json!("tight")),
        ("llm_gateway_limit_subject", json!("1")),
        ("llm_gateway_limit_mode", json!("shadow")),
        ("llm_gateway_limit_usd", json!(0.0029)),
        ("llm_gateway_limit_window_seconds", json!(24 * 3600)),
        ("llm_gateway_used_usd", json!(0.0028)),
        ("team_id", json!(1)),
        ("$groups", json!({"project": 1})),
        ("$process_person_profile", json!(false)),
    ] {
        assert_eq!(team.properties.get(name), Some(&value), "{name}");
    }
    let resets = team.properties["llm_gateway_resets_in_seconds"].as_u64().unwrap();
    assert!((24 * 3600..=48 * 3600).contains(&resets), "{resets}");

    let user = of(&warnings, "user");
    assert_eq!(user.properties["llm_gateway_limit_mode"], "enforce");
    assert_eq!(user.properties["llm_gateway_used_usd"], 0.0056);
    // A hash: what callers write for their users is not in it.
    let subject = user.properties["llm_gateway_limit_subject"].as_str().unwrap();
    assert!(subject.len() == 32 && subject.bytes().all(|byte| byte.is_ascii_hexdigit()), "{subject}");
    assert!(!format!("{user:?}").contains("ann"), "{user:?}");
}

#[tokio::test]
async fn instances_that_warn_of_the_same_limit_count_once() {
    let posthog = PostHog::start();
    let redis = OwnRedis::start().await;
    let mut gateways = Vec::new();
    for _ in 0..2 {
        let gateway = builder(&posthog).env("LLM_GATEWAY_REDIS_URL", &redis.url()).start().await;
        gateway.openai().script().always(chat_answer());
        gateways.push(gateway);
    }
    call(&gateways[0], "ann").await;
    wait::until("the other to hear of it", || async {
        let usage: Value = gateways[1].get("/v1/usage/tight?user=ann").send().await.unwrap().json().await.unwrap();
        usage["windows"].as_array().unwrap().iter().any(|window| window["used_usd"] == 0.0028).then_some(())
    })
    .await;
    // Each now sees the team's shadow limit passed for the first time.
    call(&gateways[1], "bob").await;
    wait::until_true("both calls, one warning, and the same again", || posthog.taken() >= 3 && posthog.repeated() >= 1)
        .await;
    assert_eq!(warnings(&posthog).len(), 1, "{:#?}", warnings(&posthog));
}

#[tokio::test]
async fn a_posthog_that_is_silent_holds_no_call_up_and_hears_of_it_later() {
    let posthog = PostHog::in_mood(Mood::Down);
    let gateway = builder(&posthog).setting("analytics.retry_max", "50ms").start().await;
    gateway.openai().script().always(chat_answer());
    tokio::time::timeout(Duration::from_secs(20), async {
        for _ in 0..2 {
            call(&gateway, "ann").await;
        }
    })
    .await
    .unwrap();
    posthog.set(Mood::Well);
    wait::until_true("the warnings", || warnings(&posthog).len() == 2).await;
}
