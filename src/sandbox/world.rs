//! What the connections of one sandbox share.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use super::SandboxOptions;
use super::record::{Log, Recorded};
use super::reply::Reply;
use super::script::Script;
use super::seal::Ids;
use super::{anthropic, gemini, openai};
use crate::clock::Clock;
use crate::config::providers::Kind;

#[derive(Debug)]
pub(super) struct World {
    pub(super) kind: Kind,
    pub(super) api_key: String,
    pub(super) script: Script,
    pub(super) log: Log,
    clock: Clock,
    calls: AtomicU64,
    prefixes: Prefixes,
}

/// Prompts seen before, by their hashes: the simulated prompt cache.
#[derive(Debug, Default)]
pub(super) struct Prefixes(Mutex<HashSet<[u8; 32]>>);

impl Prefixes {
    pub(super) fn known(&self, prefix: &[u8; 32]) -> bool {
        self.lock().contains(prefix)
    }

    pub(super) fn remember(&self, prefix: [u8; 32]) {
        let mut known = self.lock();
        if known.len() >= MOST_PREFIXES {
            known.clear();
        }
        known.insert(prefix);
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<[u8; 32]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const MOST_PREFIXES: usize = 10_000;

/// One request to be simulated.
pub(super) struct Call<'a> {
    pub(super) request: &'a Recorded,
    pub(super) api_key: &'a str,
    /// Seconds since 1970.
    pub(super) now: u64,
    pub(super) ids: Ids,
    pub(super) prefixes: &'a Prefixes,
}

impl World {
    pub(super) fn new(kind: Kind, options: SandboxOptions) -> Self {
        Self {
            kind,
            api_key: options.api_key,
            script: Script::default(),
            log: Log::default(),
            clock: options.clock,
            calls: AtomicU64::new(0),
            prefixes: Prefixes::default(),
        }
    }

    /// What the provider says to this.
    pub(super) fn simulate(&self, request: &Recorded) -> Reply {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let call = Call {
            request,
            api_key: &self.api_key,
            now: self.clock.wall().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            ids: Ids::new(number, &request.body),
            prefixes: &self.prefixes,
        };
        match self.kind {
            Kind::OpenAi => openai::answer(call),
            Kind::Anthropic => anthropic::answer(call),
            Kind::Gemini => gemini::answer(call),
        }
    }
}
