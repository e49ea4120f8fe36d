//! The ingresses that ask before they pass a request on, each in the dialect that lamplighter answers it in.

use lamplighter::edge::Dialect;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::Parts;
use crate::helm::{Helm, Object, headlamp_values, pick};

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts.test("forward_auth::traefik_asks_in_its_own_dialect", traefik),
        parts.test("forward_auth::traefik_takes_from_a_client_what_only_lamplighter_says", replaced),
        parts.test("forward_auth::envoy_gateway_asks_in_its_own_dialect", envoy_gateway),
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
    assert_eq!(
        (&asked["trustForwardHeader"], &asked["preserveLocationHeader"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(asked.get("authRequestHeaders"), None, "the check sees every header");

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

fn replaced(helm: &Helm) {
    let objects = helm.objects("traefik");
    let asked = middleware(&objects);
    let listed = words(&asked["authResponseHeaders"]);
    assert!(SAID.iter().all(|name| listed.iter().any(|listed| listed == name)), "{listed:?}");
    // Go's expressions are those of this crate, as far as this one goes.
    let alike = regex::Regex::new(asked["authResponseHeadersRegex"].as_str().unwrap()).unwrap();
    for name in [
        "Impersonate-User",
        "Impersonate_group",
        "impersonate.extra.scopes",
        "X_Forwarded_User",
        "X.Forwarded-Groups",
        "x-forwarded_id.token",
        "X_Remote_User",
        "X.HEADLAMP.USER.ID",
    ] {
        assert!(alike.is_match(name), "{name}");
    }
    for name in [
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "Accept",
        "X-Impersonate",
        "Ximpersonate-a",
    ] {
        assert!(!alike.is_match(name), "{name}");
    }
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

    let other = helm.objects_with("envoy-gateway", "integration: {gatewayApi: {uiRoute: ui}}");
    assert_eq!(policy(&other)["targetRefs"][0]["name"], "ui");
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
