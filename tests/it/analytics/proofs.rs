//! That no event is lost, whatever ends: PostHog for a while, the process, the disk. The binary as it is shipped, in `dev`.
//!
//! Runs are short here. `scripts/prove-analytics` makes the same ones long, by `PROVE_CALLS`.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::binary::{Binary, Running};
use crate::support::posthog::{Event, KEY, Mood, PostHog, property};
use crate::support::wait;

/// How many calls are under way at a time. Each caller's come one after the other.
const CALLERS: usize = 16;

/// Written within this time of the call's end.
const WRITTEN_WITHIN: Duration = Duration::from_millis(100);

fn calls() -> usize {
    std::env::var("PROVE_CALLS").map_or(640, |calls| calls.parse().unwrap())
}

fn dev(data: &TempDir, posthog: &PostHog) -> Binary {
    configured(Binary::new(["dev", "--port", "0", "--data", path(data)]), posthog)
}

fn configured(binary: Binary, posthog: &PostHog) -> Binary {
    binary
        .env("LLM_GATEWAY_POSTHOG_API_KEY", KEY)
        .env("LLM_GATEWAY_POSTHOG_HOST", posthog.url())
        .env("LLM_GATEWAY__ANALYTICS__FLUSH_EVERY", "50ms")
        .env("LLM_GATEWAY__ANALYTICS__RETRY_MAX", "100ms")
        .env("LLM_GATEWAY__TELEMETRY__LOG", "warn,llm_gateway::actors=info")
        .env("LLM_GATEWAY__PRODUCTS__LLM_GATEWAY__LIMITS", "[]")
}

fn path(data: &TempDir) -> &str {
    data.path().to_str().unwrap()
}

/// A call that was answered.
#[derive(Clone, Copy, Debug)]
struct Answered {
    caller: usize,
    number: usize,
    at: Instant,
}

/// Calls, by all callers at once, until each has made its share, or the gateway is gone. Each is numbered within its caller.
async fn call(gateway: &Running, first: usize, calls: usize) -> Vec<Answered> {
    let answered = Mutex::new(Vec::new());
    let is_gone = AtomicBool::new(false);
    let url = format!("{}/v1/chat/completions", gateway.url());
    let client = reqwest::Client::new();
    let callers = (0..CALLERS).map(|caller| {
        let (answered, is_gone, url, client) = (&answered, &is_gone, &url, &client);
        async move {
            let body = json!({
                "model": "gpt-4.1-mini",
                "messages": [{"role": "user", "content": "Hello"}],
                "user": format!("caller-{caller}"),
            });
            for number in first..first + calls / CALLERS {
                let request = client
                    .post(url)
                    .bearer_auth(llm_gateway::auth::token::DEVELOPMENT_KEY)
                    .header("x-posthog-property-number", number.to_string())
                    .json(&body);
                let whole = async { request.send().await?.error_for_status()?.bytes().await };
                if is_gone.load(Ordering::Relaxed) || whole.await.is_err() {
                    is_gone.store(true, Ordering::Relaxed);
                    return;
                }
                answered.lock().unwrap().push(Answered { caller, number, at: Instant::now() });
            }
        }
    });
    futures_util::future::join_all(callers).await;
    answered.into_inner().unwrap()
}

fn number(event: &Event) -> usize {
    let number = property(event, "number");
    number.as_str().map_or_else(|| number.to_string(), str::to_owned).parse().unwrap()
}

/// Each caller's events came in the order of its calls.
fn assert_in_order(posthog: &PostHog) {
    for (caller, events) in posthog.by_caller() {
        let numbers: Vec<usize> = events.iter().map(number).collect();
        assert!(numbers.is_sorted_by(|one, other| one < other), "{caller}: {numbers:?}");
    }
}

fn uuids(posthog: &PostHog) -> usize {
    posthog.events().iter().map(|event| event.uuid.clone()).collect::<BTreeSet<_>>().len()
}

/// How events stand, as operators see it.
async fn standing(gateway: &Running) -> Value {
    let url = format!("{}/health/actors", gateway.url());
    let health: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    health["analytics"].clone()
}

async fn until_standing(gateway: &Running, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let deadline = wait::DEADLINE * u32::try_from(1 + calls() / 2_000).unwrap();
    wait::until_within(deadline, what, || async { Some(standing(gateway).await).filter(&holds) }).await
}

/// As many as there were calls, and in order.
async fn assert_all_arrive(posthog: &PostHog, calls: usize) {
    wait::until_equal("PostHog's events", calls, || posthog.taken()).await;
    assert_eq!(uuids(posthog), calls);
    assert_in_order(posthog);
}

#[tokio::test]
async fn posthog_is_down_for_a_whole_run_and_nothing_is_missing() {
    let (data, posthog) = (TempDir::new().unwrap(), PostHog::in_mood(Mood::Down));
    let gateway = dev(&data, &posthog).start();
    assert_eq!(call(&gateway, 0, calls()).await.len(), calls());
    until_standing(&gateway, "all to be written", |standing| standing["spool"]["events"] == calls()).await;
    posthog.set(Mood::Well);
    assert_all_arrive(&posthog, calls()).await;
    assert_eq!(posthog.repeated(), 0);
    until_standing(&gateway, "the spool to be empty", |standing| standing["spool"]["events"] == 0).await;
}

#[tokio::test]
async fn sigterm_in_the_middle_loses_nothing() {
    let (data, posthog) = (TempDir::new().unwrap(), PostHog::in_mood(Mood::Down));
    let mut made = 0;
    for half in 0..2 {
        let gateway = dev(&data, &posthog).start();
        made += call(&gateway, half * calls(), calls() / 2).await.len();
        gateway.terminate();
        assert_eq!(gateway.wait().code, Some(0));
    }
    assert_eq!(posthog.taken(), 0);
    posthog.set(Mood::Well);
    let gateway = dev(&data, &posthog).start();
    assert_all_arrive(&posthog, made).await;
    drop(gateway);
}

#[tokio::test]
async fn sigterm_under_load_loses_nothing_that_was_answered() {
    let (data, posthog) = (TempDir::new().unwrap(), PostHog::in_mood(Mood::Down));
    let gateway = dev(&data, &posthog).start();
    let (answered, ()) = tokio::join!(call(&gateway, 0, 100 * calls()), async {
        until_standing(&gateway, "half of the calls", |standing| {
            standing["recorded"].as_u64() > Some(calls() as u64 / 2)
        })
        .await;
        gateway.terminate();
    });
    let ended = gateway.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    posthog.set(Mood::Well);
    let gateway = dev(&data, &posthog).start();
    wait::until_true("PostHog to have all", || posthog.taken() >= answered.len()).await;
    assert_in_order(&posthog);
    let arrived: BTreeSet<(String, usize)> =
        posthog.events().iter().map(|event| (event.distinct_id.clone(), number(event))).collect();
    for call in answered {
        assert!(arrived.contains(&(format!("caller-{}", call.caller), call.number)), "{call:?} is missing");
    }
    drop(gateway);
}

#[tokio::test]
async fn kill_9_in_the_middle_loses_what_ended_in_the_last_moment_at_most() {
    let (data, posthog) = (TempDir::new().unwrap(), PostHog::in_mood(Mood::Down));
    let gateway = dev(&data, &posthog).start();
    let killed = Mutex::new((Instant::now(), 0));
    let (answered, ()) = tokio::join!(call(&gateway, 0, 100 * calls()), async {
        let standing = until_standing(&gateway, "half of the calls", |standing| {
            standing["spool"]["events"].as_u64() > Some(calls() as u64 / 2)
        })
        .await;
        // Not a moment later: a call that ends as the signal arrives counts as one of the last moment.
        *killed.lock().unwrap() = (Instant::now(), standing["spool"]["events"].as_u64().unwrap());
        gateway.signal(Signal::KILL);
    });
    assert_eq!(gateway.wait().code, None);
    let (killed, written) = killed.into_inner().unwrap();

    posthog.set(Mood::Well);
    let gateway = dev(&data, &posthog).start();
    until_standing(&gateway, "the spool to be empty", |standing| {
        standing["spool"]["events"] == 0 && standing["sent"].as_u64() >= Some(written)
    })
    .await;
    assert!(posthog.taken() as u64 >= written, "{} of {written} that were written", posthog.taken());
    assert_in_order(&posthog);
    let arrived: BTreeSet<(String, usize)> =
        posthog.events().iter().map(|event| (event.distinct_id.clone(), number(event))).collect();
    let missing: Vec<Duration> = answered
        .iter()
        .filter(|call| !arrived.contains(&(format!("caller-{}", call.caller), call.number)))
        .map(|call| killed.saturating_duration_since(call.at))
        .collect();
    let oldest = missing.iter().max().copied().unwrap_or_default();
    #[expect(clippy::print_stderr, reason = "a figure for scripts/prove-analytics")]
    {
        eprintln!(
            "{} of {} calls are missing; the oldest ended {oldest:?} before the end",
            missing.len(),
            answered.len()
        );
    }
    assert!(oldest < WRITTEN_WITHIN, "one is missing that had ended {oldest:?} before");
}

#[tokio::test]
async fn a_full_spool_loses_the_oldest_or_the_newest_and_no_call_notices() {
    for policy in ["drop_oldest", "drop_newest"] {
        let (data, posthog) = (TempDir::new().unwrap(), PostHog::in_mood(Mood::Down));
        let gateway = dev(&data, &posthog)
            .env("LLM_GATEWAY__ANALYTICS__SPOOL_BYTES", "1048576")
            .env("LLM_GATEWAY__ANALYTICS__WHEN_FULL", policy)
            .start();
        let mut made = 0;
        loop {
            large_call(&gateway, made, &noise()).await;
            made += 1;
            // One by one: what is written together stays or goes together.
            let standing = until_standing(&gateway, "the event to be written or dropped", |standing| {
                standing["spool"]["events"].as_u64().unwrap() + dropped(standing) == made as u64
            })
            .await;
            if dropped(&standing) >= 3 {
                break;
            }
            assert!(made < 1000, "the spool has no end");
        }
        wait::until_true("a line in the log", || gateway.stderr().contains("events were dropped")).await;
        posthog.set(Mood::Well);
        let standing = until_standing(&gateway, "the spool to be empty", |standing| {
            standing["buffer"]["events"] == 0 && standing["spool"]["events"] == 0
        })
        .await;
        let numbers: Vec<usize> = posthog.events().iter().map(number).collect();
        assert_eq!(numbers.len() as u64 + dropped(&standing), made as u64, "{policy}");
        if policy == "drop_oldest" {
            assert_eq!(numbers.last(), Some(&(made - 1)), "the newest stays");
            assert_ne!(numbers.first(), Some(&0));
        } else {
            assert_eq!(numbers.first(), Some(&0), "the oldest stays");
            // One may be a few bytes smaller than those before it, and fit.
            let newest = numbers.iter().filter(|number| **number + 3 >= made).count();
            assert!(newest <= 1, "{newest} of the newest three");
        }
        let complaints = gateway.stderr().matches("events were dropped").count();
        assert_eq!(complaints, 1, "once a minute");
    }
}

/// How many events a full spool has cost.
fn dropped(standing: &Value) -> u64 {
    standing["dropped"]["spool_full"].as_u64().unwrap()
}

/// Some hundred KiB that cannot be made much smaller, in words: what looks like a file is not kept.
fn noise() -> String {
    (0..20_000).map(|at| if at % 8 == 7 { ' ' } else { fastrand::char('\u{400}'..'\u{4ff}') }).collect()
}

async fn large_call(gateway: &Running, number: usize, prompt: &str) {
    let body = json!({"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": prompt}]});
    let answer = reqwest::Client::new()
        .post(format!("{}/v1/chat/completions", gateway.url()))
        .bearer_auth(llm_gateway::auth::token::DEVELOPMENT_KEY)
        .header("x-posthog-property-number", number.to_string())
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_full_disk_costs_no_call_and_no_event_that_memory_has_room_for() {
    let (data, posthog) = (TempDir::new().unwrap(), PostHog::in_mood(Mood::Down));
    // The development database has its room; a spool of more than half a mebibyte does not.
    let binary = Binary::with_small_files(512 * 1024, ["dev", "--port", "0", "--data", path(&data)]);
    let gateway = configured(binary, &posthog).start();
    let mut made = 0;
    while standing(&gateway).await["spool_state"] != "troubled" {
        large_call(&gateway, made, &noise()).await;
        made += 1;
        assert!(made < 200, "the disk has no end");
    }
    for _ in 0..5 {
        large_call(&gateway, made, "Hello").await;
        made += 1;
    }
    until_standing(&gateway, "events in memory", |standing| standing["memory"]["events"].as_u64() > Some(0)).await;
    assert!(gateway.stderr().contains("cannot be used"), "{}", gateway.stderr());
    posthog.set(Mood::Well);
    wait::until_equal("PostHog's events", made, || posthog.taken()).await;
    let numbers: Vec<usize> = posthog.events().iter().map(number).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    gateway.terminate();
    assert_eq!(gateway.wait().code, Some(0));
}

#[tokio::test]
async fn where_no_file_can_be_made_events_are_sent_from_memory() {
    let (data, posthog) = (TempDir::new().unwrap(), PostHog::in_mood(Mood::Down));
    let gateway = dev(&data, &posthog).env("LLM_GATEWAY__ANALYTICS__SPOOL", "/proc/nowhere/events.db").start();
    assert_eq!(call(&gateway, 0, CALLERS).await.len(), CALLERS);
    until_standing(&gateway, "all to wait in memory", |standing| standing["memory"]["events"] == CALLERS).await;
    assert!(gateway.stderr().contains("they wait in memory"), "{}", gateway.stderr());
    posthog.set(Mood::Well);
    assert_all_arrive(&posthog, CALLERS).await;
}

/// Moved, a file under an open connection is read-only from there on: what is written to it would be lost.
#[tokio::test]
async fn a_file_that_becomes_read_only_costs_no_call_and_no_event() {
    let (data, posthog) = (TempDir::new().unwrap(), PostHog::in_mood(Mood::Down));
    let gateway = dev(&data, &posthog).start();
    assert_eq!(call(&gateway, 0, CALLERS).await.len(), CALLERS);
    until_standing(&gateway, "all to be in the file", |standing| standing["spool"]["events"] == CALLERS).await;
    let file = data.path().join("llm-gateway-events.db");
    std::fs::rename(&file, data.path().join("moved.db")).unwrap();
    assert_eq!(call(&gateway, 1, CALLERS).await.len(), CALLERS);
    posthog.set(Mood::Well);
    assert_all_arrive(&posthog, 2 * CALLERS).await;
    gateway.terminate();
    assert_eq!(gateway.wait().code, Some(0));
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_a_new_one_begun() {
    let (data, posthog) = (TempDir::new().unwrap(), PostHog::start());
    std::fs::write(data.path().join("llm-gateway-events.db"), "no database, but a text ".repeat(1000)).unwrap();
    let gateway = dev(&data, &posthog).start();
    assert_eq!(call(&gateway, 0, CALLERS).await.len(), CALLERS);
    assert_all_arrive(&posthog, CALLERS).await;
    assert!(names(data.path()).iter().any(|name| name.starts_with("llm-gateway-events.db.damaged-")));
    assert!(gateway.stderr().contains("is damaged"), "{}", gateway.stderr());
}

#[tokio::test]
async fn two_processes_with_one_path_send_each_event_once() {
    let (data, posthog) = (TempDir::new().unwrap(), PostHog::in_mood(Mood::Down));
    let other_data = TempDir::new().unwrap();
    let spool = data.path().join("shared.db");
    let start = |data| dev(data, &posthog).env("LLM_GATEWAY__ANALYTICS__SPOOL", spool.as_os_str()).start();
    let (first, second) = (start(&data), start(&other_data));
    assert_eq!(call(&first, 0, CALLERS).await.len(), CALLERS);
    assert_eq!(call(&second, 1000, CALLERS).await.len(), CALLERS);
    for gateway in [&first, &second] {
        until_standing(gateway, "all to be written", |standing| standing["spool"]["events"] == CALLERS).await;
    }
    // The first one's are left behind, and the next one takes them over with its name.
    first.signal(Signal::KILL);
    first.wait();
    let third = start(&data);
    until_standing(&third, "the first one's events", |standing| standing["spool"]["events"] == CALLERS).await;
    second.terminate();
    assert_eq!(second.wait().code, Some(0));
    posthog.set(Mood::Well);
    wait::until_equal("the first one's events", CALLERS, || posthog.taken()).await;
    third.terminate();
    third.wait();
    let fourth = start(&data);
    wait::until_equal("the second one's events", 2 * CALLERS, || posthog.taken()).await;
    assert_eq!((uuids(&posthog), posthog.repeated()), (2 * CALLERS, 0));
    drop(fourth);
}

#[tokio::test]
async fn the_projects_key_is_in_no_log() {
    let (data, posthog) = (TempDir::new().unwrap(), PostHog::in_mood(Mood::Refusing(401, None)));
    let gateway = dev(&data, &posthog).env("LLM_GATEWAY__TELEMETRY__LOG", "trace").start();
    assert_eq!(call(&gateway, 0, CALLERS).await.len(), CALLERS);
    wait::until_true("a line about the key", || gateway.stderr().contains("PostHog refuses the key")).await;
    gateway.terminate();
    let ended = gateway.wait();
    assert!(!ended.stderr.contains(KEY) && !ended.stdout.contains(KEY));
}

fn names(folder: &Path) -> Vec<String> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
