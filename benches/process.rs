//! Processes that end with this one, each on a core of its own.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Done, PATIENCE, machine, proc};

/// The core of the server that is measured.
pub(crate) const SERVER: usize = 0;

/// The core of the client, and of what lies behind the server.
pub(crate) const CLIENT: usize = 1;

/// A running part.
pub(crate) struct Part {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

/// `program` on `core`, or the last one that there is, told to end when this process does.
///
/// In a session of its own, so that the scheduler weighs it by itself: see [`prefer`].
pub(crate) fn pinned(core: usize, program: &Path) -> Command {
    let files = proc::max_files();
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "setsid", "prlimit", &format!("--nofile={files}:{files}")]);
    let core = core.min(machine::cores() - 1);
    command.args(["taskset", "-c", &core.to_string()]).arg(program);
    command
}

/// Has the scheduler prefer the session of `pid` to other people's. Only root may: where it is refused, samples with
/// too much of other processes are dropped all the same.
pub(crate) fn prefer(pid: u32) {
    // The process makes its session first.
    for _ in 0..50 {
        let session = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = session.rsplit_once(')').map_or("", |(_, rest)| rest);
        if after_name.split_whitespace().nth(3) == Some(&pid.to_string()) {
            let _ = fs::write(format!("/proc/{pid}/autogroup"), "-10");
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

impl Part {
    /// Starts `program` on `core`, and waits until something listens at each of `addresses`.
    pub(crate) fn start(
        name: &'static str,
        folder: &Path,
        mut command: Command,
        addresses: &[SocketAddr],
    ) -> Done<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
        prefer(child.id());
        let mut part = Self { name, child, log };
        for address in addresses {
            part.wait_for(*address)?;
        }
        Ok(part)
    }

    fn wait_for(&mut self, address: SocketAddr) -> Done<()> {
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            if self.child.try_wait()?.is_some() {
                return Err(format!("{} ended at once:\n{}", self.name, self.said()).into());
            }
            if start.elapsed() > PATIENCE {
                return Err(format!("{} does not listen at {address}:\n{}", self.name, self.said()).into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn said(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Asks it to end, and at once, and waits until it has: it may have something to write yet.
    pub(crate) fn finish(mut self) -> Done<()> {
        let start = Instant::now();
        while self.child.try_wait()?.is_none() {
            if start.elapsed() > PATIENCE {
                return Err(format!("{} does not end:\n{}", self.name, self.said()).into());
            }
            signal("-TERM", self.child.id());
            std::thread::sleep(Duration::from_millis(300));
        }
        Ok(())
    }

    /// It and all below it.
    pub(crate) fn pids(&self) -> Vec<u32> {
        proc::tree(self.child.id())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Ends a process: by request, so that it can end its own; and by force what is left of them after two seconds.
pub(crate) fn end(child: &mut Child) {
    let all = proc::tree(child.id());
    signal("-TERM", child.id());
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        if matches!(child.try_wait(), Ok(Some(_))) && !all[1..].iter().any(|pid| proc::is_running(*pid)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    for pid in all {
        signal("-KILL", pid);
    }
    let _ = child.wait();
}

fn signal(which: &str, pid: u32) {
    let _ = Command::new("kill").args([which, &pid.to_string()]).stderr(Stdio::null()).status();
}

/// A free port on the loopback, which nobody was given before: the kernel may give out the same one twice in a row.
pub(crate) fn free_address() -> Done<SocketAddr> {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        if given.insert(address.port()) {
            return Ok(address);
        }
    }
}
