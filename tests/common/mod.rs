//! lamplighter between a provider and an API server of ours, browsers, and what it logs.
//!
//! ```text
//!   Browser ──▶ public listener      as a person's browser asks
//!           ──▶ authz listener       as nginx asks about that browser's request
//! ```
//!
//! All of it runs in the test's own thread, unless the test wants several, and ends with the test. Time runs as
//! usual, ahead by what [`App::advance`] says.

#![allow(dead_code, unused_imports, reason = "each test file uses its own part of this")]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

pub(crate) mod browser;
pub(crate) mod files;
pub(crate) mod house;
pub(crate) mod id_tokens;
pub(crate) mod logs;
pub(crate) mod process;
pub(crate) mod scrape;
pub(crate) mod upstream;
pub(crate) mod wire;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::SignedDuration;
use lamplighter::app::{Bound, Listen, Proxied, Settings, SideDoor};
use lamplighter::auth::claims::Algorithm;
use lamplighter::auth::{ClaimNames, Credential, Match, Policy, ServiceAccountRef, Site};
use lamplighter::clock::Clock;
use lamplighter::demo::api_server::{ApiServer, ApiServerSettings};
use lamplighter::demo::jwt::SigningKey;
use lamplighter::demo::provider::{Faults, Provider, ProviderSettings};
use lamplighter::edge::Ui;
use lamplighter::k8s::{self, KubeconfigSource};
use lamplighter::oidc::{self, ClientSecret, UserinfoUse};
use lamplighter::proxy;
use lamplighter::random;
use lamplighter::web::{Gateway, Limits};
use secrecy::SecretString;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) use browser::{Browser, Lines, NAVIGATE, Page, SCRIPT};

/// Where people open the UI. Nothing listens there: a [`Browser`] knows where to go instead.
pub(crate) const SITE: &str = "https://headlamp.example.com";

/// What lamplighter proves itself with at the provider.
pub(crate) const CLIENT_SECRET: &str = "a secret of more than thirty-two characters";

/// How long a session lasts, in seconds.
pub(crate) const SESSION_SECONDS: i64 = 8 * 3_600;

/// One key for all tests, for generating RSA keys takes its time.
pub(crate) fn rsa_key() -> SigningKey {
    static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::rsa(random::fill));
    KEY.clone()
}

/// Everything, running. Drop it and it is gone.
pub(crate) struct App {
    pub(crate) provider: Provider,
    pub(crate) api_server: ApiServer,
    pub(crate) clock: Clock,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) public: SocketAddr,
    pub(crate) authz: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) fallback: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

/// What is told to whom before it starts.
#[derive(Default)]
pub(crate) struct Setup {
    provider: Vec<Edit<ProviderSettings>>,
    settings: Vec<Edit<Settings>>,
}

type Edit<T> = Box<dyn FnOnce(&mut T)>;

impl Setup {
    /// Tells the provider otherwise.
    pub(crate) fn provider(mut self, edit: impl FnOnce(&mut ProviderSettings) + 'static) -> Self {
        self.provider.push(Box::new(edit));
        self
    }

    /// Tells lamplighter otherwise.
    pub(crate) fn settings(mut self, edit: impl FnOnce(&mut Settings) + 'static) -> Self {
        self.settings.push(Box::new(edit));
        self
    }

    /// In front of `upstream`, for the cluster `main`.
    pub(crate) fn in_front_of(self, upstream: &upstream::Upstream) -> Self {
        let target = proxy::Target::Http(upstream.authority());
        self.settings(move |settings| settings.upstream = Some(proxied(target)))
    }

    /// With a fallback for a viewer, in front of `target`; its session key lies in `folder`.
    pub(crate) fn with_fallback(self, folder: &files::Folder, target: proxy::Target) -> Self {
        let key = folder.write("session-key", process::SESSION_KEY);
        self.settings(move |settings| {
            settings.key_files = vec![key];
            settings.fallback = Some(SideDoor {
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                role: "viewer".to_owned(),
                session_seconds: 900,
                upstream: proxied(target),
                workload: "-n headlamp deploy/lamplighter".to_owned(),
            });
        })
    }

    /// With other limits on every listener.
    pub(crate) fn limits(self, edit: impl FnOnce(&mut Limits) + 'static) -> Self {
        self.settings(move |settings| edit(&mut settings.limits))
    }

    pub(crate) async fn start(self) -> App {
        logs::start();
        let clock = Clock::system();
        let time = {
            let clock = clock.clone();
            move || clock.now()
        };
        let mut provider = ProviderSettings::new(Arc::new(time.clone()), random::fill);
        provider.clients[0].secret = Some(CLIENT_SECRET.to_owned());
        provider.clients[0].redirect_uris = vec![format!("{SITE}/lamplighter/callback")];
        provider.rsa_key = Some(rsa_key());
        self.provider.into_iter().for_each(|edit| edit(&mut provider));
        let provider = Provider::start(provider).await.unwrap();
        let api_server = ApiServer::start(ApiServerSettings {
            rsa_key: Some(rsa_key()),
            ..ApiServerSettings::new(Arc::new(time), random::fill)
        });
        let api_server = api_server.await.unwrap();
        let mut settings = settings(provider.issuer(), api_server.kubeconfig());
        self.settings.into_iter().for_each(|edit| edit(&mut settings));
        let bound = Bound::bind(settings, clock.clone()).await.unwrap();
        let (stop, mut stopping) = watch::channel(false);
        App {
            stop,
            provider,
            api_server,
            clock,
            gateway: Arc::clone(bound.gateway()),
            public: bound.public().unwrap(),
            authz: bound.authz().unwrap(),
            admin: bound.admin().unwrap(),
            fallback: bound.fallback(),
            running: tokio::spawn(bound.run(async move {
                let _ = stopping.wait_for(|stop| *stop).await;
            })),
        }
    }
}

impl App {
    pub(crate) async fn start() -> Self {
        Setup::default().start().await
    }

    /// A browser that was never here.
    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self)
    }

    /// A browser in which `who` is signed in.
    pub(crate) async fn signed_in(&self, who: &str) -> Browser {
        let mut browser = self.browser();
        let page = browser.sign_in(who).await;
        assert_eq!(page.location(), format!("{SITE}/c/main"), "{page:?}");
        browser
    }

    /// A sign-in of Ada's while the provider misbehaves.
    pub(crate) async fn sign_in_despite(&self, faults: Faults) -> (Browser, Page) {
        self.provider.faults_for_next_login(faults);
        let mut browser = self.browser();
        let page = browser.sign_in("ada").await;
        (browser, page)
    }

    /// Tells it to stop, as a first signal does.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Whether it has stopped.
    pub(crate) fn is_stopped(&self) -> bool {
        self.running.is_finished()
    }

    /// Sets every clock ahead, or back.
    pub(crate) fn advance(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }

    /// The ServiceAccount token in an answer of the check, as claims; it has to be one that works.
    pub(crate) fn token(&self, page: &Page) -> serde_json::Value {
        let token = page.header("authorization").strip_prefix("Bearer ").unwrap();
        self.api_server.verify(token).expect("a token that the API server accepts")
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// Waits until `is_so`, and fails the test when it takes too long.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), waiting).await.is_ok(), "waited in vain: {what}");
}

/// What is told of a UI at `target`.
pub(crate) fn proxied(target: proxy::Target) -> Proxied {
    Proxied {
        upstream: proxy::Settings { target, ca_pem: None, head_timeout: proxy::HEAD_TIMEOUT },
        base: String::new(),
        clusters: vec!["main".to_owned()],
        tunnels: 1_000,
    }
}

/// A rule that gives the members of `group` a token of the ServiceAccount `headlamp/<role>`.
pub(crate) fn rule(role: &str, group: &str) -> (String, Match, Credential) {
    let matches = Match { groups: [group.to_owned()].into(), ..Match::default() };
    (role.to_owned(), matches, service_account(role))
}

/// Tokens of the ServiceAccount `headlamp/<name>` that live fifteen minutes.
pub(crate) fn service_account(name: &str) -> Credential {
    Credential::ServiceAccount {
        account: ServiceAccountRef { namespace: "headlamp".to_owned(), name: name.to_owned() },
        ttl: Duration::from_mins(15),
        audiences: Vec::new(),
    }
}

fn settings(issuer: String, kubeconfig: String) -> Settings {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Settings {
        site: Site::new(&SITE.parse().unwrap()).unwrap(),
        policy: Policy::new(vec![rule("admin", "k8s-admins"), rule("viewer", "k8s-viewers")]),
        ui: Ui::Headlamp,
        session_seconds: SESSION_SECONDS,
        key_files: Vec::new(),
        oidc: oidc_settings(issuer),
        kubernetes: k8s::Settings {
            kubeconfig: Some(KubeconfigSource::Text(SecretString::from(kubeconfig))),
            ..k8s::Settings::default()
        },
        store: None,
        upstream: None,
        fallback: None,
        limits: Limits { notice: Duration::ZERO, ..Limits::default() },
        listen: Listen {
            public: anywhere,
            authz: anywhere,
            admin: anywhere,
            trusted_proxies: vec![ipnet::IpNet::from(anywhere.ip())],
        },
    }
}

fn oidc_settings(issuer: String) -> oidc::Settings {
    oidc::Settings {
        issuer,
        client_id: "lamplighter".to_owned(),
        client_secret: Some(ClientSecret::Inline(SecretString::from(CLIENT_SECRET))),
        ca_pem: None,
        scopes: ["openid", "profile", "email", "groups"].map(str::to_owned).to_vec(),
        algorithms: vec![
            Algorithm::EdDsa,
            Algorithm::Es256,
            Algorithm::Es384,
            Algorithm::Ps256,
            Algorithm::Ps512,
            Algorithm::Rs256,
        ],
        trusted_audiences: Vec::new(),
        skew_seconds: 30,
        max_age_seconds: None,
        claim_names: ClaimNames { groups: "groups".to_owned(), name: "preferred_username".to_owned() },
        userinfo: UserinfoUse::Always,
    }
}
