//! A code for an ID token, and whether the provider signed it.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use openidconnect::core::{
    CoreIdToken, CoreIdTokenVerifier, CoreJwsSigningAlgorithm, CoreTokenResponse, CoreTokenType,
};
use openidconnect::{
    AsyncHttpClient, AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, HttpRequest,
    HttpResponse, IssuerUrl, Nonce, OAuth2TokenResponse as _, PkceCodeVerifier, RedirectUrl,
    RequestTokenError, SignatureVerificationError, StandardErrorResponse, TokenResponse as _, TokenUrl,
};
use secrecy::SecretString;
use serde_json::Value;

use super::keys::Fetched;
use super::transport::Transport;
use super::{ClientSecret, Endpoint, Metadata, Provider, ProviderError};
use crate::auth::claims::{Algorithm, UnverifiedIdToken, parse_strict};
use crate::auth::{ClaimsError, CodeExchange, IdToken};

type TokenError =
    RequestTokenError<ProviderError, StandardErrorResponse<openidconnect::core::CoreErrorResponseType>>;

/// What the token endpoint gave: signed by the provider, not yet accepted.
#[derive(Debug)]
pub struct Tokens {
    /// Who signed in.
    pub id_token: IdToken,
    /// Opens the userinfo endpoint.
    pub access_token: SecretString,
}

impl Provider {
    /// Exchanges the code (RFC 6749 section 4.1.3) and checks the ID token's signature.
    pub async fn exchange(&self, exchange: &CodeExchange, now: Timestamp) -> Result<Tokens, ProviderError> {
        let metadata = self.metadata(now).await?;
        let outside = OnceLock::new();
        let redeemed = self.redeem(&metadata, exchange, &outside).await;
        self.transport.note(Endpoint::Token, &redeemed, now);
        let response = redeemed?;
        if *response.token_type() != CoreTokenType::Bearer {
            return Err(ProviderError::Malformed(Endpoint::Token, "its token_type is not Bearer"));
        }
        let no_token = ProviderError::Malformed(Endpoint::Token, "it holds no ID token");
        let (Some(unverified), Some(id_token)) = (outside.into_inner(), response.id_token()) else {
            return Err(no_token);
        };
        self.verify(&metadata, id_token, now).await?;
        let access_token = response.access_token().secret().clone().into();
        Ok(Tokens { id_token: unverified.signature_verified(), access_token })
    }

    async fn redeem(
        &self,
        metadata: &Metadata,
        exchange: &CodeExchange,
        outside: &OnceLock<UnverifiedIdToken>,
    ) -> Result<CoreTokenResponse, ProviderError> {
        let auth = if metadata.wants_secret_in_form { AuthType::RequestBody } else { AuthType::BasicAuth };
        let redirect = RedirectUrl::new(self.redirect_uri.clone())
            .map_err(|_| ProviderError::Settings("the redirect URI is no URL".into()))?;
        let client = self
            .client()?
            .set_auth_type(auth)
            .set_token_uri(TokenUrl::from_url(metadata.token_endpoint.clone()))
            .set_redirect_uri(redirect);
        let endpoint =
            TokenEndpoint { transport: &self.transport, algorithms: &self.settings.algorithms, outside };
        client
            .exchange_code(AuthorizationCode::new(exchange.code().to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(exchange.verifier()))
            .request_async(&endpoint)
            .await
            .map_err(|error| token_error(error, outside.get().is_some()))
    }

    /// Checks the signature, with newer keys if the token names one that is not known.
    async fn verify(
        &self,
        metadata: &Metadata,
        token: &CoreIdToken,
        now: Timestamp,
    ) -> Result<(), ProviderError> {
        let uri = metadata.jwks_uri.as_str();
        let keys = self.keys.current(&self.transport, uri, now).await?;
        match self.check_signature(token, &keys, now) {
            Err(SignatureVerificationError::NoMatchingKey) => {
                let newer = self.keys.newer_than(&keys, &self.transport, uri, now).await?;
                self.check_signature(token, &newer, now).map_err(signature_error)
            }
            result => result.map_err(signature_error),
        }
    }

    fn check_signature(
        &self,
        token: &CoreIdToken,
        keys: &Arc<Fetched>,
        now: Timestamp,
    ) -> Result<(), SignatureVerificationError> {
        let other = |what: &str| SignatureVerificationError::Other(what.to_owned());
        let verifier = self.verifier(keys, now).ok_or_else(|| other("settings"))?;
        // Which nonce, audience and time will do is decided in `auth::claims`, with our own words for it.
        match token.claims(&verifier, |_: Option<&Nonce>| Ok(())) {
            Ok(_) => Ok(()),
            Err(ClaimsVerificationError::SignatureVerification(error)) => Err(error),
            Err(_) => Err(other("claims")),
        }
    }

    fn verifier(&self, keys: &Fetched, now: Timestamp) -> Option<CoreIdTokenVerifier<'_>> {
        let client_id = ClientId::new(self.settings.client_id.clone());
        let issuer = IssuerUrl::new(self.settings.issuer.clone()).ok()?;
        let keys = keys.keys.clone();
        let is_shared = self.settings.algorithms.contains(&Algorithm::Hs256);
        let secret = self.settings.client_secret.as_ref().filter(|_| is_shared).map(ClientSecret::read);
        let verifier = match secret.transpose().ok()? {
            Some(secret) => CoreIdTokenVerifier::new_confidential_client(client_id, secret, issuer, keys),
            None => CoreIdTokenVerifier::new_public_client(client_id, issuer, keys),
        };
        let earliest = now.as_second().saturating_sub(i64::from(self.settings.skew_seconds));
        let time = chrono::DateTime::from_timestamp(earliest, 0)?;
        Some(
            verifier
                .set_allowed_algs(self.settings.algorithms.iter().map(|algorithm| jws(*algorithm)))
                .require_issuer_match(false)
                .require_audience_match(false)
                .set_time_fn(move || time),
        )
    }
}

/// What openidconnect sends its request by.
struct TokenEndpoint<'p> {
    transport: &'p Transport,
    algorithms: &'p [Algorithm],
    outside: &'p OnceLock<UnverifiedIdToken>,
}

impl<'c> AsyncHttpClient<'c> for TokenEndpoint<'_> {
    type Error = ProviderError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, ProviderError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let response = self.transport.send(Endpoint::Token, request).await?;
            screen(&response, self.algorithms, self.outside)?;
            Ok(response)
        })
    }
}

/// Looks at the answer before the library does: a token that no check could make good ends here, with the
/// reason that an operator needs.
fn screen(
    response: &HttpResponse,
    allowed: &[Algorithm],
    outside: &OnceLock<UnverifiedIdToken>,
) -> Result<(), ProviderError> {
    if response.status() != http::StatusCode::OK {
        return Ok(());
    }
    let malformed = |what| ProviderError::Malformed(Endpoint::Token, what);
    let answer = parse_strict(response.body()).ok_or(malformed("it is no JSON object"))?;
    if ["access_token", "token_type"].iter().any(|name| !answer.get(*name).is_some_and(Value::is_string)) {
        return Err(malformed("it is no token response"));
    }
    let id_token = answer.get("id_token").and_then(Value::as_str).ok_or(malformed("it holds no ID token"))?;
    let _ = outside.set(UnverifiedIdToken::parse(id_token, allowed)?);
    Ok(())
}

/// `has_id_token`: the answer is JSON with an ID token of a good form, so what cannot be read is its claims.
fn token_error(error: TokenError, has_id_token: bool) -> ProviderError {
    match error {
        RequestTokenError::Request(error) => error,
        RequestTokenError::ServerResponse(answer) => {
            ProviderError::Refused(Endpoint::Token, plain_code(answer.error().as_ref()))
        }
        RequestTokenError::Parse(..) if has_id_token => ProviderError::Claims(ClaimsError::Unreadable),
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            ProviderError::Malformed(Endpoint::Token, "it is no token response")
        }
    }
}

/// An error code as RFC 6749 writes it, and nothing else that the answer may hold.
fn plain_code(code: &str) -> String {
    let is_plain = code.len() <= 40 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if is_plain { code.to_owned() } else { "an unknown error".to_owned() }
}

fn signature_error(error: SignatureVerificationError) -> ProviderError {
    match error {
        SignatureVerificationError::AmbiguousKeyId(_) => {
            ProviderError::Signature("the token does not say which of several keys signed it")
        }
        SignatureVerificationError::NoMatchingKey => ProviderError::Signature("no key fits"),
        SignatureVerificationError::DisallowedAlg(_) | SignatureVerificationError::UnsupportedAlg(_) => {
            ProviderError::Claims(ClaimsError::Algorithm)
        }
        SignatureVerificationError::Other(what) if what == "claims" => {
            ProviderError::Claims(ClaimsError::Expired)
        }
        _ => ProviderError::Signature("it is wrong"),
    }
}

fn jws(algorithm: Algorithm) -> CoreJwsSigningAlgorithm {
    match algorithm {
        Algorithm::EdDsa => CoreJwsSigningAlgorithm::EdDsa,
        Algorithm::Es256 => CoreJwsSigningAlgorithm::EcdsaP256Sha256,
        Algorithm::Es384 => CoreJwsSigningAlgorithm::EcdsaP384Sha384,
        Algorithm::Hs256 => CoreJwsSigningAlgorithm::HmacSha256,
        Algorithm::Ps256 => CoreJwsSigningAlgorithm::RsaSsaPssSha256,
        Algorithm::Ps384 => CoreJwsSigningAlgorithm::RsaSsaPssSha384,
        Algorithm::Ps512 => CoreJwsSigningAlgorithm::RsaSsaPssSha512,
        Algorithm::Rs256 => CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
        Algorithm::Rs384 => CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
        Algorithm::Rs512 => CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    }
}
