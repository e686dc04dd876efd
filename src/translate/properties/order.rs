//! What was sent once is sent the same way again as the conversation grows, or no provider's cache would know it.

use proptest::prelude::*;
use serde_json::Value;

use super::{json, narrow, spoken};
use crate::dialect::testing::values;
use crate::dialect::{Dialect, Target};
use crate::ir::{Content, Message, Part, Request, Role};
use crate::translate::{Strictness, encode};

/// The conversation, message by message as it is written, and what stands before it.
fn prompt(request: &Request, target: &Target) -> Option<(Vec<String>, Vec<String>)> {
    let body = json(&encode(request, target, Strictness::Report).ok()?.body);
    let (list, before) = match target.dialect {
        Dialect::OpenAiChat => ("messages", ["tools", ""]),
        Dialect::OpenAiResponses => ("input", ["tools", "instructions"]),
        Dialect::Anthropic => ("messages", ["tools", "system"]),
        Dialect::Gemini => ("contents", ["tools", "systemInstruction"]),
    };
    let messages = body[list].as_array().unwrap().iter().map(Value::to_string).collect();
    Some((messages, before.map(|key| body[key].to_string()).into()))
}

/// Where the model was asked before, and said something then.
fn ends_of_turns(messages: &[Message]) -> Vec<usize> {
    let is_said = |message: &Message| {
        let is_said = |part: &Part| matches!(part.content, Content::Text(_) | Content::ToolCall(_));
        message.parts.iter().any(is_said)
    };
    let is_end = |end: &usize| {
        let mut answer = messages[*end..].iter().take_while(|message| message.role == Role::Assistant);
        messages[*end - 1].role != Role::Assistant && answer.any(is_said)
    };
    (1..messages.len()).filter(is_end).collect()
}

proptest! {
    #![proptest_config(super::cases())]

    #[test]
    fn what_was_sent_once_stays_the_same_as_the_conversation_grows(meant in values::request()) {
        for from in Dialect::ALL {
            let Some(whole) = spoken(from, &meant) else { continue };
            for target in Dialect::ALL.into_iter().flat_map(|to| [Target::unlimited(to, "model"), narrow(to)]) {
                let Some((grown, before)) = prompt(&whole, &target) else { continue };
                for end in ends_of_turns(&whole.messages) {
                    let shorter = Request { messages: whole.messages[..end].to_vec(), ..whole.clone() };
                    let (sent, beside) = prompt(&shorter, &target).unwrap();
                    prop_assert_eq!(&beside, &before);
                    prop_assert!(grown.starts_with(&sent), "{from} to {}: {sent:?} {grown:?}", target.dialect);
                }
            }
        }
    }
}
