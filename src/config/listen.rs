//! `listen`: the addresses of the listeners, and whom they believe.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{error::Problems, path::KeyPath, quoted};

/// Networks that no one reaches from the Internet: loopback, RFC 1918, RFC 6598, unique local, link-local.
const PRIVATE: [&str; 9] = [
    "127.0.0.0/8",
    "::1/128",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "fc00::/7",
    "169.254.0.0/16",
    "fe80::/10",
];

/// The listeners, checked: no two share an address, except on port 0.
#[derive(Clone, Debug)]
pub struct Listen {
    /// For browsers, through the ingress.
    pub public: SocketAddr,
    /// For the ingress alone.
    pub authz: SocketAddr,
    /// For kubelet and Prometheus.
    pub admin: SocketAddr,
    /// From where an ingress may ask.
    pub trusted_proxies: Vec<IpNet>,
}

/// Where lamplighter listens, and whom it believes about the client's address.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawListen {
    /// The listener for browsers, through the ingress.
    #[serde(default = "public")]
    #[schemars(extend("x-form" = "an address and port, such as `0.0.0.0:8080`"))]
    public: String,
    /// The listener for the ingress's questions. Never let it be reached from outside: its answers carry tokens.
    #[serde(default = "authz")]
    #[schemars(extend("x-form" = "an address and port, such as `0.0.0.0:8081`"))]
    authz: String,
    /// The listener for health and metrics.
    #[serde(default = "admin")]
    #[schemars(extend("x-form" = "an address and port, such as `0.0.0.0:9090`"))]
    admin: String,
    /// Networks from which an ingress may ask the authz listener. Nobody else is answered there.
    #[serde(default = "trusted_proxies")]
    #[schemars(extend("x-form" = "a list of networks, such as `10.0.0.0/8`"))]
    trusted_proxies: Vec<String>,
}

impl Default for RawListen {
    fn default() -> Self {
        Self { public: public(), authz: authz(), admin: admin(), trusted_proxies: trusted_proxies() }
    }
}

impl RawListen {
    pub(super) fn check(self, at: &KeyPath, problems: &mut Problems<'_>) -> Option<Listen> {
        let mut address = |key: &str, text: &str| problems.keep(&at.key(key), address(text));
        let public = address("public", &self.public);
        let authz = address("authz", &self.authz);
        let admin = address("admin", &self.admin);
        differ(&[("public", public), ("authz", authz), ("admin", admin)], at, problems);
        let trusted_proxies = problems.keep_all(&at.key("trustedProxies"), &self.trusted_proxies, network);
        Some(Listen { public: public?, authz: authz?, admin: admin?, trusted_proxies: trusted_proxies? })
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        let example = match text.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok() => format!("0.0.0.0:{port}"),
            _ => "0.0.0.0:8080".to_owned(),
        };
        format!("{} is no IP address and port; write it as in `{example}`", quoted(text))
    })
}

fn differ(listeners: &[(&str, Option<SocketAddr>)], at: &KeyPath, problems: &mut Problems<'_>) {
    for (position, (key, address)) in listeners.iter().enumerate() {
        let taken = listeners[..position].iter().find(|(_, earlier)| overlap(*earlier, *address));
        if let Some((earlier, _)) = taken {
            problems.add(&at.key(key), format!("has the address of {}; set another port", at.key(earlier)));
        }
    }
}

fn overlap(a: Option<SocketAddr>, b: Option<SocketAddr>) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return false };
    let same_host = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && same_host
}

fn network(text: &str) -> Result<IpNet, String> {
    let network = text
        .parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| format!("{} is no network; write it as in `10.0.0.0/8`", quoted(text)))?;
    if network.prefix_len() == 0 {
        return Err(
            "trusts everyone, so that anyone can claim any address; name your proxies' networks".to_owned()
        );
    }
    if network.trunc() != network {
        return Err(format!("{text} has bits set behind its prefix; write {}", network.trunc()));
    }
    Ok(network)
}

fn public() -> String {
    "0.0.0.0:8080".to_owned()
}

fn authz() -> String {
    "0.0.0.0:8081".to_owned()
}

fn admin() -> String {
    "0.0.0.0:9090".to_owned()
}

fn trusted_proxies() -> Vec<String> {
    PRIVATE.map(str::to_owned).to_vec()
}
