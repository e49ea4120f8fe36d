//! `fallback`: a way in through `kubectl port-forward`.

use std::{net::SocketAddr, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Role, Session, Upstream, duration, error::Problems, path::KeyPath, text, upstream};

const MIN_TTL: Duration = Duration::from_mins(1);

/// The longest session of the fallback: nobody stays there.
const MAX_TTL: Duration = Duration::from_mins(15);

/// The fallback, checked.
#[derive(Clone, Debug)]
pub struct Fallback {
    /// Where it listens, on the loopback.
    pub listen: SocketAddr,
    /// The name of the role that whoever comes in gets; one of `roles`.
    pub role: String,
    /// How long whoever comes in may stay, at most fifteen minutes.
    pub ttl: Duration,
    /// The UI.
    pub upstream: Upstream,
    /// What `kubectl` names lamplighter's pod by, such as `deploy/lamplighter`.
    pub workload: String,
}

/// A way in through `kubectl port-forward`, when the provider or the ingress is down. Not set: there is none.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawFallback {
    /// Where it listens: on the loopback, at both addresses of it.
    #[serde(default = "listen")]
    #[schemars(extend("x-form" = "an address and port, such as `127.0.0.1:4467`"))]
    listen: String,
    /// The role that whoever comes in gets: one of `roles`, and rather a small one.
    #[schemars(required)]
    role: Option<String>,
    /// How long whoever comes in may stay, from `1m` to `15m`.
    #[serde(default = "ttl")]
    #[schemars(extend("x-form" = "a duration, such as `15m`"))]
    ttl: String,
    /// The UI's address, where no `upstream` is set.
    #[schemars(extend("x-form" = "an address, such as `http://headlamp.headlamp.svc`"))]
    upstream: Option<String>,
    /// What kubectl names lamplighter's pod by, for the commands on pages.
    #[serde(default = "workload")]
    workload: String,
}

/// What the fallback shares with the rest.
pub(super) struct Shared<'a> {
    pub(super) roles: Option<&'a [Role]>,
    pub(super) session: Option<&'a Session>,
    pub(super) upstream: Option<&'a Upstream>,
    pub(super) raw_upstream: upstream::RawUpstream,
}

impl RawFallback {
    pub(super) fn check(
        self,
        shared: Shared<'_>,
        at: &KeyPath,
        problems: &mut Problems<'_>,
    ) -> Option<Fallback> {
        let listen = problems.keep(&at.key("listen"), address(&self.listen));
        let ttl = duration::parse_within(&self.ttl, &(MIN_TTL..=MAX_TTL));
        let ttl = problems.keep(&at.key("ttl"), ttl);
        let workload = problems.keep(&at.key("workload"), workload_of(&self.workload));
        let role = self.role.and_then(|name| problems.keep(&at.key("role"), known(name, shared.roles)));
        if shared.session.is_some_and(|session| session.key_files.is_empty()) {
            problems.add(
                at,
                "needs session.keyFiles: the command that prints a code signs it with the first of them",
            );
        }
        let upstream = match (self.upstream, shared.upstream) {
            (Some(address), _) => {
                let raw = upstream::RawUpstream { address: Some(address), ..shared.raw_upstream };
                raw.check_at(&at.key("upstream"), problems).ok().flatten()
            }
            (None, Some(upstream)) => Some(upstream.clone()),
            (None, None) => {
                problems.add(at, "has no UI to lead to; set fallback.upstream to the UI's address");
                None
            }
        };
        Some(Fallback { listen: listen?, role: role?, ttl: ttl?, upstream: upstream?, workload: workload? })
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let example = "write it as in `127.0.0.1:4467`";
    let address: SocketAddr = text.parse().map_err(|_| format!("is no IP address and port; {example}"))?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(format!("must be on the loopback: anybody could reach it elsewhere; {example}"))
    }
}

fn known(name: String, roles: Option<&[Role]>) -> Result<String, String> {
    match roles {
        Some(roles) if roles.iter().all(|role| role.name != name) => {
            Err("is no role of this file; name one of `roles`".to_owned())
        }
        Some(_) | None => Ok(name),
    }
}

fn workload_of(text: &str) -> Result<String, String> {
    let name = text::filled(text)?;
    let is_plain = |part: &str| text::is_dns_subdomain(part);
    match name.split_once('/') {
        Some((kind, rest)) if is_plain(kind) && is_plain(rest) => Ok(name),
        _ => Err("must be a kind and a name, such as `deploy/lamplighter`".to_owned()),
    }
}

fn listen() -> String {
    "127.0.0.1:4467".to_owned()
}

fn ttl() -> String {
    "15m".to_owned()
}

fn workload() -> String {
    "deploy/lamplighter".to_owned()
}
