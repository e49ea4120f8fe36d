//! The whole product on embedded parts.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::Clock as SharedClock;
use super::api_server::{ApiServer, ApiServerSettings};
use super::forwarder::{Forwarder, ForwarderSettings};
use super::provider::{Client, Provider, ProviderSettings};
use super::upstream::{Upstream, UpstreamSettings};
use crate::app::{Bound, Listen, Settings, StartError};
use crate::auth::claims::Algorithm;
use crate::auth::{ClaimNames, Credential, Match, Policy, ServiceAccountRef, Site};
use crate::clock::Clock;
use crate::edge::Ui;
use crate::k8s::{self, KubeconfigSource};
use crate::oidc::{self, ClientSecret, UserinfoUse};
use crate::random;
use crate::web::Limits;

/// Where the demo's ServiceAccounts live.
const NAMESPACE: &str = "headlamp";

/// How long a demo session lasts, in seconds.
const SESSION_SECONDS: i64 = 8 * 3_600;

/// A provider, an API server and an upstream, with lamplighter between them, all on this machine.
#[derive(Debug)]
pub struct House {
    /// Signs people in.
    pub provider: Provider,
    /// Mints tokens.
    pub api_server: ApiServer,
    /// Shows what it received.
    pub upstream: Upstream,
    /// Asks, as nginx would.
    pub forwarder: Forwarder,
    /// lamplighter itself, with the same code as `serve`, still to be run.
    pub bound: Bound,
    /// Where people open it.
    pub site: String,
}

/// Why the demo does not start.
#[derive(Debug, thiserror::Error)]
pub enum HouseError {
    /// A part cannot listen.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        cause: io::Error,
    },
    /// lamplighter does not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl House {
    /// Builds everything; people open it at `http://localhost:<port>`. Port 0 takes any that is free.
    pub async fn build(port: u16, clock: Clock) -> Result<Self, HouseError> {
        let time: SharedClock = {
            let clock = clock.clone();
            Arc::new(move || clock.now())
        };
        let place = reserve(port)?;
        let site = format!("http://localhost:{}", place.port());
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listen = |cause| HouseError::Listen { address: any, cause };
        let provider = Provider::start(ProviderSettings {
            host: "localhost".to_owned(),
            clients: vec![client(&site)],
            ..ProviderSettings::new(Arc::clone(&time), random::fill)
        });
        let provider = provider.await.map_err(listen)?;
        let api_server = ApiServer::start(ApiServerSettings {
            accounts: ["admin", "viewer"].map(|name| (NAMESPACE.to_owned(), name.to_owned())).to_vec(),
            ..ApiServerSettings::new(Arc::clone(&time), random::fill)
        });
        let api_server = api_server.await.map_err(listen)?;
        let upstream = Upstream::start(UpstreamSettings {
            api_server: Some(api_server.address()),
            ..UpstreamSettings::new(time)
        });
        let upstream = upstream.await.map_err(listen)?;
        let bound = Bound::bind(settings(&site, &provider, &api_server), clock).await?;
        let forwarder = Forwarder::start(ForwarderSettings {
            listen: place,
            public: bound.public().map_err(listen)?,
            authz: bound.authz().map_err(listen)?,
            upstream: upstream.address(),
        });
        let forwarder = forwarder.await.map_err(|cause| HouseError::Listen { address: place, cause })?;
        Ok(Self { provider, api_server, upstream, forwarder, bound, site })
    }
}

/// Finds the port before anything is built, since the site's address is part of everything.
fn reserve(port: u16) -> Result<SocketAddr, HouseError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let reserved = std::net::TcpListener::bind(address).and_then(|listener| listener.local_addr());
    reserved.map_err(|cause| HouseError::Listen { address, cause })
}

fn client(site: &str) -> Client {
    Client {
        redirect_uris: vec![format!("{site}/lamplighter/callback")],
        ..Client::confidential("lamplighter", DEMO_SECRET)
    }
}

/// Guards nothing: whoever can reach the demo's provider may pick anybody there.
const DEMO_SECRET: &str = "a secret that everyone knows";

fn settings(site: &str, provider: &Provider, api_server: &ApiServer) -> Settings {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let url = url::Url::parse(site).ok();
    Settings {
        site: url.as_ref().and_then(Site::new).expect("localhost with a port is a site"),
        policy: Policy::new(vec![rule("admin", "k8s-admins", 900), rule("viewer", "k8s-viewers", 3_600)]),
        ui: Ui::Headlamp,
        session_seconds: SESSION_SECONDS,
        key_files: Vec::new(),
        oidc: oidc_settings(provider.issuer()),
        kubernetes: k8s::Settings {
            kubeconfig: Some(KubeconfigSource::Text(SecretString::from(api_server.kubeconfig()))),
            ..k8s::Settings::default()
        },
        listen: Listen {
            public: loopback,
            authz: loopback,
            admin: loopback,
            trusted_proxies: vec![ipnet::IpNet::from(loopback.ip())],
        },
        limits: Limits { notice: Duration::ZERO, ..Limits::default() },
        store: None,
        upstream: None,
        fallback: None,
    }
}

fn rule(role: &str, group: &str, ttl_seconds: u64) -> (String, Match, Credential) {
    let matches = Match { groups: [group.to_owned()].into(), ..Match::default() };
    let credential = Credential::ServiceAccount {
        account: ServiceAccountRef { namespace: NAMESPACE.to_owned(), name: role.to_owned() },
        ttl: Duration::from_secs(ttl_seconds),
        audiences: Vec::new(),
    };
    (role.to_owned(), matches, credential)
}

fn oidc_settings(issuer: String) -> oidc::Settings {
    oidc::Settings {
        issuer,
        client_id: "lamplighter".to_owned(),
        client_secret: Some(ClientSecret::Inline(SecretString::from(DEMO_SECRET))),
        ca_pem: None,
        scopes: ["openid", "profile", "email", "groups"].map(str::to_owned).to_vec(),
        algorithms: vec![
            Algorithm::Rs256,
            Algorithm::Ps256,
            Algorithm::Es256,
            Algorithm::Es384,
            Algorithm::EdDsa,
        ],
        trusted_audiences: Vec::new(),
        skew_seconds: 30,
        max_age_seconds: None,
        claim_names: ClaimNames { groups: "groups".to_owned(), name: "preferred_username".to_owned() },
        userinfo: UserinfoUse::WhenNeeded,
    }
}
