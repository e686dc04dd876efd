//! What the gateway mints bears one mark, so that a request that brings it back is recognised by its bytes alone.
//!
//! Two things are minted: ids of tool calls (where a dialect has none, or where one would not be valid elsewhere), and
//! capsules: seals of one vendor on their way through another vendor's dialect ([`super::Seal`]). Both begin with
//! [`MARK`].

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::engine::{DecodePaddingMode, general_purpose};
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// The mark. Eight letters and digits: valid in a tool call's id, and valid base64 that decodes to six bytes, so that it
/// survives Google's SDKs, which decode and encode `thoughtSignature` again (in the URL-safe alphabet, some of them).
/// Never change it: conversations in the wild bear it.
pub const MARK: &str = "lgwMark1";

/// The longest tool call id that is valid everywhere (OpenAI takes 40 and no more), in bytes.
pub const ID_MAX: usize = 40;

/// Reads either alphabet with or without padding, once it is in the standard one.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Whether this text was minted here.
pub fn is_minted(text: &str) -> bool {
    text.starts_with(MARK)
}

/// Mints a tool call's id from what makes it unique: the answer's id, the call's place in it, its name.
pub fn call_id(seed: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in seed {
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hex::encode(hash.finalize());
    format!("{MARK}_{}", &digest[..24])
}

/// The id itself if every provider takes it (1 to 40 of `[A-Za-z0-9_-]`), else one minted from it: always the same one, so
/// that a call and its result still match.
pub fn portable_id(id: &str) -> Cow<'_, str> {
    let valid = !id.is_empty()
        && id.len() <= ID_MAX
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if valid { Cow::Borrowed(id) } else { Cow::Owned(call_id(&["portable", id])) }
}

/// Wraps bytes so that they can travel as a signature in any dialect.
pub(super) fn capsule(content: &[u8]) -> String {
    let mut text = MARK.to_owned();
    STANDARD.encode_string(content, &mut text);
    text
}

/// Unwraps what [`capsule`] wrapped.
pub(super) fn open_capsule(text: &str) -> Option<Vec<u8>> {
    let body = text.strip_prefix(MARK)?;
    if !body.contains(['-', '_']) {
        return LENIENT.decode(body).ok();
    }
    let standard: String = body
        .chars()
        .map(|letter| match letter {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    LENIENT.decode(standard).ok()
}

/// The engine for base64 that is to be read leniently.
pub fn lenient_base64() -> &'static general_purpose::GeneralPurpose {
    &LENIENT
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};

    #[test]
    fn minted_ids_are_valid_everywhere_and_differ_by_their_seed() {
        let id = call_id(&["resp_1", "0"]);
        assert!(is_minted(&id) && id.len() <= ID_MAX);
        assert_eq!(portable_id(&id), id);
        assert_ne!(id, call_id(&["resp_10", ""]));
    }

    #[test]
    fn a_foreign_id_is_kept_if_it_can_be_and_else_always_mapped_to_the_same() {
        assert_eq!(portable_id("toolu_01AbC-9"), "toolu_01AbC-9");
        let odd = "functions.get_weather:0";
        assert_eq!(portable_id(odd), portable_id(odd));
        assert!(is_minted(&portable_id(odd)));
        assert!(is_minted(&portable_id(&"x".repeat(41))));
    }

    #[test]
    #[expect(clippy::unwrap_used, reason = "a test may panic")]
    fn a_capsule_survives_being_decoded_and_encoded_in_another_alphabet() {
        let content: Vec<u8> = (0..=255).collect();
        let text = capsule(&content);
        let bytes = STANDARD.decode(&text).unwrap();
        for echoed in [URL_SAFE.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes), text] {
            assert!(is_minted(&echoed));
            assert_eq!(open_capsule(&echoed).unwrap(), content);
        }
    }
}
