//! Server-sent events: the same however they are split, and what is written is read again.
#![no_main]

#[path = "../support.rs"]
#[allow(dead_code, reason = "each target uses a part of it")]
mod support;

use gateway::dialect::sse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(case) = support::Case::of(data) else { return };
    let whole = read([case.bytes]);
    assert_eq!(read(case.pieces()), whole, "split");
    let mut written = Vec::new();
    for data in &whole {
        sse::write(&mut written, data);
    }
    // A carriage return ends a line as well, so that it cannot be in an event's data.
    assert_eq!(read([&written]), whole, "written and read again");
});

fn read(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Vec<String> {
    let mut parser = sse::Parser::with_limit(1 << 20);
    let mut events = Vec::new();
    for piece in pieces {
        if parser.push(piece.as_ref(), |data| events.push(data.to_owned())).is_err() {
            return events;
        }
    }
    parser.finish(|data| events.push(data.to_owned()));
    events
}
