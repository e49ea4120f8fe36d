//! What is handed out: the image's files, the tarball's papers, the list of crates.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use assert_cmd::Command as Ours;
use common::files::Folder;
use serde_json::{Value, json};

const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// What a tar holds: by name, how it is listed, and its content.
type Entries = BTreeMap<String, (String, Vec<u8>)>;

/// What a program of Python's says, given one that is new enough for it, and arguments that it takes.
fn python(program: &str, arguments: &[&str]) -> Option<Vec<u8>> {
    let output = run_python(program, arguments)?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(output.stdout)
}

fn run_python(program: &str, arguments: &[&str]) -> Option<Output> {
    let new_enough = Command::new("python3").args(["-c", "import tomllib"]).stderr(Stdio::null()).status();
    if !new_enough.is_ok_and(|status| status.success()) {
        eprintln!("no Python 3.11: {program} was not looked at");
        return None;
    }
    let mut command = Command::new("python3");
    command.arg(program).args(arguments).env("SOURCE_DATE_EPOCH", "86400").current_dir(HERE);
    Some(command.output().unwrap())
}

/// Unpacks a tar into `folder`. Mode, owner and time are told as `tar` lists them.
fn unpack(folder: &Path, tar: &[u8]) -> Entries {
    fs::create_dir_all(folder).unwrap();
    let file = folder.join("it.tar");
    fs::write(&file, tar).unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new("tar").args(arguments).arg(&file).env("TZ", "UTC").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["-C", folder.to_str().unwrap(), "-xf"]);
    let listed = run(&["--numeric-owner", "--full-time", "-tvf"]);
    let entry = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (about, name) = (format!("{} {} {} {}", fields[0], fields[1], fields[3], fields[4]), fields[5]);
        (name.to_owned(), (about, fs::read(folder.join(name)).unwrap_or_default()))
    };
    listed.lines().map(entry).collect()
}

/// The start of a program for a machine: so much of ELF's header as says which.
fn program_for(machine: u8) -> Vec<u8> {
    let mut head = b"\x7fELF".to_vec();
    head.resize(18, 0);
    head.extend([machine, 0]);
    head
}

const AMD64: u8 = 62;
const ARM64: u8 = 183;

/// What the image's maker says, told to make one for `arch` with this in the binary's place.
fn make_image(folder: &Folder, arch: &str, binary: &[u8]) -> Option<Output> {
    let file = folder.place("binary");
    fs::write(&file, binary).unwrap();
    let executable = Command::new("chmod").arg("755").arg(&file).status().unwrap();
    assert!(executable.success());
    let certificates = folder.write("certificates", "certificates");
    let binary = format!("/out/lamplighter={}", file.display());
    let certificates = format!("/etc/ssl/certs/ca-certificates.crt={}", certificates.display());
    let arguments = [
        ["--dockerfile", "Dockerfile"],
        ["--arch", arch],
        ["--source", &binary],
        ["--source", &certificates],
        ["--build-arg", "REVISION=abc"],
    ];
    run_python("tests/rig/image.py", &[arguments.as_flattened(), &["localhost/x:dev"]].concat())
}

/// An image: how the index describes it, its configuration, and its files.
struct Image {
    described: Value,
    config: Value,
    files: Entries,
}

fn image(folder: &Folder, arch: &str, binary: &[u8]) -> Option<Image> {
    let output = make_image(folder, arch, binary)?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let layout = unpack(&folder.place("layout"), &output.stdout);
    let read = |name: &str| layout[name].1.clone();
    let blob = |described: &Value| {
        read(&format!("blobs/{}", described["digest"].as_str().unwrap().replace(':', "/")))
    };
    let json = |bytes: Vec<u8>| serde_json::from_slice::<Value>(&bytes).unwrap();
    let described = json(read("index.json"))["manifests"][0].clone();
    let manifest = json(blob(&described));
    let files = unpack(&folder.place("layer"), &blob(&manifest["layers"][0]));
    Some(Image { config: json(blob(&manifest["config"])), described, files })
}

#[test]
fn make_image_makes_what_the_dockerfile_says() {
    let folder = Folder::new();
    let Some(Image { config, files, .. }) = image(&folder, "amd64", b"#!/bin/sh\n") else { return };
    let expected = json!({
        "Entrypoint": ["/bin/lamplighter"],
        "Env": ["PATH=/bin"],
        "ExposedPorts": {"8080/tcp": {}, "8081/tcp": {}, "9090/tcp": {}},
        "Labels": {
            "org.opencontainers.image.title": "lamplighter",
            "org.opencontainers.image.description": "Sign in at your identity provider, be in at your Kubernetes UI",
            "org.opencontainers.image.licenses": "Apache-2.0",
            "org.opencontainers.image.revision": "abc",
            "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
        },
        "User": "65532:65532",
    });
    assert_eq!(config["config"], expected);
    let files: Vec<_> = files.iter().map(|(name, (about, _))| (name.as_str(), about.as_str())).collect();
    let expected = [
        ("bin/lamplighter", "-rwxr-xr-x 0/0 1970-01-02 00:00:00"),
        ("etc/ssl/certs/ca-certificates.crt", "-rw-r--r-- 0/0 1970-01-02 00:00:00"),
    ];
    assert_eq!(files, expected, "nothing else, and the same whenever it is made");
}

#[test]
fn an_image_says_for_which_machine_it_is() {
    for (arch, machine) in [("amd64", AMD64), ("arm64", ARM64)] {
        let folder = Folder::new();
        let Some(image) = image(&folder, arch, &program_for(machine)) else { return };
        assert_eq!(image.described["platform"], json!({"architecture": arch, "os": "linux"}));
        assert_eq!((&image.config["architecture"], &image.config["os"]), (&json!(arch), &json!("linux")));
    }
}

#[test]
fn a_program_for_another_machine_makes_no_image() {
    let folder = Folder::new();
    let Some(output) = make_image(&folder, "arm64", &program_for(AMD64)) else { return };
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && output.stdout.is_empty(), "{said}");
    assert!(said.ends_with("binary is for amd64, and the image for arm64\n"), "{said}");
}

#[test]
fn the_dockerfiles_last_stage_begins_with_nothing_and_its_compiler_is_ours() {
    let text = fs::read_to_string(format!("{HERE}/Dockerfile")).unwrap();
    let stages: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("FROM ")).collect();
    let toolchain = fs::read_to_string(format!("{HERE}/rust-toolchain.toml")).unwrap();
    let version =
        toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).unwrap().trim_matches('"');
    assert_eq!(stages, [&format!("--platform=$BUILDPLATFORM rust:{version}-bookworm AS build"), "scratch"]);
}

/// The builder sees what is in `.dockerignore` with a `!`: without a file that cargo wants, it builds nothing.
#[test]
fn what_the_builder_sees_is_enough_for_cargo() {
    let folder = Folder::new();
    let text = fs::read_to_string(format!("{HERE}/.dockerignore")).unwrap();
    let mut seen = text.lines().filter_map(|line| line.strip_prefix('!'));
    assert!(seen.clone().count() > 5 && text.lines().any(|line| line == "*"), "{text}");
    assert!(seen.all(|name| {
        Command::new("cp")
            .args(["-r", &format!("{HERE}/{name}")])
            .arg(folder.place("."))
            .status()
            .unwrap()
            .success()
    }));
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--locked", "--offline", "--format-version=1"]);
    let output = cargo.current_dir(folder.place(".")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_list_of_crates_is_what_is_linked_with_the_sums_of_the_lock_file() {
    let Some(said) = python("tests/dist/sbom", &["x86_64-unknown-linux-gnu"]) else { return };
    let bom: Value = serde_json::from_slice(&said).unwrap();
    assert_eq!((&bom["bomFormat"], &bom["specVersion"]), (&json!("CycloneDX"), &json!("1.5")));
    assert_eq!(
        bom["metadata"]["component"]["purl"],
        concat!("pkg:cargo/lamplighter@", env!("CARGO_PKG_VERSION"))
    );
    let lock = fs::read_to_string(format!("{HERE}/Cargo.lock")).unwrap();
    let components = bom["components"].as_array().unwrap();
    let names: Vec<_> = components.iter().map(|component| component["name"].as_str().unwrap()).collect();
    for linked in ["aws-lc-sys", "axum", "hyper", "kube", "openidconnect", "rustls", "tokio"] {
        assert!(names.contains(&linked), "{linked} is not in {names:?}");
    }
    for not_linked in ["insta", "lamplighter", "proptest", "rcgen", "serde_derive", "windows-sys"] {
        assert!(!names.contains(&not_linked), "{not_linked} is in {names:?}");
    }
    for component in components {
        let (name, version) = (component["name"].as_str().unwrap(), component["version"].as_str().unwrap());
        let sum = component["hashes"][0]["content"].as_str().unwrap();
        let locked = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        let (_, after) = lock.split_once(&locked).unwrap_or_else(|| panic!("{name} {version}"));
        assert!(after.lines().nth(1).is_some_and(|line| line == format!("checksum = \"{sum}\"")), "{name}");
        assert_ne!(component["licenses"][0]["expression"].as_str().unwrap(), "", "{name}");
    }
}

#[test]
fn shells_complete_every_command() {
    for shell in ["bash", "fish", "zsh"] {
        let said = Ours::cargo_bin("lamplighter").unwrap().args(["completions", shell]).output().unwrap();
        let script = String::from_utf8(said.stdout).unwrap();
        for word in
            ["serve", "config", "fallback", "session-key", "demo", "completions", "log-format", "logfmt"]
        {
            assert!(script.contains(word), "{word} is not completed in {shell}");
        }
    }
}

#[test]
fn every_command_has_a_man_page() {
    let folder = Folder::new();
    Ours::cargo_bin("lamplighter").unwrap().arg("man").arg(folder.place(".")).assert().success();
    for page in ["lamplighter", "lamplighter-serve", "lamplighter-config-check", "lamplighter-fallback-code"]
    {
        let text = fs::read_to_string(folder.place(&format!("{page}.1"))).unwrap();
        assert!(text.contains(".SH NAME") && text.contains("log\\-format"), "{page}: {text}");
    }
}
