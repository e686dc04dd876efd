//! What the sandbox mints: ids in the vendors' shapes, and signatures that it knows again.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// Signatures are good at every sandbox of a kind, as those of a vendor are at all its hosts. This hides nothing.
const SECRET: &[u8] = b"a simulation keeps no secrets";
const MARK: &[u8] = b"sandbox1";
const MAC: usize = 32;

const ALPHANUMERIC: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const HEX: &[u8] = b"0123456789abcdef";

/// Mints ids for one answer: others for each call, the same when a run is repeated.
#[derive(Debug)]
pub(super) struct Ids {
    seed: [u8; 32],
    minted: u64,
}

impl Ids {
    pub(super) fn new(call: u64, body: &[u8]) -> Self {
        let seed = Sha256::new().chain_update(call.to_be_bytes()).chain_update(body).finalize().into();
        Self { seed, minted: 0 }
    }

    /// The prefix and so many letters and digits.
    pub(super) fn alphanumeric(&mut self, prefix: &str, length: usize) -> String {
        self.mint(prefix, length, ALPHANUMERIC)
    }

    /// The prefix and so many hexadecimal digits.
    pub(super) fn hex(&mut self, prefix: &str, length: usize) -> String {
        self.mint(prefix, length, HEX)
    }

    fn mint(&mut self, prefix: &str, length: usize, alphabet: &[u8]) -> String {
        let mut id = prefix.to_owned();
        while id.len() < prefix.len() + length {
            self.minted += 1;
            let bytes = Sha256::new().chain_update(self.seed).chain_update(self.minted.to_be_bytes()).finalize();
            let letters = bytes.iter().filter_map(|byte| alphabet.get(usize::from(*byte) % alphabet.len()));
            id.extend(letters.take(prefix.len() + length - id.len()).map(|letter| char::from(*letter)));
        }
        id
    }
}

/// An opaque, signed string that carries the payload, for the purpose named.
pub(super) fn seal(purpose: &str, payload: &[u8]) -> String {
    STANDARD.encode([MARK, &mac(purpose, payload), payload].concat())
}

/// The payload of what [`seal`] made for this purpose; none for anything else.
pub(super) fn open(purpose: &str, sealed: &str) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(sealed).ok()?;
    let (found, payload) = bytes.strip_prefix(MARK)?.split_at_checked(MAC)?;
    (found == mac(purpose, payload)).then(|| payload.to_vec())
}

/// A signature over a text, which it doesn't carry.
pub(super) fn sign(purpose: &str, text: &str) -> String {
    seal(purpose, &Sha256::digest(text))
}

/// Whether [`sign`] made this signature over this text.
pub(super) fn signed(purpose: &str, text: &str, signature: &str) -> bool {
    open(purpose, signature).is_some_and(|payload| payload == Sha256::digest(text).as_slice())
}

fn mac(purpose: &str, payload: &[u8]) -> [u8; MAC] {
    Sha256::new()
        .chain_update(SECRET)
        .chain_update(purpose)
        .chain_update([0])
        .chain_update(payload)
        .chain_update(SECRET)
        .finalize()
        .into()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_seal_opens_for_its_purpose_only_and_unchanged_only() {
        let sealed = seal("reasoning", b"thought");
        assert_eq!(open("reasoning", &sealed).unwrap(), b"thought");
        assert_eq!(open("signature", &sealed), None);
        let mut changed = STANDARD.decode(&sealed).unwrap();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(open("reasoning", &STANDARD.encode(changed)), None);
        assert_eq!(open("reasoning", "not base64!"), None);
        assert_eq!(open("reasoning", ""), None);
    }

    #[test]
    fn a_signature_holds_for_its_text_only() {
        let signature = sign("thinking", "a");
        assert!(signed("thinking", "a", &signature));
        assert!(!signed("thinking", "b", &signature));
    }

    #[test]
    fn ids_have_their_length_and_differ() {
        let mut ids = Ids::new(1, b"body");
        let (one, two) = (ids.alphanumeric("msg_01", 22), ids.alphanumeric("msg_01", 22));
        assert_eq!((one.len(), two.len()), (28, 28));
        assert_ne!(one, two);
        assert_eq!(Ids::new(1, b"body").alphanumeric("msg_01", 22), one);
        assert_ne!(Ids::new(2, b"body").alphanumeric("msg_01", 22), one);
        assert_eq!(ids.hex("resp_", 50).len(), 55);
    }
}
