//! What the program counts, for Prometheus. Names and labels are in docs/metrics.md.
//!
//! No label holds anything that a request or a person brought: each value is a word of ours or of the settings.

mod calls;
mod carried;
mod decisions;
mod peer;
mod process;
mod reload;
mod requests;
mod times;
mod tokens;

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

pub use calls::ProviderCalls;
pub use carried::Carried;
pub use decisions::Decisions;
pub use peer::{Failure, Health, Peer};
pub use reload::Reload;
pub use requests::RequestsAt;
pub use times::Times;
pub use tokens::{TokenCache, TokenRequests};

use calls::Up;
use process::Process;
use requests::Requests;

type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];
type Counters<const N: usize> = Family<Labels<N>, Counter<u64, AtomicU64>>;
type Gauges<const N: usize> = Family<Labels<N>, Gauge>;

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Answers to nginx.
    pub auth_request: Decisions,
    /// Answers to Traefik and Caddy.
    pub forward_auth: Decisions,
    /// Answers to Envoy.
    pub ext_authz: Decisions,
    /// Requests in proxy mode.
    pub proxy: Decisions,
    /// Requests for the UI at the fallback.
    pub fallback: Decisions,
    /// Calls of the provider.
    pub provider: ProviderCalls,
    /// Tokens that were asked for.
    pub token_requests: TokenRequests,
    /// Where tokens come from.
    pub token_cache: TokenCache,
    /// The store that replicas share.
    pub store: Peer,
    /// What is carried to the UI and back.
    pub carried: Carried,
    /// Tunnels.
    pub websockets: Websockets,
    /// What is read anew.
    pub reload: Reload,
    connections: Gauges<1>,
    requests: Requests,
    logins: Counters<2>,
    sessions_begun: Counters<1>,
    ended_sessions: Gauges<1>,
    logouts: Counters<2>,
    login_flow: Histogram,
    fallback_requests: Counters<1>,
    fallback_armed: Gauge,
}

/// Tunnels. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Websockets {
    /// Those that are open, or about to be.
    pub open: Gauge,
    up: Counter,
    down: Counter,
    closed: Counters<1>,
}

/// How a person came in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Via {
    /// By a one-time code.
    Fallback,
    /// By the identity provider.
    Provider,
}

/// How a session ended that could have lasted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Logout {
    /// The person signed out here.
    Local,
    /// The person signed in anew in the same browser.
    Replaced,
}

impl Logout {
    fn word(self) -> Cow<'static, str> {
        match self {
            Self::Local => "local".into(),
            Self::Replaced => "replaced".into(),
        }
    }
}

impl Via {
    fn word(self) -> Cow<'static, str> {
        match self {
            Self::Fallback => "fallback".into(),
            Self::Provider => "provider".into(),
        }
    }
}

/// One more, as long as it lives.
#[derive(Debug)]
pub struct Counted(Gauge);

impl Counted {
    /// Adds one to `gauge`, and takes it away again when dropped.
    pub fn by(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// Nothing yet. `provider` is what the identity provider is called, a word of the settings.
    pub fn new(provider: &str) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process));
        let ours = registry.sub_registry_with_prefix("lamplighter");
        let build = Gauges::<3>::default();
        let revision = option_env!("LAMPLIGHTER_REVISION").unwrap_or("unknown");
        let of = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("revision", revision),
            ("rustc", env!("LAMPLIGHTER_RUSTC")),
        ];
        build.get_or_create(&of.map(|(name, value)| (name, value.into()))).set(1);
        ours.register("build_info", "What runs", build);
        let decisions = Counters::<3>::default();
        ours.register("decisions", "Requests, by what became of them", decisions.clone());
        let took = decisions::none_took();
        let help = "Time until it was known whether a request may pass, and with which token";
        ours.register_with_unit("decision_duration", help, Unit::Seconds, took.clone());
        let decisions = (&decisions, &took);
        let carried = Carried::register(ours);
        let metrics = Self {
            registry: Registry::default(),
            auth_request: Decisions::of(decisions, "auth-request"),
            forward_auth: Decisions::of(decisions, "forward-auth"),
            ext_authz: Decisions::of(decisions, "ext-authz"),
            proxy: Decisions::of(decisions, "proxy"),
            fallback: Decisions::of(decisions, "fallback"),
            provider: ProviderCalls::default(),
            token_requests: TokenRequests::default(),
            token_cache: TokenCache::register(ours),
            store: Peer::default(),
            websockets: Websockets {
                up: carried.up.clone(),
                down: carried.down.clone(),
                ..Websockets::default()
            },
            carried,
            reload: Reload::default(),
            connections: Gauges::default(),
            requests: Requests::default(),
            logins: Counters::default(),
            sessions_begun: Counters::default(),
            ended_sessions: Gauges::default(),
            logouts: Counters::default(),
            login_flow: Histogram::new([1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0]),
            fallback_requests: Counters::default(),
            fallback_armed: Gauge::default(),
        };
        metrics.register(ours);
        metrics.register_of_provider(
            ours.sub_registry_with_label(("provider".into(), provider.to_owned().into())),
        );
        Self { registry, ..metrics }
    }

    fn register(&self, registry: &mut Registry) {
        self.token_requests.register(registry);
        self.reload.register(registry);
        registry.register("websockets", "WebSocket tunnels that are open", self.websockets.open.clone());
        registry.register(
            "websockets_closed",
            "WebSocket tunnels that ended",
            self.websockets.closed.clone(),
        );
        registry.register("connections", "Connections that are open", self.connections.clone());
        self.requests.register(registry);
        registry.register("sessions_begun", "Sessions that began", self.sessions_begun.clone());
        let help = "Sessions that are known to have ended whose cookies could still be shown";
        registry.register("ended_sessions", help, self.ended_sessions.clone());
        let help = "Whether the store that replicas share can be listened to";
        let up = Up { name: "store_up", help, peer: self.store.clone() };
        registry.register_collector(Box::new(up));
        registry.register(
            "logouts",
            "Sessions that were ended before their time was over",
            self.logouts.clone(),
        );
        registry.register(
            "fallback_requests",
            "One-time codes that were tried",
            self.fallback_requests.clone(),
        );
        registry.register("fallback_armed", "Whether there is a fallback", self.fallback_armed.clone());
        for via in [Via::Fallback, Via::Provider] {
            drop(self.sessions_begun.get_or_create(&[("via", via.word())]));
            drop(self.logouts.get_or_create(&[("kind", Logout::Local.word()), ("via", via.word())]));
        }
    }

    fn register_of_provider(&self, registry: &mut Registry) {
        self.provider.register(registry);
        registry.register("logins", "Sign-ins at the provider that came to an end", self.logins.clone());
        registry.register_with_unit(
            "login_flow_duration",
            "Time from the way to the provider until the person was in",
            Unit::Seconds,
            self.login_flow.clone(),
        );
    }

    /// The connections that are open at `listener`.
    pub fn connections(&self, listener: &'static str) -> Gauge {
        self.connections.get_or_create_owned(&[("listener", listener.into())])
    }

    /// Answers of our own at `listener`.
    pub fn requests(&self, listener: &'static str) -> RequestsAt {
        self.requests.at(listener)
    }

    /// A sign-in at the provider came to an end: well, so long after the person was sent there, or for a reason, a word
    /// of ours.
    pub fn login_ended(&self, ended: Result<Duration, &str>) {
        if let Ok(took) = ended {
            self.login_flow.observe(took.as_secs_f64());
        }
        let result = if ended.is_ok() { "success" } else { "failure" };
        let reason = ended.err().unwrap_or("").to_owned().into();
        self.logins.get_or_create(&[("result", result.into()), ("reason", reason)]).inc();
    }

    /// A session began.
    pub fn session_begun(&self, via: Via) {
        self.sessions_begun.get_or_create(&[("via", via.word())]).inc();
    }

    /// A session that began by `via` was ended.
    pub fn logged_out(&self, via: Via, kind: Logout) {
        self.logouts.get_or_create(&[("kind", kind.word()), ("via", via.word())]).inc();
    }

    /// So many sessions are known to `store` as ended.
    pub fn know_ended_sessions(&self, (store, count): (&'static str, usize)) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.ended_sessions.get_or_create(&[("store", store.into())]).set(count);
    }

    /// A one-time code was tried.
    pub fn code_tried(&self, result: &'static str) {
        self.fallback_requests.get_or_create(&[("result", result.into())]).inc();
    }

    /// There is a fallback.
    pub fn arm_fallback(&self) {
        self.fallback_armed.set(1);
    }

    /// Everything, as `OpenMetrics` 1.0.
    pub fn open_metrics(&self) -> Result<String, fmt::Error> {
        let mut said = String::new();
        text::encode(&mut said, &self.registry)?;
        Ok(said)
    }

    /// Everything, in Prometheus' own text format 0.0.4.
    pub fn prometheus_text(&self) -> Result<String, fmt::Error> {
        let mut said = String::new();
        prometheus_text::encode(&mut said, &self.registry)?;
        Ok(said)
    }
}

impl Websockets {
    /// So many bytes came from the client and from the UI.
    pub fn carried(&self, up: u64, down: u64) {
        for (counter, bytes) in [(&self.up, up), (&self.down, down)] {
            if bytes > 0 {
                counter.inc_by(bytes);
            }
        }
    }

    /// A tunnel ended, for `reason`.
    pub fn closed(&self, reason: &'static str) {
        self.closed.get_or_create(&[("reason", reason.into())]).inc();
    }
}
