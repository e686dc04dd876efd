//! Puts a rendered answer on the wire, with the mishaps that its prompt asked for.

use bytes::Bytes;
use serde_json::Value;

use super::directive::Directives;
use super::reply::{Act, Ending, Framing, Reply};

/// A whole answer.
pub(super) fn whole(mut reply: Reply, directives: &Directives, body: &Value) -> Reply {
    let body = Bytes::from(body.to_string());
    reply.acts.push(Act::Delay(directives.delay));
    if directives.stall.is_some() {
        return reply.stall();
    }
    if directives.cut.is_some() {
        let half = body.slice(..body.len() / 2);
        return reply.content_length(body.len()).body(half).cut();
    }
    reply.body(body)
}

/// A stream of frames, each one event as it goes over the wire; `broken` is how this provider says in a stream that
/// it failed.
pub(super) fn stream(mut reply: Reply, directives: &Directives, frames: Vec<Bytes>, broken: Bytes) -> Reply {
    reply.framing = Framing::Chunked;
    reply.acts.push(Act::Delay(directives.delay));
    reply.acts.push(Act::Head);
    let count = frames.len();
    let stop = [directives.stall, directives.cut, directives.stream_error]
        .into_iter()
        .flatten()
        .map(|point| point.of(count))
        .min();
    let cut = directives.cut.is_some_and(|point| Some(point.of(count)) == stop);
    // The frame that is cut goes out by half.
    let sent = stop.map_or(count, |stop| if cut { stop + 1 } else { stop });
    for frame in frames.into_iter().take(sent) {
        if !directives.pace.is_zero() {
            reply.acts.push(Act::Delay(directives.pace));
        }
        reply.acts.push(Act::Bytes(frame));
    }
    match stop {
        Some(_) if cut => reply.ending = Ending::HalfChunk,
        Some(_) if directives.stall.is_some() => reply.acts.push(Act::Stall),
        Some(_) => reply.acts.push(Act::Bytes(broken)),
        None => {}
    }
    reply
}
