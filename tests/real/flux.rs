//! The k3s page's manifests for Flux, taken up by Flux's own controllers.

use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::Parts;
use crate::cluster::{Kinds, Namespace};
use crate::k3s;
use crate::process::Process;
use crate::release::Release;
use crate::rig::Rig;
use crate::sources::Sources;
use crate::wait;

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    let name = "flux::the_pages_manifests_install_it_keep_its_key_through_upgrades_and_take_it_away";
    vec![parts.test_with("helm-controller", name, manifests)]
}

/// What Flux adds to a cluster: kinds, and two controllers on the machine, as administrators that look at one namespace.
struct Flux<'n> {
    namespace: &'n Namespace,
    controllers: Vec<Process>,
    _kinds: Kinds<'n>,
}

impl<'n> Flux<'n> {
    /// Starts it; `program` is the helm-controller, and the source-controller lies beside it.
    fn start(program: &Path, release: &'n Release) -> Self {
        let (rig, folder, namespace) = (&release.rig, &release.folder.0, &release.namespace);
        let kinds = Kinds::install(rig, namespace, "toolkit.fluxcd.io");
        let files = folder.join("artifacts");
        std::fs::create_dir_all(&files).expect("a folder can be made");
        let address = format!("{}:{}", rig.node_address, rig.free_port());
        let [addr, adv] = ["storage-addr", "storage-adv-addr"].map(|flag| format!("--{flag}={address}"));
        let path = format!("--storage-path={}", files.display());
        let start = |name: &str, flags: &[&str]| {
            let mut command = Command::new(program.with_file_name(name));
            command.env_clear().env("PATH", "/usr/bin:/bin").env("TMPDIR", folder).env("HOME", folder);
            command.env("KUBECONFIG", &rig.kubeconfig).env("RUNTIME_NAMESPACE", &namespace.name);
            command.args(["--watch-all-namespaces=false", "--metrics-addr=0", "--health-addr=0"]).args(flags);
            Process::start(&mut command, folder.join(format!("{name}.log")))
        };
        let controllers = vec![
            start("source-controller", &[&addr, &adv, &path]),
            start("helm-controller", &["--requeue-dependency=1s"]),
        ];
        Self { namespace, controllers, _kinds: kinds }
    }

    /// Waits until the release `name` is at its `revision`th, and that is ready.
    fn wait_for(&self, name: &str, revision: u32) {
        let what = format!("{name} is ready, at revision {revision}");
        let wanted = format!("{revision} deployed True");
        wait::until(&what, || {
            let seen = self.namespace.kubectl(&["get", "helmrelease", name, STATE]);
            (seen == wanted).then_some(())
        });
    }

    /// Has it look at the Git repository now.
    fn look(&self, at: &str) {
        let now = format!("reconcile.fluxcd.io/requestedAt={at}");
        self.namespace.kubectl(&["annotate", "gitrepository", "lamplighter", "--overwrite", &now]);
    }
}

const STATE: &str = "-o=jsonpath={.status.history[0].version} {.status.history[0].status} \
                     {.status.conditions[?(@.type==\"Ready\")].status}";

impl Drop for Flux<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seen = self.namespace.try_kubectl(&["get", OBJECTS, "-o=wide"]);
            // Into the panic's own output, where a person looks.
            let _ = std::io::Write::write_all(&mut std::io::stderr(), &seen.stdout);
        }
        self.controllers.clear();
        // Nobody is left who would let them go.
        let left = self.namespace.try_kubectl(&["get", OBJECTS, "-o=name"]);
        for name in String::from_utf8_lossy(&left.stdout).lines() {
            let none = r#"{"metadata":{"finalizers":null}}"#;
            let _ = self.namespace.try_kubectl(&["patch", name, "--type=merge", "--patch", none]);
        }
    }
}

const OBJECTS: &str = "helmreleases,helmcharts,gitrepositories,helmrepositories";

/// The page's manifests, in the test's own namespace and from `sources`, with `values` in the ConfigMap.
fn shown(release: &Release, sources: &Sources, values: &Value) -> Vec<Value> {
    let (_, rest) = k3s::PAGE.split_once("```yaml\n# Flux\n").expect("the page has manifests for Flux");
    let mut text = rest.split_once("\n```").expect("a block ends").0.to_owned();
    let namespace = format!("namespace: {}", release.namespace.name);
    for (theirs, ours) in [
        ("namespace: flux-system", namespace.as_str()),
        ("namespace: headlamp", &namespace),
        ("https://git.example.com/lamplighter.git", &sources.git_url()),
        ("https://kubernetes-sigs.github.io/headlamp/", &sources.charts_url()),
    ] {
        assert!(text.contains(theirs), "the page names {theirs}");
        text = text.replace(theirs, ours);
    }
    let mut documents: Vec<Value> = serde_saphyr::from_multiple(&text).expect("manifests are YAML");
    let map = documents.iter_mut().find(|document| document["kind"] == "ConfigMap");
    map.expect("values are in a ConfigMap")["data"]["values.yaml"] = values.to_string().into();
    documents
}

fn apply(release: &Release, sources: &Sources, values: &Value) {
    let items = shown(release, sources, values);
    release.namespace.apply(&json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string());
}

/// The values of the page, with a key that the cluster makes.
fn values(release: &Release, ttl: &str) -> Value {
    let mut values = k3s::values(release, &release.rig.providers.authentik.issuer);
    values["session"] = json!({"generateKey": true, "ttl": ttl});
    values
}

/// Which Secret holds the session key, since when, and what is in it. Not to be shown.
fn key(namespace: &Namespace) -> String {
    let path = r"-o=jsonpath={.metadata.uid} {.metadata.resourceVersion} {.data.session-key}";
    namespace.kubectl(&["get", "secret", "lamplighter-session", path])
}

/// Everything in the namespace that a release might leave there.
fn everything(namespace: &Namespace) -> Vec<String> {
    let kinds = "deployments,replicasets,jobs,pods,services,ingresses,configmaps,secrets,serviceaccounts,roles,\
                 rolebindings,networkpolicies,horizontalpodautoscalers,poddisruptionbudgets";
    namespace.kubectl(&["get", kinds, "-o=name"]).lines().map(str::to_owned).collect()
}

/// Waits until nothing is there beside what was `before`, but the key.
fn wait_for_the_key_alone(namespace: &Namespace, before: &[String]) {
    wait::until("nothing is left but the key", || {
        let mut left = everything(namespace);
        left.retain(|name| !before.contains(name));
        (left == ["secret/lamplighter-session"]).then_some(())
    });
}

async fn manifests(rig: Rig, program: PathBuf) {
    let release = k3s::prepare(&rig, "flux").await;
    let namespace = &release.namespace;
    for command in k3s::commands().filter(|command| command.starts_with("kubectl -n headlamp create secret"))
    {
        k3s::run(&release, command);
    }
    let before = everything(namespace);
    let sources = Sources::start(rig.node_address, &release).await;
    let flux = Flux::start(&program, &release);

    apply(&release, &sources, &values(&release, "8h"));
    flux.wait_for("lamplighter", 1);
    flux.wait_for("headlamp", 1);
    let first = key(namespace);
    release.assert_well();
    let seen = namespace.kubectl(&["get", "configmap", "headlamp-values", "-o=jsonpath={.data.values}"]);
    let seen: Value = serde_json::from_str(&seen).expect("what the stand-in saw is JSON");
    assert_eq!(seen["clusterRoleBinding"]["create"], false, "what lamplighter's chart says came: {seen}");
    let mut alice = release.visitor(&[401]).await;
    let list = alice.sign_in("/clusters/main/api/v1/namespaces", "alice").await;
    assert_eq!(list.status(), 200, "{:?} {}", list.trail, list.body);

    let pods = || namespace.kubectl(&["get", "pods", "-l=app.kubernetes.io/name=lamplighter", "-o=name"]);
    let pods_before = pods();
    apply(&release, &sources, &values(&release, "9h"));
    flux.wait_for("lamplighter", 2);
    assert_ne!(pods(), pods_before, "what changed in the values is read by a new pod");
    sources.commit("a change of the chart, under the same version");
    flux.look("once");
    flux.wait_for("lamplighter", 3);
    assert!(key(namespace) == first, "an upgrade has touched the key");
    release.assert_still_in(&mut alice).await;

    namespace.kubectl(&["delete", "helmreleases", "--all", "--timeout=60s"]);
    namespace.kubectl(&["delete", OBJECTS, "--all", "--timeout=60s"]);
    namespace.kubectl(&["delete", "configmap", "lamplighter-values"]);
    release.assert_nothing_left().await;
    wait_for_the_key_alone(namespace, &before);
    assert!(key(namespace) == first, "the key went with the release");
}
