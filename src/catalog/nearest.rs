//! What a misspelt name may have meant.

/// How many names are offered.
const MOST: usize = 3;

/// How alike two names have to be, from 0 to 1.
const ALIKE: f64 = 0.8;

/// The longest name that is compared, in bytes: comparing takes time by the product of both lengths.
const LONGEST: usize = 64;

/// The names most like what was asked for, best first.
pub(super) fn nearest<'a>(asked: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    if asked.len() > LONGEST {
        return Vec::new();
    }
    // Of "google/gemini-9" the part that may be a model.
    let asked = asked.rsplit('/').next().unwrap_or(asked).to_ascii_lowercase();
    let mut scored: Vec<(f64, &str)> = names
        .map(|name| (strsim::jaro_winkler(&asked, &name.to_ascii_lowercase()), name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    scored.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(other.1)));
    scored.into_iter().take(MOST).map(|(_, name)| name).collect()
}
