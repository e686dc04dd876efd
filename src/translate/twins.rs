//! Every fixture of a stream that comes to its end is, put together, what the same answer is when it comes whole.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::path::Path;

use serde_json::Value;

use super::codecs::{AnyDecoder, decode_response};
use crate::dialect::Dialect;
use crate::dialect::testing::{Sample, fixtures};
use crate::ir::Fold;

/// The same answer, whole: of its stream's own name, or the one that several streams tell in ways of their own.
fn twin(dialect: Dialect, stream: &Sample) -> Value {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let name = stream.name.trim_end_matches(".txt");
    let shared = name.split('_').next().unwrap_or(name);
    let places = [("twins", name), ("responses", shared)]
        .map(|(kind, name)| fixtures.join(kind).join(dialect.name()).join(format!("{name}.json")));
    let text = places.iter().find_map(|place| std::fs::read_to_string(place).ok());
    let text = text.unwrap_or_else(|| panic!("{} of {dialect} has no twin: neither of {places:?}", stream.name));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn every_stream_folds_to_what_its_twin_is_when_whole() {
    for dialect in Dialect::ALL {
        let mut held = 0;
        for stream in fixtures("streams", dialect) {
            let mut decoder = AnyDecoder::new(dialect).unwrap();
            let mut events = Vec::new();
            stream.events().iter().for_each(|data| decoder.push(data, &mut events));
            decoder.finish(&mut events);
            let fold: Fold = events.into_iter().collect();
            if !fold.is_complete() {
                let fails = ["error", "failed"].iter().any(|word| stream.name.starts_with(word));
                assert!(fails && fold.finish().error.is_some(), "{}", stream.name);
                continue;
            }
            let expected = decode_response(dialect, twin(dialect, &stream)).unwrap();
            assert_eq!(fold.finish().bare(), expected.bare(), "{} of {dialect}", stream.name);
            held += 1;
        }
        assert!(held >= 4, "{held} of {dialect}");
    }
}
