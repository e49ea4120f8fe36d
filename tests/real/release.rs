//! A release of the chart, by Helm: prepared, installed, tested, taken away.

use std::process::Command;

use http::Method;
use serde_json::Value;

use crate::cluster::Namespace;
use crate::house;
use crate::in_cluster::image;
use crate::process::Folder;
use crate::rig::{Provider, Rig};
use crate::visitor::{Ask, Visitor};
use crate::wait;

/// A release in a namespace of its own; what it made in the whole cluster goes with it.
pub(crate) struct Release {
    pub(crate) rig: Rig,
    /// As Helm calls it.
    name: &'static str,
    /// Which Helm: Helm 4 is `helm`, and Helm 3 `helm3`.
    pub(crate) program: &'static str,
    pub(crate) host: String,
    pub(crate) site: String,
    /// What the provider knows it by: an id and a secret.
    pub(crate) client: (String, String),
    pub(crate) folder: Folder,
    pub(crate) namespace: Namespace,
}

impl Release {
    /// Registers a site at `provider`, behind the rig's own ingress, and has the provider's CA in the ConfigMap
    /// `trust-bundle`. Installs nothing yet.
    pub(crate) async fn prepare(rig: &Rig, purpose: &str, name: &'static str, provider: &Provider) -> Self {
        Self::prepare_at(rig, purpose, name, provider, rig.https_port()).await
    }

    /// The same, for a site at another port.
    pub(crate) async fn prepare_at(
        rig: &Rig,
        purpose: &str,
        name: &'static str,
        provider: &Provider,
        port: u16,
    ) -> Self {
        let namespace = Namespace::new(rig, purpose);
        let folder = Folder::new(&format!("{}-release", namespace.name));
        let host = format!("{}.rig.test", namespace.name);
        let site = format!("https://{host}:{port}");
        let client = house::register(rig, provider, &site).await;
        // As trust-manager would write it.
        let ca = format!("--from-file=ca.crt={}", rig.ca.display());
        namespace.kubectl(&["create", "configmap", "trust-bundle", &ca]);
        Self { rig: rig.clone(), name, program: "helm", host, site, client, folder, namespace }
    }

    /// The name of its objects.
    pub(crate) fn fullname(&self) -> String {
        if self.name == "lamplighter" { self.name.to_owned() } else { format!("{}-lamplighter", self.name) }
    }

    /// `helm upgrade --install`.
    pub(crate) fn install(&self, values: &Value) {
        let values = self.folder.write("values.yaml", &values.to_string());
        let values = format!("--values={}", values.display());
        self.helm(&["upgrade", "--install", self.name, CHART, &values]);
    }

    /// Its manifests, by whoever does not see the cluster.
    pub(crate) fn template(&self, values: &Value) -> String {
        let values = self.folder.write("values.yaml", &values.to_string());
        let values = format!("--values={}", values.display());
        self.helm(&["template", self.name, CHART, &values])
    }

    pub(crate) fn helm(&self, arguments: &[&str]) -> String {
        let output = self.helm_command().args(arguments).output().expect("helm is on the PATH, by `rig env`");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} {}: {said}", self.program, arguments.join(" "));
        String::from_utf8(output.stdout).expect("helm writes UTF-8")
    }

    fn helm_command(&self) -> Command {
        let mut command = Command::new(self.program);
        command.env("KUBECONFIG", &self.rig.kubeconfig).arg(format!("--namespace={}", self.namespace.name));
        command
    }

    /// The values for Headlamp's own chart, as whoever installs it fetches them.
    pub(crate) fn headlamp_values(&self) -> Value {
        let path = r"-o=jsonpath={.data.values\.yaml}";
        let name = format!("{}-headlamp", self.fullname());
        let text = self.namespace.kubectl(&["get", "configmap", &name, path]);
        serde_saphyr::from_str(&text).expect("values are YAML")
    }

    /// Runs `helm test`, and all that the notes say to run.
    pub(crate) fn assert_well(&self) {
        self.helm(&["test", self.name]);
        let commands = self.commands();
        assert!(commands.len() >= 3, "{commands:?}");
        for command in commands {
            // As a shell would, of which no command needs more.
            let command = command.replace('\'', "");
            let words: Vec<_> = command.split_whitespace().skip(1).collect();
            self.namespace.kubectl(&words);
        }
    }

    /// What the notes say to run, one a line.
    fn commands(&self) -> Vec<String> {
        let notes = self.helm(&["get", "notes", self.name]);
        let (_, commands) = notes.split_once("Whether all is well:").expect("the notes say how to see that");
        let commands = commands.lines().map(str::trim).filter(|line| line.starts_with("kubectl "));
        commands.map(str::to_owned).collect()
    }

    /// Looks whether `visitor`, who signed in before an upgrade, still is.
    ///
    /// While the old pod goes, a request may find nobody. Who is signed out stays so.
    pub(crate) async fn assert_still_in(&self, visitor: &mut Visitor) {
        wait::until_async("who signed in before the upgrade still is", async || {
            match visitor.ask(Ask::script(Method::GET, "/clusters/main/api/v1/namespaces")).await {
                page if page.status() == 200 => Ok(()),
                page => Err(format!("{:?} {} {}", page.trail, page.reason(), page.body)),
            }
        })
        .await;
    }

    /// Takes the release away, and looks for what stays.
    pub(crate) async fn assert_leaves_nothing(&self) {
        self.helm(&["uninstall", self.name, "--wait"]);
        self.assert_nothing_left().await;
    }

    /// Waits until what carries the release's labels is gone.
    pub(crate) async fn assert_nothing_left(&self) {
        let kinds = "deployments,jobs,pods,services,ingresses,configmaps,secrets,serviceaccounts,roles,rolebindings,\
                     networkpolicies,horizontalpodautoscalers,poddisruptionbudgets,clusterroles,clusterrolebindings";
        let ours = format!("-l=app.kubernetes.io/instance={},app.kubernetes.io/managed-by=Helm", self.name);
        // Pods finish what they are at.
        wait::until_async("everything of the release is gone", async || {
            let left = self.namespace.kubectl(&["get", kinds, &ours, "-o=name"]);
            // Those of the whole cluster may be another test's.
            let is_ours =
                |name: &&str| !name.starts_with("clusterrole") || name.contains(&self.namespace.name);
            let left: Vec<_> = left.lines().filter(is_ours).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        })
        .await;
    }

    /// A visitor, once the ingress leads to the site, where nobody gets further than `nobody`: while it reloads, its old
    /// workers answer too.
    pub(crate) async fn visitor(&self, nobody: &[u16]) -> Visitor {
        let mut visitor = Visitor::new(&self.rig, &self.site);
        let mut in_a_row = 0;
        wait::until_async("the ingress leads to the site", async || {
            let page = visitor.follow(Ask::script(Method::GET, "/")).await;
            let is_right = page.trail == nobody && page.reason() == "no-session";
            in_a_row = if is_right { in_a_row + 1 } else { 0 };
            if in_a_row == 5 { Ok(()) } else { Err(format!("{:?} {}", page.trail, page.body)) }
        })
        .await;
        visitor
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let ours = format!("-l=app.kubernetes.io/instance={}", self.name);
            let logs = self.namespace.try_kubectl(&["logs", &ours, "--prefix", "--tail=40"]);
            // Into the panic's own output, where a person looks.
            let _ = std::io::Write::write_all(&mut std::io::stderr(), &logs.stdout);
        }
        let _ = self.helm_command().args(["uninstall", self.name, "--ignore-not-found"]).output();
    }
}

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/helm/lamplighter");

/// The image of the program under test, as the chart's values name one.
pub(crate) fn image_values() -> Value {
    let image = image();
    let (repository, tag) = image.rsplit_once(':').expect("an image has a tag");
    serde_json::json!({"repository": repository, "tag": tag, "pullPolicy": "Never"})
}
