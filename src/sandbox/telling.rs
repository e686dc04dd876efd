//! Tells other programs what reached a sandbox: `GET /sandbox/requests?holds=TEXT`.
//!
//! Tests in other languages than this look at what the provider got through it. It lies on the sandbox's own port, which
//! is on loopback, and is no part of what a vendor serves: such a request is neither recorded nor counted.

use serde_json::{Value, json};

use super::record::{Recorded, Seen};
use super::reply::Reply;

const PATH: &str = "/sandbox/requests";

/// What to say to such a request; `None` for all others.
pub(super) fn answer(request: &Recorded, seen: impl FnOnce(&dyn Fn(Seen<'_>) -> Value) -> Value) -> Option<Reply> {
    if request.method != "GET" || request.path() != PATH {
        return None;
    }
    let wanted = url::form_urlencoded::parse(request.query().as_bytes())
        .find_map(|(name, value)| (name == "holds").then(|| value.into_owned()))
        .unwrap_or_default();
    let told = seen(&|seen| {
        let requests = seen.requests.iter().filter(|request| holds(&request.body, wanted.as_bytes()));
        requests.map(tell).collect::<Vec<_>>().into()
    });
    Some(Reply::json(200, &json!({"requests": told})))
}

fn holds(body: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || body.windows(wanted.len()).any(|window| window == wanted)
}

fn tell(request: &Recorded) -> Value {
    let headers = request.headers.iter().map(|(name, value)| json!([name, String::from_utf8_lossy(value)]));
    json!({
        "method": request.method,
        "target": request.target,
        "headers": headers.collect::<Vec<_>>(),
        "text": String::from_utf8_lossy(&request.body),
        "body": request.json(),
    })
}
