//! The chart behind a Traefik that takes its routes from the cluster, as k3s's does.

use std::path::{Path, PathBuf};

use http::Method;
use libtest_mimic::Trial;
use serde_json::json;

use crate::Parts;
use crate::chart::{look_around, prepare_at, run_ui_behind_ingress, values};
use crate::cluster::{Kinds, Namespace};
use crate::process::{Process, with_cluster_dns};
use crate::release::Release;
use crate::rig::Rig;
use crate::visitor::Ask;

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![parts.test_with("traefik", "chart::behind_traefik_its_middleware_asks_and_people_get_in", gateway)]
}

async fn gateway(rig: Rig, program: PathBuf) {
    let port = rig.free_port();
    let release = prepare_at(&rig, "chart-traefik", port).await;
    let namespace = &release.namespace;
    let brought = Traefik::install(&rig, namespace);
    let integration = json!({"kind": "traefik", "traefik": {"tlsSecret": "headlamp-tls"}});
    release.install(&values(&release, &json!({"mode": "gateway", "integration": integration})));
    namespace.wait_for_deployment("door-lamplighter");
    run_ui_behind_ingress(&release);
    let traefik = start(&program, &release, port);
    release.assert_well();

    let mut victor = release.visitor(&[401]).await;
    let page = victor.sign_in("/lamplighter/whoami", "victor").await;
    assert_eq!((page.status(), page.url.path()), (200, "/lamplighter/whoami"), "{:?}", page.trail);
    look_around(&mut victor, namespace).await;
    let forged = Ask::script(Method::GET, "/clusters/main/api/v1/pods").with("impersonate-user", "root");
    assert_eq!(victor.ask(forged).await.status(), 403);

    drop(traefik);
    let named = namespace.kubectl(&["get", "middlewares,ingressroutes", "-o=name"]);
    assert_eq!(named.lines().count(), 2, "{named}");
    release.helm(&["uninstall", "door", "--wait"]);
    let left = namespace.kubectl(&["get", "middlewares,ingressroutes", "-o=name"]);
    assert_eq!(left, "");
    drop(brought);
}

/// Traefik on the machine, as an administrator of the cluster: it reads what there is in the release's namespace.
fn start(program: &Path, release: &Release, port: u16) -> Process {
    let (rig, folder, namespace) = (&release.rig, &release.folder, &release.namespace.name);
    let mut command = with_cluster_dns(folder, program);
    command.arg(format!("--entryPoints.websecure.address={}:{port}", rig.node_address));
    for provider in ["kubernetesCRD", "kubernetesIngress"] {
        command.arg(format!("--providers.{provider}.namespaces={namespace}"));
    }
    command.args(["--global.checkNewVersion=false", "--global.sendAnonymousUsage=false"]);
    command.env("KUBECONFIG", &rig.kubeconfig).current_dir(&folder.0);
    Process::start(&mut command, folder.0.join("traefik.log"))
}

/// What Traefik brings to a cluster: its kinds, and its class of Ingress. They go with the test.
struct Traefik<'n> {
    namespace: &'n Namespace,
    _kinds: Kinds<'n>,
}

const CLASS: &str = "traefik";

impl<'n> Traefik<'n> {
    fn install(rig: &Rig, namespace: &'n Namespace) -> Self {
        let kinds = Kinds::install(rig, namespace, "01-traefik-crd.yml");
        let class = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": CLASS},
            "spec": {"controller": "traefik.io/ingress-controller"},
        });
        namespace.apply(&class.to_string());
        Self { namespace, _kinds: kinds }
    }
}

impl Drop for Traefik<'_> {
    fn drop(&mut self) {
        let _ = self.namespace.try_kubectl(&["delete", "ingressclass", CLASS, "--ignore-not-found"]);
    }
}
