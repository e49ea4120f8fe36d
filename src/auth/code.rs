//! One-time codes for the fallback: proof that somebody may run a command in lamplighter's container.
//!
//! A code says when it was made and is signed with a key that only the container has, so that the command
//! that prints it and the process that takes it need no channel between them that others could use.

use aws_lc_rs::{constant_time, hkdf, hmac};
use jiff::Timestamp;

/// How long a code is good for, in seconds.
pub const CODE_SECONDS: i64 = 300;

/// Random bytes of a code.
pub const NONCE_LEN: usize = 12;

const TIME_LEN: usize = 4;
const TAG_LEN: usize = 16;
const CODE_LEN: usize = TIME_LEN + NONCE_LEN + TAG_LEN;

/// RFC 4648 section 6, in lower case.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Signs and checks codes.
pub struct CodeKey(hmac::Key);

/// Why a code is not taken. Says nothing about how close it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CodeError {
    /// It was made more than five minutes ago.
    #[error("the code is older than five minutes")]
    Expired,
    /// It was not made here.
    #[error("the code is wrong")]
    Wrong,
}

impl CodeKey {
    /// A key made of a session key's secret, and of no use for sessions.
    pub fn derive(secret: &[u8]) -> Self {
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, b"lamplighter").extract(secret);
        let mut key = [0; 32];
        extracted
            .expand(&[b"fallback code v1"], hkdf::HKDF_SHA256)
            .and_then(|expanded| expanded.fill(&mut key))
            .expect("HKDF-SHA256 yields 32 bytes");
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }

    /// A code made at `now`. `nonce` must be fresh random bytes.
    pub fn issue(&self, nonce: [u8; NONCE_LEN], now: Timestamp) -> String {
        let time = u32::try_from(now.as_second()).unwrap_or(0).to_be_bytes();
        let mut code = [&time[..], &nonce[..]].concat();
        let tag = hmac::sign(&self.0, &code);
        code.extend_from_slice(&tag.as_ref()[..TAG_LEN]);
        encode(&code)
    }

    /// Whether `code` was made here within the last five minutes; its bytes, by which it is used up.
    ///
    /// Case, white space and dashes do not count: a person pastes it.
    pub fn check(&self, code: &str, now: Timestamp) -> Result<[u8; CODE_LEN], CodeError> {
        let bytes = decode(code).ok_or(CodeError::Wrong)?;
        let (signed, tag) = bytes.split_at(TIME_LEN + NONCE_LEN);
        let expected = hmac::sign(&self.0, signed);
        constant_time::verify_slices_are_equal(&expected.as_ref()[..TAG_LEN], tag)
            .map_err(|_| CodeError::Wrong)?;
        let made_at = i64::from(u32::from_be_bytes([signed[0], signed[1], signed[2], signed[3]]));
        if !(0..CODE_SECONDS).contains(&(now.as_second() - made_at)) {
            return Err(CodeError::Expired);
        }
        Ok(bytes)
    }
}

impl std::fmt::Debug for CodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CodeKey")
    }
}

fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    let (mut held, mut bits) = (0_u32, 0);
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(letter(held >> bits));
        }
    }
    if bits > 0 {
        text.push(letter(held << (5 - bits)));
    }
    text
}

fn letter(bits: u32) -> char {
    char::from(ALPHABET[(bits & 31) as usize])
}

fn decode(text: &str) -> Option<[u8; CODE_LEN]> {
    let mut bytes = Vec::with_capacity(CODE_LEN);
    let (mut held, mut bits) = (0_u32, 0);
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'-') {
        let value = ALPHABET.iter().position(|letter| *letter == byte.to_ascii_lowercase())?;
        held = (held << 5) | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((held >> bits) & 0xff).ok()?);
        }
        if bytes.len() > CODE_LEN {
            return None;
        }
    }
    // Left-over bits have to be zero, or two texts would be one code.
    if bits >= 5 || held & ((1 << bits) - 1) != 0 {
        return None;
    }
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn key() -> CodeKey {
        CodeKey::derive(&[1; 32])
    }

    #[test]
    fn a_code_is_good_for_five_minutes() {
        let code = key().issue([7; NONCE_LEN], at(1_000));
        assert_eq!(code.len(), 52);
        assert!(key().check(&code, at(1_000)).is_ok() && key().check(&code, at(1_299)).is_ok());
        assert_eq!(key().check(&code, at(1_300)), Err(CodeError::Expired));
        assert_eq!(key().check(&code, at(999)), Err(CodeError::Expired));
    }

    #[test]
    fn a_code_of_another_key_is_wrong() {
        let code = CodeKey::derive(&[2; 32]).issue([7; NONCE_LEN], at(1_000));
        assert_eq!(key().check(&code, at(1_000)), Err(CodeError::Wrong));
    }

    #[test]
    fn a_person_may_paste_it_as_it_comes() {
        let code = key().issue([7; NONCE_LEN], at(1_000)).to_uppercase();
        let (head, tail) = code.split_at(20);
        assert!(key().check(&format!("  {head}-{tail}\n"), at(1_000)).is_ok());
    }

    #[test]
    fn two_codes_differ() {
        let of = |nonce: u8| key().check(&key().issue([nonce; NONCE_LEN], at(1)), at(1)).unwrap();
        assert_ne!(of(1), of(2));
    }

    proptest! {
        #[test]
        fn a_changed_code_is_wrong(at_letter in 0_usize..52, with in 0_usize..32) {
            let code = key().issue([7; NONCE_LEN], at(1_000));
            let mut changed = code.clone().into_bytes();
            prop_assume!(changed[at_letter] != ALPHABET[with]);
            changed[at_letter] = ALPHABET[with];
            let changed = String::from_utf8(changed).unwrap();
            prop_assert_eq!(key().check(&changed, at(1_000)), Err(CodeError::Wrong));
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            prop_assert_eq!(key().check(&text, at(1_000)), Err(CodeError::Wrong));
        }
    }
}
