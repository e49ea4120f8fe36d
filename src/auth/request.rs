//! What a request is, as far as a decision needs it.

/// One request that somebody asks about.
///
/// Read from an ingress's headers by [`crate::edge`], or from the request itself where lamplighter carries it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Request<'a> {
    /// Who would read the answer.
    pub kind: Kind,
    /// Which page caused the request.
    pub provenance: Provenance,
    /// GET or HEAD: a request that changes nothing (RFC 9110 section 9.2.1).
    pub is_safe: bool,
    /// The request asks for the site that lamplighter guards.
    pub is_for_site: bool,
    /// The request carries credentials of its own that would reach the upstream beside ours.
    pub has_foreign_credentials: bool,
    /// The upstream's own "log out".
    pub is_sign_out: bool,
    /// Path and query as the browser sent them, never used to allow anything.
    pub target: &'a str,
}

/// Who would read the answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A person who opens a page: redirects and pages make sense.
    Navigation,
    /// `fetch` or `XMLHttpRequest`: a status and JSON make sense.
    Script,
    /// An image, a frame, a stylesheet: only a status makes sense.
    Subresource,
    /// A WebSocket handshake: only a status makes sense.
    WebSocket,
}

/// Which page caused the request, by Fetch Metadata and `Origin`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Provenance {
    /// The headers contradict each other, repeat, or name another origin.
    Foreign,
    /// The site's own page, or the person directly.
    Own,
    /// Nothing says where the request comes from.
    Unknown,
}

impl Request<'_> {
    /// Whether the cookie's authority must not be lent to this request.
    ///
    /// A cookie is sent whoever asks, and no `SameSite` value stops a page on a sibling host. So what can
    /// change something or opens a tunnel has to come from the site's own page, and what another page's
    /// script or markup asks for is refused; following a link from anywhere is not.
    pub fn is_cross_site(&self) -> bool {
        match self.kind {
            Kind::WebSocket => self.provenance != Provenance::Own,
            Kind::Navigation if self.is_safe => false,
            Kind::Navigation | Kind::Script | Kind::Subresource if self.is_safe => {
                self.provenance == Provenance::Foreign
            }
            Kind::Navigation | Kind::Script | Kind::Subresource => self.provenance != Provenance::Own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: Kind, provenance: Provenance, is_safe: bool) -> Request<'static> {
        Request {
            kind,
            provenance,
            is_safe,
            is_for_site: true,
            has_foreign_credentials: false,
            is_sign_out: false,
            target: "/",
        }
    }

    #[test]
    fn authority_is_lent_to_the_sites_own_pages_only() {
        use Kind::{Navigation, Script, Subresource, WebSocket};
        use Provenance::{Foreign, Own, Unknown};
        let table = [
            (Navigation, Foreign, true, false),
            (Navigation, Unknown, true, false),
            (Navigation, Foreign, false, true),
            (Script, Own, true, false),
            (Script, Unknown, true, false),
            (Script, Foreign, true, true),
            (Script, Own, false, false),
            (Script, Unknown, false, true),
            (Script, Foreign, false, true),
            (Subresource, Foreign, true, true),
            (WebSocket, Own, true, false),
            (WebSocket, Unknown, true, true),
            (WebSocket, Foreign, true, true),
        ];
        for (kind, provenance, is_safe, refused) in table {
            assert_eq!(
                request(kind, provenance, is_safe).is_cross_site(),
                refused,
                "{kind:?} {provenance:?} safe={is_safe}"
            );
        }
    }
}
