//! What more the provider says of a person (OpenID Connect Core section 5.3).

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Endpoint, Provider, ProviderError, UserinfoUse};
use crate::auth::AcceptedIdToken;
use crate::auth::claims::parse_strict;

impl Provider {
    /// Adds the userinfo endpoint's claims to an accepted ID token, where they are needed.
    pub async fn complete(
        &self,
        accepted: AcceptedIdToken,
        access_token: &SecretString,
        now: Timestamp,
    ) -> Result<AcceptedIdToken, ProviderError> {
        let names = &self.settings.claim_names;
        let is_asked = match self.settings.userinfo {
            UserinfoUse::Always => true,
            UserinfoUse::Never => false,
            UserinfoUse::WhenNeeded => !accepted.is_complete(names),
        };
        let endpoint = self.metadata(now).await?.userinfo_endpoint.clone().filter(|_| is_asked);
        let accepted = match endpoint {
            Some(endpoint) => {
                let answer = self.userinfo(endpoint.as_str(), access_token).await;
                self.transport.note(Endpoint::Userinfo, &answer, now);
                accepted.merge_userinfo(answer?)?
            }
            None => accepted,
        };
        if accepted.has_group_overage(names) {
            tracing::warn!("the provider left a person's groups out because there are too many");
        }
        Ok(accepted)
    }

    async fn userinfo(
        &self,
        endpoint: &str,
        access_token: &SecretString,
    ) -> Result<serde_json::Map<String, serde_json::Value>, ProviderError> {
        let malformed = |what| ProviderError::Malformed(Endpoint::Userinfo, what);
        let bearer = http::HeaderValue::try_from(format!("Bearer {}", access_token.expose_secret()));
        let mut bearer = bearer.map_err(|_| malformed("the access token fits in no header"))?;
        bearer.set_sensitive(true);
        let request = http::Request::get(endpoint)
            .header(http::header::AUTHORIZATION, bearer)
            .header(http::header::ACCEPT, "application/json")
            .body(Vec::new())
            .map_err(|_| malformed("its address is no URL"))?;
        let response = self.transport.send(Endpoint::Userinfo, request).await?;
        match response.status().as_u16() {
            200 => parse_strict(response.body()).ok_or(malformed("it is no JSON object")),
            status => Err(ProviderError::Refused(Endpoint::Userinfo, format!("status {status}"))),
        }
    }
}
