//! A site of a test's own: a namespace, lamplighter, a UI, and the ingress in front of them.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;

use http::Method;
use serde_json::{Value, json};

use crate::cluster::Namespace;
use crate::process::{Folder, Lamplighter};
use crate::rig::{Provider, Rig};
use crate::upstream::Upstream;
use crate::visitor::{Ask, Page, Visitor};
use crate::wait;

/// The manifests that the documentation shows.
const EXAMPLE: &str = include_str!("../../docs/examples/ingress-nginx.yaml");

/// What differs between houses.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Who signs people in.
    pub(crate) provider: Provider,
    /// The issuer that lamplighter is told, where it is not the provider's.
    pub(crate) issuer: Option<String>,
    /// The client that the provider has, where it takes no registrations.
    pub(crate) client: Option<Client>,
    /// Whose tokens the role `viewer` gives.
    pub(crate) viewer: &'static str,
    /// Whether the ingress leads to it.
    pub(crate) is_public: bool,
    /// Whether `/clusters/` leads to the cluster's own API, as with Headlamp.
    pub(crate) has_api: bool,
    /// The UI, where it is not the one that shows what reached it.
    pub(crate) ui: Option<SocketAddr>,
    /// Where lamplighter itself carries people, in proxy mode: then no ingress asks.
    pub(crate) upstream: Option<String>,
    /// What lamplighter logs.
    pub(crate) log: &'static str,
}

/// A client that a provider has without having been asked for it.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) id: &'static str,
    pub(crate) secret: &'static str,
    /// What lamplighter is told that the provider does.
    pub(crate) preset: &'static str,
}

/// A site, with everything that belongs to it.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) rig: Rig,
    pub(crate) site: String,
    pub(crate) host: String,
    pub(crate) lamplighter: Lamplighter,
    pub(crate) upstream: Upstream,
    pub(crate) folder: Folder,
    pub(crate) namespace: Namespace,
}

impl Plan {
    /// The usual: the provider as the specifications have it, behind the ingress.
    pub(crate) fn usual(rig: &Rig) -> Self {
        Self {
            provider: rig.providers.plain.clone(),
            issuer: None,
            client: None,
            viewer: "viewer",
            is_public: true,
            has_api: false,
            ui: None,
            upstream: None,
            log: "info,lamplighter=debug",
        }
    }

    /// The same, with the cluster's API behind `/clusters/`.
    pub(crate) fn with_api(rig: &Rig) -> Self {
        Self { has_api: true, ..Self::usual(rig) }
    }

    /// lamplighter itself in front of a UI that has the cluster's API, and nothing else that leads there.
    pub(crate) fn in_front(rig: &Rig) -> Self {
        let upstream = Some("http://headlamp.NAMESPACE.svc.cluster.local".to_owned());
        Self { is_public: false, upstream, ..Self::with_api(rig) }
    }

    /// Whether an ingress asks.
    fn is_asked(&self) -> bool {
        self.is_public && self.upstream.is_none()
    }
}

impl House {
    /// Builds one, and waits until it answers.
    pub(crate) async fn build(rig: &Rig, purpose: &str, plan: Plan) -> Self {
        Self::build_at(rig, purpose, plan, rig.https_port()).await
    }

    /// Builds one that people open at `port`.
    pub(crate) async fn build_at(rig: &Rig, purpose: &str, plan: Plan, port: u16) -> Self {
        let namespace = Namespace::new(rig, purpose);
        let folder = Folder::new(&namespace.name);
        let host = format!("{}.rig.test", namespace.name);
        let site = format!("https://{host}:{port}");
        let client = match &plan.client {
            Some(client) => (client.id.to_owned(), client.secret.to_owned()),
            None => register(rig, &plan.provider, &site).await,
        };
        // The Role has to be there before lamplighter's first question; the Ingresses may come with it.
        namespace.apply(&example(&namespace.name, &host, port, plan.is_asked()));
        let config = configuration(&plan, &site, &namespace, &client.0);
        let config = write_configuration(rig, &namespace, &folder, &client.1, &config);
        let lamplighter = Lamplighter::start(&folder, &config, plan.log);
        let upstream = Upstream::start(rig.node_address).await;
        let house = Self { rig: rig.clone(), site, host, lamplighter, upstream, folder, namespace };
        if plan.has_api {
            house.run_ui(&plan);
        }
        if plan.is_public {
            house.open(&plan).await;
        }
        house
    }

    /// A browser that nobody used yet.
    pub(crate) fn visitor(&self) -> Visitor {
        Visitor::new(&self.rig, &self.site)
    }

    /// A browser in which `login` has signed in, and the page where that led.
    pub(crate) async fn signed_in(&self, login: &str) -> (Visitor, Page) {
        let mut visitor = self.visitor();
        let page = visitor.sign_in("/c/main/pods?namespace=a%2Fb", login).await;
        (visitor, page)
    }

    /// The UI that has the cluster's API, as a pod. Beside one that shows what reached it, it is called `api`.
    fn run_ui(&self, plan: &Plan) {
        let service = if plan.upstream.is_some() { "headlamp" } else { "api" };
        let manifest = std::fs::read_to_string(&self.rig.ui).expect("the UI's manifest");
        let named = format!("kind: Service\nmetadata: {{name: {service}}}");
        self.namespace.apply(&manifest.replace("kind: Service\nmetadata: {name: headlamp}", &named));
        self.namespace.wait_for_deployment("headlamp");
    }

    /// Makes the Services lead to lamplighter and the UI, and waits for the ingress.
    async fn open(&self, plan: &Plan) {
        let (public, authz) = (self.lamplighter.public.port(), self.lamplighter.authz.port());
        self.lead("lamplighter", self.rig.node_address, &[("public", 8080, public), ("authz", 8081, authz)]);
        let pair = [&self.rig.tls_cert, &self.rig.tls_key].map(|path| path.display().to_string());
        let pair = [format!("--cert={}", pair[0]), format!("--key={}", pair[1])];
        self.namespace.kubectl(&["create", "secret", "tls", "headlamp-tls", &pair[0], &pair[1]]);
        let (name, port) = (&self.namespace.name, self.rig.https_port());
        if plan.is_asked() {
            let ui = plan.ui.unwrap_or(self.upstream.address);
            self.lead("headlamp", ui.ip(), &[("http", 80, ui.port())]);
            if plan.has_api {
                self.namespace.apply(&api_ingress(name, &self.host, port));
            }
        } else {
            self.namespace.apply(&proxy_ingress(name, &self.host, port));
        }
        let nobody: &[u16] = if plan.is_asked() { &[302, 401] } else { &[401] };
        self.wait_for_ingress(nobody, plan.has_api).await;
    }

    /// Waits until the ingress leads to the site, where nobody gets further than `nobody`, and to the API.
    async fn wait_for_ingress(&self, nobody: &[u16], has_api: bool) {
        self.wait_for(self.visitor(), "/", |page| page.trail == nobody && page.reason() == "no-session")
            .await;
        if has_api {
            let (victor, _) = self.signed_in("victor").await;
            self.wait_for(victor, "/clusters/main/version", |page| page.body.contains("gitVersion")).await;
        }
    }

    /// Asks for `target` until the answer is right a few times in a row: while the ingress reloads, its old
    /// workers answer too.
    async fn wait_for(&self, mut visitor: Visitor, target: &str, is_right: impl Fn(&Page) -> bool) {
        let mut in_a_row = 0;
        wait::until_async("the ingress leads to the site", async || {
            let page = visitor.follow(Ask::script(Method::GET, target)).await;
            in_a_row = if is_right(&page) { in_a_row + 1 } else { 0 };
            if in_a_row == 5 { Ok(()) } else { Err(format!("{target} {:?} {}", page.trail, page.body)) }
        })
        .await;
    }

    /// A Service whose ports lead to `address`.
    fn lead(&self, service: &str, address: IpAddr, ports: &[(&str, u16, u16)]) {
        let outer = |&(name, port, target)| json!({"name": name, "port": port, "targetPort": target});
        let outer: Vec<Value> = ports.iter().map(outer).collect();
        let inner: Vec<Value> =
            ports.iter().map(|(name, _, port)| json!({"name": name, "port": port})).collect();
        let manifest = self.namespace.fill(include_str!("manifests/endpoints.yaml"));
        let manifest = manifest.replace("SERVICE", service).replace("PORTS", &Value::from(outer).to_string());
        let manifest = manifest.replace("TARGETS", &Value::from(inner).to_string());
        self.namespace.apply(&manifest.replace("ADDRESS", &address.to_string()));
    }
}

/// The documentation's manifests, for this namespace and host; without its Ingresses where nobody needs them.
pub(crate) fn example(namespace: &str, host: &str, port: u16, is_public: bool) -> String {
    let kept: Vec<&str> =
        EXAMPLE.split("\n---\n").filter(|part| is_public || !part.contains("kind: Ingress")).collect();
    kept.join("\n---\n")
        .replace("namespace: headlamp", &format!("namespace: {namespace}"))
        .replace("lamplighter.headlamp.svc", &format!("lamplighter.{namespace}.svc"))
        .replace("headlamp.example.com", host)
        .replace("https://$host/", &format!("https://$host:{port}/"))
}

/// The Ingress of the documentation's UI once more, for a path of its own.
fn api_ingress(namespace: &str, host: &str, port: u16) -> String {
    let example = example(namespace, host, port, true);
    let ui = example.split("\n---\n").find(|part| part.contains("auth-url"));
    ui.expect("an Ingress with auth-url")
        .replace("name: headlamp\n", "name: api\n")
        .replace("path: /\n", "path: /clusters/\n")
        .replace("service: {name: headlamp,", "service: {name: api,")
}

/// The Ingress of lamplighter's own pages, for every path: in proxy mode they are in front of the UI.
fn proxy_ingress(namespace: &str, host: &str, port: u16) -> String {
    let example = example(namespace, host, port, true);
    let own = example.split("\n---\n").find(|part| part.contains("path: /lamplighter/\n"));
    own.expect("an Ingress of lamplighter's own").replace("path: /lamplighter/\n", "path: /\n")
}

/// Seals the sessions of a test.
pub(crate) const SESSION_KEY: &str = "a key that only tests know, and long enough";

/// Registers a client for the site: its id and its secret.
pub(crate) async fn register(rig: &Rig, provider: &Provider, site: &str) -> (String, String) {
    let metadata = json!({
        "client_name": "lamplighter", "redirect_uris": [format!("{site}/lamplighter/callback")],
        "post_logout_redirect_uris": [format!("{site}/lamplighter/signed-out")],
        "token_endpoint_auth_method": "client_secret_basic",
    });
    let mut visitor = Visitor::new(rig, site);
    let ask = Ask::script(Method::POST, &provider.registration).json(&metadata.to_string());
    let page = visitor.ask(ask).await;
    assert_eq!(page.trail, [201], "{}", page.body);
    let client = page.json();
    let text = |name: &str| client[name].as_str().expect("a client has it").to_owned();
    (text("client_id"), text("client_secret"))
}

/// lamplighter's configuration, but for where its files are, where it listens and how it reaches the API server.
pub(crate) fn configuration(plan: &Plan, site: &str, namespace: &Namespace, client_id: &str) -> String {
    let is_authentik = plan.provider.issuer.contains("/application/o/");
    let preset = if is_authentik { "authentik" } else { "generic" };
    let upstream = plan.upstream.as_ref().map(|upstream| format!("upstream: {upstream}\n"));
    namespace
        .fill(&(include_str!("manifests/config.yaml").to_owned() + &upstream.unwrap_or_default()))
        .replace("SITE", site)
        .replace("ISSUER", plan.issuer.as_ref().unwrap_or(&plan.provider.issuer))
        .replace("PRESET", plan.client.as_ref().map_or(preset, |client| client.preset))
        .replace("CLIENT_ID", client_id)
        .replace("VIEWER", plan.viewer)
}

/// Writes the configuration of a lamplighter on this machine, and what it names.
fn write_configuration(
    rig: &Rig,
    namespace: &Namespace,
    folder: &Folder,
    secret: &str,
    config: &str,
) -> PathBuf {
    folder.write("client-secret", secret);
    folder.write("session-key", SESSION_KEY);
    folder.write("ca.crt", &std::fs::read_to_string(&rig.ca).expect("the rig's CA can be read"));
    let kubeconfig = folder.write("kubeconfig", &kubeconfig(rig, &namespace.token_of("lamplighter")));
    let config = config
        .replace("FOLDER", &folder.0.display().to_string())
        .replace("KUBERNETES", &format!("{{kubeconfig: {}}}", kubeconfig.display()))
        .replace("LISTEN", &rig.node_address.to_string())
        .replace("TRUSTED", &own_addresses(rig));
    let any = ["PUBLIC_PORT", "AUTHZ_PORT", "ADMIN_PORT"];
    folder.write("config.yaml", &any.iter().fold(config, |config, port| config.replace(port, "0")))
}

/// Asks the check at `authz` about opening `url` with `cookies`, as an ingress does.
pub(crate) async fn check(authz: &str, url: &str, cookies: &str) -> reqwest::Response {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client can be made");
    let question = client.get(authz).header("x-original-method", "GET").header("x-original-url", url);
    question.header("cookie", cookies).send().await.expect("an answer")
}

/// The addresses from which this machine, so also the ingress on it, reaches pods and Services; as a YAML list.
pub(crate) fn own_addresses(rig: &Rig) -> String {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    socket.connect("10.96.0.10:53").expect("a route to Services");
    format!("[{}, {}]", rig.node_address, socket.local_addr().expect("a socket has an address").ip())
}

/// A kubeconfig with nothing but `token`.
pub(crate) fn kubeconfig(rig: &Rig, token: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "rig",
        "clusters": [{"name": "rig", "cluster": {
            "server": rig.api_server, "certificate-authority": rig.api_server_ca,
        }}],
        "users": [{"name": "lamplighter", "user": {"token": token}}],
        "contexts": [{"name": "rig", "context": {"cluster": "rig", "user": "lamplighter"}}],
    })
    .to_string()
}
