//! Any bytes as the stream of any provider, split anywhere: every caller gets a legal stream, whose end is clean if and only
//! if the provider's was.
#![no_main]

#[path = "../support.rs"]
#[allow(dead_code, reason = "each target uses a part of it")]
mod support;

use gateway::dialect::{Adaptions, Dialect};
use libfuzzer_sys::fuzz_target;
use support::{is_whole, read};

fuzz_target!(|data: &[u8]| {
    let Some(case) = support::Case::of(data) else { return };
    let events = read(case.dialect, [case.bytes]);
    assert_eq!(read(case.dialect, case.pieces()), events, "split");
    let adaptions = Adaptions {
        json_tool: (case.variant & 1 != 0).then(|| "f".to_owned()),
        stop: if case.variant & 2 != 0 { vec!["END".to_owned(), "aa".to_owned()] } else { Vec::new() },
        custom_tools: vec!["g".to_owned()],
        ..Adaptions::default()
    };
    for caller in Dialect::ALL {
        let mut whole = support::stream(caller, case.dialect, adaptions.clone());
        let mut told = Vec::new();
        whole.push(case.bytes, &mut told);
        whole.finish(&mut told);

        let mut split = support::stream(caller, case.dialect, adaptions.clone());
        let mut pieces = Vec::new();
        for piece in case.pieces() {
            split.push(piece, &mut pieces);
        }
        split.finish(&mut pieces);
        assert_eq!(String::from_utf8_lossy(&pieces), String::from_utf8_lossy(&told), "{caller}: split");

        assert!(whole.is_over());
        // Several choices are beyond some dialects, and an answer without any beyond others: those may end in an error, and are
        // not complete then.
        let is_complete = whole.told().is_complete;
        assert!(!is_complete || is_whole(&events), "{caller}: more than the provider said");
        let heard = read(caller, [&told]);
        assert!(!is_whole(&heard) || is_complete, "{caller} hears a clean end: {}", String::from_utf8_lossy(&told));
    }
});
