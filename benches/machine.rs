//! What the run is on.

use std::fs;
use std::path::Path;
use std::process::Command;

use lamplighter::clock::Clock;

use super::{Done, servers};

/// The machine, and the versions of all parts, in the order in which they are told.
pub(crate) struct Machine {
    pub(crate) facts: Vec<(String, String)>,
}

/// Looks; an absent part is told before anything is measured.
pub(crate) fn look(binary: &Path) -> Done<Machine> {
    if !binary.exists() {
        let text = format!("{} is not there: cargo build --release", binary.display());
        return Err(text.into());
    }
    if cores() < 2 {
        return Err("this needs two cores: one for the server, one for the client".into());
    }
    for program in ["setpriv", "setsid", "prlimit", "taskset", "kill"] {
        servers::find(program)?;
    }
    let version = |program: &str, argument: &str| -> Done<String> {
        Ok(first_line(&servers::find(program)?, argument).unwrap_or_else(|| "unknown".to_owned()))
    };
    let package = |name: &str| said(Command::new("dpkg-query").args(["-W", "-f", "${Version}", name]));
    let facts = [
        ("date", Clock::system().now().strftime("%Y-%m-%d %H:%M UTC").to_string()),
        ("CPU", format!("{}, {} cores", cpu(), cores())),
        ("kernel", read("/proc/sys/kernel/osrelease")),
        ("lamplighter", first_line(binary, "--version").unwrap_or_default() + &commit()),
        ("rustc", first_line(Path::new("rustc"), "--version").unwrap_or_else(|| "unknown".to_owned())),
        ("nginx", version("nginx", "-v")?),
        ("HAProxy", version("haproxy", "-v")?),
        ("Apache", version("apache2", "-v")?),
        ("mod_auth_openidc", package("libapache2-mod-auth-openidc").unwrap_or_else(|| "unknown".to_owned())),
    ];
    Ok(Machine { facts: facts.map(|(name, value)| (name.to_owned(), value)).to_vec() })
}

pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn cpu() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name"));
    line.map_or("unknown", |line| line.trim_start_matches([' ', '\t', ':'])).to_owned()
}

fn commit() -> String {
    let revision = said(Command::new("git").args(["describe", "--always", "--dirty", "--exclude", "*"]));
    revision.map_or(String::new(), |revision| format!(" ({revision})"))
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn first_line(program: &Path, argument: &str) -> Option<String> {
    said(Command::new(program).arg(argument))
}

/// The first line of what a command says, wherever it says it.
fn said(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    let text = String::from_utf8_lossy(&text).into_owned();
    text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
}
