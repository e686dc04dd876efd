//! Bounds what a reader of a stream keeps until the stream's end.

use super::sse;
use crate::fault::{Fault, FaultKind};
use crate::ir::{Carry, weight};

/// How much is kept, in bytes: never more than one event may have.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kept(usize);

impl Kept {
    /// Keeps so much more.
    ///
    /// # Errors
    /// It is too much.
    pub(super) fn more(&mut self, bytes: usize) -> Result<(), Fault> {
        self.0 = self.0.saturating_add(bytes);
        if self.0 > sse::MAX_EVENT {
            let said = format!("what its events say beside the answer is more than {} bytes in all", sse::MAX_EVENT);
            return Err(Fault::new(FaultKind::UpstreamError, said));
        }
        Ok(())
    }

    /// Adds loose fields to others. Those that are said again take the place of those that are known.
    ///
    /// # Errors
    /// It is too much.
    pub(super) fn merge(&mut self, carry: &mut Carry, news: Carry) -> Result<(), Fault> {
        let known = carry.loose().map(|(_, rest)| rest);
        let mut more = 0;
        for (key, value) in news.loose().into_iter().flat_map(|(_, rest)| rest) {
            more += key.len() + weight(value);
            if let Some(known) = known.and_then(|known| known.get(key)) {
                self.0 = self.0.saturating_sub(key.len() + weight(known));
            }
        }
        carry.merge(news);
        self.more(more)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;
    use crate::ir::Dialect;

    fn loose(key: &str, megabytes: usize) -> Carry {
        let text = Value::from("x".repeat(megabytes << 20));
        Carry::of(Dialect::Gemini, Map::from_iter([(key.to_owned(), text)]))
    }

    #[test]
    fn what_is_said_again_takes_no_more_room_and_what_is_new_does() {
        let (mut kept, mut carry) = (Kept::default(), Carry::NONE);
        for _ in 0..20 {
            assert!(kept.merge(&mut carry, loose("same", 8)).is_ok());
        }
        let refused = (0..20).position(|number| kept.merge(&mut carry, loose(&number.to_string(), 8)).is_err());
        assert_eq!(refused, Some(6));
    }
}
