//! What is kept without being understood: unknown fields, whole unknown nodes, and how a thing was written.

use std::fmt;

use serde_json::{Map, Value};

/// How a caller or a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// OpenAI's `POST /v1/chat/completions`.
    OpenAiChat,
    /// OpenAI's `POST /v1/responses`.
    OpenAiResponses,
    /// Anthropic's `POST /v1/messages`.
    Anthropic,
    /// Google's `generateContent` and `streamGenerateContent`.
    Gemini,
}

/// The vendor whose models made something that only that vendor can read: a signature, encrypted reasoning, a file id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// OpenAI, by either of its dialects.
    OpenAi,
    /// Anthropic.
    Anthropic,
    /// Google.
    Gemini,
}

/// A whole node that only its own dialect understands: a provider-run tool, a new kind of content part.
#[derive(Clone, Debug, PartialEq)]
pub struct Opaque {
    /// Whose node it is.
    pub dialect: Dialect,
    /// The node as it was on the wire, keys in their order.
    pub value: Value,
}

/// Loose fields that the codec does not know (`rest`), and how the known ones were written (`notes`).
///
/// Both are only for the dialect that they came from. An explicit `null` of a known field counts as a loose field, so that
/// `{"refusal": null}` comes back as it was. Empty costs one pointer.
#[derive(Clone, Default, PartialEq)]
pub struct Carry(Option<Box<Carried>>);

#[derive(Clone, Debug, PartialEq)]
struct Carried {
    dialect: Dialect,
    rest: Map<String, Value>,
    notes: Vec<(&'static str, Value)>,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::OpenAiChat, Self::OpenAiResponses, Self::Anthropic, Self::Gemini];

    /// The name in metrics, logs and fixtures.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai_chat",
            Self::OpenAiResponses => "openai_responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
        }
    }

    /// Whose dialect it is. (Others' servers speak OpenAI's chat dialect too: what *they* sign never leaves it.)
    pub fn origin(self) -> Origin {
        match self {
            Self::OpenAiChat | Self::OpenAiResponses => Origin::OpenAi,
            Self::Anthropic => Origin::Anthropic,
            Self::Gemini => Origin::Gemini,
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Origin {
    /// The name inside of minted marks; never change one.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
        }
    }

    /// The reverse of [`Origin::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "openai" => Some(Self::OpenAi),
            "anthropic" => Some(Self::Anthropic),
            "gemini" => Some(Self::Gemini),
            _ => None,
        }
    }
}

impl Opaque {
    /// A node of this dialect.
    pub fn new(dialect: Dialect, value: Value) -> Self {
        Self { dialect, value }
    }

    /// The node, if it is this dialect's own.
    pub fn for_dialect(&self, dialect: Dialect) -> Option<&Value> {
        (self.dialect == dialect).then_some(&self.value)
    }

    /// The wire's `type`, for messages about it. Gemini's nodes have none: their kind is the name of their field.
    pub fn type_name(&self) -> &str {
        let named = self.value.get("type").and_then(Value::as_str);
        let field = || Some(self.value.as_object()?.keys().next()?.as_str());
        named.or_else(field).unwrap_or("unknown")
    }
}

impl Carry {
    /// Nothing carried.
    pub const NONE: Self = Self(None);

    /// Keeps the loose fields that are left of an object.
    pub fn of(dialect: Dialect, rest: Map<String, Value>) -> Self {
        if rest.is_empty() {
            return Self::NONE;
        }
        Self(Some(Box::new(Carried { dialect, rest, notes: Vec::new() })))
    }

    /// Whether nothing is carried.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Remembers how a known thing was written, so that this dialect's encoder can write it so again: a string instead
    /// of a list of parts, an older field name.
    pub fn note(&mut self, dialect: Dialect, key: &'static str, value: impl Into<Value>) {
        let carried = self.0.get_or_insert_with(|| Box::new(Carried { dialect, rest: Map::new(), notes: Vec::new() }));
        if carried.dialect == dialect {
            carried.notes.push((key, value.into()));
        }
    }

    /// [`Carry::note`] while building.
    #[must_use]
    pub fn noted(mut self, dialect: Dialect, key: &'static str, value: impl Into<Value>) -> Self {
        self.note(dialect, key, value);
        self
    }

    /// What this dialect's decoder noted.
    pub fn noted_as(&self, dialect: Dialect, key: &str) -> Option<&Value> {
        let carried = self.0.as_ref().filter(|carried| carried.dialect == dialect)?;
        carried.notes.iter().find(|(noted, _)| *noted == key).map(|(_, value)| value)
    }

    /// Whether this dialect's decoder made such a note.
    pub fn has_note(&self, dialect: Dialect, key: &str) -> bool {
        self.noted_as(dialect, key).is_some()
    }

    /// The loose fields, if they are this dialect's own.
    pub fn rest_for(&self, dialect: Dialect) -> Option<&Map<String, Value>> {
        self.0.as_ref().filter(|carried| carried.dialect == dialect).map(|carried| &carried.rest)
    }

    /// One loose field, if it is this dialect's own.
    pub fn field(&self, dialect: Dialect, key: &str) -> Option<&Value> {
        self.rest_for(dialect)?.get(key)
    }

    /// Whose loose fields these are, and the fields.
    pub fn loose(&self) -> Option<(Dialect, &Map<String, Value>)> {
        self.0.as_ref().map(|carried| (carried.dialect, &carried.rest))
    }

    /// Adds another's loose fields and notes to these; the other's win. Those of another dialect than these are dropped.
    pub fn merge(&mut self, other: Self) {
        let Some(other) = other.0 else { return };
        match &mut self.0 {
            None => self.0 = Some(other),
            Some(mine) if mine.dialect == other.dialect => {
                mine.rest.extend(other.rest);
                mine.notes.extend(other.notes);
            }
            Some(_) => {}
        }
    }
}

impl fmt::Debug for Carry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("Carry::NONE"),
            Some(carried) => carried.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn loose_fields_are_only_for_the_dialect_they_came_from() {
        let carry = Carry::of(Dialect::OpenAiChat, map(json!({"x": 1})));
        assert_eq!(carry.field(Dialect::OpenAiChat, "x"), Some(&json!(1)));
        assert_eq!(carry.field(Dialect::Gemini, "x"), None);
    }

    #[test]
    fn merging_keeps_both_sides_and_lets_the_later_win() {
        let mut carry = Carry::of(Dialect::Gemini, map(json!({"a": 1, "b": 1})));
        carry.merge(Carry::of(Dialect::Gemini, map(json!({"b": 2}))).noted(Dialect::Gemini, "form", "short"));
        assert_eq!(carry.rest_for(Dialect::Gemini), Some(&map(json!({"a": 1, "b": 2}))));
        assert!(carry.has_note(Dialect::Gemini, "form"));
        carry.merge(Carry::of(Dialect::Anthropic, map(json!({"c": 3}))));
        assert_eq!(carry.field(Dialect::Anthropic, "c"), None);
    }
}
