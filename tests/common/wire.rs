//! HTTP as bytes on a socket: sends what no client library would, and reads every byte of the answer.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{App, Browser};

/// Time after which a test gives up.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// A first line and header lines, as they arrived.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// The request line or status line.
    pub(crate) first: String,
    /// Names as they were written, and values.
    pub(crate) lines: Vec<(String, String)>,
}

impl Head {
    /// The values of a header.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let of_name = self.lines.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        of_name.map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a header that is there once; empty where it is not there.
    pub(crate) fn value(&self, name: &str) -> &str {
        let values = self.values(name);
        assert!(values.len() < 2, "{name} is there several times: {self:?}");
        values.first().copied().unwrap_or("")
    }

    /// The names, in lower case.
    pub(crate) fn names(&self) -> Vec<String> {
        self.lines.iter().map(|(name, _)| name.to_ascii_lowercase()).collect()
    }

    /// The request line's target.
    pub(crate) fn target(&self) -> &str {
        self.first.split(' ').nth(1).unwrap_or("")
    }

    /// The request line's method.
    pub(crate) fn method(&self) -> &str {
        self.first.split(' ').next().unwrap_or("")
    }

    fn status(&self) -> u16 {
        self.first.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Status and reason.
    pub(crate) fn refusal(&self) -> (u16, &str) {
        (self.status, self.head.value("x-lamplighter-reason"))
    }
}

/// A connection to the public listener.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    ahead: Vec<u8>,
    cookie: String,
}

impl Wire {
    /// Connects as the browser would that has `browser`'s cookies.
    pub(crate) async fn open(app: &App, browser: &Browser) -> Self {
        let cookie = browser.session().map(|value| format!("__Host-lamplighter={value}"));
        Self { cookie: cookie.unwrap_or_default(), ..Self::to(app.public).await }
    }

    /// Connects without any cookie.
    pub(crate) async fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, ahead: Vec::new(), cookie: String::new() }
    }

    /// Sends bytes.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends a request: `lines` are all but `Host`, the session cookie and what makes it the site's own.
    pub(crate) async fn ask(&mut self, first: &str, lines: &str, body: impl AsRef<[u8]>) {
        let head = self.head(first, lines);
        self.send([head.as_bytes(), body.as_ref()].concat()).await;
    }

    /// The head of a request of the site's own script, with `lines`, each ended by CR LF.
    pub(crate) fn head(&self, first: &str, lines: &str) -> String {
        let cookie =
            if self.cookie.is_empty() { String::new() } else { format!("Cookie: {}\r\n", self.cookie) };
        format!(
            "{first} HTTP/1.1\r\nHost: headlamp.example.com\r\n{cookie}Sec-Fetch-Site: same-origin\r\n{lines}\r\n"
        )
    }

    /// Reads one answer to a `method` request.
    pub(crate) async fn answer_to(&mut self, method: &str) -> Answer {
        let reading = async {
            loop {
                let head = read_head(&mut self.stream, &mut self.ahead).await.expect("an answer");
                if head.status() == 100 {
                    continue;
                }
                let has_none = method == "HEAD" || matches!(head.status(), 101 | 204 | 304);
                let (body, trailers) = if has_none {
                    Default::default()
                } else if head.value("transfer-encoding").contains("chunked") {
                    read_chunks(&mut self.stream, &mut self.ahead).await.expect("a whole body")
                } else if head.values("content-length").is_empty() {
                    (self.rest().await, Vec::new())
                } else {
                    let len = head.value("content-length").parse().unwrap();
                    let body = read_exactly(&mut self.stream, &mut self.ahead, len).await;
                    (body.expect("a whole body"), Vec::new())
                };
                return Answer { status: head.status(), head, body, trailers };
            }
        };
        tokio::time::timeout(LONG, reading).await.expect("an answer in time")
    }

    /// Sends a GET of the site's own script, and reads the answer.
    pub(crate) async fn get(&mut self, target: &str) -> Answer {
        self.ask(&format!("GET {target}"), "Sec-Fetch-Mode: cors\r\n", "").await;
        self.answer_to("GET").await
    }

    /// Reads exactly so many bytes.
    pub(crate) async fn read(&mut self, len: usize) -> Vec<u8> {
        let reading = read_exactly(&mut self.stream, &mut self.ahead, len);
        tokio::time::timeout(LONG, reading).await.expect("bytes in time").expect("so many bytes")
    }

    /// Reads all until the connection ends, however that is.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.ahead);
        let reading = async {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(read @ 1..) = self.stream.read(&mut buffer).await {
                rest.extend_from_slice(&buffer[..read]);
            }
        };
        tokio::time::timeout(LONG, reading).await.expect("an end in time");
        rest
    }

    /// Whether nothing came so far, and the connection is open.
    pub(crate) fn is_silent(&self) -> bool {
        let read = self.stream.try_read(&mut [0]);
        self.ahead.is_empty() && read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Reads only a head.
    pub(crate) async fn read_head(&mut self) -> Head {
        let reading = read_head(&mut self.stream, &mut self.ahead);
        tokio::time::timeout(LONG, reading).await.expect("a head in time").expect("a head")
    }

    /// Opens a WebSocket at `target`; the answer to the handshake.
    pub(crate) async fn upgrade(&mut self, target: &str, lines: &str) -> Answer {
        self.ask(&format!("GET {target}"), &format!("{HANDSHAKE}{lines}"), "").await;
        self.answer_to("GET").await
    }
}

/// The lines of a WebSocket's handshake, from the site's own page.
pub(crate) const HANDSHAKE: &str = "Origin: https://headlamp.example.com\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

async fn more<S: AsyncRead + Unpin>(stream: &mut S, ahead: &mut Vec<u8>) -> Option<()> {
    let mut buffer = vec![0; 64 * 1024];
    let read = stream.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
    ahead.extend_from_slice(&buffer[..read]);
    Some(())
}

/// Reads a head; `None` when the connection ends before.
pub(crate) async fn read_head<S: AsyncRead + Unpin>(stream: &mut S, ahead: &mut Vec<u8>) -> Option<Head> {
    let end = loop {
        if let Some(end) = memchr::memmem::find(ahead, b"\r\n\r\n") {
            break end;
        }
        more(stream, ahead).await?;
    };
    let head = String::from_utf8_lossy(&ahead[..end]).into_owned();
    ahead.drain(..end + 4);
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or("").to_owned();
    Some(Head { first, lines: lines.map(line).collect() })
}

fn line(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    (name.to_owned(), value.trim().to_owned())
}

/// Reads so many bytes.
pub(crate) async fn read_exactly<S: AsyncRead + Unpin>(
    stream: &mut S,
    ahead: &mut Vec<u8>,
    len: usize,
) -> Option<Vec<u8>> {
    while ahead.len() < len {
        more(stream, ahead).await?;
    }
    Some(ahead.drain(..len).collect())
}

type Chunked = (Vec<u8>, Vec<(String, String)>);

/// Reads a chunked body, and its trailers.
pub(crate) async fn read_chunks<S: AsyncRead + Unpin>(
    stream: &mut S,
    ahead: &mut Vec<u8>,
) -> Option<Chunked> {
    let mut body = Vec::new();
    loop {
        let len = read_line(stream, ahead).await?;
        let len = usize::from_str_radix(len.split(';').next().unwrap_or(""), 16).ok()?;
        if len == 0 {
            break;
        }
        body.extend(read_exactly(stream, ahead, len).await?);
        read_line(stream, ahead).await?;
    }
    let mut trailers = Vec::new();
    loop {
        let text = read_line(stream, ahead).await?;
        if text.is_empty() {
            return Some((body, trailers));
        }
        trailers.push(line(&text));
    }
}

async fn read_line<S: AsyncRead + Unpin>(stream: &mut S, ahead: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = memchr::memmem::find(ahead, b"\r\n") {
            let line = String::from_utf8_lossy(&ahead[..end]).into_owned();
            ahead.drain(..end + 2);
            return Some(line);
        }
        more(stream, ahead).await?;
    }
}
