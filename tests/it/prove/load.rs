//! 64 callers who make calls of a cent as fast as they are let, and keep their own books: what a call cost they work out
//! themselves, from the usage in the answer that they got.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use llm_gateway::auth::token::DEVELOPMENT_KEY;
use llm_gateway::money::NanoUsd;
use serde_json::{Value, json};

use super::fleet::Fleet;
use crate::support::wait;

pub(super) const CENT: NanoUsd = NanoUsd(10_000_000);
pub(super) const DOLLAR: NanoUsd = NanoUsd(1_000_000_000);

/// What a killed gateway may take with it: what was answered since its last batch, 40 ms ago, and a batch under way.
pub(super) const LAST_MOMENTS: Duration = Duration::from_millis(50);

const CALLERS: usize = 64;

/// How a call's estimate stands to the cent that it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Estimate {
    /// 101 tokens at most, and 100 in the end.
    OnePercentHigh,
    /// The gateway supposes 4096 tokens where no limit is set; there are 4170.
    TwoPercentLow,
    /// 1000 tokens at most, and 100 in the end.
    TenTimes,
}

/// What one caller knows of its calls.
#[derive(Debug)]
pub(super) struct Books {
    /// Who it said that it was.
    pub(super) user: String,
    /// When each answer came, and what it cost.
    pub(super) answers: Vec<(Instant, NanoUsd)>,
}

/// The callers, half of whom call one gateway and half the other.
#[derive(Debug)]
pub(super) struct Load<'a> {
    urls: &'a [String],
    estimate: Estimate,
    client: reqwest::Client,
    paid: AtomicUsize,
    is_over: AtomicBool,
    held: Mutex<Vec<Duration>>,
}

/// What came of a call.
enum Outcome {
    /// It was answered.
    Paid { at: Instant, cost: NanoUsd },
    /// The limit is spent.
    Spent,
    /// Calls under way may use it up.
    NoRoom,
    /// There was no answer.
    Lost,
}

impl Estimate {
    /// The model, and what a million tokens of its output cost in nano-dollars. Its input costs nothing.
    pub(super) fn price(self) -> (&'static str, i64) {
        match self {
            Self::OnePercentHigh | Self::TenTimes => ("gpt-4.1-mini", 100_000_000_000),
            Self::TwoPercentLow => ("gpt-4.1", 2_398_081_536),
        }
    }

    /// What an answer costs by its own usage, to the nearest nano-dollar.
    fn cost(self, answer: &str) -> NanoUsd {
        let answer: Value = serde_json::from_str(answer).unwrap();
        let tokens = answer["usage"]["completion_tokens"].as_i64().expect("an answer says its usage");
        let (_, per_million) = self.price();
        NanoUsd((tokens * per_million + 500_000) / 1_000_000)
    }

    fn body(self, user: &str) -> Value {
        let (model, _) = self.price();
        let (tokens, most) = match self {
            Self::OnePercentHigh => (100, Some(101)),
            Self::TwoPercentLow => (4170, None),
            Self::TenTimes => (100, Some(1000)),
        };
        // The sandbox counts a token for each four characters begun.
        let prompt = format!("[[sandbox:delay_ms=20]][[sandbox:say={}]]", "abc ".repeat(tokens - 1) + "done");
        json!({"model": model, "user": user, "max_tokens": most, "messages": [{"role": "user", "content": prompt}]})
    }
}

impl<'a> Load<'a> {
    pub(super) fn new(fleet: &'a Fleet, estimate: Estimate) -> Self {
        Self {
            urls: fleet.urls(),
            estimate,
            client: reqwest::Client::new(),
            paid: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            held: Mutex::default(),
        }
    }

    /// Calls for a user until all callers have been told that the limit is spent; what all of it cost.
    pub(super) async fn until_spent(&self, user: &str) -> NanoUsd {
        let callers = (0..CALLERS).map(|number| async move {
            let mut spent = NanoUsd::ZERO;
            loop {
                match self.call(number, user).await {
                    Outcome::Paid { cost, .. } => spent += cost,
                    Outcome::Spent => return spent,
                    Outcome::NoRoom => {}
                    Outcome::Lost => panic!("a call had no answer"),
                }
            }
        });
        wait::within("the limit to be spent", join_all(callers)).await.into_iter().sum()
    }

    /// Calls until it is stopped, or a gateway is gone, each caller for a user of its own.
    pub(super) async fn until_stopped(&self) -> Vec<Books> {
        let callers = (0..CALLERS).map(|number| async move {
            let mut books = Books { user: format!("caller {number}"), answers: Vec::new() };
            while !self.is_over.load(Ordering::SeqCst) {
                match self.call(number, &books.user).await {
                    Outcome::Paid { at, cost } => books.answers.push((at, cost)),
                    Outcome::Lost => break,
                    Outcome::Spent | Outcome::NoRoom => panic!("a call was refused"),
                }
            }
            books
        });
        wait::within("the load to be stopped", join_all(callers)).await
    }

    /// Tells the callers to make no more calls.
    pub(super) fn stop(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    /// How many calls were paid so far.
    pub(super) fn paid(&self) -> usize {
        self.paid.load(Ordering::SeqCst)
    }

    /// Waits until so many were, or all callers have come to their end.
    pub(super) async fn until_paid(&self, calls: usize) {
        wait::until_true("calls to be paid", || self.paid() >= calls || self.is_over.load(Ordering::SeqCst)).await;
    }

    /// For how long limits held a call, at the 99th percentile.
    pub(super) fn held_by_limits(&self) -> Duration {
        let mut held = self.held.lock().unwrap().clone();
        held.sort_unstable();
        held[held.len() * 99 / 100]
    }

    async fn call(&self, number: usize, user: &str) -> Outcome {
        let url = format!("{}/v1/chat/completions", self.urls[number % self.urls.len()]);
        let sent = self.client.post(url).bearer_auth(DEVELOPMENT_KEY).json(&self.estimate.body(user)).send().await;
        let Ok(answer) = sent else { return Outcome::Lost };
        let at = Instant::now();
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (status, cost) = (answer.status(), header("x-llm-gateway-cost-usd"));
        if let Some(held) = header("server-timing").as_deref().and_then(limit_ms) {
            self.held.lock().unwrap().push(Duration::from_secs_f64(held / 1e3));
        }
        let Ok(body) = answer.text().await else { return Outcome::Lost };
        match status.as_u16() {
            200 => {
                let worked_out = self.estimate.cost(&body);
                assert_eq!(worked_out, CENT);
                assert_eq!(nano(&cost.expect("a whole answer says what it cost")), worked_out);
                self.paid.fetch_add(1, Ordering::SeqCst);
                Outcome::Paid { at, cost: worked_out }
            }
            429 if body.contains("is spent") => {
                self.stop();
                Outcome::Spent
            }
            429 => Outcome::NoRoom,
            // What a gateway says that is about to end.
            503 => Outcome::Lost,
            _ => panic!("{status}: {body}"),
        }
    }
}

/// `limit;dur=0.012` in `server-timing`, in milliseconds.
fn limit_ms(timing: &str) -> Option<f64> {
    timing.split(", ").find_map(|part| part.strip_prefix("limit;dur="))?.parse().ok()
}

/// Dollars as the gateway writes them.
fn nano(dollars: &str) -> NanoUsd {
    NanoUsd::from_usd(dollars.parse().unwrap()).unwrap()
}

impl Books {
    /// What all of its calls cost.
    pub(super) fn total(&self) -> NanoUsd {
        self.answers.iter().map(|(_, cost)| *cost).sum()
    }

    /// What those cost that were answered by then.
    pub(super) fn total_by(&self, then: Instant) -> NanoUsd {
        self.answers.iter().filter(|(at, _)| *at <= then).map(|(_, cost)| *cost).sum()
    }

    /// The first answer that somebody who has heard of so much did not hear of.
    pub(super) fn first_beyond(&self, heard: NanoUsd) -> Option<Instant> {
        let mut sum = NanoUsd::ZERO;
        self.answers.iter().find_map(|(at, cost)| {
            sum += *cost;
            (sum > heard).then_some(*at)
        })
    }
}
