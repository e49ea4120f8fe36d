//! The session key: there already, or made in the cluster.

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::Parts;
use crate::helm::{Helm, Object, parse, pick, pod, sources};

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts.test("session_key::whoever_renders_makes_no_key", blind),
        parts.test("session_key::a_job_makes_it_before_anything_else_is_there", hooks),
        parts.test("session_key::the_job_may_make_secrets_and_read_the_one", rights),
        parts.test("session_key::the_first_seals_and_all_open", ring),
    ]
}

/// What Argo CD does, and `helm template`, at the first time and later: no key in it, and always the same.
fn blind(helm: &Helm) {
    let render = |more: &[&str]| helm.template(Some("generated-key"), "", more).unwrap();
    let first = render(&[]);
    for more in [&[][..], &["--is-upgrade"]] {
        assert_eq!(render(more), first, "{more:?}");
    }
    assert!(parse(&first).iter().all(|object| object.kind() != "Secret"));
    // What lamplighter reads is what the Job makes.
    let objects = helm.objects("generated-key");
    let pod = pod(&objects);
    let mut sources = sources(&pod, "lamplighter").iter();
    let made = json!({"name": "lamplighter-session", "items": [{"key": "session-key", "path": "session/session-key"}]});
    assert!(sources.any(|source| source["secret"] == made));
    let arguments = json!(["session-key", "create", "--secret=lamplighter-session"]);
    assert_eq!(job(&objects)["containers"][0]["args"], arguments);
}

fn job(objects: &[Object]) -> &Value {
    &pick(objects, "Job", "lamplighter-session-key")["spec"]["template"]["spec"]
}

/// The objects that come before the release.
fn before(objects: &[Object]) -> Vec<&Object> {
    let is_before =
        |object: &&Object| object.0["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade";
    objects.iter().filter(is_before).collect()
}

fn hooks(helm: &Helm) {
    let objects = helm.objects("generated-key");
    let weights = before(&objects).into_iter().map(|object| {
        let annotations = &object.0["metadata"]["annotations"];
        // There again at the next time, and gone in between.
        assert_eq!(annotations["helm.sh/hook-delete-policy"], "before-hook-creation,hook-succeeded");
        let weight: i32 = annotations["helm.sh/hook-weight"].as_str().unwrap().parse().unwrap();
        (weight, object.kind())
    });
    let mut weights: Vec<_> = weights.collect();
    weights.sort_unstable();
    let kinds = weights.iter().map(|(_, kind)| *kind).collect::<Vec<_>>();
    assert_eq!(kinds, ["Role", "ServiceAccount", "RoleBinding", "Job"]);
    // They need nothing that comes with the release.
    let volumes = job(&objects)["volumes"].as_array().unwrap();
    assert_eq!(volumes.len(), 1);
    let token = json!({"path": "token", "expirationSeconds": 600});
    let sources = sources(job(&objects), "identity");
    assert_eq!((&sources[0]["serviceAccountToken"], sources.len()), (&token, 3));
    // In mode sidecar, where Headlamp's pod finds it.
    let over = "{session: {existingSecret: '', generateKey: true}, uiPods: {namespace: ui}}";
    let objects = helm.objects_with("sidecar", over);
    assert!(before(&objects).iter().all(|object| object.0["metadata"]["namespace"] == "ui"));
    for example in ["gateway", "proxy", "sidecar"] {
        assert!(before(&helm.objects(example)).is_empty(), "{example}: nobody asked for it");
    }
}

fn rights(helm: &Helm) {
    let objects = helm.objects("generated-key");
    let name = "lamplighter-session-key";
    let rules = json!([
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["lamplighter-session"], "verbs": ["get"]},
    ]);
    assert_eq!(pick(&objects, "Role", name)["rules"], rules);
    let binding = pick(&objects, "RoleBinding", name);
    let own = json!([{"kind": "ServiceAccount", "name": name, "namespace": "headlamp"}]);
    assert_eq!((&binding["roleRef"]["name"], &binding["subjects"]), (&json!(name), &own));
    let job = job(&objects);
    assert_eq!(
        (&job["serviceAccountName"], &job["automountServiceAccountToken"]),
        (&json!(name), &json!(false))
    );
    // Nobody else's.
    let others = objects.iter().filter(|object| object.kind() == "RoleBinding" && object.name() != name);
    assert!(others.into_iter().all(|other| other.0["roleRef"]["name"] != name && other.0["subjects"] != own));
}

fn ring(helm: &Helm) {
    let pod = pod(&helm.objects("everything"));
    let mut sources = sources(&pod, "lamplighter").iter();
    let keys = sources.find(|source| source["secret"]["name"] == "keys").unwrap();
    let items = json!([{"key": "new", "path": "session/new"}, {"key": "old", "path": "session/old"}]);
    assert_eq!(keys["secret"]["items"], items);
}
