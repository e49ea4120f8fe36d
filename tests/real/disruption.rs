//! The chart's `PodDisruptionBudget`: what a drain may take at a time.

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::Parts;
use crate::chart::{address_of, assert_signed_in, prepare, values};
use crate::release::Release;
use crate::rig::Rig;
use crate::visitor::Visitor;
use crate::wait;

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![parts.test(
        "disruption::a_drain_takes_one_replica_and_waits_with_the_other_until_the_first_is_back",
        drain,
    )]
}

/// Asks the API server to evict the pod `name`, as `kubectl drain` does for each pod of a node.
fn evict(release: &Release, name: &str) -> Result<(), String> {
    let namespace = &release.namespace;
    let eviction = json!({
        "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace.name},
    });
    let file = release.folder.write("eviction.json", &eviction.to_string()).display().to_string();
    let path = format!("/api/v1/namespaces/{}/pods/{name}/eviction", namespace.name);
    let output = namespace.try_kubectl(&["create", "--raw", &path, "-f", &file]);
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

fn assert_has_to_wait(release: &Release, name: &str) {
    let said = evict(release, name).expect_err("the other replica is away");
    assert!(said.contains("would violate the pod's disruption budget"), "{said}");
}

/// So many replicas, with a budget.
fn replicated(release: &Release, replicas: u32) -> Value {
    let budget = json!({"enabled": true});
    values(release, &json!({"mode": "gateway", "replicas": replicas, "podDisruptionBudget": budget}))
}

/// The pods that there are.
fn pods(release: &Release) -> Vec<String> {
    let label = "-l=app.kubernetes.io/name=lamplighter";
    let names = release.namespace.kubectl(&["get", "pods", label, "-o=jsonpath={.items[*].metadata.name}"]);
    names.split(' ').map(str::to_owned).collect()
}

/// Waits until the budget allows as many disruptions.
fn wait_for_allowed(release: &Release, wanted: &str) {
    let get = ["get", "poddisruptionbudget", "door-lamplighter"];
    let state = "-o=jsonpath={.status.expectedPods} {.status.currentHealthy} {.status.disruptionsAllowed}";
    wait::until(&format!("the budget is at {wanted}: expected, healthy, allowed"), || {
        (release.namespace.kubectl(&[&get[..], &[state]].concat()) == wanted).then_some(())
    });
}

async fn drain(rig: Rig) {
    let release = prepare(&rig, "drain").await;
    let namespace = &release.namespace;
    release.install(&replicated(&release, 2));
    let mut victor = Visitor::new(&rig, &release.site).directly_at(&address_of(&release).await);
    victor.sign_in("/lamplighter/login?rd=%2Flamplighter%2Fwhoami", "victor").await;
    wait_for_allowed(&release, "2 2 1");

    // What is evicted does not come back while this is there.
    namespace.kubectl(&["create", "quota", "full", "--hard=pods=1"]);
    let there = pods(&release);
    let [first, second] = &there[..] else { panic!("there are two: {there:?}") };
    evict(&release, first).expect("one may go");
    assert_has_to_wait(&release, second);
    namespace.kubectl(&["wait", "--for=delete", &format!("pod/{first}"), "--timeout=60s"]);
    wait_for_allowed(&release, "2 1 0");
    assert_has_to_wait(&release, second);
    assert_signed_in(&mut victor).await;

    namespace.kubectl(&["delete", "quota", "full"]);
    wait_for_allowed(&release, "2 2 1");
    evict(&release, second).expect("the other is back");
    address_of(&release).await;
    assert_signed_in(&mut victor).await;

    // Where there is one alone, nobody waits for it.
    release.install(&replicated(&release, 1));
    wait_for_allowed(&release, "1 1 1");
    wait::until("one is left", || (pods(&release).len() == 1).then_some(()));
    evict(&release, &pods(&release)[0]).expect("it may go");
    release.assert_leaves_nothing().await;
}
