//! The k3s page, run from its first command to its last.

use std::path::Path;
use std::process::Command;

use http::Method;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::Parts;
use crate::browser::play;
use crate::cluster::Namespace;
use crate::house;
use crate::in_cluster::image;
use crate::process::Folder;
use crate::rig::Rig;
use crate::visitor::{Ask, Visitor};
use crate::wait;

const PAGE: &str = include_str!("../../docs/k3s.md");

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![parts.test("k3s::the_pages_ten_commands_end_at_a_signed_in_ui", ten_commands)]
}

/// The beginnings of commands that the rig has done already, or that need what is not here.
const STAND_INS: [(&str, &str); 5] = [
    ("curl -sfL https://get.k3s.io ", "the rig's Kubernetes"),
    ("mkdir -p ~/.kube ", "the rig's kubeconfig"),
    ("make image ", "the image of the program under test"),
    ("kubectl create namespace headlamp", "the test's own namespace"),
    ("helm repo add headlamp ", "no chart of Headlamp's, but a stand-in for it"),
];

/// The first block of the page in `language`.
fn block(language: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("```{language}\n")).expect("the page has such a block");
    rest.split_once("\n```").expect("a block ends").0
}

/// Where the commands run: the repository's chart, and the files that a person has made.
struct Desk {
    rig: Rig,
    namespace: Namespace,
    folder: Folder,
}

impl Desk {
    async fn prepare(rig: &Rig) -> (Self, String) {
        let namespace = Namespace::new(rig, "k3s");
        // The page's namespace is empty.
        namespace.kubectl(&["delete", "serviceaccounts", "--all"]);
        let folder = Folder::new(&format!("{}-page", namespace.name));
        let host = format!("{}.rig.test", namespace.name);
        let site = format!("https://{host}:{}", rig.https_port());
        let provider = &rig.providers.authentik;
        let (client_id, secret) = house::register(rig, provider, &site).await;
        folder.write("client-secret", &secret);
        for (name, path) in [("tls.crt", &rig.tls_cert), ("tls.key", &rig.tls_key)] {
            std::fs::copy(path, folder.0.join(name)).expect("the rig's certificate can be copied");
        }
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("helm");
        std::os::unix::fs::symlink(chart, folder.0.join("helm")).expect("the chart can be linked");
        let ca = format!("--from-file=ca.crt={}", rig.ca.display());
        namespace.kubectl(&["create", "configmap", "trust-bundle", &ca]);
        let values = values(rig, &namespace.name, (&site, &provider.issuer, &client_id));
        folder.write("values.yaml", &values.to_string());
        (Self { rig: rig.clone(), namespace, folder }, site)
    }

    /// Runs a command of the page here; what it says.
    fn run(&self, command: &str) -> String {
        let command = command.replace("-n headlamp", &format!("-n {}", self.namespace.name));
        let kubectl = self.rig.kubectl.parent().expect("kubectl is in a folder").display();
        let script = format!("PATH='{kubectl}':$PATH\n{command}");
        let mut shell = Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", &script]).current_dir(&self.folder.0);
        let output = shell.env("KUBECONFIG", &self.rig.kubeconfig).output().expect("bash runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {said}");
        String::from_utf8(output.stdout).expect("commands write UTF-8")
    }

    /// Headlamp's place, from the values that the page's last command hands to its chart.
    fn stand_in_for_headlamp(&self, command: &str) {
        let (get, install) = command.split_once(" | ").expect("values go to Helm");
        assert!(install.starts_with("helm upgrade --install headlamp headlamp/headlamp "), "{install}");
        let values: Value = serde_saphyr::from_str(&self.run(get)).expect("values are YAML");
        assert_eq!(values["clusterRoleBinding"]["create"], false, "{values}");
        self.namespace.apply(&std::fs::read_to_string(&self.rig.ui).expect("the rig has a stand-in"));
        self.namespace.wait_for_deployment("headlamp");
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let mut helm = Command::new("helm");
        helm.env("KUBECONFIG", &self.rig.kubeconfig).arg(format!("--namespace={}", self.namespace.name));
        let _ = helm.args(["uninstall", "lamplighter", "--ignore-not-found"]).output();
    }
}

/// The page's values, where they name what only a reader has.
fn values(rig: &Rig, namespace: &str, (site, issuer, client_id): (&str, &str, &str)) -> Value {
    let mut values: Value = serde_saphyr::from_str(block("yaml")).expect("the page's values are YAML");
    let image = image();
    let (repository, tag) = image.rsplit_once(':').expect("an image has a tag");
    values["image"]["repository"] = repository.into();
    values["image"]["tag"] = tag.into();
    values["site"] = site.into();
    values["upstream"] = format!("http://headlamp.{namespace}.svc").into();
    values["oidc"]["issuer"] = issuer.into();
    values["oidc"]["clientId"] = client_id.into();
    values["caBundle"] = json!({"configMap": "trust-bundle"});
    values["integration"]["ingress"]["className"] = "nginx".into();
    values["networkPolicy"]["ingressFrom"] = json!([{"cidr": format!("{}/32", rig.node_address)}]);
    values
}

async fn ten_commands(rig: Rig) {
    let commands: Vec<&str> = block("sh").lines().collect();
    assert_eq!(commands.len(), 10, "the page promises ten");
    let (desk, site) = Desk::prepare(&rig).await;
    let mut stood_in = 0;
    for command in &commands {
        if STAND_INS.iter().any(|(begins, _)| command.starts_with(begins)) {
            stood_in += 1;
        } else if command.contains(" | helm ") {
            desk.stand_in_for_headlamp(command);
        } else {
            desk.run(command);
        }
    }
    assert_eq!(stood_in, STAND_INS.len(), "each stand-in stands for a command of the page");
    desk.namespace.wait_for_deployment("lamplighter");

    let mut visitor = Visitor::new(&rig, &site);
    wait::until_async("the ingress leads to the site", async || {
        let page = visitor.follow(Ask::script(Method::GET, "/")).await;
        if page.reason() == "no-session" { Ok(()) } else { Err(format!("{:?} {}", page.trail, page.body)) }
    })
    .await;
    let list = visitor.sign_in("/clusters/main/api/v1/namespaces", "alice").await;
    assert_eq!(list.status(), 200, "{:?} {}", list.trail, list.body);
    play(&rig, "k3s.mjs", &site, &[("namespace", &desk.namespace.name)]);
}
