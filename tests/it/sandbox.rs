//! The simulated providers themselves, over real sockets: what they answer, and what a script makes them do.

use std::time::Duration;

use llm_gateway::config::providers::Kind;
use llm_gateway::sandbox::{API_KEY, Gate, Reply, Sandbox, SandboxOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn start(kind: Kind) -> Sandbox {
    Sandbox::start(kind, SandboxOptions::default()).await.unwrap()
}

/// A request on a connection of its own, as bytes.
async fn connect(sandbox: &Sandbox) -> TcpStream {
    TcpStream::connect(("127.0.0.1", sandbox.port())).await.unwrap()
}

async fn ask(stream: &mut TcpStream, body: &str) {
    let head = format!(
        "POST /v1/x?a=b HTTP/1.1\r\nHost: h\r\nX-Odd-CASE: 1\r\nx-odd-case: 2\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
}

async fn read_until(stream: &mut TcpStream, end: &[u8]) -> String {
    let mut got = Vec::new();
    while !got.ends_with(end) {
        let read = stream.read_buf(&mut got).await.unwrap();
        assert!(read > 0, "closed after {}", String::from_utf8_lossy(&got));
    }
    String::from_utf8(got).unwrap()
}

async fn read_to_close(stream: &mut TcpStream) -> String {
    let mut got = Vec::new();
    stream.read_to_end(&mut got).await.unwrap();
    String::from_utf8(got).unwrap()
}

#[tokio::test]
async fn a_request_is_recorded_byte_for_byte() {
    let sandbox = start(Kind::OpenAi).await;
    sandbox.script().push(Reply::json(200, &json!({"ok": true})));
    let mut stream = connect(&sandbox).await;
    ask(&mut stream, "{\"b\":1, \"a\" : 2}").await;
    read_until(&mut stream, b"{\"ok\":true}").await;
    let got = sandbox.request(0).await;
    assert_eq!(got.method, "POST");
    assert_eq!((got.path(), got.query()), ("/v1/x", "a=b"));
    assert_eq!(got.body, "{\"b\":1, \"a\" : 2}");
    let names: Vec<&str> = got.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Host", "X-Odd-CASE", "x-odd-case", "Content-Length"]);
    assert!(got.head.starts_with(b"POST /v1/x?a=b HTTP/1.1\r\nHost: h\r\n"));
    assert!(got.complete);
}

#[tokio::test]
async fn a_chunked_request_body_is_put_together() {
    let sandbox = start(Kind::OpenAi).await;
    sandbox.script().push(Reply::json(200, &json!({})));
    let mut stream = connect(&sandbox).await;
    stream.write_all(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").await.unwrap();
    stream.write_all(b"2;x=y\r\nde\r\n0\r\nTrailer: t\r\n\r\n").await.unwrap();
    read_until(&mut stream, b"{}").await;
    assert_eq!(sandbox.request(0).await.body, "abcde");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_recorded_as_incomplete() {
    let sandbox = start(Kind::OpenAi).await;
    let mut stream = connect(&sandbox).await;
    stream.write_all(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc").await.unwrap();
    stream.shutdown().await.unwrap();
    let got = sandbox.request(0).await;
    assert!(!got.complete);
    assert_eq!(read_to_close(&mut stream).await, "");
}

#[tokio::test]
async fn connections_are_counted_and_reused() {
    let sandbox = start(Kind::OpenAi).await;
    sandbox.script().always(Reply::json(200, &json!({})));
    let mut one = connect(&sandbox).await;
    for _ in 0..2 {
        ask(&mut one, "{}").await;
        read_until(&mut one, b"{}").await;
    }
    let mut two = connect(&sandbox).await;
    ask(&mut two, "{}").await;
    read_until(&mut two, b"{}").await;
    assert_eq!(sandbox.connections(), 2);
    let used: Vec<usize> = sandbox.requests().iter().map(|request| request.connection).collect();
    assert_eq!(used, [0, 0, 1]);
    drop((one, two));
    sandbox.until(|seen| (seen.open == 0).then_some(())).await;
}

#[tokio::test]
async fn chunks_go_out_at_their_borders_and_wait_at_gates() {
    let sandbox = start(Kind::OpenAi).await;
    let (head, second) = (Gate::new(), Gate::new());
    sandbox.script().push(Reply::sse().wait(&head).event("one").wait(&second).chunk("data: t").chunk("wo\n\n"));
    let mut stream = connect(&sandbox).await;
    ask(&mut stream, "{}").await;
    sandbox.request(0).await;
    let nothing = tokio::time::timeout(Duration::from_millis(20), stream.readable()).await;
    assert!(nothing.is_err(), "the head waits at the first gate");
    head.open();
    let first = read_until(&mut stream, b"data: one\n\n\r\n").await;
    assert!(first.contains("transfer-encoding: chunked\r\n\r\nb\r\ndata: one"), "{first}");
    second.open();
    assert_eq!(read_until(&mut stream, b"0\r\n\r\n").await, "7\r\ndata: t\r\n4\r\nwo\n\n\r\n0\r\n\r\n");
}

#[tokio::test]
async fn a_reply_can_be_cut_at_any_byte() {
    let sandbox = start(Kind::OpenAi).await;
    for (reply, ending) in [
        (Reply::sse().event("one").cut(), "b\r\ndata: one\n\n\r\n"),
        (Reply::sse().event("one").cut_in_chunk(), "b\r\ndata:"),
        (Reply::status(200).content_length(100).chunk("half").cut(), "content-length: 100\r\n\r\nhalf"),
        (Reply::status(200).until_close().chunk("all"), "connection: close\r\n\r\nall"),
        (Reply::raw("HTTP/1.1 200 OK\r\nx: y"), "HTTP/1.1 200 OK\r\nx: y"),
        (Reply::hang_up(), ""),
    ] {
        sandbox.script().push(reply);
        let mut stream = connect(&sandbox).await;
        ask(&mut stream, "{}").await;
        let got = read_to_close(&mut stream).await;
        assert!(got.ends_with(ending), "{got}");
    }
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let sandbox = start(Kind::OpenAi).await;
    sandbox.script().push(Reply::sse().event("one").reset());
    let mut stream = connect(&sandbox).await;
    ask(&mut stream, "{}").await;
    let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_caller_that_leaves_is_noticed_at_once() {
    let sandbox = start(Kind::OpenAi).await;
    for reply in [Reply::silence(), Reply::sse().event("one").stall()] {
        sandbox.script().push(reply);
        let number = sandbox.requests().len();
        let mut stream = connect(&sandbox).await;
        ask(&mut stream, "{}").await;
        sandbox.request(number).await;
        drop(stream);
        tokio::time::timeout(Duration::from_secs(5), sandbox.left(number)).await.unwrap();
    }
}

#[tokio::test]
async fn a_stopped_sandbox_refuses_and_comes_back_on_its_port() {
    let sandbox = start(Kind::OpenAi).await;
    let port = sandbox.port();
    let mut stream = connect(&sandbox).await;
    sandbox.script().push(Reply::silence());
    ask(&mut stream, "{}").await;
    sandbox.request(0).await;
    sandbox.stop().await;
    assert!(stream.read(&mut [0; 1]).await.map_or(true, |read| read == 0), "its connections are closed");
    let refused = TcpStream::connect(("127.0.0.1", port)).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    let again = Sandbox::restart_on(Kind::OpenAi, port, SandboxOptions::default()).await.unwrap();
    assert_eq!(again.port(), port);
    connect(&again).await;
}

fn prompts() -> [(Kind, &'static str, Value); 4] {
    let messages = json!([{"role": "user", "content": "What is a fern?"}]);
    [
        (Kind::OpenAi, "chat/completions", json!({"model": "gpt-4.1", "messages": messages})),
        (Kind::OpenAi, "responses", json!({"model": "gpt-4.1", "input": "What is a fern?"})),
        (
            Kind::Anthropic,
            "v1/messages",
            json!({"model": "claude-sonnet-4-5", "max_tokens": 500, "messages": messages}),
        ),
        (
            Kind::Gemini,
            "v1beta/models/gemini-2.5-flash:generateContent",
            json!({"contents": [{"role": "user", "parts": [{"text": "What is a fern?"}]}]}),
        ),
    ]
}

async fn post(sandbox: &Sandbox, path: &str, body: &Value) -> reqwest::Response {
    let url = format!("{}/{path}", sandbox.base_url().as_str().trim_end_matches('/'));
    let request = reqwest::Client::new().post(url).body(body.to_string());
    let request = match sandbox.kind() {
        Kind::OpenAi => request.bearer_auth(API_KEY),
        Kind::Anthropic => request.header("x-api-key", API_KEY).header("anthropic-version", "2023-06-01"),
        Kind::Gemini => request.header("x-goog-api-key", API_KEY),
    };
    request.send().await.unwrap()
}

#[tokio::test]
async fn each_provider_answers_with_a_simulation_that_quotes_the_prompt() {
    for (kind, path, body) in prompts() {
        let sandbox = start(kind).await;
        let answer = post(&sandbox, path, &body).await;
        assert_eq!(answer.status(), 200, "{path}");
        let answer = answer.text().await.unwrap();
        assert!(answer.contains("simulated answer") && answer.contains("What is a fern?"), "{answer}");
    }
}

#[tokio::test]
async fn other_programs_are_told_what_reached_a_sandbox() {
    for (kind, path, body) in prompts() {
        let sandbox = start(kind).await;
        post(&sandbox, path, &body).await;
        let told = async |wanted: &str| -> Value {
            let url = format!("http://127.0.0.1:{}/sandbox/requests?holds={wanted}", sandbox.port());
            reqwest::get(url).await.unwrap().json().await.unwrap()
        };
        let all = told("What+is+a%20fern?").await;
        assert_eq!(all["requests"].as_array().unwrap().len(), 1);
        assert_eq!(all["requests"][0]["body"], body);
        assert_eq!(told("nothing+of+the+sort").await, json!({"requests": []}));
        assert_eq!(sandbox.requests().len(), 1);
    }
}

#[tokio::test]
async fn each_provider_streams() {
    for (kind, path, mut body) in prompts() {
        let sandbox = start(kind).await;
        let path = path.replace(":generateContent", ":streamGenerateContent?alt=sse");
        if kind != Kind::Gemini {
            body["stream"] = true.into();
        }
        let answer = post(&sandbox, &path, &body).await;
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
        let text = answer.text().await.unwrap();
        let ending = match (kind, path.as_str()) {
            (Kind::OpenAi, "responses") => "response.completed",
            (Kind::OpenAi, _) => "data: [DONE]\n\n",
            (Kind::Anthropic, _) => "event: message_stop",
            (Kind::Gemini, _) => "\"finishReason\":\"STOP\"",
        };
        assert!(text.contains(ending), "{text}");
    }
}

#[tokio::test]
async fn each_magic_error_keeps_its_status_on_every_endpoint() {
    for (kind, path, body) in prompts() {
        let sandbox = start(kind).await;
        for status in [400, 401, 403, 404, 413, 429, 500, 503, 529] {
            let body: Value =
                serde_json::from_str(&body.to_string().replace("a fern?", &format!("[[sandbox:error={status}]]")))
                    .unwrap();
            let answer = post(&sandbox, path, &body).await;
            assert_eq!(answer.status(), status, "{path}");
            assert_eq!(answer.headers().contains_key("retry-after"), status == 429, "{path}");
            let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            assert!(answer["error"]["message"].is_string(), "{answer}");
        }
    }
}

#[tokio::test]
async fn a_scripted_reply_may_hold_back_the_simulation() {
    let sandbox = start(Kind::OpenAi).await;
    let gate = Gate::new();
    sandbox.script().extend([Reply::simulated().wait(&gate), Reply::hang_up()]);
    let (_, path, body) = &prompts()[0];
    let (answer, ()) = tokio::join!(post(&sandbox, path, body), async {
        sandbox.request(0).await;
        gate.open();
    });
    assert_eq!(answer.status(), 200);
    assert_eq!(sandbox.script().remaining(), 1);
}

#[tokio::test]
async fn a_magic_prompt_cuts_or_stalls_a_stream() {
    let sandbox = start(Kind::OpenAi).await;
    let prompt =
        |magic: &str| json!({"model": "gpt-4.1", "stream": true, "messages": [{"role": "user", "content": magic}]});
    let cut = post(&sandbox, "chat/completions", &prompt("[[sandbox:cut=3]]")).await;
    assert!(cut.text().await.is_err(), "the body breaks off");
    let failed = post(&sandbox, "chat/completions", &prompt("[[sandbox:stream_error=2]]")).await.text().await.unwrap();
    assert!(failed.ends_with("\"code\":null}}\n\n") && failed.matches("data: ").count() == 3, "{failed}");
    let number = sandbox.requests().len();
    let mut stalled = post(&sandbox, "chat/completions", &prompt("[[sandbox:stall=2]]")).await;
    stalled.chunk().await.unwrap().unwrap();
    drop(stalled);
    tokio::time::timeout(Duration::from_secs(5), sandbox.left(number)).await.unwrap();
}
