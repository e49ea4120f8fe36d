//! What Kubernetes would say of it, as far as its types tell.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod, Service, ServiceAccount, Volume};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, Role, RoleBinding};
use libtest_mimic::Trial;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Parts;
use crate::helm::{Helm, Object, examples, headlamp_values, passing_pods, pick};

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts.test("kubernetes::it_knows_every_field", fields),
        parts.test("kubernetes::nothing_is_null_and_nothing_stands_twice_in_a_list", clean),
        parts.test("kubernetes::names_fit_and_differ_however_long_the_release_s_is", names),
        parts.test("kubernetes::bindings_of_two_roles_are_never_one", bindings),
        parts.test("kubernetes::a_pod_is_where_what_it_mounts_is", places),
        parts.test("kubernetes::names_that_look_like_numbers_stay_names", numbers),
        parts.test("kubernetes::labels_are_the_usual_ones_and_selectors_never_change", labels),
        parts.test("kubernetes::a_release_renders_the_same_twice", twice),
        parts.test("kubernetes::a_change_of_the_configuration_restarts_and_nothing_else_does", checksum),
    ]
}

/// Whether `value` is a `T` and nothing beside: what Kubernetes does not know is lost on the way through its type.
fn is_all<T: DeserializeOwned + Serialize>(value: &Value) -> Result<(), String> {
    let known: T = serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
    let known = serde_json::to_value(known).unwrap();
    if known == *value { Ok(()) } else { Err(format!("knows of\n{value:#}\nonly\n{known:#}")) }
}

fn is_known(object: &Object) -> Result<(), String> {
    let value = &object.0;
    match object.kind() {
        "ClusterRoleBinding" => is_all::<ClusterRoleBinding>(value),
        "ConfigMap" => is_all::<ConfigMap>(value),
        "Deployment" => is_all::<Deployment>(value),
        "HorizontalPodAutoscaler" => is_all::<HorizontalPodAutoscaler>(value),
        "Ingress" => is_all::<Ingress>(value),
        "Job" => is_all::<Job>(value),
        "NetworkPolicy" => is_all::<NetworkPolicy>(value),
        "Pod" => is_all::<Pod>(value),
        "PodDisruptionBudget" => is_all::<PodDisruptionBudget>(value),
        "Role" => is_all::<Role>(value),
        "RoleBinding" => is_all::<RoleBinding>(value),
        "Service" => is_all::<Service>(value),
        "ServiceAccount" => is_all::<ServiceAccount>(value),
        // Of others: Kubernetes itself knows nothing of these.
        "CiliumNetworkPolicy"
        | "ClientTrafficPolicy"
        | "HTTPRoute"
        | "IngressRoute"
        | "Middleware"
        | "PodMonitor"
        | "ReferenceGrant"
        | "SecurityPolicy"
        | "ServiceMonitor" => Ok(()),
        kind => Err(format!("{kind} is not looked at")),
    }
}

fn fields(helm: &Helm) {
    for name in examples() {
        for object in helm.objects(&name) {
            is_known(&object).unwrap_or_else(|said| panic!("{name}: {}: {said}", object.title()));
        }
    }
    let values = headlamp_values(&helm.objects("sidecar"));
    for container in values["initContainers"].as_array().unwrap() {
        is_all::<Container>(container).unwrap();
    }
    for volume in values["volumes"].as_array().unwrap() {
        is_all::<Volume>(volume).unwrap();
    }
}

fn clean(helm: &Helm) {
    for name in examples() {
        let objects = helm.objects(&name);
        for object in &objects {
            look(&object.0, &format!("{name}: {}", object.title()));
        }
        look(&headlamp_values(&objects), &format!("{name}: Headlamp's values"));
    }
}

/// The keys by which server-side apply tells the items of a list apart.
const LIST_KEYS: [&str; 5] = ["name", "containerPort", "mountPath", "port", "topologyKey"];

fn look(value: &Value, at: &str) {
    match value {
        Value::Null => panic!("{at} is null"),
        Value::Object(fields) => fields.iter().for_each(|(key, value)| look(value, &format!("{at}.{key}"))),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                look(item, &format!("{at}[{index}]"));
            }
            // Two protocols share a port, and two places a volume.
            let known =
                items.iter().filter(|item| item.get("protocol").is_none_or(|protocol| protocol == "TCP"));
            for key in LIST_KEYS {
                let named =
                    known.clone().filter(|item| key == "mountPath" || item.get("mountPath").is_none());
                let all: Vec<_> = named.filter_map(|item| item.get(key)).map(Value::to_string).collect();
                let distinct: BTreeSet<_> = all.iter().collect();
                assert_eq!(all.len(), distinct.len(), "{at}: {key} stands twice");
            }
        }
        _ => {}
    }
}

fn names(helm: &Helm) {
    let longest = "a-name-that-is-as-long-as-one-can-be-for-it-has-63-characters-a";
    assert_eq!(longest.len(), 63);
    let over = format!(
        "
        fullnameOverride: {longest}
        nameOverride: {longest}
        fallback: {{enabled: false}}
        roles:
          - name: {longest}
            match: {{everyone: true}}
            serviceAccount: x
            tokenTtl: 10m
            bind: [{{clusterRole: view}}, {{clusterRole: edit}}]
        "
    );
    for name in examples() {
        let objects = helm.objects_with(&name, &over);
        let mut titles = BTreeSet::new();
        for object in &objects {
            assert!(object.name().len() <= 63, "{name}: {}", object.title());
            assert!(titles.insert(object.title()), "{name}: there are two of {}", object.title());
            let labels = object.0["metadata"]["labels"].as_object().unwrap();
            assert!(labels.values().all(|label| label.as_str().unwrap().len() <= 63), "{labels:?}");
        }
        let bindings = objects.iter().filter(|object| object.kind() == "ClusterRoleBinding").count();
        assert_eq!(bindings, 2, "{name}: two long names are two");
    }
}

fn bindings(helm: &Helm) {
    let over = "
        roles:
          - name: a
            match: {groups: [one]}
            serviceAccount: x
            tokenTtl: 10m
            bind: [{clusterRole: b-c}, {clusterRole: 'b:c'}, {clusterRole: b-c}, {clusterRole: role-d, namespaces: [one]},
              {role: d, namespaces: [one]}, {role: d, namespaces: [one, other]}]
          - name: a-b
            match: {groups: [two]}
            serviceAccount: z
            tokenTtl: 10m
            bind: [{clusterRole: c}]
    ";
    let objects = helm.objects_with("gateway", over);
    let bindings = objects.iter().filter(|object| object.kind().ends_with("Binding"));
    let mut bound: Vec<_> = bindings
        .map(|object| {
            let (role, account) = (&object.0["roleRef"], &object.0["subjects"][0]["name"]);
            format!("{} to {} {}", account.as_str().unwrap(), role["kind"].as_str().unwrap(), role["name"])
        })
        .collect();
    bound.sort();
    let once = [
        r#"lamplighter to Role "lamplighter-mint""#,
        r#"x to ClusterRole "b-c""#,
        r#"x to ClusterRole "b:c""#,
        r#"x to ClusterRole "role-d""#,
        r#"x to Role "d""#,
        r#"x to Role "d""#,
        r#"z to ClusterRole "c""#,
    ];
    assert_eq!(bound, once);
    let titles: BTreeSet<_> = objects.iter().map(Object::title).collect();
    assert_eq!(titles.len(), objects.len(), "{titles:?}");
    // In the whole cluster there may be a release `lamplighter-headlamp` in a namespace `x`, too.
    let name = "headlamp:lamplighter-a:b-c";
    assert!(titles.contains(&format!("ClusterRoleBinding -/{name}")), "{titles:?}");
}

/// Where the UI's namespace is another than the release's.
fn places(helm: &Helm) {
    let objects = helm.objects_with("sidecar", "uiPods: {namespace: ui}");
    let config = &pick(&objects, "ConfigMap", "lamplighter")["metadata"]["namespace"];
    assert_eq!(config, "ui");
    for pod in objects.iter().filter(|object| ["Pod", "Job"].contains(&object.kind())) {
        assert_eq!(&pod.0["metadata"]["namespace"], config, "{}", pod.title());
    }
}

fn numbers(helm: &Helm) {
    let over = r#"
        fullnameOverride: "1"
        nameOverride: "1e3"
        imagePullSecrets: ["2"]
        oidc: {clientSecret: {existingSecret: "3", key: "4"}}
        session: {existingSecret: "5", keys: ["6"], generateKey: false}
        store: {redis: {existingSecret: "7", key: "8"}}
        caBundle: {configMap: "9", secret: "", key: "10"}
        apiServer: {caConfigMap: "11", caKey: "12"}
        serviceAccount: {name: "13"}
        roles:
          - name: "14"
            match: {everyone: true}
            serviceAccount: "15/16"
            tokenTtl: 10m
            createServiceAccount: true
            bind: [{role: "17", namespaces: ["18"]}, {clusterRole: "19"}]
        fallback: {enabled: false}
        priorityClassName: "20"
        log: {filter: "21"}
        integration: {ingress: {className: "22", tlsSecret: "23"}}
        uiPods: {namespace: "24", labels: {app: "25"}}
        networkPolicy: {ingressFrom: [{namespace: "26", podLabels: {app: "27"}}]}
    "#;
    let made = over.replace(r#"existingSecret: "5", keys: ["6"], generateKey: false"#, "generateKey: true");
    for (name, over) in examples().iter().map(|name| (name.as_str(), over)).chain([("generated-key", &*made)])
    {
        for object in helm.objects_with(name, over) {
            is_known(&object).unwrap_or_else(|said| panic!("{name}: {}: {said}", object.title()));
        }
    }
}

fn labels(helm: &Helm) {
    for name in examples() {
        let objects = helm.objects(&name);
        for object in &objects {
            let labels = object.0["metadata"]["labels"].as_object().unwrap();
            for key in ["name", "instance", "version", "component", "part-of", "managed-by"] {
                assert!(
                    labels.contains_key(&format!("app.kubernetes.io/{key}")),
                    "{}: {key}",
                    object.title()
                );
            }
            assert_eq!(labels["helm.sh/chart"], concat!("lamplighter-", env!("CARGO_PKG_VERSION")));
        }
        for (title, metadata, _) in passing_pods(&objects) {
            let known = &metadata["labels"]["app.kubernetes.io/name"];
            assert_ne!(known, "lamplighter", "{name}: {title}: a Service would take it for lamplighter");
        }
        for deployment in objects.iter().filter(|object| object.kind() == "Deployment") {
            let selector = &deployment.0["spec"]["selector"]["matchLabels"];
            let usual =
                r#"{"app.kubernetes.io/instance":"lamplighter","app.kubernetes.io/name":"lamplighter"}"#;
            assert_eq!(selector.to_string(), usual, "{name}");
            let pod = deployment.0["spec"]["template"]["metadata"]["labels"].as_object().unwrap();
            for (key, value) in selector.as_object().unwrap() {
                assert_eq!(pod.get(key), Some(value), "{name}: the pod has not {key}");
            }
        }
    }
    // Labels of whoever installs it are beside ours, and never in place of them.
    let over = "{labels: {app.kubernetes.io/name: other, team: a}, podLabels: {app.kubernetes.io/instance: other, b: c}}";
    let objects = helm.objects_with("gateway", over);
    let deployment = objects.iter().find(|object| object.kind() == "Deployment").unwrap();
    let pod = &deployment.0["spec"]["template"]["metadata"]["labels"];
    let said = ["app.kubernetes.io/name", "app.kubernetes.io/instance", "team", "b"]
        .map(|key| pod[key].as_str().unwrap());
    assert_eq!(said, ["lamplighter", "lamplighter", "a", "c"]);
}

fn twice(helm: &Helm) {
    for name in examples() {
        assert_eq!(helm.template(Some(&name), "", &[]), helm.template(Some(&name), "", &[]), "{name}");
    }
}

fn checksum(helm: &Helm) {
    let sum = |over: &str| {
        let objects = helm.objects_with("gateway", over);
        let deployment = objects.iter().find(|object| object.kind() == "Deployment").unwrap().0.clone();
        deployment["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let sidecar = |over: &str| {
        let values = headlamp_values(&helm.objects_with("sidecar", over));
        values["podAnnotations"]["checksum/lamplighter"].as_str().unwrap().to_owned()
    };
    assert_eq!(sum("{}"), sum("{labels: {a: b}, integration: {kind: none}}"));
    assert_ne!(sum("{}"), sum("session: {ttl: 9h}"));
    assert_ne!(sidecar("{}"), sidecar("session: {ttl: 9h}"));
    assert_eq!(sum("{}"), sum("podAnnotations: {checksum/config: mine}"));
}
