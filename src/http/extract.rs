//! What a request says, before it is a call: its id, its token, its body.

use std::sync::Arc;
use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName};
use actix_web::{HttpMessage as _, HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use crate::auth::principal::Principal;
use crate::auth::token::{self, Presented, Token};
use crate::dialect::Dialect;
use crate::exchange::memory::Held;
use crate::fault::{Fault, FaultKind};
use crate::http::State;
use crate::http::routes::Route;
use crate::ids::{ProductName, RequestId};

/// How much of a refused request's body is read at most before the refusal goes out, in bytes.
const SKIM_AT_MOST: usize = 256 * 1024;

/// How long that may take.
const SKIM_FOR: Duration = Duration::from_millis(250);

/// What is reserved at once for a body that says how long it is, in bytes.
const FIRST_CAPACITY: usize = 1024 * 1024;

/// Who calls, for which product.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The product, as configured.
    pub product: ProductName,
    /// Whose token it is.
    pub principal: Arc<Principal>,
}

/// A request that is not served.
pub struct Refused {
    /// Why.
    pub fault: Fault,
    /// What is left of its body, if that was not read to its end.
    pub unread: Option<web::Payload>,
}

/// The request's id: made by the root span, from the caller's where that was sane.
pub fn request_id(request: &HttpRequest) -> RequestId {
    request.extensions().get::<RequestId>().cloned().unwrap_or_else(RequestId::generate)
}

/// The caller's own words in a message: short, and printable.
pub fn shown(text: &str) -> String {
    const MOST: usize = 120;
    let mut out: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST).is_some() {
        out.push('…');
    }
    out
}

/// The one token that a request presents.
///
/// # Errors
/// 401 for none, a malformed one, or two that differ.
pub fn token(request: &HttpRequest, route: &Route<'_>) -> Result<Token, Fault> {
    const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
    const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
    let headers = request.headers();
    let all = |name: HeaderName| headers.get_all(name).map(|value| value.as_bytes()).collect::<Vec<_>>();
    let mut presented: Vec<Presented<'_>> = Vec::with_capacity(2);
    presented.extend(all(actix_web::http::header::AUTHORIZATION).into_iter().map(Presented::Authorization));
    presented.extend(all(X_API_KEY).into_iter().map(Presented::ApiKeyHeader));
    let in_query: Vec<String>;
    if route.dialect() == Dialect::Gemini {
        presented.extend(all(X_GOOG_API_KEY).into_iter().map(Presented::GoogleKey));
        in_query = url::form_urlencoded::parse(request.query_string().as_bytes())
            .filter(|(name, _)| name == "key")
            .map(|(_, value)| value.into_owned())
            .collect();
        presented.extend(in_query.iter().map(|value| Presented::GoogleKey(value.as_bytes())));
    }
    token::pick(presented)
}

/// The whole body, within the limits of size, time and memory, and what it holds of that: until the last copy of it is dropped, or
/// it is released before.
///
/// # Errors
/// 413, 408, 415, 400 for a body that ended early, and 503 when all bodies together would hold too much.
pub async fn body(
    request: &HttpRequest,
    mut payload: web::Payload,
    state: &State,
) -> Result<(Bytes, Arc<Held>), Refused> {
    let config = state.gateway.config.load();
    let (limit, patience) = (config.server.body_limit, config.server.body_timeout);
    drop(config);
    let declared = declared(request.headers());
    if declared.is_some_and(|length| length > limit) {
        return Err(Refused { fault: too_large(limit), unread: Some(payload) });
    }
    if let Err(fault) = acceptable(request.headers()) {
        return Err(Refused::skimmed(fault, payload).await);
    }
    let mut held = state.gateway.bodies.begin();
    // What says how long it is has its room before any of it is read.
    if !held.grow(declared.unwrap_or_default()) {
        return Err(Refused { fault: no_room(), unread: Some(payload) });
    }
    match tokio::time::timeout(patience, collect(&mut payload, limit, declared, &mut held)).await {
        Ok(Ok(text)) => {
            let held = Arc::new(held);
            Ok((Bytes::from_owner(HeldBody { text, _held: Arc::clone(&held) }), held))
        }
        Ok(Err(Unreadable::NoRoom)) => Err(Refused { fault: no_room(), unread: Some(payload) }),
        Ok(Err(Unreadable::TooLarge)) => Err(Refused { fault: too_large(limit), unread: Some(payload) }),
        Ok(Err(Unreadable::Cut)) => {
            let said = "the request's body ended before it was complete; send it again";
            Err(Refused { fault: Fault::new(FaultKind::InvalidJson, said), unread: None })
        }
        Err(_) => {
            let said = format!("the request's body did not arrive within {} s", patience.as_secs_f64());
            Err(Refused { fault: Fault::new(FaultKind::SlowBody, said), unread: Some(payload) })
        }
    }
}

impl Refused {
    /// A refusal that does not depend on the body. What of it is there already is read, so that the connection can serve
    /// the next request.
    pub async fn skimmed(fault: Fault, mut payload: web::Payload) -> Self {
        let mut left = SKIM_AT_MOST;
        let reading = async {
            while let Some(Ok(piece)) = payload.next().await {
                left = left.saturating_sub(piece.len());
                if left == 0 {
                    return false;
                }
            }
            true
        };
        let is_read = tokio::time::timeout(SKIM_FOR, reading).await.unwrap_or(false);
        Self { fault, unread: (!is_read).then_some(payload) }
    }
}

enum Unreadable {
    TooLarge,
    NoRoom,
    Cut,
}

/// A body, and its share of what bodies may hold.
struct HeldBody {
    text: Bytes,
    _held: Arc<Held>,
}

impl AsRef<[u8]> for HeldBody {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

async fn collect(
    payload: &mut web::Payload,
    limit: usize,
    declared: Option<usize>,
    held: &mut Held,
) -> Result<Bytes, Unreadable> {
    let mut first: Option<Bytes> = None;
    let mut all = BytesMut::new();
    let mut room = declared.unwrap_or_default();
    while let Some(piece) = payload.next().await {
        let piece = piece.map_err(|error: PayloadError| {
            tracing::debug!(error = %error, "a request's body was cut");
            Unreadable::Cut
        })?;
        let read = first.as_ref().map_or(0, Bytes::len).max(all.len()) + piece.len();
        if read > limit {
            return Err(Unreadable::TooLarge);
        }
        if read > room {
            if !held.grow(read - room) {
                return Err(Unreadable::NoRoom);
            }
            room = read;
        }
        match (&first, all.is_empty()) {
            // Most bodies come in one piece, and need no copy.
            (None, true) => first = Some(piece),
            (Some(begun), true) => {
                all.reserve(
                    declared
                        .unwrap_or_default()
                        .clamp(begun.len() + piece.len(), FIRST_CAPACITY.max(begun.len() + piece.len())),
                );
                all.extend_from_slice(begun);
                all.extend_from_slice(&piece);
            }
            (_, false) => all.extend_from_slice(&piece),
        }
    }
    Ok(if all.is_empty() { first.unwrap_or_default() } else { all.freeze() })
}

/// Whether the body is declared as something that is read here.
fn acceptable(headers: &HeaderMap) -> Result<(), Fault> {
    if let Some(encoding) = headers.get(CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return Err(Fault::new(
            FaultKind::UnsupportedMediaType,
            "a compressed request body is not taken here; send it without content-encoding",
        ));
    }
    let Some(kind) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let essence = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || essence.starts_with("application/") && essence.ends_with("+json") {
        return Ok(());
    }
    Err(Fault::new(
        FaultKind::UnsupportedMediaType,
        format!("the body is declared as \"{}\"; send JSON with content-type: application/json", shown(&essence)),
    ))
}

fn declared(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

fn no_room() -> Fault {
    let said = "too many large requests are being served at this moment; try again";
    Fault::new(FaultKind::GatewayUnavailable, said).retry_after(Duration::from_secs(1))
}

fn too_large(limit: usize) -> Fault {
    Fault::new(
        FaultKind::RequestTooLarge,
        format!("the request's body is larger than {limit} bytes, the limit that server.body_limit sets"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_words_are_shown_short_and_printable() {
        assert_eq!(shown("a\u{0}b\n"), "a\\0b\\n");
        assert_eq!(shown(&"x".repeat(500)).chars().count(), 121);
    }
}
