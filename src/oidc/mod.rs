//! The provider: everything that is asked of it, over one HTTP client.
//!
//! openidconnect builds the requests and checks the signatures; what it leaves open (which algorithms, key
//! rotation, body sizes, redirects, clock skew) is closed here and in [`crate::auth::claims`].

mod discovery;
mod error;
mod exchange;
mod keys;
mod settings;
mod transport;
mod userinfo;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use openidconnect::core::CoreClient;
use openidconnect::url::{Host, Url};
use std::sync::Arc;
use tokio::sync::Mutex;

pub use discovery::Metadata;
pub use error::{Endpoint, ProviderError, Remedy};
pub use exchange::Tokens;
pub use settings::{ClientSecret, Settings, UserinfoUse};

use crate::auth::LoginAttempt;
use crate::metrics::ProviderCalls;
use keys::Keys;
use transport::Transport;

/// How long discovery is believed, in seconds.
const METADATA_SECONDS: i64 = 3_600;

/// How long a person is sent to the provider without a look whether it answers, in seconds.
const ALIVE_SECONDS: i64 = 30;

/// How long a failure answers those who come after it, in seconds: nobody queues behind a provider that hangs.
const FAILURE_SECONDS: i64 = 2;

/// The provider that signs people in.
#[derive(Debug)]
pub struct Provider {
    settings: Settings,
    redirect_uri: String,
    transport: Transport,
    metadata: ArcSwapOption<Cached>,
    discovering: Mutex<Option<(Timestamp, ProviderError)>>,
    keys: Keys,
}

/// What the provider should ask the person (OpenID Connect Core section 3.1.2.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Prompt {
    /// What it finds necessary.
    AsNeeded,
    /// To sign in anew, perhaps as somebody else.
    Login,
}

#[derive(Debug)]
struct Cached {
    metadata: Arc<Metadata>,
    fetched_at: Timestamp,
}

impl Provider {
    /// Prepares to speak to the provider, without speaking to it yet: it may be down at start. `calls` is told what comes
    /// of each call.
    pub fn new(
        settings: Settings,
        redirect_uri: String,
        calls: ProviderCalls,
    ) -> Result<Self, ProviderError> {
        Ok(Self {
            transport: Transport::new(&settings, calls)?,
            settings,
            redirect_uri,
            metadata: ArcSwapOption::empty(),
            discovering: Mutex::new(None),
            keys: Keys::default(),
        })
    }

    /// What was configured.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What the provider says of itself, asked for once and believed for an hour.
    ///
    /// An answer that grew old serves on while a new one cannot be had.
    pub async fn metadata(&self, now: Timestamp) -> Result<Arc<Metadata>, ProviderError> {
        match self.metadata_within(METADATA_SECONDS, now).await {
            Ok(metadata) => Ok(metadata),
            Err(error) => self.last_known().ok_or(error),
        }
    }

    /// The same, of a provider that answered of late: nobody is sent to one that does not.
    async fn metadata_of_late(&self, now: Timestamp) -> Result<Arc<Metadata>, ProviderError> {
        match self.metadata_within(ALIVE_SECONDS, now).await {
            Ok(metadata) => Ok(metadata),
            Err(error) if error.remedy() == Remedy::Wait => Err(error),
            // It answers, and can sign people in as before.
            Err(error) => self.last_known().ok_or(error),
        }
    }

    fn last_known(&self) -> Option<Arc<Metadata>> {
        self.cached().map(|cached| Arc::clone(&cached.metadata))
    }

    /// Metadata that was fetched less than `seconds` ago, or is now: by one of those who want it, for all of them.
    async fn metadata_within(&self, seconds: i64, now: Timestamp) -> Result<Arc<Metadata>, ProviderError> {
        let fresh = || self.cached().filter(|cached| is_within(cached.fetched_at, now, seconds));
        if let Some(fresh) = fresh() {
            return Ok(Arc::clone(&fresh.metadata));
        }
        let mut failure = self.discovering.lock().await;
        if let Some(fresh) = fresh() {
            return Ok(Arc::clone(&fresh.metadata));
        }
        if let Some((_, error)) = failure.as_ref().filter(|(at, _)| is_within(*at, now, FAILURE_SECONDS)) {
            return Err(error.clone());
        }
        let fetched = discovery::fetch(&self.transport, &self.settings.issuer).await;
        self.transport.note(Endpoint::Discovery, &fetched, now);
        match fetched {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                self.metadata
                    .store(Some(Arc::new(Cached { metadata: Arc::clone(&metadata), fetched_at: now })));
                *failure = None;
                Ok(metadata)
            }
            Err(error) => {
                *failure = Some((now, error.clone()));
                Err(error)
            }
        }
    }

    /// The address that starts `attempt` at the provider.
    pub async fn authorize(
        &self,
        attempt: &LoginAttempt,
        prompt: Prompt,
        now: Timestamp,
    ) -> Result<String, ProviderError> {
        let metadata = self.metadata_of_late(now).await?;
        let mut url = metadata.authorization_endpoint.clone();
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("scope", &self.settings.scopes.join(" "))
            .append_pair("state", &attempt.state())
            .append_pair("nonce", &attempt.nonce())
            .append_pair("code_challenge", &attempt.code_challenge())
            .append_pair("code_challenge_method", "S256");
        if let Some(seconds) = self.settings.max_age_seconds {
            query.append_pair("max_age", &seconds.to_string());
        }
        if prompt == Prompt::Login {
            query.append_pair("prompt", "login");
        }
        drop(query);
        Ok(url.into())
    }

    fn cached(&self) -> Option<Arc<Cached>> {
        self.metadata.load_full()
    }

    fn client(&self) -> Result<CoreClient, ProviderError> {
        let issuer = openidconnect::IssuerUrl::new(self.settings.issuer.clone());
        let issuer = issuer.map_err(|_| ProviderError::Settings("oidc.issuer is no URL".into()))?;
        let id = openidconnect::ClientId::new(self.settings.client_id.clone());
        let client = CoreClient::new(id, issuer, openidconnect::JsonWebKeySet::new(Vec::new()));
        Ok(match self.settings.client_secret.as_ref().map(ClientSecret::read).transpose()? {
            Some(secret) => client.set_client_secret(secret),
            None => client,
        })
    }
}

/// Whether `now` is less than `seconds` after `at`. A clock that was set back makes nothing last longer.
fn is_within(at: Timestamp, now: Timestamp, seconds: i64) -> bool {
    (0..seconds).contains(&now.as_second().saturating_sub(at.as_second()))
}

/// Whether `url` is https, or plain http to this very machine.
fn is_safe(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
