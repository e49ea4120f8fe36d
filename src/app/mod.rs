//! The program as a value: bind, then run.

mod settings;
mod side_door;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::future::join_all;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

pub use settings::{Listen, Proxied, Settings, SideDoor, StartError};
pub use side_door::code_secret;

use crate::auth::KeyRing;
use crate::clock::Clock;
use crate::k8s::{self, Minter, Tokens};
use crate::metrics::{Metrics, Websockets};
use crate::oidc::Provider;
use crate::proxy::{Forwarder, Tunnels, UpstreamError};
use crate::random;
use crate::store::Store;
use crate::web::{Authz, Gateway, Limits, Public, Readiness, Serve, Sessions, Upstream, admin_router};
use side_door::{Loopback, loopback, way_in};

/// How often what is past is forgotten, and key files are looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(10);

/// How often tunnels are looked at whose session may have ended.
const TUNNEL_CHECK: Duration = Duration::from_millis(250);

/// A program whose listeners are bound, and which answers nobody yet.
#[derive(Debug)]
pub struct Bound {
    gateway: Arc<Gateway>,
    upstream: Option<Arc<Upstream>>,
    key_files: Vec<PathBuf>,
    public: TcpListener,
    authz: TcpListener,
    admin: TcpListener,
    fallback: Option<Loopback>,
    limits: Limits,
}

impl Bound {
    /// Binds every listener. Neither the provider nor the API server has to be there yet.
    pub async fn bind(settings: Settings, clock: Clock) -> Result<Self, StartError> {
        // Somebody else may have chosen already, in a test: it is the same choice.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (listen, limits) = (settings.listen.clone(), settings.limits);
        let key_files = settings.key_files.clone();
        let (proxied, side_door) = (settings.upstream.clone(), settings.fallback.clone());
        let gateway = Arc::new(gateway(settings, clock).await?);
        let websockets = &gateway.metrics.websockets;
        let upstream = proxied.as_ref().map(|proxied| upstream(proxied, websockets.clone())).transpose()?;
        let fallback = match &side_door {
            Some(side_door) => {
                Some(loopback(side_door, &gateway, (&key_files, limits.header_timeout)).await?)
            }
            None => None,
        };
        Ok(Self {
            limits,
            fallback,
            gateway,
            upstream: upstream.map(Arc::new),
            key_files,
            public: bind("public", listen.public).await?,
            authz: bind("authz", listen.authz).await?,
            admin: bind("admin", listen.admin).await?,
        })
    }

    /// Where browsers are answered.
    pub fn public(&self) -> io::Result<SocketAddr> {
        self.public.local_addr()
    }

    /// Where ingresses are answered.
    pub fn authz(&self) -> io::Result<SocketAddr> {
        self.authz.local_addr()
    }

    /// Where the kubelet is answered.
    pub fn admin(&self) -> io::Result<SocketAddr> {
        self.admin.local_addr()
    }

    /// Where the fallback is reached.
    pub fn fallback(&self) -> Option<SocketAddr> {
        self.fallback.as_ref()?.listeners.first()?.local_addr().ok()
    }

    /// What answers.
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Answers until `shutdown` is done, then says so to whoever asks `/readyz`, finishes what is under way, and
    /// closes what has no end. [`Limits`] says how long each takes.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let limits = self.limits;
        let readiness = Readiness::default();
        let (stop, stopped) = watch::channel(false);
        let (stop_admin, admin_stopped) = watch::channel(false);
        let (mut listeners, mut admin, mut chores) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
        let metrics = Arc::clone(&self.gateway.metrics);
        let answer = route(admin_router(readiness.clone(), Arc::clone(&self.gateway)));
        let open = metrics.connections("admin");
        admin.spawn(Serve { listener: self.admin, limits, open, answer }.run(admin_stopped));
        let public = Public::new(Arc::clone(&self.gateway), self.upstream.clone());
        let answer = move |request, peer| public.answer(request, peer);
        let open = metrics.connections("public");
        listeners.spawn(Serve { listener: self.public, limits, open, answer }.run(stopped.clone()));
        let authz = Authz::new(Arc::clone(&self.gateway));
        let answer = move |request, peer| authz.answer(request, peer);
        let (limits_there, open) =
            (Limits { dates: false, bodies: false, ..limits }, metrics.connections("authz"));
        listeners
            .spawn(Serve { listener: self.authz, limits: limits_there, open, answer }.run(stopped.clone()));
        let mut tunnels: Vec<_> =
            self.upstream.iter().map(|upstream| Arc::clone(&upstream.tunnels)).collect();
        if let Some(Loopback { fallback, listeners: loopback }) = self.fallback {
            tunnels.push(Arc::clone(&fallback.upstream.tunnels));
            for listener in loopback {
                let fallback = Arc::clone(&fallback);
                let answer = move |request, peer| -> Answering {
                    Box::pin(Arc::clone(&fallback).answer(request, peer))
                };
                let open = metrics.connections("fallback");
                listeners.spawn(Serve { listener, open, limits, answer }.run(stopped.clone()));
            }
        }
        chores.spawn(keep_house(Arc::clone(&self.gateway), self.key_files));
        for tunnels in &tunnels {
            chores.spawn(close_ended(Arc::clone(&self.gateway), Arc::clone(tunnels)));
        }
        shutdown.await;
        readiness.withdraw();
        tokio::time::sleep(limits.notice).await;
        let _ = stop.send(true);
        for tunnels in &tunnels {
            tunnels.close_all();
        }
        let drained = join_all(tunnels.iter().map(|tunnels| tunnels.drained()));
        let _ = tokio::join!(until_done(&mut listeners), tokio::time::timeout(limits.drain, drained));
        let _ = stop_admin.send(true);
        until_done(&mut admin).await;
    }
}

async fn until_done(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

async fn gateway(settings: Settings, clock: Clock) -> Result<Gateway, StartError> {
    let redirect_uri = settings.site.url("/lamplighter/callback");
    let keys = if settings.key_files.is_empty() { made_keys() } else { read_keys(&settings.key_files)? };
    let metrics = Arc::new(Metrics::new(&settings.oidc.provider_name()));
    metrics.reload.succeeded(clock.now());
    if settings.fallback.is_some() {
        metrics.arm_fallback();
    }
    let minter = Minter::new(k8s::connect(&settings.kubernetes).await?, metrics.token_requests.clone());
    Ok(Gateway {
        sessions: Sessions::new(keys, &settings.site, &settings.oidc.client_id),
        provider: Provider::new(settings.oidc, redirect_uri, metrics.provider.clone())?,
        way_in: settings.fallback.as_ref().map(way_in),
        tokens: Tokens::new(minter, metrics.token_cache.clone(), clock.clone()),
        store: match &settings.store {
            Some(shared) => Store::shared(shared, metrics.store.clone(), clock.clone())?,
            None => Store::in_memory(),
        },
        site: settings.site,
        policy: settings.policy,
        ui: settings.ui,
        session_seconds: settings.session_seconds,
        trusted_proxies: settings.listen.trusted_proxies,
        metrics,
        clock,
    })
}

fn upstream(proxied: &Proxied, websockets: Websockets) -> Result<Upstream, UpstreamError> {
    Ok(Upstream {
        forwarder: Forwarder::new(&proxied.upstream)?,
        tunnels: Tunnels::new(proxied.tunnels, websockets),
        base: proxied.base.clone(),
        clusters: proxied.clusters.clone(),
    })
}

async fn bind(listener: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|cause| StartError::Bind { listener, address, cause })
}

fn made_keys() -> KeyRing {
    tracing::warn!(
        "session.keyFiles is empty: sessions are sealed with a key made just now, so a restart signs everybody \
         out, and several replicas do not know each other's sessions"
    );
    KeyRing::new(&[random::bytes::<32>()]).expect("32 bytes are enough for a key")
}

fn read_keys(files: &[PathBuf]) -> Result<KeyRing, StartError> {
    let unusable = |path: &PathBuf, cause: String| StartError::Key { path: path.clone(), cause };
    let mut secrets = Vec::new();
    for path in files {
        let secret = std::fs::read(path).map_err(|error| unusable(path, error.to_string()))?;
        let secret = secret.trim_ascii().to_vec();
        KeyRing::new(&[&secret]).map_err(|error| unusable(path, error.to_string()))?;
        secrets.push(secret);
    }
    KeyRing::new(&secrets).map_err(|error| unusable(&files[0], error.to_string()))
}

type Answering = Pin<Box<dyn Future<Output = axum::response::Response> + Send>>;

/// A router, as an accept loop takes it.
fn route(
    router: Router,
) -> impl Fn(http::Request<Incoming>, SocketAddr) -> Answering + Clone + Send + 'static {
    move |request, _peer| {
        let answering = router.clone().oneshot(request.map(axum::body::Body::new));
        Box::pin(async move { answering.await.unwrap_or_else(|never| match never {}) })
    }
}

/// Closes the tunnels of sessions whose time is over, by the clock that the check goes by, and of those that were
/// ended, here or at another replica.
async fn close_ended(gateway: Arc<Gateway>, tunnels: Arc<Tunnels>) {
    loop {
        tokio::time::sleep(TUNNEL_CHECK).await;
        let now = gateway.clock.now().as_second();
        tunnels.end_sessions(|session, expires_at| now >= expires_at || gateway.store.is_ended(session));
    }
}

/// Forgets what is past, and takes up keys that changed.
async fn keep_house(gateway: Arc<Gateway>, key_files: Vec<PathBuf>) {
    let mut known = fingerprints(&key_files);
    loop {
        tokio::time::sleep(HOUSEKEEPING).await;
        gateway.sweep();
        let current = fingerprints(&key_files);
        if current == known {
            continue;
        }
        take_up_keys(&gateway, &key_files);
        known = current;
    }
}

/// Seals with the keys that are in `key_files` now. Where they cannot be used, those that were serve on.
pub fn take_up_keys(gateway: &Gateway, key_files: &[PathBuf]) {
    match read_keys(key_files) {
        Ok(keys) => {
            gateway.sessions.replace_keys(keys);
            gateway.metrics.reload.succeeded(gateway.clock.now());
            tracing::info!("took up the session keys that changed");
        }
        Err(error) => {
            gateway.metrics.reload.failed();
            tracing::error!(%error, "kept the session keys that were");
        }
    }
}

/// What tells a file from what it was, so that no second copy of a key lies about.
fn fingerprints(files: &[PathBuf]) -> Vec<Option<[u8; 32]>> {
    let digest = |path: &PathBuf| {
        let bytes = std::fs::read(path).ok()?;
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes).as_ref().try_into().ok()
    };
    files.iter().map(digest).collect()
}
