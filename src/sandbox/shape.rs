//! What a request may look like, as tables; and the first place where one doesn't.
//!
//! The vendors' pages list fields and types, and so do the tables here. How a violation reads is each provider's own.

use serde_json::{Map, Value};

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Any,
    Text,
    Bool,
    Int,
    /// A number between two bounds.
    Number(f64, f64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// An object with these fields and no others.
    Object(&'static [Field]),
    /// An object with any fields.
    Map,
    List(&'static Shape),
    /// The first of these that fits the value's JSON type is meant.
    Either(&'static [Shape]),
    /// An object whose field of this name tells which fields it has.
    Tagged(&'static str, &'static [(&'static str, &'static [Field])]),
}

/// A field of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) need: Need,
    pub(super) shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Required,
    /// May be missing, or null.
    Optional,
}

pub(super) const fn required(name: &'static str, shape: Shape) -> Field {
    Field { name, need: Need::Required, shape }
}

pub(super) const fn optional(name: &'static str, shape: Shape) -> Field {
    Field { name, need: Need::Optional, shape }
}

/// Any number at all.
pub(super) const NUMBER: Shape = Shape::Number(f64::NEG_INFINITY, f64::INFINITY);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
    /// Which of several kinds an object was taken for; no name of the request's own.
    Kind(&'static str),
}

/// Where, and what is wrong there.
#[derive(Debug)]
pub(super) struct Violation<'a> {
    pub(super) path: Vec<Step>,
    pub(super) problem: Problem<'a>,
}

#[derive(Debug)]
pub(super) enum Problem<'a> {
    /// The path ends with the name.
    Unknown,
    /// The path ends with the name.
    Missing,
    Type(Shape, &'a Value),
    Word(&'static [&'static str], &'a str),
    Tag(&'static str, Vec<&'static str>, &'a Value),
    Below(f64, &'a Value),
    Above(f64, &'a Value),
}

/// How an object's keys are compared with a table's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    Exact,
    /// Protocol buffers' JSON: the snake_case of a camelCase name is the same name.
    CamelOrSnake,
}

/// The first violation, in the order of the request.
pub(super) fn check<'a>(shape: Shape, value: &'a Value, names: Names) -> Result<(), Violation<'a>> {
    Checker { names, path: Vec::new() }.check(shape, value)
}

struct Checker {
    names: Names,
    path: Vec<Step>,
}

impl Checker {
    fn check<'a>(&mut self, shape: Shape, value: &'a Value) -> Result<(), Violation<'a>> {
        match (shape, value) {
            (Shape::Any, _)
            | (Shape::Text, Value::String(_))
            | (Shape::Bool, Value::Bool(_))
            | (Shape::Map, Value::Object(_)) => Ok(()),
            (Shape::Int, Value::Number(number)) if !number.is_f64() => Ok(()),
            (Shape::Number(least, most), Value::Number(number)) => {
                let number = number.as_f64().unwrap_or(f64::NAN);
                if number < least {
                    return self.violation(Problem::Below(least, value));
                }
                if number > most {
                    return self.violation(Problem::Above(most, value));
                }
                Ok(())
            }
            (Shape::Word(words), Value::String(word)) => {
                if words.contains(&word.as_str()) {
                    Ok(())
                } else {
                    self.violation(Problem::Word(words, word))
                }
            }
            (Shape::Object(fields), Value::Object(object)) => self.object(fields, object),
            (Shape::List(item), Value::Array(items)) => {
                for (index, one) in items.iter().enumerate() {
                    self.inside(Step::Index(index), |checker| checker.check(*item, one))?;
                }
                Ok(())
            }
            (Shape::Either(shapes), _) => match shapes.iter().find(|shape| fits(**shape, value)) {
                Some(meant) => self.check(*meant, value),
                None => self.violation(Problem::Type(shape, value)),
            },
            (Shape::Tagged(tag, kinds), Value::Object(object)) => self.tagged(tag, kinds, object, value),
            (
                Shape::Text
                | Shape::Bool
                | Shape::Int
                | Shape::Number(..)
                | Shape::Word(_)
                | Shape::Object(_)
                | Shape::Map
                | Shape::List(_)
                | Shape::Tagged(..),
                _,
            ) => self.violation(Problem::Type(shape, value)),
        }
    }

    fn object<'a>(&mut self, fields: &'static [Field], object: &'a Map<String, Value>) -> Result<(), Violation<'a>> {
        for (name, value) in object {
            let field = fields.iter().find(|field| self.same(field.name, name));
            self.inside(Step::Key(name.clone()), |checker| match field {
                None => checker.violation(Problem::Unknown),
                Some(field) if value.is_null() && field.need == Need::Optional => Ok(()),
                Some(field) => checker.check(field.shape, value),
            })?;
        }
        for field in fields.iter().filter(|field| field.need == Need::Required) {
            if !object.keys().any(|name| self.same(field.name, name)) {
                return self.inside(Step::Key(field.name.to_owned()), |checker| checker.violation(Problem::Missing));
            }
        }
        Ok(())
    }

    fn tagged<'a>(
        &mut self,
        tag: &'static str,
        kinds: &'static [(&'static str, &'static [Field])],
        object: &'a Map<String, Value>,
        value: &'a Value,
    ) -> Result<(), Violation<'a>> {
        let found = object.get(tag).and_then(Value::as_str);
        match kinds.iter().find(|(name, _)| Some(*name) == found) {
            Some((name, fields)) => self.inside(Step::Kind(name), |checker| checker.object(fields, object)),
            None => self.violation(Problem::Tag(tag, kinds.iter().map(|(name, _)| *name).collect(), value)),
        }
    }

    fn inside<T>(&mut self, step: Step, check: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        let result = check(self);
        self.path.pop();
        result
    }

    fn violation<'a>(&self, problem: Problem<'a>) -> Result<(), Violation<'a>> {
        Err(Violation { path: self.path.clone(), problem })
    }

    fn same(&self, wanted: &str, name: &str) -> bool {
        wanted == name || self.names == Names::CamelOrSnake && snake(wanted) == name
    }
}

fn fits(shape: Shape, value: &Value) -> bool {
    match shape {
        Shape::Any => true,
        Shape::Text | Shape::Word(_) => value.is_string(),
        Shape::Bool => value.is_boolean(),
        Shape::Int | Shape::Number(..) => value.is_number(),
        Shape::Object(_) | Shape::Map | Shape::Tagged(..) => value.is_object(),
        Shape::List(_) => value.is_array(),
        Shape::Either(shapes) => shapes.iter().any(|shape| fits(*shape, value)),
    }
}

/// `thoughtSignature` as `thought_signature`.
pub(super) fn snake(camel: &str) -> String {
    let mut snake = String::new();
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// The value with the names that its shape knows spelled as there. Free-form parts stay as they are.
pub(super) fn respelled(shape: Shape, value: &Value) -> Value {
    match (shape, value) {
        (Shape::Object(fields), Value::Object(object)) => object
            .iter()
            .map(|(name, value)| match fields.iter().find(|field| field.name == name || snake(field.name) == *name) {
                Some(field) => (field.name.to_owned(), respelled(field.shape, value)),
                None => (name.clone(), value.clone()),
            })
            .collect(),
        (Shape::List(item), Value::Array(items)) => items.iter().map(|one| respelled(*item, one)).collect(),
        (Shape::Either(shapes), _) => shapes
            .iter()
            .find(|shape| fits(**shape, value))
            .map_or_else(|| value.clone(), |shape| respelled(*shape, value)),
        _ => value.clone(),
    }
}

/// A JSON value's type, as English has it.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "decimal",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use serde_json::json;

    use super::*;

    static TEXT_PART: &[Field] = &[required("type", Shape::Text), required("text", Shape::Text)];
    static PART: Shape = Shape::Tagged("type", &[("text", TEXT_PART)]);
    static TOP: &[Field] = &[
        required("model", Shape::Text),
        optional("maxTokens", Shape::Int),
        optional("heat", Shape::Number(0.0, 1.0)),
        optional("content", Shape::Either(&[Shape::Text, Shape::List(&PART)])),
    ];

    fn first(value: &Value, names: Names) -> Option<(String, String)> {
        let violation = check(Shape::Object(TOP), value, names).err()?;
        let problem = format!("{:?}", violation.problem);
        let path = violation.path.iter().map(|step| match step {
            Step::Key(key) => key.clone(),
            Step::Index(index) => index.to_string(),
            Step::Kind(kind) => format!("<{kind}>"),
        });
        Some((path.collect::<Vec<_>>().join("."), problem.split(['(', ' ']).next().unwrap().to_owned()))
    }

    #[test]
    fn each_violation_is_found_where_it_is() {
        for (value, path, problem) in [
            (json!({"model": "m", "foo": 1}), "foo", "Unknown"),
            (json!({}), "model", "Missing"),
            (json!({"model": 1}), "model", "Type"),
            (json!({"model": null}), "model", "Type"),
            (json!({"model": "m", "maxTokens": 1.5}), "maxTokens", "Type"),
            (json!({"model": "m", "heat": 2}), "heat", "Above"),
            (json!({"model": "m", "heat": -1}), "heat", "Below"),
            (json!({"model": "m", "content": 3}), "content", "Type"),
            (
                json!({"model": "m", "content": [{"type": "text", "text": "a", "b": 1}]}),
                "content.0.<text>.b",
                "Unknown",
            ),
            (json!({"model": "m", "content": [{"type": "sound"}]}), "content.0", "Tag"),
            (json!({"model": "m", "max_tokens": 1}), "max_tokens", "Unknown"),
        ] {
            assert_eq!(first(&value, Names::Exact), Some((path.to_owned(), problem.to_owned())), "{value}");
        }
        assert_eq!(first(&json!({"model": "m", "maxTokens": null, "content": "a"}), Names::Exact), None);
        assert_eq!(first(&json!({"model": "m", "max_tokens": 1}), Names::CamelOrSnake), None);
    }

    #[test]
    fn names_are_respelled_and_free_parts_left_alone() {
        static FREE: &[Field] =
            &[optional("partList", Shape::List(&Shape::Object(INNER))), optional("anyThing", Shape::Map)];
        static INNER: &[Field] = &[optional("thoughtSignature", Shape::Text)];
        let sent = json!({"part_list": [{"thought_signature": "x"}], "any_thing": {"my_key": 1}});
        assert_eq!(
            respelled(Shape::Object(FREE), &sent),
            json!({"partList": [{"thoughtSignature": "x"}], "anyThing": {"my_key": 1}})
        );
    }
}
