//! Where an answer comes from: `groundingMetadata` and `citationMetadata`, and the citations that all dialects share.
//!
//! Google counts in bytes of UTF-8, the citations here in characters.

use indexmap::IndexMap;
use serde_json::{Value, json};

use crate::dialect::Object;
use crate::ir::Citation;

/// How many bytes or characters lie between two marks.
const STEP: usize = 256;

/// Converts between bytes and characters of a text without counting from its beginning each time.
#[derive(Debug)]
struct Measure<'t> {
    text: &'t str,
    /// Characters before every `STEP`th byte.
    chars: Vec<usize>,
    /// The byte at which every `STEP`th character begins.
    bytes: Vec<usize>,
}

impl<'t> Measure<'t> {
    fn of(text: &'t str) -> Self {
        let mut measure = Self { text, chars: Vec::new(), bytes: Vec::new() };
        let mut count = 0;
        for (place, byte) in text.bytes().enumerate() {
            let begins = is_start(byte);
            if place % STEP == 0 {
                measure.chars.push(count);
            }
            if begins && count % STEP == 0 {
                measure.bytes.push(place);
            }
            count += usize::from(begins);
        }
        measure
    }

    fn chars_before(&self, byte: u64) -> u64 {
        let byte = usize::try_from(byte).unwrap_or(usize::MAX).min(self.text.len());
        let mark = (byte / STEP).min(self.chars.len().saturating_sub(1));
        let known = self.chars.get(mark).copied().unwrap_or(0);
        let more = self.text.as_bytes().get(mark * STEP..byte).unwrap_or_default();
        let count = known + more.iter().filter(|byte| is_start(**byte)).count();
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// Whether a segment's words stand where it says.
    fn has(&self, segment: &Value) -> bool {
        let place = |key: &str| segment.get(key).and_then(Value::as_u64).and_then(|byte| usize::try_from(byte).ok());
        let (start, Some(end)) = (place("startIndex").unwrap_or(0), place("endIndex")) else { return false };
        let words = segment.get("text").and_then(Value::as_str);
        words.is_some_and(|words| self.text.get(start..end) == Some(words))
    }

    fn byte_of(&self, char: u64) -> u64 {
        let char = usize::try_from(char).unwrap_or(usize::MAX);
        let end = self.text.len();
        let byte = self.bytes.get(char / STEP).map_or(end, |from| {
            let rest = self.text.get(*from..).unwrap_or_default();
            rest.char_indices().nth(char % STEP).map_or(end, |(place, _)| from + place)
        });
        u64::try_from(byte).unwrap_or(u64::MAX)
    }
}

fn is_start(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

/// The texts in which Google may count, each with its place among the parts, where it has one.
#[derive(Debug)]
pub(super) struct Texts<'t>(Vec<(Option<usize>, Measure<'t>)>);

impl<'t> Texts<'t> {
    /// These texts, in the order of their places.
    pub(super) fn of(texts: impl IntoIterator<Item = (Option<usize>, &'t str)>) -> Self {
        Self(texts.into_iter().map(|(place, text)| (place, Measure::of(text))).collect())
    }

    /// Which text a segment is of, and its stretch there: the one whose place it says; where it says none, the last, unless
    /// its words stand in the first (protocol buffers leave zeros out).
    fn span(&self, segment: &Value) -> (usize, Option<(u64, u64)>) {
        let part = segment.get("partIndex").and_then(Value::as_u64).and_then(|part| usize::try_from(part).ok());
        let said = part.and_then(|part| self.0.binary_search_by_key(&Some(part), |(place, _)| *place).ok());
        let last = self.0.len().saturating_sub(1);
        let has_words = |text: usize| self.0.get(text).is_some_and(|(_, measure)| measure.has(segment));
        let text = said.unwrap_or(if !has_words(last) && has_words(0) { 0 } else { last });
        (text, self.0.get(text).and_then(|(_, measure)| span_from(segment, measure)))
    }
}

/// Reads the citations of an answer, from `groundingMetadata` and from `citationMetadata`: each with the number of its text.
pub(super) fn citations_from(
    grounding: Option<&Value>,
    cited: Option<&Value>,
    texts: &Texts<'_>,
) -> Vec<(usize, Citation)> {
    let mut citations = Vec::new();
    let list = |value: Option<&'_ Value>, key: &str| -> Vec<Value> {
        value.and_then(|value| value.get(key)).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let chunks = list(grounding, "groundingChunks");
    for support in list(grounding, "groundingSupports") {
        let (text, span) = texts.span(support.get("segment").unwrap_or(&Value::Null));
        for index in list(Some(&support), "groundingChunkIndices") {
            let place = index.as_u64().and_then(|index| usize::try_from(index).ok());
            let Some(chunk) = place.and_then(|place| chunks.get(place)) else { continue };
            let Some(source) = chunk.as_object().and_then(|chunk| chunk.values().find(|value| value.is_object()))
            else {
                continue;
            };
            let said = |key: &str| source.get(key).and_then(Value::as_str).map(str::to_owned);
            let (url, title, cited_text) = (said("uri"), said("title"), said("text"));
            citations.push((text, Citation { url, title, cited_text, span, original: None }));
        }
    }
    let sources = match list(cited, "citationSources") {
        none if none.is_empty() => list(cited, "citations"),
        sources => sources,
    };
    for source in sources {
        let said = |key: &str| source.get(key).and_then(Value::as_str).map(str::to_owned);
        let (text, span) = texts.span(&source);
        let citation = Citation { url: said("uri"), title: said("title"), cited_text: None, span, original: None };
        citations.push((text, citation));
    }
    citations
}

fn span_from(segment: &Value, measure: &Measure<'_>) -> Option<(u64, u64)> {
    let end = segment.get("endIndex").and_then(Value::as_u64)?;
    // Protocol buffers leave zeros out.
    let start = segment.get("startIndex").and_then(Value::as_u64).unwrap_or(0);
    Some((measure.chars_before(start), measure.chars_before(end)))
}

/// Whence a citation is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Source {
    url: Option<String>,
    title: Option<String>,
    text: Option<String>,
}

/// Gathers the citations of an answer as `groundingMetadata`.
#[derive(Clone, Debug, Default)]
pub(super) struct Grounding {
    chunks: IndexMap<Source, usize>,
    supports: Vec<Value>,
}

impl Grounding {
    /// Adds the citations of a text: `part` is its place among the parts, `offset` the bytes before it.
    pub(super) fn add(&mut self, citations: &[Citation], text: &str, part: Option<usize>, offset: u64) {
        if citations.is_empty() {
            return;
        }
        let measure = Measure::of(text);
        for citation in citations {
            let key =
                Source { url: citation.url.clone(), title: citation.title.clone(), text: citation.cited_text.clone() };
            let next = self.chunks.len();
            let chunk = *self.chunks.entry(key).or_insert(next);
            let (start, end) = match citation.span {
                Some((start, end)) => (measure.byte_of(start), measure.byte_of(end.max(start))),
                None => (0, measure.byte_of(u64::MAX)),
            };
            let place = |byte: u64| usize::try_from(byte).unwrap_or(usize::MAX);
            let segment = Object::new()
                .with_some("partIndex", part)
                .with("startIndex", offset + start)
                .with("endIndex", offset + end)
                .with_some("text", text.get(place(start)..place(end)));
            let segment = Value::from(segment);
            self.supports.push(json!({"segment": segment, "groundingChunkIndices": [chunk]}));
        }
    }

    /// `groundingMetadata`, if there is anything to say. A source without an address is a document.
    pub(super) fn finish(self) -> Option<Value> {
        if self.supports.is_empty() {
            return None;
        }
        let chunk = |Source { url, title, text }: Source| {
            let kind = if url.is_some() { "web" } else { "retrievedContext" };
            let text = text.filter(|_| url.is_none());
            let source = Object::new().with_some("uri", url).with_some("title", title).with_some("text", text);
            Value::from(Object::new().with(kind, source))
        };
        let chunks: Vec<Value> = self.chunks.into_keys().map(chunk).collect();
        Some(json!({"groundingChunks": chunks, "groundingSupports": self.supports}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_characters_are_converted_anywhere_in_a_text() {
        let text = "äöü€ x".repeat(200);
        let measure = Measure::of(&text);
        for (char, (byte, _)) in text.char_indices().enumerate() {
            let (char, byte) = (u64::try_from(char).unwrap_or(0), u64::try_from(byte).unwrap_or(0));
            assert_eq!((measure.chars_before(byte), measure.byte_of(char)), (char, byte));
        }
        let end = u64::try_from(text.len()).unwrap_or(0);
        assert_eq!((measure.chars_before(u64::MAX), measure.byte_of(u64::MAX)), (1_200, end));
        assert_eq!(Measure::of("").chars_before(3), 0);
    }

    #[test]
    fn citations_become_groundings_and_come_back() {
        let text = "Grüße aus Köln. Ende.";
        let citation = |url: Option<&str>, span| Citation {
            url: url.map(str::to_owned),
            title: Some("T".to_owned()),
            cited_text: None,
            span,
            original: None,
        };
        let citations = [citation(Some("https://a.example"), Some((6, 15))), citation(None, Some((16, 21)))];
        let mut grounding = Grounding::default();
        grounding.add(&citations, text, Some(0), 0);
        let written = grounding.finish().unwrap_or_default();
        assert_eq!(written["groundingSupports"][0]["segment"]["text"], "aus Köln.");
        let read = |texts: &[(Option<usize>, &str)]| citations_from(Some(&written), None, &Texts::of(texts.to_vec()));
        let of_text = |number: usize| citations.clone().map(|citation| (number, citation)).to_vec();
        assert_eq!(read(&[(Some(0), text)]), of_text(0));
        assert_eq!(read(&[(Some(0), text), (Some(2), "A text behind it, which is longer.")]), of_text(0));
    }

    #[test]
    fn a_segment_without_a_part_is_of_the_last_text_unless_its_words_are_in_the_first() {
        let said = |words: &str| {
            let segment = json!({"startIndex": 0, "endIndex": 3, "text": words});
            json!({"groundingChunks": [{"web": {"uri": "https://a.example"}}],
                "groundingSupports": [{"segment": segment, "groundingChunkIndices": [0]}]})
        };
        let texts = Texts::of([(Some(0), "One."), (Some(3), "Two.")]);
        let of = |words: &str| citations_from(Some(&said(words)), None, &texts)[0].0;
        assert_eq!((of("One"), of("Two"), of("Six")), (0, 1, 1));
    }
}
