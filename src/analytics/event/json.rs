//! Writes JSON straight into bytes: events are many, and a tree for each would cost more than all else about them.

use serde::Serialize;
use serde_json::Value;

const BILLION: u64 = 1_000_000_000;

/// Bytes that become one JSON document. What is opened has to be closed by whoever opened it.
#[derive(Debug, Default)]
pub(super) struct Json {
    out: Vec<u8>,
}

impl Json {
    /// A document in this room.
    pub(super) fn over(out: Vec<u8>) -> Self {
        Self { out }
    }

    /// How many bytes there are.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// The bytes, for what writes its own.
    pub(super) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// Forgets what was written since there were this many bytes.
    pub(super) fn back_to(&mut self, len: usize) {
        self.out.truncate(len);
    }

    pub(super) fn open(&mut self, bracket: u8) {
        self.separate();
        self.out.push(bracket);
    }

    pub(super) fn close(&mut self, bracket: u8) {
        self.out.push(bracket);
    }

    /// A member's name that has nothing to escape.
    pub(super) fn key(&mut self, name: &str) {
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A member's name of anybody's making.
    pub(super) fn any_key(&mut self, name: &str) {
        self.separate();
        text(&mut self.out, name);
        self.out.push(b':');
    }

    pub(super) fn text(&mut self, value: &str) {
        self.separate();
        text(&mut self.out, value);
    }

    /// A string that needs no escapes.
    pub(super) fn plain(&mut self, value: &str) {
        self.separate();
        plain_text(&mut self.out, value);
    }

    /// A number in billionths, as a decimal fraction.
    pub(super) fn billionths(&mut self, name: &str, value: i64) {
        self.key(name);
        if value < 0 {
            self.out.push(b'-');
        }
        let value = value.unsigned_abs();
        put(&mut self.out, &(value / BILLION));
        self.out.push(b'.');
        let (mut rest, mut place) = (value % BILLION, BILLION / 10);
        loop {
            self.out.push(b'0' + u8::try_from(rest / place).unwrap_or(0));
            (rest, place) = (rest % place, place / 10);
            if rest == 0 {
                break;
            }
        }
    }

    pub(super) fn value(&mut self, value: impl Serialize) {
        self.separate();
        put(&mut self.out, &value);
    }

    /// A value that is JSON already.
    pub(super) fn raw(&mut self, value: &[u8]) {
        self.separate();
        self.out.extend_from_slice(value);
    }

    pub(super) fn member(&mut self, name: &str, value: &str) {
        self.key(name);
        self.text(value);
    }

    pub(super) fn number(&mut self, name: &str, value: impl Serialize) {
        self.key(name);
        self.value(value);
    }

    /// A comma, where one has to stand.
    pub(super) fn separate(&mut self) {
        if !matches!(self.out.last(), None | Some(b'{' | b'[' | b':')) {
            self.out.push(b',');
        }
    }
}

/// Writes a string.
pub(super) fn text(out: &mut Vec<u8>, value: &str) {
    // All bytes are looked at, whatever the first ones are: that is many at a time.
    let needs_escape = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    if value.bytes().fold(false, |found, byte| found | needs_escape(byte)) {
        put(out, &value);
    } else {
        plain_text(out, value);
    }
}

/// Writes a value; most have members with short names, and counts. Null stands for what is deeper than so many levels.
pub(super) fn tree(out: &mut Vec<u8>, value: &Value, levels: usize) {
    match value {
        Value::Object(_) | Value::Array(_) if levels == 0 => put(out, &()),
        Value::Object(members) => {
            out.push(b'{');
            for (at, (name, member)) in members.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                text(out, name);
                out.push(b':');
                tree(out, member, levels - 1);
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                tree(out, item, levels - 1);
            }
            out.push(b']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => put(out, value),
    }
}

/// Writes a string whose JSON form needs no escapes.
pub(super) fn plain_text(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}

/// Writes anything whose serialisation cannot fail: strings, numbers, flags, JSON.
pub(super) fn put(out: &mut Vec<u8>, value: &impl Serialize) {
    let before = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(before);
        out.extend_from_slice(b"null");
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::Json;

    #[test]
    fn billionths_are_the_numbers_that_they_stand_for() {
        for (billionths, text) in [
            (0, "0.0"),
            (1, "0.000000001"),
            (1_500_000_000, "1.5"),
            (-20_000_000, "-0.02"),
            (10, "0.00000001"),
            (2_000_000_000, "2.0"),
            (i64::MAX, "9223372036.854775807"),
            (i64::MIN, "-9223372036.854775808"),
        ] {
            let mut json = Json::default();
            json.open(b'{');
            json.billionths("n", billionths);
            json.close(b'}');
            assert_eq!(String::from_utf8(json.into_bytes()).unwrap(), format!("{{\"n\":{text}}}"));
        }
    }
}
