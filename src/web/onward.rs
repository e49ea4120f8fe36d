//! A request as the upstream gets it: nothing that the client says of itself, everything that we know.

use std::fmt::Write as _;
use std::net::SocketAddr;

use http::header::{AUTHORIZATION, COOKIE, HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Request};

use super::Gateway;
use super::proxied::Door;
use crate::edge::{Managed, scrub};
use crate::proxy::Upload;

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

/// Makes `request`, which came from `peer` by `door`, fit for the upstream, and says in it who asks.
pub(super) fn fit(
    gateway: &Gateway,
    door: &Door<'_>,
    peer: SocketAddr,
    request: &mut Request<Upload>,
    (said, managed): (Said, &Managed),
) {
    let ui = gateway.ui.traits();
    let cookies = if ui.wants_cookies {
        door.sessions.names().for_upstream(request.headers(), ui, usize::MAX)
    } else {
        HeaderValue::from_static("")
    };
    let forwarded_for = forwarded_for(gateway, peer, request.headers());
    let headers = request.headers_mut();
    scrub::for_upstream(headers);
    headers.remove(COOKIE);
    if !cookies.is_empty() {
        headers.insert(COOKIE, cookies);
    }
    if said != Said::Nothing {
        managed.name_person(headers);
    }
    if let Some(credential) = credential(managed.authorization(), said) {
        headers.insert(AUTHORIZATION, credential);
    }
    let proto = if door.site.is_secure() { "https" } else { "http" };
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(proto));
    // `Connection` may have nominated `Host` away.
    if let Ok(host) = HeaderValue::try_from(door.site.authority()) {
        headers.insert(X_FORWARDED_HOST, host.clone());
        headers.insert(HOST, host);
    }
    if let Ok(forwarded_for) = HeaderValue::try_from(forwarded_for) {
        headers.insert(X_FORWARDED_FOR, forwarded_for);
    }
}

/// `token` in the shape in which it is said, if it is.
pub(super) fn credential(token: &HeaderValue, said: Said) -> Option<HeaderValue> {
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
