//! What operators read: probes, actors, metrics, request ids, and logs that keep callers' secrets.

use llm_gateway::sandbox::Reply;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::binary::Binary;
use crate::support::endpoints::Endpoint;
use crate::support::gateway::TestGateway;
use crate::support::keys::{NewUser, SCOPE};
use crate::support::postgres::TestDatabase;
use crate::support::proxy::{Proxy, Weather};
use crate::support::wait;

const PROBES: [&str; 3] = ["/", "/_liveness", "/_readiness"];

#[actix_rt::test]
async fn probes_answer_get_and_head_on_both_listeners_without_a_token() {
    let database = TestDatabase::create();
    let gateway = TestGateway::builder().database(&database).start().await;
    wait::until_true("the gateway to be ready", || gateway.state().gateway.auth.is_ready()).await;
    for path in PROBES {
        for url in [gateway.url(path), gateway.operators_url(path)] {
            let got = gateway.client().get(&url).send().await.unwrap();
            assert_eq!(got.status(), 200, "{url}");
            let length = got.headers()["content-length"].clone();
            assert!(got.json::<Value>().await.unwrap()["status"].is_string());
            let head = gateway.client().head(&url).send().await.unwrap();
            assert_eq!(head.status(), 200, "{url}");
            assert_eq!(head.headers()["content-length"], length);
            assert_eq!(head.text().await.unwrap(), "");
        }
    }
}

#[actix_rt::test]
async fn readiness_says_no_until_the_database_was_reached_and_liveness_does_not_care() {
    let database = TestDatabase::create();
    let proxy = Proxy::start(database.address()).await;
    proxy.set(Weather::Cut);
    let gateway = TestGateway::builder().database_url(&database.url_through(proxy.address())).start().await;
    let status = async |path: &str| gateway.client().get(gateway.url(path)).send().await.unwrap().status().as_u16();
    assert_eq!((status("/_readiness").await, status("/_liveness").await, status("/").await), (503, 200, 200));
    let head = gateway.client().head(gateway.url("/_readiness")).send().await.unwrap();
    assert_eq!(head.status(), 503);
    let said: Value = gateway.operators_json("/_readiness").await;
    assert_eq!(said["waiting_for"], "the database");
    proxy.set(Weather::Fair);
    wait::until("the gateway to be ready", || async { (status("/_readiness").await == 200).then_some(()) }).await;
}

#[actix_rt::test]
async fn operators_pages_are_on_their_own_listener_only() {
    let database = TestDatabase::create();
    let key = NewUser::default().create(&database).await.api_key(&database, &[SCOPE]).await;
    let gateway = TestGateway::builder().database(&database).key(&key).start().await;
    for path in ["/metrics", "/health/actors", "/health", "/metrics/", "//metrics", "/x/../metrics", "/%6detrics"] {
        let response = gateway.get(path).send().await.unwrap();
        assert_eq!(response.status(), 404, "{path} is there for callers");
        assert!(!response.text().await.unwrap().contains("llm_gateway_requests_total"));
    }
    for path in ["/metrics", "/health/actors"] {
        assert_eq!(gateway.client().get(gateway.operators_url(path)).send().await.unwrap().status(), 200);
    }
    // And the other way round: no call can be made where operators are.
    for endpoint in Endpoint::ALL {
        let request = gateway.client().post(gateway.operators_url(endpoint.path())).bearer_auth(&key);
        let response = request.json(&endpoint.body()).send().await.unwrap();
        assert_eq!(response.status(), 404);
        assert!(response.headers().contains_key("x-request-id"));
    }
}

#[actix_rt::test]
async fn health_shows_every_actor_with_what_it_degrades() {
    let gateway = TestGateway::start().await;
    // A worker's lane for a provider is there from its first call on.
    assert_eq!(Endpoint::Chat.call(&gateway).await.status(), 200);
    let health = gateway.operators_json("/health/actors").await;
    let actors = health["actors"].as_array().unwrap();
    let kinds: Vec<&str> = actors.iter().map(|actor| actor["kind"].as_str().unwrap()).collect();
    for kind in ["auth", "provider", "lane"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    for actor in actors {
        for field in ["name", "state", "degrades"] {
            assert!(actor[field].as_str().is_some_and(|text| !text.is_empty()), "{field} of {actor}");
        }
        assert_eq!((&actor["restarts"], &actor["state"]), (&json!(0), &json!("running")), "{actor}");
        assert!(actor["mailbox_depth"].is_u64() && actor.get("last_error").is_some(), "{actor}");
    }
    let breakers: Vec<&str> =
        health["breakers"].as_array().unwrap().iter().map(|it| it["provider"].as_str().unwrap()).collect();
    assert!(breakers.contains(&"openai"), "{breakers:?}");
}

#[actix_rt::test]
async fn a_caller_cannot_make_a_metrics_label() {
    let gateway = TestGateway::start().await;
    let series = async || {
        let text = gateway.metrics().await;
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(name, _)| name.to_owned())
            .collect::<std::collections::BTreeSet<_>>()
    };
    let round = async |name: &str| {
        let busy = Reply::status(429).header("retry-after", "60").body(Endpoint::Chat.providers_error(429));
        gateway.openai().script().push(busy);
        for path in
            [format!("/{name}/v1/messages"), format!("/{name}"), format!("/v1/{name}"), format!("/v1/models/{name}")]
        {
            drop(gateway.get(&path).send().await.unwrap());
            drop(gateway.post(&path, &json!({})).send().await.unwrap());
        }
        for model in [format!("gpt-{name}"), name.to_owned()] {
            let body = json!({"model": model, "user": name, "messages": [{"role": "user", "content": name}]});
            let request =
                gateway.post("/v1/chat/completions", &body).header("x-request-id", name).header("user-agent", name);
            drop(request.send().await.unwrap());
        }
        drop(gateway.client().get(gateway.url("/v1/models")).bearer_auth(format!("phx_{name}")).send().await.unwrap());
        drop(gateway.request(Method::from_bytes(name.as_bytes()).unwrap(), "/v1/messages").send().await.unwrap());
    };
    round("first").await;
    let before = series().await;
    for number in 0..20 {
        round(&format!("another{number}")).await;
    }
    let new: Vec<String> = series().await.difference(&before).cloned().collect();
    assert!(new.is_empty(), "callers made {new:?}");
}

#[actix_rt::test]
async fn a_sane_request_id_is_taken_over_and_another_is_replaced() {
    let gateway = TestGateway::start().await;
    let longest = "a".repeat(128);
    let ask = async |endpoint: Endpoint, id: &[u8]| {
        let request = gateway.post(endpoint.path(), &endpoint.body()).header("x-request-id", id);
        request.send().await.unwrap().headers()["x-request-id"].to_str().unwrap().to_owned()
    };
    for endpoint in Endpoint::ALL {
        for sane in ["7", "req_0123456789", "0193-a/b+c=d:e", longest.as_str()] {
            assert_eq!(ask(endpoint, sane.as_bytes()).await, sane);
        }
        for insane in [b"".as_slice(), b"two words", b"a\"b", b"back\\slash", b"\xc3\xa4", &[b'a'; 129], &[b'a'; 8000]]
        {
            let given = ask(endpoint, insane).await;
            assert_eq!(given.len(), 36, "{given}");
            assert_ne!(given.as_bytes(), insane);
        }
        assert_ne!(ask(endpoint, b"").await, ask(endpoint, b"").await);
    }
}

#[actix_rt::test]
async fn every_answer_has_the_request_id() {
    let gateway = TestGateway::start().await;
    let check = async |request: reqwest::RequestBuilder, status: u16| {
        let response = request.header("x-request-id", "req_mine").send().await.unwrap();
        assert_eq!(response.status(), status, "{}", response.url());
        let ids: Vec<_> = response.headers().get_all("x-request-id").iter().collect();
        assert_eq!(ids, ["req_mine"], "{} {status}", response.url());
    };
    for path in PROBES {
        check(gateway.get(path), 200).await;
        check(gateway.post(path, &json!({})), 405).await;
    }
    for path in ["/metrics", "/health/actors"] {
        check(gateway.get(path), 200).await;
        check(gateway.post(path, &json!({})), 405).await;
    }
    check(gateway.get("/v1/models"), 200).await;
    check(gateway.get("/v1/models/gpt-4.1-mini"), 200).await;
    check(gateway.get("/v1/models/nothing"), 404).await;
    check(gateway.get("/nothing"), 404).await;
    check(gateway.post("/nobody/v1/messages", &json!({})), 404).await;
    for endpoint in Endpoint::ALL {
        check(gateway.post(endpoint.path(), &endpoint.body()), 200).await;
        check(gateway.post(endpoint.stream_path(), &endpoint.stream_body()), 200).await;
        check(gateway.post(endpoint.path(), &json!([])), 400).await;
        check(gateway.get(endpoint.path()), 405).await;
        check(gateway.client().post(gateway.url(endpoint.path())).json(&endpoint.body()), 401).await;
        for (provider, caller) in [(400, 400), (401, 502), (302, 502), (429, 429)] {
            let reply =
                Reply::status(provider).header("x-request-id", "req_theirs").body(endpoint.providers_error(provider));
            endpoint.sandbox(&gateway).script().push(reply);
            check(gateway.post(endpoint.path(), &endpoint.body()), caller).await;
        }
    }
}

#[actix_rt::test]
async fn models_errors_are_in_the_words_of_the_sdk_that_asks() {
    let gateway = TestGateway::start().await;
    let get = |path: &str| gateway.get(path);
    for (endpoint, request) in [
        (Endpoint::Chat, get("/v1/models/nothing")),
        (Endpoint::Messages, get("/v1/models/nothing").header("anthropic-version", "2023-06-01")),
        (Endpoint::Google, get("/v1beta/models/nothing")),
    ] {
        let refusal = endpoint.refusal(request.send().await.unwrap()).await;
        assert_eq!(refusal.what(), (404, "not_found"), "{endpoint:?}");
        assert_eq!(refusal.param.as_deref(), Some("model"));
    }
}

/// All that a caller says is unlike anything that the gateway says itself, so that it can be looked for.
#[actix_rt::test]
async fn no_token_prompt_or_body_is_ever_logged() {
    let files = TempDir::new().unwrap();
    let good = llm_gateway::auth::token::DEVELOPMENT_KEY;
    for level in ["debug", "trace"] {
        let gateway = Binary::new(["dev", "--port", "0", "--data", files.path().to_str().unwrap()])
            .env("LLM_GATEWAY__TELEMETRY__LOG", level)
            .env("LLM_GATEWAY__TELEMETRY__FORMAT", "json")
            .start();
        let (url, client) = (gateway.url(), reqwest::Client::new());
        for endpoint in Endpoint::ALL {
            for stream in [false, true] {
                let (path, body) = if stream {
                    (endpoint.stream_path(), endpoint.stream_body())
                } else {
                    (endpoint.path(), endpoint.body())
                };
                let mut texts = vec![body.to_string().replace("Hello", "xyzzy-prompt")];
                // Refused here, refused there, cut.
                texts.push(format!("[\"xyzzy-broken\" {body}"));
                texts.push(json!({"model": "xyzzy-model", endpoint.content(): "xyzzy-prompt"}).to_string());
                for magic in ["error=400", "error=401", "error=500", "cut=2"] {
                    texts.push(body.to_string().replace("Hello", &format!("xyzzy-prompt [[sandbox:{magic}]]")));
                }
                for text in texts {
                    for token in [good, "phx_xyzzy-token", "sk-xyzzy-token"] {
                        let request =
                            client.post(format!("{url}{path}")).bearer_auth(token).header("x-secret", "xyzzy-header");
                        let request =
                            request.header("content-type", "application/json").header("cookie", "xyzzy-cookie");
                        let answer = request.body(text.clone()).send().await.unwrap().text().await;
                        drop(answer);
                    }
                }
            }
        }
        for query in [format!("key={good}"), "key=phx_xyzzy-token".to_owned()] {
            let path = Endpoint::Google.path();
            drop(client.post(format!("{url}{path}?{query}")).json(&Endpoint::Google.body()).send().await.unwrap());
        }
        gateway.terminate();
        let ended = gateway.wait();
        assert!(ended.stderr.contains("\"request.id\""), "nothing was logged: {}", ended.stderr);
        // The curl line that `dev` prints is no log.
        let log: Vec<&str> = ended.stderr.lines().filter(|line| line.starts_with('{')).collect();
        assert!(log.len() > 50, "{} lines at {level}", log.len());
        for secret in [
            "xyzzy-prompt",
            "xyzzy-token",
            "xyzzy-broken",
            "xyzzy-header",
            "xyzzy-cookie",
            good,
            "sk-sandbox",
            "simulated answer",
        ] {
            let leak = log.iter().find(|line| line.contains(secret));
            assert!(leak.is_none(), "{secret} is logged at {level}: {}", leak.unwrap());
        }
    }
}

#[actix_rt::test]
async fn what_is_no_call_is_counted_too() {
    let gateway = TestGateway::start().await;
    for (path, status) in
        [("/v1/models", 200), ("/v1/models/gpt-4.1-mini", 200), ("/v1/models/nothing", 404), ("/nothing", 404)]
    {
        assert_eq!(gateway.get(path).send().await.unwrap().status(), status, "{path}");
    }
    let text = gateway.metrics().await;
    for line in [
        r#"{endpoint="models",product="llm_gateway",provider="none",status="200"} 2"#,
        r#"{endpoint="models",product="llm_gateway",provider="none",status="404"} 1"#,
        r#"{endpoint="unknown",product="unknown",provider="none",status="404"} 1"#,
    ] {
        assert!(text.contains(&format!("llm_gateway_requests_total{line}")), "{line}: {text}");
    }
}
