//! Other vendors' seals and our own ids, on their way through a caller of this dialect and back.

use serde_json::{Value, json};

use super::{asked, head, request};
use crate::dialect::openai_responses::{Codec, DIALECT};
use crate::dialect::{Codec as _, Dialect, Target};
use crate::ir::{
    CallKind, Choice, Content, Part, Reasoning, Response, Role, Seal, SealKind, TextKind, Tool, ToolCall, mark,
};

fn answer() -> Response {
    let call = |id: &str| {
        Part::new(Content::ToolCall(ToolCall {
            id: id.to_owned(),
            name: "f".to_owned(),
            arguments: "{}".to_owned(),
            kind: CallKind::Function,
        }))
    };
    let parts = vec![
        Part::new(Content::Reasoning(Reasoning::of(TextKind::Full, "Hm."))).sealed(Some(signature())),
        Part::new(Content::Reasoning(Reasoning::of(TextKind::Full, "Unsigned."))),
        Part::text("Yes.").sealed(Some(thought("dGV4dA=="))),
        call("call_1").sealed(Some(thought("Y2FsbA=="))),
        call("call_2"),
    ];
    Response {
        id: Some("gen-1".to_owned()),
        choices: vec![Choice { parts, ..Choice::default() }],
        ..Response::default()
    }
}

fn signature() -> Seal {
    Seal::new(Dialect::Anthropic.origin(), SealKind::Signature, "EqQB")
}

fn thought(data: &str) -> Seal {
    Seal::new(Dialect::Gemini.origin(), SealKind::Thought, data)
}

/// The next turn of a caller that sends all items back as they came.
fn next_turn(strip_ids: bool) -> Value {
    let mut output = Codec::encode_response(&answer(), &asked()).body["output"].take();
    if strip_ids {
        // As Codex does.
        for item in output.as_array_mut().unwrap() {
            item.as_object_mut().unwrap().shift_remove("id");
            item.as_object_mut().unwrap().shift_remove("status");
        }
    }
    let mut input = vec![json!({"role": "user", "content": "Well?"})];
    input.extend(output.as_array().unwrap().iter().cloned());
    for id in ["call_1", "call_2"] {
        input.push(json!({"type": "function_call_output", "call_id": id, "output": "1"}));
    }
    json!({"model": "x", "input": input})
}

#[test]
fn foreign_seals_travel_through_a_caller_and_come_back_to_where_they_belong() {
    for strip_ids in [false, true] {
        let body = next_turn(strip_ids);
        assert!(body.to_string().contains(mark::MARK));
        let request = Codec::decode_request(body, &head()).unwrap();
        let parts: Vec<&Part> = request
            .messages
            .iter()
            .filter(|message| message.role == Role::Assistant)
            .flat_map(|message| &message.parts)
            .collect();
        let seals: Vec<Option<&Seal>> = parts.iter().map(|part| part.seal.as_ref()).collect();
        let (text, call) = (thought("dGV4dA=="), thought("Y2FsbA=="));
        assert_eq!(seals, [Some(&signature()), None, Some(&text), Some(&call), None]);
        assert_eq!(parts[2].as_text(), Some("Yes."));
    }
}

#[test]
fn an_openai_model_gets_nothing_that_was_minted_here() {
    for strip_ids in [false, true] {
        let request = Codec::decode_request(next_turn(strip_ids), &head()).unwrap();
        let encoded = Codec::encode_request(&request, &Target::unlimited(DIALECT, "gpt-5.1"));
        assert!(!encoded.body.to_string().contains(mark::MARK), "{}", encoded.body);
        assert_eq!(encoded.losses.header().as_deref(), Some("reasoning"));
        let items = encoded.body["input"].as_array().unwrap();
        let kinds: Vec<&str> = items.iter().filter_map(|item| item["type"].as_str()).collect();
        let thoughts = usize::from(strip_ids);
        assert_eq!(kinds.iter().filter(|kind| **kind == "reasoning").count(), thoughts, "{kinds:?}");
        assert_eq!(kinds.iter().filter(|kind| **kind == "function_call").count(), 2);
        assert_eq!(kinds.iter().filter(|kind| **kind == "message").count(), 1);
    }
}

#[test]
fn a_damaged_capsule_is_left_out() {
    let body = json!({"model": "x", "input": [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": format!("{}AAAA", mark::MARK)},
        {"role": "user", "content": "a"},
    ]});
    let request = Codec::decode_request(body, &head()).unwrap();
    let encoded = Codec::encode_request(&request, &Target::unlimited(DIALECT, "gpt-5.1"));
    assert_eq!(encoded.body["input"], json!([{"role": "user", "content": "a"}]));
    assert_eq!(encoded.losses.header().as_deref(), Some("reasoning"));
}

#[test]
fn openais_own_seal_comes_home_with_its_item_through_another_dialect() {
    let request = request("codex.json");
    let seal = request.messages.iter().find_map(|message| message.parts[0].seal.clone()).unwrap();
    let capsule = seal.text_for(Dialect::Anthropic.origin(), SealKind::Signature);
    let home = Seal::read(Dialect::Anthropic.origin(), SealKind::Signature, capsule).unwrap();
    assert_eq!(home, seal);
}

#[test]
fn codex_tools_are_plain_functions_for_others() {
    let names = |name: &str| -> Vec<(String, bool)> {
        let is_custom = |tool: &Tool| matches!(tool, Tool::Custom(_));
        request(name).tools.iter().map(|tool| (tool.name().to_owned(), is_custom(tool))).collect()
    };
    let plain = |names: &[(&str, bool)]| -> Vec<(String, bool)> {
        names.iter().map(|(name, custom)| ((*name).to_owned(), *custom)).collect()
    };
    assert_eq!(
        names("codex.json"),
        plain(&[
            ("exec_command", false),
            ("update_plan", false),
            ("apply_patch", true),
            ("view_image", false),
            ("mcp__docs__look_up", false),
        ])
    );
    assert_eq!(
        names("codex_additional_tools.json"),
        plain(&[("functions__exec", true), ("wait", false), ("late", false)])
    );
    let request = request("codex_additional_tools.json");
    let called = request.messages.iter().find_map(|message| match &message.parts[0].content {
        Content::ToolCall(call) => Some(call.name.clone()),
        _ => None,
    });
    assert_eq!(called.as_deref(), Some("functions__exec"));
}
