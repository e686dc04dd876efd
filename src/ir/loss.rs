//! What an encoder could not say in its dialect.

use super::{Carry, Dialect};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fmt;

/// Loose fields that name something which a provider keeps, and without which the answer would be to another question.
const KEPT: &[&str] = &["previous_response_id", "conversation", "prompt", "container", "cachedContent"];

/// Objects that only hold fields together: what is lost is in them.
const GROUPS: &[&str] = &["generationConfig", "toolConfig"];

/// One thing that was lost, and how bad that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The field, as the caller knows it where that is known: `seed`, `messages[2].content[1]`.
    pub field: String,
    /// How bad.
    pub severity: Severity,
    /// Why, as a clause for an error message: `has no equivalent at anthropic`.
    pub reason: String,
}

/// How bad a loss is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Said in other words that mean nearly the same: a clamped temperature, a rounded budget.
    Approximated,
    /// Left out; the answer is still an answer to what was asked.
    Ignored,
    /// The meaning would change: the request must be refused.
    Refused,
}

/// The most lists and fields of which losses are kept: more are the caller's own inventions.
const MOST_HEADS: usize = 64;

/// The most losses that are kept of one list or field.
const MOST_OF_A_HEAD: usize = 16;

/// Losses in the order in which they were found; each field once.
///
/// Of a very long list only the first are kept, so that the work stays linear and one kind that repeats itself hides no
/// other. A refusal is always kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    list: Vec<Loss>,
    /// The places in the list of what begins with the same name.
    heads: HashMap<String, Vec<usize>>,
    /// There were more names than are kept.
    more: bool,
}

impl Losses {
    /// None so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one. The same field with the same or a lesser severity is not told twice.
    pub fn add(&mut self, severity: Severity, field: impl Into<String>, reason: impl Into<String>) {
        let field = field.into();
        let known = self.heads.get(head(&field)).map_or(&[][..], Vec::as_slice);
        let is_known =
            |place: &usize| self.list.get(*place).is_some_and(|loss| loss.field == field && loss.severity >= severity);
        if known.iter().any(is_known) {
            return;
        }
        let is_new = known.is_empty();
        let is_full = if is_new { self.heads.len() >= MOST_HEADS } else { known.len() >= MOST_OF_A_HEAD };
        if is_full && (severity != Severity::Refused || self.refusal().is_some()) {
            self.more |= is_new;
            return;
        }
        self.heads.entry(head(&field).to_owned()).or_default().push(self.list.len());
        self.list.push(Loss { field, severity, reason: reason.into() });
    }

    /// Something was left out.
    pub fn ignored(&mut self, field: impl Into<String>, target: Dialect) {
        self.add(Severity::Ignored, field, format!("has no equivalent in {target}"));
    }

    /// Something was said in other words.
    pub fn approximated(&mut self, field: impl Into<String>, reason: impl Into<String>) {
        self.add(Severity::Approximated, field, reason);
    }

    /// Something cannot be left out.
    pub fn refused(&mut self, field: impl Into<String>, reason: impl Into<String>) {
        self.add(Severity::Refused, field, reason);
    }

    /// Reports the loose fields that were carried from another dialect than the target's. Nulls and empty lists say
    /// nothing, and `known` are fields that the encoder has dealt with or that mean nothing elsewhere.
    pub fn report_carry(&mut self, carry: &Carry, target: Dialect, prefix: impl fmt::Display, known: &[&str]) {
        let Some((dialect, rest)) = carry.loose() else { return };
        if dialect == target {
            return;
        }
        for (key, value) in rest {
            if says_nothing(value) || known.contains(&key.as_str()) {
                continue;
            }
            if KEPT.contains(&key.as_str()) {
                self.refused(
                    key.as_str(),
                    format!("names what the provider of {dialect} keeps, and {target} cannot read"),
                );
            } else if let Value::Object(inner) = value
                && GROUPS.contains(&key.as_str())
            {
                let said = inner.iter().filter(|(_, value)| !says_nothing(value));
                said.for_each(|(inner, _)| self.ignored(format!("{prefix}{key}.{inner}"), target));
            } else {
                self.ignored(format!("{prefix}{key}"), target);
            }
        }
    }

    /// Reports the loose fields of an object inside of the node, which a dialect notes by themselves.
    pub fn report_inner(&mut self, inner: &Map<String, Value>, target: Dialect, prefix: impl fmt::Display) {
        // A file's name is no loose field, though it is written again with them.
        let says = |name: &str, value: &Value| !says_nothing(value) && name != "displayName";
        for (name, _) in inner.iter().filter(|(name, value)| says(name, value)) {
            self.ignored(format!("{prefix}.{name}"), target);
        }
    }

    /// Reports what an answer said in loose fields of another dialect than the caller's. `known` mean nothing elsewhere.
    pub fn report_unsaid(&mut self, whose: Dialect, rest: &Map<String, Value>, caller: Dialect, known: &[&str]) {
        let unsaid = rest.iter().filter(|(key, value)| !says_nothing(value) && !known.contains(&key.as_str()));
        for (key, _) in unsaid.filter(|_| whose != caller) {
            self.ignored(key.as_str(), caller);
        }
    }

    /// Calls the fields by other names.
    pub fn rename(&mut self, called: impl Fn(&str) -> String) {
        self.list.iter_mut().for_each(|loss| loss.field = called(&loss.field));
    }

    /// The first loss that must be refused.
    pub fn refusal(&self) -> Option<&Loss> {
        self.list.iter().find(|loss| loss.severity == Severity::Refused)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Loss> {
        self.list.iter()
    }

    /// Whether nothing was lost.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The names for `x-llm-gateway-ignored`, lists as a whole: `seed,text.verbosity,messages`; each once.
    ///
    /// A name is said in 64 characters at most, with question marks for those that no header holds. Three dots stand for
    /// names that are too many to say.
    pub fn header(&self) -> Option<String> {
        const LONGEST: usize = 64;
        let mut names: Vec<String> = Vec::new();
        for loss in &self.list {
            let name = loss.field.split('[').next().unwrap_or(&loss.field);
            let sayable = |letter: char| if letter.is_ascii_graphic() && letter != ',' { letter } else { '?' };
            let name: String = name.chars().take(LONGEST).map(sayable).collect();
            if !name.is_empty() && !names.contains(&name) {
                names.push(name);
            }
        }
        if self.more {
            names.push("...".to_owned());
        }
        (!names.is_empty()).then(|| names.join(","))
    }

    /// Takes over another list.
    pub fn extend(&mut self, other: Self) {
        self.more |= other.more;
        for loss in other.list {
            self.add(loss.severity, loss.field, loss.reason);
        }
    }
}

/// What a path begins with: `messages` of `messages[2].name`.
fn head(field: &str) -> &str {
    field.split(['[', '.']).next().unwrap_or(field)
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_names_each_field_once_and_lists_as_a_whole() {
        let mut losses = Losses::new();
        losses.ignored("seed", Dialect::Anthropic);
        losses.ignored("messages[0].name", Dialect::Anthropic);
        losses.ignored("messages[1].name", Dialect::Anthropic);
        losses.ignored("seed", Dialect::Anthropic);
        losses.ignored("text.verbosity", Dialect::Anthropic);
        assert_eq!(losses.header().as_deref(), Some("seed,messages,text.verbosity"));
        assert_eq!(losses.iter().count(), 4);
    }

    #[test]
    fn a_field_whose_name_no_header_holds_is_named_all_the_same() {
        let mut losses = Losses::new();
        losses.ignored("größe,\n", Dialect::Anthropic);
        losses.ignored("x".repeat(100_000), Dialect::Anthropic);
        assert_eq!(losses.header(), Some(format!("gr??e??,{}", "x".repeat(64))));
    }

    #[test]
    fn a_refusal_is_kept_however_long_the_list_is() {
        let mut losses = Losses::new();
        for index in 0..10_000 {
            losses.ignored(format!("messages[{index}].name"), Dialect::Gemini);
        }
        losses.refused("tools[3]", "is run by its provider");
        assert_eq!(losses.refusal().map(|loss| loss.field.as_str()), Some("tools[3]"));
        assert!(losses.iter().count() < 100);
    }

    #[test]
    fn one_kind_that_repeats_itself_hides_no_other() {
        let mut losses = Losses::new();
        for index in 0..10_000 {
            losses.ignored(format!("messages[{index}].name"), Dialect::Gemini);
        }
        losses.ignored("seed", Dialect::Gemini);
        losses.ignored("tools[0].strict", Dialect::Gemini);
        assert_eq!(losses.header().as_deref(), Some("messages,seed,tools"));
        assert!(losses.iter().count() < 100);
    }

    #[test]
    fn names_that_are_too_many_to_say_are_said_to_be_more() {
        let mut losses = Losses::new();
        for index in 0..10_000 {
            losses.ignored(format!("made_up_{index}"), Dialect::Gemini);
        }
        let header = losses.header().unwrap_or_default();
        assert!(header.starts_with("made_up_0,made_up_1,") && header.ends_with(",..."), "{header}");
        assert!(header.len() < 2_000, "{}", header.len());
    }
}
