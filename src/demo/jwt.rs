//! Keys and JWTs that are signed exactly as asked, however unwise.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde_json::{Value, json};

use super::{Random, random_id};

pub use jsonwebtoken::Algorithm;

const GENERATES: &str = "aws-lc generates keys as long as the system has memory and entropy";
const ENCODES: &str = "a key that was just generated encodes";

/// A private key with the name and the public half that go into a JWK set.
#[derive(Clone)]
pub struct SigningKey {
    private: EncodingKey,
    jwk: Value,
    public_der: Vec<u8>,
}

impl SigningKey {
    /// A new RSA key of 2048 bits. Its JWK names no `alg`, for it serves all of RS and PS.
    pub fn rsa(random: Random) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect(GENERATES);
        let pkcs8 = pkcs8_of(&pair);
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().expect(ENCODES);
        // jsonwebtoken takes PKCS#1, which in the PKCS#8 of a 2048-bit key starts behind 26 bytes.
        let private = EncodingKey::from_rsa_der(&pkcs8[26..]);
        let mut key = Self::new(private, Algorithm::RS256, random);
        key.public_der = public.as_ref().to_vec();
        key.jwk.as_object_mut().expect("a JWK is an object").remove("alg");
        key
    }

    /// A new key on the curve P-256, for ES256.
    pub fn p256(random: Random) -> Self {
        Self::elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING, Algorithm::ES256, random)
    }

    /// A new key on the curve P-384, for ES384.
    pub fn p384(random: Random) -> Self {
        Self::elliptic(&ECDSA_P384_SHA384_FIXED_SIGNING, Algorithm::ES384, random)
    }

    /// A new Ed25519 key, for `EdDSA`.
    pub fn ed25519(random: Random) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).expect(GENERATES);
        Self::new(EncodingKey::from_ed_der(pkcs8.as_ref()), Algorithm::EdDSA, random)
    }

    fn elliptic(curve: &'static EcdsaSigningAlgorithm, algorithm: Algorithm, random: Random) -> Self {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(curve, &SystemRandom::new()).expect(GENERATES);
        Self::new(EncodingKey::from_ec_der(pkcs8.as_ref()), algorithm, random)
    }

    fn new(private: EncodingKey, algorithm: Algorithm, random: Random) -> Self {
        let jwk = Jwk::from_encoding_key(&private, algorithm).expect(ENCODES);
        let mut jwk = serde_json::to_value(jwk).expect(ENCODES);
        jwk["kid"] = json!(random_id(random));
        jwk["use"] = json!("sig");
        Self { private, jwk, public_der: Vec::new() }
    }

    /// The name that the header of a token gives.
    pub fn kid(&self) -> &str {
        self.jwk["kid"].as_str().unwrap_or_default()
    }

    /// The public half, as a JWK set lists it.
    pub fn jwk(&self) -> &Value {
        &self.jwk
    }

    /// The public half as PEM, which careless verifiers take for an HMAC secret. RSA only.
    pub fn public_pem(&self) -> String {
        let text = STANDARD.encode(&self.public_der);
        let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    /// The public half as DER. RSA only.
    pub fn public_der(&self) -> &[u8] {
        &self.public_der
    }

    /// Verifies what this key signed.
    pub fn verifier(&self) -> DecodingKey {
        let jwk: Jwk = serde_json::from_value(self.jwk.clone()).expect("it was made from a Jwk");
        DecodingKey::from_jwk(&jwk).expect("a key that signs also verifies")
    }

    /// A compact JWT: `header` and `payload` as they are, signed with `algorithm`.
    ///
    /// # Panics
    ///
    /// When the key cannot sign with `algorithm`.
    pub fn sign(&self, header: &Value, payload: &str, algorithm: Algorithm) -> String {
        finish(&signing_input(header, payload), &self.private, algorithm)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SigningKey").field("kid", &self.kid()).finish_non_exhaustive()
    }
}

/// A compact JWT under a shared secret, with HS256, HS384 or HS512.
///
/// # Panics
///
/// When `algorithm` is none of these.
pub fn sign_hmac(secret: &[u8], header: &Value, payload: &str, algorithm: Algorithm) -> String {
    finish(&signing_input(header, payload), &EncodingKey::from_secret(secret), algorithm)
}

/// The part of a compact JWT that is signed: all before the second dot.
pub fn signing_input(header: &Value, payload: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload))
}

/// The header (0) or the claims (1) of a compact JWT, unverified. `None` where it is no JWT.
pub fn part(token: &str, index: usize) -> Option<Value> {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(index)?).ok()?;
    serde_json::from_slice(&bytes).ok().filter(Value::is_object)
}

fn finish(input: &str, key: &EncodingKey, algorithm: Algorithm) -> String {
    let signature = jsonwebtoken::crypto::sign(input.as_bytes(), key, algorithm)
        .expect("the caller chose an algorithm that fits the key");
    format!("{input}.{signature}")
}

fn pkcs8_of(pair: &RsaKeyPair) -> Vec<u8> {
    use aws_lc_rs::encoding::Pkcs8V1Der;
    let der: Pkcs8V1Der<'_> = pair.as_der().expect(ENCODES);
    der.as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::testing::random;

    #[test]
    fn every_kind_of_key_verifies_what_it_signed() {
        for (key, algorithm) in [
            (SigningKey::rsa(random), Algorithm::RS256),
            (SigningKey::rsa(random), Algorithm::PS512),
            (SigningKey::p256(random), Algorithm::ES256),
            (SigningKey::p384(random), Algorithm::ES384),
            (SigningKey::ed25519(random), Algorithm::EdDSA),
        ] {
            let token = key.sign(&json!({"alg": "any"}), r#"{"sub":"ada"}"#, algorithm);
            let (input, signature) = token.rsplit_once('.').unwrap();
            let verified =
                jsonwebtoken::crypto::verify(signature, input.as_bytes(), &key.verifier(), algorithm);
            assert!(verified.unwrap(), "{algorithm:?}");
            assert_eq!(part(&token, 1), Some(json!({"sub": "ada"})));
        }
    }

    #[test]
    fn a_jwk_holds_no_private_member() {
        for key in [SigningKey::rsa(random), SigningKey::p256(random), SigningKey::ed25519(random)] {
            assert!(key.jwk().get("d").is_none(), "{}", key.jwk());
            assert!(key.jwk()["kid"].is_string());
        }
    }
}
