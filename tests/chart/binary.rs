//! What the chart renders for lamplighter, read by lamplighter.

use std::process::Command;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::Parts;
use crate::helm::{Folder, Helm, container, examples, path, pick, pod, sources};

const BINARY: &str = env!("CARGO_BIN_EXE_lamplighter");

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts.test("binary::lamplighter_takes_the_configuration_of_each_example", takes),
        parts.test("binary::a_file_that_is_not_mounted_is_missed", misses),
    ]
}

fn takes(helm: &Helm) {
    for name in examples() {
        let objects = helm.objects(&name);
        let config =
            pick(&objects, "ConfigMap", "lamplighter")["data"]["config.yaml"].as_str().unwrap().to_owned();
        check(&config, &pod(&objects)).unwrap_or_else(|said| panic!("{name}: {said}"));
    }
    let plain = helm.objects_with(
        "gateway",
        "{oidc: {clientSecret: {existingSecret: ''}}, session: {existingSecret: ''}}",
    );
    let config = pick(&plain, "ConfigMap", "lamplighter")["data"]["config.yaml"].as_str().unwrap().to_owned();
    check(&config, &pod(&plain)).unwrap();
}

fn misses(helm: &Helm) {
    let objects = helm.objects("gateway");
    let config =
        pick(&objects, "ConfigMap", "lamplighter")["data"]["config.yaml"].as_str().unwrap().to_owned();
    let mut bare = pod(&objects);
    let sources = bare["volumes"][0]["projected"]["sources"].as_array_mut().unwrap();
    sources.retain(|source| source["secret"]["name"] != "lamplighter-session");
    let said = check(&config, &bare).unwrap_err();
    assert!(said.contains("session.keyFiles[0]: names a file that does not exist"), "{said}");
}

/// What `lamplighter config check` says of `config`, with the files that the pod has at /etc/lamplighter, and with its
/// variables.
fn check(config: &str, pod: &Value) -> Result<(), String> {
    let folder = Folder::new();
    for source in mounted(pod, "/etc/lamplighter") {
        for item in
            ["secret", "configMap"].into_iter().filter_map(|kind| source[kind]["items"].as_array()).flatten()
        {
            let file = item["path"].as_str().unwrap();
            folder.write(file, content(file));
        }
    }
    let config = folder.write("config.yaml", &config.replace("/etc/lamplighter", path(&folder.0)));
    let variables = container(pod)["env"].as_array().unwrap();
    let variables = variables.iter().map(|variable| {
        (variable["name"].as_str().unwrap(), variable["value"].as_str().unwrap_or("10.0.0.1"))
    });
    let mut command = Command::new(BINARY);
    command.env_clear().envs(variables).args(["config", "check", "--config", path(&config)]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

/// What is in the projected volume that lamplighter's container has at `place`.
fn mounted<'a>(pod: &'a Value, place: &str) -> &'a [Value] {
    let mounts = container(pod)["volumeMounts"].as_array().unwrap();
    let mount = mounts.iter().find(|mount| mount["mountPath"] == place).unwrap();
    sources(pod, mount["name"].as_str().unwrap())
}

/// Something that the file might hold.
fn content(file: &str) -> &'static str {
    match file {
        "ca.crt" | "trusted-ca.crt" => "-----BEGIN CERTIFICATE-----\n",
        "redis-url" => "redis://redis.redis.svc:6379/0",
        "config.yaml" => "",
        _ => "forty-four letters of a secret, or even more",
    }
}
