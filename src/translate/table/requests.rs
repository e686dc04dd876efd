//! What becomes of each field of a request.

mod chat;
mod generate_content;
mod messages;
mod responses;

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Fate, Probe, put_over, table};
use crate::config::providers::Kind;
use crate::dialect::{Dialect, RequestHead, Target};
use crate::ir::{Effort, Loss, Severity, mark};
use crate::sandbox::testing::Provider;
use crate::translate::{Strictness, decode, encode};

pub(super) fn table_of(caller: Dialect) -> String {
    let plain = plain(caller);
    let rows = probes(caller).into_iter().map(|probe| {
        let others = Dialect::ALL.into_iter().filter(|provider| *provider != caller);
        let fates = others.map(|provider| fate(caller, provider, &plain, &probe)).collect();
        (probe.label.to_owned(), fates)
    });
    table(caller, "field", &rows.collect::<Vec<_>>())
}

/// OpenAI's callers have to say JSON where they want it.
fn plain(caller: Dialect) -> Value {
    match caller {
        Dialect::OpenAiChat => json!({"model": "m", "messages": [{"role": "user", "content": "hello, in JSON"}]}),
        Dialect::OpenAiResponses => json!({"model": "m", "input": [{"role": "user", "content": "hello, in JSON"}]}),
        Dialect::Anthropic => {
            json!({"model": "m", "max_tokens": 20_000, "messages": [{"role": "user", "content": "hello"}]})
        }
        Dialect::Gemini => json!({"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}),
    }
}

/// The request for this provider, and the losses; or why there is none.
fn sent(caller: Dialect, provider: Dialect, body: &Value) -> Result<(String, Vec<Loss>), String> {
    let head = RequestHead { model: Some("m".to_owned()), ..RequestHead::default() };
    let request = decode(caller, body.to_string().as_bytes(), &head).unwrap_or_else(|fault| panic!("{body}: {fault}"));
    // All kinds of media: what a model takes of them is the catalog's business.
    let mut target = Target::unlimited(provider, "m");
    (target.can.audio, target.can.video) = (true, provider == Dialect::Gemini);
    match encode(&request, &target, Strictness::Report) {
        Ok(upstream) => {
            judge(provider, &upstream.body, body);
            let undone = format!("{:?}", upstream.adaptions);
            let losses = upstream.losses.iter().cloned().collect();
            Ok((String::from_utf8(upstream.body).unwrap() + &undone, losses))
        }
        Err(fault) => Err(generally(&fault.message, fault.param.as_deref(), provider)),
    }
}

/// Models of which one at least takes whatever its vendor does.
fn models(provider: Dialect) -> &'static [&'static str] {
    match provider {
        Dialect::OpenAiChat | Dialect::OpenAiResponses => &["gpt-4.1", "gpt-5.1"],
        Dialect::Anthropic => &["claude-sonnet-4-5", "claude-opus-4-8"],
        Dialect::Gemini => &["gemini-2.0-flash", "gemini-2.5-flash", "gemini-3-pro-preview"],
    }
}

/// Holds that the provider takes what is sent: what it refuses has not arrived, whatever stands in it.
fn judge(provider: Dialect, sent: &[u8], said: &Value) {
    let mut sent: Value = serde_json::from_slice(sent).unwrap();
    // The last is asked first, for the first is spared something.
    let answers = models(provider).iter().rev().map(|model| {
        let (kind, path) = match provider {
            Dialect::OpenAiChat => (Kind::OpenAi, "/v1/chat/completions".to_owned()),
            Dialect::OpenAiResponses => (Kind::OpenAi, "/v1/responses".to_owned()),
            Dialect::Anthropic => (Kind::Anthropic, "/v1/messages".to_owned()),
            Dialect::Gemini => (Kind::Gemini, format!("/v1beta/models/{model}:generateContent")),
        };
        if provider != Dialect::Gemini {
            sent["model"] = (*model).into();
        }
        // A target that takes everything is asked for its thoughts, too.
        if *model == "gpt-4.1"
            && let Some(include) = sent.get_mut("include").and_then(Value::as_array_mut)
        {
            include.retain(|what| what != "reasoning.encrypted_content");
        }
        let said = Provider::new(kind).post(&path, &sent);
        (said.status(), said.text())
    });
    let answers: Vec<(u16, String)> = answers.collect();
    assert!(answers.iter().any(|(status, _)| *status == 200), "{provider} refuses {sent}\nfor {said}: {answers:?}");
}

/// A reason without the place and the provider's name.
fn generally(reason: &str, field: Option<&str>, provider: Dialect) -> String {
    let place = field.filter(|field| field.contains('['));
    let reason = place.and_then(|place| reason.strip_prefix(place)).unwrap_or(reason).trim_start();
    let (named, spoken) = (provider.to_string(), super::title(provider));
    let general = reason.replace(&format!("exist in {named}"), "exist there").replace(&named, "that provider");
    general
        .replace(&format!("that {spoken} does not take"), "that is not taken there")
        .replace(&format!("that {spoken} do not take"), "that is not taken there")
}

fn fate(caller: Dialect, provider: Dialect, plain: &Value, probe: &Probe) -> Fate {
    let mut body = plain.clone();
    put_over(&mut body, &probe.said);
    let mut base = plain.clone();
    put_over(&mut base, &beside(&probe.said));
    let (before, _) = sent(caller, provider, &base).unwrap();
    let (after, losses) = match sent(caller, provider, &body) {
        Ok(sent) => sent,
        Err(reason) => return Fate::Refused(reason),
    };
    let arrived = !probe.needle.is_empty() && after.to_lowercase().contains(&probe.needle.to_lowercase());
    let approximated = losses.iter().find(|loss| loss.severity == Severity::Approximated);
    match losses.iter().find(|loss| loss.severity == Severity::Ignored) {
        // Several things may be said of one: what was left out counts.
        Some(_) if !arrived => return Fate::Reported,
        _ => {}
    }
    if let Some(loss) = approximated {
        return Fate::Approximated(Some(loss.reason.clone()));
    }
    if arrived || (probe.needle.is_empty() && after != before) {
        return Fate::Carried;
    }
    if after != before {
        return Fate::Approximated(None);
    }
    assert!(NEEDLESS.contains(&probe.label), "{} is lost silently from {caller} to {provider}", probe.label);
    Fate::Needless
}

/// What a probe needs to have beside the thing itself: the tools of a choice, how much is thought of what is shown.
fn beside(said: &Value) -> Value {
    let mut rest = said.clone();
    let mut is_beside = false;
    for (group, key) in [
        ("", "tool_choice"),
        ("", "toolConfig"),
        ("", "parallel_tool_calls"),
        ("/reasoning", "summary"),
        ("/generationConfig/thinkingConfig", "includeThoughts"),
    ] {
        let group = rest.pointer_mut(group).and_then(Value::as_object_mut);
        is_beside |= group.is_some_and(|group| group.len() > 1 && group.shift_remove(key).is_some());
    }
    if is_beside { rest } else { json!({}) }
}

/// How much to think, in words and in tokens.
pub(super) fn efforts() -> String {
    let words = [Effort::None, Effort::Minimal, Effort::Low, Effort::Medium, Effort::High, Effort::XHigh, Effort::Max];
    let mut text = "| effort | is a budget of | which is an effort of |\n|---|---|---|\n".to_owned();
    for effort in words {
        let tokens = effort.tokens();
        writeln!(text, "| `{}` | {tokens} | `{}` |", effort.as_str(), Effort::from_tokens(tokens).as_str()).unwrap();
    }
    text
}

/// What need not be said elsewhere, since it is what happens there anyway, or concerns only how the answer is told.
const NEEDLESS: &[&str] = &[
    "`stream_options`",
    "`stream`",
    "`background: false`, `truncation: disabled`",
    "`include: reasoning.encrypted_content`",
    "`thinking: adaptive`",
    "`tool_choice: auto`",
    "`toolConfig` `AUTO`",
    "`parallel_tool_calls: true`",
    "`response_format: text`",
];

fn probe(label: &'static str, needle: &'static str, said: Value) -> Probe {
    Probe { label, said, needle }
}

fn schema() -> Value {
    json!({"type": "object", "properties": {"needle": {"type": "string"}}, "required": ["needle"], "additionalProperties": false})
}

fn long() -> String {
    format!("needle.{}", "x".repeat(140))
}

fn probes(caller: Dialect) -> Vec<Probe> {
    match caller {
        Dialect::OpenAiChat => chat::probes(),
        Dialect::OpenAiResponses => responses::probes(),
        Dialect::Anthropic => messages::probes(),
        Dialect::Gemini => generate_content::probes(),
    }
}

/// An id as every provider takes it.
fn portable(id: &str) -> &'static str {
    Box::leak(mark::portable_id(id).into_owned().into_boxed_str())
}
