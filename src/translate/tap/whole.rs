//! Whether a whole answer is one, and what it says of itself.

use serde::de::{DeserializeOwned, IgnoredAny};

use super::{Seen, usage};
use crate::dialect::{Dialect, Operation, anthropic, error, gemini, openai_chat, openai_responses};

/// Why bytes are no whole answer. Reads on from "the answer of …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotWhole {
    /// The JSON stops before its end: it was cut.
    #[error("was cut before its end")]
    Cut,
    /// It is no JSON object.
    #[error("is no JSON object: {0}")]
    NoObject(String),
}

/// Reads a whole answer. Providers' connections that are cut look like a clean end to the HTTP client, so that this is
/// where it shows.
///
/// # Errors
/// It is not one complete JSON object.
pub fn whole(dialect: Dialect, operation: Operation, body: &[u8]) -> Result<Seen, NotWhole> {
    let mut seen = Seen::default();
    match dialect {
        Dialect::OpenAiChat => take(body, |answer| openai_chat::tap::whole(operation, answer, &mut seen)),
        Dialect::OpenAiResponses => take(body, |answer| openai_responses::tap::whole(operation, answer, &mut seen)),
        Dialect::Anthropic => take(body, |answer| anthropic::tap::whole(operation, answer, &mut seen)),
        Dialect::Gemini => take(body, |answer| gemini::tap::whole(operation, answer, &mut seen)),
    }?;
    seen.first_event = true;
    seen.content = true;
    seen.terminal = true;
    seen.error = seen.error.or_else(|| error_in(dialect, body));
    seen.usage = seen.wire_usage.take().map(|wire| usage(dialect, wire, seen.searches));
    Ok(seen)
}

/// Answers with a good status that are an error all the same are small.
fn error_in(dialect: Dialect, body: &[u8]) -> Option<error::ProviderError> {
    const LARGEST_ERROR: usize = 16 * 1024;
    (body.len() <= LARGEST_ERROR && memchr::memmem::find(body, br#""error""#).is_some())
        .then(|| error::parse(dialect, 0, body))
        .flatten()
}

/// Reads an answer; one whose members are of other types than expected is whole all the same.
fn take<T: DeserializeOwned>(body: &[u8], read: impl FnOnce(T)) -> Result<(), NotWhole> {
    if body.trim_ascii_start().is_empty() {
        return Err(NotWhole::Cut);
    }
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(NotWhole::NoObject("it begins with something else".to_owned()));
    }
    match serde_json::from_slice(body) {
        Ok(answer) => {
            read(answer);
            Ok(())
        }
        Err(error) if error.is_data() => serde_json::from_slice::<IgnoredAny>(body).map(drop).map_err(not_whole),
        Err(error) => Err(not_whole(error)),
    }
}

fn not_whole(error: serde_json::Error) -> NotWhole {
    if error.is_eof() { NotWhole::Cut } else { NotWhole::NoObject(error.to_string()) }
}
