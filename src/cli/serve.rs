//! `lamplighter serve`.

use std::process::ExitCode;

use super::{ConfigArgs, block_on, fail, settings, shutdown};
use crate::app::Bound;
use crate::clock::Clock;

pub(super) fn run(args: &ConfigArgs) -> ExitCode {
    let config = match args.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let settings = match settings::from_config(config) {
        Ok(settings) => settings,
        Err(error) => return fail(&error),
    };
    block_on(async {
        let bound = match Bound::bind(settings, Clock::system()).await {
            Ok(bound) => bound,
            Err(error) => return fail(&error),
        };
        announce(&bound);
        bound.run(shutdown::requested()).await;
        tracing::info!("stopped");
        ExitCode::SUCCESS
    })
}

fn announce(bound: &Bound) {
    let site = bound.gateway().site.origin();
    let issuer = bound.gateway().provider.settings().issuer.as_str();
    if let (Ok(public), Ok(authz), Ok(admin)) = (bound.public(), bound.authz(), bound.admin()) {
        tracing::info!(%public, %authz, %admin, site, issuer, "lamplighter is ready");
    }
}
