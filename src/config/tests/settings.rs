//! What a good file becomes.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{LEAST, TempFile, least_with, parse};
use crate::config::{
    Conditions, Credential, EmailPattern, Match, Preset, SigningAlgorithm, Ui, UserInfo, reference,
    reference::EXAMPLE,
};
use crate::idp;

#[test]
fn the_least_file_has_safe_defaults() {
    let config = parse(LEAST);
    assert_eq!(config.site.as_str(), "https://headlamp.example.com/");
    assert_eq!(config.oidc.issuer, "https://auth.example.com/");
    assert_eq!(config.oidc.preset, Preset::Generic);
    assert!(config.oidc.client_secret.is_none());
    assert_eq!(config.oidc.scopes, ["openid", "profile", "email", "groups"]);
    assert_eq!(config.oidc.groups_claim, "groups");
    assert_eq!(config.oidc.name_claim, "preferred_username");
    assert!(!config.oidc.signing_algorithms.contains(&SigningAlgorithm::HS256));
    assert!(config.oidc.trusted_audiences.is_empty());
    assert_eq!(config.oidc.userinfo, UserInfo::WhenNeeded);
    assert_eq!(config.oidc.clock_skew, Duration::from_secs(30));
    assert_eq!(config.oidc.max_age, None);
    assert_eq!(config.session.ttl, Duration::from_hours(8));
    assert!(config.session.key_files.is_empty());
    assert_eq!(config.ui, Ui::Headlamp);
    assert_eq!(config.kubernetes.kubeconfig, None);
    assert_eq!(config.listen.public.to_string(), "0.0.0.0:8080");
    assert_eq!(config.listen.authz.to_string(), "0.0.0.0:8081");
    assert_eq!(config.listen.admin.to_string(), "0.0.0.0:9090");
    assert_eq!(config.listen.trusted_proxies.len(), 9);
}

#[test]
fn a_role_is_who_and_what() {
    let config = parse(LEAST);
    let [role] = config.roles.as_slice() else { panic!("one role") };
    let conditions = Conditions { groups: vec!["k8s-admins".to_owned()], ..Conditions::default() };
    assert_eq!(role.name, "admin");
    assert_eq!(role.matching, Match::Conditions(conditions));
    let Credential::ServiceAccount { account, token_ttl, audiences } = &role.credential else {
        panic!("a ServiceAccount")
    };
    assert_eq!(account.to_string(), "headlamp/admin");
    assert_eq!(*token_ttl, Duration::from_mins(15));
    assert!(audiences.is_empty());
}

#[test]
fn every_condition_is_read() {
    let text = least_with(
        "{ groups: [k8s-admins] }",
        "{ groups: [a], emails: [Bob@Example.com, '@example.org'], subjects: [s], claims: { team: [red, blue] } }",
    );
    let Match::Conditions(conditions) = &parse(&text).roles[0].matching else { panic!("conditions") };
    assert_eq!(
        conditions.emails,
        [EmailPattern::Address("bob@example.com".to_owned()), EmailPattern::Domain("example.org".to_owned())]
    );
    assert_eq!(conditions.subjects, ["s"]);
    assert_eq!(conditions.claims["team"], ["red", "blue"]);
}

#[test]
fn everyone_is_said_in_so_many_words() {
    let text = least_with("{ groups: [k8s-admins] }", "{ everyone: true }");
    assert_eq!(parse(&text).roles[0].matching, Match::Everyone);
}

#[test]
fn a_role_may_give_headers_alone() {
    let text = least_with("serviceAccount: headlamp/admin\n    tokenTtl: 15m", "credential: none");
    assert_eq!(parse(&text).roles[0].credential, Credential::None);
}

#[test]
fn authentik_sends_groups_unasked() {
    let config = parse(&least_with("clientId", "preset: authentik\n  clientId"));
    assert_eq!(config.oidc.scopes, ["openid", "profile", "email"]);
}

#[test]
fn a_preset_stands_for_its_scopes_and_claims() {
    for known in idp::ALL {
        let oidc = parse(&least_with("clientId", &format!("preset: {}\n  clientId", known.name))).oidc;
        assert_eq!(oidc.scopes, known.scopes, "{}", known.name);
        assert_eq!(
            (oidc.groups_claim.as_str(), oidc.name_claim.as_str()),
            (known.groups_claim, known.name_claim)
        );
    }
}

#[test]
fn what_is_written_wins_over_the_preset() {
    let oidc = parse(&least_with(
        "clientId",
        "preset: cognito\n  scopes: [openid]\n  groupsClaim: teams\n  nameClaim: email\n  clientId",
    ))
    .oidc;
    assert_eq!(oidc.scopes, ["openid"]);
    assert_eq!((oidc.groups_claim.as_str(), oidc.name_claim.as_str()), ("teams", "email"));
}

#[test]
fn the_chart_knows_every_preset() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/helm/lamplighter/values.schema.json");
    let chart: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let listed = chart.pointer("/properties/oidc/properties/preset/enum").unwrap();
    let listed: Vec<_> = listed.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let known: Vec<_> = idp::ALL.iter().chain([&&idp::GENERIC]).map(|known| known.name).collect();
    assert!(listed.is_sorted());
    assert_eq!(BTreeSet::from_iter(listed), BTreeSet::from_iter(known));
}

#[test]
fn an_issuer_is_kept_to_the_byte() {
    for issuer in
        ["https://Auth.Example.com", "https://auth.example.com:443/a/../b%2f", "http://localhost:9000"]
    {
        assert_eq!(parse(&least_with("https://auth.example.com/", issuer)).oidc.issuer, issuer);
    }
}

#[test]
fn listeners_on_port_zero_may_share_an_address() {
    let listen = "listen: { public: '127.0.0.1:0', authz: '127.0.0.1:0', admin: '127.0.0.1:0', trustedProxies: [10.0.0.1] }\nroles:";
    let config = parse(&least_with("roles:", listen));
    assert_eq!(config.listen.trusted_proxies, ["10.0.0.1/32".parse().unwrap()]);
}

#[test]
fn a_section_may_be_left_empty() {
    let text = least_with("roles:", "session:\nkubernetes: ~\nlisten: {}\nroles:");
    assert_eq!(parse(&text).session.ttl, Duration::from_hours(8));
}

#[test]
fn what_editors_add_does_no_harm() {
    for text in [format!("\u{FEFF}{LEAST}"), LEAST.replace('\n', "\r\n"), format!("---\n{LEAST}...\n")] {
        assert_eq!(parse(&text).roles.len(), 1, "{text:?}");
    }
}

#[test]
fn anchors_and_merges_work() {
    let text = least_with("name: admin", "&admin\n    name: admin") + "  - { <<: *admin, name: viewer }\n";
    let config = parse(&text);
    assert_eq!(config.roles[1].name, "viewer");
    assert_eq!(config.roles[1].credential, config.roles[0].credential);
}

#[test]
fn the_example_is_a_good_file() {
    let secret = TempFile::new("a-client-secret");
    let key = TempFile::new([7; 32]);
    let text = EXAMPLE
        .replace("/etc/lamplighter/client-secret", secret.name())
        .replace("/etc/lamplighter/session-key", key.name());
    assert_eq!(parse(&text).roles.len(), 2);
}

/// The YAML blocks of `page` that are a whole configuration, without what a list indents them by.
fn configurations(page: &str) -> Vec<String> {
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let flush = blocks.map(|(block, _)| {
        let indent = block.len() - block.trim_start().len();
        block.lines().map(|line| line.get(indent..).unwrap_or_default()).collect::<Vec<_>>().join("\n")
    });
    flush.filter(|block| block.starts_with("site:")).collect()
}

#[test]
fn the_pages_about_moving_here_have_good_files() {
    let secret = TempFile::new("a-client-secret");
    let key = TempFile::new([7; 32]);
    for page in [
        include_str!("../../../docs/migrate/from-headlamps-oidc.md"),
        include_str!("../../../docs/migrate/from-kube-oidc-proxy.md"),
        include_str!("../../../docs/migrate/from-oauth2-proxy.md"),
        include_str!("../../../docs/migrate/from-pasted-tokens.md"),
    ] {
        let configurations = configurations(page);
        assert_eq!(configurations.len(), 1, "{page}");
        let text = configurations[0]
            .replace("/etc/lamplighter/client-secret", secret.name())
            .replace("/etc/lamplighter/session-key", key.name());
        assert!(!parse(&text).roles.is_empty(), "{text}");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "asks whoever runs the tests, not the product's settings")]
fn the_reference_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, reference()).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == reference(),
        "run `UPDATE_DOCS=1 cargo test the_reference` and commit docs/configuration.md"
    );
}
