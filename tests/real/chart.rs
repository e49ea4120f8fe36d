//! The chart on a cluster, by Helm: installed, upgraded, taken away.

use std::process::Command;

use http::Method;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::Parts;
use crate::cluster::Namespace;
use crate::house::{self, SESSION_KEY};
use crate::in_cluster::{image, wait_for};
use crate::process::Folder;
use crate::rig::Rig;
use crate::visitor::{Ask, Visitor};
use crate::wait;

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts.test("chart::in_mode_gateway_the_ingress_asks_and_people_get_in", gateway),
        parts.test("chart::in_mode_sidecar_people_get_in_through_the_uis_own_pod", sidecar),
        parts.test("chart::a_session_key_that_it_made_is_kept", key),
    ]
}

/// A release in a namespace of its own; what it made in the whole cluster goes with it.
struct Release {
    rig: Rig,
    host: String,
    site: String,
    values: Value,
    folder: Folder,
    namespace: Namespace,
}

impl Release {
    /// Registers the site and makes the Secrets that the values name. Installs nothing yet.
    async fn prepare(rig: &Rig, purpose: &str) -> Self {
        let namespace = Namespace::new(rig, purpose);
        let folder = Folder::new(&format!("{}-chart", namespace.name));
        let host = format!("{}.rig.test", namespace.name);
        let site = format!("https://{host}:{}", rig.https_port());
        let (client_id, secret) = house::register(rig, &rig.providers.plain, &site).await;
        for (name, key, text) in
            [("oidc", "client-secret", secret.as_str()), ("session", "session-key", SESSION_KEY)]
        {
            let file = format!("--from-file={key}={}", folder.write(name, text).display());
            namespace.kubectl(&["create", "secret", "generic", name, &file]);
        }
        // As trust-manager would write it.
        let ca = format!("--from-file=ca.crt={}", rig.ca.display());
        namespace.kubectl(&["create", "configmap", "trust-bundle", &ca]);
        let pair = [&rig.tls_cert, &rig.tls_key].map(|path| path.display().to_string());
        let pair = [format!("--cert={}", pair[0]), format!("--key={}", pair[1])];
        namespace.kubectl(&["create", "secret", "tls", "headlamp-tls", &pair[0], &pair[1]]);
        let values = values(rig, &site, &client_id);
        Self { rig: rig.clone(), host, site, values, folder, namespace }
    }

    /// `helm upgrade --install`, with `over` in place of what the values have there.
    fn install(&self, over: &Value) {
        let mut values = self.values.clone();
        for (key, value) in over.as_object().expect("values are a map") {
            values[key] = value.clone();
        }
        let values = self.folder.write("values.yaml", &values.to_string());
        let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/helm/lamplighter");
        let values = format!("--values={}", values.display());
        self.helm(&["upgrade", "--install", "door", chart, &values]);
    }

    fn helm(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("helm");
        command.env("KUBECONFIG", &self.rig.kubeconfig).arg(format!("--namespace={}", self.namespace.name));
        let output = command.args(arguments).output().expect("helm is on the PATH, by `rig env`");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "helm {}: {said}", arguments.join(" "));
        String::from_utf8(output.stdout).expect("helm writes UTF-8")
    }

    /// The values for Headlamp's own chart, as whoever installs it fetches them.
    fn headlamp_values(&self) -> Value {
        let path = r"-o=jsonpath={.data.values\.yaml}";
        let text = self.namespace.kubectl(&["get", "configmap", "door-lamplighter-headlamp", path]);
        serde_saphyr::from_str(&text).expect("values are YAML")
    }

    /// What the notes say to run, one a line.
    fn commands(&self) -> Vec<String> {
        let notes = self.helm(&["get", "notes", "door"]);
        let (_, commands) = notes.split_once("Whether all is well:").expect("the notes say how to see that");
        commands
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with("kubectl "))
            .map(str::to_owned)
            .collect()
    }

    /// Runs them all.
    fn assert_well(&self) {
        let commands = self.commands();
        assert!(commands.len() >= 3, "{commands:?}");
        for command in commands {
            let words: Vec<_> = command.split_whitespace().skip(1).collect();
            self.namespace.kubectl(&words);
        }
    }

    /// Takes the release away, and looks for what stays.
    fn assert_nothing_is_left(&self) {
        self.helm(&["uninstall", "door", "--wait"]);
        let kinds = "deployments,pods,services,ingresses,configmaps,secrets,serviceaccounts,roles,rolebindings,\
                     networkpolicies,clusterroles,clusterrolebindings";
        let ours = "-l=app.kubernetes.io/instance=door,app.kubernetes.io/managed-by=Helm";
        // Pods finish what they are at.
        wait::until("everything of the release is gone", || {
            let left = self.namespace.kubectl(&["get", kinds, ours, "-o=name"]);
            // Those of the whole cluster may be another test's.
            let is_ours =
                |name: &&str| !name.starts_with("clusterrole") || name.contains(&self.namespace.name);
            (left.lines().filter(is_ours).count() == 0).then_some(())
        });
    }

    /// A visitor, once the ingress leads to the site: while it reloads, its old workers answer too.
    async fn visitor(&self) -> Visitor {
        let mut visitor = Visitor::new(&self.rig, &self.site);
        let mut in_a_row = 0;
        wait::until_async("the ingress leads to the site", async || {
            let page = visitor.follow(Ask::script(Method::GET, "/")).await;
            in_a_row =
                if page.trail == [302, 401] && page.reason() == "no-session" { in_a_row + 1 } else { 0 };
            if in_a_row == 5 { Ok(()) } else { Err(format!("{:?} {}", page.trail, page.body)) }
        })
        .await;
        visitor
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        let mut command = Command::new("helm");
        command.env("KUBECONFIG", &self.rig.kubeconfig).arg(format!("--namespace={}", self.namespace.name));
        let _ = command.args(["uninstall", "door", "--ignore-not-found"]).output();
    }
}

/// One role, whose ServiceAccount the chart makes.
fn values(rig: &Rig, site: &str, client_id: &str) -> Value {
    let image = image();
    let (repository, tag) = image.rsplit_once(':').expect("an image has a tag");
    let proxies: Value = serde_saphyr::from_str(&house::own_addresses(rig)).expect("a list of addresses");
    json!({
        "image": {"repository": repository, "tag": tag, "pullPolicy": "Never"},
        "site": site,
        "oidc": {
            "issuer": rig.providers.plain.issuer,
            "clientId": client_id,
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
        "networkPolicy": {"enabled": true, "ingressFrom": [{"cidr": format!("{}/32", rig.node_address)}]},
    })
}

/// Looks at what a viewer sees, and what is refused to one.
async fn look_around(visitor: &mut Visitor, namespace: &Namespace) {
    let list = visitor.ask(Ask::script(Method::GET, "/clusters/main/api/v1/namespaces")).await;
    assert_eq!(list.status(), 200, "{:?} {}", list.trail, list.body);
    assert!(list.body.contains("kube-system"), "{}", list.body);
    let own = format!("/clusters/main/api/v1/namespaces/{}/configmaps/precious", namespace.name);
    let delete = visitor.ask(Ask::script(Method::DELETE, &own)).await;
    assert_eq!(delete.status(), 403, "{}", delete.body);
    let who = format!("system:serviceaccount:{}:looker", namespace.name);
    assert!(delete.body.contains(&who), "{}", delete.body);
}

async fn gateway(rig: Rig) {
    let release = Release::prepare(&rig, "chart").await;
    let namespace = &release.namespace;
    let ingress = json!({"kind": "ingress-nginx", "ingress": {"tlsSecret": "headlamp-tls"}});
    let over = json!({"mode": "gateway", "replicas": 2, "integration": ingress});
    release.install(&over);
    namespace.wait_for_deployment("door-lamplighter");
    release.helm(&["test", "door"]);

    // The UI, with the Ingress that Headlamp's chart makes of its values.
    namespace.apply(&std::fs::read_to_string(&rig.ui).unwrap());
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
    release.assert_well();

    let mut victor = release.visitor().await;
    let page = victor.sign_in("/lamplighter/whoami", "victor").await;
    assert_eq!((page.status(), page.url.path()), (200, "/lamplighter/whoami"), "{:?}", page.trail);
    look_around(&mut victor, namespace).await;

    // It makes tokens for nobody else, and is still the same one after an upgrade.
    let account = format!("--as=system:serviceaccount:{}:door-lamplighter", namespace.name);
    for stranger in ["serviceaccounts/stranger", "serviceaccounts/door-lamplighter"] {
        let may =
            namespace.try_kubectl(&["auth", "can-i", "create", stranger, "--subresource=token", &account]);
        assert_eq!(String::from_utf8_lossy(&may.stdout).trim(), "no", "{stranger}");
    }
    let pods = || namespace.kubectl(&["get", "pods", "-l=app.kubernetes.io/instance=door", "-o=name"]);
    let before = pods();
    let longer = json!({"ttl": "9h", "existingSecret": "session"});
    let (replicas, integration) = (&over["replicas"], &over["integration"]);
    release.install(
        &json!({"mode": "gateway", "replicas": replicas, "integration": integration, "session": longer}),
    );
    namespace.wait_for_deployment("door-lamplighter");
    assert_ne!(pods(), before, "what changed in the configuration is read by a new pod");
    // Each replica is asked now and then, and knows a session that another began.
    for _ in 0..20 {
        let list = victor.ask(Ask::script(Method::GET, "/clusters/main/api/v1/namespaces")).await;
        assert_eq!(list.status(), 200, "the key is the same: {:?} {}", list.trail, list.body);
    }
    release.assert_nothing_is_left();
}

async fn sidecar(rig: Rig) {
    let release = Release::prepare(&rig, "chart-sidecar").await;
    let namespace = &release.namespace;
    let fallback = json!({"enabled": true, "role": "looker"});
    release.install(&json!({"mode": "sidecar", "upstream": "http://127.0.0.1:4466", "fallback": fallback}));
    namespace.apply(&ui_with(&release.headlamp_values(), &namespace.name));
    namespace.wait_for_deployment("headlamp");
    release.assert_well();

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
}

/// The stand-in for Headlamp, in a pod as Headlamp's chart makes it of `values`.
fn ui_with(values: &Value, namespace: &str) -> String {
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
    let release = Release::prepare(&rig, "chart-key").await;
    let namespace = &release.namespace;
    let key = || {
        let path = r"-o=jsonpath={.data.session-key}";
        namespace.kubectl(&["get", "secret", "door-lamplighter-session", path])
    };
    let made = |ttl: &str| json!({"mode": "gateway", "session": {"generateKey": true, "ttl": ttl}});
    release.install(&made("8h"));
    let first = key();
    assert!(first.len() >= 44, "the key is too short");
    namespace.wait_for_deployment("door-lamplighter");
    for ttl in ["8h", "9h"] {
        release.install(&made(ttl));
        assert!(key() == first, "an upgrade has changed the key");
    }
    release.helm(&["uninstall", "door"]);
    assert!(key() == first, "it went with the release");
    release.install(&made("8h"));
    assert!(key() == first, "another installation has changed the key");
}
