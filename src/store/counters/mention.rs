//! Says what an instance has spent, where nothing has to be learnt of the others.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::Cmd;

use super::{Counters, CountersError, hash_of, only};
use crate::limits::counter::Mention;
use crate::limits::scope::CounterKey;

/// An instance's turn, whose key is this and its id, and for how long one goes on at most.
const TURNS: &str = "llmgw:turn:";
const LONGEST_TURN: Duration = Duration::from_secs(3_600);

/// Says what an instance spent of several counters; returns the numbers of those of which Redis knows nothing from this instance:
/// they were reset, or forgotten, since it last looked. Nothing is written of those. A look always leaves something, so that
/// neither how often a counter was reset nor when its hash expires has to be asked here: this runs for each counter that is spent
/// from, twenty times a second. Numbers without a sign are compared as texts, which takes less time than to read them. For a cluster,
/// one counter at a time: what several commands say has no turn.
pub(super) const MENTION: &str = "local call, id, unknown = redis.call, ARGV[1], {}
for i = 1, #KEYS do
  local had, spent = call('HGET', KEYS[i], id), ARGV[i + 1]
  if not had then
    unknown[#unknown + 1] = i
  elseif #had < #spent or #had == #spent and had < spent then
    call('HSET', KEYS[i], id, spent)
  end
end
return unknown";

/// The same in half the time, for what one instance says in one turn: a batch that comes after later ones, by a connection that was
/// given up, finds another turn begun, and writes nothing. So what it says need not be compared with what is there. Returns nothing
/// where that turn is over.
pub(super) const MENTION_IN_TURN: &str = "local call, id, unknown = redis.call, ARGV[1], {}
if call('GET', KEYS[1]) ~= ARGV[2] then return false end
for i = 2, #KEYS do
  if call('HSET', KEYS[i], id, ARGV[i + 1]) == 1 then
    call('HDEL', KEYS[i], id)
    unknown[#unknown + 1] = i - 1
  end
end
return unknown";

/// For how long one instance's mentions are known to come one after the other.
#[derive(Debug, Default)]
pub(super) struct Turn {
    number: u64,
    /// Since when Redis knows of it; none where it may not, or where something of it may still be on its way.
    begun: Option<Instant>,
}

/// A mention on its way. Dropped before it was answered, the turn is over.
pub(super) struct Mentioning<'a>(Option<&'a Mutex<Turn>>);

impl<'a> Mentioning<'a> {
    pub(super) fn under_way(turn: &'a Mutex<Turn>) -> Self {
        Self(Some(turn))
    }

    pub(super) fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Mentioning<'_> {
    fn drop(&mut self) {
        if let Some(turn) = self.0 {
            turn.lock().unwrap_or_else(PoisonError::into_inner).begun = None;
        }
    }
}

impl Counters {
    /// The number of the turn; begins one where there is none. What was said in the one before finds it over from then on.
    pub(super) async fn turn(&self) -> Result<u64, CountersError> {
        let number = {
            let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
            if turn.begun.is_some_and(|begun| begun.elapsed() < LONGEST_TURN) {
                return Ok(turn.number);
            }
            turn.number += 1;
            turn.number
        };
        let mut command = redis::cmd("SET");
        command.arg(&*self.turn_name()).arg(number).arg("EX").arg(2 * LONGEST_TURN.as_secs());
        self.run(&only(command)).await?;
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if turn.number == number {
            turn.begun = Some(Instant::now());
        }
        Ok(number)
    }

    fn turn_name(&self) -> String {
        format!("{TURNS}{}", self.instance)
    }

    /// The command that mentions these; without a turn, of one counter.
    pub(super) fn mentioning(&self, mentions: &[(CounterKey, Mention)], turn: Option<u64>) -> Cmd {
        let script = if turn.is_some() { &self.mention_in_turn } else { &self.mention };
        // For each a key, of some 60 bytes, and an amount.
        let mut command = Cmd::with_capacity(6 + 2 * mentions.len(), 192 + 80 * mentions.len());
        command.arg("EVALSHA").arg(script.get_hash()).arg(mentions.len() + usize::from(turn.is_some()));
        command.arg(turn.map(|_| self.turn_name()));
        for (key, mention) in mentions {
            command.arg(&*hash_of(*key, mention.bucket));
        }
        command.arg(&self.instance).arg(turn);
        for (_, mention) in mentions {
            command.arg(mention.own.0);
        }
        command
    }
}
