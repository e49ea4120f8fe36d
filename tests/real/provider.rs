//! A provider of a test's own, which it may stop: the rig's program once more.

use std::path::Path;
use std::process::Command;

use crate::process::{Folder, Process};
use crate::rig::{Provider, Rig};
use crate::wait;

/// A provider that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct OwnProvider {
    pub(crate) provider: Provider,
    _process: Process,
    _folder: Folder,
}

impl OwnProvider {
    /// Starts one, and waits until it listens.
    pub(crate) fn start(rig: &Rig) -> Self {
        let port = rig.free_port();
        let folder = Folder::new(&format!("provider-{port}"));
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rig/node");
        for file in ["provider.mjs", "pages.mjs"] {
            std::fs::copy(program.join(file), folder.0.join(file)).expect("a file can be copied");
        }
        // Node looks for packages beside the file that wants them.
        let modules = folder.0.join("node_modules");
        std::os::unix::fs::symlink(&rig.node_modules, modules).expect("a link can be made");
        let issuer = format!("https://auth.rig.test:{port}");
        let mut command = Command::new("node");
        command.arg(folder.0.join("provider.mjs")).args(["--shape", "plain", "--issuer", &issuer]);
        command.arg("--listen").arg(rig.node_address.to_string());
        command.arg("--cert").arg(&rig.tls_cert).arg("--key").arg(&rig.tls_key).env("NODE_ENV", "production");
        let process = Process::start(&mut command, folder.0.join("provider.log"));
        let address = (rig.node_address, port);
        wait::until("the provider listens", || std::net::TcpStream::connect(address).ok());
        let provider = Provider { registration: format!("{issuer}/reg"), issuer };
        Self { provider, _process: process, _folder: folder }
    }
}
