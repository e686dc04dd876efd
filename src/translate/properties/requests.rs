//! What a request says arrives, or is reported.

use proptest::prelude::*;

use super::{json, narrow, pairs, reports, said_or_not, spoken, tools};
use crate::dialect::adapt::openai::JSON_PLEASE;
use crate::dialect::testing::{values, written};
use crate::dialect::{Adaptions, Dialect, RequestHead, Target};
use crate::ir::{
    Content, Losses, Media, Message, OutputFormat, Part, ReasoningAsk, Request, Role, Source, ToolCall, Visibility,
    mark,
};
use crate::translate::called::called;
use crate::translate::codecs::encode_value;
use crate::translate::pairs::Said;
use crate::translate::{Strictness, Upstream, decode, encode};

/// What a request says, in a form that can be compared.
fn said(request: &Request, adaptions: &Adaptions) -> Said {
    let mut said = Said::by(parts(request).map(|(_, part)| part));
    for (name, _) in &mut said.calls {
        if let Some(own) = adaptions.tool_names.get(name) {
            name.clone_from(own);
        }
    }
    said.text = meant(&said.text);
    said
}

/// A text without what the gateway says itself: whose words those of a system message in the middle are, and to which
/// result the media belong that follow it.
fn meant(text: &str) -> String {
    let mut text = text.replace("<system-reminder>", "").replace("</system-reminder>", "").replace('\n', "");
    while let Some(start) = text.find("Attached to the result of ") {
        let end = text[start..].find(':').map_or(text.len(), |colon| start + colon + 1);
        text.replace_range(start..end, "");
    }
    text
}

fn parts(request: &Request) -> impl Iterator<Item = (Role, &Part)> {
    let messages = request.instructions.iter().chain(&request.messages);
    messages.flat_map(|Message { role, parts, .. }| parts.iter().map(|part| (*role, part)))
}

/// Who says what, neighbours of one side as one: who else may stand between two calls is the dialects' business.
fn sides(request: &Request) -> Vec<(Role, String)> {
    let mut sides: Vec<(Role, String)> = Vec::new();
    for (role, part) in parts(request) {
        let text = part.as_text().map(meant).unwrap_or_default();
        if text.is_empty() {
            continue;
        }
        let side = if role == Role::Assistant { Role::Assistant } else { Role::User };
        match sides.last_mut().filter(|(last, _)| *last == side) {
            Some((_, known)) => known.push_str(&text),
            None => sides.push((side, text)),
        }
    }
    sides
}

/// Each result answers a call that came before it, and each call has its result: calls and results in pairs. Ids may come
/// again once they are answered.
fn matched(request: &Request) -> Result<Vec<(String, String)>, String> {
    let (mut open, mut pairs): (Vec<&ToolCall>, _) = (Vec::new(), Vec::new());
    for (_, part) in parts(request) {
        match &part.content {
            Content::ToolCall(call) if open.iter().any(|open| open.id == call.id) => {
                return Err(format!("{} is there twice", call.id));
            }
            Content::ToolCall(call) => open.push(call),
            Content::ToolResult(result) => {
                let place = open.iter().position(|call| call.id == result.call_id);
                let place = place.ok_or_else(|| format!("a result for {}, which was not called", result.call_id))?;
                let called = Said::by([&Part::new(Content::ToolCall(open.remove(place).clone()))]).calls.remove(0).1;
                pairs.push((called.to_string(), Said::by([part]).results.remove(0)));
            }
            Content::Text(_) | Content::Refusal(_) | Content::Media(_) | Content::Reasoning(_) | Content::Opaque(_) => {
            }
        }
    }
    if open.is_empty() { Ok(pairs) } else { Err(format!("no results for {open:?}")) }
}

/// Gives calls the ids that loops written by hand do: by their number in the round.
fn number_anew(request: &mut Request) {
    let mut open: Vec<String> = Vec::new();
    for part in request.messages.iter_mut().flat_map(|message| &mut message.parts) {
        match &mut part.content {
            Content::ToolCall(call) => {
                let number = open.len();
                open.push(std::mem::replace(&mut call.id, format!("call_{number}")));
            }
            Content::ToolResult(result) => {
                let number = open.iter().position(|id| *id == result.call_id).unwrap();
                open[number].clear();
                result.call_id = format!("call_{number}");
            }
            Content::Text(_) | Content::Refusal(_) | Content::Media(_) | Content::Reasoning(_) | Content::Opaque(_) => {
            }
        }
        if open.iter().all(String::is_empty) {
            open.clear();
        }
    }
}

/// All that is to be seen, in results as well, each as it is addressed or written. Where it stands may change.
fn media(request: &Request) -> Vec<String> {
    let mut media = Vec::new();
    let mut see = |part: &Part| {
        if let Content::Media(Media { kind, source, .. }) = &part.content {
            let source = match source {
                Source::Url { url, .. } => url,
                Source::Base64 { data, .. } => data,
                Source::FileId { id, .. } => id,
                Source::Text { text } => text,
            };
            media.push(format!("{kind:?} {source}"));
        }
    };
    for (_, part) in parts(request) {
        see(part);
        if let Content::ToolResult(result) = &part.content {
            result.parts.iter().for_each(&mut see);
        }
    }
    media.sort();
    media
}

/// What a medium says beside its source.
type Beside = fn(&Media) -> Option<&String>;

/// How many media say this.
fn beside(request: &Request, which: Beside) -> usize {
    let of = |part: &Part| match &part.content {
        Content::Media(media) => usize::from(which(media).is_some()),
        Content::ToolResult(result) => {
            let inner = result.parts.iter().filter(|part| match &part.content {
                Content::Media(media) => which(media).is_some(),
                _ => false,
            });
            inner.count()
        }
        _ => 0,
    };
    parts(request).map(|(_, part)| of(part)).sum()
}

/// How many hints to cache there are.
fn hints(request: &Request) -> usize {
    parts(request).filter(|(_, part)| part.cache.is_some()).count()
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
    // Elsewhere nothing is stored anyway.
    (&["store"], |request| said_or_not(request.store.filter(|store| *store))),
    (&["verbosity"], |request| said_or_not(request.verbosity.as_ref())),
    (&["reasoning"], |request| said_or_not(request.reasoning.as_ref().and_then(ReasoningAsk::as_effort))),
    (&["reasoning", "reasoning.summary"], |request| {
        let shown = request.reasoning.as_ref().filter(|ask| !ask.is_off()).and_then(|ask| ask.visibility.as_ref());
        said_or_not(shown.filter(|shown| **shown != Visibility::Hidden))
    }),
    // The schema's name is for those who demand one, and whether there may be more is for some to say and for others not.
    (&["response_format"], |request| match request.output.as_ref().map(|output| &output.format) {
        Some(OutputFormat::JsonSchema { schema, .. }) => {
            said_or_not(schema.as_ref().map(|schema| (&schema["properties"], &schema["required"], &schema["items"])))
        }
        Some(OutputFormat::JsonObject) => "JSON".to_owned(),
        Some(OutputFormat::Text | OutputFormat::Other(_)) | None => String::new(),
    }),
];

/// No penalty is what is meant where nothing is said.
fn not_zero(penalty: Option<&serde_json::Number>) -> Option<&serde_json::Number> {
    penalty.filter(|penalty| penalty.as_f64() != Some(0.0))
}

/// Holds all fields that stand beside the conversation.
fn fields_arrive(
    before: &Request,
    after: &Request,
    adaptions: &Adaptions,
    losses: &Losses,
) -> Result<(), TestCaseError> {
    for (names, field) in FIELDS {
        let (meant, heard) = (field(before), field(after));
        let is_named = |field: &str| names.iter().any(|name| *name == field || called(before, name) == field);
        if meant == heard {
            // Thoughts in the conversation have the name of the wish to think.
            let is_reported = losses.iter().any(|loss| is_named(&loss.field));
            // A form arrives, and the model is not held to it, or a sentence asks for it too.
            let is_another = matches!(names[0], "reasoning" | "response_format");
            prop_assert!(meant.is_empty() || !is_reported || is_another, "{names:?} arrived: {losses:?}");
            continue;
        }
        let moved = names == &["safety_identifier"] && said_or_not(after.user.as_ref()) == meant;
        let by_a_tool = names == &["response_format"] && adaptions.json_tool.is_some();
        if by_a_tool {
            prop_assert!(tools::gives_the_answer(before, after, adaptions), "another form: {:?}", after.tools);
        }
        if names == &["stop"] && !adaptions.stop.is_empty() {
            prop_assert_eq!(&adaptions.stop, &before.stop);
            prop_assert!(heard.is_empty());
        }
        prop_assert!(
            meant.is_empty() || moved || by_a_tool || reports(before, losses, names),
            "{names:?}: {meant} became {heard}"
        );
    }
    Ok(())
}

/// Takes away what stands in a request for OpenAI's sake: the object around a form, and the sentence that asks for JSON.
fn without_what_openai_demands(after: &mut Request, before: &Request, adaptions: &Adaptions) {
    if let Some(OutputFormat::JsonSchema { schema: Some(schema), .. }) =
        after.output.as_mut().map(|output| &mut output.format)
        && adaptions.wrapped
    {
        *schema = schema["properties"]["value"].take();
    }
    let is_ours = |part: &Part| part.as_text() == Some(JSON_PLEASE);
    if before.output.as_ref().is_some_and(|output| output.format == OutputFormat::JsonObject)
        && !parts(before).any(|(_, part)| is_ours(part))
    {
        after
            .instructions
            .iter_mut()
            .chain(&mut after.messages)
            .for_each(|message| message.parts.retain(|part| !is_ours(part)));
        after.messages.retain(|message| !message.parts.is_empty());
    }
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
    let mut after = decode(to, &body, &RequestHead::default()).unwrap();
    let context = || format!("{}\nlosses: {losses:?}", String::from_utf8_lossy(&body));
    let fail = |what: TestCaseError| TestCaseError::fail(format!("{what}\n{}", context()));

    // What goes out again in its own dialect is the same.
    let again = encode(&after, target, Strictness::Refuse).unwrap();
    prop_assert_eq!(written(&json(&again.body)), written(&json(&body)));

    without_what_openai_demands(&mut after, before, &adaptions);
    let (meant, heard) = (said(before, &Adaptions::default()), said(&after, &adaptions));
    prop_assert_eq!(&heard.calls, &meant.calls, "{}", context());
    prop_assert_eq!(&heard.results, &meant.results, "{}", context());
    prop_assert_eq!(&heard.text, &meant.text, "{}", context());
    prop_assert_eq!(sides(&after), sides(before), "{}", context());
    prop_assert_eq!(matched(&after), matched(before), "{}", context());
    if heard.thoughts != meant.thoughts {
        prop_assert!(reports(before, &losses, &["reasoning"]), "{} {}\n{}", heard.thoughts, meant.thoughts, context());
    }
    prop_assert_eq!(media(&after), media(before), "{}", context());
    let (detail, name): (Beside, Beside) = (|media| media.detail.as_ref(), |media| media.name.as_ref());
    for which in [detail, name] {
        let is_there = beside(&after, which) >= beside(before, which);
        prop_assert!(is_there || reports(before, &losses, &["messages", "input"]), "{}", context());
    }
    prop_assert!(hints(&after) == hints(before) || reports(before, &losses, &["cache_control"]), "{}", context());
    for (_, part) in parts(&after) {
        if let Content::ToolCall(call) = &part.content {
            prop_assert!(mark::portable_id(&call.id) == call.id.as_str() || !before.is_foreign_to(to));
        }
    }
    tools::arrive(before, &after, target, &adaptions, &losses).map_err(fail)?;
    fields_arrive(before, &after, &adaptions, &losses).map_err(fail)
}

proptest! {
    #![proptest_config(super::cases())]

    #[test]
    fn what_any_request_says_arrives_or_is_reported(meant in values::request()) {
        for from in Dialect::ALL {
            let Some(before) = spoken(from, &meant) else { continue };
            prop_assert!(matched(&before).is_ok());
            for to in Dialect::ALL {
                arrives(&before, &Target::unlimited(to, "model"))
                    .map_err(|error| TestCaseError::fail(format!("{from} to {to}: {error}")))?;
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
    fn calls_may_be_numbered_anew_in_each_round(meant in values::request()) {
        for from in [Dialect::OpenAiChat, Dialect::OpenAiResponses] {
            let Some(mut before) = spoken(from, &meant) else { continue };
            number_anew(&mut before);
            prop_assert!(matched(&before).is_ok());
            for to in Dialect::ALL {
                arrives(&before, &Target::unlimited(to, "model"))
                    .map_err(|error| TestCaseError::fail(format!("{from} to {to}: {error}")))?;
            }
            let target = Target::unlimited(Dialect::Anthropic, "model");
            let Ok(told) = encode(&before, &target, Strictness::Report) else { continue };
            let body = json(&told.body);
            let blocks = body["messages"].as_array().unwrap().iter().filter_map(|message| message["content"].as_array());
            let mut ids: Vec<&str> = blocks.flatten().filter_map(|block| block["id"].as_str()).collect();
            let count = ids.len();
            ids.sort_unstable();
            ids.dedup();
            prop_assert_eq!(ids.len(), count);
        }
    }

    #[test]
    fn a_strict_caller_gets_the_same_request_or_none(meant in values::request()) {
        for (from, to) in pairs() {
            let Some(before) = spoken(from, &meant) else { continue };
            let target = Target::unlimited(to, "model");
            let told = encode_value(&before, &target, Strictness::Report);
            match (encode_value(&before, &target, Strictness::Refuse), told) {
                (Ok(strict), told) => {
                    prop_assert!(strict.losses.is_empty());
                    prop_assert_eq!(Ok(strict), told);
                }
                (Err(fault), Ok(told)) => {
                    let named = fault.param.unwrap();
                    prop_assert!(told.losses.iter().any(|loss| loss.field == named), "{named}: {:?}", told.losses);
                }
                (Err(fault), Err(told)) => prop_assert_eq!(fault, told),
            }
        }
    }
}
