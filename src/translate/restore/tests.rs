//! What was adapted is undone: whole, and in pieces of any size.

use super::*;
use crate::ir::{Choice, Fold, check_grammar};

fn events(parts: &[Part], piece: usize) -> Vec<Event> {
    let mut events = vec![Event::Start(Box::default())];
    for (number, part) in (0_u32..).zip(parts) {
        let at = PartAt::first(number);
        let mut head = part.clone();
        let mut text = String::new();
        match &mut head.content {
            Content::Text(content) => text = std::mem::take(&mut content.text),
            Content::ToolCall(call) => text = std::mem::take(&mut call.arguments),
            Content::Refusal(_)
            | Content::Media(_)
            | Content::ToolResult(_)
            | Content::Reasoning(_)
            | Content::Opaque(_) => {}
        }
        let is_text = head.as_text().is_some();
        events.push(Event::PartStart(at, Box::new(head)));
        let letters: Vec<char> = text.chars().collect();
        for piece in letters.chunks(piece) {
            let piece: String = piece.iter().collect();
            let delta = if is_text { Delta::Text(piece) } else { Delta::Arguments(piece) };
            events.push(Event::Delta(at, delta));
        }
        events.push(Event::PartStop(at, Carry::NONE));
    }
    events.push(Event::Finish(0, Box::new(finish()), Carry::NONE));
    events.push(Event::End(Carry::NONE));
    events
}

fn finish() -> Finish {
    Finish::said(FinishReason::ToolUse, Dialect::Anthropic, "tool_use")
}

fn call(name: &str, arguments: &str) -> Part {
    Part::new(Content::ToolCall(ToolCall {
        id: "call_1".to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        kind: CallKind::Function,
    }))
}

/// The restored answer, which has to be the same streamed in any pieces and whole.
fn restored(adaptions: &Adaptions, parts: &[Part]) -> Choice {
    let choice = Choice { parts: parts.to_vec(), finish: Some(finish()), ..Choice::default() };
    let whole = Response { choices: vec![choice], ..Response::default() };
    let whole =
        Restore::new(adaptions.clone(), Dialect::OpenAiChat, Dialect::OpenAiChat).whole(whole).choices.remove(0);
    for piece in 1..8 {
        let mut restore = Restore::new(adaptions.clone(), Dialect::OpenAiChat, Dialect::OpenAiChat);
        let mut out = Vec::new();
        for event in events(parts, piece) {
            restore.event(event, &mut |event| out.push(event));
        }
        assert_eq!(check_grammar(&out), Ok(()));
        let fold: Fold = out.into_iter().collect();
        assert_eq!(fold.response().choices[0], whole, "in pieces of {piece}");
    }
    whole
}

#[test]
fn renamed_and_freeform_tools_get_their_own_form_back() {
    let adaptions = Adaptions {
        tool_names: [("short".to_owned(), "the.long:name".to_owned())].into_iter().collect(),
        custom_tools: vec!["sql".to_owned()],
        ..Adaptions::default()
    };
    let choice = restored(&adaptions, &[call("short", "{}"), call("sql", r#"{"input": "SELECT \"x\""}"#)]);
    let calls: Vec<_> = choice
        .parts
        .iter()
        .filter_map(|part| part.content.as_tool_call())
        .map(|call| (call.name.as_str(), call.kind, call.arguments.as_str()))
        .collect();
    let expected = [("the.long:name", CallKind::Function, "{}"), ("sql", CallKind::Custom, "SELECT \"x\"")];
    assert_eq!(calls, expected);
}

#[test]
fn json_by_a_forced_tool_is_text_that_ended_by_itself() {
    let adaptions = Adaptions { json_tool: Some("json".to_owned()), ..Adaptions::default() };
    let choice = restored(&adaptions, &[call("json", r#"{"a": 1}"#)]);
    assert_eq!(choice.parts, [Part::text(r#"{"a": 1}"#)]);
    assert_eq!(choice.finish, Some(Finish::inferred(FinishReason::Stop)));
}

#[test]
fn json_is_cut_at_a_stop_sequence_as_any_other_text() {
    let stop = vec!["}, {".to_owned()];
    let adaptions = Adaptions { json_tool: Some("json".to_owned()), stop: stop.clone(), ..Adaptions::default() };
    let choice = restored(&adaptions, &[call("json", r#"{"a": [{"b": 1}, {"b": 2}]}"#), call("f", "{}")]);
    assert_eq!(choice.parts, [Part::text(r#"{"a": [{"b": 1"#)]);
    let finish = choice.finish.unwrap_or_else(|| Finish::inferred(FinishReason::Failed));
    assert_eq!((finish.reason, finish.stop_sequence), (FinishReason::StopSequence, Some(stop[0].clone())));
}

#[test]
fn the_object_around_an_answer_is_taken_off() {
    let wrapped = r#"{"value": [1, "a"]}"#;
    let adaptions = Adaptions { wrapped: true, ..Adaptions::default() };
    let choice = restored(&adaptions, &[Part::text(wrapped), call("f", wrapped)]);
    assert_eq!(choice.parts, [Part::text(r#"[1, "a"]"#), call("f", wrapped)]);

    let by_tool = Adaptions { json_tool: Some("json".to_owned()), ..adaptions.clone() };
    let choice = restored(&by_tool, &[Part::text(wrapped), call("json", wrapped)]);
    assert_eq!(choice.parts, [Part::text(wrapped), Part::text(r#"[1, "a"]"#)]);

    // The caller's stop sequences are looked for in the caller's text.
    let cut = Adaptions { stop: vec![":".to_owned(), "]".to_owned()], ..adaptions };
    assert_eq!(restored(&cut, &[Part::text(wrapped)]).parts, [Part::text(r#"[1, "a""#)]);
}

proptest::proptest! {
    #[test]
    fn whatever_is_adapted_and_answered_a_stream_adds_up_to_the_whole(
        (by_tool, wrapped, stops) in (proptest::bool::ANY, proptest::bool::ANY, proptest::bool::ANY),
        texts in proptest::collection::vec(("[jt]", r#"(\{"value": ?)?[\[\]{}", \\S]{0,6}(STOP)?[\]}]{0,3}"#), 0..4),
    ) {
        let adaptions = Adaptions {
            json_tool: by_tool.then(|| "json".to_owned()),
            wrapped,
            stop: if stops { vec!["STOP".to_owned(), "}]".to_owned()] } else { Vec::new() },
            ..Adaptions::default()
        };
        let part = |(kind, text): &(String, String)| if kind == "j" { call("json", text) } else { Part::text(text) };
        restored(&adaptions, &texts.iter().map(part).collect::<Vec<_>>());
    }
}

#[test]
fn an_answer_is_cut_at_a_stop_sequence_that_the_provider_does_not_take() {
    let adaptions = Adaptions { stop: vec!["ENDE".to_owned(), "END\n".to_owned()], ..Adaptions::default() };
    let parts = [Part::text("One ENä ENEND\n two"), call("f", "{}")];
    let choice = restored(&adaptions, &parts);
    assert_eq!(choice.parts, [Part::text("One ENä EN")]);
    let finish = choice.finish.unwrap_or_else(|| Finish::inferred(FinishReason::Failed));
    assert_eq!((finish.reason, finish.stop_sequence.as_deref()), (FinishReason::StopSequence, Some("END\n")));
}

#[test]
fn what_only_looks_like_a_stop_sequence_is_told() {
    let adaptions = Adaptions { stop: vec!["STOP".to_owned()], ..Adaptions::default() };
    let choice = restored(&adaptions, &[Part::text("a STO b STO")]);
    assert_eq!(choice.parts, [Part::text("a STO b STO")]);
    assert_eq!(choice.finish, Some(finish()));
}
