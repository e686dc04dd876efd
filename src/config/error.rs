//! Why the settings cannot be used: one sentence that names the key and where it was set, and never a value.

use std::fmt;
use std::path::Path;

use super::environment;
use super::read::{Fail, Problem};
use super::tree::{Origin, Sources};
use super::value::Wrong;

/// Why the settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    key: Option<String>,
    sentence: String,
}

impl ConfigError {
    /// The exit code of a process that cannot run with its settings: `EX_CONFIG` of sysexits.h.
    pub const EXIT_CODE: u8 = 78;

    /// The path of the key at fault, `server.port`; `None` where a whole file is.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let path = path.display();
        Self { key: None, sentence: format!("the file {path}, named by LLM_GATEWAY_CONFIG, cannot be read: {error}") }
    }

    pub(super) fn syntax(origin: Origin, message: &str) -> Self {
        let place = origin.to_string();
        let place = place.trim_start_matches("set in ");
        Self { key: None, sentence: format!("{place} is not TOML: {message}") }
    }

    pub(super) fn no_database() -> Self {
        let name = environment::name_of(&["database", "url"]);
        Self {
            key: Some("database.url".to_owned()),
            sentence: format!(
                "database.url is not set: give {name} as postgres://… or sqlite:PATH (to try things out without a \
                 database of your own, run `llm-gateway dev`)"
            ),
        }
    }

    /// A key whose value does not fit what is outside of the settings.
    pub(crate) fn at(key: String, problem: &str, sources: &Sources) -> Self {
        Self::wrong(Wrong::new(key, problem), sources)
    }

    pub(super) fn wrong(wrong: Wrong, sources: &Sources) -> Self {
        let set = |path: &str| sources.of(path).map(|origin| format!(", {origin}")).unwrap_or_default();
        let other = wrong.other.map(set).unwrap_or_default();
        let sentence = format!("{}{}: {}{other}", wrong.path, set(&wrong.path), wrong.problem);
        Self { key: Some(wrong.path), sentence }
    }
}

impl From<Fail> for ConfigError {
    fn from(fail: Fail) -> Self {
        let path = fail.path();
        let origin = fail.origin.as_ref().map(|origin| format!(", {origin}")).unwrap_or_default();
        let table = path.rsplit_once('.').map_or("the top level", |(table, _)| table);
        let sentence = match fail.problem {
            Problem::Wrong(problem) => format!("{path}{origin}: {problem}"),
            Problem::Unknown(known) => {
                format!("{path}{origin}: there is no such setting; {table} knows {}", known.join(", "))
            }
            Problem::Missing => format!("{path} is missing in {table}{origin}"),
        };
        Self { key: Some(path), sentence }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for ConfigError {}
