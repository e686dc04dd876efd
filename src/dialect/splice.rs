//! Changes single places of a request's body and leaves every other byte as it is.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::peek::{ModelField, Peek, StreamOptions};

/// What is to be changed in a body that was peeked at.
#[derive(Debug)]
pub struct Splice<'b> {
    body: &'b Bytes,
    edits: Vec<(Range<usize>, String)>,
}

impl<'b> Splice<'b> {
    /// Nothing yet.
    pub fn of(body: &'b Bytes) -> Self {
        Self { body, edits: Vec::new() }
    }

    /// Names another model.
    #[must_use]
    pub fn model(mut self, field: &ModelField, new: &str) -> Self {
        self.edits.push((field.span.clone(), serde_json::Value::from(new).to_string()));
        self
    }

    /// Asks for the usage chunk of a chat completions stream, whatever was said before.
    #[must_use]
    pub fn include_usage(mut self, peek: &Peek) -> Self {
        const OPTIONS: &str = r#"{"include_usage":true}"#;
        let edit = match &peek.stream_options {
            StreamOptions::Absent => {
                let Some(end) = memchr::memrchr(b'}', self.body) else { return self };
                // The object has a member already: `model`, or it would not have been admitted.
                (end..end, format!(r#","stream_options":{OPTIONS}"#))
            }
            StreamOptions::Replaceable(span) => (span.clone(), OPTIONS.to_owned()),
            StreamOptions::Object { inside, empty } => {
                let comma = if *empty { "" } else { "," };
                (*inside..*inside, format!(r#""include_usage":true{comma}"#))
            }
            StreamOptions::IncludeUsage(span) => (span.clone(), "true".to_owned()),
        };
        self.edits.push(edit);
        self
    }

    /// The body with the changes.
    pub fn apply(mut self) -> Bytes {
        if self.edits.is_empty() {
            return self.body.clone();
        }
        self.edits.sort_by_key(|(span, _)| span.start);
        let added: usize = self.edits.iter().map(|(_, new)| new.len()).sum();
        let mut out = BytesMut::with_capacity(self.body.len() + added);
        let mut done = 0;
        for (span, new) in &self.edits {
            out.extend_from_slice(&self.body[done..span.start]);
            out.extend_from_slice(new.as_bytes());
            done = span.end;
        }
        out.extend_from_slice(&self.body[done..]);
        out.freeze()
    }
}

/// The body with another model's name.
pub fn model(body: &Bytes, field: &ModelField, new: &str) -> Bytes {
    Splice::of(body).model(field, new).apply()
}

/// The body with a wish for the usage chunk; `peek` must be of this very body.
pub fn include_usage(body: &Bytes, peek: &Peek) -> Bytes {
    Splice::of(body).include_usage(peek).apply()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::dialect::{Dialect, Operation, peek};

    fn both(text: &'static str) -> String {
        let body = Bytes::from_static(text.as_bytes());
        let peek = peek::peek(Dialect::OpenAiChat, Operation::Generate, &body).unwrap();
        let splice = Splice::of(&body).model(peek.model.as_ref().unwrap(), "gpt-4.1").include_usage(&peek);
        String::from_utf8(splice.apply().to_vec()).unwrap()
    }

    #[test]
    fn a_model_is_swapped_in_place_and_nothing_else_moves() {
        let text = "{ \"z\":1.0e2,\"model\" :\t\"openai/g\\u0070t-4.1\" ,\r\n\"messages\":[ {\"model\":\"openai/gpt-4.1\"}], \"a\":\"\\/\" } ";
        let body = Bytes::from_static(text.as_bytes());
        let peek = peek::peek(Dialect::OpenAiChat, Operation::Generate, &body).unwrap();
        let field = peek.model.unwrap();
        assert_eq!(field.text, "openai/gpt-4.1");
        let expected = text.replacen("\"openai/g\\u0070t-4.1\"", "\"quoted\\\"name\"", 1);
        assert_eq!(model(&body, &field, "quoted\"name"), expected);
    }

    #[test]
    fn the_usage_chunk_is_asked_for_in_every_case_of_stream_options() {
        let cases = [
            (
                r#"{"model":"a","messages":[]}  "#,
                r#"{"model":"gpt-4.1","messages":[],"stream_options":{"include_usage":true}}  "#,
            ),
            (
                r#"{"stream_options": null ,"model":"a","messages":[]}"#,
                r#"{"stream_options": {"include_usage":true} ,"model":"gpt-4.1","messages":[]}"#,
            ),
            (
                r#"{"stream_options":{ },"messages":[],"model":"a"}"#,
                r#"{"stream_options":{"include_usage":true },"messages":[],"model":"gpt-4.1"}"#,
            ),
            (
                r#"{"stream_options":{"include_obfuscation":false},"messages":[],"model":"a"}"#,
                r#"{"stream_options":{"include_usage":true,"include_obfuscation":false},"messages":[],"model":"gpt-4.1"}"#,
            ),
            (
                r#"{"model":"a","stream_options":{"x":{"include_usage":1}, "include_usage" : false },"messages":[]}"#,
                r#"{"model":"gpt-4.1","stream_options":{"x":{"include_usage":1}, "include_usage" : true },"messages":[]}"#,
            ),
        ];
        for (before, after) in cases {
            assert_eq!(both(before), after);
        }
    }

    #[test]
    fn a_body_without_changes_is_not_copied() {
        let body = Bytes::from_static(b"{}");
        assert_eq!(Splice::of(&body).apply().as_ptr(), body.as_ptr());
    }
}
