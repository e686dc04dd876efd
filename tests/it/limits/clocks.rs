//! Clocks that are set while calls go: nobody is freed by that, and nobody is locked out for longer than without it.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use llm_gateway::clock::Clock;

use super::{chat, chat_answer, header};
use crate::support::gateway::TestGateway;
use crate::support::own_redis::OwnRedis;
use crate::support::wait;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// How long limits' windows are here.
const WINDOW: Duration = Duration::from_secs(3);

/// A call of 0.0028 dollars is ten times the limit: what counts of it is above it for nine tenths of a window at least, and for no
/// more than two.
const LIMITS: &str = r#"limits = [{ per = "user", usd = 0.00028, window = "3s" }]"#;

/// What a machine that is busy may add.
const SLACK: Duration = Duration::from_secs(2);

async fn start(clock: &Clock, redis: Option<&OwnRedis>) -> TestGateway {
    let mut builder = TestGateway::builder().product("tight", LIMITS).setting("limits.wait", "50ms").clock(clock);
    if let Some(redis) = redis {
        builder = builder.env("LLM_GATEWAY_REDIS_URL", &redis.url());
    }
    let gateway = builder.start().await;
    gateway.openai().script().always(chat_answer());
    gateway
}

/// A call's status, and the `retry-after` of a refusal.
async fn call(gateway: &TestGateway, user: &str) -> (u16, Option<u64>) {
    let answer = gateway.post("/tight/v1/chat/completions", &chat(user)).send().await.unwrap();
    (answer.status().as_u16(), header(&answer, "retry-after").parse().ok())
}

/// A user whose limit is spent is refused, is told to wait for two windows at most, and others are not.
async fn assert_only_held(gateway: &TestGateway, user: &str, other: &str, what: &str) {
    let (status, after) = call(gateway, user).await;
    assert_eq!(status, 429, "{what}: freed");
    assert!(after.unwrap() <= 2 * WINDOW.as_secs(), "{what}: to come back in {after:?} s");
    assert_eq!(call(gateway, other).await.0, 200, "{what}: somebody else is held");
}

async fn assert_free_in_time(gateway: &TestGateway, user: &str, spent_at: Instant, what: &str) {
    wait::until("the limit to be free again", || async { (call(gateway, user).await.0 == 200).then_some(()) }).await;
    let held = spent_at.elapsed();
    assert!(held <= 2 * WINDOW + SLACK, "{what}: held for {held:?}");
    assert!(held >= WINDOW * 8 / 10, "{what}: freed after {held:?}");
}

#[tokio::test]
async fn a_gateway_whose_clock_is_set_frees_nobody_and_locks_nobody_out() {
    let steps = [HOUR, -HOUR, DAY, -DAY].map(|step| async move {
        let clock = Clock::ahead_by(0);
        let gateway = start(&clock, None).await;
        let spent_at = Instant::now();
        assert_eq!(call(&gateway, "ann").await.0, 200);
        clock.set_ahead(step);
        assert_only_held(&gateway, "ann", "bob", &format!("{step} s")).await;
        // And back.
        clock.set_ahead(0);
        assert_only_held(&gateway, "ann", "cleo", &format!("{step} s and back")).await;
        assert_free_in_time(&gateway, "ann", spent_at, &format!("{step} s")).await;
    });
    join_all(steps).await;
}

#[tokio::test]
async fn gateways_whose_clocks_disagree_share_limits_by_the_time_of_their_redis() {
    let redis = OwnRedis::start().await;
    let clocks = [Clock::ahead_by(HOUR), Clock::ahead_by(-DAY)];
    let gateways = [start(&clocks[0], Some(&redis)).await, start(&clocks[1], Some(&redis)).await];
    let steps = [(0, 0), (DAY, HOUR), (-HOUR, -DAY)];
    for (number, (one, other)) in steps.into_iter().enumerate() {
        let ann = format!("ann {number}");
        let spent_at = Instant::now();
        assert_eq!(call(&gateways[0], &ann).await.0, 200);
        // Told within a moment, and from then on held by both.
        wait::until("the other to hear of it", || async {
            let path = format!("/v1/usage/tight?user=ann%20{number}");
            let usage: serde_json::Value = gateways[1].get(&path).send().await.unwrap().json().await.unwrap();
            (usage["windows"][0]["used_usd"].as_f64() > Some(0.00028)).then_some(())
        })
        .await;
        clocks[0].set_ahead(one);
        clocks[1].set_ahead(other);
        for (at, gateway) in gateways.iter().enumerate() {
            let other = format!("bob {number} {at}");
            assert_only_held(gateway, &ann, &other, &format!("step {number}, gateway {at}")).await;
        }
        assert_free_in_time(&gateways[number % 2], &ann, spent_at, &format!("step {number}")).await;
    }
}
