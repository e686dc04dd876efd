//! Keeps what a call's event will need, by reference, and hands it in when the call has ended.
//!
//! Nothing is kept where nobody wants events: neither when there are none, nor for counts of tokens, which are no generations,
//! nor for products that capture nothing. Refusals for a limit or a missing right are no generations either: they are
//! counted in metrics.

use std::sync::Arc;

use actix_http::header::{HeaderName, HeaderValue};
use bytes::Bytes;
use uuid::Uuid;

use crate::analytics::generation::{
    Answer, Asked, Content, End, Extent, Generation, LONGEST_NAME, LONGEST_SENTENCE, LONGEST_WORD, Preference, Served,
    Timings, short, shorten,
};
use crate::auth::principal::{Credential, Principal};
use crate::catalog::cost::Cost;
use crate::config::Config;
use crate::config::products::Capture;
use crate::dialect::peek::Peek;
use crate::dialect::seen::Seen;
use crate::dialect::{Delivery, Dialect, Operation};
use crate::exchange::bill::Progress;
use crate::exchange::memory::Held;
use crate::exchange::plan::Plan;
use crate::exchange::{Call, Gateway};
use crate::fault::FaultKind;
use crate::ids::{ModelId, ProductName, ProviderName, RequestId, TeamId};

/// The most headers that are kept for an event.
const MOST_HEADERS: usize = 160;

/// What a piece of a stream costs beside its bytes.
const PIECE: usize = size_of::<Bytes>();

/// What is kept of a call while it is under way.
#[derive(Debug)]
pub struct Record {
    caller: Arc<Principal>,
    team: Option<TeamId>,
    headers: Vec<(HeaderName, HeaderValue)>,
    dialect: Dialect,
    delivery: Delivery,
    asked: Asked,
    planned: Option<Planned>,
    content: Content,
    stream: Option<Stream>,
    verdict: Verdict,
    /// The body's share of what bodies of calls under way may hold.
    room: Arc<Held>,
}

/// Where the call went.
#[derive(Debug)]
struct Planned {
    provider: ProviderName,
    model: ModelId,
    dialect: Dialect,
    delivery: Delivery,
    progress: Progress,
    ignored: Option<HeaderValue>,
    choice: Preference,
}

/// The pieces of a stream that have gone out.
#[derive(Debug)]
struct Stream {
    pieces: Vec<Bytes>,
    extent: Extent,
    bytes: usize,
    most: usize,
    held: Held,
}

/// Whether the call becomes an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Counts,
    /// It was refused for a limit.
    Refused,
}

/// What the account of a call knows that its record does not.
pub struct Account<'a> {
    /// Follows the call.
    pub request_id: &'a RequestId,
    /// On whose behalf.
    pub product: &'a ProductName,
    /// How it ended.
    pub end: End,
    /// What went wrong, in one word.
    pub fault: Option<FaultKind>,
    /// What was seen of the answer.
    pub seen: Seen,
    /// What it cost.
    pub cost: Option<Cost>,
    /// How long it took.
    pub timings: Timings,
}

impl Record {
    /// Begins to keep what a call's event needs; `None` where there will be no event.
    pub fn open(gateway: &Gateway, call: &Call, config: &Config) -> Option<Box<Self>> {
        if !gateway.analytics.is_on() || call.operation == Operation::CountTokens {
            return None;
        }
        let content = match config.products.get(call.product.as_str()).map(|product| product.capture) {
            Some(Capture::Off) | None => return None,
            Some(Capture::Metadata) => Content::Metadata,
            Some(Capture::Full) if wants_privacy(&call.headers) => Content::Private,
            Some(Capture::Full) => Content::Held { request: call.body.clone(), answer: Answer::Nothing },
        };
        let from_path = call.from_path.as_ref();
        Some(Box::new(Self {
            caller: Arc::clone(&call.principal),
            team: team(call, config),
            headers: hints(&call.headers),
            dialect: call.dialect,
            delivery: from_path.map_or(Delivery::Whole, |(_, delivery)| *delivery),
            asked: Asked {
                model: from_path.map(|(model, _)| short(model, LONGEST_WORD).to_owned()),
                ..Asked::default()
            },
            planned: None,
            content,
            stream: None,
            verdict: Verdict::Counts,
            room: Arc::clone(&call.room),
        }))
    }

    /// The body has been looked at.
    pub fn asked(&mut self, asked: &Peek, named_user: Option<&str>) {
        if asked.stream {
            self.delivery = Delivery::Events;
        }
        self.asked = Asked {
            model: asked
                .model
                .as_ref()
                .map(|field| short(&field.text, LONGEST_WORD).to_owned())
                .or_else(|| self.asked.model.take()),
            end_user: named_user.map(|user| short(user, LONGEST_NAME).to_owned()),
            session: asked.session.as_deref().map(|session| short(session, LONGEST_NAME).to_owned()),
            temperature: asked.temperature,
            max_output_tokens: asked.max_output_tokens,
        };
    }

    /// The call has a provider. Told again, it has another one in that one's place.
    pub fn planned(&mut self, plan: &Plan) {
        self.delivery = plan.delivery;
        let choice = if self.planned.is_some() { Preference::Fallback } else { Preference::First };
        self.planned = Some(Planned {
            provider: plan.provider.clone(),
            model: plan.model.clone(),
            dialect: plan.dialect,
            delivery: plan.upstream_delivery(),
            progress: plan.progress.clone(),
            ignored: plan.ignored.clone(),
            choice,
        });
    }

    /// A limit forbids the call: no provider hears of it, and no event is made.
    pub fn refused(&mut self) {
        self.verdict = Verdict::Refused;
    }

    /// The answer goes out whole.
    pub fn answered(&mut self, body: &Bytes) {
        if let Content::Held { answer, .. } = &mut self.content {
            *answer = Answer::Whole(body.clone());
        }
    }

    /// The answer goes out in pieces.
    pub fn stream_opened(&mut self, gateway: &Gateway) {
        if let Content::Held { .. } = &self.content {
            let most = gateway.config.load().analytics.stream_bytes;
            self.stream = Some(Stream {
                pieces: Vec::new(),
                extent: Extent::Complete,
                bytes: 0,
                most,
                held: gateway.captures.begin(),
            });
        }
    }

    /// A piece of it goes out.
    pub fn passed(&mut self, piece: &Bytes) {
        let Some(stream) = &mut self.stream else { return };
        if stream.extent == Extent::Beginning {
            return;
        }
        let bytes = piece.len() + PIECE;
        if stream.bytes + bytes > stream.most || !stream.held.grow(bytes) {
            stream.extent = Extent::Beginning;
            return;
        }
        stream.bytes += bytes;
        stream.pieces.push(piece.clone());
    }

    /// Hands the call in.
    pub fn hand_in(self, gateway: &Gateway, mut account: Account<'_>) {
        if self.verdict == Verdict::Refused || account.fault == Some(FaultKind::ModelNotAllowed) {
            return;
        }
        bound(&mut account);
        let mut content = self.content;
        if let (Content::Held { answer, .. }, Some(stream)) = (&mut content, self.stream) {
            *answer = Answer::Stream { pieces: stream.pieces, extent: stream.extent };
        }
        // The call is over; from here on, its body counts for the analytics' buffer.
        self.room.release();
        let now = gateway.clock.wall();
        gateway.analytics.record(Generation {
            uuid: account.request_id.unique().unwrap_or_else(Uuid::now_v7),
            timestamp: now.checked_sub(account.timings.latency).unwrap_or(now),
            request_id: account.request_id.clone(),
            product: account.product.clone(),
            caller: self.caller,
            team: self.team,
            asked: self.asked,
            headers: self.headers,
            dialect: self.dialect,
            delivery: self.delivery,
            served: self.planned.map(Planned::served),
            end: account.end,
            seen: account.seen,
            cost: account.cost,
            timings: account.timings,
            content,
        });
    }
}

impl Planned {
    fn served(self) -> Served {
        Served {
            provider: self.provider,
            model: self.model,
            dialect: self.dialect,
            delivery: self.delivery,
            base_url: self.progress.sent_to(),
            ignored: self.ignored,
            choice: self.choice,
        }
    }
}

/// Keeps no more of what others have named than an event shows.
fn bound(account: &mut Account<'_>) {
    let seen = &mut account.seen;
    let words = [&mut seen.model, &mut seen.response_id, &mut seen.finish, &mut seen.service_tier];
    words.into_iter().flatten().for_each(|word| shorten(word, LONGEST_WORD));
    let failure = account.end.failure.as_mut().map(|failure| &mut failure.message);
    seen.unsaid.iter_mut().chain(failure).for_each(|sentence| shorten(sentence, LONGEST_SENTENCE));
}

/// The headers that speak of the event.
fn hints(headers: &[(HeaderName, HeaderValue)]) -> Vec<(HeaderName, HeaderValue)> {
    let is_hint = |(name, _): &&(HeaderName, HeaderValue)| {
        let name = name.as_str();
        name.starts_with("x-posthog-") || name == "traceparent"
    };
    headers.iter().filter(is_hint).take(MOST_HEADERS).cloned().collect()
}

fn wants_privacy(headers: &[(HeaderName, HeaderValue)]) -> bool {
    headers
        .iter()
        .any(|(name, value)| name == "x-posthog-privacy-mode" && value.as_bytes().eq_ignore_ascii_case(b"true"))
}

/// The team that the event belongs to: the caller's, or, for keys that configuration trusts with it, one that they name.
fn team(call: &Call, config: &Config) -> Option<TeamId> {
    let own = call.principal.team;
    let Credential::ApiKey { id } = &call.principal.credential else { return own };
    if !config.attribution.team_override_keys.contains(id) {
        return own;
    }
    let named = |header: &str| {
        let (_, value) = call.headers.iter().find(|(name, _)| name == header)?;
        value.to_str().ok()?.trim().parse::<i32>().ok().filter(|team| *team > 0).map(TeamId)
    };
    named("x-posthog-property-team_id").or_else(|| named("x-posthog-team-id")).or(own)
}
