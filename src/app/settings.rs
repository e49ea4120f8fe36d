//! What the program is told, and why it does not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;

use crate::auth::{Policy, Site};
use crate::edge::Ui;
use crate::k8s::ClientError;
use crate::oidc::ProviderError;
use crate::proxy::UpstreamError;
use crate::store::StoreError;
use crate::web::Limits;
use crate::{k8s, oidc, proxy, store};

/// Everything that the program is told.
#[derive(Debug)]
pub struct Settings {
    /// Where people open the UI.
    pub site: Site,
    /// Who gets what.
    pub policy: Policy,
    /// What is upstream.
    pub ui: Ui,
    /// How long a session lasts at the most, in seconds.
    pub session_seconds: i64,
    /// Files with session keys: the first seals, all open. None: a key is made that dies with the process.
    pub key_files: Vec<PathBuf>,
    /// The provider.
    pub oidc: oidc::Settings,
    /// The API server.
    pub kubernetes: k8s::Settings,
    /// Where to listen.
    pub listen: Listen,
    /// What each listener bears.
    pub limits: Limits,
    /// What replicas share; none: nothing.
    pub store: Option<store::Settings>,
    /// The UI that the public listener is a proxy for; none: an ingress asks.
    pub upstream: Option<Proxied>,
    /// A way in when the provider is down; none: there is none.
    pub fallback: Option<SideDoor>,
}

/// A way in through `kubectl port-forward`.
#[derive(Clone, Debug)]
pub struct SideDoor {
    /// Where it listens, on the loopback.
    pub listen: SocketAddr,
    /// The role that whoever comes in gets.
    pub role: String,
    /// How long they may stay, in seconds.
    pub session_seconds: i64,
    /// The UI.
    pub upstream: Proxied,
    /// What kubectl names lamplighter's pod by, with its namespace if that is known: `-n NAMESPACE deploy/NAME`.
    pub workload: String,
}

/// The UI that the public listener is a proxy for.
#[derive(Clone, Debug)]
pub struct Proxied {
    /// Where it is.
    pub upstream: proxy::Settings,
    /// Its base path; empty at the root.
    pub base: String,
    /// Clusters that the token is for, as the UI names them.
    pub clusters: Vec<String>,
    /// WebSockets at a time.
    pub tunnels: usize,
}

/// Where to listen.
#[derive(Clone, Debug)]
pub struct Listen {
    /// For browsers.
    pub public: SocketAddr,
    /// For ingresses.
    pub authz: SocketAddr,
    /// For the kubelet.
    pub admin: SocketAddr,
    /// Who may ask the authz listener.
    pub trusted_proxies: Vec<IpNet>,
}

/// Why the program does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} (listen.{listener}): {cause}")]
    Bind {
        /// Which listener.
        listener: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why.
        cause: io::Error,
    },
    /// A session key cannot be used.
    #[error("cannot use the session key in {path} (session.keyFiles): {cause}")]
    Key {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// There is no way to the API server.
    #[error(transparent)]
    Kubernetes(#[from] ClientError),
    /// The provider's settings cannot be used.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The store's address cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The upstream's settings cannot be used.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// There is no such role.
    #[error("fallback.role: there is no role {0:?}")]
    Role(String),
}
