//! The fallback's place in the program.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::{SideDoor, StartError, bind, upstream};
use crate::auth::KeyRing;
use crate::auth::code::CodeKey;
use crate::random;
use crate::web::{Fallback, Gateway, Sessions, Tries};

/// The fallback, and where it listens: at both addresses of the loopback, as far as there are two.
#[derive(Debug)]
pub(super) struct Loopback {
    pub(super) fallback: Arc<Fallback>,
    pub(super) listeners: Vec<TcpListener>,
}

/// Binds the fallback.
pub(super) async fn loopback(
    side_door: &SideDoor,
    gateway: &Arc<Gateway>,
    (key_files, form_timeout): (&[PathBuf], Duration),
) -> Result<Loopback, StartError> {
    let known = gateway.policy.roles().find(|role| role.name == side_door.role);
    let role = known.cloned().ok_or_else(|| StartError::Role(side_door.role.clone()))?;
    let secret = code_secret(key_files)?;
    let first = bind("fallback", side_door.listen).await?;
    let port = first.local_addr().map_or(side_door.listen.port(), |address| address.port());
    let other = if side_door.listen.is_ipv4() {
        IpAddr::from(Ipv6Addr::LOCALHOST)
    } else {
        Ipv4Addr::LOCALHOST.into()
    };
    let mut listeners = vec![first];
    match TcpListener::bind((other, port)).await {
        Ok(second) => listeners.push(second),
        Err(error) => {
            tracing::warn!(%error, %other, "the fallback listens at one address of the loopback only");
        }
    }
    let tag: String = random::bytes::<6>().iter().map(|byte| char::from(b'a' + byte % 26)).collect();
    let keys = KeyRing::new(&[random::bytes::<32>()]).expect("32 bytes are enough for a key");
    let fallback = Fallback {
        gateway: Arc::clone(gateway),
        upstream: Arc::new(upstream(&side_door.upstream, gateway.metrics.websockets.clone())?),
        sessions: Sessions::for_fallback(keys, &tag),
        code_key: CodeKey::derive(&secret),
        role,
        session_seconds: side_door.session_seconds,
        code_command: format!("kubectl exec {} -- lamplighter fallback code", side_door.workload),
        tries: Tries::default(),
        form_timeout,
    };
    Ok(Loopback { fallback: Arc::new(fallback), listeners })
}

/// What codes are signed with: the first session key's secret.
pub fn code_secret(key_files: &[PathBuf]) -> Result<Vec<u8>, StartError> {
    let unusable = |path: &PathBuf, cause: String| StartError::Key { path: path.clone(), cause };
    let Some(path) = key_files.first() else {
        return Err(unusable(&PathBuf::new(), "the fallback needs one".to_owned()));
    };
    let secret = std::fs::read(path).map_err(|error| unusable(path, error.to_string()))?;
    Ok(secret.trim_ascii().to_vec())
}

/// How to get to the fallback, as a command.
pub(super) fn way_in(side_door: &SideDoor) -> String {
    let port = side_door.listen.port();
    format!("kubectl port-forward {} {port}", side_door.workload)
}
