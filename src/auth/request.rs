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
    /// What it does.
    pub effect: Effect,
    /// The request asks for the site that lamplighter guards.
    pub is_for_site: bool,
    /// The request carries credentials of its own that would reach the upstream beside ours.
    pub has_foreign_credentials: bool,
    /// Path and query as the browser sent them, never used to allow anything.
    pub target: &'a str,
}

/// What a request does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effect {
    /// It may change something.
    Changes,
    /// GET or HEAD: it changes nothing (RFC 9110 section 9.2.1).
    Reads,
    /// It is the upstream's own "log out".
    SignsOut,
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
        let is_read = self.effect == Effect::Reads;
        match self.kind {
            Kind::Navigation if is_read => false,
            Kind::Script | Kind::Subresource if is_read => self.provenance == Provenance::Foreign,
            Kind::Navigation | Kind::Script | Kind::Subresource | Kind::WebSocket => {
                self.provenance != Provenance::Own
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: Kind, provenance: Provenance, effect: Effect) -> Request<'static> {
        Request { kind, provenance, effect, is_for_site: true, has_foreign_credentials: false, target: "/" }
    }

    #[test]
    fn authority_is_lent_to_the_sites_own_pages_only() {
        use Effect::{Changes, Reads, SignsOut};
        use Kind::{Navigation, Script, Subresource, WebSocket};
        use Provenance::{Foreign, Own, Unknown};
        let table = [
            (Navigation, Foreign, Reads, false),
            (Navigation, Unknown, Reads, false),
            (Navigation, Foreign, Changes, true),
            (Script, Own, Reads, false),
            (Script, Unknown, Reads, false),
            (Script, Foreign, Reads, true),
            (Script, Own, Changes, false),
            (Script, Unknown, Changes, true),
            (Script, Foreign, Changes, true),
            (Script, Own, SignsOut, false),
            (Script, Unknown, SignsOut, true),
            (Subresource, Foreign, Reads, true),
            (WebSocket, Own, Reads, false),
            (WebSocket, Unknown, Reads, true),
            (WebSocket, Foreign, Reads, true),
        ];
        for (kind, provenance, effect, refused) in table {
            assert_eq!(
                request(kind, provenance, effect).is_cross_site(),
                refused,
                "{kind:?} {provenance:?} {effect:?}"
            );
        }
    }
}
