//! lamplighter between real parts: Kubernetes, ingress-nginx, nginx, Traefik, Caddy, Envoy, Envoy Gateway, OpenID
//! Providers, Chromium.
//!
//! `tests/rig/rig up` brings them up. A test whose part is not there says so and is ignored; with
//! `LAMPLIGHTER_REQUIRE_RIG=1` it fails.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "these are tests; what a person reads is on stderr"
)]

mod authentik;
mod autoscaling;
mod browser;
mod caddy;
mod chart;
mod chart_envoy_gateway;
mod chart_helm3;
mod chart_traefik;
mod cluster;
mod demo;
mod disruption;
mod envoy;
mod envoy_gateway;
mod fallback;
mod flux;
mod forgeries;
mod house;
mod idle;
mod idp;
mod in_cluster;
mod ingress_answers;
mod ingress_nginx;
mod k3s;
mod kubectl;
mod mint;
mod monitors;
mod network_policy;
mod operations;
mod plain_nginx;
mod process;
mod prometheus;
mod provider;
mod proxies;
mod release;
mod rig;
mod rights;
mod session_key;
mod sidecar;
mod sign_out;
mod socket;
mod sources;
mod store;
mod traefik;
mod upstream;
mod visitor;
mod wait;

use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Builder;

use crate::rig::Rig;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Mostly they wait for the ingress, which takes up what changed once in three seconds.
    arguments.test_threads.get_or_insert(4);
    let parts = Parts(Rig::find());
    if !arguments.list {
        let (headlamp, authentik) = (rig::headlamp().err(), rig::authentik().err());
        for missing in [parts.0.as_ref().err(), headlamp.as_ref(), authentik.as_ref()].into_iter().flatten() {
            eprintln!("left out: {missing}");
        }
    }
    let tests = [
        ingress_nginx::tests(&parts),
        ingress_answers::tests(&parts),
        sign_out::tests(&parts),
        plain_nginx::tests(&parts),
        traefik::tests(&parts),
        caddy::tests(&parts),
        envoy::tests(&parts),
        mint::tests(&parts),
        operations::tests(&parts),
        store::tests(&parts),
        in_cluster::tests(&parts),
        chart::tests(&parts),
        chart_traefik::tests(&parts),
        chart_envoy_gateway::tests(&parts),
        chart_helm3::tests(&parts),
        disruption::tests(&parts),
        monitors::tests(&parts),
        autoscaling::tests(&parts),
        network_policy::tests(&parts),
        k3s::tests(&parts),
        flux::tests(&parts),
        session_key::tests(&parts),
        sidecar::tests(&parts),
        idle::tests(&parts),
        idp::tests(&parts),
        authentik::tests(&parts),
        kubectl::tests(&parts),
        fallback::tests(&parts),
        browser::tests(&parts),
        demo::tests(&parts),
    ];
    libtest_mimic::run(&arguments, tests.into_iter().flatten().collect()).exit_code()
}

/// The parts that are there, or what is missing.
struct Parts(Result<Rig, String>);

impl Parts {
    /// A test on the rig.
    fn test<F: Future<Output = ()>>(&self, name: &str, run: impl FnOnce(Rig) -> F + Send + 'static) -> Trial {
        match self.0.clone() {
            Ok(rig) => Trial::test(name, move || {
                let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
                runtime.block_on(run(rig));
                Ok(())
            }),
            Err(missing) if rig::is_required() => Trial::test(name, move || Err(Failed::from(missing))),
            Err(_) => left_out(name),
        }
    }

    /// A test on the rig that needs a program, too, which `rig env` puts on the PATH.
    fn test_with<F: Future<Output = ()>>(
        &self,
        program: &str,
        name: &str,
        run: impl FnOnce(Rig, PathBuf) -> F + Send + 'static,
    ) -> Trial {
        match rig::program(program) {
            Ok(program) => self.test(name, move |rig| run(rig, program)),
            Err(missing) if rig::is_required() => Trial::test(name, move || Err(Failed::from(missing))),
            Err(_) => left_out(name),
        }
    }
}

/// A test whose part is not there.
fn left_out(name: &str) -> Trial {
    Trial::test(name, || Ok(())).with_ignored_flag(true)
}
