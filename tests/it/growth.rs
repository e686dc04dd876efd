//! Nothing that a caller or a provider sends costs the gateway more than its size: eight times as much takes about eight times
//! the work, and streams take no memory by their length.
//!
//! Measured is the time that the binary works, whatever else the machine does. A square would take 64 times as long; up to 12
//! times is taken for noise. `scripts/prove-growth` does the same for every pair, with each event in a piece of its own.

use std::time::Duration;

use llm_gateway::auth::token::DEVELOPMENT_KEY;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::binary::{Binary, Running};
use crate::support::raw_upstream::{RawConnection, RawUpstream};
use crate::support::speaker::{Mode, Speaker, Talk, Tool, Turn};

const MIB: usize = 1024 * 1024;

/// Models, and whose format their provider is spoken to in by others.
const MODELS: [(&str, Speaker); 4] = [
    ("gpt-4.1-mini", Speaker::Responses),
    ("claude-sonnet-4-5", Speaker::Messages),
    ("gemini-2.5-flash-lite", Speaker::Gemini),
    ("plain/gpt-4.1-mini", Speaker::Chat),
];

/// The binary, with a provider in place of all that streams as many tiny events as the request says.
struct World {
    gateway: Running,
    client: reqwest::Client,
    _upstream: RawUpstream,
    _files: TempDir,
}

fn proves_all() -> bool {
    std::env::var_os("PROVE_GROWTH").is_some()
}

/// The caller, the model, and the provider's format.
fn pairs() -> Vec<(Speaker, &'static str, Speaker)> {
    let pair = |(caller, number): (Speaker, usize)| (caller, MODELS[number].0, MODELS[number].1);
    if proves_all() {
        return Speaker::ALL.into_iter().flat_map(|caller| (0..4).map(move |number| pair((caller, number)))).collect();
    }
    // One that is translated, and one that passes as it is.
    [(Speaker::Gemini, 3), (Speaker::Messages, 1)].map(pair).to_vec()
}

impl World {
    async fn start() -> Self {
        let upstream = RawUpstream::start(|_, mut connection| async move {
            while let Some(request) = connection.request().await {
                answer(&mut connection, &request.head, &request.body).await;
            }
        })
        .await;
        let files = TempDir::new().unwrap();
        let settings = files.path().join("gateway.toml");
        let url = format!("http://{}", upstream.address());
        let plain = format!(
            "[providers.plain]\nkind = \"openai\"\n[providers.plain.upstreams.default]\n\
             base_url = \"{url}/v1\"\napi_key = \"key\"\nresponses = false"
        );
        std::fs::write(&settings, plain).unwrap();
        let data = files.path().join("data");
        let mut binary = Binary::new(["dev", "--port", "0", "--data", data.to_str().unwrap()])
            .env("LLM_GATEWAY_CONFIG", settings)
            .env("LLM_GATEWAY__SERVER__WORKERS", "1");
        for (name, path) in [("OPENAI", "/v1"), ("ANTHROPIC", ""), ("GEMINI", "")] {
            binary = binary
                .env(format!("LLM_GATEWAY_{name}_API_KEY"), "key")
                .env(format!("LLM_GATEWAY_{name}_BASE_URL"), format!("{url}{path}"));
        }
        Self { gateway: binary.start(), client: reqwest::Client::new(), _upstream: upstream, _files: files }
    }

    /// What came of a call: its status, how much was heard, and the end of that.
    async fn call(&self, path: &str, body: Vec<u8>) -> (u16, usize, Vec<u8>) {
        let url = format!("{}{path}", self.gateway.url());
        let call = self.client.request(Method::POST, url).bearer_auth(DEVELOPMENT_KEY);
        let mut answer = call.header("content-type", "application/json").body(body).send().await.unwrap();
        let (mut heard, mut end) = (0, Vec::new());
        while let Some(piece) = answer.chunk().await.unwrap() {
            heard += piece.len();
            end.extend_from_slice(&piece);
            // The last event of Responses has the whole text, and all tools.
            if end.len() > 64 * MIB {
                end.drain(..end.len() - 32 * MIB);
            }
        }
        (answer.status().as_u16(), heard, end)
    }

    /// Holds what `work` with so many things costs to its size.
    #[expect(clippy::print_stderr, reason = "a figure for scripts/prove-growth")]
    async fn assert_linear(&self, what: &str, many: usize, work: impl AsyncFn(usize)) {
        let cost = async |count: usize| {
            let before = self.gateway.worked();
            work(count).await;
            self.gateway.worked() - before
        };
        let (mut short, mut long) = (Duration::MAX, Duration::MAX);
        for _ in 0..5 {
            short = short.min(cost(many / 8).await);
            long = long.min(cost(many).await);
            if long < short * 12 + Duration::from_millis(50) {
                if proves_all() {
                    eprintln!("{what}: {} took {short:?}, {many} took {long:?}", many / 8);
                }
                return;
            }
        }
        panic!("{what}: {} took {short:?} and {many} took {long:?}", many / 8);
    }
}

/// A stream's beginning, a tiny event of it, and its end.
fn tiny(speaker: Speaker) -> [String; 3] {
    let text = match speaker {
        Speaker::Chat => include_str!("../fixtures/tiny/openai_chat.txt"),
        Speaker::Responses => include_str!("../fixtures/tiny/openai_responses.txt"),
        Speaker::Messages => include_str!("../fixtures/tiny/anthropic.txt"),
        Speaker::Gemini => include_str!("../fixtures/tiny/gemini.txt"),
    };
    let mut parts =
        text.split("\n\n").map(|part| part.lines().map(|data| format!("data: {data}\n\n")).collect::<String>());
    std::array::from_fn(|_| parts.next().unwrap())
}

fn piece(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// Streams as many tiny events as the request's text says: `count=1000`.
async fn answer(connection: &mut RawConnection, head: &str, body: &[u8]) {
    let path = head.split(' ').nth(1).unwrap();
    let speaker = match path {
        _ if path.contains("/chat/completions") => Speaker::Chat,
        _ if path.contains("/responses") => Speaker::Responses,
        _ if path.contains("/messages") => Speaker::Messages,
        _ => Speaker::Gemini,
    };
    let text = String::from_utf8_lossy(body);
    let count: usize = text.split_once("count=").map_or(1, |(_, rest)| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    });
    let [begin, event, end] = tiny(speaker);
    let begin = piece(&begin);
    connection
        .send(format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n{begin}"
        ))
        .await;
    const TOGETHER: usize = 500;
    let together = if proves_all() { piece(&event).repeat(TOGETHER) } else { piece(&event.repeat(TOGETHER)) };
    for _ in 0..count / TOGETHER {
        connection.send(&together).await;
    }
    connection.send(format!("{}0\r\n\r\n", piece(&end))).await;
}

fn ends_well(caller: Speaker, end: &[u8]) -> bool {
    let text = String::from_utf8_lossy(end);
    let Some(last) = text.trim_end().rsplit("data: ").next() else { return false };
    let is = |kind: &str| serde_json::from_str::<Value>(last).is_ok_and(|last| last["type"] == kind);
    match caller {
        Speaker::Chat => last == "[DONE]",
        Speaker::Responses => is("response.completed"),
        Speaker::Messages => is("message_stop"),
        Speaker::Gemini => last.contains("\"finishReason\":\"STOP\""),
    }
}

fn says(model: &str, text: &str) -> Talk {
    Talk { model: model.to_owned(), turns: vec![Turn::User(text.to_owned())], ..Talk::default() }
}

#[actix_rt::test]
async fn a_stream_of_a_million_tiny_events_takes_time_by_its_bytes_and_memory_by_none() {
    let world = World::start().await;
    for (caller, model, provider) in pairs() {
        // A build for tests takes some 25 times as long to translate as what is shipped.
        let many = if proves_all() || caller == provider { 1_000_000 } else { 200_000 };
        let stream = async |count: usize| {
            let (path, body) = caller.call(&says(model, &format!("count={count}")), Mode::Stream);
            let (status, heard, end) = world.call(&path, body.to_string().into_bytes()).await;
            let shown = String::from_utf8_lossy(&end[end.len().saturating_sub(1_000)..]).into_owned();
            assert_eq!(status, 200, "{caller:?} of {model}: {shown}");
            assert!(heard > count * 50 && ends_well(caller, &end), "{caller:?} of {model}: {heard} bytes: {shown}");
        };
        stream(many / 8).await;
        let before = world.gateway.peak_memory();
        world.assert_linear(&format!("{caller:?} of {provider:?}"), many, stream).await;
        // The kernel's count of a process's pages lags behind by some.
        let grown = world.gateway.peak_memory().saturating_sub(before);
        assert!(grown < 32 * MIB, "{caller:?} of {model} made it grow by {} KiB", grown / 1024);
    }
}

#[actix_rt::test]
async fn a_request_with_a_hundred_thousand_tools_takes_time_by_its_bytes() {
    let world = World::start().await;
    for (caller, model, provider) in pairs() {
        let tool =
            Tool { name: "TOOL", parameters: json!({"type": "object", "properties": {"a": {"type": "string"}}}) };
        let (path, body) = caller.call(&Talk { tools: vec![tool], ..says(model, "hi") }, Mode::Stream);
        let body = body.to_string();
        // The one tool, as its dialect has it, is found by its name.
        let begin = body[..body.find("TOOL").unwrap()].rfind('[').unwrap() + 1;
        let end = begin + end_of_the_first(&body[begin..]);
        world
            .assert_linear(&format!("tools of {caller:?} for {provider:?}"), 100_000, async |count| {
                let tools: Vec<String> =
                    (0..count).map(|number| body[begin..end].replace("TOOL", &format!("tool_{number}"))).collect();
                let body = [&body[..begin], &tools.join(","), &body[end..]].concat();
                let (status, _, end) = world.call(&path, body.into_bytes()).await;
                assert!(status == 200 && ends_well(caller, &end), "{caller:?}: {}", String::from_utf8_lossy(&end));
            })
            .await;
    }
}

/// Where the first value of a list ends.
fn end_of_the_first(list: &str) -> usize {
    let mut values = serde_json::Deserializer::from_str(list).into_iter::<Value>();
    values.next().unwrap().unwrap();
    values.byte_offset()
}

#[actix_rt::test]
async fn json_of_any_depth_is_answered_in_the_time_of_its_bytes() {
    let world = World::start().await;
    for (caller, model, provider) in pairs() {
        let (path, body) = caller.call(&says(model, "hi"), Mode::Stream);
        let body = body.to_string();
        for (what, open, close) in
            [("lists", "[", "]"), ("objects", "{\"a\":", "}"), ("lists that stay open", "[", ""), ("ends", "]", "}")]
        {
            world
                .assert_linear(&format!("{what} of {caller:?} for {provider:?}"), 4_000_000, async |count| {
                    let deep = format!("{}1{}", open.repeat(count / 2), close.repeat(count / 2));
                    let body = body.replacen('{', &format!("{{\"later\":{deep},"), 1);
                    let (status, _, end) = world.call(&path, body.into_bytes()).await;
                    let end = String::from_utf8_lossy(&end);
                    assert!(status == 200 || status == 400, "{caller:?} of {model}: {status} {end}");
                })
                .await;
        }
    }
}
