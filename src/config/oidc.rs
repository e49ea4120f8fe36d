//! `oidc`: the identity provider.

use std::{path::PathBuf, time::Duration};

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{
    duration,
    error::Problems,
    file::{self, SecretSource},
    origin,
    path::KeyPath,
    quoted, text,
};
use crate::idp::{self, Known};

/// The longest clock skew: beyond it, an expired ID token would pass for too long.
const MAX_CLOCK_SKEW: Duration = Duration::from_mins(5);

/// The longest `maxAge`, a year.
const MAX_MAX_AGE: Duration = Duration::from_hours(365 * 24);

/// What HS256 needs (RFC 7518, section 3.2): a shorter key can be guessed from one ID token. In bytes.
const MIN_HMAC_KEY: usize = 32;

/// The identity provider, checked.
#[derive(Clone, Debug)]
pub struct Oidc {
    /// The issuer, byte for byte as it was written: tokens are compared with it.
    pub issuer: String,
    /// What the provider is known to do.
    pub preset: Preset,
    /// The client id under which the provider knows this gateway.
    pub client_id: String,
    /// The client secret; `None` for a public client.
    pub client_secret: Option<SecretSource>,
    /// A PEM file of certificate authorities to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The scopes to ask for; `openid` is among them.
    pub scopes: Vec<String>,
    /// The claim that lists groups: a name, or a JSON pointer when it begins with `/`.
    pub groups_claim: String,
    /// The claim that names a person: a name, or a JSON pointer when it begins with `/`.
    pub name_claim: String,
    /// The signatures that an ID token may have; never empty.
    pub signing_algorithms: Vec<SigningAlgorithm>,
    /// Audiences accepted beside the client id.
    pub trusted_audiences: Vec<String>,
    /// When to ask the userinfo endpoint.
    pub userinfo: UserInfo,
    /// How far the provider's clock may be off, at most five minutes.
    pub clock_skew: Duration,
    /// How long ago a person may have proved who they are; `None`: the provider decides.
    pub max_age: Option<Duration>,
}

/// What a provider is known to do: each stands for its scopes and claims in [`crate::idp`].
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Authelia, where claims come from userinfo.
    Authelia,
    /// authentik, where groups come with the `profile` scope.
    Authentik,
    /// Amazon Cognito, where the claims are `cognito:groups` and `cognito:username`.
    Cognito,
    /// Dex.
    Dex,
    /// Microsoft Entra ID, by app roles.
    Entra,
    /// Any OpenID Provider.
    #[default]
    Generic,
    /// Google, which has no groups.
    Google,
    /// Kanidm.
    Kanidm,
    /// Keycloak, which refuses the scope `groups`.
    Keycloak,
    /// Okta.
    Okta,
    /// OpenUnison.
    #[serde(rename = "openunison")]
    OpenUnison,
    /// Pocket ID.
    PocketId,
    /// Zitadel, where an action makes the groups.
    Zitadel,
}

impl Preset {
    fn known(self) -> &'static Known {
        match self {
            Self::Authelia => &idp::AUTHELIA,
            Self::Authentik => &idp::AUTHENTIK,
            Self::Cognito => &idp::COGNITO,
            Self::Dex => &idp::DEX,
            Self::Entra => &idp::ENTRA,
            Self::Generic => &idp::GENERIC,
            Self::Google => &idp::GOOGLE,
            Self::Kanidm => &idp::KANIDM,
            Self::Keycloak => &idp::KEYCLOAK,
            Self::Okta => &idp::OKTA,
            Self::OpenUnison => &idp::OPENUNISON,
            Self::PocketId => &idp::POCKET_ID,
            Self::Zitadel => &idp::ZITADEL,
        }
    }
}

/// A signature algorithm of ID tokens. There is no `none`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// Ed25519.
    EdDSA,
    /// HMAC with SHA-256, keyed with the client secret.
    HS256,
}

/// When to ask the userinfo endpoint.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserInfo {
    /// At each sign-in.
    Always,
    /// Not at all: the ID token has every claim.
    Never,
    /// When the ID token lacks a claim that a role or the name needs.
    #[default]
    WhenNeeded,
}

/// The identity provider.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawOidc {
    /// The provider's issuer URL, exactly as it writes it itself, with or without the last slash.
    #[schemars(required, extend("x-form" = "a URL, such as `https://auth.example.com/`"))]
    issuer: Option<String>,
    /// What this provider is known to do.
    #[serde(default)]
    preset: Preset,
    /// The client id under which the provider knows this gateway.
    #[schemars(required)]
    client_id: Option<String>,
    /// The client secret itself. Better: `clientSecretFile`. Neither: a public client.
    #[schemars(with = "Option<String>")]
    client_secret: Option<SecretString>,
    /// A file with the client secret; white space around it is ignored.
    #[schemars(with = "Option<String>", extend("x-form" = "a path"))]
    client_secret_file: Option<PathBuf>,
    /// A PEM file of certificate authorities to trust beside the system's.
    #[schemars(with = "Option<String>", extend("x-form" = "a path"))]
    ca_file: Option<PathBuf>,
    /// The scopes to ask for; `openid` must be among them. Not set: the preset's, of which some are without `groups`.
    #[schemars(extend("x-default" = ["openid", "profile", "email", "groups"]))]
    scopes: Option<Vec<String>>,
    /// The claim that lists a person's groups: a name, or a JSON pointer such as `/realm_access/roles`.
    /// Not set: the preset's.
    #[schemars(extend("x-default" = "groups"))]
    groups_claim: Option<String>,
    /// The claim that names a person in logs and on pages: a name, or a JSON pointer. Not set: the preset's.
    #[schemars(extend("x-default" = "preferred_username"))]
    name_claim: Option<String>,
    /// The signatures that an ID token may have. HS256 must be asked for and needs a client secret of 32 bytes.
    #[serde(default = "signing_algorithms")]
    signing_algorithms: Vec<SigningAlgorithm>,
    /// Audiences that an ID token may name beside the client id; `azp` must then be the client id.
    #[serde(default)]
    trusted_audiences: Vec<String>,
    /// When to ask the provider's userinfo endpoint for claims.
    #[serde(default)]
    userinfo: UserInfo,
    /// How far the provider's clock may be off, at most `5m`.
    #[serde(default = "clock_skew")]
    #[schemars(extend("x-form" = "a duration, such as `30s`"))]
    clock_skew: String,
    /// How long ago a person may have proved who they are when they sign in here. Not set: the provider decides.
    #[schemars(extend("x-form" = "a duration, such as `12h`"))]
    max_age: Option<String>,
}

impl RawOidc {
    pub(super) fn check(self, at: &KeyPath, problems: &mut Problems<'_>) -> Option<Oidc> {
        let client_secret = self.client_secret(at, problems);
        self.check_algorithms(client_secret.as_ref(), at, problems);
        let issuer = self.issuer.and_then(|text| problems.keep(&at.key("issuer"), issuer(text)));
        let client_id = self.client_id.and_then(|id| problems.keep(&at.key("clientId"), text::filled(&id)));
        if let Some(path) = &self.ca_file {
            problems.look(&at.key("caFile"), || file::check_certificates(path));
        }
        let known = self.preset.known();
        let scopes = scopes(self.scopes, known, &at.key("scopes"), problems);
        let groups_claim = self.groups_claim.as_deref().unwrap_or(known.groups_claim);
        let groups_claim = problems.keep(&at.key("groupsClaim"), claim(groups_claim));
        let name_claim = self.name_claim.as_deref().unwrap_or(known.name_claim);
        let name_claim = problems.keep(&at.key("nameClaim"), claim(name_claim));
        let audiences = problems.keep_all(&at.key("trustedAudiences"), &self.trusted_audiences, text::filled);
        let skew = duration::parse_within(&self.clock_skew, &(Duration::ZERO..=MAX_CLOCK_SKEW));
        let clock_skew = problems.keep(&at.key("clockSkew"), skew);
        let max_age = self.max_age.map(|text| duration::parse_within(&text, &(Duration::ZERO..=MAX_MAX_AGE)));
        let max_age = problems.keep(&at.key("maxAge"), max_age.transpose());
        Some(Oidc {
            issuer: issuer?,
            preset: self.preset,
            client_id: client_id?,
            client_secret,
            ca_file: self.ca_file,
            scopes: scopes?,
            groups_claim: groups_claim?,
            name_claim: name_claim?,
            signing_algorithms: self.signing_algorithms,
            trusted_audiences: audiences?,
            userinfo: self.userinfo,
            clock_skew: clock_skew?,
            max_age: max_age?,
        })
    }

    fn client_secret(&self, at: &KeyPath, problems: &mut Problems<'_>) -> Option<SecretSource> {
        let (source, key) = match (&self.client_secret, &self.client_secret_file) {
            (None, None) => return None,
            (Some(_), Some(_)) => {
                let message = "is set beside clientSecretFile; remove one of the two";
                problems.add(&at.key("clientSecret"), message);
                return None;
            }
            (Some(secret), None) => (SecretSource::Inline(secret.clone()), "clientSecret"),
            (None, Some(path)) => (SecretSource::File(path.clone()), "clientSecretFile"),
        };
        problems.look(&at.key(key), || source.read().map(drop).map_err(|error| error.to_string()))?;
        Some(source)
    }

    fn check_algorithms(&self, secret: Option<&SecretSource>, at: &KeyPath, problems: &mut Problems<'_>) {
        let at_algorithms = at.key("signingAlgorithms");
        if self.signing_algorithms.is_empty() {
            problems.add(&at_algorithms, "is empty, so no ID token would pass; remove it or name one");
        }
        let secret_is_wrong =
            ["clientSecret", "clientSecretFile"].iter().any(|key| problems.mentions(&at.key(key)));
        if secret_is_wrong || !self.signing_algorithms.contains(&SigningAlgorithm::HS256) {
            return;
        }
        problems.look(&at_algorithms, || {
            let secret = secret.and_then(|secret| secret.read().ok());
            if secret.map_or(0, |secret| secret.expose_secret().len()) >= MIN_HMAC_KEY {
                return Ok(());
            }
            Err("HS256 is as strong as the client secret, which must have 32 bytes or more; make a longer one, \
                 or remove HS256"
                .to_owned())
        });
    }
}

fn issuer(text: String) -> Result<String, String> {
    let url = origin::parse(&text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(
            "must have no `?` and no `#`; write it as the provider's discovery document does".to_owned()
        );
    }
    Ok(text)
}

fn scopes(
    written: Option<Vec<String>>,
    known: &Known,
    at: &KeyPath,
    problems: &mut Problems<'_>,
) -> Option<Vec<String>> {
    let Some(written) = written else {
        return Some(known.scopes.iter().map(|&scope| scope.to_owned()).collect());
    };
    let scopes = problems.keep_all(at, &written, scope)?;
    if !scopes.iter().any(|scope| scope == "openid") {
        problems.add(at, "must contain `openid`; add it: without it the provider sends no ID token");
        return None;
    }
    Some(scopes)
}

/// RFC 6749, section 3.3.
fn scope(text: &str) -> Result<String, String> {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && !b"\"\\".contains(&byte);
    if text.is_empty() || !text.bytes().all(is_allowed) {
        return Err(format!("{} is no scope; write one scope an item, without spaces", quoted(text)));
    }
    Ok(text.to_owned())
}

fn claim(text: &str) -> Result<String, String> {
    let escapes = text.split('~').skip(1);
    if text.starts_with('/') && !escapes.into_iter().all(|rest| rest.starts_with(['0', '1'])) {
        return Err(format!("{} is no JSON pointer; write `~` as `~0`", quoted(text)));
    }
    text::filled(text)
}

fn clock_skew() -> String {
    "30s".to_owned()
}

fn signing_algorithms() -> Vec<SigningAlgorithm> {
    use SigningAlgorithm::{ES256, ES384, EdDSA, PS256, RS256};
    vec![RS256, PS256, ES256, ES384, EdDSA]
}
