//! What people are told about a file as a whole.

use super::{LEAST, errors};

#[test]
fn a_file_with_nothing_in_it_is_told_what_to_begin_with() {
    let expected = "\
c.yaml:1: site: is required; set the origin where people open the UI, such as `https://headlamp.example.com`
c.yaml:1: oidc: is required; set the identity provider
c.yaml:1: roles: is required; set who gets which credential, in order: the first role that matches holds, and who \
matches none is refused";
    for text in ["", "\n\n", "# only a comment\n", "---\n", "null\n", "{}\n"] {
        assert_eq!(errors(text), expected, "{text:?}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let text = "\
site: http://headlamp.example.com
oidc:
  isuer: https://auth.example.com/
  clientId: 4711
  clientSecret: one
  clientSecretFile: /two
session: { ttl: 1s }
roles:
  - name: admin
    match: { groups: ['system:masters'], emails: [bob] }
    serviceAccount: headlamp/admin
    tokenTtl: 5m
  - viewer
  - name: admin
    match: { groups: [1, 2] }
    serviceAccount: viewer
    tokenTtl: 1h
ui: headlmp
ui: generic
listen: { public: '8080', trustedProxies: [::/0] }
";
    insta::assert_snapshot!(errors(text), @"
    c.yaml:1: site: must be https: over plain http, sessions and tokens can be read on the way
    c.yaml:2: oidc.issuer: is required; set the provider's issuer URL, exactly as it writes it itself, with or without the last slash
    c.yaml:3: oidc.isuer: unknown key; did you mean `issuer`?
    c.yaml:4: oidc.clientId: must be text, not a number; put it in quotes
    c.yaml:5: oidc.clientSecret: is set beside clientSecretFile; remove one of the two
    c.yaml:7: session.ttl: 1s is out of range; set from 1m to 30d
    c.yaml:10: roles[0].match.groups[0]: `system:masters` begins with `system:`, which a provider must never grant; use another name
    c.yaml:10: roles[0].match.emails[0]: `bob` is no e-mail address; write `someone@example.com`, or `@example.com` for all
    c.yaml:12: roles[0].tokenTtl: 5m is below the API server's minimum of 600s; set 10m or more
    c.yaml:13: roles[1]: must be a mapping of keys to values, not text
    c.yaml:14: roles[2].name: is the name of an earlier role too; choose another
    c.yaml:15: roles[2].match.groups[0]: must be text, not a number; put it in quotes
    c.yaml:15: roles[2].match.groups[1]: must be text, not a number; put it in quotes
    c.yaml:16: roles[2].serviceAccount: `viewer` is no ServiceAccount; write it as `namespace/name`
    c.yaml:18: ui: `headlmp` is no choice here; did you mean `headlamp`?
    c.yaml:19: ui: is set twice, first on line 18; remove one
    c.yaml:20: listen.public: `8080` is no IP address and port; write it as in `0.0.0.0:8080`
    c.yaml:20: listen.trustedProxies[0]: trusts everyone, so that anyone can claim any address; name your proxies' networks
    ");
}

#[test]
fn text_that_is_no_yaml_is_told_with_its_line() {
    let cases = [
        ("site: [a", "c.yaml:1: is no YAML: unclosed bracket '['; look at this line and the one above"),
        (
            "a: 1\nb: c: d\n",
            "c.yaml:2: is no YAML: mapping values are not allowed in this context; look at this line and the one above",
        ),
        (
            "a: 1\n---\nb: 2\n",
            "c.yaml:3: is no YAML: only single YAML document expected but multiple found; look at this line and the one above",
        ),
        (
            "a: 1\nb: *x\n",
            "c.yaml:2: is no YAML: reference to unknown value; look at this line and the one above",
        ),
        (
            "[a]: 1\n",
            "c.yaml: is no YAML: a key must be a plain word, on line 1; look at this line and the one above",
        ),
        ("- a\n", "c.yaml:1: must be a mapping of keys to values, not a list"),
        ("hello\n", "c.yaml:1: must be a mapping of keys to values, not text"),
    ];
    for (text, expected) in cases {
        assert_eq!(errors(text), expected, "{text}");
    }
}

#[test]
fn an_error_can_be_taken_apart() {
    let text = LEAST.replace("15m", "5m");
    let errors = crate::config::Config::parse("c.yaml", &text, []).unwrap_err();
    let [error] = errors.as_slice() else { panic!("{errors}") };
    assert_eq!(error.key(), "roles[0].tokenTtl");
    assert_eq!(error.message(), "5m is below the API server's minimum of 600s; set 10m or more");
}
