//! WebSocket tunnels: counted, capped, and closed when their session ends.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::frames;
use super::relay::{Direction, poll_discard};
use crate::auth::SessionId;
use crate::metrics::{Counted, Websockets};

/// Time for a close frame to be taken, and for the client to go.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The tunnels that are open.
#[derive(Debug)]
pub struct Tunnels {
    open: Mutex<Open>,
    most: usize,
    counts: Websockets,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    is_closing: bool,
    tunnels: HashMap<u64, Tunnel>,
}

#[derive(Debug)]
struct Tunnel {
    session: SessionId,
    expires_at: i64,
    close: watch::Sender<Option<Why>>,
}

/// Why a tunnel is closed from here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Why {
    /// The session's time is over, or the person signed out.
    SessionEnded,
    /// The process ends.
    Shutdown,
}

/// A tunnel's place among those that are open. Dropping it gives the place back.
#[derive(Debug)]
pub struct Place {
    tunnels: Arc<Tunnels>,
    id: u64,
    closed: watch::Receiver<Option<Why>>,
    _counted: Counted,
}

impl Tunnels {
    /// Room for `most` at a time, told to `counts`.
    pub fn new(most: usize, counts: Websockets) -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), most, counts })
    }

    /// A place for a tunnel of `session`, which ends at `expires_at`, in seconds since the epoch; `None` when there
    /// are too many.
    pub fn admit(self: &Arc<Self>, session: SessionId, expires_at: i64) -> Option<Place> {
        let mut open = self.open();
        if open.tunnels.len() >= self.most {
            return None;
        }
        // A handshake that was under way when the process began to end.
        let (close, closed) = watch::channel(open.is_closing.then_some(Why::Shutdown));
        let id = open.next;
        open.next += 1;
        open.tunnels.insert(id, Tunnel { session, expires_at, close });
        let counted = Counted::by(&self.counts.open);
        Some(Place { tunnels: Arc::clone(self), id, closed, _counted: counted })
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.open().tunnels.len()
    }

    /// Closes the tunnels of the sessions that `is_over` says so of, told when they end.
    pub fn end_sessions(&self, is_over: impl Fn(&SessionId, i64) -> bool) {
        for tunnel in self.open().tunnels.values() {
            if is_over(&tunnel.session, tunnel.expires_at) {
                tunnel.close.send_replace(Some(Why::SessionEnded));
            }
        }
    }

    /// Closes every tunnel, and each that is admitted from now on: the process ends.
    pub fn close_all(&self) {
        let mut open = self.open();
        open.is_closing = true;
        for tunnel in open.tunnels.values() {
            tunnel.close.send_replace(Some(Why::Shutdown));
        }
    }

    /// Waits until every tunnel is gone.
    pub async fn drained(&self) {
        while self.count() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.tunnels.open().tunnels.remove(&self.id);
    }
}

impl Why {
    fn word(self) -> &'static str {
        match self {
            Self::SessionEnded => "session-ended",
            Self::Shutdown => "shutdown",
        }
    }

    /// RFC 6455 section 7.4.1.
    fn close_frame(self) -> Vec<u8> {
        match self {
            Self::SessionEnded => frames::close(1008, "session ended"),
            Self::Shutdown => frames::close(1001, "going away"),
        }
    }
}

impl Place {
    /// Done when the tunnel has to close, at the latest after `life`.
    async fn closed(&mut self, life: Duration) -> Why {
        let told = async {
            let told = self.closed.wait_for(Option::is_some).await.map(|why| *why);
            match told {
                Ok(why) => why.unwrap_or(Why::Shutdown),
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            why = told => why,
            () = tokio::time::sleep(life) => Why::SessionEnded,
        }
    }

    /// Relays between `client` and `upstream` until both are done or the tunnel has to close, at the latest
    /// after `life`. What was read ahead of the tunnel comes first.
    pub(super) async fn relay<C, U>(mut self, client: (C, Vec<u8>), upstream: (U, Vec<u8>), life: Duration)
    where
        C: AsyncRead + AsyncWrite + Unpin,
        U: AsyncRead + AsyncWrite + Unpin,
    {
        let (mut client, client_ahead) = client;
        let (mut upstream, upstream_ahead) = upstream;
        let (mut up, mut down) = (Direction::with(client_ahead), Direction::with(upstream_ahead));
        let tunnels = Arc::clone(&self.tunnels);
        let why = {
            let mut closed = pin!(self.closed(life));
            poll_fn(|context| {
                let is_sent = up.poll(context, &mut client, &mut upstream);
                let is_received = down.poll(context, &mut upstream, &mut client);
                tunnels.counts.carried(up.take_read(), down.take_read());
                let has_failed =
                    [&is_sent, &is_received].iter().any(|end| matches!(end, Poll::Ready(Err(_))));
                if has_failed || (is_sent.is_ready() && is_received.is_ready()) {
                    return Poll::Ready(None);
                }
                closed.as_mut().poll(context).map(Some)
            })
            .await
        };
        self.tunnels.counts.closed(why.map_or("peer", Why::word));
        if let Some(why) = why {
            down.end_with(why.close_frame());
            // What the client still says is read to its end: a socket that is closed with bytes unread is reset, and
            // the reset may overtake the close frame.
            let last_words = poll_fn(|context| {
                let is_gone = poll_discard(&mut client, context).is_ready();
                let is_said = down.poll(context, &mut upstream, &mut client).is_ready();
                if is_gone && is_said { Poll::Ready(()) } else { Poll::Pending }
            });
            let _ = tokio::time::timeout(LAST_WORDS, last_words).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn id(n: u8) -> SessionId {
        SessionId([n; 16])
    }

    #[tokio::test]
    async fn bytes_pass_both_ways_until_both_sides_are_done() {
        let tunnels = Tunnels::new(1, Websockets::default());
        let place = tunnels.admit(id(1), 0).unwrap();
        let ((mut browser, client), (upstream, mut ui)) = (tokio::io::duplex(64), tokio::io::duplex(64));
        let relaying = tokio::spawn(place.relay((client, b"a".to_vec()), (upstream, b"1".to_vec()), HOUR));
        browser.write_all(b"b").await.unwrap();
        browser.shutdown().await.unwrap();
        let mut heard = String::new();
        ui.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "ab", "half-closed: the UI can still answer");
        ui.write_all(b"2").await.unwrap();
        drop(ui);
        let mut answered = String::new();
        browser.read_to_string(&mut answered).await.unwrap();
        assert_eq!(answered, "12");
        relaying.await.unwrap();
        assert_eq!(tunnels.count(), 0);
    }

    #[tokio::test]
    async fn a_session_that_ends_takes_its_own_tunnels_along() {
        let tunnels = Tunnels::new(2, Websockets::default());
        let (mine, theirs) = (tunnels.admit(id(1), 0).unwrap(), tunnels.admit(id(2), 0).unwrap());
        let ((mut browser, client), (upstream, mut ui)) = (tokio::io::duplex(64), tokio::io::duplex(64));
        let relaying = tokio::spawn(mine.relay((client, Vec::new()), (upstream, Vec::new()), HOUR));
        ui.write_all(&[0x82, 2, 7]).await.unwrap();
        tunnels.end_sessions(|session, _| *session == id(1));
        ui.write_all(&[7]).await.unwrap();
        let mut heard = Vec::new();
        browser.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard[..4], [0x82, 2, 7, 7], "the frame under way is finished");
        assert_eq!(heard[4..], frames::close(1008, "session ended"));
        drop(browser);
        relaying.await.unwrap();
        assert_eq!(tunnels.count(), 1);
        drop(theirs);
    }

    #[tokio::test(start_paused = true)]
    async fn a_tunnel_does_not_outlive_its_session() {
        let tunnels = Tunnels::new(1, Websockets::default());
        let place = tunnels.admit(id(1), 0).unwrap();
        let ((mut browser, client), (upstream, _ui)) = (tokio::io::duplex(64), tokio::io::duplex(64));
        tokio::spawn(place.relay((client, Vec::new()), (upstream, Vec::new()), HOUR));
        let mut heard = Vec::new();
        browser.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, frames::close(1008, "session ended"));
        tunnels.drained().await;
    }

    #[test]
    fn there_is_room_for_so_many_and_no_more() {
        let tunnels = Tunnels::new(1, Websockets::default());
        let place = tunnels.admit(id(1), 0).unwrap();
        assert!(tunnels.admit(id(1), 0).is_none());
        drop(place);
        assert!(tunnels.admit(id(1), 0).is_some());
    }
}
