//! Takes a JSON object apart field by field, and knows where it is when something is wrong.
//!
//! Codecs read vendors' objects by *taking* the fields that they know. What is left is the `rest`, unknown fields and
//! explicit nulls, in order: nothing has to be listed twice, and nothing gets lost. (serde's derive with a flattened
//! rest would buffer every object once more, would lose nulls, and its errors do not say where.)

use std::fmt;

use serde_json::{Map, Number, Value};

use super::Dialect;
use crate::fault::{Fault, FaultKind};
use crate::ir::Carry;

/// A place in a document, rendered only when it is needed: `messages[3].content[0]`.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

/// An object that is being taken apart.
#[derive(Debug)]
pub struct Fields<'p> {
    path: Path<'p>,
    map: Map<String, Value>,
}

impl<'a> Path<'a> {
    /// The document itself.
    pub const ROOT: Path<'static> = Path { parent: None, step: Step::Root };

    /// A field of it.
    pub fn key(&'a self, key: &'a str) -> Path<'a> {
        Path { parent: Some(self), step: Step::Key(key) }
    }

    /// An element of it.
    pub fn index(&'a self, index: usize) -> Path<'a> {
        Path { parent: Some(self), step: Step::Index(index) }
    }

    /// A fault here: `expected` completes "must be …".
    pub fn invalid(&self, expected: impl fmt::Display) -> Fault {
        match self.to_string() {
            here if here.is_empty() => Fault::new(FaultKind::InvalidJson, format!("the body must be {expected}")),
            here => Fault::new(FaultKind::InvalidParameter, format!("{here} must be {expected}")).at(here),
        }
    }

    /// A fault here: this must be there.
    pub fn missing(&self) -> Fault {
        let here = self.to_string();
        Fault::new(FaultKind::MissingParameter, format!("{here} is missing")).at(here)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Key(key) => {
                let is_top = self.parent.is_none_or(|parent| matches!(parent.step, Step::Root));
                if is_top { f.write_str(key) } else { write!(f, ".{key}") }
            }
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

impl<'p> Fields<'p> {
    /// Opens an object.
    ///
    /// # Errors
    /// It is not one.
    pub fn of(value: Value, path: Path<'p>) -> Result<Self, Fault> {
        match value {
            Value::Object(map) => Ok(Self { path, map }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Err(path.invalid("an object"))
            }
        }
    }

    /// Opens an object that is one for certain.
    pub fn of_map(map: Map<String, Value>, path: Path<'p>) -> Self {
        Self { path, map }
    }

    /// Where this object is.
    pub fn path(&self) -> Path<'p> {
        self.path
    }

    /// Looks at a field without taking it.
    pub fn peek(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// Looks at a text without taking it.
    pub fn peek_str(&self, key: &str) -> Option<&str> {
        self.map.get(key).and_then(Value::as_str)
    }

    /// Takes a field of any type. An explicit null stays, and is carried.
    pub fn take(&mut self, key: &str) -> Option<Value> {
        if self.map.get(key)?.is_null() {
            return None;
        }
        self.map.shift_remove(key)
    }

    /// Takes a field away, null or not: what means nothing need not be carried.
    pub fn forget(&mut self, key: &str) {
        self.map.shift_remove(key);
    }

    /// Puts a field back that turned out to be something the codec does not know.
    pub fn put_back(&mut self, key: &str, value: Value) {
        self.map.insert(key.to_owned(), value);
    }

    /// Takes a text.
    ///
    /// # Errors
    /// It is something else.
    pub fn string(&mut self, key: &str) -> Result<Option<String>, Fault> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.invalid(key, "a string")),
        }
    }

    /// Takes a text that must be there.
    ///
    /// # Errors
    /// It is missing, or something else.
    pub fn required_string(&mut self, key: &str) -> Result<String, Fault> {
        self.string(key)?.ok_or_else(|| self.missing(key))
    }

    /// Takes a field that must be there, of any type.
    ///
    /// # Errors
    /// It is missing.
    pub fn required(&mut self, key: &str) -> Result<Value, Fault> {
        self.take(key).ok_or_else(|| self.missing(key))
    }

    /// Takes a number as it was written.
    ///
    /// # Errors
    /// It is something else.
    pub fn number(&mut self, key: &str) -> Result<Option<Number>, Fault> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(number)),
            Some(_) => Err(self.invalid(key, "a number")),
        }
    }

    /// Takes a whole number that is not negative.
    ///
    /// # Errors
    /// It is something else.
    pub fn count(&mut self, key: &str) -> Result<Option<u64>, Fault> {
        match self.take(key) {
            None => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or_else(|| self.invalid(key, "a whole number of at least 0")),
        }
    }

    /// Takes true or false.
    ///
    /// # Errors
    /// It is something else.
    pub fn boolean(&mut self, key: &str) -> Result<Option<bool>, Fault> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(_) => Err(self.invalid(key, "true or false")),
        }
    }

    /// Takes a list.
    ///
    /// # Errors
    /// It is something else.
    pub fn array(&mut self, key: &str) -> Result<Option<Vec<Value>>, Fault> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Array(values)) => Ok(Some(values)),
            Some(_) => Err(self.invalid(key, "an array")),
        }
    }

    /// Takes an object.
    ///
    /// # Errors
    /// It is something else.
    pub fn object(&mut self, key: &str) -> Result<Option<Map<String, Value>>, Fault> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(_) => Err(self.invalid(key, "an object")),
        }
    }

    /// Takes a list of texts.
    ///
    /// # Errors
    /// It is something else; the fault names the element.
    pub fn strings(&mut self, key: &str) -> Result<Option<Vec<String>>, Fault> {
        let Some(values) = self.array(key)? else { return Ok(None) };
        let list = self.path.key(key);
        let texts = values.into_iter().enumerate().map(|(index, value)| match value {
            Value::String(text) => Ok(text),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                Err(list.index(index).invalid("a string"))
            }
        });
        texts.collect::<Result<_, _>>().map(Some)
    }

    /// A fault of a field: `expected` completes "must be …".
    pub fn invalid(&self, key: &str, expected: impl fmt::Display) -> Fault {
        self.path.key(key).invalid(expected)
    }

    /// A fault of a field: it must be there.
    pub fn missing(&self, key: &str) -> Fault {
        self.path.key(key).missing()
    }

    /// What is left, to be carried.
    pub fn carry(self, dialect: Dialect) -> Carry {
        Carry::of(dialect, self.map)
    }

    /// What is left.
    pub fn rest(self) -> Map<String, Value> {
        self.map
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_fault_names_the_field_and_the_index() {
        let messages = Path::ROOT.key("messages");
        let third = messages.index(3);
        let mut fields = Fields::of(json!({"role": 7}), third).unwrap();
        let fault = fields.string("role").unwrap_err();
        assert_eq!(fault.param.as_deref(), Some("messages[3].role"));
        assert_eq!(fault.message, "messages[3].role must be a string");
    }

    #[test]
    fn what_is_not_taken_is_left_with_its_nulls_and_its_order() {
        let mut fields = Fields::of(json!({"z": 1, "text": "x", "refusal": null, "a": 2}), Path::ROOT).unwrap();
        assert_eq!(fields.string("text").unwrap().as_deref(), Some("x"));
        assert_eq!(fields.string("refusal").unwrap(), None);
        let rest = fields.rest();
        assert_eq!(rest.keys().collect::<Vec<_>>(), ["z", "refusal", "a"]);
    }
}
