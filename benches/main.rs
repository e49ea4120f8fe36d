//! `make bench`: what lamplighter costs, as ratios to what else could stand in its place, on the machine that it runs on.
//!
//! ```text
//!   core 0   the server of the moment: lamplighter, a bare hyper handler, nginx, HAProxy, Apache
//!   core 1   the load client, and what lies behind the server
//! ```
//!
//! lamplighter is the release binary, between the demo's provider and the demo's API server, which run in here. Each
//! part is a process of its own. It writes docs/benchmarks.md.

mod browser;
mod check;
mod house;
mod ingress;
mod load;
mod machine;
mod measure;
mod memory;
mod parts;
mod peer;
mod proc;
mod process;
mod proxy;
mod report;
mod servers;
mod stats;
mod train;
mod tunnels;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

/// What ends a run: a sentence for the person who started it.
type Done<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Compares lamplighter with others on this machine.
#[derive(Parser)]
#[command(name = "bench")]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(clap::Args, Clone)]
struct Options {
    /// The release binary to measure.
    #[arg(long, default_value = "target/release/lamplighter")]
    binary: PathBuf,
    /// Where to write the report.
    #[arg(long, default_value = "docs/benchmarks.md")]
    report: PathBuf,
    /// How often each thing is measured.
    #[arg(long, env = "BENCH_ROUNDS", default_value_t = 8)]
    rounds: usize,
    /// How long a sample is, in seconds.
    #[arg(long, env = "BENCH_SECONDS", default_value_t = 1.0)]
    seconds: f64,
    /// The share of a core that other processes may take during a sample that counts.
    #[arg(long, env = "BENCH_FOREIGN", default_value_t = 0.35)]
    foreign: f64,
    /// How many WebSockets are opened at once.
    #[arg(long, env = "BENCH_TUNNELS", default_value_t = 5_000)]
    tunnels: usize,
    /// What is measured: `check`, `ingress`, `proxy`, `memory`; all of it when left out.
    #[arg(long, env = "BENCH_ONLY", value_delimiter = ',')]
    only: Vec<String>,
    /// An auth endpoint of somebody else's, which answers 200 to `PEER_COOKIE`.
    #[arg(long, env = "PEER_URL")]
    peer_url: Option<String>,
    /// The `Cookie` header of a session there. Better in the environment, which other people cannot list.
    #[arg(long, env = "PEER_COOKIE", hide_env_values = true)]
    peer_cookie: Option<String>,
}

/// What is done in place of a comparison; most of it by the processes that one starts.
#[derive(Subcommand)]
enum Role {
    /// Answers all with 200 and a head of so many bytes.
    #[command(hide = true)]
    Bare { port: u16, head_bytes: usize },
    /// Takes any WebSocket, and says everything back.
    #[command(hide = true)]
    Echo { port: u16 },
    /// Answers as a UI does.
    #[command(hide = true)]
    Ui { port: u16 },
    /// Does the job that stands on stdin.
    #[command(hide = true)]
    Load,
    /// Holds the tunnels of the job on stdin open, until stdin ends.
    #[command(hide = true)]
    Tunnels,
    /// Has the binary do all that is hot, and compares nothing: what a guided build learns from.
    Train,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.role {
        None => run(&cli.options),
        Some(Role::Bare { port, head_bytes }) => parts::bare(port, head_bytes),
        Some(Role::Echo { port }) => parts::echo(port),
        Some(Role::Ui { port }) => parts::ui(port),
        Some(Role::Load) => load::role(),
        Some(Role::Tunnels) => tunnels::role(),
        Some(Role::Train) => house::Bench::start(cli.options, None).and_then(|bench| train::train(&bench)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{error}"));
            ExitCode::FAILURE
        }
    }
}

/// Tells the person how it goes.
#[expect(clippy::print_stderr, reason = "a program for people")]
fn say(text: &str) {
    eprintln!("bench: {text}");
}

fn run(options: &Options) -> Done<()> {
    let scenarios: [(&str, Scenario); 4] = [
        ("check", check::measure),
        ("ingress", ingress::measure),
        ("proxy", proxy::measure),
        ("memory", memory::measure),
    ];
    let known = scenarios.map(|(name, _)| name);
    if let Some(odd) = options.only.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("BENCH_ONLY names {odd:?}, which is none of {}", known.join(", ")).into());
    }
    if options.rounds == 0 || !(0.05..=60.0).contains(&options.seconds) {
        return Err("BENCH_ROUNDS has to be 1 or more, and BENCH_SECONDS from 0.05 to 60".into());
    }
    let peer = peer::Peer::of(options)?;
    let machine = machine::look(&options.binary)?;
    let bench = house::Bench::start(options.clone(), peer)?;
    let mut sections = Vec::new();
    for (name, scenario) in scenarios {
        if options.only.is_empty() || options.only.iter().any(|only| only == name) {
            sections.push(scenario(&bench)?);
        }
    }
    let text = report::write(options, &machine, &sections);
    std::fs::write(&options.report, text)
        .map_err(|error| format!("cannot write {}: {error}", options.report.display()))?;
    say(&format!("written: {}", options.report.display()));
    for line in report::verdicts(&sections) {
        say(&line);
    }
    Ok(())
}

type Scenario = fn(&house::Bench) -> Done<report::Section>;

/// How long a part may take to start.
const PATIENCE: Duration = Duration::from_secs(20);
