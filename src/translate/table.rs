//! `docs/translation.md`: what becomes of each field, as the codecs themselves do it.
//!
//! A probe is a request, or an answer, with one thing in it. It goes through each codec, and what comes out says what
//! became of the thing; requests then go to the simulated providers, which have to take them. The tables in the document are written from that; `UPDATE_GOLDEN=1 cargo test --lib table` writes
//! them anew.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod answers;
mod requests;

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::dialect::Dialect;

/// A thing that can be said in a dialect.
pub(super) struct Probe {
    /// What the document calls it.
    pub(super) label: &'static str,
    /// What is said: fields that are put over those of the plain request.
    pub(super) said: Value,
    /// A text that has to be found where it arrives. Empty: it is enough that something else is written.
    pub(super) needle: &'static str,
}

/// What became of a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It arrives.
    Carried,
    /// It is said in other words.
    Approximated(Option<String>),
    /// It is left out, and the caller is told.
    Reported,
    /// The request is refused.
    Refused(String),
    /// It means nothing there, is what happens anyway, or is said by other means.
    Needless,
}

/// Reasons, each once, by number.
#[derive(Default)]
pub(super) struct Notes(Vec<String>);

impl Notes {
    fn mark(&mut self, reason: &str) -> String {
        let place = self.0.iter().position(|known| known == reason).unwrap_or_else(|| {
            self.0.push(reason.to_owned());
            self.0.len() - 1
        });
        format!(" [{}]", place + 1)
    }
}

impl Fate {
    fn cell(&self, notes: &mut Notes) -> String {
        match self {
            Self::Carried => "carried".to_owned(),
            Self::Approximated(None) => "approximated".to_owned(),
            Self::Approximated(Some(reason)) => format!("approximated{}", notes.mark(reason)),
            Self::Reported => "reported".to_owned(),
            Self::Refused(reason) => format!("refused{}", notes.mark(reason)),
            Self::Needless => "–".to_owned(),
        }
    }
}

/// Puts one object over another, deeply; anything else is replaced.
pub(super) fn put_over(base: &mut Value, said: &Value) {
    match (base, said) {
        (Value::Object(base), Value::Object(said)) => {
            for (key, value) in said {
                put_over(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, said) => base.clone_from(said),
    }
}

/// What callers call their dialects.
pub(super) fn title(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiChat => "chat completions",
        Dialect::OpenAiResponses => "Responses",
        Dialect::Anthropic => "Messages",
        Dialect::Gemini => "generateContent",
    }
}

/// A table whose columns are the dialects other than `from`.
pub(super) fn table(from: Dialect, head: &str, rows: &[(String, Vec<Fate>)]) -> String {
    let mut notes = Notes::default();
    let mut text = format!("| {head} |");
    let others: Vec<Dialect> = Dialect::ALL.into_iter().filter(|dialect| *dialect != from).collect();
    for dialect in &others {
        write!(text, " {} |", title(*dialect)).unwrap();
    }
    write!(text, "\n|{}\n", "---|".repeat(others.len() + 1)).unwrap();
    for (label, fates) in rows {
        write!(text, "| {label} |").unwrap();
        for fate in fates {
            write!(text, " {} |", fate.cell(&mut notes)).unwrap();
        }
        text.push('\n');
    }
    if !notes.0.is_empty() {
        text.push('\n');
        for (number, note) in notes.0.iter().enumerate() {
            writeln!(text, "{}. {note}", number + 1).unwrap();
        }
    }
    text
}

#[test]
fn the_document_says_what_the_codecs_do() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/translation.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let mut tables = Vec::new();
    for dialect in Dialect::ALL {
        tables.push((format!("requests {dialect}"), requests::table_of(dialect)));
        tables.push((format!("answers {dialect}"), answers::table_of(dialect)));
    }
    tables.push(("efforts".to_owned(), requests::efforts()));
    tables.push(("finish reasons".to_owned(), answers::finish_reasons()));
    tables.push(("usage".to_owned(), answers::usage()));
    let mut written = document.clone();
    for (name, table) in &tables {
        let begin = format!("<!-- {name} -->\n");
        let start =
            written.find(&begin).unwrap_or_else(|| panic!("{begin} is not in {}", path.display())) + begin.len();
        let end = start + written[start..].find("<!-- end -->").unwrap();
        written.replace_range(start..end, &format!("\n{table}\n"));
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    let differs = document.lines().zip(written.lines()).find(|(document, written)| document != written);
    assert!(
        std::fs::read_to_string(&path).unwrap() == written,
        "docs/translation.md is not what the codecs do any more (UPDATE_GOLDEN=1 writes it anew): {differs:?}"
    );
}
