//! ServiceAccount tokens.

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use super::TokenFault;
use super::status::Status;
use crate::demo::jwt::SigningKey;
use crate::demo::{Random, random_uuid};

/// The issuer, and the audience where none is asked for.
const ISSUER: &str = "https://kubernetes.default.svc";

/// Kubernetes' default and bounds of `expirationSeconds`.
const DEFAULT_SECONDS: i64 = 3600;
const MIN_SECONDS: i64 = 600;
const MAX_SECONDS: i64 = 1 << 32;

/// A ServiceAccount that exists.
pub(super) struct Account<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) uid: &'a str,
}

/// The key that signs, and the names of tokens.
pub(super) struct Issuer {
    key: SigningKey,
    verifier: DecodingKey,
    random: Random,
}

impl Issuer {
    pub(super) fn new(key: SigningKey, random: Random) -> Self {
        Self { verifier: key.verifier(), key, random }
    }

    /// A token as `spec` wants it, issued at `now`.
    pub(super) fn issue(&self, account: &Account<'_>, spec: &Value, now: i64) -> String {
        let seconds = spec["expirationSeconds"].as_i64().unwrap_or(DEFAULT_SECONDS);
        let audiences = spec["audiences"].as_array().filter(|list| !list.is_empty());
        let mut claims = json!({
            "aud": audiences.cloned().unwrap_or_else(|| vec![json!(ISSUER)]),
            "exp": now + seconds,
            "iat": now,
            "iss": ISSUER,
            "jti": random_uuid(self.random),
            "kubernetes.io": {
                "namespace": account.namespace,
                "serviceaccount": {"name": account.name, "uid": account.uid},
            },
            "nbf": now,
            "sub": subject(account.namespace, account.name),
        });
        if let Some(kind) = spec["boundObjectRef"]["kind"].as_str() {
            let bound = json!({"name": spec["boundObjectRef"]["name"], "uid": spec["boundObjectRef"]["uid"]});
            claims["kubernetes.io"][kind.to_lowercase()] = bound;
        }
        let header = json!({"alg": "RS256", "kid": self.key.kid()});
        self.key.sign(&header, &claims.to_string(), Algorithm::RS256)
    }

    /// The claims of a token that is for this API server and valid at `now`.
    pub(super) fn verify(&self, token: &str, now: i64) -> Option<Value> {
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[ISSUER]);
        // These two would be compared with the system's clock, not with ours.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let claims: Value = jsonwebtoken::decode(token, &self.verifier, &validation).ok()?.claims;
        let valid = claims["nbf"].as_i64()? <= now && now < claims["exp"].as_i64()?;
        valid.then_some(claims)
    }
}

/// The user name of a ServiceAccount.
pub(super) fn subject(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

/// Sets the defaults of a TokenRequest's spec and checks its bounds.
pub(super) fn fill_in(spec: &mut Value) -> Result<(), Status> {
    if !spec.is_object() {
        *spec = json!({});
    }
    if spec["audiences"].as_array().is_none_or(Vec::is_empty) {
        spec["audiences"] = json!([ISSUER]);
    }
    let seconds = spec["expirationSeconds"].as_i64().unwrap_or(DEFAULT_SECONDS);
    spec["expirationSeconds"] = json!(seconds);
    if seconds < MIN_SECONDS {
        return Err(Status::invalid_lifetime(seconds, "may not specify a duration less than 10 minutes"));
    }
    if seconds > MAX_SECONDS {
        let rule = "may not specify a duration larger than 2^32 seconds";
        return Err(Status::invalid_lifetime(seconds, rule));
    }
    Ok(())
}

/// The answer to a TokenRequest whose spec is filled in.
pub(super) fn respond(
    issuer: &Issuer,
    account: &Account<'_>,
    (mut request, now): (Value, i64),
    fault: Option<TokenFault>,
) -> Value {
    let mut spec = request["spec"].clone();
    let (mut issued_at, mut name) = (now, account.name);
    match fault {
        Some(TokenFault::Lifetime(seconds)) => spec["expirationSeconds"] = json!(seconds),
        Some(TokenFault::Skew(seconds)) => issued_at += seconds,
        Some(TokenFault::WrongAudience) => spec["audiences"] = json!(["https://somewhere.else"]),
        Some(TokenFault::WrongSubject) => name = "somebody-else",
        _ => {}
    }
    let token = issuer.issue(&Account { name, ..*account }, &spec, issued_at);
    let expires_at = issued_at + spec["expirationSeconds"].as_i64().unwrap_or(DEFAULT_SECONDS);
    request["kind"] = json!("TokenRequest");
    request["apiVersion"] = json!("authentication.k8s.io/v1");
    request["metadata"] = json!({
        "name": account.name, "namespace": account.namespace, "creationTimestamp": text(now),
    });
    request["status"] = json!({"token": token, "expirationTimestamp": text(expires_at)});
    request
}

fn text(seconds: i64) -> String {
    Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
}
