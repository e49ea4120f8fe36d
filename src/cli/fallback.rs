//! `lamplighter fallback …`.

use std::process::ExitCode;

use clap::Subcommand;

use super::{ConfigArgs, fail};
use crate::app::code_secret;
use crate::auth::code::CodeKey;
use crate::clock::Clock;
use crate::random;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print a one-time code, to be run in lamplighter's own container: `kubectl exec … -- lamplighter fallback code`.
    Code(ConfigArgs),
}

pub(super) fn run(command: &Command) -> ExitCode {
    let Command::Code(args) = command;
    let config = match args.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    if config.fallback.is_none() {
        eprintln!("lamplighter: there is no fallback in {}: set `fallback:`", args.config.display());
        return ExitCode::FAILURE;
    }
    match code_secret(&config.session.key_files) {
        Ok(secret) => {
            println!("{}", CodeKey::derive(&secret).issue(random::bytes(), Clock::system().now()));
            eprintln!("good once, for five minutes");
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}
