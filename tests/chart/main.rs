//! The chart, as `helm template` renders it.
//!
//! Helm 4 is on the PATH as `helm` and Helm 3 as `helm3`, where `eval "$(tests/rig/rig env)"` puts the rig's. Without them, the
//! tests that need them say so and are ignored; with `LAMPLIGHTER_REQUIRE_RIG=1` they fail. So it is with the rig's API server, for
//! the one that asks it.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "these are tests; what a person reads is on stderr"
)]

mod api_server;
mod binary;
mod forward_auth;
mod golden;
mod headlamp;
mod helm;
mod helm3;
mod kubernetes;
mod least_right;
mod network;
mod papers;
mod refusals;
mod session_key;

use std::path::PathBuf;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::api_server::ApiServer;
use crate::helm::Helm;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let parts = Parts {
        helm: Helm::find("helm", "4"),
        helm3: Helm::find("helm3", "3"),
        api_server: ApiServer::find(),
        headlamp: headlamp::chart(),
    };
    if !arguments.list {
        let helms = [&parts.helm, &parts.helm3].map(|helm| helm.as_ref().err());
        let others = [parts.api_server.as_ref().err(), parts.headlamp.as_ref().err()];
        for missing in helms.into_iter().chain(others).flatten() {
            eprintln!("left out: {missing}");
        }
    }
    let tests = [
        papers::tests(&parts),
        golden::tests(&parts),
        refusals::tests(&parts),
        binary::tests(&parts),
        kubernetes::tests(&parts),
        api_server::tests(&parts),
        least_right::tests(&parts),
        network::tests(&parts),
        forward_auth::tests(&parts),
        session_key::tests(&parts),
        headlamp::tests(&parts),
        helm3::tests(&parts),
    ];
    libtest_mimic::run(&arguments, tests.into_iter().flatten().collect()).exit_code()
}

/// The parts that are there, or what is missing.
struct Parts {
    helm: Result<Helm, String>,
    helm3: Result<Helm, String>,
    api_server: Result<ApiServer, String>,
    headlamp: Result<PathBuf, String>,
}

impl Parts {
    /// A test that renders.
    fn test(&self, name: &str, run: impl FnOnce(&Helm) + Send + 'static) -> Trial {
        match self.helm.clone() {
            Ok(helm) => trial(name, move || run(&helm)),
            Err(missing) if helm::is_required() => Trial::test(name, move || Err(Failed::from(missing))),
            Err(_) => left_out(name),
        }
    }

    /// A test that renders by Helm 3, and by Helm 4.
    fn test_both(&self, name: &str, run: impl FnOnce(&Helm, &Helm) + Send + 'static) -> Trial {
        match self.helm3.clone() {
            Ok(helm3) => self.test(name, move |helm| run(&helm3, helm)),
            Err(missing) if helm::is_required() => Trial::test(name, move || Err(Failed::from(missing))),
            Err(_) => left_out(name),
        }
    }

    /// A test that renders, and asks the rig's API server.
    fn test_on_cluster(&self, name: &str, run: impl FnOnce(&Helm, ApiServer) + Send + 'static) -> Trial {
        match self.api_server.clone() {
            Ok(server) => self.test(name, move |helm| run(helm, server)),
            Err(missing) if helm::is_required() => Trial::test(name, move || Err(Failed::from(missing))),
            Err(_) => left_out(name),
        }
    }
}

/// A test that needs nothing.
fn trial(name: &str, run: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        run();
        Ok(())
    })
}

/// A test whose part is not there.
fn left_out(name: &str) -> Trial {
    Trial::test(name, || Ok(())).with_ignored_flag(true)
}
