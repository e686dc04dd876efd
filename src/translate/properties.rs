//! Random requests, answers and streams through all sixteen pairs: what is said arrives, and what does not is reported.

mod answers;
mod order;
mod requests;
mod tools;
mod wire_grammar;

use proptest::prelude::*;
use serde_json::Value;

use super::called::called;
use super::{Strictness, decode, encode};
use crate::dialect::{Capabilities, Dialect, RequestHead, Sampler, StructuredOutput, Target};
use crate::ir::{Losses, Request};

/// How many random values each property is held to.
fn cases() -> ProptestConfig {
    ProptestConfig::with_cases(128)
}

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

/// A model that takes as little as any of its dialect does.
fn narrow(dialect: Dialect) -> Target {
    let can = Capabilities {
        custom_tools: false,
        prefill: false,
        mid_conversation_system: false,
        sampler: Sampler::Fixed,
        penalties: false,
        logprobs: false,
        structured_output: StructuredOutput::ForcedTool,
        json_object: false,
        json_beside_tools: false,
        media_in_results: false,
        max_output: Some(64),
        stop_max: Some(0),
        tool_name_max: 16,
        ..Capabilities::unlimited(dialect)
    };
    Target { can, ..Target::unlimited(dialect, "model") }
}

/// Whether something of these is reported, or of what is in them.
fn reports(said: &Request, losses: &Losses, names: &[&str]) -> bool {
    let is_called = |field: &str, name: &str| field.starts_with(name) || field.starts_with(&called(said, name));
    losses.iter().any(|loss| names.iter().any(|name| is_called(&loss.field, name)))
}

fn said_or_not<T: std::fmt::Debug>(field: Option<T>) -> String {
    field.map(|field| format!("{field:?}")).unwrap_or_default()
}
