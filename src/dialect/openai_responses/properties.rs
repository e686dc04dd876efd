//! Properties that hold for any value, not only for the fixtures'.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Codec;
use super::tests::grammar::assert_legal;
use crate::dialect::testing::{decode_stream, through_own_stream, written};
use crate::dialect::{Asked, Codec as _, Delivery, Dialect, RequestHead, Target, sse};
use crate::ir::{
    CallKind, Carry, Content, Delta, Event, Finish, FinishReason, Fold, Message, Outcome, Part, PartAt, Reasoning,
    Request, Role, Seal, SealKind, Start, TextKind, ToolCall, ToolResult, Usage, check_grammar,
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
        any::<String>().prop_map(|data| {
            let seal = Seal::new(crate::ir::Origin::OpenAi, SealKind::Encrypted, format!("g{data}"));
            Part::new(Content::Reasoning(Reasoning::default())).sealed(Some(seal))
        }),
        call(),
        (any::<String>(), any::<String>(), any::<bool>()).prop_map(|(id, text, failed)| {
            Part::new(Content::ToolResult(ToolResult {
                call_id: format!("x{id}"),
                name: None,
                parts: vec![Part::text(text)],
                outcome: if failed { Outcome::Failure } else { Outcome::Success },
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

/// What a caller can be told in one stream: parts in pieces, two of them open at once now and then.
fn answer() -> impl Strategy<Value = Vec<Event>> {
    let pieces = vec("[ -~äß😀\n]{1,6}", 1..6);
    let part = (0_u8..5, pieces, "[a-z]{1,9}");
    (vec(part, 0..6), option::of(any::<u32>()), any::<bool>()).prop_map(|(parts, tokens, overlapping)| {
        let mut events = vec![Event::Start(Box::new(Start { id: Some("resp_1".to_owned()), ..Start::default() }))];
        let mut stops = Vec::new();
        for (number, (kind, pieces, name)) in (0_u32..).zip(parts) {
            let at = PartAt::first(number);
            let id = format!("call_{number}");
            let call = |kind| Content::ToolCall(ToolCall { id, name, arguments: String::new(), kind });
            let head = match kind {
                0 => Content::Text(crate::ir::Text::default()),
                1 => Content::Refusal(String::new()),
                2 => Content::Reasoning(Reasoning::default()),
                3 => call(CallKind::Function),
                _ => call(CallKind::Custom),
            };
            events.push(Event::PartStart(at, Box::new(Part::new(head))));
            for piece in pieces {
                let delta = match kind {
                    0 => Delta::Text(piece),
                    1 => Delta::Refusal(piece),
                    2 => Delta::Reasoning { text: 0, kind: TextKind::Summary, delta: piece },
                    _ => Delta::Arguments(piece),
                };
                events.push(Event::Delta(at, delta));
            }
            stops.push(Event::PartStop(at, Carry::NONE));
            if !overlapping {
                events.append(&mut stops);
            }
        }
        events.append(&mut stops);
        let usage = Usage { input: tokens.map(u64::from), output: Some(1), ..Usage::default() };
        events.push(Event::Usage(Box::new(usage)));
        events.push(Event::Finish(0, Box::new(Finish::inferred(FinishReason::Stop)), Carry::NONE));
        events.push(Event::End(Carry::NONE));
        events
    })
}

/// Any JSON, made of words that this dialect knows.
fn json_value() -> impl Strategy<Value = Value> {
    const WORDS: [&str; 22] = [
        "response.created",
        "response.output_item.added",
        "response.output_item.done",
        "response.content_part.added",
        "response.content_part.done",
        "response.output_text.delta",
        "response.output_text.done",
        "response.refusal.delta",
        "response.function_call_arguments.delta",
        "response.reasoning_summary_text.delta",
        "response.completed",
        "response.failed",
        "error",
        "message",
        "function_call",
        "custom_tool_call",
        "reasoning",
        "image_generation_call",
        "output_text",
        "summary_text",
        "web_search_call",
        "assistant",
    ];
    const KEYS: [&str; 24] = [
        "type",
        "role",
        "content",
        "text",
        "item",
        "part",
        "response",
        "output",
        "output_index",
        "content_index",
        "delta",
        "call_id",
        "name",
        "arguments",
        "input",
        "summary",
        "id",
        "tools",
        "namespace",
        "result",
        "status",
        "error",
        "usage",
        "x",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0_u64..3).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(&WORDS[..]).prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        let fields = vec((prop::sample::select(&KEYS[..]), inner.clone()), 0..6);
        let typed = (prop::sample::select(&WORDS[..]), fields.clone());
        let object = |fields: Vec<(&str, Value)>| -> Value {
            Value::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
        };
        prop_oneof![
            vec(inner, 0..5).prop_map(Value::from),
            fields.prop_map(object),
            typed.prop_map(move |(word, mut fields)| {
                fields.push(("type", word.into()));
                object(fields)
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_foreign_conversation_becomes_a_request_that_responses_can_read(messages in vec(message(), 0..8)) {
        let request = Request { spoken_in: Some(Dialect::Anthropic), model: "m".to_owned(), messages, ..Request::default() };
        let encoded = Codec::encode_request(&request, &Target::unlimited(Dialect::OpenAiResponses, "gpt"));
        let again = Codec::decode_request(encoded.body.clone(), &RequestHead::default()).unwrap();
        let once_more = Codec::encode_request(&again, &Target::unlimited(Dialect::OpenAiResponses, "gpt"));
        prop_assert_eq!(written(&once_more.body), written(&encoded.body));
        for part in again.messages.iter().flat_map(|message| &message.parts) {
            if let Content::ToolCall(call) = &part.content {
                prop_assert_eq!(crate::ir::mark::portable_id(&call.id), call.id.as_str());
                prop_assert!(call.name.len() <= 64);
            }
        }
    }

    #[test]
    fn what_any_stream_says_is_what_its_reader_hears(events in answer()) {
        let asked = Asked::by(&Request::default(), Delivery::Events);
        let (heard, text) = through_own_stream::<Codec>(&events, &asked);
        assert_legal(&text, "any stream");
        prop_assert_eq!(check_grammar(&heard), Ok(()));
        let parts = |events: Vec<Event>| {
            let fold: Fold = events.into_iter().collect();
            let choice = fold.finish().bare().choices.into_iter().next();
            choice.map(|choice| choice.parts.into_iter().map(without_item_id).collect::<Vec<_>>())
        };
        prop_assert_eq!(parts(heard), parts(events));
    }

    #[test]
    fn no_json_at_all_makes_a_decoder_panic_or_break_the_grammar(values in vec(json_value(), 1..8)) {
        let begun = json!({"type": "response.created", "response": {"id": "resp_1"}});
        let mut bytes = Vec::new();
        for value in std::iter::once(&begun).chain(&values) {
            sse::write(&mut bytes, &value.to_string());
            let _ = Codec::decode_request(value.clone(), &RequestHead::default());
            let _ = Codec::decode_request(json!({"model": "m", "input": value, "tools": value}), &RequestHead::default());
            let _ = Codec::decode_response(value.clone());
            let _ = Codec::decode_response(json!({"output": value}));
        }
        let events = decode_stream::<Codec>(&bytes, usize::MAX);
        prop_assert_eq!(check_grammar(&events), Ok(()));
        let (_, text) = through_own_stream::<Codec>(&events, &Asked::by(&Request::default(), Delivery::Events));
        assert_legal(&text, "any JSON");
    }

    #[test]
    fn no_bytes_at_all_make_a_decoder_panic(bytes in vec(any::<u8>(), 0..400), chunk in 1_usize..40) {
        let mut stream = b"data: {\"type\":\"response.created\",\"response\":{}}\n\ndata: ".to_vec();
        stream.extend(bytes);
        prop_assert_eq!(check_grammar(&decode_stream::<Codec>(&stream, chunk)), Ok(()));
    }
}

/// Items of other vendors' thoughts get an id of their own here.
fn without_item_id(mut part: Part) -> Part {
    if let Content::Reasoning(reasoning) = &mut part.content {
        reasoning.id = None;
    }
    part
}
