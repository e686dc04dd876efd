//! Makes JSON of anybody's making such that PostHog can read it: half of a pair of surrogates, which JSON may spell and UTF-8
//! cannot, becomes U+FFFD. One such `\ud83d` would have PostHog refuse the event.

use std::borrow::Cow;

use memchr::{memchr, memmem};

/// As long as what it replaces.
const REPLACEMENT: &[u8; 6] = br"\ufffd";

/// The JSON text, with U+FFFD for surrogates that stand alone.
pub(super) fn sound(json: &str) -> Cow<'_, str> {
    let text = json.as_bytes();
    if memmem::find(text, br"\u").is_none() {
        return Cow::Borrowed(json);
    }
    let mut mended: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(place) = memchr(b'\\', &text[at..]) {
        let start = at + place;
        at = (start + escape_length(&text[start..])).min(text.len());
        if is_lone_surrogate(&text[start..at]) {
            let mended = mended.get_or_insert_with(|| text.to_vec());
            if let Some(hole) = mended.get_mut(start..at) {
                hole.copy_from_slice(REPLACEMENT);
            }
        }
    }
    mended.and_then(|bytes| String::from_utf8(bytes).ok()).map_or(Cow::Borrowed(json), Cow::Owned)
}

/// How many bytes the escape has that the text begins with; two surrogates that belong together are one.
pub(super) fn escape_length(text: &[u8]) -> usize {
    match text {
        [b'\\', b'u', rest @ ..] => match rest {
            [
                b'd' | b'D',
                b'8' | b'9' | b'a' | b'b' | b'A' | b'B',
                _,
                _,
                b'\\',
                b'u',
                b'd' | b'D',
                b'c'..=b'f' | b'C'..=b'F',
                ..,
            ] => 12,
            _ => 6,
        },
        _ => 2,
    }
}

fn is_lone_surrogate(escape: &[u8]) -> bool {
    matches!(escape, [b'\\', b'u', b'd' | b'D', b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F', _, _])
}

#[cfg(test)]
mod tests {
    use super::sound;

    #[test]
    fn surrogates_that_stand_alone_are_replaced_and_all_else_stays() {
        for (text, expected) in [
            (r#""plain""#, r#""plain""#),
            (r#""\ud83d\ude00 \u00e9 \n""#, r#""\ud83d\ude00 \u00e9 \n""#),
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""\uDE00\uD83D""#, r#""\ufffd\ufffd""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ud83d\n\ude00""#, r#""\ufffd\n\ufffd""#),
            (r#""\\ud83d \\\ud83d""#, r#""\\ud83d \\\ufffd""#),
            (r#"{"\udfff": ["\ud7ff\ue000"]}"#, r#"{"\ufffd": ["\ud7ff\ue000"]}"#),
        ] {
            assert_eq!(sound(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_cut_in_an_escape_is_left_as_it_is() {
        for text in [r"\u", r"\ud", r"\ud8", r"\ud83", r"\ud83d\u", r"\", r"\u00e9\"] {
            let mended = sound(text);
            assert_eq!(mended.len(), text.len(), "{text}");
        }
    }
}
