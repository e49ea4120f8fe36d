//! The chart's `HorizontalPodAutoscaler`, by what the metrics server says of its pods.

use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::Parts;
use crate::chart::{address_of, assert_signed_in, prepare, values};
use crate::release::Release;
use crate::rig::Rig;
use crate::visitor::Visitor;
use crate::wait;

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    let name = "autoscaling::it_goes_by_the_pods_cpu_and_an_upgrade_leaves_it_the_number_of_replicas";
    vec![parts.test(name, scale)]
}

/// Two replicas or three, as many as keep each at `target` percent of its request for CPU.
fn scaled(release: &Release, target: u32, ttl: &str) -> Value {
    let autoscaling = json!({
        "enabled": true, "minReplicas": 2, "maxReplicas": 3, "targetCPUUtilizationPercentage": target,
    });
    let session = json!({"existingSecret": "session", "ttl": ttl});
    values(release, &json!({"mode": "gateway", "autoscaling": autoscaling, "session": session}))
}

/// A field of one of the release's objects.
fn field(release: &Release, kind: &str, path: &str) -> String {
    release.namespace.kubectl(&["get", kind, "door-lamplighter", &format!("-o=jsonpath={{{path}}}")])
}

fn replicas(release: &Release) -> String {
    field(release, "deployment", ".spec.replicas")
}

/// Opens the page at `url` fifty times a second, and leaves the machine to other tests in between.
fn load(url: String) -> JoinHandle<()> {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client can be made");
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    tokio::spawn(async move {
        loop {
            pace.tick().await;
            let _ = client.get(&url).send().await;
        }
    })
}

async fn scale(rig: Rig) {
    let release = prepare(&rig, "scale").await;
    release.install(&values(&release, &json!({"mode": "gateway", "replicas": 2})));
    let address = address_of(&release).await;
    let mut victor = Visitor::new(&rig, &release.site).directly_at(&address);
    victor.sign_in("/lamplighter/login?rd=%2Flamplighter%2Fwhoami", "victor").await;

    // Turned on in a release that had a number of replicas: Helm takes it away, and Kubernetes starts from one.
    release.install(&scaled(&release, 1000, "8h"));
    let used = ".status.currentMetrics[0].resource.current.averageUtilization";
    wait::until("it knows what the pods use", || {
        (!field(&release, "horizontalpodautoscaler", used).is_empty()).then_some(())
    });
    wait::until("there are as many as it keeps at least", || (replicas(&release) == "2").then_some(()));

    let load = load(format!("{address}/lamplighter/whoami"));
    release.install(&scaled(&release, 1, "8h"));
    wait::until("there are as many as it makes at most", || (replicas(&release) == "3").then_some(()));
    release.install(&scaled(&release, 1, "9h"));
    assert_eq!(replicas(&release), "3", "an upgrade has changed the number of replicas");
    release.namespace.wait_for_deployment("door-lamplighter");
    load.abort();
    assert_signed_in(&mut victor).await;
    release.assert_leaves_nothing().await;
}
