//! The environment over the file.

use std::time::Duration;

use super::{LEAST, errors_with, least_with, pairs};
use crate::config::{Config, SecretSource, Ui, environment, settings::settings};

fn parse_with(text: &str, env: &[(&str, &str)]) -> Config {
    Config::parse("c.yaml", text, pairs(env)).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn a_variable_wins_over_the_file() {
    let config = parse_with(
        LEAST,
        &[
            ("LAMPLIGHTER_OIDC__CLIENT_ID", "other"),
            ("LAMPLIGHTER_OIDC__SCOPES", "openid, profile,"),
            ("LAMPLIGHTER_OIDC__CLIENT_SECRET", "hunter2"),
            ("LAMPLIGHTER_SESSION__TTL", "1h"),
            ("LAMPLIGHTER_UI", "generic"),
        ],
    );
    assert_eq!(config.oidc.client_id, "other");
    assert_eq!(config.oidc.scopes, ["openid", "profile"]);
    assert!(matches!(config.oidc.client_secret, Some(SecretSource::Inline(_))));
    assert_eq!(config.session.ttl, Duration::from_hours(1));
    assert_eq!(config.ui, Ui::Generic);
}

#[test]
fn a_variable_fills_what_the_file_leaves_out() {
    let without_provider = LEAST.split("oidc:").next().unwrap().to_owned()
        + "oidc:\nroles:"
        + LEAST.split("roles:").nth(1).unwrap();
    let env = [
        ("LAMPLIGHTER_OIDC__ISSUER", "https://auth.example.com"),
        ("LAMPLIGHTER_OIDC__CLIENT_ID", "headlamp"),
    ];
    assert_eq!(parse_with(&without_provider, &env).oidc.issuer, "https://auth.example.com");
}

#[test]
fn an_empty_list_is_a_list() {
    let config = parse_with(LEAST, &[("LAMPLIGHTER_LISTEN__TRUSTED_PROXIES", "")]);
    assert!(config.listen.trusted_proxies.is_empty());
}

#[test]
fn a_mistake_names_its_variable() {
    let cases = [
        (
            "LAMPLIGHTER_UI",
            "headlmp",
            "environment variable LAMPLIGHTER_UI: ui: `headlmp` is no choice here; did you mean `headlamp`?",
        ),
        (
            "LAMPLIGHTER_SESSION__TTL",
            "8",
            "environment variable LAMPLIGHTER_SESSION__TTL: session.ttl: `8` is no duration; add a unit: `8s`, `8m`, `8h` or `8d`",
        ),
        (
            "LAMPLIGHTER_OIDC__SCOPES",
            "profile",
            "environment variable LAMPLIGHTER_OIDC__SCOPES: oidc.scopes: must contain `openid`; add it: without it the provider sends no ID token",
        ),
        (
            "LAMPLIGHTER_OIDC__CLIENT_ID",
            "",
            "environment variable LAMPLIGHTER_OIDC__CLIENT_ID: oidc.clientId: is empty; fill it in, or remove it",
        ),
        (
            "LAMPLIGHTER_OIDC__CLIENT_SECRET",
            "",
            "environment variable LAMPLIGHTER_OIDC__CLIENT_SECRET: oidc.clientSecret: is empty; put the secret in it",
        ),
        (
            "LAMPLIGHTER_OIDC__CLIENT_SECRET",
            "hunter2\u{FFFD}",
            "environment variable LAMPLIGHTER_OIDC__CLIENT_SECRET: oidc.clientSecret: is not UTF-8; set it to text",
        ),
        (
            "LAMPLIGHTER_OIDC__CLIENT_SECRET_FILE",
            "/nowhere",
            "environment variable LAMPLIGHTER_OIDC__CLIENT_SECRET_FILE: oidc.clientSecretFile: names a file that does not exist; mount it, or correct the path",
        ),
        (
            "LAMPLIGHTER_OIDC__CLIENTID",
            "a",
            "environment variable LAMPLIGHTER_OIDC__CLIENTID: is no setting; did you mean LAMPLIGHTER_OIDC__CLIENT_ID?",
        ),
        (
            "LAMPLIGHTER_OIDC_CLIENT_ID",
            "a",
            "environment variable LAMPLIGHTER_OIDC_CLIENT_ID: is no setting; did you mean LAMPLIGHTER_OIDC__CLIENT_ID?",
        ),
        ("LAMPLIGHTER_GREETING", "a", "environment variable LAMPLIGHTER_GREETING: is no setting; unset it"),
        ("LAMPLIGHTER_", "a", "environment variable LAMPLIGHTER_: is no setting; unset it"),
        (
            "LAMPLIGHTER_ROLES__0__NAME",
            "a",
            "environment variable LAMPLIGHTER_ROLES__0__NAME: can only be set in the file; move it there",
        ),
    ];
    for (name, value, expected) in cases {
        assert_eq!(errors_with(LEAST, &[(name, value)]), expected, "{name}={value}");
    }
}

#[test]
fn mistakes_of_file_and_environment_are_told_together() {
    let text = least_with("tokenTtl: 15m", "tokenTtl: 5m");
    insta::assert_snapshot!(errors_with(&text, &[("LAMPLIGHTER_SESION__TTL", "8h"), ("LAMPLIGHTER_SITE", "x")]), @"
    c.yaml:9: roles[0].tokenTtl: 5m is below the API server's minimum of 600s; set 10m or more
    environment variable LAMPLIGHTER_SESION__TTL: is no setting; did you mean LAMPLIGHTER_SESSION__TTL?
    environment variable LAMPLIGHTER_SITE: site: must begin with `https://`
    ");
}

#[test]
fn a_section_that_the_file_broke_stays_the_files_mistake() {
    let text = least_with("roles:", "session: 8h\nroles:");
    assert_eq!(
        errors_with(&text, &[("LAMPLIGHTER_SESSION__TTL", "8h")]),
        "c.yaml:5: session: must be a mapping of keys to values, not text"
    );
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let env = [
        ("PATH", "/bin"),
        ("LAMPLIGHTER_CONFIG", "/etc/lamplighter.yaml"),
        ("LAMPLIGHTER_LOG", "debug"),
        ("LAMPLIGHTER_RIG_CACHE", "/tmp"),
        ("LAMPLIGHTER_SERVICE_HOST", "10.96.0.7"),
        ("LAMPLIGHTER_PORT_8080_TCP", "tcp://10.96.0.7:8080"),
        ("LAMPLIGHTER_AUTHZ_SERVICE_PORT_AUTHZ", "8081"),
    ];
    parse_with(LEAST, &env);
}

#[test]
fn the_environment_is_ours_alone() {
    assert!(environment().iter().all(|(name, _)| name.starts_with("LAMPLIGHTER_")));
}

#[test]
fn no_setting_looks_like_a_variable_of_kubernetes() {
    let schema = crate::config::schema();
    for setting in settings(&schema) {
        let Some(variable) = setting.variable() else { continue };
        let error = errors_with(LEAST, &[(&variable, "\u{FFFD}")]);
        assert!(error.contains(&format!("{}: is not UTF-8", setting.path())), "{error}");
    }
}
