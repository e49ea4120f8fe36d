//! The command line: what a person types, and what the program prints.
//!
//! Data goes to stdout, messages to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage (clap's), 78 the
//! configuration is at fault (`EX_CONFIG` of sysexits.h).

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is where the program speaks to people")]

mod config;
mod demo;
mod fallback;
mod idp;
mod papers;
mod serve;
mod session_key;
pub mod settings;
mod shutdown;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, environment};
use crate::telemetry::{self, LogFormat};

const EX_CONFIG: u8 = 78;

/// Sign in at your identity provider, be in at your Kubernetes UI: no token to paste, none to store.
#[derive(Debug, Parser)]
#[command(name = "lamplighter", version, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    log: LogArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer ingresses and browsers.
    Serve(ConfigArgs),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(config::Command),
    /// The way in when the provider is down.
    #[command(subcommand)]
    Fallback(fallback::Command),
    /// The key that seals session cookies.
    #[command(subcommand)]
    SessionKey(session_key::Command),
    /// Print what an identity provider has to be told of lamplighter, or lamplighter of it.
    Idp(idp::Args),
    /// Run everything on embedded parts, with no configuration: a provider, an API server, an upstream.
    Demo(demo::Args),
    /// Print what a shell needs to complete our commands.
    Completions(papers::Completions),
    /// Write our man pages.
    Man(papers::Man),
}

#[derive(Args, Debug)]
struct LogArgs {
    /// How log lines look.
    #[arg(long, env = "LAMPLIGHTER_LOG_FORMAT", default_value = "auto", global = true, value_enum)]
    log_format: LogFormat,
    /// What is logged, such as `info` or `lamplighter=debug`.
    #[arg(long, env = "LAMPLIGHTER_LOG", default_value = "info", global = true, value_name = "FILTER")]
    log: String,
}

/// Which configuration.
#[derive(Args, Debug)]
struct ConfigArgs {
    /// The configuration file; `LAMPLIGHTER_…` variables go over it.
    #[arg(
        long,
        short,
        env = "LAMPLIGHTER_CONFIG",
        default_value = "/etc/lamplighter/config.yaml",
        value_name = "FILE"
    )]
    config: PathBuf,
}

impl ConfigArgs {
    fn load(&self) -> Result<Config, ExitCode> {
        Config::load(&self.config, environment()).map_err(|errors| {
            eprintln!("{errors}");
            ExitCode::from(EX_CONFIG)
        })
    }
}

/// Runs what the command line asks for.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::start(cli.log.log_format, &cli.log.log);
    match cli.command {
        Command::Serve(args) => serve::run(&args),
        Command::Config(command) => config::run(&command),
        Command::Fallback(command) => fallback::run(&command),
        Command::SessionKey(command) => session_key::run(command),
        Command::Idp(args) => idp::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Completions(args) => args.run(),
        Command::Man(args) => args.run(),
    }
}

/// Runs `work` on as many threads as there are cores, up to four: a check is over in microseconds.
fn block_on(work: impl Future<Output = ExitCode>) -> ExitCode {
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4));
    let mut builder = match threads {
        // A container's usual share of the machine: nobody there to hand work over to.
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    match builder.worker_threads(threads).enable_all().build() {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => fail(&error),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("lamplighter: {error}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_coherent() {
        super::Cli::command().debug_assert();
    }
}
