//! Puts a stream that went out together again, for records of it.

use serde::Deserialize;
use serde_json::value::RawValue;

pub use self::plain::Plain;

use super::codecs::AnyDecoder;
use super::tap::Elements;
use crate::dialect::{Delivery, Dialect, sse};
use crate::ir::{Event, Fold, Response};

mod plain;

/// A stream, put together.
#[derive(Clone, Debug)]
pub enum Assembled {
    /// What its events add up to, as far as they went.
    Folded(Box<Response>),
    /// Nothing but one text.
    Plain(Plain),
    /// The whole answer as the last event of a Responses stream repeats it, in JSON.
    Repeated(String),
}

/// The last event of a Responses stream.
#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Last<'a> {
    response: &'a RawValue,
}

/// How the last event of a Responses stream begins, with every server that is known.
const LAST: [&str; 3] =
    [r#"{"type":"response.completed""#, r#"{"type":"response.incomplete""#, r#"{"type":"response.failed""#];

/// Reads the pieces of a stream of this dialect, cut anywhere, and ended anywhere. What cannot be read ends it.
pub fn assemble<'p>(
    dialect: Dialect,
    delivery: Delivery,
    pieces: impl Iterator<Item = &'p [u8]> + Clone,
) -> Option<Assembled> {
    if dialect == Dialect::OpenAiResponses
        && let Some(repeated) = repeated(pieces.clone())
    {
        return Some(Assembled::Repeated(repeated));
    }
    if delivery == Delivery::Events
        && let Some(plain) = plain::plain(dialect, pieces.clone())
    {
        return Some(Assembled::Plain(plain));
    }
    folded(dialect, delivery, pieces).map(|response| Assembled::Folded(Box::new(response)))
}

fn folded<'p>(dialect: Dialect, delivery: Delivery, pieces: impl Iterator<Item = &'p [u8]>) -> Option<Response> {
    let mut decoder = AnyDecoder::new(dialect).ok()?;
    let mut events: Vec<Event> = Vec::new();
    let mut fold = Fold::new();
    let mut read = |data: &str| {
        decoder.push(data, &mut events);
        events.drain(..).for_each(|event| fold.push(event));
    };
    match delivery {
        Delivery::Whole => return None,
        Delivery::Events => {
            let mut parser = sse::Parser::new();
            for piece in pieces {
                if parser.push(piece, &mut read).is_err() {
                    break;
                }
            }
        }
        Delivery::JsonArray => {
            let mut elements = Elements::default();
            for piece in pieces {
                elements.push(piece, |element| read(&String::from_utf8_lossy(element)));
            }
        }
    }
    decoder.finish(&mut events);
    events.drain(..).for_each(|event| fold.push(event));
    Some(fold.finish())
}

fn repeated<'p>(pieces: impl Iterator<Item = &'p [u8]>) -> Option<String> {
    let mut parser = sse::Parser::new();
    let mut found = None;
    for piece in pieces {
        let parsed = parser.push(piece, |data| {
            if LAST.iter().any(|beginning| data.starts_with(beginning)) {
                found = serde_json::from_str::<Last<'_>>(data).ok().map(|last| last.response.get().to_owned());
            }
        });
        if parsed.is_err() {
            break;
        }
    }
    found
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::dialect::testing::{fixtures, recorded};

    #[test]
    fn streams_cut_anywhere_are_put_together_as_far_as_they_went() {
        for dialect in Dialect::ALL {
            for sample in fixtures("streams", dialect) {
                let bytes = sample.sse();
                let step = bytes.len() / 200 + 1;
                for end in (0..=bytes.len()).step_by(step) {
                    assert!(assemble(dialect, Delivery::Events, bytes[..end].chunks(7)).is_some(), "{}", sample.name);
                }
            }
        }
    }

    #[test]
    fn a_google_stream_is_the_same_as_an_array_and_as_events() {
        for sample in fixtures("streams", Dialect::Gemini) {
            let array = format!("[{}]", sample.events().join(",\n"));
            let as_array = assemble(Dialect::Gemini, Delivery::JsonArray, array.as_bytes().chunks(5));
            let as_events = assemble(Dialect::Gemini, Delivery::Events, sample.sse().chunks(3));
            assert_eq!(format!("{as_array:?}"), format!("{as_events:?}"), "{}", sample.name);
        }
    }

    #[test]
    fn a_plain_text_is_what_its_events_add_up_to() {
        let mut plain = 0;
        for dialect in [Dialect::OpenAiChat, Dialect::Anthropic] {
            for sample in fixtures("streams", dialect).into_iter().chain(recorded(dialect, ".chunks.txt")) {
                let bytes = sample.sse();
                let Some(Assembled::Plain(told)) = assemble(dialect, Delivery::Events, bytes.chunks(64)) else {
                    continue;
                };
                plain += 1;
                let folded = folded(dialect, Delivery::Events, bytes.chunks(64)).unwrap();
                let texts: Vec<&str> = folded.choices[0].parts.iter().map(|part| part.as_text().unwrap()).collect();
                assert_eq!(texts.concat(), told.text, "{}", sample.name);
                let finish = folded.choices[0].finish.as_ref().and_then(|finish| finish.original.clone());
                assert_eq!(told.stop, finish.map(|(_, word)| word), "{}", sample.name);
                assert_eq!((folded.choices.len(), texts.len()), (1, 1), "{}", sample.name);
            }
        }
        assert!(plain > 3, "only {plain} streams are plain text");
    }

    #[test]
    fn the_last_event_of_responses_repeats_the_answer() {
        for sample in fixtures("streams", Dialect::OpenAiResponses) {
            let whole = assemble(Dialect::OpenAiResponses, Delivery::Events, sample.sse().chunks(64));
            let is_ended = sample.events().iter().any(|event| LAST.iter().any(|last| event.starts_with(last)));
            assert_eq!(matches!(whole, Some(Assembled::Repeated(_))), is_ended, "{}", sample.name);
        }
    }
}
