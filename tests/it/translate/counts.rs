//! Counts of tokens: every model, through every endpoint that has them.

use serde_json::{Value, json};

use super::{Family, Pair, World, tools, user};
use crate::support::speaker::{Mode, Speaker, Talk};

/// How a caller asks for a count.
fn ask(caller: Speaker, talk: &Talk) -> (String, Value) {
    let (path, mut body) = caller.call(talk, Mode::Whole);
    match caller {
        Speaker::Messages => {
            body.as_object_mut().unwrap().remove("max_tokens");
            (format!("{path}/count_tokens"), body)
        }
        Speaker::Gemini => {
            body["model"] = format!("models/{}", talk.model).into();
            (path.replace(":generateContent", ":countTokens"), json!({"generateContentRequest": body}))
        }
        Speaker::Chat | Speaker::Responses => panic!("{caller:?} has no counts"),
    }
}

fn counting() -> impl Iterator<Item = Pair> {
    Pair::all().filter(|pair| matches!(pair.caller, Speaker::Messages | Speaker::Gemini))
}

/// Where the caller reads it.
fn told(caller: Speaker, answer: &Value) -> u64 {
    let member = if caller == Speaker::Messages { "input_tokens" } else { "totalTokens" };
    answer[member].as_u64().unwrap_or_else(|| panic!("{caller:?}: {answer}"))
}

#[tokio::test]
async fn every_model_is_counted_by_its_provider_and_told_in_the_callers_words() {
    let world = World::new().await;
    for pair in counting().filter(|pair| pair.family != Family::ChatOnly) {
        let sandbox = pair.family.sandbox(&world);
        let before = sandbox.requests().len();
        let talk = Talk { system: Some("Be brief."), tools: tools(), ..user(pair.family.model(), "How many?") };
        let (path, body) = ask(pair.caller, &talk);
        let answer = world.gateway.post(&path, &body).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{pair:?}: {}", answer.text().await.unwrap());
        assert!(!answer.headers().contains_key("x-llm-gateway-estimated"), "{pair:?}");
        let answer: Value = answer.json().await.unwrap();

        let seen = sandbox.requests();
        let target = match pair.family {
            Family::OpenAi | Family::ChatOnly => "/v1/responses/input_tokens",
            Family::Anthropic => "/v1/messages/count_tokens",
            Family::Gemini => "/v1beta/models/gemini-2.5-flash-lite:countTokens",
        };
        assert_eq!(seen[before].target, target, "{pair:?}");
        let (_, said) = super::again(sandbox, &seen[before]).await;
        let said: Value = serde_json::from_str(&said).unwrap();
        let counted = said.get("input_tokens").or(said.get("totalTokens")).and_then(Value::as_u64).unwrap();
        assert!(counted > 10, "{pair:?}: {said}");
        assert_eq!(told(pair.caller, &answer), counted, "{pair:?}");
    }
}

#[tokio::test]
async fn a_provider_that_cannot_count_is_not_asked_and_the_guess_is_marked() {
    let world = World::new().await;
    for pair in counting().filter(|pair| pair.family == Family::ChatOnly) {
        let (path, body) = ask(pair.caller, &user(pair.family.model(), &"word ".repeat(400)));
        let answer = world.gateway.post(&path, &body).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{pair:?}");
        assert_eq!(answer.headers()["x-llm-gateway-estimated"], "input_tokens", "{pair:?}");
        let tokens = told(pair.caller, &answer.json().await.unwrap());
        assert!((400..600).contains(&tokens), "{pair:?}: {tokens}");
    }
    assert!(world.plain.requests().is_empty());
}

#[tokio::test]
async fn a_count_that_the_provider_refuses_is_refused_in_the_callers_words() {
    let world = World::new().await;
    for pair in counting().filter(|pair| pair.family != Family::ChatOnly) {
        let (path, body) = ask(pair.caller, &user(pair.family.model(), "[[sandbox:error=400]]"));
        let answer = world.gateway.post(&path, &body).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{pair:?}");
        let error = pair.caller.error(400, &answer.json().await.unwrap());
        assert!(!error.message.is_empty(), "{pair:?}");
    }
}
