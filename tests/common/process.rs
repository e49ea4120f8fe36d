//! lamplighter as a process of its own, with everything that it says.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::files::Folder;
use super::wire::LONG;
use super::{App, CLIENT_SECRET, SITE, until};

const BINARY: &str = env!("CARGO_BIN_EXE_lamplighter");

/// What its sessions are sealed with.
pub(crate) const SESSION_KEY: &str = "a session key that is thirty-two bytes long and more";

/// The binary, serving. Killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    said: Arc<Mutex<String>>,
    silent: oneshot::Receiver<()>,
}

impl Process {
    /// Starts to serve with `config`, logging all that `filter` lets through as JSON.
    pub(crate) async fn serve(config: &Path, filter: &str) -> Self {
        Self::serve_with(config, filter, &[]).await
    }

    /// The same, with these environment variables and no others.
    pub(crate) async fn serve_with(config: &Path, filter: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(BINARY);
        command.env_clear().envs(variables.iter().copied());
        Self::start(command, config, ("json", filter)).await
    }

    /// The same, with lines in another `format`.
    pub(crate) async fn serve_in(format: &str, config: &Path, filter: &str) -> Self {
        let mut command = Command::new(BINARY);
        command.env_clear();
        Self::start(command, config, (format, filter)).await
    }

    /// The same, with room for so many open files.
    pub(crate) async fn serve_with_files(config: &Path, filter: &str, files: u32) -> Self {
        let mut command = Command::new("/bin/sh");
        command.env_clear();
        command.args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\""), BINARY]);
        Self::start(command, config, ("json", filter)).await
    }

    async fn start(mut command: Command, config: &Path, (format, filter): (&str, &str)) -> Self {
        command.args(["serve", "--log-format", format, "--log", filter, "--config"]).arg(config);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let kept = Arc::clone(&said);
        let (end, silent) = oneshot::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                *kept.lock().unwrap() += &(line + "\n");
            }
            let _ = end.send(());
        });
        let process = Self { child, said, silent };
        until("lamplighter is ready", || process.said().contains("lamplighter is ready")).await;
        process
    }

    /// Sends it a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// How it ended, once it has: then nobody holds the other end of what it says.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        tokio::time::timeout(LONG, &mut self.silent).await.expect("it ends").unwrap();
        self.child.wait().unwrap()
    }

    /// Everything that it said so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Where the listener `name` listens.
    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        let said = self.said();
        let line = said.lines().find(|line| line.contains("lamplighter is ready")).unwrap();
        let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else {
            let key = format!(" {name}=");
            let (_, rest) = line.split_once(&key).unwrap();
            return rest.split(' ').next().unwrap().parse().unwrap();
        };
        line[name].as_str().unwrap().parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The configuration file of a lamplighter between the provider and the API server of `parts`.
pub(crate) fn configure(folder: &Folder, parts: &App) -> PathBuf {
    let secret = folder.write("client-secret", &format!("{CLIENT_SECRET}\n"));
    let key = folder.write("session-key", SESSION_KEY);
    let kubeconfig = folder.write("kubeconfig", &parts.api_server.kubeconfig());
    let (secret, key, kubeconfig) = (secret.display(), key.display(), kubeconfig.display());
    let issuer = parts.provider.issuer();
    let text = format!(
        "site: {SITE}
oidc: {{ issuer: '{issuer}', clientId: lamplighter, clientSecretFile: '{secret}' }}
session: {{ ttl: 8h, keyFiles: ['{key}'] }}
roles:
- name: admin
  match: {{ groups: [k8s-admins] }}
  serviceAccount: headlamp/admin
  tokenTtl: 15m
kubernetes: {{ kubeconfig: '{kubeconfig}' }}
listen: {{ public: '127.0.0.1:0', authz: '127.0.0.1:0', admin: '127.0.0.1:0' }}
"
    );
    folder.write("config.yaml", &text)
}
