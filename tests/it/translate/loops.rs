//! Tool loops: calls, their results as the caller's SDK feeds them back, and the thoughts that have to come back with them.

use serde_json::Value;

use super::{Family, MODES, Pair, World, assert_same, call, tools, user};
use crate::support::speaker::{Finish, Heard, Mode, Speaker, Talk, Thinking, Turn};

const ASKED: &str = "Call get_weather and get_time in parallel";

fn begin(model: &str) -> Talk {
    Talk { tools: tools(), ..user(model, ASKED) }
}

/// The same talk, after the tools have answered.
fn go_on(talk: &Talk, heard: &Heard) -> Talk {
    let results = heard.calls.iter().map(|call| (call.clone(), format!("{} says yes", call.name))).collect();
    let mut next = talk.clone();
    next.turns.push(Turn::Kept(heard.kept.clone()));
    next.turns.push(Turn::Results(results));
    next
}

#[tokio::test]
async fn a_loop_with_two_parallel_calls_is_finished() {
    let world = World::new().await;
    for pair in Pair::all() {
        for mode in MODES {
            let talk = begin(pair.family.model());
            let first = call(&world, pair, &talk, mode).await;
            assert_same(pair, mode, &first);
            assert_eq!(first.heard.finish, Finish::Calls, "{pair:?} {mode:?}");
            let names: Vec<_> = first.heard.calls.iter().map(|call| call.name.as_str()).collect();
            assert_eq!(names, ["get_weather", "get_time"], "{pair:?} {mode:?}");
            let ids: Vec<_> = first.heard.calls.iter().map(|call| call.id.as_str()).collect();
            // Google's own callers get none from its older models.
            assert!(ids[0] != ids[1] || pair.caller == Speaker::Gemini, "{pair:?} {mode:?}: {ids:?}");

            let second = call(&world, pair, &go_on(&talk, &first.heard), mode).await;
            assert_same(pair, mode, &second);
            assert_eq!(second.heard.finish, Finish::Stop, "{pair:?} {mode:?}");
            for name in names {
                let said = format!("{name} says yes");
                assert!(second.heard.text.contains(&said), "{pair:?} {mode:?}: {}", second.heard.text);
            }
        }
    }
}

#[tokio::test]
async fn thoughts_go_back_to_their_maker_across_a_loop_without_any_state_here() {
    for pair in Pair::all().filter(|pair| pair.family != Family::ChatOnly) {
        // OpenAI's chat completions have no place for thoughts.
        let is_sealed = pair.provider() != Speaker::Chat;
        let (one, other) = (World::new().await, World::new().await);
        for (mode, model) in
            MODES.into_iter().flat_map(|mode| pair.family.thinkers().iter().map(move |one| (mode, one)))
        {
            let talk = Talk { thinking: Thinking::Hard, ..begin(model) };
            let first = call(&one, pair, &talk, mode).await;
            assert_same(pair, mode, &first);
            assert_eq!(first.heard.calls.len(), 2, "{pair:?} {mode:?}");

            // The other gateway has seen nothing of the first turn.
            let second = call(&other, pair, &go_on(&talk, &first.heard), mode).await;
            assert_same(pair, mode, &second);
            assert_eq!(second.heard.finish, Finish::Stop, "{pair:?} {mode:?}");
            let seals = seals(&second.sent);
            assert_eq!(!seals.is_empty(), is_sealed, "{pair:?} {mode:?}: {}", second.sent);
            assert!(!seals.iter().any(|seal| seal.contains("skip")), "{pair:?} {mode:?}: {seals:?}");
            // That a schema has to be held strictly cannot be said everywhere; all else can.
            let ignored = second.headers.get("x-llm-gateway-ignored").map(|names| names.to_str().unwrap());
            assert!(matches!(ignored, None | Some("tools")), "{pair:?} {mode:?}: {ignored:?}");
        }
    }
}

#[tokio::test]
async fn a_loop_that_one_family_began_is_finished_by_any_other() {
    let world = World::new().await;
    for from in Pair::all() {
        for to in Pair::all().filter(|to| to.caller == from.caller && to.family != from.family) {
            let talk = Talk { thinking: Thinking::Hard, ..begin(from.family.thinker()) };
            let first = call(&world, from, &talk, Mode::Stream).await;
            let mut next = go_on(&talk, &first.heard);
            next.model = to.family.thinker().to_owned();
            let second = call(&world, to, &next, Mode::Whole).await;
            assert_same(to, Mode::Whole, &second);
            assert_eq!(second.heard.finish, Finish::Stop, "{from:?} then {to:?}");
            assert!(second.heard.text.contains("get_time says yes"), "{from:?} then {to:?}: {}", second.heard.text);
        }
    }
}

/// All that only a provider can read.
fn seals(body: &Value) -> Vec<String> {
    match body {
        Value::Array(all) => all.iter().flat_map(seals).collect(),
        Value::Object(object) => object
            .iter()
            .flat_map(|(name, value)| match (name.as_str(), value) {
                ("signature" | "encrypted_content" | "thoughtSignature", Value::String(seal)) => vec![seal.clone()],
                (_, value) => seals(value),
            })
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}
