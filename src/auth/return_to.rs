//! Where a browser may be sent.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::{Origin, Url};

/// The path below which lamplighter serves a site's browsers itself.
pub const OWN_PREFIX: &str = "/lamplighter/";

/// Longest target that is looked at, in bytes: it travels in a cookie.
const MAX_TARGET: usize = 2048;

/// The origin where people open the UI.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Site {
    home: Url,
    authority: String,
    origin: String,
}

impl Site {
    /// The site at `home`, of which only the origin counts. `None` without a host.
    pub fn new(home: &Url) -> Option<Self> {
        let host = home.host_str()?;
        let authority = match home.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let origin = format!("{}://{authority}", home.scheme());
        Some(Self { home: Url::parse(&origin).ok()?, authority, origin })
    }

    /// Host, and port where it is not the scheme's own: what a browser sends as `Host`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Scheme and authority, as a browser sends them in `Origin` (RFC 6454 section 6.2).
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether `authority` names this site, in any case and with or without the scheme's own port.
    pub fn is_at(&self, authority: &str) -> bool {
        if authority == self.authority {
            return true;
        }
        let default_port = if self.is_secure() { ":443" } else { ":80" };
        let bare = match self.home.port() {
            Some(_) => authority,
            None => authority.strip_suffix(default_port).unwrap_or(authority),
        };
        bare.eq_ignore_ascii_case(&self.authority)
    }

    /// Whether `authority` names this site's host, on whatever port.
    pub fn has_host(&self, authority: &str) -> bool {
        fn bare(authority: &str) -> &str {
            match authority.rsplit_once(':') {
                Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
                _ => authority,
            }
        }
        bare(authority).eq_ignore_ascii_case(bare(&self.authority))
    }

    /// Whether browsers reach the site by https.
    pub fn is_secure(&self) -> bool {
        self.home.scheme() == "https"
    }

    /// The absolute URL of `path`, which has to begin with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    fn has(&self, origin: &Origin) -> bool {
        self.home.origin() == *origin
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

/// Where to send the browser once it has signed in.
///
/// Always an absolute URL at the [`Site`]'s origin, so it is safe in a `Location` header. The target comes
/// from the query string of whoever linked to the login page: treat it as hostile.
///
/// ```
/// # use lamplighter::auth::{InvalidReturnTo, ReturnTo, Site};
/// let site = Site::new(&"https://headlamp.example.com".parse()?).unwrap();
///
/// let back = ReturnTo::parse("/c/main/pods?namespace=dev", &site)?;
/// assert_eq!(back.to_string(), "https://headlamp.example.com/c/main/pods?namespace=dev");
///
/// assert_eq!(ReturnTo::parse("//evil.example", &site), Err(InvalidReturnTo::Form));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReturnTo(Url);

/// Why a target is not followed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidReturnTo {
    /// It holds a user name or password.
    #[error("holds credentials")]
    Credentials,
    /// It leads away from the site.
    #[error("leads to another origin")]
    ForeignOrigin,
    /// It is neither a path nor an http(s) URL, or browsers could read it in two ways.
    #[error("is neither a path nor a plain URL")]
    Form,
    /// It leads back to a page that would lead here again.
    #[error("leads back to signing in or out")]
    Loop,
    /// It is longer than any page's address should be.
    #[error("is too long")]
    TooLong,
}

impl ReturnTo {
    /// The site's first page.
    pub fn home(site: &Site) -> Self {
        Self(site.home.clone())
    }

    /// Resolves `target` the way a browser would, then compares origins.
    ///
    /// Prefix checks on the text alone cannot do this: browsers drop tabs and newlines and read `\` as `/`.
    /// The result stays absolute on purpose, because `/.//evil.example` has the path `//evil.example`, which
    /// is another host again when sent on its own.
    pub fn parse(target: &str, site: &Site) -> Result<Self, InvalidReturnTo> {
        if target.len() > MAX_TARGET {
            return Err(InvalidReturnTo::TooLong);
        }
        if !has_plain_form(target) {
            return Err(InvalidReturnTo::Form);
        }
        let mut url = site.home.join(target).map_err(|_| InvalidReturnTo::Form)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidReturnTo::Credentials);
        }
        if !site.has(&url.origin()) {
            return Err(InvalidReturnTo::ForeignOrigin);
        }
        refuse_odd_path(url.path())?;
        url.set_fragment(None);
        Ok(Self(url))
    }

    /// Path and query, as they stand behind the origin.
    pub fn target(&self) -> &str {
        &self.0[url::Position::BeforePath..]
    }
}

impl fmt::Display for ReturnTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A path that begins with exactly one slash, or an http(s) URL written in full, of visible characters.
fn has_plain_form(target: &str) -> bool {
    let is_visible = |c: char| !c.is_control() && !c.is_whitespace() && c != '\\';
    let has_scheme =
        |scheme: &str| target.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme));
    let is_path = target.starts_with('/') && !target.starts_with("//");
    let is_url = ["https://", "http://"]
        .iter()
        .any(|scheme| has_scheme(scheme) && !target[scheme.len()..].starts_with('/'));
    target.chars().all(is_visible) && (is_path || is_url)
}

fn refuse_odd_path(path: &str) -> Result<(), InvalidReturnTo> {
    let decoded = percent_decode_str(path).decode_utf8().map_err(|_| InvalidReturnTo::Form)?;
    if decoded.starts_with("//") || decoded.chars().any(|c| c.is_control() || c == '\\') {
        return Err(InvalidReturnTo::Form);
    }
    let leads_back = decoded.strip_prefix(OWN_PREFIX).is_some_and(|page| page != "whoami");
    if leads_back || decoded == OWN_PREFIX.trim_end_matches('/') {
        return Err(InvalidReturnTo::Loop);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn site() -> Site {
        Site::new(&Url::parse("https://ok").unwrap()).unwrap()
    }

    /// Security reference: RD-1 and following.
    #[test]
    fn hostile_targets_are_refused() {
        let long = format!("/{}", "a".repeat(8192));
        let hostile = [
            "",
            "//evil",
            "///evil",
            "/\\evil",
            "\\\\evil",
            "/%5cevil",
            "/%2f%2fevil",
            "/%09/evil",
            "/\t/evil",
            "/.//evil",
            "/x/..//evil",
            "https:evil",
            "https:/evil",
            "https:///evil",
            "http://ok@evil",
            "https://ok.evil",
            "https://evil/ok",
            "https://ok:443@evil",
            "https://ok%00.evil",
            "https://ok%2eevil",
            "https://ok。evil",
            "https://xn--ok-evil.example",
            "https://ok.:443/",
            "https://ok:8443/",
            "http://ok/",
            "https://[::1]/",
            "https://user@ok/",
            "https://user:pw@ok/",
            "javascript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "ftp://ok",
            "/x\r\nSet-Cookie: a=b",
            "/x%0d%0aSet-Cookie:%20a=b",
            " /x",
            "\t/x",
            "evilok.com",
            "https://evilok",
            "https://ok.evil.com",
            "%2Fclusters",
            "clusters",
            "?a=b",
            "#a",
            "/lamplighter/login?rd=/",
            "/lamplighter/logout",
            "/lamplighter",
            "/lamplighter/",
            "/%6camplighter/login",
            "/x/../lamplighter/login",
            "/x/%2e%2e/lamplighter/login",
            long.as_str(),
        ];
        for target in hostile {
            assert!(ReturnTo::parse(target, &site()).is_err(), "{target:?}");
        }
    }

    #[test]
    fn good_targets_are_kept_to_the_byte() {
        let table = [
            ("/", "https://ok/"),
            ("/clusters/x/pods?a=%2F&b=1", "https://ok/clusters/x/pods?a=%2F&b=1"),
            ("/c/main/pods?namespace=dev", "https://ok/c/main/pods?namespace=dev"),
            ("https://ok/c/main", "https://ok/c/main"),
            ("HTTPS://OK/c", "https://ok/c"),
            ("https://ok:443/c", "https://ok/c"),
            ("/c/main#frag", "https://ok/c/main"),
            ("/lamplighter/whoami", "https://ok/lamplighter/whoami"),
            ("/a//b;c=d", "https://ok/a//b;c=d"),
        ];
        for (target, expected) in table {
            assert_eq!(ReturnTo::parse(target, &site()).map(|r| r.to_string()), Ok(expected.to_owned()));
        }
    }

    #[test]
    fn a_site_knows_its_own_name() {
        let site = site();
        assert!(site.is_at("ok") && site.is_at("OK") && site.is_at("ok:443"));
        assert!(!site.is_at("ok:80") && !site.is_at("ok.") && !site.is_at("evil") && !site.is_at(""));
        let odd = Site::new(&Url::parse("http://localhost:4460").unwrap()).unwrap();
        assert!(odd.is_at("localhost:4460") && !odd.is_at("localhost"));
        assert_eq!(odd.origin(), "http://localhost:4460");
    }

    proptest! {
        #[test]
        fn no_target_leaves_the_site(target in "(/|\\\\|https?:|[@:.?#\t\n]|evil|ok|%2f|%5c|[a-z]){0,12}") {
            if let Ok(back) = ReturnTo::parse(&target, &site()) {
                let followed = Url::parse("https://elsewhere.example/").unwrap().join(&back.to_string()).unwrap();
                prop_assert_eq!(followed.origin(), site().home.origin());
                prop_assert!(http::HeaderValue::try_from(back.to_string()).is_ok());
            }
        }

        #[test]
        fn no_text_at_all_leaves_the_site_or_panics(target in any::<String>()) {
            if let Ok(back) = ReturnTo::parse(&target, &site()) {
                prop_assert!(back.to_string().starts_with("https://ok/"));
            }
        }

        #[test]
        fn what_was_accepted_is_accepted_again(target in "/[a-z/%?&=.-]{0,30}") {
            if let Ok(back) = ReturnTo::parse(&target, &site()) {
                prop_assert_eq!(ReturnTo::parse(back.target(), &site()), Ok(back));
            }
        }
    }
}
