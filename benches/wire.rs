//! HTTP/1.1 answers as bytes, as little of them as a load client has to understand.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How a body ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Body {
    Chunked,
    Length(u64),
    UntilClose,
}

/// The head of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) body: Body,
    /// Whether the connection ends with it.
    pub(crate) closes: bool,
    /// Its bytes, with the empty line.
    pub(crate) bytes: usize,
}

impl Head {
    /// Reads the head at the start of `bytes`; `None` while it is not whole.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let end = memchr::memmem::find(bytes, b"\r\n\r\n")? + 4;
        let mut status = 0;
        for &digit in bytes.get(9..12)? {
            status = status * 10 + u16::from(digit.wrapping_sub(b'0'));
        }
        let bodiless = matches!(status, 101 | 204 | 304);
        let mut head = Self {
            status,
            body: if bodiless { Body::Length(0) } else { Body::UntilClose },
            closes: bytes.starts_with(b"HTTP/1.0"),
            bytes: end,
        };
        for line in bytes[..end - 4].split(|&byte| byte == b'\n').skip(1) {
            head.look(line.trim_ascii());
        }
        head.closes |= head.body == Body::UntilClose;
        Some(head)
    }

    fn look(&mut self, line: &[u8]) {
        if let Some(value) = after(line, b"content-length:") {
            let length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            self.body = Body::Length(length.unwrap_or(0));
        } else if after(line, b"transfer-encoding:").is_some() {
            self.body = Body::Chunked;
        } else if let Some(value) = after(line, b"connection:") {
            self.closes |= value.eq_ignore_ascii_case(b"close");
        }
    }
}

fn after<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let start = line.get(..name.len())?;
    start.eq_ignore_ascii_case(name).then(|| line[name.len()..].trim_ascii())
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    bytes: Vec<u8>,
}

impl Answer {
    /// The values of the header `name`, which is given in lower case and with its colon.
    pub(crate) fn values(&self, name: &str) -> Vec<String> {
        let lines = self.bytes[..self.head.bytes].split(|&byte| byte == b'\n');
        let values = lines.filter_map(|line| after(line.trim_ascii(), name.as_bytes()));
        values.map(|value| String::from_utf8_lossy(value).into_owned()).collect()
    }
}

/// Sends one request on a connection of its own, and reads the answer.
pub(crate) fn exchange(address: SocketAddr, request: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(request.as_bytes())?;
    let (mut bytes, mut piece) = (Vec::new(), [0; 16 * 1024]);
    loop {
        if let Some(head) = Head::read(&bytes).filter(|head| is_whole(head, &bytes)) {
            return Ok(Answer { head, bytes });
        }
        match stream.read(&mut piece)? {
            0 => {
                let head = Head::read(&bytes).filter(|head| head.body == Body::UntilClose);
                return head
                    .map(|head| Answer { head, bytes })
                    .ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            read => bytes.extend_from_slice(&piece[..read]),
        }
    }
}

fn is_whole(head: &Head, bytes: &[u8]) -> bool {
    match head.body {
        Body::Length(length) => (bytes.len() - head.bytes) as u64 >= length,
        Body::Chunked => bytes.ends_with(b"\r\n0\r\n\r\n"),
        Body::UntilClose => false,
    }
}
