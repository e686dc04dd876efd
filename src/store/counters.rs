//! What all instances spent, in Redis.
//!
//! One hash for each counter and bucket, `llmgw:{counter}:window:bucket`, in which each instance writes what it has spent in
//! total: a write that is repeated changes nothing, and what a Redis that was emptied has lost is written again by the
//! instances that live. All keys of a counter are in one slot of a cluster, and no command or pipeline spans two.

use std::time::Duration;

use bb8_redis::{RedisConnectionManager, bb8};
use redis::aio::ConnectionLike;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, RedisError, Script, Value};
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::database::Redis as Settings;
use crate::limits::counter::{Learnt, Told};
use crate::limits::scope::CounterKey;
use crate::limits::window::{Bucket, LedgerTime, Spent};
use crate::money::NanoUsd;

/// How long a connection may take to be made or to come free.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// How long Redis may take over one pipeline.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(1_000);

/// Connections held at one time.
const POOL_SIZE: u32 = 8;

/// How long a reservation stays after it was last written, in milliseconds: longer than leases are good, and long enough to be
/// written again.
const RESERVATION_MS: u64 = 3_000;

/// How long an instance counts as alive after its last sign of life, in milliseconds.
const ALIVE_MS: u64 = 5_000;

/// Who is alive.
const INSTANCES: &str = "llmgw:instances";

const LOOK: &str = include_str!("counters.lua");

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
    heartbeat: Script,
}

#[derive(Clone)]
enum Server {
    One(bb8::Pool<RedisConnectionManager>),
    Cluster { client: Box<ClusterClient>, connection: std::sync::Arc<tokio::sync::Mutex<Option<ClusterConnection>>> },
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
        let Some(url) = &settings.url else { return Ok(None) };
        let server = if settings.cluster { Server::cluster(url) } else { Server::one(url) };
        Ok(Some(Self {
            server: server.map_err(CountersError::Setting)?,
            instance: uuid::Uuid::new_v4().simple().to_string(),
            look: Script::new(LOOK),
            heartbeat: Script::new(HEARTBEAT),
        }))
    }

    /// Tells and asks, in one pipeline; on a cluster one command after another.
    ///
    /// # Errors
    /// When Redis is out of reach. Whether anything was written is not known then; to say it again is harmless.
    pub async fn look(&self, looks: &[Look], instances: u32) -> Result<Vec<(Seen, LedgerTime)>, CountersError> {
        let commands: Vec<Cmd> = looks.iter().map(|look| self.command(look, instances)).collect();
        let answers = self.run(&self.look, LOOK, &commands).await?;
        answers.iter().map(seen).collect()
    }

    /// Gives a sign of life.
    ///
    /// # Errors
    /// When Redis is out of reach.
    pub async fn heartbeat(&self) -> Result<Roll, CountersError> {
        let mut command = redis::cmd("EVALSHA");
        command.arg(self.heartbeat.get_hash()).arg(1).arg(INSTANCES).arg(&self.instance).arg(ALIVE_MS);
        let answers = self.run(&self.heartbeat, HEARTBEAT, &[command]).await?;
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
        let answers = bounded(self.server.query(&[redis::cmd("TIME")])).await?;
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
            command.arg(hash_of(key, Bucket(bucket)));
            command
        };
        let commands = [values(bucket.0), values(bucket.0.saturating_sub(1))];
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
        let mut more = redis::cmd("INCR");
        more.arg(resets_of(key));
        let mut expire = redis::cmd("PEXPIRE");
        expire.arg(resets_of(key)).arg(key.length().as_ms().saturating_mul(2));
        let mut delete = redis::cmd("DEL");
        delete.arg(hash_of(key, bucket)).arg(hash_of(key, Bucket(bucket.0.saturating_sub(1))));
        bounded(self.server.query(&[more, expire, delete])).await?;
        Ok(())
    }

    fn command(&self, look: &Look, instances: u32) -> Cmd {
        let Look { key, told, asked, at } = look;
        let window = key.length().as_ms();
        let mut command = redis::cmd("EVALSHA");
        command
            .arg(self.look.get_hash())
            .arg(3)
            .arg(hash_of(*key, told.bucket))
            .arg(hash_of(*key, Bucket(told.bucket.0.saturating_sub(1))))
            .arg(resets_of(*key))
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
            .arg(RESERVATION_MS);
        command
    }

    /// Runs a script's commands; loads the script where Redis does not have it.
    async fn run(&self, script: &Script, text: &str, commands: &[Cmd]) -> Result<Vec<Value>, CountersError> {
        bounded(async {
            match self.server.query(commands).await {
                Err(CountersError::Redis(error)) if is_unknown_script(&error) => {
                    self.server.load(script, text).await?;
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

impl Server {
    fn one(url: &SecretString) -> Result<Self, RedisError> {
        let manager = RedisConnectionManager::new(url.expose_secret())?;
        let pool = bb8::Pool::builder()
            .max_size(POOL_SIZE)
            .connection_timeout(CONNECT_TIMEOUT)
            // A connection that was cut is found out before it is used.
            .test_on_check_out(true)
            .build_unchecked(manager);
        Ok(Self::One(pool))
    }

    fn cluster(url: &SecretString) -> Result<Self, RedisError> {
        let client = ClusterClient::builder([url.expose_secret()])
            .connection_timeout(CONNECT_TIMEOUT)
            .response_timeout(ANSWER_TIMEOUT)
            .retries(1)
            .build()?;
        Ok(Self::Cluster { client: Box::new(client), connection: std::sync::Arc::default() })
    }

    async fn query(&self, commands: &[Cmd]) -> Result<Vec<Value>, CountersError> {
        match self {
            Self::One(pool) => {
                let mut connection = pool.get().await.map_err(|_| CountersError::Connect)?;
                let mut pipeline = redis::Pipeline::with_capacity(commands.len());
                for command in commands {
                    pipeline.add_command(command.clone());
                }
                Ok(pipeline.query_async(&mut *connection).await?)
            }
            Self::Cluster { client, connection } => {
                let mut cluster = Self::connected(client, connection).await?;
                let mut answers = Vec::with_capacity(commands.len());
                for command in commands {
                    answers.push(one(&mut cluster, command).await?);
                }
                Ok(answers)
            }
        }
    }

    async fn connected(
        client: &ClusterClient,
        connection: &tokio::sync::Mutex<Option<ClusterConnection>>,
    ) -> Result<ClusterConnection, CountersError> {
        let mut held = connection.lock().await;
        if let Some(connection) = &*held {
            return Ok(connection.clone());
        }
        let connection = client.get_async_connection().await?;
        Ok(held.insert(connection).clone())
    }

    async fn load(&self, script: &Script, text: &str) -> Result<(), CountersError> {
        match self {
            Self::One(pool) => {
                let mut connection = pool.get().await.map_err(|_| CountersError::Connect)?;
                script.prepare_invoke().load_async(&mut *connection).await?;
            }
            Self::Cluster { client, connection } => {
                let mut cluster = Self::connected(client, connection).await?;
                // Sent to all of its nodes.
                let mut load = redis::cmd("SCRIPT");
                load.arg("LOAD").arg(text);
                one(&mut cluster, &load).await?;
            }
        }
        Ok(())
    }
}

async fn one(connection: &mut impl ConnectionLike, command: &Cmd) -> Result<Value, RedisError> {
    command.query_async(connection).await
}

async fn bounded<T>(work: impl Future<Output = Result<T, CountersError>>) -> Result<T, CountersError> {
    tokio::time::timeout(ANSWER_TIMEOUT, work).await.unwrap_or(Err(CountersError::Slow))
}

/// The braces make a cluster put all keys of a counter in one slot.
fn hash_of(key: CounterKey, bucket: Bucket) -> String {
    format!("llmgw:{{{}}}:{}:{}", key.whose(), key.length().as_ms(), bucket.0)
}

fn resets_of(key: CounterKey) -> String {
    format!("llmgw:{{{}}}:{}:resets", key.whose(), key.length().as_ms())
}

fn is_unknown_script(error: &RedisError) -> bool {
    error.code() == Some("NOSCRIPT") || error.to_string().contains("NOSCRIPT") || error.to_string().contains("NoScript")
}

fn seen(answer: &Value) -> Result<(Seen, LedgerTime), CountersError> {
    let [admitted, resets, now, current, previous, promised, lease] = numbers(answer).ok_or(CountersError::Nonsense)?;
    let time = LedgerTime(u64::try_from(now).unwrap_or_default());
    if admitted < 0 {
        return Ok((Seen::Reset(u64::try_from(resets).unwrap_or_default()), time));
    }
    let learnt = Learnt {
        admitted: admitted == 1,
        others: Spent { current: NanoUsd(current), previous: NanoUsd(previous) },
        promised: NanoUsd(promised),
        lease: NanoUsd(lease),
    };
    Ok((Seen::Learnt(learnt), time))
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
