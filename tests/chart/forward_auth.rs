//! The ingresses that ask before they pass a request on, each in the dialect that lamplighter answers it in.

use lamplighter::edge::Dialect;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::Parts;
use crate::helm::{Helm, Object, checkout, headlamp_values, pick};

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts.test("forward_auth::traefik_asks_in_its_own_dialect", traefik),
        parts.test("forward_auth::traefik_is_told_what_the_page_about_it_shows", documented),
        parts.test("forward_auth::envoy_gateway_asks_in_its_own_dialect", envoy_gateway),
        parts.test("forward_auth::what_no_route_s_policy_can_name_the_gateway_takes_away", scrubbing),
        parts.test("forward_auth::a_policy_in_another_namespace_is_let_at_the_service", namespaces),
        parts.test("forward_auth::nothing_asks_in_the_other_modes", others),
    ]
}

/// Every header that an answer says, as the product's own description has them.
const SAID: [&str; 6] = [
    "authorization",
    "cookie",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-group",
    "x-forwarded-id-token",
];

fn words(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_ascii_lowercase()).collect()
}

fn middleware(objects: &[Object]) -> &Value {
    &pick(objects, "Middleware", "lamplighter")["spec"]["forwardAuth"]
}

fn traefik(helm: &Helm) {
    let objects = helm.objects("traefik");
    let asked = middleware(&objects);
    let address =
        format!("http://lamplighter.headlamp.svc.cluster.local:8081{}", Dialect::ForwardAuth.path());
    assert_eq!(asked["address"], address);

    let route = pick(&objects, "IngressRoute", "lamplighter");
    assert_eq!(route["spec"]["routes"].as_array().unwrap().len(), 1);
    assert_eq!(
        route["spec"]["routes"][0]["match"],
        "Host(`headlamp.example.com`) && PathPrefix(`/lamplighter/`)"
    );
    assert!(
        !route.to_string().contains("middlewares"),
        "nobody signs in behind the check for being signed in"
    );

    let ui = &headlamp_values(&objects)["ingress"];
    assert_eq!(ui["ingressClassName"], "traefik");
    assert_eq!(
        ui["annotations"]["traefik.ingress.kubernetes.io/router.middlewares"],
        "headlamp-lamplighter@kubernetescrd"
    );
    assert_eq!(ui["tls"], json!([{"hosts": ["headlamp.example.com"], "secretName": "headlamp-tls"}]));
}

fn documented(helm: &Helm) {
    let file = checkout().join("docs/examples/traefik/headlamp.yaml");
    let documented: Value = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let documented = &documented["http"]["middlewares"]["lamplighter"]["forwardAuth"];
    let objects = helm.objects("traefik");
    let mut asked = middleware(&objects).clone();
    asked["address"] = documented["address"].clone();
    assert_eq!(&asked, documented, "what the tests have a real Traefik run");
    assert_eq!(words(&asked["authResponseHeaders"]), SAID);
}

fn policy(objects: &[Object]) -> &Value {
    &pick(objects, "SecurityPolicy", "lamplighter")["spec"]
}

fn envoy_gateway(helm: &Helm) {
    let objects = helm.objects("envoy-gateway");
    let spec = policy(&objects);
    assert_eq!(
        spec["targetRefs"],
        json!([{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "headlamp"}])
    );
    let asked = &spec["extAuth"];
    assert_eq!((&asked["failOpen"], &asked["statusOnError"]), (&json!(false), &json!(502)));
    assert_eq!(asked["http"]["path"], Dialect::ExtAuthz.path());
    let triggers = &asked["http"]["backendSettings"]["retry"]["retryOn"]["triggers"];
    assert_eq!(triggers, &json!(["connect-failure", "reset"]), "and no answer is asked for twice");
    let backend = json!([{"name": "lamplighter", "namespace": "headlamp", "port": 8081}]);
    assert_eq!(asked["http"]["backendRefs"], backend);
    assert_eq!(words(&asked["http"]["headersToBackend"]), SAID);
    let seen = words(&asked["headersToExtAuth"]);
    for name in
        ["cookie", "origin", "sec-fetch-site", "sec-websocket-protocol", "impersonate-user", "upgrade"]
    {
        assert!(seen.iter().any(|seen| seen == name), "{name}");
    }

    let own = &pick(&objects, "HTTPRoute", "lamplighter")["spec"]["rules"];
    assert_eq!(own[0]["matches"], json!([{"path": {"type": "PathPrefix", "value": "/lamplighter/"}}]));
    let ui = &headlamp_values(&objects)["httpRoute"];
    assert_eq!((&ui["enabled"], &ui["hostnames"]), (&json!(true), &json!(["headlamp.example.com"])));
    assert_eq!(ui["rules"][0]["backendRefs"], json!([{"name": "headlamp", "port": 80}]));
    assert_eq!(ui["rules"][0]["timeouts"], json!({"request": "0s"}), "a watch lasts");
    let removed = json!({"remove": ["KUBECONFIG", "X-HEADLAMP-USER-ID"]});
    assert_eq!(ui["rules"][0]["filters"][0]["requestHeaderModifier"], removed, "which no policy takes away");

    let other = helm.objects_with("envoy-gateway", "integration: {gatewayApi: {uiRoute: ui}}");
    assert_eq!(policy(&other)["targetRefs"][0]["name"], "ui");
}

fn scrubbing(helm: &Helm) {
    let off = helm.objects("envoy-gateway");
    assert!(
        off.iter().all(|object| object.kind() != "ClientTrafficPolicy"),
        "the Gateway is somebody else's"
    );

    let parents = "[{name: public, namespace: gateways, sectionName: https}, {name: inner}]";
    let on =
        format!("{{gatewayApi: {{parentRefs: {parents}}}, envoyGateway: {{clientTrafficPolicy: true}}}}");
    let on = helm.objects_with("envoy-gateway", &format!("integration: {on}"));
    let place = |name: &str| {
        let policy = pick(&on, "ClientTrafficPolicy", name);
        (policy["metadata"]["namespace"].clone(), policy["spec"]["targetRefs"][0].clone())
    };
    let gateway = json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "inner"});
    assert_eq!(place("lamplighter-1"), (json!("headlamp"), gateway.clone()));
    let mut public = gateway;
    (public["name"], public["sectionName"]) = (json!("public"), json!("https"));
    assert_eq!(place("lamplighter"), (json!("gateways"), public));

    let removed = &pick(&on, "ClientTrafficPolicy", "lamplighter")["spec"]["headers"]["earlyRequestHeaders"];
    let removed = removed["removeOnMatch"].as_array().unwrap();
    let file = checkout().join("docs/examples/envoy.yaml");
    let documented = std::fs::read_to_string(file).unwrap();
    assert_eq!(removed.len(), documented.matches("remove_on_match").count());
    for pattern in removed {
        let quoted = format!("regex: {}", json!(pattern["value"]));
        assert!(documented.contains(&quoted), "what the tests have a real Envoy run: {quoted}");
    }
}

fn namespaces(helm: &Helm) {
    let apart = helm.objects("envoy-gateway");
    let namespace = |kind: &str| pick(&apart, kind, "lamplighter")["metadata"]["namespace"].clone();
    assert_eq!(
        (namespace("SecurityPolicy"), namespace("ReferenceGrant")),
        (json!("headlamp-ui"), json!("headlamp"))
    );
    let grant = &pick(&apart, "ReferenceGrant", "lamplighter")["spec"];
    assert_eq!(grant["from"][0]["namespace"], "headlamp-ui");
    assert_eq!(grant["to"], json!([{"group": "", "kind": "Service", "name": "lamplighter"}]));

    let together = helm.objects_with("envoy-gateway", "uiPods: {namespace: ''}");
    assert_eq!(pick(&together, "SecurityPolicy", "lamplighter")["metadata"]["namespace"], "headlamp");
    assert!(together.iter().all(|object| object.kind() != "ReferenceGrant"));
}

fn others(helm: &Helm) {
    let gateway = "gatewayApi: {parentRefs: [{name: public}]}";
    for kind in ["traefik", "envoy-gateway"] {
        for example in ["proxy", "sidecar"] {
            let objects = helm.objects_with(example, &format!("integration: {{kind: {kind}, {gateway}}}"));
            let asks = ["Middleware", "SecurityPolicy", "ReferenceGrant"];
            assert!(objects.iter().all(|object| !asks.contains(&object.kind())), "{example}, {kind}");
        }
    }
}
