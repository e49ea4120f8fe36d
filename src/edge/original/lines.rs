//! The header lines that decide something.

use http::{HeaderMap, HeaderValue};

use super::super::{scrub, ui};
use crate::auth::{Effect, Kind, Provenance, Request, Site};

/// A header that has to stand once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Line<'h> {
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
    pub(super) fn bytes(self) -> Option<&'h [u8]> {
        match self {
            Self::Once(value) => Some(value.as_bytes()),
            Self::Absent | Self::Repeated => None,
        }
    }

    /// Its value: `None` when it is absent, repeated or not UTF-8.
    pub(super) fn once(self) -> Option<&'h str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

/// The headers that decide something, found in one pass: a lookup each would hash each name.
#[derive(Debug, Default)]
pub(super) struct Lines<'h> {
    pub(super) original_url: Line<'h>,
    pub(super) original_method: Line<'h>,
    pub(super) forwarded_host: Line<'h>,
    pub(super) forwarded_method: Line<'h>,
    pub(super) forwarded_proto: Line<'h>,
    pub(super) forwarded_uri: Line<'h>,
    pub(super) host: Line<'h>,
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
    pub(super) fn read(headers: &'h HeaderMap) -> Self {
        let mut lines = Self::default();
        for (name, value) in headers {
            match name.as_str() {
                "x-original-url" => lines.original_url.add(value),
                "x-original-method" => lines.original_method.add(value),
                "x-forwarded-host" => lines.forwarded_host.add(value),
                "x-forwarded-method" => lines.forwarded_method.add(value),
                "x-forwarded-proto" => lines.forwarded_proto.add(value),
                "x-forwarded-uri" => lines.forwarded_uri.add(value),
                "host" => lines.host.add(value),
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

    /// The ingress says so by other means.
    pub(super) fn is_websocket(&mut self) {
        self.flags.raise(Flags::WEBSOCKET, true);
    }

    pub(super) fn describe<'t>(
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
