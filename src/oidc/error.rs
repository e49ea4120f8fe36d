//! What can go wrong with a provider: each variant is something that an operator can do.

use std::fmt;
use std::sync::Arc;

use crate::auth::ClaimsError;

/// What was asked of the provider.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Endpoint {
    /// `.well-known/openid-configuration`.
    Discovery,
    /// `jwks_uri`.
    Keys,
    /// `token_endpoint`.
    Token,
    /// `userinfo_endpoint`.
    Userinfo,
}

/// Why the provider could not be used.
///
/// Holds no body of any answer: those carry codes and tokens.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProviderError {
    /// The ID token or the person's claims are not to be believed.
    #[error("{0}{hint}", hint = hint(*.0))]
    Claims(#[from] ClaimsError),
    /// Our own settings cannot be used.
    #[error("{0}")]
    Settings(String),
    /// Discovery names another issuer.
    #[error(
        "discovery names the issuer {found:?}, but oidc.issuer is {configured:?}: {hint}",
        hint = issuer_hint(configured, found)
    )]
    IssuerMismatch {
        /// What we were told.
        configured: String,
        /// What it says.
        found: String,
    },
    /// An endpoint is neither https nor on this machine, or is no URL.
    #[error("discovery names a {0} that is not https")]
    InsecureEndpoint(&'static str),
    /// The answer is not what the specification asks for.
    #[error("the {0} endpoint's answer is not understood: {1}")]
    Malformed(Endpoint, &'static str),
    /// The answer leads somewhere else, which is never followed.
    #[error("the {0} endpoint answered with a redirect, which is not followed: name its final address")]
    Redirected(Endpoint),
    /// The provider refused.
    #[error("the {0} endpoint refused: {1}{hint}", hint = refusal_hint(*.0, .1))]
    Refused(Endpoint, String),
    /// No key of the provider fits, or the signature is wrong.
    #[error("the ID token's signature cannot be verified with the provider's keys: {0}")]
    Signature(&'static str),
    /// The answer is larger than any honest one.
    #[error("the {0} endpoint's answer is too large")]
    TooLarge(Endpoint),
    /// The provider is overloaded or broken.
    #[error("the {0} endpoint answered {1}")]
    Unavailable(Endpoint, u16),
    /// The provider cannot be reached.
    #[error("could not reach the {endpoint} endpoint: {cause}")]
    Unreachable {
        /// What was asked.
        endpoint: Endpoint,
        /// The whole chain of causes, without addresses' queries.
        cause: Arc<str>,
    },
}

/// Who can do something about an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Remedy {
    /// The operator: something is configured otherwise than it is.
    Operator,
    /// The person: sign in again.
    Person,
    /// Time: try again soon.
    Wait,
}

impl ProviderError {
    /// Who can do something about it.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Unavailable(..) | Self::Unreachable { .. } => Remedy::Wait,
            Self::Refused(Endpoint::Token, code) if code == "invalid_grant" => Remedy::Person,
            Self::Claims(
                ClaimsError::Nonce | ClaimsError::Expired | ClaimsError::IssuedAt | ClaimsError::AuthTime,
            ) => Remedy::Person,
            Self::Claims(_)
            | Self::InsecureEndpoint(_)
            | Self::IssuerMismatch { .. }
            | Self::Malformed(..)
            | Self::Redirected(_)
            | Self::Refused(..)
            | Self::Settings(_)
            | Self::Signature(_)
            | Self::TooLarge(_) => Remedy::Operator,
        }
    }

    /// Whether our client id or our secret is not what the provider has (RFC 6749 section 5.2).
    pub fn is_unknown_client(&self) -> bool {
        matches!(self, Self::Refused(Endpoint::Token, code) if code == "invalid_client")
    }

    /// The reason in one word.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Claims(ClaimsError::Encrypted) => "id-token-encrypted",
            Self::Claims(ClaimsError::SharedSecret) => "id-token-hs256",
            Self::Claims(ClaimsError::ReservedName) => "reserved-name",
            Self::Claims(_) | Self::Signature(_) => "id-token-rejected",
            Self::Unavailable(..) | Self::Unreachable { .. } => "provider-unreachable",
            Self::Refused(Endpoint::Token, code) if code == "invalid_grant" => "code-refused",
            Self::Refused(..) => "provider-refused",
            Self::InsecureEndpoint(_)
            | Self::IssuerMismatch { .. }
            | Self::Malformed(..)
            | Self::Redirected(_)
            | Self::Settings(_)
            | Self::TooLarge(_) => "provider-misconfigured",
        }
    }
}

impl Endpoint {
    /// Its name in one word, as metrics have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Keys => "jwks",
            Self::Token => "token",
            Self::Userinfo => "userinfo",
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keys => "JWKS",
            other => other.word(),
        })
    }
}

/// What an operator should do about the claims that real providers get wrong.
fn hint(error: ClaimsError) -> &'static str {
    match error {
        ClaimsError::Encrypted => {
            ": in Authentik, the OAuth2 provider has an Encryption Key set; remove it, signing is enough"
        }
        ClaimsError::SharedSecret => {
            ": in Authentik, the OAuth2 provider has no Signing Key; choose one (or allow HS256 in \
             oidc.signingAlgorithms, if no other program has to verify these tokens)"
        }
        ClaimsError::Algorithm => ": add it to oidc.signingAlgorithms if it is meant",
        ClaimsError::Expired | ClaimsError::IssuedAt | ClaimsError::NotYetValid => {
            ": compare the clocks of both machines"
        }
        _ => "",
    }
}

/// Where authentik has an application's discovery document, whatever its issuer is.
const AUTHENTIKS: &str = "/application/o/";

/// What an operator should do about an issuer that is not the configured one.
fn issuer_hint(configured: &str, found: &str) -> &'static str {
    if configured.contains(AUTHENTIKS) && !found.contains(AUTHENTIKS) {
        "in Authentik, the OAuth2 provider's Issuer mode is the same identifier for all providers; choose the other one"
    } else {
        "they must be equal to the byte, so set oidc.issuer to what the provider says (mind the slash at the end)"
    }
}

/// What an operator should do about a refusal.
fn refusal_hint(endpoint: Endpoint, code: &str) -> &'static str {
    match (endpoint, code) {
        (Endpoint::Discovery, "status 404") => {
            ": there is no such document; compare oidc.issuer with what the provider says of itself"
        }
        (Endpoint::Token, "invalid_client") => {
            ": compare oidc.clientId and the client secret with those that the provider has"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mismatch(configured: &str, found: &str) -> String {
        ProviderError::IssuerMismatch { configured: configured.to_owned(), found: found.to_owned() }
            .to_string()
    }

    #[test]
    fn an_issuer_for_all_of_authentiks_providers_is_changed_there_and_any_other_here() {
        let own = "https://idp/application/o/ui/";
        let there = "in Authentik, the OAuth2 provider's Issuer mode";
        assert!(mismatch(own, "https://idp/").contains(there));
        for (configured, found) in [(own, "https://idp/application/o/ui"), ("https://idp/", "https://idp")] {
            let message = mismatch(configured, found);
            assert!(message.contains("set oidc.issuer") && !message.contains(there), "{message}");
        }
    }
}
