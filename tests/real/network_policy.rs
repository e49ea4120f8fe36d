//! The chart's network policies, enforced: who gets through to whom, and who does not.
//!
//! kube-router lets in whatever comes from the pod's own node, as the ingress controller and the kubelet's probes do here. So pods,
//! and an address beside the node, are in the ingress controller's place.

use std::process::Output;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::Parts;
use crate::chart::{look_around, prepare, run_ui_behind_ingress, ui_with, values};
use crate::release::Release;
use crate::rig::Rig;
use crate::visitor::Visitor;
use crate::wait;

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts.test("network_policy::in_mode_gateway_the_ingress_gets_in_and_a_stranger_does_not", gateway),
        parts.test("network_policy::in_mode_proxy_lamplighter_alone_reaches_the_ui", proxy),
        parts.test("network_policy::in_mode_sidecar_the_ui_is_reached_through_lamplighter_alone", sidecar),
    ]
}

/// Where a connection is tried from.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// A pod with this name, and the label `role` of the same value.
    Pod(&'static str),
    /// lamplighter's own pod.
    Lamplighter,
    /// An address that is neither a pod's nor the node's.
    Outside,
}

/// That address: the network in which browsers are.
const OUTSIDE: &str = "10.88.0.200/32";

/// A connection: from where, to what, and whether the policies let it come about.
type Case = (Place, String, bool);

/// What became of a connection.
#[derive(Debug, PartialEq)]
enum Outcome {
    Connected,
    Refused,
}

/// A release with its policies, the UI beside it as Headlamp's own chart makes it, and pods that try.
struct Scene {
    release: Release,
    /// The application whose pod lamplighter runs in.
    app: &'static str,
    /// That pod.
    pod: String,
    /// Its address, and the UI's.
    lamplighter: String,
    ui: String,
}

impl Scene {
    /// Installs the release; with `pods` beside it, of which one is a `stranger`.
    async fn set(release: Release, over: &Value, pods: &[&str]) -> Self {
        let namespace = &release.namespace;
        release.install(&values(&release, over));
        let is_sidecar = over["mode"] == "sidecar";
        let (app, deployments) = if is_sidecar {
            ("headlamp", &["headlamp"][..])
        } else {
            ("lamplighter", &["door-lamplighter", "headlamp"][..])
        };
        if over["mode"] == "gateway" {
            run_ui_behind_ingress(&release);
        } else if is_sidecar {
            namespace.apply(&ui_with(&release.headlamp_values(), &namespace.name));
        } else {
            namespace.apply(&std::fs::read_to_string(&release.rig.ui).expect("the rig has a stand-in"));
        }
        for name in pods {
            let labelled = format!("{{name: {name}, labels: {{role: {name}}}, ");
            let pod = include_str!("manifests/talker.yaml").replace("{name: talker, ", &labelled);
            namespace.apply(&namespace.fill(&pod));
        }
        for name in pods {
            namespace.kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", &format!("pod/{name}")]);
        }
        for name in deployments {
            namespace.wait_for_deployment(name);
        }
        let mut scene =
            Self { release, app, pod: String::new(), lamplighter: String::new(), ui: String::new() };
        scene.look();
        scene.assert_holds(&[(Place::Pod("stranger"), scene.at(8080), false)]).await;
        // From here on the policies hold: pods that get ready now answered the kubelet, and lamplighter asked the provider and
        // the API server, under them.
        for name in deployments {
            scene.release.namespace.kubectl(&["rollout", "restart", &format!("deployment/{name}")]);
            scene.release.namespace.wait_for_deployment(name);
        }
        scene.look();
        scene.add_probe();
        scene
    }

    /// Finds the pods that there are now.
    fn look(&mut self) {
        let namespace = &self.release.namespace;
        let first = |name: &str, field: &str| {
            let label = format!("-l=app.kubernetes.io/name={name}");
            let last = "--sort-by=.metadata.creationTimestamp";
            namespace.kubectl(&["get", "pods", &label, last, &format!("-o=jsonpath={{.items[-1:].{field}}}")])
        };
        self.pod = first(self.app, "metadata.name");
        self.lamplighter = first(self.app, "status.podIP");
        self.ui = format!("{}:4466", first("headlamp", "status.podIP"));
    }

    /// lamplighter's image has nothing that connects on demand: another container of its pod is in the same network.
    fn add_probe(&self) {
        let image = ["--image=rig.local/pause:1", "--image-pull-policy=Never"];
        // Not root, whatever the pod's own images are.
        let container = json!({"securityContext": {"runAsUser": 65532}}).to_string();
        let custom = format!("--custom={}", self.release.folder.write("probe.json", &container).display());
        let debug = ["debug", &self.pod, "--container=probe", "--profile=restricted", &custom, "--quiet"];
        let sleep = ["--", "/bin/busybox", "sleep", "2147483647"];
        self.release.namespace.kubectl(&[&debug[..], &image, &sleep].concat());
    }

    /// Connects to `address` from `place`, and says something that every server answers or hangs up on.
    fn ask(&self, place: Place, address: &str) -> Output {
        let (host, port) = address.split_once(':').expect("an address has a port");
        let script = r"printf 'GET / HTTP/1.0\r\n\r\n' | /bin/busybox nc -w 10 $0 $1";
        let shell = ["/bin/busybox", "sh", "-c", script, host, port];
        let exec = |pod: &str, container: &str| {
            let exec = ["exec", pod, "-c", container, "--"];
            self.release.namespace.try_kubectl(&[&exec[..], &shell].concat())
        };
        match place {
            Place::Pod(name) => exec(name, "talker"),
            Place::Lamplighter => exec(&self.pod, "probe"),
            Place::Outside => {
                let mut command = self.release.rig.in_browser_network(shell[0]);
                command.args(&shell[1..]).output().expect("busybox runs")
            }
        }
    }

    /// What became of it; what is neither is told.
    fn connect(&self, place: Place, address: &str) -> Result<Outcome, String> {
        let output = self.ask(place, address);
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            Ok(Outcome::Connected)
        } else if said.contains("can't connect to remote host") || said.contains("timed out") {
            Ok(Outcome::Refused)
        } else {
            Err(format!("{place:?} to {address}: {said}"))
        }
    }

    /// Waits until all of `cases` are as they say, in one round. Policies are enforced soon, not at once.
    async fn assert_holds(&self, cases: &[Case]) {
        wait::until_async("who may connects, and who may not is refused", async || {
            for (place, address, may) in cases {
                let outcome = self.connect(*place, address)?;
                if (outcome == Outcome::Connected) != *may {
                    return Err(format!("{place:?} to {address}: {outcome:?}"));
                }
            }
            Ok(())
        })
        .await;
    }

    /// Takes the policies away, and looks whether it was they that refused.
    async fn assert_holds_by_policies(&self, cases: &[Case]) {
        let deleted = self.release.namespace.kubectl(&["delete", "networkpolicies", "--all", "-o=name"]);
        // In one pod, one policy says what reaches lamplighter and what reaches the UI.
        let expected = if self.app == "lamplighter" { 2 } else { 1 };
        assert_eq!(deleted.lines().count(), expected, "{deleted}");
        let all: Vec<Case> =
            cases.iter().map(|(place, address, _)| (*place, address.clone(), true)).collect();
        self.assert_holds(&all).await;
    }

    fn at(&self, port: u16) -> String {
        format!("{}:{port}", self.lamplighter)
    }

    /// What lamplighter itself may reach, and what not: names, so that DNS has to answer, too.
    fn own_cases(&self) -> [Case; 4] {
        let node = self.release.rig.node_address;
        let port =
            |issuer: &str| url::Url::parse(issuer).expect("an issuer is a URL").port().expect("with a port");
        let providers = &self.release.rig.providers;
        let (listed, other) = (port(&providers.plain.issuer), port(&providers.authentik.issuer));
        [
            (Place::Lamplighter, "kubernetes.default.svc:443".to_owned(), true),
            (Place::Lamplighter, format!("auth.rig.test:{listed}"), true),
            (Place::Lamplighter, format!("{node}:{other}"), false),
            (Place::Lamplighter, format!("auth.rig.test:{other}"), false),
        ]
    }
}

async fn gateway(rig: Rig) {
    let release = prepare(&rig, "policy").await;
    let policy = json!({
        "enabled": true,
        "ingressFrom": [{"podLabels": {"role": "ingress"}}],
        "metricsFrom": [{"podLabels": {"role": "prometheus"}}],
        "egress": {"apiServerPorts": [rig.api_server_port()]},
    });
    let integration = json!({"kind": "ingress-nginx", "ingress": {"tlsSecret": "headlamp-tls"}});
    let over = json!({"mode": "gateway", "integration": integration, "networkPolicy": policy});
    let scene = Scene::set(release, &over, &["ingress", "prometheus", "stranger"]).await;
    let [ingress, prometheus, stranger] = ["ingress", "prometheus", "stranger"].map(Place::Pod);
    let mut cases = vec![
        (ingress, scene.at(8080), true),
        (ingress, scene.at(8081), true),
        (ingress, scene.at(9090), false),
        (ingress, scene.ui.clone(), true),
        (prometheus, scene.at(9090), true),
        (prometheus, scene.at(8081), false),
        (prometheus, scene.ui.clone(), false),
        (stranger, scene.at(8080), false),
        (stranger, scene.at(8081), false),
        (stranger, scene.at(9090), false),
        (stranger, scene.ui.clone(), false),
        // Through the Services, too.
        (ingress, "door-lamplighter:8081".to_owned(), true),
        (stranger, "door-lamplighter:8081".to_owned(), false),
        (stranger, "headlamp:80".to_owned(), false),
        (Place::Outside, scene.at(8081), false),
        (Place::Outside, scene.ui.clone(), false),
        (Place::Lamplighter, scene.ui.clone(), false),
    ];
    cases.extend(scene.own_cases());
    scene.assert_holds(&cases).await;

    let mut victor = scene.release.visitor(&[302, 401]).await;
    let page = victor.sign_in("/lamplighter/whoami", "victor").await;
    assert_eq!((page.status(), page.url.path()), (200, "/lamplighter/whoami"), "{:?}", page.trail);
    look_around(&mut victor, &scene.release.namespace).await;
    scene.assert_holds_by_policies(&cases).await;
}

async fn proxy(rig: Rig) {
    let release = prepare(&rig, "policy-proxy").await;
    let policy = json!({
        "enabled": true,
        "ingressFrom": [{"cidr": OUTSIDE}],
        "egress": {"apiServerPorts": [rig.api_server_port()]},
    });
    let integration = json!({"kind": "ingress-nginx", "ingress": {"tlsSecret": "headlamp-tls"}});
    let upstream = format!("http://headlamp.{}.svc", release.namespace.name);
    let over =
        json!({"mode": "proxy", "upstream": upstream, "integration": integration, "networkPolicy": policy});
    let scene = Scene::set(release, &over, &["stranger"]).await;
    let stranger = Place::Pod("stranger");
    let mut cases = vec![
        (Place::Outside, scene.at(8080), true),
        (Place::Outside, scene.at(9090), false),
        (Place::Outside, scene.ui.clone(), false),
        (Place::Lamplighter, scene.ui.clone(), true),
        (Place::Lamplighter, "headlamp:80".to_owned(), true),
        (stranger, scene.at(8080), false),
        (stranger, scene.at(9090), false),
        (stranger, scene.ui.clone(), false),
    ];
    cases.extend(scene.own_cases());
    scene.assert_holds(&cases).await;

    let mut victor = scene.release.visitor(&[401]).await;
    let list = victor.sign_in("/clusters/main/api/v1/namespaces", "victor").await;
    assert_eq!(list.status(), 200, "{:?} {}", list.trail, list.body);
    look_around(&mut victor, &scene.release.namespace).await;
    scene.assert_holds_by_policies(&cases).await;
}

async fn sidecar(rig: Rig) {
    let release = prepare(&rig, "policy-sidecar").await;
    let policy = json!({
        "enabled": true,
        "ingressFrom": [{"podLabels": {"role": "ingress"}}],
        "metricsFrom": [{"podLabels": {"role": "prometheus"}}],
        "egress": {"apiServerPorts": [rig.api_server_port()]},
    });
    let over = json!({"mode": "sidecar", "upstream": "http://127.0.0.1:4466", "networkPolicy": policy});
    let scene = Scene::set(release, &over, &["ingress", "prometheus", "stranger"]).await;
    let [ingress, prometheus, stranger] = ["ingress", "prometheus", "stranger"].map(Place::Pod);
    let mut cases = vec![
        (ingress, scene.at(8080), true),
        (ingress, scene.at(9090), false),
        (ingress, scene.ui.clone(), false),
        (ingress, "door-lamplighter:8080".to_owned(), true),
        (prometheus, scene.at(9090), true),
        (prometheus, scene.at(8080), false),
        (prometheus, scene.ui.clone(), false),
        (stranger, scene.at(8080), false),
        (stranger, scene.at(9090), false),
        (stranger, scene.ui.clone(), false),
        (stranger, "door-lamplighter:8080".to_owned(), false),
        (Place::Outside, scene.at(8080), false),
        (Place::Outside, scene.ui.clone(), false),
    ];
    cases.extend(scene.own_cases());
    scene.assert_holds(&cases).await;

    let namespace = &scene.release.namespace;
    let address = namespace.kubectl(&["get", "service", "door-lamplighter", "-o=jsonpath={.spec.clusterIP}"]);
    let mut victor = Visitor::new(&rig, &scene.release.site).directly_at(&format!("http://{address}:8080"));
    let list = victor.sign_in("/clusters/main/api/v1/namespaces", "victor").await;
    assert_eq!(list.status(), 200, "{:?} {}", list.trail, list.body);
    look_around(&mut victor, namespace).await;
    scene.assert_holds_by_policies(&cases).await;
}
