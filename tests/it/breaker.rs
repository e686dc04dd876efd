//! Supervisors, lanes and leases against upstreams that come and go. Time is moved by hand.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use actix_rt::Arbiter;
use arc_swap::ArcSwap;
use llm_gateway::actors::lane::{Lanes, Lease, Refused, RefusedReason};
use llm_gateway::actors::provider::{BreakerReport, Providers};
use llm_gateway::actors::report::{ActorReport, ActorState};
use llm_gateway::clock::Clock;
use llm_gateway::config::providers::{Kind, Provider, Upstream};
use llm_gateway::config::{Config, Mode, SharedConfig};
use llm_gateway::dialect::{Delivery, Dialect, Operation};
use llm_gateway::ids::{ModelId, ProviderName, UpstreamName};
use llm_gateway::upstream::breaker::State;
use llm_gateway::upstream::classify::{self, FailureKind, Outcome};
use llm_gateway::upstream::client::{CallError, KEEP_ALIVE, Tls, UpstreamBody, UpstreamRequest};
use secrecy::SecretString;

use crate::support::port::Port;
use crate::support::raw_upstream::RawUpstream;
use crate::support::wait;

/// A gateway without its HTTP end: providers, and one worker's lanes.
struct House {
    config: SharedConfig,
    clock: Clock,
    providers: Providers,
    lanes: Lanes,
    control: Arbiter,
}

impl House {
    fn with(providers: &[(&str, &[(&str, &str)])]) -> Self {
        let mut config = Config::load([], Mode::Dev { port: None }).unwrap().config;
        config.providers =
            providers.iter().map(|(name, upstreams)| (ProviderName::from(*name), provider(upstreams))).collect();
        let config = Arc::new(ArcSwap::from_pointee(config));
        let clock = Clock::manual(SystemTime::now());
        let control = Arbiter::new();
        let providers = Providers::start(Arc::clone(&config), clock.clone(), Tls::web().unwrap(), &control.handle());
        let lanes = providers.start_lanes();
        Self { config, clock, providers, lanes, control }
    }

    fn reconfigure(&self, change: impl FnOnce(&mut Config)) {
        let mut config = Config::clone(&self.config.load());
        change(&mut config);
        self.config.store(Arc::new(config));
        self.providers.reconcile();
    }

    async fn lease(&self, provider: &str, model: &str) -> Result<Lease, Refused> {
        wait::within("a lease", self.lanes.lease(&provider.into(), &ModelId::from(model))).await
    }

    /// One call and its outcome, reported as the exchange would.
    async fn call(&self, provider: &str, model: &str) -> Result<Result<u16, CallError>, Refused> {
        let mut lease = self.lease(provider, model).await?;
        let called = lease.call(request(model)).await;
        let ended = match called {
            Ok((head, body)) => {
                lease.report(classify::answer(head.status, &head.headers, None, SystemTime::now()));
                drain(body).await;
                Ok(head.status)
            }
            Err(error) => {
                lease.report(classify::failure(&error));
                Err(error)
            }
        };
        Ok(ended)
    }

    fn breaker(&self, provider: &str, model: Option<&str>) -> Option<BreakerReport> {
        let is_it = |report: &BreakerReport| {
            report.provider.as_str() == provider && report.model.as_ref().map(ModelId::as_str) == model
        };
        self.providers.breakers().into_iter().find(is_it)
    }

    fn state(&self, provider: &str) -> Option<State> {
        self.breaker(provider, None).map(|report| report.state)
    }

    fn actor(&self, kind: &str, name: &str) -> ActorReport {
        let is_it = |report: &ActorReport| report.kind == kind && report.name == name;
        self.providers.reports().into_iter().find(is_it).unwrap()
    }

    /// Makes so many calls fail to connect that the breaker opens, and waits until it has.
    async fn open(&self, provider: &str) {
        for _ in 0..self.config.load().breaker.connect_failures {
            assert!(matches!(self.call(provider, "m").await, Ok(Err(CallError::Connect(_)))));
        }
        wait::until_equal("the breaker", Some(State::Open), || self.state(provider)).await;
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.control.stop();
    }
}

fn provider(upstreams: &[(&str, &str)]) -> Provider {
    let upstream = |base_url: &str| Upstream {
        base_url: base_url.parse().unwrap(),
        api_key: Some(SecretString::from("sk-ours")),
        include_usage: true,
        responses: true,
    };
    let upstreams = upstreams.iter().map(|(name, base_url)| (UpstreamName::from(*name), upstream(base_url)));
    Provider { kind: Kind::OpenAi, upstreams: upstreams.collect() }
}

fn request(model: &str) -> UpstreamRequest {
    UpstreamRequest {
        dialect: Dialect::OpenAiChat,
        operation: Operation::Generate,
        delivery: Delivery::Events,
        model: model.into(),
        query: String::new(),
        headers: Vec::new(),
        body: "{}".into(),
    }
}

async fn drain(mut body: UpstreamBody) {
    while let Some(Ok(_)) = body.next().await {}
}

fn url(upstream: &RawUpstream) -> String {
    format!("http://{}/v1", upstream.address())
}

async fn healthy() -> RawUpstream {
    answering(200, "").await
}

/// Answers every request with this.
async fn answering(status: u16, headers: &'static str) -> RawUpstream {
    RawUpstream::start(move |_, mut connection| async move {
        while connection.request().await.is_some() {
            connection.answer(status, headers, "{}").await;
        }
    })
    .await
}

/// An address where nobody listens, and the port to begin listening there.
fn nobody() -> (String, Port) {
    let port = Port::free();
    (format!("http://{}/v1", port.address()), port)
}

#[actix_rt::test]
async fn a_call_is_made_over_a_lease_and_counted() {
    let upstream = healthy().await;
    let house = House::with(&[("openai", &[("default", &url(&upstream))])]);
    for _ in 0..3 {
        assert_eq!(house.call("openai", "m").await, Ok(Ok(200)));
    }
    assert_eq!(upstream.connections(), 1, "the lane keeps its connections");
    // Successes are sent on in batches; a failure takes them along at once.
    house.lease("openai", "m").await.unwrap().report(Outcome::Failure(FailureKind::Status));
    wait::until_true("four calls", || house.breaker("openai", None).is_some_and(|seen| seen.calls == 4)).await;
    assert_eq!(house.breaker("openai", None).unwrap().failures, 1);
}

#[actix_rt::test]
async fn a_provider_that_is_gone_is_refused_fast_and_served_again_when_it_is_back() {
    let (gone, port) = nobody();
    let upstream = healthy().await;
    let house = House::with(&[("openai", &[("default", &gone)]), ("other", &[("default", &url(&upstream))])]);
    house.open("openai").await;

    let asked = Instant::now();
    for _ in 0..100 {
        let refused = house.call("openai", "m").await.unwrap_err();
        assert_eq!((refused.reason, refused.retry_after), (RefusedReason::Open, Duration::from_secs(5)));
        assert_eq!(house.call("other", "m").await, Ok(Ok(200)), "the others are untouched");
    }
    assert!(asked.elapsed() / 100 < Duration::from_millis(10), "refusing took {:?} a call", asked.elapsed() / 100);

    // It does not come back: the probe fails, and the wait doubles.
    house.clock.advance(Duration::from_secs(5));
    assert!(matches!(house.call("openai", "m").await, Ok(Err(CallError::Connect(_)))));
    wait::until_true("a longer wait", || house.breaker("openai", None).is_some_and(|seen| seen.opened == 2)).await;
    assert_eq!(house.call("openai", "m").await.unwrap_err().retry_after, Duration::from_secs(10));

    // It comes back.
    let listener = port.listen();
    let serving = actix_rt::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = vec![0; 64 * 1024];
            let _ = stream.read(&mut seen).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}").await;
        }
    });
    house.clock.advance(Duration::from_secs(10));
    assert_eq!(house.call("openai", "m").await, Ok(Ok(200)));
    wait::until_equal("the breaker", Some(State::Closed), || house.state("openai")).await;
    assert_eq!(house.call("openai", "m").await, Ok(Ok(200)));
    serving.abort();
}

#[actix_rt::test]
async fn a_model_that_fails_is_refused_and_its_neighbours_are_not() {
    let upstream = answering(500, "").await;
    let house = House::with(&[("openai", &[("default", &url(&upstream))])]);
    for _ in 0..20 {
        assert_eq!(house.call("openai", "bad").await, Ok(Ok(500)));
    }
    wait::until_true("the model's breaker", || house.breaker("openai", Some("bad")).is_some()).await;
    assert_eq!(house.call("openai", "bad").await.unwrap_err().reason, RefusedReason::Open);
    assert_eq!(house.call("openai", "good").await, Ok(Ok(500)), "it was let through");
}

#[actix_rt::test]
async fn a_429_cools_its_model_down_for_as_long_as_it_says() {
    let upstream = answering(429, "retry-after: 7\r\n").await;
    let house = House::with(&[("openai", &[("default", &url(&upstream))])]);
    assert_eq!(house.call("openai", "busy").await, Ok(Ok(429)));
    wait::until_true("the cool-down", || house.breaker("openai", Some("busy")).is_some()).await;
    let refused = house.call("openai", "busy").await.unwrap_err();
    assert_eq!((refused.reason, refused.retry_after), (RefusedReason::CoolingDown, Duration::from_secs(7)));
    house.clock.advance(Duration::from_secs(7));
    assert_eq!(house.call("openai", "busy").await, Ok(Ok(429)));
}

#[actix_rt::test]
async fn the_second_upstream_serves_while_the_firsts_breaker_is_open() {
    let (gone, _port) = nobody();
    let second = healthy().await;
    let house = House::with(&[("openai", &[("first", &gone), ("second", &url(&second))])]);
    assert_eq!(house.lease("openai", "m").await.unwrap().upstream().as_str(), "first");
    house.open("openai").await;
    assert_eq!(house.lease("openai", "m").await.unwrap().upstream().as_str(), "second");
    assert_eq!(house.call("openai", "m").await, Ok(Ok(200)));
    // Both open: the one that may be asked sooner says when.
    house.clock.advance(Duration::from_secs(2));
    for _ in 0..5 {
        house.lease("openai", "m").await.unwrap().report(Outcome::Failure(FailureKind::Connect));
    }
    wait::until_equal("both breakers", 2, || {
        house.providers.breakers().iter().filter(|report| report.state == State::Open).count()
    })
    .await;
    assert_eq!(house.lease("openai", "m").await.err().unwrap().retry_after, Duration::from_secs(3));
}

#[actix_rt::test]
async fn a_probe_that_nobody_waits_for_frees_its_place() {
    let (gone, _port) = nobody();
    let house = House::with(&[("openai", &[("default", &gone)])]);
    house.open("openai").await;
    house.clock.advance(Duration::from_secs(5));
    let probe = house.lease("openai", "m").await.unwrap();
    assert_eq!(house.lease("openai", "m").await.err().unwrap().reason, RefusedReason::Open);
    drop(probe);
    assert!(house.lease("openai", "m").await.is_ok());
}

#[actix_rt::test]
async fn a_probe_that_is_a_long_stream_lets_others_through_once_it_has_begun() {
    let upstream = RawUpstream::start(|_, mut connection| async move {
        connection.request().await;
        connection.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n").await;
        connection.closed().await;
    })
    .await;
    let house = House::with(&[("openai", &[("default", &url(&upstream))])]);
    for _ in 0..5 {
        house.lease("openai", "m").await.unwrap().report(Outcome::Failure(FailureKind::Connect));
    }
    wait::until_equal("the breaker", Some(State::Open), || house.state("openai")).await;
    house.clock.advance(Duration::from_secs(5));
    let mut probe = house.lease("openai", "m").await.unwrap();
    let (_, _body) = probe.call(request("m")).await.unwrap();
    wait::until_equal("the breaker", Some(State::Closed), || house.state("openai")).await;
    assert!(house.lease("openai", "m").await.is_ok());
}

#[actix_rt::test]
async fn a_lane_that_panics_is_restarted_and_its_callers_get_their_leases() {
    let upstream = healthy().await;
    let house = House::with(&[("openai", &[("default", &url(&upstream))])]);
    assert_eq!(house.call("openai", "m").await, Ok(Ok(200)));
    let provider = ProviderName::from("openai");
    // The panic is in the mailbox first, and these behind it.
    house.lanes.break_lane(&provider);
    let (one, two) = futures_util::future::join(house.call("openai", "m"), house.call("openai", "m")).await;
    assert_eq!((one, two), (Ok(Ok(200)), Ok(Ok(200))));
    let lane = house.actor("lane", "openai/0");
    assert_eq!((lane.state, lane.restarts, lane.mailbox_depth), (ActorState::Running, 1, 0));
    assert_eq!(lane.last_error.as_deref(), Some("a test broke this lane"));
}

#[actix_rt::test]
async fn while_a_lane_rests_its_callers_are_refused_at_once() {
    let upstream = healthy().await;
    let house = House::with(&[("openai", &[("default", &url(&upstream))])]);
    assert_eq!(house.call("openai", "m").await, Ok(Ok(200)));
    for panics in 1..=9 {
        house.lanes.break_lane(&ProviderName::from("openai"));
        wait::until_true("a panic", || {
            let lane = house.actor("lane", "openai/0");
            lane.restarts == panics || lane.state == ActorState::Restarting
        })
        .await;
        if house.actor("lane", "openai/0").state == ActorState::Restarting {
            assert_eq!(house.lease("openai", "m").await.err().map(|refused| refused.reason), Some(RefusedReason::Gone));
            wait::until_true("its restart", || house.actor("lane", "openai/0").state == ActorState::Running).await;
            assert_eq!(house.call("openai", "m").await, Ok(Ok(200)));
            return;
        }
    }
    panic!("nine panics in a row did not slow its restarts down");
}

#[actix_rt::test]
async fn a_supervisor_that_panics_forgets_no_open_breaker_and_holds_up_no_call() {
    let (gone, _port) = nobody();
    let upstream = healthy().await;
    let house = House::with(&[("openai", &[("default", &gone)]), ("other", &[("default", &url(&upstream))])]);
    house.open("openai").await;
    for name in ["openai", "other"] {
        house.providers.break_supervisor(&ProviderName::from(name));
        wait::until_true("its restart", || house.actor("provider", name).restarts == 1).await;
    }
    assert_eq!(house.call("other", "m").await, Ok(Ok(200)));
    assert_eq!(house.call("openai", "m").await.unwrap_err().reason, RefusedReason::Open);
    // The one that took over goes on with the same breaker.
    house.clock.advance(Duration::from_secs(5));
    assert!(matches!(house.call("openai", "m").await, Ok(Err(CallError::Connect(_)))));
    wait::until_equal("the breaker", Some(State::Open), || house.state("openai")).await;
    assert_eq!(house.call("openai", "m").await.unwrap_err().retry_after, Duration::from_secs(10));
}

#[actix_rt::test]
async fn a_changed_configuration_is_used_by_the_next_lease() {
    let keys = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&keys);
    let upstream = RawUpstream::start(move |_, mut connection| {
        let keys = Rc::clone(&keys);
        async move {
            while let Some(request) = connection.request().await {
                keys.borrow_mut().push(request.header("authorization").unwrap().to_owned());
                connection.answer(200, "", "{}").await;
            }
        }
    })
    .await;
    let house = House::with(&[("openai", &[("default", &url(&upstream))])]);
    assert_eq!(house.call("openai", "m").await, Ok(Ok(200)));
    assert_eq!(house.lease("new", "m").await.err().unwrap().reason, RefusedReason::Unknown);

    house.reconfigure(|config| {
        let mut new = provider(&[("default", &url(&upstream))]);
        new.upstreams[0].api_key = Some(SecretString::from("sk-new"));
        config.providers.insert("openai".into(), new.clone());
        config.providers.insert("new".into(), new);
    });
    assert_eq!(house.call("openai", "m").await, Ok(Ok(200)));
    assert_eq!(upstream.connections(), 1, "the place is the same: its connections are kept");
    assert_eq!(house.call("new", "m").await, Ok(Ok(200)));
    assert_eq!(*seen.borrow(), ["Bearer sk-ours", "Bearer sk-new", "Bearer sk-new"]);

    house.reconfigure(|config| {
        config.providers.remove("new");
        config.providers.get_mut("openai").unwrap().upstreams[0].api_key = None;
    });
    for name in ["openai", "new"] {
        assert_eq!(house.lease(name, "m").await.err().unwrap().reason, RefusedReason::Unknown);
    }
    assert!(!house.providers.reports().iter().any(|report| report.kind == "provider" && report.name == "new"));

    house.reconfigure(|config| {
        config.providers.insert("new".into(), provider(&[("default", &url(&upstream))]));
    });
    assert_eq!(house.call("new", "m").await, Ok(Ok(200)));
}

#[actix_rt::test]
async fn idle_connections_are_closed_without_another_call() {
    let closed = Rc::new(Cell::new(0));
    let counted = Rc::clone(&closed);
    let upstream = RawUpstream::start(move |_, mut connection| {
        let closed = Rc::clone(&counted);
        async move {
            connection.request().await;
            connection.answer(200, "", "{}").await;
            connection.closed().await;
            closed.set(closed.get() + 1);
        }
    })
    .await;
    let house = House::with(&[("openai", &[("default", &url(&upstream))])]);
    let calls = futures_util::future::join_all((0..10).map(|_| house.call("openai", "m"))).await;
    assert!(calls.iter().all(|call| *call == Ok(Ok(200))));
    let opened = upstream.connections();
    assert!(opened > 1 && closed.get() == 0);
    house.clock.advance(KEEP_ALIVE);
    wait::until_equal("closed connections", opened, || closed.get()).await;
}

#[actix_rt::test]
async fn every_actor_answers_pings() {
    let upstream = healthy().await;
    let house = House::with(&[("openai", &[("default", &url(&upstream))])]);
    house.call("openai", "m").await.unwrap().unwrap();
    wait::until_true("pongs", || {
        let reports = house.providers.reports();
        reports.len() == 2 && reports.iter().all(|report| report.last_pong_ms.is_some())
    })
    .await;
}
