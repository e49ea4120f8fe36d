//! `lamplighter completions` and `lamplighter man`: what a shell and `man` know of the command line.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, fail};

#[derive(clap::Args, Debug)]
pub(super) struct Completions {
    /// For which shell.
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(clap::Args, Debug)]
pub(super) struct Man {
    /// Where to write the pages.
    directory: PathBuf,
}

impl Completions {
    pub(super) fn run(&self) -> ExitCode {
        clap_complete::generate(self.shell, &mut Cli::command(), "lamplighter", &mut io::stdout());
        ExitCode::SUCCESS
    }
}

impl Man {
    pub(super) fn run(&self) -> ExitCode {
        match clap_mangen::generate_to(Cli::command(), &self.directory) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        }
    }
}
