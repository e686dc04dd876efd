//! Makes an event small enough for PostHog, which refuses one of more than a megabyte.
//!
//! The longest texts of the content are cut first, all to one length, so that what is short stays whole. What is cut stays valid
//! JSON and valid UTF-8. If even that is not enough, because there are too many texts, the content goes.

use std::ops::Range;

use super::sound::escape_length;

/// The most bytes that an event may have.
pub(super) const LIMIT: usize = 900 * 1024;

/// Stands where a text was cut.
const MARK: &str = "… [cut]";

/// The shortest length that texts are cut to, in bytes; content with too many texts for that is left out.
const SHORTEST: usize = 64;

/// Whether an event was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// It is whole.
    No,
    /// Texts were cut.
    Texts,
    /// The content was left out.
    Content,
}

impl Cut {
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::No => None,
            Self::Texts => Some("texts"),
            Self::Content => Some("content"),
        }
    }
}

/// Cuts texts of a JSON fragment (members of an object, say) so that it has at most `limit` bytes.
pub(super) fn fit(content: Vec<u8>, limit: usize) -> (Vec<u8>, Cut) {
    if content.len() <= limit {
        return (content, Cut::No);
    }
    let texts = texts(&content);
    let excess = content.len() - limit;
    let Some(longest) = longest(&texts, excess) else { return (Vec::new(), Cut::Content) };
    let mut out = Vec::with_capacity(limit);
    let mut done = 0;
    for text in texts.iter().filter(|text| text.len() > longest) {
        let end = boundary(&content[text.clone()], longest - MARK.len());
        out.extend_from_slice(&content[done..text.start + end]);
        out.extend_from_slice(MARK.as_bytes());
        done = text.end;
    }
    out.extend_from_slice(&content[done..]);
    (out, Cut::Texts)
}

/// The strings that are values, without their quotes, as they are written.
fn texts(json: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(quote) = memchr::memchr(b'"', &json[at..]) {
        let start = at + quote + 1;
        let mut end = start;
        loop {
            match memchr::memchr2(b'"', b'\\', &json[end..]) {
                None => return found,
                Some(place) if json[end + place] == b'"' => {
                    end += place;
                    break;
                }
                Some(place) => end = (end + place + 2).min(json.len()),
            }
        }
        if json.get(end + 1) != Some(&b':') {
            found.push(start..end);
        }
        at = end + 1;
    }
    found
}

/// The length to which all texts have to be cut so that `excess` bytes go; none if that would leave too little of them.
fn longest(texts: &[Range<usize>], excess: usize) -> Option<usize> {
    let mut lengths: Vec<usize> = texts.iter().map(ExactSizeIterator::len).filter(|len| *len > SHORTEST).collect();
    lengths.sort_unstable_by(|one, other| other.cmp(one));
    let shorter = lengths.iter().skip(1).chain([&SHORTEST]);
    let mut above = 0;
    for (count, (len, next)) in (1..).zip(lengths.iter().zip(shorter)) {
        above += len;
        // With the first `count` texts cut to `next` bytes, this much would be gone.
        let gone = above - count * next;
        if gone >= excess {
            return Some(((above - excess) / count).max(SHORTEST));
        }
    }
    None
}

/// The last place at or before `at` where a JSON string may be cut: between characters, and not inside of an escape.
fn boundary(text: &[u8], at: usize) -> usize {
    let mut at = at.min(text.len());
    while at > 0 && text.get(at).is_some_and(|byte| byte & 0xC0 == 0x80) {
        at -= 1;
    }
    // The longest escape is a pair of surrogates, `\ud83d\ude00`: one that began before this has ended by then.
    let window = at.saturating_sub(12);
    let mut place = start_of_escapes(text, window);
    loop {
        let len = match text.get(place..) {
            Some(rest @ [b'\\', ..]) => escape_length(rest),
            Some([_, ..]) => 1,
            Some([]) | None => return at,
        };
        if place + len > at {
            return place;
        }
        place += len;
        if place == at {
            return at;
        }
    }
}

/// A place at or before `near` that is no inside of an escape: behind an even number of backslashes.
fn start_of_escapes(text: &[u8], near: usize) -> usize {
    let backslashes = text[..near].iter().rev().take_while(|byte| **byte == b'\\').count();
    near - backslashes
}
