//! The elements of a JSON array that comes in pieces.

use crate::dialect::position::{Array, Open};

use super::LARGEST_EVENT;

/// Finds the elements of an array of objects.
#[derive(Clone, Debug, Default)]
pub(in crate::translate) struct Elements {
    pub(super) array: Array,
    element: Vec<u8>,
    depth: usize,
    text: Text,
    overflow: bool,
}

/// Whether a byte is inside of a string, where brackets mean nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Text {
    #[default]
    Outside,
    Inside,
    Escaped,
}

impl Elements {
    pub(in crate::translate) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) {
        // What of these bytes belongs to the element that is open.
        let mut from = 0;
        for (at, byte) in bytes.iter().enumerate() {
            match (self.text, byte) {
                (Text::Escaped, _) => self.text = Text::Inside,
                (Text::Inside, b'\\') => self.text = Text::Escaped,
                (Text::Inside, b'"') => self.text = Text::Outside,
                (Text::Inside, _) => {}
                (Text::Outside, b'"') => self.text = Text::Inside,
                (Text::Outside, b'{' | b'[') if self.depth > 0 => self.depth += 1,
                (Text::Outside, b'{') => {
                    self.depth = 1;
                    from = at;
                }
                (Text::Outside, b'}' | b']') if self.depth > 1 => self.depth -= 1,
                (Text::Outside, b'}' | b']') if self.depth == 1 => {
                    self.depth = 0;
                    self.hold(&bytes[from..=at]);
                    if !self.overflow {
                        each(&self.element);
                    }
                    self.overflow = false;
                    self.element.clear();
                    self.element.shrink_to(64 * 1024);
                    self.array = Array::Filled;
                }
                (Text::Outside, b'[') => self.array = Array::Empty,
                (Text::Outside, b',') if self.depth == 0 => self.array = Array::Comma,
                (Text::Outside, b']') => self.array = Array::Closed,
                (Text::Outside, _) => {}
            }
        }
        if self.depth > 0 {
            self.hold(&bytes[from..]);
        }
    }

    fn hold(&mut self, bytes: &[u8]) {
        let room = LARGEST_EVENT.saturating_sub(self.element.len());
        self.overflow |= bytes.len() > room;
        self.element.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    pub(super) fn is_between(&self) -> bool {
        self.depth == 0
    }

    pub(super) fn open(&self) -> Open {
        match (self.depth, self.overflow) {
            (0, _) => Open::Nothing,
            (_, true) => Open::TooLarge,
            (_, false) => Open::Fragment(self.element.clone()),
        }
    }
}
