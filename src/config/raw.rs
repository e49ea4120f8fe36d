//! The file's top level, as it is written.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::{
    Config, Ui,
    error::Problems,
    fallback::{RawFallback, Shared},
    kubernetes::RawKubernetes,
    listen::RawListen,
    oidc::RawOidc,
    origin,
    path::KeyPath,
    role::{self, RawRole},
    session::RawSession,
    store::RawStore,
    upstream::RawUpstream,
};

/// The configuration of lamplighter.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(title = "lamplighter")]
pub(super) struct RawConfig {
    /// The origin where people open the UI, such as `https://headlamp.example.com`. Plain http only on this machine.
    #[schemars(required, extend("x-form" = "a URL, such as `https://headlamp.example.com`"))]
    site: Option<String>,
    /// The identity provider.
    #[schemars(required)]
    oidc: Option<RawOidc>,
    /// How long people stay signed in.
    #[serde(default)]
    session: RawSession,
    /// Who gets which credential, in order: the first role that matches holds, and who matches none is refused.
    #[schemars(required, length(min = 1))]
    roles: Option<Vec<RawRole>>,
    /// The UI upstream, which decides what it is sent.
    #[serde(default)]
    ui: Ui,
    /// The UI's address, such as `http://127.0.0.1:4466`, `https://…` or `unix:/run/headlamp.sock`. Set: the public
    /// listener is the proxy in front of it. Not set: an ingress asks.
    #[schemars(extend("x-form" = "an address, such as `http://127.0.0.1:4466`"))]
    upstream: Option<String>,
    /// A PEM file of certificate authorities to trust for the upstream beside the system's.
    #[schemars(with = "Option<String>", extend("x-form" = "a path"))]
    upstream_ca_file: Option<PathBuf>,
    /// The UI's base path, such as `/headlamp`, where it is not at the root.
    #[schemars(extend("x-form" = "a path, such as `/headlamp`"))]
    base_path: Option<String>,
    /// In proxy mode, the clusters that the token is for, as the UI names them in its paths.
    #[serde(default = "clusters")]
    clusters: Vec<String>,
    /// The API server that issues tokens. Nothing set: that of the cluster lamplighter runs in.
    #[serde(default)]
    kubernetes: RawKubernetes,
    /// Where lamplighter listens, and whom it answers.
    #[serde(default)]
    listen: RawListen,
    /// A way in through `kubectl port-forward`, when the provider or the ingress is down. Not set: there is none.
    fallback: Option<RawFallback>,
    /// What several replicas share. Nothing set: each replica knows only of its own sign-outs.
    #[serde(default)]
    store: RawStore,
}

impl RawConfig {
    /// Checks what the schema cannot say.
    pub(super) fn check(self, problems: &mut Problems<'_>) -> Option<Config> {
        let top = KeyPath::default();
        let site = self.site.and_then(|text| problems.keep(&top.key("site"), site(&text)));
        let oidc = self.oidc.and_then(|oidc| oidc.check(&top.key("oidc"), problems));
        let session = self.session.check(&top.key("session"), problems);
        let roles = self.roles.and_then(|roles| role::check(roles, &top.key("roles"), problems));
        let kubernetes = self.kubernetes.check(&top.key("kubernetes"), problems);
        let listen = self.listen.check(&top.key("listen"), problems);
        let store = self.store.check(&top.key("store"), problems);
        let upstream = RawUpstream {
            address: self.upstream,
            ca_file: self.upstream_ca_file,
            base_path: self.base_path,
            clusters: self.clusters,
        };
        let raw_upstream = upstream.clone();
        let upstream = upstream.check(&top, problems);
        let known = Shared {
            roles: roles.as_deref(),
            session: session.as_ref(),
            upstream: upstream.as_ref().ok().and_then(Option::as_ref),
            raw_upstream,
        };
        let fallback = self.fallback.map(|fallback| fallback.check(known, &top.key("fallback"), problems));
        Some(Config {
            site: site?,
            oidc: oidc?,
            session: session?,
            roles: roles?,
            ui: self.ui,
            kubernetes: kubernetes?,
            listen: listen?,
            store: store?,
            upstream: upstream.ok()?,
            fallback: fallback.map_or(Some(None), |fallback| fallback.map(Some))?,
        })
    }
}

fn clusters() -> Vec<String> {
    vec!["main".to_owned()]
}

fn site(text: &str) -> Result<Url, String> {
    let url = origin::parse(text)?;
    match (url.path(), url.query(), url.fragment()) {
        ("/", None, None) => Ok(url),
        _ => Err("must be an origin alone; remove what follows the host and port".to_owned()),
    }
}
