//! Streams that do not go well, and what their callers are promised all the same.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use llm_gateway::sandbox::{Gate, Reply};

use super::{Pair, World, call, tools, user};
use crate::support::speaker::{Ending, Mode, Speaker, Talk, Thinking};
use crate::support::wait;

/// A talk with thoughts and two calls, and the bytes of its provider's stream.
async fn stream(world: &World, pair: Pair) -> (Talk, String) {
    let talk = Talk { tools: tools(), thinking: Thinking::Hard, ..user(pair.family.thinker(), "[[sandbox:calls=2]]") };
    let bytes = bytes(world, pair, &talk).await;
    (talk, bytes)
}

async fn bytes(world: &World, pair: Pair, talk: &Talk) -> String {
    let sandbox = pair.family.sandbox(world);
    let before = sandbox.requests().len();
    call(world, pair, talk, Mode::Stream).await;
    super::again(sandbox, &sandbox.requests()[before]).await.1
}

#[tokio::test]
async fn a_stream_that_is_cut_anywhere_ends_in_the_callers_error_and_never_as_if_it_had_been_whole() {
    let world = World::new().await;
    for pair in Pair::foreign() {
        let (talk, bytes) = stream(&world, pair).await;
        // Behind the last event there is nothing left to lose.
        let last = bytes.trim_end().len() - 1;
        for step in 0..=12 {
            let cut = last * step / 12;
            let reply = Reply::sse().head().chunk(bytes.as_bytes()[..cut].to_vec());
            pair.family.sandbox(&world).script().push(reply.cut());
            let (path, body) = pair.caller.call(&talk, Mode::Stream);
            let answer = world.gateway.post(&path, &body).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{pair:?} cut at {cut}");
            let text = wait::within("the end of a cut stream", answer.text()).await.unwrap();
            match pair.caller.judge(&text) {
                Ok(Ending::Failed(error)) => assert!(!error.message.is_empty(), "{pair:?} cut at {cut}"),
                other => panic!("{pair:?} cut at {cut} of {}: {other:?}\n{text}", bytes.len()),
            }
        }
    }
}

#[tokio::test]
async fn a_stream_for_google_callers_without_alt_sse_is_an_array_to_its_last_byte() {
    let world = World::with(&[("stream.keepalive", "40ms")]).await;
    for pair in Pair::foreign().filter(|pair| pair.caller == Speaker::Gemini) {
        let (talk, bytes) = stream(&world, pair).await;
        let (path, body) = pair.caller.call(&talk, Mode::Stream);
        let path = path.replace("?alt=sse", "");
        let last = bytes.trim_end().len() - 1;
        for step in 0..=13 {
            let (head, cut) = (Gate::new(), (last * step / 12).min(bytes.len()));
            let reply = Reply::sse().wait(&head).chunk(bytes.as_bytes()[..cut].to_vec());
            // The last step is the whole of it.
            let is_whole = step == 13;
            let reply = if is_whole { Reply::sse().wait(&head).chunk(bytes.clone()) } else { reply.cut() };
            pair.family.sandbox(&world).script().push(reply);
            let answer = wait::within("the head", world.gateway.post(&path, &body).send()).await.unwrap();
            assert_eq!(answer.headers()["content-type"], "application/json", "{pair:?}");
            let mut pieces = answer.bytes_stream();
            // Nobody has said anything yet: the first piece is a sign of life.
            let mut text = wait::within("a keepalive", pieces.next()).await.unwrap().unwrap().to_vec();
            assert!(text.trim_ascii().is_empty(), "{pair:?}: {:?}", String::from_utf8_lossy(&text));
            head.open();
            while let Some(piece) = wait::within("the rest", pieces.next()).await {
                text.extend_from_slice(&piece.unwrap());
            }
            let text = String::from_utf8(text).unwrap();
            match (Speaker::judge_array(&text), is_whole) {
                (Ok(Ending::Whole(whole)), true) => assert_eq!(pair.caller.hear(&whole).calls.len(), 2, "{pair:?}"),
                (Ok(Ending::Failed(error)), false) => assert!(!error.message.is_empty(), "{pair:?} cut at {cut}"),
                (other, _) => panic!("{pair:?} cut at {cut} of {}: {other:?}\n{text}", bytes.len()),
            }
        }
    }
}

#[tokio::test]
async fn a_provider_that_fails_in_mid_stream_is_heard_in_the_callers_words() {
    let world = World::new().await;
    for pair in Pair::foreign() {
        for after in [0, 1, 3] {
            let talk = user(pair.family.model(), &format!("[[sandbox:stream_error={after}]] Hello there, everybody"));
            let (path, body) = pair.caller.call(&talk, Mode::Stream);
            let text = world.gateway.post(&path, &body).send().await.unwrap().text().await.unwrap();
            match pair.caller.judge(&text) {
                Ok(Ending::Failed(error)) => {
                    let vendors = ["Overloaded", "overloaded", "The server had an error"];
                    let is_its_own = vendors.iter().any(|said| error.message.contains(said));
                    assert!(is_its_own, "{pair:?}: {error:?} is not the provider's sentence");
                }
                other => panic!("{pair:?} after {after}: {other:?}\n{text}"),
            }
        }
    }
}

#[tokio::test]
async fn a_silent_provider_is_bridged_by_keepalives_of_the_callers_dialect() {
    let world = World::with(&[("stream.keepalive", "40ms")]).await;
    for pair in Pair::foreign() {
        let (talk, bytes) = stream(&world, pair).await;
        let (begin, rest) = bytes.as_bytes().split_at(bytes.len() / 2);
        let (head, tail) = (Gate::new(), Gate::new());
        let reply = Reply::sse().wait(&head).chunk(begin.to_vec()).wait(&tail).chunk(rest.to_vec());
        pair.family.sandbox(&world).script().push(reply);
        let (path, body) = pair.caller.call(&talk, Mode::Stream);
        let answer = wait::within("the head", world.gateway.post(&path, &body).send()).await.unwrap();
        assert_eq!(answer.status(), 200, "{pair:?}");
        let mut pieces = answer.bytes_stream();
        let mut text = Vec::new();
        let keepalive = pair.caller.keepalive().as_bytes();
        // Before the head, and then in the middle.
        for gate in [&head, &tail] {
            loop {
                let piece = wait::within("a keepalive", pieces.next()).await.unwrap().unwrap();
                text.extend_from_slice(&piece);
                if piece.starts_with(keepalive) && piece.len() < 60 {
                    break;
                }
            }
            gate.open();
        }
        while let Some(piece) = pieces.next().await {
            text.extend_from_slice(&piece.unwrap());
        }
        let text = String::from_utf8(text).unwrap();
        match pair.caller.judge(&text) {
            Ok(Ending::Whole(whole)) => assert_eq!(pair.caller.hear(&whole).calls.len(), 2, "{pair:?}"),
            other => panic!("{pair:?}: {other:?}\n{text}"),
        }
    }
}

#[tokio::test]
async fn a_caller_that_leaves_closes_its_provider_at_once() {
    let world = World::new().await;
    for pair in Pair::foreign() {
        let talk = user(pair.family.model(), "Hello");
        let bytes = bytes(&world, pair, &talk).await;
        let sandbox = pair.family.sandbox(&world);
        let number = sandbox.requests().len();
        sandbox.script().push(Reply::sse().head().chunk(bytes.as_bytes()[..bytes.len() / 2].to_vec()).stall());
        let (path, body) = pair.caller.call(&talk, Mode::Stream);
        let mut caller = world.gateway.raw().await;
        let headers = format!("authorization: Bearer {}\r\n", world.gateway.key());
        caller.post(&path, &headers, &body.to_string()).await;
        sandbox.request(number).await;
        caller.hear("data: ").await;

        let left = Instant::now();
        drop(caller);

        let noticed = wait::within("the provider's connection to close", sandbox.left(number)).await;
        let took = noticed.saturating_duration_since(left);
        assert!(took < Duration::from_millis(500), "{pair:?}: closed after {took:?}");
    }
}
