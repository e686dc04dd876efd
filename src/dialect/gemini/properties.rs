//! Properties that hold for any value, not only for the fixtures'.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Codec;
use super::schema::{Language, Order, adapt};
use crate::dialect::testing::{decode_stream, written};
use crate::dialect::{Codec as _, Dialect, RequestHead, Target, sse};
use crate::ir::{
    CallKind, Content, Message, Outcome, Part, Reasoning, Request, Role, TextKind, ToolCall, ToolResult, check_grammar,
};

fn part() -> impl Strategy<Value = Part> {
    let call = (any::<String>(), "[a-z0-9.:]{1,80}", prop_oneof![Just("{\"a\": 1}".to_owned()), any::<String>()]);
    prop_oneof![
        any::<String>().prop_map(Part::text),
        any::<String>().prop_map(|text| Part::new(Content::Refusal(text))),
        any::<String>().prop_map(|text| Part::new(Content::Reasoning(Reasoning::of(TextKind::Full, text)))),
        call.prop_map(|(id, name, arguments)| {
            let id = format!("x{id}");
            Part::new(Content::ToolCall(ToolCall { id, name, arguments, kind: CallKind::Function }))
        }),
        (any::<String>(), any::<String>()).prop_map(|(id, text)| {
            Part::new(Content::ToolResult(ToolResult {
                call_id: format!("x{id}"),
                name: Some("f".to_owned()),
                parts: vec![Part::text(text)],
                outcome: Outcome::Failure,
                kind: CallKind::Function,
            }))
        }),
        Just(Part::opaque(Dialect::Anthropic, json!({"type": "server_tool_use"}))),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let role = prop_oneof![Just(Role::System), Just(Role::User), Just(Role::Assistant), Just(Role::Tool)];
    (role, vec(part(), 0..5)).prop_map(|(role, parts)| Message::new(role, parts))
}

/// Any JSON, with keys that mean something here.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop_oneof![
            Just("user"),
            Just("model"),
            Just("$.a[0].b"),
            Just("$.a"),
            Just("STOP"),
            Just("object"),
            Just("x")
        ]
        .prop_map(Value::from),
    ];
    let keys = vec![
        "role",
        "contents",
        "parts",
        "text",
        "thought",
        "thoughtSignature",
        "functionCall",
        "function_call",
        "name",
        "args",
        "partialArgs",
        "jsonPath",
        "stringValue",
        "willContinue",
        "candidates",
        "content",
        "index",
        "finishReason",
        "usageMetadata",
        "groundingMetadata",
        "groundingSupports",
        "functionResponse",
        "response",
        "inlineData",
        "fileData",
        "data",
        "tools",
        "functionDeclarations",
        "generationConfig",
        "type",
        "properties",
        "allOf",
        "anyOf",
        "items",
        "$ref",
        "additionalProperties",
        "enum",
        "required",
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((proptest::sample::select(keys.clone()), inner), 0..6).prop_map(|fields| {
                Value::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
            }),
        ]
    })
}

/// A keyword that Google's own language does not have.
fn beyond(schema: &Value) -> Option<String> {
    const KNOWN: [&str; 22] = [
        "type",
        "format",
        "title",
        "description",
        "nullable",
        "enum",
        "maxItems",
        "minItems",
        "properties",
        "required",
        "minProperties",
        "maxProperties",
        "minLength",
        "maxLength",
        "pattern",
        "example",
        "anyOf",
        "propertyOrdering",
        "default",
        "items",
        "minimum",
        "maximum",
    ];
    let schema = schema.as_object()?;
    let unknown = schema.keys().find(|key| !KNOWN.contains(&key.as_str())).cloned();
    let named = schema.get("properties").and_then(Value::as_object).into_iter().flat_map(|map| map.values());
    let listed = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    unknown.or_else(|| named.chain(listed).chain(schema.get("items")).find_map(beyond))
}

proptest! {
    #[test]
    fn any_foreign_conversation_becomes_contents_that_gemini_can_read(messages in vec(message(), 0..8)) {
        let request = Request { spoken_in: Some(Dialect::Anthropic), model: "m".to_owned(), messages, ..Request::default() };
        let target = Target::unlimited(Dialect::Gemini, "m");
        let encoded = Codec::encode_request(&request, &target);
        for content in encoded.body["contents"].as_array().unwrap() {
            prop_assert!(!content["parts"].as_array().unwrap().is_empty());
        }
        let again = Codec::decode_request(encoded.body.clone(), &RequestHead::default()).unwrap();
        prop_assert_eq!(written(&Codec::encode_request(&again, &target).body), written(&encoded.body));
    }

    #[test]
    fn no_json_at_all_makes_a_decoder_panic_or_break_the_grammar(values in vec(json_value(), 1..6)) {
        let mut bytes = Vec::new();
        for value in &values {
            for candidate in [value.clone(), json!({"candidates": [{"content": {"parts": [value]}}]})] {
                sse::write(&mut bytes, &candidate.to_string());
            }
            for body in [value.clone(), json!({"contents": [{"parts": value}], "tools": value, "generationConfig": value})] {
                let Ok(request) = Codec::decode_request(body, &RequestHead::default()) else { continue };
                let mut foreign = request.clone();
                foreign.spoken_in = Some(Dialect::OpenAiChat);
                for request in [request, foreign] {
                    Codec::encode_request(&request, &Target::unlimited(Dialect::Gemini, "m"));
                }
            }
            let _ = Codec::decode_response(value.clone());
        }
        let events = decode_stream::<Codec>(&bytes, usize::MAX);
        prop_assert_eq!(check_grammar(&events), Ok(()));
        prop_assert_eq!(check_grammar(&decode_stream::<Codec>(&bytes[bytes.len() / 2..], usize::MAX)), Ok(()));
    }

    #[test]
    fn bytes_of_any_kind_are_read_without_a_panic(bytes in vec(any::<u8>(), 0..300)) {
        let mut framed = b"data: ".to_vec();
        framed.extend(&bytes);
        prop_assert_eq!(check_grammar(&decode_stream::<Codec>(&framed, 7)), Ok(()));
    }

    #[test]
    fn a_schema_in_googles_language_has_no_other_keywords(schema in json_value()) {
        let adapted = adapt(&schema, Language::OpenApi, Order::Said);
        if let (Language::OpenApi, Some(schema)) = (adapted.language, &adapted.schema) {
            prop_assert_eq!(beyond(schema), None, "{}", schema);
        }
    }
}
