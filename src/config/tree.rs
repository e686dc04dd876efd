//! Settings before they have types: one tree of all layers, in which each value remembers where it came from.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use toml::de::{DeTable, DeValue};

use super::error::ConfigError;

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In a file.
    File {
        /// The file's path, as it was given.
        name: Arc<str>,
        /// The line, from 1.
        line: usize,
    },
    /// By an environment variable of this name.
    Variable(Arc<str>),
    /// By the command line.
    Command(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line } => write!(f, "set in {name} line {line}"),
            Self::Variable(name) => write!(f, "set by {name}"),
            Self::Command(word) => write!(f, "set by {word}"),
        }
    }
}

/// One value and where it was set. Not `Debug`: it may be a secret.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

#[derive(Clone)]
pub(super) enum Value {
    Table(IndexMap<String, Node>),
    Array(Vec<Node>),
    Text(String),
    /// Text whose type is whatever the setting wants: environment variables have no types.
    Loose(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// TOML has dates; no setting is one.
    Date,
}

impl Value {
    /// For messages, instead of the value itself.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Table(_) => "a table",
            Self::Array(_) => "an array",
            Self::Text(_) | Self::Loose(_) => "text",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number with a fraction",
            Self::Boolean(_) => "true or false",
            Self::Date => "a date",
        }
    }
}

impl Node {
    /// A file's whole content.
    pub(super) fn parse(text: &str, name: &Arc<str>) -> Result<Self, ConfigError> {
        let place = |at: usize| Origin::File {
            name: name.clone(),
            line: 1 + text.as_bytes().iter().take(at).filter(|&&byte| byte == b'\n').count(),
        };
        match DeTable::parse(text) {
            Ok(table) => Ok(Self { origin: place(0), value: from_table(table.into_inner(), &place) }),
            // Not the error's own display: it quotes the line, which may hold a secret.
            Err(error) => Err(ConfigError::syntax(place(error.span().map_or(0, |span| span.start)), error.message())),
        }
    }

    /// A value whose type is whatever the setting wants.
    pub(super) fn loose(text: &str, origin: Origin) -> Self {
        Self { value: Value::Loose(text.to_owned()), origin }
    }

    /// What loose text is as TOML, where it is TOML.
    pub(super) fn typed(&self) -> Option<Self> {
        let Value::Loose(text) = &self.value else { return None };
        let value = DeValue::parse(text).ok()?;
        Some(Self { value: from_value(value.into_inner(), &|_| self.origin.clone()), origin: self.origin.clone() })
    }

    /// Lays another layer over this one: tables merge by key, everything else replaces.
    pub(super) fn merge(&mut self, over: Self) {
        let over = match (&self.value, over.typed()) {
            (Value::Table(_), Some(typed @ Self { value: Value::Table(_), .. })) => typed,
            _ => over,
        };
        match (&mut self.value, over) {
            (Value::Table(table), Self { value: Value::Table(entries), origin }) => {
                self.origin = origin;
                for (key, node) in entries {
                    match table.get_mut(&key) {
                        Some(below) => below.merge(node),
                        None => {
                            table.insert(key, node);
                        }
                    }
                }
            }
            (_, over) => *self = over,
        }
    }

    /// Lays one value over this layer, at a path.
    pub(super) fn set(&mut self, path: &[&str], node: Self) {
        let wrapped = path.iter().rev().fold(node, |inner, key| Self {
            origin: inner.origin.clone(),
            value: Value::Table(IndexMap::from([((*key).to_owned(), inner)])),
        });
        self.merge(wrapped);
    }

    /// One entry of a table.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Table(table) => table.get(key),
            Value::Array(_)
            | Value::Text(_)
            | Value::Loose(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Date => None,
        }
    }

    /// Where everything was set.
    pub(super) fn sources(&self) -> Sources {
        let mut sources = Sources::default();
        sources.collect("", self);
        sources
    }
}

fn from_table(table: DeTable<'_>, place: &impl Fn(usize) -> Origin) -> Value {
    let mut entries: Vec<_> = table.into_iter().collect();
    // The parser sorts by name; the order in the file means something, for upstreams at least.
    entries.sort_by_key(|(key, _)| key.span().start);
    let entries = entries.into_iter().map(|(key, value)| {
        let origin = place(key.span().start);
        (key.into_inner().into_owned(), Node { value: from_value(value.into_inner(), place), origin })
    });
    Value::Table(entries.collect())
}

fn from_value(value: DeValue<'_>, place: &impl Fn(usize) -> Origin) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(digits) => match i64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Float(digits.as_str().parse().unwrap_or(f64::NAN)),
        },
        DeValue::Float(digits) => Value::Float(digits.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Value::Boolean(flag),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(items) => Value::Array(
            items
                .into_iter()
                .map(|item| {
                    let origin = place(item.span().start);
                    Node { value: from_value(item.into_inner(), place), origin }
                })
                .collect(),
        ),
        DeValue::Table(table) => from_table(table, place),
    }
}

/// Where each key that is set was set, by its path: `server.port`.
#[derive(Clone, Debug, Default)]
pub struct Sources(BTreeMap<String, Origin>);

impl Sources {
    /// Where a key was set, or the nearest table around it.
    pub fn of(&self, path: &str) -> Option<&Origin> {
        let mut path = path;
        loop {
            if let Some(origin) = self.0.get(path) {
                return Some(origin);
            }
            path = path.rsplit_once('.')?.0;
        }
    }

    fn collect(&mut self, path: &str, node: &Node) {
        if !path.is_empty() {
            self.0.insert(path.to_owned(), node.origin.clone());
        }
        let Value::Table(table) = &node.value else { return };
        for (key, inner) in table {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            self.collect(&path, inner);
        }
    }
}
