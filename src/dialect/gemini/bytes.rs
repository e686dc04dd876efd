//! Files in base64: Google takes either alphabet, padded or not, and its own SDKs write the URL-safe one. Others take the
//! standard alphabet with padding only, so that is what the IR holds. Letters are exchanged where they stand: nothing is
//! decoded, and nothing is copied.

use super::DIALECT;
use crate::ir::Carry;

/// The note of how the caller wrote it, for writing it so again.
const NOTE: &str = "letters";
const URL_SAFE: &str = "url_safe";
const URL_SAFE_BARE: &str = "url_safe_bare";
const BARE: &str = "bare";

/// The same bytes in the standard alphabet, with padding. What is no base64 stays so: its provider says so best.
pub(super) fn standard(data: String, notes: &mut Carry) -> String {
    let mut data = data;
    let has = |letters: [u8; 2]| data.bytes().any(|byte| letters.contains(&byte));
    // One with letters of both alphabets is of neither.
    let is_url_safe = has(*b"-_") && !has(*b"+/");
    if is_url_safe {
        data = exchanged(data, |byte| match byte {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        });
    }
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let padding = match data.len() % 4 {
        2 if data.bytes().all(is_letter) => "==",
        3 if data.bytes().all(is_letter) => "=",
        _ => "",
    };
    data.push_str(padding);
    match (is_url_safe, padding.is_empty()) {
        (true, true) => notes.note(DIALECT, NOTE, URL_SAFE),
        (true, false) => notes.note(DIALECT, NOTE, URL_SAFE_BARE),
        (false, false) => notes.note(DIALECT, NOTE, BARE),
        (false, true) => {}
    }
    data
}

/// The letters that the caller wrote.
pub(super) fn as_written(data: &str, notes: &Carry) -> String {
    let form = notes.noted_as(DIALECT, NOTE).and_then(serde_json::Value::as_str).unwrap_or_default();
    let bare = if matches!(form, URL_SAFE_BARE | BARE) { data.trim_end_matches('=') } else { data };
    if !matches!(form, URL_SAFE | URL_SAFE_BARE) {
        return bare.to_owned();
    }
    exchanged(bare.to_owned(), |byte| match byte {
        b'+' => b'-',
        b'/' => b'_',
        other => other,
    })
}

/// Exchanges letters of ASCII for others of ASCII, in place.
fn exchanged(text: String, by: impl Fn(u8) -> u8) -> String {
    let mut bytes = text.into_bytes();
    bytes.iter_mut().for_each(|byte| *byte = by(*byte));
    // Never lossy: only letters of ASCII were exchanged, so that it is as valid as it was.
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_alphabet_becomes_the_standard_one_and_goes_back_as_it_came() {
        for (written, standard_form) in [
            ("-_8=", "+/8="),
            ("-_8", "+/8="),
            ("+/8", "+/8="),
            ("+/8=", "+/8="),
            ("_w", "/w=="),
            ("AAAA", "AAAA"),
            ("", ""),
        ] {
            let mut notes = Carry::NONE;
            let data = standard(written.to_owned(), &mut notes);
            assert_eq!((data.as_str(), as_written(&data, &notes).as_str()), (standard_form, written));
        }
    }

    #[test]
    fn what_is_no_base64_is_left_to_its_provider() {
        for written in ["[häßlich]", "A-/A", "AA\r\nAA\n", "A+\nA", "A=", "=="] {
            let mut notes = Carry::NONE;
            assert_eq!(standard(written.to_owned(), &mut notes), written);
            assert_eq!(as_written(written, &notes), written);
        }
        // Line breaks are not in the way of letters.
        let mut notes = Carry::NONE;
        let data = standard("A-\nA_".to_owned(), &mut notes);
        assert_eq!((data.as_str(), as_written(&data, &notes).as_str()), ("A+\nA/", "A-\nA_"));
    }
}
