//! Mistakes outside of roles, each with what it is answered.

use super::{errors, least_with};

/// What is replaced in the least file, by what, and what is said to it.
type Case = (&'static str, &'static str, &'static str);

#[test]
fn each_has_its_message() {
    for (from, to, expected) in [SITE, OIDC, SESSION, OTHERS].concat() {
        assert_eq!(errors(&least_with(from, to)), expected, "{from} -> {to}");
    }
}

const SITE: &[Case] = &[
    (
        "https://headlamp.example.com",
        "http://headlamp.example.com",
        "c.yaml:1: site: must be https: over plain http, sessions and tokens can be read on the way",
    ),
    ("https://headlamp.example.com", "headlamp.example.com", "c.yaml:1: site: must begin with `https://`"),
    (
        "https://headlamp.example.com",
        "https://headlamp.example.com/ui",
        "c.yaml:1: site: must be an origin alone; remove what follows the host and port",
    ),
    (
        "https://headlamp.example.com",
        "https://headlamp.example.com/?a",
        "c.yaml:1: site: must be an origin alone; remove what follows the host and port",
    ),
    (
        "https://headlamp.example.com",
        "https://me:pw@headlamp.example.com",
        "c.yaml:1: site: has a user name or password in it; remove them",
    ),
    (
        "https://headlamp.example.com",
        "https://a b",
        "c.yaml:1: site: has a space, a backslash or a control character in it; remove it",
    ),
    (
        "https://headlamp.example.com",
        "https://a:99999",
        "c.yaml:1: site: is no URL (invalid port number); correct it",
    ),
    (
        "https://headlamp.example.com",
        "3",
        "c.yaml:1: site: must be a URL, such as `https://headlamp.example.com`, not a number",
    ),
    (
        "site: https://headlamp.example.com\n",
        "",
        "c.yaml:1: site: is required; set the origin where people open the UI, such as `https://headlamp.example.com`",
    ),
];

const OIDC: &[Case] = &[
    (
        "https://auth.example.com/",
        "http://auth.example.com/",
        "c.yaml:3: oidc.issuer: must be https: over plain http, sessions and tokens can be read on the way",
    ),
    (
        "https://auth.example.com/",
        "https://auth.example.com/?tenant=a",
        "c.yaml:3: oidc.issuer: must have no `?` and no `#`; write it as the provider's discovery document does",
    ),
    (
        "clientId: headlamp",
        "clientId: 4711",
        "c.yaml:4: oidc.clientId: must be text, not a number; put it in quotes",
    ),
    ("clientId: headlamp", "clientId: ''", "c.yaml:4: oidc.clientId: is empty; fill it in, or remove it"),
    (
        "clientId: headlamp",
        "clientId: 'a\tb'",
        r"c.yaml:4: oidc.clientId: `a\tb` has white space around it or a control character in it; remove it",
    ),
    (
        "clientId: headlamp",
        "clientId:",
        "c.yaml:4: oidc.clientId: is required; set the client id under which the provider knows this gateway",
    ),
    (
        "clientId: headlamp",
        "clientid: headlamp",
        "c.yaml:2: oidc.clientId: is required; set the client id under which the provider knows this gateway\nc.yaml:4: oidc.clientid: unknown key; did you mean `clientId`?",
    ),
    (
        "clientId: headlamp",
        "clientId: headlamp\n  clientId: other",
        "c.yaml:5: oidc.clientId: is set twice, first on line 4; remove one",
    ),
    (
        "clientId: headlamp",
        "clientId: headlamp\n  preset: keyclock",
        "c.yaml:5: oidc.preset: `keyclock` is no choice here; did you mean `keycloak`?",
    ),
    (
        "clientId: headlamp",
        "clientId: headlamp\n  scopes: [profile]",
        "c.yaml:5: oidc.scopes: must contain `openid`; add it: without it the provider sends no ID token",
    ),
    (
        "clientId: headlamp",
        "clientId: headlamp\n  scopes: openid",
        "c.yaml:5: oidc.scopes: must be a list, not text; put it in `[` and `]`",
    ),
    (
        "clientId: headlamp",
        "clientId: headlamp\n  scopes:\n    - openid\n    - profile email",
        "c.yaml:7: oidc.scopes[1]: `profile email` is no scope; write one scope an item, without spaces",
    ),
    (
        "clientId: headlamp",
        "clientId: headlamp\n  groupsClaim: /a~b",
        "c.yaml:5: oidc.groupsClaim: `/a~b` is no JSON pointer; write `~` as `~0`",
    ),
    (
        "clientId: headlamp",
        "clientId: headlamp\n  signingAlgorithms: []",
        "c.yaml:5: oidc.signingAlgorithms: is empty, so no ID token would pass; remove it or name one",
    ),
    (
        "clientId: headlamp",
        "clientId: headlamp\n  signingAlgorithms: [none]",
        "c.yaml:5: oidc.signingAlgorithms[0]: `none` is no choice here; set `RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES256`, `ES384`, `EdDSA` or `HS256`",
    ),
    (
        "clientId: headlamp",
        "clientId: headlamp\n  signingAlgorithms: [HS256]",
        "c.yaml:5: oidc.signingAlgorithms: HS256 is as strong as the client secret, which must have 32 bytes or more; make a longer one, or remove HS256",
    ),
    (
        "clientId: headlamp",
        "clientId: headlamp\n  userinfo: whenNeeded",
        "c.yaml:5: oidc.userinfo: `whenNeeded` is no choice here; did you mean `when-needed`?",
    ),
    (
        "clientId: headlamp",
        "clientId: headlamp\n  clockSkew: 10m",
        "c.yaml:5: oidc.clockSkew: 10m is out of range; set from 0s to 5m",
    ),
    (
        "clientId: headlamp",
        "clientId: headlamp\n  maxAge: 1 hour",
        "c.yaml:5: oidc.maxAge: `1 hour` is no duration; write it as in `90s`, `15m`, `1h30m` or `2d`",
    ),
    (
        "clientId: headlamp",
        "clientId: headlamp\n  trustedAudiences: ['']",
        "c.yaml:5: oidc.trustedAudiences[0]: is empty; fill it in, or remove it",
    ),
    (
        "clientId: headlamp",
        "clientId: headlamp\n  tokenTtl: 1h",
        "c.yaml:5: oidc.tokenTtl: unknown key; did you mean `roles[].tokenTtl`?",
    ),
];

const SESSION: &[Case] = &[
    (
        "roles:",
        "session: { ttl: 900 }\nroles:",
        "c.yaml:5: session.ttl: must be a duration, such as `8h`, not a number",
    ),
    (
        "roles:",
        "session: { ttl: '900' }\nroles:",
        "c.yaml:5: session.ttl: `900` is no duration; add a unit: `900s`, `900m`, `900h` or `900d`",
    ),
    (
        "roles:",
        "session: { ttl: 31d }\nroles:",
        "c.yaml:5: session.ttl: 31d is out of range; set from 1m to 30d",
    ),
    (
        "roles:",
        "session: { idle: 1h }\nroles:",
        "c.yaml:5: session.idle: unknown key; known here: keyFiles, ttl",
    ),
];

const OTHERS: &[Case] = &[
    ("roles:", "store: { redis: {} }\nroles:", "c.yaml:5: store.redis: has no address; set urlFile"),
    (
        "roles:",
        "store: { redis: { url: \"https://:hunter2@redis\" } }\nroles:",
        "c.yaml:5: store.redis.url: holds no address of a Redis server; write redis://HOST:6379/0, or rediss:// for TLS",
    ),
    (
        "roles:",
        "store: { redis: { url: \"redis://redis\", urlFile: /etc/redis } }\nroles:",
        "c.yaml:5: store.redis.url: is set beside urlFile; remove one of the two",
    ),
    ("roles:", "ui:\nroles:", "c.yaml:5: ui: has no value; set one, or remove the key"),
    (
        "roles:",
        "ui: dashboard\nroles:",
        "c.yaml:5: ui: `dashboard` is no choice here; set `generic`, `headlamp` or `kubernetes-dashboard`",
    ),
    (
        "roles:",
        "kubernetes: { context: a }\nroles:",
        "c.yaml:5: kubernetes.context: is a context of no kubeconfig; set kubeconfig too, or remove it",
    ),
    (
        "roles:",
        "listen: { public: ':8080' }\nroles:",
        "c.yaml:5: listen.public: `:8080` is no IP address and port; write it as in `0.0.0.0:8080`",
    ),
    (
        "roles:",
        "listen: { admin: 'localhost:9' }\nroles:",
        "c.yaml:5: listen.admin: `localhost:9` is no IP address and port; write it as in `0.0.0.0:9`",
    ),
    (
        "roles:",
        "listen: { authz: '127.0.0.1:8080' }\nroles:",
        "c.yaml:5: listen.authz: has the address of listen.public; set another port",
    ),
    (
        "roles:",
        "listen: { trustedProxies: [0.0.0.0/0] }\nroles:",
        "c.yaml:5: listen.trustedProxies[0]: trusts everyone, so that anyone can claim any address; name your proxies' networks",
    ),
    (
        "roles:",
        "listen: { trustedProxies: [10.1.2.3/8] }\nroles:",
        "c.yaml:5: listen.trustedProxies[0]: 10.1.2.3/8 has bits set behind its prefix; write 10.0.0.0/8",
    ),
    (
        "roles:",
        "listen: { trustedProxies: [ingress] }\nroles:",
        "c.yaml:5: listen.trustedProxies[0]: `ingress` is no network; write it as in `10.0.0.0/8`",
    ),
    (
        "roles:",
        "greeting: hello\nroles:",
        "c.yaml:5: greeting: unknown key; known here: basePath, clusters, fallback, kubernetes, listen, oidc, roles, session, site, store, ui, upstream, upstreamCaFile",
    ),
];
