//! Properties that hold for any value, not only for the fixtures'.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Codec;
use crate::dialect::testing::{decode_stream, through_own_stream, written};
use crate::dialect::{Asked, Codec as _, Delivery, Dialect, RequestHead, Target, sse};
use crate::ir::{
    CallKind, Carry, Content, Delta, Event, Finish, FinishReason, Fold, Message, Outcome, Part, PartAt, Reasoning,
    Request, Role, Start, TextKind, ToolCall, ToolResult, Usage, check_grammar,
};

fn call() -> impl Strategy<Value = Part> {
    (any::<String>(), "[a-z.:]{1,80}", prop_oneof![Just("{\"a\": 1}".to_owned()), any::<String>()], any::<bool>())
        .prop_map(|(id, name, arguments, custom)| {
            let kind = if custom { CallKind::Custom } else { CallKind::Function };
            Part::new(Content::ToolCall(ToolCall { id: format!("x{id}"), name, arguments, kind }))
        })
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        any::<String>().prop_map(Part::text),
        any::<String>().prop_map(|text| Part::new(Content::Refusal(text))),
        any::<String>().prop_map(|text| Part::new(Content::Reasoning(Reasoning::of(TextKind::Full, text)))),
        call(),
        (any::<String>(), any::<String>()).prop_map(|(id, text)| {
            Part::new(Content::ToolResult(ToolResult {
                call_id: format!("x{id}"),
                name: None,
                parts: vec![Part::text(text)],
                outcome: Outcome::Failure,
                kind: CallKind::Function,
            }))
        }),
        Just(Part::opaque(Dialect::Gemini, json!({"executableCode": {}}))),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let role = prop_oneof![
        Just(Role::System),
        Just(Role::Developer),
        Just(Role::User),
        Just(Role::Assistant),
        Just(Role::Tool)
    ];
    (role, vec(part(), 0..5)).prop_map(|(role, parts)| Message::new(role, parts))
}

/// What a chat caller can be told in one stream: parts of a choice, in pieces.
fn answer() -> impl Strategy<Value = Vec<Event>> {
    let pieces = vec("[ -~äß😀\n]{1,6}", 1..6);
    let part = (0_u8..4, pieces, "[a-z]{1,9}");
    (vec(part, 0..6), option::of(any::<u32>())).prop_map(|(parts, tokens)| {
        let mut events = vec![Event::Start(Box::new(Start { id: Some("id".to_owned()), ..Start::default() }))];
        let mut last = u8::MAX;
        let mut number = 0;
        for (kind, pieces, name) in parts {
            // Chat cannot tell two neighbours of one kind apart, calls excepted.
            if kind == last && kind != 3 {
                continue;
            }
            last = kind;
            let at = PartAt::first(number);
            number += 1;
            let id = format!("call_{number}");
            let head = match kind {
                0 => Content::Text(crate::ir::Text::default()),
                1 => Content::Refusal(String::new()),
                2 => Content::Reasoning(Reasoning::default()),
                _ => Content::ToolCall(ToolCall { id, name, arguments: String::new(), kind: CallKind::Custom }),
            };
            events.push(Event::PartStart(at, Box::new(Part::new(head))));
            for piece in pieces {
                let delta = match kind {
                    0 => Delta::Text(piece),
                    1 => Delta::Refusal(piece),
                    2 => Delta::Reasoning { text: 0, kind: TextKind::Full, delta: piece },
                    _ => Delta::Arguments(piece),
                };
                events.push(Event::Delta(at, delta));
            }
            events.push(Event::PartStop(at, Carry::NONE));
        }
        let usage = Usage { input: tokens.map(u64::from), output: Some(1), ..Usage::default() };
        events.push(Event::Finish(0, Box::new(Finish::inferred(FinishReason::Stop)), Carry::NONE));
        events.push(Event::Usage(Box::new(usage)));
        events.push(Event::End(Carry::NONE));
        events
    })
}

/// Any JSON.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z]{0,6}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        Just("role"),
        Just("content"),
        Just("type"),
        Just("text"),
        Just("tool_calls"),
        Just("function"),
        Just("name"),
        Just("choices"),
        Just("delta"),
        Just("index"),
        Just("usage"),
        Just("x"),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((key.clone(), inner), 0..6).prop_map(|fields| {
                Value::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_foreign_conversation_becomes_a_request_that_chat_can_read(messages in vec(message(), 0..8)) {
        let request = Request { spoken_in: Some(Dialect::Anthropic), model: "m".to_owned(), messages, ..Request::default() };
        let encoded = Codec::encode_request(&request, &Target::unlimited(Dialect::OpenAiChat, "gpt"));
        let again = Codec::decode_request(encoded.body.clone(), &RequestHead::default()).unwrap();
        let once_more = Codec::encode_request(&again, &Target::unlimited(Dialect::OpenAiChat, "gpt"));
        prop_assert_eq!(written(&once_more.body), written(&encoded.body));
        for message in &again.messages {
            for part in &message.parts {
                if let Content::ToolCall(call) = &part.content {
                    prop_assert_eq!(crate::ir::mark::portable_id(&call.id), call.id.as_str());
                    prop_assert!(call.name.len() <= 64);
                }
            }
        }
    }

    #[test]
    fn what_any_stream_says_is_what_its_reader_hears(events in answer()) {
        let asked = Asked::by(&Request { stream_usage: Some(true), ..Request::default() }, Delivery::Events);
        let (heard, _) = through_own_stream::<Codec>(&events, &asked);
        prop_assert_eq!(check_grammar(&heard), Ok(()));
        let parts = |events: Vec<Event>| {
            let fold: Fold = events.into_iter().collect();
            let response = fold.finish().bare();
            response.choices.into_iter().next().map(|choice| choice.parts)
        };
        prop_assert_eq!(parts(heard), parts(events));
    }

    #[test]
    fn no_json_at_all_makes_a_decoder_panic_or_break_the_grammar(values in vec(json_value(), 1..6)) {
        let mut bytes = Vec::new();
        for value in &values {
            sse::write(&mut bytes, &value.to_string());
            let _ = Codec::decode_request(value.clone(), &RequestHead::default());
            let _ = Codec::decode_response(value.clone());
        }
        prop_assert_eq!(check_grammar(&decode_stream::<Codec>(&bytes, usize::MAX)), Ok(()));
    }
}
