//! Walks through JSON along the members that somebody asks for, and skips the rest.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What a value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::dialect) enum Shape {
    #[default]
    Absent,
    Null,
    Text,
    Array,
    Object,
    /// A number or a boolean.
    Other,
}

/// Takes the members of an object one by one.
pub(in crate::dialect) trait Members {
    /// Takes one member. The value has to be taken from `map`, whatever it is.
    fn member<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<(), M::Error>;

    /// An object is over; the next one's members follow, or nothing.
    fn end(&mut self) {}
}

/// Gives an object's members away; of an array those of each element that is an object.
pub(in crate::dialect) struct Walk<'m, T>(pub(in crate::dialect) &'m mut T);

/// Gives away the members of each element of an array that is an object; an object itself is skipped.
pub(in crate::dialect) struct Each<'m, T>(pub(in crate::dialect) &'m mut T);

/// Gives an object's members away; an array is skipped.
struct Element<'m, T>(&'m mut T);

impl<'de, T: Members> DeserializeSeed<'de> for Walk<'_, T> {
    type Value = Shape;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Shape, D::Error> {
        deserializer.deserialize_any(Value { members: self.0, enter: Enter::Both })
    }
}

impl<'de, T: Members> DeserializeSeed<'de> for Each<'_, T> {
    type Value = Shape;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Shape, D::Error> {
        deserializer.deserialize_any(Value { members: self.0, enter: Enter::Array })
    }
}

impl<'de, T: Members> DeserializeSeed<'de> for Element<'_, T> {
    type Value = Shape;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Shape, D::Error> {
        deserializer.deserialize_any(Value { members: self.0, enter: Enter::Object })
    }
}

enum Enter {
    Both,
    Array,
    Object,
}

struct Value<'m, T> {
    members: &'m mut T,
    enter: Enter,
}

impl<'de, T: Members> Visitor<'de> for Value<'_, T> {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Other)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Other)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Other)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::Text)
    }

    fn visit_unit<E: Error>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Shape, A::Error> {
        match self.enter {
            Enter::Both | Enter::Array => while elements.next_element_seed(Element(&mut *self.members))?.is_some() {},
            Enter::Object => while elements.next_element::<IgnoredAny>()?.is_some() {},
        }
        Ok(Shape::Array)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        match self.enter {
            Enter::Both | Enter::Object => {
                while let Some(key) = map.next_key_seed(Key)? {
                    self.members.member(&key, &mut map)?;
                }
                self.members.end();
            }
            Enter::Array => while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {},
        }
        Ok(Shape::Object)
    }
}

/// A key, borrowed where it has no escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}
