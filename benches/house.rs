//! What a run needs around it: the demo's provider and API server, a folder, and lamplighter itself.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use lamplighter::clock::Clock;
use lamplighter::demo::api_server::{ApiServer, ApiServerSettings};
use lamplighter::demo::provider::{Client, Provider, ProviderSettings};
use lamplighter::random;
use tokio::signal::unix::{SignalKind, signal};

use super::browser::{self, HOST, SITE};
use super::peer::Peer;
use super::process::{Part, free_address, pinned};
use super::{Done, Options};

/// What a client proves itself with at the provider.
pub(crate) const CLIENT_SECRET: &str = "a secret of the benchmark, of more than thirty-two characters";

/// A folder of this run's own.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// All that scenarios share.
pub(crate) struct Bench {
    pub(crate) options: Options,
    pub(crate) peer: Option<Peer>,
    pub(crate) api_server: ApiServer,
    provider: Provider,
    files: AtomicUsize,
    folder: Folder,
}

impl Bench {
    pub(crate) fn start(options: Options, peer: Option<Peer>) -> Done<Self> {
        let folder = std::env::temp_dir().join(format!("lamplighter-bench-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let folder = Folder(folder);
        let (send, receive) = mpsc::channel();
        let path = folder.0.clone();
        thread::Builder::new().name("parts".to_owned()).spawn(move || embedded(&path, &send))?;
        let (provider, api_server) = receive.recv()??;
        let bench = Self { options, peer, api_server, provider, files: AtomicUsize::new(0), folder };
        bench.write("client-secret", CLIENT_SECRET)?;
        bench.write("session-key", "a session key that is thirty-two bytes long and more")?;
        bench.write("kubeconfig", &bench.api_server.kubeconfig())?;
        Ok(bench)
    }

    /// Writes a file into this run's folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> Done<PathBuf> {
        let path = self.folder.0.join(name);
        fs::write(&path, text)?;
        Ok(path)
    }

    /// This run's folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// The provider's issuer.
    pub(crate) fn issuer(&self) -> String {
        self.provider.issuer()
    }

    /// Starts a program, and waits until it listens at each of `addresses`.
    pub(crate) fn part(&self, name: &'static str, command: Command, addresses: &[SocketAddr]) -> Done<Part> {
        Part::start(name, self.folder(), command, addresses)
    }

    /// Starts one of our own parts, whose first argument is its port.
    pub(crate) fn own_part(
        &self,
        role: &'static str,
        core: usize,
        more: &[String],
    ) -> Done<(Part, SocketAddr)> {
        let address = free_address()?;
        let mut command = pinned(core, &std::env::current_exe()?);
        command.arg(role).arg(address.port().to_string()).args(more);
        Ok((self.part(role, command, &[address])?, address))
    }

    /// Starts lamplighter, as the proxy in front of `upstream` if there is one.
    pub(crate) fn lamplighter(&self, core: usize, upstream: Option<SocketAddr>) -> Done<Gateway> {
        let prepared = self.prepare(&self.issuer(), upstream)?;
        let mut command = pinned(core, &self.options.binary);
        command.args(prepared.arguments());
        let part = self.part("lamplighter", command, &[prepared.public, prepared.authz, prepared.admin])?;
        Ok(Gateway { part, public: prepared.public, authz: prepared.authz })
    }

    /// Writes a configuration, for a lamplighter between the provider at `issuer` and the API server.
    pub(crate) fn prepare(&self, issuer: &str, upstream: Option<SocketAddr>) -> Done<Prepared> {
        let (public, authz, admin) = (free_address()?, free_address()?, free_address()?);
        let folder = self.folder().display();
        let upstream = upstream.map_or(String::new(), |address| format!("upstream: 'http://{address}'\n"));
        let text = format!(
            "site: {SITE}
{upstream}oidc: {{ issuer: '{issuer}', clientId: lamplighter, clientSecretFile: '{folder}/client-secret' }}
session: {{ ttl: 8h, keyFiles: ['{folder}/session-key'] }}
roles:
- {{ name: admin, match: {{ groups: [k8s-admins] }}, serviceAccount: headlamp/admin, tokenTtl: 8h }}
- {{ name: viewer, match: {{ groups: [k8s-viewers] }}, serviceAccount: headlamp/viewer, tokenTtl: 8h }}
kubernetes: {{ kubeconfig: '{folder}/kubeconfig' }}
listen: {{ public: '{public}', authz: '{authz}', admin: '{admin}' }}
"
        );
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        let config = self.write(&format!("config-{number}.yaml"), &text)?;
        Ok(Prepared { config, public, authz, admin })
    }
}

/// A lamplighter that can be started.
pub(crate) struct Prepared {
    config: PathBuf,
    pub(crate) public: SocketAddr,
    pub(crate) authz: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Prepared {
    /// What to say on its command line.
    pub(crate) fn arguments(&self) -> [String; 3] {
        ["serve".to_owned(), "--config".to_owned(), self.config.display().to_string()]
    }
}

/// A lamplighter that serves.
pub(crate) struct Gateway {
    pub(crate) part: Part,
    pub(crate) public: SocketAddr,
    pub(crate) authz: SocketAddr,
}

impl Gateway {
    /// Signs `user` in; the session's cookie is good at every lamplighter of this run.
    pub(crate) fn sign_in(&self, user: &str) -> Done<String> {
        browser::sign_in(self.public, HOST, "/lamplighter/login?rd=/c/main", user)
    }
}

type Embedded = Done<(Provider, ApiServer)>;

/// Runs the embedded parts, and ends the whole run at a signal: all that it started ends when it does.
fn embedded(folder: &Path, send: &mpsc::Sender<Embedded>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(send.send(Err(error.into()))),
    };
    runtime.block_on(async {
        let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            return drop(send.send(Err("cannot listen for signals".into())));
        };
        let _ = send.send(start().await);
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        let _ = fs::remove_dir_all(folder);
        std::process::exit(130);
    });
}

async fn start() -> Embedded {
    let clock = Clock::system();
    let time = Arc::new(move || clock.now());
    let mut settings = ProviderSettings::new(time.clone(), random::fill);
    settings.clients = ["lamplighter", "apache"].map(|id| Client::confidential(id, CLIENT_SECRET)).to_vec();
    let provider = Provider::start(settings).await?;
    let api_server = ApiServer::start(ApiServerSettings::new(time, random::fill)).await?;
    Ok((provider, api_server))
}
