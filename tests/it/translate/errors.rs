//! What goes wrong is said in the caller's dialect: by the provider, or by the gateway about what cannot be said there.

use llm_gateway::sandbox::Reply;
use serde_json::{Value, json};

use super::{Family, MODES, Pair, World, user};
use crate::support::gateway::TestGateway;
use crate::support::speaker::{Mode, Speaker};

/// The status of a provider's error, as this caller's SDK is to see it.
fn status(caller: Speaker, said: u16) -> u16 {
    match (caller, said) {
        (Speaker::Messages, 503) => 529,
        (Speaker::Chat | Speaker::Responses | Speaker::Gemini, 529) => 503,
        (_, said) => said,
    }
}

/// Its kind, by the vendor's own table.
fn kind(caller: Speaker, status: u16) -> &'static str {
    match (caller, status) {
        (Speaker::Gemini, 400) => "INVALID_ARGUMENT",
        (Speaker::Gemini, 429) => "RESOURCE_EXHAUSTED",
        (Speaker::Gemini, 503) => "UNAVAILABLE",
        (Speaker::Gemini, _) => "INTERNAL",
        (_, 400) => "invalid_request_error",
        (_, 429) => "rate_limit_error",
        (Speaker::Messages, 529) => "overloaded_error",
        (Speaker::Chat | Speaker::Responses | Speaker::Messages, _) => "api_error",
    }
}

#[tokio::test]
async fn a_providers_error_comes_in_the_callers_dialect_with_its_sentence() {
    for pair in Pair::foreign() {
        for said in [400, 500, 503, 529, 429] {
            // A provider that says that it has too much to do may be left alone for a moment.
            let world = World::new().await;
            for mode in MODES {
                let sandbox = pair.family.sandbox(&world);
                let before = sandbox.requests().len();
                let talk = user(pair.family.model(), &format!("[[sandbox:error={said}]]"));
                let (path, body) = pair.caller.call(&talk, mode);
                let answer = world.gateway.post(&path, &body).send().await.unwrap();
                let expected = status(pair.caller, said);
                let (got, headers) = (answer.status().as_u16(), answer.headers().clone());
                let text = answer.text().await.unwrap();
                assert_eq!(got, expected, "{pair:?} {mode:?}: {text}");
                assert_eq!(headers["content-type"], "application/json", "{pair:?} {mode:?}");
                let error = pair.caller.error(got, &serde_json::from_str(&text).unwrap());
                assert_eq!(error.kind, kind(pair.caller, expected), "{pair:?} {mode:?}: {text}");
                let (_, again) = super::again(sandbox, &sandbox.requests()[before]).await;
                assert!(again.contains(&error.message), "{pair:?} {mode:?}: {text} for {again}");
                if said == 429 {
                    assert!(headers.contains_key("retry-after"), "{pair:?} {mode:?}: {headers:?}");
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_whole_answer_that_says_that_it_failed_is_an_error_in_the_callers_dialect() {
    let failed = include_str!("../../fixtures/responses/openai_responses/failed.json");
    let world = World::new().await;
    for caller in [Speaker::Chat, Speaker::Messages, Speaker::Gemini] {
        for (code, said) in [("server_error", 500), ("rate_limit_exceeded", 429)] {
            let mut failed: Value = serde_json::from_str(failed).unwrap();
            failed["error"]["code"] = code.into();
            world.gateway.openai().script().push(Reply::json(200, &failed));
            // OpenAI has this model at Responses only.
            let (path, body) = caller.call(&user("gpt-5.1-codex", "Hello"), Mode::Whole);
            let answer = world.gateway.post(&path, &body).send().await.unwrap();
            let (got, text) = (answer.status().as_u16(), answer.text().await.unwrap());
            let expected = status(caller, said);
            assert_eq!(got, expected, "{caller:?} {code}: {text}");
            let error = caller.error(got, &serde_json::from_str(&text).unwrap());
            assert_eq!(error.kind, kind(caller, expected), "{caller:?} {code}: {text}");
            assert_eq!(error.message, "The model broke down.", "{caller:?} {code}: {text}");
        }
    }
}

#[tokio::test]
async fn a_field_without_an_equivalent_is_named_and_to_a_strict_caller_it_is_an_error() {
    let world = World::new().await;
    for pair in Pair::foreign() {
        for mode in MODES {
            let (path, mut body) = pair.caller.call(&user(pair.family.model(), "Hello"), mode);
            body["later"] = 1.into();
            let served = world.gateway.post(&path, &body).send().await.unwrap();
            let (status, headers) = (served.status(), served.headers().clone());
            assert_eq!(status, 200, "{pair:?} {mode:?}: {}", served.text().await.unwrap());
            assert_eq!(headers["x-llm-gateway-ignored"], "later", "{pair:?} {mode:?}");

            let sandbox = pair.family.sandbox(&world);
            let before = sandbox.requests().len();
            let strict = world.gateway.post(&path, &body).header("x-llm-gateway-strict", "true");
            let refused = strict.send().await.unwrap();
            assert_eq!(refused.status(), 400, "{pair:?} {mode:?}");
            let error = pair.caller.error(400, &refused.json::<Value>().await.unwrap());
            assert!(error.message.contains("later"), "{pair:?} {mode:?}: {error:?}");
            assert_eq!(sandbox.requests().len(), before, "{pair:?} {mode:?} was sent all the same");
        }
    }
}

#[tokio::test]
async fn the_same_dialect_gets_unknown_fields_as_they_are() {
    let world = World::new().await;
    for pair in Pair::all().filter(|pair| pair.provider() == pair.caller && pair.family != Family::ChatOnly) {
        let (path, mut body) = pair.caller.call(&user(pair.family.model(), "Hello"), Mode::Whole);
        body["later"] = 1.into();
        let answer = world.gateway.post(&path, &body).header("x-llm-gateway-strict", "true").send().await.unwrap();
        // The provider judges it, and says so in its own words.
        assert_eq!(answer.status(), 400, "{pair:?}");
        assert!(!answer.headers().contains_key("x-llm-gateway-ignored"), "{pair:?}");
        let sandbox = pair.family.sandbox(&world);
        assert_eq!(sandbox.requests().last().unwrap().json()["later"], 1, "{pair:?}");
    }
}

/// What names something that the caller's own vendor keeps, put into a request, and what the refusal names.
fn kept(caller: Speaker) -> Vec<(Value, &'static str)> {
    match caller {
        Speaker::Chat => {
            let file = json!([{"type": "file", "file": {"file_id": "file-1"}}]);
            vec![(json!({"messages": [{"role": "user", "content": file}]}), "messages[0].content[0]")]
        }
        Speaker::Responses => vec![
            (json!({"previous_response_id": "resp_1"}), "previous_response_id"),
            (json!({"conversation": "conv_1"}), "conversation"),
            (json!({"prompt": {"id": "pmpt_1"}}), "prompt"),
            (json!({"input": [{"type": "item_reference", "id": "msg_1"}]}), "input[0]"),
        ],
        Speaker::Messages => {
            let file = json!([{"type": "document", "source": {"type": "file", "file_id": "file_1"}}]);
            vec![
                (json!({"container": "container_1"}), "container"),
                (json!({"messages": [{"role": "user", "content": file}]}), "messages[0].content[0]"),
            ]
        }
        Speaker::Gemini => vec![(json!({"cachedContent": "cachedContents/1"}), "cachedContent")],
    }
}

#[tokio::test]
async fn what_one_vendor_keeps_another_cannot_read_whatever_the_product_allows() {
    let gateway = TestGateway::builder().product("keeper", "stateful = true").start().await;
    let pairs = Pair::foreign().filter(|pair| pair.family != Family::ChatOnly);
    for (pair, mode) in pairs.flat_map(|pair| MODES.map(|mode| (pair, mode))) {
        // Both of OpenAI's formats read the same files.
        let is_at_home = (pair.caller, pair.family) == (Speaker::Chat, Family::OpenAi);
        for (said, field) in kept(pair.caller).into_iter().filter(|_| !is_at_home) {
            let (path, mut body) = pair.caller.call(&user(pair.family.model(), "Hello"), mode);
            body.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
            let refused = gateway.post(&format!("/keeper{path}"), &body).send().await.unwrap();
            let (status, error) = (refused.status(), refused.json::<Value>().await.unwrap());
            assert_eq!(status, 400, "{pair:?} {mode:?} {field}: {error}");
            let error = pair.caller.error(400, &error);
            assert!(error.message.starts_with(field), "{pair:?} {mode:?} {field}: {error:?}");
        }
    }
    let sandboxes = [gateway.openai(), gateway.anthropic(), gateway.gemini()];
    assert!(sandboxes.iter().all(|sandbox| sandbox.requests().is_empty()), "something was sent all the same");
}
