//! The request that an ingress asks about, read from what the ingress itself says.

mod lines;
#[cfg(test)]
mod tests;

use http::HeaderMap;
use lines::{Line, Lines};

use super::{Dialect, ui};
use crate::auth::{Request, Site};

/// Longest address that is looked at, in bytes; nginx itself takes 8 KiB.
const MAX_URL: usize = 16 * 1024;

/// Why what the ingress says makes no sense, which is never a reason to let a request pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Malformed {
    /// The method is absent, repeated, or no method.
    #[error("{0} is absent, repeated or no method")]
    Method(&'static str),
    /// The URL is absent, repeated, or no http(s) URL.
    #[error("{0} is absent, repeated or no http(s) URL")]
    Url(&'static str),
    /// The host is absent, repeated, or not text.
    #[error("{0} is absent, repeated or not text")]
    Host(&'static str),
    /// The path is absent, repeated, or no path.
    #[error("{0} is absent, repeated or no path")]
    Path(&'static str),
}

/// What an ingress asks, as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Question<'q> {
    /// How it asks.
    pub dialect: Dialect,
    /// What it says, and what it passes on of the client's.
    pub headers: &'q HeaderMap,
    method: &'q str,
    target: &'q str,
}

impl<'q> Question<'q> {
    /// The question that `request` is; `None` where no ingress asks.
    pub fn of<B>(request: &'q http::Request<B>) -> Option<Self> {
        let target = request.uri().path_and_query()?.as_str();
        let dialect = Dialect::at(target)?;
        Some(Self { dialect, headers: request.headers(), method: request.method().as_str(), target })
    }

    /// Reads what the ingress says of the original request, in its dialect.
    ///
    /// # Errors
    ///
    /// It says it twice, not at all, or what it says is no request.
    pub fn read(&self, site: &Site, ui: &ui::Traits) -> Result<Request<'q>, Malformed> {
        let lines = Lines::read(self.headers);
        match self.dialect {
            Dialect::AuthRequest => auth_request(&lines, site, ui),
            Dialect::ForwardAuth => forward_auth(lines, site, ui),
            Dialect::ExtAuthz => self.ext_authz(&lines, site, ui),
        }
    }

    /// What Envoy says: the method and, behind our path, the target are those of the original request, before any
    /// rewriting, and so is `Host`. Of the client's headers it passes on those that it is told to.
    fn ext_authz(&self, lines: &Lines<'q>, site: &Site, ui: &ui::Traits) -> Result<Request<'q>, Malformed> {
        let authority = lines.host.once().ok_or(Malformed::Host("Host"))?;
        let target = self.target.strip_prefix(self.dialect.path()).filter(|target| is_target(target));
        let target = target.ok_or(Malformed::Path("the path"))?;
        Ok(lines.describe(self.method, (authority, target), site, ui))
    }
}

/// What nginx and ingress-nginx say.
///
/// Only `X-Original-URL` and `X-Original-Method` are nginx's own word. `X-Forwarded-*`, `Forwarded`,
/// `X-Original-URI` and `X-Scheme` pass through from the client and are not looked at; nor is the scheme in
/// the URL, which is that of nginx's own hop.
fn auth_request<'h>(lines: &Lines<'h>, site: &Site, ui: &ui::Traits) -> Result<Request<'h>, Malformed> {
    let method = method(lines.original_method, "X-Original-Method")?;
    let url = lines.original_url.once().and_then(split_url).ok_or(Malformed::Url("X-Original-URL"))?;
    Ok(lines.describe(method, url, site, ui))
}

/// What Traefik and Caddy say, who put their own word in place of the client's.
///
/// `X-Forwarded-Proto`, `-Port` and `-Prefix` are the client's at some of them, and decide nothing but this: Traefik
/// takes `Upgrade` out of its question, and where it trusts who is before it says `ws` or `wss` instead.
fn forward_auth<'h>(mut lines: Lines<'h>, site: &Site, ui: &ui::Traits) -> Result<Request<'h>, Malformed> {
    let method = method(lines.forwarded_method, "X-Forwarded-Method")?;
    let authority = lines.forwarded_host.once().ok_or(Malformed::Host("X-Forwarded-Host"))?;
    let target = lines.forwarded_uri.once().filter(|target| is_target(target));
    let target = target.ok_or(Malformed::Path("X-Forwarded-Uri"))?;
    if lines.forwarded_proto.bytes().is_some_and(|proto| proto.starts_with(b"ws")) {
        lines.is_websocket();
    }
    Ok(lines.describe(method, (authority, target), site, ui))
}

/// Describes a request from its own headers, its method, its authority and its target.
pub fn describe<'h>(
    headers: &HeaderMap,
    method: &str,
    target: (&str, &'h str),
    site: &Site,
    ui: &ui::Traits,
) -> Request<'h> {
    Lines::read(headers).describe(method, target, site, ui)
}

fn method<'h>(line: Line<'h>, name: &'static str) -> Result<&'h str, Malformed> {
    let is_method = |method: &&str| {
        !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-')
    };
    line.once().filter(is_method).ok_or(Malformed::Method(name))
}

/// Authority and target of an absolute http(s) URL. The target is kept to the byte.
fn split_url(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let at = memchr::memchr(b'/', rest.as_bytes())?;
    let (authority, target) = rest.split_at(at);
    (url.len() <= MAX_URL && is_target(target)).then_some((authority, target))
}

/// Whether this is a path, perhaps with a query, in which every byte can be seen.
fn is_target(target: &str) -> bool {
    // Counting, unlike `any`, compares many bytes at a time.
    let invisible = target.bytes().filter(|&byte| byte <= b' ' || byte == 0x7f).count();
    target.starts_with('/') && target.len() <= MAX_URL && invisible == 0
}
