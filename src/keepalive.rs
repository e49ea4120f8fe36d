//! Peers that vanish without a word: a laptop that was closed, a node that lost its power.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// Silence after which a peer is asked whether it is still there.
const SILENCE: Duration = Duration::from_mins(1);

/// Time between two questions.
const INTERVAL: Duration = Duration::from_secs(15);

/// Questions without an answer, after which the connection is over.
const QUESTIONS: u32 = 4;

/// Has the kernel look for peers that vanished: a watch or a WebSocket may be silent for hours, and costs a
/// place for as long as it is there.
///
/// On Linux, what is set for a listener holds for every connection that is accepted there.
pub fn keep_alive(socket: &impl AsFd) -> io::Result<()> {
    let asking = TcpKeepalive::new().with_time(SILENCE).with_interval(INTERVAL).with_retries(QUESTIONS);
    SockRef::from(socket).set_tcp_keepalive(&asking)
}
