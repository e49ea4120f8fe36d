//! The outside of an ID token: form and header, before any signature is looked at.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::{ClaimsError, MAX_ID_TOKEN, parse_strict};

/// Longest `kid` that is looked at, in bytes.
const MAX_KEY_ID: usize = 256;

/// How an ID token may be signed (RFC 7518 section 3.1, RFC 8037).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Algorithm {
    /// Ed25519.
    EdDsa,
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// ECDSA with P-384 and SHA-384.
    Es384,
    /// HMAC with SHA-256 and the client secret.
    Hs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
}

/// An ID token whose signature nobody has looked at.
#[derive(Debug)]
pub struct UnverifiedIdToken {
    algorithm: Algorithm,
    claims: Map<String, Value>,
}

/// An ID token that the provider's key signed. Its claims have still to be accepted.
#[derive(Debug)]
pub struct IdToken {
    pub(super) algorithm: Algorithm,
    pub(super) claims: Map<String, Value>,
}

impl Algorithm {
    const ALL: [(&'static str, Self); 10] = [
        ("EdDSA", Self::EdDsa),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("HS256", Self::Hs256),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
    ];

    /// Reads the name that JOSE gives it, in its exact case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
    }

    /// The name that JOSE gives it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, algorithm)| *algorithm == self).map_or("", |(name, _)| name)
    }
}

impl UnverifiedIdToken {
    /// Reads the form and the header, and refuses what no signature could make good.
    pub fn parse(jwt: &str, allowed: &[Algorithm]) -> Result<Self, ClaimsError> {
        let parts: Vec<&str> = jwt.split('.').collect();
        let [header, payload, _signature] = parts[..] else {
            return Err(if parts.len() == 5 { ClaimsError::Encrypted } else { ClaimsError::Malformed });
        };
        if jwt.len() > MAX_ID_TOKEN {
            return Err(ClaimsError::Malformed);
        }
        let algorithm = check_header(&decode(header)?, allowed)?;
        Ok(Self { algorithm, claims: decode(payload)? })
    }

    /// To be called by whoever has checked the signature over exactly this token.
    pub(crate) fn signature_verified(self) -> IdToken {
        IdToken { algorithm: self.algorithm, claims: self.claims }
    }
}

fn decode(part: &str) -> Result<Map<String, Value>, ClaimsError> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| ClaimsError::Malformed)?;
    parse_strict(&bytes).ok_or(ClaimsError::Malformed)
}

fn check_header(header: &Map<String, Value>, allowed: &[Algorithm]) -> Result<Algorithm, ClaimsError> {
    let is_jwt = |value: &Value| value.as_str().is_some_and(|typ| typ.eq_ignore_ascii_case("JWT"));
    if header.contains_key("enc") {
        return Err(ClaimsError::Encrypted);
    }
    let has_odd_type = header.get("typ").is_some_and(|typ| !is_jwt(typ));
    if header.contains_key("crit") || header.contains_key("cty") || has_odd_type {
        return Err(ClaimsError::CriticalHeader);
    }
    let has_sane_key_id = |kid: &Value| kid.as_str().is_some_and(|kid| kid.len() <= MAX_KEY_ID);
    if !header.get("kid").is_none_or(has_sane_key_id) {
        return Err(ClaimsError::Malformed);
    }
    match header.get("alg").and_then(Value::as_str).and_then(Algorithm::parse) {
        Some(algorithm) if allowed.contains(&algorithm) => Ok(algorithm),
        Some(Algorithm::Hs256) => Err(ClaimsError::SharedSecret),
        Some(_) | None => Err(ClaimsError::Algorithm),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(header: &Value) -> Result<Algorithm, ClaimsError> {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let jwt = format!("{}.{}.sig", encode(header), encode(&json!({"sub": "a"})));
        UnverifiedIdToken::parse(&jwt, &[Algorithm::Rs256]).map(|token| token.algorithm)
    }

    #[test]
    fn a_plain_header_is_fine() {
        assert_eq!(parse(&json!({"alg": "RS256", "kid": "k", "typ": "JWT"})), Ok(Algorithm::Rs256));
        assert_eq!(parse(&json!({"alg": "RS256"})), Ok(Algorithm::Rs256));
    }

    #[test]
    fn a_header_that_means_something_else_is_refused() {
        let long = "k".repeat(10_000);
        let table = [
            (json!({"alg": "none"}), ClaimsError::Algorithm),
            (json!({"alg": "nOnE"}), ClaimsError::Algorithm),
            (json!({"alg": "rs256"}), ClaimsError::Algorithm),
            (json!({"alg": "ES256"}), ClaimsError::Algorithm),
            (json!({"alg": "HS256"}), ClaimsError::SharedSecret),
            (json!({}), ClaimsError::Algorithm),
            (json!({"alg": "RS256", "crit": ["exp"]}), ClaimsError::CriticalHeader),
            (json!({"alg": "RS256", "crit": []}), ClaimsError::CriticalHeader),
            (json!({"alg": "RS256", "typ": "logout+jwt"}), ClaimsError::CriticalHeader),
            (json!({"alg": "RS256", "typ": "at+jwt"}), ClaimsError::CriticalHeader),
            (json!({"alg": "RS256", "cty": "JWT"}), ClaimsError::CriticalHeader),
            (json!({"alg": "RSA-OAEP-256", "enc": "A256CBC-HS512"}), ClaimsError::Encrypted),
            (json!({"alg": "RS256", "kid": long}), ClaimsError::Malformed),
            (json!({"alg": "RS256", "kid": 1}), ClaimsError::Malformed),
        ];
        for (header, error) in table {
            assert_eq!(parse(&header), Err(error), "{header}");
        }
    }

    #[test]
    fn a_form_that_is_no_jwt_is_refused() {
        let ok = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#);
        let table = [
            (String::new(), ClaimsError::Malformed),
            ("a.b".into(), ClaimsError::Malformed),
            ("a.b.c.d.e".into(), ClaimsError::Encrypted),
            (format!("{ok}=.{ok}.c"), ClaimsError::Malformed),
            (format!("{ok} .{ok}.c"), ClaimsError::Malformed),
            (format!("{ok}.{}.c", "A".repeat(MAX_ID_TOKEN)), ClaimsError::Malformed),
        ];
        for (jwt, error) in table {
            assert_eq!(UnverifiedIdToken::parse(&jwt, &[Algorithm::Rs256]).map(|_| ()), Err(error));
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for (name, algorithm) in Algorithm::ALL {
            assert_eq!((Algorithm::parse(name), algorithm.name()), (Some(algorithm), name));
        }
        assert_eq!(Algorithm::parse("none"), None);
    }
}
