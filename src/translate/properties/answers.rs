//! What an answer says, whole or streamed, is what every caller hears.

use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::{Number, Value};

use super::{json, wire_grammar};
use crate::dialect::testing::{values, written};
use crate::dialect::{Adaptions, Asked, Delivery, Dialect};
use crate::ir::{
    Citation, Content, Delta, Event, FinishReason, Logprob, Losses, Origin, Part, Request, Response, Seal, SealKind,
    Text, mark,
};
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
    /// What the caller is told that it does not hear.
    lost: Vec<String>,
}

impl Heard {
    /// What a caller reads in its messages, or deltas. Chat's have the thoughts in one place, which they show, and the sealed
    /// ones in another one, which they send back.
    fn by<'v>(
        caller: Dialect,
        messages: impl IntoIterator<Item = &'v Value>,
        response: Response,
        wire: String,
        losses: &Losses,
    ) -> Self {
        let lost = losses.iter().map(|loss| loss.field.clone()).collect();
        if caller != Dialect::OpenAiChat {
            return Self { thoughts: of_answer(&response).thoughts, seals: seals(&response), response, wire, lost };
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
        Self { thoughts, seals, response, wire, lost }
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
    let whole = transcoder(caller, provider, Delivery::Whole).whole(&bytes(wire)).unwrap();
    let turned = json(&whole.body);
    let response = decode_response(caller, turned.clone()).unwrap();
    Heard::by(caller, [&turned["choices"][0]["message"]], response, turned.to_string(), &whole.losses)
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

/// Of all tokens: thoughts; what was written to a cache, which Google does not tell; sound, which only chat and Google do.
fn details(response: &Response, caller: Dialect) -> [Option<u64>; 4] {
    let usage = response.usage.clone().unwrap_or_default();
    let written = usage.cache_write().filter(|_| caller != Dialect::Gemini);
    let tells_sound = matches!(caller, Dialect::OpenAiChat | Dialect::Gemini);
    let [heard, spoken] = [usage.audio_input, usage.audio_output].map(|sound| sound.filter(|_| tells_sound));
    [usage.reasoning, written, heard, spoken].map(|count| count.filter(|count| *count > 0))
}

/// The same text, thoughts, calls, order, seals, counts, names and reason.
fn same(before: &Response, provider: Dialect, caller: Dialect, after: &Heard) -> Result<(), TestCaseError> {
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
    prop_assert_eq!(details(&after.response, caller), details(before, caller));
    prop_assert_eq!(&after.response.model, &before.model);
    let (named, heard) = (sources(before, caller), sources(&after.response, caller));
    // Chat's and Google's streams name the sources in the end: those of a text that is over are told with an empty one.
    let at_the_end = [provider, caller].iter().any(|end| matches!(end, Dialect::OpenAiChat | Dialect::Gemini));
    prop_assert!(heard == named || (at_the_end && but_for_words(&named, &heard)), "{named:?} became {heard:?}");
    if caller == Dialect::Anthropic {
        let is_lost = after.lost.iter().any(|field| field == "logprobs");
        prop_assert!(is_lost || tokens(before).is_empty(), "log probabilities are lost in silence");
    } else {
        prop_assert_eq!(tokens(&after.response), tokens(before));
    }
    ids(before, provider, caller, &after.response)?;
    // Google has no word for a pause: there it is no clean end, but its `OTHER`.
    if is_pause(before) || is_pause(&after.response) {
        return Ok(());
    }
    prop_assert_eq!(reason(&after.response), reason(before));
    Ok(())
}

/// The texts of an answer.
fn texts(response: &Response) -> Vec<&Text> {
    let parts = response.choices.iter().take(1).flat_map(|choice| &choice.parts);
    let texts = parts.filter_map(|part| match &part.content {
        Content::Text(text) => Some(text),
        _ => None,
    });
    texts.collect()
}

/// The sources, each with the words that it is named for; Messages names them for all of a text, and chat counts in all that
/// was said.
fn sources(response: &Response, caller: Dialect) -> Vec<(String, String, String)> {
    let all: String = texts(response).into_iter().map(|text| text.text.as_str()).collect();
    let source = |text: &Text, citation: &Citation| {
        let in_chat = citation.original.as_ref().and_then(|original| original.for_dialect(Dialect::OpenAiChat));
        let letters: Vec<char> = if in_chat.is_some() { all.chars().collect() } else { text.text.chars().collect() };
        let whole = (0, u64::try_from(letters.len()).unwrap());
        let index = |key: &str| in_chat.and_then(|original| original["url_citation"][key].as_u64());
        let (first, last) = index("start_index").zip(index("end_index")).or(citation.span).unwrap_or(whole);
        let place = usize::try_from(first).unwrap()..usize::try_from(last).unwrap();
        let words = letters.get(place).map_or("beyond the text".to_owned(), |letters| letters.iter().collect());
        let words = if caller == Dialect::Anthropic { String::new() } else { words };
        (citation.url.clone().unwrap_or_default(), citation.title.clone().unwrap_or_default(), words)
    };
    let texts = texts(response).into_iter();
    let mut sources: Vec<_> =
        texts.flat_map(|text| text.citations.iter().map(move |citation| source(text, citation))).collect();
    sources.sort();
    sources
}

/// Whether these are the same sources, some of them with no words any more.
fn but_for_words(named: &[(String, String, String)], heard: &[(String, String, String)]) -> bool {
    let mut left = named.to_vec();
    let mut take = |is_it: &dyn Fn(&(String, String, String)) -> bool| {
        let place = left.iter().position(is_it);
        place.map(|place| left.remove(place)).is_some()
    };
    let (bare, worded): (Vec<_>, Vec<_>) = heard.iter().partition(|(_, _, words)| words.is_empty());
    named.len() == heard.len()
        && worded.iter().all(|heard| take(&|named| named == *heard))
        && bare.iter().all(|heard| take(&|named| (&named.0, &named.1) == (&heard.0, &heard.1)))
}

/// The tokens, and how likely they and others were.
fn tokens(response: &Response) -> Vec<Vec<(String, Number)>> {
    let pair = |token: &Logprob| (token.token.clone(), token.logprob.clone());
    let tokens = texts(response).into_iter().flat_map(|text| &text.logprobs);
    tokens.map(|token| std::iter::once(token).chain(&token.top).map(pair).collect()).collect()
}

/// The ids of an answer and of its calls: valid everywhere, each another one, and where the provider's is, that one. Callers of
/// Messages and generateContent get marked ones.
fn ids(before: &Response, provider: Dialect, caller: Dialect, after: &Response) -> Result<(), TestCaseError> {
    let calls = |response: &Response| -> Vec<String> {
        let parts = response.choices.iter().take(1).flat_map(|choice| &choice.parts);
        parts.filter_map(|part| part.content.as_tool_call()).map(|call| call.id.clone()).collect()
    };
    // Responses puts its own word before it.
    let (given, heard) = (before.id.clone().unwrap_or_default(), after.id.clone().unwrap_or_default());
    prop_assert!(heard == given || heard == format!("resp_{given}"), "{given}: {heard}");
    let (given, heard) = (calls(before), calls(after));
    let is_valid = |id: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        (1..=40).contains(&id.len()) && id.bytes().all(plain)
    };
    let different: HashSet<&String> = heard.iter().collect();
    prop_assert!(heard.iter().all(|id| is_valid(id)) && different.len() == heard.len(), "{heard:?}");
    let is_marked = provider != caller && matches!(caller, Dialect::Anthropic | Dialect::Gemini);
    for (given, heard) in given.iter().zip(&heard) {
        let is_kept = given == heard;
        prop_assert!(
            if is_marked { heard.contains(mark::MARK) } else { is_kept || !is_valid(given) },
            "{given}: {heard}"
        );
    }
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
    let (response, losses) = (folded(caller, &out), stream.losses());
    let wire = String::from_utf8(out).unwrap();
    let chunks: Vec<Value> =
        wire.split("\n\n").filter_map(|event| serde_json::from_str(event.strip_prefix("data: ")?).ok()).collect();
    Ok(Heard::by(caller, chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]), response, wire, &losses))
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
                same(&before, provider, caller, &heard).map_err(|error| {
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
                same(&before, provider, caller, &heard).map_err(|error| fail(error.to_string()))?;
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
