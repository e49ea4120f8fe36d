//! Where the rig's parts are: `tests/rig/rig up` writes it down.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::Deserialize;

/// The description of a rig that is up.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rig {
    pods: bool,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) kubectl: PathBuf,
    pub(crate) api_server: String,
    pub(crate) api_server_ca: PathBuf,
    pub(crate) audit_log: PathBuf,
    pub(crate) node_address: IpAddr,
    pub(crate) ca: PathBuf,
    pub(crate) crds: PathBuf,
    pub(crate) tls_cert: PathBuf,
    pub(crate) tls_key: PathBuf,
    pub(crate) tls_key_hash: String,
    pub(crate) ingress: Option<Ingress>,
    pub(crate) providers: Providers,
    pub(crate) ui: PathBuf,
    pub(crate) chromium: PathBuf,
    browser_network: Option<PathBuf>,
    pub(crate) nginx: PathBuf,
    pub(crate) node_modules: PathBuf,
}

/// The ingress-nginx controller.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Ingress {
    pub(crate) https: u16,
}

/// The providers.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Providers {
    pub(crate) plain: Provider,
    pub(crate) authentik: Provider,
}

/// One provider.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Provider {
    pub(crate) issuer: String,
    pub(crate) registration: String,
}

impl Rig {
    /// The rig that `LAMPLIGHTER_RIG` describes, or the sentence that says what is missing.
    #[expect(clippy::disallowed_methods, reason = "a test is told by its environment where the rig is")]
    pub(crate) fn find() -> Result<Self, String> {
        let path = std::env::var("LAMPLIGHTER_RIG").map_err(|_| {
            r#"there is no rig: `tests/rig/rig up`, then `eval "$(tests/rig/rig env)"` (LAMPLIGHTER_RIG is not set)"#
        })?;
        let text = std::fs::read(&path)
            .map_err(|error| format!("the rig is down: `tests/rig/rig up` ({path}: {error})"))?;
        let rig: Self = serde_json::from_slice(&text)
            .map_err(|error| format!("{path} describes no rig of this checkout: {error}"))?;
        if !rig.pods {
            return Err("the rig has no node, since it was brought up without root".to_owned());
        }
        Ok(rig)
    }

    /// `program`, in the network that is Chromium's alone: in the machine's own, a pod that comes or goes breaks off
    /// what a page loads.
    pub(crate) fn in_browser_network(&self, program: &str) -> Command {
        let network = self.browser_network.as_ref().expect("a rig with a node has one");
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", network.display())).arg(program);
        command
    }

    /// A port of the node's address at which nobody listens, for somebody who has to be told one.
    ///
    /// None of those that the kernel gives out, or that Kubernetes does: it would give this one to somebody else meanwhile.
    pub(crate) fn free_port(&self) -> u16 {
        static GIVEN: AtomicU32 = AtomicU32::new(0);
        let mut ports = std::iter::repeat_with(|| {
            let next =
                std::process::id().wrapping_mul(97).wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
            20_000 + u16::try_from(next % 10_000).unwrap_or(0)
        });
        let is_free = |port: &u16| TcpListener::bind((self.node_address, *port)).is_ok();
        ports.find(is_free).expect("one of ten thousand ports is free")
    }

    /// The API server's own port, as a policy for whoever asks it has to name it.
    pub(crate) fn api_server_port(&self) -> u16 {
        let (_, port) = self.api_server.rsplit_once(':').expect("its address has a port");
        port.parse().expect("a port is a number")
    }

    /// The port at which the ingress controller speaks TLS.
    pub(crate) fn https_port(&self) -> u16 {
        self.ingress.as_ref().map_or(443, |ingress| ingress.https)
    }
}

/// Headlamp itself, where somebody runs one for this cluster, with `-in-cluster-context-name=main -proxy-auth=true`:
/// `http://ADDRESS:PORT` in `HEADLAMP_URL`.
#[expect(clippy::disallowed_methods, reason = "a test is told by its environment where Headlamp is")]
pub(crate) fn headlamp() -> Result<SocketAddr, String> {
    let url = std::env::var("HEADLAMP_URL").map_err(|_| {
        "Headlamp is in no package registry: run one for the rig's cluster, and name it by HEADLAMP_URL=http://ADDRESS:PORT"
    })?;
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    address.parse().map_err(|error| format!("HEADLAMP_URL is not http://ADDRESS:PORT: {url} ({error})"))
}

/// authentik, where somebody runs one.
#[derive(Clone)]
pub(crate) struct Authentik {
    /// Its address on this machine, over plain HTTP.
    pub(crate) url: String,
    /// A token for its API.
    pub(crate) token: String,
}

/// authentik itself, where somebody runs one for tests alone, server and worker, both with `LAMPLIGHTER_CLIENT_SECRET` in their
/// environment: `http://ADDRESS:PORT` in `AUTHENTIK_URL`, and a token for its API, of an administrator, in `AUTHENTIK_TOKEN`.
#[expect(clippy::disallowed_methods, reason = "a test is told by its environment where authentik is")]
pub(crate) fn authentik() -> Result<Authentik, String> {
    let url = std::env::var("AUTHENTIK_URL").map_err(|_| {
        "authentik is in no package registry: run one for tests alone, and name it by AUTHENTIK_URL=http://ADDRESS:PORT and AUTHENTIK_TOKEN"
    })?;
    let token = std::env::var("AUTHENTIK_TOKEN")
        .map_err(|_| "AUTHENTIK_URL names one, and AUTHENTIK_TOKEN no token for its API")?;
    Ok(Authentik { url: url.trim_end_matches('/').to_owned(), token })
}

/// A program of the rig's on the PATH, or the sentence that says what is missing.
#[expect(clippy::disallowed_methods, reason = "programs are found by the PATH")]
pub(crate) fn program(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    found.ok_or_else(|| {
        format!(
            r#"there is no {name} on the PATH: `tests/rig/rig build`, `tests/rig/rig up`, `eval "$(tests/rig/rig env)"`"#
        )
    })
}

/// An image of lamplighter that the node has already, in place of one of the program under test.
#[expect(clippy::disallowed_methods, reason = "a test is told by its environment which image to run")]
pub(crate) fn image() -> Option<String> {
    std::env::var("LAMPLIGHTER_IMAGE").ok().filter(|name| !name.is_empty())
}

/// Whether a missing part is a failure, as `make test` has it.
#[expect(clippy::disallowed_methods, reason = "a test is told by its environment what has to be there")]
pub(crate) fn is_required() -> bool {
    std::env::var("LAMPLIGHTER_REQUIRE_RIG").is_ok_and(|value| value == "1")
}

/// Where screenshots are kept.
#[expect(clippy::disallowed_methods, reason = "a test is told by its environment where to keep what it made")]
pub(crate) fn artifacts() -> PathBuf {
    let folder = match std::env::var_os("LAMPLIGHTER_ARTIFACTS") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/artifacts"),
    };
    std::fs::create_dir_all(&folder).expect("the folder for artifacts can be made");
    folder
}
