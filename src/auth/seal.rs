//! Sealing what a browser keeps for us: nobody else can read, make or move it.
//!
//! A sealed value is `base64url(key id ‖ nonce ‖ AES-256-GCM ciphertext and tag)`. What it is for, the
//! cookie's name, the site and the client are associated data: a value is worth nothing in another place.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{digest, hkdf};
use base64_simd::{Out, URL_SAFE_NO_PAD};

/// Longest sealed value that is looked at, in bytes: a browser keeps 4,096 with the name.
pub const MAX_SEALED: usize = 4096;

/// Longest sealed session that is looked at, in bytes: ours are shorter.
pub const MAX_SESSION: usize = 2048;

/// Shortest secret that a key is made of, in bytes.
pub const MIN_SECRET: usize = 32;

const KEY_ID_LEN: usize = 4;
const HEADER_LEN: usize = KEY_ID_LEN + NONCE_LEN;

/// Where a sealed value belongs.
#[derive(Clone, Debug)]
pub struct Context(Vec<u8>);

impl Context {
    /// A value for `purpose`, kept in the cookie `cookie` of `site`, for the client `client_id`.
    pub fn new(purpose: &str, cookie: &str, site: &str, client_id: &str) -> Self {
        let mut bytes = Vec::new();
        for part in [purpose, cookie, site, client_id] {
            // Lengths keep ("a", "bc") and ("ab", "c") apart.
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        Self(bytes)
    }
}

/// The keys: the first seals, all open.
#[derive(Debug)]
pub struct KeyRing {
    keys: Vec<Key>,
}

struct Key {
    id: [u8; KEY_ID_LEN],
    aead: LessSafeKey,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({:02x?})", self.id)
    }
}

/// Why keys could not be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// There has to be a key that seals.
    #[error("there is no key")]
    Empty,
    /// A secret that could be guessed.
    #[error("a key has fewer than 32 bytes: make one with `openssl rand -base64 32`")]
    TooShort,
}

/// Why a sealed value was not opened. Says nothing about how close it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OpenError {
    /// Too long, not base64url, or cut short.
    #[error("not a sealed value")]
    Malformed,
    /// Sealed with a key that is not in the ring.
    #[error("sealed with a key that is not known here")]
    UnknownKey,
    /// Altered, or sealed for another purpose, cookie, site or client.
    #[error("altered, or meant for another place")]
    Forged,
}

impl KeyRing {
    /// Makes a ring of `secrets`, each of at least [`MIN_SECRET`] bytes.
    pub fn new<S: AsRef<[u8]>>(secrets: &[S]) -> Result<Self, KeyError> {
        if secrets.is_empty() {
            return Err(KeyError::Empty);
        }
        let keys = secrets.iter().map(|secret| Key::derive(secret.as_ref())).collect::<Result<_, _>>()?;
        Ok(Self { keys })
    }

    /// Seals `plain` for `context`. `nonce` must be fresh random bytes: it is used once.
    pub fn seal(&self, context: &Context, plain: &[u8], nonce: [u8; NONCE_LEN]) -> String {
        let key = &self.keys[0];
        let mut sealed = Vec::with_capacity(HEADER_LEN + plain.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(&key.id);
        sealed.extend_from_slice(&nonce);
        let mut body = plain.to_vec();
        key.aead
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&context.0), &mut body)
            .expect("AES-GCM seals anything below 64 GiB");
        sealed.extend_from_slice(&body);
        URL_SAFE_NO_PAD.encode_to_string(sealed)
    }

    /// Opens `sealed` within `buffer`, without allocating. What is longer than the buffer is no sealed value.
    pub fn open<'b>(
        &self,
        context: &Context,
        sealed: &[u8],
        buffer: &'b mut [u8],
    ) -> Result<&'b mut [u8], OpenError> {
        if sealed.len() > buffer.len() {
            return Err(OpenError::Malformed);
        }
        let raw =
            URL_SAFE_NO_PAD.decode(sealed, Out::from_slice(buffer)).map_err(|_| OpenError::Malformed)?;
        if raw.len() < HEADER_LEN + AES_256_GCM.tag_len() {
            return Err(OpenError::Malformed);
        }
        let (header, body) = raw.split_at_mut(HEADER_LEN);
        let (id, nonce) = header.split_at(KEY_ID_LEN);
        let key = self.keys.iter().find(|key| key.id == *id).ok_or(OpenError::UnknownKey)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError::Malformed)?;
        key.aead.open_in_place(nonce, Aad::from(&context.0), body).map_err(|_| OpenError::Forged)
    }
}

impl Key {
    fn derive(secret: &[u8]) -> Result<Self, KeyError> {
        if secret.len() < MIN_SECRET {
            return Err(KeyError::TooShort);
        }
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, b"lamplighter").extract(secret);
        let mut key = [0; 32];
        extracted
            .expand(&[b"seal v1"], hkdf::HKDF_SHA256)
            .and_then(|expanded| expanded.fill(&mut key))
            .expect("HKDF-SHA256 yields 32 bytes");
        let mut id = [0; KEY_ID_LEN];
        id.copy_from_slice(&digest::digest(&digest::SHA256, &key).as_ref()[..KEY_ID_LEN]);
        let unbound = UnboundKey::new(&AES_256_GCM, &key).expect("32 bytes make an AES-256 key");
        Ok(Self { id, aead: LessSafeKey::new(unbound) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OLD: [u8; 32] = [1; 32];
    const NEW: [u8; 32] = [2; 32];

    fn context(purpose: &str) -> Context {
        Context::new(purpose, "__Host-lamplighter", "https://ui.example", "client")
    }

    fn open(ring: &KeyRing, context: &Context, sealed: &str) -> Result<Vec<u8>, OpenError> {
        ring.open(context, sealed.as_bytes(), &mut [0; MAX_SEALED]).map(|plain| plain.to_vec())
    }

    #[test]
    fn what_was_sealed_opens() {
        let ring = KeyRing::new(&[NEW]).unwrap();
        let sealed = ring.seal(&context("session"), b"who", [7; 12]);
        assert_eq!(open(&ring, &context("session"), &sealed), Ok(b"who".to_vec()));
    }

    #[test]
    fn an_old_key_opens_until_it_is_retired() {
        let sealed = KeyRing::new(&[OLD]).unwrap().seal(&context("session"), b"who", [7; 12]);
        let rotated = KeyRing::new(&[NEW, OLD]).unwrap();
        assert_eq!(open(&rotated, &context("session"), &sealed), Ok(b"who".to_vec()));
        let retired = KeyRing::new(&[NEW]).unwrap();
        assert_eq!(open(&retired, &context("session"), &sealed), Err(OpenError::UnknownKey));
    }

    #[test]
    fn a_value_is_worth_nothing_in_another_place() {
        let ring = KeyRing::new(&[NEW]).unwrap();
        let sealed = ring.seal(&context("session"), b"who", [7; 12]);
        let elsewhere = [
            context("attempt"),
            Context::new("session", "__Host-other", "https://ui.example", "client"),
            Context::new("session", "__Host-lamplighter", "https://other.example", "client"),
            Context::new("session", "__Host-lamplighter", "https://ui.example", "other"),
        ];
        for context in elsewhere {
            assert_eq!(open(&ring, &context, &sealed), Err(OpenError::Forged), "{context:?}");
        }
    }

    #[test]
    fn a_weak_key_or_none_is_refused() {
        assert_eq!(KeyRing::new::<[u8; 32]>(&[]).unwrap_err(), KeyError::Empty);
        assert_eq!(KeyRing::new(&[[0_u8; 31]]).unwrap_err(), KeyError::TooShort);
    }

    #[test]
    fn a_ring_does_not_print_its_keys() {
        let printed = format!("{:?}", KeyRing::new(&[[0xab_u8; 32]]).unwrap());
        assert!(!printed.contains("171") && !printed.contains("abababab"), "{printed}");
    }

    proptest! {
        #[test]
        fn a_changed_value_never_opens(at in 0_usize..60, with in 0_u8..64) {
            let ring = KeyRing::new(&[NEW]).unwrap();
            let sealed = ring.seal(&context("session"), b"someone at the door", [7; 12]);
            let letter = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[with as usize];
            let mut changed = sealed.clone().into_bytes();
            let at = at % changed.len();
            prop_assume!(changed[at] != letter);
            changed[at] = letter;
            let opened = open(&ring, &context("session"), std::str::from_utf8(&changed).unwrap());
            prop_assert!(opened.is_err());
        }

        #[test]
        fn garbage_never_opens_and_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..5000)) {
            let ring = KeyRing::new(&[NEW]).unwrap();
            prop_assert!(ring.open(&context("session"), &bytes, &mut [0; MAX_SEALED]).is_err());
        }
    }
}
