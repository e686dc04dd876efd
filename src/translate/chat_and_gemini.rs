//! Chat completions over generateContent and back: what a caller said and what a model answered survive the journey.

use serde_json::{Value, json};

use super::{Strictness, Transcoder, decode, encode};
use crate::dialect::testing::{Sample, fixtures, recorded};
use crate::dialect::{Adaptions, Asked, Delivery, Dialect, RequestHead, Target, adapt, sse};
use crate::ir::{Content, Fold, Message, Request, Response, Role, mark};

const CHAT: Dialect = Dialect::OpenAiChat;
const GEMINI: Dialect = Dialect::Gemini;

/// What was said, without how: who, and texts, calls and results as they are meant.
fn said(messages: &[Message]) -> Vec<(Role, String)> {
    let mut said: Vec<(Role, String)> = Vec::new();
    for message in messages {
        for part in &message.parts {
            let side = if message.role == Role::Assistant { Role::Assistant } else { Role::User };
            let text = match &part.content {
                Content::Text(text) if text.text.is_empty() => continue,
                Content::Text(text) => text.text.clone(),
                Content::Refusal(text) => text.clone(),
                Content::ToolCall(call) => {
                    // A freeform input is the only field of a function's arguments at Google.
                    let freeform = || json!({"input": call.arguments});
                    let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| freeform());
                    format!("call {} {} {arguments}", call.id, call.name)
                }
                Content::ToolResult(result) => {
                    let texts: Vec<&str> = result.parts.iter().filter_map(|part| part.as_text()).collect();
                    format!("result {} {}", result.call_id, texts.join("\n"))
                }
                Content::Media(media) => format!("{:?}", media.kind),
                Content::Reasoning(_) | Content::Opaque(_) => continue,
            };
            said.push((side, text));
        }
    }
    said
}

/// The conversation behind its instructions; those in its middle are told as the user's words.
fn without_instructions(request: &Request) -> Vec<Message> {
    request.messages.iter().skip_while(|message| message.role.is_instructions()).cloned().collect()
}

#[test]
fn chat_conversations_survive_in_geminis_contents() {
    let mut count = 0;
    for sample in fixtures("requests", CHAT) {
        let request = decode(CHAT, sample.text.as_bytes(), &RequestHead::default()).unwrap();
        let target = Target::unlimited(GEMINI, "gemini-3-pro-preview");
        // Those that hold what Gemini cannot take are refused, and name it.
        let upstream = match encode(&request, &target, Strictness::Report) {
            Ok(upstream) => upstream,
            Err(fault) => {
                assert!(fault.param.is_some(), "{}: {fault}", sample.name);
                continue;
            }
        };
        count += 1;
        let again = decode(GEMINI, &upstream.body, &RequestHead::default()).unwrap();
        let conversation = without_instructions(&request);
        assert_eq!(said(&again.messages), said(&conversation), "{}", sample.name);
        assert_eq!(again.tools.len(), request.tools.len(), "{}", sample.name);
        assert_eq!(again.sampling.temperature, request.sampling.temperature, "{}", sample.name);
    }
    assert!(count > 2);
}

fn answer(events: &[u8], dialect: Dialect, caller: Dialect) -> (Vec<u8>, Response) {
    let request = Request { stream_usage: Some(true), ..Request::default() };
    let asked = Asked::by(&request, Delivery::Events).known_as("id");
    let mut stream = Transcoder::new(caller, dialect, asked, Adaptions::default()).stream().unwrap();
    let mut out = Vec::new();
    stream.push(events, &mut out);
    stream.finish(&mut out);
    assert!(stream.told().is_complete, "{:?}", stream.told().error);
    let mut decoder = super::codecs::AnyDecoder::new(caller).unwrap();
    let mut parser = sse::Parser::new();
    let mut heard = Vec::new();
    parser.push(&out, |data| decoder.push(data, &mut heard)).unwrap();
    decoder.finish(&mut heard);
    (out, heard.into_iter().collect::<Fold>().finish())
}

/// Text, thoughts, and calls with their ids, names and arguments.
type Spoken = (String, String, Vec<(String, String, Value)>);

/// What an answer says, its thoughts included.
fn spoken(response: &Response) -> Spoken {
    let (mut text, mut thoughts, mut calls) = (String::new(), String::new(), Vec::new());
    for part in response.choices.iter().flat_map(|choice| &choice.parts) {
        match &part.content {
            Content::Text(said) => text.push_str(&said.text),
            Content::Reasoning(reasoning) => thoughts.push_str(&reasoning.joined()),
            // Gemini has no word for these two: they are told as text, and as a function with one string.
            Content::Refusal(said) => text.push_str(said),
            Content::ToolCall(call) => {
                let arguments = adapt::arguments_as_json(call.kind, &call.arguments);
                let arguments = serde_json::from_str(&arguments).unwrap_or(json!({}));
                calls.push((call.id.clone(), call.name.clone(), arguments));
            }
            _ => {}
        }
    }
    (text, thoughts, calls)
}

/// The same with the calls' ids as Google's callers get them of other models.
fn marked(mut said: Spoken) -> Spoken {
    for (id, ..) in &mut said.2 {
        *id = mark::call_id(&["foreign", id]);
    }
    said
}

#[test]
fn geminis_answers_survive_for_a_chat_caller_and_its_seals_come_back() {
    let own = fixtures("streams", GEMINI).into_iter().filter(|sample| sample.name.starts_with("t"));
    for sample in own.chain(recorded(GEMINI, ".chunks.txt")) {
        let (_, expected) = answer(&sample.sse(), GEMINI, GEMINI);
        let (bytes, heard) = answer(&sample.sse(), GEMINI, CHAT);
        assert!(bytes.ends_with(b"data: [DONE]\n\n"), "{}", sample.name);
        if sample.name != "two_candidates.txt" {
            assert_eq!(spoken(&heard), spoken(&expected), "{}", sample.name);
        }
        let totals = |response: &Response| {
            let usage = response.usage.clone().unwrap_or_default();
            (usage.input.unwrap_or(0), usage.output.unwrap_or(0), usage.reasoning.unwrap_or(0))
        };
        assert_eq!(totals(&heard), totals(&expected), "{}", sample.name);
        let (_, _, calls) = spoken(&heard);
        if calls.is_empty() {
            continue;
        }
        // The caller sends back what it was told; Gemini gets its own signatures, and no id that it did not make.
        let echoed = echo(&bytes, &calls, &sample);
        let request = decode(CHAT, echoed.to_string().as_bytes(), &RequestHead::default()).unwrap();
        let target = Target::unlimited(GEMINI, "gemini-3-pro-preview");
        let upstream = encode(&request, &target, Strictness::Report).unwrap();
        let body = String::from_utf8(upstream.body).unwrap();
        assert!(!body.contains(crate::ir::mark::MARK), "{}", sample.name);
        let sealed = expected.choices[0].parts.iter().filter_map(|part| match part.content {
            Content::ToolCall(_) => part.seal.as_ref(),
            _ => None,
        });
        for seal in sealed {
            assert!(body.contains(&format!("\"{}\"", seal.data)), "{}", sample.name);
        }
        assert!(!body.contains("skip_thought_signature_validator"), "{}", sample.name);
    }
}

/// The next request of a chat caller after such a stream.
fn echo(bytes: &[u8], calls: &[(String, String, Value)], sample: &Sample) -> Value {
    let chunks: Vec<Value> = String::from_utf8(bytes.to_vec())
        .unwrap()
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .collect();
    let details: Vec<Value> = chunks
        .iter()
        .filter_map(|chunk| chunk.pointer("/choices/0/delta/reasoning_details")?.as_array().cloned())
        .flatten()
        .collect();
    let called: Vec<Value> = calls
        .iter()
        .map(|(id, name, arguments)| {
            json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments.to_string()}})
        })
        .collect();
    let mut messages = vec![
        json!({"role": "user", "content": sample.name}),
        json!({"role": "assistant", "content": null, "reasoning_details": details, "tool_calls": called}),
    ];
    for (id, _, _) in calls {
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": "done"}));
    }
    json!({"model": "gemini-3-pro-preview", "messages": messages})
}

#[test]
fn chat_answers_survive_for_a_gemini_caller() {
    for sample in fixtures("responses", CHAT) {
        let transcoder = |caller| {
            Transcoder::new(caller, CHAT, Asked::by(&Request::default(), Delivery::Whole), Adaptions::default())
        };
        let read = |caller| {
            let whole = transcoder(caller).whole(sample.text.as_bytes()).unwrap();
            super::codecs::decode_response(caller, serde_json::from_slice(&whole.body).unwrap()).unwrap()
        };
        let (own, heard) = (read(CHAT), read(GEMINI));
        assert_eq!(spoken(&heard), marked(spoken(&own)), "{}", sample.name);
        let usage = |response: &Response| response.usage.clone().map(|usage| (usage.input, usage.output));
        assert_eq!(usage(&heard), usage(&own), "{}", sample.name);
    }
    for sample in fixtures("streams", CHAT).iter().filter(|sample| sample.name.starts_with("tools")) {
        let mut sample = sample.clone();
        if !sample.text.contains("[DONE]") {
            sample.text.push_str("\n[DONE]\n");
        }
        let (_, expected) = answer(&sample.sse(), CHAT, CHAT);
        let (_, heard) = answer(&sample.sse(), CHAT, GEMINI);
        assert_eq!(spoken(&heard), marked(spoken(&expected)), "{}", sample.name);
    }
}
