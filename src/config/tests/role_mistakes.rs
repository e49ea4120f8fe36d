//! Mistakes in roles, each with what it is answered.

use super::{errors, least_with};

/// What is replaced in the least file, by what, and what is said to it.
type Case = (&'static str, &'static str, &'static str);

#[test]
fn each_has_its_message() {
    for (from, to, expected) in ROLES {
        assert_eq!(errors(&least_with(from, to)), *expected, "{from} -> {to}");
    }
}

const ROLES: &[Case] = &[
    (
        "{ groups: [k8s-admins] }",
        "{ groups: , everyone: true }",
        "c.yaml:7: roles[0].match.groups: has no value; set one, or remove the key",
    ),
    (
        "{ groups: [k8s-admins] }",
        "{ groups: [a], claims: { team: ~ } }",
        "c.yaml:7: roles[0].match.claims.team: has no value; set one, or remove the key",
    ),
    (
        "match: { groups: [k8s-admins] }",
        "match:",
        "c.yaml:7: roles[0].match: is required; set whom the role is for",
    ),
    (
        "name: admin",
        "name: Admin",
        "c.yaml:6: roles[0].name: `Admin` is no role name; use `a-z`, `0-9` and `-` between them, at most 63",
    ),
    (
        "{ groups: [k8s-admins] }",
        "{}",
        "c.yaml:7: roles[0].match: has no condition; set groups, emails, subjects or claims, or `everyone: true`",
    ),
    (
        "{ groups: [k8s-admins] }",
        "{ groups: [] }",
        "c.yaml:7: roles[0].match.groups: is empty, so nobody would match; fill it, or remove it",
    ),
    (
        "{ groups: [k8s-admins] }",
        "{ groups: [1] }",
        "c.yaml:7: roles[0].match.groups[0]: must be text, not a number; put it in quotes",
    ),
    (
        "{ groups: [k8s-admins] }",
        "{ group: [a] }",
        "c.yaml:7: roles[0].match.group: unknown key; did you mean `groups`?",
    ),
    (
        "{ groups: [k8s-admins] }",
        "{ groups: ['system:masters'] }",
        "c.yaml:7: roles[0].match.groups[0]: `system:masters` begins with `system:`, which a provider must never grant; use another name",
    ),
    (
        "{ groups: [k8s-admins] }",
        "{ subjects: ['System:admin'] }",
        "c.yaml:7: roles[0].match.subjects[0]: `System:admin` begins with `system:`, which a provider must never grant; use another name",
    ),
    (
        "{ groups: [k8s-admins] }",
        "{ emails: ['a@b@example.com'] }",
        "c.yaml:7: roles[0].match.emails[0]: `a@b@example.com` is no e-mail address; write `someone@example.com`, or `@example.com` for all",
    ),
    (
        "{ groups: [k8s-admins] }",
        "{ everyone: true, groups: [a] }",
        "c.yaml:7: roles[0].match.everyone: makes the other conditions void; remove it or them",
    ),
    (
        "{ groups: [k8s-admins] }",
        "{ everyone: yes }",
        "c.yaml:7: roles[0].match.everyone: must be true or false, not text",
    ),
    (
        "{ groups: [k8s-admins] }",
        "{ everyone: false }",
        "c.yaml:7: roles[0].match.everyone: is false, which says nothing; remove it",
    ),
    (
        "{ groups: [k8s-admins] }",
        "{ claims: {} }",
        "c.yaml:7: roles[0].match.claims: is empty; name a claim, or remove it",
    ),
    (
        "{ groups: [k8s-admins] }",
        "{ claims: { team: red } }",
        "c.yaml:7: roles[0].match.claims.team: must be a list, not text; put it in `[` and `]`",
    ),
    (
        "headlamp/admin",
        "admin",
        "c.yaml:8: roles[0].serviceAccount: `admin` is no ServiceAccount; write it as `namespace/name`",
    ),
    (
        "headlamp/admin",
        "system:serviceaccount:headlamp:admin",
        "c.yaml:8: roles[0].serviceAccount: `system:serviceaccount:headlamp:admin` is a name of Kubernetes' own; write the ServiceAccount as `namespace/name`",
    ),
    (
        "    serviceAccount: headlamp/admin\n    tokenTtl: 15m\n",
        "",
        "c.yaml:6: roles[0]: gives nothing; set serviceAccount, or `credential: none`",
    ),
    (
        "    tokenTtl: 15m\n",
        "",
        "c.yaml:6: roles[0].tokenTtl: is required with serviceAccount; set how long a stolen token may work, such as `15m`",
    ),
    (
        "tokenTtl: 15m",
        "tokenTtl: 5m",
        "c.yaml:9: roles[0].tokenTtl: 5m is below the API server's minimum of 600s; set 10m or more",
    ),
    (
        "tokenTtl: 15m",
        "tokenTtl: 2d",
        "c.yaml:9: roles[0].tokenTtl: 2d is too long for a token that cannot be called back; set 24h or less",
    ),
    (
        "tokenTtl: 15m",
        "tokenTtl: 3607s",
        "c.yaml:9: roles[0].tokenTtl: 3607s is the one lifetime that the API server may stretch to a year; set 1h",
    ),
    (
        "tokenTtl: 15m",
        "tokenTtl: 15",
        "c.yaml:9: roles[0].tokenTtl: must be a duration, such as `15m`, not a number",
    ),
    (
        "tokenTtl: 15m",
        "credential: none",
        "c.yaml:9: roles[0].credential: is set beside serviceAccount; remove one of the two",
    ),
    (
        "serviceAccount: headlamp/admin",
        "credential: none",
        "c.yaml:9: roles[0].tokenTtl: has no effect with `credential: none`; remove it",
    ),
    (
        "serviceAccount: headlamp/admin",
        "credential: idToken",
        "c.yaml:8: roles[0].credential: `idToken` comes in a later version; set serviceAccount, or `credential: none`",
    ),
    (
        "tokenTtl: 15m",
        "tokenTtl: 15m\n    audiences: [' a']",
        "c.yaml:10: roles[0].audiences[0]: ` a` has white space around it or a control character in it; remove it",
    ),
    (
        "tokenTtl: 15m\n",
        "tokenTtl: 15m\n  - { name: admin, match: { groups: [a] }, credential: none }\n",
        "c.yaml:10: roles[1].name: is the name of an earlier role too; choose another",
    ),
    (
        "roles:\n",
        "roles:\n  - { name: all, match: { everyone: true }, credential: none }\n",
        "c.yaml:7: roles[1]: is never reached: roles[0] lets everyone in; move that one to the end",
    ),
];
