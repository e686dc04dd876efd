//! Tests of pairs of dialects: what one says survives a way through the other and back.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::Value;

use super::codecs::{decode_response, encode_response};
use super::{Strictness, Transcoder, decode, encode};
use crate::dialect::testing::{Sample, fixtures, recorded};
use crate::dialect::{Adaptions, Asked, Delivery, Dialect, RequestHead, Target};
use crate::ir::{CallKind, Content, Event, FinishReason, Media, Part, Request, Response, Source};

const PAIRS: [(Dialect, Dialect); 8] = [
    (Dialect::OpenAiChat, Dialect::Anthropic),
    (Dialect::Anthropic, Dialect::OpenAiChat),
    (Dialect::OpenAiChat, Dialect::OpenAiResponses),
    (Dialect::OpenAiResponses, Dialect::OpenAiChat),
    (Dialect::Anthropic, Dialect::OpenAiResponses),
    (Dialect::OpenAiResponses, Dialect::Anthropic),
    (Dialect::Gemini, Dialect::OpenAiResponses),
    (Dialect::OpenAiResponses, Dialect::Gemini),
];

/// What has to survive of an answer or a conversation, in a form that can be compared.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) thoughts: String,
    pub(super) calls: Vec<(String, Value)>,
    pub(super) results: Vec<String>,
}

impl Said {
    pub(super) fn by<'p>(parts: impl IntoIterator<Item = &'p Part>) -> Self {
        let mut said = Self::default();
        parts.into_iter().for_each(|part| said.add(part));
        said
    }

    fn add(&mut self, part: &Part) {
        match &part.content {
            Content::Text(text) => self.text.push_str(&text.text),
            Content::Refusal(text) => self.text.push_str(text),
            Content::Reasoning(reasoning) => self.thoughts.push_str(&reasoning.joined()),
            Content::ToolCall(call) => {
                let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
                let mut arguments = match call.kind {
                    CallKind::Function => serde_json::from_str(arguments).unwrap_or(Value::from(arguments)),
                    CallKind::Custom => Value::from(call.arguments.as_str()),
                };
                // A freeform input, as a function's.
                if let Some(input) = arguments.get_mut("input").filter(|input| input.is_string()) {
                    arguments = input.take();
                }
                self.calls.push((call.name.clone(), arguments));
            }
            Content::ToolResult(result) => {
                let texts = result.parts.iter().filter_map(Part::as_text).collect::<Vec<_>>();
                // Media follow in a message of their own where a result takes none.
                let mut text = texts.concat();
                for instead in ["See the attachment in the next message.", "See the attachment after the results."] {
                    text = text.replace(instead, "");
                }
                // Where a dialect has no field for a failure, its text begins with the word.
                self.results.push(text.trim_start().trim_start_matches("Error:").replace([' ', '\n'], ""));
            }
            // A document in plain text is told as text where there are none.
            Content::Media(Media { source: Source::Text { text }, .. }) => self.text.push_str(text),
            Content::Media(_) | Content::Opaque(_) => {}
        }
    }
}

pub(super) fn of_answer(response: &Response) -> Said {
    Said::by(response.choices.iter().take(1).flat_map(|choice| &choice.parts))
}

pub(super) fn counts(response: &Response) -> [Option<u64>; 3] {
    let usage = response.usage.clone().unwrap_or_default();
    // What was not said is none.
    [usage.input, usage.output, usage.cache_read].map(|count| count.filter(|count| *count > 0))
}

/// The reason, as coarse as chat says it.
pub(super) fn reason(response: &Response) -> Option<FinishReason> {
    let reason = response.choices.first()?.finish.as_ref()?.reason.clone();
    let coarser = [
        (FinishReason::ProhibitedContent, FinishReason::ContentFilter),
        (FinishReason::Recitation, FinishReason::ContentFilter),
        (FinishReason::MalformedToolCall, FinishReason::ContentFilter),
        (FinishReason::Unspecified, FinishReason::ContentFilter),
        (FinishReason::StopSequence, FinishReason::Stop),
        (FinishReason::Pause, FinishReason::MaxTokens),
        (FinishReason::Compaction, FinishReason::MaxTokens),
        (FinishReason::ContextWindow, FinishReason::MaxTokens),
        (FinishReason::Refusal, FinishReason::ContentFilter),
    ];
    let found = coarser.into_iter().find(|(finer, _)| *finer == reason);
    Some(found.map_or(reason, |(_, coarser)| coarser))
}

fn assert_same(name: &str, before: &Response, after: &Response) {
    let (mut said, heard) = (of_answer(before), of_answer(after));
    // Chat's streams say sealed thoughts piece by piece, and once more, as a whole, with their seal.
    assert!(heard.thoughts.starts_with(&said.thoughts), "{name}: {}", heard.thoughts);
    said.thoughts.clone_from(&heard.thoughts);
    assert_eq!(heard, said, "{name}");
    assert_eq!(counts(after), counts(before), "{name}");
    let is_refused = before.choices[0].parts.iter().any(|part| matches!(part.content, Content::Refusal(_)));
    if !is_refused {
        assert_eq!(reason(after), reason(before), "{name}");
    }
}

fn asked(delivery: Delivery) -> Asked {
    let request = Request { stream_usage: Some(true), ..Request::default() };
    Asked::by(&request, delivery).known_as("fallback")
}

pub(super) fn answers(dialect: Dialect) -> impl Iterator<Item = Sample> {
    let whole = recorded(dialect, ".json").into_iter().filter(|sample| !is_failure(sample));
    fixtures("responses", dialect).into_iter().filter(|sample| !is_failure(sample)).chain(whole)
}

fn is_failure(sample: &Sample) -> bool {
    sample.json().get("error").is_some_and(|error| !error.is_null())
}

pub(super) fn streams(dialect: Dialect) -> impl Iterator<Item = Sample> {
    let recorded = recorded(dialect, ".chunks.txt").into_iter().map(move |mut sample| {
        if dialect == Dialect::OpenAiChat {
            sample.text.push_str("\n[DONE]\n");
        }
        sample
    });
    let fixtures = fixtures("streams", dialect).into_iter();
    // Some are broken or fail on purpose, and one has two choices.
    const BROKEN: [&str; 6] =
        ["error", "failed", "spliced", "two_choices", "openai-error", "parallel-tool-call-wrapper"];
    fixtures.chain(recorded).filter(|sample| !BROKEN.iter().any(|broken| sample.name.starts_with(broken)))
}

#[test]
fn answers_survive_another_dialect() {
    for (from, through) in PAIRS {
        for sample in answers(from) {
            let before = decode_response(from, sample.json()).unwrap();
            let body = encode_response(through, &before, &asked(Delivery::Whole)).unwrap().body;
            let after = decode_response(through, body).unwrap();
            assert_same(&sample.name, &before, &after);
        }
    }
}

#[test]
fn streams_survive_another_dialect_and_come_back() {
    let turn = |from, to, bytes: &[u8]| {
        let mut stream = Transcoder::new(to, from, asked(Delivery::Events), Adaptions::default()).stream().unwrap();
        let mut out = Vec::new();
        bytes.chunks(1_000).for_each(|chunk| stream.push(chunk, &mut out));
        stream.finish(&mut out);
        (out, stream.told().clone())
    };
    for (from, through) in PAIRS {
        for sample in streams(from) {
            let (there, told) = turn(from, through, &sample.sse());
            assert!(told.is_complete && told.error.is_none(), "{}: {:?}", sample.name, told.error);
            let (back, _) = turn(through, from, &there);
            let before = folded(from, &sample.sse());
            assert_same(&sample.name, &before, &folded(through, &there));
            assert_same(&sample.name, &before, &folded(from, &back));
        }
    }
}

pub(super) fn folded(dialect: Dialect, bytes: &[u8]) -> Response {
    let mut decoder = super::codecs::AnyDecoder::new(dialect).unwrap();
    let mut events: Vec<Event> = Vec::new();
    let mut parser = crate::dialect::sse::Parser::new();
    parser.push(bytes, |data| decoder.push(data, &mut events)).unwrap();
    decoder.finish(&mut events);
    crate::ir::check_grammar(&events).unwrap();
    events.into_iter().collect::<crate::ir::Fold>().finish()
}

#[test]
fn keys_tools_and_messages_keep_their_order_in_every_dialect() {
    let tool = |name: &str| {
        serde_json::json!({"type": "function", "function": {"name": name, "parameters": {"type": "object",
            "properties": {"zeta": {"type": "string"}, "beta": {"type": "string"}, "alpha": {"type": "string"}}}}})
    };
    let call = serde_json::json!({"id": "call_1", "type": "function",
        "function": {"name": "tool_z", "arguments": "{\"yellow\":1,\"orange\":2,\"apple\":3}"}});
    let body = serde_json::json!({"model": "m", "tools": [tool("tool_z"), tool("tool_m"), tool("tool_a")], "messages": [
        {"role": "system", "content": "one one"}, {"role": "user", "content": "two two"},
        {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "four four"}, {"role": "user", "content": "five five"}]});
    let spoken = decode(Dialect::OpenAiChat, body.to_string().as_bytes(), &RequestHead::default()).unwrap();
    for dialect in Dialect::ALL {
        let sent = encode(&spoken, &Target::unlimited(dialect, "m"), Strictness::Report).unwrap().body;
        assert_eq!(sent, encode(&spoken, &Target::unlimited(dialect, "m"), Strictness::Report).unwrap().body);
        let text = String::from_utf8(sent).unwrap();
        for order in [
            &["zeta", "beta", "alpha"][..],
            &["yellow", "orange", "apple"],
            &["tool_z", "tool_m", "tool_a"],
            &["two two", "four four", "five five"],
        ] {
            let places: Vec<Option<usize>> = order.iter().map(|word| text.find(word)).collect();
            assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{dialect}: {order:?} {places:?} {text}");
        }
    }
}

#[test]
fn conversations_survive_another_dialect_but_for_what_is_reported() {
    let mut turned = 0;
    for (from, through) in PAIRS {
        for sample in fixtures("requests", from) {
            let before = decode(from, sample.text.as_bytes(), &RequestHead::default()).unwrap();
            let Ok(upstream) = encode(&before, &Target::unlimited(through, "x"), Strictness::Report) else { continue };
            let after = decode(through, &upstream.body, &RequestHead::default()).unwrap();
            let mut said = [&before, &after].map(|request| {
                let instructions = request.instructions.iter().flat_map(|message| &message.parts);
                Said::by(instructions.chain(request.messages.iter().flat_map(|message| &message.parts)))
            });
            // Thoughts of another vendor are left out of what is told to this one.
            said.iter_mut().for_each(|said| said.thoughts.clear());
            for text in said.iter_mut().map(|said| &mut said.text) {
                *text = text.replace("<system-reminder>", "").replace("</system-reminder>", "").replace('\n', "");
                // Media of results follow in a message of their own where a result takes none, which says whose they are.
                while let Some(start) = text.find("Attached to the result of tool call ") {
                    let end = text[start..].find(':').map_or(text.len(), |colon| start + colon + 1);
                    text.replace_range(start..end, "");
                }
            }
            let [before, after] = said;
            assert!(after.text.starts_with(&before.text), "{}: {} | {}", sample.name, before.text, after.text);
            assert_eq!((after.calls, after.results), (before.calls, before.results), "{}", sample.name);
            turned += 1;
        }
    }
    assert!(turned >= 5, "{turned}");
}
