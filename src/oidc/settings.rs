//! What is configured of the provider.

use std::path::PathBuf;

use openidconnect::url::Url;
use secrecy::{ExposeSecret as _, SecretString};

use super::ProviderError;
use crate::auth::claims::Algorithm;
use crate::auth::{ClaimNames, IdTokenRules};

/// What is configured of the provider.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The issuer, to the byte.
    pub issuer: String,
    /// Our name there.
    pub client_id: String,
    /// Our secret there; none for a public client.
    pub client_secret: Option<ClientSecret>,
    /// CA certificates, in PEM, beside the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// What is asked for; holds `openid`.
    pub scopes: Vec<String>,
    /// How ID tokens may be signed.
    pub algorithms: Vec<Algorithm>,
    /// Audiences that may stand beside us in an ID token.
    pub trusted_audiences: Vec<String>,
    /// How far clocks may be apart, in seconds.
    pub skew_seconds: u32,
    /// How long ago a person may have signed in at the provider, in seconds.
    pub max_age_seconds: Option<u64>,
    /// Which claims say what.
    pub claim_names: ClaimNames,
    /// When the userinfo endpoint is asked.
    pub userinfo: UserinfoUse,
}

/// When the userinfo endpoint is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UserinfoUse {
    /// At each sign-in.
    Always,
    /// Never.
    Never,
    /// When the ID token lacks the groups, the name or the address.
    WhenNeeded,
}

/// Where our secret comes from.
#[derive(Clone, Debug)]
pub enum ClientSecret {
    /// A file, read at each sign-in, so that a new secret is picked up without a restart.
    File(PathBuf),
    /// The configuration itself.
    Inline(SecretString),
}

impl ClientSecret {
    pub(super) fn read(&self) -> Result<openidconnect::ClientSecret, ProviderError> {
        let text = match self {
            Self::Inline(secret) => secret.expose_secret().to_owned(),
            Self::File(path) => std::fs::read_to_string(path).map_err(|error| {
                ProviderError::Settings(format!("cannot read {}: {error}", path.display()))
            })?,
        };
        let secret = text.trim_end_matches(['\n', '\r']);
        if secret.is_empty() {
            return Err(ProviderError::Settings("the client secret is empty".into()));
        }
        Ok(openidconnect::ClientSecret::new(secret.to_owned()))
    }
}

impl Settings {
    /// What metrics call the provider: its issuer's host.
    pub fn provider_name(&self) -> String {
        let issuer = Url::parse(&self.issuer).ok();
        issuer.as_ref().and_then(Url::host_str).unwrap_or("unknown").to_owned()
    }

    /// What an ID token has to say.
    pub fn id_token_rules(&self) -> IdTokenRules {
        IdTokenRules {
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            trusted_audiences: self.trusted_audiences.clone(),
            skew_seconds: self.skew_seconds,
            max_age_seconds: self.max_age_seconds,
        }
    }
}
