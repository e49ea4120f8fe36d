//! The configuration from outside: text in, a `Config` or messages out.

mod environment;
mod files;
mod hostile;
mod messages;
mod mistakes;
mod providers;
mod role_mistakes;
mod settings;

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::Config;

/// The least that starts.
const LEAST: &str = "\
site: https://headlamp.example.com
oidc:
  issuer: https://auth.example.com/
  clientId: headlamp
roles:
  - name: admin
    match: { groups: [k8s-admins] }
    serviceAccount: headlamp/admin
    tokenTtl: 15m
";

/// [`LEAST`], with `from` replaced.
fn least_with(from: &str, to: &str) -> String {
    assert!(LEAST.contains(from), "{from}");
    LEAST.replacen(from, to, 1)
}

fn parse(text: &str) -> Config {
    Config::parse("c.yaml", text, []).unwrap_or_else(|errors| panic!("{errors}\n---\n{text}"))
}

fn errors(text: &str) -> String {
    errors_with(text, &[])
}

fn errors_with(text: &str, env: &[(&str, &str)]) -> String {
    match Config::parse("c.yaml", text, pairs(env)) {
        Ok(_) => panic!("accepted: {text}"),
        Err(errors) => errors.to_string(),
    }
}

fn pairs(env: &[(&str, &str)]) -> Vec<(String, String)> {
    env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A file that is gone at the end of the test.
struct TempFile(PathBuf);

impl TempFile {
    fn new(content: impl AsRef<[u8]>) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("lamplighter-config-{}-{number}", std::process::id()));
        fs::write(&path, content).expect("the temporary folder can be written to");
        Self(path)
    }

    fn name(&self) -> &str {
        self.0.to_str().expect("a path that is text")
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        // Nothing depends on it.
        drop(fs::remove_file(&self.0));
    }
}
