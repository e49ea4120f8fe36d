//! The misbehaviour that a test asks for.

use serde_json::Value;

use super::{Hook, Params, Reply};
use crate::demo::jwt::Algorithm;

/// How the provider misbehaves. The default is that it does not.
///
/// Each associated function makes the value with one fault; [`and`](Self::and) combines them:
/// `Faults::claim("sub", "mallory").and(Faults::signing(Signing::AttackerKey))`.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Edits the parameters of the redirect back to the client.
    pub callback: Hook<Params>,
    /// Edits the claims of the ID token before it is signed.
    pub claims: Hook<Value>,
    /// Edits the JOSE header before the token is signed; the key and the algorithm stay.
    pub header: Hook<Value>,
    /// Edits the text of the payload before it is signed: duplicate members, broken JSON.
    pub payload: Hook<String>,
    /// Chooses how the token is signed.
    pub signing: Signing,
    /// Edits the finished compact token.
    pub jwt: Hook<String>,
    /// Edits the discovery document's answer.
    pub discovery: Reply,
    /// Edits the answer of the JWK set.
    pub jwks: Reply,
    /// Edits the token endpoint's answer.
    pub token: Reply,
    /// Edits the `UserInfo` answer.
    pub userinfo: Reply,
    /// Answers `UserInfo` as a signed JWT whose claims this edits; `signing` and its kin apply.
    pub userinfo_jwt: Option<Hook<Value>>,
    /// Edits the answer of the end-session endpoint.
    pub end_session: Reply,
}

impl Faults {
    /// These faults, and then `more`; where both choose the signing, `more` does.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        Self {
            callback: self.callback.and(more.callback),
            claims: self.claims.and(more.claims),
            header: self.header.and(more.header),
            payload: self.payload.and(more.payload),
            signing: if more.signing == Signing::Normal { self.signing } else { more.signing },
            jwt: self.jwt.and(more.jwt),
            discovery: self.discovery.and(more.discovery),
            jwks: self.jwks.and(more.jwks),
            token: self.token.and(more.token),
            userinfo: self.userinfo.and(more.userinfo),
            userinfo_jwt: more.userinfo_jwt.or(self.userinfo_jwt),
            end_session: self.end_session.and(more.end_session),
        }
    }

    /// An ID token with `value` for the claim `name`.
    pub fn claim(name: &str, value: impl Into<Value>) -> Self {
        let (name, value) = (name.to_owned(), value.into());
        Self::claims(move |claims| claims[&name] = value.clone())
    }

    /// An ID token without the claim `name`.
    pub fn without_claim(name: &str) -> Self {
        let name = name.to_owned();
        Self::claims(move |claims| remove(claims, &name))
    }

    /// An ID token with edited claims.
    pub fn claims(edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self { claims: Hook::new(edit), ..Self::default() }
    }

    /// An ID token with an edited JOSE header.
    pub fn header(edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self { header: Hook::new(edit), ..Self::default() }
    }

    /// An ID token whose payload is edited as text.
    pub fn payload(edit: impl Fn(&mut String) + Send + Sync + 'static) -> Self {
        Self { payload: Hook::new(edit), ..Self::default() }
    }

    /// An ID token that is edited after it was signed.
    pub fn jwt(edit: impl Fn(&mut String) + Send + Sync + 'static) -> Self {
        Self { jwt: Hook::new(edit), ..Self::default() }
    }

    /// An ID token signed in another way.
    pub fn signing(signing: Signing) -> Self {
        Self { signing, ..Self::default() }
    }

    /// An edited redirect back to the client.
    pub fn callback(edit: impl Fn(&mut Params) + Send + Sync + 'static) -> Self {
        Self { callback: Hook::new(edit), ..Self::default() }
    }

    /// Another discovery answer.
    pub fn discovery(reply: Reply) -> Self {
        Self { discovery: reply, ..Self::default() }
    }

    /// Another answer for the JWK set.
    pub fn jwks(reply: Reply) -> Self {
        Self { jwks: reply, ..Self::default() }
    }

    /// Another answer of the token endpoint.
    pub fn token(reply: Reply) -> Self {
        Self { token: reply, ..Self::default() }
    }

    /// Another `UserInfo` answer.
    pub fn userinfo(reply: Reply) -> Self {
        Self { userinfo: reply, ..Self::default() }
    }

    /// Another answer of the end-session endpoint.
    pub fn end_session(reply: Reply) -> Self {
        Self { end_session: reply, ..Self::default() }
    }

    /// `UserInfo` as a signed JWT, with edited claims.
    pub fn userinfo_jwt(edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self { userinfo_jwt: Some(Hook::new(edit)), ..Self::default() }
    }
}

/// Removes a member of a JSON object, wherever hooks need to.
pub fn remove(object: &mut Value, member: &str) {
    if let Some(object) = object.as_object_mut() {
        object.remove(member);
    }
}

/// How a token is signed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Signing {
    /// RS256, by the published key.
    #[default]
    Normal,
    /// Any algorithm but HMAC, by the published key that fits.
    Alg(Algorithm),
    /// RS256 by a key that nobody published, under the `kid` of the published one.
    AttackerKey,
    /// The same, and the header brings the attacker's key along as `jwk`.
    AttackerKeyInHeader,
    /// The algorithm's own signature with one bit flipped.
    Corrupt(Algorithm),
    /// HMAC (HS256, HS384, HS512) under the client's secret.
    HmacWithClientSecret(Algorithm),
    /// HS256 under the published RSA key as PEM.
    HmacWithPublicKeyPem,
    /// HS256 under the published RSA key as DER.
    HmacWithPublicKeyDer,
    /// HS256 under the published RSA key as the text of its JWK.
    HmacWithPublicKeyJwk,
    /// RS256 in the header, and nothing after the second dot.
    Stripped,
    /// The given `alg` (`none`, `nOnE`) and an empty signature.
    Unsigned(&'static str),
    /// ES256 with r = s = 0, which broken verifiers took for valid (CVE-2022-21449).
    ZeroSignature,
}
