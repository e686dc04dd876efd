//! Events on their way to PostHog: what arrives, in which order, how often, whatever is in the way.

use std::time::Duration;

use llm_gateway::actors::analytics::Standing;
use llm_gateway::clock::Clock;
use llm_gateway::config::providers::Kind;
use serde_json::{Value, json};

use crate::support::gateway::{Builder, TestGateway};
use crate::support::posthog::{KEY, Mood, PostHog, property};
use crate::support::raw_upstream::RawUpstream;
use crate::support::wait;

mod proofs;
mod spans;

/// A gateway whose events go to this PostHog, and that does not wait long for anything.
fn gateway(posthog: &PostHog) -> Builder {
    TestGateway::builder()
        .env("LLM_GATEWAY_POSTHOG_API_KEY", KEY)
        .env("LLM_GATEWAY_POSTHOG_HOST", &posthog.url())
        .setting("analytics.flush_every", "10ms")
        .setting("analytics.retry_max", "50ms")
}

/// One call of this caller.
async fn call(gateway: &TestGateway, caller: &str) {
    let body = json!({
        "model": "gpt-4.1-mini",
        "messages": [{"role": "user", "content": "Hello"}],
        "user": caller,
    });
    let answer = gateway.post("/v1/chat/completions", &body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

fn standing(gateway: &TestGateway) -> Standing {
    gateway.state().gateway.analytics.standing()
}

/// Until PostHog has taken so many events.
async fn taken(posthog: &PostHog, events: usize) {
    wait::until_equal("PostHog's events", events, || posthog.taken()).await;
}

/// A server of chat completions that answers with log probabilities, whole or streamed.
async fn sure_of_itself() -> RawUpstream {
    let logprobs = json!({"content": [{"token": "Hi", "logprob": -0.5, "bytes": null, "top_logprobs": []}]});
    let whole = json!({"id": "c_1", "object": "chat.completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "logprobs": logprobs, "finish_reason": "stop"}]});
    let chunk = json!({"id": "c_1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [
        {"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "logprobs": logprobs, "finish_reason": "stop"}]});
    let stream = format!("data: {chunk}\n\ndata: [DONE]\n\n");
    RawUpstream::start(move |_, mut connection| {
        let (whole, stream) = (whole.to_string(), stream.clone());
        async move {
            while let Some(request) = connection.request().await {
                let asked: Value = serde_json::from_slice(&request.body).unwrap();
                let (kind, body) = match asked["stream"].as_bool() {
                    Some(true) => ("content-type: text/event-stream\r\n", &stream),
                    Some(false) | None => ("content-type: application/json\r\n", &whole),
                };
                connection.answer(200, kind, body).await;
            }
        }
    })
    .await
}

#[actix_rt::test]
async fn what_an_answer_loses_is_told_to_the_caller_and_to_posthog() {
    let (posthog, upstream) = (PostHog::start(), sure_of_itself().await);
    let url = format!("http://{}/v1", upstream.address()).parse().unwrap();
    let gateway = gateway(&posthog)
        .provider("plain", Kind::OpenAi, &url)
        .setting("providers.plain.upstreams.default.responses", "false")
        .start()
        .await;
    let body = |stream: bool| {
        json!({"model": "plain/m", "max_tokens": 9, "top_k": 3, "stream": stream,
            "messages": [{"role": "user", "content": "Hello"}]})
    };
    let whole = gateway.post("/v1/messages", &body(false)).send().await.unwrap();
    assert_eq!(whole.headers()["x-llm-gateway-ignored"], "top_k,logprobs");
    let stream = gateway.post("/v1/messages", &body(true)).send().await.unwrap();
    assert_eq!(stream.headers()["x-llm-gateway-ignored"], "top_k");
    let text = stream.text().await.unwrap();
    let comment = text.find("\n\n: x-llm-gateway-ignored: logprobs\n\n").unwrap();
    assert!(
        text.find("content_block_stop").unwrap() < comment && comment < text.find("message_delta").unwrap(),
        "{text}"
    );
    taken(&posthog, 2).await;
    for event in posthog.events() {
        assert_eq!(property(&event, "llm_gateway_ignored_fields"), &json!(["top_k", "logprobs"]));
    }
}

#[actix_rt::test]
async fn a_call_is_one_event() {
    let posthog = PostHog::start();
    let gateway = gateway(&posthog).start().await;
    call(&gateway, "ada").await;
    taken(&posthog, 1).await;
    let event = &posthog.events()[0];
    assert_eq!((event.distinct_id.as_str(), property(event, "$ai_model")), ("ada", &json!("gpt-4.1-mini")));
    // What was sent is counted a moment before it is taken out of the file.
    let seen = || {
        let standing = standing(&gateway);
        (standing.recorded, standing.sent, standing.spool.events, standing.oldest_age_ms)
    };
    wait::until_equal("the gateway to know", (1, 1, 0, None), seen).await;
    gateway.stop().await;
    assert_eq!(posthog.repeated(), 0);
    assert_eq!(posthog.batches().iter().map(|batch| batch.events).collect::<Vec<_>>(), [1]);
}

#[actix_rt::test]
async fn without_a_key_there_are_no_events() {
    let posthog = PostHog::start();
    let gateway = TestGateway::builder().env("LLM_GATEWAY_POSTHOG_HOST", &posthog.url()).start().await;
    call(&gateway, "ada").await;
    let standing = standing(&gateway);
    assert!(!standing.is_on);
    assert_eq!(standing.recorded, 0);
    gateway.stop().await;
    assert_eq!(posthog.batches().len(), 0);
}

#[actix_rt::test]
async fn what_is_left_at_the_end_is_sent_before_it() {
    let posthog = PostHog::start();
    let gateway = gateway(&posthog).setting("analytics.flush_every", "1h").start().await;
    for caller in ["ada", "bob", "eve"] {
        call(&gateway, caller).await;
    }
    gateway.stop().await;
    assert_eq!(posthog.taken(), 3);
}

#[actix_rt::test]
async fn whatever_posthog_does_each_event_arrives_once_and_in_order() {
    for mood in [
        Mood::Down,
        Mood::Refusing(401, None),
        Mood::Refusing(403, None),
        Mood::Refusing(404, None),
        Mood::Refusing(429, None),
        Mood::Refusing(500, None),
        Mood::Refusing(503, None),
        Mood::CutsRequests,
        Mood::CutsAnswers,
    ] {
        let posthog = PostHog::in_mood(mood.clone());
        let gateway = gateway(&posthog).start().await;
        let callers: Vec<String> = (0..5).map(|number| format!("caller-{number}")).collect();
        for caller in &callers {
            call(&gateway, caller).await;
        }
        wait::until_true("several attempts", || standing(&gateway).retries.values().sum::<u64>() >= 3).await;
        posthog.set(Mood::Well);
        wait::until_true("the gateway to have sent all", || {
            let standing = standing(&gateway);
            standing.sent == 5 && standing.spool.events == 0
        })
        .await;
        let arrived: Vec<String> = posthog.events().into_iter().map(|event| event.distinct_id).collect();
        assert_eq!(arrived, callers, "{mood:?}");
        let standing = standing(&gateway);
        assert_eq!(standing.dropped.values().chain(standing.refused.values()).sum::<u64>(), 0, "{mood:?}");
        gateway.stop().await;
    }
}

#[actix_rt::test]
async fn an_actor_that_panics_is_restarted_and_no_event_is_lost() {
    let posthog = PostHog::in_mood(Mood::Slow(Duration::from_millis(20)));
    let gateway = gateway(&posthog).start().await;
    let analytics = &gateway.state().gateway.analytics;
    let mut callers = Vec::new();
    for round in 0..4_u64 {
        for number in 0..5 {
            callers.push(format!("caller-{round}-{number}"));
            call(&gateway, &callers[callers.len() - 1]).await;
            if number == 2 {
                analytics.break_clerk();
            }
        }
        wait::until_true("its restart", || analytics.report().restarts == round + 1).await;
    }
    taken(&posthog, callers.len()).await;
    let arrived: std::collections::BTreeSet<String> =
        posthog.events().into_iter().map(|event| event.distinct_id).collect();
    assert_eq!(arrived, callers.into_iter().collect());
    let standing = standing(&gateway);
    assert_eq!(standing.dropped.values().sum::<u64>(), 0);
    assert_eq!((standing.buffer.events, standing.buffer.bytes), (0, 0), "room is held for nothing");
}

#[actix_rt::test]
async fn a_silent_posthog_is_asked_again_after_the_timeout() {
    let posthog = PostHog::in_mood(Mood::Silent);
    let gateway = gateway(&posthog).setting("analytics.timeout", "100ms").start().await;
    call(&gateway, "ada").await;
    wait::until_true("a second attempt", || standing(&gateway).retries["timeout"] >= 2).await;
    posthog.set(Mood::Well);
    taken(&posthog, 1).await;
}

#[actix_rt::test]
async fn a_batch_that_is_sent_again_says_anew_when() {
    let posthog = PostHog::in_mood(Mood::Refusing(500, None));
    let gateway = gateway(&posthog).start().await;
    call(&gateway, "ada").await;
    wait::until_true("several attempts", || posthog.batches().len() >= 3).await;
    let sent: std::collections::BTreeSet<String> = posthog.batches().into_iter().map(|batch| batch.sent_at).collect();
    assert!(sent.len() >= 3, "{sent:?}");
}

#[actix_rt::test]
async fn retry_after_is_waited_for() {
    let posthog = PostHog::in_mood(Mood::Refusing(429, Some(1)));
    let gateway = gateway(&posthog).start().await;
    call(&gateway, "ada").await;
    wait::until_true("the first attempt", || posthog.batches().len() == 1).await;
    posthog.set(Mood::Slow(Duration::from_millis(1)));
    taken(&posthog, 1).await;
    let batches = posthog.batches();
    let waited = batches[1].at - batches[0].at;
    assert!(waited >= Duration::from_millis(950), "{waited:?}");
}

#[actix_rt::test]
async fn a_batch_that_is_too_large_is_split() {
    let posthog = PostHog::in_mood(Mood::Down);
    let gateway = gateway(&posthog).start().await;
    for number in 0..20 {
        call(&gateway, &format!("caller-{number:02}")).await;
    }
    wait::until_true("the events to be written", || standing(&gateway).spool.events == 20).await;
    posthog.set(Mood::Small(8 * 1024));
    taken(&posthog, 20).await;
    let arrived: Vec<String> = posthog.events().into_iter().map(|event| event.distinct_id).collect();
    assert!(arrived.is_sorted(), "{arrived:?}");
    assert!(posthog.batches().iter().any(|batch| batch.status == Some(413)));
    assert_eq!(posthog.repeated(), 0);
}

#[actix_rt::test]
async fn an_event_that_is_too_large_alone_is_dropped_and_the_others_are_not() {
    let posthog = PostHog::start();
    let gateway = gateway(&posthog).setting("analytics.flush_every", "300ms").start().await;
    posthog.set(Mood::Small(20_000));
    call(&gateway, "ada").await;
    let long = json!({
        "model": "gpt-4.1-mini",
        "messages": [{"role": "user", "content": "long ".repeat(10_000)}],
        "user": "bob",
    });
    assert_eq!(gateway.post("/v1/chat/completions", &long).send().await.unwrap().status(), 200);
    call(&gateway, "eve").await;
    taken(&posthog, 2).await;
    wait::until_true("the refusal to be counted", || standing(&gateway).refused["too_large"] == 1).await;
    let arrived: Vec<String> = posthog.events().into_iter().map(|event| event.distinct_id).collect();
    assert_eq!(arrived, ["ada", "eve"]);
}

#[actix_rt::test]
async fn a_malformed_event_is_dropped_and_the_others_are_not() {
    let posthog = PostHog::in_mood(Mood::Down);
    let gateway = gateway(&posthog).start().await;
    let callers: Vec<String> = (0..12).map(|number| format!("caller-{number:02}")).collect();
    for caller in &callers {
        call(&gateway, caller).await;
    }
    wait::until_true("the events to be written", || standing(&gateway).spool.events == 12).await;
    posthog.set(Mood::Picky(vec!["caller-03".to_owned(), "caller-11".to_owned()]));
    taken(&posthog, 10).await;
    wait::until_true("the refusals to be counted", || standing(&gateway).refused["malformed"] == 2).await;
    let arrived: Vec<String> = posthog.events().into_iter().map(|event| event.distinct_id).collect();
    let wanted: Vec<String> =
        callers.into_iter().filter(|caller| caller != "caller-03" && caller != "caller-11").collect();
    assert_eq!(arrived, wanted);
    wait::until_equal("the spool's events", 0, || standing(&gateway).spool.events).await;
}

#[actix_rt::test]
async fn many_malformed_events_cost_none_of_their_neighbours() {
    let posthog = PostHog::in_mood(Mood::Down);
    let gateway = gateway(&posthog).start().await;
    let callers: Vec<String> = (0..240).map(|number| format!("caller-{number:03}")).collect();
    for caller in &callers {
        call(&gateway, caller).await;
    }
    wait::until_true("the events to be written", || standing(&gateway).spool.events == 240).await;
    // Every other one: nothing larger than a single event is taken.
    let bad: Vec<String> = callers.iter().step_by(2).cloned().collect();
    posthog.set(Mood::Picky(bad));
    wait::until_true("the refusals to be counted", || standing(&gateway).refused["malformed"] == 120).await;
    taken(&posthog, 120).await;
    let arrived: Vec<String> = posthog.events().into_iter().map(|event| event.distinct_id).collect();
    assert_eq!(arrived, callers.into_iter().skip(1).step_by(2).collect::<Vec<_>>());
}

#[actix_rt::test]
async fn a_calendar_that_is_set_back_delays_no_event() {
    let posthog = PostHog::start();
    let clock = Clock::ahead_by(0);
    let gateway = gateway(&posthog).setting("analytics.flush_every", "2s").clock(&clock).start().await;
    call(&gateway, "ada").await;
    wait::until_true("the event to be written", || standing(&gateway).spool.events == 1).await;
    clock.set_ahead(-3600);
    taken(&posthog, 1).await;
    let waited = standing(&gateway);
    assert_eq!((waited.retries.values().sum::<u64>(), waited.dropped.values().sum::<u64>()), (0, 0));
}

#[actix_rt::test]
async fn operators_see_how_events_stand() {
    let posthog = PostHog::in_mood(Mood::Down);
    let gateway = gateway(&posthog).start().await;
    call(&gateway, "ada").await;
    wait::until_true("the event to wait", || {
        let standing = standing(&gateway);
        standing.spool.events == 1 && standing.retries["network"] > 0 && standing.oldest_age_ms > Some(0)
    })
    .await;
    let health: Value = gateway.operators_json("/health/actors").await;
    let analytics = &health["analytics"];
    assert_eq!(analytics["spool"]["events"], 1);
    assert!(analytics["oldest_age_ms"].is_u64(), "{analytics}");
    let kinds: Vec<&Value> = health["actors"].as_array().unwrap().iter().map(|actor| &actor["kind"]).collect();
    assert!(kinds.contains(&&json!("analytics")), "{kinds:?}");
    let metrics = gateway.metrics().await;
    for line in [
        "llm_gateway_analytics_waiting_events{where=\"buffer\"} 0",
        "llm_gateway_analytics_waiting_events{where=\"spool\"} 1",
        "llm_gateway_analytics_waiting_events{where=\"memory\"} 0",
        "llm_gateway_analytics_spool_good 1",
        "llm_gateway_analytics_recorded_total 1",
        "llm_gateway_analytics_sent_total 0",
        "llm_gateway_analytics_dropped_total{reason=\"spool_full\"} 0",
        "llm_gateway_analytics_refused_total{reason=\"malformed\"} 0",
    ] {
        assert!(metrics.lines().any(|other| other == line), "{line} is not in {metrics}");
    }
    for name in
        ["llm_gateway_analytics_oldest_age_seconds ", "llm_gateway_analytics_retries_total{reason=\"network\"} "]
    {
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        assert!(value.parse::<f64>().unwrap() > 0.0, "{name}{value}");
    }
}
