//! The magic in a prompt: `[[sandbox:name]]` or `[[sandbox:name=value]]`, anywhere in the last user turn.
//!
//! A prompt is the one thing that reaches the provider through every dialect; a magic model name would not resolve.
//! `docs/sandbox.md` lists them for people.

use std::time::Duration;

use serde_json::Value;

const OPENING: &str = "[[sandbox:";
const CLOSING: &str = "]]";

/// What the prompt wants to see.
#[derive(Clone, Debug, Default)]
pub(super) struct Directives {
    /// A provider-shaped error of this status.
    pub(super) error: Option<u16>,
    /// Before the head.
    pub(super) delay: Duration,
    /// Before each event of a stream.
    pub(super) pace: Duration,
    /// An answer of so many words.
    pub(super) words: Option<usize>,
    /// Exactly this text.
    pub(super) say: Option<String>,
    /// Say nothing more after so many events.
    pub(super) stall: Option<Point>,
    /// Close the connection in the middle of the event after so many.
    pub(super) cut: Option<Point>,
    /// The provider's error event after so many events.
    pub(super) stream_error: Option<Point>,
    /// The model refuses.
    pub(super) refusal: bool,
    /// The provider's filter stops the answer.
    pub(super) safety: bool,
    /// The provider's filter refuses the prompt.
    pub(super) block: bool,
    /// This finish reason, as spelled.
    pub(super) finish: Option<String>,
    /// These tool calls.
    pub(super) calls: Vec<Wanted>,
    /// So many parallel calls.
    pub(super) parallel: Option<usize>,
    /// So many rounds of calls before the final text.
    pub(super) steps: Option<usize>,
    /// No tool calls.
    pub(super) text_only: bool,
    /// Thinking comes as redacted.
    pub(super) redacted: bool,
    /// So many of the prompt's tokens count as read from the cache.
    pub(super) cached: u64,
}

/// Where in a stream something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Point {
    Middle,
    After(usize),
}

impl Point {
    /// As a number of events, of so many.
    pub(super) fn of(self, events: usize) -> usize {
        match self {
            Self::Middle => events / 2,
            Self::After(count) => count.min(events),
        }
    }
}

/// A tool call that the prompt asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    pub(super) name: String,
    /// Made up by the tool's schema when there is none.
    pub(super) input: Option<Value>,
}

impl Directives {
    /// What the text asks for, and the text without it.
    ///
    /// # Errors
    /// A sentence that names a directive which isn't one.
    pub(super) fn read(text: &str) -> Result<(Self, String), String> {
        let mut directives = Self::default();
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(OPENING) {
            plain.push_str(before);
            rest = directives.take(after)?;
        }
        plain.push_str(rest);
        Ok((directives, plain.trim().to_owned()))
    }

    fn take<'a>(&mut self, after: &'a str) -> Result<&'a str, String> {
        if let Some(call) = after.strip_prefix("call=") {
            return self.take_call(call);
        }
        let (inside, rest) = after.split_once(CLOSING).ok_or_else(|| unclosed(after))?;
        let (name, value) = inside.split_once('=').map_or((inside, None), |(name, value)| (name, Some(value)));
        self.set(name.trim(), value.map(str::trim))?;
        Ok(rest)
    }

    fn take_call<'a>(&mut self, call: &'a str) -> Result<&'a str, String> {
        let end = call.find([' ', ']']).ok_or_else(|| unclosed(call))?;
        let (name, input) = call.split_at(end);
        let input = input.trim_start();
        // JSON may hold the closing brackets, so it is read as JSON.
        let (input, rest) = match serde_json::Deserializer::from_str(input).into_iter::<Value>().next() {
            Some(Ok(value)) if input.starts_with('{') => {
                let text = value.to_string();
                let length = json_length(input).unwrap_or(text.len());
                (Some(value), input.get(length..).unwrap_or_default().trim_start())
            }
            _ => (None, input),
        };
        let (text, rest) = rest.split_once(CLOSING).ok_or_else(|| unclosed(call))?;
        let input = input.or_else(|| (!text.trim().is_empty()).then(|| Value::String(text.trim().to_owned())));
        self.calls.push(Wanted { name: name.to_owned(), input });
        Ok(rest)
    }

    fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), String> {
        match (name, value) {
            ("error", Some(value)) => self.error = Some(number(name, value)?),
            ("delay_ms", Some(value)) => self.delay = Duration::from_millis(number(name, value)?),
            ("pace_ms", Some(value)) => self.pace = Duration::from_millis(number(name, value)?),
            ("words", Some(value)) => self.words = Some(number(name, value)?),
            ("say", Some(value)) => self.say = Some(value.to_owned()),
            ("stall", value) => self.stall = Some(point(name, value)?),
            ("cut", value) => self.cut = Some(point(name, value)?),
            ("stream_error", value) => self.stream_error = Some(point(name, value)?),
            ("refusal", None) => self.refusal = true,
            ("safety", None) => self.safety = true,
            ("block", None) => self.block = true,
            ("finish", Some(value)) => self.finish = Some(value.to_owned()),
            ("calls", Some(value)) => self.parallel = Some(number(name, value)?),
            ("steps", Some(value)) => self.steps = Some(number(name, value)?),
            ("text", None) => self.text_only = true,
            ("redacted", None) => self.redacted = true,
            ("cached", Some(value)) => self.cached = number(name, value)?,
            _ => {
                return Err(format!(
                    "the sandbox knows no directive \"{name}\" of this form; docs/sandbox.md lists them"
                ));
            }
        }
        Ok(())
    }
}

fn json_length(input: &str) -> Option<usize> {
    let mut values = serde_json::Deserializer::from_str(input).into_iter::<serde::de::IgnoredAny>();
    values.next()?.ok()?;
    Some(values.byte_offset())
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("the sandbox directive \"{name}\" takes a number, not \"{value}\""))
}

fn point(name: &str, value: Option<&str>) -> Result<Point, String> {
    value.map_or(Ok(Point::Middle), |value| number(name, value).map(Point::After))
}

fn unclosed(text: &str) -> String {
    let start: String = text.chars().take(20).collect();
    format!("the sandbox directive \"{start}\" is not closed with ]]")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn directives_are_taken_out_of_the_text() {
        let (directives, text) = Directives::read("say [[sandbox:error=429]]hello[[sandbox:delay_ms=20]]").unwrap();
        assert_eq!(directives.error, Some(429));
        assert_eq!(directives.delay, Duration::from_millis(20));
        assert_eq!(text, "say hello");
    }

    #[test]
    fn a_call_may_hold_closing_brackets_in_its_json() {
        let (directives, text) = Directives::read(
            r#"a [[sandbox:call=Bash {"command":"x","list":[[1]]}]] b [[sandbox:call=patch *** Begin]]"#,
        )
        .unwrap();
        assert_eq!(
            directives.calls,
            [
                Wanted { name: "Bash".to_owned(), input: Some(json!({"command": "x", "list": [[1]]})) },
                Wanted { name: "patch".to_owned(), input: Some(json!("*** Begin")) },
            ]
        );
        assert_eq!(text, "a  b");
    }

    #[test]
    fn an_unknown_or_malformed_directive_is_named() {
        for (text, named) in [
            ("[[sandbox:eror=429]]", "eror"),
            ("[[sandbox:error=many]]", "many"),
            ("[[sandbox:error", "not closed"),
            ("[[sandbox:refusal=1]]", "refusal"),
        ] {
            assert!(Directives::read(text).unwrap_err().contains(named), "{text}");
        }
    }
}
