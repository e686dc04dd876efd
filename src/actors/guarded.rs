//! Keeps an actor alive through its own panics.
//!
//! A panic anywhere in the actor (a handler, a spawned future, `started`) restarts it in place: the address stays good,
//! queued messages are kept and served, and only the one whose message was being handled gets an error. Actix's own
//! `Supervisor` does not do that: it restarts an actor that stopped itself, and a panic kills it.
//!
//! An actor resets its state in [`Supervised::restarting`]; `started` then runs again, and arms its timers again. The
//! first restarts are immediate; an actor that goes on panicking is restarted ever more slowly, but never given up.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use actix::dev::{ContextFut, channel};
use actix::{Actor, ActorContext, ActorState as ContextState, Addr, Context, Handler, Message, Supervised};
use actix_rt::ArbiterHandle;
use actix_rt::time::{Sleep, sleep};

pub use self::vitals::{Queued, Vitals};
use super::report::ActorState;

mod vitals;

/// How often each actor is asked whether it still answers.
const PING_EVERY: Duration = Duration::from_secs(1);

/// Asks an actor for a sign of life. Handled by one line: `ping.answer()`.
#[derive(Debug)]
pub struct Ping(Arc<Vitals>);

impl Message for Ping {
    type Result = ();
}

impl Ping {
    /// The sign of life.
    pub fn answer(self) {
        self.0.ponged();
    }
}

/// How soon an actor comes back after a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How many restarts in a row are immediate.
    pub immediate: u32,
    /// The first delay after those; doubles with each further panic.
    pub delay: Duration,
    /// What the doubling ends at.
    pub delay_max: Duration,
    /// A panic this long after the one before begins a new row.
    pub quiet: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            immediate: 5,
            delay: Duration::from_millis(50),
            delay_max: Duration::from_secs(5),
            quiet: Duration::from_secs(10),
        }
    }
}

/// The panics of one row, counted.
#[derive(Debug, Default)]
struct Row {
    panics: u32,
    last: Option<Instant>,
}

impl Row {
    /// Counts a panic; how long the restart has to wait.
    fn panicked(&mut self, budget: &Budget, now: Instant) -> Duration {
        let is_new = self.last.is_none_or(|last| now.saturating_duration_since(last) >= budget.quiet);
        self.panics = if is_new { 1 } else { self.panics.saturating_add(1) };
        self.last = Some(now);
        match self.panics.checked_sub(budget.immediate.saturating_add(1)) {
            None => Duration::ZERO,
            Some(doublings) => {
                let factor = 2_u32.saturating_pow(doublings);
                budget.delay.saturating_mul(factor).min(budget.delay_max)
            }
        }
    }
}

/// Starts an actor on this thread. Its mailbox holds `mailbox` messages from those that do not wait, at least one.
///
/// `vitals` is what the handle keeps of it.
pub fn start<A>(vitals: &Arc<Vitals>, mailbox: usize, make: impl FnOnce(&mut Context<A>) -> A) -> Addr<A>
where
    A: Actor<Context = Context<A>> + Supervised + Handler<Ping>,
{
    start_with(Budget::default(), vitals, mailbox, make)
}

/// The same with a [`Budget`] of its own.
pub fn start_with<A>(
    budget: Budget,
    vitals: &Arc<Vitals>,
    mailbox: usize,
    make: impl FnOnce(&mut Context<A>) -> A,
) -> Addr<A>
where
    A: Actor<Context = Context<A>> + Supervised + Handler<Ping>,
{
    let (sender, receiver) = channel::channel(mailbox.max(1));
    run(Context::with_receiver(receiver), budget, Arc::clone(vitals), make);
    Addr::new(sender)
}

/// The same on another thread. The address can be used at once.
pub fn start_in<A>(
    arbiter: &ArbiterHandle,
    vitals: &Arc<Vitals>,
    mailbox: usize,
    make: impl FnOnce(&mut Context<A>) -> A + Send + 'static,
) -> Addr<A>
where
    A: Actor<Context = Context<A>> + Supervised + Handler<Ping>,
{
    let (sender, receiver) = channel::channel(mailbox.max(1));
    let its_vitals = Arc::clone(vitals);
    if !arbiter.spawn_fn(move || run(Context::with_receiver(receiver), Budget::default(), its_vitals, make)) {
        // The arbiter has ended: the mailbox is closed, and senders see that.
        vitals.set_state(ActorState::Stopped);
    }
    Addr::new(sender)
}

fn run<A>(mut context: Context<A>, budget: Budget, vitals: Arc<Vitals>, make: impl FnOnce(&mut Context<A>) -> A)
where
    A: Actor<Context = Context<A>> + Supervised + Handler<Ping>,
{
    let actor = make(&mut context);
    vitals.set_state(ActorState::Running);
    actix_rt::spawn(Guarded {
        actor: Some(context.into_future(actor)),
        vitals,
        budget,
        row: Row::default(),
        rest: Rest::None,
        next_ping: Box::pin(sleep(Duration::ZERO)),
    });
}

/// The task that an actor lives in.
struct Guarded<A: Actor<Context = Context<A>> + Supervised + Handler<Ping>> {
    /// Only taken to be dropped.
    actor: Option<ContextFut<A, Context<A>>>,
    vitals: Arc<Vitals>,
    budget: Budget,
    row: Row,
    rest: Rest,
    next_ping: Pin<Box<Sleep>>,
}

/// What lies between a panic and the restart.
enum Rest {
    /// The actor runs.
    None,
    /// It is restarted at once.
    Short,
    /// It is restarted when the time has come.
    Long(Pin<Box<Sleep>>),
}

impl<A: Actor<Context = Context<A>> + Supervised + Handler<Ping>> Future for Guarded<A> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<()> {
        let this = self.get_mut();
        let Some(actor) = &mut this.actor else { return Poll::Ready(()) };
        loop {
            if let Rest::Long(sleep) = &mut this.rest
                && sleep.as_mut().poll(task).is_pending()
            {
                return Poll::Pending;
            }
            let is_restart = !matches!(this.rest, Rest::None);
            this.rest = Rest::None;
            while this.next_ping.as_mut().poll(task).is_ready() {
                this.next_ping = Box::pin(sleep(PING_EVERY));
                if this.vitals.begin_ping() {
                    // A full mailbox is its own sign: the pong stays away, and its age grows.
                    let _ = actor.address().try_send(Ping(Arc::clone(&this.vitals)));
                }
            }

            let polled = catch_unwind(AssertUnwindSafe(|| {
                if is_restart && !actor.restart() {
                    return Poll::Ready(());
                }
                if is_restart {
                    this.vitals.restarted();
                }
                Pin::new(&mut *actor).poll(task)
            }));
            match polled {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(())) => return Poll::Ready(()),
                // It panicked while saying goodbye: it wanted to end.
                Err(_) if actor.ctx().state() == ContextState::Stopped => return Poll::Ready(()),
                Err(panic) => {
                    let delay = this.row.panicked(&this.budget, Instant::now());
                    this.vitals.panicked(words(panic.as_ref()), delay);
                    this.rest = if delay.is_zero() { Rest::Short } else { Rest::Long(Box::pin(sleep(delay))) };
                }
            }
        }
    }
}

impl<A: Actor<Context = Context<A>> + Supervised + Handler<Ping>> Drop for Guarded<A> {
    fn drop(&mut self) {
        let Some(mut actor) = self.actor.take() else { return };
        let is_resting = !matches!(self.rest, Rest::None);
        let goodbye = catch_unwind(AssertUnwindSafe(|| {
            // Dropping a living actor lets it say goodbye; one that has just panicked is in no state to.
            if is_resting {
                actor.ctx().terminate();
            }
            drop(actor);
        }));
        if let Err(panic) = goodbye {
            self.vitals.panicked(words(panic.as_ref()), Duration::ZERO);
        }
        self.vitals.set_state(ActorState::Stopped);
    }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "a panic without words",
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Budget, Row};

    const BUDGET: Budget = Budget {
        immediate: 2,
        delay: Duration::from_millis(100),
        delay_max: Duration::from_millis(350),
        quiet: Duration::from_secs(10),
    };

    #[test]
    fn a_row_of_panics_slows_restarts_down_to_a_limit() {
        let (mut row, now) = (Row::default(), Instant::now());
        let delays: Vec<u128> = (0..6).map(|_| row.panicked(&BUDGET, now).as_millis()).collect();
        assert_eq!(delays, [0, 0, 100, 200, 350, 350]);
    }

    #[test]
    fn a_quiet_time_begins_a_new_row() {
        let (mut row, now) = (Row::default(), Instant::now());
        for _ in 0..5 {
            row.panicked(&BUDGET, now);
        }
        assert_eq!(row.panicked(&BUDGET, now + BUDGET.quiet), Duration::ZERO);
    }

    #[test]
    fn a_thousand_panics_do_not_overflow_the_delay() {
        let (mut row, now) = (Row::default(), Instant::now());
        for _ in 0..1000 {
            row.panicked(&BUDGET, now);
        }
        assert_eq!(row.panicked(&BUDGET, now), BUDGET.delay_max);
    }
}
