//! Requests that are wrong, or far too much, on their way to a model of another family.

use serde_json::{Value, json};

use super::{Family, MODES, Pair, World, user};
use crate::support::speaker::{Mode, Speaker, Talk, Turn};

/// Sends bytes, whatever they are: the status, and the answer's text.
async fn send(world: &World, path: &str, body: impl Into<reqwest::Body>) -> (u16, String) {
    let request = world.gateway.request(reqwest::Method::POST, path).header("content-type", "application/json");
    let answer = request.body(body).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Fields with something in them that cannot be, and what they are called.
fn wrong(caller: Speaker) -> Vec<(&'static str, Value, &'static str)> {
    match caller {
        Speaker::Chat => {
            let user = json!({"role": "user", "content": "x"});
            let tool = json!({"type": "function", "function": {"name": "f"}});
            vec![
                (
                    "messages",
                    json!([user, {"role": "user", "content": [{"type": "text", "text": 5}]}]),
                    "messages[1].content[0].text",
                ),
                ("messages", json!([user, {"content": "x"}]), "messages[1].role"),
                ("messages", json!([user, {"role": "tool", "content": "x"}]), "messages[1].tool_call_id"),
                (
                    "messages",
                    json!([user, {"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "f"}}]}]),
                    "messages[1].tool_calls[0].id",
                ),
                ("tools", json!([tool, {"type": "function", "function": {}}]), "tools[1].function.name"),
                ("temperature", json!("hot"), "temperature"),
                ("stop", json!(["a", 5]), "stop[1]"),
            ]
        }
        Speaker::Responses => {
            let user = json!({"role": "user", "content": "x"});
            vec![
                (
                    "input",
                    json!([user, {"role": "user", "content": [{"type": "input_text", "text": 5}]}]),
                    "input[1].content[0].text",
                ),
                ("input", json!([user, {"type": "function_call", "name": "f", "arguments": "{}"}]), "input[1].call_id"),
                ("tools", json!([{"type": "function", "name": "f"}, {"type": "function"}]), "tools[1].name"),
                ("max_output_tokens", json!(-1), "max_output_tokens"),
            ]
        }
        Speaker::Messages => {
            let user = json!({"role": "user", "content": "x"});
            vec![
                (
                    "messages",
                    json!([user, {"role": "user", "content": [{"type": "text", "text": 5}]}]),
                    "messages[1].content[0].text",
                ),
                (
                    "messages",
                    json!([user, {"role": "user", "content": [{"type": "tool_result"}]}]),
                    "messages[1].content[0].tool_use_id",
                ),
                ("tools", json!([{"name": "f", "input_schema": {}}, {"input_schema": {}}]), "tools[1].name"),
                ("max_tokens", json!("many"), "max_tokens"),
            ]
        }
        Speaker::Gemini => {
            let user = json!({"role": "user", "parts": [{"text": "x"}]});
            vec![
                ("contents", json!([user, {"role": "user", "parts": [{"text": 5}]}]), "contents[1].parts[0].text"),
                (
                    "contents",
                    json!([user, {"role": "model", "parts": [{"functionCall": {"args": {}}}]}]),
                    "contents[1].parts[0].functionCall.name",
                ),
                (
                    "tools",
                    json!([{"functionDeclarations": [{"name": "f"}, {}]}]),
                    "tools[0].functionDeclarations[1].name",
                ),
                ("generationConfig", json!({"temperature": "hot"}), "generationConfig.temperature"),
            ]
        }
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_by_field_and_index() {
    let world = World::new().await;
    for pair in Pair::foreign() {
        for (field, value, place) in wrong(pair.caller) {
            let (path, mut body) = pair.caller.call(&user(pair.family.model(), "hello"), Mode::Whole);
            body[field] = value;
            let (status, text) = send(&world, &path, body.to_string()).await;
            assert_eq!(status, 400, "{pair:?} {place}: {text}");
            let error = pair.caller.error(status, &serde_json::from_str(&text).unwrap());
            assert!(error.message.contains(place), "{pair:?} {place}: {text}");
        }
        assert!(pair.family.sandbox(&world).requests().is_empty(), "{pair:?}");
    }
}

#[tokio::test]
async fn odd_bytes_are_answered_or_refused_and_never_a_fault_of_the_gateway() {
    let world = World::new().await;
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let members = |members: &str| format!("{{{members},");
    // What stands in a text, what stands before the other members, and whether it is JSON that anybody reads.
    let cases: Vec<(&str, String, u16)> = vec![
        ("\\u0000", "{".to_owned(), 200),
        ("\\ud83d\\ude00\u{2028}", "{".to_owned(), 200),
        ("\\ud800", "{".to_owned(), 400),
        ("x", "\u{feff}{".to_owned(), 400),
        ("x", members("\"later\":1e400"), 400),
        ("x", members("\"later\":-0.0e-400"), 200),
        ("x", members("\"later\":1,\"later\":2"), 200),
        ("x", members(&format!("\"later\":{deep}")), 400),
        ("x", members(&format!("\"{}\":1", "x".repeat(100_000))), 200),
        ("x", members("\"gr\u{f6}\u{df}e,\\n\":1"), 200),
    ];
    for pair in Pair::foreign() {
        for (word, begin, expected) in &cases {
            let (path, body) = pair.caller.call(&user(pair.family.model(), "WORD"), Mode::Whole);
            let raw = body.to_string().replace("WORD", word).replacen('{', begin, 1);
            let shown: String = raw.chars().take(200).collect();
            let (status, text) = send(&world, &path, raw).await;
            assert_eq!(status, *expected, "{pair:?} {shown}: {text}");
            let value: Value = serde_json::from_str(&text).unwrap();
            if status == 400 {
                assert!(!pair.caller.error(status, &value).message.is_empty(), "{pair:?} {shown}: {text}");
            }
        }
    }
}

/// Within the limit on bodies that is set from the start.
#[tokio::test]
async fn a_picture_of_thirty_megabytes_reaches_every_other_family() {
    let world = World::new().await;
    let picture: &'static str =
        Box::leak("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAA".repeat(625_000).into_boxed_str());
    assert_eq!(picture.len(), 30_000_000);
    for pair in [
        Pair { caller: Speaker::Chat, family: Family::Anthropic },
        Pair { caller: Speaker::Messages, family: Family::OpenAi },
        Pair { caller: Speaker::Responses, family: Family::Gemini },
    ] {
        let turns = vec![Turn::Picture("What is it?".to_owned(), picture)];
        let talk = Talk { model: pair.family.model().to_owned(), turns, ..Talk::default() };
        let (path, body) = pair.caller.call(&talk, Mode::Whole);
        let (status, text) = send(&world, &path, body.to_string()).await;
        assert_eq!(status, 200, "{pair:?}: {text}");
        let requests = pair.family.sandbox(&world).requests();
        assert!(requests[0].body.len() > picture.len(), "{pair:?}: {status} {text}");
    }
}

#[tokio::test]
async fn twenty_thousand_tools_and_messages_are_answered_or_refused_by_the_provider() {
    const COUNT: usize = 20_000;
    let world = World::new().await;
    for pair in [
        Pair { caller: Speaker::Chat, family: Family::Gemini },
        Pair { caller: Speaker::Messages, family: Family::OpenAi },
    ] {
        for mode in MODES {
            let (path, mut body) = pair.caller.call(&user(pair.family.model(), "hello"), mode);
            let role = |number: usize| if number.is_multiple_of(2) { "user" } else { "assistant" };
            body["messages"] = (0..=COUNT).map(|number| json!({"role": role(number), "content": "x"})).collect();
            body["tools"] = (0..COUNT)
                .map(|number| match pair.caller {
                    Speaker::Chat => json!({"type": "function", "function": {"name": format!("f.{number}"), "parameters": {"type": "object"}}}),
                    Speaker::Responses | Speaker::Messages | Speaker::Gemini => {
                        json!({"name": format!("f.{number}"), "input_schema": {"type": "object"}})
                    }
                })
                .collect();
            let (status, text) = send(&world, &path, body.to_string()).await;
            assert_eq!(status, 200, "{pair:?}: {text}");
            assert!(!pair.family.sandbox(&world).requests().is_empty(), "{pair:?}: {status} {text}");
        }
    }
}
