//! The contract's table of errors, row by row, from a provider's bytes to the caller's, in all four dialects.

use std::time::{Duration, Instant};

use llm_gateway::config::providers::Kind;
use llm_gateway::sandbox::Reply;
use reqwest::Response;
use serde_json::Value;
use tokio::net::TcpSocket;
use url::Url;

use crate::support::endpoints::Endpoint;
use crate::support::gateway::{Builder, TestGateway};
use crate::support::wait;

/// What no caller may ever read: the provider's words about the gateway's account.
const SECRET: &str = "org-hunter2 sk-proj-hunter2";

/// A gateway whose breakers stay out of the way.
fn patient() -> Builder {
    TestGateway::builder().setting("breaker.minimum_calls", "1000000").setting("breaker.connect_failures", "1000000")
}

/// Asks for a whole answer, then for events; both get the same reply.
async fn both(endpoint: Endpoint, gateway: &TestGateway, reply: &Reply) -> [Response; 2] {
    endpoint.sandbox(gateway).script().extend([reply.clone(), reply.clone()]);
    [endpoint.call(gateway).await, endpoint.call_stream(gateway).await]
}

async fn metric(gateway: &TestGateway, line: &str) -> u64 {
    let all = gateway.metrics().await;
    let value = all.lines().find_map(|it| it.strip_prefix(line)).unwrap_or("0");
    value.trim().parse().unwrap()
}

/// What this provider sends when all goes well: the whole answer, and the events.
async fn sample(endpoint: Endpoint) -> (String, String) {
    let gateway = TestGateway::start().await;
    let whole = endpoint.call(&gateway).await.text().await.unwrap();
    (whole, endpoint.call_stream(&gateway).await.text().await.unwrap())
}

/// The first so many bytes, or one or two less.
fn first(text: &str, bytes: usize) -> String {
    let border = (0..=bytes).rev().find(|at| text.is_char_boundary(*at)).unwrap();
    text[..border].to_owned()
}

/// A stream's first event.
fn first_event(events: &str) -> String {
    let ends = ["\n\n", "\r\n\r\n"].map(|end| events.find(end).map(|at| at + end.len()));
    events[..ends.into_iter().flatten().min().unwrap()].to_owned()
}

/// Whether a stream ends as if it were whole.
fn has_clean_end(endpoint: Endpoint, text: &str) -> bool {
    match endpoint {
        Endpoint::Chat => text.contains("[DONE]"),
        Endpoint::Responses => text.contains("\"response.completed\"") || text.contains("event: response.completed"),
        Endpoint::Messages => text.contains("message_stop"),
        Endpoint::Google => text.contains("finishReason"),
    }
}

/// The error with which a stream ends, as that endpoint's SDKs find it.
fn last_error(endpoint: Endpoint, text: &str) -> Value {
    let data = || {
        text.lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .filter_map(|data| serde_json::from_str::<Value>(data).ok())
    };
    let found = match endpoint {
        Endpoint::Chat | Endpoint::Google => data().rfind(|event| event["error"].is_object()),
        Endpoint::Responses => {
            assert_eq!(data().next_back().unwrap()["type"], "response.failed", "{text}");
            data().find(|event| event["type"] == "error")
        }
        Endpoint::Messages => data().next_back().filter(|event| event["type"] == "error"),
    };
    found.unwrap_or_else(|| panic!("{endpoint:?}: no error at the end of {text:?}"))["error"].clone()
}

#[actix_rt::test]
async fn a_providers_error_in_the_callers_dialect_passes_untouched() {
    let gateway = patient().start().await;
    for endpoint in Endpoint::ALL {
        for status in [400, 404, 409, 413, 422, 500, 503, 529] {
            let body = endpoint.providers_error(status);
            let reply = Reply::status(status)
                .header("content-type", "application/json; charset=UTF-8")
                .header("retry-after", "7")
                .header("x-request-id", "req_theirs")
                .header("set-cookie", "__cf_bm=hunter2")
                .header("openai-organization", "org-hunter2")
                .body(body.clone());
            for response in both(endpoint, &gateway, &reply).await {
                assert_eq!(response.status(), status, "{endpoint:?}");
                let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
                assert_eq!(header("content-type").as_deref(), Some("application/json; charset=UTF-8"));
                assert_eq!(header("retry-after").as_deref(), Some("7"));
                assert_eq!(header("x-upstream-request-id").as_deref(), Some("req_theirs"));
                assert_ne!(header("x-request-id").as_deref(), Some("req_theirs"));
                assert_eq!(header("x-llm-gateway-provider").as_deref(), Some(endpoint.provider()));
                assert_eq!((header("set-cookie"), header("openai-organization")), (None, None));
                assert_eq!(response.text().await.unwrap(), body, "{endpoint:?} {status}");
            }
        }
    }
}

#[actix_rt::test]
async fn a_providers_429_passes_untouched_with_its_retry_after() {
    for endpoint in Endpoint::ALL {
        for is_stream in [false, true] {
            // Another call of the model would wait for that time to pass.
            let gateway = TestGateway::start().await;
            let body = endpoint.providers_error(429);
            let reply = Reply::status(429)
                .header("content-type", "application/json")
                .header("retry-after", "7")
                .header("x-ratelimit-remaining-tokens", "0")
                .body(body.clone());
            endpoint.sandbox(&gateway).script().push(reply);
            let response = if is_stream { endpoint.call_stream(&gateway).await } else { endpoint.call(&gateway).await };
            assert_eq!(response.status(), 429, "{endpoint:?}");
            assert_eq!(response.headers()["retry-after"], "7");
            assert_eq!(response.headers()["x-upstream-ratelimit-remaining-tokens"], "0");
            assert_eq!(response.text().await.unwrap(), body, "{endpoint:?}");
        }
    }
}

#[actix_rt::test]
async fn a_provider_that_refuses_our_credential_is_502_in_our_own_words_and_an_alarm() {
    let gateway = patient().start().await;
    for endpoint in Endpoint::ALL {
        for status in [401, 402, 403] {
            let body = endpoint.providers_error(status).replace("no. ", SECRET);
            let reply = Reply::status(status)
                .header("content-type", "application/json")
                .header("www-authenticate", SECRET)
                .header("x-request-id", "req_theirs")
                .body(body);
            let line = format!("llm_gateway_upstream_auth_failed_total{{provider=\"{}\"}}", endpoint.provider());
            let before = metric(&gateway, &line).await;
            for response in both(endpoint, &gateway, &reply).await {
                assert!(!format!("{:?}", response.headers()).contains("hunter2"), "{:?}", response.headers());
                let refusal = endpoint.refusal(response).await;
                assert_eq!(refusal.what(), (502, "upstream_auth_failed"), "{endpoint:?} {status}");
                assert!(!refusal.message.contains("hunter2"), "{}", refusal.message);
                assert!(refusal.message.contains("operator"), "{}", refusal.message);
            }
            assert_eq!(metric(&gateway, &line).await, before + 2);
        }
    }
}

#[actix_rt::test]
async fn an_error_page_of_something_in_between_is_rendered_with_its_status() {
    let gateway = patient().start().await;
    for endpoint in Endpoint::ALL {
        for (status, page) in [
            (404, "<html><h1>Not Found</h1></html>"),
            (409, "{\"detail\": \"conflict\"}"),
            (413, "<html>nginx</html>"),
            (418, ""),
            (500, "<html>cloudflare</html>"),
            (502, "Bad Gateway"),
            (503, "upstream connect error"),
            (504, "<html>Gateway Time-out</html>"),
            (520, "<html>cloudflare</html>"),
            (529, "[]"),
        ] {
            let reply = Reply::status(status)
                .header("content-type", "text/html")
                .header("retry-after", "7")
                .header("set-cookie", "__cf_bm=hunter2")
                .body(page);
            let expected = if status == 503 || status == 529 { endpoint.unavailable() } else { status };
            for response in both(endpoint, &gateway, &reply).await {
                assert!(response.headers().get("set-cookie").is_none());
                let refusal = endpoint.refusal(response).await;
                assert_eq!(refusal.status, expected, "{endpoint:?} {status}: {}", refusal.message);
                assert!(!refusal.message.contains('<'), "{}", refusal.message);
                assert!(refusal.message.contains(endpoint.provider()), "{}", refusal.message);
                assert_eq!(refusal.retry_after, Some(7));
            }
        }
    }
}

#[actix_rt::test]
async fn a_redirect_is_502_and_is_not_followed() {
    let gateway = patient().start().await;
    for endpoint in Endpoint::ALL {
        for status in [301, 302, 303, 304, 307, 308] {
            let target = gateway.url("/_liveness");
            let reply = Reply::status(status).header("location", &target).body("");
            let before = endpoint.sandbox(&gateway).requests().len();
            for response in both(endpoint, &gateway, &reply).await {
                assert!(response.headers().get("location").is_none());
                let refusal = endpoint.refusal(response).await;
                assert_eq!(refusal.what(), (502, "upstream_error"), "{endpoint:?} {status}");
                assert!(!refusal.message.contains(&target), "{}", refusal.message);
            }
            assert_eq!(endpoint.sandbox(&gateway).requests().len(), before + 2);
        }
    }
}

#[actix_rt::test]
async fn nonsense_is_502() {
    let gateway = patient().start().await;
    for endpoint in Endpoint::ALL {
        for reply in [
            Reply::raw("SSH-2.0-OpenSSH_9.2\r\n"),
            Reply::raw("HTTP/1.1 200 OK\r\n"),
            Reply::hang_up(),
            Reply::raw("HTTP/1.1 103 Early Hints\r\n\r\n"),
            Reply::status(200)
                .header("content-type", "application/json")
                .header("content-encoding", "gzip")
                .body("\x1f"),
            Reply::status(204),
            Reply::status(200).header("content-type", "text/html").body("<html>welcome</html>"),
            Reply::status(200).header("content-type", "application/json").body("{\"half\":"),
            Reply::status(200).header("content-type", "application/json").body(""),
        ] {
            for response in both(endpoint, &gateway, &reply).await {
                let refusal = endpoint.refusal(response).await;
                assert_eq!(refusal.what(), (502, "upstream_error"), "{endpoint:?} {reply:?}");
            }
        }
    }
}

#[actix_rt::test]
async fn a_provider_that_is_not_there_is_503_and_says_when_to_come_back() {
    // Bound and not listening: refused, and nobody else can take the port.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let gateway = instead_of_all(patient(), socket.local_addr().unwrap()).start().await;
    for endpoint in Endpoint::ALL {
        for response in [endpoint.call(&gateway).await, endpoint.call_stream(&gateway).await] {
            let refusal = endpoint.refusal(response).await;
            assert_eq!(refusal.what(), (endpoint.unavailable(), "provider_unavailable"), "{endpoint:?}");
            assert!(refusal.retry_after.is_some_and(|seconds| seconds >= 1), "{refusal:?}");
            let address = socket.local_addr().unwrap().to_string();
            assert!(!refusal.message.contains(&address), "the inside is shown: {}", refusal.message);
        }
    }
}

/// The same address in place of all providers.
fn instead_of_all(builder: Builder, address: std::net::SocketAddr) -> Builder {
    let url = |path: &str| Url::parse(&format!("http://{address}{path}")).unwrap();
    builder.provider("openai", Kind::OpenAi, &url("/v1")).provider("anthropic", Kind::Anthropic, &url("")).provider(
        "gemini",
        Kind::Gemini,
        &url(""),
    )
}

#[actix_rt::test]
async fn an_open_breaker_is_503_at_once_with_retry_after_and_calls_nobody() {
    let gateway = TestGateway::builder()
        .setting("breaker.minimum_calls", "1")
        .setting("breaker.open_for", "60s")
        .setting("breaker.open_for_max", "60s")
        .start()
        .await;
    for endpoint in [Endpoint::Chat, Endpoint::Messages, Endpoint::Google] {
        let sandbox = endpoint.sandbox(&gateway);
        sandbox.script().push(Reply::status(500).body(endpoint.providers_error(500)));
        assert_eq!(endpoint.call(&gateway).await.status(), 500);
        wait::until("the breaker to open", || async {
            // This provider's: those of the providers before it are open already.
            let health = gateway.operators_json("/health/actors").await;
            let breakers = health["breakers"].as_array().unwrap();
            let is_open = |breaker: &Value| breaker["provider"] == endpoint.provider() && breaker["state"] == "open";
            breakers.iter().any(is_open).then_some(())
        })
        .await;
        for response in [endpoint.call(&gateway).await, endpoint.call_stream(&gateway).await] {
            let refusal = endpoint.refusal(response).await;
            assert_eq!(refusal.what(), (endpoint.unavailable(), "provider_unavailable"), "{endpoint:?}");
            assert!(refusal.retry_after.is_some_and(|seconds| seconds >= 1), "{refusal:?}");
            let kind = match endpoint {
                Endpoint::Chat | Endpoint::Responses => "api_error",
                Endpoint::Messages => "overloaded_error",
                Endpoint::Google => "UNAVAILABLE",
            };
            assert_eq!(refusal.kind, kind);
        }
        assert_eq!(sandbox.requests().len(), 1);
    }
}

/// A 504 that says which time was up.
async fn timed_out(endpoint: Endpoint, response: Response, setting: &str) {
    let refusal = endpoint.refusal(response).await;
    assert_eq!(refusal.what(), (504, "request_timeout"), "{endpoint:?} {}", refusal.message);
    assert!(refusal.message.contains(setting), "{}", refusal.message);
    let kind = if endpoint == Endpoint::Google { "DEADLINE_EXCEEDED" } else { "timeout_error" };
    assert_eq!(refusal.kind, kind);
}

#[actix_rt::test]
async fn a_provider_that_cannot_be_connected_to_in_time_is_504() {
    // Its queue is full after the first, and nobody accepts.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(200), TcpSocket::new_v4().unwrap().connect(address)).await
    {
        held.push(stream);
        assert!(held.len() < 100, "the queue has no end");
    }
    let gateway = instead_of_all(patient(), address).setting("timeouts.connect", "100ms").start().await;
    for endpoint in Endpoint::ALL {
        timed_out(endpoint, endpoint.call(&gateway).await, "timeouts.connect").await;
        timed_out(endpoint, endpoint.call_stream(&gateway).await, "timeouts.connect").await;
    }
}

#[actix_rt::test]
async fn a_provider_that_says_nothing_in_time_is_504() {
    let gateway = patient().setting("timeouts.first_byte", "100ms").start().await;
    for endpoint in Endpoint::ALL {
        for response in both(endpoint, &gateway, &Reply::silence()).await {
            timed_out(endpoint, response, "timeouts.first_byte").await;
        }
        let sandbox = endpoint.sandbox(&gateway);
        let last = sandbox.requests().len() - 1;
        wait::within("the gateway to hang up", sandbox.left(last)).await;
    }
}

#[actix_rt::test]
async fn a_provider_that_says_nothing_in_time_after_a_keepalive_ends_the_stream_with_that_error() {
    let gateway = patient().setting("timeouts.first_byte", "300ms").setting("stream.keepalive", "50ms").start().await;
    for endpoint in Endpoint::ALL {
        endpoint.sandbox(&gateway).script().push(Reply::silence());
        let response = endpoint.call_stream(&gateway).await;
        assert_eq!(response.status(), 200);
        let text = response.text().await.unwrap();
        let error = last_error(endpoint, &text);
        assert!(error["message"].as_str().unwrap().contains("timeouts.first_byte"), "{error}");
        assert!(!has_clean_end(endpoint, &text), "{text}");
    }
}

#[actix_rt::test]
async fn a_provider_that_stops_in_mid_answer_is_504_or_the_streams_error() {
    let gateway = patient().setting("timeouts.idle", "100ms").start().await;
    for endpoint in Endpoint::ALL {
        let (whole, events) = sample(endpoint).await;
        let (sandbox, script) = (endpoint.sandbox(&gateway), endpoint.sandbox(&gateway).script());
        script.push(
            Reply::status(200).header("content-type", "application/json").chunk(first(&whole, whole.len() / 2)).stall(),
        );
        timed_out(endpoint, endpoint.call(&gateway).await, "timeouts.idle").await;
        script.push(Reply::sse().chunk(first(&events, events.len() / 2)).stall());
        let response = endpoint.call_stream(&gateway).await;
        assert_eq!(response.status(), 200);
        let text = response.text().await.unwrap();
        assert!(last_error(endpoint, &text)["message"].as_str().unwrap().contains("timeouts.idle"), "{text}");
        assert!(!has_clean_end(endpoint, &text), "{text}");
        for number in 0..sandbox.requests().len() {
            wait::within("the gateway to hang up", sandbox.left(number)).await;
        }
    }
}

#[actix_rt::test]
async fn a_whole_answer_that_takes_too_long_altogether_is_504_and_a_stream_may_go_on() {
    let gateway = patient().setting("timeouts.total", "200ms").start().await;
    for endpoint in Endpoint::ALL {
        let (_, events) = sample(endpoint).await;
        let script = endpoint.sandbox(&gateway).script();
        let mut drip = Reply::status(200).header("content-type", "application/json").chunk("{");
        for _ in 0..20 {
            drip = drip.delay(Duration::from_millis(40)).chunk(" ");
        }
        script.push(drip);
        let begun = Instant::now();
        timed_out(endpoint, endpoint.call(&gateway).await, "timeouts.total").await;
        assert!(begun.elapsed() >= Duration::from_millis(200));
        // Its head counts, too.
        script.push(Reply::silence());
        timed_out(endpoint, endpoint.call(&gateway).await, "timeouts.total").await;
        let half = first_event(&events);
        script.push(
            Reply::sse().chunk(half.clone()).delay(Duration::from_millis(300)).chunk(events[half.len()..].to_owned()),
        );
        let text = endpoint.call_stream(&gateway).await.text().await.unwrap();
        assert!(has_clean_end(endpoint, &text), "{text}");
    }
}

#[actix_rt::test]
async fn a_whole_answer_that_is_cut_is_502_however_it_is_framed() {
    let gateway = patient().start().await;
    for endpoint in Endpoint::ALL {
        let (whole, _) = sample(endpoint).await;
        let json = || Reply::status(200).header("content-type", "application/json");
        let half = first(&whole, whole.len() / 2);
        let rest = whole[half.len()..].to_owned();
        for (what, reply) in [
            ("less than its length", json().content_length(whole.len()).chunk(half.clone()).cut()),
            ("all but a byte of its length", json().content_length(whole.len() + 1).chunk(whole.clone()).cut()),
            ("half of its chunks", json().chunk(half.clone()).cut()),
            ("half of a chunk", json().chunk(half.clone()).chunk(rest).cut_in_chunk()),
            ("all chunks but the last, empty one", json().chunk(whole.clone()).cut()),
            ("a reset", json().chunk(half.clone()).reset()),
            ("a whole frame of half an answer", json().body(half.clone())),
            ("a length and nothing", json().content_length(whole.len()).head().cut()),
            ("neither length nor chunks", json().chunk(half).until_close()),
        ] {
            endpoint.sandbox(&gateway).script().push(reply);
            let response = endpoint.call(&gateway).await;
            let refusal = endpoint.refusal(response).await;
            assert_eq!(refusal.what(), (502, "upstream_error"), "{endpoint:?}: {what}: {}", refusal.message);
        }
    }
}

#[actix_rt::test]
async fn a_stream_that_is_cut_ends_in_an_error_however_it_is_framed() {
    let gateway = patient().start().await;
    for endpoint in Endpoint::ALL {
        let (_, events) = sample(endpoint).await;
        let half = first_event(&events);
        let middle = first(&events[half.len()..], 20);
        for (what, reply) in [
            ("no last chunk", Reply::sse().chunk(half.clone()).cut()),
            ("half of a chunk", Reply::sse().chunk(half.clone()).chunk(middle.clone()).cut_in_chunk()),
            ("a proper end of half a stream", Reply::sse().chunk(half.clone())),
            ("a proper end within an event", Reply::sse().chunk(half.clone() + &middle)),
            ("less than its length", Reply::sse().content_length(events.len()).chunk(half.clone()).cut()),
            ("a reset", Reply::sse().chunk(half.clone()).reset()),
            ("nothing at all", Reply::sse().head().cut()),
            ("nothing, properly", Reply::sse().head()),
        ] {
            endpoint.sandbox(&gateway).script().push(reply);
            let response = endpoint.call_stream(&gateway).await;
            assert_eq!(response.status(), 200, "{endpoint:?}: {what}");
            let text = response.text().await.unwrap();
            assert!(!has_clean_end(endpoint, &text), "{endpoint:?}: {what}: {text}");
            let error = last_error(endpoint, &text);
            assert!(
                error["message"].as_str().is_some_and(|message| !message.is_empty()),
                "{endpoint:?}: {what}: {text}"
            );
        }
        let line =
            format!("llm_gateway_broken_streams_total{{product=\"llm_gateway\",provider=\"{}\"}}", endpoint.provider());
        wait::until("eight broken streams", || async { (metric(&gateway, &line).await % 8 == 0).then_some(()) }).await;
        assert!(metric(&gateway, &line).await >= 8);
    }
}

#[actix_rt::test]
async fn a_json_array_that_is_cut_is_an_array_all_the_same_and_ends_in_an_error() {
    let gateway = patient().start().await;
    let path = "/v1beta/models/gemini-2.5-flash:streamGenerateContent";
    let post = || gateway.post(path, &Endpoint::Google.body());
    let whole = post().send().await.unwrap().text().await.unwrap();
    let elements: Vec<Value> = serde_json::from_str(&whole).unwrap();
    assert!(elements.len() > 1);
    for at in [1, whole.len() / 2, whole.len() - 2] {
        let reply = Reply::status(200).header("content-type", "application/json").chunk(whole[..at].to_owned()).cut();
        gateway.gemini().script().push(reply);
        let text = post().send().await.unwrap().text().await.unwrap();
        let elements: Vec<Value> = serde_json::from_str(&text).unwrap_or_else(|_| panic!("cut at {at}: {text}"));
        assert!(elements.last().unwrap()["error"]["message"].is_string(), "cut at {at}: {text}");
    }
}

#[actix_rt::test]
async fn a_providers_own_error_event_passes_and_counts_as_broken() {
    let gateway = patient().start().await;
    for endpoint in Endpoint::ALL {
        let (_, events) = sample(endpoint).await;
        let data = match endpoint {
            Endpoint::Responses => "{\"type\":\"error\",\"code\":\"server_error\",\"message\":\"no. 500\",\"param\":null,\"sequence_number\":9}".to_owned(),
            Endpoint::Chat | Endpoint::Messages | Endpoint::Google => endpoint.providers_error(500).replace('\n', ""),
        };
        let event = match endpoint {
            Endpoint::Chat | Endpoint::Google => format!("data: {data}\n\n"),
            Endpoint::Responses | Endpoint::Messages => format!("event: error\ndata: {data}\n\n"),
        };
        let sent = first_event(&events) + &event;
        endpoint.sandbox(&gateway).script().push(Reply::sse().chunk(sent.clone()));
        let line =
            format!("llm_gateway_broken_streams_total{{product=\"llm_gateway\",provider=\"{}\"}}", endpoint.provider());
        let before = metric(&gateway, &line).await;
        let text = endpoint.call_stream(&gateway).await.text().await.unwrap();
        assert!(text.starts_with(&sent), "{endpoint:?}: {text}");
        assert!(!has_clean_end(endpoint, &text), "{text}");
        wait::until("the broken stream", || async { (metric(&gateway, &line).await == before + 1).then_some(()) })
            .await;
    }
}

#[actix_rt::test]
async fn every_refusal_is_counted_under_the_status_that_the_caller_saw() {
    let gateway = patient().start().await;
    let line = |status: u16| {
        format!(
            "llm_gateway_requests_total{{endpoint=\"messages\",product=\"llm_gateway\",provider=\"anthropic\",status=\"{status}\"}}"
        )
    };
    for (status, seen) in [(400, 400), (401, 502), (302, 502), (529, 529)] {
        let before = metric(&gateway, &line(seen)).await;
        gateway.anthropic().script().push(Reply::status(status).body(Endpoint::Messages.providers_error(status)));
        assert_eq!(Endpoint::Messages.call(&gateway).await.status(), seen);
        wait::until("the count", || async { (metric(&gateway, &line(seen)).await == before + 1).then_some(()) }).await;
    }
}
