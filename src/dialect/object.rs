//! Puts a JSON object together.

use serde_json::{Map, Value};

use super::Dialect;
use crate::ir::Carry;

/// An object that is being put together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object(Map<String, Value>);

impl Object {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// With its `type`.
    pub fn typed(name: &str) -> Self {
        Self::new().with("type", name)
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.put(key, value);
        self
    }

    /// Adds a field if there is something to say.
    #[must_use]
    pub fn with_some(mut self, key: &str, value: Option<impl Into<Value>>) -> Self {
        self.put_some(key, value);
        self
    }

    /// Adds the carried fields of this dialect that are not there yet.
    #[must_use]
    pub fn carrying(mut self, carry: &Carry, dialect: Dialect) -> Self {
        self.put_carried(carry, dialect);
        self
    }

    /// Adds a field.
    pub fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    /// Adds a field if there is something to say.
    pub fn put_some(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    /// Adds the carried fields of this dialect that are not there yet.
    pub fn put_carried(&mut self, carry: &Carry, dialect: Dialect) {
        if let Some(rest) = carry.rest_for(dialect) {
            self.put_defaults(rest);
        }
    }

    /// Adds those of the fields that are not there yet.
    pub fn put_defaults(&mut self, fields: &Map<String, Value>) {
        for (key, value) in fields {
            self.put_default(key, value.clone());
        }
    }

    /// Adds a field if it is not there yet.
    pub fn put_default(&mut self, key: &str, value: Value) {
        if !self.0.contains_key(key) {
            self.0.insert(key.to_owned(), value);
        }
    }

    /// Whether a field is there.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Whether no field is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object.0)
    }
}

impl From<Object> for Map<String, Value> {
    fn from(object: Object) -> Self {
        object.0
    }
}
