//! Prometheus in the cluster, as the Prometheus operator makes it of what monitors say.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::cluster::{Kinds, Namespace};
use crate::in_cluster::pack;
use crate::process::{Folder, Process};
use crate::rig::{self, Rig};
use crate::wait;

const PROMETHEUS: &str = "rig.local/prometheus:1";
const RELOADER: &str = "rig.local/prometheus-config-reloader:1";

/// The operator, as an administrator that looks at one namespace. What it made goes with that.
pub(crate) struct Operator<'n> {
    namespace: &'n Namespace,
    _process: Process,
    _kinds: Kinds<'n>,
}

impl<'n> Operator<'n> {
    /// Starts `program` on the machine; what it puts beside each Prometheus lies beside it.
    pub(crate) fn start(rig: &Rig, program: &Path, namespace: &'n Namespace, folder: &Folder) -> Self {
        let kinds = Kinds::install(rig, namespace, "monitoring.coreos.com");
        pack(
            PROMETHEUS,
            &rig::program("prometheus").expect("it is on the PATH, by `rig env`"),
            "/bin/prometheus",
        );
        pack(
            RELOADER,
            &program.with_file_name("prometheus-config-reloader"),
            "/bin/prometheus-config-reloader",
        );
        let mut command = Command::new(program);
        command.env_clear().env("KUBECONFIG", &rig.kubeconfig);
        command.arg(format!("--namespaces={}", namespace.name));
        command.arg(format!("--web.listen-address={}:{}", rig.node_address, rig.free_port()));
        command.arg(format!("--prometheus-config-reloader={RELOADER}"));
        let process = Process::start(&mut command, folder.0.join("prometheus-operator.log"));
        Self { namespace, _process: process, _kinds: kinds }
    }

    /// Has it run a Prometheus of this name; waits until that answers.
    ///
    /// It reads what there is when it starts: later the kubelet brings what changed once a minute.
    pub(crate) fn run_prometheus(&self, name: &str) -> Prometheus {
        let manifest = include_str!("manifests/prometheus.yaml").replace("PROMETHEUS", name);
        self.namespace.apply(&self.namespace.fill(&manifest));
        let pod = format!("prometheus-{name}-0");
        wait::until("the operator makes the pod", || {
            let found = self.namespace.kubectl(&["get", "pod", &pod, "--ignore-not-found", "-o=name"]);
            (!found.is_empty()).then_some(())
        });
        self.namespace.kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", &format!("pod/{pod}")]);
        let address = self.namespace.kubectl(&["get", "pod", &pod, "-o=jsonpath={.status.podIP}"]);
        Prometheus { url: format!("http://{address}:9090") }
    }
}

impl Drop for Operator<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let ours = "-l=app.kubernetes.io/name=prometheus";
            let logs = self.namespace.try_kubectl(&["logs", ours, "--all-containers", "--tail=40"]);
            let seen = self.namespace.try_kubectl(&["describe", "pods", ours]);
            // Into the panic's own output, where a person looks.
            for text in [logs.stdout, seen.stdout] {
                let _ = std::io::Write::write_all(&mut std::io::stderr(), &text);
            }
        }
    }
}

/// A Prometheus that the operator made.
pub(crate) struct Prometheus {
    url: String,
}

impl Prometheus {
    /// What its API says at `path`.
    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build();
        let url = url::Url::parse_with_params(&format!("{}/api/v1/{path}", self.url), query);
        let request = client.expect("a client can be made").get(url.expect("an address"));
        let answer = request.send().await.expect("Prometheus answers").text().await.expect("a body");
        let answer: Value = serde_json::from_str(&answer).expect("Prometheus answers in JSON");
        answer["data"].clone()
    }

    /// What it knows of `query` now: labels and a value of each series.
    pub(crate) async fn ask(&self, query: &str) -> Vec<(Value, String)> {
        let data = self.get("query", &[("query", query)]).await;
        let result = data["result"].as_array().expect("a vector").iter();
        let value = |item: &Value| item["value"][1].as_str().expect("a value").to_owned();
        result.map(|item| (item["metric"].clone(), value(item))).collect()
    }

    /// Waits until all that it scrapes is each of `pods` once, by `job`; and whether it gets in there.
    pub(crate) async fn wait_for(&self, pods: &[String], job: &str, gets_in: bool) {
        let health = if gets_in { "up" } else { "down" };
        let wanted: Vec<_> = pods.iter().map(|pod| format!("{pod} by {job}: {health}")).collect();
        wait::until_async(&format!("Prometheus scrapes {wanted:?}"), async || {
            let data = self.get("targets", &[("state", "active")]).await;
            let targets = data["activeTargets"].as_array().expect("a list of targets").iter();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let mut seen: Vec<_> = targets
                .map(|target| {
                    let labels = &target["labels"];
                    format!(
                        "{} by {}: {}",
                        text(&labels["pod"]),
                        text(&labels["job"]),
                        text(&target["health"])
                    )
                })
                .collect();
            seen.sort();
            if seen == wanted { Ok(()) } else { Err(format!("{seen:?}")) }
        })
        .await;
    }
}
