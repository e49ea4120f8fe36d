//! The `Cookie` header, read by its bytes: what is ours, and what goes upstream.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use memchr::memmem::Finder;

use super::ui::Traits;

/// Beginning of our cookies' names.
const HOST: &str = "__Host-lamplighter";

/// Beginning of the fallback's cookies' names.
const LOOPBACK: &str = "lamplighter-fallback-";

/// The names of our cookies at a site.
#[derive(Clone, Debug)]
pub struct CookieNames {
    session: String,
    attempt_prefix: String,
    finder: Finder<'static>,
}

/// The session cookie in a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Found<'a> {
    /// There is none.
    Nothing,
    /// There is one.
    One(&'a [u8]),
    /// There are several: one of them was planted, and which is unknown (RFC 6265bis section 8.6).
    Several,
}

impl CookieNames {
    /// `__Host-`: only this very host, by https or on localhost, can set it.
    pub fn host() -> Self {
        let session = HOST.to_owned();
        let attempt_prefix = format!("{session}-attempt-");
        let finder = Finder::new(&session).into_owned();
        Self { session, attempt_prefix, finder }
    }

    /// On the loopback, where every port shares one jar: a name of this process's own.
    pub fn loopback(tag: &str) -> Self {
        let session = format!("{LOOPBACK}{tag}");
        let attempt_prefix = format!("{session}-attempt-");
        let finder = Finder::new(&session).into_owned();
        Self { session, attempt_prefix, finder }
    }

    /// The session cookie's name.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// The name of the cookie of the login attempt `name`.
    pub fn attempt(&self, name: &str) -> String {
        format!("{}{name}", self.attempt_prefix)
    }

    /// Finds the session cookie, without allocating.
    pub fn find_session<'h>(&self, headers: &'h HeaderMap) -> Found<'h> {
        let mut found = Found::Nothing;
        for header in headers.get_all(COOKIE) {
            let header = header.as_bytes();
            for at in self.finder.find_iter(header) {
                if let Some(value) = value_at(header, at, self.session.len()) {
                    found = match found {
                        Found::Nothing => Found::One(value),
                        Found::One(_) | Found::Several => Found::Several,
                    };
                }
            }
        }
        found
    }

    /// The login attempts' cookies: name behind the prefix, and value.
    pub fn attempts<'h>(&self, headers: &'h HeaderMap) -> Vec<(&'h str, &'h [u8])> {
        let all = headers.get_all(COOKIE).iter().flat_map(|header| pairs(header.as_bytes()));
        let ours = all.filter_map(|(name, value)| {
            let name = name.strip_prefix(self.attempt_prefix.as_bytes())?;
            Some((std::str::from_utf8(name).ok()?, value))
        });
        ours.collect()
    }

    /// The `Cookie` header for the upstream: the client's, less ours and the UI's own token cookies.
    ///
    /// `most` bounds it, in bytes: an ingress gives the whole answer a few KiB, and fails the request when
    /// that is too little. A UI that works without foreign cookies loses nothing by an empty header.
    pub fn for_upstream(&self, headers: &HeaderMap, ui: &Traits, most: usize) -> HeaderValue {
        // What is kept is no longer than what there is, but for what holds several lines together.
        let length = headers.get_all(COOKIE).iter().map(|header| header.len() + 2).sum();
        let mut kept = Vec::with_capacity(length);
        for header in headers.get_all(COOKIE) {
            keep(header.as_bytes(), &mut kept, |pair| {
                !is_ours(pair) && !ui.token_cookies.iter().any(|prefix| starts_with(pair, prefix))
            });
        }
        if kept.len() > most {
            return HeaderValue::from_static("");
        }
        HeaderValue::try_from(kept).unwrap_or(HeaderValue::from_static(""))
    }
}

/// Adds what `is_kept` of a header to `kept`. What stands together stays together, and is copied at once.
fn keep(header: &[u8], kept: &mut Vec<u8>, is_kept: impl Fn(&[u8]) -> bool) {
    let (mut from, mut at) = (0, 0);
    while at < header.len() {
        let end = memchr::memchr(b';', &header[at..]).map_or(header.len(), |length| at + length);
        let pair = header[at..end].trim_ascii();
        if memchr::memchr(b'=', pair).is_none() || !is_kept(pair) {
            add(&header[from..at], kept);
            from = end + 1;
        }
        at = end + 1;
    }
    add(header.get(from..).unwrap_or_default(), kept);
}

/// Adds pairs behind those that are there.
fn add(pairs: &[u8], kept: &mut Vec<u8>) {
    let pairs = pairs.trim_ascii();
    let pairs = pairs.strip_suffix(b";").unwrap_or(pairs).trim_ascii_end();
    if pairs.is_empty() {
        return;
    }
    if !kept.is_empty() {
        kept.extend_from_slice(b"; ");
    }
    kept.extend_from_slice(pairs);
}

/// Whether a cookie of this name is ours, whichever listener's.
pub fn is_ours(name: &[u8]) -> bool {
    [HOST, LOOPBACK].iter().any(|prefix| starts_with(name, prefix))
}

/// Servers compare cookie names by case, but not all of them: nothing of ours leaves in any case.
fn starts_with(name: &[u8], prefix: &str) -> bool {
    let (Some(first), Some(wanted)) = (name.first(), prefix.as_bytes().first()) else { return false };
    // Most names are told from a prefix by their first letter.
    first.eq_ignore_ascii_case(wanted)
        && name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// The value of the cookie whose name, of `len` bytes, stands at `at`: `None` where a part of something else does.
fn value_at(header: &[u8], at: usize, len: usize) -> Option<&[u8]> {
    let before = header[..at].trim_ascii_end();
    if !before.is_empty() && !before.ends_with(b";") {
        return None;
    }
    let value = header[at + len..].trim_ascii_start().strip_prefix(b"=")?;
    let end = memchr::memchr(b';', value).unwrap_or(value.len());
    Some(value[..end].trim_ascii())
}

/// What stands between semicolons, where it names something.
fn raw_pairs(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(header);
    let pairs = std::iter::from_fn(move || {
        let header = rest?;
        let end = memchr::memchr(b';', header);
        rest = end.map(|end| &header[end + 1..]);
        Some(header[..end.unwrap_or(header.len())].trim_ascii())
    });
    pairs.filter(|pair| memchr::memchr(b'=', pair).is_some())
}

fn pairs(header: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    raw_pairs(header).filter_map(|pair| {
        let at = memchr::memchr(b'=', pair)?;
        Some((pair[..at].trim_ascii_end(), pair[at + 1..].trim_ascii_start()))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::edge::Ui;

    fn cookies(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap())).collect()
    }

    fn find(lines: &[&str]) -> Option<String> {
        match CookieNames::host().find_session(&cookies(lines)) {
            Found::Nothing => None,
            Found::One(value) => Some(String::from_utf8_lossy(value).into_owned()),
            Found::Several => Some("several".into()),
        }
    }

    #[test]
    fn the_session_cookie_is_found_among_others() {
        assert_eq!(find(&["__Host-lamplighter=v"]), Some("v".into()));
        assert_eq!(find(&["a=b; __Host-lamplighter=v; c=d"]), Some("v".into()));
        assert_eq!(find(&["a=b;__Host-lamplighter=v"]), Some("v".into()));
        assert_eq!(find(&["a=b", "__Host-lamplighter=v"]), Some("v".into()));
        assert_eq!(find(&["__Host-lamplighter="]), Some(String::new()));
    }

    #[test]
    fn what_only_looks_like_it_is_not_it() {
        for line in [
            "",
            "a=__Host-lamplighter",
            "x__Host-lamplighter=v",
            "__Host-lamplighter-attempt-12345678=v",
            "__host-lamplighter=v",
            "__Host-lamplighter",
            "a=\"; __Host-lamplighterx=v\"",
        ] {
            assert_eq!(find(&[line]), None, "{line}");
        }
    }

    #[test]
    fn two_of_them_are_none() {
        assert_eq!(find(&["__Host-lamplighter=a; __Host-lamplighter=b"]), Some("several".into()));
        assert_eq!(find(&["__Host-lamplighter=a", "__Host-lamplighter=a"]), Some("several".into()));
    }

    #[test]
    fn the_upstream_gets_neither_our_cookies_nor_its_own_tokens() {
        let kept = |lines: &[&str]| {
            let names = CookieNames::host();
            let value = names.for_upstream(&cookies(lines), Ui::Headlamp.traits(), 100);
            String::from_utf8(value.as_bytes().to_vec()).unwrap()
        };
        assert_eq!(kept(&["a=b; __Host-lamplighter=v; c=d=e"]), "a=b; c=d=e");
        assert_eq!(kept(&["__Host-lamplighter-attempt-12345678=v", "__HOST-LAMPLIGHTER=v"]), "");
        assert_eq!(kept(&["headlamp-auth-main.0=t; a=b", "Headlamp-Auth-x.1=t"]), "a=b");
        assert_eq!(kept(&[&format!("a={}", "b".repeat(100))]), "");
    }

    #[test]
    fn attempts_are_listed_by_name() {
        let headers =
            cookies(&["__Host-lamplighter-attempt-abcdefgh=1; x=y", "__Host-lamplighter-attempt-ijklmnop=2"]);
        let attempts = CookieNames::host().attempts(&headers);
        assert_eq!(attempts, [("abcdefgh", b"1".as_slice()), ("ijklmnop", b"2".as_slice())]);
    }

    proptest! {
        #[test]
        fn what_is_found_by_name_is_what_stands_among_the_pairs(
            line in "((__Host-lamplighter|a|;|=| |\t|x){0,4}[;=]){0,6}",
        ) {
            let mut among: Vec<_> = pairs(line.as_bytes()).filter(|(name, _)| *name == HOST.as_bytes()).collect();
            let expected = match (among.pop(), among.is_empty()) {
                (None, _) => None,
                (Some((_, value)), true) => Some(String::from_utf8_lossy(value).into_owned()),
                (Some(_), false) => Some("several".to_owned()),
            };
            prop_assert_eq!(find(&[&line]), expected);
        }

        #[test]
        fn no_header_panics_and_nothing_of_ours_leaves(
            bytes in proptest::collection::vec(prop_oneof![Just(b';'), Just(b'='), Just(b' '), 0x21_u8..=0xff], 0..60),
        ) {
            let mut line = b"__Host-lamplighter=v;".to_vec();
            line.extend(bytes.into_iter().filter(|b| *b != 0x7f));
            let headers: HeaderMap = [(COOKIE, HeaderValue::from_bytes(&line).unwrap())].into_iter().collect();
            prop_assert_ne!(CookieNames::host().find_session(&headers), Found::Nothing);
            let upstream = CookieNames::host().for_upstream(&headers, Ui::Headlamp.traits(), 4096);
            prop_assert!(memchr::memmem::find(upstream.as_bytes(), b"__Host-lamplighter=").is_none());
        }
    }
}
