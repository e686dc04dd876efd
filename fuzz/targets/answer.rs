//! Any body as a whole answer of any provider: it is refused, or every caller can read what it becomes.
#![no_main]

#[path = "../support.rs"]
#[allow(dead_code, reason = "each target uses a part of it")]
mod support;

use gateway::dialect::{Adaptions, Dialect};
use gateway::ids::RequestId;
use gateway::ir::mark;
use gateway::translate::{decode_error, encode_error};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let Some(case) = support::Case::of(data) else { return };
    let error = decode_error(case.dialect, 400 + u16::from(case.variant), case.bytes);
    for caller in Dialect::ALL {
        let (status, body) = encode_error(caller, &error, None, &RequestId::new("1"));
        assert!(status >= 400);
        assert!(serde_json::from_slice::<Value>(&body).is_ok());

        let Ok(whole) = support::transcoder(caller, case.dialect, adaptions(case.variant)).whole(case.bytes) else {
            continue;
        };
        // An answer that says that it failed becomes an error of the caller's.
        if whole.status >= 400 {
            assert!(
                serde_json::from_slice::<Value>(&whole.body).is_ok_and(|body| body.get("error").is_some()),
                "{caller}"
            );
            assert!(!decode_error(caller, whole.status, &whole.body).message.is_empty(), "{caller}");
            continue;
        }
        let again = support::transcoder(caller, caller, Adaptions::default()).whole(&whole.body);
        let text = String::from_utf8_lossy(&whole.body).into_owned();
        let again = again.unwrap_or_else(|fault| panic!("{caller} cannot read {text}: {fault}"));
        // At home nothing is written but what was broken on its way here. What bears our mark is opened when it is read
        // again, and thoughts stand in two places then.
        if caller == case.dialect || memchr::memmem::find(&whole.body, mark::MARK.as_bytes()).is_some() {
            continue;
        }
        let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).expect("what is written is JSON");
        assert_eq!(read(&again.body), read(&whole.body), "{caller}");
    }
});

fn adaptions(variant: u8) -> Adaptions {
    let mut adaptions = Adaptions::default();
    if variant & 1 != 0 {
        adaptions.json_tool = Some("f".to_owned());
        adaptions.stop = vec!["END".to_owned(), "}".to_owned()];
    }
    if variant & 2 != 0 {
        adaptions.tool_names.insert("f".to_owned(), "the.long:name".to_owned());
        adaptions.custom_tools.push("g".to_owned());
    }
    adaptions
}
