//! A WebSocket, as a page's script opens it (RFC 6455), and what Kubernetes says over one.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::visitor::Visitor;
use crate::wait;

/// A WebSocket that is open.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    ahead: Vec<u8>,
    /// The subprotocol that the server chose.
    pub(crate) protocol: String,
}

/// What the server says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Message {
    /// Text or bytes.
    Data(Vec<u8>),
    /// It closes, with this status.
    Close(u16),
    /// The connection ends without another word.
    End,
}

/// An answer that opens no WebSocket.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// The body.
    pub(crate) text: String,
}

impl Socket {
    /// Opens one at `address`, as a page of the visitor's site.
    pub(crate) async fn open(
        visitor: &Visitor,
        address: SocketAddr,
        (target, protocol): (&str, &str),
    ) -> Result<Self, Refusal> {
        let stream = TcpStream::connect(address).await.expect("somebody listens");
        let mut socket = Self { stream, ahead: Vec::new(), protocol: String::new() };
        let (host, origin) = (visitor.site.authority(), visitor.site.origin().ascii_serialization());
        let (cookies, offer) = (visitor.cookies(), format!("Sec-WebSocket-Protocol: {protocol}\r\n"));
        let offer = if protocol.is_empty() { "" } else { &offer };
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nCookie: {cookies}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{offer}\r\n"
        );
        socket.stream.write_all(head.as_bytes()).await.expect("a head can be sent");
        let head = socket.head().await;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        if status != 101 {
            let len = value(&head, "content-length").parse().expect("a refusal says how long it is");
            let body = socket.exactly(len).await.expect("a whole refusal");
            return Err(Refusal { status, text: String::from_utf8_lossy(&body).into_owned() });
        }
        assert_eq!(value(&head, "sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "{head}");
        value(&head, "sec-websocket-protocol").clone_into(&mut socket.protocol);
        Ok(socket)
    }

    /// Says `bytes`, in one frame.
    pub(crate) async fn say(&mut self, bytes: &[u8]) {
        assert!(bytes.len() < 126, "longer frames have another head");
        let len = u8::try_from(bytes.len()).expect("a short frame");
        // Masked with zeros, which leaves them as they are.
        let frame = [&[0x82, 0x80 | len, 0, 0, 0, 0], bytes].concat();
        self.stream.write_all(&frame).await.expect("a frame can be sent");
    }

    /// The next message.
    pub(crate) async fn hear(&mut self) -> Message {
        let hearing = async {
            let mut data = Vec::new();
            loop {
                let Some((kind, payload)) = self.frame().await else { return Message::End };
                match kind & 0x0f {
                    0..=2 => data.extend_from_slice(&payload),
                    8 => {
                        return Message::Close(
                            payload.get(..2).map_or(0, |s| u16::from_be_bytes([s[0], s[1]])),
                        );
                    }
                    _ => continue,
                }
                if kind & 0x80 != 0 {
                    return Message::Data(data);
                }
            }
        };
        tokio::time::timeout(wait::BOUND, hearing).await.expect("a message in time")
    }

    /// The next event of a watch.
    pub(crate) async fn event(&mut self) -> Value {
        match self.hear().await {
            Message::Data(data) => serde_json::from_slice(&data).expect("an event is JSON"),
            other => panic!("no event but {other:?}"),
        }
    }

    async fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.ahead.windows(4).position(|end| end == b"\r\n\r\n") {
                let head: Vec<u8> = self.ahead.drain(..end + 4).collect();
                return String::from_utf8_lossy(&head).into_owned();
            }
            assert!(self.more().await, "the connection ended before a head: {:?}", self.ahead);
        }
    }

    async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let head = self.exactly(2).await?;
        assert_eq!(head[1] & 0x80, 0, "a server masks nothing");
        let len = match head[1] {
            126 => self.exactly(2).await?.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)),
            127 => self.exactly(8).await?.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)),
            short => usize::from(short),
        };
        Some((head[0], self.exactly(len).await?))
    }

    async fn exactly(&mut self, len: usize) -> Option<Vec<u8>> {
        while self.ahead.len() < len {
            if !self.more().await {
                return None;
            }
        }
        Some(self.ahead.drain(..len).collect())
    }

    async fn more(&mut self) -> bool {
        let reading = self.stream.read_buf(&mut self.ahead);
        let read = tokio::time::timeout(wait::BOUND, reading).await.expect("bytes in time");
        matches!(read, Ok(1..))
    }
}

/// The value of a header; empty where it is not there.
fn value<'h>(head: &'h str, name: &str) -> &'h str {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
}

/// A command that runs in a container.
#[derive(Debug)]
pub(crate) struct Exec {
    pub(crate) socket: Socket,
    /// What it wrote, to stdout and stderr.
    pub(crate) output: [String; 2],
    /// How it ended, once it has.
    pub(crate) status: Option<Value>,
}

impl Exec {
    /// The subprotocols that Kubernetes' own clients offer, the best first.
    pub(crate) const V5: &str = "v5.channel.k8s.io";
    pub(crate) const V4: &str = "v4.channel.k8s.io";

    pub(crate) fn over(socket: Socket) -> Self {
        Self { socket, output: Default::default(), status: None }
    }

    /// Writes to the command's stdin.
    pub(crate) async fn write(&mut self, text: &str) {
        self.socket.say(&[&[0], text.as_bytes()].concat()).await;
    }

    /// Closes the command's stdin. Since v5.
    pub(crate) async fn end(&mut self) {
        self.socket.say(&[255, 0]).await;
    }

    /// Reads until `is_enough`, or until there is no more to come: then that is what is returned.
    pub(crate) async fn read_until(&mut self, is_enough: impl Fn(&Self) -> bool) -> Option<Message> {
        while !is_enough(self) {
            match self.socket.hear().await {
                Message::Data(data) => self.take(&data),
                end => return Some(end),
            }
        }
        None
    }

    fn take(&mut self, data: &[u8]) {
        let Some((channel, rest)) = data.split_first() else { return };
        match channel {
            1 | 2 => self.output[usize::from(channel - 1)] += &String::from_utf8_lossy(rest),
            3 => self.status = Some(serde_json::from_slice(rest).expect("a status is JSON")),
            _ => {}
        }
    }
}
