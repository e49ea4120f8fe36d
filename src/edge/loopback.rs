//! Who may speak to a listener on the loopback: a browser that was meant to, and nobody through it.
//!
//! Any page in a person's browser can send requests to `localhost`, and a name that resolves to 127.0.0.1
//! lets it read the answers (DNS rebinding). So the host has to be one that only means this machine.

use http::header::{FORWARDED, HOST};
use http::{HeaderMap, HeaderName};
use url::Url;

use crate::auth::Site;

/// Headers that a proxy adds: somebody made the loopback reachable from elsewhere.
const PROXIED: [HeaderName; 7] = [
    FORWARDED,
    HeaderName::from_static("via"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-real-ip"),
];

/// Asks, in a preflight, whether a page from elsewhere may reach a private network.
const PRIVATE_NETWORK: [HeaderName; 2] = [
    HeaderName::from_static("access-control-request-private-network"),
    HeaderName::from_static("access-control-request-local-network"),
];

/// Why a request on the loopback is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// It names a host that is not this machine, or none.
    UnknownHost,
    /// It came through a proxy.
    Proxied,
    /// A page from elsewhere wants to reach us.
    PrivateNetwork,
}

impl Refusal {
    /// The reason in one word.
    pub fn reason(self) -> &'static str {
        match self {
            Self::UnknownHost => "unknown-host",
            Self::Proxied => "proxied",
            Self::PrivateNetwork => "private-network",
        }
    }
}

/// The site that the browser sees, whatever local port it was forwarded from; or why not.
pub fn site(headers: &HeaderMap) -> Result<Site, Refusal> {
    if PRIVATE_NETWORK.iter().any(|name| headers.contains_key(name)) {
        return Err(Refusal::PrivateNetwork);
    }
    if PROXIED.iter().any(|name| headers.contains_key(name)) {
        return Err(Refusal::Proxied);
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).filter(|host| is_this_machine(host));
    let url = host.and_then(|host| Url::parse(&format!("http://{host}")).ok());
    url.as_ref().and_then(Site::new).ok_or(Refusal::UnknownHost)
}

/// By name and in its plain spelling: `2130706433` and `[::ffff:127.0.0.1]` are this machine too, but nobody types them.
fn is_this_machine(authority: &str) -> bool {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let host = host.to_ascii_lowercase();
    let is_name = host == "localhost"
        || host.strip_suffix(".localhost").is_some_and(|rest| rest.split('.').all(is_label));
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number.to_string() == port));
    is_port && (is_name || host == "127.0.0.1" || host == "[::1]")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn with(lines: &[(&str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&str, &str)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        lines.iter().map(line).collect()
    }

    fn at(host: &str) -> Result<String, Refusal> {
        site(&with(&[("host", host)])).map(|site| site.origin().to_owned())
    }

    #[test]
    fn this_machine_is_known_by_its_plain_names() {
        assert_eq!(at("localhost:4467"), Ok("http://localhost:4467".into()));
        assert_eq!(at("LOCALHOST"), Ok("http://localhost".into()));
        assert_eq!(at("127.0.0.1:8080"), Ok("http://127.0.0.1:8080".into()));
        assert_eq!(at("[::1]:4467"), Ok("http://[::1]:4467".into()));
        assert_eq!(at("ui.localhost:4467"), Ok("http://ui.localhost:4467".into()));
    }

    /// Security reference: FL-3.
    #[test]
    fn anything_else_is_not_this_machine() {
        for host in [
            "",
            "evil.com",
            "127.0.0.1.nip.io",
            "localhost.evil.com",
            "evil.localhost.com",
            "localhost.",
            "0.0.0.0",
            "2130706433",
            "0x7f000001",
            "127.1",
            "[::ffff:127.0.0.1]",
            "[::]",
            "localhost:99999",
            "localhost:04467",
            "localhost:",
            "user@localhost",
            ".localhost",
            "a..localhost",
        ] {
            assert_eq!(at(host), Err(Refusal::UnknownHost), "{host}");
        }
        assert_eq!(site(&HeaderMap::new()), Err(Refusal::UnknownHost));
    }

    #[test]
    fn who_comes_through_a_proxy_is_refused() {
        for name in ["x-forwarded-for", "x-forwarded-proto", "x-real-ip", "forwarded", "via"] {
            let headers = with(&[("host", "localhost"), (name, "x")]);
            assert_eq!(site(&headers), Err(Refusal::Proxied), "{name}");
        }
        let preflight = with(&[("host", "localhost"), ("access-control-request-private-network", "true")]);
        assert_eq!(site(&preflight), Err(Refusal::PrivateNetwork));
    }
}
