//! The checks of OpenID Connect Core section 3.1.3.7, all of them.

use aws_lc_rs::{constant_time, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Algorithm, ClaimsError, IdToken};

/// How long after its issue an ID token may still be used to sign in, in seconds.
const MAX_AGE_AT_LOGIN: f64 = 600.0;

/// Longest `sub`, in bytes (OpenID Connect Core section 2).
const MAX_SUBJECT: usize = 255;

/// What an ID token has to say to be accepted here.
#[derive(Clone, Debug)]
pub struct IdTokenRules {
    /// The issuer, compared to the byte.
    pub issuer: String,
    /// Our own name at the provider.
    pub client_id: String,
    /// Audiences that may stand beside us.
    pub trusted_audiences: Vec<String>,
    /// How far two clocks may be apart, in seconds.
    pub skew_seconds: u32,
    /// How long ago the person may have signed in at the provider, in seconds, if that was asked for.
    pub max_age_seconds: Option<u64>,
}

/// Claims that were signed, are meant for us, and answer this login attempt.
#[derive(Clone, Debug)]
pub struct AcceptedIdToken {
    pub(super) subject: String,
    pub(super) claims: Map<String, Value>,
}

impl IdToken {
    /// Checks everything but the signature. `nonce` is the login attempt's; `access_token` came beside it.
    pub(in crate::auth) fn accept(
        self,
        rules: &IdTokenRules,
        nonce: &str,
        access_token: &str,
        now: Timestamp,
    ) -> Result<AcceptedIdToken, ClaimsError> {
        let claims = &self.claims;
        if claims.contains_key("events") {
            return Err(ClaimsError::WrongKind);
        }
        if text(claims, "iss") != Some(rules.issuer.as_str()) {
            return Err(ClaimsError::Issuer);
        }
        check_audience(claims, rules)?;
        check_times(claims, rules, seconds(now))?;
        if !text(claims, "nonce").is_some_and(|given| is_same(given, nonce)) {
            return Err(ClaimsError::Nonce);
        }
        check_access_token(claims, self.algorithm, access_token)?;
        let subject = text(claims, "sub").filter(|sub| !sub.is_empty() && sub.len() <= MAX_SUBJECT);
        let subject = subject.ok_or(ClaimsError::Subject)?.to_owned();
        Ok(AcceptedIdToken { subject, claims: self.claims })
    }
}

impl AcceptedIdToken {
    /// The person's `sub`.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Every claim.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// Adds what the userinfo endpoint says. The ID token's own claims win.
    ///
    /// OpenID Connect Core section 5.3.2: the answer counts only if its `sub` is exactly the ID token's.
    pub fn merge_userinfo(mut self, mut userinfo: Map<String, Value>) -> Result<Self, ClaimsError> {
        if text(&userinfo, "sub") != Some(self.subject.as_str()) {
            return Err(ClaimsError::UserinfoSubject);
        }
        vouch_for_one_address(&mut self.claims, &mut userinfo);
        for (name, value) in userinfo {
            self.claims.entry(name).or_insert(value);
        }
        Ok(self)
    }
}

/// `email_verified` speaks of the address beside it: taken over alone, it would vouch for another one.
fn vouch_for_one_address(claims: &mut Map<String, Value>, userinfo: &mut Map<String, Value>) {
    match claims.get("email") {
        None => drop(claims.remove("email_verified")),
        Some(email) if userinfo.get("email") == Some(email) => {}
        Some(_) => drop(userinfo.remove("email_verified")),
    }
}

fn text<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c str> {
    claims.get(name).and_then(Value::as_str)
}

fn number(claims: &Map<String, Value>, name: &str) -> Option<f64> {
    claims.get(name).and_then(Value::as_f64)
}

#[expect(clippy::cast_precision_loss, reason = "seconds since the epoch stay exact in an f64 for ages")]
fn seconds(now: Timestamp) -> f64 {
    now.as_second() as f64
}

fn is_same(a: &str, b: &str) -> bool {
    constant_time::verify_slices_are_equal(a.as_bytes(), b.as_bytes()).is_ok()
}

fn check_audience(claims: &Map<String, Value>, rules: &IdTokenRules) -> Result<(), ClaimsError> {
    let audiences: Vec<&str> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => {
            several.iter().map(Value::as_str).collect::<Option<_>>().ok_or(ClaimsError::Audience)?
        }
        Some(_) | None => return Err(ClaimsError::Audience),
    };
    let is_trusted = |aud: &&str| *aud == rules.client_id || rules.trusted_audiences.iter().any(|t| t == aud);
    if !audiences.contains(&rules.client_id.as_str()) || !audiences.iter().all(is_trusted) {
        return Err(ClaimsError::Audience);
    }
    match claims.get("azp") {
        Some(azp) if azp.as_str() != Some(&rules.client_id) => Err(ClaimsError::AuthorizedParty),
        None if audiences.len() > 1 => Err(ClaimsError::AuthorizedParty),
        Some(_) | None => Ok(()),
    }
}

fn check_times(claims: &Map<String, Value>, rules: &IdTokenRules, now: f64) -> Result<(), ClaimsError> {
    let skew = f64::from(rules.skew_seconds);
    let expires = number(claims, "exp").ok_or(ClaimsError::Expired)?;
    if now >= expires + skew {
        return Err(ClaimsError::Expired);
    }
    let issued = number(claims, "iat").ok_or(ClaimsError::IssuedAt)?;
    if issued > now + skew || issued < now - MAX_AGE_AT_LOGIN - skew {
        return Err(ClaimsError::IssuedAt);
    }
    if claims.contains_key("nbf") && number(claims, "nbf").is_none_or(|nbf| nbf > now + skew) {
        return Err(ClaimsError::NotYetValid);
    }
    check_auth_time(claims, rules, now)
}

#[expect(clippy::cast_precision_loss, reason = "seconds stay exact in an f64 for ages")]
fn check_auth_time(claims: &Map<String, Value>, rules: &IdTokenRules, now: f64) -> Result<(), ClaimsError> {
    let Some(max_age) = rules.max_age_seconds else { return Ok(()) };
    let oldest = now - max_age as f64 - f64::from(rules.skew_seconds);
    match number(claims, "auth_time") {
        Some(auth_time) if auth_time >= oldest => Ok(()),
        Some(_) | None => Err(ClaimsError::AuthTime),
    }
}

/// OpenID Connect Core section 3.1.3.6: optional in the code flow, but never wrong.
fn check_access_token(
    claims: &Map<String, Value>,
    algorithm: Algorithm,
    access_token: &str,
) -> Result<(), ClaimsError> {
    let Some(given) = claims.get("at_hash") else { return Ok(()) };
    let hash = digest::digest(hash_of(algorithm), access_token.as_bytes());
    let half = &hash.as_ref()[..hash.as_ref().len() / 2];
    match given.as_str() {
        Some(given) if is_same(given, &URL_SAFE_NO_PAD.encode(half)) => Ok(()),
        Some(_) | None => Err(ClaimsError::AccessTokenHash),
    }
}

fn hash_of(algorithm: Algorithm) -> &'static digest::Algorithm {
    match algorithm {
        Algorithm::Es256 | Algorithm::Hs256 | Algorithm::Ps256 | Algorithm::Rs256 => &digest::SHA256,
        Algorithm::Es384 | Algorithm::Ps384 | Algorithm::Rs384 => &digest::SHA384,
        // Ed25519 hashes with SHA-512 itself, and so do providers for `at_hash`.
        Algorithm::EdDsa | Algorithm::Ps512 | Algorithm::Rs512 => &digest::SHA512,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_000_000;

    fn rules() -> IdTokenRules {
        IdTokenRules {
            issuer: "https://idp/".into(),
            client_id: "us".into(),
            trusted_audiences: vec!["friend".into()],
            skew_seconds: 30,
            max_age_seconds: None,
        }
    }

    fn good() -> Value {
        json!({"iss": "https://idp/", "aud": "us", "sub": "s-1", "nonce": "n", "exp": NOW + 60, "iat": NOW})
    }

    fn accept_with(rules: &IdTokenRules, claims: Value) -> Result<AcceptedIdToken, ClaimsError> {
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        let token = IdToken { algorithm: Algorithm::Rs256, claims };
        token.accept(rules, "n", "access", Timestamp::from_second(NOW).unwrap())
    }

    fn accept(changes: Value) -> Result<(), ClaimsError> {
        let mut claims = good();
        let Value::Object(changes) = changes else { panic!("changes are an object") };
        for (name, value) in changes {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(&name);
            } else {
                claims[name] = value;
            }
        }
        accept_with(&rules(), claims).map(|_| ())
    }

    #[test]
    fn a_good_token_is_accepted() {
        assert_eq!(accept(json!({})), Ok(()));
        assert_eq!(accept(json!({"exp": NOW + 60, "iat": 1_000_000.5})), Ok(()));
    }

    #[test]
    fn every_check_of_the_specification_bites() {
        use ClaimsError::{
            AccessTokenHash, Audience, AuthorizedParty, Expired, IssuedAt, Issuer, Nonce, NotYetValid,
            Subject, WrongKind,
        };
        let table = [
            (json!({"iss": "https://idp"}), Issuer),
            (json!({"iss": null}), Issuer),
            (json!({"iss": ["https://idp/"]}), Issuer),
            (json!({"aud": "them"}), Audience),
            (json!({"aud": null}), Audience),
            (json!({"aud": ["us", "them"], "azp": "us"}), Audience),
            (json!({"aud": ["us", 1]}), Audience),
            (json!({"aud": ["us", "friend"]}), AuthorizedParty),
            (json!({"azp": "them"}), AuthorizedParty),
            (json!({"azp": 1}), AuthorizedParty),
            (json!({"sub": null}), Subject),
            (json!({"sub": ""}), Subject),
            (json!({"sub": 7}), Subject),
            (json!({"sub": "s".repeat(256)}), Subject),
            (json!({"iat": null}), IssuedAt),
            (json!({"iat": NOW + 31}), IssuedAt),
            (json!({"iat": NOW - 631}), IssuedAt),
            (json!({"iat": NOW.to_string()}), IssuedAt),
            (json!({"exp": null}), Expired),
            (json!({"exp": NOW - 30}), Expired),
            (json!({"exp": (NOW + 60).to_string()}), Expired),
            (json!({"nbf": NOW + 31}), NotYetValid),
            (json!({"nbf": "soon"}), NotYetValid),
            (json!({"nonce": "m"}), Nonce),
            (json!({"nonce": null}), Nonce),
            (json!({"at_hash": "AAAA"}), AccessTokenHash),
            (json!({"at_hash": 1}), AccessTokenHash),
            (json!({"events": {}}), WrongKind),
        ];
        for (changes, error) in table {
            assert_eq!(accept(changes.clone()), Err(error), "{changes}");
        }
    }

    #[test]
    fn what_the_specification_allows_is_allowed() {
        let table = [
            json!({"aud": ["us"]}),
            json!({"aud": ["us", "friend"], "azp": "us"}),
            json!({"azp": "us"}),
            json!({"exp": NOW - 29}),
            json!({"iat": NOW + 29}),
            json!({"nbf": NOW + 29}),
            json!({"exp": 9_223_372_036_854_775_808_u64}),
            json!({"at_hash": URL_SAFE_NO_PAD.encode(&digest::digest(&digest::SHA256, b"access").as_ref()[..16])}),
        ];
        for changes in table {
            assert_eq!(accept(changes.clone()), Ok(()), "{changes}");
        }
    }

    #[test]
    fn max_age_is_held_where_it_was_asked_for() {
        let rules = IdTokenRules { max_age_seconds: Some(100), ..rules() };
        let with = |auth_time: Value| {
            let mut claims = good();
            claims["auth_time"] = auth_time;
            accept_with(&rules, claims).map(|_| ())
        };
        assert_eq!(accept_with(&rules, good()).map(|_| ()), Err(ClaimsError::AuthTime));
        assert_eq!(with(json!(NOW - 131)), Err(ClaimsError::AuthTime));
        assert_eq!(with(json!(NOW - 130)), Ok(()));
    }

    #[test]
    fn userinfo_adds_but_does_not_override() {
        let accepted = accept_with(&rules(), good()).unwrap();
        let Value::Object(userinfo) = json!({"sub": "s-1", "iss": "evil", "groups": ["a"]}) else { panic!() };
        let merged = accepted.merge_userinfo(userinfo).unwrap();
        assert_eq!(merged.claims()["iss"], "https://idp/");
        assert_eq!(merged.claims()["groups"], json!(["a"]));
    }

    #[test]
    fn an_address_is_verified_by_whoever_names_it() {
        let merged = |ours: Value, theirs: Value| {
            let mut claims = good();
            claims.as_object_mut().unwrap().extend(ours.as_object().unwrap().clone());
            let mut userinfo = json!({"sub": "s-1"});
            userinfo.as_object_mut().unwrap().extend(theirs.as_object().unwrap().clone());
            let accepted = accept_with(&rules(), claims).unwrap();
            let merged = accepted.merge_userinfo(userinfo.as_object().unwrap().clone()).unwrap();
            (merged.claims().get("email").cloned(), merged.claims().get("email_verified").cloned())
        };
        let a = || Some(json!("a@x"));
        let verified = |email: &str| json!({"email": email, "email_verified": true});
        assert_eq!(merged(json!({"email": "a@x"}), verified("b@x")), (a(), None));
        assert_eq!(merged(json!({"email": "a@x"}), json!({"email_verified": true})), (a(), None));
        assert_eq!(merged(json!({"email": "a@x"}), verified("a@x")), (a(), Some(json!(true))));
        assert_eq!(merged(json!({"email_verified": true}), json!({"email": "a@x"})), (a(), None));
        assert_eq!(merged(json!({}), verified("a@x")), (a(), Some(json!(true))));
        assert_eq!(merged(verified("a@x"), json!({"email": "b@x"})), (a(), Some(json!(true))));
    }

    #[test]
    fn userinfo_about_somebody_else_is_refused() {
        for about in [json!({"sub": "s-2"}), json!({}), json!({"sub": 1})] {
            let Value::Object(userinfo) = about else { panic!() };
            let accepted = accept_with(&rules(), good()).unwrap();
            assert_eq!(accepted.merge_userinfo(userinfo).map(|_| ()), Err(ClaimsError::UserinfoSubject));
        }
    }
}
