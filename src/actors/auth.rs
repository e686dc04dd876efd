//! Says who is calling.
//!
//! A token that was looked up lately is answered from shared memory, on the caller's own thread. Others are asked of an actor,
//! which asks the database once for all who wait, listens for revocations, and keeps that memory true.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::Addr;
use actix::dev::SendError;
use tokio::sync::oneshot;
use tokio::time::timeout;

use self::lookup::{Answer, Ask, Lookup};
use self::memory::{Memory, Recollection};
use crate::actors::guarded::{self, Vitals};
use crate::actors::report::ActorReport;
use crate::auth::principal::{Credential, Principal};
use crate::auth::scope::{GATEWAY_SCOPE, Scopes};
use crate::auth::token::{self, DEVELOPMENT_KEY, DEVELOPMENT_KEY_ID, Token, TokenHash};
use crate::clock::Clock;
use crate::config::SharedConfig;
use crate::fault::{Fault, FaultKind};
use crate::ids::{TeamId, UserId};
use crate::store::database::Database;

mod bounded;
mod lookup;
mod memory;

/// Questions that may wait for the actor. It answers each in microseconds; what takes time is under way elsewhere.
const MAILBOX: usize = 1024;

/// How long the actor itself may take over a question, beside the database's own deadlines.
const SLACK: Duration = Duration::from_secs(1);

/// When a caller who could not be checked should come back.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Says who is calling. Clones share all they know.
#[derive(Clone, Debug)]
pub struct Auth {
    shared: Arc<Shared>,
    actor: Addr<Lookup>,
}

/// Whether the development key is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DevelopmentKey {
    /// `dev`: it stands for user 1 in team 1, and no database is asked.
    Accepted,
    /// `serve`: never, whatever the database says.
    Refused,
}

/// What became of the tokens that were presented, since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Answered from memory: good.
    pub hits: AtomicU64,
    /// Not in memory.
    pub misses: AtomicU64,
    /// Questions to the database.
    pub lookups: AtomicU64,
    /// Answered 401, from memory or from the database.
    pub refusals: AtomicU64,
    /// Good only because the database was gone.
    pub graces: AtomicU64,
    /// Answered 503.
    pub unanswered: AtomicU64,
}

/// What the handles and the actor have in common.
#[derive(Debug)]
struct Shared {
    database: Database,
    config: SharedConfig,
    memory: Memory,
    counters: Counters,
    vitals: Arc<Vitals>,
    development_key: (TokenHash, Option<Arc<Principal>>),
}

impl Auth {
    /// Starts the actor on this thread, which has to be one that outlives the callers.
    pub fn start(database: Database, config: SharedConfig, clock: Clock, development_key: DevelopmentKey) -> Self {
        let vitals = Vitals::new(
            "auth",
            "tokens",
            "tokens that were not seen lately are answered 503, and revocations are not heard",
            clock.clone(),
        );
        let developer = match development_key {
            DevelopmentKey::Accepted => Some(Arc::new(developer())),
            DevelopmentKey::Refused => None,
        };
        let shared = Arc::new(Shared {
            database,
            config,
            memory: Memory::new(clock),
            counters: Counters::default(),
            vitals: Arc::clone(&vitals),
            development_key: (TokenHash::of(DEVELOPMENT_KEY), developer),
        });
        let actor = guarded::start(&vitals, MAILBOX, {
            let shared = Arc::clone(&shared);
            move |_| Lookup::new(shared)
        });
        Self { shared, actor }
    }

    /// Whom a token stands for.
    ///
    /// # Errors
    /// 401 for a token that is unknown, has expired, or belongs to an inactive user. 503 when that cannot be found out now:
    /// the database is out of reach, or too many tokens are being looked up.
    pub async fn authenticate(&self, token: &Token) -> Result<Arc<Principal>, Fault> {
        let counters = &self.shared.counters;
        let (development_hash, developer) = &self.shared.development_key;
        if token.hash() == *development_hash {
            return match developer {
                Some(developer) => Ok(count(&counters.hits, Arc::clone(developer))),
                None => Err(count(&counters.refusals, refused())),
            };
        }
        match self.recall(token) {
            Recollection::Good(principal) => return Ok(count(&counters.hits, principal)),
            Recollection::GoodInGrace(principal) => return Ok(count(&counters.graces, principal)),
            Recollection::Refused => return Err(count(&counters.refusals, refused())),
            Recollection::Nothing => counters.misses.fetch_add(1, Ordering::Relaxed),
        };
        let answer = match self.ask(token).await {
            // The actor broke while it had the question.
            None => self.ask(token).await.unwrap_or(Answer::Unanswered),
            Some(answer) => answer,
        };
        match answer {
            Answer::Good(principal) => Ok(principal),
            Answer::Refused => Err(count(&counters.refusals, refused())),
            Answer::Busy => Err(count(&counters.unanswered, unanswered("too many tokens are being looked up"))),
            // Now that the database is known to be gone, what was known before may do.
            Answer::Unanswered => match self.recall(token) {
                Recollection::Good(principal) | Recollection::GoodInGrace(principal) => {
                    Ok(count(&counters.graces, principal))
                }
                Recollection::Refused | Recollection::Nothing => {
                    Err(count(&counters.unanswered, unanswered("the database that knows is out of reach")))
                }
            },
        }
    }

    /// Whether tokens can be checked: the database was reached at least once, and if it is gone now, then not for longer than
    /// the grace.
    pub fn is_ready(&self) -> bool {
        self.shared.memory.is_ready(&self.shared.config.load().auth)
    }

    /// Whether revocations are heard as they happen; if not, keys are looked up again after a minute.
    pub fn hears_revocations(&self) -> bool {
        self.shared.memory.is_listening()
    }

    /// Whether the database is out of reach, as far as is known.
    pub fn is_database_gone(&self) -> bool {
        self.shared.memory.is_gone()
    }

    /// How many tokens are remembered: good ones, and refused ones.
    pub fn remembered(&self) -> (usize, usize) {
        self.shared.memory.len()
    }

    /// What became of the tokens that were presented, since the start.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// The same by name, for `/metrics`.
    pub fn counts(&self) -> [(&'static str, u64); 6] {
        let counters = self.counters();
        [
            ("hit", &counters.hits),
            ("miss", &counters.misses),
            ("lookup", &counters.lookups),
            ("refused", &counters.refusals),
            ("grace", &counters.graces),
            ("unanswered", &counters.unanswered),
        ]
        .map(|(name, counter)| (name, counter.load(Ordering::Relaxed)))
    }

    /// For `/health/actors`.
    pub fn report(&self) -> ActorReport {
        self.shared.vitals.report()
    }

    fn recall(&self, token: &Token) -> Recollection {
        self.shared.memory.recall(&token.hash(), &self.shared.config.load().auth)
    }

    /// None: the actor broke before it answered.
    async fn ask(&self, token: &Token) -> Option<Answer> {
        let (answer, answered) = oneshot::channel();
        let ask = Ask { token: *token, answer, queued: self.shared.vitals.queued() };
        match self.actor.try_send(ask) {
            Ok(()) => {}
            Err(SendError::Full(_)) => return Some(Answer::Busy),
            Err(SendError::Closed(_)) => return Some(Answer::Unanswered),
        }
        match timeout(self.patience(), answered).await {
            Ok(answer) => answer.ok(),
            Err(_) => Some(Answer::Unanswered),
        }
    }

    /// A look-up may be made twice, on a second connection when the first was found lost.
    fn patience(&self) -> Duration {
        let config = &self.shared.config.load().database;
        (config.connect_timeout + config.query_timeout) * 2 + SLACK
    }
}

fn count<T>(counter: &AtomicU64, value: T) -> T {
    counter.fetch_add(1, Ordering::Relaxed);
    value
}

fn refused() -> Fault {
    token::refusal("this token is unknown, has expired, or belongs to an inactive user")
}

fn unanswered(reason: &str) -> Fault {
    Fault::new(FaultKind::GatewayUnavailable, format!("this token cannot be checked now: {reason}; try again"))
        .retry_after(RETRY_AFTER)
}

/// Whom the development key stands for.
fn developer() -> Principal {
    Principal {
        user: UserId(1),
        team: Some(TeamId(1)),
        distinct_id: Some("developer".to_owned()),
        credential: Credential::ApiKey { id: DEVELOPMENT_KEY_ID.to_owned() },
        scopes: Scopes::from_text(GATEWAY_SCOPE),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
