//! Golden files: every fixture in every other dialect, as it is written today, with what was lost. A change of one is a
//! change that callers or providers see. After one that is meant: `INSTA_UPDATE=always cargo test --lib golden`.

mod adapted;
mod models;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::pairs::{answers, streams};
use super::{Strictness, Transcoder, decode, decode_error, encode, encode_error};
use crate::dialect::testing::{Sample, fixtures};
use crate::dialect::{Adaptions, Asked, Delivery, Dialect, RequestHead, Target};
use crate::fault::Fault;
use crate::ids::RequestId;
use crate::ir::{Losses, Request};

/// Golden files in this folder.
fn golden(kind: &str) -> (PathBuf, insta::Settings) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(kind);
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(&folder);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    (folder, settings)
}

/// Writes a fixture in every other dialect, and holds that to the golden file.
fn hold(kind: &str, suffix: &str, write: impl Fn(Dialect, Dialect, &Sample) -> String) {
    let samples = |from| fixtures(kind, from).into_iter().filter(|sample| sample.name.ends_with(suffix)).collect();
    hold_all(kind, samples, |from, sample| {
        let mut text = String::new();
        for to in others(from) {
            writeln!(text, "=== {to}\n{}", write(from, to, sample).trim_end()).unwrap();
        }
        text
    });
}

/// Holds what is written of each of these fixtures to a golden file of its own.
fn hold_all(folder: &str, samples: impl Fn(Dialect) -> Vec<Sample>, write: impl Fn(Dialect, &Sample) -> String) {
    let (folder, settings) = golden(folder);
    let mut held = Vec::new();
    for from in Dialect::ALL {
        for sample in samples(from) {
            let name = format!("{from}_{}", sample.name.trim_end_matches(".json").trim_end_matches(".txt"));
            settings.bind(|| insta::assert_snapshot!(name.clone(), write(from, &sample)));
            held.push(folder.join(format!("{name}.snap")));
        }
    }
    held.sort();
    let mut there: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    there.sort();
    assert_eq!(there, held, "a golden file without its fixture");
}

fn others(from: Dialect) -> impl Iterator<Item = Dialect> {
    Dialect::ALL.into_iter().filter(move |to| *to != from)
}

/// A fixture as its caller asks it.
fn asked(from: Dialect, sample: &Sample) -> Request {
    let head = RequestHead { model: Some("model".to_owned()), delivery: Some(Delivery::Whole) };
    let head = if from == Dialect::Gemini { head } else { RequestHead::default() };
    decode(from, sample.text.as_bytes(), &head).unwrap()
}

fn lost(losses: &Losses) -> String {
    losses.iter().fold(String::new(), |mut text, loss| {
        writeln!(text, "{:?}: {} {}", loss.severity, loss.field, loss.reason).unwrap();
        text
    })
}

fn pretty(body: &[u8]) -> String {
    serde_json::to_string_pretty(&serde_json::from_slice::<Value>(body).unwrap()).unwrap()
}

fn fault(fault: &Fault) -> String {
    format!("{} {}: {}", fault.kind.status(), fault.param.as_deref().unwrap_or_default(), fault.message)
}

fn transcoder(from: Dialect, to: Dialect, delivery: Delivery) -> Transcoder {
    undoing(Adaptions::default(), from, to, delivery)
}

fn undoing(adaptions: Adaptions, from: Dialect, to: Dialect, delivery: Delivery) -> Transcoder {
    let request = Request { model: "asked-for".to_owned(), stream_usage: Some(true), ..Request::default() };
    let asked = Asked::by(&request, delivery).at(1_700_000_000).known_as("answer").estimated(Some(7));
    Transcoder::new(to, from, asked, adaptions)
}

fn whole_answer(transcoder: Transcoder, sample: &Sample) -> String {
    match transcoder.whole(sample.text.as_bytes()) {
        Ok(whole) => format!("{}{}", lost(&whole.losses), pretty(&whole.body)),
        Err(refusal) => fault(&refusal),
    }
}

fn streamed_answer(transcoder: Transcoder, sample: &Sample) -> String {
    let (mut stream, mut out) = (transcoder.stream().unwrap(), Vec::new());
    stream.push(&sample.sse(), &mut out);
    stream.finish(&mut out);
    lost(&stream.losses()) + &String::from_utf8(out).unwrap()
}

#[test]
fn requests_are_written_as_the_golden_files_say() {
    hold("requests", ".json", |from, to, sample| {
        match encode(&asked(from, sample), &Target::unlimited(to, "model"), Strictness::Report) {
            Ok(upstream) => format!("{}{}", lost(&upstream.losses), pretty(&upstream.body)),
            Err(refusal) => fault(&refusal),
        }
    });
}

#[test]
fn answers_are_written_as_the_golden_files_say() {
    hold("responses", ".json", |from, to, sample| whole_answer(transcoder(from, to, Delivery::Whole), sample));
}

#[test]
fn streams_are_written_as_the_golden_files_say() {
    hold("streams", ".txt", |from, to, sample| streamed_answer(transcoder(from, to, Delivery::Events), sample));
}

#[test]
fn what_real_answers_lose_on_the_way_is_listed() {
    let mut text = String::new();
    for from in Dialect::ALL {
        for to in others(from) {
            let (mut whole, mut streamed) = (BTreeMap::new(), BTreeMap::new());
            let count = |losses: &Losses, into: &mut BTreeMap<String, u32>| {
                losses.iter().for_each(|loss| *into.entry(loss.field.clone()).or_default() += 1);
            };
            for sample in answers(from) {
                let turned = transcoder(from, to, Delivery::Whole).whole(sample.text.as_bytes()).unwrap();
                count(&turned.losses, &mut whole);
            }
            for sample in streams(from) {
                let mut stream = transcoder(from, to, Delivery::Events).stream().unwrap();
                stream.push(&sample.sse(), &mut Vec::new());
                stream.finish(&mut Vec::new());
                count(&stream.losses(), &mut streamed);
            }
            for (how, lost) in [("whole", whole), ("streamed", streamed)] {
                let lost: Vec<String> = lost.into_iter().map(|(field, times)| format!("{field} {times}")).collect();
                writeln!(text, "{from} to {to}, {how}: {}", lost.join(", ")).unwrap();
            }
        }
    }
    let (_, settings) = golden("losses");
    settings.bind(|| insta::assert_snapshot!("recorded_and_fixtures", text));
}

#[test]
fn errors_are_written_as_the_golden_files_say() {
    hold("errors", ".json", |from, to, sample| {
        let id = RequestId::from_caller("request-1").unwrap();
        let (status, body) = encode_error(to, &decode_error(from, 400, sample.text.as_bytes()), None, &id);
        format!("{status}\n{}", pretty(&body))
    });
}
