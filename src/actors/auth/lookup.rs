//! The actor: asks the database, once for all who ask about the same token, and listens for revocations.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, Supervised, WrapFuture as _};
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::actors::auth::Shared;
use crate::actors::auth::memory::{Found, Recollection};
use crate::actors::guarded::{Ping, Queued};
use crate::auth::principal::Principal;
use crate::auth::token::{Token, TokenHash, TokenKind};
use crate::store::database::{Database, StoreError};
use crate::store::listen::Watch;
use crate::store::{api_keys, oauth_tokens};

/// How often a look-up is made again because something changed while it was under way.
const MOST_REPEATS: u8 = 2;

/// How often the database is asked for a sign of life.
const PULSE: Duration = Duration::from_secs(5);

/// The same while it gives none, and so how late its return is noticed.
const PULSE_WHEN_GONE: Duration = Duration::from_millis(500);

/// Asks about tokens. Its state is only what is under way: what is known lives in the handle.
pub(super) struct Lookup {
    shared: Arc<Shared>,
    flights: HashMap<TokenHash, Flight>,
}

/// One look-up that is under way.
struct Flight {
    waiting: Vec<oneshot::Sender<Answer>>,
    repeats: u8,
}

/// What is known of a token after the database was asked.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Good(Arc<Principal>),
    Refused,
    /// Too many look-ups are under way.
    Busy,
    /// The database cannot say.
    Unanswered,
}

/// Whose token is this?
pub(super) struct Ask {
    pub(super) token: Token,
    pub(super) answer: oneshot::Sender<Answer>,
    /// Counts the message while it waits.
    pub(super) queued: Queued,
}

impl Message for Ask {
    type Result = ();
}

impl Lookup {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, flights: HashMap::new() }
    }

    fn take_off(&self, token: Token, ctx: &mut Context<Self>) {
        self.shared.counters.lookups.fetch_add(1, Ordering::Relaxed);
        let changes = self.shared.memory.changes();
        // A task of its own, so that a panic in the look-up is an answer like any other.
        let asked = tokio::spawn(find(self.shared.database.clone(), token));
        let landed = asked.into_actor(self).map(move |found, actor, ctx| {
            actor.land(token, changes, found.unwrap_or(Err(StoreError::Abandoned)), ctx);
        });
        ctx.spawn(landed);
    }

    fn land(&mut self, token: Token, changes: u64, found: Result<Option<Found>, StoreError>, ctx: &mut Context<Self>) {
        let Some(mut flight) = self.flights.remove(&token.hash()) else { return };
        let memory = &self.shared.memory;
        let is_outdated = memory.changes() != changes;
        if is_outdated && flight.repeats < MOST_REPEATS {
            flight.repeats += 1;
            self.flights.insert(token.hash(), flight);
            return self.take_off(token, ctx);
        }
        let config = self.shared.config.load();
        let answer = match found {
            Ok(Some(found)) if !memory.has_expired(&found) => {
                memory.reached();
                if !is_outdated {
                    memory.remember(token.hash(), &found, &config.auth);
                }
                Answer::Good(found.principal)
            }
            Ok(Some(_) | None) => {
                memory.reached();
                if !is_outdated {
                    memory.refuse(token.hash(), &config.auth);
                }
                Answer::Refused
            }
            Err(error) => {
                tracing::debug!(error = %error, "a token could not be looked up");
                memory.missed(&error);
                Answer::Unanswered
            }
        };
        for asker in flight.waiting {
            // One that has left does not mind.
            let _ = asker.send(answer.clone());
        }
    }
}

async fn find(database: Database, token: Token) -> Result<Option<Found>, StoreError> {
    match token.kind() {
        TokenKind::ApiKey => {
            let principal = api_keys::find(&database, token.hash()).await?;
            Ok(principal.map(|principal| Found { principal: Arc::new(principal), expires: None }))
        }
        TokenKind::OAuth => {
            let found = oauth_tokens::find(&database, token.hash()).await?;
            Ok(found.map(|found| Found { principal: Arc::new(found.principal), expires: Some(found.expires) }))
        }
    }
}

impl Actor for Lookup {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.spawn(watch(Arc::clone(&self.shared)).into_actor(self));
        ctx.spawn(feel_pulse(Arc::clone(&self.shared)).into_actor(self));
    }
}

/// Takes in what is heard of changes.
async fn watch(shared: Arc<Shared>) {
    let mut watch = Watch::new(shared.database.clone());
    loop {
        let change = watch.next().await;
        shared.memory.hear(&change);
    }
}

/// Puts a question of the usual sort to the database again and again, so that a gateway without traffic knows, too, whether
/// tokens can be checked: tables that are missing count as gone.
async fn feel_pulse(shared: Arc<Shared>) {
    loop {
        let asked = api_keys::find(&shared.database, TokenHash::of("")).await;
        match asked {
            Ok(_) => shared.memory.reached(),
            Err(error) => shared.memory.missed(&error),
        }
        sleep(if shared.memory.is_gone() { PULSE_WHEN_GONE } else { PULSE }).await;
    }
}

impl Supervised for Lookup {
    fn restarting(&mut self, _: &mut Self::Context) {
        // Those who wait see their answer's end dropped, and ask once more.
        self.flights.clear();
    }
}

impl Handler<Ping> for Lookup {
    type Result = ();

    fn handle(&mut self, ping: Ping, _: &mut Self::Context) {
        ping.answer();
    }
}

impl Handler<Ask> for Lookup {
    type Result = ();

    fn handle(&mut self, Ask { token, answer, queued }: Ask, ctx: &mut Self::Context) {
        drop(queued);
        let config = self.shared.config.load();
        let known = match self.shared.memory.recall(&token.hash(), &config.auth) {
            // Somebody else's look-up landed while this one waited.
            Recollection::Good(principal) => Some(Answer::Good(principal)),
            Recollection::Refused => Some(Answer::Refused),
            Recollection::GoodInGrace(_) | Recollection::Nothing => None,
        };
        if let Some(known) = known {
            let _ = answer.send(known);
            return;
        }
        if let Some(flight) = self.flights.get_mut(&token.hash()) {
            flight.waiting.push(answer);
            return;
        }
        // Callers who were good before are not turned away because others flood the gateway with guesses.
        if self.flights.len() >= config.auth.max_lookups.max(1) && !self.shared.memory.was_good(&token.hash()) {
            let _ = answer.send(Answer::Busy);
            return;
        }
        self.flights.insert(token.hash(), Flight { waiting: vec![answer], repeats: 0 });
        self.take_off(token, ctx);
    }
}

/// Breaks the actor, for its tests.
#[cfg(test)]
pub(super) struct Break;

#[cfg(test)]
impl Message for Break {
    type Result = ();
}

#[cfg(test)]
impl Handler<Break> for Lookup {
    type Result = ();

    #[expect(clippy::panic, reason = "this is what it is for")]
    fn handle(&mut self, _: Break, _: &mut Self::Context) {
        panic!("broken by a test");
    }
}
