//! The load client: connections that ask, read the answer to its last byte, and ask again.

use std::cell::{Cell, RefCell};
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use super::process::pinned;
use super::stats::quantile;
use super::wire::{Body, Head};
use super::{Done, proc};

/// Bytes read at once.
const BUFFER: usize = 256 * 1024;

/// Time before the sample, in which connections are made and caches filled.
const WARM_UP: Duration = Duration::from_millis(100);

/// What to do.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Job {
    pub(crate) address: SocketAddr,
    /// Whole requests; the connections take turns.
    pub(crate) requests: Vec<String>,
    pub(crate) connections: usize,
    pub(crate) seconds: f64,
    /// The status that every answer has to have.
    pub(crate) status: u16,
}

/// What came of it.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Load {
    /// Answers within the sample.
    pub(crate) answers: u64,
    /// Bytes of bodies within the sample.
    pub(crate) bytes: u64,
    /// How long the sample was.
    pub(crate) seconds: f64,
    /// Answers from the first on, also outside the sample.
    pub(crate) all_answers: u64,
    /// Bytes, likewise.
    pub(crate) all_bytes: u64,
    /// The 99th percentile of what an answer took, in microseconds.
    pub(crate) p99_us: f64,
    /// Nanoseconds of CPU that the client took.
    pub(crate) cpu_ns: u64,
    /// What went wrong first.
    pub(crate) trouble: Option<String>,
}

/// Starts a client on `core`; the job goes in by stdin, for its cookie is nobody's business in `ps`.
pub(crate) fn start(core: usize, job: &Job) -> Done<std::process::Child> {
    start_role("load", core, &serde_json::to_string(job)?)
}

/// Starts this program in the role `name`, with `input` on a stdin that stays open.
pub(crate) fn start_role(name: &str, core: usize, input: &str) -> Done<std::process::Child> {
    use std::io::Write as _;
    let mut command: Command = pinned(core, &std::env::current_exe()?);
    command.arg(name).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("cannot start the {name} client: {error}"))?;
    super::process::prefer(child.id());
    if let Some(stdin) = &mut child.stdin {
        stdin.write_all(input.as_bytes())?;
        stdin.write_all(b"\n")?;
    }
    Ok(child)
}

/// Waits for what came of it.
pub(crate) fn finish(child: std::process::Child) -> Done<Load> {
    let output = child.wait_with_output()?;
    let load: Load = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("the load client ended without a result: {error}"))?;
    match load.trouble {
        Some(trouble) => Err(trouble.into()),
        None => Ok(load),
    }
}

#[expect(clippy::print_stdout, reason = "the result goes to the process that asked")]
pub(crate) fn role() -> Done<()> {
    let mut line = String::new();
    io::BufRead::read_line(&mut io::stdin().lock(), &mut line)?;
    let job: Job = serde_json::from_str(&line)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let load = LocalSet::new().block_on(&runtime, run(job));
    println!("{}", serde_json::to_string(&load)?);
    // Ends with the process that asked, if not before.
    drop(io::stdin().lock().bytes());
    Ok(())
}

struct Shared {
    job: Job,
    is_sample: Cell<bool>,
    answers: Cell<u64>,
    bytes: Cell<u64>,
    all_answers: Cell<u64>,
    all_bytes: Cell<u64>,
    latencies: RefCell<Vec<f64>>,
    trouble: RefCell<Option<String>>,
}

async fn run(job: Job) -> Load {
    let shared = Rc::new(Shared {
        is_sample: Cell::new(false),
        answers: Cell::default(),
        bytes: Cell::default(),
        all_answers: Cell::default(),
        all_bytes: Cell::default(),
        latencies: RefCell::default(),
        trouble: RefCell::default(),
        job,
    });
    for number in 0..shared.job.connections {
        let shared = Rc::clone(&shared);
        tokio::task::spawn_local(async move {
            if let Err(error) = ask_on(&shared, number).await {
                shared.trouble.borrow_mut().get_or_insert(error.to_string());
            }
        });
    }
    tokio::time::sleep(WARM_UP).await;
    shared.is_sample.set(true);
    let start = Instant::now();
    tokio::time::sleep(Duration::from_secs_f64(shared.job.seconds)).await;
    shared.is_sample.set(false);
    let seconds = start.elapsed().as_secs_f64();
    let mut latencies = shared.latencies.take();
    latencies.sort_by(f64::total_cmp);
    Load {
        answers: shared.answers.get(),
        bytes: shared.bytes.get(),
        seconds,
        all_answers: shared.all_answers.get(),
        all_bytes: shared.all_bytes.get(),
        p99_us: if latencies.is_empty() { 0.0 } else { quantile(&latencies, 0.99) },
        cpu_ns: proc::cpu_ns(&[std::process::id()]),
        trouble: shared.trouble.take(),
    }
}

/// Asks without end.
async fn ask_on(shared: &Shared, number: usize) -> io::Result<()> {
    let requests = &shared.job.requests;
    let request = requests[number % requests.len()].as_bytes();
    let mut buffer = vec![0; BUFFER];
    loop {
        let mut stream = TcpStream::connect(shared.job.address).await?;
        stream.set_nodelay(true)?;
        while !ask(shared, &mut stream, request, &mut buffer).await? {}
    }
}

/// Asks once; whether the connection is over.
async fn ask(shared: &Shared, stream: &mut TcpStream, request: &[u8], buffer: &mut [u8]) -> io::Result<bool> {
    let start = Instant::now();
    stream.write_all(request).await?;
    let mut filled = 0;
    let head = loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        filled += read;
        if let Some(head) = Head::read(&buffer[..filled]) {
            break head;
        }
        if read == 0 {
            return Err(io::Error::other("a connection ended within the head of an answer"));
        }
    };
    if head.status != shared.job.status {
        let text = format!("an answer was {} and not {}", head.status, shared.job.status);
        return Err(io::Error::other(text));
    }
    let first = filled - head.bytes;
    shared.count_bytes(first);
    read_body(shared, stream, (head.body, first), buffer).await?;
    shared.count_answer(start);
    Ok(head.closes)
}

async fn read_body(
    shared: &Shared,
    stream: &mut TcpStream,
    (body, first): (Body, usize),
    buffer: &mut [u8],
) -> io::Result<()> {
    match body {
        Body::Length(length) => {
            let mut rest = length.saturating_sub(first as u64);
            while rest > 0 {
                let read = stream.read(buffer).await?;
                if read == 0 {
                    return Err(io::Error::other("a connection ended within a body"));
                }
                shared.count_bytes(read);
                rest = rest.saturating_sub(read as u64);
            }
        }
        Body::Chunked => {
            return Err(io::Error::other("an answer is chunked, which this client does not read"));
        }
        Body::UntilClose => while stream.read(buffer).await? > 0 {},
    }
    Ok(())
}

impl Shared {
    fn count_bytes(&self, count: usize) {
        add(&self.all_bytes, count as u64);
        if self.is_sample.get() {
            add(&self.bytes, count as u64);
        }
    }

    fn count_answer(&self, start: Instant) {
        add(&self.all_answers, 1);
        if self.is_sample.get() {
            add(&self.answers, 1);
            self.latencies.borrow_mut().push(start.elapsed().as_secs_f64() * 1e6);
        }
    }
}

fn add(cell: &Cell<u64>, count: u64) {
    cell.set(cell.get() + count);
}
