//! Keeps the shared counters true: tells Redis in batches, hears of the others, and drops what is idle.

use std::sync::Arc;
use std::time::Duration;

use actix::fut::WrapFuture as _;
use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Supervised};

use super::Shared;
use crate::actors::guarded::Ping;

/// How often this instance says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How often idle counters are looked for.
const EXPIRE: Duration = Duration::from_secs(30);

/// The actor.
#[derive(Debug)]
pub(super) struct Keeper {
    shared: Arc<Shared>,
    is_telling: bool,
    /// It was time to tell more while that was under way.
    is_late: bool,
    is_meeting: bool,
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, is_telling: false, is_late: false, is_meeting: false }
    }

    fn tell(&mut self, context: &mut Context<Self>) {
        self.is_late = self.is_telling;
        // While Redis is gone, only the heartbeat knocks.
        if self.is_telling || self.shared.is_gone() {
            return;
        }
        self.is_telling = true;
        let shared = Arc::clone(&self.shared);
        let telling = async move { shared.tell_queued().await };
        context.spawn(telling.into_actor(self).map(|_, keeper, context| {
            keeper.is_telling = false;
            if keeper.is_late {
                keeper.tell(context);
            }
        }));
    }

    fn meet(&mut self, context: &mut Context<Self>) {
        if self.is_meeting {
            return;
        }
        self.is_meeting = true;
        // What is reserved, or leased to calls that come often, is said again before it is taken for forgotten.
        self.shared.ledger.enqueue_where(|counter| counter.is_outstanding());
        let shared = Arc::clone(&self.shared);
        let meeting = async move { shared.meet().await };
        context.spawn(meeting.into_actor(self).map(|_, keeper, _| keeper.is_meeting = false));
    }
}

impl Actor for Keeper {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(EXPIRE, |keeper, _| keeper.shared.ledger.expire());
        if self.shared.counters.is_some() {
            let every = self.shared.config.load().limits.flush_every;
            context.run_interval(every, Self::tell);
            context.run_interval(HEARTBEAT, Self::meet);
        }
    }
}

impl Supervised for Keeper {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.is_telling = false;
        self.is_late = false;
        self.is_meeting = false;
        // What was being told when it broke off is in no queue.
        if self.shared.counters.is_some() {
            self.shared.ledger.requeue();
        }
    }
}

/// Breaks the actor, for its tests.
#[cfg(test)]
pub(super) struct Break;

#[cfg(test)]
impl actix::Message for Break {
    type Result = ();
}

#[cfg(test)]
impl Handler<Break> for Keeper {
    type Result = ();

    #[expect(clippy::panic, reason = "this is what it is for")]
    fn handle(&mut self, _: Break, _: &mut Self::Context) {
        panic!("broken by a test");
    }
}

impl Handler<Ping> for Keeper {
    type Result = ();

    fn handle(&mut self, ping: Ping, _: &mut Self::Context) {
        ping.answer();
    }
}
