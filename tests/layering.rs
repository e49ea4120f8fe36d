//! What may name what: the picture in the house's design, held by reading the text of `src/`.
//!
//! ```text
//!   web, app, cli, config        face
//!   oidc  k8s  proxy  store      hands: every socket is here, and none knows another
//!   ══════════════════════       no async, no clock, no I/O below this line
//!   edge ─▶ auth                 head: every decision is here
//! ```

use std::fs;
use std::path::{Path, PathBuf};

/// What the head never does, and whom it does not know.
const NOT_IN_THE_HEAD: [&str; 17] = [
    "::now()",
    "async fn",
    "axum",
    "crate::app",
    "crate::cli",
    "crate::config",
    "crate::k8s",
    "crate::metrics",
    "crate::oidc",
    "crate::store",
    "crate::web",
    "hyper",
    "kube::",
    "prometheus_client",
    "reqwest",
    "std::env",
    "tokio",
];

const ADAPTERS: [&str; 4] = ["k8s", "oidc", "proxy", "store"];

/// Longest file, in lines, without the tests at its end.
const MAX_LINES: usize = 400;

#[test]
fn decisions_perform_no_io() {
    for module in ["auth", "edge"] {
        assert_names_none(&files_of(module), &NOT_IN_THE_HEAD);
    }
}

#[test]
fn what_is_known_of_providers_is_data() {
    let others = ["crate::auth", "crate::edge", "crate::proxy"];
    assert_names_none(&files_of("idp"), &[&NOT_IN_THE_HEAD[..], &others].concat());
}

#[test]
fn decisions_about_people_know_no_ingress() {
    assert_names_none(&files_of("auth"), &["crate::edge"]);
}

#[test]
fn adapters_know_neither_each_other_nor_who_uses_them() {
    for module in ADAPTERS {
        let others = ADAPTERS.iter().filter(|other| **other != module).map(|other| format!("crate::{other}"));
        let face = ["app", "cli", "config", "web"].map(|name| format!("crate::{name}"));
        let forbidden: Vec<String> = others.chain(face).collect();
        let forbidden: Vec<&str> = forbidden.iter().map(String::as_str).collect();
        assert_names_none(&files_of(module), &forbidden);
    }
}

#[test]
fn settings_are_told_and_not_looked_up() {
    let everything = files_of("");
    let users: Vec<PathBuf> = everything
        .into_iter()
        .filter(|file| !["cli", "config"].iter().any(|name| is_in(file, name)))
        .collect();
    assert_names_none(&users, &["crate::config"]);
}

#[test]
fn only_the_clock_reads_the_time() {
    let others: Vec<PathBuf> = files_of("").into_iter().filter(|file| !file.ends_with("clock.rs")).collect();
    assert_names_none(&others, &["Timestamp::now", "SystemTime::now", "Zoned::now", "Utc::now"]);
}

#[test]
fn a_file_is_short_enough_to_be_read() {
    for file in files_of("") {
        let text = fs::read_to_string(&file).expect("src/ can be read");
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
        let lines = code.lines().count();
        assert!(lines <= MAX_LINES, "{}: {lines} lines", file.display());
    }
}

fn assert_names_none(files: &[PathBuf], forbidden: &[&str]) {
    for file in files {
        let text = fs::read_to_string(file).expect("src/ can be read");
        for (number, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for word in forbidden {
                assert!(!line.contains(word), "{}:{}: names {word}: {line}", file.display(), number + 1);
            }
        }
    }
}

/// The files of a module, its own tests left out; of everything, for "".
fn files_of(module: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(module), &mut files);
    assert!(!files.is_empty() || module == "proxy", "src/{module} is not there");
    files
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("src/ can be read").path();
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
        if path.is_dir() && !is_test {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
            files.push(path);
        }
    }
}

fn is_in(file: &Path, module: &str) -> bool {
    file.components().any(|component| component.as_os_str() == module)
}
