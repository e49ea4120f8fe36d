//! A request as the upstream gets it: nothing that the client says of itself, everything that we know.

use std::fmt::Write as _;
use std::net::SocketAddr;

use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE, HOST, HeaderName, HeaderValue};

use super::Gateway;
use super::proxied::Door;
use crate::auth::Site;
use crate::edge::{Managed, scrub};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What the upstream is told of who asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Said {
    /// Nothing at all.
    Nothing,
    /// The name, the e-mail and the groups.
    Name,
    /// The same, and the token as `Authorization`.
    Token,
    /// The same, with the token alone, without its scheme.
    BareToken,
}

/// Header lines of our own, at the most.
const LINES: usize = 9;

/// The header lines of a request for the upstream, made from the `client`'s, which came from `peer` by `door`: less what
/// it may not bring, and with who asks.
pub(super) fn headers(
    gateway: &Gateway,
    door: &Door<'_>,
    peer: SocketAddr,
    client: &HeaderMap,
    (said, managed): (Said, &Managed),
) -> HeaderMap {
    let ui = gateway.ui.traits();
    let mut headers = scrub::for_upstream(client, LINES);
    // Whatever `Connection` nominates, there is a `Host`.
    if let Some(host) = host(door.site, client) {
        headers.insert(X_FORWARDED_HOST, host.clone());
        headers.insert(HOST, host);
    }
    if ui.wants_cookies {
        let cookies = door.sessions.names().for_upstream(client, ui, usize::MAX);
        if !cookies.is_empty() {
            headers.insert(COOKIE, cookies);
        }
    }
    if said != Said::Nothing {
        managed.name_person(&mut headers);
    }
    if let Some(credential) = credential(managed.authorization(), said) {
        headers.insert(AUTHORIZATION, credential);
    }
    let proto = if door.site.is_secure() { "https" } else { "http" };
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(proto));
    if let Ok(forwarded_for) = HeaderValue::try_from(forwarded_for(gateway, peer, client)) {
        headers.insert(X_FORWARDED_FOR, forwarded_for);
    }
    headers
}

/// Where the browser believes to be: what the client says, where it says just that.
fn host(site: &Site, client: &HeaderMap) -> Option<HeaderValue> {
    let said = client.get(HOST).filter(|said| said.as_bytes() == site.authority().as_bytes());
    said.cloned().or_else(|| HeaderValue::try_from(site.authority()).ok())
}

/// `token` in the shape in which it is said, if it is.
fn credential(token: &HeaderValue, said: Said) -> Option<HeaderValue> {
    match said {
        Said::Nothing | Said::Name => None,
        Said::Token => (!token.is_empty()).then(|| token.clone()),
        Said::BareToken => {
            let alone = token.as_bytes().strip_prefix(b"Bearer ")?;
            let mut alone = HeaderValue::from_bytes(alone).ok()?;
            alone.set_sensitive(true);
            Some(alone)
        }
    }
}

/// The peer's address, behind what a proxy says that we trust. Some proxies add a line of their own.
fn forwarded_for(gateway: &Gateway, peer: SocketAddr, headers: &HeaderMap) -> String {
    let mut all = String::with_capacity(48);
    if gateway.trusts(peer.ip()) {
        let said = headers.get_all(X_FORWARDED_FOR).iter().filter_map(|said| said.to_str().ok());
        for said in said {
            all.push_str(said);
            all.push_str(", ");
        }
    }
    let _ = write!(all, "{}", peer.ip().to_canonical());
    all
}
