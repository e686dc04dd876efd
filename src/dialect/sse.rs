//! Server-sent events, read incrementally and written (WHATWG HTML, section 9.2).
//!
//! The reader takes bytes as they come, split anywhere, with any of the three line ends. It holds at most one event,
//! within a bound. The names of events, ids and retry times are read past: every vendor repeats in the data what the
//! event is.

use std::io::Write as _;

use memchr::memchr2;
use serde_json::Value;

/// The largest event that is taken, in bytes: an image comes in one event.
pub const MAX_EVENT: usize = 64 * 1024 * 1024;

/// A reader of events.
#[derive(Clone, Debug)]
pub struct Parser {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    after_cr: bool,
    at_start: bool,
    limit: usize,
}

/// An event was larger than the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the provider sent an event of more than {limit} bytes")]
pub struct TooLarge {
    /// The bound, in bytes.
    pub limit: usize,
}

impl Default for Parser {
    fn default() -> Self {
        Self::new()
    }
}

impl Parser {
    /// Takes events of up to [`MAX_EVENT`].
    pub fn new() -> Self {
        Self::with_limit(MAX_EVENT)
    }

    /// Takes events of up to `limit` bytes.
    pub fn with_limit(limit: usize) -> Self {
        Self { line: Vec::new(), data: Vec::new(), has_data: false, after_cr: false, at_start: true, limit }
    }

    /// Takes bytes, and calls `each` with the data of every event that is complete.
    ///
    /// # Errors
    /// An event is larger than the bound; nothing more can be read then.
    pub fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(&str)) -> Result<(), TooLarge> {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = memchr2(b'\n', b'\r', bytes) else {
                self.line.extend_from_slice(bytes);
                return self.check();
            };
            self.after_cr = bytes[end] == b'\r';
            if self.line.is_empty() {
                self.line(&bytes[..end], &mut each);
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(&bytes[..end]);
                self.line(&line, &mut each);
                line.clear();
                self.line = line;
            }
            self.check()?;
            bytes = &bytes[end + 1..];
        }
        Ok(())
    }

    /// The bytes have ended. An event that lacks only its blank line is given too: if it was cut, its data is broken, and
    /// whoever reads that will see it.
    pub fn finish(&mut self, mut each: impl FnMut(&str)) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.line(&line, &mut each);
        }
        self.dispatch(&mut each);
    }

    fn line(&mut self, mut line: &[u8], each: &mut impl FnMut(&str)) {
        if std::mem::take(&mut self.at_start) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            self.dispatch(each);
            return;
        }
        let (name, value) = match memchr::memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &line[..0]),
        };
        if name != b"data" {
            return;
        }
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
    }

    fn dispatch(&mut self, each: &mut impl FnMut(&str)) {
        if std::mem::take(&mut self.has_data) {
            each(&String::from_utf8_lossy(&self.data));
        }
        self.data.clear();
    }

    fn check(&self) -> Result<(), TooLarge> {
        if self.line.len() + self.data.len() > self.limit { Err(TooLarge { limit: self.limit }) } else { Ok(()) }
    }
}

/// Writes an event without a name.
pub fn write(out: &mut Vec<u8>, data: &str) {
    for line in data.split('\n') {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
    out.push(b'\n');
}

/// Writes an event whose data is this value: its JSON has no line break.
pub fn write_json(out: &mut Vec<u8>, value: &Value) {
    out.extend_from_slice(b"data: ");
    json_to(out, value);
    out.extend_from_slice(b"\n\n");
}

/// Appends a value as JSON: through `Display`, as `to_string` goes, it takes a third longer.
pub fn json_to(out: &mut Vec<u8>, value: &Value) {
    // Writing into memory cannot fail, and no map's key is anything but a text.
    let _ = serde_json::to_writer(out, value);
}

/// Writes an event with its name.
pub fn write_named(out: &mut Vec<u8>, name: &str, data: &str) {
    // Writing into memory cannot fail.
    let _ = writeln!(out, "event: {name}");
    write(out, data);
}

/// Writes an event with its name, whose data is this value.
pub fn write_named_json(out: &mut Vec<u8>, name: &str, value: &Value) {
    let _ = writeln!(out, "event: {name}");
    write_json(out, value);
}

/// Writes a comment, which keeps a connection alive and means nothing.
pub fn write_comment(out: &mut Vec<u8>, text: &str) {
    let _ = write!(out, ": {text}\n\n");
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn read(chunks: &[&[u8]]) -> Vec<String> {
        let mut parser = Parser::new();
        let mut events = Vec::new();
        for chunk in chunks {
            parser.push(chunk, |data| events.push(data.to_owned())).unwrap();
        }
        parser.finish(|data| events.push(data.to_owned()));
        events
    }

    const ALL: &[u8] =
        b"\xef\xbb\xbf: hi\r\n\r\nevent: a\rdata: one\r\rdata:two\ndata:  three\n\nid: 7\n\ndata\n\ndata: \xc3\xa4\r\n\r\n";

    #[test]
    fn any_line_end_and_any_split_give_the_same_events() {
        let whole = read(&[ALL]);
        assert_eq!(whole, ["one", "two\n three", "", "ä"]);
        for size in 1..ALL.len() {
            assert_eq!(read(&ALL.chunks(size).collect::<Vec<_>>()), whole, "in chunks of {size}");
        }
    }

    #[test]
    fn an_event_without_its_blank_line_is_given_at_the_end() {
        assert_eq!(read(&[b"data: [DONE]"]), ["[DONE]"]);
        assert_eq!(read(&[b"event: x"]), Vec::<String>::new());
    }

    #[test]
    fn an_event_over_the_bound_is_refused_however_it_comes() {
        for chunk in [1, 7, 100] {
            let mut parser = Parser::with_limit(32);
            let bytes = format!("data: {}\n\n", "x".repeat(50));
            let ends: Result<Vec<()>, TooLarge> =
                bytes.as_bytes().chunks(chunk).map(|part| parser.push(part, |_| {})).collect();
            assert_eq!(ends, Err(TooLarge { limit: 32 }));
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut out = Vec::new();
        write_comment(&mut out, "keepalive");
        write_named(&mut out, "message_start", "{}");
        write(&mut out, "two\nlines");
        assert_eq!(read(&[&out]), ["{}", "two\nlines"]);
    }
}
