//! Every fixture of a request for models that take less than their dialect has: where that differs from what a model gets
//! that takes all of it, how.

use std::fmt::Write as _;

use indexmap::IndexMap;
use serde_json::Value;

use super::{asked, fault, hold_all, lost, pretty};
use crate::catalog::{Capability, Catalog, Endpoint, Model};
use crate::config::providers::Kind;
use crate::dialect::testing::fixtures;
use crate::dialect::{Capabilities, Dialect, ReasoningStyle, Sampler, Target};
use crate::translate::{Strictness, Traits, encode};

const CHAT: Dialect = Dialect::OpenAiChat;
const RESPONSES: Dialect = Dialect::OpenAiResponses;
const MESSAGES: Dialect = Dialect::Anthropic;
const GEMINI: Dialect = Dialect::Gemini;

/// Models of the catalog, each with limits of its own.
const MODELS: [(Dialect, &str); 25] = [
    (CHAT, "gpt-3.5-turbo"),
    (CHAT, "gpt-3.5-turbo-16k"),
    (CHAT, "gpt-4.1"),
    (CHAT, "gpt-5-mini"),
    (CHAT, "gpt-5.1"),
    (CHAT, "gpt-audio-1.5"),
    (RESPONSES, "gpt-4.1"),
    (RESPONSES, "gpt-audio"),
    (RESPONSES, "gpt-5-pro"),
    (RESPONSES, "gpt-5.1"),
    (RESPONSES, "o3-deep-research"),
    (RESPONSES, "o3-mini"),
    (MESSAGES, "claude-3-5-haiku-20241022"),
    (MESSAGES, "claude-opus-4-20250514"),
    (MESSAGES, "claude-sonnet-4-5"),
    (MESSAGES, "claude-opus-4-6"),
    (MESSAGES, "claude-opus-4-7"),
    (MESSAGES, "claude-opus-5"),
    (MESSAGES, "claude-opus-5-5"),
    (GEMINI, "gemini-2.5-flash"),
    (GEMINI, "gemini-2.5-pro"),
    (GEMINI, "gemini-2.5-pro-preview-tts"),
    (GEMINI, "gemini-3-pro-preview"),
    (GEMINI, "gemini-exp-1114"),
    (GEMINI, "gemma-3-27b-it"),
];

fn kind(dialect: Dialect) -> Kind {
    match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses => Kind::OpenAi,
        Dialect::Anthropic => Kind::Anthropic,
        Dialect::Gemini => Kind::Gemini,
    }
}

/// In which dialects a model is offered.
fn spoken(model: &Model) -> Vec<Dialect> {
    let offers = |endpoint| model.endpoints.contains(&endpoint);
    match (model.kind, offers(Endpoint::ChatCompletions), offers(Endpoint::Responses)) {
        (Kind::Anthropic, ..) => vec![MESSAGES],
        (Kind::Gemini, ..) => vec![GEMINI],
        (Kind::OpenAi, true, false) => vec![CHAT],
        (Kind::OpenAi, false, true) => vec![RESPONSES],
        (Kind::OpenAi, true, true) | (Kind::OpenAi, false, false) => vec![CHAT, RESPONSES],
    }
}

/// What is said to a target, or why nothing is.
fn said(target: &Target, request: &crate::ir::Request) -> Result<(String, Value), String> {
    match encode(request, target, Strictness::Report) {
        Ok(upstream) => Ok((lost(&upstream.losses), serde_json::from_slice(&upstream.body).unwrap())),
        Err(refusal) => Err(fault(&refusal)),
    }
}

/// What `said` has otherwise than `all`: losses, fields of the body, or nothing but a refusal.
fn difference(all: &Result<(String, Value), String>, said: &Result<(String, Value), String>) -> String {
    let (told, body) = match said {
        Err(refusal) if all.as_ref().err() == Some(refusal) => return "the same refusal\n".to_owned(),
        Err(refusal) => return format!("{refusal}\n"),
        Ok(said) => said,
    };
    let Ok((told_all, body_all)) = all else { return format!("{told}{}\n", pretty(body.to_string().as_bytes())) };
    let mut text = String::new();
    let new = |line: &&str| !told_all.lines().any(|other| other == *line);
    told.lines().filter(new).for_each(|line| writeln!(text, "{line}").unwrap());
    let gone = |line: &&str| !told.lines().any(|other| other == *line);
    told_all.lines().filter(gone).for_each(|line| writeln!(text, "not {line}").unwrap());
    let (Value::Object(body), Value::Object(body_all)) = (body, body_all) else { return text };
    for (key, value) in body.iter().filter(|(key, value)| body_all.get(*key) != Some(*value)) {
        writeln!(text, "{key}: {}", serde_json::to_string_pretty(value).unwrap()).unwrap();
    }
    for key in body_all.keys().filter(|key| !body.contains_key(*key)) {
        writeln!(text, "no {key}").unwrap();
    }
    text
}

#[test]
fn requests_are_written_for_limited_models_as_the_golden_files_say() {
    let (catalog, traits) = (Catalog::embedded().unwrap(), Traits::embedded().unwrap());
    hold_all(
        "models",
        |from| fixtures("requests", from),
        |from, sample| {
            let request = asked(from, sample);
            // What the same is said to stands under one heading.
            let mut sections = IndexMap::<String, Vec<&str>>::new();
            for (dialect, model) in MODELS.into_iter().filter(|(dialect, _)| *dialect != from) {
                let all = said(&Target::unlimited(dialect, model), &request);
                let entry = catalog.models().find(|entry| entry.id.as_str() == model).unwrap();
                assert!(spoken(entry).contains(&dialect), "{model} is not offered in {dialect}");
                let target = traits.target(dialect, kind(dialect), &entry.id, Some(entry));
                let difference = difference(&all, &said(&target, &request)).replace(model, "MODEL");
                sections.entry(format!("{dialect}\n{difference}")).or_default().push(model);
            }
            sections.into_iter().fold(String::new(), |mut text, (section, models)| {
                let (dialect, difference) = section.split_once('\n').unwrap();
                write!(text, "=== {dialect}: {}\n{difference}", models.join(", ")).unwrap();
                text
            })
        },
    );
}

/// The limits of a model, as words.
fn limits(can: &Capabilities) -> Vec<String> {
    let reasoning = match &can.reasoning {
        ReasoningStyle::None => "none".to_owned(),
        ReasoningStyle::Effort { .. } => "effort".to_owned(),
        ReasoningStyle::Budget { off, .. } => format!("budget {off:?}"),
        ReasoningStyle::Adaptive { off, .. } => format!("adaptive {off:?}"),
    };
    let sampler = match can.sampler {
        Sampler::Free { .. } => "free",
        Sampler::OneOf { .. } => "one of",
        Sampler::Fixed => "fixed",
    };
    let switches = [
        ("images", can.images),
        ("documents", can.documents),
        ("audio", can.audio),
        ("video", can.video),
        ("tools", can.tools),
        ("custom tools", can.custom_tools),
        ("system in the middle", can.mid_conversation_system),
        ("prefill", can.prefill),
        ("forced tools beside thoughts", can.forced_tools_beside_thoughts),
        ("penalties", can.penalties),
        ("log probabilities", can.logprobs),
        ("signed calls", can.signed_calls),
        ("media in results", can.media_in_results),
        ("json beside tools", can.json_beside_tools),
        ("capped", can.max_output.is_some()),
    ];
    let switches = switches.map(|(name, is_on)| format!("{name} {is_on}")).into_iter();
    let words = [
        format!("thinks {reasoning}"),
        format!("sampler {sampler}"),
        format!("stops {:?}", can.stop_max),
        format!("json {:?}", can.structured_output),
    ];
    switches.chain(words).collect()
}

#[test]
fn the_golden_files_have_a_model_for_each_limit_that_the_catalog_knows() {
    let (catalog, traits) = (Catalog::embedded().unwrap(), Traits::embedded().unwrap());
    let limits_of = |dialect, entry: &Model| limits(&traits.target(dialect, kind(dialect), &entry.id, Some(entry)).can);
    let chosen = MODELS.map(|(dialect, model)| {
        (dialect, limits_of(dialect, catalog.models().find(|entry| entry.id.as_str() == model).unwrap()))
    });
    for entry in catalog.models().filter(|entry| entry.capabilities.contains(&Capability::Tools)) {
        for dialect in spoken(entry) {
            for limit in limits_of(dialect, entry) {
                let is_held = chosen.iter().any(|(other, limits)| *other == dialect && limits.contains(&limit));
                assert!(is_held, "{} over {dialect}: {limit}", entry.id);
            }
        }
    }
}
