//! What an ingress is answered: an outcome in its dialect.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use super::status::status_json;
use crate::auth::{Kind, Request, Session, Site};

/// One word that says why a request did not pass. The log line and the page repeat it.
pub const X_LAMPLIGHTER_REASON: HeaderName = HeaderName::from_static("x-lamplighter-reason");

/// Makes Headlamp load its page anew at once, instead of asking for a token.
pub const X_RELOAD: HeaderName = HeaderName::from_static("x-reload");

const X_FORWARDED_USER: HeaderName = HeaderName::from_static("x-forwarded-user");
const X_FORWARDED_EMAIL: HeaderName = HeaderName::from_static("x-forwarded-email");
const X_FORWARDED_GROUP: HeaderName = HeaderName::from_static("x-forwarded-group");
const X_FORWARDED_ID_TOKEN: HeaderName = HeaderName::from_static("x-forwarded-id-token");

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Room for the header lines of an answer, in bytes: nginx gives 4 KiB, and fails the request beyond.
const HEADER_BUDGET: usize = 3_800;

/// What the fixed lines of an answer take of that, in bytes, with their names.
const FIXED_LINES: usize = 400;

/// Longest `Location`, in bytes; a page whose address is longer is not returned to.
const MAX_LOCATION: usize = 2_560;

const IN_QUERY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

const IN_HEADER: &AsciiSet = &CONTROLS.add(b'%');

/// Every header that an upstream may be told who is asking by. All stand on a 200, none on anything else.
///
/// An ingress takes away the client's own header where the answer has one in its place, and with several
/// ingresses only then: so a header without a value is sent empty.
#[derive(Clone, Debug)]
pub struct Managed(HeaderMap);

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// It may pass.
    Pass {
        /// Who is asking.
        managed: Arc<Managed>,
        /// The client's cookies, less ours.
        cookie: HeaderValue,
    },
    /// A peer that is needed failed; the word says which.
    PeerFailed(&'static str),
    /// It may not pass, whoever signs in.
    Refused(&'static str),
    /// The person has to sign in.
    SignIn(&'static str),
    /// The person has been signed out, and this cookie says so.
    SignedOut(HeaderValue),
}

impl Managed {
    /// The headers for `session`, with `authorization` empty where the role has no token, and without cookies yet.
    pub fn new(session: &Session<'_>, authorization: Option<HeaderValue>) -> Self {
        let empty = HeaderValue::from_static("");
        let mut lines = HeaderMap::with_capacity(9);
        lines.insert(AUTHORIZATION, authorization.unwrap_or_else(|| empty.clone()));
        lines.insert(X_FORWARDED_USER, header_text(&session.name));
        lines.insert(X_FORWARDED_EMAIL, header_text(&session.email));
        lines.insert(X_FORWARDED_GROUP, header_text(&session.groups));
        lines.insert(X_FORWARDED_ID_TOKEN, empty);
        lines.insert(CACHE_CONTROL, NO_STORE);
        Self(lines)
    }

    /// Bytes that are left for the `Cookie` line.
    pub fn room_for_cookie(&self) -> usize {
        let used = self.0.values().map(HeaderValue::len).sum();
        HEADER_BUDGET.saturating_sub(FIXED_LINES).saturating_sub(used)
    }

    /// The token, as `Authorization` has it; empty where there is none.
    pub fn authorization(&self) -> &HeaderValue {
        &self.0[AUTHORIZATION]
    }

    /// Says in `headers` of a request for the upstream who is asking, where there is something to say.
    pub fn name_person(&self, headers: &mut HeaderMap) {
        for name in [X_FORWARDED_USER, X_FORWARDED_EMAIL, X_FORWARDED_GROUP] {
            let value = &self.0[&name];
            if !value.is_empty() {
                headers.insert(name, value.clone());
            }
        }
    }

    /// The answer to a request that may pass, in the room that `headers` take: what they say goes, and the memory
    /// stays. hyper reads the next request's headers into that of the last answer's, so that none is taken or given
    /// back from then on.
    fn answer_in(&self, mut headers: HeaderMap, cookie: HeaderValue) -> Response<Bytes> {
        headers.clear();
        for (name, value) in &self.0 {
            headers.insert(name.clone(), value.clone());
        }
        headers.insert(COOKIE, cookie);
        let mut response = Response::new(Bytes::new());
        *response.headers_mut() = headers;
        response
    }
}

/// Text as a header value: visible ASCII stays, the rest is percent-encoded as UTF-8.
fn header_text(text: &str) -> HeaderValue {
    if text.is_empty() {
        return HeaderValue::from_static("");
    }
    if text.is_ascii()
        && memchr::memchr2(b'%', b'\t', text.as_bytes()).is_none()
        && let Ok(value) = HeaderValue::from_str(text)
    {
        return value;
    }
    let encoded = utf8_percent_encode(text, IN_HEADER).to_string();
    HeaderValue::try_from(encoded).unwrap_or(HeaderValue::from_static(""))
}

/// The answer to nginx's `auth_request`: 200, 401 or 403, and 502 for a script when a peer failed.
///
/// nginx shows its own page for 403 and turns everything else into its own 500. So a navigation that cannot
/// pass is answered 401, whatever the reason: it is led to login, which decides anew and shows a page.
pub fn auth_request(outcome: Outcome, request: &Request<'_>, site: &Site) -> Reply {
    let response = match outcome {
        Outcome::Pass { managed, cookie } => return Reply::Pass(managed, cookie),
        Outcome::SignIn(reason) => sign_in(reason, request, site),
        Outcome::SignedOut(set_cookie) => {
            let mut response = sign_in("signed-out", &Request { target: "/", ..*request }, site);
            response.headers_mut().insert(SET_COOKIE, set_cookie);
            response
        }
        Outcome::Refused(reason) if request.kind == Kind::Navigation => sign_in(reason, request, site),
        Outcome::Refused(reason) => refusal(StatusCode::FORBIDDEN, reason, request.kind),
        Outcome::PeerFailed(reason) if request.kind == Kind::Navigation => sign_in(reason, request, site),
        Outcome::PeerFailed(reason) => refusal(StatusCode::BAD_GATEWAY, reason, request.kind),
    };
    Reply::Stop(response)
}

/// An answer that has yet to find its room.
#[derive(Debug)]
pub enum Reply {
    /// The request may pass: who is asking, and with which cookies.
    Pass(Arc<Managed>, HeaderValue),
    /// It may not.
    Stop(Response<Bytes>),
}

impl Reply {
    /// The answer. `headers` of a request that is done with are room for it.
    pub fn in_room_of(self, headers: HeaderMap) -> Response<Bytes> {
        match self {
            Self::Pass(managed, cookie) => managed.answer_in(headers, cookie),
            Self::Stop(response) => response,
        }
    }
}

/// The answer to a question that makes no sense.
pub fn malformed() -> Response<Bytes> {
    refusal(StatusCode::FORBIDDEN, "bad-request", Kind::Script)
}

/// The answer to somebody who is no ingress of ours.
pub fn untrusted_peer() -> Response<Bytes> {
    refusal(StatusCode::FORBIDDEN, "untrusted-peer", Kind::Script)
}

fn sign_in(reason: &'static str, request: &Request<'_>, site: &Site) -> Response<Bytes> {
    let mut response = refusal(StatusCode::UNAUTHORIZED, reason, request.kind);
    let headers = response.headers_mut();
    headers.insert(LOCATION, login_location(site, request.target));
    if request.kind == Kind::Script {
        headers.insert(X_RELOAD, HeaderValue::from_static("reload"));
    }
    response
}

fn refusal(status: StatusCode, reason: &'static str, kind: Kind) -> Response<Bytes> {
    let body = if kind == Kind::Script { status_json(status, reason) } else { Bytes::new() };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(X_LAMPLIGHTER_REASON, HeaderValue::from_static(reason));
    if kind == Kind::Script {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}

/// The login page, absolute: nginx would resolve a relative `Location` into its own question.
fn login_location(site: &Site, target: &str) -> HeaderValue {
    let url = login_url(site, target);
    let url = if url.len() > MAX_LOCATION { login_url(site, "/") } else { url };
    HeaderValue::try_from(url).unwrap_or(HeaderValue::from_static("/lamplighter/login"))
}

/// The address of the login page that returns to `target`.
pub fn login_url(site: &Site, target: &str) -> String {
    let mut url = site.url("/lamplighter/login?rd=");
    url.extend(utf8_percent_encode(target, IN_QUERY));
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Effect, Provenance, SessionId};

    fn site() -> Site {
        Site::new(&url::Url::parse("https://ui.example").unwrap()).unwrap()
    }

    fn request(kind: Kind) -> Request<'static> {
        Request {
            kind,
            provenance: Provenance::Own,
            effect: Effect::Reads,
            is_for_site: true,
            has_foreign_credentials: false,
            target: "/c/main?a=b&c=d",
        }
    }

    fn session() -> Session<'static> {
        Session {
            id: SessionId([0; 16]),
            subject: "s".into(),
            name: "Ada Lövelace".into(),
            email: "".into(),
            groups: "k8s-admins,staff".into(),
            role: "admin".into(),
            role_fingerprint: 0,
            provider_session: "".into(),
            auth_time: 0,
            issued_at: 0,
            expires_at: 0,
            bounces: crate::auth::session::Bounces::default(),
        }
    }

    fn answer(outcome: Outcome, kind: Kind) -> Response<Bytes> {
        // What the client said of itself must be gone from the room that its headers leave.
        let of_client = [(AUTHORIZATION, "Bearer its own"), (SET_COOKIE, "x=y")];
        let room =
            of_client.map(|(name, value)| (name, HeaderValue::from_static(value))).into_iter().collect();
        auth_request(outcome, &request(kind), &site()).in_room_of(room)
    }

    fn pass() -> Response<Bytes> {
        let managed = Managed::new(&session(), Some(HeaderValue::from_static("Bearer t")));
        let cookie = HeaderValue::from_static("a=b");
        answer(Outcome::Pass { managed: Arc::new(managed), cookie }, Kind::Script)
    }

    fn transcript(response: &Response<Bytes>) -> String {
        let mut lines: Vec<String> = response
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
            .collect();
        lines.sort();
        format!("{}\n{}", response.status(), lines.join("\n"))
    }

    const MANAGED: [HeaderName; 6] =
        [AUTHORIZATION, COOKIE, X_FORWARDED_USER, X_FORWARDED_EMAIL, X_FORWARDED_GROUP, X_FORWARDED_ID_TOKEN];

    #[test]
    fn a_request_that_passes_gets_every_managed_header() {
        insta::assert_snapshot!(transcript(&pass()), @r"
        200 OK
        authorization: Bearer t
        cache-control: no-store
        cookie: a=b
        x-forwarded-email: 
        x-forwarded-group: k8s-admins,staff
        x-forwarded-id-token: 
        x-forwarded-user: Ada L%C3%B6velace
        ");
    }

    #[test]
    fn a_navigation_is_led_to_login() {
        insta::assert_snapshot!(transcript(&answer(Outcome::SignIn("no-session"), Kind::Navigation)), @r"
        401 Unauthorized
        cache-control: no-store
        location: https://ui.example/lamplighter/login?rd=/c/main%3Fa%3Db%26c%3Dd
        x-lamplighter-reason: no-session
        ");
    }

    #[test]
    fn a_script_is_told_to_reload() {
        insta::assert_snapshot!(transcript(&answer(Outcome::SignIn("no-session"), Kind::Script)), @r"
        401 Unauthorized
        cache-control: no-store
        content-type: application/json
        location: https://ui.example/lamplighter/login?rd=/c/main%3Fa%3Db%26c%3Dd
        x-lamplighter-reason: no-session
        x-reload: reload
        ");
    }

    type Row = (fn() -> Outcome, [u16; 4]);

    #[test]
    fn the_status_says_who_reads_it() {
        use Kind::{Navigation, Script, Subresource, WebSocket};
        let cookie = HeaderValue::from_static("c=d");
        let table: [Row; 3] = [
            (|| Outcome::SignIn("no-session"), [401, 401, 401, 401]),
            (|| Outcome::Refused("cross-site"), [401, 403, 403, 403]),
            (|| Outcome::PeerFailed("mint-failed"), [401, 502, 502, 502]),
        ];
        for (outcome, statuses) in table {
            for (kind, status) in [Navigation, Script, Subresource, WebSocket].into_iter().zip(statuses) {
                let response = answer(outcome(), kind);
                assert_eq!(response.status(), status, "{:?} {kind:?}", outcome());
                assert!(MANAGED.iter().all(|name| !response.headers().contains_key(name)));
                assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
                assert!(response.headers().contains_key(X_LAMPLIGHTER_REASON));
                assert_eq!(response.headers().contains_key(LOCATION), status == 401);
            }
        }
        assert_eq!(answer(Outcome::SignedOut(cookie), Script).headers()[SET_COOKIE], "c=d");
        assert!(!pass().headers().contains_key(SET_COOKIE));
    }

    #[test]
    fn an_answer_fits_into_nginxs_buffer() {
        let token = HeaderValue::try_from(format!("Bearer {}", "t".repeat(1_500))).unwrap();
        let long = Session { name: "ö".repeat(127).into(), groups: "g".repeat(512).into(), ..session() };
        let managed = Managed::new(&long, Some(token));
        let cookie = HeaderValue::try_from("c".repeat(managed.room_for_cookie())).unwrap();
        let response = answer(Outcome::Pass { managed: Arc::new(managed), cookie }, Kind::Script);
        let size: usize = response.headers().iter().map(|(n, v)| n.as_str().len() + v.len() + 4).sum();
        assert!(size < 4_000, "{size}");
        let far = Request { target: &format!("/{}", "%".repeat(2_000)), ..request(Kind::Navigation) };
        let response =
            auth_request(Outcome::SignIn("no-session"), &far, &site()).in_room_of(HeaderMap::new());
        assert_eq!(response.headers()[LOCATION], "https://ui.example/lamplighter/login?rd=/");
    }

    #[test]
    fn header_text_never_breaks_a_line() {
        for (text, value) in
            [("a b", "a b"), ("a\r\nb", "a%0D%0Ab"), ("100%", "100%25"), ("", ""), ("ß", "%C3%9F")]
        {
            assert_eq!(header_text(text), value);
        }
    }
}
