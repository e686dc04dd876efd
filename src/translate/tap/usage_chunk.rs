//! Takes the one event out of a chat completions stream that the caller did not ask for.

use bytes::{Bytes, BytesMut};
use memchr::memchr;
use memchr::memmem;

use crate::dialect::openai_chat::tap::is_usage_chunk;

/// The largest event that may turn out to be the usage chunk, in bytes; it is a few hundred.
const LARGEST_CANDIDATE: usize = 16 * 1024;

/// Passes all bytes of a stream but the usage chunk. It holds back only the beginning of an event that may still be it.
///
/// At the stream's end, however it comes about, [`finish`](Self::finish) gives what is still held: only with it has the
/// caller got all that a tap has seen.
#[derive(Clone, Debug, Default)]
pub struct UsageChunkFilter {
    held: BytesMut,
    /// The open event is none, and passes as it comes.
    passing: bool,
    line: LineState,
}

/// Finds the blank line that ends an event.
#[derive(Clone, Copy, Debug, Default)]
struct LineState {
    filled: bool,
}

impl UsageChunkFilter {
    /// A filter for one stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// What of these bytes, and of what was held, goes on.
    pub fn push(&mut self, bytes: Bytes) -> Bytes {
        let mut out = Out { bytes: bytes.clone(), copied: None, from: 0 };
        let mut at = 0;
        // Where in `bytes` the open event's bytes begin; what came before is in `held`.
        let mut begin = 0;
        while let Some(length) = self.line.event_end(&bytes[at..]) {
            let end = at + length;
            if std::mem::take(&mut self.passing) {
                // It has been going out all along.
            } else if self.held.is_empty() {
                if is_usage_event(&bytes[begin..end]) {
                    out.skip(begin, end);
                }
            } else {
                self.held.extend_from_slice(&bytes[begin..end]);
                let event = self.held.split();
                if is_usage_event(&event) {
                    out.skip(begin, end);
                } else {
                    out.insert(&event, begin, end);
                }
            }
            at = end;
            begin = end;
        }
        if begin < bytes.len() && !self.passing {
            self.held.extend_from_slice(&bytes[begin..]);
            if may_be_usage(&self.held) {
                out.skip(begin, bytes.len());
            } else {
                self.passing = true;
                let event = self.held.split();
                out.insert(&event, begin, bytes.len());
            }
        }
        out.finish()
    }

    /// What is still held when the stream is over.
    pub fn finish(self) -> Bytes {
        self.held.freeze()
    }
}

/// Collects what goes on; without a copy as long as that is everything.
struct Out {
    bytes: Bytes,
    copied: Option<BytesMut>,
    /// From here on, `bytes` are not in `copied` yet.
    from: usize,
}

impl Out {
    fn skip(&mut self, begin: usize, end: usize) {
        self.insert(&[], begin, end);
    }

    /// Puts these bytes in the place of those.
    fn insert(&mut self, instead: &[u8], begin: usize, end: usize) {
        if self.bytes.get(begin..end) == Some(instead) {
            return;
        }
        let copied = self.copied.get_or_insert_with(BytesMut::new);
        copied.extend_from_slice(&self.bytes[self.from..begin]);
        copied.extend_from_slice(instead);
        self.from = end;
    }

    fn finish(self) -> Bytes {
        match self.copied {
            None => self.bytes,
            Some(mut copied) => {
                copied.extend_from_slice(&self.bytes[self.from..]);
                copied.freeze()
            }
        }
    }
}

impl LineState {
    /// How far the open event goes, its blank line included; `None` if it goes on behind these bytes.
    fn event_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            let Some(length) = memchr(b'\n', rest) else {
                self.filled |= rest.iter().any(|byte| *byte != b'\r');
                return None;
            };
            let blank = !self.filled && rest[..length].iter().all(|byte| *byte == b'\r');
            self.filled = false;
            at += length + 1;
            if blank {
                return Some(at);
            }
        }
    }
}

/// The data of an event; of one that is not complete, what there is of it.
fn payload(event: &[u8]) -> Option<&[u8]> {
    event.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"data:")).map(<[u8]>::trim_ascii)
}

fn is_usage_event(event: &[u8]) -> bool {
    may_be_usage(event) && memmem::find(event, br#""usage""#).is_some() && payload(event).is_some_and(is_usage_chunk)
}

/// Whether an event that has only begun may be the usage chunk: nothing says that it has a choice.
fn may_be_usage(event: &[u8]) -> bool {
    let has_choice = |event: &[u8]| {
        let behind = memmem::find(event, br#""choices""#).map(|found| event[found + 9..].trim_ascii_start())?;
        let array = behind.strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"[")?.trim_ascii_start();
        array.first().map(|byte| *byte != b']')
    };
    event.len() <= LARGEST_CANDIDATE && has_choice(event) != Some(true)
}
