//! Writes JSON straight into bytes: events are many, and a tree for each would cost more than all else about them.

use serde::Serialize;

/// Bytes that become one JSON document. What is opened has to be closed by whoever opened it.
#[derive(Debug, Default)]
pub(super) struct Json {
    out: Vec<u8>,
}

impl Json {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes) }
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
    put(out, &value);
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
