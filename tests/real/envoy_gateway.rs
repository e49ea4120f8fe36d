//! Envoy Gateway in the cluster, by its own chart: its controller reads what the cluster has, and has the rig's Envoy do it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;

use crate::cluster::Namespace;
use crate::in_cluster::pack;
use crate::process::Folder;
use crate::rig::{self, Rig};

const CONTROLLER: &str = "rig.local/envoy-gateway:1";
const ENVOY: &str = "rig.local/envoy:1";

/// The controller, and a Gateway named `public` in a namespace of its own. What it made in the whole cluster goes with it.
pub(crate) struct EnvoyGateway {
    rig: Rig,
    pub(crate) namespace: Namespace,
    chart: PathBuf,
    folder: Folder,
}

impl EnvoyGateway {
    /// Installs it with `program`, beside which its chart lies, for a Gateway at `port` and routes of `namespace`, too.
    pub(crate) fn install(rig: &Rig, program: &Path, port: u16, namespace: &Namespace) -> Self {
        pack(CONTROLLER, program, "/bin/envoy-gateway");
        pack(ENVOY, &rig::program("envoy").expect("Envoy is on the PATH, by `rig env`"), "/bin/envoy");
        let own = Namespace::new(rig, "gateways");
        let folder = Folder::new(&own.name);
        let chart = program.with_file_name("chart");
        let gateway = Self { rig: rig.clone(), namespace: own, chart, folder };
        gateway.run_controller(&namespace.name);
        gateway.open(port);
        gateway
    }

    fn run_controller(&self, watched: &str) {
        let name = &self.namespace.name;
        let values = json!({
            "global": {"images": {"envoyGateway": {"image": CONTROLLER, "pullPolicy": "Never"}}},
            // That would have a say in every pod of the cluster.
            "topologyInjector": {"enabled": false},
            "config": {"envoyGateway": {
                "gateway": {"controllerName": format!("rig.test/{name}")},
                "provider": {"type": "Kubernetes", "kubernetes": {
                    "watch": {"type": "Namespaces", "namespaces": [name, watched]},
                }},
            }},
        });
        let values = format!("--values={}", self.folder.write("values.yaml", &values.to_string()).display());
        let output = self.helm(&["install", name, &self.chart.display().to_string(), &values]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.namespace.wait_for_deployment("envoy-gateway");
    }

    fn open(&self, port: u16) {
        let pair = [&self.rig.tls_cert, &self.rig.tls_key].map(|path| path.display().to_string());
        let pair = [format!("--cert={}", pair[0]), format!("--key={}", pair[1])];
        self.namespace.kubectl(&["create", "secret", "tls", "headlamp-tls", &pair[0], &pair[1]]);
        let manifest = self.namespace.fill(include_str!("manifests/envoy-gateway.yaml"));
        let manifest = manifest.replace("PORT", &port.to_string());
        self.namespace.apply(&manifest.replace("ADDRESS", &self.rig.node_address.to_string()));
        self.namespace.kubectl(&["wait", "--for=condition=Programmed", "--timeout=60s", "gateway/public"]);
    }

    fn helm(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("helm");
        command.env("KUBECONFIG", &self.rig.kubeconfig).arg(format!("--namespace={}", self.namespace.name));
        command.args(arguments).output().expect("helm is on the PATH, by `rig env`")
    }
}

impl Drop for EnvoyGateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for part in ["control-plane=envoy-gateway", "app.kubernetes.io/component=proxy"] {
                let logs = self.namespace.try_kubectl(&["logs", "-l", part, "--all-containers", "--tail=40"]);
                // Into the panic's own output, where a person looks.
                let _ = std::io::Write::write_all(&mut std::io::stderr(), &logs.stdout);
            }
        }
        // While the controller is there: it holds a class that has Gateways.
        let _ = self.namespace.try_kubectl(&["delete", "gateway", "public", "--ignore-not-found"]);
        let class = ["delete", "gatewayclass", &self.namespace.name, "--ignore-not-found", "--timeout=30s"];
        let _ = self.namespace.try_kubectl(&class);
        let _ = self.helm(&["uninstall", &self.namespace.name, "--ignore-not-found"]);
        // Helm leaves the kinds.
        let kinds = format!("--filename={}", self.chart.join("charts/crds/crds").display());
        let _ = self.namespace.try_kubectl(&["delete", "-R", &kinds, "--ignore-not-found", "--wait=false"]);
    }
}
