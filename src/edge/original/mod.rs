//! The request that an ingress asks about, read from what the ingress itself says.

mod lines;
#[cfg(test)]
mod tests;

use http::HeaderMap;
use lines::{Lines, Words};

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
        let words = words(self.dialect);
        let lines = Lines::read(self.headers, words);
        let (method, target) = match self.dialect {
            Dialect::AuthRequest => auth_request(&lines, words)?,
            Dialect::ForwardAuth => forward_auth(&lines, words)?,
            Dialect::ExtAuthz => self.ext_authz(&lines, words)?,
        };
        Ok(lines.describe(method, target, site, ui))
    }

    /// What Envoy says: the method and, behind our path, the target are those of the original request, before any
    /// rewriting, and so is `Host`. Of the client's headers it passes on those that it is told to.
    fn ext_authz(&self, lines: &Lines<'q>, words: &Words) -> Result<Said<'q>, Malformed> {
        let authority = lines.host.once().ok_or(Malformed::Host(words.host))?;
        let target = self.target.strip_prefix(self.dialect.path()).filter(|target| is_target(target));
        Ok((self.method, (authority, target.ok_or(Malformed::Path("the path"))?)))
    }
}

/// Method, authority and target.
type Said<'q> = (&'q str, (&'q str, &'q str));

/// Where an ingress says what.
///
/// Only `X-Original-URL` and `X-Original-Method` are nginx's own word: `X-Forwarded-*`, `Forwarded`, `X-Original-URI` and
/// `X-Scheme` pass through from the client. Traefik and Caddy put their own word in place of the client's, but
/// `X-Forwarded-Port` and `-Prefix` are the client's at some of them.
fn words(dialect: Dialect) -> &'static Words {
    match dialect {
        Dialect::AuthRequest => {
            &Words { method: "x-original-method", target: "x-original-url", ..Words::NONE }
        }
        Dialect::ForwardAuth => &Words {
            method: "x-forwarded-method",
            target: "x-forwarded-uri",
            host: "x-forwarded-host",
            scheme: "x-forwarded-proto",
        },
        Dialect::ExtAuthz => &Words { host: "host", ..Words::NONE },
    }
}

/// What nginx and ingress-nginx say. The scheme in the URL is that of nginx's own hop, and decides nothing.
fn auth_request<'h>(lines: &Lines<'h>, words: &Words) -> Result<Said<'h>, Malformed> {
    let url = lines.target.once().and_then(split_url).ok_or(Malformed::Url(words.target));
    Ok((method(lines, words)?, url?))
}

/// What Traefik and Caddy say.
fn forward_auth<'h>(lines: &Lines<'h>, words: &Words) -> Result<Said<'h>, Malformed> {
    let authority = lines.host.once().ok_or(Malformed::Host(words.host));
    let target = lines.target.once().filter(|target| is_target(target)).ok_or(Malformed::Path(words.target));
    Ok((method(lines, words)?, (authority?, target?)))
}

/// Describes a request from its own headers, its method, its authority and its target.
pub fn describe<'h>(
    headers: &HeaderMap,
    method: &str,
    target: (&str, &'h str),
    site: &Site,
    ui: &ui::Traits,
) -> Request<'h> {
    Lines::read(headers, &Words::NONE).describe(method, target, site, ui)
}

fn method<'h>(lines: &Lines<'h>, words: &Words) -> Result<&'h str, Malformed> {
    let is_method = |method: &&str| {
        !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-')
    };
    lines.method.once().filter(is_method).ok_or(Malformed::Method(words.method))
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
