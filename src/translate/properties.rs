//! Random requests, answers and streams through all sixteen pairs: what is said arrives, and what does not is reported.

use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::Value;

use super::called::called;
use super::codecs::{bytes, decode_response, encode_response, encode_value};
use super::pairs::{Said, counts, folded, of_answer, reason};
use super::{Strictness, Transcoder, Upstream, decode, encode};
use crate::dialect::testing::{pretty, values};
use crate::dialect::{
    Adaptions, Asked, Capabilities, Delivery, Dialect, RequestHead, Sampler, StructuredOutput, Target,
};
use crate::ir::{
    Content, Delta, Event, FinishReason, Losses, Message, OutputFormat, Part, ReasoningAsk, Request, Response, Role,
    Visibility, mark,
};

fn pairs() -> impl Iterator<Item = (Dialect, Dialect)> {
    Dialect::ALL.into_iter().flat_map(|from| Dialect::ALL.into_iter().map(move |to| (from, to)))
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// The request as this dialect's callers would write it; `None` if they cannot.
fn spoken(dialect: Dialect, meant: &Request) -> Option<Request> {
    let wire = encode(meant, &Target::unlimited(dialect, "model"), Strictness::Report).ok()?;
    Some(decode(dialect, &wire.body, &RequestHead::default()).unwrap())
}

/// What a request says, in a form that can be compared.
fn said(request: &Request, adaptions: &Adaptions) -> Said {
    let instructions = request.instructions.iter().flat_map(|message| &message.parts);
    let mut said = Said::by(instructions.chain(request.messages.iter().flat_map(|message| &message.parts)));
    for (name, _) in &mut said.calls {
        if let Some(own) = adaptions.tool_names.get(name) {
            name.clone_from(own);
        }
    }
    for mark in ["<system-reminder>", "</system-reminder>", "\n"] {
        said.text = said.text.replace(mark, "");
    }
    said
}

fn parts(request: &Request) -> impl Iterator<Item = (Role, &Part)> {
    let messages = request.instructions.iter().chain(&request.messages);
    messages.flat_map(|Message { role, parts, .. }| parts.iter().map(|part| (*role, part)))
}

/// Who says what, neighbours of one side as one: who else may stand between two calls is the dialects' business.
fn sides(request: &Request) -> Vec<(Role, String)> {
    let mut sides: Vec<(Role, String)> = Vec::new();
    for (role, part) in parts(request) {
        let Some(text) = part.as_text().filter(|text| !text.is_empty()) else { continue };
        let side = if role == Role::Assistant { Role::Assistant } else { Role::User };
        match sides.last_mut().filter(|(last, _)| *last == side) {
            Some((_, known)) => known.push_str(text),
            None => sides.push((side, text.to_owned())),
        }
    }
    for (_, text) in &mut sides {
        for mark in ["<system-reminder>", "</system-reminder>", "\n"] {
            *text = text.replace(mark, "");
        }
    }
    sides
}

/// Each result answers a call that came before it, and each call has its result.
fn matching(request: &Request) -> Result<(), String> {
    let mut open = HashSet::new();
    for (_, part) in parts(request) {
        match &part.content {
            Content::ToolCall(call) if !open.insert(call.id.as_str()) => {
                return Err(format!("{} is there twice", call.id));
            }
            Content::ToolResult(result) if !open.remove(result.call_id.as_str()) => {
                return Err(format!("a result for {}, which was not called", result.call_id));
            }
            Content::ToolCall(_)
            | Content::ToolResult(_)
            | Content::Text(_)
            | Content::Refusal(_)
            | Content::Media(_)
            | Content::Reasoning(_)
            | Content::Opaque(_) => {}
        }
    }
    if open.is_empty() { Ok(()) } else { Err(format!("no results for {open:?}")) }
}

fn media(request: &Request) -> usize {
    let count = |part: &Part| match &part.content {
        Content::Media(_) => 1,
        Content::ToolResult(result) => {
            result.parts.iter().filter(|part| matches!(part.content, Content::Media(_))).count()
        }
        Content::Text(_) | Content::Refusal(_) | Content::ToolCall(_) | Content::Reasoning(_) | Content::Opaque(_) => 0,
    };
    parts(request).map(|(_, part)| count(part)).sum()
}

/// A field of a request: how losses call it, and what it says.
type Field = (&'static [&'static str], fn(&Request) -> String);

/// Fields that arrive as they are, or are reported.
const FIELDS: &[Field] = &[
    (&["temperature"], |request| {
        said_or_not(request.sampling.temperature.as_ref().and_then(serde_json::Number::as_f64))
    }),
    (&["top_p"], |request| said_or_not(request.sampling.top_p.as_ref())),
    (&["top_k"], |request| said_or_not(request.sampling.top_k.as_ref())),
    (&["frequency_penalty"], |request| said_or_not(not_zero(request.sampling.frequency_penalty.as_ref()))),
    (&["presence_penalty"], |request| said_or_not(not_zero(request.sampling.presence_penalty.as_ref()))),
    (&["seed"], |request| said_or_not(request.sampling.seed.as_ref())),
    (&["stop"], |request| said_or_not(Some(&request.stop).filter(|stop| !stop.is_empty()))),
    (&["max_tokens"], |request| said_or_not(request.max_output)),
    (&["n"], |request| said_or_not(request.candidates.filter(|count| *count > 1))),
    (&["logprobs", "top_logprobs"], |request| {
        let asked = request
            .logprobs
            .filter(|ask| ask.enabled == Some(true) || (ask.enabled.is_none() && ask.top.is_some_and(|top| top > 0)));
        said_or_not(asked.map(|ask| ask.top.unwrap_or(0)))
    }),
    (&["user"], |request| said_or_not(request.user.as_ref())),
    (&["safety_identifier"], |request| said_or_not(request.safety_identifier.as_ref())),
    (&["prompt_cache_key"], |request| said_or_not(request.prompt_cache_key.as_ref())),
    (&["metadata"], |request| said_or_not(request.metadata.as_ref())),
    (&["verbosity"], |request| said_or_not(request.verbosity.as_ref())),
    (&["reasoning"], |request| said_or_not(request.reasoning.as_ref().and_then(ReasoningAsk::as_effort))),
    (&["reasoning", "reasoning.summary"], |request| {
        let shown = request.reasoning.as_ref().filter(|ask| !ask.is_off()).and_then(|ask| ask.visibility.as_ref());
        said_or_not(shown.filter(|shown| **shown != Visibility::Hidden))
    }),
    // The schema's name is for those who demand one, and whether there may be more is for some to say and for others not.
    (&["response_format"], |request| match request.output.as_ref().map(|output| &output.format) {
        Some(OutputFormat::JsonSchema { schema, .. }) => {
            said_or_not(schema.as_ref().map(|schema| (&schema["properties"], &schema["required"])))
        }
        Some(OutputFormat::JsonObject) => "JSON".to_owned(),
        Some(OutputFormat::Text | OutputFormat::Other(_)) | None => String::new(),
    }),
];

/// No penalty is what is meant where nothing is said.
fn not_zero(penalty: Option<&serde_json::Number>) -> Option<&serde_json::Number> {
    penalty.filter(|penalty| penalty.as_f64() != Some(0.0))
}

fn said_or_not<T: std::fmt::Debug>(field: Option<T>) -> String {
    field.map(|field| format!("{field:?}")).unwrap_or_default()
}

fn reports(said: &Request, losses: &Losses, names: &[&str]) -> bool {
    let is_called = |field: &str, name: &str| field.starts_with(name) || field.starts_with(&called(said, name));
    losses.iter().any(|loss| names.iter().any(|name| is_called(&loss.field, name)))
}

/// A model that takes as little as any of its dialect does.
fn narrow(dialect: Dialect) -> Target {
    let can = Capabilities {
        custom_tools: false,
        prefill: false,
        mid_conversation_system: false,
        sampler: Sampler::Fixed,
        structured_output: StructuredOutput::ForcedTool,
        json_beside_tools: false,
        media_in_results: false,
        max_output: Some(64),
        stop_max: Some(0),
        tool_name_max: 16,
        ..Capabilities::unlimited(dialect)
    };
    Target { can, ..Target::unlimited(dialect, "model") }
}

/// How a request that was spoken in one dialect arrives in another.
fn arrives(before: &Request, target: &Target) -> Result<(), TestCaseError> {
    let to = target.dialect;
    let Upstream { body, losses, adaptions } = match encode(before, target, Strictness::Report) {
        Ok(upstream) => upstream,
        Err(fault) => {
            prop_assert!(before.is_foreign_to(to), "refused at home: {}", fault);
            prop_assert!(fault.kind.status() == 400 && fault.param.is_some_and(|param| !param.is_empty()));
            return Ok(());
        }
    };
    let after = decode(to, &body, &RequestHead::default()).unwrap();
    let context = || format!("{}\nlosses: {losses:?}", String::from_utf8_lossy(&body));

    // What goes out again in its own dialect is the same.
    let again = encode(&after, target, Strictness::Refuse).unwrap();
    prop_assert_eq!(pretty(&json(&again.body)), pretty(&json(&body)));

    let (meant, heard) = (said(before, &Adaptions::default()), said(&after, &adaptions));
    prop_assert_eq!(&heard.calls, &meant.calls, "{}", context());
    prop_assert_eq!(&heard.results, &meant.results, "{}", context());
    if media(before) == media(&after) && !losses.iter().any(|loss| loss.reason.contains("media")) {
        prop_assert_eq!(sides(&after), sides(before), "{}", context());
    }
    prop_assert!(heard.text.starts_with(&meant.text) || reports(before, &losses, &["messages"]), "{}", context());
    if heard.thoughts != meant.thoughts {
        prop_assert!(reports(before, &losses, &["reasoning"]), "{} {}\n{}", heard.thoughts, meant.thoughts, context());
    }
    prop_assert!(media(&after) == media(before) || reports(before, &losses, &["messages", "input"]), "{}", context());
    prop_assert_eq!(matching(&after), Ok(()), "{}", context());
    for (_, part) in parts(&after) {
        if let Content::ToolCall(call) = &part.content {
            prop_assert!(mark::portable_id(&call.id) == call.id.as_str() || !before.is_foreign_to(to));
        }
    }
    let for_json = usize::from(adaptions.json_tool.is_some());
    let request = before;
    let some_only = reports(before, &losses, &["tool_choice"]) && after.tools.len() < before.tools.len() + for_json;
    prop_assert!(some_only || after.tools.len() == before.tools.len() + for_json, "{}", context());
    let after_user = after.user.clone();
    for (names, field) in FIELDS {
        let (before, after) = (field(before), field(&after));
        if before != after && !before.is_empty() {
            let moved = names == &["safety_identifier"] && said_or_not(after_user.as_ref()) == before;
            let adapted = moved
                || names == &["response_format"] && adaptions.json_tool.is_some()
                || names == &["stop"] && !adaptions.stop.is_empty();
            prop_assert!(
                adapted || reports(request, &losses, names),
                "{:?}: {} became {}\n{}",
                names,
                before,
                after,
                context()
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_any_request_says_arrives_or_is_reported(meant in values::request()) {
        for from in Dialect::ALL {
            let Some(before) = spoken(from, &meant) else { continue };
            prop_assert_eq!(matching(&before), Ok(()));
            for to in Dialect::ALL {
                arrives(&before, &Target::unlimited(to, "model")).map_err(|error| TestCaseError::fail(format!("{from} to {to}: {error}")))?;
            }
        }
    }

    #[test]
    fn what_any_request_says_arrives_at_models_that_take_little_or_is_reported(meant in values::request()) {
        for from in Dialect::ALL {
            let Some(before) = spoken(from, &meant) else { continue };
            for target in Dialect::ALL.map(narrow) {
                arrives(&before, &target)
                    .map_err(|error| TestCaseError::fail(format!("{from} to {}: {error}", target.dialect)))?;
            }
        }
    }

    #[test]
    fn a_strict_caller_gets_the_same_request_or_none(meant in values::request()) {
        for (from, to) in pairs() {
            let Some(before) = spoken(from, &meant) else { continue };
            let target = Target::unlimited(to, "model");
            let told = encode_value(&before, &target, Strictness::Report);
            match encode_value(&before, &target, Strictness::Refuse) {
                Ok(strict) => prop_assert_eq!(Ok(strict), told),
                Err(fault) => {
                    prop_assert!(fault.param.is_some());
                    prop_assert!(told.is_err() || !told.unwrap().losses.is_empty());
                }
            }
        }
    }

    #[test]
    fn what_any_answer_says_is_what_every_caller_reads(meant in values::response()) {
        for provider in Dialect::ALL {
            let mut meant = meant.clone();
            meant.choices[0].parts = meant.choices[0].parts.drain(..).map(|part| meant_by(provider, part)).collect();
            let wire = encode_response(provider, &meant, &asked(Delivery::Whole)).unwrap().body;
            let before = decode_response(provider, wire.clone()).unwrap();
            // Law 4: what comes and goes in one dialect is the same.
            let again = encode_response(provider, &before, &asked(Delivery::Whole)).unwrap();
            if !wire.to_string().contains(mark::MARK) {
                prop_assert_eq!(pretty(&again.body), pretty(&wire));
            }
            prop_assert!(again.losses.is_empty());
            for caller in Dialect::ALL {
                let turned = transcoder(caller, provider, Delivery::Whole).whole(&bytes(&wire)).unwrap();
                let turned = json(&turned.body);
                let after = decode_response(caller, turned.clone()).unwrap();
                let thoughts = shown(caller, [&turned["choices"][0]["message"]], &after);
                same(&before, &after, &thoughts).map_err(|error| {
                    TestCaseError::fail(format!("{provider} to {caller}: {error}\n{wire}\n{turned}"))
                })?;
            }
        }
    }

    #[test]
    fn what_any_stream_says_is_what_every_caller_hears((_, events) in values::stream(), piece in 1_usize..200) {
        for provider in Dialect::ALL {
            let mut encoder = super::codecs::AnyEncoder::new(provider, &asked(Delivery::Events)).unwrap();
            let mut wire = Vec::new();
            for event in &events {
                match event {
                    Event::PartStart(at, part) => {
                        let part = meant_by(provider, part.as_ref().clone());
                        encoder.push(&Event::PartStart(*at, Box::new(part)), &mut wire);
                    }
                    Event::Delta(_, Delta::Seal(_)) if provider == Dialect::OpenAiChat => {}
                    other => encoder.push(other, &mut wire),
                }
            }
            encoder.finish(&mut wire);
            let before = folded(provider, &wire);
            prop_assert!(before.error.is_none(), "{provider}: {}", String::from_utf8_lossy(&wire));
            for caller in Dialect::ALL {
                let mut stream = transcoder(caller, provider, Delivery::Events).stream().unwrap();
                let mut out = Vec::new();
                wire.chunks(piece).for_each(|bytes| stream.push(bytes, &mut out));
                stream.finish(&mut out);
                prop_assert!(stream.told().is_complete && stream.told().error.is_none());
                let after = folded(caller, &out);
                let text = String::from_utf8(out).unwrap();
                let chunks: Vec<Value> = text
                    .split("\n\n")
                    .filter_map(|event| serde_json::from_str(event.strip_prefix("data: ")?).ok())
                    .collect();
                let deltas = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]);
                let thoughts = shown(caller, deltas, &after);
                same(&before, &after, &thoughts).map_err(|error| {
                    let wire = String::from_utf8_lossy(&wire);
                    TestCaseError::fail(format!("{provider} to {caller}: {error}\n{wire}\n{text}"))
                })?;
                wire_grammar::check(caller, &text).map_err(|wrong| {
                    TestCaseError::fail(format!("{provider} to {caller}: {wrong}\n{text}"))
                })?;
            }
        }
    }
}

fn asked(delivery: Delivery) -> Asked {
    let request = Request { stream_usage: Some(true), model: "model".to_owned(), ..Request::default() };
    Asked::by(&request, delivery).known_as("fallback")
}

fn transcoder(caller: Dialect, provider: Dialect, delivery: Delivery) -> Transcoder {
    Transcoder::new(caller, provider, asked(delivery), Adaptions::default())
}

/// The thoughts that a caller shows. Chat's have them in one place, and sealed ones in another one too.
fn shown<'v>(caller: Dialect, messages: impl IntoIterator<Item = &'v Value>, heard: &Response) -> String {
    match caller {
        Dialect::OpenAiChat => {
            messages.into_iter().filter_map(|message| message["reasoning_content"].as_str()).collect()
        }
        Dialect::OpenAiResponses | Dialect::Anthropic | Dialect::Gemini => of_answer(heard).thoughts,
    }
}

/// What this provider's models can mean: servers of chat seal nothing for us.
fn meant_by(provider: Dialect, mut part: Part) -> Part {
    if provider == Dialect::OpenAiChat {
        part.seal = None;
    }
    part
}

/// The same text, thoughts, calls, counts and reason.
fn same(before: &Response, after: &Response, thoughts: &str) -> Result<(), TestCaseError> {
    let (said, heard) = (of_answer(before), of_answer(after));
    prop_assert_eq!(&heard.text, &said.text);
    prop_assert_eq!(&heard.calls, &said.calls);
    prop_assert_eq!(thoughts.replace('\n', ""), said.thoughts.replace('\n', ""));
    prop_assert_eq!(counts(after), counts(before));
    // Google has no word for a pause: there it is no clean end, but its `OTHER`.
    if is_pause(before) || is_pause(after) {
        return Ok(());
    }
    prop_assert_eq!(reason(after), reason(before));
    Ok(())
}

fn is_pause(response: &Response) -> bool {
    response
        .choices
        .iter()
        .filter_map(|choice| choice.finish.as_ref())
        .any(|finish| finish.reason == FinishReason::Pause)
}

/// What clients of each dialect count on in a stream, event by event, read without the codecs.
mod wire_grammar {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use crate::dialect::Dialect;

    pub(super) fn check(dialect: Dialect, text: &str) -> Result<(), String> {
        let events: Vec<(Option<&str>, &str)> =
            text.split("\n\n").filter(|event| !event.is_empty()).map(event).collect();
        match dialect {
            Dialect::OpenAiChat => chat(&events),
            Dialect::OpenAiResponses => responses(&events),
            Dialect::Anthropic => messages(&events),
            Dialect::Gemini => gemini(&events),
        }
    }

    fn event(text: &str) -> (Option<&str>, &str) {
        match text.strip_prefix("event: ").and_then(|rest| rest.split_once('\n')) {
            Some((name, data)) => (Some(name), data.strip_prefix("data: ").unwrap_or_default()),
            None => (None, text.strip_prefix("data: ").unwrap_or_default()),
        }
    }

    fn value(data: &str) -> Result<Value, String> {
        serde_json::from_str(data).map_err(|error| format!("{error}: {data}"))
    }

    fn that(holds: bool, what: &str, data: &str) -> Result<(), String> {
        if holds { Ok(()) } else { Err(format!("{what}: {data}")) }
    }

    fn chat(events: &[(Option<&str>, &str)]) -> Result<(), String> {
        let Some(((_, last), chunks)) = events.split_last() else { return Err("nothing came".to_owned()) };
        that(*last == "[DONE]", "the end", last)?;
        let (mut finished, mut usage) = (false, false);
        for (number, (name, data)) in chunks.iter().enumerate() {
            let chunk = value(data)?;
            that(name.is_none() && chunk["object"] == "chat.completion.chunk", "a chunk", data)?;
            that(!usage, "something after the usage", data)?;
            let choices = chunk["choices"].as_array().ok_or("no choices")?;
            let Some(choice) = choices.first() else {
                usage = chunk["usage"].is_object();
                that(usage && finished, "empty choices", data)?;
                continue;
            };
            that(number > 0 || choice["delta"]["role"] == "assistant", "no role at first", data)?;
            that(!finished, "something after the finish reason", data)?;
            finished = choice["finish_reason"].is_string();
        }
        that(finished && usage, "no finish reason or no usage", last)
    }

    fn messages(events: &[(Option<&str>, &str)]) -> Result<(), String> {
        let (mut index, mut open, mut kinds) = (0, None, Vec::new());
        for (name, data) in events {
            let event = value(data)?;
            let kind = event["type"].as_str().unwrap_or_default().to_owned();
            that(*name == Some(kind.as_str()), "another name", data)?;
            match kind.as_str() {
                "content_block_start" => {
                    that(open.is_none() && event["index"] == index, "a block in a block", data)?;
                    open = event["content_block"]["type"].as_str().map(str::to_owned);
                }
                "content_block_delta" => {
                    let fits = matches!(
                        (open.as_deref(), event["delta"]["type"].as_str()),
                        (Some("text"), Some("text_delta" | "citations_delta"))
                            | (Some("thinking"), Some("thinking_delta" | "signature_delta"))
                            | (Some("tool_use"), Some("input_json_delta"))
                    );
                    that(fits && event["index"] == index, "a delta that does not fit", data)?;
                }
                "content_block_stop" => {
                    that(open.take().is_some() && event["index"] == index, "a stop without a start", data)?;
                    index += 1;
                }
                _ => {
                    that(open.is_none(), "in a block", data)?;
                    kinds.push(kind);
                }
            }
        }
        that(kinds == ["message_start", "message_delta", "message_stop"], "the frame", &kinds.join(" "))
    }

    fn gemini(events: &[(Option<&str>, &str)]) -> Result<(), String> {
        let mut finished = false;
        for (name, data) in events {
            let chunk = value(data)?;
            that(name.is_none() && !finished, "something after the end", data)?;
            let candidates = chunk["candidates"].as_array().ok_or("no candidates")?;
            for candidate in candidates {
                let parts = candidate["content"]["parts"].as_array().ok_or("no parts")?;
                that(!parts.is_empty() && candidate["content"]["role"] == "model", "an empty content", data)?;
                finished = candidate["finishReason"].is_string();
            }
            that(!finished || chunk["usageMetadata"].is_object(), "no usage at the end", data)?;
        }
        that(finished, "no end", "")
    }

    fn responses(events: &[(Option<&str>, &str)]) -> Result<(), String> {
        let (mut items, mut open) = (Vec::new(), None::<Value>);
        let mut texts = BTreeMap::<(String, u64), String>::new();
        for (number, (name, data)) in events.iter().enumerate() {
            let event = value(data)?;
            let kind = event["type"].as_str().unwrap_or_default();
            that(*name == Some(kind) && event["sequence_number"] == number, "another name or number", data)?;
            match kind {
                "response.created" => that(number == 0, "created late", data)?,
                "response.in_progress" => that(number == 1, "in progress late", data)?,
                "response.output_item.added" => {
                    that(open.is_none() && event["output_index"] == items.len(), "an item in an item", data)?;
                    open = Some(event["item"].clone());
                }
                "response.output_item.done" => {
                    let begun = open.take().ok_or("an end without a beginning")?;
                    that(
                        begun["id"] == event["item"]["id"] && begun["type"] == event["item"]["type"],
                        "another item",
                        data,
                    )?;
                    for (text, whole) in std::mem::take(&mut texts).into_values().zip(texts_of(&event["item"])) {
                        that(text == whole, "the pieces are not the whole", data)?;
                    }
                    items.push(event["item"].clone());
                }
                "response.completed" | "response.incomplete" | "response.failed" => {
                    that(number + 1 == events.len() && open.is_none(), "the end", data)?;
                    that(event["response"]["output"] == Value::Array(items.clone()), "another output", data)?;
                }
                _ => {
                    that(open.is_some(), "outside of an item", data)?;
                    if let Some(delta) = event["delta"].as_str() {
                        let place = event["content_index"].as_u64().or(event["summary_index"].as_u64()).unwrap_or(0);
                        let family = kind.trim_end_matches(".delta").to_owned();
                        texts.entry((family, place)).or_default().push_str(delta);
                    }
                }
            }
        }
        that(events.last().is_some_and(|(_, data)| data.contains("\"response\":{")), "no end", "")
    }

    fn texts_of(item: &Value) -> Vec<String> {
        let list = |key: &str| item[key].as_array().cloned().unwrap_or_default();
        let inner = list("content").into_iter().chain(list("summary"));
        let inner = inner.filter_map(|part| Some(part["text"].as_str().or(part["refusal"].as_str())?.to_owned()));
        let whole = [&item["arguments"], &item["input"]].into_iter().filter_map(|text| Some(text.as_str()?.to_owned()));
        inner.chain(whole).collect()
    }
}
