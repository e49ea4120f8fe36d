//! What the chart gives to whom, and what it keeps to itself.

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::Parts;
use crate::helm::{Helm, container, examples, headlamp_values, passing_pods, pick, pod, sources};

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts.test(
            "least_right::lamplighter_may_make_tokens_for_the_accounts_of_roles_and_nothing_else",
            minting,
        ),
        parts.test("least_right::nothing_is_bound_that_is_not_named", bindings),
        parts.test("least_right::every_pod_keeps_to_restricted_pod_security", restricted),
        parts.test("least_right::the_only_token_in_a_pod_is_lamplighters_for_an_hour", tokens),
        parts.test("least_right::all_that_lamplighter_finds_is_in_one_volume_that_is_renewed", one_volume),
        parts.test("least_right::no_object_holds_a_secret", secrets),
        parts.test("least_right::certificates_come_from_where_they_are_named", certificates),
    ]
}

fn minting(helm: &Helm) {
    for (name, accounts) in [
        ("gateway", json!({"headlamp": ["admin", "viewer"]})),
        ("proxy", json!({"headlamp": ["viewer"]})),
        ("sidecar", json!({"headlamp": ["viewer"]})),
        ("cilium", json!({"headlamp": ["viewer"]})),
        ("everything", json!({"headlamp": ["admin"], "team-a": ["developer"]})),
    ] {
        let objects = helm.objects(name);
        assert!(objects.iter().all(|object| object.kind() != "ClusterRole"), "{name}");
        let minting = objects.iter().filter(|object| object.kind() == "Role");
        let given: serde_json::Map<_, _> = minting
            .map(|role| {
                let rules = role.0["rules"].as_array().unwrap();
                assert_eq!(rules.len(), 1, "{name}: {}", role.title());
                let names = rules[0]["resourceNames"].clone();
                let only = json!({
                    "apiGroups": [""],
                    "resources": ["serviceaccounts/token"],
                    "resourceNames": names,
                    "verbs": ["create"],
                });
                assert_eq!(rules[0], only, "{name}");
                (role.0["metadata"]["namespace"].as_str().unwrap().to_owned(), names)
            })
            .collect();
        assert_eq!(Value::Object(given), accounts, "{name}");

        let pod = pod(&objects);
        let own = pod["serviceAccountName"].as_str().or(pod["serviceAccount"]["name"].as_str()).unwrap();
        for binding in objects.iter().filter(|object| object.0["roleRef"]["name"] == "lamplighter-mint") {
            let subjects = json!([{"kind": "ServiceAccount", "name": own, "namespace": "headlamp"}]);
            assert_eq!(binding.0["subjects"], subjects, "{name}");
        }
        // The pod's own account stands in no other binding.
        let others = objects.iter().filter(|object| object.0["roleRef"]["name"] != "lamplighter-mint");
        for binding in others.filter(|object| object.kind().ends_with("Binding")) {
            assert_ne!(binding.0["subjects"][0]["name"], own, "{name}: {}", binding.title());
        }
    }
    let without = helm.objects_with("gateway", "rbac: {create: false}");
    assert!(without.iter().all(|object| object.kind() != "Role"));
}

fn bindings(helm: &Helm) {
    let bound = |name: &str, over: &str| -> Vec<String> {
        let objects = helm.objects_with(name, over);
        let bindings = objects.iter().filter(|object| object.kind().ends_with("Binding"));
        let others = bindings.filter(|object| object.0["roleRef"]["name"] != "lamplighter-mint");
        let said = others.map(|object| {
            let (to, subject) = (&object.0["roleRef"], &object.0["subjects"][0]);
            let place = object.0["metadata"]["namespace"].as_str().unwrap_or("everywhere");
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            format!(
                "{}/{} is {} {} in {place}",
                text(&subject["namespace"]),
                text(&subject["name"]),
                text(&to["kind"]),
                text(&to["name"])
            )
        });
        said.collect()
    };
    assert_eq!(bound("proxy", ""), Vec::<String>::new());
    assert_eq!(
        bound("gateway", ""),
        [
            "headlamp/viewer is ClusterRole view in everywhere",
            "headlamp/admin is ClusterRole admin in team-a",
            "headlamp/admin is ClusterRole admin in team-b",
        ]
    );
    assert_eq!(
        bound("everything", ""),
        [
            "headlamp/admin is ClusterRole cluster-admin in everywhere",
            "team-a/developer is Role debug in team-a",
            "team-a/developer is ClusterRole edit in team-a",
            "team-a/developer is Role debug in team-b",
        ]
    );
    let shared = "
        roles:
          - {name: a, match: {groups: [one]}, serviceAccount: s, tokenTtl: 10m, createServiceAccount: true}
          - {name: b, match: {groups: [two]}, serviceAccount: s, tokenTtl: 1h, createServiceAccount: true}
    ";
    let objects = helm.objects_with("gateway", shared);
    pick(&objects, "ServiceAccount", "s");
    assert_eq!(pick(&objects, "Role", "lamplighter-mint")["rules"][0]["resourceNames"], json!(["s"]));
}

fn restricted(helm: &Helm) {
    for name in examples() {
        let objects = helm.objects(&name);
        let (pod, values) = (pod(&objects), headlamp_values(&objects));
        assert_restricted(&container(&pod)["securityContext"], &name);
        assert_restricted(&values["securityContext"], &format!("{name}, Headlamp"));
        for (title, _, spec) in passing_pods(&objects) {
            assert_restricted(&spec["containers"][0]["securityContext"], &format!("{name}, {title}"));
            assert_eq!(spec["automountServiceAccountToken"], false, "{name}, {title}");
        }
        for key in ["hostNetwork", "hostPID", "hostIPC"] {
            assert_eq!(pod.get(key), None, "{name}: {key}");
        }
        for volume in pod["volumes"].as_array().unwrap() {
            assert!(volume["projected"].is_object(), "{name}: {volume}");
        }
    }
    let usual = helm.objects("gateway");
    assert_eq!(container(&pod(&usual))["securityContext"]["runAsUser"], 65532);
    // OpenShift gives each namespace users of its own.
    let chosen = helm.objects_with("gateway", "{runAsUser: 0, runAsGroup: 0}");
    let context = container(&pod(&chosen))["securityContext"].clone();
    assert_eq!((context.get("runAsUser"), context.get("runAsGroup")), (None, None));
    assert_restricted(&context, "the cluster's user");
}

fn assert_restricted(context: &Value, of: &str) {
    assert_eq!(context["allowPrivilegeEscalation"], false, "{of}");
    assert_eq!(context["readOnlyRootFilesystem"], true, "{of}");
    assert_eq!(context["runAsNonRoot"], true, "{of}");
    assert_eq!(context["privileged"], false, "{of}");
    assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}), "{of}");
    assert_eq!(context["seccompProfile"], json!({"type": "RuntimeDefault"}), "{of}");
    assert_ne!(context["runAsUser"], 0, "{of}");
}

fn tokens(helm: &Helm) {
    for name in examples() {
        let objects = helm.objects(&name);
        for account in objects.iter().filter(|object| object.kind() == "ServiceAccount") {
            assert_eq!(account.0["automountServiceAccountToken"], false, "{name}: {}", account.title());
        }
        let (pod, values) = (pod(&objects), headlamp_values(&objects));
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
        assert_eq!(values["automountServiceAccountToken"], false, "{name}");
        // Headlamp's own container sees a token that the API server refuses.
        assert_eq!(values["volumeMounts"].as_array().unwrap().len(), 1, "{name}");
        assert_eq!(values["volumeMounts"][0]["name"], "headlamp-identity", "{name}");
        assert_eq!(token_in(&values, "headlamp-identity")["audience"], "headlamp-has-no-rights", "{name}");
    }
    let token = |over: &str| token_in(&pod(&helm.objects_with("gateway", over)), "lamplighter");
    assert_eq!(token("{}"), json!({"path": "token", "expirationSeconds": 3600}));
    assert_eq!(token("apiServer: {tokenSeconds: 600}"), json!({"path": "token", "expirationSeconds": 600}));
}

fn token_in(pod: &Value, volume: &str) -> Value {
    sources(pod, volume)[0]["serviceAccountToken"].clone()
}

fn one_volume(helm: &Helm) {
    for name in examples() {
        let objects = helm.objects(&name);
        let pod = pod(&objects);
        let mounts = json!([
            {"name": "lamplighter", "mountPath": "/etc/lamplighter", "readOnly": true},
            {"name": "lamplighter", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": true},
        ]);
        // What a subPath leads to is never renewed.
        assert_eq!(container(&pod)["volumeMounts"], mounts, "{name}");
        let mut paths: Vec<_> = sources(&pod, "lamplighter").iter().flat_map(paths_of).collect();
        let count = paths.len();
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), count, "{name}: two are at one path: {paths:?}");
        for file in ["ca.crt", "config.yaml", "namespace", "token"] {
            assert!(paths.contains(&file.to_owned()), "{name}: {file}");
        }
    }
}

/// Where the files of a projected volume's source are.
fn paths_of(source: &Value) -> Vec<String> {
    let (_, source) = source.as_object().unwrap().iter().next().unwrap();
    let token = std::slice::from_ref(source);
    let items = source["items"].as_array().map_or(token, Vec::as_slice);
    items.iter().map(|item| item["path"].as_str().unwrap().to_owned()).collect()
}

fn secrets(helm: &Helm) {
    for name in examples() {
        let objects = helm.objects(&name);
        assert!(objects.iter().all(|object| object.kind() != "Secret"), "{name}");
        let config =
            pick(&objects, "ConfigMap", "lamplighter")["data"]["config.yaml"].as_str().unwrap().to_owned();
        let config: Value = serde_saphyr::from_str(&config).unwrap();
        assert_eq!(config["oidc"].get("clientSecret"), None, "{name}");
        assert_eq!(config["store"]["redis"].get("url"), None, "{name}");
    }
}

fn certificates(helm: &Helm) {
    let config = |over: &str| -> Value {
        let objects = helm.objects_with("cilium", over);
        serde_saphyr::from_str(
            pick(&objects, "ConfigMap", "lamplighter")["data"]["config.yaml"].as_str().unwrap(),
        )
        .unwrap()
    };
    let ca = json!("/etc/lamplighter/trusted-ca.crt");
    let named = config("{}");
    assert_eq!((&named["oidc"]["caFile"], &named["upstreamCaFile"]), (&ca, &ca));
    let plain = config("upstream: http://headlamp.headlamp.svc");
    assert_eq!((&plain["oidc"]["caFile"], plain.get("upstreamCaFile")), (&ca, None));
    let none = config("caBundle: {secret: ''}");
    assert_eq!((none["oidc"].get("caFile"), none.get("upstreamCaFile")), (None, None));

    let pod = pod(&helm.objects("everything"));
    let sources = sources(&pod, "lamplighter");
    let from = |name: &str| sources.iter().find(|source| source["configMap"]["name"] == name).unwrap();
    let cluster = json!([{"key": "ca.pem", "path": "ca.crt"}]);
    assert_eq!(from("cluster-ca")["configMap"]["items"], cluster);
    let trusted = json!([{"key": "trust-bundle.pem", "path": "trusted-ca.crt"}]);
    assert_eq!(from("trust-bundle")["configMap"]["items"], trusted);
}
