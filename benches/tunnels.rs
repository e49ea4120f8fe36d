//! A client that opens WebSockets, says something in each, and then holds them open.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::Child;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Done;
use super::load::start_role;
use super::process::CLIENT;
use super::wire::Head;

/// How many are opened at a time.
const AT_ONCE: usize = 32;

/// What each says: a masked text frame of five bytes, which comes back as it is.
const SAID: &[u8] = b"\x81\x85\x01\x02\x03\x04idoho";

/// How often each says it.
const MESSAGES: usize = 5;

/// The lines of a WebSocket's handshake, from the site's own page.
pub(crate) const HANDSHAKE: &str = "Origin: https://headlamp.example.com\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// What to do.
#[derive(Deserialize, Serialize)]
pub(crate) struct Job {
    pub(crate) address: SocketAddr,
    pub(crate) request: String,
    pub(crate) count: usize,
}

/// Tunnels that are open until this is dropped.
pub(crate) struct Tunnels(Child);

impl Tunnels {
    /// Opens them, and comes back when each has heard what it said.
    pub(crate) fn open(job: &Job) -> Done<Self> {
        let mut child = start_role("tunnels", CLIENT, &serde_json::to_string(job)?)?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let tunnels = Self(child);
        if line.trim() == "open" { Ok(tunnels) } else { Err(format!("the tunnels: {}", line.trim()).into()) }
    }
}

impl Drop for Tunnels {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[expect(clippy::print_stdout, reason = "the result goes to the process that asked")]
pub(crate) fn role() -> Done<()> {
    let mut stdin = BufReader::new(io::stdin());
    let mut line = String::new();
    stdin.read_line(&mut line)?;
    let job: Job = serde_json::from_str(&line)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let held = runtime.block_on(open_all(&job));
    match &held {
        Ok(_) => println!("open"),
        Err(error) => println!("{error}"),
    }
    let _ = stdin.read(&mut [0]);
    Ok(())
}

async fn open_all(job: &Job) -> io::Result<Vec<TcpStream>> {
    let mut held = Vec::with_capacity(job.count);
    while held.len() < job.count {
        let some = AT_ONCE.min(job.count - held.len());
        let opened = futures_util::future::join_all((0..some).map(|_| open(job))).await;
        for stream in opened {
            held.push(stream.map_err(|error| {
                io::Error::new(error.kind(), format!("number {} does not open: {error}", held.len() + 1))
            })?);
        }
    }
    Ok(held)
}

async fn open(job: &Job) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(job.address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(job.request.as_bytes()).await?;
    let (mut head, mut piece) = (Vec::new(), [0; 2_048]);
    let status = loop {
        let read = stream.read(&mut piece).await?;
        head.extend_from_slice(&piece[..read]);
        match Head::read(&head) {
            Some(head) => break head.status,
            None if read == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            None => {}
        }
    };
    if status != 101 {
        return Err(io::Error::other(format!("the handshake is answered with {status}")));
    }
    let mut echo = [0; SAID.len()];
    for _ in 0..MESSAGES {
        stream.write_all(SAID).await?;
        stream.read_exact(&mut echo).await?;
    }
    Ok(stream)
}
