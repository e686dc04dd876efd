//! Any body as a request in any dialect: it is refused with a field, or it is the same at home and legal abroad.
#![no_main]

#[path = "../support.rs"]
#[allow(dead_code, reason = "each target uses a part of it")]
mod support;

use gateway::dialect::{Dialect, RequestHead, Target};
use gateway::translate::{Strictness, count, decode, encode};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let Some(case) = support::Case::of(data) else { return };
    let _ = count::decode(case.dialect, case.bytes, &RequestHead::default());
    let request = match decode(case.dialect, case.bytes, &RequestHead::default()) {
        Ok(request) => request,
        Err(fault) => {
            assert_eq!(fault.kind.status(), 400);
            assert!(!fault.message.is_empty());
            return;
        }
    };
    let _ = count::estimate(&request);
    for dialect in Dialect::ALL {
        let is_home = dialect == case.dialect;
        let target =
            if is_home { Target::unlimited(dialect, &request.model) } else { support::target(dialect, case.variant) };
        let Ok(upstream) = encode(&request, &target, Strictness::Report) else {
            assert!(!is_home, "a request is refused at home");
            continue;
        };
        // What is sent can be read by whom it is sent to, and is the same when that writes it.
        let again = decode(dialect, &upstream.body, &RequestHead::default());
        let again = again.unwrap_or_else(|fault| panic!("{dialect} cannot read {}: {fault}", text(&upstream.body)));
        let home = Target::unlimited(dialect, &again.model);
        let twice = encode(&again, &home, Strictness::Report).expect("a request is refused at home");
        assert_eq!(json(&twice.body), json(&upstream.body), "{dialect}");
        assert!(twice.losses.is_empty(), "{dialect}: {:?}", twice.losses);
    }
});

fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("what is written is JSON")
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}
