//! lamplighter itself, the program as it is shipped, in a process of its own.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::wait;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_lamplighter");

/// Runs what follows with cluster DNS, which knows the rig's sites and Services; nobody else sees the mount.
const WITH_CLUSTER_DNS: &str = r#"mount --bind "$1" /etc/resolv.conf && shift && exec "$@""#;

/// `program` with cluster DNS, and with nothing of this environment.
pub(crate) fn with_cluster_dns(folder: &Folder, program: &Path) -> Command {
    let resolver = folder.write("resolv.conf", "nameserver 10.96.0.10\n");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--", "sh", "-c", WITH_CLUSTER_DNS, "sh"]).arg(resolver).arg(program);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

/// A folder that goes with the test.
#[derive(Debug)]
pub(crate) struct Folder(pub(crate) PathBuf);

/// A process that ends with the test.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

/// lamplighter, and where it listens.
#[derive(Debug)]
pub(crate) struct Lamplighter {
    process: Process,
    pub(crate) public: SocketAddr,
    pub(crate) authz: SocketAddr,
}

impl Folder {
    /// Makes it.
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a temporary folder can be made");
        Self(path)
    }

    /// Writes a file into it.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a temporary file can be written");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Process {
    /// Starts `command`; what it says goes to the file `log`.
    pub(crate) fn start(command: &mut Command, log: PathBuf) -> Self {
        let file = File::create(&log).expect("a log can be written");
        let twin = file.try_clone().expect("a log can be written");
        let child = command.stdin(Stdio::null()).stdout(twin).stderr(file).spawn();
        Self { child: child.expect("the program starts"), log }
    }

    /// What it said so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("a log can be read")
    }

    /// Waits until `ask` finds in the log what it looks for. Not for the dead.
    pub(crate) fn wait_for<T>(&mut self, what: &str, ask: impl Fn(&str) -> Option<T>) -> T {
        wait::until(what, || {
            let found = ask(&self.log());
            if found.is_none() {
                let ended = self.child.try_wait().expect("a child can be asked");
                assert!(ended.is_none(), "it ended before this: {what}\n{}", self.log());
            }
            found
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            // The folder may be gone by now, and two panics are none.
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let end = log.len().saturating_sub(4_000);
            let end = (end..log.len()).find(|at| log.is_char_boundary(*at)).unwrap_or(log.len());
            // Into the panic's own output, where a person looks.
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("its log ends:\n{}", &log[end..]).as_bytes(),
            );
        }
    }
}

impl Lamplighter {
    /// Starts it with `config`, and waits until it listens.
    pub(crate) fn start(folder: &Folder, config: &Path, log: &str) -> Self {
        let mut command = with_cluster_dns(folder, Path::new(PROGRAM));
        command.args(["--log", log, "serve", "--config"]).arg(config);
        let mut process = Process::start(&mut command, folder.0.join("lamplighter.log"));
        let ready = process.wait_for("lamplighter is ready", |log| {
            entries(log).find(|entry| entry["msg"] == "lamplighter is ready")
        });
        let address = |name: &str| {
            let text = ready[name].as_str().expect("the line names the listener");
            text.parse().expect("the line holds an address")
        };
        Self { public: address("public"), authz: address("authz"), process }
    }

    /// What it logged so far, as JSON.
    pub(crate) fn entries(&self) -> Vec<Value> {
        entries(&self.process.log()).collect()
    }

    /// All that it logged so far.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }
}

/// The lines of a log that are JSON: the last may be half written.
fn entries(log: &str) -> impl Iterator<Item = Value> {
    log.lines().filter_map(|line| serde_json::from_str(line).ok())
}
