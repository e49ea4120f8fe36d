//! The files that a configuration names, and its own.

use std::path::Path;

use secrecy::ExposeSecret;

use super::{LEAST, TempFile, errors, least_with, parse};
use crate::config::{Config, FileError, SecretSource, read_secret};

fn load(path: &str) -> String {
    Config::load(Path::new(path), []).unwrap_err().to_string()
}

#[test]
fn a_file_is_loaded() {
    let file = TempFile::new(LEAST);
    assert_eq!(Config::load(&file.0, []).unwrap().oidc.client_id, "headlamp");
}

#[test]
fn a_file_that_cannot_be_read_is_said_to_be_so() {
    assert_eq!(
        load("/nowhere/config.yaml"),
        "/nowhere/config.yaml: cannot be read: No such file or directory (os error 2); correct the path, or its permissions"
    );
    assert_eq!(
        load("/"),
        "/: cannot be read: Is a directory (os error 21); correct the path, or its permissions"
    );
}

#[test]
fn a_file_that_is_no_text_is_said_to_be_so() {
    let file = TempFile::new(b"site: https://a.example\noidc: \xff\n");
    assert_eq!(load(file.name()), format!("{}: is not UTF-8 on line 2; save it as UTF-8", file.name()));
}

#[test]
fn a_file_of_any_size_is_not_read() {
    let file = TempFile::new(vec![b'#'; (1 << 20) + 1]);
    let expected =
        format!("{}: is larger than 1 MiB, which is no configuration; correct the path", file.name());
    assert_eq!(load(file.name()), expected);
}

#[test]
fn a_client_secret_is_read_from_its_file() {
    let file = TempFile::new("  hunter2\n");
    let text = least_with("clientId", &format!("clientSecretFile: {}\n  clientId", file.name()));
    let Some(source @ SecretSource::File(_)) = parse(&text).oidc.client_secret else { panic!("a file") };
    assert_eq!(source.read().unwrap().expose_secret(), "hunter2");
}

#[test]
fn of_files_that_are_elsewhere_nothing_is_said() {
    let text = least_with(
        "clientId",
        "clientSecretFile: /nowhere/a\n  caFile: /nowhere/b\n  signingAlgorithms: [HS256]\n  clientId",
    ) + "session: { keyFiles: [/nowhere/c] }\nkubernetes: { kubeconfig: /nowhere/d, caFile: /nowhere/e }\n\
         upstream: https://headlamp.example\nupstreamCaFile: /nowhere/f\nstore: { redis: { urlFile: /nowhere/g } }\n";
    let file = TempFile::new(&text);
    let config = Config::load_elsewhere(&file.0, []).unwrap();
    assert!(
        matches!(config.oidc.client_secret, Some(SecretSource::File(path)) if path == Path::new("/nowhere/a"))
    );
    assert_eq!(load(file.name()).matches("names a file that does not exist").count(), 7);

    let wrong = TempFile::new(text.replace("https://auth.example.com/", "auth.example.com"));
    let errors = Config::load_elsewhere(&wrong.0, []).unwrap_err().to_string();
    assert!(errors.ends_with("oidc.issuer: must begin with `https://`"), "{errors}");
}

#[test]
fn each_file_must_hold_what_it_should() {
    let (empty, short, binary) = (TempFile::new(" \n"), TempFile::new("hunter2"), TempFile::new([0xFF; 40]));
    let missing = "/nowhere";
    let cases = [
        ("oidc.clientSecretFile", missing, "names a file that does not exist; mount it, or correct the path"),
        ("oidc.clientSecretFile", empty.name(), "is empty; put the secret in it"),
        ("oidc.clientSecretFile", binary.name(), "is not UTF-8; write the secret as text"),
        ("oidc.clientSecretFile", "/dev/zero", "names something other than a regular file; correct the path"),
        ("oidc.caFile", missing, "names a file that does not exist; mount it, or correct the path"),
        ("oidc.caFile", short.name(), "names a file without a certificate in PEM form; correct the path"),
        (
            "kubernetes.caFile",
            short.name(),
            "names a file without a certificate in PEM form; correct the path",
        ),
        ("kubernetes.kubeconfig", empty.name(), "names a file with nothing in it; correct the path"),
        ("kubernetes.kubeconfig", "/", "names something other than a regular file; correct the path"),
    ];
    for (key, path, message) in cases {
        let variable = format!("LAMPLIGHTER_{}", key.replace('.', "__").to_uppercase())
            .replace("SECRETFILE", "_SECRET_FILE")
            .replace("CAFILE", "CA_FILE");
        let expected = format!("environment variable {variable}: {key}: {message}");
        assert_eq!(super::errors_with(LEAST, &[(&variable, path)]), expected);
    }
}

#[test]
fn a_session_key_must_be_long_enough() {
    let (short, long) = (TempFile::new("hunter2\n"), TempFile::new([b'k'; 32]));
    let with_keys = |keys: &str| least_with("roles:", &format!("session:\n  keyFiles: {keys}\nroles:"));
    assert_eq!(parse(&with_keys(&format!("[{}]", long.name()))).session.key_files.len(), 1);
    assert_eq!(
        errors(&with_keys(&format!("\n    - {}\n    - {}\n    - /nowhere", long.name(), short.name()))),
        "c.yaml:8: session.keyFiles[1]: names a key of 7 bytes, which can be guessed; make one of 32 or more, as by \
         `openssl rand -base64 32`\n\
         c.yaml:9: session.keyFiles[2]: names a file that does not exist; mount it, or correct the path"
    );
}

#[test]
fn hs256_needs_a_long_client_secret() {
    let long = TempFile::new([b's'; 32]);
    let text = format!("signingAlgorithms: [HS256]\n  clientSecretFile: {}\n  clientId", long.name());
    parse(&least_with("clientId", &text));
    let text = least_with("clientId", "signingAlgorithms: [HS256]\n  clientSecret: hunter2\n  clientId");
    assert!(errors(&text).starts_with("c.yaml:4: oidc.signingAlgorithms: HS256 is as strong as"));
}

#[test]
fn a_huge_file_is_no_secret() {
    let huge = TempFile::new(vec![b'x'; (1 << 20) + 1]);
    assert_eq!(read_secret(&huge.0).unwrap_err(), FileError::TooLarge);
}
