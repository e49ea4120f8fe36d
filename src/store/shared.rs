//! A store that replicas share: Redis, or what speaks its protocol.
//!
//! An ended session is a key that expires when the session would have, and a message to whoever listens. A
//! replica subscribes before it reads the keys, so that nothing falls between the two.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use futures_util::StreamExt as _;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands as _, Client, ExistenceCheck, RedisResult, SetExpiry, SetOptions};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Memory;
use crate::auth::SessionId;
use crate::clock::Clock;
use crate::metrics::{Failure, Health, Peer};

const PREFIX: &str = "lamplighter:ended:";
const CHANNEL: &str = "lamplighter:ended";

/// Time for one answer.
const DEADLINE: Duration = Duration::from_secs(2);

/// Time between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(500);

/// Ended sessions that wait to be told; beyond it, the store has been away for very long.
const MAX_WAITING: usize = 10_000;

/// Where the store is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `redis://` or `rediss://`, with user and password if it wants them.
    pub url: SecretString,
}

/// Why the store cannot be used. Holds no part of its address, which holds a password.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address is none.
    #[error(
        "store.redis.url is no address of a Redis server: write redis://HOST:PORT/0, or rediss:// for TLS"
    )]
    Url,
}

/// A connection to the store, kept up in the background.
pub(super) struct Shared {
    client: Client,
    waiting: mpsc::Sender<(SessionId, i64)>,
    server: Peer,
    tasks: [JoinHandle<()>; 2],
}

impl Shared {
    pub(super) fn start(
        settings: &Settings,
        local: Arc<Memory>,
        server: Peer,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let client = Client::open(settings.url.expose_secret()).map_err(|_| StoreError::Url)?;
        let (waiting, to_tell) = mpsc::channel(MAX_WAITING);
        let listening = Listening { client: client.clone(), local, server: server.clone(), clock };
        let tasks = [tokio::spawn(listening.run()), tokio::spawn(tell(client.clone(), to_tell))];
        Ok(Self { client, waiting, server, tasks })
    }

    /// How it does, as far as listening goes.
    pub(super) fn health(&self) -> Health {
        self.server.health()
    }

    /// Has every replica told of an ended session.
    pub(super) fn tell(&self, session: SessionId, expires_at: i64) {
        if self.waiting.try_send((session, expires_at)).is_err() {
            tracing::error!(
                session = session.short(),
                "the store was away for so long that a sign-out is not shared"
            );
        }
    }

    /// Uses up a login attempt for every replica; `None` when the store cannot be asked.
    pub(super) async fn use_up(&self, state: [u8; 32], expires_at: i64) -> Option<bool> {
        // Whoever reads the store learns no state.
        let key = format!("lamplighter:used:{}", hex(digest::digest(&digest::SHA256, &state).as_ref()));
        let options = SetOptions::default()
            .conditional_set(ExistenceCheck::NX)
            .with_expiration(SetExpiry::EXAT(u64::try_from(expires_at).ok()?));
        let asking = async {
            let mut connection = self.client.get_multiplexed_async_connection().await?;
            let set: Option<String> = connection.set_options(key, 1, options).await?;
            RedisResult::Ok(set.is_some())
        };
        match tokio::time::timeout(DEADLINE, asking).await {
            Ok(Ok(is_first)) => Some(is_first),
            Ok(Err(error)) => {
                tracing::warn!(%error, "could not ask the store whether a login attempt was used");
                None
            }
            Err(_) => {
                tracing::warn!("the store did not say in time whether a login attempt was used");
                None
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

/// Learns of ended sessions, for as long as the process lives.
struct Listening {
    client: Client,
    local: Arc<Memory>,
    server: Peer,
    clock: Clock,
}

impl Listening {
    async fn run(self) {
        loop {
            let learnt = self.learn().await;
            let was_failing = matches!(self.server.health(), Health::Failing { .. });
            let failure = Failure { call: "subscription", is_answered: false, reason: "store-unreachable" };
            self.server.answered(Some(failure), self.clock.now());
            if let Err(error) = learnt
                && !was_failing
            {
                tracing::warn!(%error, "cut off from the store: sign-outs at other replicas are learnt of later");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn learn(&self) -> RedisResult<()> {
        let mut subscription = self.client.get_async_pubsub().await?;
        subscription.subscribe(CHANNEL).await?;
        let mut connection = self.client.get_multiplexed_async_connection().await?;
        let known = read_all(&mut connection, &self.local).await?;
        tracing::info!(ended_sessions = known, "connected to the store");
        self.server.answered(None, self.clock.now());
        let mut messages = subscription.on_message();
        while let Some(message) = messages.next().await {
            let text: String = message.get_payload()?;
            if let Some((session, expires_at)) = text.split_once(' ').and_then(|(id, at)| parse(id, at)) {
                self.local.end(session, expires_at);
            }
        }
        Ok(())
    }
}

async fn read_all(connection: &mut MultiplexedConnection, local: &Memory) -> RedisResult<usize> {
    let mut reading = connection.clone();
    let mut keys = reading.scan_match::<_, String>(format!("{PREFIX}*")).await?;
    let mut known = 0;
    while let Some(key) = keys.next_item().await {
        let key = key?;
        let expires_at: Option<String> = connection.get(&key).await?;
        let id = key.strip_prefix(PREFIX).unwrap_or("");
        if let Some((session, expires_at)) = expires_at.as_deref().and_then(|at| parse(id, at)) {
            local.end(session, expires_at);
            known += 1;
        }
    }
    Ok(known)
}

/// Tells of ended sessions, each until the store has it.
async fn tell(client: Client, mut waiting: mpsc::Receiver<(SessionId, i64)>) {
    while let Some((session, expires_at)) = waiting.recv().await {
        while let Err(error) = publish(&client, session, expires_at).await {
            tracing::warn!(%error, session = session.short(), "could not share a sign-out yet");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn publish(client: &Client, session: SessionId, expires_at: i64) -> RedisResult<()> {
    let id = hex(&session.0);
    let at = u64::try_from(expires_at).unwrap_or(0).max(1);
    let options = SetOptions::default().with_expiration(SetExpiry::EXAT(at));
    let mut connection = client.get_multiplexed_async_connection().await?;
    let () = connection.set_options(format!("{PREFIX}{id}"), expires_at, options).await?;
    let () = connection.publish(CHANNEL, format!("{id} {expires_at}")).await?;
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        text.extend([byte >> 4, byte & 15].map(|half| char::from(b"0123456789abcdef"[usize::from(half)])));
        text
    })
}

fn parse(id: &str, expires_at: &str) -> Option<(SessionId, i64)> {
    let id = u128::from_str_radix(id, 16).ok().filter(|_| id.len() == 32)?;
    Some((SessionId(id.to_be_bytes()), expires_at.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_session_is_read_as_it_was_written() {
        let session = SessionId([0, 1, 15, 16, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
        assert_eq!(parse(&hex(&session.0), "100"), Some((session, 100)));
    }

    #[test]
    fn what_somebody_else_wrote_is_passed_over() {
        for (id, at) in [("", "1"), ("zz", "1"), ("00", "1"), ("00000000000000000000000000000000", "soon")] {
            assert_eq!(parse(id, at), None, "{id} {at}");
        }
    }

    #[test]
    fn an_address_is_never_printed() {
        let settings = Settings { url: "redis://:topsecret@localhost".into() };
        assert!(!format!("{settings:?}").contains("topsecret"));
    }
}
