//! A token for a grant: the only place that asks the API server for one.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};
use serde::Deserialize;

use super::audit;
use super::client::chain;
use crate::auth::{Credential, Grant, ServiceAccountRef};
use crate::clock::Stopwatch;
use crate::edge::Managed;
use crate::metrics::{Failure, TokenRequests};

/// How long the API server may take: a UI gives up on its first request after five seconds.
const DEADLINE: Duration = Duration::from_secs(3);

/// A token is handed out only while it lives at least this long.
const LEAST_LIFE: SignedDuration = SignedDuration::from_secs(60);

/// Asks the API server for tokens.
#[derive(Clone)]
pub struct Minter {
    client: Client,
    requests: TokenRequests,
}

/// A token, ready to travel in an `Authorization` header. Cannot be printed.
#[derive(Clone)]
pub struct Minted {
    /// `Bearer …`, marked sensitive.
    pub authorization: HeaderValue,
    /// When it was made, by our clock.
    pub minted_at: Timestamp,
    /// When it stops to work, by our clock.
    pub expires_at: Timestamp,
    /// Until when it is handed out: the UI's request has to arrive while it works.
    pub good_until: Timestamp,
    /// When a new one should be asked for: 80 % of its life.
    pub renew_at: Timestamp,
    /// What a check answers with while this token lives, but for cookies: a token is one session's, and a session one
    /// person's. Made by the first check.
    pub managed: OnceLock<Arc<Managed>>,
}

/// Why there is no token: each variant is something that an operator can do.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MintError {
    /// RBAC does not let us.
    #[error(
        "not allowed to create tokens for the ServiceAccount {0}: grant `create` on `serviceaccounts/token` \
         with the resource name {name} in the namespace {namespace}",
        name = .0.name, namespace = .0.namespace
    )]
    Forbidden(ServiceAccountRef),
    /// Our own credentials were refused.
    #[error("the API server does not accept our own credentials (401): {0}")]
    Unauthenticated(String),
    /// There is no such ServiceAccount.
    #[error("there is no ServiceAccount {0}: create it, or change the role")]
    NotFound(ServiceAccountRef),
    /// The API server takes no such request.
    #[error("the API server refused the TokenRequest for {account}: {message}")]
    Refused {
        /// Whose token.
        account: ServiceAccountRef,
        /// Its words.
        message: String,
    },
    /// The answer holds no token, or one for somebody else.
    #[error("the API server answered without a usable token for {account}: {problem}")]
    Unusable {
        /// Whose token.
        account: ServiceAccountRef,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The API server cannot be reached, or has no time.
    #[error("could not get a token from the API server: {0}")]
    Unavailable(String),
}

#[derive(Deserialize)]
struct TokenClaims {
    sub: String,
    #[serde(default)]
    aud: Vec<String>,
    exp: i64,
    iat: i64,
    #[serde(default)]
    jti: String,
}

impl Minter {
    /// Asks through `client`, and tells `requests` what came of it.
    pub fn new(client: Client, requests: TokenRequests) -> Self {
        Self { client, requests }
    }

    /// Mints a token for `grant`, or nothing for a role that has none.
    pub async fn mint(&self, grant: &Grant<'_>, now: Timestamp) -> Result<Option<Minted>, MintError> {
        let Credential::ServiceAccount { account, ttl, audiences } = &grant.role().credential else {
            return Ok(None);
        };
        let minting = self.mint_for(account, (*ttl, audiences), now).await;
        let failure = minting.as_ref().err().map(MintError::failure);
        let of = (account.namespace.as_str(), account.name.as_str());
        self.requests.answered(&grant.role().name, of, failure, now);
        let (minted, claims) = minting?;
        self.requests.works_until(of, minted.expires_at);
        audit::minted(grant, account, &claims.jti, minted.expires_at);
        Ok(Some(minted))
    }

    /// Forgets what is past.
    pub(super) fn sweep(&self, now: Timestamp) {
        self.requests.sweep(now);
    }

    async fn mint_for(
        &self,
        account: &ServiceAccountRef,
        (ttl, audiences): (Duration, &[String]),
        now: Timestamp,
    ) -> Result<(Minted, TokenClaims), MintError> {
        let watch = Stopwatch::start();
        let answered = self.request(account, ttl, audiences).await;
        self.requests.took(watch.seconds());
        let token = answered?;
        let claims = check(&token, account, audiences)?;
        let minted = Minted::new(&token, &claims, now);
        Ok((minted.ok_or_else(|| unusable(account, "it fits in no header"))?, claims))
    }

    async fn request(
        &self,
        account: &ServiceAccountRef,
        ttl: Duration,
        audiences: &[String],
    ) -> Result<String, MintError> {
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &account.namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: audiences.to_vec(),
                expiration_seconds: i64::try_from(ttl.as_secs()).ok(),
                bound_object_ref: None,
            },
            ..TokenRequest::default()
        };
        let params = PostParams::default();
        let sent = api.create_token_request(&account.name, &params, &request);
        let answer = match tokio::time::timeout(DEADLINE, sent).await {
            Ok(answer) => answer.map_err(|error| from_kube(&error, account))?,
            Err(_) => return Err(MintError::Unavailable(format!("no answer within {DEADLINE:?}"))),
        };
        let token = answer.status.map(|status| status.token).filter(|token| !token.is_empty());
        token.ok_or_else(|| unusable(account, "it holds none"))
    }
}

impl fmt::Debug for Minter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Minter")
    }
}

impl Minted {
    /// Its life is measured by the API server's clock, and counted from now by ours: the two may be apart.
    fn new(token: &str, claims: &TokenClaims, now: Timestamp) -> Option<Self> {
        let mut authorization = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
        authorization.set_sensitive(true);
        let life = SignedDuration::from_secs(claims.exp.saturating_sub(claims.iat).max(0));
        let expires_at = now.checked_add(life).ok()?;
        Some(Self {
            authorization,
            minted_at: now,
            expires_at,
            good_until: expires_at.checked_sub(LEAST_LIFE).ok()?,
            renew_at: now.checked_add(life * 4 / 5).ok()?,
            managed: OnceLock::new(),
        })
    }
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Minted").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl MintError {
    /// The reason in one word.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "apiserver-unreachable",
            Self::Forbidden(_)
            | Self::NotFound(_)
            | Self::Refused { .. }
            | Self::Unauthenticated(_)
            | Self::Unusable { .. } => "mint-failed",
        }
    }

    fn failure(&self) -> Failure {
        Failure { call: "TokenRequest", is_answered: !self.may_pass(), reason: self.reason() }
    }

    /// Time may help; otherwise an operator has to.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

fn unusable(account: &ServiceAccountRef, problem: &'static str) -> MintError {
    MintError::Unusable { account: account.clone(), problem }
}

/// The token is not verified, since nobody can make us believe a token but the API server itself over TLS.
/// That it is the one asked for is checked all the same: a token of another account must not go to a person.
fn check(token: &str, account: &ServiceAccountRef, audiences: &[String]) -> Result<TokenClaims, MintError> {
    let payload = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims: TokenClaims = payload
        .and_then(|payload| serde_json::from_slice(&payload).ok())
        .ok_or_else(|| unusable(account, "it is no ServiceAccount token"))?;
    if claims.sub != format!("system:serviceaccount:{}:{}", account.namespace, account.name) {
        return Err(unusable(account, "it is another account's"));
    }
    if !audiences.iter().all(|audience| claims.aud.contains(audience)) {
        return Err(unusable(account, "it is for another audience"));
    }
    Ok(claims)
}

fn from_kube(error: &kube::Error, account: &ServiceAccountRef) -> MintError {
    match error {
        kube::Error::Api(status) => match status.code {
            401 => MintError::Unauthenticated(status.message.clone()),
            403 => MintError::Forbidden(account.clone()),
            404 => MintError::NotFound(account.clone()),
            429 | 500.. => MintError::Unavailable(format!("it answered {}", status.code)),
            _ => MintError::Refused { account: account.clone(), message: status.message.clone() },
        },
        kube::Error::SerdeError(_) => unusable(account, "it is no TokenRequest"),
        other => MintError::Unavailable(chain(other)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn account() -> ServiceAccountRef {
        ServiceAccountRef { namespace: "ns".into(), name: "viewer".into() }
    }

    fn token(claims: &serde_json::Value) -> String {
        format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    fn claims() -> serde_json::Value {
        json!({"sub": "system:serviceaccount:ns:viewer", "aud": ["api"], "iat": 1_000, "exp": 1_600, "jti": "j"})
    }

    #[test]
    fn the_token_has_to_be_the_one_that_was_asked_for() {
        let problem = |token: &str, audiences: &[&str]| {
            let audiences: Vec<String> = audiences.iter().map(|&a| a.to_owned()).collect();
            check(token, &account(), &audiences).err().map(|error| error.to_string())
        };
        assert_eq!(problem(&token(&claims()), &[]), None);
        assert_eq!(problem(&token(&claims()), &["api"]), None);
        let other = json!({"sub": "system:serviceaccount:ns:admin", "iat": 0, "exp": 1});
        let table: [(String, &[&str], &str); 3] = [
            (token(&other), &[], "it is another account's"),
            (token(&claims()), &["vault"], "it is for another audience"),
            ("opaque".into(), &[], "it is no ServiceAccount token"),
        ];
        for (token, audiences, expected) in table {
            let problem = problem(&token, audiences).unwrap_or_default();
            assert!(problem.ends_with(expected), "{problem}");
        }
    }

    #[test]
    fn a_tokens_life_is_counted_by_our_own_clock() {
        let parsed = check(&token(&claims()), &account(), &[]).unwrap();
        let now = Timestamp::from_second(5_000).unwrap();
        let minted = Minted::new("t", &parsed, now).unwrap();
        assert_eq!((minted.renew_at.as_second(), minted.expires_at.as_second()), (5_480, 5_600));
    }

    #[test]
    fn a_token_is_never_printed() {
        let parsed = check(&token(&claims()), &account(), &[]).unwrap();
        let minted = Minted::new("topsecret", &parsed, Timestamp::UNIX_EPOCH).unwrap();
        assert!(!format!("{minted:?} {:?}", minted.authorization).contains("topsecret"));
    }
}
