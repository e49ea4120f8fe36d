//! The chart by Helm 3, which most people have still, and by Helm 4 after it.

use std::path::PathBuf;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::Parts;
use crate::chart::{address_of, assert_signed_in, prepare, values};
use crate::release::Release;
use crate::rig::Rig;
use crate::visitor::Visitor;

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    let name = "chart::by_helm_3_upgrades_sign_nobody_out_nor_do_those_by_helm_4_and_nothing_is_left";
    vec![parts.test_with("helm3", name, gateway)]
}

/// Who stays signed in for `ttl`, by a key that the release made itself.
fn made(release: &Release, ttl: &str) -> Value {
    let integration = json!({"kind": "ingress-nginx", "ingress": {"tlsSecret": "headlamp-tls"}});
    let session = json!({"generateKey": true, "ttl": ttl});
    values(
        release,
        &json!({"mode": "gateway", "replicas": 2, "integration": integration, "session": session}),
    )
}

/// The session key. Not to be shown.
fn key(release: &Release) -> String {
    let path = "-o=jsonpath={.data.session-key}";
    release.namespace.kubectl(&["get", "secret", "door-lamplighter-session", path])
}

async fn gateway(rig: Rig, _helm3: PathBuf) {
    let mut release = prepare(&rig, "chart-helm3").await;
    release.program = "helm3";
    release.install(&made(&release, "8h"));
    let first = key(&release);
    let mut victor = Visitor::new(&rig, &release.site).directly_at(&address_of(&release).await);
    victor.sign_in("/lamplighter/login?rd=%2Flamplighter%2Fwhoami", "victor").await;
    assert_signed_in(&mut victor).await;
    release.assert_well();

    let pods = |release: &Release| {
        release.namespace.kubectl(&["get", "pods", "-l=app.kubernetes.io/name=lamplighter", "-o=name"])
    };
    for (program, ttl) in [("helm3", "9h"), ("helm", "10h"), ("helm3", "11h")] {
        let before = pods(&release);
        release.program = program;
        release.install(&made(&release, ttl));
        address_of(&release).await;
        assert_ne!(pods(&release), before, "{program}: what changed in the values is read by new pods");
        assert!(key(&release) == first, "{program}: an upgrade has changed the key");
        assert_signed_in(&mut victor).await;
    }
    release.assert_leaves_nothing().await;
    assert!(key(&release) == first, "the key went with the release");
}
