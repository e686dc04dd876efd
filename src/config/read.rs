//! Gives the tree its types: a serde deserializer that knows the path and the origin of what it refuses.
//!
//! It never repeats a value in an error. Loose text takes whatever type is asked for.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeOwned, IntoDeserializer as _};

use super::tree::{Node, Origin, Value};

/// Reads a whole tree.
pub(super) fn read<T: DeserializeOwned>(tree: &Node) -> Result<T, Fail> {
    T::deserialize(Reader(tree))
}

/// What was refused, and where.
#[derive(Debug)]
pub(super) struct Fail {
    /// From the inside out.
    path: Vec<Step>,
    /// Of the innermost value at fault.
    pub(super) origin: Option<Origin>,
    pub(super) problem: Problem,
}

#[derive(Debug)]
enum Step {
    Key(String),
    Index(usize),
}

/// Why it was refused.
#[derive(Debug)]
pub(super) enum Problem {
    /// The value cannot be: a sentence.
    Wrong(String),
    /// There is no such key; these are there.
    Unknown(&'static [&'static str]),
    /// A key that has to be there is not.
    Missing,
}

impl Fail {
    /// The path as people write it: `products.wizard.limits[0].usd`.
    pub(super) fn path(&self) -> String {
        let mut path = String::new();
        for step in self.path.iter().rev() {
            match step {
                Step::Key(key) if path.is_empty() => path.push_str(key),
                Step::Key(key) => {
                    path.push('.');
                    path.push_str(key);
                }
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }

    fn new(problem: Problem) -> Self {
        Self { path: Vec::new(), origin: None, problem }
    }

    fn expected(wanted: &dyn fmt::Display, found: &Value) -> Self {
        Self::new(Problem::Wrong(format!("expected {wanted}, found {}", found.kind())))
    }

    fn inside(mut self, step: Step, origin: &Origin) -> Self {
        self.path.push(step);
        self.origin.get_or_insert_with(|| origin.clone());
        self
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path())
    }
}

impl std::error::Error for Fail {}

impl de::Error for Fail {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Problem::Wrong(message.to_string()))
    }

    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(Problem::Wrong(format!("expected {expected}")))
    }

    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(Problem::Wrong(format!("expected {expected}")))
    }

    fn invalid_length(_: usize, expected: &dyn de::Expected) -> Self {
        Self::new(Problem::Wrong(format!("expected {expected}")))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Problem::Wrong(format!("expected one of {}", expected.join(", "))))
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Problem::Unknown(expected))
    }

    fn missing_field(field: &'static str) -> Self {
        Self { path: vec![Step::Key(field.to_owned())], origin: None, problem: Problem::Missing }
    }
}

struct Reader<'a>(&'a Node);

impl Reader<'_> {
    /// The node, with loose text read as TOML where it is TOML.
    fn typed(&self) -> Cow<'_, Node> {
        self.0.typed().map_or(Cow::Borrowed(self.0), Cow::Owned)
    }

    fn text<'de, V: de::Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Fail> {
        match &self.0.value {
            Value::Text(text) | Value::Loose(text) => visitor.visit_str(text),
            found @ (Value::Table(_)
            | Value::Array(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Date) => Err(Fail::expected(&Wanted(&visitor), found)),
        }
    }
}

/// What a visitor waits for, in its own words.
struct Wanted<'a, V>(&'a V);

impl<'de, V: de::Visitor<'de>> fmt::Display for Wanted<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }
}

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $type:ty;)*) => {$(
        fn $method<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fail> {
            let node = self.typed();
            if let Value::Integer(number) = node.value
                && let Ok(number) = <$type>::try_from(number)
            {
                return visitor.$visit(number);
            }
            // TOML's numbers end at i64.
            let most = i64::try_from(<$type>::MAX).unwrap_or(i64::MAX);
            let wanted = format!("a whole number from {} to {most}", <$type>::MIN);
            match node.value {
                Value::Integer(_) => Err(de::Error::custom(format_args!("expected {wanted}"))),
                ref found @ (Value::Table(_)
                | Value::Array(_)
                | Value::Text(_)
                | Value::Loose(_)
                | Value::Float(_)
                | Value::Boolean(_)
                | Value::Date) => Err(Fail::expected(&wanted, found)),
            }
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = Fail;

    fn deserialize_any<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fail> {
        match &self.typed().value {
            Value::Table(table) => visitor.visit_map(Entries { entries: table.iter(), value: None }),
            Value::Array(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            Value::Text(text) | Value::Loose(text) => visitor.visit_str(text),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(flag) => visitor.visit_bool(*flag),
            found @ Value::Date => Err(Fail::expected(&Wanted(&visitor), found)),
        }
    }

    fn deserialize_bool<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fail> {
        let node = self.typed();
        let Value::Boolean(flag) = node.value else { return Err(Fail::expected(&"true or false", &node.value)) };
        visitor.visit_bool(flag)
    }

    whole_numbers! {
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
    }

    fn deserialize_f32<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fail> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fail> {
        let node = self.typed();
        match node.value {
            Value::Float(number) => visitor.visit_f64(number),
            Value::Integer(number) => visitor.visit_f64(number as f64),
            ref found @ (Value::Table(_)
            | Value::Array(_)
            | Value::Text(_)
            | Value::Loose(_)
            | Value::Boolean(_)
            | Value::Date) => Err(Fail::expected(&"a number", found)),
        }
    }

    fn deserialize_str<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fail> {
        self.text(visitor)
    }

    fn deserialize_string<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fail> {
        self.text(visitor)
    }

    fn deserialize_option<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fail> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: de::Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fail> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fail> {
        let node = self.typed();
        let Value::Array(items) = &node.value else { return Err(Fail::expected(&"an array", &node.value)) };
        visitor.visit_seq(Items(items.iter().enumerate()))
    }

    fn deserialize_map<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fail> {
        let node = self.typed();
        let Value::Table(table) = &node.value else { return Err(Fail::expected(&"a table", &node.value)) };
        visitor.visit_map(Entries { entries: table.iter(), value: None })
    }

    fn deserialize_struct<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fail> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fail> {
        match &self.0.value {
            Value::Text(text) | Value::Loose(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            found @ (Value::Table(_)
            | Value::Array(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Date) => Err(Fail::expected(&format_args!("one of {}", variants.join(", ")), found)),
        }
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

struct Entries<'a> {
    entries: indexmap::map::Iter<'a, String, Node>,
    value: Option<(&'a String, &'a Node)>,
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = Fail;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fail> {
        self.value = self.entries.next();
        let Some((key, node)) = self.value else { return Ok(None) };
        let read: Result<_, Fail> = seed.deserialize(key.as_str().into_deserializer());
        read.map(Some).map_err(|fail| fail.inside(Step::Key(key.clone()), &node.origin))
    }

    fn next_value_seed<V: de::DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fail> {
        let Some((key, node)) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(Reader(node)).map_err(|fail| fail.inside(Step::Key(key.clone()), &node.origin))
    }
}

struct Items<'a>(std::iter::Enumerate<std::slice::Iter<'a, Node>>);

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Fail;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fail> {
        let Some((index, node)) = self.0.next() else { return Ok(None) };
        seed.deserialize(Reader(node)).map(Some).map_err(|fail| fail.inside(Step::Index(index), &node.origin))
    }
}
