//! The session key: there already, or made by whoever sees the cluster.

use libtest_mimic::Trial;
use serde_json::json;

use crate::Parts;
use crate::helm::{Helm, pod, sources};

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts.test("session_key::whoever_does_not_see_the_cluster_makes_no_key", blind),
        parts.test("session_key::the_first_seals_and_all_open", ring),
    ]
}

/// What Argo CD does, and `helm template`: each would make another key, and sign everybody out.
fn blind(helm: &Helm) {
    let over = "session: {existingSecret: '', generateKey: true}";
    for more in [&[][..], &["--is-upgrade"], &["--validate=false"]] {
        let refusal = helm.template(Some("gateway"), over, more).unwrap_err();
        let said = "session.generateKey: this rendering does not see the cluster (helm template, Argo CD), so that each one \
                    would make another key, which signs everybody out; make the Secret once, and name it in \
                    session.existingSecret";
        assert!(refusal.contains(said), "{more:?}: {refusal}");
        let command =
            "openssl rand -base64 32 | kubectl -n headlamp create secret generic lamplighter-session";
        assert!(refusal.contains(command), "{refusal}");
    }
}

fn ring(helm: &Helm) {
    let pod = pod(&helm.objects("everything"));
    let mut sources = sources(&pod, "lamplighter").iter();
    let keys = sources.find(|source| source["secret"]["name"] == "keys").unwrap();
    let items = json!([{"key": "new", "path": "session/new"}, {"key": "old", "path": "session/old"}]);
    assert_eq!(keys["secret"]["items"], items);
}
