//! Actors that panic: what their callers see of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix::{Actor, Addr, AsyncContext, Context, Handler, MailboxError, Message, Supervised};
use llm_gateway::actors::guarded::{self, Budget, Ping, Queued, Vitals};
use llm_gateway::actors::report::ActorState;
use llm_gateway::clock::Clock;

/// Counts what it is told to, and panics when told to.
#[derive(Default)]
struct Counter {
    count: u32,
    starts: Arc<AtomicU32>,
    /// `started` panics until it has run this often.
    bad_starts: u32,
}

impl Actor for Counter {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        let starts = self.starts.fetch_add(1, Ordering::SeqCst) + 1;
        assert!(starts > self.bad_starts, "start {starts} went wrong");
    }
}

impl Supervised for Counter {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.count = 0;
    }
}

impl Handler<Ping> for Counter {
    type Result = ();
    fn handle(&mut self, ping: Ping, _: &mut Self::Context) {
        ping.answer();
    }
}

#[derive(Message)]
#[rtype(result = "u32")]
struct Add(u32, #[expect(dead_code, reason = "kept for its drop")] Option<Queued>);

impl Handler<Add> for Counter {
    type Result = u32;
    fn handle(&mut self, add: Add, _: &mut Self::Context) -> u32 {
        self.count += add.0;
        self.count
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Break;

impl Handler<Break> for Counter {
    type Result = ();
    fn handle(&mut self, _: Break, _: &mut Self::Context) {
        panic!("told to break");
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct BreakLater;

impl Handler<BreakLater> for Counter {
    type Result = ();
    fn handle(&mut self, _: BreakLater, ctx: &mut Self::Context) {
        ctx.run_later(Duration::from_millis(1), |_, _| panic!("a timer broke"));
    }
}

fn vitals() -> Arc<Vitals> {
    Vitals::new("counter", "one", "nothing is counted", Clock::system())
}

fn counter(vitals: &Arc<Vitals>) -> Addr<Counter> {
    guarded::start(vitals, 16, |_| Counter::default())
}

/// Until the condition holds. The test harness ends a test that waits forever.
async fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[actix_rt::test]
async fn messages_queued_behind_a_panic_are_served_at_the_same_address() {
    let vitals = vitals();
    let counter = counter(&vitals);
    assert_eq!(counter.send(Add(5, None)).await.unwrap(), 5);

    // All three are in the mailbox before the actor runs again.
    let (broken, one, two) =
        futures_util::future::join3(counter.send(Break), counter.send(Add(1, None)), counter.send(Add(1, None))).await;

    assert!(matches!(broken, Err(MailboxError::Closed)), "only the one who asked for it gets an error");
    assert_eq!((one.unwrap(), two.unwrap()), (1, 2), "its state was reset, its messages were kept");
    let report = vitals.report();
    assert_eq!((report.state, report.restarts, report.mailbox_depth), (ActorState::Running, 1, 0));
    assert_eq!(report.last_error.as_deref(), Some("told to break"));
}

#[actix_rt::test]
async fn a_panic_in_a_timer_restarts_the_actor_too() {
    let vitals = vitals();
    let counter = counter(&vitals);
    counter.send(BreakLater).await.unwrap();
    until(|| vitals.restarts() == 1).await;
    assert_eq!(counter.send(Add(3, None)).await.unwrap(), 3);
    assert_eq!(vitals.report().last_error.as_deref(), Some("a timer broke"));
}

#[actix_rt::test]
async fn a_panic_in_started_backs_off_and_the_queue_is_served_in_the_end() {
    let vitals = vitals();
    let starts = Arc::new(AtomicU32::new(0));
    let budget = Budget {
        immediate: 1,
        delay: Duration::from_millis(20),
        delay_max: Duration::from_millis(40),
        quiet: Duration::from_secs(60),
    };
    let began = std::time::Instant::now();
    let counter = guarded::start_with(budget, &vitals, 16, {
        let starts = Arc::clone(&starts);
        move |_| Counter { count: 0, starts, bad_starts: 4 }
    });
    assert_eq!(counter.send(Add(7, None)).await.unwrap(), 7);
    assert_eq!(starts.load(Ordering::SeqCst), 5, "it was started until it held");
    // One restart at once, then after 20, 40 and 40 ms.
    assert!(began.elapsed() >= Duration::from_millis(100), "restarted after {:?}: a hot loop", began.elapsed());
    assert_eq!(vitals.restarts(), 4);
}

#[actix_rt::test]
async fn an_actor_that_rests_says_so_and_a_full_mailbox_refuses() {
    let vitals = vitals();
    let budget = Budget { immediate: 0, delay: Duration::from_secs(3600), ..Budget::default() };
    let budget = Budget { delay_max: budget.delay, ..budget };
    let counter = guarded::start_with(budget, &vitals, 2, |_| Counter::default());
    counter.try_send(Break).unwrap();
    until(|| vitals.state() == ActorState::Restarting).await;

    let mut taken = 0;
    while counter.try_send(Add(1, Some(vitals.queued()))).is_ok() {
        taken += 1;
        assert!(taken < 100, "the mailbox has no bound");
    }
    assert_eq!(vitals.report().mailbox_depth, taken);
}

#[actix_rt::test]
async fn an_actor_without_handles_ends() {
    let vitals = vitals();
    drop(counter(&vitals));
    until(|| vitals.state() == ActorState::Stopped).await;
}

#[actix_rt::test]
async fn pings_are_answered() {
    let vitals = vitals();
    let _counter = counter(&vitals);
    until(|| vitals.report().last_pong_ms.is_some()).await;
}

#[actix_rt::test]
async fn an_actor_on_another_thread_is_guarded_too() {
    let arbiter = actix_rt::Arbiter::new();
    let vitals = vitals();
    let counter = guarded::start_in(&arbiter.handle(), &vitals, 16, |_| Counter::default());
    assert!(counter.send(Break).await.is_err());
    assert_eq!(counter.send(Add(2, None)).await.unwrap(), 2);
    assert_eq!(vitals.restarts(), 1);
    arbiter.stop();
    arbiter.join().unwrap();
    until(|| vitals.state() == ActorState::Stopped).await;
}

#[actix_rt::test]
async fn starting_on_a_thread_that_ended_says_stopped() {
    let arbiter = actix_rt::Arbiter::new();
    let handle = arbiter.handle();
    arbiter.stop();
    arbiter.join().unwrap();
    let vitals = vitals();
    let counter = guarded::start_in(&handle, &vitals, 16, |_| Counter::default());
    assert!(counter.send(Add(1, None)).await.is_err());
    assert_eq!(vitals.state(), ActorState::Stopped);
}
