//! The Secret with the session key, made by the program at the real API server.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use libtest_mimic::Trial;

use crate::Parts;
use crate::cluster::Namespace;
use crate::house::kubeconfig;
use crate::process::{Folder, PROGRAM};
use crate::rig::Rig;

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts.test("session_key::run_twice_it_makes_one_key", twice),
        parts.test("session_key::run_by_many_at_once_it_makes_one_key", at_once),
        parts.test("session_key::what_it_cannot_do_it_says_and_changes_nothing", refusals),
    ]
}

/// The program, told to make the Secret `name` in `namespace`.
fn create(kubeconfig: &Path, namespace: &Namespace, name: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.env_clear().args(["session-key", "create", "--secret", name, "--namespace", &namespace.name]);
    command.arg("--kubeconfig").arg(kubeconfig);
    command
}

fn said(output: &Output) -> String {
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The key in the Secret `name`, as a pod finds it.
fn key_in(namespace: &Namespace, name: &str) -> String {
    namespace.kubectl(&[
        "get",
        "secret",
        name,
        "-o=go-template={{index .data \"session-key\" | base64decode}}",
    ])
}

async fn twice(rig: Rig) {
    let namespace = Namespace::new(&rig, "key-twice");
    let first = create(&rig.kubeconfig, &namespace, "session").output().unwrap();
    let place = format!("{}/session", namespace.name);
    assert_eq!(said(&first), format!("the Secret {place} is made, with a session key\n"));
    let key = key_in(&namespace, "session");
    assert_eq!(key.len(), 44, "32 bytes, as base64");

    let second = create(&rig.kubeconfig, &namespace, "session").output().unwrap();
    assert_eq!(said(&second), format!("the Secret {place} has a session key already, which is kept\n"));
    assert!(first.status.success() && second.status.success());
    assert!(key_in(&namespace, "session") == key, "the key has changed");
    assert!(!said(&first).contains(&key) && !said(&second).contains(&key), "the key is printed");
}

async fn at_once(rig: Rig) {
    let namespace = Namespace::new(&rig, "key-at-once");
    let start = |_| {
        let mut command = create(&rig.kubeconfig, &namespace, "session");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let all: Vec<_> = (0..8).map(start).collect();
    let all: Vec<_> = all.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    assert!(all.iter().all(|output| output.status.success()), "{all:?}");
    let made = all.iter().filter(|output| said(output).contains("is made")).count();
    let kept = all.iter().filter(|output| said(output).contains("which is kept")).count();
    assert_eq!((made, kept), (1, 7), "{all:?}");
    assert_eq!(key_in(&namespace, "session").len(), 44);
}

async fn refusals(rig: Rig) {
    let namespace = Namespace::new(&rig, "key-refused");
    let folder = Folder::new(&namespace.name);
    let fails = |kubeconfig: &PathBuf, name: &str| {
        let output = create(kubeconfig, &namespace, name).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        said(&output)
    };
    let stranger = folder.write("kubeconfig", &kubeconfig(&rig, &namespace.token_of("stranger")));
    let refusal = fails(&stranger, "session");
    let right = "grant `get` on it, and `create` on secrets there";
    assert!(refusal.contains("not allowed to get the Secret") && refusal.contains(right), "{refusal}");

    namespace.kubectl(&["create", "secret", "generic", "other", "--from-literal=key=of-something-else"]);
    namespace.kubectl(&["create", "secret", "generic", "short", "--from-literal=session-key=too-short"]);
    let before = namespace.kubectl(&["get", "secrets", "-o=json"]);
    let refusal = fails(&rig.kubeconfig, "other");
    assert!(
        refusal.contains("/other has no `session-key`: put a key of 32 bytes or more there"),
        "{refusal}"
    );
    let refusal = fails(&rig.kubeconfig, "short");
    assert!(refusal.contains("/short has fewer than 32 bytes"), "{refusal}");
    assert!(!refusal.contains("too-short"), "{refusal}");
    let refusal = fails(&rig.kubeconfig, "No Name");
    assert!(refusal.contains("/No Name"), "{refusal}");
    assert_eq!(namespace.kubectl(&["get", "secrets", "-o=json"]), before);
}
