//! `lamplighter config …`.

use std::process::ExitCode;

use clap::Subcommand;

use super::ConfigArgs;
use crate::config;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Read the configuration, and say everything that is wrong with it.
    Check(ConfigArgs),
    /// Print every setting, as Markdown.
    Reference,
    /// Print the JSON Schema, for editors.
    Schema,
}

pub(super) fn run(command: &Command) -> ExitCode {
    match command {
        Command::Check(args) => match args.load() {
            Ok(_) => println!("{}: good", args.config.display()),
            Err(code) => return code,
        },
        Command::Reference => print!("{}", config::reference()),
        Command::Schema => println!("{:#}", config::schema()),
    }
    ExitCode::SUCCESS
}
