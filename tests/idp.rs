//! `lamplighter idp`, as a person types it.

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::files::Folder;

const CONFIG: &str = "\
site: https://headlamp.example.com:8443
oidc:
  issuer: https://auth.example.com/application/o/ui/
  clientId: the-ui
  clientSecret: hunter2-hunter2-hunter2
roles:
- name: admin
  match: { groups: [k8s-admins] }
  serviceAccount: headlamp/admin
  tokenTtl: 15m
";

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lamplighter"))
        .env_clear()
        .arg("idp")
        .args(arguments)
        .output()
        .expect("the program starts")
}

fn filled(name: &str, format: &str, config: &Path) -> Output {
    run(&[name, "--format", format, "--config", config.to_str().expect("a path is text")])
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("it prints text")
}

#[test]
fn every_format_is_filled_from_the_configuration_and_shows_no_secret() {
    let folder = Folder::new();
    let config = folder.write("config.yaml", CONFIG);
    for format in ["config", "steps", "blueprint", "terraform"] {
        let output = filled("authentik", format, &config);
        let printed = text(&output.stdout);
        assert!(output.status.success() && printed.contains("the-ui"), "{output:?}");
        assert_eq!(
            printed.contains("https://headlamp.example.com:8443/lamplighter/callback"),
            format != "config"
        );
        assert!(!printed.contains("hunter2"), "{printed}");
        assert_eq!(text(&output.stderr), "");
    }
}

#[test]
fn the_files_that_the_configuration_names_may_be_elsewhere() {
    let folder = Folder::new();
    let config = CONFIG.replace("clientSecret: hunter2-hunter2-hunter2", "clientSecretFile: /nowhere/secret");
    let output = filled("authentik", "config", &folder.write("config.yaml", &config));
    assert!(text(&output.stdout).contains("\n  clientSecretFile: /nowhere/secret\n"), "{output:?}");
}

#[test]
fn without_a_configuration_it_is_an_example_and_says_so() {
    let output = run(&["okta"]);
    assert!(output.status.success() && text(&output.stdout).contains("\n  preset: okta\n"), "{output:?}");
    assert_eq!(text(&output.stderr), "an example: `--config FILE` fills it from your configuration\n");
}

#[test]
fn what_cannot_be_printed_is_said() {
    let folder = Folder::new();
    let config = folder.write("config.yaml", CONFIG);
    let foreign = folder.write("foreign.yaml", &CONFIG.replace("/application/o/ui/", ""));
    let wrong = folder.write("wrong.yaml", &CONFIG.replace("issuer:", "isuer:"));
    for (name, format, config, code, said) in [
        ("authentik", "helm", &config, 2, "for authentik there is config ("),
        (
            "authentik",
            "blueprint",
            &foreign,
            1,
            "oidc.issuer is https://auth.example.com, and authentik has ",
        ),
        ("authentik", "blueprint", &wrong, 78, "isuer"),
        ("gitbub", "config", &config, 2, "invalid value 'gitbub'"),
    ] {
        let output = filled(name, format, config);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(text(&output.stderr).contains(said) && output.stdout.is_empty(), "{output:?}");
    }
}
