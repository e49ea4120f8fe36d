//! Values that cannot be meant, and what is said of each.

use libtest_mimic::Trial;

use crate::Parts;
use crate::helm::{Helm, examples};

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts.test("refusals::what_contradicts_itself_is_named_with_its_remedy", contradictions),
        parts.test("refusals::all_that_is_wrong_is_said_at_once", at_once),
        parts.test("refusals::an_unknown_key_is_named", unknown),
        parts.test("refusals::a_value_of_no_use_is_named", misfits),
        parts.test("refusals::what_the_binary_does_not_answer_is_not_rendered", dialects),
        parts.test("refusals::the_examples_are_not_refused", examples_pass),
    ]
}

/// An example, what is laid over it, and the sentence that it must say.
type Row = (&'static str, &'static str, &'static str);

const CONTRADICTIONS: &[Row] = &[
    ("gateway", "image: {repository: ''}", "image.repository: is not set"),
    ("gateway", "site: ''", "site: is not set; set the origin"),
    (
        "gateway",
        "site: http://headlamp.example.com",
        "site: is plain http outside this machine, where sessions and tokens can be read on the way; set it to https://",
    ),
    ("gateway", "site: http://localhost.example.com", "site: is plain http outside this machine"),
    (
        "gateway",
        "site: https://headlamp.example.com/ui",
        "site: is no origin; write it as in https://headlamp.example.com, and the UI's base path in basePath",
    ),
    ("gateway", "site: headlamp.example.com", "site: is no origin"),
    ("gateway", "oidc: {issuer: ''}", "oidc.issuer: is not set"),
    ("gateway", "oidc: {clientId: ''}", "oidc.clientId: is not set"),
    ("gateway", "roles: []", "roles: is empty, so nobody could sign in; add a role"),
    (
        "gateway",
        "roles: [{name: a, match: {everyone: true}}]",
        "roles[0] (a): names no account; set serviceAccount to namespace/name, or `credential: none`",
    ),
    (
        "gateway",
        "roles: [{name: a, match: {everyone: true}, serviceAccount: x}]",
        "roles[0] (a): has no tokenTtl; set how long a stolen token may work",
    ),
    (
        "gateway",
        "roles: [{name: a, match: {everyone: true}, serviceAccount: x, tokenTtl: 10m, credential: none}]",
        "roles[0] (a): has serviceAccount beside credential; remove one of the two",
    ),
    (
        "gateway",
        "roles: [{name: a, match: {everyone: true}, credential: none, createServiceAccount: true}]",
        "roles[0] (a): has createServiceAccount, bind or tokenTtl beside `credential: none`",
    ),
    (
        "gateway",
        "roles: [{name: a, match: {groups: [b]}, credential: none}, {name: a, match: {everyone: true}, credential: none}]",
        "roles[1] (a): is the name of an earlier role too; choose another",
    ),
    (
        "gateway",
        "roles: [{name: a, match: {everyone: true}, serviceAccount: headlamp/lamplighter, tokenTtl: 10m}]",
        "roles[0] (a): names lamplighter's own ServiceAccount, which makes tokens for everybody; name another",
    ),
    (
        "gateway",
        "roles: [{name: a, match: {everyone: true}, serviceAccount: x, tokenTtl: 10m, bind: [{role: r}]}]",
        "roles[0] (a): binds the role r nowhere; set namespaces",
    ),
    (
        "gateway",
        "roles: [{name: a, match: {everyone: true}, serviceAccount: x, tokenTtl: 10m, bind: [{namespaces: [team]}]}]",
        "roles[0] (a): has a bind without a role or with two; set clusterRole or role",
    ),
    (
        "gateway",
        "upstream: http://headlamp",
        "upstream: makes lamplighter a proxy, which mode: gateway is not; remove it, or set mode: proxy",
    ),
    (
        "proxy",
        "upstream: ''",
        "upstream: is not set, and mode: proxy has to know where the UI is; set it to the UI's Service",
    ),
    (
        "sidecar",
        "upstream: ''",
        "upstream: is not set, and mode: sidecar has to know where the UI is; set it to http://127.0.0.1:4466",
    ),
    (
        "sidecar",
        "upstream: http://headlamp.headlamp.svc",
        "upstream: is outside the pod, where mode: sidecar has the UI beside it; set it to http://127.0.0.1:4466, or set mode: proxy",
    ),
    (
        "sidecar",
        "replicas: 2",
        "replicas: is for a Deployment of lamplighter's own, which mode: sidecar has not",
    ),
    (
        "sidecar",
        "autoscaling: {enabled: true}",
        "autoscaling.enabled: is for a Deployment of lamplighter's own",
    ),
    (
        "sidecar",
        "podDisruptionBudget: {enabled: true}",
        "podDisruptionBudget.enabled: is for a Deployment of lamplighter's own",
    ),
    ("sidecar", "ui: generic", "uiPods.labels: is empty, so the Service of mode: sidecar leads nowhere"),
    (
        "gateway",
        "{replicas: 2, session: {existingSecret: ''}}",
        "replicas: is more than one, and each replica would make a session key of its own, which the others cannot open; set session.existingSecret, or session.generateKey",
    ),
    (
        "gateway",
        "{autoscaling: {enabled: true}, session: {existingSecret: ''}}",
        "autoscaling.maxReplicas: is more than one, and each replica would make a session key of its own",
    ),
    (
        "gateway",
        "autoscaling: {enabled: true, minReplicas: 9}",
        "autoscaling.minReplicas: is more than autoscaling.maxReplicas; lower it",
    ),
    (
        "gateway",
        "session: {generateKey: true}",
        "session.generateKey: is set beside session.existingSecret; remove one of the two",
    ),
    (
        "generated-key",
        "rbac: {create: false}",
        "session.generateKey: needs a Role by which the key is made, and rbac.create is false; make the Secret, and name it",
    ),
    (
        "gateway",
        "session: {keys: []}",
        "session.keys: is empty; name the keys of the Secret lamplighter-session",
    ),
    (
        "gateway",
        "serviceAccount: {create: false}",
        "serviceAccount.name: is not set, and serviceAccount.create is false; name the one that is there",
    ),
    (
        "gateway",
        "caBundle: {configMap: a, secret: b}",
        "caBundle.secret: is set beside caBundle.configMap; remove one of the two",
    ),
    ("sidecar", "session: {existingSecret: ''}", "fallback.enabled: needs a session key that lasts"),
    ("sidecar", "fallback: {role: nobody}", "fallback.role: is nobody, which is no role; name one of roles"),
    (
        "gateway",
        "fallback: {enabled: true, role: viewer}",
        "fallback.upstream: is not set, and nothing else says where the UI is",
    ),
    (
        "gateway",
        "networkPolicy: {ingressFrom: []}",
        "networkPolicy.ingressFrom: is empty, so nobody would reach lamplighter; name the ingress controller's pods",
    ),
    (
        "gateway",
        "ui: generic",
        "uiPods.labels: is empty, so networkPolicy.closeUi would close every pod of its namespace",
    ),
    (
        "gateway",
        "networkPolicy: {ingressFrom: [{entity: ingress}]}",
        "networkPolicy.ingressFrom[0]: names an entity or a host, which only Cilium knows; set networkPolicy.flavor: cilium, or a cidr",
    ),
    (
        "gateway",
        "networkPolicy: {metricsFrom: [{}]}",
        "networkPolicy.metricsFrom[0]: is no one peer; set namespace and podLabels, or cidr, or entity, or fqdn",
    ),
    (
        "gateway",
        "networkPolicy: {egress: {to: [{cidr: 10.0.0.0/8, namespace: a, ports: [1]}]}}",
        "networkPolicy.egress.to[0]: is no one peer",
    ),
    (
        "cilium",
        "networkPolicy: {ingressFrom: [{fqdn: a.example}]}",
        "networkPolicy.ingressFrom[0]: names a host that is to reach lamplighter, which not even Cilium knows; set a cidr",
    ),
    (
        "gateway",
        "monitoring: {serviceMonitor: true, podMonitor: true}",
        "monitoring.podMonitor: is set beside monitoring.serviceMonitor, so that all would be counted twice",
    ),
    (
        "gateway",
        "env: [{name: LAMPLIGHTER_LOG, value: debug}]",
        "env[0]: sets LAMPLIGHTER_LOG, which the chart sets itself; set log.filter",
    ),
    (
        "gateway",
        "env: [{name: LAMPLIGHTER_LOG_FORMAT, value: pretty}]",
        "env[0]: sets LAMPLIGHTER_LOG_FORMAT, which the chart sets itself; set log.format",
    ),
    (
        "gateway",
        "env: [{name: A, value: b}, {name: LAMPLIGHTER_POD_IP, value: '127.0.0.1'}]",
        "env[1]: sets LAMPLIGHTER_POD_IP, which the chart sets itself; remove it",
    ),
    (
        "gateway",
        "env: [{name: A, value: b}, {name: A, value: c}]",
        "env[1]: sets A a second time; remove one of the two",
    ),
    (
        "proxy",
        "integration: {gatewayApi: {parentRefs: []}}",
        "integration.gatewayApi.parentRefs: is empty, so the HTTPRoute would be of no Gateway; name yours",
    ),
    (
        "envoy-gateway",
        "{ui: generic, uiPods: {labels: {app: ui}}}",
        "integration.gatewayApi.uiRoute: is not set, so that the SecurityPolicy would hang on nothing; name the UI's HTTPRoute",
    ),
];

pub(crate) fn contradictions(helm: &Helm) {
    for (example, over, said) in CONTRADICTIONS {
        let refusal = helm.template(Some(example), over, &[]).expect_err(over);
        assert!(
            refusal.contains(&format!("\n  {said}")),
            "{example} with {over} does not say {said:?} but\n{refusal}"
        );
    }
}

pub(crate) fn at_once(helm: &Helm) {
    let refusal = helm.template(None, "{}", &[]).unwrap_err();
    for key in ["image.repository", "site", "oidc.issuer", "oidc.clientId", "roles"] {
        assert!(refusal.contains(&format!("\n  {key}: is ")), "{key}: {refusal}");
    }
}

pub(crate) fn unknown(helm: &Helm) {
    for (over, place, key) in [
        ("oidc: {isuer: x}", "/oidc", "isuer"),
        ("replicaCount: 2", "", "replicaCount"),
        ("roles: [{name: a, match: {group: [x]}, credential: none}]", "/roles/0/match", "group"),
        (
            "networkPolicy: {egress: {to: [{cidr: 10.0.0.0/8, port: 1}]}}",
            "/networkPolicy/egress/to/0",
            "port",
        ),
    ] {
        let refusal = helm.template(Some("gateway"), over, &[]).unwrap_err();
        let said = format!("at '{place}': additional properties '{key}' not allowed");
        assert!(refusal.contains(&said), "{over}: {refusal}");
    }
}

pub(crate) fn misfits(helm: &Helm) {
    for (over, place) in [
        ("mode: library", "/mode"),
        ("integration: {kind: apache}", "/integration/kind"),
        ("session: {ttl: a day}", "/session/ttl"),
        ("replicas: 0", "/replicas"),
        ("session: {ttl: null}", "/session"),
        ("apiServer: {tokenSeconds: 599}", "/apiServer/tokenSeconds"),
        ("session: {keys: ['a/../b']}", "/session/keys/0"),
        // No key of a Secret, and no file's name.
        ("session: {keys: ['..']}", "/session/keys/0"),
        ("caBundle: {key: '..'}", "/caBundle/key"),
        // Two files at one place, two constraints of one sort, two Secrets of one name.
        ("session: {keys: [a, a]}", "/session/keys"),
        ("spread: {topologyKeys: [a, a]}", "/spread/topologyKeys"),
        ("imagePullSecrets: [a, a]", "/imagePullSecrets"),
        ("fullnameOverride: Lamplighter", "/fullnameOverride"),
        ("nameOverride: a.b", "/nameOverride"),
        ("oidc: {clientSecret: a-secret}", "/oidc/clientSecret"),
        ("networkPolicy: {ingressFrom: [{cidr: everywhere}]}", "/networkPolicy/ingressFrom/0/cidr"),
    ] {
        let refusal = helm.template(Some("gateway"), over, &[]).unwrap_err();
        assert!(refusal.contains(&format!("at '{place}'")), "{over}: {refusal}");
    }
}

fn dialects(helm: &Helm) {
    let gateway = "gatewayApi: {parentRefs: [{name: public}]}";
    for (kind, route, does_ask) in [
        ("gateway-api", "HTTPRoute", false),
        ("envoy-gateway", "HTTPRoute", true),
        ("traefik", "IngressRoute", true),
        ("ingress", "Ingress", false),
    ] {
        let over = format!("integration: {{kind: {kind}, {gateway}}}");
        let refusal = helm.template(Some("gateway"), &over, &[]).err().unwrap_or_default();
        assert_eq!(refusal.is_empty(), does_ask, "{refusal}");
        assert_eq!(refusal.contains(&format!("integration.kind: is {kind}, ")), !does_ask, "{refusal}");
        assert_eq!(refusal.contains("use mode: proxy with this kind"), !does_ask, "{refusal}");
        for example in ["proxy", "sidecar"] {
            let objects = helm.objects_with(example, &over);
            assert!(objects.iter().any(|object| object.kind() == route), "{example}, {kind}: no {route}");
        }
    }
}

fn examples_pass(helm: &Helm) {
    for name in examples() {
        helm.template(Some(&name), "", &[]).unwrap();
    }
}
