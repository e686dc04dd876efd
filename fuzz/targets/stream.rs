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
        assert_eq!(whole.told().is_complete, is_whole(&events), "{caller}");
        let heard = read(caller, [&told]);
        // Several choices are beyond some dialects, and an answer without any beyond others: those may end in an error.
        assert!(
            !is_whole(&heard) || is_whole(&events),
            "{caller} hears a clean end: {}",
            String::from_utf8_lossy(&told)
        );
    }
});
