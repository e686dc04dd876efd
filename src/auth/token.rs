//! Finds the token among the headers that a caller sent.
//!
//! A token's text is hashed where it is read and goes no further: nothing behind this module could log or leak it.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::fault::{Fault, FaultKind};

/// The key that `dev` takes and `serve` never does, whatever its database says.
pub const DEVELOPMENT_KEY: &str = "phx_dev_local_test_api_key_1234567890abcdef";

/// That key's id.
pub const DEVELOPMENT_KEY_ID: &str = "development";

/// The longest token that is looked at, in bytes. PostHog's own have 47 or fewer.
pub const MAX_LEN: usize = 256;

/// A caller's token, well-formed. Its text is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    kind: TokenKind,
    hash: TokenHash,
}

/// What a token is, by its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// `phx_`: a personal API key.
    ApiKey,
    /// `pha_`: an OAuth access token.
    OAuth,
}

/// The SHA-256 of a token's text: what databases and caches keep.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenHash([u8; 32]);

/// One header that may hold a token.
#[derive(Clone, Copy)]
pub enum Presented<'a> {
    /// `Authorization`, with its scheme.
    Authorization(&'a [u8]),
    /// `x-api-key`.
    ApiKeyHeader(&'a [u8]),
    /// `x-goog-api-key`, or `?key=` on Google's paths.
    GoogleKey(&'a [u8]),
}

impl Token {
    /// Reads a token; none, if it does not have the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        let kind = TokenKind::of(text)?;
        let is_sane = text.len() > 4 && text.len() <= MAX_LEN && text.bytes().all(is_token_byte);
        is_sane.then(|| Self { kind, hash: TokenHash::of(text) })
    }

    /// What it is, by its prefix.
    pub fn kind(&self) -> TokenKind {
        self.kind
    }

    /// What it is looked up by.
    pub fn hash(&self) -> TokenHash {
        self.hash
    }
}

impl TokenKind {
    fn of(text: &str) -> Option<Self> {
        match text.get(..4)? {
            "phx_" => Some(Self::ApiKey),
            "pha_" => Some(Self::OAuth),
            _ => None,
        }
    }
}

impl TokenHash {
    /// Hashes a token's text.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// 64 lower-case hexadecimal digits: how `posthog_oauthaccesstoken.token_checksum` is written.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// How `posthog_personalapikey.secure_value` is written.
    pub fn secure_value(&self) -> String {
        format!("sha256${}", self.hex())
    }
}

// A whole hash could be looked up in a leaked database; its beginning tells two apart.
impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenHash({}..)", hex::encode(&self.0[..4]))
    }
}

impl<'a> Presented<'a> {
    /// The part of the header that would be the token.
    fn candidate(self) -> Option<&'a str> {
        match self {
            Self::Authorization(value) => {
                let (scheme, rest) = text(value)?.split_once(' ')?;
                scheme.eq_ignore_ascii_case("bearer").then(|| rest.trim_matches(' '))
            }
            Self::ApiKeyHeader(value) | Self::GoogleKey(value) => text(value),
        }
    }
}

/// A fresh personal API key from 64 random bytes: PostHog's prefix and 43 letters and digits, 256 bits.
///
/// None: the bytes hold too few that can be used, which happens once in 10^9 times. Take others.
pub fn api_key_from(random: &[u8; 64]) -> Option<String> {
    const LENGTH: usize = 43;
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    // Bytes from 248 up are left out, so that no letter is likelier than another.
    let letters = random.iter().filter(|byte| **byte < 248).map(|byte| char::from(ALPHABET[usize::from(byte % 62)]));
    let text: String = "phx_".chars().chain(letters.take(LENGTH)).collect();
    (text.len() == 4 + LENGTH).then_some(text)
}

/// The token that counts among those presented: the one of PostHog's form, wherever it is. An SDK may send a default of its
/// own in another header; that one is passed over.
///
/// # Errors
/// 401 when none has the form of a token, or when two different ones do.
pub fn pick<'a>(presented: impl IntoIterator<Item = Presented<'a>>) -> Result<Token, Fault> {
    let mut found: Option<Token> = None;
    let mut anything = false;
    for header in presented {
        anything = true;
        let Some(token) = header.candidate().and_then(Token::parse) else { continue };
        if found.is_some_and(|earlier| earlier != token) {
            return Err(refusal("two different tokens were sent; send one, in Authorization or in x-api-key"));
        }
        found = Some(token);
    }
    match (found, anything) {
        (Some(token), _) => Ok(token),
        (None, true) => Err(refusal(
            "what was sent is no PostHog token; send a personal API key (phx_...) or an OAuth access token (pha_...)",
        )),
        (None, false) => Err(refusal(
            "no token was sent; send a personal API key (phx_...) or an OAuth access token (pha_...) as Authorization: \
             Bearer, or as x-api-key",
        )),
    }
}

/// The 401 of a token that is not good.
pub fn refusal(message: impl Into<String>) -> Fault {
    Fault::new(FaultKind::InvalidApiKey, message)
}

fn text(value: &[u8]) -> Option<&str> {
    // Looking at 16 KiB of anything is not worth it: no token is that long.
    if value.len() > MAX_LEN + 64 {
        return None;
    }
    std::str::from_utf8(value).ok().map(|text| text.trim_matches([' ', '\t']))
}

/// RFC 6750's `b64token`, which `_` belongs to.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::{DEVELOPMENT_KEY, MAX_LEN, Presented, Token, TokenHash, TokenKind, api_key_from, pick};
    use crate::fault::FaultKind;

    const KEY: &str = "phx_4kQ0aVb7cWd8eXf9gYh0iZj1kAl2mBn3oCp4qDr5sEt";
    const OTHER: &str = "phx_another";

    fn bearer(token: &str) -> Vec<u8> {
        format!("Bearer {token}").into_bytes()
    }

    #[test]
    fn prefixes_tell_the_kinds_apart() {
        assert_eq!(Token::parse(KEY).unwrap().kind(), TokenKind::ApiKey);
        assert_eq!(Token::parse("pha_abc").unwrap().kind(), TokenKind::OAuth);
        assert_eq!(Token::parse(DEVELOPMENT_KEY).unwrap().kind(), TokenKind::ApiKey);
    }

    #[test]
    fn a_hash_is_the_sha256_of_the_whole_text() {
        let hash = Token::parse("phx_abc").unwrap().hash();
        assert_eq!(hash, TokenHash::of("phx_abc"));
        assert_eq!(TokenHash::of("").hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(TokenHash::from_hex(&hash.hex()), Some(hash));
        assert_eq!(hash.secure_value(), format!("sha256${}", hash.hex()));
    }

    #[test]
    fn what_is_no_token_is_not_one() {
        let long = format!("phx_{}", "a".repeat(MAX_LEN - 3));
        for text in ["", "phx", "phx_", "pha_", "PHX_abc", "sk-abc", "phx_a b", "phx_a\0b", "phx_ä", "xphx_abc", &long]
        {
            assert_eq!(Token::parse(text), None, "{text:?}");
        }
        let longest = format!("phx_{}", "a".repeat(MAX_LEN - 4));
        assert!(Token::parse(&longest).is_some());
    }

    #[test]
    fn hex_that_is_no_hash_is_refused() {
        for text in ["", "00", "zz", &"0".repeat(63), &"0".repeat(65), "*"] {
            assert_eq!(TokenHash::from_hex(text), None, "{text:?}");
        }
    }

    #[test]
    fn every_header_can_carry_the_token() {
        let token = Token::parse(KEY).unwrap();
        let (value, key) = (bearer(KEY), KEY.as_bytes());
        assert_eq!(pick([Presented::Authorization(&value)]), Ok(token));
        assert_eq!(pick([Presented::ApiKeyHeader(key)]), Ok(token));
        assert_eq!(pick([Presented::GoogleKey(key)]), Ok(token));
    }

    #[test]
    fn the_scheme_is_read_without_regard_to_case_and_spaces() {
        for value in [format!("bearer {KEY}"), format!("BEARER   {KEY} "), format!(" Bearer {KEY}\t")] {
            assert!(pick([Presented::Authorization(value.as_bytes())]).is_ok(), "{value:?}");
        }
    }

    #[test]
    fn authorization_needs_its_scheme() {
        for value in
            [KEY.to_owned(), format!("Basic {KEY}"), format!("Bearer{KEY}"), "Bearer".to_owned(), String::new()]
        {
            let refused = pick([Presented::Authorization(value.as_bytes())]).unwrap_err();
            assert_eq!(refused.kind, FaultKind::InvalidApiKey, "{value:?}");
        }
    }

    #[test]
    fn a_foreign_token_in_another_header_is_passed_over() {
        let (foreign, ours) = (bearer("sk-ant-something"), bearer(KEY));
        assert!(pick([Presented::Authorization(&foreign), Presented::ApiKeyHeader(KEY.as_bytes())]).is_ok());
        assert!(pick([Presented::Authorization(&ours), Presented::ApiKeyHeader(b"dummy")]).is_ok());
        assert!(pick([Presented::Authorization(&foreign), Presented::Authorization(&ours)]).is_ok());
    }

    #[test]
    fn the_same_token_twice_is_one_token() {
        let value = bearer(KEY);
        assert!(pick([Presented::Authorization(&value), Presented::ApiKeyHeader(KEY.as_bytes())]).is_ok());
    }

    #[test]
    fn two_different_tokens_are_refused() {
        let value = bearer(KEY);
        let refused = pick([Presented::Authorization(&value), Presented::ApiKeyHeader(OTHER.as_bytes())]).unwrap_err();
        assert_eq!(refused.kind, FaultKind::InvalidApiKey);
        assert!(refused.message.contains("two different tokens"), "{}", refused.message);
    }

    #[test]
    fn nothing_and_nonsense_are_refused_with_different_words() {
        let nothing = pick([]).unwrap_err();
        let nonsense = pick([Presented::ApiKeyHeader(b"hello")]).unwrap_err();
        assert!(nothing.message.starts_with("no token was sent"), "{}", nothing.message);
        assert!(nonsense.message.starts_with("what was sent is no PostHog token"), "{}", nonsense.message);
    }

    #[test]
    fn a_token_of_16_kib_and_bytes_that_are_no_text_are_refused() {
        let long = format!("phx_{}", "a".repeat(16 * 1024));
        for value in [long.as_bytes(), b"phx_\xff\xfe", b"phx_a\0b"] {
            assert!(pick([Presented::ApiKeyHeader(value)]).is_err());
        }
    }

    #[test]
    fn fresh_keys_are_tokens_and_use_every_letter() {
        let mut bytes = [0; 64];
        for (at, byte) in (0_u8..).zip(&mut bytes) {
            *byte = at;
        }
        let key = api_key_from(&bytes).unwrap();
        assert_eq!(Token::parse(&key).unwrap().kind(), TokenKind::ApiKey);
        assert_eq!(key, "phx_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg");
        assert_eq!(api_key_from(&[61; 64]).unwrap(), format!("phx_{}", "z".repeat(43)));
        assert_eq!(api_key_from(&[248; 64]), None);
    }

    #[test]
    fn no_text_of_a_token_shows_in_debug() {
        let token = Token::parse(KEY).unwrap();
        let shown = format!("{token:?}");
        assert!(!shown.contains(KEY) && !shown.contains(&token.hash().hex()), "{shown}");
    }
}
