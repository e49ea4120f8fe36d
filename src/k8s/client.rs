//! Our own way to the API server.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use secrecy::{ExposeSecret as _, SecretString};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const READ_TIMEOUT: Duration = Duration::from_secs(3);

/// Where the API server is, and who we are there.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// A kubeconfig; without one, the pod's own ServiceAccount.
    pub kubeconfig: Option<KubeconfigSource>,
    /// The context in it; without one, its current context.
    pub context: Option<String>,
    /// CA certificates of the API server, in PEM, in place of those that the kubeconfig or the pod names.
    pub ca_file: Option<PathBuf>,
}

/// Where a kubeconfig comes from.
#[derive(Clone, Debug)]
pub enum KubeconfigSource {
    /// A file.
    File(PathBuf),
    /// Its text, in YAML.
    Text(SecretString),
}

/// Why no client could be made. Nothing was sent yet.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The kubeconfig cannot be used.
    #[error("cannot use the kubeconfig (kubernetes.kubeconfig): {0}")]
    Kubeconfig(String),
    /// This is no pod, or a pod without a token.
    #[error(
        "not in a cluster ({0}): run as a pod with a ServiceAccount token, or set `kubernetes.kubeconfig`"
    )]
    NotInCluster(String),
    /// The credentials or certificates cannot be used.
    #[error("cannot use the credentials for the API server: {0}")]
    Unusable(String),
}

/// Makes a client, without connecting.
///
/// kube's own retry is off: it would answer an overloaded API server with up to fifteen more requests,
/// and hold the person's request for minutes.
pub async fn connect(settings: &Settings) -> Result<Client, ClientError> {
    let mut config = match &settings.kubeconfig {
        Some(source) => from_kubeconfig(source, settings.context.clone()).await?,
        None => Config::incluster().map_err(|error| ClientError::NotInCluster(chain(&error)))?,
    };
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    if let Some(path) = &settings.ca_file {
        config.root_cert_file = Some(path.clone());
        config.root_cert = None;
    }
    Client::try_from(config).map_err(|error| ClientError::Unusable(chain(&error)))
}

async fn from_kubeconfig(source: &KubeconfigSource, context: Option<String>) -> Result<Config, ClientError> {
    let kubeconfig = match source {
        KubeconfigSource::File(path) => Kubeconfig::read_from(path),
        KubeconfigSource::Text(text) => Kubeconfig::from_yaml(text.expose_secret()),
    };
    let kubeconfig = kubeconfig.map_err(|error| ClientError::Kubeconfig(chain(&error)))?;
    let clusters = kubeconfig.clusters.iter().filter_map(|named| named.cluster.as_ref());
    let names_proxy = clusters.into_iter().any(|cluster| cluster.proxy_url.is_some());
    let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = config.map_err(|error| ClientError::Kubeconfig(chain(&error)))?;
    if !names_proxy {
        // What the environment names is the way to the provider; the API server is near.
        config.proxy_url = None;
    }
    Ok(config)
}

pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            let _ = write!(text, ": {inner_text}");
        }
        cause = inner.source();
    }
    text
}
