//! The chart's monitors, read by the Prometheus operator, and scraped by the Prometheus that it makes of them.

use std::path::PathBuf;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::Parts;
use crate::chart::{prepare, ui_with, values};
use crate::prometheus::{Operator, Prometheus};
use crate::release::Release;
use crate::rig::Rig;
use crate::wait;

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    let name = "monitors::prometheus_scrapes_each_pod_once_also_a_sidecar_where_the_policy_lets_it_in";
    vec![parts.test_with("prometheus-operator", name, scrape)]
}

/// Found by `monitor`; the admin port is for pods with the label `role` of `metrics_from`.
fn scraped(release: &Release, mode: &str, monitor: &str, metrics_from: &str) -> Value {
    let mut over = json!({
        "mode": mode,
        "monitoring": {monitor: true, "labels": {"team": "watch"}, "interval": "1s"},
        "networkPolicy": {
            "enabled": true,
            "ingressFrom": [{"podLabels": {"role": "ingress"}}],
            "metricsFrom": [{"podLabels": {"role": metrics_from}}],
            "egress": {"apiServerPorts": [release.rig.api_server_port()]},
        },
    });
    if mode == "sidecar" {
        over["upstream"] = json!("http://127.0.0.1:4466");
    } else {
        over["replicas"] = json!(2);
    }
    values(release, &over)
}

/// As many pods as there are to be, once others are gone.
fn pods(release: &Release, label: &str, count: usize) -> Vec<String> {
    wait::until(&format!("there are {count} pods with {label}"), || {
        let get = ["get", "pods", &format!("-l={label}"), "-o=jsonpath={.items[*].metadata.name}"];
        let names = release.namespace.kubectl(&get);
        let mut names: Vec<_> = names.split(' ').map(str::to_owned).collect();
        names.sort();
        (names.len() == count).then_some(names)
    })
}

async fn scrape(rig: Rig, program: PathBuf) {
    let release = prepare(&rig, "monitors").await;
    let namespace = &release.namespace;
    let operator = Operator::start(&rig, &program, namespace, &release.folder);
    release.install(&scraped(&release, "gateway", "serviceMonitor", "somebody-else"));
    namespace.wait_for_deployment("door-lamplighter");
    gateway(&release, &operator.run_prometheus("first")).await;
    release.assert_leaves_nothing().await;
    assert_eq!(namespace.kubectl(&["get", "servicemonitors,podmonitors", "-o=name"]), "");

    release.install(&scraped(&release, "sidecar", "podMonitor", "prometheus"));
    namespace.apply(&ui_with(&release.headlamp_values(), &namespace.name));
    namespace.wait_for_deployment("headlamp");
    let prometheus = operator.run_prometheus("second");
    let pods = pods(&release, "app.kubernetes.io/name=headlamp", 1);
    prometheus.wait_for(&pods, &format!("{}/door-lamplighter", namespace.name), true).await;
    release.assert_leaves_nothing().await;
}

/// The job of what a `ServiceMonitor` finds.
const SERVICE_JOB: &str = "door-lamplighter-metrics";

async fn gateway(release: &Release, prometheus: &Prometheus) {
    let pods = pods(release, "app.kubernetes.io/name=lamplighter", 2);
    prometheus.wait_for(&pods, SERVICE_JOB, false).await;
    release.install(&scraped(release, "gateway", "serviceMonitor", "prometheus"));
    prometheus.wait_for(&pods, SERVICE_JOB, true).await;
    let query = format!("lamplighter_build_info and on (instance) up{{job=\"{SERVICE_JOB}\"}} == 1");
    let known = prometheus.ask(&query).await;
    assert_eq!(known.len(), 2, "{known:?}");
    for (labels, value) in known {
        let said =
            ["version", "namespace", "endpoint"].map(|label| labels[label].as_str().unwrap_or_default());
        assert_eq!(said, [env!("CARGO_PKG_VERSION"), &release.namespace.name, "admin"]);
        assert_eq!(value, "1");
    }
}
