//! Headers that a client may not send, in any spelling.

use http::header::{CONNECTION, COOKIE, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Beginnings of header names that would make the API server, or the UI, take the request for another's.
const FOREIGN_CREDENTIALS: [&[u8]; 2] = [b"impersonate-", b"x-remote-"];

/// Beginnings of WebSocket subprotocols that carry a bearer token (Kubernetes' and Headlamp's).
const BEARER_SUBPROTOCOLS: [&str; 2] = ["base64url.bearer.authorization.k8s.io", "base64url.headlamp."];

/// Whether a header brings credentials that would reach the upstream beside ours.
///
/// In forward auth nothing can be taken away on the way to the upstream: the ingress passes on what it does
/// not know. A role's token may be allowed to impersonate, so a request with such a header is refused as a whole.
pub fn is_foreign_credential(name: &str, value: &HeaderValue) -> bool {
    is_foreign_name(name.as_bytes()) || (name == SEC_WEBSOCKET_PROTOCOL && has_bearer_subprotocol(value))
}

fn is_foreign_name(name: &[u8]) -> bool {
    // Nearly every name ends at its first letter, and there are dozens in each check.
    matches!(name.first(), Some(b'i' | b'x')) && begins_with(name, &FOREIGN_CREDENTIALS)
}

fn has_bearer_subprotocol(value: &HeaderValue) -> bool {
    let Ok(protocols) = value.to_str() else { return true };
    protocols.split(',').any(|protocol| is_bearer_subprotocol(protocol.trim()))
}

fn is_bearer_subprotocol(protocol: &str) -> bool {
    let starts_with =
        |prefix: &&str| protocol.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    BEARER_SUBPROTOCOLS.iter().any(starts_with)
}

/// Whether a header holds between two neighbours only (RFC 9110 section 7.6.1).
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Whether a header would let a client pass for somebody, or for an ingress.
fn is_reserved(name: &str) -> bool {
    // Nearly every name is told from these by its first letter, and there are dozens in each request.
    let beginnings: &[&[u8]] = match name.as_bytes().first() {
        Some(b'a') => &[b"authorization"],
        Some(b'f') => &[b"forwarded"],
        Some(b'i') => &[b"impersonate-"],
        Some(b'k') => &[b"kubeconfig"],
        Some(b's') => &[b"ssl-client-"],
        Some(b'x') => &[
            b"x-access-token",
            b"x-auth-request-",
            b"x-client-cert",
            b"x-forwarded-",
            b"x-headlamp-",
            b"x-original-",
            b"x-real-ip",
            b"x-remote-",
        ],
        _ => &[],
    };
    begins_with(name.as_bytes(), beginnings)
}

/// The header lines of a client's request that go on to the upstream, with room for as many of ours as `room`.
///
/// What `Connection` nominates stays here, and ours come later: a client that nominates `Authorization` must not take
/// ours away. `Cookie` and `Host` are not taken over either: who sends the request says them anew.
pub fn for_upstream(client: &HeaderMap, room: usize) -> HeaderMap {
    let nominated: Vec<HeaderName> = nominated(client).collect();
    let mut kept = HeaderMap::with_capacity(client.len() + room);
    for (name, value) in client {
        if !stays_here(name.as_str()) && !nominated.contains(name) {
            kept.append(name, value.clone());
        }
    }
    remove_bearer_subprotocols(&mut kept);
    kept
}

fn stays_here(name: &str) -> bool {
    matches!(name, "cookie" | "expect" | "host") || is_hop_by_hop(name) || is_reserved(name)
}

/// The same for what a client sends behind a body: some servers make headers of it.
pub fn trailers_for_upstream(trailers: &mut HeaderMap) {
    remove(trailers, |name| is_reserved(name.as_str()) || *name == COOKIE);
}

/// Beginnings of header names that carry credentials to an upstream, and never from it, or are ours to say.
const NOT_FOR_CLIENTS: [&[u8]; 6] =
    [b"authorization", b"impersonate-", b"x-auth-", b"x-forwarded-", b"x-lamplighter-", b"x-remote-"];

/// Takes from an upstream's answer what is not for the client: some echo what they were sent.
pub fn for_client(headers: &mut HeaderMap) {
    let nominated: Vec<HeaderName> = nominated(headers).collect();
    remove(headers, |name| {
        is_hop_by_hop(name.as_str())
            || nominated.contains(name)
            || begins_with(name.as_str().as_bytes(), &NOT_FOR_CLIENTS)
    });
}

fn remove(headers: &mut HeaderMap, is_meant: impl Fn(&HeaderName) -> bool) {
    let meant: Vec<HeaderName> = headers.keys().filter(|name| is_meant(name)).cloned().collect();
    for name in meant {
        headers.remove(name);
    }
}

/// What `Connection` says of other headers.
pub(super) fn nominated(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|name| HeaderName::try_from(name.trim()).ok())
}

fn remove_bearer_subprotocols(headers: &mut HeaderMap) {
    if !headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().any(has_bearer_subprotocol) {
        return;
    }
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let kept: Vec<&str> = offered
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|protocol| !protocol.is_empty() && !is_bearer_subprotocol(protocol))
        .collect();
    match HeaderValue::try_from(kept.join(", ")) {
        Ok(value) if !value.is_empty() => drop(headers.insert(SEC_WEBSOCKET_PROTOCOL, value)),
        Ok(_) | Err(_) => drop(headers.remove(SEC_WEBSOCKET_PROTOCOL)),
    }
}

/// Whether a name begins as one of `prefixes`, read as a sloppy server does: `_` and `.` for `-`.
fn begins_with(name: &[u8], prefixes: &[&[u8]]) -> bool {
    let normal = |byte: u8| if matches!(byte, b'_' | b'.') { b'-' } else { byte };
    prefixes.iter().any(|prefix| {
        // Nearly every name is told from a prefix by its first letter.
        name.first() == prefix.first()
            && name.len() >= prefix.len()
            && name.iter().zip(*prefix).all(|(&byte, &wanted)| normal(byte) == wanted)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with(name: &str, value: &str) -> HeaderMap {
        let name = HeaderName::try_from(name).unwrap();
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    fn has_foreign_credentials(headers: &HeaderMap) -> bool {
        headers.iter().any(|(name, value)| is_foreign_credential(name.as_str(), value))
    }

    #[test]
    fn impersonation_is_seen_in_every_spelling() {
        for name in [
            "impersonate-user",
            "Impersonate-User",
            "IMPERSONATE_GROUP",
            "impersonate.uid",
            "Impersonate-Extra-scopes",
            "x-remote-user",
            "X_Remote_Group",
            "X-Remote.Extra-a",
        ] {
            assert!(has_foreign_credentials(&with(name, "x")), "{name}");
        }
    }

    #[test]
    fn bearer_subprotocols_are_seen_wherever_they_stand() {
        for value in [
            "base64url.bearer.authorization.k8s.io.dG9rZW4",
            "base64.binary.k8s.io, base64url.bearer.authorization.k8s.io.dG9rZW4",
            "BASE64URL.BEARER.authorization.k8s.io.x",
            "v4.channel.k8s.io,base64url.headlamp.backend.authorization.k8s.io.x",
        ] {
            assert!(has_foreign_credentials(&with("sec-websocket-protocol", value)), "{value}");
        }
    }

    #[test]
    fn ordinary_headers_pass() {
        for (name, value) in [
            ("accept", "*/*"),
            ("authorization", "Bearer x"),
            ("x-real-ip", "1.2.3.4"),
            ("x-impersonate", "x"),
            ("sec-websocket-protocol", "v4.channel.k8s.io, base64.binary.k8s.io"),
        ] {
            assert!(!has_foreign_credentials(&with(name, value)), "{name}");
        }
    }

    #[test]
    fn what_a_client_may_not_bring_is_taken_away_in_every_spelling() {
        let names = [
            "authorization",
            "impersonate-user",
            "x-remote-user",
            "x-forwarded-user",
            "x-forwarded-for",
            "x-real-ip",
            "forwarded",
            "x-access-token",
            "x-client-cert",
            "kubeconfig",
            "x-headlamp-user-id",
            "x-headlamp-backend-token",
            "x-original-url",
            "x-auth-request-user",
            "ssl-client-cert",
            "proxy-authorization",
            "expect",
            "te",
        ];
        for name in names {
            let spellings =
                [name.to_owned(), name.replace('-', "_"), name.replace('-', "."), name.to_uppercase()];
            for spelling in spellings.iter().filter(|spelling| !is_hop_by_hop_lookalike(spelling)) {
                let mut headers = with(spelling, "x");
                headers
                    .append(HeaderName::try_from(spelling.as_str()).unwrap(), HeaderValue::from_static("y"));
                let kept = for_upstream(&headers, 0);
                assert!(kept.is_empty(), "{spelling}: {kept:?}");
            }
        }
    }

    /// `proxy_authorization` is no hop-by-hop header, just an odd one.
    fn is_hop_by_hop_lookalike(name: &str) -> bool {
        name == "proxy_authorization" || name == "proxy.authorization"
    }

    #[test]
    fn what_connection_nominates_is_taken_away() {
        let mut headers = with("connection", "keep-alive, X-Mine, authorization");
        headers.insert("x-mine", HeaderValue::from_static("1"));
        headers.insert("x-other", HeaderValue::from_static("2"));
        let kept = for_upstream(&headers, 0);
        assert_eq!(kept.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-other"]);
    }

    #[test]
    fn subprotocols_stay_but_for_those_that_carry_a_token() {
        let left = |offered: &str| {
            let headers = for_upstream(&with("sec-websocket-protocol", offered), 0);
            headers.get(SEC_WEBSOCKET_PROTOCOL).map(|value| value.to_str().unwrap().to_owned())
        };
        let bearer = "base64url.bearer.authorization.k8s.io.dG9rZW4";
        assert_eq!(
            left("v4.channel.k8s.io, base64.binary.k8s.io").as_deref(),
            Some("v4.channel.k8s.io, base64.binary.k8s.io")
        );
        assert_eq!(left(&format!("{bearer}, v4.channel.k8s.io")).as_deref(), Some("v4.channel.k8s.io"));
        assert_eq!(left(bearer), None);
    }

    proptest! {
        #[test]
        fn no_spelling_of_impersonation_passes(name in "[iI][mM][pP]erso[nN]at[eE][-_.][a-zA-Z]{1,8}") {
            prop_assert!(has_foreign_credentials(&with(&name, "x")));
        }
    }
}
