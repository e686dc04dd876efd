//! Whose a call is, and which trace and session it belongs to.
//!
//! What PostHog shows in a URL has to be safe there: a trace's id that is not becomes a UUID, always the same one for the same
//! text.

use std::borrow::Cow;

use uuid::Uuid;

use super::hints::Hints;
use crate::analytics::generation::Generation;

/// The longest id that is taken as it is, in bytes: PostHog keeps no more of a distinct id.
const LONGEST_ID: usize = 200;

/// Where UUIDs for texts come from. Never change it: the same text has to give the same trace.
const NAMESPACE: Uuid = Uuid::from_u128(0x3b0c_7f52_91d4_4c38_a6e5_2d1f_8e47_c0b9);

/// Whose a call is.
#[derive(Debug)]
pub(super) struct Identity<'g> {
    /// The person.
    pub(super) distinct_id: Cow<'g, str>,
    /// Whether that is anybody PostHog should keep a profile of.
    pub(super) person: Person,
    /// The trace.
    pub(super) trace: Cow<'g, str>,
    /// The span around the call.
    pub(super) parent: Option<&'g str>,
    /// The session.
    pub(super) session: Option<Cow<'g, str>>,
}

/// Whether a user is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Person {
    Known,
    Unknown,
}

impl<'g> Identity<'g> {
    pub(super) fn of(generation: &'g Generation, hints: &Hints<'g>) -> Self {
        let asked = &generation.asked;
        let named = filled(asked.end_user.as_deref());
        let own = hints.trace.clone().map(url_safe).or_else(|| hints.parent_trace.map(Cow::Borrowed));
        let trace = own.unwrap_or_else(|| match (named, filled(asked.session.as_deref())) {
            // Claude Code says both in one field, and that field as a whole names the trace.
            (Some(user), Some(session)) => hashed(&format!("{user}\n{session}")),
            (Some(user), None) => url_safe(Cow::Borrowed(user)),
            (None, _) => Cow::Owned(generation.uuid.to_string()),
        });
        let user = filled(generation.named_user()).or_else(|| filled(generation.caller.distinct_id.as_deref()));
        let (distinct_id, person) = match user {
            Some(user) => (bounded(Cow::Borrowed(user)), Person::Known),
            None => (trace.clone(), Person::Unknown),
        };
        let session = hints.session.clone().or_else(|| filled(asked.session.as_deref()).map(Cow::Borrowed));
        Self { distinct_id, person, trace, parent: hints.parent_span, session: session.map(bounded) }
    }
}

fn filled(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// The id, if it may stand in a URL of PostHog's: <https://posthog.com/docs/llm-analytics/manual-capture> lists the characters.
fn url_safe(id: Cow<'_, str>) -> Cow<'_, str> {
    let is_safe = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_~.@()!':|".contains(&byte));
    if is_safe && !id.is_empty() && id.len() <= LONGEST_ID { id } else { hashed(&id) }
}

/// The id, if PostHog would keep it as it is.
fn bounded(id: Cow<'_, str>) -> Cow<'_, str> {
    if id.len() <= LONGEST_ID && !id.chars().any(char::is_control) { id } else { hashed(&id) }
}

fn hashed(text: &str) -> Cow<'static, str> {
    Cow::Owned(Uuid::new_v5(&NAMESPACE, text.as_bytes()).to_string())
}
