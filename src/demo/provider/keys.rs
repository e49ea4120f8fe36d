//! The provider's keys, and tokens signed with them.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Faults, Signing};
use crate::demo::Random;
use crate::demo::jwt::{Algorithm, SigningKey, sign_hmac, signing_input};

/// One key of each kind, all published.
pub(super) struct Keys {
    rsa: SigningKey,
    p256: SigningKey,
    p384: SigningKey,
    ed25519: SigningKey,
    extra: Vec<Value>,
    random: Random,
}

impl Keys {
    pub(super) fn generate(random: Random) -> Self {
        Self::with_rsa(SigningKey::rsa(random), random)
    }

    pub(super) fn with_rsa(rsa: SigningKey, random: Random) -> Self {
        Self {
            rsa,
            p256: SigningKey::p256(random),
            p384: SigningKey::p384(random),
            ed25519: SigningKey::ed25519(random),
            extra: Vec::new(),
            random,
        }
    }

    /// Lists `jwks` before the real keys.
    pub(super) fn publish(&mut self, jwks: Vec<Value>) {
        self.extra = jwks;
    }

    pub(super) fn jwks(&self) -> Value {
        let real = [&self.rsa, &self.p256, &self.p384, &self.ed25519].map(|key| key.jwk().clone());
        let keys = [self.extra.as_slice(), real.as_slice()].concat();
        json!({"keys": keys})
    }

    pub(super) fn that_signs(&self, algorithm: Algorithm) -> &SigningKey {
        match algorithm {
            Algorithm::ES256 => &self.p256,
            Algorithm::ES384 => &self.p384,
            Algorithm::EdDSA => &self.ed25519,
            _ => &self.rsa,
        }
    }

    /// Signs `claims` as `faults` want it.
    pub(super) fn sign(&self, claims: &Value, faults: &Faults, secret: &str) -> String {
        let signing = &faults.signing;
        let mut header = json!({"alg": signing.alg(), "kid": self.kid(signing), "typ": "JWT"});
        let attacker = signing.needs_attacker().then(|| SigningKey::rsa(self.random));
        if let (Signing::AttackerKeyInHeader, Some(attacker)) = (signing, &attacker) {
            header["jwk"] = attacker.jwk().clone();
        }
        let header = faults.header.applied(header);
        let payload = faults.payload.applied(claims.to_string());
        let jwt = match attacker {
            Some(key) => key.sign(&header, &payload, Algorithm::RS256),
            None => self.finish(signing, &header, &payload, secret),
        };
        faults.jwt.applied(jwt)
    }

    fn kid(&self, signing: &Signing) -> &str {
        match signing {
            Signing::Alg(algorithm) | Signing::Corrupt(algorithm) => self.that_signs(*algorithm).kid(),
            Signing::ZeroSignature => self.p256.kid(),
            _ => self.rsa.kid(),
        }
    }

    fn finish(&self, signing: &Signing, header: &Value, payload: &str, secret: &str) -> String {
        let hmac = |secret: &[u8]| sign_hmac(secret, header, payload, Algorithm::HS256);
        let honest = |algorithm| self.that_signs(algorithm).sign(header, payload, algorithm);
        match signing {
            Signing::Alg(algorithm) => honest(*algorithm),
            Signing::Corrupt(algorithm) => corrupt(&honest(*algorithm)),
            Signing::HmacWithClientSecret(algorithm) => {
                sign_hmac(secret.as_bytes(), header, payload, *algorithm)
            }
            Signing::HmacWithPublicKeyDer => hmac(self.rsa.public_der()),
            Signing::HmacWithPublicKeyJwk => hmac(self.rsa.jwk().to_string().as_bytes()),
            Signing::HmacWithPublicKeyPem => hmac(self.rsa.public_pem().as_bytes()),
            Signing::Stripped | Signing::Unsigned(_) => format!("{}.", signing_input(header, payload)),
            Signing::ZeroSignature => with_signature(&signing_input(header, payload), &[0; 64]),
            Signing::AttackerKey | Signing::AttackerKeyInHeader | Signing::Normal => honest(Algorithm::RS256),
        }
    }
}

impl Signing {
    fn needs_attacker(&self) -> bool {
        matches!(self, Self::AttackerKey | Self::AttackerKeyInHeader)
    }

    fn alg(&self) -> String {
        match self {
            Self::Unsigned(alg) => (*alg).to_owned(),
            _ => format!("{:?}", self.algorithm()),
        }
    }

    /// What the header claims, and so what `at_hash` is computed with.
    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Alg(algorithm) | Self::Corrupt(algorithm) | Self::HmacWithClientSecret(algorithm) => {
                *algorithm
            }
            Self::HmacWithPublicKeyDer | Self::HmacWithPublicKeyJwk | Self::HmacWithPublicKeyPem => {
                Algorithm::HS256
            }
            Self::ZeroSignature => Algorithm::ES256,
            _ => Algorithm::RS256,
        }
    }
}

/// The left half of the access token's digest (OpenID Connect Core 3.1.3.6).
pub(super) fn at_hash(access_token: &str, algorithm: Algorithm) -> String {
    let algorithm = match algorithm {
        Algorithm::ES384 | Algorithm::HS384 | Algorithm::PS384 | Algorithm::RS384 => &digest::SHA384,
        Algorithm::EdDSA | Algorithm::HS512 | Algorithm::PS512 | Algorithm::RS512 => &digest::SHA512,
        _ => &digest::SHA256,
    };
    let digest = digest::digest(algorithm, access_token.as_bytes());
    URL_SAFE_NO_PAD.encode(&digest.as_ref()[..digest.as_ref().len() / 2])
}

fn corrupt(jwt: &str) -> String {
    let (input, signature) = jwt.rsplit_once('.').expect("a compact JWT has dots");
    let mut signature = URL_SAFE_NO_PAD.decode(signature).expect("it was just encoded");
    // The last byte: the first of an RSA signature could grow past the modulus, another error.
    *signature.last_mut().expect("signatures are not empty") ^= 1;
    with_signature(input, &signature)
}

fn with_signature(input: &str, signature: &[u8]) -> String {
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}
