//! Requests that are wrong, in every way that callers get them wrong, on every endpoint, in that endpoint's own words.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use reqwest::Method;
use reqwest::header::{ALLOW, CONTENT_TYPE};
use serde_json::{Value, json};

use crate::support::binary::Binary;
use crate::support::endpoints::{Endpoint, Refusal};
use crate::support::gateway::TestGateway;
use crate::support::keys::{NewOAuthToken, NewUser, SCOPE};
use crate::support::postgres::TestDatabase;
use crate::support::raw_client::RawClient;
use crate::support::wait;

const MIB: usize = 1024 * 1024;

/// The default limit is 32 MiB.
const TOO_LARGE: usize = 33 * MIB;

/// As short as a busy machine allows for "at once".
const AT_ONCE: Duration = Duration::from_secs(5);

/// Posts bytes as JSON, whatever they are.
async fn post(gateway: &TestGateway, endpoint: Endpoint, body: impl Into<reqwest::Body>) -> Refusal {
    let request = gateway.request(Method::POST, endpoint.path()).header(CONTENT_TYPE, "application/json");
    endpoint.refusal(request.body(body).send().await.unwrap()).await
}

/// Nothing of all that went wrong has reached a provider.
fn nothing_went_up(gateway: &TestGateway) {
    for sandbox in [gateway.openai(), gateway.anthropic(), gateway.gemini()] {
        assert_eq!(sandbox.connections(), 0, "{:?} was called", sandbox.kind());
    }
}

fn lookups(gateway: &TestGateway) -> u64 {
    gateway.state().gateway.auth.counts().into_iter().find(|(name, _)| *name == "lookup").unwrap().1
}

#[actix_rt::test]
async fn a_body_that_is_no_json_object_is_400() {
    let gateway = TestGateway::start().await;
    for endpoint in Endpoint::ALL {
        for body in ["", "  \n", "{", "{\"model\":", "[{}]", "\"text\"", "null", "5", "{} {}", "not json", "{\"a\":1,}"]
        {
            let refusal = post(&gateway, endpoint, body).await;
            assert_eq!(refusal.what(), (400, "invalid_json"), "{endpoint:?} {body:?}");
        }
        let refusal = post(&gateway, endpoint, &b"{\"model\": \"\xff\"}"[..]).await;
        assert_eq!(refusal.what(), (400, "invalid_json"));
        assert!(refusal.message.contains("UTF-8"), "{}", refusal.message);
    }
    nothing_went_up(&gateway);
}

#[actix_rt::test]
async fn no_body_at_all_is_400() {
    let gateway = TestGateway::start().await;
    for endpoint in Endpoint::ALL {
        let mut client = gateway.raw().await;
        client
            .send(format!("POST {} HTTP/1.1\r\nhost: g\r\nx-api-key: {}\r\n\r\n", endpoint.path(), gateway.key()))
            .await;
        client.hear("\r\n\r\n").await;
        client.finish_sending().await;
        let refusal = endpoint.refusal_from(&client.hear_all().await);
        assert_eq!(refusal.what(), (400, "invalid_json"));
        assert!(refusal.message.contains("no body"), "{}", refusal.message);
    }
    nothing_went_up(&gateway);
}

#[actix_rt::test]
async fn a_field_that_is_missing_is_named() {
    let gateway = TestGateway::start().await;
    for endpoint in Endpoint::ALL {
        let fields: &[&str] = if endpoint == Endpoint::Google { &["contents"] } else { &["model", endpoint.content()] };
        for field in fields {
            let mut body = endpoint.body();
            body[field] = Value::Null;
            let null = post(&gateway, endpoint, body.to_string()).await;
            body.as_object_mut().unwrap().remove(*field);
            let absent = post(&gateway, endpoint, body.to_string()).await;
            for refusal in [null, absent] {
                assert_eq!(refusal.what(), (400, "missing_required_parameter"), "{endpoint:?} {field}");
                assert_eq!(refusal.param.as_deref(), Some(*field), "{endpoint:?}");
                assert!(refusal.message.contains(field), "{}", refusal.message);
            }
        }
    }
    nothing_went_up(&gateway);
}

#[actix_rt::test]
async fn a_field_of_the_wrong_type_is_named() {
    let gateway = TestGateway::start().await;
    for endpoint in Endpoint::ALL {
        let mut wrong = vec![(endpoint.content(), json!(5)), (endpoint.content(), json!(true))];
        if endpoint != Endpoint::Google {
            wrong.extend([json!(5), json!([]), json!({"id": "gpt-4.1-mini"}), json!("")].map(|value| ("model", value)));
            wrong.push(("stream", json!("yes")));
        }
        for (field, value) in wrong {
            let mut body = endpoint.body();
            body[field] = value.clone();
            let refusal = post(&gateway, endpoint, body.to_string()).await;
            assert_eq!(refusal.what(), (400, "invalid_value"), "{endpoint:?} {field}: {value}");
            assert_eq!(refusal.param.as_deref(), Some(field), "{endpoint:?} {value}");
        }
    }
    nothing_went_up(&gateway);
}

#[actix_rt::test]
async fn an_unknown_model_is_400_with_the_nearest_names() {
    let gateway = TestGateway::start().await;
    for (endpoint, model, nearest) in [
        (Endpoint::Chat, "gtp-4.1-mini", "\"gpt-4.1-mini\""),
        (Endpoint::Responses, "pgt-4.1-mini", "\"gpt-4.1-mini\""),
        (Endpoint::Messages, "cluade-sonnet-4-5", "\"claude-sonnet-4-5\""),
        (Endpoint::Google, "gemni-2.5-flash", "\"gemini-2.5-flash\""),
    ] {
        let mut body = endpoint.body();
        let path = if endpoint == Endpoint::Google {
            endpoint.path().replace("gemini-2.5-flash", model)
        } else {
            body["model"] = model.into();
            endpoint.path().to_owned()
        };
        let refusal = endpoint.refusal(gateway.post(&path, &body).send().await.unwrap()).await;
        assert_eq!(refusal.what(), (400, "model_not_found"), "{endpoint:?}");
        assert_eq!(refusal.param.as_deref(), Some("model"));
        assert!(refusal.message.contains(nearest), "{}", refusal.message);
    }
    nothing_went_up(&gateway);
}

#[actix_rt::test]
async fn a_model_that_would_lead_out_of_its_place_in_a_path_is_unknown() {
    let gateway = TestGateway::start().await;
    for model in
        ["..%2F..%2Fv1%2Ffiles", "gemini-2.5-flash%3Fkey=x", "gemini-2.5-flash%00", "gemini%0d%0aX:y", "gemini-%20"]
    {
        let path = format!("/v1beta/models/{model}:generateContent");
        let refusal =
            Endpoint::Google.refusal(gateway.post(&path, &Endpoint::Google.body()).send().await.unwrap()).await;
        assert_eq!(refusal.what(), (400, "model_not_found"), "{model}");
    }
    nothing_went_up(&gateway);
}

#[actix_rt::test]
async fn json_as_deep_as_it_likes_breaks_nothing() {
    let gateway = TestGateway::start().await;
    let depth = 200_000;
    for endpoint in Endpoint::ALL {
        let open = "[".repeat(depth);
        let refusal = post(&gateway, endpoint, format!("{{\"{}\":{open}", endpoint.content())).await;
        assert_eq!(refusal.what(), (400, "invalid_json"), "{endpoint:?}");
        let refusal = post(&gateway, endpoint, format!("{{\"x\":{open}{}}}", "]".repeat(depth))).await;
        assert_eq!(refusal.what(), (400, "missing_required_parameter"), "{endpoint:?}");
    }
    nothing_went_up(&gateway);
}

#[actix_rt::test]
async fn a_body_that_says_it_is_too_large_is_413_before_it_is_sent() {
    let gateway = TestGateway::start().await;
    for endpoint in Endpoint::ALL {
        let mut client = gateway.raw().await;
        let begun = Instant::now();
        client
            .send(format!(
                "POST {} HTTP/1.1\r\nhost: g\r\nx-api-key: {}\r\ncontent-type: application/json\r\ncontent-length: {TOO_LARGE}\r\n\r\n",
                endpoint.path(),
                gateway.key()
            ))
            .await;
        let heard = client.hear("}").await;
        assert!(begun.elapsed() < AT_ONCE, "{endpoint:?}: the answer waited for a body that did not come");
        assert!(heard.starts_with("HTTP/1.1 413 "), "{heard}");
        assert!(heard.contains("connection: close\r\n"), "{heard}");
    }
    nothing_went_up(&gateway);
}

#[actix_rt::test]
async fn a_body_that_is_too_large_is_413_declared_or_chunked() {
    let gateway = TestGateway::start().await;
    for endpoint in Endpoint::ALL {
        let declared = post(&gateway, endpoint, vec![b' '; TOO_LARGE]).await;
        let pieces = futures_util::stream::iter((0..33).map(|_| Ok::<_, std::io::Error>(vec![b' '; MIB])));
        let chunked = post(&gateway, endpoint, reqwest::Body::wrap_stream(pieces)).await;
        for refusal in [declared, chunked] {
            assert_eq!(refusal.what(), (413, "request_too_large"), "{endpoint:?}");
            assert!(refusal.message.contains("server.body_limit"), "{}", refusal.message);
            let kind = match endpoint {
                Endpoint::Chat | Endpoint::Responses => "invalid_request_error",
                Endpoint::Messages => "request_too_large",
                Endpoint::Google => "INVALID_ARGUMENT",
            };
            assert_eq!(refusal.kind, kind);
        }
    }
    nothing_went_up(&gateway);
}

#[actix_rt::test]
async fn a_body_at_the_limit_is_served_and_one_byte_more_is_not() {
    let gateway = TestGateway::builder().setting("server.body_limit", "1000").start().await;
    let mut body = Endpoint::Chat.body().to_string();
    write!(body, "{}", " ".repeat(1000 - body.len())).unwrap();
    let request = |body: String| {
        gateway.request(Method::POST, "/v1/chat/completions").header(CONTENT_TYPE, "application/json").body(body)
    };
    assert_eq!(request(body.clone()).send().await.unwrap().status(), 200);
    assert_eq!(request(body + " ").send().await.unwrap().status(), 413);
}

/// The binary, so that no other test's memory is counted.
#[actix_rt::test]
async fn memory_does_not_grow_by_a_body_that_is_refused() {
    let files = tempfile::TempDir::new().unwrap();
    let gateway = Binary::new(["dev", "--port", "0", "--data", files.path().to_str().unwrap()])
        .env("LLM_GATEWAY__SERVER__BODY_LIMIT", MIB.to_string())
        .start();
    let client = reqwest::Client::new();
    let url = format!("{}/v1/chat/completions", gateway.url());
    let send = async |token: &str, body: reqwest::Body| {
        let request = client.post(&url).bearer_auth(token).header(CONTENT_TYPE, "application/json");
        // Where the gateway closes the connection first, the answer may be lost: it is not what is asked here.
        drop(request.body(body).send().await);
    };
    let known = llm_gateway::auth::token::DEVELOPMENT_KEY;
    // Eight at a time, of which each could hold 33 MiB.
    let round = async |token: &str| {
        let pieces = || futures_util::stream::iter((0..33).map(|_| Ok::<_, std::io::Error>(vec![b' '; MIB])));
        let all = (0..4).flat_map(|_| [reqwest::Body::wrap_stream(pieces()), vec![b' '; TOO_LARGE].into()]);
        futures_util::future::join_all(all.map(|body| send(token, body))).await;
    };
    let at_first = gateway.peak_memory();
    for token in [known, "nobody"] {
        round(token).await;
    }
    // The allocator keeps what was in use for a while.
    let before = gateway.peak_memory();
    let kept = before.saturating_sub(at_first);
    assert!(kept < 96 * MIB, "bodies that together hold 528 MiB took {} KiB", kept / 1024);
    for _ in 0..6 {
        for token in [known, "nobody"] {
            round(token).await;
        }
    }
    let grown = gateway.peak_memory().saturating_sub(before);
    // A MiB of each would be 96.
    assert!(grown < 48 * MIB, "96 bodies more made it grow by {} KiB, and by {} before", grown / 1024, kept / 1024);
}

#[actix_rt::test]
async fn a_body_that_is_declared_as_something_else_than_json_is_415() {
    let gateway = TestGateway::start().await;
    for endpoint in Endpoint::ALL {
        let send = async |name: &str, value: &str| {
            let request = gateway.request(Method::POST, endpoint.path()).header(name, value);
            let request =
                if name == "content-type" { request } else { request.header(CONTENT_TYPE, "application/json") };
            request.body(endpoint.body().to_string()).send().await.unwrap()
        };
        for (name, value) in [
            ("content-type", "text/plain"),
            ("content-type", "application/x-www-form-urlencoded"),
            ("content-type", "multipart/form-data; boundary=x"),
            ("content-type", "json"),
            ("content-type", ""),
            ("content-encoding", "gzip"),
        ] {
            let refusal = endpoint.refusal(send(name, value).await).await;
            assert_eq!(refusal.what(), (415, "unsupported_media_type"), "{endpoint:?} {name}: {value}");
        }
        nothing_went_up(&gateway);
    }
    for endpoint in Endpoint::ALL {
        for kind in
            ["application/json", "application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json"]
        {
            let request = gateway.request(Method::POST, endpoint.path()).header(CONTENT_TYPE, kind);
            assert_eq!(request.body(endpoint.body().to_string()).send().await.unwrap().status(), 200, "{kind}");
        }
        let undeclared = gateway.request(Method::POST, endpoint.path()).body(endpoint.body().to_string());
        assert_eq!(undeclared.send().await.unwrap().status(), 200);
    }
}

#[actix_rt::test]
async fn a_token_that_is_missing_malformed_or_contradicted_is_401_without_a_lookup() {
    let gateway = TestGateway::start().await;
    let good = gateway.key();
    let bearer = |token: &str| ("authorization", format!("Bearer {token}"));
    let key = |token: &str| ("x-api-key", token.to_owned());
    let long = format!("phx_{}", "a".repeat(16 * 1024));
    let cases: Vec<Vec<(&str, String)>> = vec![
        vec![],
        vec![("authorization", String::new())],
        vec![("authorization", "Bearer".to_owned())],
        vec![bearer("")],
        vec![("authorization", good.to_owned())],
        vec![("authorization", format!("Basic {good}"))],
        vec![bearer("sk-proj-1234")],
        vec![bearer("phx_")],
        vec![bearer("phx_with space")],
        vec![bearer("PHX_upper")],
        vec![bearer(&long)],
        vec![key(&long)],
        vec![key("sk-ant-1234")],
        vec![bearer(good), key("phx_another")],
        vec![bearer("phx_another"), key(good)],
        vec![bearer(good), bearer("pha_another")],
        vec![key(good), key("phx_another")],
    ];
    for endpoint in Endpoint::ALL {
        for headers in &cases {
            let mut request = gateway.client().post(gateway.url(endpoint.path())).json(&endpoint.body());
            for (name, value) in headers {
                request = request.header(*name, value);
            }
            let refusal = endpoint.refusal(request.send().await.unwrap()).await;
            assert_eq!(refusal.what(), (401, "invalid_api_key"), "{endpoint:?} {headers:?}");
            for (_, value) in headers.iter().filter(|(_, value)| value.len() > 10) {
                assert!(!refusal.message.contains(value.as_str()), "a credential is shown: {}", refusal.message);
            }
        }
    }
    assert_eq!(lookups(&gateway), 0);
    nothing_went_up(&gateway);
}

#[actix_rt::test]
async fn googles_own_places_for_a_token_count_on_googles_paths_only() {
    let gateway = TestGateway::start().await;
    let (good, google) = (gateway.key(), Endpoint::Google);
    let post = |endpoint: Endpoint, query: &str| {
        gateway.client().post(gateway.url(endpoint.path()) + query).json(&endpoint.body())
    };
    for request in [
        post(google, "").header("x-goog-api-key", good),
        post(google, &format!("?key={good}")),
        post(google, &format!("?key={good}&key={good}")).header("x-goog-api-key", good).bearer_auth(good),
        post(google, &format!("?key={good}")).header("x-goog-api-key", "AIza-an-sdks-default"),
    ] {
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    let seen = gateway.gemini().requests();
    assert!(seen.iter().all(|request| !String::from_utf8_lossy(&request.head).contains(good)), "the key went up");
    for request in [
        post(google, &format!("?key={good}&key=phx_another")),
        post(google, &format!("?key=phx_another&key={good}")),
        post(google, "?key=phx_another").header("x-goog-api-key", good),
        post(google, "?key=phx_another").bearer_auth(good),
    ] {
        assert_eq!(google.refusal(request.send().await.unwrap()).await.what(), (401, "invalid_api_key"));
    }
    for endpoint in [Endpoint::Chat, Endpoint::Responses, Endpoint::Messages] {
        for request in [post(endpoint, "").header("x-goog-api-key", good), post(endpoint, &format!("?key={good}"))] {
            assert_eq!(endpoint.refusal(request.send().await.unwrap()).await.what(), (401, "invalid_api_key"));
        }
    }
    assert_eq!(gateway.gemini().requests().len(), 4);
}

#[actix_rt::test]
async fn an_sdks_default_beside_the_token_does_no_harm() {
    let gateway = TestGateway::start().await;
    for endpoint in Endpoint::ALL {
        let post = || gateway.client().post(gateway.url(endpoint.path())).json(&endpoint.body());
        for request in [
            post().bearer_auth(gateway.key()).header("x-api-key", "sk-ant-default"),
            post().bearer_auth("sk-default").header("x-api-key", gateway.key()),
            post().bearer_auth(gateway.key()).header("x-api-key", gateway.key()),
            post().header("authorization", format!("bearer   {} ", gateway.key())),
        ] {
            assert_eq!(request.send().await.unwrap().status(), 200, "{endpoint:?}");
        }
    }
}

#[actix_rt::test]
async fn a_nul_in_a_head_is_400_and_reaches_nobody() {
    let gateway = TestGateway::start().await;
    for head in [
        format!(
            "POST /v1/messages HTTP/1.1\r\nhost: g\r\nx-api-key: {}\0\r\ncontent-length: 2\r\n\r\n{{}}",
            gateway.key()
        ),
        "POST /v1/messages HTTP/1.1\r\nhost: g\r\nx\0y: z\r\ncontent-length: 2\r\n\r\n{}".to_owned(),
        "POST /v1/mess\0ages HTTP/1.1\r\nhost: g\r\ncontent-length: 2\r\n\r\n{}".to_owned(),
    ] {
        let mut client = gateway.raw().await;
        client.send(&head).await;
        assert_eq!(client.status().await, 400, "{head:?}");
        client.hear_all().await;
    }
    nothing_went_up(&gateway);
}

#[actix_rt::test]
async fn an_unknown_product_is_404_and_the_known_ones_are_named() {
    let gateway = TestGateway::builder().product("narrow", "").start().await;
    for endpoint in Endpoint::ALL {
        for product in ["nobody", "Wizard", "wiz%00ard", "llm_gateway%2f..", "%E2%98%83"] {
            let path = format!("/{product}{}", endpoint.path());
            let refusal = endpoint.refusal(gateway.post(&path, &endpoint.body()).send().await.unwrap()).await;
            assert_eq!(refusal.what(), (404, "not_found"), "{path}");
            for known in ["llm_gateway", "array", "wizard", "django", "narrow"] {
                assert!(refusal.message.contains(known), "{}", refusal.message);
            }
        }
    }
    nothing_went_up(&gateway);
}

#[actix_rt::test]
async fn an_unknown_path_is_404_in_the_words_of_who_would_call_it() {
    let gateway = TestGateway::start().await;
    for (endpoint, path) in [
        (Endpoint::Chat, "/v1/chat/completion"),
        (Endpoint::Chat, "/nothing"),
        (Endpoint::Chat, "/v1/embeddings"),
        (Endpoint::Responses, "/v1/responses/resp_1/cancel"),
        (Endpoint::Messages, "/v1/messages/batches"),
        (Endpoint::Messages, "/wizard/v1/messages/batches"),
        (Endpoint::Google, "/v1beta/files"),
        (Endpoint::Google, "/wizard/v1beta/cachedContents"),
    ] {
        let refusal = endpoint.refusal(gateway.post(path, &endpoint.body()).send().await.unwrap()).await;
        assert_eq!(refusal.what(), (404, "not_found"), "{path}");
        assert!(refusal.message.contains(path), "{}", refusal.message);
    }
    nothing_went_up(&gateway);
}

#[actix_rt::test]
async fn a_wrong_method_is_405_and_the_right_one_is_named() {
    let gateway = TestGateway::start().await;
    let calls = Endpoint::ALL.map(|endpoint| (endpoint, endpoint.path(), "POST"));
    let others = [
        (Endpoint::Messages, "/v1/messages/count_tokens", "POST"),
        (Endpoint::Messages, "/wizard/v1/v1/messages", "POST"),
        (Endpoint::Chat, "/v1/models", "GET"),
        (Endpoint::Chat, "/v1/models/gpt-4.1-mini", "GET"),
        (Endpoint::Google, "/v1beta/models", "GET"),
        (Endpoint::Chat, "/", "GET, HEAD"),
        (Endpoint::Chat, "/_liveness", "GET, HEAD"),
        (Endpoint::Chat, "/_readiness", "GET, HEAD"),
        (Endpoint::Chat, "/health/actors", "GET"),
        (Endpoint::Chat, "/metrics", "GET"),
    ];
    for (endpoint, path, allowed) in calls.into_iter().chain(others) {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
            if allowed.split(", ").any(|allowed| allowed == method) {
                continue;
            }
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let response = gateway.request(method.clone(), path).json(&endpoint.body()).send().await.unwrap();
            let allow = response.headers().get(ALLOW).map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(allow.as_deref(), Some(allowed), "{method} {path}: {}", response.status());
            let refusal = endpoint.refusal(response).await;
            assert_eq!(refusal.what(), (405, "method_not_allowed"), "{method} {path}");
            assert!(refusal.message.contains(path), "{}", refusal.message);
        }
    }
    nothing_went_up(&gateway);
}

#[actix_rt::test]
async fn a_body_that_comes_too_slowly_is_408() {
    let gateway = TestGateway::builder().setting("server.body_timeout", "150ms").start().await;
    for endpoint in Endpoint::ALL {
        for framing in ["content-length: 1000\r\n\r\n{", "transfer-encoding: chunked\r\n\r\n1\r\n{\r\n"] {
            let mut client = gateway.raw().await;
            let head = format!("POST {} HTTP/1.1\r\nhost: g\r\nx-api-key: {}\r\n", endpoint.path(), gateway.key());
            client.send(head + framing).await;
            // The whole of it; the gateway would go on to listen for a while.
            client.hear("}").await;
            client.finish_sending().await;
            let heard = client.hear_all().await;
            assert!(heard.contains("connection: close\r\n"), "{heard}");
            let refusal = endpoint.refusal_from(&heard);
            assert_eq!(refusal.what(), (408, "request_body_timeout"), "{endpoint:?}");
            assert!(refusal.message.contains("0.15 s"), "{}", refusal.message);
        }
    }
    nothing_went_up(&gateway);
}

#[actix_rt::test]
async fn a_request_that_ends_in_mid_body_reaches_nobody() {
    let gateway = TestGateway::start().await;
    for endpoint in Endpoint::ALL {
        // A whole object, so that only its length says that there was more.
        let body = endpoint.body().to_string();
        let head = format!("POST {} HTTP/1.1\r\nhost: g\r\nx-api-key: {}\r\n", endpoint.path(), gateway.key());
        for framing in [
            format!("content-length: {}\r\n\r\n{body}", body.len() + 1),
            format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n", body.len()),
        ] {
            let mut client = gateway.raw().await;
            client.send(format!("{head}{framing}")).await;
            client.finish_sending().await;
            let heard = client.hear_all().await;
            assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 400 "), "{heard}");
            let mut client = gateway.raw().await;
            client.send(format!("{head}{framing}")).await;
            drop(client);
        }
        let mut client = gateway.raw().await;
        client.send(format!("{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\nzz\r\n", body.len())).await;
        assert_eq!(client.status().await, 400, "a chunk without a length");
        drop(client);
    }
    // Each worker has dealt with what came before by the time that it has served a few more.
    for endpoint in Endpoint::ALL {
        for _ in 0..4 {
            let fresh = reqwest::Client::new().post(gateway.url(endpoint.path())).bearer_auth(gateway.key());
            assert_eq!(fresh.json(&endpoint.body()).send().await.unwrap().status(), 200);
        }
    }
    let served: usize =
        [gateway.openai(), gateway.anthropic(), gateway.gemini()].map(|it| it.requests().len()).iter().sum();
    assert_eq!(served, 16);
}

#[actix_rt::test]
async fn two_lengths_or_a_length_and_chunks_are_no_request() {
    let gateway = TestGateway::start().await;
    let body = Endpoint::Chat.body().to_string();
    let length = body.len();
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nx-api-key: {}\r\n", gateway.key());
    for framing in [
        format!("content-length: {length}\r\ncontent-length: 3\r\n\r\n{body}"),
        format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"),
        format!("transfer-encoding: chunked, identity\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"),
        format!("content-length: -1\r\n\r\n{body}"),
        format!("content-length: +{length}\r\n\r\n{body}"),
    ] {
        let mut client = gateway.raw().await;
        client.send(format!("{head}{framing}")).await;
        assert_eq!(client.status().await, 400, "{framing}");
    }
    nothing_went_up(&gateway);
}

#[actix_rt::test]
async fn what_a_token_may_not_do_is_403_and_says_why() {
    let database = TestDatabase::create();
    let user = NewUser::default().create(&database).await;
    let scoped = user.api_key(&database, &[SCOPE]).await;
    let unscoped = user.api_key(&database, &["insight:read"]).await;
    let application = user.oauth_token(&database, NewOAuthToken::default().application(uuid::Uuid::new_v4())).await;
    let gateway = TestGateway::builder()
        .database(&database)
        .product("closed", "api_keys = false")
        .product("narrow", "models = [\"o3\"]")
        .start()
        .await;
    for endpoint in Endpoint::ALL {
        for (product, token, code) in [
            ("", &unscoped, "insufficient_scope"),
            ("/closed", &scoped, "product_access_denied"),
            ("/django", &application, "product_access_denied"),
            ("/narrow", &scoped, "model_not_allowed"),
        ] {
            let url = gateway.url(&format!("{product}{}", endpoint.path()));
            let request = gateway.client().post(url).bearer_auth(token).json(&endpoint.body());
            let refusal = endpoint.refusal(request.send().await.unwrap()).await;
            assert_eq!(refusal.what(), (403, code), "{endpoint:?} {product}");
            let kind = if endpoint == Endpoint::Google { "PERMISSION_DENIED" } else { "permission_error" };
            assert_eq!(refusal.kind, kind);
        }
    }
    nothing_went_up(&gateway);
}

#[actix_rt::test]
async fn ten_thousand_bad_tokens_neither_fill_memory_nor_hammer_the_database() {
    const TOKENS: usize = 10_000;
    let database = TestDatabase::create();
    let gateway = TestGateway::builder()
        .database(&database)
        .setting("auth.refusal_capacity", "1000")
        .setting("auth.refusal_ttl", "10m")
        .setting("auth.max_lookups", "16")
        .setting("database.pool_size", "4")
        .start()
        .await;
    wait::until_true("the gateway to be ready", || gateway.state().gateway.auth.is_ready()).await;
    let connections = database.connect().await;
    let count = async || -> i64 {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()";
        connections.query_one(sql, &[]).await.unwrap().get(0)
    };

    let ask = async |token: String| {
        let request = gateway.client().get(gateway.url("/v1/models")).bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    };
    let statuses: Vec<u16> = futures_util::stream::iter((0..TOKENS).map(|number| ask(format!("phx_wrong{number}"))))
        .buffer_unordered(32)
        .collect()
        .await;
    assert!(statuses.iter().all(|status| matches!(status, 401 | 503)), "neither refused nor put off");
    assert!(statuses.iter().filter(|status| **status == 401).count() >= 1000);
    let (good, refused) = gateway.state().gateway.auth.remembered();
    assert_eq!(good, 0);
    assert!(refused <= 1000, "{refused} refusals are remembered");
    // The gateway's pool, the connection that hears of revocations, and the test's own.
    let open = count().await;
    assert!(open <= 4 + 1 + 1, "{open} connections to the database");
    assert!(lookups(&gateway) <= u64::try_from(TOKENS).unwrap());

    // The same bad token again and again is one question.
    let before = lookups(&gateway);
    for status in futures_util::stream::iter((0..200).map(|_| ask("phx_stubborn".to_owned())))
        .buffer_unordered(32)
        .collect::<Vec<_>>()
        .await
    {
        assert_eq!(status, 401);
    }
    assert!(lookups(&gateway) <= before + 1, "{} look-ups for one token", lookups(&gateway) - before);

    // And what has not the form of a token is none.
    let before = lookups(&gateway);
    for number in 0..100 {
        assert_eq!(ask(format!("sk-wrong{number}")).await, 401);
    }
    assert_eq!(lookups(&gateway), before);
}

/// A connection on which a request came to nothing serves the next one, or is closed; the next one is never mixed up with the rest.
#[actix_rt::test]
async fn a_refused_body_is_never_read_as_the_next_request() {
    let gateway = TestGateway::start().await;
    let smuggled = format!("GET /v1/models HTTP/1.1\r\nhost: g\r\nx-api-key: {}\r\n\r\n", gateway.key());
    for (headers, status) in [
        ("content-type: application/json\r\n", 401),
        ("content-type: text/plain\r\nx-api-key: phx_dev_local_test_api_key_1234567890abcdef\r\n", 415),
    ] {
        let mut client: RawClient = gateway.raw().await;
        client
            .send(format!(
                "POST /v1/messages HTTP/1.1\r\nhost: g\r\n{headers}content-length: {}\r\n\r\n{smuggled}",
                smuggled.len()
            ))
            .await;
        assert_eq!(client.status().await, status);
        client.finish_sending().await;
        let heard = client.hear_all().await;
        assert_eq!(heard.matches("HTTP/1.1 ").count(), 1, "{heard}");
    }
}
