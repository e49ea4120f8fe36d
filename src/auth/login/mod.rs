//! Signing in, as types that fit together in one order.

mod callback;

use std::fmt;

use aws_lc_rs::{constant_time, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use callback::Answer;
pub use callback::{Callback, CallbackError, ProviderAnswer};

use super::claims::{AcceptedIdToken, ClaimsError, IdToken, IdTokenRules};
use super::{ReturnTo, Site};

/// How long a login attempt may take, in seconds.
pub const ATTEMPT_SECONDS: i64 = 600;

/// Login attempts that one browser may have under way.
pub const MAX_ATTEMPTS: usize = 5;

/// Characters of the state that name an attempt's cookie.
pub const ATTEMPT_NAME_LEN: usize = 8;

/// The random values of one login attempt, 256 bits each and independent.
#[derive(Clone, Copy, Deserialize, Serialize)]
pub struct Secrets {
    /// Binds the callback to this browser (RFC 6749 section 10.12).
    pub state: [u8; 32],
    /// Binds the ID token to this attempt.
    pub nonce: [u8; 32],
    /// Binds the code to this attempt (RFC 7636).
    pub verifier: [u8; 32],
}

/// One trip to the provider, from the redirect out to the redirect back.
///
/// The steps only fit together in one order:
///
/// ```text
/// LoginAttempt ──callback()──▶ CodeExchange ──accept()──▶ AcceptedIdToken ──identity()──▶ Identity
///    state, iss checked            nonce and claims checked
/// ```
#[derive(Clone, Deserialize, Serialize)]
pub struct LoginAttempt {
    secrets: Secrets,
    return_to: String,
    started_at: i64,
}

/// A code that may be exchanged, since its callback answered an attempt of this browser.
pub struct CodeExchange {
    code: SecretString,
    secrets: Secrets,
    return_to: ReturnTo,
}

/// Why an attempt came to nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LoginError {
    /// It took more than ten minutes.
    #[error("the login attempt is older than ten minutes")]
    Expired,
    /// The provider said no, or could not.
    #[error("the provider answered {0}")]
    Provider(ProviderAnswer),
    /// `iss` is not the provider that was asked (RFC 9207): somebody mixes providers up.
    #[error("the callback comes from another issuer")]
    IssuerMismatch,
    /// The provider says that it sends `iss`, and did not.
    #[error("the callback names no issuer, though the provider says that it always does")]
    IssuerMissing,
    /// The state is not this attempt's.
    #[error("the callback's state belongs to another login attempt")]
    StateMismatch,
}

/// What is known of the issuer that will answer.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedIssuer<'a> {
    /// Its name, compared to the byte.
    pub issuer: &'a str,
    /// It says that it always sends `iss` (`authorization_response_iss_parameter_supported`).
    pub always_sends_iss: bool,
}

impl LoginAttempt {
    /// Begins an attempt that is to end at `return_to`.
    pub fn new(secrets: Secrets, return_to: &ReturnTo, now: Timestamp) -> Self {
        Self { secrets, return_to: return_to.target().to_owned(), started_at: now.as_second() }
    }

    /// Reads a sealed attempt.
    pub fn read(plain: &[u8]) -> Option<Self> {
        postcard::from_bytes(plain).ok()
    }

    /// The bytes to seal.
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("an attempt is plain data")
    }

    /// The `state` parameter.
    pub fn state(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.secrets.state)
    }

    /// The `nonce` parameter.
    pub fn nonce(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.secrets.nonce)
    }

    /// The `code_challenge` parameter for the method S256 (RFC 7636 section 4.2).
    pub fn code_challenge(&self) -> String {
        let verifier = URL_SAFE_NO_PAD.encode(self.secrets.verifier);
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
    }

    /// Where the attempt is to end, checked anew.
    pub fn return_to(&self, site: &Site) -> ReturnTo {
        ReturnTo::parse(&self.return_to, site).unwrap_or_else(|_| ReturnTo::home(site))
    }

    /// Tells attempts apart.
    pub fn id(&self) -> [u8; 32] {
        self.secrets.state
    }

    /// When the attempt began, in seconds since the epoch.
    pub fn started_at(&self) -> i64 {
        self.started_at
    }

    /// Whether the attempt's ten minutes are over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        let age = now.as_second().saturating_sub(self.started_at);
        !(-ATTEMPT_SECONDS..ATTEMPT_SECONDS).contains(&age)
    }

    /// Whether `callback` brings this attempt's state back. One that does not is none of the attempt's business.
    pub fn is_answered_by(&self, callback: &Callback) -> bool {
        constant_time::verify_slices_are_equal(self.state().as_bytes(), callback.state.as_bytes()).is_ok()
    }

    /// Checks that `callback` answers this attempt, and yields what the token endpoint needs.
    ///
    /// Consumes the attempt: a second callback has nothing to match against.
    pub fn callback(
        self,
        callback: Callback,
        expected: ExpectedIssuer<'_>,
        site: &Site,
        now: Timestamp,
    ) -> Result<CodeExchange, LoginError> {
        if !self.is_answered_by(&callback) {
            return Err(LoginError::StateMismatch);
        }
        if self.is_over(now) {
            return Err(LoginError::Expired);
        }
        match callback.issuer {
            Some(issuer) if issuer != expected.issuer => return Err(LoginError::IssuerMismatch),
            None if expected.always_sends_iss => return Err(LoginError::IssuerMissing),
            Some(_) | None => {}
        }
        match callback.answer {
            Answer::Code(code) => {
                Ok(CodeExchange { code, return_to: self.return_to(site), secrets: self.secrets })
            }
            Answer::Error(error) => Err(LoginError::Provider(error)),
        }
    }
}

impl fmt::Debug for LoginAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginAttempt").field("started_at", &self.started_at).finish_non_exhaustive()
    }
}

impl CodeExchange {
    /// The authorization code.
    pub fn code(&self) -> &str {
        self.code.expose_secret()
    }

    /// The PKCE verifier (RFC 7636 section 4.1).
    pub fn verifier(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.secrets.verifier)
    }

    /// Where the attempt ends.
    pub fn return_to(&self) -> &ReturnTo {
        &self.return_to
    }

    /// Checks that the ID token answers this attempt and says all that it has to.
    pub fn accept(
        &self,
        token: IdToken,
        access_token: &str,
        rules: &IdTokenRules,
        now: Timestamp,
    ) -> Result<AcceptedIdToken, ClaimsError> {
        token.accept(rules, &URL_SAFE_NO_PAD.encode(self.secrets.nonce), access_token, now)
    }
}

impl fmt::Debug for CodeExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeExchange").field("return_to", &self.return_to).finish_non_exhaustive()
    }
}

impl LoginError {
    /// The reason in one word.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Expired => "attempt-expired",
            Self::Provider(answer) if answer.is_refusal() => "provider-refused",
            Self::Provider(_) => "provider-error",
            Self::IssuerMismatch | Self::IssuerMissing => "wrong-issuer",
            Self::StateMismatch => "wrong-state",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::Url;

    use super::*;

    const SECRETS: Secrets = Secrets { state: [1; 32], nonce: [2; 32], verifier: [3; 32] };
    const ISSUER: ExpectedIssuer<'_> = ExpectedIssuer { issuer: "https://idp/", always_sends_iss: false };

    fn site() -> Site {
        Site::new(&Url::parse("https://ui.example").unwrap()).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn attempt() -> LoginAttempt {
        LoginAttempt::new(SECRETS, &ReturnTo::parse("/c/main?a=b", &site()).unwrap(), at(0))
    }

    fn callback(query: &str) -> Callback {
        Callback::parse(&query.replace("STATE", &attempt().state())).unwrap()
    }

    fn finish(query: &str, expected: ExpectedIssuer<'_>) -> Result<CodeExchange, LoginError> {
        attempt().callback(callback(query), expected, &site(), at(1))
    }

    #[test]
    fn random_values_are_43_url_safe_characters() {
        for value in [attempt().state(), attempt().nonce(), attempt().code_challenge()] {
            assert_eq!(value.len(), 43);
            assert!(value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        }
    }

    /// RFC 7636 appendix B.
    #[test]
    fn the_challenge_is_the_verifiers_hash() {
        let mut verifier = [0; 32];
        let text = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        verifier.copy_from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap());
        let attempt = LoginAttempt { secrets: Secrets { verifier, ..SECRETS }, ..attempt() };
        assert_eq!(attempt.code_challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn an_answer_to_this_attempt_may_be_exchanged() {
        let exchange = finish("code=c&state=STATE&iss=https%3A%2F%2Fidp%2F&session_state=x", ISSUER).unwrap();
        assert_eq!(exchange.code(), "c");
        assert_eq!(exchange.return_to().target(), "/c/main?a=b");
    }

    #[test]
    fn an_answer_to_another_attempt_may_not() {
        let strict = ExpectedIssuer { always_sends_iss: true, ..ISSUER };
        let table = [
            ("code=c&state=x", ISSUER, LoginError::StateMismatch),
            ("code=c&state=STATEx", ISSUER, LoginError::StateMismatch),
            ("code=c&state=STATE&iss=https%3A%2F%2Fidp", ISSUER, LoginError::IssuerMismatch),
            ("code=c&state=STATE&iss=HTTPS%3A%2F%2Fidp%2F", ISSUER, LoginError::IssuerMismatch),
            ("code=c&state=STATE&iss=", ISSUER, LoginError::IssuerMismatch),
            ("code=c&state=STATE", strict, LoginError::IssuerMissing),
            ("error=access_denied&state=STATE&iss=evil", ISSUER, LoginError::IssuerMismatch),
        ];
        for (query, expected, error) in table {
            assert_eq!(finish(query, expected).map(|_| ()), Err(error), "{query}");
        }
    }

    #[test]
    fn an_attempt_lives_ten_minutes() {
        let finish =
            |now| attempt().callback(callback("code=c&state=STATE"), ISSUER, &site(), at(now)).map(|_| ());
        assert_eq!(finish(599), Ok(()));
        assert_eq!(finish(600), Err(LoginError::Expired));
        assert_eq!(finish(-601), Err(LoginError::Expired));
    }

    #[test]
    fn the_providers_words_are_not_repeated_unless_plain() {
        let said = |error: &str| match finish(&format!("error={error}&state=STATE"), ISSUER) {
            Err(LoginError::Provider(answer)) => answer.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(said("access_denied"), "access_denied");
        assert_eq!(said("%3Cscript%3E"), "an error");
        assert_eq!(said(""), "an error");
    }

    #[test]
    fn nothing_prints_a_secret() {
        let attempt = attempt();
        let exchange = finish("code=topsecret&state=STATE", ISSUER).unwrap();
        let printed = format!("{attempt:?} {exchange:?} {:?}", callback("code=topsecret&state=STATE").answer);
        for secret in ["topsecret", attempt.nonce().as_str(), "3, 3, 3"] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }

    proptest! {
        #[test]
        fn no_query_panics(query in any::<String>()) {
            if let Ok(callback) = Callback::parse(&query) {
                let _ = callback.attempt_name();
                let _ = attempt().callback(callback, ISSUER, &site(), at(1));
            }
        }
    }
}
