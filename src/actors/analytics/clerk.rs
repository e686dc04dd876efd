//! The actor: three things that go on for ever, and the end.

use std::rc::Rc;

use actix::fut::WrapFuture as _;
use actix::{Actor, AsyncContext as _, Context, Handler, Message, ResponseFuture, Supervised};

use super::courier::Courier;
use super::desk::Desk;
use super::spans::Collector;
use url::Url;

use crate::actors::guarded::Ping;
use crate::upstream::client::Tls;
use crate::upstream::posthog::PostHog;

/// The actor. What it works at survives its panics.
#[derive(Debug)]
pub(super) struct Clerk {
    desk: Rc<Desk>,
    tls: Tls,
    otlp: Option<Url>,
}

/// No call ends any more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Close;

/// A test wants to see it restart.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Break;

impl Clerk {
    pub(super) fn new(desk: Desk, tls: Tls, otlp: Option<Url>) -> Self {
        Self { desk: Rc::new(desk), tls, otlp }
    }
}

impl Clerk {
    /// The collector of spans, if there is one.
    fn collector(&self) -> Option<Collector> {
        let collector = Collector::at(self.otlp.as_ref()?, self.tls.clone());
        collector.inspect_err(|error| tracing::error!(error, "correct telemetry.otlp_endpoint")).ok()
    }
}

impl Actor for Clerk {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        if !self.desk.shared.is_on {
            return;
        }
        let desk = Rc::clone(&self.desk);
        context.spawn(async move { desk.take_in().await }.into_actor(self));
        let desk = Rc::clone(&self.desk);
        context.spawn(async move { desk.tidy().await }.into_actor(self));
        if let Some(collector) = self.collector() {
            let desk = Rc::clone(&self.desk);
            context.spawn(async move { desk.spans.deliver(&collector).await }.into_actor(self));
        }
        let settings = &self.desk.settings;
        if settings.api_key.is_none() {
            return;
        }
        match PostHog::at(&settings.host, self.tls.clone(), settings.timeout) {
            Ok(posthog) => {
                let desk = Rc::clone(&self.desk);
                context.spawn(async move { Courier::new(&desk, posthog).run().await }.into_actor(self));
            }
            Err(error) => tracing::error!(error, "no event can be sent: correct analytics.host"),
        }
    }
}

impl Supervised for Clerk {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.desk.reset();
    }
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
        let desk = Rc::clone(&self.desk);
        let collector = self.collector();
        Box::pin(async move { desk.close(collector.as_ref()).await })
    }
}

impl Handler<Break> for Clerk {
    type Result = ();

    #[expect(clippy::panic, reason = "that is what was asked for")]
    fn handle(&mut self, _: Break, _: &mut Self::Context) {
        panic!("a test broke this clerk");
    }
}
