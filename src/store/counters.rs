//! What all instances spent, in Redis.
//!
//! One hash for each counter and bucket, `llmgw:{counter}:window:bucket`, in which each instance writes what it has spent in
//! total: a write that is repeated changes nothing, and what a Redis that was emptied has lost is written again by the
//! instances that live. All keys of a counter are in one slot of a cluster, and no command or pipeline spans two.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::{Cmd, Pipeline, RedisError, Script, Value};
use smallvec::SmallVec;

use self::mention::{MENTION, MENTION_IN_TURN, Mentioning, Turn};
use self::server::{CONNECT_TIMEOUT, Place, Server};
use crate::config::database::Redis as Settings;
use crate::limits::counter::{LEASE_MS, Learnt, Mention, PROMISE_MS, Told};
use crate::limits::scope::CounterKey;
use crate::limits::window::{Bucket, LedgerTime, Spent};
use crate::money::NanoUsd;

mod mention;
mod server;

/// How long Redis may take over one pipeline. Less than a lease is good for: a Redis that hangs is given up before anybody would
/// have to ask it.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(700);

/// How long the others take a lease for spent, in milliseconds: until whatever was admitted on its last moment has been told as
/// reserved.
const LEASE_HOLD_MS: u64 = LEASE_MS + 250;

/// How long an instance counts as alive after its last sign of life, in milliseconds.
const ALIVE_MS: u64 = 5_000;

/// Who is alive.
const INSTANCES: &str = "llmgw:instances";

const LOOK: &str = include_str!("counters.lua");

/// Forgets what was spent, and numbers that anew. The number is Redis's time, so that it is larger than all before it even where
/// the one before has expired: instances that know that one hear of this one too.
const RESET: &str = "local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local resets = math.max(tonumber(redis.call('GET', KEYS[1]) or '0') + 1, now)
redis.call('SET', KEYS[1], string.format('%.0f', resets), 'PX', ARGV[1])
redis.call('DEL', KEYS[2], KEYS[3])
return resets";

/// Gives a sign of life; returns how many are alive, and whether this one was known.
const HEARTBEAT: &str = "local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], now + ARGV[2], '+inf')
redis.call('PEXPIRE', KEYS[1], 10 * ARGV[2])
return {redis.call('ZCARD', KEYS[1]), known and 1 or 0, now}";

/// The counters in Redis. Clones share their connections.
#[derive(Clone)]
pub struct Counters {
    server: Server,
    instance: String,
    look: Script,
    mention: Script,
    mention_in_turn: Script,
    reset: Script,
    heartbeat: Script,
    turn: Arc<Mutex<Turn>>,
}

/// A question about one counter.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Which.
    pub key: CounterKey,
    /// What this instance has to tell.
    pub told: Told,
    /// The estimate of the call that is to be made; zero for none.
    pub asked: NanoUsd,
    /// The moment.
    pub at: LedgerTime,
}

/// What is told at one time.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Of these only what was spent.
    pub mentions: Vec<(CounterKey, Mention)>,
    /// Of these more is to be known.
    pub looks: Vec<Look>,
}

/// The name of a key.
type KeyName = SmallVec<[u8; 96]>;

/// What was answered to a [`Batch`], in its order.
#[derive(Clone, Debug)]
pub struct Answers {
    /// Counters of which what was mentioned could not be written: Redis knows nothing of them any more.
    pub unknown: Vec<CounterKey>,
    /// What was seen.
    pub seen: Vec<Seen>,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// What the others have.
    Learnt(Learnt),
    /// The counter was reset since; nothing was written.
    Reset(u64),
}

/// Who is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roll {
    /// Instances alive, this one included.
    pub instances: u32,
    /// Whether Redis knew this one already.
    pub known: bool,
    /// Redis's own time.
    pub time: LedgerTime,
}

/// Redis cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CountersError {
    /// The setting cannot be used.
    #[error("redis.url cannot be used: {0}")]
    Setting(#[source] RedisError),
    /// The authorities' file cannot be used.
    #[error("redis.ca_file {} cannot be used: {reason}", path.display())]
    CaFile {
        /// Where it was to be.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// It refused, or broke off.
    #[error("Redis: {0}")]
    Redis(#[from] RedisError),
    /// No connection could be made.
    #[error("no connection to Redis within {} ms", CONNECT_TIMEOUT.as_millis())]
    Connect,
    /// It took too long.
    #[error("Redis did not answer within {} ms", ANSWER_TIMEOUT.as_millis())]
    Slow,
    /// It answered something else.
    #[error("Redis answered something that is no count")]
    Nonsense,
}

impl Counters {
    /// Counters at the configured place; none where none is configured. Connects to nothing yet.
    ///
    /// # Errors
    /// When the setting cannot be used.
    pub fn open(settings: &Settings) -> Result<Option<Self>, CountersError> {
        let Some(place) = Place::named(settings)? else { return Ok(None) };
        Ok(Some(Self {
            server: Server::at(place),
            instance: uuid::Uuid::new_v4().simple().to_string(),
            look: Script::new(LOOK),
            mention: Script::new(MENTION),
            mention_in_turn: Script::new(MENTION_IN_TURN),
            reset: Script::new(RESET),
            heartbeat: Script::new(HEARTBEAT),
            turn: Arc::default(),
        }))
    }

    /// Whether counters could be opened at the configured place; without a connection, and without a runtime.
    ///
    /// # Errors
    /// When the setting cannot be used.
    pub fn check(settings: &Settings) -> Result<(), CountersError> {
        Place::named(settings).map(drop)
    }

    /// Tells and asks, in one pipeline; on a cluster by a command for each counter.
    ///
    /// # Errors
    /// When Redis is out of reach. Whether anything was written is not known then; to say it again is harmless.
    pub async fn tell(&self, batch: &Batch, instances: u32) -> Result<Answers, CountersError> {
        let mut commands = Pipeline::new();
        let in_turn = match batch.mentions.as_slice() {
            [] => None,
            mentions if self.server.is_cluster() => {
                // One command may not span two nodes.
                for some in mentions.chunks(1) {
                    commands.add_command(self.mentioning(some, None));
                }
                None
            }
            mentions => {
                commands.add_command(self.mentioning(mentions, Some(self.turn().await?)));
                Some(Mentioning::under_way(&self.turn))
            }
        };
        let mentioning = commands.len();
        for look in &batch.looks {
            commands.add_command(self.looking(look, instances));
        }
        let answers = self.run(&commands).await?;
        let (mentioned, looked) = answers.split_at(mentioning.min(answers.len()));
        let mut unknown = Vec::new();
        match (mentioned, in_turn) {
            ([answer], Some(mentioning)) => {
                if *answer == Value::Nil {
                    unknown.extend(batch.mentions.iter().map(|(key, _)| *key));
                } else {
                    unknown.extend(chosen(answer, &batch.mentions)?);
                    mentioning.answered();
                }
            }
            (answers, _) => {
                for (answer, some) in answers.iter().zip(batch.mentions.chunks(1)) {
                    unknown.extend(chosen(answer, some)?);
                }
            }
        }
        Ok(Answers { unknown, seen: looked.iter().map(seen).collect::<Result<_, _>>()? })
    }

    /// The same of one counter.
    ///
    /// # Errors
    /// As with the others.
    pub async fn look(&self, look: Look, instances: u32) -> Result<Option<Seen>, CountersError> {
        let batch = Batch { looks: vec![look], ..Batch::default() };
        Ok(self.tell(&batch, instances).await?.seen.first().copied())
    }

    /// Gives a sign of life.
    ///
    /// # Errors
    /// When Redis is out of reach.
    pub async fn heartbeat(&self) -> Result<Roll, CountersError> {
        let mut command = redis::cmd("EVALSHA");
        command.arg(self.heartbeat.get_hash()).arg(1).arg(INSTANCES).arg(&self.instance).arg(ALIVE_MS);
        let answers = self.run(&only(command)).await?;
        let [instances, known, now] = answers.first().and_then(numbers).ok_or(CountersError::Nonsense)?;
        Ok(Roll {
            instances: u32::try_from(instances).unwrap_or(1).max(1),
            known: known == 1,
            time: LedgerTime(u64::try_from(now).unwrap_or_default()),
        })
    }

    /// What time it is there.
    ///
    /// # Errors
    /// When Redis is out of reach.
    pub async fn time(&self) -> Result<LedgerTime, CountersError> {
        let answers = bounded(self.server.query(&only(redis::cmd("TIME")))).await?;
        let parts: Vec<String> =
            answers.into_iter().next().and_then(|answer| redis::from_redis_value(answer).ok()).unwrap_or_default();
        match parts.iter().map(|part| part.parse::<u64>()).collect::<Result<Vec<_>, _>>().as_deref() {
            Ok([seconds, micros]) => Ok(LedgerTime(seconds * 1000 + micros / 1000)),
            Ok(_) | Err(_) => Err(CountersError::Nonsense),
        }
    }

    /// What all instances together spent of a counter.
    ///
    /// # Errors
    /// When Redis is out of reach.
    pub async fn spent(&self, key: CounterKey, bucket: Bucket) -> Result<Spent, CountersError> {
        let values = |bucket: u64| {
            let mut command = redis::cmd("HVALS");
            command.arg(&*hash_of(key, Bucket(bucket)));
            command
        };
        let mut commands = only(values(bucket.0));
        commands.add_command(values(bucket.0.saturating_sub(1)));
        let answers = bounded(self.server.query(&commands)).await?;
        let sums: Vec<NanoUsd> = answers.into_iter().map(sum_of_spent).collect();
        match sums.as_slice() {
            [current, previous] => Ok(Spent { current: *current, previous: *previous }),
            _ => Err(CountersError::Nonsense),
        }
    }

    /// Forgets what was spent of a counter, in all instances as they next look.
    ///
    /// # Errors
    /// When Redis is out of reach.
    pub async fn reset(&self, key: CounterKey, bucket: Bucket) -> Result<(), CountersError> {
        let mut command = redis::cmd("EVALSHA");
        command
            .arg(self.reset.get_hash())
            .arg(3)
            .arg(&*resets_of(key))
            .arg(&*hash_of(key, bucket))
            .arg(&*hash_of(key, Bucket(bucket.0.saturating_sub(1))))
            .arg(kept_for(key));
        self.run(&only(command)).await?;
        Ok(())
    }

    fn looking(&self, look: &Look, instances: u32) -> Cmd {
        let Look { key, told, asked, at } = look;
        let window = key.length().as_ms();
        let mut command = redis::cmd("EVALSHA");
        command
            .arg(self.look.get_hash())
            .arg(3)
            .arg(&*hash_of(*key, told.bucket))
            .arg(&*hash_of(*key, Bucket(told.bucket.0.saturating_sub(1))))
            .arg(&*resets_of(*key))
            .arg(&self.instance)
            .arg(told.resets)
            .arg(told.own.current.0)
            .arg(told.own.previous.0)
            .arg(told.reserved.0)
            .arg(asked.0)
            .arg(told.limit.0)
            .arg(told.typical.0)
            .arg(window - at.0 % window)
            .arg(window)
            .arg(instances)
            .arg(PROMISE_MS)
            .arg(LEASE_HOLD_MS)
            .arg(kept_for(*key));
        command
    }

    /// Runs the scripts' commands; loads the scripts where Redis does not have them.
    async fn run(&self, commands: &Pipeline) -> Result<Vec<Value>, CountersError> {
        bounded(async {
            match self.server.query(commands).await {
                Err(CountersError::Redis(error)) if is_unknown_script(&error) => {
                    let scripts = [
                        (&self.look, LOOK),
                        (&self.mention, MENTION),
                        (&self.mention_in_turn, MENTION_IN_TURN),
                        (&self.reset, RESET),
                        (&self.heartbeat, HEARTBEAT),
                    ];
                    for (script, text) in scripts {
                        self.server.load(script, text).await?;
                    }
                    self.server.query(commands).await
                }
                other => other,
            }
        })
        .await
    }
}

impl std::fmt::Debug for Counters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Counters").field("instance", &self.instance).finish_non_exhaustive()
    }
}

fn only(command: Cmd) -> Pipeline {
    let mut commands = Pipeline::with_capacity(1);
    commands.add_command(command);
    commands
}

async fn bounded<T>(work: impl Future<Output = Result<T, CountersError>>) -> Result<T, CountersError> {
    tokio::time::timeout(ANSWER_TIMEOUT, work).await.unwrap_or(Err(CountersError::Slow))
}

/// The braces make a cluster put all keys of a counter in one slot.
fn hash_of(key: CounterKey, bucket: Bucket) -> KeyName {
    named(key, itoa::Buffer::new().format(bucket.0))
}

fn resets_of(key: CounterKey) -> KeyName {
    named(key, "resets")
}

/// `llmgw:{counter}:window:` and what follows. Hundreds are written in each batch.
fn named(key: CounterKey, last: &str) -> KeyName {
    let mut name = KeyName::new();
    name.extend_from_slice(b"llmgw:{");
    name.extend_from_slice(&key.digits());
    name.extend_from_slice(b"}:");
    name.extend_from_slice(itoa::Buffer::new().format(key.length().as_ms()).as_bytes());
    name.push(b':');
    name.extend_from_slice(last.as_bytes());
    name
}

fn is_unknown_script(error: &RedisError) -> bool {
    error.code() == Some("NOSCRIPT") || error.to_string().contains("NOSCRIPT") || error.to_string().contains("NoScript")
}

/// How long a bucket's hash is kept from an instance's first word on: it counts for two windows from the bucket's beginning, and
/// instances' time may be somewhat ahead. In milliseconds.
fn kept_for(key: CounterKey) -> u64 {
    key.length().as_ms().saturating_mul(2).saturating_add(5_000)
}

/// Those whose numbers are in the answer, from 1 up.
fn chosen(answer: &Value, mentions: &[(CounterKey, Mention)]) -> Result<Vec<CounterKey>, CountersError> {
    let Value::Array(numbers) = answer else { return Err(CountersError::Nonsense) };
    let one = |number: &Value| {
        let Value::Int(number) = number else { return None };
        usize::try_from(number - 1).ok().and_then(|at| mentions.get(at)).map(|(key, _)| *key)
    };
    numbers.iter().map(|number| one(number).ok_or(CountersError::Nonsense)).collect()
}

fn seen(answer: &Value) -> Result<Seen, CountersError> {
    let [admitted, resets, current, previous, promised, lease] = numbers(answer).ok_or(CountersError::Nonsense)?;
    if admitted < 0 {
        return Ok(Seen::Reset(u64::try_from(resets).unwrap_or_default()));
    }
    let learnt = Learnt {
        admitted: admitted == 1,
        others: Spent { current: NanoUsd(current), previous: NanoUsd(previous) },
        promised: NanoUsd(promised),
        lease: NanoUsd(lease),
    };
    Ok(Seen::Learnt(learnt))
}

fn numbers<const N: usize>(answer: &Value) -> Option<[i64; N]> {
    let Value::Array(values) = answer else { return None };
    let numbers: Option<Vec<i64>> =
        values.iter().map(|value| if let Value::Int(number) = value { Some(*number) } else { None }).collect();
    numbers?.try_into().ok()
}

/// Reservations have a colon in them.
fn sum_of_spent(values: Value) -> NanoUsd {
    let texts: Vec<String> = redis::from_redis_value(values).unwrap_or_default();
    texts.iter().filter_map(|text| text.parse().ok()).map(NanoUsd).sum()
}
