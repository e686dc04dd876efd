//! Events for PostHog, and where they wait until it has taken them.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use url::Url;

use super::value::{self, Wrong};

/// An event has at most 900 KiB, and has to fit with its neighbours' commas.
const LEAST_BYTES: u64 = 1024 * 1024;

/// PostHog's `/batch/` takes no larger body, counted before compression.
const LARGEST_BATCH: usize = 20_000_000;

/// `[analytics]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Analytics {
    /// The project's key; none: no events.
    #[serde(default, deserialize_with = "value::api_key")]
    pub api_key: Option<SecretString>,
    /// Where events go.
    #[serde(deserialize_with = "value::http_url")]
    pub host: Url,
    /// The file in which events wait; none: they wait in memory only. A relative path is below the working directory, and in
    /// `dev` below the data folder.
    #[serde(deserialize_with = "spool")]
    pub spool: Option<PathBuf>,
    /// The most bytes of events that wait in the file, compressed.
    pub spool_bytes: u64,
    /// How long an event waits at most.
    #[serde(deserialize_with = "value::positive")]
    pub spool_age: Duration,
    /// Which events go when the file, or the memory that stands in for it, is full.
    pub when_full: WhenFull,
    /// The most events between a call's end and the file.
    #[serde(deserialize_with = "value::at_least_one")]
    pub buffer_events: usize,
    /// The most bytes that they hold. As much again may wait in memory, compressed, while the file cannot be written.
    pub buffer_bytes: usize,
    /// The most bytes of a stream that are kept for its event.
    pub stream_bytes: usize,
    /// The most bytes that all streams under way hold for their events.
    pub stream_memory: usize,
    /// The most events in one request to PostHog.
    #[serde(deserialize_with = "value::at_least_one")]
    pub batch_events: usize,
    /// The most bytes in one, before compression.
    pub batch_bytes: usize,
    /// How long an event waits for others to be sent with.
    #[serde(deserialize_with = "value::positive")]
    pub flush_every: Duration,
    /// How long PostHog may take to answer.
    #[serde(deserialize_with = "value::positive")]
    pub timeout: Duration,
    /// The longest pause between two attempts; the first is half a second, and doubles.
    #[serde(deserialize_with = "value::positive")]
    pub retry_max: Duration,
}

/// Which events go when there is no room for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// Those that have waited longest.
    DropOldest,
    /// Those that come.
    DropNewest,
}

impl Analytics {
    pub(super) fn check(&self) -> Result<(), Wrong> {
        let least =
            |key: &str| Wrong::new(format!("analytics.{key}"), format!("expected at least {LEAST_BYTES} bytes"));
        if self.spool_bytes < LEAST_BYTES {
            return Err(least("spool_bytes"));
        }
        if (self.buffer_bytes as u64) < LEAST_BYTES {
            return Err(least("buffer_bytes"));
        }
        if (self.batch_bytes as u64) < LEAST_BYTES {
            return Err(least("batch_bytes"));
        }
        if self.batch_bytes > LARGEST_BATCH {
            let problem = format!("expected at most {LARGEST_BATCH} bytes: PostHog takes no larger request");
            return Err(Wrong::new("analytics.batch_bytes", problem));
        }
        Ok(())
    }
}

/// `none`, or a path.
fn spool<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    Ok((path.as_os_str() != "none" && !path.as_os_str().is_empty()).then_some(path))
}
