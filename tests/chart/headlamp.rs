//! The values for Headlamp's own chart, in Headlamp's own chart: `HEADLAMP_CHART` names its folder.

use std::path::PathBuf;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::helm::{Folder, Helm, Object, container, headlamp_text, parse, path, pick};
use crate::{Parts, left_out};

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    let names = [
        "headlamp::in_mode_sidecar_its_pod_has_lamplighter_and_no_right_of_its_own",
        "headlamp::in_mode_gateway_its_ingress_asks_lamplighter",
        "headlamp::behind_traefik_its_ingress_names_the_middleware",
        "headlamp::behind_envoy_gateway_its_route_is_the_policys",
        "headlamp::in_every_mode_it_has_no_cluster_admin_and_no_sign_in",
    ];
    let runs = [sidecar, gateway, traefik, envoy_gateway, plain];
    let Ok(chart) = parts.headlamp.clone() else { return names.map(left_out).into() };
    let each = names.into_iter().zip(runs);
    each.map(|(name, run)| {
        let chart = chart.clone();
        parts.test(name, move |helm| run(helm, path(&chart)))
    })
    .collect()
}

/// Headlamp's chart, or the sentence that says what is missing.
#[expect(clippy::disallowed_methods, reason = "a test is told by its environment where Headlamp's chart is")]
pub(crate) fn chart() -> Result<PathBuf, String> {
    let folder = std::env::var_os("HEADLAMP_CHART").ok_or(
        "Headlamp's chart is in no package registry: check out github.com/kubernetes-sigs/headlamp, and name it by HEADLAMP_CHART=…/charts/headlamp",
    )?;
    Ok(PathBuf::from(folder))
}

/// What Headlamp's chart makes of the values that ours prints.
fn rendered(helm: &Helm, chart: &str, example: &str) -> Vec<Object> {
    let folder = Folder::new();
    let values = folder.write("values.yaml", headlamp_text(&helm.objects(example)));
    let arguments = ["template", "headlamp", chart, "--namespace=headlamp", "--values", path(&values)];
    parse(&helm.run(&arguments).unwrap())
}

fn pod(objects: &[Object]) -> Value {
    pick(objects, "Deployment", "headlamp")["spec"]["template"]["spec"].clone()
}

fn plain(helm: &Helm, chart: &str) {
    for example in ["envoy-gateway", "gateway", "proxy", "sidecar", "traefik"] {
        let objects = rendered(helm, chart, example);
        let has = |kind: &str| objects.iter().any(|object| object.kind() == kind);
        assert!(!has("ClusterRoleBinding") && !has("Secret"), "{example}");
        let pod = pod(&objects);
        assert_eq!(pod["automountServiceAccountToken"], false, "{example}");
        let headlamp = &pod["containers"][0];
        let arguments = headlamp["args"].as_array().unwrap();
        assert!(arguments.contains(&json!("-proxy-auth=true")), "{example}: {arguments:?}");
        assert!(arguments.contains(&json!("-in-cluster-context-name=main")), "{example}: {arguments:?}");
        let unwanted = ["-unsafe-use-service-account-token", "-oidc"];
        let is_unwanted =
            |each: &&Value| unwanted.iter().any(|name| each.as_str().unwrap().starts_with(name));
        assert_eq!(arguments.iter().find(is_unwanted), None, "{example}");
        let context = &headlamp["securityContext"];
        assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}), "{example}");
        assert_eq!(context["seccompProfile"], json!({"type": "RuntimeDefault"}), "{example}");
        // Its network policy is for this port, and its Service finds it by this label.
        assert_eq!(headlamp["ports"][0]["containerPort"], 4466, "{example}");
        let labels = &pick(&objects, "Deployment", "headlamp")["spec"]["template"]["metadata"]["labels"];
        assert_eq!(labels["app.kubernetes.io/name"], "headlamp", "{example}");
    }
}

fn sidecar(helm: &Helm, chart: &str) {
    let ours = helm.objects("sidecar");
    let objects = rendered(helm, chart, "sidecar");
    let pod = pod(&objects);
    let lamplighter = container(&pod);
    assert_eq!(lamplighter["restartPolicy"], "Always", "it lives as long as the pod");
    assert_eq!(lamplighter, &crate::helm::headlamp_values(&ours)["initContainers"][0]);
    assert!(objects.iter().all(|object| object.kind() != "ServiceAccount" && object.kind() != "Ingress"));
    assert_eq!(pod["serviceAccountName"], pick(&ours, "ServiceAccount", "lamplighter")["metadata"]["name"]);
    let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
    let names: Vec<_> = mounts.iter().map(|mount| mount["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["headlamp-identity", "headlamp-tmp"], "nothing of lamplighter's");
    let template = &pick(&objects, "Deployment", "headlamp")["spec"]["template"];
    assert_eq!(template["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"], "lamplighter");
    // Our Service and policy find this pod.
    for (key, value) in pick(&ours, "Service", "lamplighter")["spec"]["selector"].as_object().unwrap() {
        assert_eq!(&template["metadata"]["labels"][key], value);
    }
}

fn gateway(helm: &Helm, chart: &str) {
    let objects = rendered(helm, chart, "gateway");
    let ingress = pick(&objects, "Ingress", "headlamp");
    let annotation = |name: &str| {
        ingress["metadata"]["annotations"][format!("nginx.ingress.kubernetes.io/{name}")].clone()
    };
    assert_eq!(
        annotation("auth-url"),
        "http://lamplighter.headlamp.svc.cluster.local:8081/authz/auth-request"
    );
    assert_eq!(
        annotation("auth-signin"),
        "https://headlamp.example.com/lamplighter/login?rd=$escaped_request_uri"
    );
    assert!(annotation("auth-response-headers").as_str().unwrap().starts_with("Authorization, Cookie, "));
    let rule = &ingress["spec"]["rules"][0];
    let backend = &rule["http"]["paths"][0]["backend"]["service"];
    assert_eq!((&rule["host"], &backend["name"]), (&json!("headlamp.example.com"), &json!("headlamp")));
}

fn traefik(helm: &Helm, chart: &str) {
    let objects = rendered(helm, chart, "traefik");
    let ingress = pick(&objects, "Ingress", "headlamp");
    let middleware = &ingress["metadata"]["annotations"]["traefik.ingress.kubernetes.io/router.middlewares"];
    assert_eq!(middleware, "headlamp-lamplighter@kubernetescrd");
    assert_eq!(ingress["spec"]["ingressClassName"], "traefik");
    assert_eq!(ingress["spec"]["tls"][0]["secretName"], "headlamp-tls");
}

fn envoy_gateway(helm: &Helm, chart: &str) {
    let objects = rendered(helm, chart, "envoy-gateway");
    let ours = helm.objects("envoy-gateway");
    let policy = &pick(&ours, "SecurityPolicy", "lamplighter")["spec"];
    let route = policy["targetRefs"][0]["name"].as_str().unwrap();
    let rule = &pick(&objects, "HTTPRoute", route)["spec"]["rules"][0];
    let service = rule["backendRefs"][0]["name"].as_str().unwrap();
    assert_eq!(
        pick(&objects, "Service", service)["spec"]["ports"][0]["port"],
        rule["backendRefs"][0]["port"]
    );
    assert_eq!(rule["timeouts"]["request"], "0s");
}
