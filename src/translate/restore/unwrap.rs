//! Takes the object off that stands around an answer ([`Adaptions::wrapped`]), in pieces of any size.
//!
//! [`Adaptions::wrapped`]: crate::dialect::Adaptions::wrapped

/// How the object begins, but for white space.
const HEAD: &[u8] = b"{\"value\":";

/// White space that is held back, in bytes: more of it is told.
const MOST_SPACES: usize = 1_024;

/// What has been read of a text.
#[derive(Clone, Debug, Default)]
pub(super) struct Unwrap {
    state: State,
    /// What may yet turn out to be something else.
    held: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes of the head.
    Head(usize),
    /// The member: whether it has begun, how deep in it, and where in a string.
    Member { begun: bool, depth: usize, string: Option<Escaped> },
    /// What follows the member says nothing more.
    Over,
    /// There is no such object: everything is told.
    Plain,
}

/// Whether the next character of a string means something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escaped {
    No,
    Yes,
}

impl Default for State {
    fn default() -> Self {
        Self::Head(0)
    }
}

impl Unwrap {
    /// One more piece, and what it tells.
    pub(super) fn push(&mut self, text: &str) -> String {
        let mut told = String::with_capacity(text.len());
        for letter in text.chars() {
            match self.state {
                State::Head(read) => self.head(letter, read, &mut told),
                State::Member { begun, depth, string } => self.member(letter, begun, depth, string, &mut told),
                State::Over => {}
                State::Plain => told.push(letter),
            }
        }
        told
    }

    /// What is left where the text ends.
    pub(super) fn finish(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        match std::mem::replace(&mut self.state, State::Over) {
            State::Head(_) => held,
            State::Member { .. } | State::Over | State::Plain => String::new(),
        }
    }

    fn head(&mut self, letter: char, read: usize, told: &mut String) {
        self.held.push(letter);
        // White space may stand before and behind each of the signs, not within the name.
        let is_between = matches!(read, 0 | 1) || read == HEAD.len() - 1;
        if HEAD.get(read).is_some_and(|sign| letter == char::from(*sign)) {
            self.state = State::Head(read + 1);
            if read + 1 == HEAD.len() {
                self.held.clear();
                self.state = State::Member { begun: false, depth: 0, string: None };
            }
        } else if !(is_between && is_space(letter) && self.held.len() <= MOST_SPACES) {
            self.state = State::Plain;
            told.push_str(&std::mem::take(&mut self.held));
        }
    }

    fn member(&mut self, letter: char, begun: bool, depth: usize, string: Option<Escaped>, told: &mut String) {
        if string.is_none() && depth == 0 {
            if is_space(letter) && (!begun || self.held.len() < MOST_SPACES) {
                if begun {
                    self.held.push(letter);
                }
                return;
            }
            if matches!(letter, '}' | ',') {
                self.held.clear();
                self.state = State::Over;
                return;
            }
        }
        told.push_str(&std::mem::take(&mut self.held));
        told.push(letter);
        let (depth, string) = match (string, letter) {
            (Some(Escaped::No), '\\') => (depth, Some(Escaped::Yes)),
            (Some(Escaped::No), '"') => (depth, None),
            (Some(_), _) => (depth, Some(Escaped::No)),
            (None, '"') => (depth, Some(Escaped::No)),
            (None, '{' | '[') => (depth + 1, None),
            (None, '}' | ']') => (depth.saturating_sub(1), None),
            (None, _) => (depth, None),
        };
        self.state = State::Member { begun: true, depth, string };
    }
}

/// JSON's white space.
fn is_space(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\n' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of a text, which is the same in pieces of any size.
    fn unwrapped(text: &str) -> String {
        let letters: Vec<char> = text.chars().collect();
        let tell = |size: usize| {
            let mut unwrap = Unwrap::default();
            let mut told: String =
                letters.chunks(size).map(|piece| unwrap.push(&piece.iter().collect::<String>())).collect();
            told.push_str(&unwrap.finish());
            told
        };
        let whole = tell(letters.len().max(1));
        for size in 1..letters.len() {
            assert_eq!(tell(size), whole, "in pieces of {size}: {text}");
        }
        whole
    }

    #[test]
    fn the_member_is_told_as_it_was_written() {
        for (wrapped, member) in [
            (r#"{"value":[1, {"a": "}]\"\\"}]}"#, r#"[1, {"a": "}]\"\\"}]"#),
            (" { \"value\" :\n [ ] \n} \n", "[ ]"),
            (r#"{"value":"a } b, \" c"}"#, r#""a } b, \" c""#),
            (r#"{"value": -1.5e3 }"#, "-1.5e3"),
            (r#"{"value":null}"#, "null"),
            (r#"{"value":{"value":[]}}"#, r#"{"value":[]}"#),
            (r#"{"value":"ä€😀"}"#, "\"ä€😀\""),
            // A model that is not held to the schema may write more.
            (r#"{"value":[1],"note":"x"}"#, "[1]"),
            // One that was cut off has written less.
            (r#"{"value":[1,"#, "[1,"),
        ] {
            assert_eq!(unwrapped(wrapped), member, "{wrapped}");
        }
    }

    #[test]
    fn what_is_no_such_object_is_told_as_it_is() {
        for text in ["I cannot.", "", "[1]", r#"{"values":[1]}"#, r#"{"val"#, "{", "  ", r#"{"v alue":1}"#, "{}"] {
            assert_eq!(unwrapped(text), text);
        }
        let spaces = " ".repeat(5 * MOST_SPACES);
        assert_eq!(unwrapped_at_once(&spaces), spaces);
    }

    fn unwrapped_at_once(text: &str) -> String {
        let mut unwrap = Unwrap::default();
        unwrap.push(text) + &unwrap.finish()
    }

    #[test]
    fn nothing_that_a_provider_writes_makes_what_is_held_grow() {
        let mut unwrap = Unwrap::default();
        unwrap.push("{\"value\":1");
        for _ in 0..100 {
            unwrap.push(&" ".repeat(MOST_SPACES));
            assert!(unwrap.held.len() <= MOST_SPACES);
        }
    }
}
