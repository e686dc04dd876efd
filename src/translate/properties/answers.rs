//! What an answer says, whole or streamed, is what every caller hears.

use proptest::prelude::*;
use serde_json::Value;

use super::{json, wire_grammar};
use crate::dialect::testing::{values, written};
use crate::dialect::{Adaptions, Asked, Delivery, Dialect};
use crate::ir::{Content, Delta, Event, FinishReason, Origin, Part, Request, Response, Seal, SealKind, mark};
use crate::translate::Transcoder;
use crate::translate::codecs::{AnyEncoder, bytes, decode_response, encode_response};
use crate::translate::pairs::{Said, counts, folded, of_answer, reason};

fn asked(delivery: Delivery) -> Asked {
    let request = Request { stream_usage: Some(true), model: "model".to_owned(), ..Request::default() };
    Asked::by(&request, delivery).known_as("fallback")
}

fn transcoder(caller: Dialect, provider: Dialect, delivery: Delivery) -> Transcoder {
    Transcoder::new(caller, provider, asked(delivery), Adaptions::default())
}

/// What a caller hears: the thoughts that it shows, and the seals that it can send back.
struct Heard {
    response: Response,
    thoughts: String,
    seals: Vec<String>,
    wire: String,
}

impl Heard {
    /// What a caller reads in its messages, or deltas. Chat's have the thoughts in one place, which they show, and the sealed
    /// ones in another one, which they send back.
    fn by<'v>(
        caller: Dialect,
        messages: impl IntoIterator<Item = &'v Value>,
        response: Response,
        wire: String,
    ) -> Self {
        if caller != Dialect::OpenAiChat {
            return Self { thoughts: of_answer(&response).thoughts, seals: seals(&response), response, wire };
        }
        let (mut thoughts, mut seals) = (String::new(), Vec::new());
        for message in messages {
            thoughts.extend(message["reasoning_content"].as_str());
            let details = message["reasoning_details"].as_array().into_iter().flatten();
            let sealed = details.filter_map(|detail| detail["signature"].as_str().or(detail["data"].as_str()));
            seals.extend(
                sealed.map(|text| seal(&Seal::read(Origin::OpenAi, SealKind::Encrypted, text.to_owned()).unwrap())),
            );
        }
        seals.sort();
        Self { thoughts, seals, response, wire }
    }
}

/// What this provider's models can mean: servers of chat seal nothing for us.
fn meant_by(provider: Dialect, mut part: Part) -> Part {
    if provider == Dialect::OpenAiChat {
        part.seal = None;
    }
    part
}

/// An answer as this provider writes it.
fn whole_wire(provider: Dialect, meant: &Response) -> Value {
    let mut meant = meant.clone();
    meant.choices[0].parts = meant.choices[0].parts.drain(..).map(|part| meant_by(provider, part)).collect();
    encode_response(provider, &meant, &asked(Delivery::Whole)).unwrap().body
}

/// A whole answer as a caller hears it.
fn whole(provider: Dialect, caller: Dialect, wire: &Value) -> Heard {
    let turned = json(&transcoder(caller, provider, Delivery::Whole).whole(&bytes(wire)).unwrap().body);
    let response = decode_response(caller, turned.clone()).unwrap();
    Heard::by(caller, [&turned["choices"][0]["message"]], response, turned.to_string())
}

/// Texts and calls in the order in which they were said, neighbouring texts as one.
fn order(response: &Response) -> Vec<(String, Value)> {
    let mut order: Vec<(String, Value)> = Vec::new();
    for part in response.choices.iter().take(1).flat_map(|choice| &choice.parts) {
        let said = Said::by([part]);
        match (&part.content, order.last_mut()) {
            (Content::Text(_) | Content::Refusal(_), Some((last, Value::Null))) => last.push_str(&said.text),
            (Content::Text(_) | Content::Refusal(_), _) => order.push((said.text, Value::Null)),
            _ => order.extend(said.calls),
        }
    }
    order.retain(|(text, call)| !(text.is_empty() && call.is_null()));
    order
}

/// All that proves something to its maker, wherever it travels.
fn seals(response: &Response) -> Vec<String> {
    let parts = response.choices.iter().flat_map(|choice| &choice.parts);
    let mut seals: Vec<String> = parts.filter_map(|part| part.seal.as_ref()).map(seal).collect();
    seals.sort();
    seals
}

fn seal(seal: &Seal) -> String {
    format!("{:?} {:?} {}", seal.origin, seal.kind, seal.data)
}

fn thought_tokens(response: &Response) -> Option<u64> {
    response.usage.as_ref()?.reasoning.filter(|count| *count > 0)
}

/// The same text, thoughts, calls, order, seals, counts, names and reason.
fn same(before: &Response, caller: Dialect, after: &Heard) -> Result<(), TestCaseError> {
    let (said, heard) = (of_answer(before), of_answer(&after.response));
    prop_assert_eq!(&heard.text, &said.text);
    prop_assert_eq!(&heard.calls, &said.calls);
    if caller != Dialect::OpenAiChat {
        // Chat has one place for texts, and one for calls.
        prop_assert_eq!(order(&after.response), order(before));
    }
    prop_assert_eq!(after.thoughts.replace('\n', ""), said.thoughts.replace('\n', ""));
    prop_assert_eq!(&after.seals, &seals(before));
    prop_assert_eq!(counts(&after.response), counts(before));
    prop_assert_eq!(thought_tokens(&after.response), thought_tokens(before));
    prop_assert_eq!(&after.response.model, &before.model);
    // Google has no word for a pause: there it is no clean end, but its `OTHER`.
    if is_pause(before) || is_pause(&after.response) {
        return Ok(());
    }
    prop_assert_eq!(reason(&after.response), reason(before));
    Ok(())
}

fn is_pause(response: &Response) -> bool {
    response
        .choices
        .iter()
        .filter_map(|choice| choice.finish.as_ref())
        .any(|finish| finish.reason == FinishReason::Pause)
}

/// A stream as this provider writes it.
fn streamed_wire(provider: Dialect, events: &[Event]) -> Vec<u8> {
    let mut encoder = AnyEncoder::new(provider, &asked(Delivery::Events)).unwrap();
    let mut wire = Vec::new();
    for event in events {
        match event {
            Event::PartStart(at, part) => {
                let part = meant_by(provider, part.as_ref().clone());
                encoder.push(&Event::PartStart(*at, Box::new(part)), &mut wire);
            }
            Event::Delta(_, Delta::Seal(_)) if provider == Dialect::OpenAiChat => {}
            other => encoder.push(other, &mut wire),
        }
    }
    encoder.finish(&mut wire);
    wire
}

/// A stream as a caller hears it.
fn streamed(provider: Dialect, caller: Dialect, wire: &[u8], piece: usize) -> Result<Heard, TestCaseError> {
    let mut stream = transcoder(caller, provider, Delivery::Events).stream().unwrap();
    let mut out = Vec::new();
    wire.chunks(piece).for_each(|bytes| stream.push(bytes, &mut out));
    stream.finish(&mut out);
    prop_assert!(stream.told().is_complete && stream.told().error.is_none());
    let response = folded(caller, &out);
    let wire = String::from_utf8(out).unwrap();
    let chunks: Vec<Value> =
        wire.split("\n\n").filter_map(|event| serde_json::from_str(event.strip_prefix("data: ")?).ok()).collect();
    Ok(Heard::by(caller, chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]), response, wire))
}

proptest! {
    #![proptest_config(super::cases())]

    #[test]
    fn what_any_answer_says_is_what_every_caller_reads(meant in values::response()) {
        for provider in Dialect::ALL {
            let wire = whole_wire(provider, &meant);
            let before = decode_response(provider, wire.clone()).unwrap();
            // Law 4: what comes and goes in one dialect is the same.
            let again = encode_response(provider, &before, &asked(Delivery::Whole)).unwrap();
            if !wire.to_string().contains(mark::MARK) {
                prop_assert_eq!(written(&again.body), written(&wire));
            }
            prop_assert!(again.losses.is_empty());
            for caller in Dialect::ALL {
                let heard = whole(provider, caller, &wire);
                same(&before, caller, &heard).map_err(|error| {
                    TestCaseError::fail(format!("{provider} to {caller}: {error}\n{wire}\n{}", heard.wire))
                })?;
            }
        }
    }

    #[test]
    fn what_any_stream_says_is_what_every_caller_hears((meant, events) in values::stream(), piece in 1_usize..200) {
        for provider in Dialect::ALL {
            let wire = streamed_wire(provider, &events);
            let before = folded(provider, &wire);
            prop_assert!(before.error.is_none(), "{provider}: {}", String::from_utf8_lossy(&wire));
            let twin = whole_wire(provider, &meant);
            for caller in Dialect::ALL {
                let heard = streamed(provider, caller, &wire, piece)?;
                let fail = |what: String| {
                    let wire = String::from_utf8_lossy(&wire);
                    TestCaseError::fail(format!("{provider} to {caller}: {what}\n{wire}\n{}", heard.wire))
                };
                same(&before, caller, &heard).map_err(|error| fail(error.to_string()))?;
                wire_grammar::check(caller, &heard.wire).map_err(&fail)?;
                // What is streamed says what is told as a whole.
                let told = whole(provider, caller, &twin);
                let (said, read) = (of_answer(&heard.response), of_answer(&told.response));
                if said.text != read.text || said.calls != read.calls {
                    return Err(fail(format!("its whole twin: {}", told.wire)));
                }
                if heard.thoughts.replace('\n', "") != told.thoughts.replace('\n', "")
                    || reason(&heard.response) != reason(&told.response)
                    || counts(&heard.response) != counts(&told.response)
                {
                    return Err(fail(format!("its whole twin: {}", told.wire)));
                }
            }
        }
    }
}
