//! The actor: writes events, and hands them on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::fut::WrapFuture as _;
use actix::{Actor, AsyncContext as _, Context, Handler, Message, ResponseFuture, Supervised};
use tokio::time::timeout;

use super::Shared;
use super::buffer::Load;
use super::counts::Dropped;
use crate::actors::guarded::Ping;
use crate::analytics::event::event;
use crate::analytics::generation::Generation;

/// How long an ended call waits for others, so that they are written together.
const LINGER: Duration = Duration::from_millis(40);

/// The actor.
#[derive(Debug)]
pub(super) struct Clerk {
    shared: Arc<Shared>,
}

/// No call ends any more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Close;

impl Clerk {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl Actor for Clerk {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let shared = Arc::clone(&self.shared);
        context.spawn(async move { take_in(&shared).await }.into_actor(self));
    }
}

impl Supervised for Clerk {
    fn restarting(&mut self, _: &mut Self::Context) {}
}

impl Handler<Ping> for Clerk {
    type Result = ();

    fn handle(&mut self, ping: Ping, _: &mut Self::Context) {
        ping.answer();
    }
}

impl Handler<Close> for Clerk {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Close, _: &mut Self::Context) -> ResponseFuture<()> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            write_all(&shared);
            shared.is_closed.store(true, Ordering::Release);
        })
    }
}

async fn take_in(shared: &Shared) {
    loop {
        if shared.buffer.held().events == 0 {
            shared.begun.notified().await;
        }
        let _ = timeout(LINGER, shared.pressed.notified()).await;
        write_all(shared);
    }
}

fn write_all(shared: &Shared) {
    for generation in shared.buffer.take() {
        let done = Load { events: 1, bytes: generation.held_bytes() };
        let _ = written(shared, &generation);
        shared.buffer.release(done);
    }
}

/// The event; none if there is a mistake of ours in it, which costs nobody else theirs.
fn written(shared: &Shared, generation: &Generation) -> Option<Vec<u8>> {
    let written = catch_unwind(AssertUnwindSafe(|| event(generation)));
    if written.is_err() {
        shared.counts.dropped(Dropped::Panicked, 1);
    }
    written.ok()
}
