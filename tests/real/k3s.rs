//! The k3s page, run from its first command to its last.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::Parts;
use crate::browser::play;
use crate::release::{Release, image_values};
use crate::rig::Rig;
use crate::rights::assert_only_mints;

/// The page.
pub(crate) const PAGE: &str = include_str!("../../docs/k3s.md");

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

/// The page's ten commands.
pub(crate) fn commands() -> impl Iterator<Item = &'static str> {
    block("sh").lines()
}

/// Where the commands run: the repository's chart, and the files that a person has made.
pub(crate) async fn prepare(rig: &Rig, purpose: &str) -> Release {
    let provider = &rig.providers.authentik;
    let release = Release::prepare(rig, purpose, "lamplighter", provider).await;
    // The page's namespace has none of its own; a stranger is wanted below.
    release.namespace.kubectl(&["delete", "serviceaccounts", "admin", "viewer", "lamplighter"]);
    let folder = &release.folder;
    folder.write("client-secret", &release.client.1);
    for (name, path) in [("tls.crt", &rig.tls_cert), ("tls.key", &rig.tls_key)] {
        std::fs::copy(path, folder.0.join(name)).expect("the rig's certificate can be copied");
    }
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("helm");
    std::os::unix::fs::symlink(chart, folder.0.join("helm")).expect("the chart can be linked");
    folder.write("values.yaml", &values(&release, &provider.issuer).to_string());
    release
}

/// Runs a command of the page; what it says.
pub(crate) fn run(release: &Release, command: &str) -> String {
    let command = command.replace("-n headlamp", &format!("-n {}", release.namespace.name));
    let kubectl = release.rig.kubectl.parent().expect("kubectl is in a folder").display();
    let script = format!("PATH='{kubectl}':$PATH\n{command}");
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &script]).current_dir(&release.folder.0);
    let output = shell.env("KUBECONFIG", &release.rig.kubeconfig).output().expect("bash runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {said}");
    String::from_utf8(output.stdout).expect("commands write UTF-8")
}

/// Headlamp's place, from the values that the page's last command hands to its chart.
fn stand_in_for_headlamp(release: &Release, command: &str) {
    let (get, install) = command.split_once(" | ").expect("values go to Helm");
    assert!(install.starts_with("helm upgrade --install headlamp headlamp/headlamp "), "{install}");
    let values: Value = serde_saphyr::from_str(&run(release, get)).expect("values are YAML");
    assert_eq!(values["clusterRoleBinding"]["create"], false, "{values}");
    release.namespace.apply(&std::fs::read_to_string(&release.rig.ui).expect("the rig has a stand-in"));
    release.namespace.wait_for_deployment("headlamp");
}

/// The page's values, where they name what only a reader has.
pub(crate) fn values(release: &Release, issuer: &str) -> Value {
    let mut values: Value = serde_saphyr::from_str(block("yaml")).expect("the page's values are YAML");
    values["image"] = image_values();
    values["site"] = release.site.as_str().into();
    values["upstream"] = format!("http://headlamp.{}.svc", release.namespace.name).into();
    values["oidc"]["issuer"] = issuer.into();
    values["oidc"]["clientId"] = release.client.0.as_str().into();
    values["caBundle"] = json!({"configMap": "trust-bundle"});
    values["integration"]["ingress"]["className"] = "nginx".into();
    values["networkPolicy"]["ingressFrom"] = json!([{"cidr": format!("{}/32", release.rig.node_address)}]);
    values["networkPolicy"]["egress"] = json!({"apiServerPorts": [release.rig.api_server_port()]});
    values
}

async fn ten_commands(rig: Rig) {
    let commands: Vec<&str> = commands().collect();
    assert_eq!(commands.len(), 10, "the page promises ten");
    let release = prepare(&rig, "k3s").await;
    let mut stood_in = 0;
    for command in &commands {
        if STAND_INS.iter().any(|(begins, _)| command.starts_with(begins)) {
            stood_in += 1;
        } else if command.contains(" | helm ") {
            stand_in_for_headlamp(&release, command);
        } else {
            run(&release, command);
        }
    }
    assert_eq!(stood_in, STAND_INS.len(), "each stand-in stands for a command of the page");
    release.namespace.wait_for_deployment("lamplighter");
    release.assert_well();
    let accounts = ["headlamp-admin", "headlamp-viewer"];
    assert_only_mints(&rig, &release.namespace, "lamplighter", &accounts).await;

    let mut visitor = release.visitor(&[401]).await;
    let list = visitor.sign_in("/clusters/main/api/v1/namespaces", "alice").await;
    assert_eq!(list.status(), 200, "{:?} {}", list.trail, list.body);
    play(&rig, "k3s.mjs", &release.site, &[("namespace", &release.namespace.name)]);

    let mut later = values(&release, &rig.providers.authentik.issuer);
    later["session"]["ttl"] = "9h".into();
    release.install(&later);
    release.namespace.wait_for_deployment("lamplighter");
    release.assert_still_in(&mut visitor).await;
    release.assert_leaves_nothing().await;
}
