//! Finishes a JSON object that was cut anywhere, so that an error can stand in it.
//!
//! A stream that was cut in the middle of an event leaves the caller with half a line, which nothing can take back. A
//! blank line behind it would make the caller's SDK fail on broken JSON instead of on the error. So the object is finished
//! with the fewest bytes, and the error becomes its last member, where the SDKs look for it.

/// How an object that was cut can go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mend {
    /// It is complete.
    Complete,
    /// With these bytes, the outermost object is ready for its next member (a comma included where one is needed).
    Open(Vec<u8>),
    /// It is no object, or no JSON.
    Hopeless,
}

/// What comes next on the innermost level.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// A key, or the end of the object.
    FirstKey,
    Key,
    Colon,
    Value,
    /// An element, or the end of the array.
    FirstElement,
    Element,
    /// A comma, or the end.
    Comma,
}

/// Finds out how the object goes on.
pub(super) fn mend(fragment: &[u8]) -> Mend {
    let mut cut = Cut { stack: Vec::new(), next: Next::Value };
    match cut.read(fragment) {
        None => Mend::Hopeless,
        Some(End::Object) => Mend::Complete,
        Some(End::Fragment(mut tail)) => {
            if cut.stack.first() != Some(&b'{') {
                return Mend::Hopeless;
            }
            match cut.next {
                Next::Colon => tail.extend_from_slice(b":null"),
                Next::Value | Next::Element => tail.extend_from_slice(b"null"),
                Next::Key if cut.stack.len() > 1 => tail.extend_from_slice(b"\"\":null"),
                Next::FirstKey | Next::Key | Next::FirstElement | Next::Comma => {}
            }
            for open in cut.stack[1..].iter().rev() {
                tail.push(if *open == b'{' { b'}' } else { b']' });
            }
            let ready = cut.stack.len() == 1 && matches!(cut.next, Next::FirstKey | Next::Key);
            if !ready {
                tail.push(b',');
            }
            Mend::Open(tail)
        }
    }
}

struct Cut {
    stack: Vec<u8>,
    next: Next,
}

enum End {
    /// The outermost object was closed.
    Object,
    /// The bytes ended; these finish the string, number or word that they ended in.
    Fragment(Vec<u8>),
}

impl Cut {
    fn read(&mut self, bytes: &[u8]) -> Option<End> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b'{' | b'[' => {
                    if !self.takes_value() {
                        return None;
                    }
                    self.stack.push(byte);
                    self.next = if byte == b'{' { Next::FirstKey } else { Next::FirstElement };
                }
                b'}' | b']' => {
                    self.stack.pop()?;
                    self.next = Next::Comma;
                    if self.stack.is_empty() {
                        return bytes[at + 1..].trim_ascii().is_empty().then_some(End::Object);
                    }
                }
                b',' => self.next = if self.stack.last() == Some(&b'{') { Next::Key } else { Next::Element },
                b':' => self.next = Next::Value,
                b'"' => {
                    let is_key = matches!(self.next, Next::FirstKey | Next::Key);
                    if !is_key && !self.takes_value() {
                        return None;
                    }
                    self.next = if is_key { Next::Colon } else { Next::Comma };
                    match string_end(&bytes[at + 1..]) {
                        Ok(length) => at += length,
                        Err(tail) => return Some(End::Fragment(tail)),
                    }
                }
                _ => {
                    if !self.takes_value() || self.stack.is_empty() {
                        return None;
                    }
                    self.next = Next::Comma;
                    let rest = &bytes[at..];
                    let length = rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
                    if length == 0 {
                        return None;
                    }
                    if length == rest.len() {
                        return word_tail(rest).map(|tail| End::Fragment(tail.to_vec()));
                    }
                    at += length - 1;
                }
            }
            at += 1;
        }
        Some(End::Fragment(Vec::new()))
    }

    fn takes_value(&self) -> bool {
        matches!(self.next, Next::Value | Next::FirstElement | Next::Element)
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')
}

/// What finishes a number, `true`, `false` or `null`.
fn word_tail(word: &[u8]) -> Option<&'static [u8]> {
    for whole in [&b"true"[..], b"false", b"null"] {
        if whole.starts_with(word) {
            return Some(&whole[word.len()..]);
        }
    }
    match word.last()? {
        b'0'..=b'9' => Some(b""),
        b'-' | b'+' | b'.' | b'e' | b'E' => Some(b"0"),
        _ => None,
    }
}

/// How far a string goes, its closing quote included; or what finishes it.
fn string_end(rest: &[u8]) -> Result<usize, Vec<u8>> {
    let mut at = 0;
    loop {
        let Some(found) = memchr::memchr2(b'"', b'\\', &rest[at..]) else {
            let mut tail = utf8_tail(&rest[at..]);
            tail.push(b'"');
            return Err(tail);
        };
        at += found;
        if rest[at] == b'"' {
            return Ok(at + 1);
        }
        let escape = &rest[at + 1..];
        let (length, missing): (usize, &[u8]) = match escape.first() {
            None => (1, b"\\\""),
            Some(b'u') => match escape.len() {
                1 => (5, b"0000\""),
                2 => (5, b"000\""),
                3 => (5, b"00\""),
                4 => (5, b"0\""),
                _ => (5, b""),
            },
            Some(_) => (1, b""),
        };
        if !missing.is_empty() {
            return Err(missing.to_vec());
        }
        at += 1 + length;
    }
}

/// What finishes a character that was cut.
fn utf8_tail(text: &[u8]) -> Vec<u8> {
    let begun = text.iter().rev().take(3).take_while(|byte| (0x80..0xc0).contains(*byte)).count();
    let Some(&lead) = text.len().checked_sub(begun + 1).and_then(|at| text.get(at)) else { return Vec::new() };
    let length: usize = match lead {
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
        _ => 1,
    };
    let mut tail = vec![0x80; length.saturating_sub(begun + 1)];
    if begun == 0
        && let Some(second) = tail.first_mut()
    {
        match lead {
            0xe0 => *second = 0xa0,
            0xf0 => *second = 0x90,
            _ => {}
        }
    }
    tail
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_is_cut_anywhere_takes_an_error_as_its_last_member() {
        let whole = r#" {"a":[1,-2.5e+3,{"k\"\u00e9":"x\\\n€😀é"},[],[[ ]]],"t": true ,"f":false,"n":null,"o":{},"é":{"z":[{"y":"ࠀ𐀀"}]}}"#;
        for cut in 0..whole.len() {
            let mut text = whole.as_bytes()[..cut].to_vec();
            let Mend::Open(tail) = mend(&text) else {
                assert!(cut <= 1, "cut at {cut}");
                continue;
            };
            text.extend_from_slice(&tail);
            text.extend_from_slice(br#""error":{"message":"m"}}"#);
            let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
            assert_eq!(value["error"]["message"], "m");
        }
        assert_eq!(mend(whole.as_bytes()), Mend::Complete);
    }

    #[test]
    fn what_is_no_object_is_left_alone() {
        for text in ["", "[DON", "[1,", "\"a", "{\"a\" x", "{}x", "nul", "{1"] {
            assert_eq!(mend(text.as_bytes()), Mend::Hopeless, "{text}");
        }
    }
}
