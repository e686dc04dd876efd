//! What is known of a call when it has ended.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix_http::header::{HeaderName, HeaderValue};
use bytes::Bytes;
use url::Url;
use uuid::Uuid;

use crate::auth::principal::Principal;
use crate::catalog::cost::Cost;
use crate::dialect::seen::Seen;
use crate::dialect::{Delivery, Dialect};
use crate::ids::{ModelId, ProductName, ProviderName, RequestId, TeamId};

/// The longest name of a model, a reason or a tier that is kept, in bytes.
pub const LONGEST_WORD: usize = 256;

/// The longest name of a user or a session that is kept, in bytes: more than any that PostHog would keep.
pub const LONGEST_NAME: usize = 1024;

/// The longest sentence that is kept, in bytes.
pub const LONGEST_SENTENCE: usize = 4096;

/// One call, as it ended. Bodies are held by reference: nothing is decoded or copied to make one.
#[derive(Clone, Debug)]
pub struct Generation {
    /// Made once; with the timestamp it tells PostHog a repeated event from a new one. The request's id, where that was made here.
    pub uuid: Uuid,
    /// When the call began.
    pub timestamp: SystemTime,
    /// Follows the call everywhere.
    pub request_id: RequestId,
    /// On whose behalf.
    pub product: ProductName,
    /// Whose token it was.
    pub caller: Arc<Principal>,
    /// The team that the event is attributed to: the caller's own, or one that it may name.
    pub team: Option<TeamId>,
    /// What the request's body says, as far as it was looked at.
    pub asked: Asked,
    /// The headers that speak of the event: `x-posthog-…` and `traceparent`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How the caller speaks.
    pub dialect: Dialect,
    /// How the answer went to the caller.
    pub delivery: Delivery,
    /// Who served; none where the call never got that far.
    pub served: Option<Served>,
    /// How it ended.
    pub end: End,
    /// What the answer said of itself.
    pub seen: Seen,
    /// What it cost; none where that was never settled.
    pub cost: Option<Cost>,
    /// How long it took.
    pub timings: Timings,
    /// What was said.
    pub content: Content,
}

/// What a request's body says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    /// The model as the caller named it.
    pub model: Option<String>,
    /// The end user that the caller named.
    pub end_user: Option<String>,
    /// The session that Claude Code names beside its user.
    pub session: Option<String>,
    /// The temperature.
    pub temperature: Option<f64>,
    /// The most tokens that the answer may have.
    pub max_output_tokens: Option<u64>,
}

/// Who served a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Served {
    /// The provider.
    pub provider: ProviderName,
    /// The model as it names it.
    pub model: ModelId,
    /// How it is spoken to.
    pub dialect: Dialect,
    /// How its answer came.
    pub delivery: Delivery,
    /// Where it is; none where no call was made.
    pub base_url: Option<Url>,
    /// The request's fields that it has no equivalent for, as `x-llm-gateway-ignored` has them. What of the answer could not
    /// be said is in [`Seen::unsaid`].
    pub ignored: Option<HeaderValue>,
    /// Whether it was the first choice.
    pub choice: Preference,
}

/// Whether the provider that was first choice served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preference {
    /// It did.
    First,
    /// Another one served in its place.
    Fallback,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The status that the caller saw; 499 where it had left.
    pub status: u16,
    /// What went wrong.
    pub failure: Option<Failure>,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A stable word for it.
    pub code: &'static str,
    /// A sentence, which may repeat something of the request.
    pub message: String,
}

/// How long a call took, from its head's arrival.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Until it had ended.
    pub latency: Duration,
    /// Until the first of the answer's content went out; of streams only.
    pub first_token: Option<Duration>,
    /// What of the time to the answer's head the gateway itself took.
    pub overhead: Option<Duration>,
}

/// What was said in a call.
#[derive(Clone, Debug)]
pub enum Content {
    /// All of it.
    Held {
        /// The request's body, as the caller sent it.
        request: Bytes,
        /// The answer's, as the caller got it.
        answer: Answer,
    },
    /// The product's events have numbers only.
    Metadata,
    /// The caller asked for privacy.
    Private,
}

/// An answer's body, in the caller's dialect.
#[derive(Clone, Debug, Default)]
pub enum Answer {
    /// There was none, or only an error.
    #[default]
    Nothing,
    /// One document.
    Whole(Bytes),
    /// The pieces of a stream, as they were passed on.
    Stream {
        /// The first ones, or all.
        pieces: Vec<Bytes>,
        /// Whether they are all.
        extent: Extent,
    },
}

/// Whether all of a stream was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All that went out.
    Complete,
    /// What more came was not kept: it would have been too much.
    Beginning,
}

impl Generation {
    /// How many bytes are held for it, about: what a buffer's bound counts.
    pub fn held_bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 64).sum();
        let content = match &self.content {
            Content::Held { request, answer } => request.len() + answer.held_bytes(),
            Content::Metadata | Content::Private => 0,
        };
        let asked = &self.asked;
        let named = [&asked.model, &asked.end_user, &asked.session, &self.seen.unsaid];
        let named: usize = named.into_iter().flatten().map(String::len).sum();
        let failure = self.end.failure.as_ref().map_or(0, |failure| failure.message.len());
        // What the small strings and the usage take, too.
        size_of::<Self>() + 1024 + headers + named + failure + content
    }

    /// Whom the call was for, as far as its caller said so and was to be believed: an OAuth token is its user's.
    pub fn named_user(&self) -> Option<&str> {
        use crate::auth::principal::Credential;
        match self.caller.credential {
            Credential::OAuth { .. } => None,
            Credential::ApiKey { .. } => self.asked.end_user.as_deref(),
        }
    }
}

impl Answer {
    fn held_bytes(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Whole(body) => body.len(),
            Self::Stream { pieces, .. } => pieces.iter().map(|piece| piece.len() + size_of::<Bytes>()).sum(),
        }
    }
}

/// The beginning of a text, of at most this many bytes.
pub fn short(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let mut end = most;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Cuts a text down to its [beginning](short). What is short already stays where it is.
pub fn shorten(text: &mut String, most: usize) {
    if text.len() > most {
        // Without the room that the rest had.
        *text = short(text, most).to_owned();
    }
}
