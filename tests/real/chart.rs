//! The chart on a cluster, by Helm: installed, upgraded, taken away.

use http::Method;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::Parts;
use crate::browser::play;
use crate::cluster::Namespace;
use crate::house::{self, SESSION_KEY};
use crate::in_cluster::wait_for;
use crate::release::{Release, image_values};
use crate::rig::Rig;
use crate::rights::assert_only_mints;
use crate::visitor::{Ask, Visitor};

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts.test("chart::in_mode_gateway_the_ingress_asks_and_people_get_in", gateway),
        parts.test("chart::in_mode_sidecar_people_get_in_through_the_uis_own_pod", sidecar),
        parts.test("chart::a_session_key_that_it_made_is_kept_and_people_stay_signed_in", key),
    ]
}

/// A release with the Secrets that `values` names.
pub(crate) async fn prepare(rig: &Rig, purpose: &str) -> Release {
    prepare_at(rig, purpose, rig.https_port()).await
}

/// The same, for a site at another port than that of the rig's own ingress.
pub(crate) async fn prepare_at(rig: &Rig, purpose: &str, port: u16) -> Release {
    let release = Release::prepare_at(rig, purpose, "door", &rig.providers.plain, port).await;
    let (_, secret) = &release.client;
    for (name, key, text) in
        [("oidc", "client-secret", secret.as_str()), ("session", "session-key", SESSION_KEY)]
    {
        let file = format!("--from-file={key}={}", release.folder.write(name, text).display());
        release.namespace.kubectl(&["create", "secret", "generic", name, &file]);
    }
    let pair = [&rig.tls_cert, &rig.tls_key].map(|path| path.display().to_string());
    let pair = [format!("--cert={}", pair[0]), format!("--key={}", pair[1])];
    release.namespace.kubectl(&["create", "secret", "tls", "headlamp-tls", &pair[0], &pair[1]]);
    release
}

/// One role, whose ServiceAccount the chart makes; with `over` in place of what the values have there.
pub(crate) fn values(release: &Release, over: &Value) -> Value {
    let rig = &release.rig;
    let proxies: Value = serde_saphyr::from_str(&house::own_addresses(rig)).expect("a list of addresses");
    let mut values = json!({
        "image": image_values(),
        "site": release.site,
        "oidc": {
            "issuer": rig.providers.plain.issuer,
            "clientId": release.client.0,
            "clientSecret": {"existingSecret": "oidc"},
        },
        "session": {"existingSecret": "session"},
        "caBundle": {"configMap": "trust-bundle"},
        "listen": {"trustedProxies": proxies},
        "roles": [{
            "name": "looker", "match": {"groups": ["k8s-viewers"]},
            "serviceAccount": "looker", "tokenTtl": "10m",
            "createServiceAccount": true, "bind": [{"clusterRole": "view"}],
        }],
        "networkPolicy": {
            "enabled": true,
            "ingressFrom": [{"cidr": format!("{}/32", rig.node_address)}],
            "egress": {"apiServerPorts": [rig.api_server_port()]},
        },
    });
    for (key, value) in over.as_object().expect("values are a map") {
        values[key] = value.clone();
    }
    values
}

/// Looks at what a viewer sees, and what is refused to one.
pub(crate) async fn look_around(visitor: &mut Visitor, namespace: &Namespace) {
    let list = visitor.read("/clusters/main/api/v1/namespaces").await;
    assert_eq!(list.status(), 200, "{:?} {}", list.trail, list.body);
    assert!(list.body.contains("kube-system"), "{}", list.body);
    let own = format!("/clusters/main/api/v1/namespaces/{}/configmaps/precious", namespace.name);
    let delete = visitor.ask(Ask::script(Method::DELETE, &own)).await;
    assert_eq!(delete.status(), 403, "{}", delete.body);
    let who = format!("system:serviceaccount:{}:looker", namespace.name);
    assert!(delete.body.contains(&who), "{}", delete.body);
}

/// The UI, with the Ingress that Headlamp's chart makes of its values.
pub(crate) fn run_ui_behind_ingress(release: &Release) {
    let namespace = &release.namespace;
    namespace.apply(&std::fs::read_to_string(&release.rig.ui).unwrap());
    let ui = &release.headlamp_values()["ingress"];
    let backend = json!({"service": {"name": "headlamp", "port": {"number": 80}}});
    let paths =
        json!([{"path": ui["hosts"][0]["paths"][0]["path"], "pathType": "Prefix", "backend": backend}]);
    assert_eq!(ui["hosts"][0]["host"], release.host);
    namespace.apply(
        &json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"name": "headlamp", "namespace": namespace.name, "annotations": ui["annotations"]},
            "spec": {
                "ingressClassName": ui["ingressClassName"], "tls": ui["tls"],
                "rules": [{"host": ui["hosts"][0]["host"], "http": {"paths": paths}}],
            },
        })
        .to_string(),
    );
    namespace.wait_for_deployment("headlamp");
}

async fn gateway(rig: Rig) {
    let release = prepare(&rig, "chart").await;
    let namespace = &release.namespace;
    let ingress = json!({"kind": "ingress-nginx", "ingress": {"tlsSecret": "headlamp-tls"}});
    let over = |ttl: &str| {
        let session = json!({"ttl": ttl, "existingSecret": "session"});
        values(
            &release,
            &json!({"mode": "gateway", "replicas": 2, "integration": ingress, "session": session}),
        )
    };
    release.install(&over("8h"));
    namespace.wait_for_deployment("door-lamplighter");
    run_ui_behind_ingress(&release);
    release.assert_well();
    assert_only_mints(&rig, namespace, "door-lamplighter", &["looker"]).await;

    let mut victor = release.visitor(&[302, 401]).await;
    let page = victor.sign_in("/lamplighter/whoami", "victor").await;
    assert_eq!((page.status(), page.url.path()), (200, "/lamplighter/whoami"), "{:?}", page.trail);
    look_around(&mut victor, namespace).await;
    play(&rig, "chart.mjs", &release.site, &[("namespace", &namespace.name)]);

    let pods = || namespace.kubectl(&["get", "pods", "-l=app.kubernetes.io/instance=door", "-o=name"]);
    let before = pods();
    release.install(&over("9h"));
    namespace.wait_for_deployment("door-lamplighter");
    assert_ne!(pods(), before, "what changed in the configuration is read by a new pod");
    // Each replica is asked now and then, and knows a session that another began.
    for _ in 0..20 {
        let list = victor.read("/clusters/main/api/v1/namespaces").await;
        assert_eq!(list.status(), 200, "the key is the same: {:?} {}", list.trail, list.body);
    }
    release.assert_leaves_nothing().await;
}

async fn sidecar(rig: Rig) {
    let release = prepare(&rig, "chart-sidecar").await;
    let namespace = &release.namespace;
    let fallback = json!({"enabled": true, "role": "looker"});
    let install = |ttl: &str| {
        let session = json!({"existingSecret": "session", "ttl": ttl});
        let over = json!({
            "mode": "sidecar", "upstream": "http://127.0.0.1:4466", "fallback": fallback, "session": session,
        });
        release.install(&values(&release, &over));
        namespace.apply(&ui_with(&release.headlamp_values(), &namespace.name));
        namespace.wait_for_deployment("headlamp");
    };
    install("8h");
    release.assert_well();
    assert_only_mints(&rig, namespace, "door-lamplighter", &["looker"]).await;

    let address = namespace.kubectl(&["get", "service", "door-lamplighter", "-o=jsonpath={.spec.clusterIP}"]);
    wait_for(&format!("http://{address}:8080/lamplighter/whoami")).await;
    let mut victor = Visitor::new(&rig, &release.site).directly_at(&format!("http://{address}:8080"));
    let list = victor.sign_in("/clusters/main/api/v1/namespaces", "victor").await;
    assert_eq!(list.status(), 200, "{:?} {}", list.trail, list.body);
    look_around(&mut victor, namespace).await;

    // The command that the fallback's page shows, which names no container.
    let code = namespace.kubectl(&["exec", "deploy/headlamp", "--", "lamplighter", "fallback", "code"]);
    assert!(code.trim().len() >= 16, "{code:?}");
    // The token that the UI's own container finds opens nothing.
    let whoami = ["exec", "deploy/headlamp", "-c", "headlamp", "--", "/bin/kubectl", "auth", "whoami"];
    let answer = namespace.try_kubectl(&whoami);
    let said = String::from_utf8_lossy(&answer.stderr).into_owned();
    assert!(!answer.status.success() && said.contains("Unauthorized"), "{said}");

    let pods = || namespace.kubectl(&["get", "pods", "-l=app.kubernetes.io/name=headlamp", "-o=name"]);
    let before = pods();
    install("9h");
    assert_ne!(pods(), before, "what changed in the configuration is read by a new pod");
    release.assert_still_in(&mut victor).await;
    release.assert_leaves_nothing().await;
}

/// The stand-in for Headlamp, in a pod as Headlamp's chart makes it of `values`.
pub(crate) fn ui_with(values: &Value, namespace: &str) -> String {
    let labels = json!({"app.kubernetes.io/name": "headlamp"});
    let cluster = json!({
        "server": "https://kubernetes.default.svc",
        "certificate-authority": "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
    });
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "main",
        "clusters": [{"name": "main", "cluster": cluster}],
        "contexts": [{"name": "main", "context": {"cluster": "main", "user": ""}}],
    });
    let config = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "headlamp", "namespace": namespace},
        "data": {"kubeconfig": kubeconfig.to_string()},
    });
    let mut mounts = values["volumeMounts"].as_array().unwrap().clone();
    mounts.push(json!({"name": "kubeconfig", "mountPath": "/kubeconfig", "readOnly": true}));
    let mut volumes = values["volumes"].as_array().unwrap().clone();
    volumes.push(json!({"name": "kubeconfig", "configMap": {"name": "headlamp"}}));
    let container = json!({
        "name": "headlamp", "image": "rig.local/kubectl:1", "imagePullPolicy": "Never",
        "args": [
            "proxy", "--kubeconfig=/kubeconfig/kubeconfig", "--address=0.0.0.0", "--port=4466", "--token=none",
            "--api-prefix=/clusters/main/", "--accept-hosts=.*", "--reject-paths=^/never$",
        ],
        "volumeMounts": mounts, "securityContext": values["securityContext"],
    });
    let pod = json!({
        "metadata": {"labels": labels, "annotations": values["podAnnotations"]},
        "spec": {
            "serviceAccountName": values["serviceAccount"]["name"],
            "automountServiceAccountToken": values["automountServiceAccountToken"],
            "initContainers": values["initContainers"], "containers": [container], "volumes": volumes,
        },
    });
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "headlamp", "namespace": namespace},
        "spec": {"selector": {"matchLabels": labels}, "template": pod},
    });
    json!({"apiVersion": "v1", "kind": "List", "items": [config, deployment]}).to_string()
}

async fn key(rig: Rig) {
    let release = prepare(&rig, "chart-key").await;
    let namespace = &release.namespace;
    let key = || {
        let path = r"-o=jsonpath={.data.session-key}";
        namespace.kubectl(&["get", "secret", "door-lamplighter-session", path])
    };
    let made = |ttl: &str| {
        values(&release, &json!({"mode": "gateway", "session": {"generateKey": true, "ttl": ttl}}))
    };
    let mut victor = Visitor::new(&rig, &release.site);
    release.install(&made("8h"));
    let first = key();
    assert!(first.len() >= 44, "the key is too short");
    let left = namespace.kubectl(&["get", "jobs,pods,serviceaccounts,roles,rolebindings", "-o=name"]);
    assert!(!left.contains("session-key"), "what made the key is gone: {left}");
    victor = victor.directly_at(&address_of(&release).await);
    victor.sign_in("/lamplighter/login?rd=%2Flamplighter%2Fwhoami", "victor").await;
    assert_signed_in(&mut victor).await;

    for ttl in ["8h", "9h"] {
        release.install(&made(ttl));
        assert!(key() == first, "an upgrade has changed the key");
        address_of(&release).await;
        assert_signed_in(&mut victor).await;
    }
    release.helm(&["uninstall", "door", "--wait"]);
    assert!(key() == first, "it went with the release");
    release.install(&made("9h"));
    assert!(key() == first, "another installation has changed the key");
    victor = victor.directly_at(&address_of(&release).await);
    assert_signed_in(&mut victor).await;

    // Who renders without the cluster, as Argo CD does, runs the hooks before each sync.
    for _ in 0..2 {
        run_hooks(&release, &release.template(&made("9h")));
        assert!(key() == first, "a sync has changed the key");
    }
    namespace.kubectl(&["delete", "secret", "door-lamplighter-session"]);
    run_hooks(&release, &release.template(&made("9h")));
    assert!(key() != first, "a sync makes the key where there is none");
}

/// Where lamplighter answers, once it does.
pub(crate) async fn address_of(release: &Release) -> String {
    release.namespace.wait_for_deployment("door-lamplighter");
    let path = "-o=jsonpath={.spec.clusterIP}";
    let address = release.namespace.kubectl(&["get", "service", "door-lamplighter", path]);
    wait_for(&format!("http://{address}:8080/lamplighter/whoami")).await;
    format!("http://{address}:8080")
}

pub(crate) async fn assert_signed_in(visitor: &mut Visitor) {
    let page = visitor.ask(Ask::page("/lamplighter/whoami")).await;
    assert_eq!(page.status(), 200, "{}", page.body);
    assert!(page.body.contains("You are signed in"), "{}", page.body);
}

/// Runs what is to come before a release, and takes it away.
fn run_hooks(release: &Release, manifests: &str) {
    let documents: Vec<Value> = serde_saphyr::from_multiple(manifests).expect("manifests are YAML");
    assert!(documents.iter().all(|document| document["kind"] != "Secret"), "a rendering holds no secret");
    let hook =
        |document: &Value| document["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade";
    let hooks: Vec<Value> = documents.into_iter().filter(hook).collect();
    assert_eq!(hooks.len(), 4);
    release.namespace.apply(&json!({"apiVersion": "v1", "kind": "List", "items": hooks}).to_string());
    let name = "door-lamplighter-session-key";
    let wait = ["wait", "--for=condition=Complete", "--timeout=60s"];
    release.namespace.kubectl(&[&wait[..], &[&format!("job/{name}")]].concat());
    for kind in ["job", "rolebinding", "role", "serviceaccount"] {
        release.namespace.kubectl(&["delete", kind, name]);
    }
}
