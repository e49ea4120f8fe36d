//! What the provider says of itself (OpenID Connect Discovery 1.0).

use openidconnect::url::Url;
use serde::Deserialize;

use super::transport::Transport;
use super::{Endpoint, ProviderError, is_safe};

/// What we use of a provider's metadata.
#[derive(Clone, Debug)]
pub struct Metadata {
    /// Where a browser goes to sign in.
    pub authorization_endpoint: Url,
    /// Where a code is exchanged.
    pub token_endpoint: Url,
    /// Where the keys are.
    pub jwks_uri: Url,
    /// Where more is told of a person.
    pub userinfo_endpoint: Option<Url>,
    /// Where a browser goes to sign out there.
    pub end_session_endpoint: Option<Url>,
    /// The provider always sends `iss` with a callback (RFC 9207 section 3).
    pub always_sends_iss: bool,
    /// The token endpoint takes a secret in the form only, not by HTTP Basic.
    pub wants_secret_in_form: bool,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    end_session_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

pub(super) async fn fetch(transport: &Transport, issuer: &str) -> Result<Metadata, ProviderError> {
    let response = transport.get(Endpoint::Discovery, &well_known(issuer)).await?;
    let document: Document = serde_json::from_slice(response.body())
        .map_err(|_| ProviderError::Malformed(Endpoint::Discovery, "it lacks what it has to say"))?;
    if document.issuer != issuer {
        return Err(ProviderError::IssuerMismatch { configured: issuer.to_owned(), found: document.issuer });
    }
    check(document)
}

/// Discovery section 4.1: any slash at the issuer's end is removed before the path is added.
fn well_known(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer))
}

fn check(document: Document) -> Result<Metadata, ProviderError> {
    let methods = document.token_endpoint_auth_methods_supported.unwrap_or_default();
    let has = |method: &str| methods.iter().any(|m| m == method);
    Ok(Metadata {
        authorization_endpoint: endpoint("authorization_endpoint", &document.authorization_endpoint)?,
        token_endpoint: endpoint("token_endpoint", &document.token_endpoint)?,
        jwks_uri: endpoint("jwks_uri", &document.jwks_uri)?,
        userinfo_endpoint: optional("userinfo_endpoint", document.userinfo_endpoint)?,
        end_session_endpoint: optional("end_session_endpoint", document.end_session_endpoint)?,
        always_sends_iss: document.authorization_response_iss_parameter_supported,
        wants_secret_in_form: has("client_secret_post") && !has("client_secret_basic"),
    })
}

fn endpoint(name: &'static str, url: &str) -> Result<Url, ProviderError> {
    Url::parse(url).ok().filter(is_safe).ok_or(ProviderError::InsecureEndpoint(name))
}

fn optional(name: &'static str, url: Option<String>) -> Result<Option<Url>, ProviderError> {
    url.map(|url| endpoint(name, &url)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_below_the_issuer_with_or_without_a_slash() {
        let expected = "https://idp/a/b/.well-known/openid-configuration";
        assert_eq!(well_known("https://idp/a/b/"), expected);
        assert_eq!(well_known("https://idp/a/b"), expected);
    }

    #[test]
    fn an_endpoint_is_https_or_on_this_machine() {
        for good in ["https://idp/x", "http://localhost:1/x", "http://127.0.0.1/x", "http://[::1]/x"] {
            assert!(endpoint("jwks_uri", good).is_ok(), "{good}");
        }
        for bad in ["http://idp/x", "http://127.0.0.1.nip.io/x", "http://10.0.0.1/x", "file:///x", "/x", ""] {
            assert!(endpoint("jwks_uri", bad).is_err(), "{bad}");
        }
    }
}
