//! From a configuration to what each module is told.

use crate::app::{Listen, Proxied, Settings, SideDoor};
use crate::auth::claims::Algorithm;
use crate::auth::{ClaimNames, Credential, Match, Policy, ServiceAccountRef, Site};
use crate::config::{
    self, Config, EmailPattern, FileError, SecretSource, SigningAlgorithm, UpstreamAddress, UserInfo,
};
use crate::edge::Ui;
use crate::k8s::{self, KubeconfigSource};
use crate::oidc::{self, ClientSecret, UserinfoUse};
use crate::proxy::{self, Target};
use crate::store;
use crate::web::Limits;

/// WebSockets at a time, each a few KiB: Headlamp opens one a watched list.
const MAX_TUNNELS: usize = 10_000;

/// Where the kubelet says in which namespace a pod is.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// What a valid configuration can still lack: a file that went away meanwhile.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The provider's certificate authorities cannot be read.
    #[error("oidc.caFile: {0}")]
    CaFile(FileError),
    /// The fallback would be every process's on the node.
    #[error(
        "fallback: this pod is on its node's network (hostNetwork), where the loopback is every process's on the \
         node; take it off that network, or remove `fallback`"
    )]
    HostNetwork,
    /// The upstream's certificate authorities cannot be read.
    #[error("upstreamCaFile: {0}")]
    UpstreamCaFile(FileError),
    /// The store's address cannot be read.
    #[error("store.redis: {0}")]
    Store(FileError),
    /// The site is no origin.
    #[error("site: has no host")]
    Site,
}

/// What each module is told of a configuration. Reads the files that it names and that are not read anew later.
pub fn from_config(config: Config) -> Result<Settings, SettingsError> {
    Ok(Settings {
        site: Site::new(&config.site).ok_or(SettingsError::Site)?,
        policy: Policy::new(config.roles.into_iter().map(rule).collect()),
        ui: ui(config.ui),
        session_seconds: i64::try_from(config.session.ttl.as_secs()).unwrap_or(i64::MAX),
        key_files: config.session.key_files,
        oidc: provider(config.oidc)?,
        kubernetes: k8s::Settings {
            kubeconfig: config.kubernetes.kubeconfig.map(KubeconfigSource::File),
            context: config.kubernetes.context,
            ca_file: config.kubernetes.ca_file,
        },
        listen: Listen {
            public: config.listen.public,
            authz: config.listen.authz,
            admin: config.listen.admin,
            trusted_proxies: config.listen.trusted_proxies,
        },
        limits: Limits::default(),
        store: shared_store(config.store)?,
        upstream: config.upstream.map(proxied).transpose()?,
        fallback: config.fallback.map(side_door).transpose()?,
    })
}

fn shared_store(store: config::Store) -> Result<Option<store::Settings>, SettingsError> {
    match store {
        config::Store::Memory => Ok(None),
        config::Store::Redis(url) => {
            let url = url.read().map_err(SettingsError::Store)?;
            Ok(Some(store::Settings { url }))
        }
    }
}

fn side_door(fallback: config::Fallback) -> Result<SideDoor, SettingsError> {
    if config::is_on_host_network() {
        return Err(SettingsError::HostNetwork);
    }
    let namespace = std::fs::read_to_string(NAMESPACE_FILE).ok();
    let namespace = namespace.map(|name| format!("-n {} ", name.trim())).unwrap_or_default();
    Ok(SideDoor {
        listen: fallback.listen,
        role: fallback.role,
        session_seconds: i64::try_from(fallback.ttl.as_secs()).unwrap_or(i64::MAX),
        upstream: proxied(fallback.upstream)?,
        workload: format!("{namespace}{}", fallback.workload),
    })
}

fn proxied(upstream: config::Upstream) -> Result<Proxied, SettingsError> {
    let ca = upstream.ca_file.as_deref().map(config::read_secret).transpose();
    let ca = ca.map_err(SettingsError::UpstreamCaFile)?;
    Ok(Proxied {
        upstream: proxy::Settings {
            target: match upstream.address {
                UpstreamAddress::Http(address) => Target::Http(address),
                UpstreamAddress::Https { host, address } => Target::Https { host, address },
                UpstreamAddress::Unix(path) => Target::Unix(path),
            },
            ca_pem: ca.map(|pem| secrecy::ExposeSecret::expose_secret(&pem).to_vec()),
            head_timeout: proxy::HEAD_TIMEOUT,
        },
        base: upstream.base_path,
        clusters: upstream.clusters,
        tunnels: MAX_TUNNELS,
    })
}

fn provider(oidc: config::Oidc) -> Result<oidc::Settings, SettingsError> {
    let ca = oidc.ca_file.as_deref().map(config::read_secret).transpose().map_err(SettingsError::CaFile)?;
    Ok(oidc::Settings {
        issuer: oidc.issuer,
        client_id: oidc.client_id,
        client_secret: oidc.client_secret.map(|source| match source {
            SecretSource::File(path) => ClientSecret::File(path),
            SecretSource::Inline(secret) => ClientSecret::Inline(secret),
        }),
        ca_pem: ca.map(|pem| secrecy::ExposeSecret::expose_secret(&pem).to_vec()),
        scopes: oidc.scopes,
        algorithms: oidc.signing_algorithms.into_iter().map(algorithm).collect(),
        trusted_audiences: oidc.trusted_audiences,
        skew_seconds: u32::try_from(oidc.clock_skew.as_secs()).unwrap_or(u32::MAX),
        max_age_seconds: oidc.max_age.map(|age| age.as_secs()),
        claim_names: ClaimNames { groups: oidc.groups_claim, name: oidc.name_claim },
        userinfo: match oidc.userinfo {
            UserInfo::Always => UserinfoUse::Always,
            UserInfo::Never => UserinfoUse::Never,
            UserInfo::WhenNeeded => UserinfoUse::WhenNeeded,
        },
    })
}

fn rule(role: config::Role) -> (String, Match, Credential) {
    (role.name, matching(role.matching), credential(role.credential))
}

fn matching(matching: config::Match) -> Match {
    let conditions = match matching {
        config::Match::Everyone => return Match { everyone: true, ..Match::default() },
        config::Match::Conditions(conditions) => conditions,
    };
    let email = |pattern| match pattern {
        EmailPattern::Address(address) => address,
        EmailPattern::Domain(domain) => format!("@{}", domain.trim_start_matches('@')),
    };
    Match {
        everyone: false,
        groups: conditions.groups.into_iter().collect(),
        emails: conditions.emails.into_iter().map(email).collect(),
        subjects: conditions.subjects.into_iter().collect(),
        claims: conditions.claims,
    }
}

fn credential(credential: config::Credential) -> Credential {
    match credential {
        config::Credential::None => Credential::None,
        config::Credential::ServiceAccount { account, token_ttl, audiences } => Credential::ServiceAccount {
            account: ServiceAccountRef { namespace: account.namespace, name: account.name },
            ttl: token_ttl,
            audiences,
        },
    }
}

fn ui(ui: config::Ui) -> Ui {
    match ui {
        config::Ui::Generic => Ui::Generic,
        config::Ui::Headlamp => Ui::Headlamp,
        config::Ui::KubernetesDashboard => Ui::KubernetesDashboard,
    }
}

fn algorithm(algorithm: SigningAlgorithm) -> Algorithm {
    match algorithm {
        SigningAlgorithm::EdDSA => Algorithm::EdDsa,
        SigningAlgorithm::ES256 => Algorithm::Es256,
        SigningAlgorithm::ES384 => Algorithm::Es384,
        SigningAlgorithm::HS256 => Algorithm::Hs256,
        SigningAlgorithm::PS256 => Algorithm::Ps256,
        SigningAlgorithm::PS384 => Algorithm::Ps384,
        SigningAlgorithm::PS512 => Algorithm::Ps512,
        SigningAlgorithm::RS256 => Algorithm::Rs256,
        SigningAlgorithm::RS384 => Algorithm::Rs384,
        SigningAlgorithm::RS512 => Algorithm::Rs512,
    }
}
