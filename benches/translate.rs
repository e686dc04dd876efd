//! What translation costs: a request read and written, 1 KB and 200 KB of it, and one event of a stream, for each pair.
//!
//! `cargo bench --bench translate`. Measured is the time that this thread works, not the time that passes, so that other
//! work on the machine counts for less. `docs/translation.md` has the figures.
#![expect(clippy::unwrap_used, reason = "a bench may panic")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BatchSize, Criterion, Throughput};
use llm_gateway::dialect::{Adaptions, Asked, Delivery, Dialect, RequestHead, Target};
use llm_gateway::ir::Request;
use llm_gateway::translate::{Strictness, TranscodedStream, Transcoder, decode, encode};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

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
    for (name, size) in [("request of 1 KB", 1_000), ("request of 200 KB", 200_000)] {
        let mut group = criterion.benchmark_group(name);
        for (caller, provider) in pairs() {
            let body = said_in(caller, size);
            let target = Target::unlimited(provider, "m");
            group.throughput(Throughput::Bytes(body.len().try_into().unwrap()));
            group.bench_function(format!("{caller} to {provider}"), |bencher| {
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
    /// So many events to a stream: some of what they cost depends on how many came before.
    const EVENTS: usize = 1_000;
    let mut group = criterion.benchmark_group("1,000 events of a stream");
    group.throughput(Throughput::Elements(EVENTS.try_into().unwrap()));
    for (caller, provider) in pairs() {
        let (begun, next) = begun_in(provider);
        let mut ready = stream(caller, provider);
        ready.push(&begun, &mut Vec::new());
        group.bench_function(format!("{provider} to {caller}"), |bencher| {
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

fn main() {
    let mut criterion = Criterion::default().with_measurement(WorkTime).configure_from_args();
    requests(&mut criterion);
    stream_events(&mut criterion);
    criterion.final_summary();
}
