//! `lamplighter demo`.

use std::process::ExitCode;

use super::{block_on, fail, shutdown};
use crate::clock::Clock;
use crate::demo::house::House;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The port to open it at; 0 takes any that is free.
    #[arg(long, default_value_t = 4460)]
    port: u16,
}

pub(super) fn run(args: &Args) -> ExitCode {
    block_on(async {
        let House { provider, api_server, upstream, forwarder, bound, site } =
            match House::build(args.port, Clock::system()).await {
                Ok(house) => house,
                Err(error) => return fail(&error),
            };
        println!("lamplighter's demo is open at {site}");
        println!();
        println!(
            "  provider    {}  (pick ada, an admin; victor, a viewer; nora, in no group)",
            provider.issuer()
        );
        println!("  API server  {}  (embedded; signs real ServiceAccount tokens)", api_server.url());
        println!("  upstream    {}  (shows what it received)", upstream.url());
        println!();
        println!("Everything is on this machine and is gone when you press Ctrl-C.");
        bound.run(shutdown::requested()).await;
        drop((provider, api_server, upstream, forwarder));
        ExitCode::SUCCESS
    })
}
