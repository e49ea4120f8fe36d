//! The request that an ingress asks about, read from what the ingress itself says.

use http::{HeaderMap, HeaderValue};

use super::{scrub, ui};
use crate::auth::{Effect, Kind, Provenance, Request, Site};

/// Longest address that is looked at, in bytes; nginx itself takes 8 KiB.
const MAX_URL: usize = 16 * 1024;

/// Why what the ingress says makes no sense, which is never a reason to let a request pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Malformed {
    /// `X-Original-Method` is absent, repeated, or no method.
    #[error("X-Original-Method is absent, repeated or no method")]
    Method,
    /// `X-Original-URL` is absent, repeated, or no http(s) URL.
    #[error("X-Original-URL is absent, repeated or no http(s) URL")]
    Url,
}

/// Reads what nginx and ingress-nginx say of the original request.
///
/// Only `X-Original-URL` and `X-Original-Method` are nginx's own word. `X-Forwarded-*`, `Forwarded`,
/// `X-Original-URI` and `X-Scheme` pass through from the client and are not looked at; nor is the scheme in
/// the URL, which is that of nginx's own hop.
pub fn auth_request<'h>(
    headers: &'h HeaderMap,
    site: &Site,
    ui: &ui::Traits,
) -> Result<Request<'h>, Malformed> {
    let lines = Lines::read(headers);
    let method = lines.original_method.once().ok_or(Malformed::Method)?;
    if method.is_empty() || !method.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-') {
        return Err(Malformed::Method);
    }
    let (authority, target) = lines.original_url.once().and_then(split_url).ok_or(Malformed::Url)?;
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

/// A header that has to stand once.
#[derive(Clone, Copy, Debug, Default)]
enum Line<'h> {
    #[default]
    Absent,
    Once(&'h HeaderValue),
    Repeated,
}

impl<'h> Line<'h> {
    fn add(&mut self, value: &'h HeaderValue) {
        *self = match self {
            Self::Absent => Self::Once(value),
            Self::Once(_) | Self::Repeated => Self::Repeated,
        };
    }

    /// Its value, in bytes: `None` when it is absent or repeated.
    fn bytes(self) -> Option<&'h [u8]> {
        match self {
            Self::Once(value) => Some(value.as_bytes()),
            Self::Absent | Self::Repeated => None,
        }
    }

    /// Its value: `None` when it is absent, repeated or not UTF-8.
    fn once(self) -> Option<&'h str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

/// The headers that decide something, found in one pass: a lookup each would hash each name.
#[derive(Debug, Default)]
struct Lines<'h> {
    original_url: Line<'h>,
    original_method: Line<'h>,
    origin: Line<'h>,
    fetch_site: Line<'h>,
    fetch_mode: Line<'h>,
    fetch_dest: Line<'h>,
    flags: Flags,
}

/// What is there, whatever it says.
#[derive(Clone, Copy, Debug, Default)]
struct Flags(u8);

impl Flags {
    const ACCEPTS_PAGE: u8 = 1;
    const FOREIGN_CREDENTIALS: u8 = 2;
    const REQUESTED_BY_SCRIPT: u8 = 4;
    const WEBSOCKET: u8 = 8;

    fn raise(&mut self, flag: u8, is_raised: bool) {
        if is_raised {
            self.0 |= flag;
        }
    }

    fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }
}

impl<'h> Lines<'h> {
    fn read(headers: &'h HeaderMap) -> Self {
        let mut lines = Self::default();
        for (name, value) in headers {
            match name.as_str() {
                "x-original-url" => lines.original_url.add(value),
                "x-original-method" => lines.original_method.add(value),
                "origin" => lines.origin.add(value),
                "sec-fetch-site" => lines.fetch_site.add(value),
                "sec-fetch-mode" => lines.fetch_mode.add(value),
                "sec-fetch-dest" => lines.fetch_dest.add(value),
                "accept" => lines.flags.raise(Flags::ACCEPTS_PAGE, is_html(value)),
                "x-requested-with" => lines.flags.raise(Flags::REQUESTED_BY_SCRIPT, true),
                // nginx leaves `Upgrade` out of its question, but not the key.
                "sec-websocket-key" | "upgrade" => lines.flags.raise(Flags::WEBSOCKET, true),
                name => {
                    lines.flags.raise(Flags::FOREIGN_CREDENTIALS, scrub::is_foreign_credential(name, value));
                }
            }
        }
        lines
    }

    fn describe<'t>(
        &self,
        method: &str,
        (authority, target): (&str, &'t str),
        site: &Site,
        ui: &ui::Traits,
    ) -> Request<'t> {
        let effect = match method {
            "GET" | "HEAD" => Effect::Reads,
            "POST" if ui.is_sign_out(path_of(target)) => Effect::SignsOut,
            _ => Effect::Changes,
        };
        Request {
            kind: self.kind(effect == Effect::Reads),
            provenance: self.provenance(site),
            effect,
            is_for_site: site.is_at(authority),
            has_foreign_credentials: self.flags.has(Flags::FOREIGN_CREDENTIALS),
            target,
        }
    }

    fn kind(&self, is_read: bool) -> Kind {
        if self.flags.has(Flags::WEBSOCKET) {
            return Kind::WebSocket;
        }
        let dest = self.fetch_dest.bytes();
        match self.fetch_mode.bytes() {
            Some(b"navigate") if is_read && matches!(dest, None | Some(b"document")) => Kind::Navigation,
            Some(_) if matches!(dest, None | Some(b"empty")) => Kind::Script,
            Some(_) => Kind::Subresource,
            None if is_read && self.wants_page() => Kind::Navigation,
            None => Kind::Script,
        }
    }

    /// How browsers without Fetch Metadata, and tools, show that a person is reading.
    fn wants_page(&self) -> bool {
        self.flags.has(Flags::ACCEPTS_PAGE) && !self.flags.has(Flags::REQUESTED_BY_SCRIPT)
    }

    /// Where the request comes from. What is said must agree, and must be said once.
    fn provenance(&self, site: &Site) -> Provenance {
        let by_fetch = said(self.fetch_site, |value| value == b"same-origin" || value == b"none");
        // A form on a page with `Referrer-Policy: no-referrer` sends `null`, also to its own origin.
        let may_be_null = by_fetch == Provenance::Own;
        let is_own = |value: &[u8]| value == site.origin().as_bytes() || (may_be_null && value == b"null");
        let by_origin = said(self.origin, is_own);
        match (by_fetch, by_origin) {
            (Provenance::Foreign, _) | (_, Provenance::Foreign) => Provenance::Foreign,
            (Provenance::Own, _) | (_, Provenance::Own) => Provenance::Own,
            (Provenance::Unknown, Provenance::Unknown) => Provenance::Unknown,
        }
    }
}

fn said(line: Line<'_>, is_own: impl Fn(&[u8]) -> bool) -> Provenance {
    match line {
        Line::Absent => Provenance::Unknown,
        Line::Once(_) if line.bytes().is_some_and(is_own) => Provenance::Own,
        Line::Once(_) | Line::Repeated => Provenance::Foreign,
    }
}

fn is_html(value: &HeaderValue) -> bool {
    memchr::memmem::find(value.as_bytes(), b"text/html").is_some()
}

fn path_of(target: &str) -> &str {
    target.split(['?', '#']).next().unwrap_or(target)
}

/// Authority and target of an absolute http(s) URL. The target is kept to the byte.
fn split_url(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let at = memchr::memchr(b'/', rest.as_bytes())?;
    let (authority, target) = rest.split_at(at);
    // Counting, unlike `any`, compares many bytes at a time.
    let invisible = target.bytes().filter(|&b| b <= b' ' || b == 0x7f).count();
    (url.len() <= MAX_URL && invisible == 0).then_some((authority, target))
}

#[cfg(test)]
mod tests {
    use http::HeaderName;
    use http::header::ORIGIN;
    use proptest::prelude::*;

    use super::*;
    use crate::edge::Ui;

    const X_ORIGINAL_URL: HeaderName = HeaderName::from_static("x-original-url");
    const X_ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
    const URL: (&str, &str) = ("x-original-url", "https://ui.example/c/main?a=b");
    const GET: (&str, &str) = ("x-original-method", "GET");

    fn site() -> Site {
        Site::new(&url::Url::parse("https://ui.example").unwrap()).unwrap()
    }

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let line = |&(name, value): &(&str, &str)| {
            (HeaderName::try_from(name).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        lines.iter().map(line).collect()
    }

    fn of(lines: &[(&str, &str)]) -> Request<'static> {
        let headers = headers(&[&[URL, GET], lines].concat());
        let request = auth_request(&headers, &site(), Ui::Headlamp.traits()).unwrap();
        Request { target: "", ..request }
    }

    #[test]
    fn the_target_is_kept_to_the_byte() {
        for target in ["/", "/c/main?a=%2F&b=1", "/a/../b//c;d", "/%2e%2e/x", "/p#frag?x", "/ä"] {
            let url = format!("http://ui.example{target}");
            let headers = headers(&[("x-original-url", &url), GET]);
            assert_eq!(auth_request(&headers, &site(), Ui::Generic.traits()).unwrap().target, target);
        }
    }

    /// Security reference: HH-6.
    #[test]
    fn what_makes_no_sense_is_malformed() {
        let url = |value| headers(&[("x-original-url", value), GET]);
        let long = format!("https://ui.example/{}", "a".repeat(MAX_URL));
        let read = |headers: &HeaderMap| auth_request(headers, &site(), Ui::Headlamp.traits()).map(|_| ());
        let absent = ["", "/c/main", "ui.example/", "ftp://ui.example/", "https://ui.example", &long];
        let within = ["https://ui.example/a b", "https://ui.example/a\tb", "https://ui.example/?a=b\t"];
        for value in absent.into_iter().chain(within) {
            assert_eq!(read(&url(value)), Err(Malformed::Url), "{value}");
        }
        assert_eq!(read(&headers(&[GET])), Err(Malformed::Url));
        assert_eq!(read(&headers(&[URL, URL, GET])), Err(Malformed::Url));
        assert_eq!(read(&headers(&[URL])), Err(Malformed::Method));
        assert_eq!(read(&headers(&[URL, GET, GET])), Err(Malformed::Method));
        for method in ["", "GE T", "GET,POST", "G\u{e4}T"] {
            assert_eq!(read(&headers(&[URL, ("x-original-method", method)])), Err(Malformed::Method));
        }
        let mut not_utf8 = headers(&[GET]);
        not_utf8.insert(X_ORIGINAL_URL, HeaderValue::from_bytes(b"https://ui.example/\xff").unwrap());
        assert_eq!(read(&not_utf8), Err(Malformed::Url));
    }

    /// Security reference: HH-1.
    #[test]
    fn what_the_client_says_of_itself_changes_nothing() {
        let forged = [
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-uri", "/clusters/main/set-token"),
            ("x-forwarded-method", "POST"),
            ("x-forwarded-proto", "gopher"),
            ("forwarded", "host=evil.example"),
            ("x-original-uri", "/evil"),
            ("x-scheme", "http"),
            ("x-auth-request-redirect", "/evil"),
            ("authorization", "Bearer stolen"),
        ];
        assert_eq!(of(&forged), of(&[]));
    }

    #[test]
    fn another_host_is_another_site() {
        let at = |url: &str| {
            let headers = headers(&[("x-original-url", url), GET]);
            auth_request(&headers, &site(), Ui::Headlamp.traits()).unwrap().is_for_site
        };
        assert!(at("http://ui.example/") && at("https://UI.example:443/"));
        for url in ["http:///p", "https://evil.example/", "https://ui.example.evil/", "https://a@ui.example/"]
        {
            assert!(!at(url), "{url}");
        }
    }

    #[test]
    fn who_reads_the_answer_is_told_by_fetch_metadata() {
        let table: [(&[(&str, &str)], Kind); 12] = [
            (&[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")], Kind::Navigation),
            (&[("sec-fetch-mode", "navigate")], Kind::Navigation),
            (&[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")], Kind::Subresource),
            (&[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")], Kind::Script),
            (&[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")], Kind::Subresource),
            (&[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "manifest")], Kind::Subresource),
            (&[("sec-fetch-mode", "cors"), ("accept", "text/html")], Kind::Script),
            (&[("accept", "text/html,*/*")], Kind::Navigation),
            (&[("accept", "text/html"), ("x-requested-with", "XMLHttpRequest")], Kind::Script),
            (&[("accept", "*/*")], Kind::Script),
            (&[], Kind::Script),
            (&[("sec-websocket-key", "k"), ("sec-fetch-mode", "websocket")], Kind::WebSocket),
        ];
        for (lines, kind) in table {
            assert_eq!(of(lines).kind, kind, "{lines:?}");
        }
    }

    #[test]
    fn where_it_comes_from_is_told_by_fetch_metadata_and_origin() {
        let own = ("origin", "https://ui.example");
        let same = ("sec-fetch-site", "same-origin");
        let table: [(&[(&str, &str)], Provenance); 15] = [
            (&[], Provenance::Unknown),
            (&[same], Provenance::Own),
            (&[("sec-fetch-site", "none")], Provenance::Own),
            (&[own], Provenance::Own),
            (&[same, own], Provenance::Own),
            (&[("sec-fetch-site", "same-site")], Provenance::Foreign),
            (&[("sec-fetch-site", "cross-site")], Provenance::Foreign),
            (&[("sec-fetch-site", "cross-site"), own], Provenance::Foreign),
            (&[same, ("origin", "https://evil.example")], Provenance::Foreign),
            (&[("origin", "null")], Provenance::Foreign),
            (&[("origin", "null"), ("sec-fetch-site", "cross-site")], Provenance::Foreign),
            (&[("origin", "null"), same], Provenance::Own),
            (&[("origin", "http://ui.example")], Provenance::Foreign),
            (&[("origin", "https://ui.example:8443")], Provenance::Foreign),
            (&[same, same], Provenance::Foreign),
        ];
        for (lines, provenance) in table {
            assert_eq!(of(lines).provenance, provenance, "{lines:?}");
        }
    }

    #[test]
    fn only_a_post_signs_out() {
        let with = |method| {
            let headers = headers(&[
                ("x-original-url", "https://ui.example/clusters/main/set-token?x=1"),
                ("x-original-method", method),
            ]);
            auth_request(&headers, &site(), Ui::Headlamp.traits()).unwrap().effect == Effect::SignsOut
        };
        assert!(with("POST") && !with("GET") && !with("PUT"));
    }

    proptest! {
        #[test]
        fn no_header_panics(
            url in proptest::collection::vec(any::<u8>(), 0..80),
            method in proptest::collection::vec(any::<u8>(), 0..8),
            origin in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let mut headers = HeaderMap::new();
            for (name, value) in [(X_ORIGINAL_URL, url), (X_ORIGINAL_METHOD, method), (ORIGIN, origin)] {
                if let Ok(value) = HeaderValue::from_bytes(&value) {
                    headers.append(name, value);
                }
            }
            let _ = auth_request(&headers, &site(), Ui::Headlamp.traits());
        }

        #[test]
        fn only_the_sites_own_authority_is_the_site(authority in "[a-z.:@0-9]{0,20}") {
            let url = format!("https://{authority}/");
            let headers = headers(&[("x-original-url", &url), GET]);
            if let Ok(request) = auth_request(&headers, &site(), Ui::Headlamp.traits()) {
                prop_assert_eq!(request.is_for_site, authority == "ui.example" || authority == "ui.example:443");
            }
        }
    }
}
