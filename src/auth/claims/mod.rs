//! What a provider says of a person, believed only after every check.
//!
//! ```text
//! UnverifiedIdToken ──signature (oidc)──▶ IdToken ──accept()──▶ AcceptedIdToken ──▶ Identity
//!   form, header                            iss aud azp exp iat nbf nonce at_hash
//! ```

mod accept;
mod id_token;
mod json;
mod mapping;

pub use accept::{AcceptedIdToken, IdTokenRules};
pub use id_token::{Algorithm, IdToken, UnverifiedIdToken};
pub use json::parse_strict;
pub use mapping::{ClaimNames, find};

/// Longest ID token that is looked at, in bytes.
pub const MAX_ID_TOKEN: usize = 16 * 1024;

/// Why an ID token or a person's claims are not believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ClaimsError {
    /// `alg` is not one of `oidc.signingAlgorithms`.
    #[error("the ID token is signed with an algorithm that is not allowed")]
    Algorithm,
    /// `at_hash` does not belong to the access token beside it.
    #[error("at_hash does not match the access token")]
    AccessTokenHash,
    /// `aud` does not name us, or names somebody else too.
    #[error("the ID token is for another audience")]
    Audience,
    /// `auth_time` is absent or too long ago.
    #[error("the person signed in at the provider too long ago")]
    AuthTime,
    /// `azp` names another client, or is absent though there are several audiences.
    #[error("the ID token was issued to another client")]
    AuthorizedParty,
    /// A header that changes what the token means (`crit`, `typ`, `cty`).
    #[error("the ID token's header asks for something that is not understood")]
    CriticalHeader,
    /// The ID token is encrypted (JWE).
    #[error("the ID token is encrypted")]
    Encrypted,
    /// `exp` is past.
    #[error("the ID token has expired")]
    Expired,
    /// HS256, though nobody asked for it.
    #[error("the ID token is signed with the client secret (HS256)")]
    SharedSecret,
    /// `iat` is absent, in the future, or too long ago.
    #[error("the ID token was issued at an unlikely time")]
    IssuedAt,
    /// `iss` is not the issuer, to the byte.
    #[error("the ID token comes from another issuer")]
    Issuer,
    /// Not a JWT, too long, or not strictly encoded.
    #[error("the ID token is malformed")]
    Malformed,
    /// `nonce` does not belong to this login attempt.
    #[error("the ID token belongs to another login attempt")]
    Nonce,
    /// `nbf` is in the future.
    #[error("the ID token is not valid yet")]
    NotYetValid,
    /// A claim is absent, or of another type than the specification says.
    #[error("the ID token, or the answer beside it, lacks a claim or has one of the wrong type")]
    Unreadable,
    /// A name that Kubernetes keeps for itself.
    #[error("the provider gives the person a name or group that begins with `system:`")]
    ReservedName,
    /// `sub` is absent, empty, or too long.
    #[error("the ID token names no subject")]
    Subject,
    /// The token is of another kind: it holds `events`.
    #[error("a logout token was sent in place of an ID token")]
    WrongKind,
    /// The userinfo endpoint speaks of somebody else.
    #[error("the userinfo answer is about another subject")]
    UserinfoSubject,
}
