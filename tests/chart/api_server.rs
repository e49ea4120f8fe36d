//! What an API server says of each manifest. By the rig's CRDs it knows the kinds of others, too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Parts;
use crate::helm::{Folder, Helm, Object, checkout, examples, path};

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![parts.test_on_cluster(
        "api_server::it_takes_every_manifest_and_no_field_that_it_does_not_know",
        every_manifest,
    )]
}

/// The rig's API server.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ApiServer {
    kubeconfig: PathBuf,
    kubectl: PathBuf,
    crds: PathBuf,
}

impl ApiServer {
    /// That of the rig which `LAMPLIGHTER_RIG` describes, or the sentence that says what is missing.
    #[expect(clippy::disallowed_methods, reason = "a test is told by its environment where the rig is")]
    pub(crate) fn find() -> Result<Self, String> {
        let remedy = r#"`tests/rig/rig build`, `tests/rig/rig up`, then `eval "$(tests/rig/rig env)"`"#;
        let file = std::env::var("LAMPLIGHTER_RIG")
            .map_err(|_| format!("there is no API server: {remedy} (LAMPLIGHTER_RIG is not set)"))?;
        let text = fs::read(&file).map_err(|error| format!("the rig is down: {remedy} ({file}: {error})"))?;
        serde_json::from_slice(&text)
            .map_err(|error| format!("{file} describes no rig of this checkout: {error}"))
    }
}

/// The kinds that the chart has objects of.
const KINDS: [&str; 22] = [
    "CiliumNetworkPolicy",
    "ClientTrafficPolicy",
    "ClusterRoleBinding",
    "ConfigMap",
    "Deployment",
    "HTTPRoute",
    "HorizontalPodAutoscaler",
    "Ingress",
    "IngressRoute",
    "Job",
    "Middleware",
    "NetworkPolicy",
    "Pod",
    "PodDisruptionBudget",
    "PodMonitor",
    "ReferenceGrant",
    "Role",
    "RoleBinding",
    "SecurityPolicy",
    "Service",
    "ServiceAccount",
    "ServiceMonitor",
];

/// Every example, and what turns each part on: an example's name, and what is laid over it.
fn cases() -> Vec<(String, Value)> {
    let mut cases: Vec<_> = examples().into_iter().map(|name| (name, json!({}))).collect();
    for mode in ["gateway", "proxy", "sidecar"] {
        let kinds = match mode {
            "gateway" => &["none", "ingress-nginx", "envoy-gateway", "traefik"][..],
            _ => &["none", "ingress-nginx", "ingress", "gateway-api", "envoy-gateway", "traefik"],
        };
        let monitors = [("serviceMonitor", "podMonitor"), ("podMonitor", "serviceMonitor")];
        let monitors = monitors.map(|(on, off)| json!({"monitoring": {on: true, off: false}}));
        let ways = kinds.iter().flat_map(|kind| ways(kind));
        let overs = ways.chain(policies("kubernetes")).chain(policies("cilium")).chain(monitors);
        cases.extend(overs.map(|over| (mode.to_owned(), over)));
        if mode != "sidecar" {
            let on = json!({"enabled": true});
            cases.push((mode.to_owned(), json!({"autoscaling": on, "podDisruptionBudget": on})));
            cases
                .push((mode.to_owned(), json!({"replicas": 3, "priorityClassName": "system-node-critical"})));
        }
    }
    cases
}

/// A kind of integration with all that it may be told, and with as little as it needs.
fn ways(kind: &str) -> [Value; 2] {
    let parent = json!({
        "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "public", "namespace": "gateways",
        "sectionName": "https", "port": 443,
    });
    let full = json!({
        "kind": kind,
        "annotations": {"a.example/b": "c"},
        "ingress": {"className": "c", "tlsSecret": "t"},
        "traefik": {"entryPoints": ["a", "b"], "tlsSecret": "t"},
        "gatewayApi": {"parentRefs": [parent], "requestTimeout": "1h"},
        "envoyGateway": {"clientTrafficPolicy": true},
    });
    let least = json!({
        "kind": kind,
        "ingress": {"className": "", "tlsSecret": ""},
        "gatewayApi": {"parentRefs": [{"name": "public"}], "requestTimeout": ""},
    });
    [json!({"basePath": "/ui", "integration": full}), json!({"integration": least})]
}

/// Network policies with a peer of each sort wherever one may be named, and the least of them.
fn policies(flavor: &str) -> [Value; 2] {
    let mut from = vec![
        json!({"namespace": "a", "podLabels": {"b": "c"}}),
        json!({"namespace": "a"}),
        json!({"podLabels": {"b": "c"}}),
        json!({"cidr": "10.0.0.0/8"}),
    ];
    let mut to = from.clone();
    if flavor == "cilium" {
        from.push(json!({"entity": "ingress"}));
        to.extend([json!({"entity": "world"}), json!({"fqdn": "keys.example.com"})]);
    }
    for peer in &mut to {
        peer["ports"] = json!([443, 6379]);
    }
    let egress = json!({"apiServerCidrs": ["10.0.0.1/32"], "providerCidrs": ["2001:db8::/32"], "to": to});
    let full = json!({"enabled": true, "flavor": flavor, "ingressFrom": from, "metricsFrom": from, "egress": egress});
    let least = json!({
        "enabled": true, "flavor": flavor, "ingressFrom": [{"cidr": "10.0.0.0/8"}], "closeUi": false,
        "egress": {"enabled": false},
    });
    [json!({"networkPolicy": full}), json!({"networkPolicy": least})]
}

fn every_manifest(helm: &Helm, server: ApiServer) {
    let place = Place::make(server);
    let mut seen = BTreeMap::new();
    let mut refused = Vec::new();
    for (example, over) in cases() {
        let objects: Vec<_> = helm
            .objects_with(&example, &over.to_string())
            .into_iter()
            .map(|object| place.moved(object))
            .collect();
        if let Err(said) = place.ask(&objects) {
            refused.push(format!("{example} with {over}:\n{said}"));
        }
        for object in objects {
            seen.entry(object.kind().to_owned()).or_insert(object);
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    assert_eq!(seen.keys().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(KINDS));

    for object in shown() {
        let object = place.moved(object);
        place.ask(std::slice::from_ref(&object)).unwrap_or_else(|said| panic!("docs/k3s.md: {said}"));
        seen.insert(object.kind().to_owned(), object);
    }
    assert!(["Application", "HelmRelease"].iter().all(|kind| seen.contains_key(*kind)));

    for (kind, object) in seen {
        let said = place.ask(&[with_surplus(object)]).expect_err(&kind);
        assert!(
            said.contains(".surplus: field not declared in schema"),
            "{kind} is refused for something else: {said}"
        );
    }
}

/// What the page for k3s shows for those who install by Flux or Argo CD.
fn shown() -> Vec<Object> {
    let page = fs::read_to_string(checkout().join("docs/k3s.md")).unwrap();
    let blocks = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    let theirs = blocks.filter(|block| block.starts_with("# Flux") || block.starts_with("# Argo CD"));
    theirs.flat_map(|block| serde_saphyr::from_multiple(block).unwrap()).map(Object).collect()
}

/// An object with a field that nobody knows.
fn with_surplus(mut object: Object) -> Object {
    let at = if object.0["spec"].is_object() { &mut object.0["spec"] } else { &mut object.0 };
    at["surplus"] = json!("x");
    object
}

/// A namespace of the test's own, and kinds that the cluster knows while it lasts.
struct Place {
    server: ApiServer,
    namespace: String,
    folder: Folder,
}

impl Place {
    fn make(server: ApiServer) -> Self {
        let namespace = format!("chart-{}", std::process::id());
        let place = Self { server, namespace, folder: Folder::new() };
        // Where pods may do little, and who would do more is told so.
        let labels = json!({
            "pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted",
        });
        let metadata = json!({"name": place.namespace, "labels": labels});
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
        place.kubectl(&["apply", "-f", "-"], &namespace.to_string()).unwrap();
        // Pods that name no account are this one's.
        place.kubectl(&["wait", "--for=create", "serviceaccount/default", "--timeout=60s"], "").unwrap();
        for file in place.crds() {
            place.learn(path(&file));
        }
        place
    }

    /// The files of CRDs.
    fn crds(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(&self.server.crds).expect("the rig has a folder of CRDs");
        files.map(|file| file.unwrap().path()).collect()
    }

    /// Makes the cluster know the kinds in `file`.
    fn learn(&self, file: &str) {
        let cannot = |said: String| panic!("the CRD {file} cannot be applied: {said}");
        // Too large for what a client-side apply notes on an object.
        let apply = ["apply", "--server-side", "--force-conflicts", "--output=name", "-f", file];
        let names = self.kubectl(&apply, "").unwrap_or_else(cannot);
        let start = Instant::now();
        for name in names.lines() {
            let name = name.rsplit('/').next().unwrap_or(name);
            // Between its being established and its being found there is a moment.
            while let Err(said) = self.kubectl(&["get", name], "") {
                assert!(start.elapsed() < Duration::from_mins(1), "{file}: {name} is not served: {said}");
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }

    /// The object in this namespace, whichever it is of: nothing is kept, so nothing is in another's way.
    fn moved(&self, mut object: Object) -> Object {
        if let Some(namespace) = object.0["metadata"].get_mut("namespace") {
            *namespace = self.namespace.clone().into();
        }
        object
    }

    /// What the API server says against `objects`; a warning counts. It keeps none of them.
    fn ask(&self, objects: &[Object]) -> Result<(), String> {
        // Not as a List: of one, kubectl itself says what it thinks.
        let documents: Vec<_> = objects.iter().map(|object| format!("---\n{}\n", object.0)).collect();
        let apply = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"];
        let output = self.run(&apply, &documents.concat());
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() && !said.contains("Warning") { Ok(()) } else { Err(said.into_owned()) }
    }

    /// Runs kubectl here, as the cluster's administrator: its output, or what it complains of.
    fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        let output = self.run(arguments, input);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = Command::new(&self.server.kubectl);
        command.env_clear().env("HOME", &self.folder.0).env("KUBECONFIG", &self.server.kubeconfig);
        command.arg(format!("--namespace={}", self.namespace)).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl runs");
        // Closed at once; one that does not read breaks the pipe.
        let _ = child.stdin.take().expect("stdin is piped").write_all(input.as_bytes());
        child.wait_with_output().expect("kubectl ends")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Waits until they are gone: who came next would find them again, and then not.
        let crds = format!("--filename={}", self.server.crds.display());
        let _ = self.kubectl(&["delete", &crds, "--ignore-not-found", "--timeout=60s"], "");
        let namespace = self.namespace.clone();
        let _ = self.kubectl(&["delete", "namespace", &namespace, "--ignore-not-found", "--wait=false"], "");
    }
}
