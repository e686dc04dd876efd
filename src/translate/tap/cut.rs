//! What a whole answer says of itself that was not read to its end.

use std::ops::Range;

use memchr::memmem;
use serde_json::{Deserializer, Value};

use super::{Seen, usage};
use crate::dialect::Dialect;
use crate::dialect::tokens::string_length;

/// Under which names a whole answer has what its model wrote.
struct Written {
    strings: &'static [&'static [u8]],
    /// Tools' arguments that are no text.
    objects: &'static [&'static [u8]],
    usage: &'static [u8],
}

impl Written {
    fn by(dialect: Dialect) -> Self {
        match dialect {
            Dialect::OpenAiChat => Self {
                strings: &[br#""content""#, br#""arguments""#, br#""reasoning_content""#, br#""refusal""#],
                objects: &[],
                usage: br#""usage""#,
            },
            Dialect::OpenAiResponses => Self {
                strings: &[br#""text""#, br#""arguments""#, br#""input""#, br#""refusal""#],
                objects: &[],
                usage: br#""usage""#,
            },
            Dialect::Anthropic => {
                Self { strings: &[br#""text""#, br#""thinking""#], objects: &[br#""input""#], usage: br#""usage""# }
            }
            Dialect::Gemini => {
                Self { strings: &[br#""text""#, br#""code""#], objects: &[br#""args""#], usage: br#""usageMetadata""# }
            }
        }
    }
}

/// Reads the beginning of a whole answer: its usage, if that was there, else the words of what was there. A last string that has
/// no end counts as far as it goes.
pub fn cut(dialect: Dialect, held: &[u8]) -> Seen {
    let Written { strings, objects, usage: name } = Written::by(dialect);
    let mut found: Vec<Range<usize>> = Vec::new();
    found.extend(strings.iter().flat_map(|name| values(held, name)).filter_map(|at| string(held, at)));
    found.extend(objects.iter().flat_map(|name| values(held, name)).filter_map(|at| object(held, at)));
    found.sort_unstable_by_key(|value| value.start);
    // What stands inside of a tool's arguments has been counted with them.
    let mut written: Vec<Range<usize>> = Vec::with_capacity(found.len());
    for value in found {
        if written.last().is_none_or(|last| value.start >= last.end) {
            written.push(value);
        }
    }
    let mut seen = Seen { first_event: !held.is_empty(), content: !written.is_empty(), ..Seen::default() };
    for value in &written {
        seen.streamed.escaped(&held[value.clone()]);
    }
    let is_said_of_it = |at: &usize| !written.iter().any(|value| value.contains(at));
    for at in values(held, name).filter(is_said_of_it) {
        if let Some(Ok(wire)) = Deserializer::from_slice(&held[at..]).into_iter::<Value>().next() {
            seen.take_usage(Some(wire));
        }
    }
    for name in [&br#""service_tier""#[..], br#""serviceTier""#, br#""trafficType""#] {
        for at in values(held, name).filter(is_said_of_it) {
            seen.tier(string(held, at).and_then(|word| String::from_utf8(held[word].to_vec()).ok()));
        }
    }
    seen.usage = seen.wire_usage.take().map(|wire| usage(dialect, wire, None));
    seen
}

/// Where the values of members of this name begin, on any level.
fn values<'b>(held: &'b [u8], name: &'b [u8]) -> impl Iterator<Item = usize> + 'b {
    memmem::find_iter(held, name).filter_map(move |found| {
        let colon = after_space(held, found + name.len());
        (held.get(colon) == Some(&b':')).then(|| after_space(held, colon + 1))
    })
}

fn after_space(held: &[u8], from: usize) -> usize {
    let rest = held.get(from..).unwrap_or_default();
    from + rest.len() - rest.trim_ascii_start().len()
}

/// The string that begins here, without its quotes.
fn string(held: &[u8], at: usize) -> Option<Range<usize>> {
    let text = held.get(at..)?.strip_prefix(b"\"")?;
    let length = string_length(text).unwrap_or(text.len());
    Some(at + 1..at + 1 + length)
}

/// The object that begins here, as it is written.
fn object(held: &[u8], at: usize) -> Option<Range<usize>> {
    let text = held.get(at..).filter(|text| text.starts_with(b"{"))?;
    let mut read = Deserializer::from_slice(text).into_iter::<serde::de::IgnoredAny>();
    let length = match read.next() {
        Some(Ok(_)) => read.byte_offset(),
        Some(Err(_)) | None => text.len(),
    };
    Some(at..at + length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::tokens::Tokens;

    const CHAT: &str = r#"{"id":"c","choices":[{"message":{"role":"assistant","content":"one two three four"},
        "finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":4},"service_tier":"flex"}"#;

    fn output(held: &str) -> Tokens {
        cut(Dialect::OpenAiChat, held.as_bytes()).streamed
    }

    fn tokens(text: &str) -> Tokens {
        let mut tokens = Tokens::default();
        tokens.text(text);
        tokens
    }

    #[test]
    fn a_last_string_without_an_end_counts_as_far_as_it_goes() {
        let at = |words: &str| CHAT.find(words).map_or(0, |at| at + words.len());
        assert_eq!(output(&CHAT[..at("one two")]), tokens("one two"));
        assert_eq!(output(&CHAT[..at("three four")]), tokens("one two three four"));
        assert_eq!(output(&CHAT[..at("\"stop\"")]), tokens("one two three four"));
    }

    #[test]
    fn a_usage_that_was_there_is_what_it_took() {
        let seen = cut(Dialect::OpenAiChat, &CHAT.as_bytes()[..CHAT.len() - 1]);
        let known = seen.usage.as_ref().map(|usage| (usage.input, usage.output));
        assert_eq!(known, Some((Some(10), Some(4))));
        assert_eq!((seen.streamed.at(Dialect::OpenAiChat), seen.service_tier.as_deref()), (0, Some("flex")));
        assert!(!seen.terminal);
    }

    #[test]
    fn tools_arguments_count_once_and_are_no_usage() {
        let held = r#"{"content":[{"type":"tool_use","name":"f","input":{"text":"one two","usage":{"output_tokens":9}"#;
        let seen = cut(Dialect::Anthropic, held.as_bytes());
        assert_eq!(seen.usage, None);
        assert_eq!(seen.streamed, tokens(r#"{"text":"one two","usage":{"output_tokens":9}"#));
    }

    #[test]
    fn every_cut_of_an_answer_can_be_read() {
        for dialect in [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::Anthropic, Dialect::Gemini] {
            for end in 0..=CHAT.len() {
                assert!(!cut(dialect, &CHAT.as_bytes()[..end]).terminal);
            }
        }
    }
}
