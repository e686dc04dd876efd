//! What passes untouched: a body's splices change what they should and nothing else, and a stream that is cut anywhere ends in
//! an error, whatever it was.
#![no_main]

#[path = "../support.rs"]
#[allow(dead_code, reason = "each target uses a part of it")]
mod support;

use bytes::Bytes;
use gateway::dialect::peek::peek;
use gateway::dialect::splice::Splice;
use gateway::dialect::{Delivery, Dialect, Operation, error};
use gateway::fault::{Fault, FaultKind};
use gateway::ids::RequestId;
use gateway::translate::tap::{Tap, UsageChunkFilter, whole};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let Some(case) = support::Case::of(data) else { return };
    request(&case);
    answer(&case);
});

fn request(case: &support::Case<'_>) {
    let operation = if case.variant & 1 == 0 { Operation::Generate } else { Operation::CountTokens };
    let Ok(peek) = peek(case.dialect, operation, case.bytes) else { return };
    let body = Bytes::copy_from_slice(case.bytes);
    let mut splice = Splice::of(&body);
    if let Some(field) = &peek.model {
        splice = splice.model(field, "another \"model\"");
    }
    if case.dialect == Dialect::OpenAiChat {
        splice = splice.include_usage(&peek);
    }
    let spliced = splice.apply();
    // Deeper than anybody reads, or twice the same key: its bytes are checked as they go by, but not read here.
    let (Ok(mut before), Ok(mut after)) = (read(&body), read(&spliced)) else {
        assert_eq!(read(&body).is_ok(), read(&spliced).is_ok(), "a splice breaks a body");
        return;
    };
    for (value, is_after) in [(&mut before, false), (&mut after, true)] {
        let object = value.as_object_mut().expect("a body is an object");
        if peek.model.is_some() {
            let model = object.remove("model");
            assert!(!is_after || model == Some("another \"model\"".into()), "{model:?}");
        }
        if case.dialect == Dialect::OpenAiChat {
            let options = object.remove("stream_options");
            assert!(!is_after || options.is_some_and(|options| options["include_usage"] == true));
        }
    }
    assert_eq!(after, before);
}

fn read(body: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice(body)
}

fn answer(case: &support::Case<'_>) {
    let _ = whole(case.dialect, Operation::Generate, case.bytes);
    let delivery =
        if case.dialect == Dialect::Gemini && case.variant & 2 != 0 { Delivery::JsonArray } else { Delivery::Events };
    let mut one = Tap::new(case.dialect, delivery);
    one.push(case.bytes);
    let mut split = Tap::new(case.dialect, delivery);
    case.pieces().for_each(|piece| split.push(piece));
    assert_eq!((split.seen(), split.position()), (one.seen(), one.position()), "split");

    let mut filter = UsageChunkFilter::new();
    let mut passed: Vec<u8> = Vec::new();
    for piece in case.pieces() {
        passed.extend_from_slice(&filter.push(Bytes::copy_from_slice(piece)));
    }
    passed.extend_from_slice(&filter.finish());
    assert!(passed.len() <= case.bytes.len());

    let fault = Fault::new(FaultKind::UpstreamError, "the stream was cut");
    let ending = error::event(case.dialect, delivery, &fault, &RequestId::new("1"), &one.position());
    assert!(std::str::from_utf8(&ending).is_ok() || std::str::from_utf8(case.bytes).is_err());
    if delivery == Delivery::Events && !one.ended_legally() {
        let heard = support::read(case.dialect, [case.bytes, &ending]);
        assert!(!support::is_whole(&heard), "a cut stream ends cleanly: {}", String::from_utf8_lossy(&ending));
    }
}
