//! Who reaches what: Services, policies, routes.

use std::collections::BTreeSet;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::Parts;
use crate::helm::{Helm, Object, checkout, container, examples, headlamp_values, pick, pod};

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts.test("network::policies_name_the_ports_of_pods", pod_ports),
        parts.test("network::nobody_but_those_in_front_reaches_the_uis_port", ui_is_closed),
        parts.test("network::cilium_knows_the_provider_and_the_api_server_by_name", cilium),
        parts.test("network::nothing_leads_to_the_listener_that_answers_with_tokens", authz),
        parts.test("network::the_ingress_removes_the_headers_that_the_documentation_names", annotations),
        parts.test("network::routes_lead_to_the_public_port_on_the_sites_host", routes),
        parts.test("network::monitors_find_the_admin_port_alone", monitors),
        parts.test("network::services_lead_to_the_numbers_of_ports_that_lamplighter_has", targets),
    ]
}

/// The numbers at every key `port` and `ports` within.
fn ports(value: &Value, found: &mut BTreeSet<u64>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let number = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
                match number {
                    Some(number) if key == "port" => _ = found.insert(number),
                    _ => ports(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| ports(item, found)),
        _ => {}
    }
}

fn ports_in(value: &Value) -> Vec<u64> {
    let mut found = BTreeSet::new();
    ports(value, &mut found);
    found.into_iter().collect()
}

fn is_policy(object: &Object) -> bool {
    object.kind().ends_with("NetworkPolicy")
}

fn pod_ports(helm: &Helm) {
    for (name, entered, ui) in [
        ("gateway", vec![8080, 8081], 4466),
        ("proxy", vec![8080], 4466),
        ("sidecar", vec![8080], 4466),
        ("everything", vec![8080, 8081, 9090], 8443),
        ("cilium", vec![8080, 9090], 4466),
    ] {
        let objects = helm.objects(name);
        let policy = objects
            .iter()
            .filter(|object| is_policy(object))
            .find(|object| object.name() == "lamplighter")
            .unwrap();
        assert_eq!(ports_in(&policy.0["spec"]["ingress"]), entered, "{name}");
        let pod = pod(&objects);
        let listened = container(&pod)["ports"].as_array().unwrap();
        for port in entered {
            assert!(
                listened.iter().any(|each| each["containerPort"] == port),
                "{name}: nobody listens at {port}"
            );
        }
        let closing = objects
            .iter()
            .filter(|object| is_policy(object))
            .find(|object| object.name() == "lamplighter-ui");
        assert_eq!(
            closing.map(|policy| ports_in(&policy.0["spec"])),
            (name != "sidecar").then(|| vec![ui]),
            "{name}"
        );
    }
    let everything = helm.objects("everything");
    let egress = &pick(&everything, "NetworkPolicy", "lamplighter")["spec"]["egress"];
    assert_eq!(ports_in(egress), [53, 6379, 6443, 8443, 9443]);
}

fn ui_is_closed(helm: &Helm) {
    let own = json!({
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "headlamp"}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/instance": "lamplighter", "app.kubernetes.io/name": "lamplighter"}},
    });
    let controller = json!({
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/component": "controller"}},
    });
    let callers = |name: &str, over: &str| -> Value {
        let objects = helm.objects_with(name, over);
        let spec = pick(&objects, "NetworkPolicy", "lamplighter-ui")["spec"].clone();
        assert_eq!(
            spec["podSelector"]["matchLabels"],
            json!({"app.kubernetes.io/name": "headlamp"}),
            "{name}"
        );
        assert_eq!(spec["policyTypes"], json!(["Ingress"]), "{name}");
        assert_eq!(spec["ingress"].as_array().unwrap().len(), 1, "{name}");
        spec["ingress"][0]["from"].clone()
    };
    assert_eq!(callers("gateway", ""), json!([controller]));
    assert_eq!(callers("proxy", ""), json!([own]));
    let fallback = "fallback: {enabled: true, role: viewer, upstream: 'http://headlamp.headlamp.svc'}";
    assert_eq!(callers("gateway", fallback), json!([controller, own]));
    let open = helm.objects_with("gateway", "networkPolicy: {closeUi: false}");
    assert!(open.iter().filter(|object| is_policy(object)).all(|policy| policy.name() == "lamplighter"));

    // A policy for the UI's pod closes all that it does not name.
    let sidecar = helm.objects("sidecar");
    let spec = &pick(&sidecar, "NetworkPolicy", "lamplighter")["spec"];
    assert_eq!(spec["podSelector"]["matchLabels"], json!({"app.kubernetes.io/name": "headlamp"}));
    assert_eq!(ports_in(&spec["ingress"]), [8080]);
}

fn cilium(helm: &Helm) {
    let objects = helm.objects("cilium");
    let egress = &pick(&objects, "CiliumNetworkPolicy", "lamplighter")["spec"]["egress"];
    assert_eq!(egress[1]["toEntities"], json!(["kube-apiserver"]));
    assert_eq!(egress[2]["toFQDNs"], json!([{"matchName": "auth.example.com"}]));
    assert_eq!(ports_in(&egress[2]), [443]);
    let other = helm.objects_with("cilium", "oidc: {issuer: 'https://id.example.com:9443/realms/main'}");
    let egress = &pick(&other, "CiliumNetworkPolicy", "lamplighter")["spec"]["egress"];
    assert_eq!(
        (&egress[2]["toFQDNs"], ports_in(&egress[2])),
        (&json!([{"matchName": "id.example.com"}]), vec![9443])
    );
    let networks = "networkPolicy: {egress: {apiServerCidrs: [10.0.0.1/32], providerCidrs: [192.0.2.0/24]}}";
    let networks = helm.objects_with("cilium", networks);
    let egress = &pick(&networks, "CiliumNetworkPolicy", "lamplighter")["spec"]["egress"];
    assert_eq!(
        (&egress[1]["toCIDR"], &egress[2]["toCIDR"]),
        (&json!(["10.0.0.1/32"]), &json!(["192.0.2.0/24"]))
    );
    // The one in the UI's pods' place says the same as its plain sister.
    let callers = &pick(&objects, "CiliumNetworkPolicy", "lamplighter-ui")["spec"]["ingress"];
    assert_eq!(callers.as_array().unwrap().len(), 1);
    assert_eq!(callers[0]["fromEndpoints"][0]["matchLabels"]["k8s:io.kubernetes.pod.namespace"], "headlamp");
}

fn authz(helm: &Helm) {
    for name in examples() {
        let objects = helm.objects(&name);
        for service in objects.iter().filter(|object| object.kind() == "Service") {
            assert_eq!(service.0["spec"]["type"], "ClusterIP", "{name}: {}", service.title());
        }
        for route in
            objects.iter().filter(|object| ["Ingress", "HTTPRoute", "IngressRoute"].contains(&object.kind()))
        {
            let said = route.0.to_string();
            assert!(!said.contains("8081") && !said.contains("authz"), "{name}: {}", route.title());
        }
        let config =
            pick(&objects, "ConfigMap", "lamplighter")["data"]["config.yaml"].as_str().unwrap().to_owned();
        let config: Value = serde_saphyr::from_str(&config).unwrap();
        let listens = config["listen"]["authz"].as_str().unwrap();
        let does_ask = ["envoy-gateway", "everything", "gateway", "generated-key", "traefik"];
        let is_asked = does_ask.contains(&name.as_str());
        assert_eq!(listens.starts_with("127.0.0.1:"), !is_asked, "{name}: {listens}");
        let ports = pick(&objects, "Service", "lamplighter")["spec"]["ports"].as_array().unwrap();
        assert_eq!(ports.iter().any(|port| port["port"] == 8081), is_asked, "{name}");
    }
}

fn annotations(helm: &Helm) {
    let key = "nginx.ingress.kubernetes.io/auth-response-headers";
    let documented = std::fs::read_to_string(checkout().join("docs/examples/ingress-nginx.yaml")).unwrap();
    let documented: Vec<Value> = serde_saphyr::from_multiple(&documented).unwrap();
    let documented = documented.iter().find_map(|object| object["metadata"]["annotations"].get(key)).unwrap();
    let values = headlamp_values(&helm.objects("gateway"));
    assert_eq!(&values["ingress"]["annotations"][key], documented);
}

fn routes(helm: &Helm) {
    let nginx = helm.objects("gateway");
    let spec = &pick(&nginx, "Ingress", "lamplighter")["spec"];
    assert_eq!(spec["ingressClassName"], "nginx");
    let backend = json!({"service": {"name": "lamplighter", "port": {"name": "public"}}});
    let paths = json!([{"path": "/lamplighter/", "pathType": "Prefix", "backend": backend}]);
    assert_eq!(spec["rules"], json!([{"host": "headlamp.example.com", "http": {"paths": paths}}]));
    assert_eq!(spec["tls"], json!([{"hosts": ["headlamp.example.com"], "secretName": "headlamp-tls"}]));
    assert_eq!(
        pick(&nginx, "Ingress", "lamplighter")["metadata"].get("annotations"),
        None,
        "nobody is asked here"
    );

    let over = "integration: {kind: ingress-nginx, annotations: {nginx.ingress.kubernetes.io/proxy-read-timeout: '60', a: b}}";
    let proxied = helm.objects_with("proxy", over);
    let ingress = pick(&proxied, "Ingress", "lamplighter");
    assert_eq!(ingress["spec"]["rules"][0]["http"]["paths"][0]["path"], "/");
    let annotation = |name: &str| {
        ingress["metadata"]["annotations"][format!("nginx.ingress.kubernetes.io/{name}")].clone()
    };
    assert_eq!(
        (annotation("proxy-read-timeout"), annotation("proxy-send-timeout")),
        (json!("60"), json!("3600"))
    );
    assert_eq!(annotation("auth-url"), Value::Null, "a proxy is asked by nobody");

    let everything = helm.objects("everything");
    let host = &pick(&everything, "Ingress", "lamplighter")["spec"]["rules"][0]["host"];
    assert_eq!(host, "k8s.example.com", "an Ingress knows no port");

    let http = helm.objects("proxy");
    let spec = &pick(&http, "HTTPRoute", "lamplighter")["spec"];
    assert_eq!(spec["rules"][0]["backendRefs"], json!([{"name": "lamplighter", "port": 8080}]));
    assert_eq!(spec["rules"][0]["timeouts"], json!({"request": "0s"}));
    let other =
        helm.objects_with("proxy", "{basePath: /ui, integration: {gatewayApi: {requestTimeout: ''}}}");
    let rule = &pick(&other, "HTTPRoute", "lamplighter")["spec"]["rules"][0];
    let paths: Vec<_> =
        rule["matches"].as_array().unwrap().iter().map(|each| each["path"]["value"].clone()).collect();
    assert_eq!((paths, rule.get("timeouts")), (vec![json!("/lamplighter/"), json!("/ui")], None));
}

fn monitors(helm: &Helm) {
    let objects = helm.objects("everything");
    let service = pick(&objects, "Service", "lamplighter-metrics");
    let ports = json!([{"name": "admin", "port": 9090, "targetPort": 9090, "protocol": "TCP"}]);
    assert_eq!(service["spec"]["ports"], ports);
    let monitor = &pick(&objects, "ServiceMonitor", "lamplighter")["spec"];
    for (key, value) in monitor["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(&service["metadata"]["labels"][key], value, "{key}");
    }
    // The Service that ingresses lead to is not found by it.
    let public = &pick(&objects, "Service", "lamplighter")["metadata"]["labels"];
    assert_ne!(public["app.kubernetes.io/component"], "metrics");
    assert_eq!(monitor["endpoints"][0]["port"], "admin");

    let over = "monitoring: {podMonitor: true}";
    for name in ["cilium", "sidecar"] {
        let objects = helm.objects_with(name, over);
        let spec = &pick(&objects, "PodMonitor", "lamplighter")["spec"];
        let service = pick(&objects, "Service", "lamplighter");
        assert_eq!(spec["selector"]["matchLabels"], service["spec"]["selector"], "{name}: the same pods");
        assert_eq!(spec["podMetricsEndpoints"][0]["port"], "admin", "{name}");
    }
}

/// Before 1.33, Kubernetes finds no port by its name in a sidecar, which is an init container.
fn targets(helm: &Helm) {
    for name in examples() {
        let objects = helm.objects_with(&name, "monitoring: {serviceMonitor: true, podMonitor: false}");
        let numbers: BTreeSet<_> = container(&pod(&objects))["ports"]
            .as_array()
            .unwrap()
            .iter()
            .map(|port| port["containerPort"].clone().to_string())
            .collect();
        for service in objects.iter().filter(|object| object.kind() == "Service") {
            for port in service.0["spec"]["ports"].as_array().unwrap() {
                let number = port["targetPort"].to_string();
                assert!(numbers.contains(&number), "{name}: {}: {number}", service.title());
            }
        }
    }
}
