//! Base64 as the vendors take it where files stand in a request.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Whether this is base64 in the standard alphabet, with padding: what Anthropic and OpenAI take.
pub(super) fn is_standard(text: &str) -> bool {
    STANDARD.decode(text).is_ok()
}

/// Whether this is base64 in either alphabet, padded or not: what protocol buffers' JSON takes.
pub(super) fn is_either(text: &str) -> bool {
    is_standard(&standard(text))
}

/// The same bytes in the standard alphabet, with padding.
pub(super) fn standard(text: &str) -> String {
    let mut standard = text.trim_end_matches('=').replace('-', "+").replace('_', "/");
    standard.push_str(["", "===", "==", "="].get(standard.len() % 4).copied().unwrap_or_default());
    standard
}

/// What stands in a data URL behind `;base64,`.
pub(super) fn of_data_url(url: &str) -> Option<&str> {
    url.strip_prefix("data:")?.split_once(";base64,").map(|(_, data)| data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_vendor_has_its_own_alphabets() {
        for (text, standard, either) in [
            ("+/8=", true, true),
            ("-_8=", false, true),
            ("-_8", false, true),
            ("+/8", false, true),
            ("AAAA", true, true),
            ("AA\nAA", false, false),
            ("[missing]", false, false),
        ] {
            assert_eq!((is_standard(text), is_either(text)), (standard, either), "{text}");
        }
    }
}
