//! A call's arguments that arrive as updates of places (`partialArgs`), written as one growing JSON text.
//!
//! Each update names a place by a JSON path (RFC 9535) and gives a value, or a piece of a string. Models write their
//! arguments from front to back, so that each update can be written at once: containers that it leaves are closed, those
//! that it enters are opened. An update that goes back to a place that is complete cannot be written any more.

use serde_json::Value;

use super::wire::camel_keys;

/// The deepest place that is followed, in steps.
const DEEPEST: usize = 128;

/// Arguments as far as they are known.
#[derive(Clone, Debug, Default)]
pub(super) struct Arguments {
    /// The steps to the last value, and how many values each container on the way has.
    open: Vec<Container>,
    /// The last step into the deepest container is a string that is still open.
    in_string: bool,
    begun: bool,
    closed: bool,
}

#[derive(Clone, Debug)]
struct Container {
    /// Where in this container the last value is.
    at: Step,
}

/// A step into a container.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(u64),
}

impl Arguments {
    /// Takes updates, and gives the text that they add.
    ///
    /// # Errors
    /// A path that cannot be read or goes back; the sentence says so.
    pub(super) fn update(&mut self, updates: &[Value]) -> Result<String, String> {
        let mut text = String::new();
        for update in updates {
            let map = update.as_object().cloned().ok_or("partialArgs holds something that is not an object")?;
            let update = camel_keys(map);
            let path =
                update.get("jsonPath").and_then(Value::as_str).ok_or("an update of arguments has no jsonPath")?;
            let will_continue = update.get("willContinue") == Some(&Value::Bool(true));
            let value = update.iter().find(|(key, _)| key.ends_with("Value")).map(|(key, value)| (key.as_str(), value));
            let Some((kind, value)) = value else { continue };
            self.put(&steps(path)?, kind, value, will_continue, &mut text)?;
        }
        Ok(text)
    }

    /// Takes the arguments whole.
    pub(super) fn whole(&mut self, arguments: &Value) -> String {
        if std::mem::replace(&mut self.begun, true) {
            return String::new();
        }
        self.closed = true;
        arguments.to_string()
    }

    /// Nothing more will come: closes what is open. A call without any argument gives nothing.
    pub(super) fn finish(&mut self) -> String {
        let mut text = String::new();
        if self.begun && !std::mem::replace(&mut self.closed, true) {
            self.close_string(&mut text);
            self.leave(0, &mut text);
        }
        text
    }

    fn put(
        &mut self,
        steps: &[Step],
        kind: &str,
        value: &Value,
        will_continue: bool,
        text: &mut String,
    ) -> Result<(), String> {
        if self.closed {
            return Err("arguments go on after their end".to_owned());
        }
        let is_same =
            self.open.len() == steps.len() && self.open.iter().zip(steps).all(|(open, step)| open.at == *step);
        if !(is_same && self.in_string) {
            self.close_string(text);
            self.go_to(steps, text)?;
            if kind == "stringValue" {
                text.push('"');
                self.in_string = true;
            }
        }
        match (kind, value) {
            ("stringValue", Value::String(piece)) => {
                let quoted = Value::from(piece.as_str()).to_string();
                text.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
                if !will_continue {
                    self.close_string(text);
                }
            }
            (_, _) if self.in_string => return Err("a string goes on as something else".to_owned()),
            ("nullValue", _) => text.push_str("null"),
            (_, value) => text.push_str(&value.to_string()),
        }
        Ok(())
    }

    fn close_string(&mut self, text: &mut String) {
        if std::mem::take(&mut self.in_string) {
            text.push('"');
        }
    }

    /// Closes the containers deeper than this many steps.
    fn leave(&mut self, depth: usize, text: &mut String) {
        for container in self.open.drain(depth..).rev() {
            text.push(match container.at {
                Step::Key(_) => '}',
                Step::Index(_) => ']',
            });
        }
    }

    /// Writes what lies between the last value and the next.
    fn go_to(&mut self, steps: &[Step], text: &mut String) -> Result<(), String> {
        let back = || "arguments go back to a place that is complete".to_owned();
        let shared = self.open.iter().zip(steps).take_while(|(open, step)| open.at == **step).count();
        if shared == steps.len() || (shared == self.open.len() && self.begun) {
            return Err(back());
        }
        self.leave(shared + usize::from(self.begun), text);
        let mut rest = steps.iter().skip(shared);
        if std::mem::replace(&mut self.begun, true)
            && let (Some(container), Some(step)) = (self.open.last_mut(), rest.next())
        {
            match (&container.at, step) {
                (Step::Key(_), Step::Key(key)) => text.push_str(&format!(",{}:", Value::from(key.as_str()))),
                (Step::Index(last), Step::Index(next)) if *next == last.saturating_add(1) => text.push(','),
                _ => return Err(back()),
            }
            container.at = step.clone();
        }
        for step in rest {
            match step {
                Step::Key(key) => text.push_str(&format!("{{{}:", Value::from(key.as_str()))),
                Step::Index(0) => text.push('['),
                Step::Index(_) => return Err("a list of arguments does not begin with its first".to_owned()),
            }
            self.open.push(Container { at: step.clone() });
        }
        Ok(())
    }
}

/// Reads a JSON path that names one place: `$.a[0]['b c'].d`.
fn steps(path: &str) -> Result<Vec<Step>, String> {
    let wrong = || "the jsonPath of an update of arguments cannot be read".to_owned();
    let mut rest = path.strip_prefix('$').ok_or_else(wrong)?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if steps.len() >= DEEPEST {
            return Err("arguments are nested too deeply".to_owned());
        }
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (name, next) = after.split_at(end);
            if name.is_empty() {
                return Err(wrong());
            }
            steps.push(Step::Key(name.to_owned()));
            rest = next;
        } else if let Some(after) = rest.strip_prefix('[') {
            let (step, next) = bracket(after).ok_or_else(wrong)?;
            steps.push(step);
            rest = next;
        } else {
            return Err(wrong());
        }
    }
    match steps.first() {
        Some(Step::Key(_)) => Ok(steps),
        Some(Step::Index(_)) | None => Err(wrong()),
    }
}

/// What stands in brackets, and what follows them.
fn bracket(text: &str) -> Option<(Step, &str)> {
    let quote = text.chars().next()?;
    if quote != '\'' && quote != '"' {
        let (index, rest) = text.split_once(']')?;
        return Some((Step::Index(index.parse().ok()?), rest));
    }
    let mut name = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((place, letter)) = letters.next() {
        if letter == quote {
            return Some((Step::Key(name), text.get(place + 1..)?.strip_prefix(']')?));
        }
        if letter != '\\' {
            name.push(letter);
            continue;
        }
        match letters.next()?.1 {
            'n' => name.push('\n'),
            't' => name.push('\t'),
            'r' => name.push('\r'),
            'b' => name.push('\u{8}'),
            'f' => name.push('\u{c}'),
            'u' => {
                let digits: String = letters.by_ref().take(4).map(|(_, digit)| digit).collect();
                name.push(char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?);
            }
            other => name.push(other),
        }
    }
    None
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(updates: &[Value]) -> Result<Value, String> {
        let mut arguments = Arguments::default();
        let mut text = String::new();
        for update in updates {
            text.push_str(&arguments.update(std::slice::from_ref(update))?);
        }
        text.push_str(&arguments.finish());
        Ok(serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn updates_become_one_text_that_is_json() {
        let updates = [
            json!({"jsonPath": "$.a.list[0].x", "stringValue": "on\"e", "willContinue": true}),
            json!({"json_path": "$.a.list[0].x", "string_value": " ä\n"}),
            json!({"jsonPath": "$.a.list[0].y", "numberValue": 0.5}),
            json!({"jsonPath": "$.a.list[1].x", "boolValue": false}),
            json!({"jsonPath": "$.a.list[1]['odd \\'key.[0]']", "nullValue": "NULL_VALUE"}),
            json!({"jsonPath": "$.a.rows[0][0]", "numberValue": 1}),
            json!({"jsonPath": "$.a.rows[0][1]", "numberValue": 2}),
            json!({"jsonPath": "$.a.rows[1][0]", "numberValue": 3}),
            json!({"jsonPath": "$.b", "stringValue": "open", "willContinue": true}),
        ];
        let expected = json!({
            "a": {
                "list": [{"x": "on\"e ä\n", "y": 0.5}, {"x": false, "odd 'key.[0]": null}],
                "rows": [[1, 2], [3]],
            },
            "b": "open",
        });
        assert_eq!(written(&updates), Ok(expected));
    }

    #[test]
    fn what_goes_back_or_cannot_be_read_is_an_error() {
        let at = |path: &str| json!({"jsonPath": path, "numberValue": 1});
        for paths in [
            &["$.a", "$.a"][..],
            &["$.a.b", "$.a"],
            &["$.a", "$.a.b"],
            &["$.a[0]", "$.a[2]"],
            &["$.a[0]", "$.a.b"],
            &["$.a[1]"],
            &["a"],
            &["$"],
            &["$."],
            &["$[0]"],
            &["$.a['b"],
            &["$.a[-1]"],
        ] {
            let updates: Vec<Value> = paths.iter().map(|path| at(path)).collect();
            assert!(written(&updates).is_err(), "{paths:?}");
        }
    }

    #[test]
    fn arguments_that_are_whole_are_written_as_they_are() {
        let mut arguments = Arguments::default();
        assert_eq!(arguments.whole(&json!({"a": 1})), "{\"a\":1}");
        assert_eq!(arguments.finish(), "");
        assert_eq!(Arguments::default().finish(), "");
    }
}
