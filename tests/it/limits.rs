//! Spending limits as callers see them, and as instances share them through Redis.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use llm_gateway::actors::limiter::{Limiter, Reservation};
use llm_gateway::auth::token::DEVELOPMENT_KEY;
use llm_gateway::clock::Clock;
use llm_gateway::config::products::Product;
use llm_gateway::config::{self, Config};
use llm_gateway::fault::Fault;
use llm_gateway::ids::{ProductName, TeamId};
use llm_gateway::limits::scope::{EndUser, Payer, Scope};
use llm_gateway::limits::window::LedgerTime;
use llm_gateway::money::NanoUsd;
use llm_gateway::sandbox::Reply;
use llm_gateway::store::counters::Counters;
use llm_gateway::telemetry::metrics::Metrics;
use serde_json::{Value, json};

use crate::support::binary::Binary;
use crate::support::gateway::TestGateway;
use crate::support::proxy::{Proxy, Weather};
use crate::support::wait;

mod again;
mod clocks;
mod command;
mod early;
mod fees;
mod nonsense;
mod panics;
mod redis;
mod seen;
mod several;
mod tiers;
mod warnings;

/// 1000 x 2 + 100 x 8, by a thousand: 0.0028 dollars on gpt-4.1.
fn chat_answer() -> Reply {
    Reply::json(
        200,
        &json!({
            "id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4.1",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
        }),
    )
}

fn chat(user: &str) -> Value {
    json!({"model": "gpt-4.1", "user": user, "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]})
}

async fn limited(usd: &str) -> TestGateway {
    let limits = format!(r#"limits = [{{ per = "user", usd = {usd}, window = "1h" }}]"#);
    let gateway = TestGateway::builder().product("tight", &limits).setting("limits.wait", "50ms").start().await;
    gateway.openai().script().always(chat_answer());
    gateway
}

fn header<'a>(answer: &'a reqwest::Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_whole_answer_says_what_it_cost_and_what_is_left() {
    let gateway = limited("0.01").await;
    let answer = gateway.post("/tight/v1/chat/completions", &chat("ann")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "x-llm-gateway-cost-usd"), "0.0028");
    assert_eq!(header(&answer, "x-ratelimit-limit-usd"), "0.01");
    assert_eq!(header(&answer, "x-ratelimit-remaining-usd"), "0.0072");
    assert_eq!(header(&answer, "x-ratelimit-reset"), "0");
    assert!(header(&answer, "server-timing").contains("limit;dur="));
    let metrics = gateway.metrics().await;
    assert!(metrics.contains(
        r#"llm_gateway_cost_usd_total{model="gpt-4.1",product="tight",provenance="computed",provider="openai"} 0.0028"#
    ));
    assert!(metrics.contains(r#"llm_gateway_top_user_cost_usd{team="1",user="ann"} 0.0028"#), "{metrics}");
}

#[tokio::test]
async fn a_spent_limit_is_a_429_in_every_dialect_and_before_a_stream() {
    let gateway = limited("0.0028").await;
    let first = gateway.post("/tight/v1/chat/completions", &chat("ann")).send().await.unwrap();
    assert_eq!(first.status(), 200);
    let stream = |mut body: Value| {
        body["stream"] = json!(true);
        body
    };
    let messages = json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "metadata": {"user_id": "ann"}, "messages": [{"role": "user", "content": "hi"}]});
    let responses = json!({"model": "gpt-4.1", "user": "ann", "input": "hi"});
    for (path, body) in [
        ("/tight/v1/chat/completions", chat("ann")),
        ("/tight/v1/chat/completions", stream(chat("ann"))),
        ("/tight/v1/responses", responses.clone()),
        ("/tight/v1/responses", stream(responses)),
        ("/tight/v1/messages", messages.clone()),
        ("/tight/v1/messages", stream(messages)),
    ] {
        let answer = gateway.post(path, &body).send().await.unwrap();
        assert_eq!(answer.status(), 429, "{path}");
        assert_eq!(header(&answer, "x-ratelimit-remaining-usd"), "0.00", "{path}");
        let after: u64 = header(&answer, "retry-after").parse().unwrap();
        assert!((1..=3601).contains(&after), "{path}: {after}");
        assert_eq!(header(&answer, "x-should-retry") == "false", after > 60, "{path}: {after}");
        assert_eq!(header(&answer, "x-ratelimit-reset"), after.to_string(), "{path}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["type"], "rate_limit_error", "{path}");
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains("$0.0028 per user in 1h") && message.contains("admitted again in"), "{message}");
    }
    for verb in ["generateContent", "streamGenerateContent?alt=sse"] {
        let path = format!("/tight/v1beta/models/gemini-2.5-pro:{verb}");
        let body = json!({"contents": [{"parts": [{"text": "hi"}]}]});
        let answer = gateway.post(&path, &body).header("x-posthog-distinct-id", "ann").send().await.unwrap();
        assert_eq!(answer.status(), 429, "{path}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["status"], "RESOURCE_EXHAUSTED", "{path}: {body}");
    }
    let other = gateway.post("/tight/v1/chat/completions", &chat("bob")).send().await.unwrap();
    assert_eq!(other.status(), 200);
}

#[tokio::test]
async fn a_call_that_the_provider_refused_costs_nothing() {
    let gateway = limited("0.01").await;
    let error = json!({"error": {"message": "no", "type": "invalid_request_error"}});
    gateway.openai().script().push(Reply::json(400, &error));
    let answer = gateway.post("/tight/v1/chat/completions", &chat("ann")).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    assert_eq!(header(&answer, "x-ratelimit-remaining-usd"), "0.01");
    assert_eq!(header(&answer, "x-llm-gateway-cost-usd"), "0.00");
}

#[tokio::test]
async fn a_caller_that_leaves_a_stream_pays_for_its_input_and_what_it_was_sent() {
    let gateway = limited("1").await;
    let event = json!({"id": "c", "choices": [{"index": 0, "delta": {"content": "four ".repeat(100)}}]}).to_string();
    gateway.openai().script().push(Reply::sse().event(&event).stall());
    let mut body = chat("ann");
    body["stream"] = json!(true);
    let answer = gateway.post("/tight/v1/chat/completions", &body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "x-llm-gateway-cost-usd"), "", "nobody knows yet");
    assert!(header(&answer, "x-ratelimit-remaining-usd").starts_with("0.99"));
    let mut stream = answer.bytes_stream();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    // 4 tokens for a message, 4 for the answer's beginning and 2 for "hi" at 2 dollars a million. At 8, a hundred words of four
    // letters are counted as 108.
    let cost = NanoUsd(10 * 2_000 + 108 * 8_000);
    let line = format!(
        r#"llm_gateway_cost_usd_total{{model="gpt-4.1",product="tight",provenance="estimated_partial",provider="openai"}} {}"#,
        cost.as_usd()
    );
    wait::until("the stream to be settled", || async { gateway.metrics().await.contains(&line).then_some(()) }).await;
}

#[tokio::test]
async fn usage_shows_each_window_of_the_callers_own_team() {
    let gateway = limited("0.01").await;
    gateway.post("/tight/v1/chat/completions", &chat("ann")).send().await.unwrap();
    let usage: Value = gateway.get("/v1/usage/tight?user=ann").send().await.unwrap().json().await.unwrap();
    let window = &usage["windows"][0];
    assert_eq!((&usage["product"], &usage["team"], &usage["user"]), (&json!("tight"), &json!(1), &json!("ann")));
    assert_eq!((&window["per"], &window["window"]), (&json!("user"), &json!("1h")));
    assert_eq!((&window["used_usd"], &window["remaining_usd"]), (&json!(0.0028), &json!(0.0072)));
    assert!(window["resets_in_seconds"].as_u64().unwrap() >= 3600);
    let owner: Value = gateway.get("/v1/usage/tight").send().await.unwrap().json().await.unwrap();
    assert_eq!(owner["windows"][0]["used_usd"], json!(0.0));
    assert_eq!(gateway.get("/v1/usage/nothing").send().await.unwrap().status(), 404);
    assert_eq!(gateway.client().get(gateway.url("/v1/usage/tight")).send().await.unwrap().status(), 401);
}

const CENT: NanoUsd = NanoUsd(10_000_000);
const DOLLAR: NanoUsd = NanoUsd(1_000_000_000);

/// One of several instances, as far as limits go.
#[derive(Clone)]
pub(crate) struct Instance {
    pub(crate) limiter: Limiter,
    product: Product,
    config: Config,
    metrics: Metrics,
}

/// What an instance at this Redis is configured with.
fn config(redis: &str, more: &[(&str, &str)]) -> Config {
    let env = [
        ("LLM_GATEWAY_REDIS_URL", redis),
        ("LLM_GATEWAY__PRODUCTS__LLM_GATEWAY__LIMITS", "[{ per = 'user', usd = 1, window = '1h' }]"),
    ];
    let env = env.iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name));
    let env = env.chain(more).map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    Config::load(env, config::Mode::Tool).unwrap().config
}

impl Instance {
    async fn start(redis: &str) -> Self {
        Self::with(redis, &[]).await
    }

    async fn with(redis: &str, more: &[(&str, &str)]) -> Self {
        Self::at(Clock::system(), redis, more).await
    }

    /// One by this clock.
    pub(crate) async fn at(clock: Clock, redis: &str, more: &[(&str, &str)]) -> Self {
        let config = config(redis, more);
        let product = config.products["llm_gateway"].clone();
        let shared = Arc::new(arc_swap::ArcSwap::from_pointee(config.clone()));
        let counters = Counters::open(&config.redis).unwrap();
        let metrics = Metrics::new().unwrap();
        let limiter = Limiter::start(shared, clock, metrics.clone(), counters);
        limiter.join().await;
        Self { limiter, product, config, metrics }
    }

    fn metrics_page(&self) -> String {
        String::from_utf8(self.metrics.render(&[]).unwrap()).unwrap()
    }

    pub(crate) async fn reserve(&self, user: &str, estimate: NanoUsd) -> Result<Reservation, Fault> {
        let claims = self.limiter.claims(&scope(user), &self.product);
        self.limiter.reserve(scope(user), claims, estimate).await.map_err(|refusal| refusal.fault)
    }

    /// What Redis holds of a user's spending, whoever spent it.
    async fn in_redis(&self, user: &str) -> NanoUsd {
        let counters = Counters::open(&self.config.redis).unwrap().unwrap();
        let claim = self.limiter.claims(&scope(user), &self.product)[0];
        let now = counters.heartbeat().await.unwrap().time;
        let spent = counters.spent(claim.key, claim.key.length().bucket(LedgerTime(now.0))).await.unwrap();
        spent.current + spent.previous
    }
}

fn scope(user: &str) -> Scope {
    Scope {
        product: ProductName::from("llm_gateway"),
        team: Payer::Team(TeamId(1)),
        end_user: EndUser::Named(user.to_owned()),
        credential: "key:1".to_owned(),
    }
}

/// A user that no other test has.
fn somebody() -> String {
    uuid::Uuid::new_v4().to_string()
}

fn shared_redis() -> String {
    std::env::var("TEST_REDIS_URL").expect("TEST_REDIS_URL is not set; run scripts/with-servers cargo test --test it")
}

/// Calls of a cent until the limit is spent; what they cost.
async fn spend(instance: &Instance, user: &str, estimate: NanoUsd) -> NanoUsd {
    let mut spent = NanoUsd::ZERO;
    loop {
        match instance.reserve(user, estimate).await {
            Ok(reservation) => {
                tokio::time::sleep(Duration::from_millis(5)).await;
                reservation.settle(CENT);
                spent += CENT;
            }
            Err(fault) if fault.message.contains("is spent") => return spent,
            Err(_) => {}
        }
    }
}

#[actix_web::rt::main]
async fn together(estimate: NanoUsd) -> NanoUsd {
    let instances = [Instance::start(&shared_redis()).await, Instance::start(&shared_redis()).await];
    let user = somebody();
    let callers = (0..64).map(|number| spend(&instances[number % 2], &user, estimate));
    let total: NanoUsd = join_all(callers).await.into_iter().sum();
    for instance in &instances {
        instance.limiter.flush().await;
    }
    assert_eq!(instances[0].in_redis(&user).await, total);
    total
}

#[test]
fn two_instances_and_64_callers_spend_a_limit_and_no_more() {
    let total = together(NanoUsd(CENT.0 * 101 / 100));
    assert!((total.0 - DOLLAR.0).abs() <= DOLLAR.0 / 50, "{total}");
}

#[test]
fn two_instances_with_estimates_ten_times_too_high_spend_the_whole_limit() {
    let total = together(NanoUsd(CENT.0 * 10));
    assert!(total >= DOLLAR && total.0 <= DOLLAR.0 / 50 * 51, "{total}");
}

#[actix_web::test]
async fn what_was_spent_while_redis_was_out_of_reach_is_told_once_it_is_back() {
    let url = url::Url::parse(&shared_redis()).unwrap();
    let server = url.socket_addrs(|| Some(6379)).unwrap()[0];
    let proxy = Proxy::start(server).await;
    let instance = Instance::start(&format!("redis://{}/", proxy.address())).await;
    let user = somebody();
    let mut total = NanoUsd::ZERO;
    for weather in [Weather::Fair, Weather::Cut, Weather::Fair, Weather::Cut, Weather::Fair] {
        proxy.set(weather);
        for _ in 0..5 {
            instance.reserve(&user, CENT).await.unwrap().settle(CENT);
            total += CENT;
            tokio::task::yield_now().await;
        }
    }
    let direct = Instance::start(&shared_redis()).await;
    wait::until("what was spent to be in Redis", || async { (direct.in_redis(&user).await == total).then_some(()) })
        .await;
    wait::until_true("Redis to be back", || !instance.limiter.is_redis_gone()).await;
}

#[actix_web::test]
async fn another_instance_hears_within_a_moment_that_a_limit_is_spent() {
    let [one, other] = [Instance::start(&shared_redis()).await, Instance::start(&shared_redis()).await];
    let user = somebody();
    one.reserve(&user, CENT).await.unwrap().settle(DOLLAR);
    one.limiter.flush().await;
    let fault = other.reserve(&user, CENT).await.unwrap_err();
    assert!(fault.message.contains("is spent"), "{}", fault.message);
}

#[actix_web::test]
async fn a_counter_that_is_reset_starts_anew_in_every_instance() {
    let [one, other] = [Instance::start(&shared_redis()).await, Instance::start(&shared_redis()).await];
    let user = somebody();
    one.reserve(&user, CENT).await.unwrap().settle(DOLLAR);
    one.limiter.flush().await;
    other.reserve(&user, CENT).await.unwrap_err();
    let counters = Counters::open(&one.config.redis).unwrap().unwrap();
    let claim = one.limiter.claims(&scope(&user), &one.product)[0];
    let raw = ::redis::Client::open(shared_redis()).unwrap();
    let mut raw = raw.get_multiplexed_async_connection().await.unwrap();
    for _ in 0..3 {
        let now = counters.heartbeat().await.unwrap().time;
        counters.reset(claim.key, claim.key.length().bucket(now)).await.unwrap();
        for instance in [&one, &other] {
            wait::until("the reset to be heard of", || async {
                (instance.limiter.usage(&scope(&user).product, &[claim]).await[0].used == NanoUsd::ZERO).then_some(())
            })
            .await;
            instance.reserve(&user, CENT).await.unwrap().settle(NanoUsd::ZERO);
        }
        one.reserve(&user, CENT).await.unwrap().settle(DOLLAR);
        one.limiter.flush().await;
        // As soon as its lease is over.
        wait::until("the limit to be spent", || async { other.reserve(&user, CENT).await.err() }).await;
        // The next reset comes after Redis has forgotten this one.
        let resets = format!("llmgw:{{{}}}:{}:resets", claim.key.whose(), claim.key.length().as_ms());
        let forgotten: i64 = ::redis::cmd("DEL").arg(resets).query_async(&mut raw).await.unwrap();
        assert_eq!(forgotten, 1);
    }
}

#[actix_web::test]
async fn what_is_spent_after_a_reset_by_an_instance_that_had_not_heard_of_it_is_not_lost() {
    let one = Instance::start(&shared_redis()).await;
    let user = somebody();
    one.reserve(&user, CENT).await.unwrap().settle(CENT);
    one.limiter.flush().await;
    let counters = Counters::open(&one.config.redis).unwrap().unwrap();
    let claim = one.limiter.claims(&scope(&user), &one.product)[0];
    let now = counters.heartbeat().await.unwrap().time;
    counters.reset(claim.key, claim.key.length().bucket(now)).await.unwrap();
    let new = Instance::with(&shared_redis(), &[("LLM_GATEWAY__LIMITS__FLUSH_EVERY", "1h")]).await;
    new.reserve(&user, NanoUsd(CENT.0 / 10)).await.unwrap().settle(CENT);
    new.limiter.flush().await;
    assert_eq!(new.in_redis(&user).await, CENT);
}

#[tokio::test]
async fn a_gateway_that_is_stopped_has_told_redis_everything() {
    let user = somebody();
    let limits = r#"limits = [{ per = "user", usd = 1, window = "24h" }]"#;
    let gateway = TestGateway::builder()
        .product("tight", limits)
        .env("LLM_GATEWAY_REDIS_URL", &shared_redis())
        // Only the end tells it.
        .setting("limits.flush_every", "1h")
        .start()
        .await;
    gateway.openai().script().always(chat_answer());
    let body = chat(&user);
    let calls = (0..20).map(|_| async {
        let answer = gateway.post("/tight/v1/chat/completions", &body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.bytes().await.unwrap();
    });
    join_all(calls).await;
    gateway.stop().await;

    let run = |verb: &str| {
        Binary::new(["usage", verb, "--product", "tight", "--team", "1", "--user", &user])
            .env("LLM_GATEWAY_REDIS_URL", shared_redis())
            .env("LLM_GATEWAY__PRODUCTS__TIGHT__LIMITS", "[{ per = 'user', usd = 1, window = '24h' }]")
            .run()
    };
    let shown = run("show");
    // 20 x 0.0028
    assert!(shown.stdout.contains(" 0.056 "), "{shown:?}");
    assert!(run("reset").stderr.contains("1 windows"));
    assert!(run("show").stdout.contains(" 0.00 "));
}

#[test]
fn changed_settings_are_taken_over_by_a_signal_and_bad_ones_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    let write = |usd: &str| {
        std::fs::write(&file, format!("[products.tight]\nlimits = [{{ per = 'user', usd = {usd}, window = '1h' }}]"))
    };
    write("1").unwrap();
    let data = folder.path().join("data");
    let gateway = Binary::new(["dev", "--port", "0", "--data", data.to_str().unwrap()])
        .env("LLM_GATEWAY_CONFIG", file.to_str().unwrap())
        .start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let limit = || async {
            let url = format!("{}/v1/usage/tight", gateway.url());
            let answer = reqwest::Client::new().get(url).bearer_auth(DEVELOPMENT_KEY).send().await.unwrap();
            answer.json::<Value>().await.unwrap()["windows"][0]["limit_usd"].as_f64().unwrap()
        };
        assert_eq!(limit().await, 1.0);
        let prompt = "[[sandbox:pace_ms=20]][[sandbox:words=150]]";
        let body = json!({"model": "gpt-4.1", "stream": true, "messages": [{"role": "user", "content": prompt}]});
        let url = format!("{}/tight/v1/chat/completions", gateway.url());
        let stream = reqwest::Client::new().post(url).bearer_auth(DEVELOPMENT_KEY).json(&body).send().await.unwrap();
        let mut stream = stream.bytes_stream();
        let mut told = stream.next().await.unwrap().unwrap().to_vec();
        write("2").unwrap();
        gateway.signal(rustix::process::Signal::HUP);
        wait::until("the new limit", || async { (limit().await == 2.0).then_some(()) }).await;
        // A stream that was under way goes on to its end.
        let before = told.len();
        while let Some(piece) = stream.next().await {
            told.extend_from_slice(&piece.unwrap());
        }
        assert!(told.len() > before && told.ends_with(b"data: [DONE]\n\n"), "{}", String::from_utf8_lossy(&told));
        // Without a signal, too: the file is looked at every now and then.
        write("-3.14").unwrap();
        wait::until_true("the bad file to be refused", || gateway.stderr().contains("the old ones stay in force"))
            .await;
        assert_eq!(limit().await, 2.0);
        write("4").unwrap();
        wait::until("the limit after that", || async { (limit().await == 4.0).then_some(()) }).await;
    });
}

#[tokio::test]
async fn a_price_of_the_configuration_is_the_price() {
    let gateway = TestGateway::builder().toml("[prices.'gpt-4.1']\ninput = 20\noutput = 80").start().await;
    gateway.openai().script().always(chat_answer());
    let answer = gateway.post("/v1/chat/completions", &chat("ann")).send().await.unwrap();
    assert_eq!(header(&answer, "x-llm-gateway-cost-usd"), "0.028");
}
