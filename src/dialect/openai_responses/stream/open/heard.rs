//! What has come of a text, and what is new in its whole.

use sha2::{Digest, Sha256};

/// What has come of a text: how much, and its hash, so that a whole that is told later can be known as its continuation.
#[derive(Clone, Debug, Default)]
pub(in crate::dialect::openai_responses::stream) struct Heard {
    bytes: usize,
    hash: Sha256,
}

impl Heard {
    pub(super) fn more(&mut self, text: &str) {
        self.bytes += text.len();
        self.hash.update(text.as_bytes());
    }

    /// What is new in the whole. Nothing, if it contradicts what has come.
    pub(super) fn news<'w>(&self, whole: &'w str) -> Option<&'w str> {
        let (known, news) = whole.split_at_checked(self.bytes)?;
        if news.is_empty() {
            return None;
        }
        let is_same = self.bytes == 0 || Sha256::digest(known.as_bytes()) == self.hash.clone().finalize();
        is_same.then_some(news)
    }
}
