//! `kubernetes`: the API server that issues tokens.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{error::Problems, file, path::KeyPath, text};

/// Which API server to ask, checked. Nothing set: that of the cluster lamplighter runs in.
#[derive(Clone, Debug, Default)]
pub struct Kubernetes {
    /// The kubeconfig file.
    pub kubeconfig: Option<PathBuf>,
    /// The context in it; `None`: its current one. Never set without `kubeconfig`.
    pub context: Option<String>,
    /// A PEM file of the certificate authorities to trust for the API server.
    pub ca_file: Option<PathBuf>,
}

/// The API server that issues tokens.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawKubernetes {
    /// A kubeconfig file, where lamplighter runs outside the cluster.
    #[schemars(with = "Option<String>", extend("x-form" = "a path"))]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig. Not set: its current one.
    context: Option<String>,
    /// A PEM file of the certificate authorities to trust for the API server.
    #[schemars(with = "Option<String>", extend("x-form" = "a path"))]
    ca_file: Option<PathBuf>,
}

impl RawKubernetes {
    pub(super) fn check(self, at: &KeyPath, problems: &mut Problems<'_>) -> Option<Kubernetes> {
        if let Some(path) = &self.kubeconfig {
            problems.look(&at.key("kubeconfig"), || file::check_filled(path));
        }
        if let Some(path) = &self.ca_file {
            problems.look(&at.key("caFile"), || file::check_certificates(path));
        }
        let context = self.context.map(|name| text::filled(&name)).transpose();
        let context = problems.keep(&at.key("context"), context)?;
        if context.is_some() && self.kubeconfig.is_none() && !problems.mentions(&at.key("kubeconfig")) {
            problems
                .add(&at.key("context"), "is a context of no kubeconfig; set kubeconfig too, or remove it");
        }
        Some(Kubernetes { kubeconfig: self.kubeconfig, context, ca_file: self.ca_file })
    }
}
