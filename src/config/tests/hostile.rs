//! Text that means harm, or makes no sense.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{LEAST, errors, errors_with, least_with, parse};
use crate::config::{Config, settings::settings};

const SECRET: &str = "hunter2-correct-horse";

#[test]
fn a_bomb_of_aliases_is_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let alias = format!("*a{}", level - 1);
        writeln!(bomb, "a{level}: &a{level} [{}]", vec![alias; 10].join(", ")).unwrap();
    }
    let errors = errors(&bomb);
    assert!(errors.starts_with("c.yaml:") && errors.lines().count() == 1, "{errors}");
    assert!(errors.contains("is no YAML: "), "{errors}");
}

#[test]
fn depth_is_refused() {
    for text in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(100_000)] {
        let errors = errors(&text);
        assert!(errors.contains("is no YAML: "), "{errors}");
    }
}

#[test]
fn a_long_or_odd_key_is_cut_and_escaped() {
    let text = format!("\"\\e[2J{}\": 1\n{LEAST}", "x".repeat(10_000));
    let errors = errors(&text);
    assert!(errors.len() < 200 && !errors.contains('\u{1b}'), "{errors}");
}

#[test]
fn no_message_repeats_a_secret() {
    let cases = [
        format!("clientSecret: {SECRET}\n  clientSecretFile: {SECRET}"),
        format!("clientSecret: [{SECRET}]"),
        format!("clientSecret: {{ {SECRET}: {SECRET} }}"),
        format!("clientSecret:\n    key: {SECRET}"),
        format!("clientSecret: !!int {SECRET}"),
        format!("clientSecret: !!binary {SECRET}"),
        format!("clientSecret: !{SECRET} a"),
        format!("clientSecret: {SECRET}\n  clientSecret: {SECRET}"),
        format!("clientSecret: {SECRET}\n  signingAlgorithms: [HS256]"),
        format!("clientSecret:{SECRET}"),
        format!("clientSecret: '{SECRET}"),
        format!("clientSecret: {SECRET}: {SECRET}"),
        format!("clientSecret: *{SECRET}"),
        format!("clientSecret: %{SECRET}"),
        format!("clientSecrets: {SECRET}"),
        format!("clientSecretFile: {SECRET}"),
        format!("clientSecretFile: [{SECRET}]"),
        format!("caFile: {SECRET}"),
    ];
    for case in cases {
        let text = least_with("clientId", &format!("{case}\n  maxAge: x\n  clientId"));
        let errors = errors(&text);
        assert!(!errors.contains("hunter2"), "{case}\n{errors}");
    }
}

#[test]
fn no_message_repeats_a_secret_that_became_a_key() {
    for separator in [":", "=", " ", " = ", ";"] {
        let pair = format!("clientSecret{separator}{SECRET}");
        let text = least_with("oidc:\n", &format!("session: {{{pair}, {pair}}}\noidc:\n"));
        let expected =
            "c.yaml:2: session: unknown key; write `clientSecret: …`, with a colon and a space after the key";
        assert_eq!(errors(&text), format!("{expected}\n{expected}"), "{separator}");
    }
}

#[test]
fn no_message_repeats_a_secret_of_the_environment() {
    for variable in ["OIDC__CLIENT_SECRET", "OIDC__CLIENT_SECRET_FILE", "SESSION__KEY_FILES", "OIDC__SECRET"]
    {
        let errors =
            errors_with(LEAST, &[(&format!("LAMPLIGHTER_{variable}"), SECRET), ("LAMPLIGHTER_UI", "x")]);
        assert!(!errors.contains("hunter2"), "{errors}");
    }
}

#[test]
fn a_configuration_does_not_show_its_secret() {
    let config = parse(&least_with("clientId", &format!("clientSecret: {SECRET}\n  clientId")));
    let shown = format!("{config:?}");
    assert!(shown.contains("client_secret") && !shown.contains("hunter2"), "{shown}");
}

/// Any value, now and then one that fits.
fn any_value() -> impl Strategy<Value = Json> {
    let words = [
        "15m",
        "8h",
        "none",
        "idToken",
        "a/b",
        "https://a.example",
        "openid",
        "@a.b",
        "10.0.0.0/8",
        "RS256",
        "",
    ];
    let scalar = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        prop::sample::select(words.to_vec()).prop_map(Json::from),
        "\\PC{0,8}".prop_map(Json::from),
    ];
    scalar.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec((any_key(), inner), 0..6).prop_map(|entries| entries.into_iter().collect()),
        ]
    })
}

fn any_key() -> impl Strategy<Value = String> {
    let schema = crate::config::schema();
    let keys: Vec<String> =
        settings(&schema).iter().filter_map(|setting| setting.steps().last().cloned()).collect();
    prop::sample::select(keys)
}

proptest! {
    #[test]
    fn any_text_is_refused_without_a_panic(text in "\\PC{0,200}") {
        let errors = Config::parse("c.yaml", &text, []).unwrap_err();
        prop_assert!(!errors.as_slice().is_empty());
    }

    #[test]
    fn any_yaml_is_refused_without_a_panic(text in "([a-z]{1,3}|[-:?\\[\\]{}&*!|>'\"%@`#,<]|\n|  |: |- ){0,60}") {
        let _ = Config::parse("c.yaml", &text, []);
    }

    #[test]
    fn any_value_of_a_key_is_read_or_refused_with_a_reason(key in any_key(), value in any_value()) {
        let text = json!({ "site": "https://a.example", "oidc": { &key: value }, "roles": [{ &key: value }], &key: value });
        if let Err(errors) = Config::parse("c.yaml", &text.to_string(), []) {
            prop_assert!(!errors.as_slice().is_empty());
            prop_assert!(!errors.to_string().contains("please report"), "{}\n{}", text, errors);
        }
    }

    #[test]
    fn any_variable_is_read_or_refused(name in "[A-Z_]{0,20}", value in "\\PC{0,20}") {
        let _ = Config::parse("c.yaml", LEAST, [(format!("LAMPLIGHTER_{name}"), value)]);
    }
}
