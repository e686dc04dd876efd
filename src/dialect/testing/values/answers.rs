//! Random answers, whole and in pieces.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Number;

use super::{arguments, name, text, thought};
use crate::ir::{
    CallKind, Carry, Choice, Citation, Content, Delta, Event, Finish, FinishReason, Logprob, Origin, Part, PartAt,
    Response, Seal, SealKind, Start, Text, ToolCall, Usage,
};

/// A page, with or without the stretch of the text that it is cited for.
fn citation() -> impl Strategy<Value = (u32, Option<(Index, Index)>)> {
    (0_u32..4, option::of((any::<Index>(), any::<Index>())))
}

/// A text, perhaps with its sources and with how likely its tokens were.
fn said() -> impl Strategy<Value = Part> {
    let sources = option::weighted(0.3, vec(citation(), 1..4));
    (text(), sources, option::weighted(0.2, (1_usize..5, any::<bool>()))).prop_map(|(text, sources, tokens)| {
        let letters: Vec<char> = text.chars().collect();
        let cite = |(page, place): (u32, Option<(Index, Index)>)| Citation {
            url: Some(format!("https://example.com/{page}")),
            title: Some(format!("Page {page}")),
            span: place.map(|(first, more)| {
                let first = first.index(letters.len());
                let last = first + 1 + more.index(letters.len() - first);
                (u64::try_from(first).unwrap(), u64::try_from(last).unwrap())
            }),
            ..Citation::default()
        };
        let citations = sources.into_iter().flatten().map(cite).collect();
        let token = |letters: &[char], quarters: i32, top: Vec<Logprob>| Logprob {
            token: letters.iter().collect(),
            logprob: Number::from_f64(-f64::from(quarters) / 4.0).unwrap(),
            bytes: None,
            top,
            carry: Carry::NONE,
        };
        let logprobs = tokens.into_iter().flat_map(|(size, others)| {
            let entry = |letters: &[char]| {
                let top = if others { vec![token(letters, 1, vec![]), token(&['?'], 7, vec![])] } else { vec![] };
                token(letters, 1, top)
            };
            letters.chunks(size).map(entry).collect::<Vec<_>>()
        });
        Part::new(Content::Text(Text { logprobs: logprobs.collect(), text: text.clone(), citations }))
    })
}

fn usage() -> impl Strategy<Value = Usage> {
    let cached = (0_u64..100, 0_u64..100, option::weighted(0.2, 0_u64..100));
    // The rest of what went in and came out is neither cached, nor sound, nor thought.
    (0_u64..1_000, cached, 1_u64..1_000, 0_u64..100, (0_u64..50, 0_u64..50)).prop_map(
        |(fresh, (read, written, for_an_hour), said, thought, (heard, spoken))| Usage {
            input: Some(1 + fresh + heard + read + written + for_an_hour.unwrap_or(0)),
            cache_read: Some(read),
            cache_write_5m: Some(written),
            cache_write_1h: for_an_hour,
            audio_input: Some(heard),
            output: Some(said + spoken + thought),
            reasoning: Some(thought),
            audio_output: Some(spoken),
            ..Usage::default()
        },
    )
}

fn finish() -> impl Strategy<Value = FinishReason> {
    prop_oneof![
        Just(FinishReason::Stop),
        Just(FinishReason::MaxTokens),
        Just(FinishReason::ContentFilter),
        Just(FinishReason::StopSequence),
        Just(FinishReason::ContextWindow),
        Just(FinishReason::Pause),
        Just(FinishReason::Refusal),
        Just(FinishReason::Recitation),
        Just(FinishReason::MalformedToolCall),
    ]
}

/// A whole answer with one choice.
pub(crate) fn response() -> impl Strategy<Value = Response> {
    let call = (name(), arguments(), "[a-zA-Z0-9_-]{1,50}", option::weighted(0.2, Just(())));
    let part = prop_oneof![
        3 => said().boxed(),
        1 => thought().boxed(),
        2 => call.prop_map(|(name, arguments, id, sealed)| {
            let seal = sealed.map(|()| Seal::new(Origin::Gemini, SealKind::Thought, "CiQBjz1rXw=="));
            let call = ToolCall { id, name, arguments, kind: CallKind::Function };
            Part::new(Content::ToolCall(call)).sealed(seal)
        }).boxed(),
    ];
    (vec(part, 0..5), usage(), finish(), option::of("[a-zA-Z0-9]{1,20}")).prop_map(|(mut parts, usage, reason, id)| {
        let mut calls = false;
        for (number, part) in parts.iter_mut().enumerate() {
            if let Content::ToolCall(call) = &mut part.content {
                call.id = format!("{}_{number}", call.id);
                calls = true;
            }
        }
        let reason = if calls { FinishReason::ToolUse } else { reason };
        let choice = Choice { parts, finish: Some(Finish::inferred(reason)), ..Choice::default() };
        Response {
            id: Some(format!("id_{}", id.unwrap_or_default())),
            model: Some("model-1".to_owned()),
            created: Some(1_700_000_000),
            choices: vec![choice],
            usage: Some(usage),
            ..Response::default()
        }
    })
}

/// An answer as it streams: in pieces, some of its parts open at once.
pub(crate) fn stream() -> impl Strategy<Value = (Response, Vec<Event>)> {
    (response(), 1_usize..6, any::<bool>()).prop_map(|(response, piece, overlapping)| {
        let events = events_of(&response, piece, overlapping);
        (response, events)
    })
}

/// The events that say an answer with one choice.
pub(crate) fn events_of(response: &Response, piece: usize, overlapping: bool) -> Vec<Event> {
    let start =
        Start { id: response.id.clone(), model: response.model.clone(), created: response.created, ..Start::default() };
    let (mut events, mut late) = (vec![Event::Start(Box::new(start))], Vec::new());
    let choice = &response.choices[0];
    for (number, part) in (0_u32..).zip(&choice.parts) {
        let at = PartAt::first(number);
        let (head, deltas) = taken_apart(part, piece);
        events.push(Event::PartStart(at, Box::new(head)));
        // Only calls overlap in practice.
        let target = if overlapping && matches!(part.content, Content::ToolCall(_)) { &mut late } else { &mut events };
        target.extend(deltas.into_iter().map(|delta| Event::Delta(at, delta)));
        target.push(Event::PartStop(at, Carry::NONE));
    }
    events.append(&mut late);
    events.extend(choice.finish.clone().map(|finish| Event::Finish(0, Box::new(finish), Carry::NONE)));
    events.extend(response.usage.clone().map(|usage| Event::Usage(Box::new(usage))));
    events.push(Event::End(Carry::NONE));
    events
}

fn taken_apart(part: &Part, piece: usize) -> (Part, Vec<Delta>) {
    let pieces = |text: &str| -> Vec<String> {
        text.chars().collect::<Vec<_>>().chunks(piece).map(|letters| letters.iter().collect()).collect()
    };
    let mut head = part.clone();
    let mut deltas: Vec<Delta> = match &mut head.content {
        Content::Text(text) => {
            let text = std::mem::take(text);
            let likely = (!text.logprobs.is_empty()).then(|| Delta::Logprobs(text.logprobs));
            let cited = text.citations.into_iter().map(|citation| Delta::Citation(Box::new(citation)));
            pieces(&text.text).into_iter().map(Delta::Text).chain(likely).chain(cited).collect()
        }
        Content::ToolCall(call) => {
            pieces(&std::mem::take(&mut call.arguments)).into_iter().map(Delta::Arguments).collect()
        }
        Content::Reasoning(reasoning) => {
            let texts = std::mem::take(&mut reasoning.texts);
            (0_u32..)
                .zip(texts)
                .flat_map(|(number, text)| {
                    let kind = text.kind;
                    pieces(&text.text).into_iter().map(move |delta| Delta::Reasoning { text: number, kind, delta })
                })
                .collect()
        }
        Content::Refusal(_) | Content::Media(_) | Content::ToolResult(_) | Content::Opaque(_) => Vec::new(),
    };
    if matches!(head.content, Content::Reasoning(_)) {
        deltas.extend(head.seal.take().map(|seal| Delta::Seal(Box::new(seal))));
    }
    (head, deltas)
}
