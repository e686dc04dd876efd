//! What translation costs: a request read and written, 1 KB and 200 KB of it, and one event of a stream, for each pair.
//!
//! `cargo bench --bench translate`. Measured is the time that this thread works, not the time that passes, so that other
//! work on the machine counts for less. A whole run fails where a request of 200 KB takes 2 ms, or one event 5 µs, or more.
//! `docs/translation.md` has the figures.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench may panic, and says what it measured")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BatchSize, Criterion, Throughput};
use llm_gateway::dialect::{Adaptions, Asked, Delivery, Dialect, RequestHead, Target};
use llm_gateway::ir::Request;
use llm_gateway::translate::{Strictness, TranscodedStream, Transcoder, decode, encode};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

const LARGE_REQUEST: &str = "request of 200 KB";
const EVENTS_OF_A_STREAM: &str = "1,000 events of a stream";

/// So many events to a stream: some of what they cost depends on how many came before.
const EVENTS: usize = 1_000;

/// What a request of 200 KB may take, and so many events of a stream, in nanoseconds.
const MOST: [(&str, f64); 2] = [(LARGE_REQUEST, 2e6), (EVENTS_OF_A_STREAM, 5e3 * EVENTS as f64)];

/// The time that this thread has worked.
struct WorkTime;

impl Measurement for WorkTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec.try_into().unwrap(), now.tv_nsec.try_into().unwrap())
    }

    fn end(&self, start: Duration) -> Duration {
        self.start() - start
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// A request of about so many bytes: what an agent sends, with tools, calls, results and prose.
fn conversation(size: usize) -> Value {
    let tool = |number: usize| {
        json!({"type": "function", "function": {
            "name": format!("tool_{number}"),
            "description": "Reads a file from the workspace, or a part of it, and returns its lines with their numbers.",
            "parameters": {"type": "object", "properties": {
                "path": {"type": "string", "description": "The file's path, from the workspace's root."},
                "first": {"type": "integer", "description": "The first line.", "minimum": 1},
                "kind": {"type": "string", "enum": ["text", "binary"]},
            }, "required": ["path"], "additionalProperties": false},
        }})
    };
    let mut messages =
        vec![json!({"role": "system", "content": "You work on a code base. Answer in short sentences."})];
    let mut tools = vec![tool(0)];
    let mut known = 700;
    let mut round = 0;
    while known < size {
        let mut lines = String::new();
        for line in 0..30 {
            writeln!(lines, "{line:>4}\tlet value = parts.get(\"{round}-{line}\")?; // \"quoted\" — and so on")
                .unwrap();
        }
        if tools.len() < 30 {
            tools.push(tool(tools.len()));
        }
        let arguments = json!({"path": format!("src/file_{round}.rs"), "first": round + 1, "kind": "text"}).to_string();
        let id = format!("call_{round:024}");
        messages.extend([
            json!({"role": "user", "content": format!("What does the function in file {round} do, and who calls it?")}),
            json!({"role": "assistant", "content": "I look at the file first.", "tool_calls": [
                {"id": id, "type": "function", "function": {"name": "tool_0", "arguments": arguments}}]}),
            json!({"role": "tool", "tool_call_id": id, "content": lines}),
            json!({"role": "assistant", "content": "It takes the parts apart and returns the first one that has a value."}),
        ]);
        round += 1;
        known = json!({"messages": messages, "tools": tools}).to_string().len();
    }
    messages.push(json!({"role": "user", "content": "Thank you. Now write a test for it."}));
    json!({"model": "m", "messages": messages, "tools": tools, "temperature": 0.5, "max_completion_tokens": 4096})
}

/// The same request as each dialect says it.
fn said_in(dialect: Dialect, size: usize) -> Vec<u8> {
    let chat = conversation(size).to_string().into_bytes();
    let request = decode(Dialect::OpenAiChat, &chat, &RequestHead::default()).unwrap();
    encode(&request, &Target::unlimited(dialect, "m"), Strictness::Report).unwrap().body
}

/// A stream that has begun, as each dialect says it, and the event that follows next.
fn begun_in(dialect: Dialect) -> (Vec<u8>, Vec<u8>) {
    let chunk = |text: &str| {
        let choices = json!([{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": null}]);
        format!("data: {}\n\n", json!({"id": "chatcmpl-1", "model": "m", "created": 1, "choices": choices}))
    };
    let mut stream = stream(dialect, Dialect::OpenAiChat);
    let (mut begun, mut next) = (Vec::new(), Vec::new());
    stream.push(chunk("Hello").as_bytes(), &mut begun);
    stream.push(chunk(", what can I do for you?").as_bytes(), &mut next);
    (begun, next)
}

fn stream(caller: Dialect, provider: Dialect) -> TranscodedStream {
    let asked = Asked::by(&Request::default(), Delivery::Events).known_as("1");
    Transcoder::new(caller, provider, asked, Adaptions::default()).stream().unwrap()
}

fn pairs() -> impl Iterator<Item = (Dialect, Dialect)> {
    Dialect::ALL.into_iter().flat_map(|caller| Dialect::ALL.into_iter().map(move |provider| (caller, provider)))
}

fn requests(criterion: &mut Criterion<WorkTime>) {
    for (name, size) in [("request of 1 KB", 1_000), (LARGE_REQUEST, 200_000)] {
        let mut group = criterion.benchmark_group(name);
        for (caller, provider) in pairs() {
            let body = said_in(caller, size);
            let target = Target::unlimited(provider, "m");
            group.throughput(Throughput::Bytes(body.len().try_into().unwrap()));
            group.bench_function(named(caller, provider), |bencher| {
                bencher.iter(|| {
                    let request = decode(caller, black_box(&body), &RequestHead::default()).unwrap();
                    encode(&request, &target, Strictness::Report).unwrap()
                });
            });
        }
        group.finish();
    }
}

fn stream_events(criterion: &mut Criterion<WorkTime>) {
    let mut group = criterion.benchmark_group(EVENTS_OF_A_STREAM);
    group.throughput(Throughput::Elements(EVENTS.try_into().unwrap()));
    for (caller, provider) in pairs() {
        let (begun, next) = begun_in(provider);
        let mut ready = stream(caller, provider);
        ready.push(&begun, &mut Vec::new());
        group.bench_function(named(provider, caller), |bencher| {
            let setup = || (ready.clone(), Vec::with_capacity(4_096));
            let events = |(stream, out): &mut (TranscodedStream, Vec<u8>)| {
                for _ in 0..EVENTS {
                    out.clear();
                    stream.push(black_box(&next), out);
                }
            };
            bencher.iter_batched_ref(setup, events, BatchSize::LargeInput);
        });
    }
    group.finish();
}

fn named(from: Dialect, to: Dialect) -> String {
    format!("{from} to {to}")
}

/// Where criterion keeps what it measured.
fn measured() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench")
}

/// The median of what one took, in nanoseconds.
fn median(group: &str, pair: &str) -> f64 {
    let file = measured().join(group).join(pair).join("new/estimates.json");
    let estimates: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    estimates["median"]["point_estimate"].as_f64().unwrap()
}

/// Says how the dearest pair of each group did; whether all kept to what they may take.
fn verdict() -> bool {
    MOST.into_iter().fold(true, |good, (group, most)| {
        let medians = pairs().map(|(from, to)| named(from, to)).map(|pair| (median(group, &pair), pair));
        let (took, pair) = medians.max_by(|(one, _), (other, _)| one.total_cmp(other)).unwrap();
        let word = if took < most { "reached" } else { "MISSED" };
        println!("{group}, {pair}: {:.2} ms, at most {:.2} ms: {word}", took / 1e6, most / 1e6);
        good && took < most
    })
}

fn main() -> ExitCode {
    let criterion = Criterion::default().with_measurement(WorkTime).output_directory(&measured());
    let mut criterion = criterion.configure_from_args();
    requests(&mut criterion);
    stream_events(&mut criterion);
    criterion.final_summary();
    // Where only some were asked for, or none is measured, there is no verdict.
    let is_whole = std::env::args().skip(1).all(|arg| arg == "--bench");
    if !is_whole || verdict() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
