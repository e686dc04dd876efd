//! Time is moved by hand; a call is a permit and an outcome.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{Breaker, Gates, Held, MODELS_MAX, Shut, ShutReason, State};
use crate::config::breaker::Breaker as Settings;
use crate::ids::ModelId;
use crate::upstream::classify::{FailureKind, Outcome};

const FAILED: Outcome = Outcome::Failure(FailureKind::Status);
const UNREACHABLE: Outcome = Outcome::Failure(FailureKind::Connect);

fn settings() -> Settings {
    Settings {
        failure_rate: 0.5,
        minimum_calls: 20,
        window: Duration::from_secs(10),
        connect_failures: 5,
        open_for: Duration::from_secs(5),
        open_for_max: Duration::from_secs(60),
        probe_deadline: Duration::from_secs(30),
        cool_down_max: Duration::from_secs(60),
    }
}

/// A breaker and the time it lives in.
struct World {
    breaker: Breaker,
    settings: Settings,
    now: Instant,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        Self { breaker: Breaker::adopt(Arc::new(Gates::new(now)), now), settings: settings(), now }
    }

    fn pass(&mut self, seconds: f64) -> &mut Self {
        self.now += Duration::from_secs_f64(seconds);
        self.breaker.tick(&self.settings, self.now);
        self
    }

    fn admit(&self, model: &str) -> Result<Held, Shut> {
        let permit = self.breaker.gates().admit(&model.into(), self.now, self.settings.probe_deadline);
        permit.map(|permit| permit.held())
    }

    fn record(&mut self, model: &str, outcome: Outcome, held: Held) {
        self.breaker.record(&self.settings, &model.into(), &outcome, held, self.now);
    }

    /// So many calls that are let through and end thus.
    fn calls(&mut self, model: &str, count: usize, outcome: Outcome) -> &mut Self {
        for _ in 0..count {
            let held = self.admit(model).expect("this call is let through");
            self.record(model, outcome, held);
        }
        self
    }

    fn state(&self) -> State {
        self.breaker.gates().standing(self.now).state
    }

    fn wait(&self, model: &str) -> f64 {
        self.admit(model).unwrap_err().retry_after.as_secs_f64()
    }
}

#[test]
fn half_of_twenty_calls_failed_opens_the_model() {
    let mut world = World::new();
    world.calls("m", 10, Outcome::Success).calls("m", 9, FAILED);
    assert!(world.admit("m").is_ok(), "nineteen calls say nothing yet");
    world.calls("m", 1, FAILED);
    let shut = world.admit("m").unwrap_err();
    assert_eq!((shut.reason, shut.retry_after), (ShutReason::Open, Duration::from_secs(5)));
}

#[test]
fn less_than_half_failed_leaves_it_closed() {
    let mut world = World::new();
    for _ in 0..50 {
        world.calls("m", 11, Outcome::Success).calls("m", 9, FAILED);
    }
    assert!(world.admit("m").is_ok());
}

#[test]
fn failures_older_than_the_window_do_not_count() {
    let mut world = World::new();
    world.calls("m", 19, FAILED).pass(11.0).calls("m", 19, FAILED);
    assert!(world.admit("m").is_ok());
}

#[test]
fn a_failing_model_leaves_the_others_alone() {
    let mut world = World::new();
    world.calls("good", 12, Outcome::Success).calls("bad", 20, FAILED);
    assert!(world.admit("bad").is_err());
    assert!(world.admit("good").is_ok());
    // Nor does it weigh on the upstream afterwards, when it comes back, or when another fails once.
    world.pass(5.0).calls("bad", 1, Outcome::Success).calls("good", 1, FAILED);
    assert_eq!(world.state(), State::Closed);
    assert!(world.admit("bad").is_ok());
}

#[test]
fn many_models_failing_a_little_open_the_upstream() {
    let mut world = World::new();
    for round in 0..20 {
        world.calls(&format!("m{}", round % 5), 1, FAILED);
    }
    assert_eq!(world.state(), State::Open);
    assert!(world.admit("never-called").is_err());
}

#[test]
fn connect_failures_in_a_row_open_the_upstream_for_all_models() {
    let mut world = World::new();
    world.calls("a", 2, UNREACHABLE).calls("b", 2, UNREACHABLE);
    assert!(world.admit("a").is_ok());
    world.calls("a", 1, UNREACHABLE);
    assert_eq!(world.state(), State::Open);
    assert!(world.admit("c").is_err());
}

#[test]
fn any_answer_ends_a_row_of_connect_failures() {
    for answer in [Outcome::Success, FAILED, Outcome::CoolDown(Duration::from_millis(1))] {
        let mut world = World::new();
        world.calls("a", 4, UNREACHABLE).calls("b", 1, answer);
        world.pass(0.002).calls("a", 4, UNREACHABLE);
        assert!(world.admit("a").is_ok(), "{answer:?}");
    }
}

#[test]
fn an_abandoned_call_is_neither_success_nor_failure() {
    let mut world = World::new();
    world.calls("m", 4, UNREACHABLE).calls("m", 100, Outcome::Abandoned).calls("m", 1, UNREACHABLE);
    assert_eq!(world.state(), State::Open, "it did not end the row");
    let mut world = World::new();
    world.calls("m", 15, FAILED).calls("m", 100, Outcome::Abandoned).calls("m", 5, FAILED);
    assert!(world.admit("m").is_err(), "it did not dilute the failures");
}

#[test]
fn half_open_lets_one_probe_through_and_success_closes() {
    let mut world = World::new();
    world.calls("m", 20, FAILED).pass(4.9);
    assert!(world.admit("m").is_err());
    world.pass(0.1);
    let probe = world.admit("m").unwrap();
    assert!(!probe.is_empty());
    for _ in 0..10 {
        assert!(world.wait("m") <= 1.0, "the probe may be back any moment");
    }
    world.record("m", Outcome::Success, probe);
    assert!(world.admit("m").unwrap().is_empty());
}

#[test]
fn each_failed_probe_doubles_the_wait_up_to_the_limit() {
    let mut world = World::new();
    world.calls("m", 20, FAILED);
    let mut waits = vec![world.wait("m")];
    for _ in 0..5 {
        world.pass(*waits.last().unwrap()).calls("m", 1, FAILED);
        waits.push(world.wait("m"));
    }
    assert_eq!(waits, [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]);
}

#[test]
fn a_circuit_that_held_starts_again_with_the_short_wait() {
    let mut world = World::new();
    world.calls("m", 20, FAILED).pass(5.0).calls("m", 1, FAILED).pass(10.0).calls("m", 1, Outcome::Success);
    world.pass(10.0).calls("m", 20, FAILED);
    assert!((world.wait("m") - 5.0).abs() < 1e-9);
}

#[test]
fn a_circuit_that_opens_at_once_again_waits_longer() {
    let mut world = World::new();
    world.calls("m", 20, FAILED).pass(5.0).calls("m", 1, Outcome::Success).pass(1.0).calls("m", 20, FAILED);
    assert!((world.wait("m") - 10.0).abs() < 1e-9);
}

#[test]
fn a_lost_probe_holds_up_the_next_until_its_deadline_only() {
    let mut world = World::new();
    world.calls("m", 20, FAILED).pass(5.0);
    let lost = world.admit("m").unwrap();
    world.pass(29.9);
    assert!(world.admit("m").is_err());
    world.pass(0.1);
    let second = world.admit("m").unwrap();
    // The lost one comes back late with bad news: the second one decides.
    world.record("m", FAILED, lost);
    world.record("m", Outcome::Success, second);
    assert!(world.admit("m").unwrap().is_empty());
}

#[test]
fn a_late_probe_with_good_news_closes() {
    let mut world = World::new();
    world.calls("m", 20, FAILED).pass(5.0);
    let late = world.admit("m").unwrap();
    world.pass(30.0).admit("m").unwrap();
    world.record("m", Outcome::Success, late);
    assert!(world.admit("m").unwrap().is_empty());
}

#[test]
fn an_abandoned_probe_frees_its_place_at_once() {
    let mut world = World::new();
    world.calls("m", 20, FAILED).pass(5.0).calls("m", 3, Outcome::Abandoned);
    assert!(world.admit("m").is_ok());
}

#[test]
fn calls_begun_before_it_opened_decide_nothing_afterwards() {
    let mut world = World::new();
    let early: Vec<Held> = (0..4).map(|_| world.admit("m").unwrap()).collect();
    world.calls("m", 20, FAILED);
    world.record("m", Outcome::Success, early[0]);
    assert!(world.admit("m").is_err(), "an old success does not close");
    world.record("m", FAILED, early[1]);
    assert!((world.wait("m") - 5.0).abs() < 1e-9, "an old failure does not lengthen the wait");
    world.pass(5.0);
    let probe = world.admit("m").unwrap();
    world.record("m", FAILED, early[2]);
    world.record("m", Outcome::Success, probe);
    assert!(world.admit("m").is_ok());
}

#[test]
fn a_429_cools_down_its_model_alone_and_is_bounded() {
    let mut world = World::new();
    world.calls("m", 1, Outcome::CoolDown(Duration::from_secs(20)));
    let shut = world.admit("m").unwrap_err();
    assert_eq!((shut.reason, shut.retry_after), (ShutReason::CoolingDown, Duration::from_secs(20)));
    assert!(world.admit("other").is_ok());
    world.pass(20.0).calls("m", 1, Outcome::CoolDown(Duration::from_secs(86_400)));
    assert!((world.wait("m") - 60.0).abs() < 1e-9);
    // Free for all afterwards, not for single probes.
    world.pass(60.0);
    assert!(world.admit("m").unwrap().is_empty() && world.admit("m").is_ok());
}

#[test]
fn a_cool_down_ends_by_its_time_without_anybody_ticking() {
    let mut world = World::new();
    world.calls("m", 1, Outcome::CoolDown(Duration::from_secs(20)));
    world.now += Duration::from_secs(20);
    assert!(world.admit("m").unwrap().is_empty());
}

#[test]
fn many_429s_never_open() {
    let mut world = World::new();
    for _ in 0..100 {
        world.calls("m", 1, Outcome::CoolDown(Duration::from_millis(10))).pass(0.01);
    }
    assert_eq!(world.state(), State::Closed);
    assert!(world.admit("m").unwrap().is_empty());
}

#[test]
fn a_probe_answered_with_a_429_closes_and_cools_down() {
    let mut world = World::new();
    world.calls("m", 20, FAILED).pass(5.0).calls("m", 1, Outcome::CoolDown(Duration::from_secs(3)));
    assert_eq!(world.admit("m").unwrap_err().reason, ShutReason::CoolingDown);
    world.pass(3.0);
    assert!(world.admit("m").unwrap().is_empty());
}

#[test]
fn a_models_probe_that_could_not_connect_proves_nothing_about_the_model() {
    let mut world = World::new();
    world.calls("m", 20, FAILED).pass(5.0).calls("m", 1, UNREACHABLE);
    assert!(!world.admit("m").unwrap().is_empty(), "another probe may go at once");
}

#[test]
fn invented_models_are_bounded_and_do_not_push_out_an_open_one() {
    let mut world = World::new();
    world.calls("bad", 20, FAILED);
    for n in 0..MODELS_MAX * 4 {
        world.calls(&format!("invented-{n}"), 1, Outcome::Success);
    }
    assert!(world.breaker.models.len() <= MODELS_MAX);
    assert!(world.admit("bad").is_err());
}

#[test]
fn models_that_nobody_calls_are_forgotten() {
    let mut world = World::new();
    for n in 0..50 {
        world.calls(&format!("m{n}"), 1, Outcome::Success);
    }
    world.pass(10.0);
    assert!(world.breaker.models.is_empty());
}

#[test]
fn a_new_owner_goes_on_from_what_the_gates_say() {
    let mut world = World::new();
    world.calls("bad", 20, FAILED).calls("busy", 1, Outcome::CoolDown(Duration::from_secs(20)));
    world.breaker = Breaker::adopt(Arc::clone(world.breaker.gates()), world.now);
    assert_eq!(world.admit("bad").unwrap_err().reason, ShutReason::Open);
    assert_eq!(world.admit("busy").unwrap_err().reason, ShutReason::CoolingDown);
    world.pass(5.0).calls("bad", 1, FAILED);
    assert!((world.wait("bad") - 10.0).abs() < 1e-9, "its probe failed: the wait doubles");
    world.pass(15.0);
    assert!(world.admit("busy").unwrap().is_empty());
}

#[test]
fn threads_that_race_for_a_probe_get_one() {
    let mut world = World::new();
    world.calls("m", 20, FAILED).pass(5.0);
    let (gates, now) = (Arc::clone(world.breaker.gates()), world.now);
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let gates = Arc::clone(&gates);
            std::thread::spawn(move || {
                (0..1000).filter(|_| gates.admit(&"m".into(), now, Duration::from_secs(30)).is_ok()).count()
            })
        })
        .collect();
    let probes: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(probes, 1);
}

#[derive(Clone, Debug)]
enum Step {
    Call(u8),
    End(usize, Outcome),
    Pass(u16),
    Panic,
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        Just(Outcome::Success),
        Just(FAILED),
        Just(UNREACHABLE),
        Just(Outcome::Abandoned),
        (1..120_000_u64).prop_map(|ms| Outcome::CoolDown(Duration::from_millis(ms))),
    ];
    prop_oneof![
        8 => (0..3_u8).prop_map(Step::Call),
        8 => (any::<usize>(), outcome).prop_map(|(which, outcome)| Step::End(which, outcome)),
        2 => (0..8000_u16).prop_map(Step::Pass),
        1 => Just(Step::Panic),
    ]
}

proptest! {
    /// Whatever happens, refusals are bounded, and some time after it a success brings every model back.
    #[test]
    fn nothing_stays_shut_for_ever(steps in prop::collection::vec(step(), 0..400)) {
        let mut world = World::new();
        let mut under_way: Vec<(String, Held)> = Vec::new();
        for step in steps {
            match step {
                Step::Call(model) => {
                    let model = format!("m{model}");
                    match world.admit(&model) {
                        Ok(held) => under_way.push((model, held)),
                        Err(shut) => {
                            prop_assert!(shut.retry_after > Duration::ZERO);
                            prop_assert!(shut.retry_after <= Duration::from_secs(60));
                        }
                    }
                }
                Step::End(which, outcome) if !under_way.is_empty() => {
                    let (model, held) = under_way.swap_remove(which % under_way.len());
                    world.record(&model, outcome, held);
                }
                Step::End(..) => {}
                Step::Pass(ms) => {
                    world.pass(f64::from(ms) / 1e3);
                }
                Step::Panic => world.breaker = Breaker::adopt(Arc::clone(world.breaker.gates()), world.now),
            }
        }
        for model in ["m0", "m1", "m2"] {
            world.pass(60.0);
            let held = world.admit(model);
            prop_assert!(held.is_ok(), "{model} is shut a minute later: {held:?}");
            world.record(model, Outcome::Success, held.unwrap());
            prop_assert!(world.admit(model).unwrap().is_empty(), "{model} is still half open after a success");
        }
        prop_assert_eq!(world.state(), State::Closed);
    }

    /// Any number of calls that all succeed never meets a refusal.
    #[test]
    fn a_healthy_upstream_is_never_refused(calls in prop::collection::vec((0..5_u8, 0..3000_u16), 0..300)) {
        let mut world = World::new();
        for (model, ms) in calls {
            world.calls(&format!("m{model}"), 1, Outcome::Success).pass(f64::from(ms) / 1e3);
        }
    }
}

#[test]
fn a_models_name_is_looked_up_only_when_some_model_is_shut() {
    // What the hot path relies on for its speed.
    let world = World::new();
    assert!(world.breaker.gates().models_standing(world.now).is_empty());
    assert!(world.breaker.gates().admit(&ModelId::from("m"), world.now, Duration::ZERO).is_ok());
}
