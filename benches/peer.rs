//! Somebody else's auth endpoint, told by `PEER_URL` and `PEER_COOKIE`.

use std::net::SocketAddr;

use url::Url;

use super::browser::ask;
use super::wire::exchange;
use super::{Done, Options};

/// A peer that answers.
pub(crate) struct Peer {
    /// Host, port and path: what may be shown of it.
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    /// The request that it answers as it should.
    pub(crate) request: String,
    /// How it says yes: 200, or oauth2-proxy's 202.
    pub(crate) status: u16,
}

impl Peer {
    /// The peer of the options, if they name one; asked once, so that a wrong one is told before anything is measured.
    pub(crate) fn of(options: &Options) -> Done<Option<Self>> {
        let Some(text) = options.peer_url.as_deref().filter(|url| !url.is_empty()) else { return Ok(None) };
        let Some(cookie) = options.peer_cookie.as_deref().filter(|cookie| !cookie.is_empty()) else {
            return Err("PEER_URL needs PEER_COOKIE, the Cookie header of a session there".into());
        };
        if cookie.contains(['\r', '\n']) {
            return Err("PEER_COOKIE has to be one line".into());
        }
        let url: Url = text.parse().map_err(|error| format!("PEER_URL is no URL: {error}"))?;
        if url.scheme() != "http" {
            return Err("PEER_URL has to be plain http: TLS would be measured with it".into());
        }
        // Without a password that may stand before the host.
        let host = url.host_str().unwrap_or_default();
        let host = url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"));
        let name = format!("{host}{}", url.path());
        let resolved = url.socket_addrs(|| None).map_err(|error| format!("PEER_URL, {name}: {error}"))?;
        let address = *resolved.first().ok_or_else(|| format!("PEER_URL, {name}, has no address"))?;
        let target = url.query().map_or(url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let request = ask(&host, &target, cookie);
        let answer = exchange(address, &request)
            .map_err(|error| format!("the peer at {name} does not answer: {error}"))?;
        let status = answer.head.status;
        if status != 200 && status != 202 {
            return Err(format!(
                "the peer at {name} answers {status}, not 200: is PEER_COOKIE a session of its, and still valid?"
            )
            .into());
        }
        Ok(Some(Self { name, address, request, status }))
    }
}
